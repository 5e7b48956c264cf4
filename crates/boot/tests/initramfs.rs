//! Images that the tools of distributions make.

use crate::common::{cpio, debian, files, image, packed};
use h2k_block::{Class, Limits, MemDisk, Meter};
use h2k_boot::initramfs::{cpio::Reader, walk};
use h2k_boot::{Compression, Generator, Initramfs, LeftoverKind};
use h2k_testkit::oracle;

/// Program, arguments, what it makes.
pub const PACKERS: [(&str, &[&str], Compression); 7] = [
    ("cat", &[], Compression::None),
    ("gzip", &["-9", "-n"], Compression::Gzip),
    ("xz", &["--check=crc32"], Compression::Xz),
    ("xz", &["--format=lzma"], Compression::Lzma),
    ("lzop", &["-9"], Compression::Lzo),
    ("lz4", &["-l", "-9"], Compression::Lz4),
    ("zstd", &["-19", "-q"], Compression::Zstd),
];

#[test]
fn an_image_is_read_whatever_it_is_packed_with() {
    let dir = debian();
    let archive = cpio(dir.path());
    for (program, args, compression) in PACKERS {
        let image = image(packed(program, args, &archive));
        let [segment] = image.segments.as_slice() else {
            panic!("{program}: {:?}", image.segments)
        };
        assert_eq!(segment.compression, compression);
        assert_eq!(image.modules, ["ahci", "sd_mod", "virtio_blk"], "{program}");
        assert_eq!(image.unindexed, ["virtio_blk"]);
        assert!(image.finds("ahci") && image.has("virtio_blk") && !image.finds("virtio_blk"));
        assert_eq!(image.releases, ["6.1.0-18-amd64"]);
        let generator = image.generator.unwrap();
        assert_eq!(generator.value, Generator::InitramfsTools);
        let host_only = image.host_only.unwrap();
        assert_eq!(host_only.as_str(), "/boot/initrd.img:conf/conf.d/driver-policy:1");
        let blocked: Vec<_> = image.blocked.iter().map(|b| b.value.as_str()).collect();
        assert_eq!(blocked, ["floppy", "sctp"]);
        let leftovers: Vec<_> = image
            .leftovers
            .iter()
            .map(|l| (l.kind, l.device.as_str()))
            .collect();
        assert_eq!(leftovers, [(LeftoverKind::Resume, "/dev/sda5")]);
    }
}

#[test]
fn an_image_has_the_names_that_cpio_lists() {
    let dir = debian();
    let archive = cpio(dir.path());
    let path = dir.path().join("../listed.cpio");
    let listed = {
        let file = dir.path().with_extension("listed");
        std::fs::write(&file, &archive).unwrap();
        oracle::ok(
            "sh",
            &["-c", "cpio --quiet -t < \"$1\"", "sh", file.to_str().unwrap()],
        )
    };
    drop(path);
    let mut names = Vec::new();
    let mut segments = Vec::new();
    let disk = MemDisk::new(packed("zstd", &["-q"], &archive));
    walk(
        &disk,
        &mut Meter::new(Limits::default()),
        &mut segments,
        &mut |_, entry, _, _| {
            names.push(String::from_utf8(entry.name.clone()).unwrap());
            Ok(())
        },
    )
    .unwrap();
    assert_eq!(names, listed.lines().collect::<Vec<_>>());
    assert_eq!(segments[0].entries, names.len() as u64);
}

#[test]
fn segments_follow_each_other_as_the_kernel_takes_them() {
    let early = files(&[
        ("kernel/x86/microcode/GenuineIntel.bin", b"microcode"),
        ("early_cpio", b"1"),
    ]);
    let early = cpio(early.path());
    let main = cpio(debian().path());
    let more = files(&[(
        "usr/lib/modules/6.1.0-18-amd64/kernel/drivers/block/virtio_scsi.ko",
        b"elf",
    )]);
    let more = cpio(more.path());
    for (program, args, compression) in PACKERS {
        let packed = packed(program, args, &main);
        let mut bytes = early.clone();
        bytes.resize(bytes.len().next_multiple_of(512), 0);
        let start = bytes.len() as u64;
        bytes.extend(&packed);
        if compression == Compression::Lz4 {
            // Only another frame may follow directly: lz4 has no end of its own.
            bytes.extend(crate::common::packed("lz4", &["-l"], &more));
        } else {
            bytes.resize(bytes.len().next_multiple_of(4), 0);
            bytes.extend(&more);
        }
        let image = image(bytes);
        assert!(image.has("virtio_scsi"), "{program}: {:?}", image.segments);
        assert_eq!(image.segments[0].compression, Compression::None);
        if compression != Compression::None {
            let main = &image.segments[1];
            assert_eq!((main.offset, main.compression), (start, compression));
        }
    }
}

