use super::linux;
use crate::run::{bytes, run};
use serde_json::Value;

const BOTH: [&str; 4] = ["-a", "sda.img", "-a", "sdb.img"];

fn on_both<'a>(command: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&[command][..], &BOTH, more].concat()
}

#[test]
fn partitions_are_shown_with_types_names_and_flags() {
    let dir = linux();
    let ran = run(dir.path(), &["partitions", "sda.img", "sdb.img"]).good();
    for part in [
        "/dev/sda1",
        "EFI System",
        "vfat",
        "legacy-boot",
        "/dev/sdb",
        "sdb.img",
        "Linux root (x86-64)",
    ] {
        assert!(ran.out.contains(part), "{part}: {ran:?}");
    }
    let json = run(dir.path(), &["partitions", "--json", "sda.img", "sdb.img"])
        .good()
        .json();
    let all = json["devices"].as_array().unwrap();
    assert_eq!(all.len(), 4);
    assert_eq!(all[0]["table"]["scheme"], "gpt");
    let root = all.iter().find(|d| d["device"] == "/dev/sda2").unwrap();
    assert_eq!(root["partition"]["uuid"], "00000000-0000-4000-8000-00000000000c");
    assert_eq!(root["partition"]["flags"], serde_json::json!(["legacy-boot"]));
    assert_eq!(root["partition"]["start"], 2 << 20);
    assert_eq!(root["below"][0], "/dev/sda");
    assert_eq!(root["holds"]["type"], "ext4");
}

#[test]
fn filesystems_are_shown_with_the_mount_points_of_the_guest() {
    let dir = linux();
    let json = run(dir.path(), &["filesystems", "--json", "sda.img", "sdb.img"])
        .good()
        .json();
    let mut points: Vec<(String, String)> = json["filesystems"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| {
            (
                f["source"].as_str().unwrap().into(),
                f["mount-points"][0].as_str().unwrap().into(),
            )
        })
        .collect();
    points.sort();
    let want = [
        ("/dev/sda1", "/boot/efi"),
        ("/dev/sda2", "/"),
        ("/dev/sdb", "/srv"),
    ];
    assert_eq!(points, want.map(|(a, b)| (a.to_owned(), b.to_owned())));
    let text = run(dir.path(), &["filesystems", "sda.img", "sdb.img"]).good().out;
    assert!(text.contains("c0ffee00-0000-4000-8000-000000000001"), "{text}");
}

#[test]
fn filesystems_are_checked_as_their_own_fsck_would() {
    let dir = tempfile::tempdir().unwrap();
    let tree = dir.path().join("tree");
    std::fs::create_dir(&tree).unwrap();
    std::fs::write(tree.join("file"), "content").unwrap();
    let image = dir.path().join("data.img");
    super::ext4_of(&tree, &image, "8M");
    let check = || run(dir.path(), &["filesystems", "--check", "--json", "data.img"]);
    let debugfs = |command: &str| {
        h2k_testkit::oracle::ok("debugfs", &["-w", "-R", command, image.to_str().unwrap()]);
    };
    let clean = check().good().json();
    assert_eq!(clean["checks"][0]["clean"], true, "{clean}");
    let none = run(dir.path(), &["filesystems", "--json", "data.img"])
        .good()
        .json();
    assert!(none["checks"].is_null());
    debugfs("setb 1700");
    let leaked = check();
    assert_eq!(
        (leaked.code, leaked.json()["checks"][0]["leaks"].as_u64()),
        (3, Some(1))
    );
    debugfs("set_inode_field /file links_count 7");
    let damaged = check();
    let found = damaged.json()["checks"][0]["findings"].to_string();
    assert_eq!(damaged.code, 4);
    assert!(found.contains("7 links, counted 1"), "{found}");
    let text = run(dir.path(), &["filesystems", "--check", "data.img"]);
    assert_eq!(text.code, 4);
    assert!(text.out.contains("/dev/sda: 1 error, 1 leaked place"), "{text:?}");
}

#[test]
fn a_guest_is_put_together_and_listed_by_path() {
    let dir = linux();
    let names = |args: &[&str]| run(dir.path(), args).good().out;
    assert_eq!(names(&["ls", "sda.img:/boot/efi/EFI/boot"]), "BOOTX64.EFI\n");
    assert_eq!(names(&on_both("ls", &["/srv/pub"])), "index\nup\n");
    assert_eq!(names(&["ls", "sda.img:/home/private"]), "");
    assert_eq!(names(&["ls", "-A", "sda.img:/home/private"]), ".hidden\n");
    assert_eq!(names(&["ls", "sda.img:/bin"]), "hello\n");
    assert_eq!(
        names(&["ls", "sda.img"]),
        "bin\nboot\ndev\netc\nhome\nlinks\nlost+found\nodd\nsparse\nsrv\nusr\nvar\n"
    );
    // One disk of two: what is missing is said, and the rest is there.
    let ran = run(dir.path(), &["ls", "sda.img:/etc"]).good();
    assert!(ran.err.contains("LABEL=data is not mounted on /srv"), "{ran:?}");
    assert_eq!(run(dir.path(), &["ls", "-q", "sda.img:/etc"]).good().err, "");
}

