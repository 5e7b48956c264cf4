//! Which filesystems are written, seen from outside.

use crate::calls::{disk, formatted, guest};
use h2k_block::{BlockRead, Class, Limits, MemDisk, Overlay};
use h2k_fs::{Time, read_file};
use h2k_guest::{can_open, can_write, open_writer};
use std::sync::Arc;

const NOW: Time = Time {
    seconds: 1_790_000_000,
    nanos: 0,
};

#[test]
fn what_is_written_by_kind_is_read_by_kind() {
    for (megabytes, program, args, kind) in [
        (8, "mkfs.ext2", &["-q", "-F"][..], "ext2"),
        (16, "mkfs.ext3", &["-q", "-F"], "ext3"),
        (16, "mkfs.ext4", &["-q", "-F"], "ext4"),
        (2, "mkfs.vfat", &["-F12"], "vfat"),
        (16, "mkfs.vfat", &["-F16"], "vfat"),
        (40, "mkfs.vfat", &["-F32", "-s1"], "vfat"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let (path, _) = formatted(dir.path(), megabytes, program, args);
        let before = std::fs::read(&path).unwrap();
        let over = Arc::new(Overlay::new(disk(&path)));
        let edited: Arc<dyn BlockRead> = over.clone();
        let known = guest(&edited);
        let device = known.device("/dev/sda").unwrap();
        assert_eq!(known.open(device).unwrap().fs.facts().kind, kind);
        assert!(can_write(kind));
        let mut fs = open_writer(kind, over, &Limits::default(), NOW).unwrap();
        let efi = fs.mkdir(fs.root(), b"EFI", 0o755).unwrap();
        let file = fs.create(efi, b"loader of its own.efi", 0o644).unwrap();
        fs.replace(file, b"content").unwrap();
        fs.settle().unwrap();
        let known = guest(&edited);
        let fs = known.open(known.device("/dev/sda").unwrap()).unwrap().fs;
        let mut meter = h2k_block::Meter::new(Limits::default());
        let file = h2k_fs::resolve(&*fs, b"/EFI/loader of its own.efi", &mut meter);
        let bytes = read_file(&*fs, file.unwrap().unwrap(), &mut meter).unwrap();
        assert_eq!(bytes, b"content", "{kind}");
        assert!(
            before == std::fs::read(&path).unwrap(),
            "{kind}: the source was written to"
        );
    }
}

#[test]
fn what_is_read_but_not_written_is_refused_by_name() {
    let over = || Arc::new(Overlay::new(Arc::new(MemDisk::new(vec![0; 1 << 20]))));
    for kind in ["btrfs", "xfs", "ntfs", "exfat", "iso9660", "udf", "squashfs"] {
        assert!(can_open(kind) && !can_write(kind));
        let e = open_writer(kind, over(), &Limits::default(), NOW)
            .map(drop)
            .unwrap_err();
        assert_eq!(e.class(), Class::Unsupported);
        assert_eq!(e.sentence(), format!("{kind} is read but not written"));
    }
    let e = open_writer("reiserfs", over(), &Limits::default(), NOW)
        .map(drop)
        .unwrap_err();
    assert!(
        e.class() == Class::Unsupported && e.to_string().contains("reiserfs"),
        "{e}"
    );
    // A kind that is written, on a volume that is not of it.
    for kind in ["ext4", "vfat"] {
        assert!(open_writer(kind, over(), &Limits::default(), NOW).is_err());
    }
}
