//! Dependencies, against those that systemd itself loads in its test mode.

use crate::common::{link, mirror, put};
use h2k_block::Limits;
use h2k_guest::Look;
use h2k_systemd::{Graph, Name, Scope, Units};
use h2k_testkit::oracle;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

const SYSTEMD: &str = "/lib/systemd/systemd";

type Edges = BTreeMap<String, BTreeSet<String>>;

/// What `systemd --test` says of the units in `root`. It does not run as root.
fn theirs(root: &Path, start: &str) -> Edges {
    let dirs = ["etc/systemd/system", "usr/lib/systemd/system"];
    let path: Vec<String> = dirs.iter().map(|d| root.join(d).display().to_string()).collect();
    let path = format!("SYSTEMD_UNIT_PATH={}", path.join(":"));
    let unit = format!("--unit={start}");
    let id = oracle::ok("id", &["-u"]);
    let nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
    let nobody = if id.trim() == "0" { &nobody[..] } else { &[] };
    let rest = [
        "env",
        "HOME=/nonexistent",
        &path,
        SYSTEMD,
        "--test",
        "--system",
        &unit,
    ];
    let all = [nobody, &rest].concat();
    let out = oracle::run(all[0], &all[1..]);
    let said = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
    assert!(said.contains("-> By units:"), "{said}");
    let mut edges = Edges::new();
    let mut unit = String::new();
    for line in said.lines() {
        if let Some(rest) = line.strip_prefix("\t-> Unit ") {
            unit = rest.trim_end_matches(':').to_owned();
            edges.entry(unit.clone()).or_default();
        } else if let Some(rest) = line.strip_prefix("\t\t").filter(|r| !r.starts_with('\t')) {
            let Some((dep, to)) = rest.split_once(": ") else {
                continue;
            };
            let own = to.contains("(origin-") || to.contains(" origin-");
            let Some((to, _)) = to.split_once(" (").filter(|_| own) else {
                continue;
            };
            edges.get_mut(&unit).unwrap().insert(format!("{dep} {to}"));
        }
    }
    edges
}

fn ours(root: &Path, start: &str) -> Edges {
    let tree = mirror(root);
    let look = Look::new(&tree, &Limits::default());
    let units = Units::new(&look, Scope::System, false);
    let graph = Graph::from(&units, &[Name::parse(start).unwrap()]);
    assert!(!graph.cut && look.take_unread().is_empty());
    let edges = |unit: &h2k_systemd::Unit| {
        let edges = graph.edges(&unit.name).iter();
        edges.map(|e| format!("{} {}", e.dep.word(), e.to)).collect()
    };
    graph.units().map(|u| (u.name.to_string(), edges(u))).collect()
}

/// Whether a unit stands for a mount or a device of the machine the test runs on, which are not in the files.
fn is_of_this_machine(unit: &str) -> bool {
    unit.ends_with(".mount") || unit.ends_with(".device") || unit.starts_with("blockdev@")
}

/// What both sides speak of.
fn comparable(edge: &str) -> bool {
    let (dep, to) = edge.split_once(' ').unwrap();
    let ours = h2k_systemd::Dep::ALL.iter().any(|d| d.word() == dep);
    ours && !is_of_this_machine(to) && to != "init.scope"
}

fn compare(root: &Path, start: &str) -> usize {
    let (ours, theirs) = (ours(root, start), theirs(root, start));
    let mut wrong = Vec::new();
    let mut same = 0;
    for (unit, edges) in &theirs {
        if is_of_this_machine(unit) || matches!(unit.as_str(), "init.scope" | "-.slice" | "umount.target") {
            continue;
        }
        let Some(mine) = ours.get(unit) else {
            wrong.push(format!("{unit} is missing"));
            continue;
        };
        for edge in edges.symmetric_difference(mine).filter(|e| comparable(e)) {
            let who = if mine.contains(edge) { "ours" } else { "systemd's" };
            wrong.push(format!("{unit}: {edge}: {who}"));
        }
        same += edges.intersection(mine).count();
    }
    assert!(
        wrong.is_empty(),
        "{} differences, {same} the same\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    same
}

#[test]
fn dependencies_of_this_system_s_units_are_those_systemd_loads() {
    let dir = tempfile::tempdir().unwrap();
    oracle::ok("chmod", &["755", dir.path().to_str().unwrap()]);
    for part in ["usr/lib/systemd/system", "lib/systemd/system"] {
        let from = Path::new("/").join(part);
        if from.is_dir() && from.canonicalize().unwrap() == from {
            let to = dir.path().join("usr/lib/systemd");
            std::fs::create_dir_all(&to).unwrap();
            oracle::ok("cp", &["-a", from.to_str().unwrap(), to.to_str().unwrap()]);
        }
    }
    put(dir.path(), "etc/systemd/system/one.service", ONE);
    put(
        dir.path(),
        "etc/systemd/system/one.socket",
        "[Socket]\nListenStream=/run/x\n[Install]\nWantedBy=sockets.target\n",
    );
    put(
        dir.path(),
        "etc/systemd/system/two@.service",
        "[Unit]\nPartOf=one.service\n[Service]\nExecStart=/bin/true\nPrivateTmp=yes\n",
    );
    put(
        dir.path(),
        "etc/systemd/system/tick.timer",
        "[Unit]\nUpholds=two@b.service\n[Timer]\nOnCalendar=daily\nUnit=two@a.service\n",
    );
    put(
        dir.path(),
        "etc/systemd/system/look.path",
        "[Path]\nPathExists=/x\nUnit=one.service\n",
    );
    put(
        dir.path(),
        "etc/systemd/system/two@.service.d/a.conf",
        "[Unit]\nAfter=%p-%i.target\n[Service]\nSlice=a-b.slice\n",
    );
    for key in [
        "StateDirectory",
        "CacheDirectory",
        "LogsDirectory",
        "RuntimeDirectory",
        "ConfigurationDirectory",
    ] {
        let text = format!("[Service]\nExecStart=/bin/true\n{key}=x\nStandardOutput=inherit\n");
        put(dir.path(), &format!("etc/systemd/system/{key}.service"), &text);
        link(
            dir.path(),
            &format!("etc/systemd/system/one.service.wants/{key}.service"),
            &format!("../{key}.service"),
        );
    }
    for (unit, target) in [
        ("one.socket", "sockets.target"),
        ("tick.timer", "timers.target"),
        ("look.path", "paths.target"),
    ] {
        let at = format!("etc/systemd/system/{target}.wants/{unit}");
        link(dir.path(), &at, &format!("../{unit}"));
    }
    link(dir.path(), "etc/systemd/system/three.service", "one.service");
    link(
        dir.path(),
        "etc/systemd/system/multi-user.target.wants/three.service",
        "../one.service",
    );
    let same = compare(dir.path(), "graphical.target");
    assert!(same > 200, "{same}");
}

const ONE: &str = "[Unit]\nDescription=%n on %p\nWants=two@x.service network.target\nAfter=two@x.service\n\
    Conflicts=rescue.service\nOnFailure=two@fail.service\nRequisite=dbus.socket\nBindsTo=dbus.socket\n\
    [Service]\nType=dbus\nBusName=a.b\nExecStart=/bin/true\n[Install]\nAlias=three.service\nWantedBy=multi-user.target\n";
