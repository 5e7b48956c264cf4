//! Conditions, problems and sets of system calls, against `systemd-analyze`.

use crate::common::{mirror, put};
use h2k_block::Limits;
use h2k_guest::Look;
use h2k_systemd::{Graph, Holds, Name, Scope, Units, syscall_sets, syscalls, together, verify};
use h2k_testkit::oracle;
use std::collections::BTreeSet;

#[test]
fn sets_of_system_calls_are_those_systemd_lists() {
    let version = oracle::ok("systemd-analyze", &["--version"]);
    let said = oracle::run("systemd-analyze", &["syscall-filter"]);
    let said = String::from_utf8(said.stdout).unwrap();
    let theirs = said.lines().filter(|l| l.starts_with('@')).count();
    let sets = syscall_sets();
    if version.starts_with("systemd 252 ") {
        assert_eq!(sets.len(), theirs);
        for set in &sets {
            let text = oracle::ok("systemd-analyze", &["syscall-filter", set.name]);
            let theirs: Vec<&str> = text
                .lines()
                .skip(1)
                .map(str::trim)
                .filter(|l| !l.starts_with('#') && !l.is_empty())
                .collect();
            assert_eq!(set.members().collect::<Vec<_>>(), theirs, "{}", set.name);
        }
    } else {
        println!("skipped: the sets are those of systemd 252, and this is {version}");
    }
    let all = syscalls("@system-service");
    assert!(all.contains(&"read") && all.contains(&"futex") && !all.contains(&"reboot") && all.len() > 200);
}

#[test]
fn conditions_about_files_hold_where_systemd_says_so() {
    let dir = tempfile::Builder::new()
        .prefix("h2k")
        .tempdir_in("/var/tmp")
        .unwrap();
    put(dir.path(), "full", "x");
    put(dir.path(), "empty", "");
    put(dir.path(), "dir/file.a", "x");
    std::fs::create_dir(dir.path().join("bare")).unwrap();
    std::os::unix::fs::symlink("full", dir.path().join("link")).unwrap();
    std::os::unix::fs::symlink("nowhere", dir.path().join("broken")).unwrap();
    oracle::ok("chmod", &["755", dir.path().join("full").to_str().unwrap()]);
    // The same files under the same path, in a guest.
    let outer = tempfile::tempdir().unwrap();
    let inner = outer.path().join(dir.path().strip_prefix("/").unwrap());
    std::fs::create_dir_all(inner.parent().unwrap()).unwrap();
    oracle::ok(
        "cp",
        &["-a", dir.path().to_str().unwrap(), inner.to_str().unwrap()],
    );
    let tree = mirror(outer.path());
    let look = Look::new(&tree, &Limits::default());
    let units = Units::new(&look, Scope::System, false);
    let base = dir.path().display();
    let mut asked = 0;
    for kind in [
        "PathExists",
        "PathExistsGlob",
        "PathIsDirectory",
        "PathIsSymbolicLink",
        "DirectoryNotEmpty",
        "FileNotEmpty",
        "FileIsExecutable",
    ] {
        for name in [
            "full", "empty", "dir", "bare", "link", "broken", "none", "dir/*.a", "d*", "*/x",
        ] {
            for not in ["", "!"] {
                let value = format!("{not}{base}/{name}");
                let line = format!("Condition{kind}={value}");
                let theirs = oracle::run("systemd-analyze", &["condition", &line])
                    .status
                    .success();
                let ours = units.holds(kind, &value);
                assert_eq!(ours, if theirs { Holds::Yes } else { Holds::No }, "{line}");
                asked += 1;
            }
        }
    }
    assert_eq!(asked, 140);
    assert_eq!(units.holds("PathExists", "/run/x"), Holds::Unknown);
    assert_eq!(units.holds("Virtualization", "!vm"), Holds::Unknown);
}

const UNITS: &[(&str, &str)] = &[
    ("default.target", "[Unit]\nWants=a.service b.service t.timer\n"),
    (
        "a.service",
        "[Unit]\nAfter=b.service\nRequires=nowhere.service\nConditionPathExists=/etc\nConditionPathExists=|/none\nConditionPathExists=|/usr\n[Service]\nExecStart=/usr/bin/none --x\nExecStartPre=-/usr/bin/none\nRestrat=always\n[Sevice]\nX-Own=1\n",
    ),
    (
        "b.service",
        "[Unit]\nAfter=a.service\n[Service]\nExecStart=/usr/bin/there 'unclosed\n",
    ),
    (
        "t.timer",
        "[Timer]\nOnCalendar=never ever\nOnCalendar=daily Nowhere/Land\nOnBootSec=5 parsecs\nUnit=b.service\nnonsense\n",
    ),
];

#[test]
fn what_is_wrong_with_units_is_told_with_its_line() {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in UNITS {
        put(dir.path(), &format!("usr/lib/systemd/system/{name}"), text);
    }
    put(dir.path(), "usr/bin/there", "x");
    put(dir.path(), "etc/machine-id", "");
    oracle::ok(
        "chmod",
        &["755", dir.path().join("usr/bin/there").to_str().unwrap()],
    );
    let tree = mirror(dir.path());
    let look = Look::new(&tree, &Limits::default());
    let units = Units::new(&look, Scope::System, false);
    let found: BTreeSet<String> = verify(&units, &Graph::whole(&units))
        .into_iter()
        .map(|p| {
            format!(
                "{} {} {}",
                p.unit,
                p.kind,
                p.source.as_str().rsplit('/').next().unwrap()
            )
        })
        .collect();
    let wanted = [
        "a.service cycle the order of units",
        "a.service missing-file a.service:8",
        "a.service missing-unit a.service:3",
        "a.service unknown a.service:10",
        "b.service value b.service:4",
        "t.timer syntax t.timer:6",
        "t.timer value t.timer:2",
        "t.timer value t.timer:3",
        "t.timer value t.timer:4",
    ];
    for one in wanted {
        assert!(found.contains(one), "no {one} in {found:#?}");
    }
    let conditions = units.conditions(&units.unit(&Name::parse("a.service").unwrap()));
    let held: Vec<&str> = conditions.iter().map(|c| c.holds.word()).collect();
    assert_eq!(held, ["yes", "no", "yes"]);
    assert_eq!(together(&conditions), Holds::Yes);
}

/// Units of a real system are in order: what is said of them would be our mistake.
#[test]
fn nothing_is_unknown_in_the_units_of_this_system() {
    let version = oracle::ok("systemd-analyze", &["--version"]);
    if !version.starts_with("systemd 252 ") {
        println!("skipped: the settings known are those of systemd 252, and this is {version}");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("usr/lib/systemd");
    std::fs::create_dir_all(&to).unwrap();
    oracle::ok("cp", &["-a", "/lib/systemd/system", to.to_str().unwrap()]);
    let tree = mirror(dir.path());
    let look = Look::new(&tree, &Limits::default());
    let units = Units::new(&look, Scope::System, false);
    let problems = verify(&units, &Graph::whole(&units));
    let odd: Vec<_> = problems
        .iter()
        .filter(|p| matches!(p.kind.as_str(), "unknown" | "syntax" | "value"))
        .collect();
    assert!(odd.is_empty(), "{odd:#?}");
}