#[test]
fn a_long_list_has_modes_owners_devices_and_targets() {
    let dir = linux();
    let out = run(
        dir.path(),
        &[
            "ls",
            "-l",
            "sda.img:/dev",
            "sda.img:/home",
            ":/usr/bin",
            ":/links",
        ],
    )
    .good()
    .out;
    for line in [
        "crw-r--r-- 1 0 0 1, 5 2025-06-15 12:00:00 zero",
        "-rw-r----- 3 1000 1001    6 2025-06-15 12:00:00 one",
        "-rwsr-xr-x 1 0 0 21 2025-06-15 12:00:00 hello",
        "2025-06-15 12:00:00 climb -> ../../../../../../etc/hostname",
    ] {
        assert!(out.contains(line), "{line}:\n{out}");
    }
    assert!(out.contains("/home:\n"), "{out}");
}

#[test]
fn links_are_followed_inside_the_guest_and_never_to_the_host() {
    let dir = linux();
    for link in ["climb", "absolute", "relative"] {
        let path = format!("sda.img:/links/{link}");
        assert_eq!(run(dir.path(), &["cat", &path]).good().out, "fixture\n");
    }
    assert_eq!(
        run(dir.path(), &on_both("cat", &["/srv/pub/up"])).good().out,
        "fixture\n"
    );
    for (path, code, says) in [
        ("sda.img:/links/loop-a", 1, "more than 40 symbolic links"),
        (
            "sda.img:/links/device",
            2,
            "/links/device is a device, a pipe or a socket",
        ),
        (
            "sda.img:/dev/pipe",
            2,
            "/dev/pipe is a device, a pipe or a socket",
        ),
        (
            "sda.img:/links/dangling",
            1,
            "there is no /links/dangling in this guest",
        ),
        ("sda.img:/links/root", 2, "/links/root is a directory"),
        (
            "sda.img:/etc/fstab/x",
            1,
            "there is no /etc/fstab/x in this guest",
        ),
    ] {
        let ran = run(dir.path(), &["cat", "-q", path]);
        assert_eq!((ran.code, ran.out.as_str()), (code, ""), "{path}: {ran:?}");
        assert!(ran.err.contains(says), "{path}: {ran:?}");
    }
}

#[test]
fn odd_names_come_out_as_the_bytes_they_are_and_json_tells_them_apart() {
    let dir = linux();
    let out = bytes(dir.path(), &["ls", "sda.img:/odd"]);
    for name in [
        &b"line\nend\n"[..],
        b"not-utf8-\xff\xfe\n",
        b"-dash\n",
        b"esc\x1b[31m\n",
        b" blank \n",
        b"back\\slash\n",
    ] {
        assert!(out.windows(name.len()).any(|w| w == name), "{name:?}");
    }
    let json = run(dir.path(), &["ls", "--json", "sda.img:/odd"]).good().json();
    let entries = json["listings"][0]["entries"].as_array().unwrap();
    assert_eq!(entries.len(), 11);
    let odd: Vec<&Value> = entries.iter().filter(|e| !e["name-bytes"].is_null()).collect();
    assert_eq!(odd.len(), 1);
    assert_eq!(odd[0]["name-bytes"], "6e6f742d757466382dfffe");
    assert!(entries.iter().any(|e| e["name"].as_str().unwrap().len() == 255));
    // And back in: the name as an argument.
    use std::os::unix::ffi::OsStrExt;
    let path = std::ffi::OsStr::from_bytes(b"sda.img:/odd/not-utf8-\xff\xfe");
    assert_eq!(bytes(dir.path(), &["cat".as_ref(), path]), b"not-utf8-\xff\xfe");
    let json = run(dir.path(), &["cat".as_ref(), "--json".as_ref(), path])
        .good()
        .json();
    assert_eq!(json["files"][0]["content-bytes"], "6e6f742d757466382dfffe");
    assert_eq!(json["files"][0]["content"], Value::Null);
}

