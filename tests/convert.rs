use crate::run::{names, raw_disk, run};
use h2k_testkit::oracle;
use std::path::Path;

fn scratch() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn same(dir: &Path, a: &str, a_format: &str, b: &str, b_format: &str) {
    oracle::qemu_same(&dir.join(a), a_format, &dir.join(b), b_format);
}

#[test]
fn a_converted_disk_has_the_same_content_and_keeps_its_holes() {
    let dir = scratch();
    raw_disk(&dir.path().join("a.raw"), 64 << 20, 300_000, 1);
    let ran = run(dir.path(), &["convert", "a.raw", "b.raw"]).good();
    assert!(ran.out.contains("a.raw -> b.raw"), "{ran:?}");
    assert_eq!(ran.err, "");
    same(dir.path(), "a.raw", "raw", "b.raw", "raw");
    use std::os::unix::fs::MetadataExt;
    let taken = dir.path().join("b.raw").metadata().unwrap().blocks() * 512;
    assert!(taken < 1 << 20, "{taken} bytes taken for 300,000");
    assert_eq!(names(dir.path()), ["a.raw", "b.raw"]);
}

#[test]
fn the_report_of_a_conversion_adds_up() {
    let dir = scratch();
    raw_disk(&dir.path().join("a.raw"), 64 << 20, 300_000, 1);
    let report = run(
        dir.path(),
        &[
            "convert", "a.raw", "b.raw", "--json", "--digest", "sha256", "--verify",
        ],
    )
    .good()
    .json();
    assert_eq!(report["source-format"], "raw");
    assert_eq!(report["target-format"], "raw");
    assert_eq!(report["virtual-size"], 64 << 20);
    assert_eq!(report["verified"], true);
    let sum: u64 = ["bytes-copied", "bytes-found-zero", "bytes-skipped"]
        .iter()
        .map(|key| report[key].as_u64().unwrap())
        .sum();
    assert_eq!(sum, 64 << 20);
    assert_eq!(report["digest"]["kind"], "sha256");
    let said = oracle::ok("sha256sum", &[dir.path().join("a.raw")]);
    assert_eq!(report["digest"]["value"].as_str(), said.split(' ').next());
}

#[test]
fn an_existing_target_is_refused_and_replaced_only_with_force() {
    let dir = scratch();
    raw_disk(&dir.path().join("a.raw"), 1 << 20, 1000, 1);
    std::fs::write(dir.path().join("b.raw"), b"precious").unwrap();
    let ran = run(dir.path(), &["convert", "a.raw", "b.raw"]);
    assert_eq!(ran.code, 1);
    assert!(ran.err.starts_with("error: b.raw exists already\n"), "{ran:?}");
    assert!(ran.err.contains("class: exists"), "{ran:?}");
    assert!(
        ran.err.contains("try: ") && ran.err.contains("--force"),
        "{ran:?}"
    );
    assert_eq!(std::fs::read(dir.path().join("b.raw")).unwrap(), b"precious");
    run(dir.path(), &["convert", "--force", "a.raw", "b.raw"]).good();
    same(dir.path(), "a.raw", "raw", "b.raw", "raw");
    assert_eq!(names(dir.path()), ["a.raw", "b.raw"]);
}

#[test]
fn a_link_in_the_place_of_the_target_stays_a_link() {
    let dir = scratch();
    raw_disk(&dir.path().join("a.raw"), 1 << 20, 1000, 1);
    std::fs::create_dir(dir.path().join("store")).unwrap();
    std::fs::write(dir.path().join("store/real.raw"), b"old").unwrap();
    std::os::unix::fs::symlink("store/real.raw", dir.path().join("b.raw")).unwrap();
    run(dir.path(), &["convert", "--force", "a.raw", "b.raw"]).good();
    assert!(dir.path().join("b.raw").is_symlink());
    same(dir.path(), "a.raw", "raw", "store/real.raw", "raw");
    assert_eq!(names(&dir.path().join("store")), ["real.raw"]);
}

