//! Writing, one thing at a time: names, full volumes, what stays where it was, what is refused.

use crate::write::{Subject, make};
use crate::write_door;
use h2k_block::{BlockRead, Class, Limits, MemDisk, Overlay};
use h2k_fat::open_writer;
use h2k_fs::{Attributes, FsRead, FsWrite, MemFs, Node, Time};
use h2k_testkit::corpus::corpus;
use h2k_testkit::listing::{self, Options};
use h2k_testkit::mutate::{Patched, storm};
use h2k_testkit::oracle::{ok, run};
use h2k_testkit::rng::Rng;
use h2k_testkit::twins::{NOW, bring, fill_a_little};
use std::path::Path;
use std::sync::Arc;

/// What `mdir` shows of the directory `at`.
fn mdir(image: &Path, at: &str) -> String {
    let script = r#"LC_ALL=C.UTF-8 MTOOLS_SKIP_CHECK=1 TZ=UTC mdir -a -i "$0" "$1""#;
    ok("bash", &["-c", script, image.to_str().unwrap(), at])
}

fn node(fs: &dyn FsRead, dir: Node, name: &str) -> Node {
    fs.lookup(dir, name.as_bytes())
        .unwrap()
        .unwrap_or_else(|| panic!("{name}"))
}

fn names(fs: &dyn FsRead, dir: Node) -> Vec<String> {
    let mut meter = h2k_block::Meter::new(Limits::default());
    let all = h2k_fs::sorted_names(&mut meter, |each| fs.list(dir, &mut |e| each(e.name))).unwrap();
    all.into_iter().map(|n| String::from_utf8(n).unwrap()).collect()
}

fn content(fs: &dyn FsRead, file: Node) -> Vec<u8> {
    let mut bytes = vec![0; fs.stat(file).unwrap().len as usize + 1];
    let n = fs.read_at(file, 0, &mut bytes).unwrap();
    bytes.truncate(n);
    bytes
}

/// The loader of an ESP is replaced: its entry, its names and its creation stay where they are.
#[test]
fn a_replaced_file_keeps_its_place_and_its_names() {
    for (options, kib) in [("-F12 -s2", 2000), ("-F16 -s4", 16000), ("-F32 -s1", 40000)] {
        let dir = tempfile::tempdir().unwrap();
        let image = make(dir.path(), options, kib);
        let script = r#"set -e; export MTOOLS_SKIP_CHECK=1 TZ=UTC; cd "$0"; seq 3000 > 'Loader of some sort.efi'; seq 9 > after
mmd -i "$1" ::/EFI ::/EFI/BOOT; mcopy -i "$1" 'Loader of some sort.efi' after ::/EFI/BOOT"#;
        ok(
            "bash",
            &[
                "-c",
                script,
                dir.path().to_str().unwrap(),
                image.to_str().unwrap(),
            ],
        );
        let mut subject = Subject::open(&image).unwrap();
        let fs = &mut subject.fs;
        let efi = node(fs, fs.root(), "efi");
        let boot = node(fs, efi, "boot");
        let loader = node(fs, boot, "loader OF some sort.EFI");
        assert_eq!(Some(loader), fs.lookup(boot, b"LOADER~1.EFI").unwrap());
        let before: Vec<u8> = std::fs::read(&image).unwrap()[loader.0 as usize - 64..][..96].to_vec();
        let born = fs.stat(loader).unwrap().created;
        let bytes = vec![0x5a; 50_001];
        fs.replace(loader, &bytes).unwrap();
        subject.judge(options);
        let fs = &subject.fs;
        assert_eq!(node(fs, boot, "LOADER~1.EFI"), loader);
        assert_eq!(fs.stat(loader).unwrap().created, born);
        assert_eq!(content(fs, loader), bytes);
        let after: Vec<u8> = std::fs::read(&image).unwrap()[loader.0 as usize - 64..][..96].to_vec();
        // Both pieces of the long name, the short name, the NT byte and the creation.
        assert_eq!(before[..64 + 11], after[..64 + 11]);
        assert_eq!(before[64 + 12..64 + 18], after[64 + 12..64 + 18]);
        let read = ok(
            "bash",
            &[
                "-c",
                r#"MTOOLS_SKIP_CHECK=1 mtype -i "$0" '::/EFI/BOOT/Loader of some sort.efi' | sha256sum"#,
                image.to_str().unwrap(),
            ],
        );
        assert_eq!(read.split(' ').next().unwrap(), h2k_testkit::hash::sha256(&bytes));
        assert!(
            mdir(&image, "::/EFI/BOOT").contains("50001 2026-09-21  14:13"),
            "{}",
            mdir(&image, "::/EFI/BOOT")
        );
    }
}

