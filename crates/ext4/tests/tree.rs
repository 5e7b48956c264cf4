//! A tree with everything in it that a filesystem can get wrong, made through the host's own calls.

use h2k_testkit::rng::Rng;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// How much of it a filesystem has room for.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Names in the large directory.
    pub names: usize,
    /// Pieces of the fragmented file.
    pub pieces: u64,
    /// Length of the large extended attribute, 0 for none.
    pub xattr: usize,
    /// Length of the longest link.
    pub link: usize,
    /// Length of the sparse file; 67 MiB reach the third level of a block map with blocks of 1 KiB.
    pub sparse: u64,
}

impl Size {
    pub const USUAL: Self = Self {
        names: 2000,
        pieces: 800,
        xattr: 900,
        link: 4094,
        sparse: 67 << 20,
    };
}

/// Fills `root`. What the filesystem refuses (a link too long for it, an attribute too large) is left out.
pub fn fill(root: &Path, size: Size) {
    contents(root, size);
    names(root, size);
    links(root, size);
    specials(root);
    attributes(root, size);
}

fn contents(root: &Path, size: Size) {
    let mut rng = Rng::new(4);
    let dir = root.join("content");
    std::fs::create_dir(&dir).unwrap();
    for len in [
        0, 1, 59, 60, 61, 100, 127, 128, 155, 156, 160, 500, 1023, 1024, 1025, 2048, 4095, 4096, 4097,
        65_536, 1_048_579,
    ] {
        let mut bytes = vec![0; len];
        rng.fill(&mut bytes);
        std::fs::write(dir.join(format!("len-{len}")), bytes).unwrap();
    }
    // Data at the borders of every level of a block map.
    let sparse = File::create(dir.join("sparse")).unwrap();
    for at in [
        0,
        11 << 12,
        12 << 12,
        13 << 12,
        1 << 20,
        (1 << 22) + (12 << 12),
        65 << 20,
        (66 << 20) + 7,
    ]
    .into_iter()
    .filter(|at| *at < size.sparse)
    {
        sparse.write_all_at(b"here", at).unwrap();
    }
    sparse.set_len(size.sparse + 99_999).unwrap();
    // Many extents: every other block is missing.
    let pieces = File::create(dir.join("pieces")).unwrap();
    for n in 0..size.pieces {
        pieces.write_all_at(&n.to_le_bytes(), n * 8192).unwrap();
    }
    // A file cut short and one made longer without writing.
    let cut = File::create(dir.join("cut")).unwrap();
    cut.write_all_at(&[7; 10_000], 0).unwrap();
    cut.set_len(5000).unwrap();
    let grown = File::create(dir.join("grown")).unwrap();
    grown.write_all_at(b"short", 0).unwrap();
    grown.set_len(3000).unwrap();
    unwritten(&dir);
}

/// Allocated but never written, before, inside and behind written data.
fn unwritten(dir: &Path) {
    use rustix::fs::{FallocateFlags, fallocate};
    let file = File::create(dir.join("unwritten")).unwrap();
    if fallocate(&file, FallocateFlags::empty(), 0, 1 << 20).is_err() {
        // Block maps cannot do that.
        return;
    }
    file.write_all_at(&[9; 5000], 100_000).unwrap();
    let behind = File::create(dir.join("beyond-its-end")).unwrap();
    behind.write_all_at(b"kept", 0).unwrap();
    fallocate(&behind, FallocateFlags::KEEP_SIZE, 0, 1 << 19).unwrap();
    let large = File::create(dir.join("unwritten-large")).unwrap();
    let _ = fallocate(&large, FallocateFlags::empty(), 0, 9 << 20);
    large.write_all_at(b"middle", 6 << 20).unwrap();
}

fn names(root: &Path, size: Size) {
    let many = root.join("many");
    std::fs::create_dir(&many).unwrap();
    for n in 0..size.names {
        File::create(many.join(format!("file-number-{n:06}-{}", "x".repeat(n % 40)))).unwrap();
    }
    for n in (0..size.names).step_by(3) {
        std::fs::remove_file(many.join(format!("file-number-{n:06}-{}", "x".repeat(n % 40)))).unwrap();
    }
    let odd = root.join("odd names");
    std::fs::create_dir(&odd).unwrap();
    let mut longest = vec![b'n'; 255];
    longest[100] = 0xff;
    let names: [&[u8]; 9] = [
        b"new\nline",
        b"tab\tand space ",
        b"latin1-\xe9",
        b"\xff\xfe",
        "übergröße".as_bytes(),
        "日本語".as_bytes(),
        b"...",
        b"percent%41",
        &longest,
    ];
    for name in names {
        std::fs::write(odd.join(std::ffi::OsStr::from_bytes(name)), name).unwrap();
    }
    let mut deep = root.to_owned();
    for n in 0..40 {
        deep = deep.join(format!("d{n}"));
        std::fs::create_dir(&deep).unwrap();
    }
    std::fs::write(deep.join("bottom"), "deep").unwrap();
    for n in 0..12 {
        let small = root.join(format!("small-{n}"));
        std::fs::create_dir(&small).unwrap();
        for m in 0..n {
            File::create(small.join(format!("f{m}"))).unwrap();
        }
    }
}

