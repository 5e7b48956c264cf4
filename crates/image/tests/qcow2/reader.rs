use super::common::{
    Scratch, by_qemu, map_tells_the_truth, opened, qemu_img, qemu_io, same_everywhere, try_open,
};
use h2k_block::{BlockRead, Class, Kind};
use h2k_image::{Format, OpenOptions, Value};
use std::path::Path;

/// An image of `len` bytes with data, zero clusters, holes and discarded clusters, made by qemu-img and qemu-io.
fn generate(scratch: &Scratch, name: &str, options: &str, len: usize, unit: usize) -> std::path::PathBuf {
    let raw = scratch.raw("source.raw", 7, len, unit);
    let path = scratch.path(name);
    qemu_img(
        &format!("convert -f raw -O qcow2 {options} {{}} {{}}"),
        &[&raw, &path],
    );
    let u = unit as u64;
    let mut commands = vec![
        format!("write -P 0x5a {} {}", u * 2 + 512, u),
        format!("write -z {} {}", u * 5, u * 2),
        format!("write -P 0x33 {} 512", u * 6 + u / 2),
    ];
    if !options.contains("-c ") {
        // QEMU does not discard compressed clusters.
        commands.push(format!("discard {} {}", u * 9, u));
    }
    if unit >= 4096 && !options.contains("compat=0.10") {
        commands.push(format!("write -z -u {} {}", u * 8, u));
    }
    qemu_io(&path, "qcow2", &commands);
    path
}

#[test]
fn every_cluster_size_reads_as_qemu_img_reads_it() {
    for bits in 9..=21 {
        let cluster = 1_usize << bits;
        let len = (cluster * 13 + 1536).max(300 * 1024);
        for extra in ["", ",compat=0.10", ",refcount_bits=1"] {
            if !extra.is_empty() && !bits_is_sampled(bits) {
                continue;
            }
            let scratch = Scratch::new();
            let options = format!("-o cluster_size={cluster}{extra}");
            let path = generate(&scratch, "a.qcow2", &options, len, cluster);
            let model = by_qemu(&scratch, "-f qcow2 {}", &[&path]);
            let image = opened(&path);
            assert_eq!(image.info.grain, Some(cluster as u64));
            same_everywhere(&*image.disk, &model, cluster);
        }
    }
}

fn bits_is_sampled(bits: u32) -> bool {
    [9, 12, 16, 21].contains(&bits)
}

#[test]
fn every_refcount_width_is_only_a_fact() {
    for order in 0..=6 {
        let scratch = Scratch::new();
        let width = 1_u64 << order;
        let options = format!("-o cluster_size=4096,refcount_bits={width}");
        let path = generate(&scratch, "a.qcow2", &options, 200 * 1024, 4096);
        let model = by_qemu(&scratch, "-f qcow2 {}", &[&path]);
        let image = opened(&path);
        same_everywhere(&*image.disk, &model, 4096);
        assert!(fact(&image.info, "refcount-bits") == Some(Value::Number(width)));
    }
}

fn fact(info: &h2k_image::Info, key: &str) -> Option<Value> {
    info.facts.iter().find(|f| f.key == key).map(|f| f.value.clone())
}

#[test]
fn compressed_clusters_read_as_qemu_img_reads_them() {
    for coding in ["zlib", "zstd"] {
        for cluster in [512, 4096, 65_536, 2 << 20] {
            // zstd needs at least 16 clusters of input to be worth it at 512 bytes; the length covers both.
            let len = (cluster * 9 + 512).max(400 * 1024);
            let scratch = Scratch::new();
            let options = format!("-c -o cluster_size={cluster},compression_type={coding}");
            let path = generate(&scratch, "a.qcow2", &options, len, cluster);
            let model = by_qemu(&scratch, "-f qcow2 {}", &[&path]);
            let image = opened(&path);
            assert!(fact(&image.info, "compression-type") == Some(Value::Text(coding.to_owned())));
            same_everywhere(&*image.disk, &model, cluster);
            let coded = h2k_block::extents(&*image.disk, 0..image.disk.len())
                .map(Result::unwrap)
                .any(|e| e.compressed && e.kind == Kind::Data);
            assert!(coded, "{coding} {cluster}: nothing is compressed");
        }
    }
}

