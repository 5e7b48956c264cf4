use super::common::{Scratch, by_qemu, opened, qemu_img, qemu_io, same_everywhere};
use super::repair::{commit, editable};
use h2k_block::{Class, Limits};
use h2k_image::qcow2::{Shrink, resize};
use h2k_testkit::oracle;
use std::path::Path;

fn resized(scratch: &Scratch, path: &Path, len: u64, shrink: Shrink) -> Result<(), h2k_block::Error> {
    let file = editable(path);
    let edit = resize(file.clone(), len, shrink, &Limits::default())?;
    commit(scratch, path, file, edit);
    oracle::qemu_check(path, "qcow2");
    Ok(())
}

#[test]
fn a_disk_that_grew_reads_as_before_and_then_zero() {
    for (options, convert) in [
        ("cluster_size=512", ""),
        ("cluster_size=4096", "-c"),
        ("cluster_size=65536", ""),
        ("cluster_size=65536,compat=0.10", ""),
        ("cluster_size=4096,refcount_bits=1", ""),
        ("cluster_size=16384,extended_l2=on", ""),
    ] {
        let scratch = Scratch::new();
        let raw = scratch.raw("source.raw", 5, 786_432, 20_000);
        let path = scratch.path("a.qcow2");
        qemu_img(
            &format!("convert {convert} -f raw -O qcow2 -o {options} {{}} {{}}"),
            &[&raw, &path],
        );
        let mut model = std::fs::read(&raw).unwrap();
        // A little, past an L2 table, and far past the L1 table.
        for len in [786_432 + 512, 900_096, 40 << 20] {
            resized(&scratch, &path, len, Shrink::Careful).unwrap();
            model.resize(len as usize, 0);
            assert!(
                by_qemu(&scratch, "-f qcow2 {}", &[&path]) == model,
                "{options} {len}"
            );
            same_everywhere(&*opened(&path).disk, &model, 4096);
        }
        // And the image can still be written.
        qemu_io(&path, "qcow2", &["write -P 9 30M 1M".to_owned()]);
        oracle::qemu_check(&path, "qcow2");
    }
}

#[test]
fn sixteen_tebibytes_can_be_had_by_growing() {
    let scratch = Scratch::new();
    let path = scratch.path("a.qcow2");
    qemu_img("create -f qcow2 {} 1G", &[&path]);
    resized(&scratch, &path, 16 << 40, Shrink::Careful).unwrap();
    assert_eq!(opened(&path).disk.len(), 16 << 40);
}

#[test]
fn growing_over_a_longer_backing_file_does_not_show_it() {
    for options in ["cluster_size=4096", "cluster_size=16384,extended_l2=on"] {
        let scratch = Scratch::new();
        let base = scratch.raw("base.raw", 3, 2 << 20, 5_000);
        let path = scratch.path("a.qcow2");
        qemu_img(
            &format!("create -f qcow2 -o {options} -b base.raw -F raw {{}} 1M"),
            &[&path],
        );
        qemu_io(&path, "qcow2", &["write -P 1 100K 10K".to_owned()]);
        let mut model = by_qemu(&scratch, "-f qcow2 {}", &[&path]);
        resized(&scratch, &path, 3 << 20, Shrink::Careful).unwrap();
        model.resize(3 << 20, 0);
        assert!(by_qemu(&scratch, "-f qcow2 {}", &[&path]) == model);
        same_everywhere(&*opened(&path).disk, &model, 4096);
        // Thousands of tables are missing now.
        resized(&scratch, &path, 20 << 30, Shrink::Careful).unwrap();
        let disk = opened(&path).disk;
        let extents: Vec<_> = h2k_block::extents(&*disk, 3 << 20..20 << 30)
            .map(|e| e.unwrap().kind)
            .collect();
        assert!(
            extents.iter().all(|kind| *kind == h2k_block::Kind::Zero),
            "{extents:?}"
        );
        drop(base);
    }
}

