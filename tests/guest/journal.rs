//! `journal` and the offline forms of timedatectl and its kin, on a guest that mkfs made.

use crate::run::run;
use h2k_testkit::oracle;
use std::path::Path;

/// A system with the journals of the repository on an ext4 of its own: the disk, and the journal's directory.
fn guest(dir: &Path) -> (String, String) {
    let root = dir.join("root");
    let home = root.join("var/log/journal/00112233445566778899aabbccddeeff");
    for sub in ["etc", "bin", "sbin", "usr/bin", "usr/share/zoneinfo/Europe"] {
        std::fs::create_dir_all(root.join(sub)).unwrap();
    }
    std::fs::create_dir_all(&home).unwrap();
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/journal/systemd");
    for (name, place) in [
        ("compact", "system.journal"),
        ("small-plain", "user-1000.journal"),
    ] {
        let packed = std::fs::read(fixtures.join(format!("{name}.journal.zst"))).unwrap();
        std::fs::write(home.join(place), h2k_testkit::corpus::unzstd(&packed)).unwrap();
    }
    std::fs::write(
        root.join("etc/os-release"),
        "ID=debian\nPRETTY_NAME=\"Debian 12\"\n",
    )
    .unwrap();
    std::fs::write(root.join("etc/fstab"), "/dev/sda / ext4 defaults 0 1\n").unwrap();
    std::fs::write(root.join("etc/hostname"), "web01\n").unwrap();
    std::fs::write(root.join("etc/adjtime"), "0 0 0\n0\nLOCAL\n").unwrap();
    std::fs::write(root.join("etc/locale.conf"), "LANG=de_DE.UTF-8\n").unwrap();
    std::fs::copy(
        "/usr/share/zoneinfo/Europe/Berlin",
        root.join("usr/share/zoneinfo/Europe/Berlin"),
    )
    .unwrap();
    std::os::unix::fs::symlink("../usr/share/zoneinfo/Europe/Berlin", root.join("etc/localtime")).unwrap();
    let disk = dir.join("disk.img");
    std::fs::File::create(&disk).unwrap().set_len(32 << 20).unwrap();
    let args = ["-q", "-F", "-d", root.to_str().unwrap(), disk.to_str().unwrap()];
    oracle::ok("mkfs.ext4", &args);
    ("disk.img".to_owned(), home.to_str().unwrap().to_owned())
}

#[test]
fn queries_print_what_journalctl_prints() {
    let dir = tempfile::tempdir().unwrap();
    let (disk, home) = guest(dir.path());
    for args in [
        &[][..],
        &["-o", "short-iso", "-r"],
        &["-p", "err", "-n", "5"],
        &["-b", "-p", "2..4"],
        &["-S", "2023-11-14 22:13:25"],
        &["-U", "2023-11-14 22:13:25", "-o", "short-precise"],
        &["-u", "net.service", "-o", "short-full"],
        &["-g", "message [0-9]*7$", "-o", "cat"],
        &["-o", "short-unix", "-n", "3", "-r"],
    ] {
        let ours = run(
            dir.path(),
            &[&["-q", "journal", "query"], args, &[disk.as_str()]].concat(),
        )
        .good();
        let fixed = ["-D", &home, "--utc", "--no-pager", "--quiet"];
        let theirs = oracle::run("journalctl", &[&fixed, args].concat());
        assert_eq!(ours.out, String::from_utf8_lossy(&theirs.stdout), "{args:?}");
        assert!(
            args.contains(&"net.service") || !ours.out.is_empty(),
            "{args:?} chooses nothing"
        );
    }
    let ours = run(dir.path(), &["journal", "query", "-n", "60", &disk])
        .good()
        .out;
    assert!(
        ours.contains("\n-- Boot b2000000000000000000000000000000 --\n"),
        "{ours}"
    );
    let local = run(
        dir.path(),
        &["journal", "query", "--local", "-n", "1", "-o", "short-iso", &disk],
    );
    assert!(local.good().out.starts_with("2023-11-14T23:13:30+0100 "));
    let first = run(
        dir.path(),
        &[
            "journal",
            "query",
            "--match",
            "PRIORITY=0",
            "--match",
            "+",
            "--match",
            "PRIORITY=7",
            &disk,
        ],
    );
    let theirs = oracle::run(
        "journalctl",
        &["-D", &home, "--utc", "PRIORITY=0", "+", "PRIORITY=7"],
    );
    assert_eq!(first.good().out, String::from_utf8_lossy(&theirs.stdout));
    let ran = run(dir.path(), &["journal", "query", "-g", "(", &disk]);
    assert_eq!(ran.code, 2, "{ran:?}");
}

