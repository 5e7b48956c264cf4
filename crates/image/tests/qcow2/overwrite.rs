use super::common::{Scratch, by_qemu, opened, qemu_img, qemu_io, same_everywhere};
use super::repair::{commit, editable};
use h2k_block::{Class, Limits, MemDisk};
use h2k_image::qcow2::overwrite;
use h2k_testkit::{oracle, rng::Rng};

/// Changes a few ranges of `model`, in order and apart from each other, and says which.
fn changed(rng: &mut Rng, model: &mut [u8]) -> Vec<(u64, u64)> {
    let mut ranges = Vec::new();
    let mut at = rng.below(40_000) as usize;
    while at < model.len() && ranges.len() < 12 {
        let longest = if rng.below(3) == 0 { 70_000 } else { 900 };
        let end = (at + 1 + rng.below(longest) as usize).min(model.len());
        if rng.below(4) == 0 {
            model[at..end].fill(0);
        } else {
            rng.fill(&mut model[at..end]);
        }
        ranges.push((at as u64, (end - at) as u64));
        at = end + 1 + rng.below(120_000) as usize;
    }
    ranges
}

#[test]
fn a_disk_holds_what_was_written_and_everything_else_as_before() {
    for (round, (options, convert)) in [
        ("cluster_size=512", ""),
        ("cluster_size=4096", "-c"),
        ("cluster_size=65536", "-c"),
        ("cluster_size=65536,compat=0.10", ""),
        ("cluster_size=4096,refcount_bits=1", ""),
        ("cluster_size=16384,extended_l2=on", ""),
        ("cluster_size=65536,lazy_refcounts=on", ""),
        ("cluster_size=2M,preallocation=metadata", ""),
    ]
    .into_iter()
    .enumerate()
    {
        let scratch = Scratch::new();
        let mut rng = Rng::new(70 + round as u64);
        let raw = scratch.raw("source.raw", 5, 786_432 + 512, 20_000);
        let path = scratch.path("a.qcow2");
        qemu_img(
            &format!("convert {convert} -f raw -O qcow2 -o {options} {{}} {{}}"),
            &[&raw, &path],
        );
        let mut model = std::fs::read(&raw).unwrap();
        for _ in 0..4 {
            let ranges = changed(&mut rng, &mut model);
            let file = editable(&path);
            let wanted = MemDisk::new(model.clone());
            let edit = overwrite(file.clone(), &wanted, &ranges, &Limits::default()).unwrap();
            commit(&scratch, &path, file, edit);
            oracle::qemu_check(&path, "qcow2");
            assert!(by_qemu(&scratch, "-f qcow2 {}", &[&path]) == model, "{options}");
            same_everywhere(&*opened(&path).disk, &model, 4096);
        }
        qemu_io(&path, "qcow2", &["write -P 9 100K 1K".to_owned()]);
        oracle::qemu_check(&path, "qcow2");
    }
}

#[test]
fn snapshots_and_parents_keep_what_they_hold() {
    for options in [
        "cluster_size=4096",
        "cluster_size=65536",
        "cluster_size=65536,compat=0.10",
        "cluster_size=16384,extended_l2=on",
    ] {
        let scratch = Scratch::new();
        let mut rng = Rng::new(options.len() as u64);
        let base = scratch.raw("base.raw", 3, 1 << 20, 30_000);
        let before = std::fs::read(&base).unwrap();
        let path = scratch.path("a.qcow2");
        qemu_img(
            &format!("create -f qcow2 -o {options} -b base.raw -F raw {{}} 1500K"),
            &[&path],
        );
        qemu_io(&path, "qcow2", &["write -P 1 100K 200K".to_owned()]);
        let first = by_qemu(&scratch, "-f qcow2 {}", &[&path]);
        qemu_img("snapshot -c first {}", &[&path]);
        let mut model = first.clone();
        for _ in 0..3 {
            let ranges = changed(&mut rng, &mut model);
            let file = editable(&path);
            let wanted = MemDisk::new(model.clone());
            let edit = overwrite(file.clone(), &wanted, &ranges, &Limits::default()).unwrap();
            edit.commit(&*file, &MemDisk::default()).unwrap();
            oracle::qemu_check(&path, "qcow2");
            assert!(by_qemu(&scratch, "-f qcow2 {}", &[&path]) == model, "{options}");
        }
        let then = by_qemu(&scratch, "-f qcow2 -l first {}", &[&path]);
        assert!(then == first, "{options}");
        assert!(std::fs::read(&base).unwrap() == before);
    }
}

#[test]
fn nothing_is_a_change_of_nothing() {
    let scratch = Scratch::new();
    let path = scratch.path("a.qcow2");
    qemu_img("create -f qcow2 {} 1M", &[&path]);
    let disk = MemDisk::new(vec![0; 1 << 20]);
    let edit = overwrite(editable(&path), &disk, &[], &Limits::default()).unwrap();
    assert!(edit.is_nothing());
}

#[test]
fn what_cannot_be_written_in_place_says_why() {
    let scratch = Scratch::new();
    let refused = |path: &std::path::Path, range| {
        let disk = MemDisk::new(vec![7; 2 << 20]);
        overwrite(editable(path), &disk, &[range], &Limits::default())
            .err()
            .map(|e| e.class())
    };
    let path = scratch.path("a.qcow2");
    qemu_img("create -f qcow2 {} 1M", &[&path]);
    assert_eq!(refused(&path, (1 << 20, 1)), Some(Class::Invalid));
    assert_eq!(refused(&path, (u64::MAX, 2)), Some(Class::Invalid));
    assert_eq!(refused(&path, (0, 1 << 20)), None);
    qemu_img("bitmap --add {} b", &[&path]);
    assert_eq!(refused(&path, (0, 1)), Some(Class::Unsupported));
    let data = scratch.path("d.raw");
    let with = format!("create -f qcow2 -o data_file={} {{}} 1M", data.display());
    qemu_img(&with, &[&path]);
    assert_eq!(refused(&path, (0, 1)), Some(Class::Unsupported));
    let damaged = super::check::damaged(&scratch, "cluster_size=4096", |v| {
        let entries = v.data_entries();
        v.set(entries[1], v.word(entries[2]));
    });
    assert_eq!(refused(&damaged, (0, 1)), Some(Class::Corrupt));
}
