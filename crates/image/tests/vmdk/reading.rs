use super::build::{self, Grain, Hosted, SECTOR, put32, put64};
use super::{content, open_mem};
use h2k_block::{BlockRead, Class, Extent, Kind, MemHost, NoHost};
use h2k_image::{Image, OpenOptions, open};
use h2k_testkit::faulty::{Asked, Recorder};
use std::sync::Arc;

/// A disk in memory, and what it has to read like.
pub struct Sample {
    pub host: MemHost,
    pub name: &'static str,
    pub model: Vec<u8>,
    /// Where something begins or ends: grains and extents.
    pub borders: Vec<usize>,
}

impl Sample {
    fn new(files: Vec<(&str, Vec<u8>)>, model: Vec<u8>, grain: usize, more: &[usize]) -> Self {
        let host = MemHost::default();
        for (name, bytes) in files {
            host.put(name, bytes);
        }
        let mut borders: Vec<usize> = (0..=model.len() / grain).map(|i| i * grain).collect();
        borders.extend_from_slice(more);
        borders.push(model.len());
        Self {
            host,
            name: "image",
            model,
            borders,
        }
    }

    pub fn open(&self) -> Image {
        open_mem(&self.host, self.name).unwrap()
    }
}

/// A disk of every kind of extent there is. None is a whole number of grains long.
pub fn samples() -> Vec<(&'static str, Sample)> {
    let mut all = Vec::new();
    let len = 70 * 4096 - 1536;
    let hosted = Hosted::small(len);
    let grains = build::grains(1, 70, 4096);
    let model = build::model(&grains, 4096, len, &[]);
    all.push((
        "monolithicSparse",
        Sample::new(vec![("image", hosted.sparse(&grains))], model, 4096, &[]),
    ));

    let stream = |lba: bool, version: u32| {
        let line = format!("RW {} SPARSE \"image\"", len / SECTOR);
        let hosted = Hosted {
            version,
            zero_flag: false,
            redundant: false,
            descriptor: Some(build::descriptor("streamOptimized", 7, None, &[line])),
            ..Hosted::small(len)
        };
        let grains = build::grains(2, 70, 4096);
        let model = build::model(&grains, 4096, len, &[]);
        Sample::new(vec![("image", hosted.stream(&grains, lba))], model, 4096, &[])
    };
    all.push(("streamOptimized", stream(true, 3)));
    all.push(("compressed grains without LBA", stream(false, 1)));

    // 512-byte grains, as ESX makes them, over two tables and a bit.
    let sectors = 2 * 4096 + 77;
    let grains = build::without_zeros(build::grains(3, sectors, 512));
    let model = build::model(&grains, 512, sectors * 512, &[]);
    let text = build::descriptor(
        "vmfsSparse",
        3,
        None,
        &[format!("RW {sectors} VMFSSPARSE \"delta\"")],
    );
    let bytes = build::cowd(sectors as u32, 1, &grains);
    let border = [2 << 20, 4 << 20];
    all.push((
        "vmfsSparse",
        Sample::new(
            vec![("image", text.into()), ("delta", bytes)],
            model,
            64 << 10,
            &border,
        ),
    ));

    let mut grains = build::grains(4, 80, 4096);
    grains[3] = Grain::Unmapped;
    let model = build::model(&grains, 4096, 80 * 4096 - 512, &[]);
    let text = build::descriptor("seSparse", 3, None, &["RW 639 SESPARSE \"se\"".to_owned()]);
    // From grain 4090 on, so that numbers need more than the 12 bits that are stored apart.
    let bytes = build::sesparse(639, 4090, &grains);
    all.push((
        "seSparse",
        Sample::new(vec![("image", text.into()), ("se", bytes)], model, 4096, &[]),
    ));

    all.push(("custom", mixed()));
    all
}

