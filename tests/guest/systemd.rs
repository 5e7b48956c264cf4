//! `systemd …` on a guest that mkfs made, beside what systemd's own tools say of the same files.

use super::ext4_of;
use crate::run::{Ran, fields, run};
use h2k_testkit::oracle;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

const UNITS: &[(&str, &str)] = &[
    (
        "default.target",
        "[Unit]\nDescription=Standard\nRequires=basic.target\nAfter=basic.target\nAllowIsolate=yes\n",
    ),
    (
        "server.target",
        "[Unit]\nDescription=Server\nRequires=basic.target\nAfter=basic.target\nAllowIsolate=yes\n",
    ),
    (
        "basic.target",
        "[Unit]\nDescription=Basic\nWants=sockets.target timers.target\nAfter=sockets.target\n",
    ),
    ("sockets.target", "[Unit]\nDescription=Sockets\n"),
    ("timers.target", "[Unit]\nDescription=Timers\n"),
    (
        "web.service",
        "[Unit]\nDescription=Web server\nAfter=db.service\nWants=db.service\nConditionPathExists=/etc/os-release\n[Service]\nExecStart=/usr/bin/serve\nUser=web\nPrivateTmp=yes\nCapabilityBoundingSet=CAP_NET_BIND_SERVICE\nSystemCallFilter=@system-service\n[Install]\nWantedBy=server.target\nAlias=httpd.service\n",
    ),
    (
        "db.service",
        "[Unit]\nDescription=Database\n[Service]\nExecStart=/usr/bin/serve --db\n[Install]\nWantedBy=server.target\n",
    ),
    (
        "helper.service",
        "[Unit]\nDescription=Helper\nConditionPathExists=/nowhere\n[Service]\nType=oneshot\nExecStart=/usr/bin/serve --once\n",
    ),
    (
        "worker@.service",
        "[Unit]\nDescription=Worker %i\n[Service]\nExecStart=/usr/bin/serve %i\n[Install]\nWantedBy=server.target\nDefaultInstance=one\n",
    ),
    (
        "off.service",
        "[Service]\nExecStart=/usr/bin/serve\n[Install]\nWantedBy=server.target\n",
    ),
    (
        "wrong.service",
        "[Unit]\nRequires=absent.service\n[Service]\nExecStart=/usr/bin/absent\nRestrat=always\n",
    ),
    (
        "web.socket",
        "[Unit]\nDescription=Web socket\n[Socket]\nListenStream=80\nListenStream=/run/web.sock\n[Install]\nWantedBy=sockets.target\n",
    ),
    (
        "backup.timer",
        "[Unit]\nDescription=Backups\n[Timer]\nOnCalendar=*-*-* 02:30\nOnCalendar=Sun 04:00 America/New_York\nOnBootSec=15min\nPersistent=yes\n[Install]\nWantedBy=timers.target\n",
    ),
    (
        "backup.service",
        "[Unit]\nDescription=Backup\n[Service]\nType=oneshot\nExecStart=/usr/bin/serve --backup\n",
    ),
    (
        "srv.mount",
        "[Unit]\nDescription=Data\n[Mount]\nWhat=/dev/disk/by-label/data\nWhere=/srv\nType=xfs\nOptions=noatime\n[Install]\nWantedBy=server.target\n",
    ),
];

const BOOTS: [&str; 2] = [
    "b1000000000000000000000000000000",
    "b2000000000000000000000000000000",
];

/// A message of the manager in systemd's export format, `sent` microseconds after the boot began.
fn message(boot: usize, sent: u64, id: &str, more: &[(&str, &str)]) -> String {
    let began = 1_795_000_000_000_000 + 3_600_000_000 * boot as u64;
    let mut text = format!(
        "__REALTIME_TIMESTAMP={}\n__MONOTONIC_TIMESTAMP={sent}\n_BOOT_ID={}\n_PID=1\nMESSAGE_ID={id}\nPRIORITY=6\nMESSAGE=told\n",
        began + sent,
        BOOTS[boot]
    );
    for (name, value) in more {
        text.push_str(&format!("{name}={value}\n"));
    }
    text + "\n"
}

