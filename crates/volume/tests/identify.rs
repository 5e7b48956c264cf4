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

/// Bytes at offsets, in a device of `len` bytes.
fn built(len: usize, pieces: &[(usize, &[u8])]) -> Vec<u8> {
    let mut bytes = vec![0; len];
    for (at, piece) in pieces {
        bytes[*at..*at + piece.len()].copy_from_slice(piece);
    }
    bytes
}

/// A ZFS label list: names with text or numbers, in XDR.
fn zfs_list() -> Vec<u8> {
    let mut list = vec![1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    let mut pair = |name: &str, kind: u32, value: &[u8]| {
        let mut p = (name.len() as u32).to_be_bytes().to_vec();
        p.extend(name.as_bytes());
        p.resize(p.len().next_multiple_of(4), 0);
        p.extend(kind.to_be_bytes());
        p.extend(1_u32.to_be_bytes());
        p.extend(value);
        p.resize(p.len().next_multiple_of(4), 0);
        list.extend((p.len() as u32 + 8).to_be_bytes());
        list.extend((p.len() as u32 + 8).to_be_bytes());
        list.extend(p);
    };
    pair("version", 8, &5000_u64.to_be_bytes());
    pair("name", 9, b"\0\0\0\x04tank");
    pair("pool_guid", 8, &12_345_678_901_u64.to_be_bytes());
    list.extend([0; 8]);
    list
}

#[test]
fn superblocks_built_here_are_named_as_blkid_names_them() {
    let uuid: Vec<u8> = (1..=16).collect();
    let bcache = [
        0xc6, 0x85, 0x73, 0xf6, 0x4e, 0x1a, 0x45, 0xca, 0x82, 0x65, 0xf5, 0x7f, 0x48, 0xba, 0x6d, 0x81,
    ];
    let list = zfs_list();
    // blkid wants several uberblocks and 64 MiB before it believes one.
    let mut zfs: Vec<(usize, &[u8])> = Vec::new();
    for label in [0, 256 << 10, (64 << 20) - (512 << 10), (64 << 20) - (256 << 10)] {
        zfs.push((label + (16 << 10), &list));
        for slot in 0..8 {
            zfs.push((
                label + (128 << 10) + slot * 1024,
                &[0x0c, 0xb1, 0xba, 0, 0, 0, 0, 0],
            ));
        }
    }
    let cases: [(&str, Vec<u8>); 4] = [
        ("zfs_member", built(64 << 20, &zfs)),
        (
            "f2fs",
            built(
                1 << 20,
                &[
                    (1024, &[0x10, 0x20, 0xf5, 0xf2, 1, 0, 15, 0]),
                    (1024 + 108, &uuid),
                    (1024 + 124, b"l\0a\0b\0"),
                ],
            ),
        ),
        (
            "swap",
            built(
                1 << 20,
                &[
                    (4086, b"SWAPSPACE2"),
                    (1024, &[1, 0, 0, 0, 200, 0, 0, 0]),
                    (1036, &uuid),
                    (1052, b"lab"),
                ],
            ),
        ),
        (
            "swsuspend",
            built(
                1 << 20,
                &[
                    (4086, b"S1SUSPEND\0"),
                    (1024, &[1, 0, 0, 0, 200, 0, 0, 0]),
                    (1036, &uuid),
                ],
            ),
        ),
    ];
    for (kind, bytes) in cases {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &bytes).unwrap();
        let said = blkid(file.path());
        let found = identify(file_disk(file.path()).as_ref()).unwrap().unwrap();
        let ours = (
            found.kind.to_owned(),
            found.label.unwrap_or_default(),
            found.uuid.unwrap_or_default(),
        );
        assert_eq!(ours, said);
        assert_eq!(ours.0, kind);
    }
    // blkid either does not know these or wants checksums that only their makers write: the name alone.
    let named: [(&str, Vec<u8>); 6] = [
        ("LDM", built(1 << 20, &[(3072, b"PRIVHEAD")])),
        ("storage_spaces", built(1 << 20, &[(0, b"SPACEDB ")])),
        ("apfs", built(1 << 20, &[(32, b"NXSB"), (72, &uuid)])),
        (
            "bcache",
            built(
                1 << 20,
                &[(4096 + 8, &[8]), (4096 + 24, &bcache), (4096 + 40, &uuid)],
            ),
        ),
        (
            "drbd",
            built(
                1 << 20,
                &[((1 << 20) - 4096 + 60, &0x8374_026c_u32.to_be_bytes())],
            ),
        ),
        (
            "ufs",
            built(1 << 20, &[((64 << 10) + 1372, &0x1954_0119_u32.to_le_bytes())]),
        ),
    ];
    for (kind, bytes) in named {
        let found = identify(crate::common::mem(bytes).as_ref()).unwrap().unwrap();
        assert_eq!(found.kind, kind);
    }
}