#[test]
fn gzip_and_gzip_may_touch_each_other() {
    let one = packed("gzip", &["-n"], &cpio(debian().path()));
    let two = packed(
        "gzip",
        &["-n"],
        &cpio(files(&[("lib/modules/1/virtio_net.ko", b"x")]).path()),
    );
    let image = image([one.clone(), two.clone()].concat());
    assert_eq!(image.segments[0].length, one.len() as u64);
    assert_eq!(image.segments[1].length, two.len() as u64);
    assert!(image.has("virtio_net") && image.has("ahci"));
}

#[test]
fn what_a_kernel_would_refuse_is_refused_by_name_and_place() {
    let archive = cpio(debian().path());
    let read = |bytes: Vec<u8>| {
        let (image, errors) = Initramfs::read(&MemDisk::new(bytes), "x", &Limits::default());
        assert!(!image.complete);
        (image, errors)
    };
    // Shifted by a byte.
    let mut shifted = packed("gzip", &["-n"], &archive);
    shifted.resize(shifted.len().next_multiple_of(4) + 1, 0);
    shifted.extend(&archive);
    let (image, errors) = read(shifted);
    assert!(image.has("ahci"), "what comes before is read");
    assert!(errors[0].to_string().contains("aligned"), "{}", errors[0]);
    // Cut in the middle.
    let mut cut = packed("zstd", &["-q"], &archive);
    cut.truncate(cut.len() / 2);
    let (_, errors) = read(cut);
    assert_eq!(errors[0].class(), Class::Corrupt);
    // The old form of cpio, and something else.
    let (_, errors) = read(b"070707000000".repeat(20));
    assert!(errors[0].to_string().contains("070701"), "{}", errors[0]);
    let (_, errors) = read(b"hello".to_vec());
    assert!(errors[0].to_string().contains("hello"), "{}", errors[0]);
    let (_, errors) = read(packed("bzip2", &[], &archive));
    assert_eq!(errors[0].class(), Class::Unsupported);
}

#[test]
fn generators_are_told_by_what_they_leave() {
    for (marks, generator) in [
        (
            &[("usr/lib/dracut/hooks/cmdline/x.sh", &b"x"[..])][..],
            Generator::Dracut,
        ),
        (
            &[("init_functions", b"x"), ("config", b"MODULES=\"\"\n")],
            Generator::Mkinitcpio,
        ),
        (&[("sbin/nlplug-findfs", b"x")], Generator::Mkinitfs),
        (&[("etc/booster.init.yaml", b"x")], Generator::Booster),
        (
            &[("init", b"#!/bin/nash\ninsmod /lib/ext3.ko\n")],
            Generator::RedHatMkinitrd,
        ),
        (&[("etc/initrd.defaults", b"x")], Generator::Genkernel),
    ] {
        let image = image(cpio(files(marks).path()));
        assert_eq!(image.generator.map(|g| g.value), Some(generator));
    }
}

#[test]
fn an_entry_is_read_in_pieces_or_not_at_all() {
    let dir = files(&[("a", &[1; 100]), ("b", b"bbb"), ("c", b"")]);
    let archive = cpio(dir.path());
    let mut meter = Meter::new(Limits::default());
    let mut reader = Reader::new(archive.as_slice());
    let mut seen = Vec::new();
    while let Some(entry) = reader.next_entry(&mut meter).unwrap() {
        let content = match entry.name.as_slice() {
            b"a" => reader.content(10, &mut meter).unwrap(),
            b"b" => reader.content(10, &mut meter).unwrap(),
            _ => Vec::new(),
        };
        seen.push((entry.size, content.len()));
    }
    assert_eq!(seen, [(100, 10), (3, 3), (0, 0)]);
    assert_eq!(reader.taken(), archive.len() as u64);
}
