//! Parents: found, refused, missing, kept, flattened.

use crate::run::{raw_disk, run};
use h2k_testkit::oracle;
use std::path::Path;

fn qemu(dir: &Path, args: &[&str]) {
    let out = std::process::Command::new("qemu-img")
        .args(args)
        .current_dir(dir)
        .output()
        .unwrap();
    assert!(out.status.success(), "qemu-img {args:?}: {out:?}");
}

fn write(dir: &Path, image: &str, command: &str) {
    let out = std::process::Command::new("qemu-io")
        .args(["-f", "qcow2", "-c", command, image])
        .current_dir(dir)
        .output();
    let out = out.unwrap();
    assert!(out.status.success(), "qemu-io {command}: {out:?}");
}

/// base.raw, middle.qcow2 over it, top.qcow2 over that; each with something of its own.
fn chain(dir: &Path) {
    raw_disk(&dir.join("base.raw"), 8 << 20, 1 << 20, 1);
    qemu(
        dir,
        &[
            "create",
            "-q",
            "-f",
            "qcow2",
            "-b",
            "base.raw",
            "-F",
            "raw",
            "middle.qcow2",
        ],
    );
    write(dir, "middle.qcow2", "write -P 2 1M 300k");
    write(dir, "middle.qcow2", "write -z 4M 64k");
    qemu(
        dir,
        &[
            "create",
            "-q",
            "-f",
            "qcow2",
            "-o",
            "cluster_size=4k",
            "-b",
            "middle.qcow2",
            "-F",
            "qcow2",
            "top.qcow2",
        ],
    );
    write(dir, "top.qcow2", "write -P 3 1100k 5000");
    write(dir, "top.qcow2", "write -z 3M 12k");
    write(dir, "top.qcow2", "discard 3200k 64k");
}

#[test]
fn a_chain_is_shown_flattened_and_mapped() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    chain(dir);
    let json = run(dir, &["info", "--json", "top.qcow2"]).good().json();
    assert_eq!(json["parent"]["filename"], "middle.qcow2");
    assert_eq!(json["parent"]["parent"]["filename"], "base.raw");
    assert_eq!(json["parent"]["parent"]["format"], "raw");
    let text = run(dir, &["info", "top.qcow2"]).good().out;
    assert!(
        text.contains("on top of middle.qcow2\n") && text.contains("on top of base.raw\n"),
        "{text}"
    );

    run(dir, &["convert", "-q", "--verify", "top.qcow2", "flat.qcow2"]).good();
    oracle::qemu_same(&dir.join("top.qcow2"), "qcow2", &dir.join("flat.qcow2"), "qcow2");
    assert_eq!(
        run(dir, &["info", "--json", "flat.qcow2"]).json()["parent"],
        serde_json::Value::Null
    );

    // Every run of the map is stored where qemu-img says it is.
    let ours = run(dir, &["map", "--json", "top.qcow2"]).good().json();
    let path = dir.join("top.qcow2");
    let args = ["map", "-f", "qcow2", "--output=json", path.to_str().unwrap()];
    let theirs: serde_json::Value = serde_json::from_str(&oracle::ok("qemu-img", &args)).unwrap();
    let at = |map: &serde_json::Value, byte: u64| {
        let runs = map.as_array().unwrap().iter();
        let run = runs
            .rev()
            .find(|r| r["start"].as_u64().unwrap() <= byte)
            .unwrap()
            .clone();
        let into = byte - run["start"].as_u64().unwrap();
        (
            run["data"].clone(),
            run["offset"]
                .as_u64()
                .map(|o| o + into)
                .filter(|_| run["data"] == true),
        )
    };
    for byte in (0..8 << 20).step_by(4096) {
        assert_eq!(at(&ours["extents"], byte), at(&theirs, byte), "at {byte:#x}");
    }
}

