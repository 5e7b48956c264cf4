use super::common::{Empty, Scratch, by_qemu, opened, patchwork, pour, qemu_img, same_everywhere, started};
use h2k_block::{Batch, Body, Class, Kind, MemDisk, Piece};
use h2k_image::qcow2::{Backing, Compression, Options, Preallocation};
use h2k_image::{Format, Target, Value, create};
use h2k_testkit::{faulty::Faulty, oracle, rng::Rng};
use std::path::Path;
use std::sync::Arc;

fn compressions() -> Vec<Compression> {
    let mut all = vec![
        Compression::None,
        Compression::Zlib { level: 1 },
        Compression::Zlib { level: 6 },
    ];
    if cfg!(feature = "fast") {
        all.push(Compression::Zstd { level: 3 });
    }
    all
}

fn options(cluster_size: u32, compression: Compression) -> Options {
    Options {
        cluster_size,
        compression,
        ..Options::default()
    }
}

/// qemu-img finds nothing wrong, reads the same bytes, and so do we. A model whose length is not a multiple of 512
/// is longer in the image.
fn agrees(path: &Path, model: &[u8], unit: usize) {
    let mut model = model.to_vec();
    model.resize(model.len().next_multiple_of(512), 0);
    oracle::qemu_check(path, "qcow2");
    let raw = path.with_extension("model");
    std::fs::write(&raw, &model).unwrap();
    oracle::qemu_same(&raw, "raw", path, "qcow2");
    same_everywhere(&*opened(path).disk, &model, unit);
}

#[test]
fn every_cluster_size_and_compression_is_what_qemu_img_expects() {
    for compression in compressions() {
        for bits in 9..=21_u32 {
            let cluster = 1_usize << bits;
            let len = (cluster * 7 + 512).max(200 * 1024);
            let scratch = Scratch::new();
            let path = scratch.path("a.qcow2");
            let model = patchwork(u64::from(bits), len, cluster);
            pour(
                started(&path, &options(1 << bits, compression), len as u64).unwrap(),
                &model,
                Empty::Mixed,
                1,
            );
            agrees(&path, &model, cluster);
        }
    }
}

#[test]
fn random_disks_read_back_as_the_model() {
    let mut rng = Rng::new(20_261_120);
    for round in 0..24 {
        let scratch = Scratch::new();
        let path = scratch.path("a.qcow2");
        let cluster = 512 << rng.below(9);
        let len = rng.below(cluster as u64 * 90) as usize;
        let model = patchwork(round, len, 1 + cluster / 3);
        let all = compressions();
        let mut options = options(cluster as u32, all[rng.below(all.len() as u64) as usize]);
        options.lazy_refcounts = rng.below(2) == 0;
        if options.compression == Compression::None {
            options.preallocation = [
                Preallocation::Off,
                Preallocation::Metadata,
                Preallocation::Falloc,
                Preallocation::Full,
            ][rng.below(4) as usize];
        }
        let empty = [Empty::Hole, Empty::Zero, Empty::Mixed][rng.below(3) as usize];
        pour(
            started(&path, &options, len as u64).unwrap(),
            &model,
            empty,
            round,
        );
        agrees(&path, &model, cluster);
    }
}

#[test]
fn disks_of_all_odd_lengths_are_made() {
    for len in [
        0,
        1,
        511,
        512,
        513,
        65_535,
        65_536,
        65_537,
        1 << 20,
        (1 << 20) + 777,
    ] {
        for compression in compressions() {
            let scratch = Scratch::new();
            let path = scratch.path("a.qcow2");
            let model = vec![0x41; len];
            pour(
                started(&path, &options(65_536, compression), len as u64).unwrap(),
                &model,
                Empty::Hole,
                1,
            );
            agrees(&path, &model, 65_536);
        }
    }
}

/// An image that is empty but for one cluster at each of `places`.
fn sparse(path: &Path, options: &Options, len: u64, places: &[u64]) {
    let sink = started(path, options, len).unwrap();
    let grain = u64::from(sink.grain());
    let mut at = 0;
    for place in places.iter().copied().chain([len]) {
        let mut batch = Batch {
            start: at,
            ..Batch::default()
        };
        let mut piece = |start: u64, len: u64, body| {
            batch.pieces.push(Piece {
                start,
                len,
                body,
                host: 0,
            });
            batch.len += len;
        };
        if place > at {
            piece(at, place - at, Body::Hole);
        }
        if place < len {
            // A batch holds the bytes from its start, so the data comes in a batch of its own.
            sink.place(&mut batch).unwrap();
            sink.store(&batch).unwrap();
            batch = Batch {
                start: place,
                len: grain,
                guest: vec![0x77; grain as usize].as_slice().into(),
                pieces: vec![Piece {
                    start: place,
                    len: grain,
                    body: Body::Plain,
                    host: 0,
                }],
                ..Batch::default()
            };
            sink.encode(&mut batch).unwrap();
        }
        sink.place(&mut batch).unwrap();
        sink.store(&batch).unwrap();
        at = place + grain;
    }
    sink.finish().unwrap();
}

