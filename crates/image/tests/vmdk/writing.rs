use super::{open_mem, open_path};
use crate::fill::{self, Feed, ONE};
use h2k_block::{Access, BlockRead, Class, FileDisk, HostFile, MemDisk, MemHost, Output, Sharing};
use h2k_image::vmdk::{Adapter, Kind, Options};
use h2k_image::{Format, OpenOptions, Target, create, open};
use h2k_testkit::faulty::{Asked, Recorder};
use h2k_testkit::oracle;
use h2k_testkit::sparse::Sparse;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const GRAIN: u64 = 65536;
const REACH: u64 = 512 * GRAIN;

fn options(kind: Kind) -> Options {
    Options {
        kind,
        ..Options::default()
    }
}

/// Makes `dir/name.vmdk` the way the product does: parts first, names last.
fn write(from: &dyn BlockRead, dir: &Path, name: &str, options: &Options, feed: Feed) -> PathBuf {
    let path = dir.join(format!("{name}.vmdk"));
    let mut output = Output::new(true);
    let file = output.create(&path).unwrap();
    let flat = dir.join(format!("{name}-flat.vmdk"));
    let mut another = |ending: &str| {
        assert_eq!(ending, "-flat.vmdk");
        output.create(&flat)
    };
    let target = Target::Vmdk(options.clone());
    let sink = create(file, &mut another, &target, from.len()).unwrap();
    fill::fill(from, sink, feed).unwrap();
    output.commit().unwrap();
    // A process that another test is just starting may hold copies of our descriptors until it execs, and with
    // them the writer's locks; qemu-img would refuse the file.
    for written in [&path, &flat] {
        while FileDisk::open(written, Access::Read, Sharing::Careful).is_err_and(|e| e.class() == Class::Busy)
        {
            std::thread::yield_now();
        }
    }
    path
}

/// The same in memory.
fn write_mem(from: &dyn BlockRead, options: &Options, feed: Feed) -> MemHost {
    let host = MemHost::default();
    let file = host.put("disk.vmdk", Vec::new());
    let mut another = |ending: &str| -> h2k_block::Result<Arc<dyn HostFile>> {
        Ok(host.put(format!("disk{ending}"), Vec::new()))
    };
    let sink = create(file, &mut another, &Target::Vmdk(options.clone()), from.len()).unwrap();
    fill::fill(from, sink, feed).unwrap();
    host
}

fn files(host: &MemHost) -> Vec<Vec<u8>> {
    ["disk.vmdk", "disk-flat.vmdk"]
        .iter()
        .filter_map(|n| host.get(n))
        .map(|f| f.to_vec())
        .collect()
}

#[test]
fn what_is_written_is_read_back_by_us_and_by_qemu_img() {
    for kind in Kind::ALL {
        for len in [
            512,
            GRAIN - 512,
            GRAIN,
            GRAIN + 512,
            3 * GRAIN + 5 * 512,
            REACH - 512,
            REACH,
            REACH + GRAIN + 512,
            2 * REACH + 7 * 512,
        ] {
            let source = fill::noise(len, GRAIN, len);
            let dir = tempfile::tempdir().unwrap();
            let raw = dir.path().join("source.raw");
            source.save(&raw);
            let image = write(&source, dir.path(), "made", &options(kind), ONE);
            oracle::qemu_same(&raw, "raw", &image, "vmdk");
            if kind != Kind::MonolithicFlat {
                oracle::qemu_check(&image, "vmdk");
            }
            let ours = open_path(&image).unwrap();
            fill::same(&*ours.disk, &source);
            fill::borders(&*ours.disk, &source, GRAIN, 3);
            assert_eq!(ours.info.subformat.as_deref(), Some(kind.name()));
            assert_eq!(ours.info.warnings, Vec::<String>::new());
        }
    }
}

#[test]
fn a_disk_of_nothing_or_of_zeros_is_a_disk() {
    for kind in Kind::ALL {
        for len in [0, 512, 40 << 20] {
            let source = Sparse::new("zeros");
            source.set_len(len).unwrap();
            let dir = tempfile::tempdir().unwrap();
            let image = write(&source, dir.path(), "zeros", &options(kind), ONE);
            let ours = open_path(&image).unwrap();
            assert_eq!(ours.disk.len(), len);
            fill::same(&*ours.disk, &source);
            // qemu-img refuses VMDKs without a sector, its own too.
            if len > 0 {
                let raw = dir.path().join("zeros.raw");
                source.save(&raw);
                oracle::qemu_same(&raw, "raw", &image, "vmdk");
            }
        }
    }
}

