//! Damaged and incomplete volumes: another copy where there is one, a typed error where there is none.

use crate::made::{TREE, Volume, bash, disk};
use h2k_block::{BlockRead, Class, Kind, Limits, MemDisk};
use h2k_fs::FsRead;
use h2k_testkit::listing::{self, Listing, Options};
use h2k_testkit::oracle::ok;
use std::collections::BTreeMap;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

fn list(fs: &h2k_btrfs::Btrfs) -> Listing {
    listing::of_fs(fs, Options::UNIX).unwrap()
}

/// A filesystem with the usual tree, not mounted, and what it reads as.
fn filled(devices: usize, mkfs: &[&str], options: &str) -> Option<(Volume, Listing)> {
    let mut volume = Volume::make(devices, "256M", mkfs);
    let mounted = volume.mount(options)?;
    bash(TREE, mounted.path());
    drop(mounted);
    let listing = list(&volume.open());
    assert!(listing.errors.is_empty());
    Some((volume, listing))
}

/// Overwrites everything but superblocks.
fn scribble(image: &Path) {
    let file = std::fs::File::options().write(true).open(image).unwrap();
    for at in (1 << 20..256 << 20).step_by(1 << 20) {
        if at != 64 << 20 {
            file.write_all_at(&[0x5a; 1 << 20], at).unwrap();
        }
    }
}

#[test]
fn a_damaged_copy_is_passed_over() {
    let profiles: [(usize, &[&str]); 3] = [
        (2, &["-d", "raid1", "-m", "raid1"]),
        (3, &["-d", "raid1c3", "-m", "raid1c3"]),
        (4, &["-d", "raid10", "-m", "raid10"]),
    ];
    for (devices, mkfs) in profiles {
        let Some((volume, before)) = filled(devices, mkfs, "") else {
            return;
        };
        scribble(&volume.images[0]);
        let fs = volume.open();
        assert_eq!(
            listing::differences(&before.text, &list(&fs).text),
            None,
            "{mkfs:?}"
        );
        let warnings = fs.facts().warnings;
        assert!(
            warnings.iter().any(|w| w.contains("read from another copy")),
            "{warnings:?}"
        );
    }
}

#[test]
fn what_is_kept_twice_on_one_device_is_read_from_the_second_copy() {
    let Some((volume, before)) = filled(1, &["-d", "dup", "-m", "dup"], "") else {
        return;
    };
    let mut bytes = std::fs::read(&volume.images[0]).unwrap();
    let id: [u8; 16] = bytes[0x1_0020..0x1_0030].try_into().unwrap();
    // Tree blocks carry the filesystem's id and their logical address: the first of two that are the same is damaged.
    let mut seen: BTreeMap<(u64, Vec<u8>), Vec<usize>> = BTreeMap::new();
    for at in (1 << 20..bytes.len()).step_by(4096) {
        if bytes[at + 32..at + 48] == id && at != 64 << 20 {
            let logical = u64::from_le_bytes(bytes[at + 48..at + 56].try_into().unwrap());
            seen.entry((logical, bytes[at..at + 32].to_vec()))
                .or_default()
                .push(at);
        }
    }
    let mut damaged = 0;
    for places in seen.values().filter(|p| p.len() == 2) {
        bytes[places[damaged % 2] + 1000] ^= 0x10;
        damaged += 1;
    }
    assert!(damaged > 10);
    let fs = h2k_btrfs::open(vec![Arc::new(MemDisk::new(bytes))], &Limits::default()).unwrap();
    assert_eq!(listing::differences(&before.text, &list(&fs).text), None);
    assert!(
        fs.facts()
            .warnings
            .iter()
            .any(|w| w.contains("read from another copy"))
    );
}

