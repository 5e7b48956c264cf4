//! What is refused by name, what is read in spite of its name, and superblocks that stand in for others.

use h2k_block::{Access, BlockRead, BlockWrite, Class, FileDisk, Limits, Overlay, Sharing};
use h2k_fs::{FsRead, lookup_path};
use h2k_testkit::listing::{self, Options};
use h2k_testkit::mount::mount;
use h2k_testkit::oracle::ok;
use h2k_xfs::ExternalLog;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A small volume that mkfs filled by itself.
fn made(dir: &Path, size: &str, options: &[&str]) -> PathBuf {
    let (image, proto, file) = (dir.join("xfs.img"), dir.join("proto"), dir.join("file"));
    std::fs::write(&file, "content\n").unwrap();
    let list = format!(
        "/stand/diag\n0 0\nd--755 0 0\nfile ---644 1 2 {0}\ndir d--750 3 4\ninner ---600 5 6 {0}\n$\nlink l--777 0 0 file\n$\n",
        file.display()
    );
    std::fs::write(&proto, list).unwrap();
    ok("truncate", &["-s", size, image.to_str().unwrap()]);
    let mut args = vec!["-q", "-f", "-p", proto.to_str().unwrap()];
    args.extend(options);
    args.push(image.to_str().unwrap());
    ok("mkfs.xfs", &args);
    image
}

/// The image with `changes` laid over it.
fn disk(image: &Path, changes: &[(u64, Vec<u8>)]) -> Arc<Overlay> {
    let file = FileDisk::open(image, Access::Read, Sharing::Force).unwrap();
    let overlay = Overlay::new(Arc::new(file));
    for (at, bytes) in changes {
        overlay.write_at(*at, bytes).unwrap();
    }
    Arc::new(overlay)
}

fn open(image: &Path, changes: &[(u64, Vec<u8>)]) -> h2k_block::Result<h2k_xfs::Xfs> {
    h2k_xfs::open(disk(image, changes), &Limits::default())
}

fn first_sector(image: &Path) -> Vec<u8> {
    let mut bytes = vec![0; 512];
    disk(image, &[]).read_at(0, &mut bytes).unwrap();
    bytes
}

/// Puts the right checksum on the superblock in the first sector.
fn seal(bytes: &mut [u8]) {
    bytes[224..228].fill(0);
    let sum = crc32c::crc32c(&bytes[..512]);
    bytes[224..228].copy_from_slice(&sum.to_le_bytes());
}

fn set_incompat(bytes: &mut [u8], bits: u32) {
    let old = u32::from_be_bytes(bytes[216..220].try_into().unwrap());
    bytes[216..220].copy_from_slice(&(old | bits).to_be_bytes());
    seal(bytes);
}

#[test]
fn a_backup_superblock_takes_over() {
    let kinds: [(&str, &[&str]); 6] = [
        ("320M", &[]),
        ("600M", &["-b", "size=1024", "-d", "agcount=7"]),
        ("320M", &["-m", "crc=0"]),
        ("320M", &["-s", "size=4096", "-i", "size=1024"]),
        ("1G", &["-d", "agcount=11"]),
        ("340M", &["-b", "size=512", "-m", "crc=0"]),
    ];
    for (size, kind) in kinds {
        let dir = tempfile::tempdir().unwrap();
        let image = made(dir.path(), size, kind);
        let whole = open(&image, &[]).unwrap();
        assert!(whole.facts().warnings.is_empty(), "{:?}", whole.facts().warnings);
        let tree = listing::of_fs(&whole, Options::UNIX).unwrap().text;
        assert_eq!(tree.lines().count(), 4, "{tree}");
        let first = first_sector(&image);
        let sector = usize::from(u16::from_be_bytes(first[102..104].try_into().unwrap()));
        let mut damages = vec![("all of it", 0, 512), ("the log of the block size", 120, 1)];
        if first[101] & 0xf == 5 {
            damages.push(("a counter", 144, 1));
        }
        if !kind.contains(&"-d") {
            // The headers behind it are gone as well: only mkfs' arithmetic is left.
            damages.push(("the first four sectors", 0, 4 * sector));
        }
        for (what, at, len) in damages {
            let fs =
                open(&image, &[(at, vec![0xee; len])]).unwrap_or_else(|e| panic!("{kind:?}, {what}: {e}"));
            let warnings = fs.facts().warnings;
            assert!(
                warnings
                    .iter()
                    .any(|w| w.contains("the copy in allocation group ")),
                "{kind:?}, {what}: {warnings:?}"
            );
            assert_eq!(
                listing::of_fs(&fs, Options::UNIX).unwrap().text,
                tree,
                "{kind:?}, {what}"
            );
            if what != "the first four sectors" {
                assert_eq!(warnings.len(), 1, "{kind:?}, {what}: {warnings:?}");
                let (ours, before) = (fs.usage().unwrap(), whole.usage().unwrap());
                assert_eq!(
                    (ours.total, ours.free),
                    (before.total, before.free),
                    "{kind:?}, {what}"
                );
                assert_eq!(ours.nodes_free, before.nodes_free, "{kind:?}, {what}");
            }
        }
        // The copy in group 1 is gone, too.
        let word = |at: usize| u64::from(u32::from_be_bytes(first[at..at + 4].try_into().unwrap()));
        let gone = [(0, vec![0; 512]), (word(84) * word(4), vec![0; 512])];
        let fs = open(&image, &gone).unwrap();
        assert_eq!(listing::of_fs(&fs, Options::UNIX).unwrap().text, tree, "{kind:?}");
        assert!(
            fs.facts()
                .warnings
                .iter()
                .all(|w| !w.contains("allocation group 1 "))
        );
    }
}