#[test]
fn an_odd_size_is_filled_up_to_a_sector_with_zeros() {
    for kind in Kind::ALL {
        for len in [1, 511, 513, GRAIN + 1, REACH - 1] {
            let source = MemDisk::new((0..len).map(|i| (i % 251) as u8 | 1).collect());
            let host = write_mem(&source, &options(kind), ONE);
            let disk = open_mem(&host, "disk.vmdk").unwrap().disk;
            assert_eq!(disk.len(), len.next_multiple_of(512));
            let mut all = vec![7; disk.len() as usize];
            disk.read_at(0, &mut all).unwrap();
            let (content, rest) = all.split_at(len as usize);
            assert!(
                content == source.to_vec() && rest.iter().all(|b| *b == 0),
                "{kind:?} {len}"
            );
        }
    }
}

#[test]
fn two_tebibytes_and_more_are_written_in_a_moment() {
    for kind in Kind::ALL {
        let len = (5 << 40) + 512;
        let source = Sparse::new("large");
        source.set_len(len).unwrap();
        for at in [0, (2 << 40) - 100, 3 << 40, len - 512] {
            source.edit(at..at + 512, |b| b.fill(0x5a));
        }
        let dir = tempfile::tempdir().unwrap();
        let image = write(&source, dir.path(), "large", &options(kind), ONE);
        let ours = open_path(&image).unwrap();
        fill::same(&*ours.disk, &source);
        // qemu-img asks 64 KiB by 64 KiB where data is, which takes minutes; so it is asked where to look.
        for (at, pattern) in [
            (0, 0x5a),
            ((2 << 40) - 100, 0x5a),
            (3 << 40, 0x5a),
            (4 << 40, 0),
            (len - 512, 0x5a),
        ] {
            let read = format!("read -P {pattern} {at} 512");
            let said = oracle::ok(
                "qemu-io",
                &["-r", "-f", "vmdk", "-c", &read, image.to_str().unwrap()],
            );
            assert!(
                said.contains("read 512/512 bytes") && !said.contains("failed"),
                "{said}"
            );
        }
    }
}

#[test]
fn more_than_a_vmdk_holds_is_refused() {
    let mut none = |_: &str| panic!("nothing is made");
    for kind in Kind::ALL {
        let target = Target::Vmdk(options(kind));
        let e = create(Arc::new(MemDisk::default()), &mut none, &target, (64 << 40) + 1)
            .err()
            .unwrap();
        assert_eq!(e.class(), Class::Unsupported);
    }
}

#[test]
fn the_bytes_do_not_depend_on_who_stores_when() {
    let source = fill::noise(2 * REACH + 3 * GRAIN + 512, GRAIN, 5);
    for kind in Kind::ALL {
        let one = files(&write_mem(&source, &options(kind), ONE));
        for feed in [
            Feed { grains: 16, ahead: 7 },
            Feed { grains: 1, ahead: 40 },
            Feed { grains: 64, ahead: 3 },
        ] {
            assert!(
                one == files(&write_mem(&source, &options(kind), feed)),
                "{kind:?} {feed:?}"
            );
        }
    }
}

#[test]
fn the_magic_is_written_last_and_after_a_flush() {
    for kind in [Kind::MonolithicSparse, Kind::StreamOptimized] {
        let source = fill::noise(REACH + GRAIN, GRAIN, 5);
        let file = Arc::new(Recorder::default());
        fill::make(&source, file.clone(), &Target::Vmdk(options(kind)), ONE).unwrap();
        let asked = file.asked();
        let heads: Vec<usize> = (0..asked.len())
            .filter(|i| matches!(&asked[*i], Asked::Write(0, bytes) if bytes.starts_with(b"KDMV")))
            .collect();
        assert_eq!(heads, [asked.len() - 2]);
        assert_eq!(asked[asked.len() - 3], Asked::Flush);
        assert_eq!(asked[asked.len() - 1], Asked::Flush);
    }
    // A flat disk has no header: its descriptor comes when the bytes are safe.
    let host = MemHost::default();
    let source = fill::noise(GRAIN, GRAIN, 5);
    let file = Arc::new(Recorder::default());
    let mut another = |ending: &str| -> h2k_block::Result<Arc<dyn HostFile>> {
        Ok(host.put(format!("disk{ending}"), Vec::new()))
    };
    let target = Target::Vmdk(options(Kind::MonolithicFlat));
    let sink = create(file.clone(), &mut another, &target, GRAIN).unwrap();
    assert!(file.asked().is_empty());
    fill::fill(&source, sink, ONE).unwrap();
    assert!(matches!(
        &file.asked()[..],
        [Asked::SetLen(_), Asked::Write(0, _), Asked::Flush]
    ));
}

