//! vdi: known answers, differential tests, a builder of odd images, damage.

use crate::door;
use crate::fill::{self, Feed};
use h2k_block::{BlockRead, BlockWrite, Class, Error, HostFile, Kind, MemDisk, NoHost};
use h2k_image::vdi::{Kind as Subformat, Options};
use h2k_image::{Format, Image, OpenOptions, Target, open};
use h2k_testkit::mutate::damage;
use h2k_testkit::rng::Rng;
use h2k_testkit::sparse::Sparse;
use h2k_testkit::{corpus, hash, oracle};
use std::sync::Arc;

const NEVER: u32 = u32::MAX;
const DISCARDED: u32 = u32::MAX - 1;

/// An image from the header's numbers: `map` says where each block is, data block n is filled with n + 1.
fn build(kind: u32, size: u64, block: u32, map: &[u32]) -> Sparse {
    let file = Sparse::new("built.vdi");
    let data = (512 + map.len() as u64 * 4).next_multiple_of(512);
    let stored = map.iter().filter(|n| **n < DISCARDED).count() as u64;
    file.set_len(data + stored * u64::from(block)).unwrap();
    let put = |at: u64, n: u32| file.write_at(at, &n.to_le_bytes()).unwrap();
    file.write_at(0, b"<<< Oracle VM VirtualBox Disk Image >>>\n")
        .unwrap();
    put(0x40, 0xbeda_107f);
    put(0x44, 0x0001_0001);
    put(0x48, 400);
    put(0x4c, kind);
    put(0x154, 512);
    put(0x158, data as u32);
    put(0x168, 512);
    file.write_at(0x170, &size.to_le_bytes()).unwrap();
    put(0x178, block);
    put(0x180, map.len() as u32);
    put(0x184, stored as u32);
    file.write_at(0x188, &[0xaa; 32]).unwrap();
    for (i, entry) in (0..).zip(map) {
        put(512 + i * 4, *entry);
    }
    for n in 0..stored {
        let bytes = vec![n as u8 + 1; block as usize];
        file.write_at(data + n * u64::from(block), &bytes).unwrap();
    }
    file
}

fn opened(file: &Sparse) -> h2k_block::Result<Image> {
    let options = OpenOptions {
        format: Some(Format::Vdi),
        ..OpenOptions::default()
    };
    open(Arc::new(file.clone()), &NoHost, &options)
}

fn refused(file: &Sparse) -> Error {
    opened(file).err().expect("this image is not in order")
}

#[test]
fn every_image_of_the_corpus_reads_as_its_oracles_say() {
    let Some(corpus) = corpus::corpus() else { return };
    let mut seen = 0;
    for case in corpus.below("images/vdi/") {
        let dir = fill::scratch();
        let image = fill::open_path(&corpus.unpack(case, dir.path()), Format::Vdi).unwrap();
        let facts = &case.oracle["disk"];
        assert_eq!(
            Some(image.disk.len()),
            facts["virtual_size"].as_u64(),
            "{}",
            case.path
        );
        let found = hash::disk_sha256(&*image.disk).unwrap();
        assert_eq!(
            Some(found.as_str()),
            facts["content_sha256"].as_str(),
            "{}",
            case.path
        );
        assert_eq!(
            Some(hash::nz64k(&*image.disk).unwrap().as_str()),
            facts["content_nz64k"].as_str()
        );
        seen += 1;
    }
    assert!(seen >= 2);
}

#[test]
fn images_made_by_qemu_img_read_like_their_source() {
    let dir = fill::scratch();
    let (raw, vdi) = (dir.path().join("s.raw"), dir.path().join("t.vdi"));
    for (len, options) in [
        (512, ""),
        ((11 << 20) + 512, ""),
        ((11 << 20) + 512, "static=on"),
        (9 << 30, ""),
    ] {
        let source = fill::noise(len, 1 << 20, len);
        source.save(&raw);
        fill::qemu_convert(&raw, &vdi, "vdi", options);
        let image = fill::open_path(&vdi, Format::Vdi).unwrap();
        let expected = if options.is_empty() { "dynamic" } else { "static" };
        assert_eq!(image.info.subformat.as_deref(), Some(expected));
        fill::same(&source, &*image.disk);
        fill::borders(&*image.disk, &source, 1 << 20, 12);
    }
}