#[test]
fn a_kept_chain_stores_only_what_the_source_adds() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    chain(dir);
    for cluster in ["512", "4K", "64K", "2M"] {
        let args = [
            "convert",
            "--force",
            "--verify",
            "--backing",
            "--cluster-size",
            cluster,
            "top.qcow2",
            "thin.qcow2",
        ];
        let report = run(dir, &[&args[..], &["--json"]].concat()).good().json();
        assert_eq!(report["target-backing"], "middle.qcow2");
        oracle::qemu_same(&dir.join("top.qcow2"), "qcow2", &dir.join("thin.qcow2"), "qcow2");
        oracle::qemu_check(&dir.join("thin.qcow2"), "qcow2");
        let info = run(dir, &["info", "--json", "thin.qcow2"]).good().json();
        assert_eq!(info["parent"]["filename"], "middle.qcow2");
        let copied = report["bytes-copied"].as_u64().unwrap();
        assert!(
            copied <= 4 << 20,
            "{cluster}: {copied} bytes copied for 5000 stored"
        );
    }
    // Into another directory: the parent is still found, where the user allows it.
    std::fs::create_dir(dir.join("out")).unwrap();
    run(
        dir,
        &["convert", "-q", "--backing", "top.qcow2", "out/thin.qcow2"],
    )
    .good();
    oracle::qemu_same(
        &dir.join("top.qcow2"),
        "qcow2",
        &dir.join("out/thin.qcow2"),
        "qcow2",
    );
    let ran = run(dir, &["convert", "-q", "out/thin.qcow2", "x.raw"]);
    assert_eq!(ran.code, 1);
    assert!(
        ran.err.contains("class: refused") && ran.err.contains("--allow-dir"),
        "{ran:?}"
    );
    run(
        dir,
        &["convert", "-q", "--allow-dir", ".", "out/thin.qcow2", "x.raw"],
    )
    .good();
}

#[test]
fn a_converted_parent_can_be_named_and_a_wrong_one_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    chain(dir);
    run(dir, &["convert", "-q", "middle.qcow2", "new-base.qcow2"]).good();
    run(
        dir,
        &[
            "convert",
            "-q",
            "--verify",
            "--backing=new-base.qcow2",
            "top.qcow2",
            "thin.qcow2",
        ],
    )
    .good();
    oracle::qemu_same(&dir.join("top.qcow2"), "qcow2", &dir.join("thin.qcow2"), "qcow2");
    assert_eq!(
        run(dir, &["info", "--json", "thin.qcow2"]).json()["parent"]["filename"],
        "new-base.qcow2"
    );

    run(dir, &["create", "-q", "empty.qcow2", "8M"]).good();
    let ran = run(
        dir,
        &[
            "convert",
            "--verify",
            "--backing=empty.qcow2",
            "top.qcow2",
            "t.qcow2",
        ],
    );
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(
        ran.err
            .contains("empty.qcow2 differs from the source's parent middle.qcow2"),
        "{ran:?}"
    );
    run(dir, &["create", "-q", "small.qcow2", "1M"]).good();
    let ran = run(dir, &["convert", "--backing=small.qcow2", "top.qcow2", "t.qcow2"]);
    assert!(ran.err.contains("has another size"), "{ran:?}");
    let ran = run(dir, &["convert", "--backing", "base.raw", "t.qcow2"]);
    assert!(ran.err.contains("has no parent"), "{ran:?}");
    // Neither the source's chain nor the named parent can be the target.
    for target in ["base.raw", "middle.qcow2", "new-base.qcow2"] {
        let args = [
            "convert",
            "--force",
            "--to",
            "qcow2",
            "--backing=new-base.qcow2",
            "top.qcow2",
            target,
        ];
        let ran = run(dir, &args);
        assert_eq!(ran.code, 2, "{target}: {ran:?}");
        assert!(ran.err.contains("cannot be replaced"), "{ran:?}");
    }
}

