//! How exposed services are, against `systemd-analyze security --offline`.

use crate::common::{mirror, once_in, pick, put};
use h2k_block::Limits;
use h2k_guest::Look;
use h2k_systemd::{Calls, Exposure, Kind, Level, Load, Name, Scope, Units, security};
use h2k_testkit::oracle;
use h2k_testkit::rng::Rng;
use std::collections::BTreeMap;
use std::path::Path;

const DIR: &str = "usr/lib/systemd/system";

/// Why what `systemd-analyze` says cannot be compared with ours; the empty text where it can.
fn foreign() -> String {
    let version = oracle::ok("systemd-analyze", &["--version"]);
    let same = version.starts_with("systemd 252 ") && std::env::consts::ARCH == "x86_64";
    match same {
        true => String::new(),
        false => format!("checks are those of systemd 252 on x86-64, and this is {version}"),
    }
}

fn ask(root: &Path, more: &[&str], units: &[String]) -> String {
    let mut args = vec![
        "security".to_owned(),
        "--offline=true".to_owned(),
        "--no-pager".to_owned(),
        format!("--root={}", root.display()),
    ];
    args.extend(more.iter().map(|&a| a.to_owned()));
    args.extend(units.iter().cloned());
    String::from_utf8(oracle::run("systemd-analyze", &args).stdout).unwrap()
}

/// `9.6 UNSAFE` of each unit.
fn theirs(root: &Path, units: &[String]) -> BTreeMap<String, String> {
    let said = ask(root, &[], units);
    let lines = said
        .lines()
        .filter_map(|l| l.split_once("Overall exposure level for ")?.1.split_once(": "));
    lines
        .map(|(unit, rest)| {
            let words: Vec<&str> = rest.split(' ').take(2).collect();
            (unit.to_owned(), words.join(" "))
        })
        .collect()
}

fn shown(exposure: &Exposure) -> String {
    format!("{} {}", one(exposure.exposure), exposure.level.word())
}

/// Tenths as systemd writes them.
fn one(tenths: u32) -> String {
    format!("{}.{}", tenths / 10, tenths % 10)
}

/// Of every service below `root`.
fn ours(root: &Path) -> BTreeMap<String, Exposure> {
    let tree = mirror(root);
    let look = Look::new(&tree, &Limits::default());
    let units = Units::new(&look, Scope::System, false);
    let calls = Calls::new();
    let names = units.names();
    let services = names.iter().filter(|n| n.kind() == Kind::Service);
    services
        .filter_map(|name| {
            let name = match name.is_template() {
                true => name.with_instance("i").unwrap(),
                false => name.clone(),
            };
            let found = security(&units, &units.unit(&name), &calls)?;
            Some((name.to_string(), found))
        })
        .collect()
}