#[test]
fn names_are_stored_as_others_read_them() {
    let dir = tempfile::tempdir().unwrap();
    let image = make(dir.path(), "-F16 -s1", 8000);
    let mut subject = Subject::open(&image).unwrap();
    let fs = &mut subject.fs;
    let root = fs.root();
    let (e, upper) = (fs.mkdir(root, b"EFI", 0o755).unwrap(), "GRUBX64  EFI");
    fs.create(e, b"GRUBX64.EFI", 0o644).unwrap();
    fs.create(e, b"bootx64.efi", 0o644).unwrap();
    fs.create(e, b"Mixed.Cfg", 0o644).unwrap();
    for n in 1..=11 {
        fs.create(e, format!("the same beginning {n}.conf").as_bytes(), 0o644)
            .unwrap();
    }
    let taken = fs.create(e, b"THESAM~3.CON", 0o644).unwrap_err();
    assert_eq!(taken.class(), Class::Exists, "a short name is a name, too");
    for taken in [
        "grubx64.EFI",
        "BOOTX64.efi",
        "MIXED.CFG",
        "The Same Beginning 4.CONF",
    ] {
        let e = fs.create(e, taken.as_bytes(), 0o644).unwrap_err();
        assert_eq!(e.class(), Class::Exists, "{taken}");
    }
    fs.create(e, "Ärger ☃ 😀.txt".as_bytes(), 0o644).unwrap();
    let fs = subject.judge("names");
    assert!(names(&fs, e).contains(&"Ärger ☃ 😀.txt".to_owned()));
    let shown = mdir(&image, "::/EFI");
    assert!(shown.contains(upper) && shown.contains("bootx64  efi"), "{shown}");
    assert!(
        shown.contains("MIXED    CFG") && shown.contains("Mixed.Cfg"),
        "{shown}"
    );
    assert!(
        shown.contains("THESA~11 CON") && shown.contains("the same beginning 11.conf"),
        "{shown}"
    );
    for bad in [
        "a:b",
        "what?",
        "trailing.",
        "trailing ",
        "bell\x07",
        "a/b",
        "..",
        "",
    ] {
        let made = subject.fs.create(root, bad.as_bytes(), 0o644);
        assert_eq!(made.unwrap_err().class(), Class::Invalid, "{bad:?}");
        assert_eq!(
            subject
                .fs
                .rename(root, b"EFI", root, bad.as_bytes())
                .unwrap_err()
                .class(),
            Class::Invalid
        );
    }
}

#[test]
fn renaming_can_change_the_case_and_replace_other_spellings() {
    for (options, kib) in [("-F12 -s1", 1900), ("-F32 -s1", 40000)] {
        let dir = tempfile::tempdir().unwrap();
        let image = make(dir.path(), options, kib);
        let mut subject = Subject::open(&image).unwrap();
        let fs = &mut subject.fs;
        let root = fs.root();
        let file = fs.create(root, b"readme.txt", 0o644).unwrap();
        fs.replace(file, b"one").unwrap();
        fs.rename(root, b"README.TXT", root, b"ReadMe.txt").unwrap();
        assert_eq!(names(fs, root), ["ReadMe.txt"]);
        fs.rename(root, b"readme.txt", root, b"README.TXT").unwrap();
        fs.rename(root, b"README.TXT", root, b"README.TXT").unwrap();
        assert_eq!(names(fs, root), ["README.TXT"]);
        let other = fs.create(root, b"a long name for it", 0o644).unwrap();
        fs.replace(other, &[7; 3000]).unwrap();
        // By its short name, over a file that is spelled otherwise.
        fs.rename(root, b"ALONGN~1", root, b"Readme.TXT").unwrap();
        assert_eq!(names(fs, root), ["Readme.TXT"]);
        assert_eq!(content(fs, node(fs, root, "readme.txt")), [7; 3000]);
        // Over one that is spelled alike: its place and its short name stay.
        let place = node(fs, root, "readme.txt");
        let new = fs.create(root, b"readme.txt.new", 0o644).unwrap();
        fs.replace(new, b"new").unwrap();
        fs.rename(root, b"readme.txt.new", root, b"Readme.TXT").unwrap();
        assert_eq!(node(fs, root, "readme.txt"), place);
        assert_eq!(content(fs, place), b"new");
        assert_eq!(
            fs.stat(new).unwrap_err().class(),
            Class::NotFound,
            "its name is gone"
        );
        // Directories: their parents follow.
        let a = fs.mkdir(root, b"a", 0o755).unwrap();
        let b = fs.mkdir(a, b"b", 0o755).unwrap();
        let c = fs.mkdir(b, b"c", 0o755).unwrap();
        fs.create(c, b"deep", 0o644).unwrap();
        for into in [b, c] {
            let e = fs.rename(root, b"a", into, b"x").unwrap_err();
            assert_eq!(e.class(), Class::Invalid);
        }
        fs.rename(b, b"c", root, b"c at the root").unwrap();
        let c = node(fs, root, "c at the root");
        fs.rename(root, b"a", c, b"A").unwrap();
        assert_eq!(
            fs.rmdir(root, b"C AT THE ROOT").unwrap_err().class(),
            Class::Exists
        );
        let a = node(fs, c, "a");
        assert_eq!(
            fs.rename(root, b"c at the root", a, b"no").unwrap_err().class(),
            Class::Invalid
        );
        subject.judge(options);
        let fs = &mut subject.fs;
        fs.rmdir(a, b"b").unwrap();
        fs.rmdir(c, b"A").unwrap();
        assert_eq!(fs.create(a, b"x", 0o644).unwrap_err().class(), Class::NotFound);
        fs.remove(c, b"deep").unwrap();
        fs.rmdir(root, b"c at the root").unwrap();
        subject.judge(options);
    }
}