/// Flat with an offset, sparse, zero, the same flat file again, VMFS: extents of every kind in one disk.
fn mixed() -> Sample {
    let mut flat = vec![0; 100 * SECTOR];
    h2k_testkit::rng::Rng::new(9).fill(&mut flat);
    let sparse = Hosted {
        descriptor: None,
        ..Hosted::small(20 * 4096)
    };
    let grains = build::grains(5, 20, 4096);
    let text = build::descriptor(
        "custom",
        5,
        None,
        &[
            "RW 30 FLAT \"flat\" 7".to_owned(),
            "RW 150 SPARSE \"sparse\"".to_owned(),
            "RW 9 ZERO".to_owned(),
            "RDONLY 60 FLAT \"flat\" 40".to_owned(),
            "RW 3 VMFS \"flat\"".to_owned(),
        ],
    );
    let mut model = flat[7 * SECTOR..37 * SECTOR].to_vec();
    model.extend(build::model(&grains, 4096, 150 * SECTOR, &[]));
    model.extend(vec![0; 9 * SECTOR]);
    model.extend(&flat[40 * SECTOR..]);
    model.extend(&flat[..3 * SECTOR]);
    let files = vec![
        ("image", text.into_bytes()),
        ("flat", flat),
        ("sparse", sparse.sparse(&grains)),
    ];
    let borders = [30, 180, 189, 249, 252].map(|s| s * SECTOR);
    Sample::new(files, model, 4096, &borders)
}

#[test]
fn every_kind_reads_as_it_was_built() {
    for (kind, sample) in samples() {
        let image = sample.open();
        assert_eq!(image.info.virtual_size, sample.model.len() as u64, "{kind}");
        assert!(content(&image) == sample.model, "{kind}");
        assert_eq!(image.info.warnings, Vec::<String>::new(), "{kind}");
    }
}

#[test]
fn reads_that_begin_or_end_at_a_border_or_beside_it_are_right() {
    for (kind, sample) in samples() {
        let disk = sample.open().disk;
        let n = sample.model.len();
        let near = |b: usize| [b.saturating_sub(1), b.min(n), (b + 1).min(n)];
        for (i, border) in sample.borders.iter().enumerate() {
            for start in near(*border) {
                for to in sample.borders.iter().skip(i).take(4).chain([border, &n]) {
                    for end in near(*to) {
                        if start > end {
                            continue;
                        }
                        let mut buf = vec![0xaa; end - start];
                        disk.read_at(start as u64, &mut buf).unwrap();
                        assert!(buf == sample.model[start..end], "{kind}: {start}..{end}");
                    }
                }
            }
        }
        assert_eq!(
            disk.read_at(n as u64, &mut [0]).unwrap_err().class(),
            Class::OutOfBounds,
            "{kind}"
        );
    }
}

/// What `map` says of every 512 bytes.
fn kinds(disk: &dyn BlockRead) -> Vec<Kind> {
    let mut all = Vec::new();
    for extent in h2k_block::extents(disk, 0..disk.len()) {
        let extent = extent.unwrap();
        all.resize(all.len() + (extent.len / 512) as usize, extent.kind);
    }
    all
}

#[test]
fn the_map_says_what_the_tables_say() {
    let grains = build::grains(1, 70, 4096);
    let samples = samples();
    let image = samples[0].1.open();
    let expected: Vec<Kind> = grains
        .iter()
        .flat_map(|g| {
            let kind = match g {
                Grain::Hole => Kind::Hole,
                Grain::Zero | Grain::Unmapped => Kind::Zero,
                Grain::Data(_) => Kind::Data,
            };
            [kind; 8]
        })
        .take(70 * 8 - 3)
        .collect();
    assert_eq!(kinds(&*image.disk), expected);
}

#[test]
fn a_map_asked_from_inside_a_grain_begins_there() {
    for (kind, sample) in samples() {
        let disk = sample.open().disk;
        let n = disk.len();
        for extent in h2k_block::extents(&*disk, 0..n) {
            let extent = extent.unwrap();
            let inside = extent.start + 1;
            if inside < extent.end() {
                let found = disk.extent_at(inside, n).unwrap();
                let expected = Extent {
                    start: inside,
                    len: extent.len - 1,
                    ..extent
                };
                assert_eq!(found, expected, "{kind}");
            }
        }
    }
}

