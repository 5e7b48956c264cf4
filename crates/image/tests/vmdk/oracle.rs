//! Against qemu-img: images it makes, and images it reads.

use super::build::{self, Grain, Hosted};
use super::open_path;
use super::reading::samples;
use h2k_block::BlockRead;
use h2k_testkit::{hash, oracle, rng::Rng};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

fn qemu_img(args: &[&str]) -> String {
    oracle::ok("qemu-img", args)
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A raw disk of `len` bytes with noise, zeros and text here and there, also around every 2 GiB.
fn source(dir: &Path, len: u64) -> PathBuf {
    let path = dir.join("source.raw");
    let file = std::fs::File::create(&path).unwrap();
    file.set_len(len).unwrap();
    let mut rng = Rng::new(len);
    let mut block = vec![0; 150_000];
    let mut places: Vec<u64> = (0..12).map(|_| rng.below(len)).collect();
    places.extend([0, len - len.min(1000)]);
    places.extend((1..=len >> 31).map(|i| (i << 31) - 65536 * 33));
    for (i, at) in places.into_iter().enumerate() {
        if i % 3 == 0 {
            block.fill(i as u8 + 1);
        } else {
            rng.fill(&mut block);
        }
        let n = (len - at).min(block.len() as u64) as usize;
        file.write_all_at(&block[..n], at).unwrap();
    }
    path
}

/// Whether our reading of `image` is what qemu-img reads, by digest over all non-zero blocks; and around borders of
/// `grain` byte by byte.
fn same_as_qemu(image: &Path, dir: &Path, grain: u64) {
    let raw = dir.join("by-qemu.raw");
    let _old = std::fs::remove_file(&raw);
    qemu_img(&["convert", "-f", "vmdk", "-O", "raw", text(image), text(&raw)]);
    let theirs = h2k_block::FileDisk::open(&raw, h2k_block::Access::Read, h2k_block::Sharing::Force).unwrap();
    let ours = open_path(image)
        .unwrap_or_else(|e| panic!("{}: {e}", image.display()))
        .disk;
    assert_eq!(ours.len(), theirs.len());
    assert_eq!(
        hash::nz64k(&*ours).unwrap(),
        hash::nz64k(&theirs).unwrap(),
        "{}",
        image.display()
    );
    let mut rng = Rng::new(1);
    let grains = ours.len() / grain;
    let mut borders: Vec<u64> = (0..grains.min(64)).map(|i| i * grain).collect();
    borders.extend((0..64).map(|_| rng.below(grains + 1) * grain));
    borders.extend((1..=ours.len() >> 31).map(|i| (i << 31) - 65536 * 32));
    borders.push(ours.len());
    let (mut a, mut b) = (vec![0; 140_000], vec![0; 140_000]);
    for border in borders {
        for start in [
            border.saturating_sub(1),
            border,
            border + 1,
            border.saturating_sub(grain + 1),
        ] {
            for len in [1, 2, 512, grain, grain + 1, 2 * grain + 2] {
                let len = len.min(140_000);
                if start + len > ours.len() {
                    continue;
                }
                let (a, b) = (&mut a[..len as usize], &mut b[..len as usize]);
                ours.read_at(start, a).unwrap();
                theirs.read_at(start, b).unwrap();
                assert!(a == b, "{} {start}+{len}", image.display());
            }
        }
    }
}

#[test]
fn every_subformat_qemu_img_makes_is_read_as_it_reads_it() {
    let dir = tempfile::tempdir().unwrap();
    for len in [(5 << 20) + 512 * 3, (2 << 30) + (70 << 20)] {
        let raw = source(dir.path(), len);
        for options in [
            "subformat=monolithicSparse",
            "subformat=monolithicSparse,zeroed_grain=on,compat6=on",
            "subformat=monolithicFlat",
            "subformat=twoGbMaxExtentSparse",
            "subformat=twoGbMaxExtentFlat",
            "subformat=streamOptimized",
        ] {
            let image = dir.path().join("image.vmdk");
            qemu_img(&[
                "convert",
                "-f",
                "raw",
                "-O",
                "vmdk",
                "-o",
                options,
                text(&raw),
                text(&image),
            ]);
            same_as_qemu(&image, dir.path(), 65536);
            let kind = options.split(['=', ',']).nth(1);
            assert_eq!(open_path(&image).unwrap().info.subformat.as_deref(), kind);
        }
    }
}

#[test]
fn backing_chains_of_qemu_img_are_read_as_it_reads_them() {
    for (options, child) in [
        (
            "subformat=monolithicSparse",
            "subformat=monolithicSparse,zeroed_grain=on",
        ),
        ("subformat=monolithicFlat", "subformat=monolithicSparse"),
        (
            "subformat=twoGbMaxExtentSparse",
            "subformat=twoGbMaxExtentSparse,zeroed_grain=on",
        ),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let raw = source(dir.path(), 9 << 20);
        let at = |name: &str| dir.path().join(name);
        let (base, middle, top) = (at("base.vmdk"), at("middle.vmdk"), at("top.vmdk"));
        qemu_img(&[
            "convert",
            "-f",
            "raw",
            "-O",
            "vmdk",
            "-o",
            options,
            text(&raw),
            text(&base),
        ]);
        // A write changes the CID, so each child is made after the writes to its parent.
        for (image, below, writes) in [
            (
                &middle,
                "base.vmdk",
                [
                    "write -P 0x11 0 64k",
                    "write -P 0x22 1000000 70000",
                    "write -z 2M 192k",
                ],
            ),
            (
                &top,
                "middle.vmdk",
                [
                    "write -P 0x33 1048576 70000",
                    "write -z 2162688 64k",
                    "write -P 0x44 9436672 512",
                ],
            ),
        ] {
            qemu_img(&[
                "create",
                "-f",
                "vmdk",
                "-F",
                "vmdk",
                "-b",
                below,
                "-o",
                child,
                text(image),
            ]);
            for write in writes {
                oracle::ok("qemu-io", &["-f", "vmdk", "-c", write, text(image)]);
            }
        }
        same_as_qemu(&top, dir.path(), 65536);
        let info = open_path(&top).unwrap().info;
        assert!(info.parent.unwrap().parent.is_some());
    }
}

#[test]
fn a_parent_written_to_after_the_snapshot_is_refused_by_us_and_by_qemu() {
    let dir = tempfile::tempdir().unwrap();
    let (base, top) = (dir.path().join("base.vmdk"), dir.path().join("top.vmdk"));
    qemu_img(&["create", "-f", "vmdk", text(&base), "1M"]);
    qemu_img(&[
        "create",
        "-f",
        "vmdk",
        "-F",
        "vmdk",
        "-b",
        "base.vmdk",
        text(&top),
    ]);
    assert!(open_path(&top).is_ok());
    oracle::ok("qemu-io", &["-f", "vmdk", "-c", "write -P 1 0 64k", text(&base)]);
    assert_eq!(open_path(&top).err().unwrap().class(), h2k_block::Class::Corrupt);
    let theirs = oracle::run(
        "qemu-img",
        &["convert", "-O", "raw", text(&top), text(&dir.path().join("x"))],
    );
    assert!(!theirs.status.success());
}

#[test]
fn images_built_by_hand_are_read_as_qemu_img_reads_them() {
    for (kind, sample) in samples() {
        // qemu-img knows no header of four bytes, and refuses offsets and VMFS among other kinds of extents.
        if kind == "compressed grains without LBA" || kind == "custom" {
            continue;
        }
        let dir = tempfile::tempdir().unwrap();
        for name in ["image", "delta", "se"] {
            if let Some(file) = sample.host.get(name) {
                std::fs::write(dir.path().join(name), file.to_vec()).unwrap();
            }
        }
        same_as_qemu(&dir.path().join("image"), dir.path(), 4096);
    }
}

#[test]
fn a_stream_that_vmware_would_make_is_read_as_qemu_img_reads_it() {
    let dir = tempfile::tempdir().unwrap();
    let len = 70 << 20;
    let mut grains = vec![Grain::Hole; len / 65536];
    for i in [0, 1, 2, 17, 511, 512, 700, 1119] {
        let mut data = vec![0; 65536];
        Rng::new(i as u64).fill(&mut data[..40_000]);
        grains[i] = Grain::Data(data);
    }
    let line = format!("RW {} SPARSE \"image.vmdk\"", len / 512);
    let hosted = Hosted {
        grain: 128,
        gtes: 512,
        version: 3,
        zero_flag: false,
        redundant: false,
        descriptor: Some(build::descriptor("streamOptimized", 7, None, &[line])),
        ..Hosted::small(len)
    };
    let image = dir.path().join("image.vmdk");
    std::fs::write(&image, hosted.stream(&grains, true)).unwrap();
    same_as_qemu(&image, dir.path(), 65536);
}