#[test]
fn subclusters_read_as_qemu_img_reads_them() {
    for cluster in [16_384, 65_536, 2 << 20] {
        for compress in ["", "-c "] {
            let scratch = Scratch::new();
            let base = scratch.raw("base.raw", 3, cluster * 12 + 700, cluster / 4);
            let plain = generate(
                &scratch,
                "plain.qcow2",
                &format!("{compress}-o cluster_size={cluster},extended_l2=on"),
                cluster * 13 + 1536,
                cluster,
            );
            let over = scratch.path("over.qcow2");
            qemu_img(
                &format!("create -f qcow2 -o cluster_size={cluster},extended_l2=on -b base.raw -F raw {{}}"),
                &[&over],
            );
            let sub = cluster as u64 / 32;
            let c = cluster as u64;
            qemu_io(
                &over,
                "qcow2",
                &[
                    format!("write -P 0x11 {} {}", sub * 3, sub),
                    format!("write -z {} {}", sub * 5, sub * 2),
                    format!("write -P 0x22 {} {}", c + sub * 31, sub * 2),
                    format!("write -z {} {}", c * 3, c),
                    format!("write -P 0x33 {} 512", c * 4 + 512),
                    format!("write -z {} {}", c * 5 + sub * 16, c),
                    format!("discard {} {}", c * 4, c),
                ],
            );
            for path in [&plain, &over] {
                let model = by_qemu(&scratch, "-f qcow2 {}", &[path]);
                let image = opened(path);
                assert!(fact(&image.info, "extended-l2") == Some(Value::Flag(true)));
                same_everywhere(&*image.disk, &model, cluster / 32);
            }
            std::fs::remove_file(base).unwrap();
        }
    }
}

#[test]
fn a_hole_over_a_parent_shows_the_parent_and_zero_does_not() {
    let scratch = Scratch::new();
    scratch.raw("base.raw", 11, 1 << 20, 40_000);
    for (size, name) in [("1M", "same"), ("1500K", "longer"), ("700K", "shorter")] {
        let over = scratch.path(&format!("{name}.qcow2"));
        qemu_img(
            &format!("create -f qcow2 -o cluster_size=4096 -b base.raw -F raw {{}} {size}"),
            &[&over],
        );
        qemu_io(
            &over,
            "qcow2",
            &[
                "write -z 8192 16384".to_owned(),
                "write -P 7 65536 4096".to_owned(),
                "write -P 8 500K 3000".replace("3000", "3072"),
            ],
        );
        let top = scratch.path(&format!("{name}-top.qcow2"));
        qemu_img(
            &format!("create -f qcow2 -o cluster_size=65536 -b {name}.qcow2 -F qcow2 {{}} 2M"),
            &[&top],
        );
        qemu_io(&top, "qcow2", &["write -P 9 131072 512".to_owned()]);
        for path in [&over, &top] {
            let model = by_qemu(&scratch, "-f qcow2 {}", &[path]);
            let image = opened(path);
            same_everywhere(&*image.disk, &model, 4096);
            assert_eq!(
                image.info.parent.is_some_and(|p| p.parent.is_some()),
                path == &top
            );
        }
        let extent = opened(&over).disk.extent_at(8192, 1 << 19).unwrap();
        assert_eq!((extent.kind, extent.len, extent.depth), (Kind::Zero, 16384, 0));
        let extent = opened(&top).disk.extent_at(8192, 1 << 19).unwrap();
        assert_eq!((extent.kind, extent.len, extent.depth), (Kind::Zero, 16384, 1));

        let alone = OpenOptions {
            alone: true,
            ..OpenOptions::default()
        };
        let alone = try_open(&over, &alone).unwrap();
        assert!(alone.info.parent.is_none());
        assert_eq!(alone.disk.extent_at(0, 1 << 19).unwrap().kind, Kind::Hole);
        assert_eq!(alone.disk.extent_at(8192, 1 << 19).unwrap().kind, Kind::Zero);
        let mut byte = [1; 4096];
        alone.disk.read_at(4096, &mut byte).unwrap();
        assert!(h2k_block::is_zero(&byte));
    }
}