#[test]
fn a_missing_device_is_named_and_done_without_where_copies_allow() {
    // Profile, devices, which are left, whether everything is still there.
    let cases: [(&[&str], usize, &[usize], bool); 6] = [
        (&["-d", "raid1", "-m", "raid1"], 2, &[1], true),
        (&["-d", "raid1c3", "-m", "raid1c3"], 3, &[2], true),
        (&["-d", "raid1c4", "-m", "raid1c4"], 4, &[1], true),
        (&["-d", "raid10", "-m", "raid10"], 4, &[3, 0, 2], true),
        (&["-d", "raid0", "-m", "raid1"], 2, &[0], false),
        (&["-d", "raid5", "-m", "raid1c3"], 3, &[0, 1], false),
    ];
    for (mkfs, devices, left, whole) in cases {
        let Some((volume, before)) = filled(devices, mkfs, "") else {
            return;
        };
        let disks = left.iter().map(|i| disk(&volume.images[*i])).collect();
        let fs = h2k_btrfs::open(disks, &Limits::default()).unwrap();
        let missing: Vec<u64> = fs
            .devices()
            .iter()
            .filter(|d| !d.present)
            .map(|d| d.devid)
            .collect();
        let expected: Vec<u64> = (0..devices)
            .filter(|i| !left.contains(i))
            .map(|i| i as u64 + 1)
            .collect();
        assert_eq!(missing, expected, "{mkfs:?}");
        let named = format!("device {} of the filesystem is missing", missing[0]);
        assert!(fs.facts().warnings.contains(&named), "{:?}", fs.facts().warnings);
        let ours = list(&fs);
        if whole {
            assert_eq!(listing::differences(&before.text, &ours.text), None, "{mkfs:?}");
        } else {
            // Names and small files are there; what lay on the missing device is an error, never other bytes.
            assert!(
                ours.errors.iter().all(|e| e.contains("is missing")),
                "{:?}",
                ours.errors
            );
            assert!(!ours.errors.is_empty());
            let known: Vec<&str> = before.text.lines().collect();
            for line in ours.text.lines().filter(|l| !l.contains("ERR:")) {
                assert!(known.contains(&line), "{line}");
            }
        }
    }
}

#[test]
fn a_device_that_missed_writes_is_asked_last() {
    let mut volume = Volume::make(2, "256M", &["-d", "raid1", "-m", "raid1"]);
    // Without checksums nothing but the order of the copies tells old bytes from new ones.
    let Some(mounted) = volume.mount("nodatasum") else {
        return;
    };
    bash(
        "head -c 200000 /dev/zero | tr '\\0' o > file; sync -f .",
        mounted.path(),
    );
    drop(mounted);
    let old = volume.dir().join("old.img");
    ok(
        "cp",
        &[
            "--sparse=always",
            volume.images[0].to_str().unwrap(),
            old.to_str().unwrap(),
        ],
    );
    let mounted = volume.mount("nodatacow").unwrap();
    bash(
        "head -c 200000 /dev/zero | tr '\\0' n | dd of=file conv=notrunc status=none; echo more > more",
        mounted.path(),
    );
    drop(mounted);
    let fs = h2k_btrfs::open(vec![disk(&old), disk(&volume.images[1])], &Limits::default()).unwrap();
    assert_eq!(list(&fs).text, list(&volume.open()).text);
    assert!(fs.lookup(fs.root(), b"more").unwrap().is_some());
    let warnings = fs.facts().warnings;
    assert!(
        warnings[0].contains("device 1 was last written at generation"),
        "{warnings:?}"
    );
}

#[test]
fn a_seed_is_read_with_what_was_added_to_it() {
    let Some((mut volume, _)) = filled(1, &["-d", "single", "-m", "single"], "") else {
        return;
    };
    let seed = volume.images[0].clone();
    ok("btrfstune", &["-S", "1", seed.to_str().unwrap()]);
    let added = volume.dir().join("added.img");
    ok("truncate", &["-s", "256M", added.to_str().unwrap()]);
    let mounted = volume.mount("ro").unwrap();
    let device = volume.attach(&added);
    ok(
        "btrfs",
        &[
            "-q",
            "device",
            "add",
            "-f",
            &device,
            mounted.path().to_str().unwrap(),
        ],
    );
    ok("mount", &["-o", "remount,rw", mounted.path().to_str().unwrap()]);
    bash("echo new > new; echo changed >> inline; rm even", mounted.path());
    let theirs = listing::of_host(mounted.path(), Options::UNIX);
    drop(mounted);
    let fs = h2k_btrfs::open(vec![disk(&seed), disk(&added)], &Limits::default()).unwrap();
    assert_eq!(listing::differences(&theirs.text, &list(&fs).text), None);
    assert_eq!(fs.facts().warnings, Vec::<String>::new());
    // Without the seed only what was written since is there.
    let e = h2k_btrfs::open(vec![disk(&added)], &Limits::default()).map(|fs| list(&fs));
    assert!(e.map_or_else(|e| e.class() == Class::NotFound, |l| !l.errors.is_empty()));
}