fn links(root: &Path, size: Size) {
    let dir = root.join("links");
    std::fs::create_dir(&dir).unwrap();
    for len in [1, 58, 59, 60, 61, 120, 150, 160, 500, 1023, 2000, 4094]
        .into_iter()
        .filter(|len| *len <= size.link)
    {
        let _ = std::os::unix::fs::symlink("t".repeat(len), dir.join(format!("len-{len}")));
    }
    std::os::unix::fs::symlink("../content/len-100", dir.join("good")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", dir.join("out")).unwrap();
    std::os::unix::fs::symlink("loop", dir.join("loop")).unwrap();
    std::fs::hard_link(root.join("content/len-500"), dir.join("second-name")).unwrap();
}

fn specials(root: &Path) {
    use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
    let dir = root.join("special");
    std::fs::create_dir(&dir).unwrap();
    let make = |name: &str, kind, major, minor| {
        // Devices need privileges that a test may not have.
        let _ = mknodat(
            CWD,
            dir.join(name),
            kind,
            Mode::from_raw_mode(0o640),
            makedev(major, minor),
        );
    };
    make("old-char", FileType::CharacterDevice, 5, 1);
    make("old-block", FileType::BlockDevice, 8, 255);
    make("new-char", FileType::CharacterDevice, 300, 7);
    make("new-block", FileType::BlockDevice, 4095, 0xf_ffff);
    make("pipe", FileType::Fifo, 0, 0);
    make("socket", FileType::Socket, 0, 0);
}

fn attributes(root: &Path, size: Size) {
    use rustix::fs::{CWD, Timespec, Timestamps, XattrFlags, setxattr, utimensat};
    use std::os::unix::fs::PermissionsExt;
    let dir = root.join("attributes");
    std::fs::create_dir(&dir).unwrap();
    let file = |name: &str| {
        let path = dir.join(name);
        std::fs::write(&path, name).unwrap();
        path
    };
    for (mode, name) in [
        (0o4755, "suid"),
        (0o2711, "sgid"),
        (0o000, "none"),
        (0o1777, "sticky"),
    ] {
        let path = file(name);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    }
    let _ = std::os::unix::fs::chown(file("owner"), Some(70_001), Some(4_000_000_000));
    for (seconds, nanos) in [
        (-2_000_000_000, 0),
        (-1, 5),
        (0, 0),
        (1, 999_999_999),
        (2_147_483_648, 1),
        (5_000_000_000, 123_456_789),
        (15_000_000_000, 0),
    ] {
        let path = file(&format!("time-{seconds}"));
        let time = Timespec {
            tv_sec: seconds,
            tv_nsec: nanos,
        };
        let times = Timestamps {
            last_access: time,
            last_modification: time,
        };
        let _ = utimensat(CWD, &path, &times, rustix::fs::AtFlags::empty());
    }
    let set = |path: &Path, name: &str, value: &[u8]| {
        let _ = setxattr(path, name, value, XattrFlags::empty());
    };
    let one = file("xattr-one");
    set(&one, "user.short", b"v");
    set(&one, "user.empty", b"");
    set(&one, "security.selinux", b"system_u:object_r:etc_t:s0\0");
    set(&one, "trusted.hidden", &[0, 1, 2, 255]);
    let many = file("xattr-many");
    for n in 0..20 {
        set(
            &many,
            &format!("user.attribute-{n}"),
            format!("value {n}").as_bytes(),
        );
    }
    let shared = [file("xattr-a"), file("xattr-b")];
    for path in &shared {
        set(path, "user.large", &vec![b'L'; size.xattr]);
        set(path, "user.small", b"s");
    }
    let acl = file("acl");
    // Version 2: owner rw, user 70001 r, group r, mask rw, others none.
    let mut value = vec![2, 0, 0, 0];
    for (tag, perm, id) in [
        (1_u16, 6_u16, u32::MAX),
        (2, 4, 70_001),
        (4, 4, u32::MAX),
        (16, 6, u32::MAX),
        (32, 0, u32::MAX),
    ] {
        value.extend(tag.to_le_bytes());
        value.extend(perm.to_le_bytes());
        value.extend(id.to_le_bytes());
    }
    set(&acl, "system.posix_acl_access", &value);
    set(&dir, "system.posix_acl_default", &value);
    let link = dir.join("link-with-attribute");
    std::os::unix::fs::symlink("somewhere", &link).unwrap();
    let _ = rustix::fs::lsetxattr(&link, "trusted.on-link", b"x", XattrFlags::empty());
    for n in 0..30 {
        set(
            &root.join(format!("content/len-{}", [60, 61, 100, 155][n % 4])),
            "user.beside-inline",
            b"12345678",
        );
    }
}
