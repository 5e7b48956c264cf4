//! Firewalls, security, timetables, storage: known answers, and the tools' own programs as judges.

use crate::common::{asked, rig_guest, section, value};
use crate::network::tree;
use h2k_inspect::Topic;
use h2k_testkit::oracle;
use serde_json::{Value, json};

fn firewall<'a>(found: &'a Value, tool: &str) -> &'a Value {
    let all = found["firewalls"].as_array().unwrap();
    all.iter()
        .find(|f| f["tool"] == tool)
        .unwrap_or_else(|| panic!("no {tool} in {found:#}"))
}

/// `table chain policy: rules` of each.
fn chains(firewall: &Value) -> Vec<String> {
    let rules = |c: &Value| {
        c["rules"]
            .as_array()
            .unwrap()
            .iter()
            .map(|r| r["text"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
            .join("; ")
    };
    let one = |c: &Value| {
        format!(
            "{} {} {}: {}",
            c["table"].as_str().unwrap(),
            c["name"].as_str().unwrap(),
            c["policy"].as_str().unwrap_or("-"),
            rules(c)
        )
    };
    firewall["chains"].as_array().unwrap().iter().map(one).collect()
}

#[test]
fn zones_of_firewalld_tell_the_ports_of_their_services() {
    let zone = "<?xml version=\"1.0\"?>\n<zone target=\"DROP\">\n <interface name=\"ens192\"/>\n <source address=\"10.0.0.0/8\"/>\n <service name=\"ssh\"/>\n <service name=\"own\"/>\n <port port=\"8080\" protocol=\"tcp\"/>\n <masquerade/>\n <forward-port port=\"80\" protocol=\"tcp\" to-port=\"8080\"/>\n <rule family=\"ipv4\">\n  <source address=\"10.1.0.0/16\"/>\n  <accept/>\n </rule>\n</zone>\n";
    let found = asked(
        tree(&[
            (
                "/etc/firewalld/firewalld.conf",
                "# c\nDefaultZone=public\nLogDenied=off\n",
            ),
            ("/etc/firewalld/zones/work.xml", zone),
            (
                "/usr/lib/firewalld/zones/public.xml",
                "<zone><service name=\"ssh\"/></zone>",
            ),
            ("/usr/lib/firewalld/zones/home.xml", "<zone/>"),
            (
                "/usr/lib/firewalld/services/ssh.xml",
                "<service><short>SSH</short><port protocol=\"tcp\" port=\"22\"/></service>",
            ),
            (
                "/etc/firewalld/services/own.xml",
                "<service><port protocol=\"udp\" port=\"7\"/><port protocol=\"tcp\" port=\"7-9\"/></service>",
            ),
            (
                "/etc/firewalld/direct.xml",
                "<direct>\n<rule ipv=\"ipv4\" table=\"filter\" chain=\"INPUT\" priority=\"0\">-p tcp -j ACCEPT</rule></direct>",
            ),
            ("/usr/lib/systemd/system/firewalld.service", ""),
            (
                "/etc/systemd/system/multi-user.target.wants/firewalld.service",
                "-> /usr/lib/systemd/system/firewalld.service",
            ),
        ]),
        Topic::Firewall,
    );
    let found = firewall(&found, "firewalld");
    assert_eq!(
        (value(found, "enabled"), value(found, "default-zone")),
        (&json!(true), &json!("public"))
    );
    let zones = found["zones"].as_array().unwrap();
    assert_eq!(
        (zones.len(), &zones[0]["name"], &zones[1]["name"]),
        (2, &json!("public"), &json!("work"))
    );
    let work = &zones[1];
    assert_eq!(
        (&work["target"], &work["masquerade"], &work["ports"]),
        (&json!("drop"), &json!(true), &json!(["8080/tcp"]))
    );
    assert_eq!(
        work["services"][0],
        json!({"name": "ssh", "ports": ["22/tcp"], "defined": "/usr/lib/firewalld/services/ssh.xml"})
    );
    assert_eq!(work["services"][1]["ports"], json!(["7/udp", "7-9/tcp"]));
    assert_eq!(work["forwards"], json!(["80/tcp to 8080"]));
    assert_eq!(
        work["rules"][0]["text"],
        "rule family=\"ipv4\" source address=\"10.1.0.0/16\" accept"
    );
    assert_eq!(work["rules"][0]["source"], "/etc/firewalld/zones/work.xml:10");
    assert_eq!(chains(found), ["ipv4 filter INPUT -: -p tcp -j ACCEPT"]);
}

const NFT: &str = "#!/usr/sbin/nft -f\nflush ruleset\ndefine ports = { 22, 80 }\ntable inet filter {\n\tset allowed {\n\t\ttype ipv4_addr\n\t\telements = { 10.0.0.1,\n\t\t\t10.0.0.2 }\n\t}\n\tchain input {\n\t\ttype filter hook input priority 0; policy drop;\n\t\tct state established,related accept\n\t\ttcp dport $ports accept # web\n\t\ttcp dport { 443, 8443 } accept comment \"a; b\"\n\t\tjump more\n\t}\n\tchain more {\n\t\tip saddr @allowed accept\n\t}\n}\nadd table ip nat\n";

#[test]
fn nftables_are_told_chain_by_chain_and_nft_takes_the_same_file() {
    let found = asked(
        tree(&[
            (
                "/etc/nftables.conf",
                &format!("{NFT}include \"/etc/nft.d/*.nft\"\n"),
            ),
            (
                "/etc/nft.d/a.nft",
                "table ip extra {\n  chain out { type filter hook output priority 0; policy accept;\n }\n}\n",
            ),
        ]),
        Topic::Firewall,
    );
    let found = firewall(&found, "nftables");
    let ours = chains(found);
    assert_eq!(
        ours,
        [
            "inet filter input drop: ct state established,related accept; tcp dport $ports accept; tcp dport { 443, 8443 } accept comment \"a; b\"; jump more",
            "inet filter more -: ip saddr @allowed accept",
            "ip extra out accept: ",
        ]
    );
    assert_eq!(found["chains"][0]["hook"], "type filter hook input priority 0");
    assert_eq!(found["chains"][0]["rules"][1]["source"], "/etc/nftables.conf:13");
    // The kernel's own list after nft has loaded the file, in a network of its own.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("nft.conf");
    std::fs::write(&file, NFT).unwrap();
    let script = format!("nft -f {} && nft list ruleset", file.display());
    let out = oracle::run("unshare", &["--net", "--map-root-user", "sh", "-c", &script]);
    if !out.status.success() {
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(!said.contains("syntax error"), "{said}");
        println!("skipped: no network of its own for nft: {said}");
        return;
    }
    let listed = String::from_utf8_lossy(&out.stdout).into_owned();
    let theirs: Vec<&str> = listed
        .lines()
        .filter_map(|l| l.trim().strip_prefix("chain ")?.strip_suffix(" {"))
        .collect();
    assert_eq!(theirs, ["input", "more"]);
    assert!(listed.contains("policy drop;") && listed.contains("jump more"));
}

#[test]
fn saved_rules_of_iptables_are_told_and_iptables_takes_the_same_file() {
    let saved = "# Generated\n*filter\n:INPUT DROP [12:34]\n:OUTPUT ACCEPT [0:0]\n:own - [0:0]\n[1:2] -A INPUT -i lo -j ACCEPT\n-A INPUT -p tcp -m tcp --dport 22 -j own\n-A own -j ACCEPT\nCOMMIT\n";
    let found = asked(
        tree(&[
            ("/etc/iptables/rules.v4", saved),
            (
                "/etc/sysconfig/ip6tables",
                "*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n",
            ),
        ]),
        Topic::Firewall,
    );
    let ours = chains(firewall(&found, "iptables"));
    assert_eq!(
        ours,
        [
            "filter INPUT drop: -i lo -j ACCEPT; -p tcp -m tcp --dport 22 -j own",
            "filter OUTPUT accept: ",
            "filter own -: -j ACCEPT"
        ]
    );
    assert_eq!(chains(firewall(&found, "ip6tables")), ["filter INPUT accept: "]);
}

#[test]
fn ufw_is_on_when_it_says_so_and_is_started() {
    let with = |on: &str| {
        let conf = format!("ENABLED={on}\nLOGLEVEL=low\n");
        let found = asked(
            tree(&[
                ("/etc/ufw/ufw.conf", &conf),
                ("/etc/default/ufw", "IPV6=yes\nDEFAULT_INPUT_POLICY=\"DROP\"\n"),
                (
                    "/etc/ufw/user.rules",
                    "*filter\n### tuple ### allow tcp 22 0.0.0.0/0 any 0.0.0.0/0 in comment=73736820\n-A ufw-user-input -p tcp --dport 22 -j ACCEPT\n### tuple ### route:deny any any 10.0.0.0/8 any 0.0.0.0/0 in_eth0\n",
                ),
                ("/lib/systemd/system/ufw.service", ""),
                (
                    "/etc/systemd/system/multi-user.target.wants/ufw.service",
                    "-> /lib/systemd/system/ufw.service",
                ),
            ]),
            Topic::Firewall,
        );
        firewall(&found, "ufw").clone()
    };
    assert_eq!(value(&with("no"), "enabled"), false);
    let found = with("yes");
    assert_eq!(value(&found, "enabled"), true);
    let rules = found["rules"].as_array().unwrap();
    assert_eq!(
        (&rules[0]["action"], &rules[0]["direction"], &rules[0]["name"]),
        (&json!("allow"), &json!("in"), &json!("ssh "))
    );
    assert_eq!(
        (&rules[1]["action"], &rules[1]["direction"]),
        (&json!("deny"), &json!("forward"))
    );
    let settings = found["settings"].to_string();
    assert!(settings.contains("DEFAULT_INPUT_POLICY=DROP"), "{settings}");
}

#[test]
fn the_kernels_words_count_for_more_than_the_configuration_of_selinux() {
    let with = |cmdline: &str| {
        asked(
            tree(&[
                ("/etc/selinux/config", "SELINUX=enforcing\nSELINUXTYPE=targeted\n"),
                ("/etc/selinux/targeted/policy/policy.33", "x"),
                ("/etc/kernel/cmdline", cmdline),
                ("/.autorelabel", ""),
            ]),
            Topic::Security,
        )
    };
    for (cmdline, mode) in [
        ("ro", "enforcing"),
        ("ro enforcing=0", "permissive"),
        ("selinux=0", "disabled"),
    ] {
        let found = with(cmdline);
        assert_eq!(value(&found["selinux"], "effective"), mode, "{cmdline}");
        assert_eq!(value(&found["selinux"], "configured"), "enforcing");
        assert_eq!(value(&found["selinux"], "autorelabel"), true);
    }
    let without = asked(
        tree(&[("/etc/selinux/config", "SELINUX=permissive\nSELINUXTYPE=mls\n")]),
        Topic::Security,
    );
    assert_eq!(
        value(&without["selinux"], "effective"),
        "disabled",
        "there is no policy to load"
    );
    assert_eq!(value(&with("fips=1"), "fips"), true);
}

#[test]
fn profiles_of_apparmor_tell_their_mode() {
    let found = asked(
        tree(&[
            (
                "/etc/apparmor.d/usr.sbin.ntpd",
                "#include <tunables/global>\nprofile ntpd /usr/sbin/ntpd flags=(attach_disconnected) {\n  /etc/{a,b} r,\n  profile inner {\n  }\n}\n",
            ),
            (
                "/etc/apparmor.d/usr.bin.man",
                "/usr/bin/man flags=(complain) {\n ^hat {\n }\n}\n",
            ),
            ("/etc/apparmor.d/usr.bin.off", "/usr/bin/off {\n}\n"),
            (
                "/etc/apparmor.d/disable/usr.bin.off",
                "-> /etc/apparmor.d/usr.bin.off",
            ),
            ("/etc/apparmor.d/abstractions/base", "/no {\n}\n"),
        ]),
        Topic::Security,
    );
    let profiles = found["apparmor"]["profiles"].as_array().unwrap();
    let all: Vec<_> = profiles
        .iter()
        .map(|p| (p["name"].as_str().unwrap(), p["mode"].as_str().unwrap()))
        .collect();
    assert_eq!(
        all,
        [
            ("/usr/bin/man", "complain"),
            ("/usr/bin/off", "disable"),
            ("ntpd", "enforce")
        ]
    );
}

#[test]
fn every_layout_of_timetables_is_found() {
    let mut fs = tree(&[
        (
            "/etc/crontab",
            "SHELL=/bin/sh\n17 * * * * root run-parts /etc/cron.hourly\n",
        ),
        ("/etc/cron.d/own", "@reboot ann /usr/bin/x\n"),
        ("/etc/cron.d/own.dpkg-old", "* * * * * root no\n"),
        ("/var/spool/cron/crontabs/ann", "0 5 * * mon-fri /home/ann/x\n"),
        ("/var/spool/cron/bob", "*/5 * * * * y\nnot a line\n"),
        (
            "/etc/anacrontab",
            "RANDOM_DELAY=45\n1 5 cron.daily nice run-parts /etc/cron.daily\n@monthly 45 cron.monthly z\n",
        ),
        (
            "/var/spool/cron/atjobs/a0000101c5b2a0",
            "#!/bin/sh\n# atrun uid=1000 gid=1000\numask 22\ncd /home/ann || {\n exit 1\n}\necho hi\n",
        ),
    ]);
    let script = fs.file("/etc/cron.daily/logrotate", "#!/bin/sh\n").unwrap();
    fs.set_mode(script, 0o755).unwrap();
    fs.file("/etc/cron.daily/README.txt", "no").unwrap();
    let found = asked(fs, Topic::Schedule);
    let tasks = found["tasks"].as_array().unwrap();
    let word = |v: &Value| v.as_str().unwrap_or("-").to_owned();
    let all: Vec<_> = tasks
        .iter()
        .filter(|t| t["enabled"] == true)
        .map(|t| {
            [
                word(&t["kind"]),
                word(&t["user"]),
                word(&t["when"]),
                word(&t["command"]),
            ]
            .join(" | ")
        })
        .collect();
    assert_eq!(
        all,
        [
            "cron | root | 17 * * * * | run-parts /etc/cron.hourly",
            "cron | ann | @reboot | /usr/bin/x",
            "cron | ann | 0 5 * * mon-fri | /home/ann/x",
            "cron | bob | */5 * * * * | y",
            "anacron | root | every 1 days, 5 minutes after the start | nice run-parts /etc/cron.daily",
            "anacron | root | monthly, 45 minutes after the start | z",
            "cron | root | daily | /etc/cron.daily/logrotate",
            "at | uid 1000 | once, 1784012160 seconds after 1970 began | echo hi",
        ]
    );
    assert_eq!(found["not-understood"][0]["source"], "/var/spool/cron/bob:2");
}

#[test]
fn cron_takes_and_refuses_the_same_lines() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("table");
    for line in [
        "25 6 * * * x",
        "*/5 0-23/2 1,15 jan-mar sun x",
        "@daily x",
        "60 * * * * x",
        "* 24 * * * x",
        "* * 0 * * x",
        "* * * foo * x",
        "@often x",
        "* * * *",
        "0 0 * * 7 x",
    ] {
        std::fs::write(&file, format!("{line}\n")).unwrap();
        let theirs = oracle::run("crontab", &["-n", file.to_str().unwrap()])
            .status
            .success();
        let found = asked(tree(&[("/var/spool/cron/crontabs/ann", line)]), Topic::Schedule);
        assert_eq!(found["tasks"].as_array().unwrap().len() == 1, theirs, "{line}");
    }
}

#[test]
fn storage_tells_what_tables_say_of_what_is_not_there() {
    let found = asked(
        tree(&[
            (
                "/etc/fstab",
                "/swapfile none swap sw,pri=5 0 0\nUUID=1234 none swap defaults 0 0\n",
            ),
            ("/swapfile", "0123456789"),
            (
                "/etc/crypttab",
                "# c\nhome UUID=abcd none luks,discard\nswap /dev/sdb9 /dev/urandom swap,cipher=aes-xts-plain64,size=256\n",
            ),
            (
                "/etc/mdadm/mdadm.conf",
                "ARRAY /dev/md0 metadata=1.2\n  UUID=01234567:89abcdef:01234567:89abcdef\n",
            ),
            (
                "/etc/systemd/zram-generator.conf",
                "[zram0]\nzram-size = ram / 2\n",
            ),
            ("/etc/multipath.conf", "defaults {\n user_friendly_names yes\n}\n"),
            (
                "/etc/lvm/lvm.conf",
                "devices {\n  # filter = []\n  global_filter = [ \"r|/dev/sdb|\" ]\n}\n",
            ),
            ("/etc/initramfs-tools/conf.d/resume", "RESUME=UUID=1234\n"),
        ]),
        Topic::Storage,
    );
    let swap = found["swap"].as_array().unwrap();
    assert_eq!(
        (&swap[0]["kind"], &swap[0]["size"], &swap[0]["options"]),
        (&json!("file"), &json!(10), &json!(["pri=5"]))
    );
    assert_eq!(
        (&swap[1]["device"], &swap[1]["source"]),
        (&Value::Null, &json!("/etc/fstab:2"))
    );
    assert_eq!(
        (&swap[2]["kind"], &swap[2]["options"]),
        (&json!("zram"), &json!(["zram-size=ram / 2"]))
    );
    let encrypted = found["encrypted"].as_array().unwrap();
    assert_eq!(
        (&encrypted[0]["configured"][0]["name"], &encrypted[0]["device"]),
        (&json!("home"), &Value::Null)
    );
    assert_eq!(
        (
            &encrypted[1]["format"],
            &encrypted[1]["cipher"],
            &encrypted[1]["key-bits"]
        ),
        (&json!("plain"), &json!("aes-xts-plain64"), &json!(256))
    );
    assert_eq!(
        (
            value(&found["arrays"][0], "configured-as"),
            &found["arrays"][0]["uuid"]
        ),
        (&json!("/dev/md0"), &json!("0123456789abcdef0123456789abcdef"))
    );
    assert_eq!(found["lvm-filters"][0]["source"], "/etc/lvm/lvm.conf:3");
    assert_eq!(found["resume"][0]["value"], "UUID=1234");
}

#[test]
fn guests_of_the_rig_have_the_storage_they_were_built_with() {
    let Some(found) = rig_guest(
        "lvm-bios",
        &[Topic::Storage, Topic::Schedule, Topic::Security, Topic::Firewall],
    ) else {
        return;
    };
    let storage = section(&found, Topic::Storage);
    let group = &storage["volume-groups"][0];
    assert_eq!(group["devices"].as_array().unwrap().len(), 2, "{storage:#}");
    let swap = &storage["swap"][0];
    assert!(
        swap["device"].as_str().unwrap().contains("swap") && swap["uuid"].is_string(),
        "{swap:#}"
    );
    assert!(
        !section(&found, Topic::Schedule)["tasks"]
            .as_array()
            .unwrap()
            .is_empty()
    );
    let Some(found) = rig_guest("btrfs-bios", &[Topic::Storage]) else {
        return;
    };
    let subvolumes = section(&found, Topic::Storage)["subvolumes"].to_string();
    for path in ["@", "@home", "@var_log", "@snapshots"] {
        assert!(subvolumes.contains(path), "{path}: {subvolumes}");
    }
}
