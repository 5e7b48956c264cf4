//! Every kind of target our writers make, from every kind of disk: judged by qemu-img, by our own readers, and the
//! same bytes whatever the number of workers.

use h2k_block::{Access, BlockRead, BlockWrite, Class, DirHost, FileDisk, HostFile, Output, Sharing};
use h2k_copy::{Blind, Options, copy};
use h2k_image::qcow2::{Compression, Preallocation};
use h2k_image::{Format, Image, OpenOptions, Target, create, open, qcow2, raw, vdi, vhd, vhdx, vmdk};
use h2k_testkit::fixture::fixtures;
use h2k_testkit::hash::nz64k;
use h2k_testkit::oracle::{ok, qemu_same};
use h2k_testkit::rng::Rng;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

struct Kind {
    name: &'static str,
    ending: &'static str,
    target: Target,
    /// Whether `qemu-img check` knows the format.
    checked: bool,
    /// Needs a codec that only the build with C has.
    fast: bool,
}

fn kinds() -> Vec<Kind> {
    let mut kinds = Vec::new();
    let mut kind = |name, ending, target, checked| {
        kinds.push(Kind {
            name,
            ending,
            target,
            checked,
            fast: name == "zstd",
        });
    };
    kind("raw", "img", Target::of(Format::Raw), false);
    kind(
        "raw-full",
        "img",
        Target::Raw(raw::Options {
            preallocation: raw::Preallocation::Full,
        }),
        false,
    );
    let q = |options| Target::Qcow2(options);
    let usual = qcow2::Options::default;
    kind("qcow2", "qcow2", q(usual()), true);
    kind(
        "512",
        "qcow2",
        q(qcow2::Options {
            cluster_size: 512,
            ..usual()
        }),
        true,
    );
    kind(
        "2m",
        "qcow2",
        q(qcow2::Options {
            cluster_size: 2 << 20,
            ..usual()
        }),
        true,
    );
    kind(
        "lazy",
        "qcow2",
        q(qcow2::Options {
            lazy_refcounts: true,
            ..usual()
        }),
        true,
    );
    kind(
        "zlib",
        "qcow2",
        q(qcow2::Options {
            compression: Compression::ZLIB,
            ..usual()
        }),
        true,
    );
    kind(
        "zstd",
        "qcow2",
        q(qcow2::Options {
            compression: Compression::ZSTD,
            ..usual()
        }),
        true,
    );
    for preallocation in [
        Preallocation::Metadata,
        Preallocation::Falloc,
        Preallocation::Full,
    ] {
        kind(
            "preallocated",
            "qcow2",
            q(qcow2::Options {
                preallocation,
                ..usual()
            }),
            true,
        );
    }
    for made in vmdk::Kind::ALL {
        let options = vmdk::Options {
            kind: made,
            ..vmdk::Options::default()
        };
        kind(
            made.name(),
            "vmdk",
            Target::Vmdk(options),
            made == vmdk::Kind::MonolithicSparse,
        );
    }
    for made in [vhd::Kind::Dynamic, vhd::Kind::Fixed] {
        let options = vhd::Options {
            kind: made,
            ..vhd::Options::default()
        };
        kind("vhd", "vhd", Target::Vhd(options), false);
    }
    kind("vhdx", "vhdx", Target::of(Format::Vhdx), true);
    kind(
        "1m",
        "vhdx",
        Target::Vhdx(vhdx::Options {
            block_size: Some(1 << 20),
            ..vhdx::Options::default()
        }),
        true,
    );
    for made in [vdi::Kind::Dynamic, vdi::Kind::Static] {
        kind(
            "vdi",
            "vdi",
            Target::Vdi(vdi::Options {
                kind: made,
                ..vdi::Options::default()
            }),
            true,
        );
    }
    kinds
}