/// Fills a volume to the last cluster, takes everything away again, and finds as much room as before.
fn to_the_brim(options: &str, kib: u64) {
    let dir = tempfile::tempdir().unwrap();
    let image = make(dir.path(), options, kib);
    let mut subject = Subject::open(&image).unwrap();
    let root = subject.fs.root();
    let before = subject.fs.usage().unwrap();
    let below = subject.fs.mkdir(root, b"below", 0o755).unwrap();
    let mut size = before.free as usize / 5;
    let mut made = Vec::new();
    while size > 0 {
        let name = format!("file number {}", made.len()).into_bytes();
        let Ok(file) = subject.fs.create(below, &name, 0o644) else {
            break;
        };
        if let Err(e) = subject.fs.replace(file, &vec![5; size]) {
            assert_eq!(e.class(), Class::NoSpace, "{e}");
            assert_eq!(subject.fs.stat(file).unwrap().len, 0, "half a file was left");
            size /= 2;
        }
        made.push(name);
    }
    assert_eq!(subject.fs.usage().unwrap().free, 0, "{options}");
    subject.judge(options);
    let full = std::fs::read(&image).unwrap();
    // Nothing of this has a place, and nothing of it leaves a trace.
    let first = node(&subject.fs, below, "file number 0");
    let long = vec![1; size.max(1 << 20)];
    let refused = [
        subject.fs.mkdir(root, b"one more", 0o755).map(drop),
        subject.fs.append(first, &long),
        subject.fs.truncate(first, before.total + 1),
        subject.fs.write_at(first, before.total / 2, &long),
    ];
    for (n, done) in refused.into_iter().enumerate() {
        assert_eq!(done.unwrap_err().class(), Class::NoSpace, "{options}: {n}");
    }
    let mut n = 0;
    let e = loop {
        n += 1;
        match subject
            .fs
            .create(below, format!("no room for this name {n}").as_bytes(), 0o644)
        {
            Ok(_) => made.push(format!("no room for this name {n}").into_bytes()),
            Err(e) => break e,
        }
    };
    assert_eq!(e.class(), Class::NoSpace, "{e}");
    for n in 1..n {
        let name = made.pop().unwrap();
        assert!(String::from_utf8_lossy(&name).starts_with("no room"), "{n}");
        subject.fs.remove(below, &name).unwrap();
    }
    subject.judge(options);
    let fs = crate::mtools::open(&image);
    let now = std::fs::read(&image).unwrap();
    let at = node(&fs, below, "file number 0");
    assert_eq!(full.len(), now.len());
    assert_eq!(content(&fs, at), vec![5; fs.stat(at).unwrap().len as usize]);
    for name in &made {
        subject.fs.remove(below, name).unwrap();
    }
    subject.fs.rmdir(root, b"below").unwrap();
    subject.judge(options);
    assert_eq!(subject.fs.usage().unwrap(), before, "{options}");
}

#[test]
fn a_volume_is_filled_to_the_brim_and_emptied() {
    to_the_brim("-F12 -s1", 700);
    to_the_brim("-F16 -s2", 9000);
    to_the_brim("-F32 -s8", 16000);
}

