//! States of unit files, against `systemctl --root`.

use crate::common::{link, mirror, once_in, pick, put};
use h2k_block::Limits;
use h2k_guest::Look;
use h2k_systemd::{Name, Scope, State, Units};
use h2k_testkit::oracle;
use h2k_testkit::rng::Rng;
use std::collections::BTreeMap;
use std::path::Path;

/// Name, state and preset of every unit file, as we have it.
fn ours(root: &Path, scope: Scope) -> BTreeMap<String, String> {
    let tree = mirror(root);
    let look = Look::new(&tree, &Limits::default());
    let units = Units::new(&look, scope, false);
    units
        .names()
        .iter()
        .map(|name| (name.to_string(), line(&units, name)))
        .collect()
}

fn line(units: &Units<'_>, name: &Name) -> String {
    let Some(state) = units.state(name) else {
        return "bad".to_owned();
    };
    let preset = match (state.value.has_preset(), units.preset(name).value) {
        (false, _) => "-",
        (true, true) => "enabled",
        (true, false) => "disabled",
    };
    match state.value {
        State::Bad => "bad".to_owned(),
        state => format!("{} {preset}", state.word()),
    }
}

/// The same as systemctl has it.
fn theirs(root: &Path, scope: Scope) -> Option<BTreeMap<String, String>> {
    let root = format!("--root={}", root.display());
    let mut args = vec![
        root.as_str(),
        "list-unit-files",
        "--no-legend",
        "--no-pager",
        "--full",
    ];
    if scope == Scope::User {
        args.push("--global");
    }
    let out = oracle::run("systemctl", &args);
    if !out.status.success() {
        return None;
    }
    let said = String::from_utf8(out.stdout).unwrap();
    let lines = said.lines().filter(|l| !l.trim().is_empty());
    let all = lines.map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let state = match words[1] {
            "bad" => "bad".to_owned(),
            _ => words[1..].join(" "),
        };
        (words[0].to_owned(), state)
    });
    Some(all.collect())
}

/// How many unit files there are, all of them in the same state; 0 where systemctl gives up on the tree.
fn same(root: &Path, scope: Scope, what: &str) -> usize {
    let ours = ours(root, scope);
    let Some(theirs) = theirs(root, scope) else {
        return 0;
    };
    let mut wrong = Vec::new();
    for name in ours.keys().chain(theirs.keys()) {
        if ours.get(name) != theirs.get(name) {
            wrong.push(format!(
                "{name}: ours {:?}, systemctl's {:?}",
                ours.get(name),
                theirs.get(name)
            ));
        }
    }
    wrong.sort();
    wrong.dedup();
    if !wrong.is_empty() {
        let print = "for f in $(find . -type f -o -type l | head -100); do echo \"== $f $(readlink $f)\"; cat -s $f; done 2>/dev/null; true";
        let listing = match theirs.len() {
            0..50 => oracle::ok("sh", &["-c", &format!("cd {} && {print}", root.display())]),
            _ => String::new(),
        };
        panic!("{what}\n{listing}\n{wrong:#?}");
    }
    theirs.len()
}

const DIRS: [&str; 5] = [
    "etc/systemd/system",
    "run/systemd/system",
    "usr/local/lib/systemd/system",
    "usr/lib/systemd/system",
    "usr/lib/systemd/system",
];

const NAMES: [&str; 10] = [
    "a.service",
    "b.service",
    "c.socket",
    "d.timer",
    "t@.service",
    "t@one.service",
    "t@two.service",
    "u@.socket",
    "g.target",
    "h-x.mount",
];

fn unit(rng: &mut Rng) -> String {
    let mut text = "[Unit]\nDescription=x\n".to_owned();
    if once_in(rng, 3) {
        return text;
    }
    if once_in(rng, 15) {
        return String::new();
    }
    text.push_str("[Install]\n");
    for _ in 0..rng.below(4) {
        let key = *pick(
            rng,
            &[
                "WantedBy",
                "RequiredBy",
                "Alias",
                "Also",
                "DefaultInstance",
                "WantedBy",
            ],
        );
        let value = match key {
            "DefaultInstance" => *pick(rng, &["one", "two", "%i", ""]),
            "Alias" | "Also" => *pick(rng, &NAMES),
            _ => *pick(
                rng,
                &["multi-user.target", "g.target a.service", "", "\"g.target\""],
            ),
        };
        text.push_str(&format!("{key}={value}\n"));
    }
    text
}

