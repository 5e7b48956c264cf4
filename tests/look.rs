use crate::run::{raw_disk, run};
use h2k_testkit::oracle;
use serde_json::Value;

fn scratch() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

#[test]
fn info_says_format_and_sizes_to_people_and_programs() {
    let dir = scratch();
    raw_disk(&dir.path().join("a.raw"), 64 << 20, 300_000, 1);
    let ran = run(dir.path(), &["info", "a.raw"]).good();
    assert!(ran.out.starts_with("a.raw\n  format        raw\n"), "{ran:?}");
    assert!(ran.out.contains("64 MiB (67,108,864 bytes)"), "{ran:?}");
    assert!(!ran.out.contains('\x1b'), "colours in a pipe: {ran:?}");
    let json = run(dir.path(), &["info", "--json", "a.raw"]).good().json();
    assert_eq!(json["format"], "raw");
    assert_eq!(json["virtual-size"], 64 << 20);
    assert_eq!(json["files"][0]["length"], 64 << 20);
    assert_eq!(json["parent"], Value::Null);
}

#[test]
fn colours_come_when_they_are_asked_for() {
    let dir = scratch();
    raw_disk(&dir.path().join("a.raw"), 1 << 20, 1000, 1);
    let ran = run(dir.path(), &["info", "--color", "always", "a.raw"]).good();
    assert!(ran.out.contains("\x1b[1ma.raw\x1b[0m"), "{ran:?}");
}

/// Start, length and "is data" of every run, with neighbours of one kind joined.
fn runs(extents: &[Value]) -> Vec<(u64, u64, bool)> {
    let mut all: Vec<(u64, u64, bool)> = Vec::new();
    for e in extents {
        let next = (
            e["start"].as_u64().unwrap(),
            e["length"].as_u64().unwrap(),
            e["data"].as_bool().unwrap(),
        );
        match all.last_mut() {
            Some(last) if last.2 == next.2 => last.1 += next.1,
            _ => all.push(next),
        }
    }
    all
}

#[test]
fn the_map_is_the_one_qemu_img_sees() {
    let dir = scratch();
    raw_disk(&dir.path().join("a.raw"), 64 << 20, 300_000, 1);
    let ours = run(dir.path(), &["map", "--json", "a.raw"]).good().json();
    let path = dir.path().join("a.raw");
    let args = ["map", "-f", "raw", "--output=json", path.to_str().unwrap()];
    let theirs: Value = serde_json::from_str(&oracle::ok("qemu-img", &args)).unwrap();
    assert_eq!(
        runs(ours["extents"].as_array().unwrap()),
        runs(theirs.as_array().unwrap())
    );
    assert_eq!(ours["virtual-size"], 64 << 20);
}

#[test]
fn a_part_of_the_map_is_a_part_of_the_map() {
    let dir = scratch();
    raw_disk(&dir.path().join("a.raw"), 64 << 20, 300_000, 1);
    let json = run(
        dir.path(),
        &["map", "--json", "--start", "4M", "--length", "1M", "a.raw"],
    )
    .good()
    .json();
    assert_eq!(
        runs(json["extents"].as_array().unwrap()),
        [(4 << 20, 1 << 20, false)]
    );
    let table = run(dir.path(), &["map", "--start", "4M", "--length", "1M", "a.raw"])
        .good()
        .out;
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 2);
    assert!(
        lines[1].contains("0x400000") && lines[1].contains("hole"),
        "{table}"
    );
}

#[test]
fn digests_are_those_of_the_raw_disk() {
    let dir = scratch();
    raw_disk(&dir.path().join("a.raw"), 64 << 20, 300_000, 1);
    let said = oracle::ok("sha256sum", &[dir.path().join("a.raw")]);
    let ran = run(dir.path(), &["digest", "--kind", "sha256", "a.raw"]).good();
    assert_eq!(
        ran.out,
        said.replace(dir.path().join("a.raw").to_str().unwrap(), "a.raw")
    );
    let json = run(dir.path(), &["digest", "--kind", "sparse", "--json", "a.raw"])
        .good()
        .json();
    assert_eq!(json["digest"]["kind"], "sparse");
    assert_eq!(json["digest"]["value"].as_str().map(str::len), Some(64));
}