/// Two boots; in the second one the database took 2 s, then the web server 500 ms, and the helper failed.
fn journal() -> String {
    let (starting, started) = (
        "7d4958e842da4a758f6c1cdc7b36dcc5",
        "39f53479d3a045ac8e11786248231fbf",
    );
    let (failed, finished) = (
        "d9b373ed55a64feb8242e02dbe79a49c",
        "b07a249cd024414a82dd00cd181378ff",
    );
    let unit = |name| [("UNIT", name)];
    let mut text = String::new();
    text += &message(0, 1_000_000, starting, &unit("db.service"));
    text += &message(0, 9_000_000, started, &unit("db.service"));
    text += &message(1, 1_000_000, started, &unit("basic.target"));
    text += &message(1, 1_200_000, starting, &unit("db.service"));
    text += &message(1, 3_200_000, started, &unit("db.service"));
    text += &message(1, 3_300_000, starting, &unit("web.service"));
    text += &message(1, 3_800_000, started, &unit("web.service"));
    text += &message(1, 3_850_000, starting, &unit("helper.service"));
    let result = [("UNIT", "helper.service"), ("UNIT_RESULT", "exit-code")];
    text += &message(1, 3_860_000, failed, &result);
    text += &message(1, 3_900_000, started, &unit("server.target"));
    let times = [
        ("KERNEL_USEC", "700000"),
        ("INITRD_USEC", "300000"),
        ("USERSPACE_USEC", "2900000"),
    ];
    text + &message(1, 3_900_001, finished, &times)
}

/// The guest: its disk, and the same files on the host.
struct Guest {
    dir: tempfile::TempDir,
    root: PathBuf,
}

impl Guest {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        let put = |path: &str, content: &[u8]| {
            let path = root.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        };
        for (name, text) in UNITS {
            put(&format!("usr/lib/systemd/system/{name}"), text.as_bytes());
        }
        put(
            "usr/lib/systemd/system/chrony.service",
            b"[Service]\nExecStart=/usr/bin/serve\n[Install]\nWantedBy=server.target\n",
        );
        put(
            "usr/lib/systemd/system-preset/90.preset",
            b"enable web.*\ndisable *\n",
        );
        put(
            "etc/systemd/system/web.service.d/10.conf",
            b"[Service]\nNoNewPrivileges=yes\n",
        );
        put("etc/os-release", b"ID=debian\nPRETTY_NAME=\"Debian 12\"\n");
        put("etc/fstab", b"/dev/sda / ext4 defaults 0 1\n");
        put("etc/hostname", b"web01\n");
        put("etc/machine-id", b"00112233445566778899aabbccddeeff\n");
        for zone in ["Europe/Berlin", "America/New_York"] {
            let path = format!("usr/share/zoneinfo/{zone}");
            put(&path, &std::fs::read(Path::new("/").join(&path)).unwrap());
        }
        put("usr/bin/serve", b"#!/bin/sh\n");
        oracle::ok("chmod", &["755", root.join("usr/bin/serve").to_str().unwrap()]);
        let links = [
            ("etc/localtime", "../usr/share/zoneinfo/Europe/Berlin"),
            (
                "etc/systemd/system/default.target",
                "/usr/lib/systemd/system/server.target",
            ),
            ("etc/systemd/system/off.service", "/dev/null"),
            (
                "etc/systemd/system/httpd.service",
                "/usr/lib/systemd/system/web.service",
            ),
            (
                "etc/systemd/system/server.target.wants/web.service",
                "/usr/lib/systemd/system/web.service",
            ),
            (
                "etc/systemd/system/server.target.wants/worker@one.service",
                "/usr/lib/systemd/system/worker@.service",
            ),
            (
                "etc/systemd/system/server.target.wants/chrony.service",
                "/usr/lib/systemd/system/chrony.service",
            ),
            (
                "etc/systemd/system/timers.target.wants/backup.timer",
                "/usr/lib/systemd/system/backup.timer",
            ),
            ("bin", "usr/bin"),
            ("sbin", "usr/bin"),
        ];
        for (path, target) in links {
            let path = root.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            symlink(target, path).unwrap();
        }
        let home = root.join("var/log/journal/00112233445566778899aabbccddeeff");
        std::fs::create_dir_all(&home).unwrap();
        let export = dir.path().join("export");
        std::fs::write(&export, journal()).unwrap();
        let to = format!("--output={}", home.join("system.journal").display());
        oracle::ok(
            "/lib/systemd/systemd-journal-remote",
            &[&to, export.to_str().unwrap()],
        );
        ext4_of(&root, &dir.path().join("g.img"), "48M");
        Self { dir, root }
    }

    /// `hyper2kvm systemd` of the guest, or of `unit` in it.
    fn ask(&self, args: &[&str], units: &[&str]) -> Ran {
        let mut all = vec!["systemd".to_owned()];
        all.extend(args.iter().map(|&a| a.to_owned()));
        match units {
            [] => all.push("g.img".to_owned()),
            [first, more @ ..] => {
                all.push(format!("g.img:{first}"));
                all.extend(more.iter().map(|u| format!(":{u}")));
            }
        }
        run(self.dir.path(), &all)
    }

    fn json(&self, args: &[&str], units: &[&str]) -> Value {
        self.ask(&[args, &["--json"]].concat(), units).json()
    }

    /// One of systemd's tools, of the same files.
    fn theirs(&self, tool: &str, args: &[&str]) -> (i32, String) {
        let root = format!("--root={}", self.root.display());
        let out = oracle::run(tool, &[args, &["--no-pager", &root]].concat());
        let code = out.status.code().unwrap();
        (
            code,
            String::from_utf8(out.stdout).unwrap() + &String::from_utf8(out.stderr).unwrap(),
        )
    }
}

