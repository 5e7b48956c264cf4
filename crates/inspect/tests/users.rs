//! Who may use a system.

use crate::common::{asked, list, rig_file, rig_guest, section, system, text};
use h2k_inspect::Topic;
use h2k_testkit::oracle;
use serde_json::{Value, json};
use std::path::Path;

#[test]
fn users_have_their_groups_and_what_is_known_of_their_passwords() {
    let users = asked(
        system(&[
            ("/etc/fstab", ""),
            (
                "/etc/passwd",
                "root:x:0:0:root:/:/bin/bash\ndaemon:x:1:1::/usr/sbin:/usr/sbin/nologin\n+::::::\n\
                 web:x:1001:100:Web Master,Room 1:/srv/web:/bin/sh\nnobody:x:65534:65534::/:/bin/false\nbroken:x\n",
            ),
            (
                "/etc/shadow",
                "root:$y$j9T$secret$hash:19000:0:99999:7:::\ndaemon:*:18000:0:99999:7:::\nweb:!$6$secret$hash:19001::90::30:20000:\n",
            ),
            ("/etc/group", "root:x:0:\nusers:x:100:\nwheel:x:10:web,root\n"),
            ("/etc/login.defs", "UID_MIN\t\t 1000\nUID_MAX 60000\n"),
        ]),
        Topic::Users,
    );
    let all = list(&users["users"]);
    let said: Vec<_> = all
        .iter()
        .map(|u| {
            let password = &u["password"];
            (
                text(u, "name"),
                u["person"] == true,
                u["no-login"] == true,
                text(password, "state"),
                text(password, "scheme"),
            )
        })
        .collect();
    assert_eq!(
        said,
        [
            ("root", false, false, "set", "yescrypt"),
            ("daemon", false, true, "none", "-"),
            ("web", true, false, "locked", "sha512"),
            ("nobody", false, true, "-", "-"),
        ]
    );
    let web = &all[2];
    assert_eq!(
        (text(web, "full-name"), text(web, "source")),
        ("Web Master", "/etc/passwd:4")
    );
    let password = &web["password"];
    let days = ["changed", "minimum", "maximum", "inactive", "expires"].map(|n| password[n].as_i64());
    assert_eq!(days, [Some(19001), None, Some(90), Some(30), Some(20000)]);
    let groups: Vec<_> = list(&users["groups"])
        .iter()
        .map(|g| {
            (
                text(g, "name"),
                g["members"].to_string(),
                g["first-of"].to_string(),
            )
        })
        .collect();
    assert_eq!(groups[1], ("users", "[]".into(), "[\"web\"]".into()));
    assert_eq!(groups[2], ("wheel", "[\"web\",\"root\"]".into(), "[]".into()));
    let whole = users.to_string();
    assert!(!whole.contains("secret") && !whole.contains("hash\""), "{whole}");
}

/// Public keys of every kind ssh-keygen makes, and the line `-l` prints of each.
fn keys(dir: &Path) -> Vec<(String, String)> {
    let kinds = [
        ("ed25519", "256"),
        ("rsa", "2048"),
        ("rsa", "3072"),
        ("ecdsa", "256"),
        ("ecdsa", "384"),
        ("ecdsa", "521"),
    ];
    let each = kinds.iter().enumerate().map(|(n, (kind, bits))| {
        let path = dir.join(n.to_string()).to_str().unwrap().to_owned();
        let comment = format!("some one@{n}");
        oracle::ok(
            "ssh-keygen",
            &[
                "-q", "-t", kind, "-b", bits, "-N", "", "-C", &comment, "-f", &path,
            ],
        );
        let public = std::fs::read_to_string(format!("{path}.pub")).unwrap();
        let said = oracle::ok("ssh-keygen", &["-lf", &format!("{path}.pub")]);
        (public.trim().to_owned(), said.trim().to_owned())
    });
    each.collect()
}

/// As `ssh-keygen -l` prints a key.
fn printed(key: &Value) -> String {
    let kind = match text(key, "kind") {
        "ssh-rsa" => "RSA",
        "ssh-ed25519" => "ED25519",
        kind if kind.starts_with("ecdsa-") => "ECDSA",
        other => other,
    };
    format!(
        "{} {} {} ({kind})",
        key["bits"],
        text(key, "fingerprint"),
        text(key, "comment")
    )
}