#[test]
fn compare_tells_equal_different_and_could_not_apart() {
    let dir = scratch();
    raw_disk(&dir.path().join("a.raw"), 4 << 20, 300_000, 1);
    std::fs::copy(dir.path().join("a.raw"), dir.path().join("b.raw")).unwrap();
    let ran = run(dir.path(), &["compare", "a.raw", "b.raw"]).good();
    assert_eq!(ran.out, "equal\n");

    // Longer by zeros: equal, unless strict.
    std::fs::File::options()
        .write(true)
        .open(dir.path().join("b.raw"))
        .unwrap()
        .set_len(5 << 20)
        .unwrap();
    run(dir.path(), &["compare", "a.raw", "b.raw"]).good();
    assert_eq!(
        run(dir.path(), &["compare", "--strict", "a.raw", "b.raw"]).code,
        1
    );

    use std::os::unix::fs::FileExt;
    let b = std::fs::File::options()
        .write(true)
        .open(dir.path().join("b.raw"))
        .unwrap();
    b.write_all_at(b"x", 1_234_567).unwrap();
    let ran = run(dir.path(), &["compare", "a.raw", "b.raw"]);
    assert_eq!(
        (ran.code, ran.out.as_str()),
        (1, "different at byte 1,234,567 (0x12d687)\n")
    );
    let json = run(dir.path(), &["compare", "--json", "a.raw", "b.raw"]).json();
    assert_eq!(
        (json["equal"].as_bool(), json["first-difference"].as_u64()),
        (Some(false), Some(1_234_567))
    );

    let ran = run(dir.path(), &["compare", "a.raw", "none.raw"]);
    assert_eq!(ran.code, 2);
    assert!(ran.err.starts_with("error: none.raw does not exist\n"), "{ran:?}");
}

#[test]
fn failures_are_json_where_json_was_asked_for() {
    let dir = scratch();
    let ran = run(dir.path(), &["info", "--json", "none.raw"]);
    assert_eq!((ran.code, ran.err.as_str()), (1, ""));
    let json = ran.json();
    assert_eq!(json["error"]["class"], "not-found");
    assert_eq!(json["error"]["subject"], "none.raw");
    let ran = run(dir.path(), &["info", "--json", "--no-such-flag", "none.raw"]);
    assert_eq!((ran.code, ran.err.as_str()), (2, ""));
    assert_eq!(ran.json()["error"]["class"], "invalid");
}

#[test]
fn a_reader_that_has_enough_is_no_failure() {
    let dir = scratch();
    let file = std::fs::File::create(dir.path().join("a.raw")).unwrap();
    file.set_len(64 << 20).unwrap();
    use std::os::unix::fs::FileExt;
    for i in 0..4000 {
        file.write_all_at(b"x", i * 16384).unwrap();
    }
    let mut child = crate::run::start(dir.path(), &["map", "a.raw"]);
    drop(child.stdout.take());
    let out = child.wait_with_output().unwrap();
    assert_eq!((out.status.code(), out.stderr.as_slice()), (Some(0), &b""[..]));
}

#[test]
fn names_that_are_no_text_work_and_names_with_control_characters_stay_harmless() {
    use std::os::unix::ffi::OsStrExt;
    let dir = scratch();
    let odd = std::ffi::OsStr::from_bytes(b"odd-\xff\x1b[31m.raw");
    raw_disk(&dir.path().join(odd), 1 << 20, 1000, 1);
    let ran = run(dir.path(), &["convert".as_ref(), odd, "b.qcow2".as_ref()]).good();
    assert!(!ran.out.contains('\x1b'), "{ran:?}");
    run(dir.path(), &["compare".as_ref(), odd, "b.qcow2".as_ref()]).good();
    let json = run(dir.path(), &["info".as_ref(), "--json".as_ref(), odd])
        .good()
        .json();
    assert_eq!(json["virtual-size"], 1 << 20);
    std::fs::remove_file(dir.path().join(odd)).unwrap();
    let ran = run(dir.path(), &["info".as_ref(), odd]);
    assert!(ran.code == 1 && !ran.err.contains('\x1b'), "{ran:?}");
}

#[test]
fn what_an_image_says_of_itself_cannot_command_the_terminal() {
    let dir = scratch();
    raw_disk(&dir.path().join("a.raw"), 1 << 20, 1000, 1);
    let path = dir.path().join("a.qcow2");
    run(dir.path(), &["convert", "-q", "a.raw", "a.qcow2"]).good();
    oracle::ok(
        "qemu-img",
        &["snapshot", "-c", "evil\x1b[2J", path.to_str().unwrap()],
    );
    for args in [&["info", "a.qcow2"][..], &["snapshot", "list", "a.qcow2"]] {
        let ran = run(dir.path(), args).good();
        assert!(ran.out.contains("evil\\u{1b}[2J"), "{ran:?}");
    }
}

#[test]
fn an_encrypted_image_is_described_and_not_converted() {
    let dir = scratch();
    let path = dir.path().join("secret.qcow2");
    oracle::qemu_luks(&path, "8M");
    let ran = run(dir.path(), &["info", "secret.qcow2"]).good();
    assert!(ran.out.contains("8 MiB") && ran.out.contains("LUKS"), "{ran:?}");
    assert!(
        ran.err.contains("encrypted") && ran.err.contains("try: "),
        "{ran:?}"
    );
    let json = run(dir.path(), &["info", "--json", "secret.qcow2"]).good().json();
    assert_eq!(json["virtual-size"], 8 << 20);
    assert_eq!(json["chain-error"]["class"], "unsupported");
    let ran = run(dir.path(), &["convert", "secret.qcow2", "x.raw"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(!dir.path().join("x.raw").exists());
}