#[test]
fn disks_of_two_filesystems_do_not_mix() {
    let (a, b) = (Volume::make(1, "128M", &[]), Volume::make(1, "128M", &[]));
    let disks = vec![disk(&a.images[0]), disk(&b.images[0])];
    let e = h2k_btrfs::open(disks, &Limits::default()).err().unwrap();
    assert_eq!(e.class(), Class::Invalid);
    let e = h2k_btrfs::open(Vec::new(), &Limits::default()).err().unwrap();
    assert_eq!(e.class(), Class::Invalid);
    let e = h2k_btrfs::open(vec![Arc::new(MemDisk::new(vec![0; 1 << 20]))], &Limits::default())
        .err()
        .unwrap();
    assert_eq!(e.class(), Class::Corrupt);
}

#[test]
fn members_say_which_filesystem_and_device_they_are() {
    let volume = Volume::make(2, "128M", &["-L", "pair", "-d", "raid1"]);
    let members: Vec<_> = volume
        .disks()
        .iter()
        .map(|d| h2k_btrfs::member(&**d).unwrap().unwrap())
        .collect();
    assert_eq!(members[0].fsid, members[1].fsid);
    assert_eq!([members[0].devid, members[1].devid], [1, 2]);
    assert_eq!(
        (members[0].devices, members[0].label.as_deref()),
        (2, Some(&b"pair"[..]))
    );
    let said = volume.open().facts();
    let hex: String = members[0].fsid.iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(said.uuid.unwrap().replace('-', ""), hex);
    assert_eq!(said.label.as_deref(), Some(&b"pair"[..]));
    assert_eq!(h2k_btrfs::member(&MemDisk::new(vec![0; 1 << 20])).unwrap(), None);
    assert!(h2k_btrfs::probe(&*volume.disks()[1]).unwrap());
}

#[test]
fn data_without_a_second_copy_is_an_error_and_not_other_bytes() {
    for (options, verified) in [("", true), ("nodatasum", false), ("compress-force=zstd", true)] {
        let mut volume = Volume::make(1, "128M", &["-d", "single", "-m", "single"]);
        let Some(mounted) = volume.mount(options) else {
            return;
        };
        bash(
            "yes 'a line that is looked for' | head -c 300000 > file; echo x > other",
            mounted.path(),
        );
        drop(mounted);
        let fs = volume.open();
        let file = fs.lookup(fs.root(), b"file").unwrap().unwrap();
        let mut bytes = std::fs::read(&volume.images[0]).unwrap();
        // Where the kernel says that the file's second extent (or second half of its only one) lies.
        let at = if options.starts_with("compress") {
            // Compressed text: found by its zstd magic number.
            (1 << 20..bytes.len())
                .step_by(4096)
                .find(|at| bytes[*at..*at + 4] == [0x28, 0xb5, 0x2f, 0xfd])
                .unwrap()
                + 20
        } else {
            let needle = b"a line that is looked for\na line";
            let first = bytes.windows(needle.len()).position(|w| w == needle).unwrap();
            first + 150_000
        };
        bytes[at] ^= 1;
        let fs = h2k_btrfs::open(vec![Arc::new(MemDisk::new(bytes))], &Limits::default()).unwrap();
        let mut all = vec![0; 300_000];
        let read = fs.read_at(file, 0, &mut all);
        if verified {
            let e = read.unwrap_err();
            assert_eq!(
                (e.class(), e.place().unwrap().structure),
                (Class::Corrupt, "data checksum"),
                "{options}"
            );
            // The other sectors and files are not lost.
            if options.is_empty() {
                assert_eq!(fs.read_at(file, 0, &mut all[..100_001]).unwrap(), 100_001);
                assert_eq!(fs.read_at(file, 200_001, &mut all[..99_999]).unwrap(), 99_999);
            }
        } else {
            assert_eq!(read.unwrap(), 300_000);
        }
        let other = fs.lookup(fs.root(), b"other").unwrap().unwrap();
        assert_eq!(fs.read_at(other, 0, &mut all).unwrap(), 2);
    }
}