#[test]
fn the_root_of_fat12_and_fat16_has_the_room_it_has() {
    let dir = tempfile::tempdir().unwrap();
    let image = make(dir.path(), "-F16 -s1 -r 64", 8000);
    let mut subject = Subject::open(&image).unwrap();
    let root = subject.fs.root();
    // The label has one entry; each name here two.
    for n in 0..31 {
        subject
            .fs
            .create(root, format!("Long {n}").as_bytes(), 0o644)
            .unwrap();
    }
    subject.fs.create(root, b"SHORT", 0o644).unwrap();
    subject.judge("full root");
    let before = std::fs::read(&image).unwrap();
    assert_eq!(
        subject.fs.create(root, b"MORE", 0o644).unwrap_err().class(),
        Class::NoSpace
    );
    assert_eq!(
        subject.fs.mkdir(root, b"MORE", 0o755).unwrap_err().class(),
        Class::NoSpace
    );
    // A name that needs one entry more has no place either; the old one stays.
    let e = subject
        .fs
        .rename(root, b"Long 3", root, b"a name that needs three of them");
    assert_eq!(e.unwrap_err().class(), Class::NoSpace);
    bring(&subject.over, &image);
    let after = std::fs::read(&image).unwrap();
    let heap = before.len() - subject.fs.usage().unwrap().total as usize - 512;
    assert!(
        before[..heap] == after[..heap],
        "a refused operation left something behind"
    );
    subject.fs.rename(root, b"Long 3", root, b"Other").unwrap();
    subject.judge("full root");
}

#[test]
fn a_short_name_is_never_another_files_long_name() {
    let dir = tempfile::tempdir().unwrap();
    let image = make(dir.path(), "-F16 -s1", 8000);
    let mut subject = Subject::open(&image).unwrap();
    let root = subject.fs.root();
    let at = subject.fs.create(root, b"Ab~1", 0o644).unwrap().0 as usize;
    subject.judge("before");
    // Others may have given it a short name that is nothing like it.
    let mut bytes = std::fs::read(&image).unwrap();
    bytes[at..at + 11].copy_from_slice(b"OTHER      ");
    let sum = |sum: u8, byte: &u8| sum.rotate_right(1).wrapping_add(*byte);
    bytes[at - 32 + 13] = bytes[at..at + 11].iter().fold(0, sum);
    std::fs::write(&image, &bytes).unwrap();
    let mut subject = Subject::open(&image).unwrap();
    let made = subject.fs.create(root, b"a b", 0o644).unwrap();
    subject.judge("after");
    assert_eq!(subject.fs.lookup(root, b"AB~2").unwrap(), Some(made));
    assert_eq!(subject.fs.lookup(root, b"ab~1").unwrap(), Some(Node(at as u64)));
    assert_eq!(names(&subject.fs, root), ["Ab~1", "a b"]);
}

#[test]
fn what_lies_behind_the_end_of_a_directory_stays_hidden() {
    let dir = tempfile::tempdir().unwrap();
    let image = make(dir.path(), "-F16 -s1", 8000);
    let mut subject = Subject::open(&image).unwrap();
    let root = subject.fs.root();
    let first = subject.fs.create(root, b"FIRST", 0o644).unwrap().0 as usize;
    subject.judge("first");
    let mut bytes = std::fs::read(&image).unwrap();
    // An entry 0, and entries of a former life behind it.
    for n in 2..8 {
        bytes.copy_within(first..first + 32, first + n * 32);
        bytes[first + n * 32] = b'0' + n as u8;
    }
    std::fs::write(&image, &bytes).unwrap();
    for (name, count) in [(&b"SECOND"[..], 2), (b"a long name of two", 3), (b"LAST", 4)] {
        let mut subject = Subject::open(&image).unwrap();
        subject.fs.create(root, name, 0o644).unwrap();
        let fs = subject.judge("hidden");
        assert_eq!(names(&fs, root).len(), count, "{:?}", names(&fs, root));
    }
}