#[test]
fn terabytes_of_nothing_cost_a_few_tables() {
    for (len, cluster) in [
        (3_u64 << 40, 65_536),
        (16 << 40, 65_536),
        (16 << 40, 2 << 20),
        (100 << 30, 512),
    ] {
        for compression in [Compression::None, Compression::Zlib { level: 1 }] {
            let scratch = Scratch::new();
            let path = scratch.path("a.qcow2");
            let places = [0, len / 2, len - u64::from(cluster)];
            sparse(&path, &options(cluster, compression), len, &places);
            oracle::qemu_check(&path, "qcow2");
            let image = opened(&path);
            assert_eq!(image.disk.len(), len);
            let data: Vec<_> = h2k_block::extents(&*image.disk, 0..len)
                .map(Result::unwrap)
                .filter(|e| e.kind == Kind::Data)
                .map(|e| (e.start, e.len))
                .collect();
            assert_eq!(data, places.map(|p| (p, u64::from(cluster))));
            let mut buf = vec![0; cluster as usize];
            for place in places {
                image.disk.read_at(place, &mut buf).unwrap();
                assert!(buf.iter().all(|b| *b == 0x77));
            }
            let map = qemu_img("map --output=json -f qcow2 {}", &[&path]);
            assert_eq!(map.matches("\"data\": true").count(), 3, "{map}");
            // L1, three L2 tables, three clusters, two refcount structures, the header; 512 byte clusters have a long L1.
            let file = std::fs::metadata(&path).unwrap().len();
            assert!(file <= 40 << 20, "{file}");
        }
    }
}

#[test]
fn a_new_image_over_a_backing_file_keeps_holes_and_zeros_apart() {
    for cluster in [512, 4096, 65_536] {
        let scratch = Scratch::new();
        let base = scratch.raw("base.raw", 3, cluster * 30, cluster);
        let over = scratch.path("over.qcow2");
        let options = Options {
            cluster_size: cluster as u32,
            backing: Some(Backing {
                name: "base.raw".to_owned(),
                format: Format::Raw,
            }),
            ..Options::default()
        };
        // Longer than its backing file, and with holes, zeros and data.
        let len = cluster * 40;
        let sink = started(&over, &options, len as u64).unwrap();
        let data = patchwork(8, cluster, 100);
        let mut model = std::fs::read(&base).unwrap();
        model.resize(len, 0);
        let c = cluster as u64;
        let mut batch = Batch {
            len: len as u64,
            guest: vec![0; len].as_slice().into(),
            ..Batch::default()
        };
        for (start, n, body) in [
            (0, 5, Body::Hole),
            (5, 3, Body::Zero),
            (8, 1, Body::Plain),
            (9, 16, Body::Hole),
            (25, 10, Body::Zero),
            (35, 5, Body::Hole),
        ] {
            batch.pieces.push(Piece {
                start: start * c,
                len: n * c,
                body,
                host: 0,
            });
            let range = (start * c) as usize..((start + n) * c) as usize;
            match body {
                Body::Zero => model[range].fill(0),
                Body::Plain => {
                    batch.guest[range.clone()].copy_from_slice(&data);
                    model[range].copy_from_slice(&data);
                }
                _ => {}
            }
        }
        sink.encode(&mut batch).unwrap();
        sink.place(&mut batch).unwrap();
        sink.store(&batch).unwrap();
        sink.finish().unwrap();
        oracle::qemu_check(&over, "qcow2");
        assert!(by_qemu(&scratch, "-f qcow2 {}", &[&over]) == model);
        let image = opened(&over);
        same_everywhere(&*image.disk, &model, cluster);
        let fact = |key| {
            image
                .info
                .facts
                .iter()
                .find(|f| f.key == key)
                .map(|f| f.value.clone())
        };
        assert_eq!(fact("backing-format"), Some(Value::Text("raw".to_owned())));
        let info = qemu_img("info {}", &[&over]);
        assert!(info.contains("backing file format: raw"), "{info}");
    }
}