#[test]
fn without_any_superblock_the_first_error_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let image = made(dir.path(), "320M", &[]);
    let gone: Vec<_> = (0..4).map(|group| (group * (80 << 20), vec![0; 512])).collect();
    let e = open(&image, &gone).err().unwrap();
    assert_eq!(e.class(), Class::Corrupt);
    assert_eq!(e.place().unwrap().offset, 0, "{e}");
}

#[test]
fn features_that_are_not_read_are_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let image = made(dir.path(), "320M", &[]);
    let bytes = first_sector(&image);
    for (bit, name) in [(8, "metadir"), (9, "zoned"), (10, "zone-gaps"), (30, "bit 30")] {
        let mut changed = bytes.clone();
        set_incompat(&mut changed, 1 << bit);
        let e = open(&image, &[(0, changed)]).err().unwrap();
        assert_eq!(e.class(), Class::Unsupported, "{e}");
        assert!(e.to_string().contains(name), "{e}");
    }
    // Features that only matter to writers are named and read.
    let mut changed = bytes.clone();
    changed[212..216].copy_from_slice(&0x8000_000f_u32.to_be_bytes());
    seal(&mut changed);
    let fs = open(&image, &[(0, changed)]).unwrap();
    let features = fs.facts().features;
    for name in ["finobt", "rmapbt", "reflink", "inobtcount", "bit 31"] {
        assert!(features.iter().any(|f| f == name), "{name} in {features:?}");
    }
    let mut changed = bytes;
    set_incompat(&mut changed, 1 << 4);
    let warnings = open(&image, &[(0, changed)]).unwrap().facts().warnings;
    assert!(warnings.iter().any(|w| w.contains("xfs_repair")), "{warnings:?}");
}