#[test]
fn the_descriptor_says_what_was_asked_for() {
    let source = fill::noise(3 << 30, 1 << 30, 5);
    let dir = tempfile::tempdir().unwrap();
    let asked = Options {
        adapter: Adapter::Pvscsi,
        hardware_version: 19,
        cid: Some(0x00c0_ffee),
        tools_version: Some(12352),
        level: 1,
        ..options(Kind::StreamOptimized)
    };
    let image = write(&source, dir.path(), "web01", &asked, ONE);
    let bytes = std::fs::read(&image).unwrap();
    let text = String::from_utf8(bytes[512..21 * 512].to_vec()).unwrap();
    for line in [
        "CID=00c0ffee\n",
        "parentCID=ffffffff\n",
        "createType=\"streamOptimized\"\n",
        "RW 6291456 SPARSE \"web01.vmdk\"\n",
        "ddb.adapterType = \"pvscsi\"\n",
        "ddb.geometry.cylinders = \"391\"\n",
        "ddb.geometry.heads = \"255\"\n",
        "ddb.virtualHWVersion = \"19\"\n",
        "ddb.toolsVersion = \"12352\"\n",
    ] {
        assert!(text.contains(line), "{line:?} is not in\n{text}");
    }
}

#[test]
fn a_flat_disk_names_the_file_that_will_be_there() {
    let source = fill::noise(GRAIN, GRAIN, 5);
    let dir = tempfile::tempdir().unwrap();
    let image = write(&source, dir.path(), "web.01", &options(Kind::MonolithicFlat), ONE);
    let text = std::fs::read_to_string(&image).unwrap();
    assert!(text.contains("RW 128 FLAT \"web.01-flat.vmdk\" 0\n"), "{text}");
    let mut names: Vec<_> = std::fs::read_dir(dir.path())
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    names.sort();
    assert_eq!(names, ["web.01-flat.vmdk", "web.01.vmdk"]);
}

#[test]
fn nonsense_is_refused_before_anything_is_written() {
    let mut none = |_: &str| panic!("nothing is made");
    for bad in [
        Options {
            level: 0,
            ..options(Kind::StreamOptimized)
        },
        Options {
            level: 10,
            ..options(Kind::StreamOptimized)
        },
        Options {
            cid: Some(u32::MAX),
            ..Options::default()
        },
        Options {
            cid: Some(0xffff_fffe),
            ..Options::default()
        },
        Options {
            name: Some("a\"b".to_owned()),
            ..Options::default()
        },
    ] {
        let file = Arc::new(MemDisk::default());
        let e = create(file.clone(), &mut none, &Target::Vmdk(bad.clone()), 512)
            .err()
            .unwrap();
        assert_eq!((e.class(), file.len()), (Class::Invalid, 0), "{bad:?}");
    }
}

#[test]
fn a_file_with_old_bytes_is_not_filled() {
    let mut none = |_: &str| panic!("nothing is made");
    for kind in Kind::ALL {
        let file = Arc::new(MemDisk::new(vec![1; 4096]));
        let e = create(file, &mut none, &Target::Vmdk(options(kind)), 512)
            .err()
            .unwrap();
        assert_eq!(e.class(), Class::Invalid);
    }
}

/// Walks a stream from front to back by its markers alone, as an importer does that never seeks.
#[test]
fn a_stream_can_be_read_from_front_to_back_by_its_markers() {
    let source = fill::noise(3 * REACH + 5 * GRAIN, GRAIN, 9);
    let host = write_mem(&source, &options(Kind::StreamOptimized), ONE);
    let bytes = host.get("disk.vmdk").unwrap().to_vec();
    let word = |at: usize, n: usize| {
        let mut w = [0; 8];
        w[..n].copy_from_slice(&bytes[at..at + n]);
        u64::from_le_bytes(w)
    };
    assert_eq!(word(56, 8), u64::MAX, "gdOffset of the header");
    let mut at = word(64, 8) as usize * 512;
    let (mut seen, mut grains, mut pending, mut last) = (Vec::new(), Vec::new(), Vec::new(), 0);
    loop {
        let (value, size) = (word(at, 8), word(at + 8, 4) as usize);
        if size > 0 {
            assert!(grains.is_empty() || value > last, "grains ascend");
            last = value;
            grains.push((value, at / 512));
            pending.push((value, at / 512));
            at += (12 + size).next_multiple_of(512);
            continue;
        }
        let kind = word(at + 12, 4);
        seen.push(kind);
        at += 512;
        match kind {
            0 => break,
            1 => {
                // The table holds the grains since the last one, and nothing else.
                assert_eq!(value, 4);
                let entries: Vec<usize> = (0..512).map(|i| word(at + i * 4, 4) as usize).collect();
                for (lba, sector) in &pending {
                    assert_eq!(entries[(lba / 128 % 512) as usize], *sector);
                }
                assert_eq!(entries.iter().filter(|e| **e != 0).count(), pending.len());
                pending.clear();
            }
            3 => assert_eq!(&bytes[at..at + 4], b"KDMV"),
            _ => assert_eq!(kind, 2),
        }
        at += value as usize * 512;
    }
    assert_eq!(at, bytes.len());
    assert_eq!(seen, [1, 1, 1, 1, 2, 3, 0]);
    assert!(pending.is_empty());
}

