//! Changing images in place: check, repair, resize, and what an interruption leaves.

use crate::run::{names, raw_disk, run};
use h2k_block::{Access, BlockRead, BlockWrite, Class, Error, FileDisk, HostFile, Limits, Result, Sharing};
use h2k_image::qcow2;
use h2k_testkit::oracle;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

fn word(file: &std::fs::File, at: u64) -> u64 {
    let mut bytes = [0; 8];
    file.read_exact_at(&mut bytes, at).unwrap();
    u64::from_be_bytes(bytes)
}

/// Makes a clean image and then leaks a cluster at its end: a reference count that nothing explains.
fn leaky(dir: &Path) {
    raw_disk(&dir.join("a.raw"), 4 << 20, 1 << 20, 1);
    run(dir, &["convert", "-q", "--force", "a.raw", "a.qcow2"]).good();
    let file = std::fs::File::options()
        .read(true)
        .write(true)
        .open(dir.join("a.qcow2"))
        .unwrap();
    let clusters = file.metadata().unwrap().len().div_ceil(65536);
    file.set_len((clusters + 1) * 65536).unwrap();
    let block = word(&file, word(&file, 48));
    file.write_all_at(&1_u16.to_be_bytes(), block + 2 * clusters)
        .unwrap();
}

#[test]
fn leaks_are_found_counted_and_repaired_elsewhere_or_in_place() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    leaky(dir);
    let before = std::fs::read(dir.join("a.qcow2")).unwrap();
    let ran = run(dir, &["check", "a.qcow2"]);
    assert_eq!(ran.code, 3, "{ran:?}");
    assert!(ran.out.contains("a.qcow2: 1 leaked cluster,"), "{ran:?}");
    let json = run(dir, &["check", "--json", "a.qcow2"]).json();
    assert_eq!(
        (json["leaks"].as_u64(), json["errors"].as_u64()),
        (Some(1), Some(0))
    );
    assert_eq!(json["findings"][0]["severity"], "leak");

    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(dir.join("a.qcow2"), PermissionsExt::from_mode(0o600)).unwrap();
    run(dir, &["check", "--repair", "leaks", "-o", "b.qcow2", "a.qcow2"]).good();
    let mode = dir.join("b.qcow2").metadata().unwrap().permissions().mode();
    assert_eq!(
        mode & 0o777,
        0o600,
        "the repaired copy is open to more people than the image"
    );
    assert_eq!(
        std::fs::read(dir.join("a.qcow2")).unwrap(),
        before,
        "the image was touched"
    );
    oracle::qemu_check(&dir.join("b.qcow2"), "qcow2");
    oracle::qemu_same(&dir.join("a.raw"), "raw", &dir.join("b.qcow2"), "qcow2");
    let ran = run(
        dir,
        &[
            "check", "--repair", "leaks", "-o", "a.qcow2", "--force", "a.qcow2",
        ],
    );
    assert_eq!(ran.code, 2, "{ran:?}");

    let json = run(
        dir,
        &["check", "--repair", "leaks", "--in-place", "--json", "a.qcow2"],
    )
    .good()
    .json();
    assert_eq!(
        (json["leaks"].as_u64(), json["repaired"]["leaks"].as_u64()),
        (Some(1), Some(0))
    );
    oracle::qemu_check(&dir.join("a.qcow2"), "qcow2");
    oracle::qemu_same(&dir.join("a.raw"), "raw", &dir.join("a.qcow2"), "qcow2");
    assert_eq!(names(dir), ["a.qcow2", "a.raw", "b.qcow2"]);
}

#[test]
fn damage_is_told_from_leaks_and_repaired() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    leaky(dir);
    // The L2 table of the first gigabyte is in use and counted as free.
    let file = std::fs::File::options()
        .read(true)
        .write(true)
        .open(dir.join("a.qcow2"))
        .unwrap();
    let l2 = word(&file, word(&file, 40)) & 0x00ff_ffff_ffff_fe00;
    let block = word(&file, word(&file, 48));
    file.write_all_at(&0_u16.to_be_bytes(), block + 2 * (l2 / 65536))
        .unwrap();
    let ran = run(dir, &["check", "a.qcow2"]);
    assert_eq!(ran.code, 4, "{ran:?}");
    assert!(ran.out.contains("error"), "{ran:?}");
    run(dir, &["check", "--repair", "all", "--in-place", "a.qcow2"]).good();
    oracle::qemu_check(&dir.join("a.qcow2"), "qcow2");
    oracle::qemu_same(&dir.join("a.raw"), "raw", &dir.join("a.qcow2"), "qcow2");
}