#[test]
fn services_of_this_system_are_as_exposed_as_systemd_says() {
    let foreign = foreign();
    if !foreign.is_empty() {
        println!("skipped: {foreign}");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("usr/lib/systemd")).unwrap();
    let to = dir.path().join("usr/lib/systemd/");
    oracle::ok("cp", &["-a", "/usr/lib/systemd/system", to.to_str().unwrap()]);
    let ours = ours(dir.path());
    let mut compared = 0;
    let mut wrong = Vec::new();
    for (unit, found) in &ours {
        // Asked one by one: the tool stops at the first unit that it does not like.
        let theirs = theirs(dir.path(), std::slice::from_ref(unit));
        // Aliases are told under their own unit's name.
        let Some(said) = theirs.get(&found.unit) else {
            println!("{unit}: systemd-analyze says nothing");
            continue;
        };
        compared += 1;
        if *said != shown(found) {
            wrong.push(format!("{unit}: systemd-analyze {said}, we {}", shown(found)));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(compared > 40, "{compared} compared of {}", ours.len());
}

/// A few values of each setting that checks read; the last ones are no values.
const VALUES: &[(&str, &[&str])] = &[
    ("User", &["root", "0", "nobody", "foo", "foo", "", "%p"]),
    ("DynamicUser", &["yes", "no", "no"]),
    ("SupplementaryGroups", &["disk", "a b", ""]),
    ("RemoveIPC", &["yes", "no", ""]),
    ("RootDirectory", &["/srv", "/", "//", "", "/srv/%n"]),
    ("RootImage", &["/x.raw", ""]),
    ("MountImages", &["/a:/b", ""]),
    ("ProtectSystem", &["yes", "true", "full", "strict", "no", "x", ""]),
    ("ProtectHome", &["yes", "read-only", "tmpfs", "no", "x", ""]),
    (
        "ProtectProc",
        &["noaccess", "invisible", "ptraceable", "default", "x"],
    ),
    ("ProcSubset", &["all", "pid", "x"]),
    ("KeyringMode", &["inherit", "private", "shared", "x"]),
    ("Delegate", &["yes", "no", "cpu memory", ""]),
    ("NotifyAccess", &["none", "all", "main", "exec", "x"]),
    (
        "UMask",
        &["0077", "027", "07", "0022", "0", "26", "1777", "8", ""],
    ),
    ("DevicePolicy", &["auto", "closed", "strict", "x"]),
    (
        "DeviceAllow",
        &[
            "/dev/null rw",
            "char-rtc r",
            "block-loop",
            "/tmp/x",
            "/dev/null q",
            "",
        ],
    ),
    (
        "IPAddressDeny",
        &["any", "0.0.0.0/0 ::/0", "10.0.0.0/8", "x any", "", "::/0"],
    ),
    (
        "IPAddressAllow",
        &[
            "localhost",
            "127.0.0.1 ::1/128",
            "10.1.1.1",
            "multicast",
            "any",
            "x",
            "",
        ],
    ),
    ("IPIngressFilterPath", &["/sys/fs/bpf/x", ""]),
    (
        "SystemCallArchitectures",
        &["native", "x86", "native x86-64", "x", ""],
    ),
    (
        "CapabilityBoundingSet",
        &[
            "",
            "~",
            "CAP_KILL",
            "~CAP_KILL CAP_BPF",
            "cap_chown 5 x",
            "~CAP_SYS_ADMIN",
            "x",
            "CAP_NET_ADMIN CAP_SYS_TIME",
            "~CAP_CHOWN CAP_FSETID CAP_SETFCAP CAP_SYS_NICE CAP_SYS_RESOURCE",
            "~CAP_AUDIT_CONTROL CAP_AUDIT_READ CAP_AUDIT_WRITE CAP_MKNOD",
        ],
    ),
    ("AmbientCapabilities", &["CAP_KILL", "~CAP_KILL", "", "~", "x"]),
    (
        "RestrictNamespaces",
        &[
            "yes",
            "no",
            "",
            "user",
            "~user pid",
            "cgroup ipc net",
            "x user",
            "~mnt uts time",
        ],
    ),
    (
        "RestrictAddressFamilies",
        &[
            "none",
            "",
            "AF_UNIX",
            "AF_INET AF_INET6",
            "~AF_INET",
            "~AF_PACKET AF_NETLINK",
            "AF_CAN AF_UNIX",
            "~AF_BLUETOOTH",
            "x",
            "~x",
            "AF_LOCAL",
            "~AF_UNIX AF_X25",
        ],
    ),
    (
        "SystemCallFilter",
        &[
            "@system-service",
            "~@clock",
            "~@privileged @resources",
            "@mount",
            "",
            "read write",
            "~reboot",
            "reboot kexec_load",
            "~@swap:EPERM",
            "@obsolete:kill",
            "@clock:5 x",
            "~@raw-io:x",
            "~@mount @reboot @module @debug",
            "chroot",
            "@known",
            "~adjtimex clock_adjtime clock_settime settimeofday",
            "~",
            "~@known",
            "setpriority",
            "@default",
        ],
    ),
];

const SWITCHES: &[&str] = &[
    "PrivateTmp",
    "PrivateDevices",
    "PrivateNetwork",
    "PrivateUsers",
    "PrivateMounts",
    "ProtectControlGroups",
    "ProtectKernelModules",
    "ProtectKernelTunables",
    "ProtectKernelLogs",
    "ProtectClock",
    "ProtectHostname",
    "MemoryDenyWriteExecute",
    "NoNewPrivileges",
    "RestrictRealtime",
    "RestrictSUIDSGID",
    "LockPersonality",
];

fn unit(rng: &mut Rng) -> String {
    let mut out = String::from("[Unit]\n");
    if once_in(rng, 6) {
        out.push_str("DefaultDependencies=no\n");
    }
    out.push_str("[Service]\nExecStart=/bin/true\n");
    for _ in 0..rng.below(30) {
        let (key, values) = pick(rng, VALUES);
        out.push_str(&format!("{key}={}\n", pick(rng, values)));
    }
    for key in SWITCHES {
        if once_in(rng, 3) {
            let value = pick(rng, &["yes", "yes", "1", "no", "", "x"]);
            out.push_str(&format!("{key}={value}\n"));
        }
    }
    out
}

#[test]
fn every_check_finds_what_systemds_finds() {
    let foreign = foreign();
    if !foreign.is_empty() {
        println!("skipped: {foreign}");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut rng = Rng::new(0x7365_6375);
    let names: Vec<String> = (0..300).map(|n| format!("u{n}.service")).collect();
    for name in &names {
        put(dir.path(), &format!("{DIR}/{name}"), &unit(&mut rng));
    }
    let ours = ours(dir.path());
    let theirs = theirs(dir.path(), &names);
    assert_eq!(theirs.len(), names.len());
    let mut wrong = Vec::new();
    for name in &names {
        let text = std::fs::read_to_string(dir.path().join(DIR).join(name)).unwrap();
        let found = &ours[name];
        let same = shown(found) == theirs[name];
        // What each check found is compared for some: the overall exposure has all of them in it.
        if same && !name.ends_with("7.service") {
            continue;
        }
        let said = ask(dir.path(), &["--json=short"], std::slice::from_ref(name));
        let differ: Vec<String> = parts(&said)
            .iter()
            .filter_map(|(id, said)| {
                let check = found.checks.iter().find(|c| c.id == id).unwrap();
                let mine = (check.set, (check.exposure > 0).then(|| one(check.exposure)));
                (mine != *said).then(|| format!("{id}: systemd-analyze {said:?}, we {mine:?}"))
            })
            .collect();
        if !same || !differ.is_empty() {
            let (mine, theirs) = (shown(found), &theirs[name]);
            wrong.push(format!(
                "systemd-analyze {theirs}, we {mine}: {differ:#?}\n{text}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{} differ: {}", wrong.len(), wrong[0]);
}

/// Of the flat objects that `--json=short` prints: id, whether it is set, what it adds.
fn parts(json: &str) -> BTreeMap<String, (Option<bool>, Option<String>)> {
    let mut out = BTreeMap::new();
    for object in json.split("},{") {
        let field = |name: &str| {
            let rest = object.split_once(&format!("\"{name}\":"))?.1;
            Some(match rest.strip_prefix('"') {
                Some(text) => text.split('"').next()?.to_owned(),
                None => rest.split([',', '}', ']']).next()?.to_owned(),
            })
        };
        // One of systemd's ids ends with a bracket too many.
        let id = field("json_field").unwrap().replace(')', "");
        let set = match field("set").unwrap().as_str() {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        };
        out.insert(id, (set, field("exposure").filter(|e| e != "null")));
    }
    assert_eq!(out.len(), 81);
    out
}

#[test]
fn only_services_that_load_are_judged() {
    let dir = tempfile::tempdir().unwrap();
    put(
        dir.path(),
        &format!("{DIR}/a.socket"),
        "[Socket]\nListenStream=1\n",
    );
    put(dir.path(), &format!("{DIR}/empty.service"), "");
    put(
        dir.path(),
        &format!("{DIR}/tight.service"),
        "[Service]\nExecStart=/bin/true\nDynamicUser=yes\nPrivateNetwork=yes\n",
    );
    let tree = mirror(dir.path());
    let look = Look::new(&tree, &Limits::default());
    let units = Units::new(&look, Scope::System, false);
    let of = |name: &str| security(&units, &units.unit(&Name::parse(name).unwrap()), &Calls::new());
    assert_eq!(
        units.unit(&Name::parse("empty.service").unwrap()).load,
        Load::Masked
    );
    assert!(of("a.socket").is_none() && of("empty.service").is_none() && of("none.service").is_none());
    let tight = of("tight.service").unwrap();
    assert_eq!((tight.level, tight.exposure), (Level::Exposed, 79));
    let network = tight.checks.iter().find(|c| c.id == "PrivateNetwork").unwrap();
    assert_eq!(
        (network.set, network.badness, network.weight),
        (Some(true), Some(0), 2500)
    );
}