#[test]
fn compressed_grains_are_said_to_be_compressed_and_never_raw() {
    let samples = samples();
    let (_, sample) = samples.iter().find(|(k, _)| *k == "streamOptimized").unwrap();
    let disk = sample.open().disk;
    let extents: Vec<Extent> = h2k_block::extents(&*disk, 0..disk.len())
        .map(Result::unwrap)
        .collect();
    assert!(extents.iter().any(|e| e.kind == Kind::Data));
    for e in extents {
        assert_eq!(e.compressed, e.kind == Kind::Data);
        assert!(disk.raw_at(e.start, e.end()).unwrap().is_none());
    }
}

#[test]
fn bytes_that_lie_verbatim_in_a_file_are_found_there() {
    for (kind, sample) in samples() {
        let disk = sample.open().disk;
        let (mut at, mut verbatim) = (0, 0);
        while at < disk.len() {
            let extent = disk.extent_at(at, disk.len()).unwrap();
            let Some(span) = disk.raw_at(at, extent.end()).unwrap() else {
                at = extent.end();
                continue;
            };
            let mut raw = vec![0; span.len as usize];
            span.file.read_at(span.offset, &mut raw).unwrap();
            assert!(
                raw == sample.model[at as usize..at as usize + raw.len()],
                "{kind} at {at}"
            );
            assert!(span.len <= extent.len);
            at += span.len;
            verbatim += span.len;
        }
        let plain = !kind.starts_with("stream") && !kind.starts_with("compressed");
        assert_eq!(verbatim > 0, plain, "{kind}");
    }
}

#[test]
fn absent_tables_are_skipped_in_one_step() {
    let mut hosted = Hosted::small(512);
    hosted.capacity = 1 << 31;
    hosted.grain = 128;
    hosted.gtes = 512;
    hosted.descriptor = Some(build::descriptor(
        "monolithicSparse",
        1,
        None,
        &[format!("RW {} SPARSE \"image\"", hosted.capacity)],
    ));
    let mut bytes = hosted.sparse(&[]);
    // Both directories empty but for the last table, which stays empty inside.
    let gd = u64::from_le_bytes(bytes[56..64].try_into().unwrap()) as usize * SECTOR;
    let rgd = u64::from_le_bytes(bytes[48..56].try_into().unwrap()) as usize * SECTOR;
    for i in 0..32767 {
        put32(&mut bytes, gd + i * 4, 0);
        put32(&mut bytes, rgd + i * 4, 0);
    }
    let file = Arc::new(Recorder::new(bytes));
    let image = open(file.clone(), &NoHost, &OpenOptions::default()).unwrap();
    let before = file.asked().len();
    let extents: Vec<Extent> = h2k_block::extents(&*image.disk, 0..1 << 40)
        .map(Result::unwrap)
        .collect();
    assert_eq!(
        extents,
        [
            Extent::new(0, (1 << 40) - (32 << 20), Kind::Hole),
            Extent::new((1 << 40) - (32 << 20), 32 << 20, Kind::Hole)
        ]
    );
    assert_eq!(file.asked().len() - before, 1, "one table was read");
}

#[test]
fn neighbouring_compressed_grains_are_read_in_one_piece() {
    let grain = 64 << 10;
    let grains: Vec<Grain> = (0..33_u8)
        .map(|i| {
            let mut data = vec![i; grain];
            h2k_testkit::rng::Rng::new(i.into()).fill(&mut data[..grain / 2]);
            Grain::Data(data)
        })
        .collect();
    let len = 33 * grain;
    let line = format!("RW {} SPARSE \"image\"", len / SECTOR);
    let hosted = Hosted {
        grain: 128,
        gtes: 512,
        version: 3,
        descriptor: Some(build::descriptor("streamOptimized", 7, None, &[line])),
        ..Hosted::small(len)
    };
    let file = Arc::new(Recorder::new(hosted.stream(&grains, true)));
    let disk = open(file.clone(), &NoHost, &OpenOptions::default()).unwrap().disk;
    disk.read_at(0, &mut [0; 512]).unwrap();
    let before = file.asked().len();
    let mut mib = vec![0; 1 << 20];
    disk.read_at(1 << 20, &mut mib).unwrap();
    let reads: Vec<Asked> = file.asked()[before..].to_vec();
    assert_eq!(reads.len(), 1, "{reads:?}");
    assert!(mib == build::model(&grains, grain, len, &[])[1 << 20..2 << 20]);
    // No grain behind the last one: what is read beyond it stays below two grains.
    disk.read_at(2 << 20, &mut mib[..grain]).unwrap();
    let Some(Asked::Read(_, n)) = file.asked().pop() else {
        panic!()
    };
    assert!(n <= 2 * grain + 1024, "{n}");
}

