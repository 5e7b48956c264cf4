//! find, tree, stat, checksum, du and df against the tools of the host on a kernel mount.

use super::{ALONE, ext4_of, linux, mounted};
use crate::run::{bytes, run};
use h2k_testkit::oracle;

#[test]
fn find_finds_what_gnu_find_finds() {
    let dir = linux();
    let kernel = mounted(dir.path());
    for (ours, theirs) in [
        (&[][..], &[][..]),
        (&["--type", "f"], &["-type", "f"]),
        (&["--type", "l", "--name", "*e*"], &["-type", "l", "-name", "*e*"]),
        (
            &["--type", "d", "--max-depth", "1"],
            &["-maxdepth", "1", "-type", "d"],
        ),
        (&["--name", "star\\*\\[x]"], &["-name", "star\\*\\[x]"]),
        (&["--name", "[!a-z]*"], &["-name", "[!a-z]*"]),
        (&["--iname", "CASE"], &["-iname", "CASE"]),
        (&["--name", "-*"], &["-name", "-*"]),
        (&["--size", "+100K"], &["-type", "f", "-size", "+102400c"]),
        (&["--size", "-9"], &["-type", "f", "-size", "-9c"]),
        (&["--size", "8"], &["-type", "f", "-size", "8c"]),
        (&["--path", "*/log/*"], &["-path", "*/log/*"]),
        (&["--type", "c"], &["-type", "c"]),
    ] {
        let args = [&["find", "-0"][..], &ALONE, ours, &["sda.img:/"]].concat();
        let out = bytes(dir.path(), &args);
        let mut ours: Vec<&[u8]> = out.split(|b| *b == 0).filter(|p| !p.is_empty()).collect();
        ours.sort();
        // In its own words: paths from the mount, which has no name in the guest.
        let script = "cd \"$1\" && shift && LC_ALL=C find . \"$@\" -print0";
        let mut args = vec![
            "-c".into(),
            script.into(),
            "sh".into(),
            kernel.path().as_os_str().to_owned(),
        ];
        args.extend(theirs.iter().map(Into::into));
        let found = oracle::run("sh", &args);
        assert!(found.status.success(), "{found:?}");
        let mut want: Vec<Vec<u8>> = found
            .stdout
            .split(|b| *b == 0)
            .filter_map(|p| p.strip_prefix(b"."))
            .map(|p| if p.is_empty() { b"/".to_vec() } else { p.to_vec() })
            .collect();
        want.sort();
        assert_eq!(ours, want, "{theirs:?}");
    }
}

#[test]
fn checksums_are_those_sha256sum_makes_and_checks() {
    let dir = linux();
    let kernel = mounted(dir.path());
    let args = [&["checksum", "-r"][..], &ALONE, &["sda.img:/"]].concat();
    let sums = bytes(dir.path(), &args);
    let mut lines: Vec<&[u8]> = sums.split(|b| *b == b'\n').filter(|l| !l.is_empty()).collect();
    lines.sort();
    let script = "cd \"$1\" && find . -type f -print0 | xargs -0 sha256sum | sed 's|  ./|  /|'";
    let args = [
        "-c".as_ref(),
        script.as_ref(),
        "sh".as_ref(),
        kernel.path().as_os_str(),
    ];
    let theirs = oracle::run("sh", &args).stdout;
    let mut want: Vec<&[u8]> = theirs.split(|b| *b == b'\n').filter(|l| !l.is_empty()).collect();
    want.sort();
    assert!(want.len() > 20);
    assert_eq!(lines, want);
    // And BLAKE3 of the same, in the order of the names.
    let args = [
        &["checksum", "-r", "--kind", "blake3", "--json"][..],
        &ALONE,
        &["sda.img:/etc"],
    ]
    .concat();
    let json = run(dir.path(), &args).good().json();
    let files = json["files"].as_array().unwrap();
    assert_eq!(files.len(), 3);
    assert_eq!(files[1]["name"], "/etc/hostname");
    assert_eq!(
        files[1]["value"],
        h2k_testkit::hash::hex(blake3::hash(b"fixture\n").as_bytes())
    );
}