fn tree(rng: &mut Rng, root: &Path) {
    for _ in 0..3 + rng.below(8) {
        let dir = *pick(rng, &DIRS);
        let name = *pick(rng, &NAMES);
        let other = *pick(rng, &NAMES);
        let there = *pick(rng, &DIRS);
        let mut other = other;
        // Most links are between units of one kind, as real ones are.
        while rng.below(8) > 0 && other.rsplit('.').next() != name.rsplit('.').next() {
            other = *pick(rng, &NAMES);
        }
        match rng.below(12) {
            0..=4 => {
                if !root.join(dir).join(name).is_symlink() {
                    put(root, &format!("{dir}/{name}"), &unit(rng));
                }
            }
            5 => link(root, &format!("{dir}/{name}"), "/dev/null"),
            6 => link(root, &format!("{dir}/{name}"), &format!("/{there}/{other}")),
            7 => {
                let target = *pick(rng, &["", "../../../"]);
                let target = if target.is_empty() {
                    other.to_owned()
                } else {
                    format!("../system/{other}")
                };
                link(root, &format!("{dir}/{name}"), &target);
            }
            8 => {
                put(root, &format!("opt/{name}"), &unit(rng));
                link(root, &format!("{dir}/{name}"), &format!("/opt/{name}"));
            }
            9 => {
                let text = unit(rng);
                put(root, &format!("{dir}/{name}.d/x.conf"), &text);
            }
            _ => {
                let owner = *pick(rng, &["multi-user.target", "g.target"]);
                let how = *pick(rng, &["wants", "requires"]);
                let target = match rng.below(3) {
                    0 => format!("../{other}"),
                    1 => format!("/{there}/{name}"),
                    _ => format!("/{there}/{other}"),
                };
                link(root, &format!("{dir}/{owner}.{how}/{name}"), &target);
            }
        }
    }
    if once_in(rng, 2) {
        let mut text = String::new();
        for _ in 0..rng.below(5) {
            let verb = *pick(rng, &["enable", "disable", "ignore", "# enable"]);
            let pattern = *pick(
                rng,
                &[
                    "a*",
                    "*.socket",
                    "t@.service",
                    "t@.service one",
                    "t@one.service",
                    "[a-c]*",
                    "*",
                ],
            );
            text.push_str(&format!("{verb} {pattern}\n"));
        }
        let dir = *pick(rng, &["etc", "usr/lib"]);
        put(root, &format!("{dir}/systemd/system-preset/50-x.preset"), &text);
    }
}

#[test]
fn states_of_random_trees_are_those_systemctl_computes() {
    let mut rng = Rng::new(0x7379_7375);
    let mut units = 0;
    for n in 0..TREES {
        let dir = tempfile::tempdir().unwrap();
        tree(&mut rng, dir.path());
        units += same(dir.path(), Scope::System, &format!("tree {n}"));
    }
    assert!(units > 2 * TREES, "{units} unit files in {TREES} trees");
}

const TREES: usize = 250;

/// As every test that wants a real system: the one the tests run on.
#[test]
fn states_of_this_system_s_own_units_are_those_systemctl_computes() {
    let dir = tempfile::tempdir().unwrap();
    for part in ["usr/lib/systemd", "lib/systemd", "etc/systemd"] {
        let from = Path::new("/").join(part);
        if !from.is_dir() || from.canonicalize().unwrap() != from {
            continue;
        }
        let to = dir.path().join(part);
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        oracle::ok("cp", &["-a", from.to_str().unwrap(), to.to_str().unwrap()]);
    }
    let system = same(dir.path(), Scope::System, "system");
    let user = same(dir.path(), Scope::User, "user");
    assert!(system > 50 && user > 3, "{system} {user}");
}