#[test]
fn threads_read_the_same_bytes() {
    for (kind, sample) in samples() {
        let disk = sample.open().disk;
        let (disk, model) = (&*disk, &sample.model);
        std::thread::scope(|s| {
            for seed in 0..4 {
                s.spawn(move || {
                    let mut rng = h2k_testkit::rng::Rng::new(seed);
                    for _ in 0..300 {
                        let a = rng.below(model.len() as u64) as usize;
                        let b = a + rng.below(20_000.min((model.len() - a) as u64)) as usize;
                        let mut buf = vec![0; b - a];
                        disk.read_at(a as u64, &mut buf).unwrap();
                        assert!(buf == model[a..b], "{kind} {a}..{b}");
                    }
                });
            }
        });
    }
}

fn refused(bytes: Vec<u8>) -> h2k_block::Error {
    let host = MemHost::default();
    host.put("image", bytes);
    open_mem(&host, "image").err().expect("this must not open")
}

#[test]
fn odd_headers_are_refused_by_name() {
    let good = Hosted::small(40 * 4096).sparse(&build::grains(1, 40, 4096));
    let with = |at: usize, bytes: &[u8]| {
        let mut b = good.clone();
        b[at..at + bytes.len()].copy_from_slice(bytes);
        refused(b)
    };
    for (at, bytes, class, word) in [
        (4, &[4_u8][..], Class::Unsupported, "version 4"),
        (4, &[0], Class::Unsupported, "version 0"),
        (10, &[4], Class::Unsupported, "flags 0x40000"),
        (10, &[1], Class::Unsupported, "compression"),
        (77, &[1], Class::Unsupported, "compression"),
        (77, &[9], Class::Unsupported, "compression method 9"),
        (20, &[3], Class::Corrupt, "grain of 3"),
        (20, &[0], Class::Corrupt, "grain of 0"),
        (22, &[1], Class::Corrupt, "power of two"),
        (44, &[0], Class::Corrupt, "entries"),
        (44, &[0, 4], Class::Corrupt, "1024 entries|1040 entries"),
        (19, &[0x40], Class::Corrupt, "capacity"),
        (15, &[0x40], Class::Corrupt, "needs"),
        (73, b"\r\n \r", Class::Corrupt, "text mode"),
        (73, b"\n \n\n", Class::Corrupt, "text mode"),
        (73, b"abcd", Class::Corrupt, "line-end bytes"),
        (28, &[0xff, 0xff], Class::Corrupt, "not inside the file"),
        (
            36,
            &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            Class::Corrupt,
            "not inside the file",
        ),
        (28, &[0], Class::Invalid, "one extent"),
        (512, b"garbage", Class::Corrupt, "Disk DescriptorFile"),
    ] {
        let e = with(at, bytes);
        let said = word.split('|').any(|w| e.to_string().contains(w));
        assert!(
            e.class() == class && said,
            "{at}: expected {class:?} {word:?}, got {:?}: {e}",
            e.class()
        );
    }
}

#[test]
fn unclean_shutdown_and_unknown_compatible_flags_are_warned_about() {
    let mut bytes = Hosted::small(4096).sparse(&[Grain::Hole]);
    bytes[72] = 1;
    bytes[8] |= 0x80;
    let host = MemHost::default();
    host.put("image", bytes);
    let info = open_mem(&host, "image").unwrap().info;
    assert_eq!(info.warnings.len(), 2, "{:?}", info.warnings);
    assert!(info.warnings[0].contains("not closed cleanly"));
    assert!(info.warnings[1].contains("0x80"));
}