#[test]
fn boots_failures_and_start_up_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let (disk, home) = guest(dir.path());
    let ask = |args: &[&str]| run(dir.path(), &[&["journal"], args, &[disk.as_str()]].concat());
    let boots = ask(&["boots", "--json"]).good().json();
    let ids: Vec<&str> = boots["boots"]
        .as_array()
        .unwrap()
        .iter()
        .map(|b| b["boot"].as_str().unwrap())
        .collect();
    let theirs = oracle::run("journalctl", &["-D", &home, "--list-boots", "--utc"]).stdout;
    let theirs = String::from_utf8_lossy(&theirs).into_owned();
    assert_eq!(ids.len(), 2);
    assert!(ids.iter().all(|id| theirs.contains(id)), "{theirs}");
    assert!(
        ask(&["failed", "-b=1"])
            .good()
            .out
            .contains("net.service  exit-code")
    );
    assert!(ask(&["startup", "-b=1"]).good().out.contains("= 46us"));
    assert!(ask(&["startup", "--svg"]).good().out.starts_with("<svg"));
    assert!(ask(&["verify"]).good().out.starts_with("PASS"));
    assert!(ask(&["disk-usage"]).good().out.starts_with("2 journal files"));
    let cursor = ask(&["cursor"]).good().out;
    let theirs = oracle::run("journalctl", &["-D", &home, "-n", "1", "--show-cursor", "-q"]).stdout;
    assert!(
        String::from_utf8_lossy(&theirs).contains(cursor.trim()),
        "{cursor}"
    );
    let export = ask(&["export", "--json"]).good().json();
    assert_eq!(export["entries"].as_array().unwrap().len(), 84);
    assert_eq!(ask(&["errors", "-q", "-n", "3"]).good().out.lines().count(), 3);
    assert!(ask(&["warnings"]).good().out.contains("message 4\n"));
}

#[test]
fn a_guest_without_a_journal_shows_its_text_logs_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let (disk, home) = guest(dir.path());
    let disk_path = dir.path().join(&disk);
    for name in ["system.journal", "user-1000.journal"] {
        let place = home.split_once("/root").unwrap().1;
        let command = format!("rm {place}/{name}");
        oracle::ok("debugfs", &["-w", "-R", &command, disk_path.to_str().unwrap()]);
    }
    let ran = run(dir.path(), &["journal", "query", &disk]);
    assert!(ran.code == 1 && ran.err.contains("no journal files"), "{ran:?}");
    std::fs::write(dir.path().join("log"), "Nov 14 22:13:20 web01 sshd[1]: hello\n").unwrap();
    let command = format!("write {} /var/log/syslog", dir.path().join("log").display());
    oracle::ok("debugfs", &["-w", "-R", &command, disk_path.to_str().unwrap()]);
    let ran = run(dir.path(), &["journal", "query", "-g", "HELLO|hello", &disk]).good();
    assert_eq!(ran.out, "Nov 14 22:13:20 web01 sshd[1]: hello\n");
    assert!(ran.err.contains("there is no journal"), "{ran:?}");
    assert_eq!(
        run(dir.path(), &["journal", "query", "-u", "sshd", &disk]).code,
        1
    );
}

#[test]
fn clock_names_and_language_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let (disk, _) = guest(dir.path());
    let ask = |args: &[&str]| {
        run(dir.path(), &[&["systemd"], args, &[disk.as_str()]].concat())
            .good()
            .out
    };
    assert_eq!(
        ask(&["timedate", "show"]),
        "Timezone=Europe/Berlin\nLocalRTC=yes\nCanNTP=no\nNTP=no\n"
    );
    assert_eq!(ask(&["hostname", "hostname"]), "web01\n");
    assert!(ask(&["hostname", "status"]).contains("Debian 12"));
    assert_eq!(ask(&["locale", "show"]), "Locale=LANG=de_DE.UTF-8\n");
    assert!(ask(&["login", "list-sessions"]).starts_with("SESSION"));
    let facts = run(
        dir.path(),
        &["inspect", "--json", "--only", "locale,journal", &disk],
    )
    .good()
    .json();
    let system = &facts["systems"][0];
    assert_eq!(system["locale"]["time-zone"]["value"], "Europe/Berlin");
    assert_eq!(system["journal"]["boots-total"], 2);
}