#[test]
fn data_whose_checksum_is_not_recorded_is_an_error_as_for_the_kernel() {
    let mut volume = Volume::make(1, "128M", &["-d", "single", "-m", "single"]);
    let Some(mounted) = volume.mount("nodatasum") else {
        return;
    };
    bash("head -c 100000 /dev/urandom > file", mounted.path());
    drop(mounted);
    // The flag that says so is taken from the inode, in every leaf that has it.
    let mut bytes = std::fs::read(&volume.images[0]).unwrap();
    let id = bytes[0x1_0020..0x1_0030].to_vec();
    let number = {
        let fs = volume.open();
        let file = fs.lookup(fs.root(), b"file").unwrap().unwrap();
        fs.stat(file).unwrap().inode
    };
    let key = [number.to_le_bytes().as_slice(), &[1], &[0; 8]].concat();
    let mut changed = 0;
    for at in (1 << 20..bytes.len() - 16384).step_by(4096) {
        let leaf = &mut bytes[at..at + 16384];
        if leaf[32..48] != id || leaf[100] != 0 || crc32c(&leaf[32..]).to_le_bytes() != leaf[..4] {
            continue;
        }
        let count = u32::from_le_bytes(leaf[96..100].try_into().unwrap()) as usize;
        for head in (0..count).map(|i| 101 + i * 25) {
            if leaf[head..head + 17] == key {
                let data = 101 + u32::from_le_bytes(leaf[head + 17..head + 21].try_into().unwrap()) as usize;
                leaf[data + 64] &= !1;
                changed += 1;
            }
        }
        let sum = crc32c(&leaf[32..]).to_le_bytes();
        leaf[..4].copy_from_slice(&sum);
    }
    assert!(changed > 0);
    std::fs::write(&volume.images[0], &bytes).unwrap();
    let fs = volume.open();
    let file = fs.lookup(fs.root(), b"file").unwrap().unwrap();
    let e = fs.read_at(file, 0, &mut [0; 4096]).unwrap_err();
    assert_eq!(
        (e.class(), e.place().unwrap().structure),
        (Class::Corrupt, "data checksum")
    );
    let mounted = volume.mount("ro").unwrap();
    assert!(std::fs::read(mounted.path().join("file")).is_err());
}

#[test]
fn another_superblock_is_used_when_the_first_is_damaged_or_older() {
    let Some((volume, before)) = filled(1, &[], "") else {
        return;
    };
    let bytes = std::fs::read(&volume.images[0]).unwrap();
    let opened = |bytes: Vec<u8>| {
        h2k_btrfs::open(
            vec![Arc::new(MemDisk::new(bytes)) as Arc<dyn BlockRead>],
            &Limits::default(),
        )
    };
    // Damaged: the checksum of the first does not agree.
    let mut damaged = bytes.clone();
    damaged[0x1_0048] ^= 1;
    let fs = opened(damaged.clone()).unwrap();
    assert!(
        fs.facts().warnings[0].contains("mirror at 0x4000000"),
        "{:?}",
        fs.facts().warnings
    );
    assert_eq!(list(&fs).text, before.text);
    // Both damaged: the error is that of the first.
    damaged[0x400_0048] ^= 1;
    let e = opened(damaged).err().unwrap();
    assert_eq!((e.class(), e.place().unwrap().offset), (Class::Corrupt, 0x1_0000));
    // A mirror of another filesystem, newer or not, is none of ours.
    let mut foreign = bytes;
    let sb = &mut foreign[0x400_0000..0x400_1000];
    sb[0x48..0x50].copy_from_slice(&1_000_u64.to_le_bytes());
    sb[0x10b..0x11b].fill(7);
    let sum = crc32c(&sb[32..]).to_le_bytes();
    sb[..4].copy_from_slice(&sum);
    let fs = opened(foreign).unwrap();
    assert_eq!(fs.facts().warnings, Vec::<String>::new());
}

/// CRC-32C bit by bit, from its polynomial.
pub fn crc32c(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for b in bytes {
        crc ^= u32::from(*b);
        for _ in 0..8 {
            crc = if crc & 1 == 1 {
                crc >> 1 ^ 0x82f6_3b78
            } else {
                crc >> 1
            };
        }
    }
    !crc
}

#[test]
fn a_log_tree_is_named_and_nothing_counts_as_free() {
    let mut volume = Volume::make(1, "256M", &[]);
    let Some(mounted) = volume.mount("") else { return };
    bash(
        "echo kept > before; sync -f .; sleep 0.1; echo logged > after; xfs_io -c fsync after",
        mounted.path(),
    );
    let copy = volume.dir().join("copy.img");
    ok(
        "cp",
        &[
            "--sparse=always",
            volume.images[0].to_str().unwrap(),
            copy.to_str().unwrap(),
        ],
    );
    drop(mounted);
    let fs = h2k_btrfs::open(vec![disk(&copy)], &Limits::default()).unwrap();
    let warnings = fs.facts().warnings;
    assert!(warnings.iter().any(|w| w.contains("log tree")), "{warnings:?}");
    assert!(fs.lookup(fs.root(), b"before").unwrap().is_some());
    assert_eq!(fs.lookup(fs.root(), b"after").unwrap(), None);
    assert_eq!(
        fs.used_at(0, 256 << 20).unwrap(),
        h2k_block::Extent::new(0, 256 << 20, Kind::Data)
    );
    assert_eq!(volume.open().facts().warnings, Vec::<String>::new());
}