#[test]
fn entry_one_is_zero_only_where_the_header_says_so() {
    let mut hosted = Hosted::small(2 * 4096);
    hosted.zero_flag = false;
    let host = MemHost::default();
    host.put("image", hosted.sparse(&[Grain::Zero, Grain::Data(vec![5; 4096])]));
    let image = open_mem(&host, "image").unwrap();
    let mut buf = [0; 4096];
    assert_eq!(
        image.disk.read_at(0, &mut buf).unwrap_err().class(),
        Class::Corrupt
    );
    image.disk.read_at(4096, &mut buf).unwrap();
    assert_eq!(buf, [5; 4096]);
}

#[test]
fn a_damaged_grain_directory_is_replaced_by_the_redundant_one_with_a_warning() {
    let grains = build::grains(6, 40, 4096);
    let hosted = Hosted::small(40 * 4096);
    let good = hosted.sparse(&grains);
    let model = build::model(&grains, 4096, 40 * 4096, &[]);
    let gd = u64::from_le_bytes(good[56..64].try_into().unwrap()) as usize * SECTOR;
    let damage: [fn(&mut Vec<u8>, usize); 2] = [
        |b, gd| put32(b, gd + 4, 0x7fff_ffff),
        |b, _| put64(b, 56, 0x7fff_ffff_ffff),
    ];
    for harm in damage {
        let mut bytes = good.clone();
        harm(&mut bytes, gd);
        let host = MemHost::default();
        host.put("image", bytes.clone());
        let image = open_mem(&host, "image").unwrap();
        assert!(content(&image) == model);
        assert!(
            image.info.warnings[0].contains("redundant one is used"),
            "{:?}",
            image.info.warnings
        );
        // Without the flag there is no second one to take.
        bytes[8] &= !2;
        assert_eq!(refused(bytes).class(), Class::Corrupt);
    }
}

#[test]
fn a_damaged_grain_table_is_replaced_by_its_copy() {
    let grains = build::grains(6, 40, 4096);
    let hosted = Hosted::small(40 * 4096);
    let mut bytes = hosted.sparse(&grains);
    let model = build::model(&grains, 4096, 40 * 4096, &[]);
    let gd = u64::from_le_bytes(bytes[56..64].try_into().unwrap()) as usize * SECTOR;
    let rgd = u64::from_le_bytes(bytes[48..56].try_into().unwrap()) as usize * SECTOR;
    let table = |b: &[u8], d: usize| u32::from_le_bytes(b[d..d + 4].try_into().unwrap()) as usize * SECTOR;
    let (first, copy) = (table(&bytes, gd), table(&bytes, rgd));
    put32(&mut bytes, first + 3 * 4, 0xffff_fff0);
    let host = MemHost::default();
    host.put("image", bytes.clone());
    assert!(content(&open_mem(&host, "image").unwrap()) == model);
    // With both damaged, what can be read is read and the rest is an error that names the entry.
    put32(&mut bytes, copy + 5 * 4, 0xffff_fff0);
    host.put("image", bytes);
    let disk = open_mem(&host, "image").unwrap().disk;
    let mut grain = vec![0; 4096];
    disk.read_at(0, &mut grain).unwrap();
    assert!(grain == model[..4096]);
    let e = disk.read_at(3 * 4096, &mut grain).unwrap_err();
    assert_eq!(e.class(), Class::Corrupt);
    assert!(e.to_string().contains("entry 3"), "{e}");
    disk.read_at(16 * 4096, &mut grain).unwrap();
    assert!(grain == model[16 * 4096..17 * 4096]);
}