#[test]
fn the_source_cannot_be_its_own_target_under_any_name() {
    let dir = scratch();
    raw_disk(&dir.path().join("a.raw"), 1 << 20, 1000, 1);
    let before = std::fs::read(dir.path().join("a.raw")).unwrap();
    std::fs::hard_link(dir.path().join("a.raw"), dir.path().join("hard.raw")).unwrap();
    std::os::unix::fs::symlink("a.raw", dir.path().join("soft.raw")).unwrap();
    for target in ["a.raw", "./a.raw", "hard.raw", "soft.raw"] {
        let ran = run(dir.path(), &["convert", "--force", "a.raw", target]);
        assert_eq!(ran.code, 2, "{ran:?}");
        assert!(ran.err.contains("cannot be replaced at the same time"), "{ran:?}");
    }
    assert_eq!(std::fs::read(dir.path().join("a.raw")).unwrap(), before);
}

#[test]
fn a_target_that_is_no_file_is_refused() {
    let dir = scratch();
    raw_disk(&dir.path().join("a.raw"), 1 << 20, 1000, 1);
    std::fs::create_dir(dir.path().join("b.raw")).unwrap();
    for target in ["b.raw", "/dev/null"] {
        let ran = run(
            dir.path(),
            &["convert", "--force", "--to", "raw", "a.raw", target],
        );
        assert_eq!(ran.code, 1, "{ran:?}");
        assert!(ran.err.contains("is not a regular file"), "{ran:?}");
    }
    assert!(!Path::new("/dev/null.part").exists());
}

#[test]
fn pipes_and_protocols_are_refused_in_a_sentence() {
    let dir = scratch();
    raw_disk(&dir.path().join("a.raw"), 1 << 20, 1000, 1);
    for args in [["convert", "-", "b.raw"], ["convert", "a.raw", "-"]] {
        let ran = run(dir.path(), &args);
        assert_eq!(ran.code, 2, "{ran:?}");
        assert!(ran.err.contains("a pipe"), "{ran:?}");
    }
    for source in [
        "nbd://host/disk",
        "https://host/disk.qcow2",
        "json:{\"driver\":\"nbd\"}",
        "ssh:host:disk",
    ] {
        let ran = run(dir.path(), &["convert", source, "b.raw"]);
        assert_eq!(ran.code, 1, "{ran:?}");
        assert!(ran.err.contains("only local files are opened"), "{ran:?}");
    }
    // A file is a file, whatever it is called.
    std::fs::copy(dir.path().join("a.raw"), dir.path().join("nbd:disk")).unwrap();
    run(dir.path(), &["convert", "nbd:disk", "b.raw"]).good();
}

#[test]
fn a_dry_run_says_what_would_be_done_and_writes_nothing() {
    let dir = scratch();
    raw_disk(&dir.path().join("a.raw"), 64 << 20, 300_000, 1);
    let ran = run(dir.path(), &["convert", "--dry-run", "a.raw", "b.raw"]).good();
    assert!(ran.out.contains("nothing was written"), "{ran:?}");
    assert!(ran.out.contains("b.raw (raw, 64 MiB)"), "{ran:?}");
    let plan = run(dir.path(), &["convert", "-n", "--json", "a.raw", "b.raw"])
        .good()
        .json();
    assert_eq!(plan["source"]["filename"], "a.raw");
    let read = plan["bytes-to-read"].as_u64().unwrap();
    assert!((300_000..400_000).contains(&read), "{plan}");
    assert_eq!(read + plan["bytes-to-skip"].as_u64().unwrap(), 64 << 20);
    assert_eq!(names(dir.path()), ["a.raw"]);
}