#[test]
fn a_backing_format_is_never_guessed() {
    let scratch = Scratch::new();
    scratch.raw("base.raw", 11, 1 << 20, 40_000);
    let over = scratch.path("over.qcow2");
    qemu_img("create -f qcow2 -b base.raw -F raw {}", &[&over]);
    qemu_img("rebase -u -f qcow2 -F qcow2 -b base.raw {}", &[&over]);
    let bytes = std::fs::read(&over).unwrap();
    // Take the extension that records the format away, by giving it a number nobody knows.
    let at = bytes
        .windows(4)
        .position(|w| w == [0xe2, 0x79, 0x2a, 0xca])
        .unwrap();
    let mut bytes = bytes;
    bytes[at] = 0x77;
    std::fs::write(&over, &bytes).unwrap();
    let error = try_open(&over, &OpenOptions::default()).err().unwrap();
    assert_eq!(error.class(), Class::Refused);
    assert!(error.advice().unwrap().contains("--backing-format"));
    let told = OpenOptions {
        parent_format: Some(Format::Raw),
        ..OpenOptions::default()
    };
    let model = std::fs::read(scratch.path("base.raw")).unwrap();
    same_everywhere(&*try_open(&over, &told).unwrap().disk, &model, 65_536);
    // A recorded format is believed over what the user says of those that record none.
    bytes[at] = 0xe2;
    std::fs::write(&over, &bytes).unwrap();
    let error = try_open(&over, &told).err().unwrap();
    assert_eq!(error.class(), Class::Corrupt, "{error}");
    // A format that is recorded and not known is refused by its name.
    bytes[at + 8..at + 13].copy_from_slice(b"vdisk");
    std::fs::write(&over, &bytes).unwrap();
    let error = try_open(&over, &told).err().unwrap();
    assert!(
        error.class() == Class::Unsupported && error.to_string().contains("vdisk"),
        "{error}"
    );
}

#[test]
fn chains_stay_in_their_directory_and_end() {
    let scratch = Scratch::new();
    let other = Scratch::new();
    other.raw("base.raw", 1, 65_536, 4096);
    let over = scratch.path("over.qcow2");
    let outside = other.path("base.raw");
    qemu_img(
        &format!("create -f qcow2 -b {} -F raw {{}}", outside.to_str().unwrap()),
        &[&over],
    );
    assert_eq!(
        try_open(&over, &OpenOptions::default()).err().unwrap().class(),
        Class::Refused
    );
    for (name, class) in [
        ("nbd://localhost/x", Class::Refused),
        ("json:{\"driver\":\"nbd\"}", Class::Refused),
        ("nothing-here", Class::NotFound),
        ("over.qcow2", Class::Corrupt),
    ] {
        qemu_img(&format!("rebase -u -f qcow2 -F qcow2 -b {name} {{}}"), &[&over]);
        let error = try_open(&over, &OpenOptions::default()).err().unwrap();
        assert_eq!(error.class(), class, "{name}: {error}");
    }
}

#[test]
fn internal_snapshots_read_as_qemu_img_reads_them() {
    let scratch = Scratch::new();
    for options in [
        "cluster_size=4096",
        "cluster_size=65536,compat=0.10",
        "cluster_size=16384,extended_l2=on",
    ] {
        let path = generate(&scratch, "a.qcow2", &format!("-o {options}"), 900 * 1024, 16_384);
        qemu_img("snapshot -c first {}", &[&path]);
        qemu_io(&path, "qcow2", &["write -P 1 0 300K".to_owned()]);
        qemu_img("snapshot -c second {}", &[&path]);
        qemu_io(&path, "qcow2", &["write -P 2 100K 500K".to_owned()]);
        let image = opened(&path);
        let names: Vec<_> = image.info.snapshots.iter().map(|s| s.name.as_str()).collect();
        assert_eq!(names, ["first", "second"]);
        assert!(image.info.snapshots.iter().all(|s| s.seconds > 1_600_000_000));
        same_everywhere(&*image.disk, &by_qemu(&scratch, "-f qcow2 {}", &[&path]), 16_384);
        for wanted in ["first", "second", "1", "2"] {
            let model = by_qemu(&scratch, &format!("-f qcow2 -l {wanted} {{}}"), &[&path]);
            let options = OpenOptions {
                snapshot: Some(wanted.to_owned()),
                ..OpenOptions::default()
            };
            same_everywhere(&*try_open(&path, &options).unwrap().disk, &model, 16_384);
        }
        let missing = OpenOptions {
            snapshot: Some("third".to_owned()),
            ..OpenOptions::default()
        };
        let error = try_open(&path, &missing).err().unwrap();
        assert!(
            error.class() == Class::NotFound && error.to_string().contains("first"),
            "{error}"
        );
    }
}

