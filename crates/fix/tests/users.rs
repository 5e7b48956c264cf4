//! Users, judged by the tools that check the files of accounts.

use crate::lab::{Done, Lab};
use h2k_fix::Outcome;
use h2k_fs::Time;
use h2k_testkit::oracle;

const ID: &str = "linux.users";
const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\ndaemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\nold:x:1000:1000:,,,:/home/old:/bin/bash\n";
const GROUP: &str = "root:x:0:\ndaemon:x:1:\nsudo:x:27:old\nold:x:1000:\nusers:x:100:\n";
const SHADOW: &str =
    "root:*:19000:0:99999:7:::\ndaemon:*:19000:0:99999:7:::\nold:$6$a$b:19000:0:99999:7:::\n";
const GSHADOW: &str = "root:*::\ndaemon:*::\nsudo:*::old\nold:!::\nusers:*::\n";

fn guest() -> Lab {
    let mut lab = Lab::new(&[
        ("/etc/passwd", PASSWD),
        ("/etc/group", GROUP),
        ("/etc/shadow", SHADOW),
        ("/etc/gshadow", GSHADOW),
        ("/etc/skel/.profile", "# profile\n"),
        (
            "/etc/sudoers",
            "root ALL=(ALL:ALL) ALL\n@includedir /etc/sudoers.d\n",
        ),
        ("/bin/bash", ""),
        ("/home/old/.profile", ""),
    ]);
    lab.owned("/etc/shadow", 0o640, 0, 42);
    lab.options.now = Time {
        seconds: 20_000 * 86_400,
        nanos: 0,
    };
    lab
}

fn fixed(mut lab: Lab, users: &str) -> Done {
    lab.options.configuration = serde_json::from_str(&format!("{{\"users\": {users}}}")).unwrap();
    lab.fix(ID)
}

/// `pwck`, `grpck` and `visudo` have nothing to say.
fn judged(done: &Done) {
    let dir = tempfile::tempdir().unwrap();
    let at = |path: &str| done.put(path, dir.path()).to_str().unwrap().to_owned();
    oracle::ok("pwck", &["-r", "-q", &at("/etc/passwd"), &at("/etc/shadow")]);
    let (group, gshadow) = (at("/etc/group"), at("/etc/gshadow"));
    // grpck asks this machine for members, unless it is asked below another root, which root alone may do.
    if oracle::ok("id", &["-u"]).trim() == "0" {
        oracle::ok("grpck", &["-r", "-R", dir.path().to_str().unwrap()]);
    } else {
        println!("skipped: grpck of {group} and {gshadow} needs root");
    }
}

const JO: &str = r#"{"create": [{"username": "jo", "groups": ["sudo", "users"], "comment": "Jo Doe", "password_hash": "$6$salt$hash.",
    "ssh_authorized_keys": ["ssh-ed25519 AAAAC3Nza jo@desk"], "sudo": true, "sudo_nopasswd": true}]}"#;

#[test]
fn a_new_user_is_made_as_useradd_makes_one() {
    let done = fixed(guest(), JO);
    judged(&done);
    let expected = format!("{PASSWD}jo:x:1001:1001:Jo Doe:/home/jo:/bin/bash\n");
    assert_eq!(done.text("/etc/passwd"), Some(expected));
    assert_eq!(
        done.text("/etc/shadow"),
        Some(format!("{SHADOW}jo:$6$salt$hash.:20000:0:99999:7:::\n"))
    );
    let group = done.text("/etc/group").unwrap();
    assert!(
        group.contains("sudo:x:27:old,jo\n") && group.ends_with("users:x:100:jo\njo:x:1001:\n"),
        "{group}"
    );
    assert!(done.text("/etc/gshadow").unwrap().contains("sudo:*::old,jo\n"));
    assert_eq!(done.owner("/etc/shadow"), (0o640, 0, 42));
    assert_eq!(done.owner("/home/jo"), (0o700, 1001, 1001));
    assert_eq!(done.owner("/home/jo/.profile"), (0o644, 1001, 1001));
    assert_eq!(done.owner("/home/jo/.ssh"), (0o700, 1001, 1001));
    let keys = "/home/jo/.ssh/authorized_keys";
    assert_eq!(done.owner(keys), (0o600, 1001, 1001));
    assert_eq!(
        done.text(keys).as_deref(),
        Some("ssh-ed25519 AAAAC3Nza jo@desk\n")
    );
    let sudo = "/etc/sudoers.d/90-hyper2kvm-jo";
    assert_eq!(done.owner(sudo), (0o440, 0, 0));
    let dir = tempfile::tempdir().unwrap();
    let file = done.put(sudo, dir.path());
    oracle::ok("visudo", &["-cf", file.to_str().unwrap()]);
}