#[test]
fn a_stream_without_its_end_is_said_to_be_incomplete() {
    let line = "RW 320 SPARSE \"image\"".to_owned();
    let hosted = Hosted {
        version: 3,
        descriptor: Some(build::descriptor("streamOptimized", 7, None, &[line])),
        ..Hosted::small(40 * 4096)
    };
    let good = hosted.stream(&build::grains(2, 40, 4096), true);
    for cut in [1, 512, 1024, 1536, 2048, good.len() / 2, good.len() - 600] {
        let e = refused(good[..good.len() - cut].to_vec());
        assert_eq!(e.class(), Class::Corrupt, "{e}");
        let at_all = e.to_string().contains("incomplete") || e.to_string().contains("ends at");
        assert!(at_all, "{cut}: {e}");
        assert!(
            e.advice().is_some_and(|a| a.contains("again")) || good.len() - cut < 1024,
            "{e}"
        );
    }
}

#[test]
fn a_compressed_grain_of_another_place_is_not_taken() {
    let line = "RW 16 SPARSE \"image\"".to_owned();
    let hosted = Hosted {
        version: 3,
        descriptor: Some(build::descriptor("streamOptimized", 7, None, &[line])),
        ..Hosted::small(2 * 4096)
    };
    let good = hosted.stream(&[Grain::Data(vec![1; 4096]), Grain::Data(vec![2; 4096])], true);
    let first = 8 * SECTOR;
    for (at, value, word) in [
        (first, 8, "marker is for sector 0x8"),
        (first + 8, 3, "zlib|decodes to"),
        (first + 12, 0, "zlib"),
        (first + 11, 0x7f, "runs past"),
    ] {
        let mut bytes = good.clone();
        bytes[at] = value;
        let host = MemHost::default();
        host.put("image", bytes);
        let disk = open_mem(&host, "image").unwrap().disk;
        for len in [4096, 100] {
            let e = disk.read_at(0, &mut vec![0; len]).unwrap_err();
            assert_eq!(e.class(), Class::Corrupt);
            assert!(word.split('|').any(|w| e.to_string().contains(w)), "{at}: {e}");
        }
        let mut second = [0; 4096];
        disk.read_at(4096, &mut second).unwrap();
        assert_eq!(second, [2; 4096]);
    }
}

#[test]
fn extents_shorter_than_the_descriptor_says_are_refused() {
    let cases: [(&str, Vec<u8>); 4] = [
        ("RW 100 FLAT \"x\" 0", vec![0; 99 * 512]),
        ("RW 100 FLAT \"x\" 1", vec![0; 100 * 512]),
        ("RW 100 SPARSE \"x\"", Hosted::small(99 * 512).sparse(&[])),
        ("RW 100 VMFSSPARSE \"x\"", build::cowd(99, 1, &[])),
    ];
    for (line, bytes) in cases {
        let host = MemHost::default();
        host.put(
            "image",
            build::descriptor("custom", 1, None, &[line.to_owned()]).into(),
        );
        host.put("x", bytes);
        let e = open_mem(&host, "image").err().unwrap();
        assert_eq!(e.class(), Class::Corrupt, "{line}: {e}");
    }
}

#[test]
fn an_extent_alone_is_not_taken_for_the_disk() {
    let sparse = Hosted {
        descriptor: None,
        ..Hosted::small(4096)
    };
    for bytes in [
        sparse.sparse(&[Grain::Hole]),
        build::cowd(8, 1, &[]),
        build::sesparse(8, 0, &[]),
    ] {
        let e = refused(bytes);
        assert_eq!(e.class(), Class::Invalid, "{e}");
        assert!(e.advice().unwrap().contains("lists this file"));
    }
}

#[test]
fn a_sesparse_extent_with_an_open_journal_is_refused() {
    let mut bytes = build::sesparse(8, 0, &[Grain::Hole]);
    put64(&mut bytes, 512 + 24, 1);
    let host = MemHost::default();
    host.put(
        "image",
        build::descriptor("seSparse", 1, None, &["RW 8 SESPARSE \"x\"".to_owned()]).into(),
    );
    host.put("x", bytes);
    let e = open_mem(&host, "image").err().unwrap();
    assert_eq!(e.class(), Class::Unsupported);
    assert!(e.to_string().contains("journal"), "{e}");
}