#[test]
fn a_node_that_is_gone_stays_gone_whatever_lies_in_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let image = make(dir.path(), "-F12 -s1", 64);
    let mut subject = Subject::open(&image).unwrap();
    let fs = &mut subject.fs;
    let root = fs.root();
    let sub = fs.mkdir(root, b"sub", 0o755).unwrap();
    let stale = fs.create(sub, b"FILE", 0o644).unwrap();
    let mut entry = [0; 32];
    fs.disk().read_at(stale.0, &mut entry).unwrap();
    fs.remove(sub, b"FILE").unwrap();
    fs.rmdir(root, b"sub").unwrap();
    // All that is free becomes content that looks like the entry.
    let filler = fs.create(root, b"filler", 0o644).unwrap();
    let free = fs.usage().unwrap().free as usize;
    let content: Vec<u8> = entry.iter().copied().cycle().take(free).collect();
    fs.replace(filler, &content).unwrap();
    let mut now = [0; 32];
    fs.disk().read_at(stale.0, &mut now).unwrap();
    assert_eq!(now, entry);
    for e in [fs.truncate(stale, 0), fs.stat(stale).map(drop)] {
        assert_eq!(e.unwrap_err().class(), Class::NotFound);
    }
    // Until another file has its place.
    fs.truncate(filler, free as u64 - 512).unwrap();
    let sub = fs.mkdir(root, b"sub", 0o755).unwrap();
    assert_eq!(fs.create(sub, b"OTHER", 0o644).unwrap(), stale);
    assert_eq!(fs.stat(stale).unwrap().len, 0);
    subject.judge("gone");
}

#[test]
fn a_directory_grows_by_clusters_up_to_its_limit() {
    let dir = tempfile::tempdir().unwrap();
    let image = make(dir.path(), "-F32 -s1", 40000);
    let mut subject = Subject::open(&image).unwrap();
    let root = subject.fs.root();
    let many = subject.fs.mkdir(root, b"many", 0o755).unwrap();
    let mut model = MemFs::new();
    let twin = model.mkdir(model.root(), b"many", 0o755).unwrap();
    let name = |n: u32| format!("{n:x} x{}", "x".repeat(n as usize % 190)).into_bytes();
    for n in 0..400 {
        for (fs, dir) in [(&mut subject.fs as &mut dyn FsWrite, many), (&mut model, twin)] {
            fs.create(dir, format!("{n}{}", ".x").as_bytes(), 0o644).unwrap();
        }
        // In the root, too, which is a chain here.
        subject
            .fs
            .create(root, &[b"r".as_slice(), &name(n)].concat(), 0o644)
            .unwrap();
    }
    assert!(subject.fs.stat(many).unwrap().len >= 400 * 32);
    for n in (0..400).step_by(3) {
        subject
            .fs
            .remove(root, &[b"r".as_slice(), &name(n)].concat())
            .unwrap();
    }
    let len = subject.fs.stat(root).unwrap().len;
    for n in (0..400).step_by(6) {
        subject
            .fs
            .create(root, &[b"s".as_slice(), &name(n)].concat(), 0o644)
            .unwrap();
    }
    assert_eq!(
        subject.fs.stat(root).unwrap().len,
        len,
        "free entries were not used"
    );
    let fs = subject.judge("many names");
    assert_eq!(names(&fs, many), names(&model, twin));
    assert_eq!(names(&fs, root).len(), 1 + 400 - 134 + 67);
}

/// Mirroring can be switched off: then one table counts, and the others stay as they are.
#[test]
fn only_the_active_table_is_written_where_fat32_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let image = make(dir.path(), "-F32 -s1", 40000);
    let mut bytes = std::fs::read(&image).unwrap();
    let le = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    let fat = usize::from(u16::from_le_bytes([bytes[14], bytes[15]])) * 512;
    let len = le(36) * 512;
    for boot in [0, 6 * 512] {
        bytes[boot + 40] = 0x81;
    }
    let stale: Vec<u8> = (0..len).map(|n| n as u8 & 0x0f).collect();
    bytes[fat..fat + len].copy_from_slice(&stale);
    let over = Arc::new(Overlay::new(Arc::new(MemDisk::new(bytes.clone()))));
    let mut fs = open_writer(over.clone(), &Limits::default(), NOW).unwrap();
    let file = fs.create(fs.root(), b"file", 0o644).unwrap();
    fs.replace(file, &[3; 5000]).unwrap();
    fs.settle().unwrap();
    let mut after = vec![0; bytes.len()];
    over.read_at(0, &mut after).unwrap();
    assert!(
        after[fat..fat + len] == stale,
        "a table that does not count was written"
    );
    assert!(after[fat + len..fat + 2 * len] != bytes[fat + len..fat + 2 * len]);
    let fs = h2k_fat::open(Arc::new(MemDisk::new(after)), &Limits::default()).unwrap();
    assert_eq!(content(&fs, node(&fs, fs.root(), "FILE")), [3; 5000]);
    // A table that is not there.
    bytes[40] = 0x85;
    let e = open_writer(
        Arc::new(Overlay::new(Arc::new(MemDisk::new(bytes)))),
        &Limits::default(),
        NOW,
    );
    assert_eq!(e.unwrap_err().class(), Class::Corrupt);
}

