//! Every fixture of the repository: what its certificate says is true.

use h2k_block::{Access, BlockRead, DirHost, FileDisk, Kind, Sharing, extents, is_zero};
use h2k_image::{Format, Image, OpenOptions, open};
use h2k_testkit::fixture::{Fixture, fixtures};
use h2k_testkit::hash::{disk_sha256, hex};
use sha2::{Digest, Sha256};
use std::path::Path;
use std::sync::Arc;

fn image(path: &Path, options: &OpenOptions) -> h2k_block::Result<Image> {
    let file = Arc::new(FileDisk::open(path, Access::Read, Sharing::Careful)?);
    open(file, &DirHost::beside(path, Sharing::Careful), options)
}

/// SHA-256 through reads of an odd length, which begin and end anywhere.
fn odd_sha256(disk: &dyn BlockRead) -> String {
    let mut hash = Sha256::new();
    let mut buf = vec![0; 100_003];
    let mut at = 0;
    while at < disk.len() {
        let n = (disk.len() - at).min(buf.len() as u64) as usize;
        disk.read_at(at, &mut buf[..n]).unwrap();
        hash.update(&buf[..n]);
        at += n as u64;
    }
    hex(&hash.finalize())
}

/// The map covers the disk, and what it calls zero or a hole reads as zero.
fn check_map(name: &str, disk: &dyn BlockRead) {
    let mut end = 0;
    let mut buf = Vec::new();
    for extent in extents(disk, 0..disk.len()) {
        let extent = extent.unwrap();
        assert_eq!(extent.start, end, "{name}");
        end = extent.end();
        if extent.kind != Kind::Data {
            buf.resize(extent.len as usize, 0xee);
            disk.read_at(extent.start, &mut buf).unwrap();
            assert!(is_zero(&buf), "{name}: {extent:?} is not zero");
        }
    }
    assert_eq!(end, disk.len(), "{name}");
}

fn check(fixture: &Fixture) {
    let name = &fixture.name;
    let dir = tempfile::tempdir().unwrap();
    let path = fixture.unpack(dir.path());
    let format = fixture.says("format").unwrap();
    let opened = image(&path, &OpenOptions::default());
    if let Some(class) = fixture.says("refused") {
        let e = opened.err().unwrap_or_else(|| panic!("{name} was opened"));
        assert_eq!(e.class().word(), class, "{name}: {e}");
        assert!(
            e.to_string().contains(&fixture.files[0]),
            "{name}: the error names the image: {e}"
        );
        return;
    }
    let Image { disk, info } = opened.unwrap_or_else(|e| panic!("{name}: {e}"));
    assert_eq!(info.format.name(), format, "{name}");
    if let Some(subformat) = fixture.says("subformat") {
        assert_eq!(info.subformat.as_deref(), Some(subformat), "{name}");
    }
    let size: u64 = fixture.says("virtual_size").unwrap().parse().unwrap();
    assert_eq!((disk.len(), info.virtual_size), (size, size), "{name}");
    assert_eq!(
        disk_sha256(&*disk).unwrap(),
        fixture.says("sha256").unwrap(),
        "{name}"
    );
    assert_eq!(odd_sha256(&*disk), fixture.says("sha256").unwrap(), "{name}");
    check_map(name, &*disk);
    for (key, sum) in &fixture.truth {
        let Some(snapshot) = key.strip_prefix("snapshot_") else {
            continue;
        };
        assert!(info.snapshots.iter().any(|s| s.name == snapshot), "{name}");
        let options = OpenOptions {
            snapshot: Some(snapshot.to_owned()),
            ..OpenOptions::default()
        };
        let Image { disk, .. } = image(&path, &options).unwrap();
        assert_eq!(disk_sha256(&*disk).unwrap(), *sum, "{name}, snapshot {snapshot}");
    }
}

/// No tool in Debian makes these; the tests of their readers build them byte by byte.
const BUILT: [Format; 4] = [Format::Bochs, Format::Cloop, Format::Dmg, Format::Ewf];

#[test]
fn every_fixture_is_what_its_certificate_says() {
    let all = fixtures();
    for format in Format::ALL.into_iter().filter(|f| !BUILT.contains(f)) {
        let count = all
            .iter()
            .filter(|f| f.says("format") == Some(format.name()))
            .count();
        assert!(count > 0, "no fixture of {}", format.name());
    }
    for fixture in &all {
        check(fixture);
    }
    println!("{} fixtures", all.len());
}