#[test]
fn a_user_that_is_there_is_changed_where_something_is_said() {
    let users = r#"{"create": [{"username": "old", "shell": "/bin/bash", "groups": ["users"], "ssh_authorized_keys": ["ssh-rsa BBBB k"]}]}"#;
    let mut lab = guest();
    lab.file("/home/old/.ssh/authorized_keys", "ssh-rsa AAAA mine");
    let done = fixed(lab, users);
    judged(&done);
    assert_eq!(done.text("/etc/passwd").as_deref(), Some(PASSWD));
    assert_eq!(done.text("/etc/shadow").as_deref(), Some(SHADOW));
    let keys = done.text("/home/old/.ssh/authorized_keys");
    assert_eq!(keys.as_deref(), Some("ssh-rsa AAAA mine\nssh-rsa BBBB k\n"));
    assert!(done.text("/etc/group").unwrap().contains("users:x:100:old\n"));
}

#[test]
fn a_user_is_locked_as_usermod_locks() {
    let done = fixed(guest(), r#"{"disable": ["old"]}"#);
    judged(&done);
    assert!(
        done.text("/etc/shadow")
            .unwrap()
            .ends_with("old:!$6$a$b:19000:0:99999:7::1:\n")
    );
    fixed(guest(), r#"{"disable": ["nobody"]}"#).says(Outcome::Blocked, "there is no such user");
    fixed(guest(), r#"{"disable": ["root"]}"#).says(Outcome::Blocked, "it is root");
}

#[test]
fn numbers_and_names_that_are_taken_or_are_none_are_refused() {
    for (user, why) in [
        (
            r#""username": "jo", "uid": 1000"#,
            "the number 1000 is that of old",
        ),
        (r#""username": "old", "uid": 1005"#, "there is one already"),
        (r#""username": "users""#, ""),
        (
            r#""username": "jo", "groups": ["wheel"]"#,
            "there is no group wheel",
        ),
        (r#""username": "../jo""#, "no name for a user"),
        (r#""username": "jo", "home": "/home/../etc""#, "no absolute path"),
        (r#""username": "jo", "comment": "a:b""#, "the comment"),
        (
            r#""username": "jo", "password_hash": "secret""#,
            "no hash of crypt(5)",
        ),
        (
            r#""username": "jo", "ssh_authorized_keys": ["ssh-rsa A\nssh-rsa B"]"#,
            "no line of authorized_keys",
        ),
    ] {
        let done = fixed(guest(), &format!("{{\"create\": [{{{user}}}]}}"));
        if why.is_empty() {
            // A group of that name is taken for the user's own, as useradd -g would.
            judged(&done);
            continue;
        }
        done.says(Outcome::Blocked, why);
        assert!(done.proposal.drafted.changes().is_empty(), "{user}");
    }
}

#[test]
fn a_group_that_is_given_is_the_users_own() {
    let done = fixed(
        guest(),
        r#"{"create": [{"username": "jo", "uid": 2000, "gid": 100, "home": "/srv/jo"}]}"#,
    );
    judged(&done);
    assert!(
        done.text("/etc/passwd")
            .unwrap()
            .ends_with("jo:x:2000:100::/srv/jo:/bin/bash\n")
    );
    assert!(
        done.text("/etc/shadow")
            .unwrap()
            .ends_with("jo:!:20000:0:99999:7:::\n")
    );
    assert_eq!(done.text("/etc/group").as_deref(), Some(GROUP));
    guest().fix(ID).left("no users are configured");
}