#[test]
fn all_tables_are_written_however_many_there_are() {
    let dir = tempfile::tempdir().unwrap();
    let image = make(dir.path(), "-F16 -s4 -f4", 16000);
    let before = std::fs::read(&image).unwrap();
    let mut subject = Subject::open(&image).unwrap();
    fill_a_little(&mut subject.fs, &|_, _| Ok(())).unwrap();
    subject.fs.settle().unwrap();
    bring(&subject.over, &image);
    let after = std::fs::read(&image).unwrap();
    let word = |at: usize| usize::from(u16::from_le_bytes([after[at], after[at + 1]]));
    let (fat, len) = (word(14) * 512, word(22) * 512);
    let table = |bytes: &[u8], n: usize| bytes[fat + n * len..][..len].to_vec();
    assert!(table(&before, 0) != table(&after, 0));
    assert!((1..4).all(|n| table(&after, n) == table(&after, 0)));
    // fsck.vfat knows two tables at most; mtools reads them.
    assert!(
        mdir(&image, "::/made here").contains("31 files"),
        "{}",
        mdir(&image, "::/made here")
    );
}

#[test]
fn the_hints_of_fat32_and_the_upper_bits_of_its_table_are_kept_right() {
    let dir = tempfile::tempdir().unwrap();
    let image = make(dir.path(), "-F32 -s2", 80000);
    let mut bytes = std::fs::read(&image).unwrap();
    let fat = usize::from(u16::from_le_bytes([bytes[14], bytes[15]])) * 512;
    let len = u32::from_le_bytes(bytes[36..40].try_into().unwrap()) as usize * 512;
    for table in [fat, fat + len] {
        bytes[table + 4 * 9 + 3] = 0x70;
    }
    // FSInfo says that cluster 7 was the last one to be given out.
    bytes[512 + 492..512 + 496].copy_from_slice(&7_u32.to_le_bytes());
    std::fs::write(&image, &bytes).unwrap();
    let mut subject = Subject::open(&image).unwrap();
    let file = subject.fs.create(subject.fs.root(), b"file", 0o644).unwrap();
    subject.fs.replace(file, &[3; 3 * 1024]).unwrap();
    subject.judge("hints");
    let after = std::fs::read(&image).unwrap();
    let word = |at: usize| u32::from_le_bytes(after[at..at + 4].try_into().unwrap());
    for table in [fat, fat + len] {
        assert_eq!((word(table + 32), word(table + 36)), (9, 0x7000_000a));
        assert_eq!(word(table + 40), 0x0fff_ffff);
        assert_eq!(
            after[table..table + 8],
            bytes[table..table + 8],
            "entries 0 and 1"
        );
    }
    let free = subject.fs.usage().unwrap().free / 1024;
    assert_eq!((u64::from(word(512 + 488)), word(512 + 492)), (free, 10));
    subject.fs.remove(subject.fs.root(), b"file").unwrap();
    subject.judge("hints");
    let after = std::fs::read(&image).unwrap();
    assert_eq!(after[fat + 36..fat + 40], [0, 0, 0, 0x70]);
}

#[test]
fn what_fat_cannot_keep_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let image = make(dir.path(), "-F16 -s1", 8000);
    let mut subject = Subject::open(&image).unwrap();
    let fs = &mut subject.fs;
    let root = fs.root();
    let file = fs.create(root, b"file", 0o444).unwrap();
    let sub = fs.mkdir(root, b"sub", 0o555).unwrap();
    let owner = Attributes {
        uid: Some(0),
        ..Attributes::default()
    };
    for (what, words) in [
        (fs.symlink(root, b"x", b"y").map(drop), "symbolic links"),
        (fs.add_name(root, b"x", file), "hard links"),
        (fs.set_xattr(file, b"user.x", b"y"), "extended attributes"),
        (fs.remove_xattr(file, b"user.x"), "extended attributes"),
        (fs.set_attributes(file, &owner), "owners"),
        (fs.set_attributes(root, &Attributes::default()), "root directory"),
    ] {
        let e = what.unwrap_err();
        assert!(
            e.class() == Class::Unsupported && e.to_string().contains(words),
            "{e}"
        );
    }
    let e = fs.write_at(file, u64::from(u32::MAX) - 1, b"xy").unwrap_err();
    assert_eq!(e.class(), Class::Limit, "{e}");
    assert_eq!(
        fs.write_at(file, u64::MAX, b"xy").unwrap_err().class(),
        Class::Limit
    );
    for wrong in [root, sub] {
        assert_eq!(fs.replace(wrong, b"").unwrap_err().class(), Class::Invalid);
    }
    for none in [Node(2), Node(file.0 + 32 * 100), Node(!31), Node(file.0 + 1)] {
        assert_eq!(fs.replace(none, b"").unwrap_err().class(), Class::NotFound);
    }
    // A mode that lets nobody write is the read-only attribute, of files.
    let attributes = |fs: &dyn FsRead, image: &Path| {
        let bytes = std::fs::read(image).unwrap();
        (
            bytes[node(fs, root, "file").0 as usize + 11],
            bytes[node(fs, root, "sub").0 as usize + 11],
        )
    };
    let read = subject.judge("attributes");
    assert_eq!(attributes(&read, &image), (0x21, 0x10));
    let to = |mode| Attributes {
        mode: Some(mode),
        modified: Some(Time {
            seconds: 1_000_000_001,
            nanos: 0,
        }),
        ..Attributes::default()
    };
    subject.fs.set_attributes(file, &to(0o600)).unwrap();
    subject.fs.set_attributes(sub, &to(0o400)).unwrap();
    let read = subject.judge("attributes");
    assert_eq!(attributes(&read, &image), (0x20, 0x10));
    assert_eq!(read.stat(sub).unwrap().modified.seconds, 1_000_000_000);
    assert!(
        mdir(&image, "::/").contains("2001-09-09   1:46"),
        "{}",
        mdir(&image, "::/")
    );
}