#[test]
fn the_bytes_do_not_depend_on_the_order_of_workers() {
    for compression in compressions() {
        let model = patchwork(5, 3_000_000, 9_000);
        let make = |seed| {
            let file = Arc::new(MemDisk::default());
            let target = Target::Qcow2(options(4096, compression));
            let sink = create(
                file.clone(),
                &mut |_| panic!("one file"),
                &target,
                model.len() as u64,
            );
            pour(sink.unwrap(), &model, Empty::Hole, seed);
            file.to_vec()
        };
        let first = make(1);
        for seed in 2..5 {
            assert!(make(seed) == first, "{compression:?}");
        }
    }
}

#[test]
fn preallocation_gives_every_cluster_its_place() {
    for preallocation in [
        Preallocation::Metadata,
        Preallocation::Falloc,
        Preallocation::Full,
    ] {
        let scratch = Scratch::new();
        let path = scratch.path("a.qcow2");
        let options = Options {
            cluster_size: 4096,
            preallocation,
            ..Options::default()
        };
        let model = patchwork(4, 3 << 20, 10_000);
        pour(started(&path, &options, 3 << 20).unwrap(), &model, Empty::Hole, 1);
        agrees(&path, &model, 4096);
        let file = std::fs::metadata(&path).unwrap();
        assert!(file.len() >= 3 << 20);
        let blocks = std::os::unix::fs::MetadataExt::blocks(&file) * 512;
        assert_eq!(blocks >= 3 << 20, preallocation != Preallocation::Metadata);
        let check = oracle::ok(
            "qemu-img",
            &["check", "--output=json", "-f", "qcow2", path.to_str().unwrap()],
        );
        assert!(check.contains("\"allocated-clusters\": 768"), "{check}");
    }
}

#[test]
fn options_that_make_no_sense_are_refused() {
    let refused = |options: Options, len: u64| {
        let scratch = Scratch::new();
        started(&scratch.path("a"), &options, len)
            .err()
            .map(|e| e.class())
    };
    let with = |change: fn(&mut Options)| {
        let mut options = Options::default();
        change(&mut options);
        options
    };
    let invalid = Some(Class::Invalid);
    assert_eq!(refused(with(|o| o.cluster_size = 256), 1), invalid);
    assert_eq!(refused(with(|o| o.cluster_size = 5000), 1), invalid);
    assert_eq!(refused(with(|o| o.cluster_size = 4 << 20), 1), invalid);
    assert_eq!(
        refused(with(|o| o.compression = Compression::Zlib { level: 0 }), 1),
        invalid
    );
    let both = |o: &mut Options| {
        o.compression = Compression::ZLIB;
        o.preallocation = Preallocation::Full;
    };
    assert_eq!(refused(with(both), 1), invalid);
    let long = |o: &mut Options| {
        o.cluster_size = 512;
        o.backing = Some(Backing {
            name: "x".repeat(500),
            format: Format::Raw,
        });
    };
    assert_eq!(refused(with(long), 1), invalid);
    let zstd = refused(with(|o| o.compression = Compression::ZSTD), 1);
    assert_eq!(zstd, (!cfg!(feature = "fast")).then_some(Class::Unsupported));
    assert_eq!(
        refused(with(|o| o.cluster_size = 512), 200 << 30),
        Some(Class::Unsupported)
    );
}

#[test]
fn what_is_not_finished_is_no_image() {
    let file = Arc::new(MemDisk::default());
    let target = Target::Qcow2(Options::default());
    let sink = create(file.clone(), &mut |_| panic!("one file"), &target, 1 << 20).unwrap();
    drop(sink);
    assert_eq!(h2k_image::probe(&*file).unwrap(), Format::Raw);
    // A host that fails at any call ends in an error, and never in a file with a magic.
    let mut calls = 0;
    loop {
        let below = Arc::new(MemDisk::default());
        let host = Arc::new(Faulty::after(below.clone(), calls));
        let made = create(host, &mut |_| panic!("one file"), &target, 1 << 20).and_then(|sink| {
            let mut batch = Batch {
                len: 1 << 20,
                guest: vec![1; 1 << 20].as_slice().into(),
                pieces: (0..16)
                    .map(|i| Piece {
                        start: i * 65_536,
                        len: 65_536,
                        body: Body::Plain,
                        host: 0,
                    })
                    .collect(),
                ..Batch::default()
            };
            sink.place(&mut batch)?;
            sink.store(&batch)?;
            sink.finish()
        });
        if made.is_ok() {
            break;
        }
        let whole = h2k_image::probe(&*below).unwrap() == Format::Qcow2;
        // The last call of all is the barrier behind the magic.
        assert!(!whole || calls > 8, "call {calls}");
        calls += 1;
    }
    assert!(calls > 8);
}