fn texts<'v>(list: &'v Value, field: &str) -> Vec<&'v str> {
    let all = list.as_array().unwrap().iter();
    all.map(|one| one[field].as_str().unwrap()).collect()
}

#[test]
fn states_are_those_systemctl_says() {
    let guest = Guest::new();
    let (_, said) = guest.theirs("systemctl", &["list-unit-files", "--no-legend"]);
    let theirs: BTreeMap<&str, &str> = said
        .lines()
        .map(|l| {
            let mut words = l.split_whitespace();
            (words.next().unwrap(), words.next().unwrap())
        })
        .collect();
    let report = guest.json(&["list-unit-files"], &[]);
    let ours: BTreeMap<&str, &str> = report["unit-files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|u| (u["unit"].as_str().unwrap(), u["state"].as_str().unwrap()))
        .filter(|(_, state)| *state != "generated")
        .collect();
    assert_eq!(ours, theirs);
    let states: BTreeSet<&str> = ours.values().copied().collect();
    for state in ["enabled", "disabled", "static", "masked", "alias"] {
        assert!(states.contains(state), "no unit is {state}: {ours:?}");
    }
    for unit in ours.keys() {
        let (code, said) = guest.theirs("systemctl", &["is-enabled", unit]);
        let ran = guest.ask(&["is-enabled"], &[unit]);
        assert_eq!((ran.code, ran.out), (code, said), "{unit}");
    }
    assert_eq!(guest.ask(&["is-enabled"], &["none.service"]).code, 4);
    let (_, target) = guest.theirs("systemctl", &["get-default"]);
    assert_eq!(guest.ask(&["get-default"], &[]).good().out, target);
}

#[test]
fn units_are_shown_with_what_they_start() {
    let guest = Guest::new();
    let cat = guest.ask(&["cat"], &["web.service"]).good().out;
    let shipped = UNITS.iter().find(|(name, _)| *name == "web.service").unwrap().1;
    let drop_in = "# /etc/systemd/system/web.service.d/10.conf\n[Service]\nNoNewPrivileges=yes\n";
    assert_eq!(
        cat,
        format!("# /usr/lib/systemd/system/web.service\n{shipped}\n{drop_in}")
    );
    let tree = guest.ask(&["list-dependencies"], &[]).good().out;
    let wanted = "server.target\n  basic.target\n    sockets.target\n    timers.target\n      backup.timer\n  chrony.service\n  web.service\n  worker@one.service\n";
    assert_eq!(tree, wanted);
    let back = guest
        .ask(&["list-dependencies", "--reverse"], &["db.service"])
        .good()
        .out;
    assert!(back.starts_with("db.service\n  web.service\n"), "{back}");
    let after = guest
        .ask(&["list-dependencies", "--after"], &["web.service"])
        .good()
        .out;
    assert!(after.contains("\n  db.service\n"), "{after}");
    let units = guest.json(&["list-units"], &[]);
    let all = units["units"].as_array().unwrap();
    let web = all.iter().find(|u| u["unit"] == "web.service").unwrap();
    assert_eq!(
        (&web["at-boot"], &web["last-boot"]),
        (&Value::from(true), &Value::from("active"))
    );
    let sockets = guest.json(&["list-sockets"], &[]);
    assert_eq!(
        texts(&sockets["sockets"][0]["listens"], "value"),
        ["ListenStream 80", "ListenStream /run/web.sock"]
    );
    let mounts = guest.json(&["list-mounts"], &[]);
    let srv = mounts["mounts"]
        .as_array()
        .unwrap()
        .iter()
        .find(|m| m["unit"] == "srv.mount")
        .unwrap();
    assert_eq!(
        (&srv["where"], &srv["type"]),
        (&Value::from("/srv"), &Value::from("xfs"))
    );
    let shown = guest.ask(&["show"], &["web.service"]).good().out;
    assert!(
        shown.contains("\nUser=web\n") && shown.contains("\nUnitFileState=enabled\n"),
        "{shown}"
    );
    let targets = guest.ask(&["list-targets"], &[]).good().out;
    assert!(
        targets
            .lines()
            .any(|l| l.starts_with("timers.target") && l.contains("yes")),
        "{targets}"
    );
}

#[test]
fn the_last_boot_is_told_as_the_journal_has_it() {
    let guest = Guest::new();
    let time = guest.json(&["analyze", "time"], &[]);
    let startup = &time["startup"];
    assert_eq!(startup["total-usec"], 3_900_000);
    assert_eq!(
        (&startup["kernel-usec"], &startup["initrd-usec"]),
        (&Value::from(700_000), &Value::from(300_000))
    );
    assert_eq!(startup["boot-began-usec"], 1_795_003_601_000_000_u64);
    let text = guest.ask(&["analyze", "time"], &[]).good().out;
    assert!(
        text.starts_with("700ms (kernel) + 300ms (initrd) + 2.900000s (userspace) = 3.900000s, "),
        "{text}"
    );
    let blame = guest.json(&["analyze", "blame"], &[]);
    assert_eq!(texts(&blame["blame"], "unit"), ["db.service", "web.service"]);
    assert_eq!(
        (&blame["blame"][0]["took-usec"], &blame["blame"][1]["took-usec"]),
        (&Value::from(2_000_000), &Value::from(500_000))
    );
    let chain = guest.ask(&["analyze", "critical-chain"], &[]).good().out;
    let wanted = "server.target @3.900000s\n  web.service @3.800000s +500ms\n    db.service @3.200000s +2s\n      basic.target @1s\n";
    assert!(chain.starts_with(wanted), "{chain}");
    assert_eq!(guest.ask(&["is-active"], &["web.service"]).good().out, "active\n");
    assert_eq!(guest.ask(&["is-active"], &["helper.service"]).code, 3);
    assert_eq!(
        guest.ask(&["is-failed"], &["helper.service"]).good().out,
        "failed\n"
    );
    let failed = guest.json(&["list-failed"], &[]);
    assert_eq!(texts(&failed["failed"], "unit"), ["helper.service"]);
    assert_eq!(
        (&failed["failed"][0]["result"], &failed["failed"][0]["since-usec"]),
        (&Value::from("exit-code"), &Value::from(1_795_003_603_860_000_u64))
    );
    let status = guest.ask(&["status"], &["helper.service"]);
    assert!(status.code == 3 && status.out.contains("exit-code"), "{status:?}");
}

#[test]
fn analyses_agree_with_systemd_analyze() {
    let guest = Guest::new();
    for (unit, holds) in [("web.service", true), ("helper.service", false)] {
        let (code, _) = guest.theirs("systemd-analyze", &["condition", &format!("--unit={unit}")]);
        assert_eq!(code == 0, holds, "{unit}");
        assert_eq!(
            guest.ask(&["analyze", "condition"], &[unit]).code == 0,
            holds,
            "{unit}"
        );
    }
    let that = guest.ask(
        &[
            "analyze",
            "condition",
            "--that",
            "ConditionPathExists=!/etc/os-release",
        ],
        &[],
    );
    assert_eq!(that.code, 1, "{that:?}");
    for unit in ["web.service", "db.service", "wrong.service"] {
        let (_, said) = guest.theirs("systemd-analyze", &["verify", "--man=no", unit]);
        let ours = guest.ask(&["analyze", "verify"], &[unit]);
        // What systemd misses in the guest for its own sake (sysinit.target, -.mount) is not about the unit.
        let about = said.lines().any(|l| l.contains(&format!("{unit}:")));
        assert_eq!(ours.code == 1, about, "{unit}: {said}{ours:?}");
    }
    let wrong = guest.json(&["analyze", "verify"], &["wrong.service"]);
    let kinds = texts(&wrong["problems"], "kind");
    assert_eq!(
        BTreeSet::from_iter(kinds),
        BTreeSet::from(["missing-file", "missing-unit", "unknown"])
    );
    let said = guest
        .theirs("systemd-analyze", &["security", "--offline=true", "web.service"])
        .1;
    let overall = said
        .lines()
        .find_map(|l| l.split_once("web.service: ")?.1.rsplit_once(' '))
        .unwrap()
        .0;
    let ours = guest.ask(&["analyze", "security"], &["web.service"]).good().out;
    assert!(
        ours.ends_with(&format!("exposure of web.service: {overall}\n")),
        "{said}{ours}"
    );
    assert_eq!(
        guest
            .ask(&["analyze", "security", "--threshold", "10"], &["web.service"])
            .code,
        1
    );
    assert_eq!(guest.ask(&["analyze", "security"], &["web.socket"]).code, 2);
    let listed = guest.json(&["analyze", "security"], &[]);
    assert!(!texts(&listed["security"]["services"], "unit").contains(&"helper.service"));
    let sets = guest.ask(&["analyze", "syscall-filter", "@swap"], &[]);
    assert_eq!(sets.code, 2, "it asks no guest: {sets:?}");
    let dot = guest.ask(&["analyze", "dot"], &["web.service"]).good().out;
    assert!(
        dot.contains("\"web.service\"->\"db.service\" [color=\"green\"]"),
        "{dot}"
    );
}

#[test]
fn calendars_follow_the_clocks_of_the_guest() {
    let guest = Guest::new();
    let expressions = ["*-*-* 02:30", "Sun 04:00 America/New_York", "daily UTC"];
    // Before clocks in Berlin are put forward.
    let base = "1774695600";
    let more = ["--base", base, "--iterations", "3", "-a", "g.img", "--json"];
    let args = [&["systemd", "analyze", "calendar"], expressions.as_slice(), &more].concat();
    let ours = run(guest.dir.path(), &args).good().json();
    let all = ours["calendars"].as_array().unwrap();
    let ours: Vec<i64> = all
        .iter()
        .flat_map(|c| c["next-usec"].as_array().unwrap())
        .map(|at| at.as_i64().unwrap() / 1_000_000)
        .collect();
    let at = format!("--base-time=@{base}");
    let said = [
        &[
            "TZ=Europe/Berlin",
            "systemd-analyze",
            "calendar",
            "--iterations=3",
            &at,
        ],
        expressions.as_slice(),
    ];
    let said = oracle::ok("env", &said.concat());
    let theirs: Vec<i64> = said
        .lines()
        .filter_map(|l| l.trim().strip_prefix("(in UTC): "))
        .map(|l| {
            oracle::ok("date", &["-u", "-d", l, "+%s"])
                .trim()
                .parse()
                .unwrap()
        })
        .collect();
    assert_eq!(ours, theirs, "{said}");
    let text = run(
        guest.dir.path(),
        &[
            "systemd", "analyze", "calendar", "-a", "g.img", "--base", base, "daily",
        ],
    );
    assert!(text.good().out.contains("2026-03-29 00:00:00 CET"));
    let ran = run(
        guest.dir.path(),
        &["systemd", "analyze", "calendar", "daily Europe/Berlin"],
    );
    assert!(ran.code == 2 && ran.err.contains("--add DISK"), "{ran:?}");
    let timers = guest.json(&["list-timers"], &[]);
    let backup = &timers["timers"][0];
    assert_eq!(
        (&backup["unit"], &backup["persistent"]),
        (&Value::from("backup.timer"), &Value::from(true))
    );
    assert!(backup["next"].as_i64().unwrap() > 0);
    let text = guest.ask(&["list-timers"], &[]).good().out;
    assert!(text.contains(" CET") || text.contains(" CEST"), "{text}");
    let clock = guest.ask(&["timedate", "show"], &[]).good().out;
    assert_eq!(
        clock,
        "Timezone=Europe/Berlin\nLocalRTC=no\nCanNTP=yes\nNTP=yes\n"
    );
}

#[test]
fn every_field_of_these_documents_is_explained() {
    let guest = Guest::new();
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/json.md")).unwrap();
    let mut found = BTreeSet::new();
    for args in [
        &["list-units"][..],
        &["list-unit-files"],
        &["list-timers"],
        &["list-sockets"],
        &["list-mounts"],
        &["list-targets"],
        &["list-failed"],
        &["list-dependencies"],
        &["get-default"],
        &["analyze", "time"],
        &["analyze", "blame"],
        &["analyze", "critical-chain"],
        &["analyze", "dot"],
        &["analyze", "verify"],
        &["analyze", "security"],
        &["timedate", "status"],
        &["timedate", "list-timezones"],
        &["hostname", "status"],
        &["locale", "status"],
        &["login", "list-sessions"],
        &["login", "list-users"],
    ] {
        fields(&guest.json(args, &[]), &mut found);
    }
    for args in [
        &["is-enabled"][..],
        &["is-active"],
        &["is-failed"],
        &["status"],
        &["cat"],
        &["analyze", "condition"],
    ] {
        fields(&guest.json(args, &["helper.service"]), &mut found);
    }
    for args in [
        &["analyze", "syscall-filter", "@swap"][..],
        &["analyze", "calendar", "daily"],
    ] {
        let args = [&["systemd"], args, &["--json"]].concat();
        fields(&run(guest.dir.path(), &args).good().json(), &mut found);
    }
    for command in [
        "boots",
        "failed",
        "startup",
        "disk-usage",
        "verify",
        "cursor",
        "export",
        "errors",
        "query",
    ] {
        let ran = run(guest.dir.path(), &["journal", command, "g.img", "--json"]);
        fields(&ran.good().json(), &mut found);
    }
    let missing: Vec<&String> = found
        .iter()
        .filter(|f| !page.contains(&format!("`{f}`")))
        .collect();
    assert!(missing.is_empty(), "docs/json.md does not explain {missing:?}");
    assert!(found.len() > 80, "{found:?}");
}