#[test]
fn volumes_that_cannot_be_trusted_are_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let refused = |bytes: Vec<u8>| {
        let over = Arc::new(Overlay::new(Arc::new(MemDisk::new(bytes))));
        open_writer(over, &Limits::default(), NOW).map(drop).unwrap_err()
    };
    for (options, kib, state) in [
        ("-F12 -s1", 1900, 37),
        ("-F16 -s1", 8000, 37),
        ("-F32 -s1", 40000, 65),
    ] {
        let good = std::fs::read(make(dir.path(), options, kib)).unwrap();
        let fat = usize::from(u16::from_le_bytes([good[14], good[15]])) * 512;
        let len = match u16::from_le_bytes([good[22], good[23]]) {
            0 => u32::from_le_bytes(good[36..40].try_into().unwrap()) as usize * 512,
            n => usize::from(n) * 512,
        };
        let changed = |at: usize, to: u8| {
            let mut bytes = good.clone();
            bytes[at] = to;
            bytes
        };
        let both = |at: usize, bit: u8| {
            let mut bytes = good.clone();
            for table in [fat, fat + len] {
                bytes[table + at] &= !bit;
            }
            bytes
        };
        let mut cases = vec![
            (changed(state, 1), "not unmounted cleanly"),
            (changed(state, 2), "disk error"),
            (changed(fat + len + 100, 1), "differs from the first"),
            (good[..good.len() - 65_536].to_vec(), "cut off"),
            (both(0, 0xff), "media byte"),
        ];
        match options.get(2..4) {
            Some("16") => cases.extend([
                (both(3, 0x80), "not unmounted cleanly"),
                (both(3, 0x40), "disk error"),
            ]),
            Some("32") => {
                cases.extend([(both(7, 8), "not unmounted cleanly"), (both(7, 4), "disk error")]);
                cases.push((changed(0, 0), ""));
                cases.push((changed(12, 0), "backup"));
            }
            _ => {}
        }
        for (bytes, words) in cases {
            if words.is_empty() {
                // The jump at its beginning is nobody's business.
                open_writer(
                    Arc::new(Overlay::new(Arc::new(MemDisk::new(bytes)))),
                    &Limits::default(),
                    NOW,
                )
                .unwrap();
                continue;
            }
            let e = refused(bytes);
            assert!(
                e.class() == Class::Corrupt && e.to_string().contains(words),
                "{options}: {words}: {e}"
            );
            assert_eq!(e.advice(), Some("run fsck.vfat first"), "{options}: {words}");
        }
        if options.starts_with("-F32") {
            let e = refused(changed(42, 1));
            assert!(
                e.class() == Class::Unsupported && e.to_string().contains("version 0.1"),
                "{e}"
            );
        }
    }
    let image = dir.path().join("x.img");
    ok(
        "bash",
        &[
            "-c",
            r#"truncate -s 2M "$0"; mkfs.exfat -c 512 -b 4K "$0""#,
            image.to_str().unwrap(),
        ],
    );
    let e = refused(std::fs::read(&image).unwrap());
    assert!(
        e.class() == Class::Unsupported && e.to_string().contains("exFAT"),
        "{e}"
    );
}

