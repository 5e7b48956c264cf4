//! Init systems and units.

use crate::common::{asked, rig_guest, section, system, value};
use h2k_inspect::Topic;
use serde_json::{Value, json};

/// `name level,level` of every service that is started.
fn services(init: &Value) -> Vec<String> {
    let all = init["services"].as_array().unwrap().iter();
    all.map(|s| {
        let levels: Vec<&str> = s["levels"]
            .as_array()
            .unwrap()
            .iter()
            .map(|l| l.as_str().unwrap())
            .collect();
        format!("{} {}", s["name"].as_str().unwrap(), levels.join(","))
    })
    .collect()
}

#[test]
fn every_init_system_is_told_by_its_files_with_what_it_starts() {
    type Case<'a> = (&'a [(&'a str, &'a str)], &'a str, Value, &'a [&'a str]);
    let cases: &[Case<'_>] = &[
        (
            &[
                ("/sbin/init", "elf"),
                ("/etc/inittab", "# x\nid:3:initdefault:\n"),
                ("/etc/init.d/ssh", "#!/bin/sh\n"),
                ("/etc/rc3.d/S20ssh", "-> ../init.d/ssh"),
                ("/etc/rc5.d/S20ssh", "-> ../init.d/ssh"),
                ("/etc/rc3.d/K01x", "-> ../init.d/x"),
            ],
            "sysvinit",
            json!("3"),
            &["ssh 3,5"],
        ),
        (
            &[
                ("/sbin/init", "elf"),
                ("/sbin/initctl", "elf"),
                ("/etc/init/a.conf", "start on filesystem\n"),
                ("/etc/init/b.conf", "start on x\n"),
                ("/etc/init/b.override", "manual\n"),
                ("/etc/init/rc-sysinit.conf", "env DEFAULT_RUNLEVEL=2\n"),
            ],
            "upstart",
            json!("2"),
            &["a filesystem"],
        ),
        (
            &[
                ("/sbin/init", "-> /bin/busybox"),
                ("/bin/busybox", "elf"),
                ("/sbin/openrc", "elf"),
                ("/etc/runlevels/default/sshd", "-> /etc/init.d/sshd"),
                ("/etc/runlevels/boot/sysctl", "-> /etc/init.d/sysctl"),
            ],
            "openrc",
            json!("default"),
            &["sshd default", "sysctl boot"],
        ),
        (
            &[
                ("/sbin/init", "-> ../bin/busybox"),
                ("/bin/busybox", "elf"),
                ("/etc/inittab", "::sysinit:/etc/rc\ntty1::respawn:/sbin/getty\n"),
                ("/etc/init.d/S50dropbear", "x"),
            ],
            "busybox",
            Value::Null,
            &["/etc/rc ", "/sbin/getty ", "S50dropbear "],
        ),
        (
            &[
                ("/sbin/init", "-> runit-init"),
                ("/sbin/runit-init", "elf"),
                ("/etc/runit/runsvdir/default/sshd/run", "x"),
                ("/etc/runit/runsvdir/default/off/down", ""),
                ("/var/service", "-> /etc/runit/runsvdir/default"),
            ],
            "runit",
            Value::Null,
            &["sshd "],
        ),
    ];
    for (files, kind, default, started) in cases {
        let files = [&[("/etc/fstab", "")], *files].concat();
        let init = asked(system(&files), Topic::Init);
        assert_eq!(value(&init, "kind"), kind);
        assert_eq!(value(&init, "default"), default, "{kind}");
        assert_eq!(services(&init), *started, "{kind}");
        assert_eq!(init["unread"], json!([]), "{kind}");
    }
}

const SYSTEMD: &[(&str, &str)] = &[
    ("/sbin/init", "-> /lib/systemd/systemd"),
    ("/lib", "-> usr/lib"),
    ("/usr/lib/systemd/systemd", "elf"),
    ("/usr/lib/systemd/system/default.target", "-> graphical.target"),
    (
        "/usr/lib/systemd/system/graphical.target",
        "[Unit]\nRequires=multi-user.target\n",
    ),
    (
        "/usr/lib/systemd/system/multi-user.target",
        "[Unit]\nDescription=Many\n",
    ),
    ("/usr/lib/systemd/system/local-fs.target", "[Unit]\n"),
    ("/usr/lib/systemd/system/timers.target", "[Unit]\n"),
    (
        "/usr/lib/systemd/system/ssh.service",
        "[Unit]\nDescription=Shell\n[Service]\nExecStart=/x\n[Install]\nWantedBy=multi-user.target\nAlias=sshd.service\n",
    ),
    (
        "/usr/lib/systemd/system/off.service",
        "[Service]\nExecStart=/x\n[Install]\nWantedBy=multi-user.target\n",
    ),
    (
        "/usr/lib/systemd/system/vendor.service",
        "[Service]\nExecStart=/x\n",
    ),
    (
        "/usr/lib/systemd/system/multi-user.target.wants/vendor.service",
        "-> ../vendor.service",
    ),
    (
        "/usr/lib/systemd/system/tick.timer",
        "[Timer]\nOnCalendar=daily\nOnBootSec=5m\nUnit=off.service\n",
    ),
    (
        "/usr/lib/systemd/system/door.socket",
        "[Socket]\nListenStream=22\nListenStream=/run/x\n",
    ),
    (
        "/usr/lib/systemd/system-preset/90.preset",
        "enable ssh.*\ndisable *\n",
    ),
    (
        "/etc/systemd/system/multi-user.target.wants/ssh.service",
        "-> /lib/systemd/system/ssh.service",
    ),
    (
        "/etc/systemd/system/sshd.service",
        "-> /lib/systemd/system/ssh.service",
    ),
    ("/etc/systemd/system/gone.service", "-> /dev/null"),
    (
        "/etc/fstab",
        "UUID=1-2 /srv/my\\040data ext4 noatime,nofail 0 2\n/dev/sdb none swap sw 0 0\n",
    ),
];

#[test]
fn units_are_told_with_state_preset_source_and_what_starts_them() {
    let init = asked(system(SYSTEMD), Topic::Init);
    assert_eq!(value(&init, "kind"), "systemd");
    assert_eq!(
        init["default"],
        json!({"value": "graphical.target", "source": "/usr/lib/systemd/system/default.target"})
    );
    assert_eq!(
        services(&init),
        [
            "ssh.service multi-user.target",
            "vendor.service multi-user.target"
        ]
    );
    let units = asked(system(SYSTEMD), Topic::Units);
    let file = |name: &str| {
        let all = units["files"].as_array().unwrap();
        all.iter()
            .find(|f| f["unit"] == name)
            .unwrap_or_else(|| panic!("no {name} in {units:#}"))
    };
    for (name, state, source) in [
        (
            "ssh.service",
            "enabled",
            "/etc/systemd/system/multi-user.target.wants/ssh.service",
        ),
        ("sshd.service", "alias", "/etc/systemd/system/sshd.service"),
        ("off.service", "disabled", "/usr/lib/systemd/system/off.service"),
        (
            "vendor.service",
            "static",
            "/usr/lib/systemd/system/vendor.service",
        ),
        ("gone.service", "masked", "/etc/systemd/system/gone.service"),
        (
            "srv-my\\x20data.mount",
            "generated",
            "/run/systemd/generator/srv-my\\x20data.mount",
        ),
        ("dev-sdb.swap", "generated", "/run/systemd/generator/dev-sdb.swap"),
    ] {
        assert_eq!(
            (&file(name)["state"], &file(name)["source"]),
            (&json!(state), &json!(source)),
            "{name}"
        );
    }
    assert_eq!(
        file("off.service")["preset"],
        json!({"value": false, "source": "/usr/lib/systemd/system-preset/90.preset:2"})
    );
    assert_eq!(
        file("vendor.service")["vendor-wants"],
        json!(["/usr/lib/systemd/system/multi-user.target.wants/vendor.service"])
    );
    assert_eq!(file("ssh.service")["description"], "Shell");
    let timer = &units["timers"][0];
    assert_eq!(
        (&timer["unit"], &timer["starts"], &timer["at-boot"]),
        (&json!("tick.timer"), &json!("off.service"), &json!(false))
    );
    assert_eq!(timer["rules"][0]["normal"], "*-*-* 00:00:00");
    assert_eq!(
        timer["rules"][1]["source"],
        "/usr/lib/systemd/system/tick.timer:3"
    );
    assert_eq!(units["sockets"][0]["listens"][1]["value"], "ListenStream /run/x");
    let mount = &units["mounts"][0];
    assert_eq!(
        (&mount["where"], &mount["what"], &mount["generated"]),
        (
            &json!("/srv/my data"),
            &json!("/dev/disk/by-uuid/1-2"),
            &json!(true)
        )
    );
    assert!(
        units["started-at-boot"]
            .as_array()
            .unwrap()
            .contains(&json!("ssh.service"))
    );
}

/// What a guest of the rig said of itself on its console is in the corpus of whoever runs the rig.
#[test]
fn guests_of_the_rig_have_units() {
    for name in ["ext4-bios", "lvm-bios"] {
        let Some(found) = rig_guest(name, &[Topic::Units, Topic::Init]) else {
            return;
        };
        let units = section(&found, Topic::Units);
        assert!(units["files"].as_array().unwrap().len() > 100, "{name}");
        assert_eq!(units["unread"], json!([]), "{name}");
        assert!(!services(&section(&found, Topic::Init)).is_empty());
    }
}
