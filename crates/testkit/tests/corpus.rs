//! Every disk image of the corpus: size and content are what the manifest says, or the exception is listed here.

use h2k_block::{Access, BlockRead, Class, DirHost, FileDisk, Sharing, extents};
use h2k_image::{Format, Image, OpenOptions, open};
use h2k_testkit::corpus::{Case, Corpus, corpus};
use h2k_testkit::hash::{disk_sha256, nz64k};
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;

/// What to expect of an image where the manifest's digest is not the answer.
enum Instead {
    /// Opening fails with this class.
    Fails(Class),
    /// The content is this one, by SHA-256.
    Content(&'static str),
    /// It is one extent without its descriptor, and refused as such; below this descriptor its content is this one.
    Described(&'static str, &'static str),
    /// Opened alone (without its parent) the content is the manifest's; together it fails with this class.
    Orphan(Class),
}

/// Everything that is different, and why.
const EXCEPTIONS: [(&str, Instead); 5] = [
    // Encryption is recognised and refused by name.
    (
        "images/qcow2/scalibr-encrypted-legacy-aes.qcow2.zst",
        Instead::Fails(Class::Unsupported),
    ),
    // The manifest has the child as libvhdi reads it over its parent, under another key.
    (
        "images/vhdx/docker-explorer-differencing/diff.vhdx.zst",
        Instead::Content("a9717baccc52410c8c1ecb3ad096ccdfb842b4a48068b0d86f4191efa3985693"),
    ),
    // The manifest's content is what qemu-img 10 reads, which lists an seSparse extent twice and gives the disk
    // twice the size its descriptor says. Ours is the first half, byte for byte.
    (
        "images/vmdk/dissect-sesparse.vmdk.zst",
        Instead::Described(
            "# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\ncreateType=\"seSparse\"\n\n\
             RW 1048576 SESPARSE \"dissect-sesparse.vmdk\"\n",
            "3afa48010241335528fe402f083fc9f3a1013a49485221443a78d9a8604e2f90",
        ),
    ),
    // The parent is not in the corpus.
    (
        "images/vhd/dfvfs-fat-differential-orphan.vhd.zst",
        Instead::Orphan(Class::NotFound),
    ),
    (
        "images/vmdk/vmdkrs-vmfs_thick/vmfs_thick-000001.vmdk.zst",
        Instead::Fails(Class::NotFound),
    ),
];

/// Broken images, and how opening or reading them must end. `None`: they read, and the damage is not in the
/// container.
const BROKEN: [(&str, Option<Class>); 5] = [
    ("corrupt/other/bw-image-default.invalid.zst", None),
    ("corrupt/other/qemu-fake.parallels.zst", Some(Class::Corrupt)),
    ("corrupt/vhd/qemu-afl5.img.zst", Some(Class::Corrupt)),
    ("corrupt/vmdk/masahiro-invalid.img.zst", Some(Class::Corrupt)),
    ("corrupt/vmdk/qemu-afl9.vmdk.zst", Some(Class::Corrupt)),
];

fn image(path: &Path, options: &OpenOptions) -> h2k_block::Result<Image> {
    let file = Arc::new(FileDisk::open(path, Access::Read, Sharing::Careful)?);
    open(file, &DirHost::beside(path, Sharing::Careful), options)
}

/// The format the manifest means, or `None` for one extent of a disk whose descriptor is another file.
fn format(case: &Case) -> Option<Format> {
    if case.format.ends_with(" in qcow2") {
        return Some(Format::Qcow2);
    }
    if case.format == "vmdk extent" && !EXCEPTIONS.iter().any(|(path, _)| *path == case.path) {
        return None;
    }
    let found = case.format.split([' ', '-']).find_map(Format::from_name);
    Some(found.unwrap_or_else(|| panic!("{}: {:?} is no format of ours", case.path, case.format)))
}

/// Where the manifest keeps size and digest of the guest's disk.
fn content(oracle: &Value) -> Option<(u64, &str)> {
    // "joined": a raw disk in parts, of which the first was named.
    let at = ["joined", "disk", "content", "merged"]
        .iter()
        .find_map(|key| oracle.get(key).filter(|v| v.is_object()))?;
    let text = |keys: [&str; 2]| keys.iter().find_map(|key| at.get(key)?.as_str());
    let size = ["virtual_size", "content_size", "size"]
        .iter()
        .find_map(|key| at.get(key)?.as_u64())?;
    Some((
        size,
        text(["content_nz64k", "nz64k"]).or_else(|| text(["content_sha256", "sha256"]))?,
    ))
}

fn equals(case: &Case, disk: &dyn BlockRead) {
    let (size, digest) = content(&case.oracle).unwrap_or_else(|| panic!("{}: no digest", case.path));
    assert_eq!(disk.len(), size, "{}", case.path);
    let sparse = nz64k(disk).unwrap_or_else(|e| panic!("{}: {e}", case.path));
    if sparse != digest {
        assert_eq!(disk_sha256(disk).unwrap(), digest, "{}", case.path);
    }
}

fn check(corpus: &Corpus, case: &Case, format: Format, dir: &Path) {
    let path = corpus.unpack(case, dir);
    // The kind is found by looking, but for the raw ones that hold other formats' bytes.
    let opened = image(&path, &OpenOptions::default());
    let exception = EXCEPTIONS
        .iter()
        .find(|(name, _)| *name == case.path)
        .map(|(_, instead)| instead);
    let fails = |class: Class| {
        let e = opened
            .as_ref()
            .err()
            .unwrap_or_else(|| panic!("{} opened", case.path));
        assert_eq!(e.class(), class, "{}: {e}", case.path);
    };
    match exception {
        Some(Instead::Fails(class)) => fails(*class),
        Some(Instead::Described(text, digest)) => {
            fails(Class::Invalid);
            let descriptor = dir.join("descriptor.vmdk");
            std::fs::write(&descriptor, text).unwrap();
            let Image { disk, .. } = image(&descriptor, &OpenOptions::default()).unwrap();
            assert_eq!(disk_sha256(&*disk).unwrap(), *digest, "{}", case.path);
        }
        Some(Instead::Orphan(class)) => {
            fails(*class);
            let alone = OpenOptions {
                alone: true,
                ..OpenOptions::default()
            };
            equals(case, &*image(&path, &alone).unwrap().disk);
        }
        Some(Instead::Content(digest)) => {
            assert_eq!(
                disk_sha256(&*opened.unwrap().disk).unwrap(),
                *digest,
                "{}",
                case.path
            );
        }
        None => {
            let Image { disk, info } = opened.unwrap_or_else(|e| panic!("{}: {e}", case.path));
            assert_eq!(info.format, format, "{}", case.path);
            equals(case, &*disk);
        }
    }
}

#[test]
fn every_image_reads_as_the_manifest_says() {
    let Some(corpus) = corpus() else { return };
    let mut counts = std::collections::BTreeMap::new();
    for case in corpus.below("images/") {
        let Some(format) = format(case) else { continue };
        let dir = tempfile::tempdir().unwrap();
        check(&corpus, case, format, dir.path());
        *counts.entry(format.name()).or_insert(0) += 1;
    }
    println!("{counts:?}");
    assert_eq!(counts.len(), Format::ALL.len(), "{counts:?}");
}

/// Disks with filesystems and partition tables on them (also broken ones) that the corpus keeps as compressed
/// qcow2: some hundred images of up to many terabytes.
#[test]
fn every_disk_kept_as_qcow2_reads_as_the_original() {
    let Some(corpus) = corpus() else { return };
    let mut count = 0;
    for case in corpus
        .cases
        .iter()
        .filter(|case| case.format.ends_with(" in qcow2"))
    {
        let dir = tempfile::tempdir().unwrap();
        check(&corpus, case, Format::Qcow2, dir.path());
        count += 1;
    }
    println!("{count} images");
    assert!(count > 250);
}

#[test]
fn broken_images_end_in_a_typed_error_or_read() {
    let Some(corpus) = corpus() else { return };
    let broken = |folder| {
        corpus
            .below(folder)
            .map(|case| case.path.as_str())
            .collect::<Vec<_>>()
    };
    let all = [
        broken("corrupt/other/"),
        broken("corrupt/vhd/"),
        broken("corrupt/vmdk/"),
    ]
    .concat();
    assert_eq!(
        all,
        BROKEN.map(|(path, _)| path),
        "the list and the corpus differ"
    );
    for (path, want) in BROKEN {
        let case = corpus.below(path).next().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let file = corpus.unpack(case, dir.path());
        let ended = image(&file, &OpenOptions::default()).and_then(|opened| {
            for extent in extents(&*opened.disk, 0..opened.disk.len()).take(10_000) {
                let extent = extent?;
                let mut buf = vec![0; extent.len.min(1 << 20) as usize];
                opened.disk.read_at(extent.start, &mut buf)?;
            }
            Ok(())
        });
        println!("{path}: {ended:?}");
        assert_eq!(ended.err().map(|e| e.class()), want, "{path}");
    }
}