#[test]
fn a_snapshot_keeps_the_size_the_disk_had() {
    let scratch = Scratch::new();
    let path = generate(&scratch, "a.qcow2", "-o cluster_size=4096", 900 * 1024, 4096);
    qemu_img("snapshot -c small {}", &[&path]);
    qemu_img("resize -f qcow2 {} 3M", &[&path]);
    let options = OpenOptions {
        snapshot: Some("small".to_owned()),
        ..OpenOptions::default()
    };
    let image = try_open(&path, &options).unwrap();
    assert_eq!(image.disk.len(), 900 * 1024);
    assert_eq!(image.info.virtual_size, 900 * 1024);
    assert_eq!(opened(&path).disk.len(), 3 << 20);
}

#[test]
fn external_data_files_are_read_through_the_gate() {
    let scratch = Scratch::new();
    for (i, raw) in ["off", "on"].iter().enumerate() {
        let path = scratch.path(&format!("a{i}.qcow2"));
        let data = scratch.path(&format!("a{i}.data"));
        qemu_img(
            &format!("create -f qcow2 -o cluster_size=4096,data_file={{}},data_file_raw={raw} {{}} 1M")
                .replacen(
                    "data_file={}",
                    &format!("data_file={}", data.to_str().unwrap()),
                    1,
                ),
            &[&path],
        );
        // The name as it is recorded is absolute here; the gate allows it because it is beside the image.
        qemu_io(
            &path,
            "qcow2",
            &[
                "write -P 3 0 4096".to_owned(),
                "write -P 4 300K 100K".to_owned(),
                "write -z 310K 10K".to_owned(),
            ],
        );
        let model = by_qemu(&scratch, "-f qcow2 {}", &[&path]);
        let image = opened(&path);
        assert_eq!(image.info.files.len(), 2);
        same_everywhere(&*image.disk, &model, 4096);
        assert_eq!(
            image
                .disk
                .raw_at(4096 * 80, 1 << 20)
                .unwrap()
                .unwrap()
                .file
                .name(),
            data
        );
        if *raw == "on" {
            assert!(model == std::fs::read(&data).unwrap());
        }
        let away = Scratch::new();
        std::fs::rename(&data, away.path("x")).unwrap();
        let error = try_open(&path, &OpenOptions::default()).err().unwrap();
        assert_eq!(error.class(), Class::NotFound);
    }
}

#[test]
fn an_image_that_was_not_closed_is_read_and_warned_of() {
    let scratch = Scratch::new();
    let path = generate(
        &scratch,
        "a.qcow2",
        "-o cluster_size=4096,lazy_refcounts=on",
        300 * 1024,
        4096,
    );
    let model = by_qemu(&scratch, "-f qcow2 {}", &[&path]);
    set_bit(&path, 79, 1);
    let image = opened(&path);
    assert!(image.info.warnings[0].contains("not closed properly"));
    assert!(fact(&image.info, "lazy-refcounts") == Some(Value::Flag(true)));
    assert!(fact(&image.info, "dirty") == Some(Value::Flag(true)));
    same_everywhere(&*image.disk, &model, 4096);
    set_bit(&path, 79, 3);
    assert_eq!(opened(&path).info.warnings.len(), 2);
}

fn set_bit(path: &Path, at: usize, value: u8) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[at] = value;
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn unknown_features_are_refused_by_the_name_the_image_gives_them() {
    let scratch = Scratch::new();
    let path = scratch.path("a.qcow2");
    qemu_img("create -f qcow2 {} 1M", &[&path]);
    let mut bytes = std::fs::read(&path).unwrap();
    // Rename "dirty bit" (bit 0) to a feature of bit 17.
    let at = bytes.windows(9).position(|w| w == b"dirty bit").unwrap();
    bytes[at - 1] = 17;
    bytes[at..at + 9].copy_from_slice(b"moon mode");
    bytes[77] |= 2; // bit 17
    bytes[72] |= 0x80; // bit 63
    std::fs::write(&path, &bytes).unwrap();
    let error = try_open(&path, &OpenOptions::default()).err().unwrap();
    assert_eq!(error.class(), Class::Unsupported);
    let said = error.to_string();
    assert!(
        said.contains("\"moon mode\" (bit 17)") && said.contains("bit 63"),
        "{said}"
    );
}