#[test]
fn old_bytes_behind_the_end_do_not_come_back() {
    let scratch = Scratch::new();
    let path = scratch.path("a.qcow2");
    qemu_img("create -f qcow2 -o cluster_size=65536 {} 1M", &[&path]);
    qemu_io(&path, "qcow2", &["write -P 1 0 1M".to_owned()]);
    // qemu-img keeps the rest of the last cluster.
    qemu_img("resize -f qcow2 --shrink {} 100K", &[&path]);
    resized(&scratch, &path, 1 << 20, Shrink::Careful).unwrap();
    let mut model = vec![1; 100 << 10];
    model.resize(1 << 20, 0);
    assert!(by_qemu(&scratch, "-f qcow2 {}", &[&path]) == model);
}

#[test]
fn a_disk_shrinks_only_as_far_as_nothing_is_lost_unless_told() {
    for options in [
        "cluster_size=4096",
        "cluster_size=512",
        "cluster_size=16384,extended_l2=on",
    ] {
        let scratch = Scratch::new();
        let path = scratch.path("a.qcow2");
        qemu_img(&format!("create -f qcow2 -o {options} {{}} 4M"), &[&path]);
        qemu_io(
            &path,
            "qcow2",
            &["write -P 1 0 1M".to_owned(), "write -z 1M 512K".to_owned()],
        );
        let error = resized(&scratch, &path, (1 << 20) - 512, Shrink::Careful)
            .err()
            .unwrap();
        assert_eq!(error.class(), Class::Invalid);
        assert!(error.to_string().contains("0xffe00"), "{error}");
        assert_eq!(opened(&path).disk.len(), 4 << 20);
        resized(&scratch, &path, 1 << 20, Shrink::Careful).unwrap();
        assert!(by_qemu(&scratch, "-f qcow2 {}", &[&path]) == vec![1; 1 << 20]);
        resized(&scratch, &path, 300 << 10, Shrink::Discard).unwrap();
        assert!(by_qemu(&scratch, "-f qcow2 {}", &[&path]) == vec![1; 300 << 10]);
        resized(&scratch, &path, 2 << 20, Shrink::Careful).unwrap();
        let mut model = vec![1; 300 << 10];
        model.resize(2 << 20, 0);
        assert!(by_qemu(&scratch, "-f qcow2 {}", &[&path]) == model);
        same_everywhere(&*opened(&path).disk, &model, 4096);
    }
}

#[test]
fn what_cannot_be_resized_says_why() {
    let scratch = Scratch::new();
    let refused = |path: &Path, len: u64| {
        resize(editable(path), len, Shrink::Careful, &Limits::default())
            .err()
            .map(|e| e.class())
    };
    let path = scratch.path("a.qcow2");
    qemu_img("create -f qcow2 {} 1M", &[&path]);
    assert_eq!(refused(&path, 1000), Some(Class::Invalid));
    qemu_img("bitmap --add {} b", &[&path]);
    assert_eq!(refused(&path, 2 << 20), Some(Class::Unsupported));
    qemu_img("create -f qcow2 -o cluster_size=512 {} 1M", &[&path]);
    assert_eq!(refused(&path, 1 << 40), Some(Class::Unsupported));
    qemu_img("snapshot -c s {}", &[&path]);
    assert_eq!(refused(&path, 512 << 10), Some(Class::Unsupported));
    assert_eq!(refused(&path, 4 << 20), None);
    // A backing file may hold data where the image holds nothing.
    scratch.raw("base.raw", 3, 1 << 20, 5_000);
    qemu_img("create -f qcow2 -b base.raw -F raw {}", &[&path]);
    assert_eq!(refused(&path, 512 << 10), Some(Class::Invalid));
    let damaged = super::check::damaged(&scratch, "cluster_size=4096", |v| {
        let entries = v.data_entries();
        v.set(entries[1], v.word(entries[2]));
    });
    assert_eq!(refused(&damaged, 4 << 20), Some(Class::Corrupt));
}