#[test]
fn blocks_come_from_where_the_map_says() {
    for block in [512, 4096, 1 << 20] {
        let unit = u64::from(block);
        let size = 6 * unit + 512;
        let file = build(1, size, block, &[2, NEVER, 0, 1, DISCARDED, NEVER, 3]);
        let mut truth = vec![0; size as usize];
        for (at, n) in [(0, 3), (2, 1), (3, 2)] {
            truth[at * unit as usize..(at + 1) * unit as usize].fill(n);
        }
        truth[6 * unit as usize..].fill(4);
        let truth = MemDisk::new(truth);
        let disk = opened(&file).unwrap().disk;
        fill::same(&*disk, &truth);
        fill::borders(&*disk, &truth, unit, 8);
        let kinds: Vec<Kind> = (0..7)
            .map(|n| disk.extent_at(n * unit, size).unwrap().kind)
            .collect();
        use Kind::{Data, Hole, Zero};
        assert_eq!(kinds, [Data, Hole, Data, Data, Zero, Hole, Data]);
    }
}

#[test]
fn a_static_image_is_one_run() {
    let file = build(2, 4 << 20, 1 << 20, &[0, 1, 2, 3]);
    let disk = opened(&file).unwrap().disk;
    assert_eq!(disk.extent_at(0, 4 << 20).unwrap().len, 4 << 20);
    assert_eq!(disk.raw_at(5, 4 << 20).unwrap().unwrap().len, (4 << 20) - 5);
}

#[test]
fn images_with_a_parent_and_unknown_things_are_refused_by_name() {
    let at = |offset: u64, value: &[u8]| {
        let file = build(1, 1 << 20, 1 << 20, &[0]);
        file.write_at(offset, value).unwrap();
        refused(&file)
    };
    for (offset, value, word) in [
        (0x4c, [3, 0, 0, 0], "undo"),
        (0x4c, [4, 0, 0, 0], "differencing"),
        (0x4c, [5, 0, 0, 0], "image type 5"),
        (0x44, [0, 0, 2, 0], "version 2.0"),
        (0x17c, [0, 2, 0, 0], "extra"),
        (0x1a8, [1, 0, 0, 0], "parent"),
        (0x1b8, [1, 0, 0, 0], "parent"),
    ] {
        let e = at(offset, &value);
        assert_eq!(e.class(), Class::Unsupported);
        assert!(e.to_string().contains(word), "{e}");
    }
}

#[test]
fn impossible_headers_and_entries_are_corrupt() {
    for (offset, value) in [
        (0x40_u64, 0_u32),
        (0x48, 100),
        (0x154, 0x7fff_fff0),
        (0x154, 513),
        (0x178, 0),
        (0x178, 3000),
        (0x180, 0),
    ] {
        let file = build(1, 2 << 20, 1 << 20, &[0, NEVER]);
        file.write_at(offset, &value.to_le_bytes()).unwrap();
        assert_eq!(refused(&file).class(), Class::Corrupt, "{offset:#x}");
    }
    let file = build(1, 2 << 20, 1 << 20, &[0, 5]);
    let disk = opened(&file).unwrap().disk;
    let mut two = [0; 2];
    disk.read_at(0, &mut two).unwrap();
    let e = disk.read_at((1 << 20) - 1, &mut two).unwrap_err();
    assert_eq!(
        (e.class(), e.place().unwrap().structure),
        (Class::Corrupt, "block map")
    );
}

#[test]
fn a_size_that_is_not_whole_sectors_is_rounded_up_as_qemu_img_does() {
    let file = build(1, 700, 1 << 20, &[0]);
    let image = opened(&file).unwrap();
    assert_eq!((image.disk.len(), image.info.warnings.len()), (1024, 1));
    let dir = fill::scratch();
    let path = dir.path().join("x.vdi");
    file.save(&path);
    assert_eq!(fill::qemu_size(&path, "vdi"), 1024);
}

#[test]
fn a_hundred_thousand_damaged_images_end_soon_and_without_a_panic() {
    let image = build(1, 6 * 4096, 4096, &[2, NEVER, 0, 1, DISCARDED, NEVER]);
    let mut rng = Rng::new(0x5eed);
    for _ in 0..100_000 {
        let file = image.clone();
        file.edit(0x40..512 + 24, |bytes| {
            let (from, to) = if rng.below(2) == 0 {
                (0, 0x20)
            } else {
                (0x100, bytes.len())
            };
            damage(&mut rng, bytes, from..to);
        });
        door::knock_file(Arc::new(file), Format::Vdi);
    }
}

fn target(kind: Subformat) -> Target {
    Target::Vdi(Options {
        kind,
        ..Options::default()
    })
}

fn made(from: &dyn BlockRead, kind: Subformat, feed: Feed) -> Arc<Sparse> {
    let file = Arc::new(Sparse::new("made.vdi"));
    fill::make(from, file.clone(), &target(kind), feed).unwrap();
    file
}

