//! Recognition against blkid, on every file system image of the corpus.

use crate::common::{file_disk, raw_file};
use h2k_testkit::corpus::corpus;
use h2k_testkit::oracle;
use h2k_volume::identify;
use std::collections::BTreeMap;
use std::path::Path;

/// What `blkid -p -o udev` says: TYPE, LABEL and UUID, with its \xNN undone.
pub fn blkid(path: &Path) -> (String, Vec<u8>, String) {
    let out = oracle::run(
        "blkid",
        &["-p".as_ref(), "-o".as_ref(), "udev".as_ref(), path.as_os_str()],
    );
    let text = String::from_utf8(out.stdout).unwrap();
    let map: BTreeMap<&str, &str> = text.lines().filter_map(|l| l.split_once('=')).collect();
    let get = |key: &str| map.get(key).copied().unwrap_or_default().to_owned();
    (
        get("ID_FS_TYPE"),
        undo(&get("ID_FS_LABEL_ENC")),
        get("ID_FS_UUID"),
    )
}

fn undo(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        if *first == b'\\' && after.first() == Some(&b'x') {
            let hex = std::str::from_utf8(&after[1..3]).unwrap();
            out.push(u8::from_str_radix(hex, 16).unwrap());
            rest = &after[3..];
        } else {
            out.push(*first);
            rest = after;
        }
    }
    out
}

/// Where ours differs from blkid 2.38, what ours says, and why.
fn difference(path: &str) -> Option<(&'static str, &'static str, &'static str)> {
    let name = path.rsplit('/').next().unwrap();
    Some(match name {
        // blkid finds signatures of two file systems and says nothing; the boot sector and the MFT are NTFS.
        "dftt-10-ntfs-part2.dd.qcow2.zst" => ("ntfs", "UFS1?", "E278E12078E0F3E7"),
        // Two megabytes of a larger volume: the MFT, which blkid wants to see, is not there.
        "dissect-boot_2m.bin.zst" => ("ntfs", "", "CCF05C3DF05C2FC6"),
        // Newer than blkid 2.38.
        "util-linux-bcachefs-3.img.qcow2.zst" => {
            ("bcachefs", "FS Label", "2262eedd-dc30-474e-b0b4-1d02cb3aa30d")
        }
        // blkid takes an attribute of the root directory for a UUID, and reads a label in the catalog tree.
        "util-linux-befs.img.qcow2.zst" => ("befs", "befs_test", ""),
        "util-linux-hfsplus.img.qcow2.zst" => ("hfsplus", "", ""),
        // The FAT volume that BitLocker To Go shows to systems that do not know it.
        "dfvfs-bdetogo.raw.zst" => ("BitLocker", "", ""),
        _ => return None,
    })
}

#[test]
fn every_file_system_of_the_corpus_is_named_as_blkid_names_it() {
    let Some(corpus) = corpus() else { return };
    let mut checked = BTreeMap::<String, usize>::new();
    let mut wrong = Vec::new();
    for case in corpus
        .below("fs/")
        .chain(corpus.below("volumes/other"))
        .chain(corpus.below("volumes/lvm"))
    {
        let dir = tempfile::tempdir_in("/dev/shm").unwrap();
        let raw = raw_file(&corpus, case, dir.path());
        let (kind, label, uuid) = match difference(&case.path) {
            Some((kind, label, uuid)) => (kind.to_owned(), label.as_bytes().to_vec(), uuid.to_owned()),
            None => blkid(&raw),
        };
        let found = identify(file_disk(&raw).as_ref()).unwrap();
        let ours = found.map_or_else(Default::default, |i| {
            (
                i.kind.to_owned(),
                i.label.unwrap_or_default(),
                i.uuid.unwrap_or_default(),
            )
        });
        if ours != (kind.clone(), label.clone(), uuid.clone()) {
            wrong.push(format!(
                "{}: found {} {:?} {:?}, expected {kind} {:?} {uuid:?}",
                case.path,
                ours.0,
                String::from_utf8_lossy(&ours.1),
                ours.2,
                String::from_utf8_lossy(&label)
            ));
        }
        *checked.entry(kind).or_default() += 1;
    }
    println!("{checked:?}");
    assert!(wrong.is_empty(), "{} wrong\n{}", wrong.len(), wrong.join("\n"));
}