#[test]
fn keys_have_the_fingerprints_ssh_keygen_prints() {
    let dir = tempfile::tempdir().unwrap();
    let keys = keys(dir.path());
    let lines: Vec<&str> = keys.iter().map(|(line, _)| line.as_str()).collect();
    let authorized = format!(
        "# mine\n{}\nno-pty,command=\"echo \\\"a b\\\" ssh-rsa\" {}\nrestrict {}\nssh-rsa AAAAB3NzaC1lZDI1NTE5AAAA wrong\n\
         ssh-ed25519 !!!\n",
        lines[0], lines[1], lines[2]
    );
    let keep = format!("{}\n", lines[3]);
    let host = format!("{}\n", lines[4]);
    let other = format!("{}\n{}\n", lines[5], lines[0]);
    let users = asked(
        system(&[
            ("/etc/fstab", ""),
            (
                "/etc/passwd",
                "root:x:0:0::/srv/root:/bin/sh\nweb:x:1001:1::/srv/web/:/bin/sh\nalso:x:1002:1::/srv/web:/bin/sh\n",
            ),
            ("/srv/root/.ssh/authorized_keys", &authorized),
            ("/etc/ssh/authorized_keys.d/web", &keep),
            ("/etc/keys/1001", &other),
            ("/srv/web/.ssh/authorized_keys", "no key at all\n"),
            ("/etc/ssh/ssh_host_ecdsa_key.pub", &host),
            (
                "/etc/ssh/sshd_config",
                "Include /etc/ssh/sshd_config.d/*.conf\nPort 22\nPermitRootLogin yes\nauthorizedkeysfile .ssh/authorized_keys /etc/keys/%U\n\
                 PasswordAuthentication yes # no\nMatch User web\n  PasswordAuthentication=no\nMatch all\nX11Forwarding \"no\"\n",
            ),
            (
                "/etc/ssh/sshd_config.d/10-root.conf",
                "PermitRootLogin prohibit-password\nPort 2222\n",
            ),
        ]),
        Topic::Users,
    );
    let found: Vec<_> = list(&users["authorized-keys"])
        .iter()
        .map(|k| (text(k, "user"), text(k, "options"), printed(k), text(k, "source")))
        .collect();
    let expected = [
        ("root", "-", 0, "/srv/root/.ssh/authorized_keys:2"),
        (
            "root",
            "no-pty,command=\"echo \\\"a b\\\" ssh-rsa\"",
            1,
            "/srv/root/.ssh/authorized_keys:3",
        ),
        ("root", "restrict", 2, "/srv/root/.ssh/authorized_keys:4"),
        ("web", "-", 5, "/etc/keys/1001:1"),
        ("web", "-", 0, "/etc/keys/1001:2"),
        ("web", "-", 3, "/etc/ssh/authorized_keys.d/web:1"),
    ];
    let expected: Vec<_> = expected
        .iter()
        .map(|(u, o, n, s)| (*u, *o, keys[*n].1.clone(), *s))
        .collect();
    assert_eq!(found, expected);
    assert_eq!(printed(&users["host-keys"][0]), keys[4].1);
    let settings: Vec<_> = list(&users["sshd"])
        .iter()
        .map(|s| {
            format!(
                "{} {} {} {}",
                text(s, "name"),
                text(s, "value"),
                text(s, "only-if"),
                text(s, "source")
            )
        })
        .collect();
    assert_eq!(
        settings,
        [
            "PermitRootLogin prohibit-password - /etc/ssh/sshd_config.d/10-root.conf:1",
            "Port 2222 - /etc/ssh/sshd_config.d/10-root.conf:2",
            "Port 22 - /etc/ssh/sshd_config:2",
            "AuthorizedKeysFile .ssh/authorized_keys /etc/keys/%U - /etc/ssh/sshd_config:4",
            "PasswordAuthentication yes - /etc/ssh/sshd_config:5",
            "PasswordAuthentication no User web /etc/ssh/sshd_config:7",
            "X11Forwarding no - /etc/ssh/sshd_config:9",
        ]
    );
}

const SUDOERS: &str = "# a comment\nDefaults env_reset\nDefaults:%admin !lecture\n\
User_Alias ADMINS = alice, bob, !mallory : OPS = carol\nRunas_Alias DB = postgres, mysql\n\
Host_Alias WEB = web1, web2, 10.0.0.0/8\nCmnd_Alias SHUT = /sbin/shutdown -h now, \\\n    /sbin/reboot\n\
root ALL=(ALL:ALL) ALL\n%sudo\tALL=(ALL:ALL) ALL # everybody\n\
ADMINS WEB=(DB) NOPASSWD: SHUT, PASSWD: /bin/ls -l, !/bin/su : db1 = /bin/cat\n\
#1000 ALL = (root) SETENV: NOEXEC: /usr/bin/vi \"\"\ndave ALL=(:adm) /bin/id\nOPS,%#10 ALL=(#0) TIMEOUT=5m NOPASSWD:ALL\n\
erin web3=/bin/a,/bin/b --all,(DB)/bin/c\n";