#[test]
fn a_larger_target_ends_in_zeros_and_a_smaller_one_has_to_be_asked_for_twice() {
    let dir = scratch();
    raw_disk(&dir.path().join("a.raw"), 1 << 20, 1000, 1);
    let a = std::fs::read(dir.path().join("a.raw")).unwrap();
    run(dir.path(), &["convert", "--resize", "+512K", "a.raw", "b.raw"]).good();
    let b = std::fs::read(dir.path().join("b.raw")).unwrap();
    assert_eq!(b.len(), 3 << 19);
    assert_eq!(b[..1 << 20], a);
    assert!(b[1 << 20..].iter().all(|b| *b == 0));

    let ran = run(dir.path(), &["convert", "--resize", "512K", "a.raw", "c.raw"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.err.contains("would cut off its last 512 KiB"), "{ran:?}");
    assert!(ran.err.contains("--shrink"), "{ran:?}");
    run(
        dir.path(),
        &["convert", "--resize", "512K", "--shrink", "a.raw", "c.raw"],
    )
    .good();
    assert_eq!(std::fs::read(dir.path().join("c.raw")).unwrap(), a[..1 << 19]);
}

#[test]
fn the_number_of_workers_does_not_change_a_byte() {
    let dir = scratch();
    raw_disk(&dir.path().join("a.raw"), 40 << 20, 6 << 20, 7);
    let mut first: Option<(Vec<u8>, String)> = None;
    for workers in ["1", "2", "8"] {
        let target = format!("{workers}.raw");
        let args = [
            "convert",
            "--workers",
            workers,
            "--digest",
            "blake3",
            "--json",
            "a.raw",
            &target,
        ];
        let digest = run(dir.path(), &args).good().json()["digest"]["value"].to_string();
        let bytes = std::fs::read(dir.path().join(target)).unwrap();
        let (expected, said) = first.get_or_insert_with(|| (bytes.clone(), digest.clone()));
        assert_eq!((&bytes == expected, &digest), (true, &*said), "{workers} workers");
    }
}

#[test]
fn quiet_means_silent() {
    let dir = scratch();
    raw_disk(&dir.path().join("a.raw"), 1 << 20, 1000, 1);
    let ran = run(dir.path(), &["convert", "--quiet", "a.raw", "b.raw"]).good();
    assert_eq!((ran.out.as_str(), ran.err.as_str()), ("", ""));
}

#[test]
fn a_target_in_a_directory_that_is_not_there_names_the_directory() {
    let dir = scratch();
    raw_disk(&dir.path().join("a.raw"), 1 << 20, 1000, 1);
    let ran = run(dir.path(), &["convert", "a.raw", "nowhere/b.qcow2"]);
    assert_eq!(ran.code, 1);
    assert!(ran.err.starts_with("error: nowhere does not exist\n"), "{ran:?}");
}

#[test]
fn a_copy_is_readable_by_nobody_who_could_not_read_the_source() {
    use std::os::unix::fs::PermissionsExt;
    let dir = scratch();
    raw_disk(&dir.path().join("a.raw"), 1 << 20, 1000, 1);
    let mode = |name: &str| dir.path().join(name).metadata().unwrap().permissions().mode() & 0o777;
    let set =
        |mode| std::fs::set_permissions(dir.path().join("a.raw"), PermissionsExt::from_mode(mode)).unwrap();
    for (source, allowed) in [(0o600, 0o600), (0o640, 0o640), (0o644, 0o644), (0o400, 0o600)] {
        set(source);
        let args = [
            "convert",
            "-q",
            "--force",
            "--subformat",
            "monolithicFlat",
            "a.raw",
            "b.vmdk",
        ];
        run(dir.path(), &args).good();
        for name in ["b.vmdk", "b-flat.vmdk"] {
            assert_eq!(
                mode(name) & !allowed,
                0,
                "{name} of a source with mode {source:o}: {:o}",
                mode(name)
            );
            assert_eq!(mode(name) & 0o600, 0o600);
        }
    }
}
