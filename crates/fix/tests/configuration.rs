//! Names, services and network files that are configured.

use crate::lab::Lab;
use h2k_fix::Outcome;
use h2k_fix::configuration::Configuration;
use h2k_testkit::oracle;

fn configured(mut lab: Lab, json: &str, id: &str) -> crate::lab::Done {
    lab.options.configuration = serde_json::from_str(json).unwrap();
    lab.fix(id)
}

#[test]
fn keys_that_are_not_known_are_refused() {
    for bad in [
        r#"{"hostnames": {}}"#,
        r#"{"users": {"create": [{"username": "jo", "pasword_hash": "!"}]}}"#,
        r#"{"network": {"network_files": [{"name": "a", "type": "link", "content": ""}]}}"#,
        r#"{"firstboot": {"service": {"description": "x"}}}"#,
    ] {
        assert!(serde_json::from_str::<Configuration>(bad).is_err(), "{bad}");
    }
    let whole = r#"{"hostname": {"name": "web01", "domain": "example.org", "hosts": {"10.0.0.5": "db db.example.org"}},
        "users": {"create": [{"username": "jo", "sudo_nopasswd": true}], "disable": ["old"]},
        "services": {"enable": ["a"], "disable": [], "mask": ["b.service"]},
        "network": {"files": [{"name": "lan", "content": "[Match]\n"}], "enable_networkd": true},
        "firstboot": {"script": "true", "service": {"Description": "x", "Environment": ["A=1"]}}}"#;
    let all: Configuration = serde_json::from_str(whole).unwrap();
    assert_eq!(all.hostname.hostname.as_deref(), Some("web01"));
    assert_eq!(all.network.network_files[0].priority, 50);
}

const NAME: &str = r#"{"hostname": {"name": "web01", "domain": "example.org", "hosts": {"10.0.0.5": "db"}}}"#;

#[test]
fn a_guest_gets_its_name_and_keeps_its_hosts() {
    let hosts = "127.0.0.1\tlocalhost\n127.0.1.1\told.example.org old\n\n# mine\n10.0.0.4 x\n";
    let lab = Lab::new(&[("/etc/hostname", "old\n"), ("/etc/hosts", hosts)]);
    let done = configured(lab, NAME, "linux.hostname");
    assert_eq!(done.text("/etc/hostname").as_deref(), Some("web01\n"));
    let expected =
        "127.0.0.1\tlocalhost\n127.0.1.1 web01.example.org web01\n\n# mine\n10.0.0.4 x\n10.0.0.5 db\n";
    assert_eq!(done.text("/etc/hosts").as_deref(), Some(expected));

    let old = Lab::new(&[("/etc/sysconfig/network", "NETWORKING=yes\nHOSTNAME=old\n")]);
    let done = configured(old, NAME, "linux.hostname");
    let expected = "NETWORKING=yes\nHOSTNAME=\"web01.example.org\"\n";
    assert_eq!(done.text("/etc/sysconfig/network").as_deref(), Some(expected));
    assert_eq!(done.text("/etc/hostname"), None);
}

#[test]
fn a_name_that_is_none_is_refused() {
    for bad in [
        r#"{"hostname": {"name": "a b"}}"#,
        r#"{"hostname": {"fqdn": "x/../y"}}"#,
        r#"{"hostname": {"hosts": {"10.0.0.5": "a\n1.1.1.1 b"}}}"#,
    ] {
        let done = configured(Lab::new(&[]), bad, "linux.hostname");
        assert!(
            done.proposal
                .findings
                .iter()
                .all(|f| f.outcome == Outcome::Blocked),
            "{bad}"
        );
    }
    Lab::new(&[]).fix("linux.hostname").left("no name is configured");
}

const DAEMON: &str = "[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target graphical.target\nAlias=other.service\nAlso=side.socket\n";
const SIDE: &str = "[Socket]\nListenStream=/run/x\n[Install]\nWantedBy=sockets.target\n";
const DIR: &str = "/usr/lib/systemd/system";

fn units() -> Lab {
    let file = |name: &str| format!("{DIR}/{name}");
    let mut lab = Lab::new(&[("/usr/lib/systemd/systemd", "")]);
    lab.file(&file("daemon.service"), DAEMON);
    lab.file(&file("side.socket"), SIDE);
    lab.file(&file("side.service"), "[Service]\nExecStart=/bin/true\n");
    lab.file(&file("fixed.service"), "[Service]\nExecStart=/bin/true\n");
    lab.file(
        &file("tty@.service"),
        "[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\nDefaultInstance=one\n",
    );
    lab
}

