use super::check::{DAMAGES, WORSE, agrees, damaged};
use super::common::{Scratch, by_qemu, opened, qemu_img, qemu_io, same_everywhere};
use h2k_block::{Access, BlockRead, FileDisk, HostFile, Limits, MemDisk, Sharing};
use h2k_image::qcow2::{self, Edit, Repair};
use h2k_testkit::oracle;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Without locks: a tool that another test is about to start holds them for a moment too.
pub fn editable(path: &Path) -> Arc<dyn HostFile> {
    Arc::new(FileDisk::open(path, Access::Edit, Sharing::Force).unwrap())
}

/// Commits `edit` in place, and copies it into a new file: both must be the same bytes.
pub fn commit(scratch: &Scratch, path: &Path, file: Arc<dyn HostFile>, edit: Edit) -> PathBuf {
    let mut bytes = vec![0; edit.len() as usize];
    edit.bytes().read_at(0, &mut bytes).unwrap();
    let copy = scratch.path("copy.qcow2");
    std::fs::write(&copy, &bytes).unwrap();
    edit.commit(&*file, &MemDisk::default()).unwrap();
    assert!(std::fs::read(path).unwrap() == bytes);
    copy
}

#[test]
fn leaks_are_freed_and_nothing_else_is_touched() {
    for options in [
        "cluster_size=4096",
        "cluster_size=65536,refcount_bits=1",
        "cluster_size=2048,compat=0.10",
    ] {
        let scratch = Scratch::new();
        let path = damaged(&scratch, "cluster_size=4096", |_| {});
        std::fs::remove_file(&path).unwrap();
        let raw = scratch.path("source.raw");
        qemu_img(
            &format!("convert -f raw -O qcow2 -o {options} {{}} {{}}"),
            &[&raw, &path],
        );
        let model = by_qemu(&scratch, "-f qcow2 {}", &[&path]);
        // Forget the snapshot table of an image with a snapshot: its tables leak.
        if !options.contains("refcount_bits=1") {
            qemu_img("snapshot -c lost {}", &[&path]);
            qemu_io(&path, "qcow2", &["write -P 1 0 128K".to_owned()]);
        } else {
            qemu_io(&path, "qcow2", &["write -P 1 0 128K".to_owned()]);
        }
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[60..64].fill(0);
        std::fs::write(&path, &bytes).unwrap();
        let file = editable(&path);
        let repaired = qcow2::repair(file.clone(), Repair::Leaks, &Limits::default()).unwrap();
        assert_eq!(repaired.before.leaks == 0, options.contains("refcount_bits=1"));
        assert_eq!(repaired.after.leaks, 0);
        commit(&scratch, &path, file, repaired.edit);
        let after = agrees(&path);
        assert_eq!(after, repaired.after);
        let mut model = model;
        model[..128 << 10].fill(1);
        same_everywhere(&*opened(&path).disk, &model, 4096);
    }
}

#[test]
fn what_can_be_repaired_is_and_the_disk_reads_as_before() {
    for options in [
        "cluster_size=4096",
        "cluster_size=65536",
        "cluster_size=2048,compat=0.10",
    ] {
        for (name, damage) in DAMAGES.iter().chain(&WORSE) {
            let scratch = Scratch::new();
            let path = damaged(&scratch, options, *damage);
            let content = contents(&*opened(&path).disk);
            let tables_are_lost = ["aligned", "past the end", "reserved"]
                .iter()
                .any(|word| name.contains(word))
                && !name.contains("refcount block");
            for how in [Repair::Leaks, Repair::All] {
                let file = editable(&path);
                let repaired = qcow2::repair(file.clone(), how, &Limits::default()).unwrap();
                let copy = commit(&scratch, &path, file, repaired.edit);
                // A guest that is shown tables as its data sees them change.
                if !name.contains(" in ") && !name.contains("used as data") {
                    assert!(contents(&*opened(&copy).disk) == content, "{options} {name}");
                }
                if how == Repair::All {
                    assert_eq!(
                        repaired.after.is_clean(),
                        !tables_are_lost,
                        "{options} {name}: {:#?}",
                        repaired.after.findings
                    );
                    if repaired.after.is_clean() {
                        oracle::qemu_check(&copy, "qcow2");
                    }
                    // Asked twice, there is nothing left to do.
                    let again = qcow2::repair(editable(&copy), how, &Limits::default()).unwrap();
                    assert!(again.edit.is_nothing(), "{options} {name}");
                } else {
                    assert!(repaired.after.errors <= repaired.before.errors);
                }
                std::fs::remove_file(copy).unwrap();
            }
        }
    }
}