#[test]
fn a_missing_parent_is_named_with_advice() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    chain(dir);
    std::fs::remove_file(dir.join("base.raw")).unwrap();
    let ran = run(dir, &["convert", "top.qcow2", "x.raw"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(
        ran.err
            .starts_with("error: top.qcow2 needs something that does not exist\n"),
        "{ran:?}"
    );
    assert!(
        ran.err.contains("base.raw") && ran.err.contains("try: "),
        "{ran:?}"
    );
    // What can be told without the parent is told.
    let ran = run(dir, &["info", "top.qcow2"]).good();
    assert!(ran.out.contains("middle.qcow2"), "{ran:?}");
    assert!(
        ran.err.contains("warning: ") && ran.err.contains("base.raw"),
        "{ran:?}"
    );
    let json = run(dir, &["info", "--json", "top.qcow2"]).good().json();
    assert_eq!(json["chain-error"]["class"], "not-found");
}

#[test]
fn protocol_parents_are_refused_and_unrecorded_formats_are_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    raw_disk(&dir.join("base.raw"), 1 << 20, 1000, 1);
    for parent in [
        "nbd://127.0.0.1:1/x",
        "json:{\"driver\":\"null-co\"}",
        "http://127.0.0.1/x",
    ] {
        qemu(
            dir,
            &[
                "create", "-q", "-u", "-f", "qcow2", "-b", parent, "-F", "raw", "c.qcow2", "1M",
            ],
        );
        let ran = run(dir, &["convert", "c.qcow2", "x.raw"]);
        assert_eq!(ran.code, 1, "{ran:?}");
        assert!(
            ran.err
                .starts_with("error: c.qcow2 names a file that may not be opened\n"),
            "{ran:?}"
        );
    }
    qemu(
        dir,
        &[
            "create", "-q", "-f", "qcow2", "-b", "base.raw", "-F", "raw", "c.qcow2",
        ],
    );
    // qemu-img no longer makes images without the extension that records the format; older ones did.
    let image = dir.join("c.qcow2");
    let mut bytes = std::fs::read(&image).unwrap();
    let at = bytes
        .windows(4)
        .position(|w| w == 0xe279_2aca_u32.to_be_bytes())
        .unwrap();
    bytes[at..at + 4].copy_from_slice(&0x1234_5678_u32.to_be_bytes());
    std::fs::write(&image, bytes).unwrap();
    let ran = run(dir, &["convert", "c.qcow2", "x.raw"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.err.contains("--backing-format"), "{ran:?}");
    run(
        dir,
        &["convert", "-q", "--backing-format", "raw", "c.qcow2", "x.raw"],
    )
    .good();
    oracle::qemu_same(&dir.join("base.raw"), "raw", &dir.join("x.raw"), "raw");
}

#[test]
fn a_new_disk_over_a_parent_shows_it() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    raw_disk(&dir.join("base.raw"), 1 << 20, 1000, 1);
    let args = [
        "create",
        "--backing",
        "base.raw",
        "--backing-format",
        "raw",
        "new.qcow2",
    ];
    let ran = run(dir, &args).good();
    assert!(ran.out.starts_with("new.qcow2: qcow2, 1 MiB"), "{ran:?}");
    oracle::qemu_same(&dir.join("base.raw"), "raw", &dir.join("new.qcow2"), "qcow2");
    oracle::qemu_check(&dir.join("new.qcow2"), "qcow2");
    let ran = run(
        dir,
        &[
            "create",
            "--backing",
            "none.raw",
            "--backing-format",
            "raw",
            "x.qcow2",
        ],
    );
    assert_eq!(ran.code, 1);
    assert!(!dir.join("x.qcow2").exists());
}

#[test]
fn snapshots_are_listed_and_read() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    raw_disk(&dir.join("a.raw"), 4 << 20, 1 << 20, 1);
    qemu(dir, &["convert", "-f", "raw", "-O", "qcow2", "a.raw", "a.qcow2"]);
    qemu(dir, &["snapshot", "-c", "before", "a.qcow2"]);
    write(dir, "a.qcow2", "write -P 9 0 4M");
    let text = run(dir, &["snapshot", "list", "a.qcow2"]).good().out;
    assert!(text.starts_with("ID  NAME") && text.contains("before"), "{text}");
    let json = run(dir, &["snapshot", "list", "--json", "a.qcow2"]).good().json();
    assert_eq!(json["snapshots"][0]["name"], "before");
    for which in ["before", "1"] {
        run(
            dir,
            &[
                "convert",
                "-q",
                "--force",
                "--snapshot",
                which,
                "a.qcow2",
                "old.raw",
            ],
        )
        .good();
        oracle::qemu_same(&dir.join("a.raw"), "raw", &dir.join("old.raw"), "raw");
    }
    let ran = run(dir, &["convert", "--snapshot", "nope", "a.qcow2", "x.raw"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.err.contains("nope"), "{ran:?}");
}