#[test]
fn units_are_enabled_as_systemctl_enables_them() {
    let json = r#"{"services": {"enable": ["daemon", "tty@.service", "tty@two.service"]}}"#;
    let done = configured(units(), json, "linux.services");
    // The same, done by systemctl in a directory of its own.
    let dir = tempfile::tempdir().unwrap();
    for name in ["daemon.service", "side.socket", "side.service", "tty@.service"] {
        done.put(&format!("{DIR}/{name}"), dir.path());
    }
    let root = format!("--root={}", dir.path().display());
    oracle::ok(
        "systemctl",
        &[
            &root,
            "enable",
            "daemon.service",
            "tty@.service",
            "tty@two.service",
        ],
    );
    let base = "etc/systemd/system";
    let found = oracle::ok(
        "find",
        &[
            dir.path().join(base).to_str().unwrap(),
            "-type",
            "l",
            "-printf",
            "%P\n",
        ],
    );
    let mut links: Vec<&str> = found.lines().collect();
    links.sort_unstable();
    assert_eq!(links.len(), 6, "{links:?}");
    for link in links {
        let theirs = std::fs::read_link(dir.path().join(base).join(link)).unwrap();
        let ours = done.target(&format!("/{base}/{link}"));
        assert_eq!(ours.as_deref(), theirs.to_str(), "{link}");
    }
    let changes = done.proposal.drafted.changes();
    assert_eq!(changes.len(), 6, "{changes:#?}");
}

#[test]
fn units_are_disabled_and_masked() {
    let mut lab = units();
    lab.link(
        "/etc/systemd/system/multi-user.target.wants/daemon.service",
        "/usr/lib/systemd/system/daemon.service",
    );
    lab.link(
        "/etc/systemd/system/other.service",
        "/usr/lib/systemd/system/daemon.service",
    );
    let json = r#"{"services": {"disable": ["daemon"], "mask": ["fixed.service"]}}"#;
    let done = configured(lab, json, "linux.services");
    assert_eq!(
        done.target("/etc/systemd/system/multi-user.target.wants/daemon.service"),
        None
    );
    assert_eq!(done.target("/etc/systemd/system/other.service"), None);
    assert_eq!(
        done.target("/etc/systemd/system/fixed.service").as_deref(),
        Some("/dev/null")
    );
}

#[test]
fn units_that_cannot_be_enabled_are_told() {
    let mut lab = units();
    lab.link("/etc/systemd/system/side.service", "/dev/null");
    let json = r#"{"services": {"enable": ["none", "side.service", "fixed", "a/../b"]}}"#;
    let done = configured(lab, json, "linux.services");
    assert!(done.proposal.drafted.changes().is_empty());
    done.says(Outcome::Blocked, "there is no such unit");
    done.says(Outcome::Blocked, "it is masked");
    done.says(Outcome::Warn, "fixed.service cannot be enabled: it is static");
    done.says(Outcome::Blocked, "cannot be the name of a unit");
    units().fix("linux.services").left("no services are configured");
}

#[test]
fn network_files_are_put_where_they_are_read() {
    let mut lab = units();
    lab.file(
        &format!("{DIR}/systemd-networkd.service"),
        "[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n",
    );
    let json = r#"{"network": {"network_files": [{"name": "lan", "priority": 5, "content": "[Match]\nName=ens192\n"}, {"name": "br0", "type": "netdev", "content": "[NetDev]\n"}],
        "nm_connections": [{"name": "lan", "content": "[connection]\n"}], "enable_networkd": true}}"#;
    let done = configured(lab, json, "linux.network-files");
    assert_eq!(
        done.text("/etc/systemd/network/05-lan.network").as_deref(),
        Some("[Match]\nName=ens192\n")
    );
    assert_eq!(
        done.text("/etc/systemd/network/50-br0.netdev").as_deref(),
        Some("[NetDev]\n")
    );
    assert_eq!(
        done.owner("/etc/NetworkManager/system-connections/lan.nmconnection"),
        (0o600, 0, 0)
    );
    assert!(
        done.target("/etc/systemd/system/multi-user.target.wants/systemd-networkd.service")
            .is_some()
    );
    let bad = r#"{"network": {"nm_connections": [{"name": "../../x", "content": ""}]}}"#;
    configured(units(), bad, "linux.network-files").says(Outcome::Blocked, "cannot be the name of a file");
    units()
        .fix("linux.network-files")
        .left("no files for the network");
}