/// One line a command: who, where, as whom, tags, command.
fn flat(who: &str, hosts: &str, users: &str, groups: &str, tags: &[String], command: &str) -> String {
    let mut tags = tags.to_vec();
    tags.sort();
    format!("{who}|{hosts}|{users}|{groups}|{}|{command}", tags.join(" "))
}

/// What cvtsudoers says of the rules in a file.
fn cvtsudoers(path: &Path) -> Vec<String> {
    let said = oracle::ok("cvtsudoers", &["-f", "json", path.to_str().unwrap()]);
    let all: Value = serde_json::from_str(&said).unwrap();
    let member = |m: &Value, group: bool| {
        let (kind, value) = m
            .as_object()
            .unwrap()
            .iter()
            .find(|(k, _)| *k != "negated")
            .unwrap();
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let sign = match kind.as_str() {
            "usergroup" if !group => "%",
            "usergid" => "%#",
            "userid" | "groupid" => "#",
            _ => "",
        };
        let not = if m["negated"] == true { "!" } else { "" };
        format!("{not}{sign}{value}")
    };
    let members = |list: &Value, group: bool| {
        let all = list.as_array().map(Vec::as_slice).unwrap_or_default();
        all.iter().map(|m| member(m, group)).collect::<Vec<_>>().join(",")
    };
    let mut lines = Vec::new();
    for spec in list(&all["User_Specs"]) {
        for commands in list(&spec["Cmnd_Specs"]) {
            let options = commands["Options"].as_array().cloned().unwrap_or_default();
            let tags: Vec<String> = options
                .iter()
                .flat_map(|o| o.as_object().unwrap())
                .map(|(k, v)| match (k.as_str(), v) {
                    ("authenticate", Value::Bool(true)) => "PASSWD".to_owned(),
                    ("authenticate", _) => "NOPASSWD".to_owned(),
                    ("setenv", _) => "SETENV".to_owned(),
                    ("noexec", _) => "NOEXEC".to_owned(),
                    ("command_timeout", seconds) => format!("TIMEOUT={seconds}"),
                    (other, v) => format!("{other}={v}"),
                })
                .collect();
            for command in list(&commands["Commands"]) {
                lines.push(flat(
                    &members(&spec["User_List"], false),
                    &members(&spec["Host_List"], false),
                    &members(&commands["runasusers"], false),
                    &members(&commands["runasgroups"], true),
                    &tags,
                    &member(command, false),
                ));
            }
        }
    }
    lines
}

#[test]
fn sudoers_are_taken_apart_as_cvtsudoers_does() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("sudoers");
    std::fs::write(&path, SUDOERS).unwrap();
    let theirs = cvtsudoers(&path);
    let sudo = asked(
        system(&[("/etc/fstab", ""), ("/etc/sudoers", SUDOERS)]),
        Topic::Users,
    )["sudo"]
        .take();
    let join = |v: &Value| {
        list(v)
            .iter()
            .map(|m| m.as_str().unwrap())
            .collect::<Vec<_>>()
            .join(",")
    };
    let mut ours = Vec::new();
    for rule in list(&sudo["rules"]) {
        let tags: Vec<String> = list(&rule["tags"])
            .iter()
            .map(|t| t.as_str().unwrap().replace("TIMEOUT=5m", "TIMEOUT=300"))
            .collect();
        for command in list(&rule["commands"]) {
            let mut tags = tags.clone();
            // Who may run everything may set the environment as well; cvtsudoers adds that.
            if command == "ALL" {
                tags.push("SETENV".to_owned());
            }
            ours.push(flat(
                &join(&rule["who"]),
                &join(&rule["hosts"]),
                &join(&rule["run-as-users"]),
                &join(&rule["run-as-groups"]),
                &tags,
                command.as_str().unwrap(),
            ));
        }
    }
    assert_eq!(ours, theirs);
    assert_eq!(sudo["odd"], json!([]));
    let aliases: Vec<_> = list(&sudo["aliases"])
        .iter()
        .map(|a| {
            format!(
                "{} {} {} {}",
                text(a, "kind"),
                text(a, "name"),
                join(&a["members"]),
                text(a, "source")
            )
        })
        .collect();
    assert_eq!(
        aliases,
        [
            "user ADMINS alice,bob,!mallory /etc/sudoers:4",
            "user OPS carol /etc/sudoers:4",
            "runas DB postgres,mysql /etc/sudoers:5",
            "host WEB web1,web2,10.0.0.0/8 /etc/sudoers:6",
            "command SHUT /sbin/shutdown -h now,/sbin/reboot /etc/sudoers:7",
        ]
    );
    assert_eq!(list(&sudo["defaults"]).len(), 2);
}

