//! What the tests of this room share: raw content of corpus files, disks from bytes.

use h2k_block::{Access, BlockRead, FileDisk, Limits, MemDisk, Sharing};
use h2k_testkit::corpus::{Case, Corpus, sparse_write};
use h2k_testkit::oracle;
use h2k_volume::{Disk, Volumes, scan};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Writes the content of a corpus file as a raw file in `dir`. Those kept as qcow2 go through qemu-img.
pub fn raw_file(corpus: &Corpus, case: &Case, dir: &Path) -> PathBuf {
    let packed = dir.join("packed");
    let raw = dir.join(case.path.replace('/', "_"));
    if !case.format.contains("qcow2") {
        sparse_write(&raw, &corpus.bytes(case));
        return raw;
    }
    std::fs::write(&packed, corpus.bytes(case)).unwrap();
    oracle::ok(
        "qemu-img",
        &[
            "convert".as_ref(),
            "-f".as_ref(),
            "qcow2".as_ref(),
            "-O".as_ref(),
            "raw".as_ref(),
            packed.as_os_str(),
            raw.as_os_str(),
        ],
    );
    raw
}

/// A file as a disk.
pub fn file_disk(path: &Path) -> Arc<dyn BlockRead> {
    Arc::new(FileDisk::open(path, Access::Read, Sharing::Force).unwrap())
}

/// Bytes as a disk.
pub fn mem(bytes: Vec<u8>) -> Arc<dyn BlockRead> {
    Arc::new(MemDisk::new(bytes))
}

/// Scans disks given as bytes.
pub fn scan_all(disks: Vec<Arc<dyn BlockRead>>) -> Volumes {
    let disks: Vec<Disk> = disks
        .into_iter()
        .enumerate()
        .map(|(i, d)| Disk::new(i, d))
        .collect();
    scan(&disks, &Limits::default()).unwrap()
}

/// All bytes of a disk.
pub fn all(disk: &dyn BlockRead) -> Vec<u8> {
    let mut out = vec![0; disk.len() as usize];
    disk.read_at(0, &mut out).unwrap();
    out
}

/// The problems found, as sentences.
pub fn problems(volumes: &Volumes) -> Vec<String> {
    volumes.problems.iter().map(ToString::to_string).collect()
}