#[test]
fn qemu_img_finds_the_same_bytes_and_nothing_wrong() {
    let dir = fill::scratch();
    let (raw, vdi) = (dir.path().join("s.raw"), dir.path().join("t.vdi"));
    for kind in [Subformat::Dynamic, Subformat::Static] {
        for len in [512, 5 << 20, (41 << 20) + 512, 3 << 40] {
            if len > 1 << 30 && kind == Subformat::Static {
                continue;
            }
            let source = fill::noise(len, 1 << 20, len);
            let file = made(&source, kind, fill::ONE);
            source.save(&raw);
            file.save(&vdi);
            oracle::qemu_check(&vdi, "vdi");
            if len < 1 << 30 {
                oracle::qemu_same(&vdi, "vdi", &raw, "raw");
            }
            let image = fill::open_path(&vdi, Format::Vdi).unwrap();
            assert!(image.info.warnings.is_empty());
            fill::same(&source, &*image.disk);
            fill::borders(&*image.disk, &source, 1 << 20, 6);
        }
    }
}

#[test]
fn odd_sizes_are_rounded_up_to_whole_sectors_of_zeros() {
    for (len, rounded) in [(0, 0), (1, 512), (1000, 1024)] {
        let source = Sparse::of("s", &vec![0xee; len]);
        let disk = fill::reopen(made(&source, Subformat::Dynamic, fill::ONE), Format::Vdi).disk;
        assert_eq!(disk.len(), rounded);
        let mut all = vec![1; rounded as usize];
        disk.read_at(0, &mut all).unwrap();
        assert!(all[..len].iter().all(|b| *b == 0xee) && all[len..].iter().all(|b| *b == 0));
    }
}

#[test]
fn the_bytes_do_not_depend_on_the_order_of_stores_or_the_size_of_batches() {
    let source = fill::noise(20 << 20, 1 << 20, 11);
    for kind in [Subformat::Dynamic, Subformat::Static] {
        let one = made(&source, kind, fill::ONE);
        for feed in [Feed { grains: 1, ahead: 9 }, Feed { grains: 37, ahead: 4 }] {
            let other = made(&source, kind, feed);
            assert!(
                one.pages() == other.pages() && one.len() == other.len(),
                "{feed:?}"
            );
        }
    }
}

#[test]
fn a_sparse_disk_of_16_tib_is_made_and_mapped_soon() {
    let source = Sparse::new("huge");
    source.set_len(16 << 40).unwrap();
    source.write_at(5 << 40, b"five").unwrap();
    source.write_at((16 << 40) - 4, b"last").unwrap();
    let file = made(&source, Subformat::Dynamic, fill::ONE);
    // The map itself: 16 Mi entries of 4 bytes.
    assert!(file.stored() < 66 << 20);
    fill::same(&source, &*fill::reopen(file, Format::Vdi).disk);
}

#[test]
fn too_large_disks_are_refused_and_a_given_identity_is_kept() {
    let mut none = |_: &str| panic!("one file");
    let file = Arc::new(Sparse::new("x"));
    let e = h2k_image::create(file, &mut none, &target(Subformat::Dynamic), 1 << 60)
        .err()
        .unwrap();
    assert_eq!(e.class(), Class::Unsupported);
    let given = Target::Vdi(Options {
        uuid: Some([0xcd; 16]),
        ..Options::default()
    });
    let file = Arc::new(Sparse::new("x"));
    fill::make(&fill::noise(1 << 20, 65536, 3), file.clone(), &given, fill::ONE).unwrap();
    let image = fill::reopen(file, Format::Vdi);
    let uuid = image.info.facts.iter().find(|f| f.key == "uuid").unwrap();
    assert_eq!(uuid.value, "cdcdcdcd-cdcd-cdcd-cdcd-cdcdcdcdcdcd".into());
}

#[test]
fn the_signature_is_written_after_everything_else_is_durable() {
    use h2k_testkit::faulty::{Asked, Recorder};
    let file = Arc::new(Recorder::new(Vec::new()));
    let source = fill::noise(1 << 20, 65536, 4);
    fill::make(&source, file.clone(), &target(Subformat::Dynamic), fill::ONE).unwrap();
    let asked = file.asked();
    let Some([Asked::Flush, Asked::Write(0x40, magic), Asked::Flush]) = asked.last_chunk::<3>() else {
        panic!("{:?}", asked.last_chunk::<3>());
    };
    assert_eq!(magic, &0xbeda_107f_u32.to_le_bytes());
    let header = asked.iter().find_map(|a| match a {
        Asked::Write(0, bytes) => Some(bytes),
        _ => None,
    });
    assert_eq!(header.unwrap()[0x40..0x44], [0; 4]);
}