#[test]
fn a_sparse_disk_has_two_equal_sets_of_tables() {
    let source = fill::noise(2 * REACH, GRAIN, 9);
    let host = write_mem(&source, &options(Kind::MonolithicSparse), ONE);
    let good = host.get("disk.vmdk").unwrap().to_vec();
    let mut bytes = good.clone();
    // Without the primary directory the redundant one serves.
    let gd = u64::from_le_bytes(bytes[56..64].try_into().unwrap()) as usize * 512;
    bytes[gd..gd + 4].fill(0xff);
    host.put("disk.vmdk", bytes);
    let image = open_mem(&host, "disk.vmdk").unwrap();
    assert_eq!(image.info.warnings.len(), 1);
    fill::same(&*image.disk, &source);
}

#[test]
fn a_host_that_fails_ends_with_its_error() {
    use h2k_testkit::faulty::Faulty;
    let source = fill::noise(REACH + GRAIN, GRAIN, 5);
    for kind in [Kind::MonolithicSparse, Kind::StreamOptimized] {
        let mut calls = 0;
        loop {
            let below = Arc::new(MemDisk::default());
            let file = Arc::new(Faulty::after(below.clone(), calls));
            let mut none = |_: &str| panic!("one file");
            let made = create(file, &mut none, &Target::Vmdk(options(kind)), source.len())
                .and_then(|sink| fill::fill(&source, sink, ONE));
            match made {
                Ok(()) => break,
                Err(e) => assert_eq!(e.class(), Class::Io),
            }
            // What is there is not taken for a disk, until the very last flush.
            let host = MemHost::default();
            host.put("disk.vmdk", below.to_vec());
            let whole = below.to_vec().starts_with(b"KDMV");
            let options = OpenOptions {
                format: Some(Format::Vmdk),
                ..OpenOptions::default()
            };
            let opened = open(host.get("disk.vmdk").unwrap(), &host, &options);
            assert_eq!(opened.is_ok(), whole);
            calls += 1;
        }
        assert!(calls > 10);
    }
}

#[test]
fn what_is_written_is_recognised_without_being_told() {
    let source = fill::noise(GRAIN * 3, GRAIN, 2);
    let dir = tempfile::tempdir().unwrap();
    for kind in Kind::ALL {
        let path = write(&source, dir.path(), kind.name(), &options(kind), ONE);
        let file = FileDisk::open(&path, Access::Read, Sharing::Force).unwrap();
        assert_eq!(h2k_image::probe(&file).unwrap(), Format::Vmdk);
    }
}

/// A reader that shares no code with ours or with qemu-img (`rust-img-vmdk`).
#[test]
fn a_third_reader_reads_what_is_written() {
    let source = fill::noise(2 * REACH + 5 * GRAIN, GRAIN, 77);
    let dir = tempfile::tempdir().unwrap();
    for kind in [Kind::MonolithicSparse, Kind::StreamOptimized] {
        let path = write(&source, dir.path(), kind.name(), &options(kind), ONE);
        let theirs = img_vmdk::VmdkReader::open(&path).unwrap();
        assert_eq!(theirs.virtual_size(), source.len());
        let (mut a, mut b) = (vec![0; GRAIN as usize], vec![0; GRAIN as usize]);
        for at in (0..source.len()).step_by(GRAIN as usize) {
            theirs.read_at(at, &mut a).unwrap();
            source.read_at(at, &mut b).unwrap();
            assert!(a == b, "{kind:?} at {at:#x}");
        }
    }
}

#[test]
fn what_is_written_passes_the_check_without_a_remark() {
    for kind in Kind::ALL {
        for len in [512, GRAIN * 3 + 512, 2 * REACH + GRAIN] {
            let source = fill::noise(len, GRAIN, 3);
            let host = write_mem(&source, &options(kind), ONE);
            let file = host.get("disk.vmdk").unwrap();
            let found = h2k_image::check(file, &host, &OpenOptions::default()).unwrap();
            assert_eq!(found.findings, [], "{kind:?} {len}");
        }
    }
}