/// mkfs here is older than parent pointers, the kernel need not be: it writes them once the superblock asks for them.
#[test]
fn parent_pointers_are_not_shown_as_attributes() {
    let dir = tempfile::tempdir().unwrap();
    let image = dir.path().join("xfs.img");
    ok("truncate", &["-s", "320M", image.to_str().unwrap()]);
    ok("mkfs.xfs", &["-q", "-f", image.to_str().unwrap()]);
    let mut first = first_sector(&image);
    set_incompat(&mut first, 0xc0);
    let file = FileDisk::open(&image, Access::Edit, Sharing::Force).unwrap();
    file.write_at(0, &first).unwrap();
    drop(file);
    let Ok(mounted) = mount(&image, "xfs", "nouuid") else {
        println!("skipped: this kernel knows no parent pointers");
        return;
    };
    for n in 0..50 {
        let name = format!("file-with-a-long-name-so-that-its-pointers-leave-the-inode-{n}");
        std::fs::write(mounted.path().join(&name), "x").unwrap();
        std::fs::hard_link(
            mounted.path().join(&name),
            mounted.path().join(format!("second-{n}")),
        )
        .unwrap();
    }
    for n in 0..40 {
        let link = format!("third-name-of-one-file-whose-parents-need-a-block-{n}");
        std::fs::hard_link(mounted.path().join("second-1"), mounted.path().join(link)).unwrap();
    }
    ok(
        "setfattr",
        &[
            "-n",
            "user.own",
            "-v",
            "1",
            mounted.path().join("second-1").to_str().unwrap(),
        ],
    );
    drop(mounted);
    let fs = open(&image, &[]).unwrap();
    assert_eq!(fs.facts().warnings, Vec::<String>::new());
    for name in ["exchange", "parent"] {
        assert!(fs.facts().features.iter().any(|f| f == name));
    }
    // The pointers are there: the file with many names has a block of attributes.
    let bytes = std::fs::read(&image).unwrap();
    assert!(
        bytes.chunks(4096).any(|b| b[8..10] == [0x3b, 0xee]),
        "an attribute leaf was expected"
    );
    let mounted = mount(&image, "xfs", "ro,nouuid").unwrap();
    let theirs = listing::of_host(mounted.path(), Options::UNIX);
    let ours = listing::of_fs(&fs, Options::UNIX).unwrap();
    assert_eq!(listing::differences(&theirs.text, &ours.text), None);
    for (name, want) in [("second-1", &["user.own"][..]), ("second-2", &[])] {
        let mut meter = h2k_block::Meter::new(Limits::default());
        let node = lookup_path(&fs, name.as_bytes(), false, &mut meter)
            .unwrap()
            .unwrap();
        let mut names = Vec::new();
        fs.xattrs(node, &mut |name, _| {
            names.push(String::from_utf8_lossy(name).into_owned());
            std::ops::ControlFlow::Continue(())
        })
        .unwrap();
        assert_eq!(names, want, "{name}");
    }
}

#[test]
fn a_log_on_another_device_is_refused_unless_asked_to_ignore_it() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    ok("truncate", &["-s", "80M", log.to_str().unwrap()]);
    let option = format!("logdev={},size=64m", log.display());
    let image = made(dir.path(), "320M", &["-l", &option]);
    let e = open(&image, &[]).err().unwrap();
    assert_eq!(e.class(), Class::Unsupported);
    assert!(e.to_string().contains("log lies on another device"), "{e}");
    let fs = h2k_xfs::open_with(disk(&image, &[]), &Limits::default(), ExternalLog::Ignore).unwrap();
    let warnings = fs.facts().warnings;
    assert!(
        warnings.iter().any(|w| w.contains("log lies on another device")),
        "{warnings:?}"
    );
    assert_eq!(
        listing::of_fs(&fs, Options::UNIX).unwrap().text.lines().count(),
        4
    );
    // What that log holds may be anywhere.
    assert_eq!(fs.used_at(0, 320 << 20).unwrap().kind, h2k_block::Kind::Data);
}

#[test]
fn files_on_a_realtime_device_are_refused_one_by_one() {
    let dir = tempfile::tempdir().unwrap();
    let device = dir.path().join("realtime");
    ok("truncate", &["-s", "64M", device.to_str().unwrap()]);
    let option = format!("rtdev={}", device.display());
    let image = made(dir.path(), "320M", &["-r", &option, "-m", "reflink=0,rmapbt=0"]);
    let find = |fs: &h2k_xfs::Xfs, path: &str| {
        let mut meter = h2k_block::Meter::new(Limits::default());
        lookup_path(fs, path.as_bytes(), false, &mut meter)
            .unwrap()
            .unwrap()
    };
    let fs = open(&image, &[]).unwrap();
    let number = find(&fs, "/dir/inner").0.to_string();
    ok(
        "xfs_db",
        &[
            "-x",
            "-c",
            &format!("inode {number}"),
            "-c",
            "write core.realtime 1",
            image.to_str().unwrap(),
        ],
    );
    let fs = open(&image, &[]).unwrap();
    let warnings = fs.facts().warnings;
    assert!(
        warnings.iter().any(|w| w.contains("realtime device")),
        "{warnings:?}"
    );
    let mut buf = [0; 8];
    let e = fs.read_at(find(&fs, "/dir/inner"), 0, &mut buf).unwrap_err();
    assert_eq!(e.class(), Class::Unsupported);
    assert!(e.to_string().contains("realtime device"), "{e}");
    assert_eq!(fs.stat(find(&fs, "/dir/inner")).unwrap().len, 8);
    assert_eq!(fs.read_at(find(&fs, "/file"), 0, &mut buf).unwrap(), 8);
    assert_eq!(&buf, b"content\n");
}