#[test]
fn luks_is_refused_by_name() {
    let scratch = Scratch::new();
    let path = scratch.path("a.qcow2");
    h2k_testkit::oracle::qemu_luks(&path, "1M");
    let error = try_open(&path, &OpenOptions::default()).err().unwrap();
    assert_eq!(error.class(), Class::Unsupported);
    assert!(error.to_string().contains("LUKS version 1"), "{error}");
}

#[test]
fn bitmaps_are_listed() {
    let scratch = Scratch::new();
    let path = scratch.path("a.qcow2");
    qemu_img("create -f qcow2 {} 10M", &[&path]);
    qemu_img("bitmap --add -g 131072 {} monday", &[&path]);
    qemu_img("bitmap --add {} tuesday", &[&path]);
    let image = opened(&path);
    let Some(Value::List(names)) = fact(&image.info, "bitmaps") else {
        panic!("no bitmaps: {:?}", image.info);
    };
    assert_eq!(
        names,
        [
            Value::Text("monday (granularity 131072)".to_owned()),
            Value::Text("tuesday (granularity 65536)".to_owned())
        ]
    );
}

#[test]
fn sixteen_sparse_tebibytes_map_in_a_few_extents() {
    let scratch = Scratch::new();
    let path = scratch.path("a.qcow2");
    qemu_img("create -f qcow2 {} 16T", &[&path]);
    qemu_io(
        &path,
        "qcow2",
        &["write -P 1 5T 1M".to_owned(), "write -P 1 10T 64K".to_owned()],
    );
    let image = opened(&path);
    let extents: Vec<_> = h2k_block::extents(&*image.disk, 0..image.disk.len())
        .map(Result::unwrap)
        .collect();
    // A hole inside an L2 table and the hole after it may be two.
    assert!(extents.len() <= 9, "{extents:?}");
    let data: u64 = extents
        .iter()
        .filter(|e| e.kind == Kind::Data)
        .map(|e| e.len)
        .sum();
    assert_eq!(data, (1 << 20) + 65_536);
}

#[test]
fn many_threads_read_the_same_image() {
    let scratch = Scratch::new();
    let path = generate(&scratch, "a.qcow2", "-c -o cluster_size=4096", 2 << 20, 4096);
    let model = by_qemu(&scratch, "-f qcow2 {}", &[&path]);
    let image = opened(&path);
    let disk: &dyn BlockRead = &*image.disk;
    std::thread::scope(|scope| {
        for worker in 0..4_usize {
            let model = &model;
            scope.spawn(move || {
                let mut buf = vec![0; 10_000];
                for i in 0..200 {
                    let at = (i * 7919 + worker * 104_729) % (model.len() - buf.len());
                    disk.read_at(at as u64, &mut buf).unwrap();
                    assert!(buf == model[at..at + buf.len()]);
                }
            });
        }
    });
    map_tells_the_truth(disk, &model);
}

#[test]
fn a_file_that_was_cut_short_is_an_error_where_bytes_are_missing_and_nowhere_else() {
    let scratch = Scratch::new();
    let raw = scratch.path("noise.raw");
    let mut noise = vec![0; 1 << 20];
    h2k_testkit::rng::Rng::new(5).fill(&mut noise);
    std::fs::write(&raw, &noise).unwrap();
    let path = scratch.path("a.qcow2");
    qemu_img("convert -f raw -O qcow2 {} {}", &[&raw, &path]);
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() - 3 * 65_536]).unwrap();
    let image = opened(&path);
    let mut buf = vec![0; 65_536];
    let mut good = 0;
    for cluster in 0..16 {
        match image.disk.read_at(cluster * 65_536, &mut buf) {
            Ok(()) => {
                assert!(buf == noise[cluster as usize * 65_536..][..65_536]);
                good += 1;
            }
            Err(e) => {
                assert_eq!(e.class(), Class::Corrupt);
                assert!(e.to_string().contains("past the end of the file"), "{e}");
            }
        }
    }
    assert_eq!(good, 13);
}