#[test]
fn the_same_edits_give_the_same_bytes_and_the_source_stays() {
    let dir = tempfile::tempdir().unwrap();
    let image = make(dir.path(), "-F16 -s4", 16000);
    let source = Arc::new(MemDisk::new(std::fs::read(&image).unwrap()));
    let edited = || {
        let over = Arc::new(Overlay::new(source.clone()));
        let mut fs = open_writer(over.clone(), &Limits::default(), NOW).unwrap();
        fill_a_little(&mut fs, &|_, _| Ok(())).unwrap();
        fs.settle().unwrap();
        let mut bytes = vec![0; over.len() as usize];
        over.read_at(0, &mut bytes).unwrap();
        bytes
    };
    assert!(edited() == edited());
    assert!(source.to_vec() == std::fs::read(&image).unwrap());
}

/// Every volume of the corpus that fsck.vfat finds nothing wrong with is written to, or refused by a typed error; what
/// was written to is as clean as before.
#[test]
fn volumes_of_the_corpus_are_written_to_or_refused() {
    let Some(corpus) = corpus() else { return };
    let dir = tempfile::tempdir().unwrap();
    let image = dir.path().join("case.img");
    let (mut written, mut refused) = (0, 0);
    for case in corpus.below("fs/fat/") {
        let disk = corpus.disk(case, dir.path());
        if disk.len() > 64 << 20 {
            continue;
        }
        let mut bytes = vec![0; disk.len() as usize];
        disk.read_at(0, &mut bytes).unwrap();
        std::fs::write(&image, &bytes).unwrap();
        if !run("fsck.vfat", &["-n", image.to_str().unwrap()])
            .status
            .success()
        {
            continue;
        }
        let over = Arc::new(Overlay::new(Arc::new(MemDisk::new(bytes))));
        let edit = || {
            let mut fs = open_writer(over.clone(), &Limits::default(), NOW)?;
            let done = fill_a_little(&mut fs, &|_, _| Ok(()));
            fs.settle()?;
            let listing = listing::of_fs(&fs, Options::PLAIN).unwrap();
            match done {
                // Small ones have no room for all of it; what has been written has to be right all the same.
                Err(e) if e.class() == Class::NoSpace => Ok(listing),
                done => done.map(|()| listing),
            }
        };
        match edit() {
            Ok(ours) => {
                h2k_testkit::twins::judge(&over, &image, ("fsck.vfat", "-n"), &case.path);
                let read = listing::of_fs(&crate::mtools::open(&image), Options::PLAIN).unwrap();
                assert_eq!(read.text, ours.text, "{}", case.path);
                written += 1;
            }
            Err(e) => {
                println!("{}: {e}", case.path);
                assert!(
                    matches!(e.class(), Class::Unsupported | Class::Corrupt),
                    "{}: {e}",
                    case.path
                );
                refused += 1;
            }
        }
    }
    println!("{written} volumes written to, {refused} refused");
    assert!(
        written > 5,
        "{written} volumes were written to, {refused} refused"
    );
}

/// A small volume of `bits` with little in it but what can be damaged.
fn small(bits: &str) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let (options, kib) = match bits {
        "12" => ("-F12 -s1 -r 64", 200),
        "16" => ("-F16 -s1 -r 64", 2200),
        _ => ("-F32 -s1 -R 8", 300),
    };
    let image = make(dir.path(), options, kib);
    let mut subject = Subject::open(&image).unwrap();
    let fs = &mut subject.fs;
    let root = fs.root();
    let sub = fs.mkdir(root, b"sub", 0o755).unwrap();
    let other = fs.mkdir(root, b"An other one", 0o755).unwrap();
    let mut files = Vec::new();
    for n in 0..12 {
        let dir = [root, sub, other][n % 3];
        files.push(
            fs.create(dir, format!("Name number {n}.txt").as_bytes(), 0o644)
                .unwrap(),
        );
    }
    // Two files by turns: chains in pieces. Zeros are no place for damage.
    for n in 0..10 {
        fs.append(files[n % 2], &[0; 1500]).unwrap();
    }
    fs.mkdir(sub, b"inner", 0o755).unwrap();
    fs.rmdir(root, b"An other one").unwrap_err();
    fs.settle().unwrap();
    bring(&subject.over, &image);
    std::fs::read(&image).unwrap()
}

#[test]
fn a_hundred_thousand_damaged_volumes_are_written_to_or_refused() {
    let seeds: Vec<_> = ["12", "16", "32"]
        .map(small)
        .into_iter()
        .map(|s| (Patched::live(&s), Arc::new(s)))
        .collect();
    let mut rng = Rng::new(0x7772_6974);
    storm(&seeds, &mut rng, |disk| write_door::knock(Arc::new(disk)));
}