fn open_image(path: &Path, format: Format) -> Image {
    let file = FileDisk::open(path, Access::Read, Sharing::Careful).unwrap();
    let options = OpenOptions {
        format: Some(format),
        ..OpenOptions::default()
    };
    open(Arc::new(file), &DirHost::beside(path, Sharing::Careful), &options)
        .unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn write(from: &dyn BlockRead, path: &Path, target: &Target, workers: usize) -> h2k_block::Result<()> {
    let mut output = Output::new(true);
    let file = output.create(path)?;
    let stem = path.file_stem().unwrap().to_str().unwrap().to_owned();
    let sink = create(
        file,
        &mut |ending| output.create(&path.with_file_name(format!("{stem}{ending}"))),
        target,
        from.len(),
    )?;
    let options = Options {
        workers,
        ..Options::default()
    };
    copy(from, sink, &options, &AtomicBool::new(false), &Blind)?;
    output.commit()
}

fn qemu_name(format: Format) -> &'static str {
    match format {
        Format::Vhd => "vpc",
        other => other.name(),
    }
}

/// Every file of a folder: name and content.
fn files(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files: Vec<_> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_name().unwrap().into(), std::fs::read(&path).unwrap()))
        .collect();
    files.sort();
    files
}

/// Writes `source` (a raw file) as every kind and has it judged.
fn judge(source: &Path, what: &str) {
    let from = FileDisk::open(source, Access::Read, Sharing::Careful).unwrap();
    let digest = nz64k(&from).unwrap();
    for kind in kinds() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(format!("{}.{}", kind.name, kind.ending));
        let format = kind.target.format();
        let who = format!("{what} as {} {}", kind.ending, kind.name);
        match write(&from, &path, &kind.target, 3) {
            Err(e) if kind.fast && e.class() == Class::Unsupported && cfg!(not(feature = "fast")) => continue,
            done => done.unwrap_or_else(|e| panic!("{who}: {e}")),
        }
        let again = tempfile::tempdir().unwrap();
        write(
            &from,
            &again.path().join(path.file_name().unwrap()),
            &kind.target,
            1,
        )
        .unwrap();
        assert!(
            files(dir.path()) == files(again.path()),
            "{who}: one worker makes other bytes than three"
        );

        let image = open_image(&path, format);
        // Containers count in sectors: what they add reads as zero.
        let added = image.disk.len() - from.len();
        assert!(added < 512, "{who}: {added} bytes added");
        assert_eq!(nz64k(&*image.disk).unwrap(), digest, "{who}");
        drop(image);
        qemu_same(source, "raw", &path, qemu_name(format));
        if kind.checked {
            ok(
                "qemu-img",
                &[
                    "check".as_ref(),
                    "-f".as_ref(),
                    qemu_name(format).as_ref(),
                    path.as_os_str(),
                ],
            );
        }
    }
}

/// A raw file of `len` bytes with runs of noise, text and nothing in it, ending in data.
fn disk(dir: &Path, len: u64, seed: u64) -> PathBuf {
    let path = dir.join(format!("source-{len}.img"));
    let file = FileDisk::open(&path, Access::Create, Sharing::Careful).unwrap();
    file.set_len(len).unwrap();
    let mut rng = Rng::new(seed);
    let mut at = 0;
    while at < len {
        let n = (1 + rng.below(300_000)).min(len - at);
        let mut bytes = vec![0; n as usize];
        match rng.below(4) {
            0 => rng.fill(&mut bytes),
            1 => bytes
                .iter_mut()
                .enumerate()
                .for_each(|(i, b)| *b = b"the quick brown fox "[i % 20]),
            2 => bytes[n as usize / 2] = 1,
            _ => {}
        }
        if !h2k_block::is_zero(&bytes) {
            file.write_at(at, &bytes).unwrap();
        }
        at += n + rng.below(400_000);
    }
    if len > 0 {
        file.write_at(len - 1, &[0xaa]).unwrap();
    }
    path
}

#[test]
fn every_writer_is_read_by_qemu_and_by_us() {
    let fixture = fixtures()
        .into_iter()
        .find(|f| f.name == "raw/disk.toml")
        .unwrap();
    let dir = tempfile::tempdir().unwrap();
    judge(&fixture.unpack(dir.path()), "the fixture");
    for (seed, len) in [512, 65_536, 1_049_088, 5_000_192].into_iter().enumerate() {
        judge(&disk(dir.path(), len, seed as u64), &format!("{len} bytes"));
    }
}