#[test]
fn included_sudoers_follow_in_their_place_and_what_is_none_is_shown() {
    let sudo = asked(
        system(&[
            ("/etc/fstab", ""),
            (
                "/etc/sudoers",
                "a ALL=ALL\n#includedir /etc/sudoers.d\n@include more\nthis is no rule\n",
            ),
            ("/etc/sudoers.d/20", "c ALL=ALL\n"),
            ("/etc/sudoers.d/10", "b ALL=ALL\n"),
            ("/etc/sudoers.d/10.bak", "no ALL=ALL\n"),
            ("/etc/more", "d ALL=ALL\n@include more\n"),
        ]),
        Topic::Users,
    )["sudo"]
        .take();
    let who: Vec<_> = list(&sudo["rules"])
        .iter()
        .map(|r| r["who"][0].as_str().unwrap())
        .collect();
    assert_eq!(who[..4], ["a", "b", "c", "d"]);
    // What includes itself ends.
    assert!(who.len() < 30);
    assert_eq!(text(&sudo["odd"][0], "source"), "/etc/sudoers:4");
}

#[test]
fn doas_and_polkit_name_their_administrators() {
    let users = asked(
        system(&[
            ("/etc/fstab", ""),
            ("/etc/doas.conf", "# c\npermit persist :wheel\n"),
            (
                "/usr/share/polkit-1/rules.d/50-default.rules",
                "// [\"unix-group:no\"]\npolkit.addAdminRule(function(action, subject) {\n    return [\"unix-group:wheel\", \"unix-user:0\"];\n});\n",
            ),
            (
                "/etc/polkit-1/localauthority.conf.d/51-x.conf",
                "[Configuration]\nAdminIdentities=unix-group:sudo;unix-group:admin\n",
            ),
        ]),
        Topic::Users,
    );
    assert_eq!(
        users["doas"][0],
        json!({"value": "permit persist :wheel", "source": "/etc/doas.conf:2"})
    );
    let names: Vec<_> = list(&users["polkit-administrators"])
        .iter()
        .map(|a| text(a, "value"))
        .collect();
    assert_eq!(
        names,
        [
            "unix-group:wheel",
            "unix-user:0",
            "unix-group:sudo",
            "unix-group:admin"
        ]
    );
}

#[test]
fn the_guests_of_the_rig_have_the_users_and_keys_their_files_have() {
    for name in ["ext4-bios", "lvm-bios", "xfs-uefi", "btrfs-bios"] {
        let Some(found) = rig_guest(name, &[Topic::Users]) else {
            return;
        };
        let users = section(&found, Topic::Users);
        let passwd = String::from_utf8(rig_file(name, "/etc/passwd").unwrap()).unwrap();
        assert_eq!(list(&users["users"]).len(), passwd.lines().count());
        let group = String::from_utf8(rig_file(name, "/etc/group").unwrap()).unwrap();
        assert_eq!(list(&users["groups"]).len(), group.lines().count());
        for key in list(&users["host-keys"]) {
            let dir = tempfile::tempdir().unwrap();
            let path = text(key, "source").split(':').next().unwrap();
            let file = dir.path().join("key.pub");
            std::fs::write(&file, rig_file(name, path).unwrap()).unwrap();
            let said = oracle::ok("ssh-keygen", &["-lf", file.to_str().unwrap()]);
            assert_eq!(printed(key), said.trim());
        }
        println!(
            "{name}: {} users, {} groups, {} host keys, {} rules, sshd {}",
            list(&users["users"]).len(),
            list(&users["groups"]).len(),
            list(&users["host-keys"]).len(),
            list(&users["sudo"]["rules"]).len(),
            users["sshd"]
        );
        assert_eq!(users["unread"], json!([]));
    }
}