#[test]
fn devices_and_encrypted_disks_are_refused_by_name() {
    let cases = [
        (
            "fullDevice",
            "RW 8 FLAT \"\\\\.\\PhysicalDrive0\" 0",
            "",
            "PhysicalDrive0",
        ),
        ("vmfsRawDeviceMap", "RW 8 VMFSRDM \"x-rdm.vmdk\"", "", "VMFSRDM"),
        (
            "vmfsPassthroughRawDeviceMap",
            "RW 8 ZERO",
            "",
            "vmfsPassthroughRawDeviceMap",
        ),
        ("vmfs", "RW 8 VMFSRAW \"x\"", "", "VMFSRAW"),
        ("partitionedDevice", "RW 8 FLAT \"/dev/sda\" 63", "", "/dev/sda"),
        ("quantum", "RW 8 ZERO", "", "quantum"),
        (
            "vmfs",
            "RW 8 ZERO",
            "ddb.iofilters = \"vmwarevmcrypt\"\n",
            "encrypted",
        ),
        (
            "vmfs",
            "RW 8 ZERO",
            "encryptionKeys=\"vmware:key/list\"\n",
            "encrypted",
        ),
    ];
    for (kind, line, more, word) in cases {
        let text = build::descriptor(kind, 1, None, &[line.to_owned()]) + more;
        let e = refused(text.into_bytes());
        assert_eq!(e.class(), Class::Unsupported, "{e}");
        assert!(e.to_string().contains(word), "{e}");
    }
}

#[test]
fn grains_of_two_streams_in_one_disk_are_never_mixed_up() {
    let stream = |gtes: u32, count: usize, first: u8| {
        let grains: Vec<Grain> = (0..count)
            .map(|i| Grain::Data(vec![first + i as u8; 4096]))
            .collect();
        let hosted = Hosted {
            gtes,
            version: 3,
            descriptor: None,
            ..Hosted::small(count * 4096)
        };
        (
            hosted.stream(&grains, true),
            build::model(&grains, 4096, count * 4096, &[]),
        )
    };
    // Tables of 16 entries, then tables of 1: counted by grains alone their numbers would meet.
    let (a, mut model) = stream(16, 40, 1);
    let (b, more) = stream(1, 20, 100);
    model.extend(more);
    let host = MemHost::default();
    let lines = ["RW 320 SPARSE \"a\"".to_owned(), "RW 160 SPARSE \"b\"".to_owned()];
    host.put("image", build::descriptor("custom", 1, None, &lines).into());
    host.put("a", a);
    host.put("b", b);
    let disk = open_mem(&host, "image").unwrap().disk;
    // Parts of grains, which go through the cache: one of each stream in turn, so that none is forgotten between.
    for grain in (0..20).flat_map(|g| [g + 3, 40 + g]) {
        let at = grain * 4096 + 10;
        let mut some = [0; 100];
        disk.read_at(at as u64, &mut some).unwrap();
        assert!(some == model[at..at + 100], "grain {grain}");
    }
}

#[test]
fn the_last_compressed_grain_needs_no_padding() {
    let line = "RW 8 SPARSE \"image\"".to_owned();
    let hosted = Hosted {
        version: 3,
        descriptor: Some(build::descriptor("streamOptimized", 7, None, &[line])),
        ..Hosted::small(4096)
    };
    let mut bytes = hosted.stream(&[Grain::Data(vec![9; 4096])], true);
    // The directory and its table come to the front, and the file ends with the grain's last byte.
    let gd = 6 * SECTOR;
    let size = u32::from_le_bytes(bytes[8 * SECTOR + 8..][..4].try_into().unwrap()) as usize;
    bytes.truncate(8 * SECTOR + 12 + size);
    put64(&mut bytes, 56, 6);
    put32(&mut bytes, gd, 7);
    put32(&mut bytes, 7 * SECTOR, 8);
    let host = MemHost::default();
    host.put("image", bytes);
    assert!(content(&open_mem(&host, "image").unwrap()) == [9; 4096]);
}