/// What each 4 KiB of a disk reads as, or that it cannot be read.
fn contents(disk: &dyn BlockRead) -> Vec<Option<Vec<u8>>> {
    (0..disk.len())
        .step_by(4096)
        .map(|at| {
            let mut buf = vec![0; 4096.min(disk.len() - at) as usize];
            disk.read_at(at, &mut buf).ok().map(|()| buf)
        })
        .collect()
}

#[test]
fn every_refcount_width_can_be_rebuilt() {
    for width in [1, 2, 4, 8, 16, 32, 64] {
        let scratch = Scratch::new();
        let raw = scratch.raw("source.raw", 5, 900 * 1024, 20_000);
        let path = scratch.path("a.qcow2");
        qemu_img(
            &format!("convert -f raw -O qcow2 -o cluster_size=1024,refcount_bits={width} {{}} {{}}"),
            &[&raw, &path],
        );
        let model = std::fs::read(&raw).unwrap();
        let mut bytes = std::fs::read(&path).unwrap();
        // The whole refcount table is gone.
        let table = u64::from_be_bytes(bytes[48..56].try_into().unwrap()) as usize;
        bytes[table..table + 1024].fill(0);
        bytes[79] = 3;
        std::fs::write(&path, &bytes).unwrap();
        let file = editable(&path);
        let repaired = qcow2::repair(file.clone(), Repair::All, &Limits::default()).unwrap();
        assert!(repaired.before.errors > 500 && repaired.after.is_clean());
        assert_eq!(repaired.after.warnings, 0, "the marks are gone");
        commit(&scratch, &path, file, repaired.edit);
        oracle::qemu_check(&path, "qcow2");
        let image = opened(&path);
        assert!(image.info.warnings.is_empty());
        same_everywhere(&*image.disk, &model, 1024);
    }
}

#[test]
fn an_image_that_was_not_closed_is_clean_after_repair() {
    let scratch = Scratch::new();
    let path = damaged(&scratch, "cluster_size=4096,lazy_refcounts=on", |v| {
        // As after a crash with lazy refcounts: data is there, counts are not.
        for entry in v.data_entries().into_iter().take(20) {
            let cluster = v.host(entry);
            v.set_count(cluster, 0);
        }
        v.bytes[79] = 1;
        // And an autoclear feature of tomorrow.
        v.bytes[95] |= 0x40;
    });
    let file = editable(&path);
    let repaired = qcow2::repair(file.clone(), Repair::All, &Limits::default()).unwrap();
    assert_eq!((repaired.before.errors, repaired.after.is_clean()), (40, true));
    commit(&scratch, &path, file, repaired.edit);
    oracle::qemu_check(&path, "qcow2");
    assert_eq!(
        std::fs::read(&path).unwrap()[95],
        0,
        "who writes clears what it does not know"
    );
}

#[test]
fn counts_that_do_not_fit_are_said_so() {
    let scratch = Scratch::new();
    let path = damaged(&scratch, "cluster_size=4096,refcount_bits=1", |v| {
        let entries = v.data_entries();
        v.set(entries[1], v.word(entries[2]));
    });
    let error = qcow2::repair(editable(&path), Repair::All, &Limits::default())
        .err()
        .unwrap();
    assert!(error.to_string().contains("cannot hold"), "{error}");
}