#[test]
fn only_qcow2_is_repaired_and_others_get_advice() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    raw_disk(&dir.join("a.raw"), 4 << 20, 1 << 20, 1);
    run(dir, &["convert", "-q", "a.raw", "a.vmdk"]).good();
    let ran = run(dir, &["check", "--repair", "all", "--in-place", "a.vmdk"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.err.contains("try: convert it"), "{ran:?}");
}

#[test]
fn raw_and_qcow2_disks_grow_and_shrink_in_place() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    raw_disk(&dir.join("a.raw"), 4 << 20, 1 << 20, 1);
    run(dir, &["convert", "-q", "a.raw", "a.qcow2"]).good();
    run(dir, &["convert", "-q", "a.raw", "a.vhdx"]).good();
    for image in ["a.raw", "a.qcow2"] {
        let json = run(dir, &["resize", "--json", image, "+3M"]).good().json();
        assert_eq!(
            (json["old-size"].as_u64(), json["new-size"].as_u64()),
            (Some(4 << 20), Some(7 << 20))
        );
    }
    oracle::qemu_check(&dir.join("a.qcow2"), "qcow2");
    oracle::qemu_same(&dir.join("a.raw"), "raw", &dir.join("a.qcow2"), "qcow2");
    for image in ["a.raw", "a.qcow2"] {
        let ran = run(dir, &["resize", image, "1M"]);
        assert_eq!(ran.code, 2, "{ran:?}");
        assert!(ran.err.contains("would cut off its last 6 MiB"), "{ran:?}");
        run(dir, &["resize", "-q", "--shrink", image, "2M"]).good();
    }
    oracle::qemu_check(&dir.join("a.qcow2"), "qcow2");
    oracle::qemu_same(&dir.join("a.raw"), "raw", &dir.join("a.qcow2"), "qcow2");
    let ran = run(dir, &["resize", "a.vhdx", "8M"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(
        ran.err.contains("hyper2kvm convert --resize 8388608 a.vhdx"),
        "{ran:?}"
    );
    assert_eq!(names(dir), ["a.qcow2", "a.raw", "a.vhdx"]);
}

/// A file whose host dies after some writes.
struct Dying {
    file: FileDisk,
    left: AtomicU32,
}

impl BlockRead for Dying {
    fn len(&self) -> u64 {
        self.file.len()
    }
    fn fetch(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        self.file.read_at(offset, buf)
    }
}

impl BlockWrite for Dying {
    fn store(&self, offset: u64, buf: &[u8]) -> Result<()> {
        let left = self
            .left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1));
        left.map_err(|_| Error::new(Class::Io, "the power went"))?;
        self.file.write_at(offset, buf)
    }
    fn flush(&self) -> Result<()> {
        self.file.flush()
    }
}

impl HostFile for Dying {
    fn set_len(&self, len: u64) -> Result<()> {
        self.file.set_len(len)
    }
    fn name(&self) -> &Path {
        self.file.name()
    }
}

#[test]
fn an_interrupted_change_keeps_everybody_out_until_it_is_recovered() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    raw_disk(&dir.join("a.raw"), 4 << 20, 1 << 20, 1);
    run(
        dir,
        &["convert", "-q", "--cluster-size", "512", "a.raw", "a.qcow2"],
    )
    .good();
    {
        let open = |access| FileDisk::open(&dir.join("a.qcow2"), access, Sharing::Careful).unwrap();
        let file = Arc::new(Dying {
            file: open(Access::Edit),
            left: AtomicU32::new(1),
        });
        // A larger disk needs a larger L1 table: many pages change.
        let edit = qcow2::resize(file.clone(), 64 << 20, qcow2::Shrink::Careful, &Limits::default()).unwrap();
        file.set_len(edit.len().max(file.len())).unwrap();
        let log = FileDisk::open(&dir.join("a.qcow2.h2k-redo"), Access::Create, Sharing::Careful).unwrap();
        assert!(edit.commit(&*file, &log).is_err(), "it was not interrupted");
    }
    for args in [
        &["info", "a.qcow2"][..],
        &["convert", "a.qcow2", "x.raw"],
        &["check", "a.qcow2"],
        &["resize", "a.qcow2", "+1M"],
    ] {
        let ran = run(dir, args);
        assert_eq!(ran.code, 1, "{ran:?}");
        assert!(
            ran.err.starts_with("error: a.qcow2 has to be recovered first\n"),
            "{ran:?}"
        );
        assert!(ran.err.contains("try: hyper2kvm recover a.qcow2"), "{ran:?}");
    }
    let ran = run(dir, &["recover", "a.qcow2"]).good();
    assert_eq!(ran.out, "a.qcow2: the interrupted change is complete now\n");
    assert_eq!(names(dir), ["a.qcow2", "a.raw"]);
    oracle::qemu_check(&dir.join("a.qcow2"), "qcow2");
    assert_eq!(
        run(dir, &["info", "--json", "a.qcow2"]).good().json()["virtual-size"],
        64 << 20
    );
    run(dir, &["compare", "-q", "a.raw", "a.qcow2"]).good();
    assert_eq!(
        run(dir, &["recover", "a.qcow2"]).good().out,
        "a.qcow2: nothing to recover\n"
    );
}