#[test]
fn a_large_file_has_the_checksum_of_its_content_with_holes_and_all() {
    let dir = linux();
    let tree = dir.path().join("tree");
    std::fs::create_dir(&tree).unwrap();
    crate::run::raw_disk(&tree.join("large"), 40 << 20, 3_000_000, 7);
    let image = dir.path().join("large.img");
    ext4_of(&tree, &image, "64M");
    let want = oracle::ok("sha256sum", &[tree.join("large")]);
    let ours = run(dir.path(), &["checksum", "large.img:/large"]).good().out;
    assert_eq!(ours.split(' ').next(), want.split(' ').next());
    assert!(ours.ends_with("  /large\n"), "{ours}");
}

#[test]
fn du_and_df_count_what_the_kernel_counts() {
    let dir = linux();
    let kernel = mounted(dir.path());
    for (option, flag) in [("--apparent-size", "-b"), ("--bytes", "-B1")] {
        let args = [&["du", "--bytes", option][..], &ALONE, &["sda.img:/"]].concat();
        let args: Vec<&str> = args
            .into_iter()
            .enumerate()
            .filter(|(i, a)| *i < 2 || *a != "--bytes")
            .map(|(_, a)| a)
            .collect();
        let ours = run(dir.path(), &args).good().out;
        let script = "cd \"$1\" && du $2 . | sed 's|\\t\\.$|\\t/|; s|\\t\\./|\\t/|'";
        let args = [
            "-c".as_ref(),
            script.as_ref(),
            "sh".as_ref(),
            kernel.path().as_os_str(),
            flag.as_ref(),
        ];
        let theirs = oracle::ok("sh", &args);
        let sorted = |text: &str| {
            let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
            lines.sort();
            lines
        };
        let theirs = match flag {
            // GNU du takes the size of a directory for nothing, from version 9.2 on; ours is what stat says.
            "-b" if !same_directories(kernel.path()) => continue,
            _ => theirs,
        };
        assert_eq!(sorted(&ours), sorted(&theirs), "{option}");
    }
    let json = run(dir.path(), &["df", "--json", "sda.img"]).good().json();
    let root = json["filesystems"]
        .as_array()
        .unwrap()
        .iter()
        .find(|f| f["source"] == "/dev/sda2")
        .unwrap()
        .clone();
    let script = "stat -f -c '%b %f %S %c %d' \"$1\"";
    let args = [
        "-c".as_ref(),
        script.as_ref(),
        "sh".as_ref(),
        kernel.path().as_os_str(),
    ];
    let said = oracle::ok("sh", &args);
    let n: Vec<u64> = said.split_whitespace().map(|n| n.parse().unwrap()).collect();
    assert_eq!(root["size"], n[0] * n[2]);
    assert_eq!(root["free"], n[1] * n[2]);
    assert_eq!(
        (root["nodes"].as_u64(), root["nodes-free"].as_u64()),
        (Some(n[3]), Some(n[4]))
    );
}

/// Whether this `du` counts the size of a directory.
fn same_directories(mount: &std::path::Path) -> bool {
    let said = oracle::ok("du", &["-bs".as_ref(), mount.join("links").as_os_str()]);
    !said.starts_with('0')
}

#[test]
fn stat_tells_everything_and_tree_draws_it() {
    let dir = linux();
    let json = run(
        dir.path(),
        &["stat", "-q", "--json", "sda.img:/etc/hostname", ":/bin"],
    )
    .good()
    .json();
    let one = &json["files"][0];
    assert_eq!(
        (one["source"].as_str(), one["mode"].as_str()),
        (Some("/dev/sda2"), Some("0644"))
    );
    assert_eq!(one["xattrs"][0]["name"], "user.bytes");
    assert_eq!(one["xattrs"][1]["value"], "hello world");
    assert_eq!(json["files"][1]["target"], "usr/bin");
    assert_eq!(json["files"][1]["real-path"], "/bin");
    let text = run(dir.path(), &["stat", "-q", "-L", "sda.img:/links/climb"])
        .good()
        .out;
    assert!(
        text.contains("real path  /etc/hostname") && text.contains("size       8"),
        "{text}"
    );
    let tree = run(dir.path(), &["tree", "-q", "sda.img:/home"]).good().out;
    assert_eq!(
        tree,
        "/home\n├── one\n├── private\n└── two\n\n1 directories, 2 files\n"
    );
    let tree = run(dir.path(), &["tree", "-q", "-d", "-L", "1", "sda.img:/boot"])
        .good()
        .out;
    assert_eq!(tree, "/boot\n└── efi\n\n1 directories, 0 files\n");
}