#[test]
fn a_terminal_is_not_commanded_by_names() {
    let dir = linux();
    let line = format!("{} ls sda.img:/odd", env!("CARGO_BIN_EXE_hyper2kvm"));
    let out = std::process::Command::new("script")
        .args(["-qec", &line, "/dev/null"])
        .current_dir(dir.path())
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8(out.stdout).unwrap();
    assert!(!text.contains("\x1b[31m"), "{text:?}");
    assert!(
        text.contains("esc\\u{1b}[31m")
            && text.contains("not-utf8-\\xff\\xfe")
            && text.contains("line\\nend")
    );
}

#[test]
fn mounts_are_chosen_in_guestfishs_way() {
    let dir = linux();
    let args = on_both("ls", &["-m", "/dev/sdb", "-m", "/dev/sda1:/pub", "/pub"]);
    assert_eq!(run(dir.path(), &args).good().out, "EFI\n");
    let ran = run(dir.path(), &["ls", "--mount", "/dev/sda7:/", "sda.img:/"]);
    assert_eq!(ran.code, 1);
    assert!(
        ran.err.contains("there is no device /dev/sda7") && ran.err.contains("/dev/sda2"),
        "{ran:?}"
    );
    let ran = run(dir.path(), &["ls", "-m", "/dev/sda1:/boot", "sda.img:/"]);
    assert!(
        ran.code == 2 && ran.err.contains("nothing is mounted at /"),
        "{ran:?}"
    );
    // A data disk has a root without being asked.
    assert_eq!(
        run(dir.path(), &["ls", "sdb.img:"]).good().out,
        "lost+found\npub\n"
    );
}

#[test]
fn several_systems_are_a_question_that_names_the_answers() {
    let dir = linux();
    let ran = run(dir.path(), &["ls", "-a", "sda.img", "-a", "sda.img", "/"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(
        ran.err
            .contains("/dev/sda2 (Fixture Linux 1), /dev/sdb2 (Fixture Linux 1)"),
        "{ran:?}"
    );
    assert!(ran.err.contains("--root /dev/sda2"), "{ran:?}");
    let args = [
        "cat",
        "-q",
        "-a",
        "sda.img",
        "-a",
        "sda.img",
        "--root",
        "/dev/sdb2",
        "/etc/hostname",
    ];
    assert_eq!(run(dir.path(), &args).good().out, "fixture\n");
}

#[test]
fn what_is_not_there_is_named_and_nothing_is_printed() {
    let dir = linux();
    for (args, code, says) in [
        (&["ls", "none.img:/etc"][..], 1, "none.img does not exist"),
        (&["ls", ":/etc"], 2, "no disk is named"),
        (&["cat", "sda.img:/etc/fstab", "sdb.img:/x"], 2, "two guests"),
        (&["cat", "sda.img:/etc/fstab", ":/gone"], 1, "there is no /gone"),
        (
            &["ls", "--key", "secret", "sda.img:"],
            2,
            "--key takes DEVICE:file:PATH",
        ),
        (
            &["ls", "--key", "/dev/sda2:env:NO_SUCH", "sda.img:"],
            2,
            "no environment variable NO_SUCH",
        ),
    ] {
        let ran = run(dir.path(), args);
        assert_eq!((ran.code, ran.out.as_str()), (code, ""), "{args:?}: {ran:?}");
        assert!(ran.err.contains(says), "{args:?}: {ran:?}");
    }
    let json = run(dir.path(), &["cat", "--json", "sda.img:/gone"]).json();
    assert_eq!(json["error"]["class"], "not-found");
}

#[test]
fn a_disc_of_files_has_a_root_without_being_asked() {
    let dir = tempfile::tempdir().unwrap();
    let tree = dir.path().join("tree");
    std::fs::create_dir_all(tree.join("drivers")).unwrap();
    std::fs::write(tree.join("drivers/NetKVM.inf"), "driver").unwrap();
    let iso = dir.path().join("disc.iso");
    let args = [
        "-as",
        "mkisofs",
        "-quiet",
        "-R",
        "-o",
        iso.to_str().unwrap(),
        tree.to_str().unwrap(),
    ];
    h2k_testkit::oracle::ok("xorriso", &args);
    assert_eq!(
        run(dir.path(), &["cat", "disc.iso:/drivers/NetKVM.inf"])
            .good()
            .out,
        "driver"
    );
    let text = run(dir.path(), &["filesystems", "disc.iso"]).good().out;
    assert!(text.contains("iso9660"), "{text}");
}

#[test]
fn a_path_given_as_a_disk_is_told_apart() {
    let dir = linux();
    let ran = run(dir.path(), &["ls", "-a", "sda.img:/etc"]);
    assert!(ran.code == 2 && ran.err.contains("-A"), "{ran:?}");
}