#[test]
fn a_log_that_was_never_finished_is_thrown_away() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    raw_disk(&dir.join("a.raw"), 1 << 20, 1000, 1);
    run(dir, &["convert", "-q", "a.raw", "a.qcow2"]).good();
    std::fs::write(dir.join("a.qcow2.h2k-redo"), vec![0; 5000]).unwrap();
    let json = run(dir, &["recover", "--json", "a.qcow2"]).good().json();
    assert_eq!(
        (json["log-found"].as_bool(), json["recovered"].as_bool()),
        (Some(true), Some(false))
    );
    run(dir, &["check", "-q", "a.qcow2"]).good();
    assert_eq!(names(dir), ["a.qcow2", "a.raw"]);
}

#[test]
fn a_repair_killed_at_any_moment_is_finished_or_had_not_begun() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    raw_disk(&dir.join("a.raw"), 16 << 20, 8 << 20, 1);
    run(
        dir,
        &["convert", "-q", "--cluster-size", "512", "a.raw", "clean.qcow2"],
    )
    .good();
    // Every data cluster counted twice: thousands of counts to set right.
    let file = std::fs::File::options()
        .read(true)
        .write(true)
        .open(dir.join("clean.qcow2"))
        .unwrap();
    let table = word(&file, 48);
    let blocks: Vec<u64> = (0..64)
        .map(|i| word(&file, table + i * 8))
        .take_while(|b| *b != 0)
        .collect();
    for block in &blocks {
        file.write_all_at(&[0, 2].repeat(256), *block).unwrap();
    }
    std::fs::rename(dir.join("clean.qcow2"), dir.join("leaky.qcow2")).unwrap();
    let before = run(dir, &["check", "--json", "leaky.qcow2"]).json();
    assert!(before["leaks"].as_u64().unwrap() > 1000, "{}", before["leaks"]);

    let mut rng = h2k_testkit::rng::Rng::new(77);
    let (mut untouched, mut logged, mut repaired) = (0, 0, 0);
    for _ in 0..40 {
        std::fs::copy(dir.join("leaky.qcow2"), dir.join("a.qcow2")).unwrap();
        let mut child = crate::run::start(
            dir,
            &["check", "-q", "--repair", "leaks", "--in-place", "a.qcow2"],
        );
        std::thread::sleep(std::time::Duration::from_micros(rng.below(60_000)));
        let _ = child.kill();
        child.wait().unwrap();
        logged += i32::from(dir.join("a.qcow2.h2k-redo").exists());
        run(dir, &["recover", "-q", "a.qcow2"]).good();
        assert!(!dir.join("a.qcow2.h2k-redo").exists());
        let after = run(dir, &["check", "--json", "a.qcow2"]).json();
        // All or nothing: the state before, or the state after, never one in between.
        let state = |report: &serde_json::Value| (report["errors"].as_u64(), report["leaks"].as_u64());
        match state(&after) {
            (Some(0), Some(0)) => repaired += 1,
            half_way => {
                assert_eq!(half_way, state(&before), "half repaired");
                untouched += 1;
            }
        }
        run(dir, &["compare", "-q", "a.raw", "a.qcow2"]).good();
    }
    println!("untouched {untouched}, repaired {repaired}; {logged} left a log");
    assert!(untouched > 0, "no run was killed early enough");
}
