//! Crashes: images copied while the kernel has them mounted, recovered by us and by the kernel.

use crate::kernel::{Scratch, found_by_name, kernel_helps, open, stats_agree, xattrs_agree};
use h2k_block::{Access, Class, FileDisk, Kind, Limits, Meter, Overlay, Sharing};
use h2k_ext4::{Ext4, Journal};
use h2k_fs::{FileKind, FsRead, walk};
use h2k_testkit::listing::{self, Options};
use h2k_testkit::mount::mount;
use h2k_testkit::oracle;
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Works on a mounted filesystem, and answers with the image as a crash at the end would leave it.
fn crashed(scratch: &Scratch, mkfs: &str, options: &str, work: &dyn Fn(&Path)) -> Option<PathBuf> {
    if !kernel_helps() {
        return None;
    }
    let image = scratch.make(mkfs, "64M");
    let mounted = mount(&image, "ext4", &format!("rw,{options}")).unwrap();
    work(mounted.path());
    let copy = scratch.image("crashed.img");
    std::fs::copy(&image, &copy).unwrap();
    Some(copy)
}

/// Our replay shows what the kernel's own recovery shows, and without replay something would be missing.
fn recovers_as_the_kernel_does(mkfs: &str, options: &str, work: &dyn Fn(&Path)) -> Vec<String> {
    let scratch = Scratch::new();
    let Some(image) = crashed(&scratch, mkfs, options, work) else {
        return Vec::new();
    };
    let twin = scratch.image("twin.img");
    std::fs::copy(&image, &twin).unwrap();
    let before = std::fs::read(&image).unwrap();
    let fs = open(&image, Journal::Replay);
    let warnings = fs.facts().warnings;
    assert!(fs.facts().features.iter().any(|f| f == "needs_recovery"));
    assert!(warnings.iter().any(|w| w.contains("replayed")), "{warnings:?}");
    assert!(warnings.iter().all(|w| !w.contains("damaged")), "{warnings:?}");
    {
        // Mounting recovers the twin on disk.
        let mounted = mount(&twin, "ext4", "rw,noatime").unwrap();
        against_mount_after_recovery(&fs, mounted.path());
    }
    let stale = open(&image, Journal::Ignore);
    let (ours, stale) = (
        listing::of_fs(&fs, Options::UNIX).unwrap(),
        listing::of_fs(&stale, Options::UNIX).unwrap(),
    );
    assert_ne!(ours.text, stale.text, "there was nothing to replay");
    assert!(
        before == std::fs::read(&image).unwrap(),
        "the source was written to"
    );
    warnings
}

/// As [`against_mount`] without free space and links of deleted files, which recovery itself goes on to change.
fn against_mount_after_recovery(fs: &Ext4, root: &Path) {
    let theirs = listing::of_host(root, Options::UNIX);
    let ours = listing::of_fs(fs, Options::UNIX).unwrap();
    assert_eq!(
        listing::differences(&theirs.text, &ours.text),
        None,
        "{:#?}",
        ours.errors
    );
    let mut meter = Meter::new(Limits::default());
    let fast_commits = fs.facts().features.iter().any(|f| f == "fast_commit");
    walk(
        fs,
        fs.root(),
        &mut meter,
        &mut |visit| {
            let path = root.join(std::ffi::OsStr::from_bytes(visit.path));
            let stat = visit.stat.unwrap();
            // Replaying fast commits enters names, and the kernel stamps those directories with the time it does so.
            if !(fast_commits && stat.kind == FileKind::Dir) {
                stats_agree(&stat, &path);
            }
            xattrs_agree(fs, visit.node, &path);
            found_by_name(fs, visit.node, visit.path);
            ControlFlow::Continue(())
        },
        &mut |path, e| panic!("{}: {e}", String::from_utf8_lossy(path)),
    )
    .unwrap();
}

fn sync_file(path: &Path) {
    std::fs::File::open(path).unwrap().sync_all().unwrap();
}

/// Names, contents, a directory whose blocks become file content (revoked), and a last commit.
fn busy(root: &Path) {
    let dir = root.join("soon gone");
    std::fs::create_dir(&dir).unwrap();
    for n in 0..600 {
        std::fs::write(
            dir.join(format!("name-{n}-of-a-directory-that-will-be-removed")),
            "",
        )
        .unwrap();
    }
    sync_file(&dir);
    std::fs::remove_dir_all(&dir).unwrap();
    sync_file(root);
    for n in 0..40 {
        // Blocks that begin like blocks of the journal itself.
        let mut bytes = vec![n; 30_000];
        for block in bytes.chunks_mut(1024) {
            block[..4].copy_from_slice(&0xc03b_3998_u32.to_be_bytes());
        }
        std::fs::write(root.join(format!("content-{n}")), bytes).unwrap();
    }
    for n in 0..40 {
        sync_file(&root.join(format!("content-{n}")));
    }
    std::fs::rename(root.join("content-1"), root.join("renamed")).unwrap();
    std::fs::remove_file(root.join("content-2")).unwrap();
    sync_file(root);
    sync_file(&root.join("content-3"));
}

macro_rules! crashes {
    ($($name:ident: $mkfs:literal, $options:literal;)*) => {
        $(#[test]
        fn $name() {
            recovers_as_the_kernel_does($mkfs, $options, &busy);
        })*
    };
}

crashes! {
    a_crash_of_ext3: "-t ext3 -b 1024", "commit=300";
    a_crash_of_ext4: "-t ext4", "commit=300";
    a_crash_of_ext4_with_journalled_data: "-t ext4 -b 1024", "commit=300,data=journal";
    a_crash_of_ext3_with_journalled_data: "-t ext3 -b 4096", "commit=300,data=journal";
    a_crash_of_ext4_without_64bit: "-t ext4 -b 1024 -O ^64bit", "commit=300,data=journal";
    a_crash_with_version_1_checksums: "-t ext4 -b 1024 -O ^metadata_csum", "commit=300,journal_checksum";
    a_crash_with_asynchronous_commits: "-t ext4 -b 1024 -O ^metadata_csum", "commit=300,data=writeback,journal_async_commit";
    a_crash_with_a_small_journal_that_wrapped: "-t ext4 -b 1024 -J size=1", "commit=300,data=journal";
    a_crash_with_inline_data: "-t ext4 -O inline_data", "commit=300";
}

/// Small changes that fast commits can express, each made durable by itself.
fn fast(root: &Path) {
    use rustix::fs::{FallocateFlags, fallocate};
    use std::os::unix::fs::{FileExt, PermissionsExt};
    let file = |name: &str| root.join(name);
    for n in 0..5 {
        std::fs::write(file(&format!("old-{n}")), vec![n; 50_000]).unwrap();
    }
    std::fs::create_dir(file("dir")).unwrap();
    let root_dir = std::fs::File::open(root).unwrap();
    rustix::fs::syncfs(&root_dir).unwrap();
    for n in 0..8_u8 {
        let path = file(&format!("dir/new-{n}"));
        std::fs::write(&path, vec![0x40 + n; 1000 * usize::from(n)]).unwrap();
        sync_file(&path);
    }
    let open = |name: &str| std::fs::OpenOptions::new().write(true).open(file(name)).unwrap();
    let grown = open("old-0");
    grown.write_all_at(&[9; 70_000], 40_000).unwrap();
    grown.sync_all().unwrap();
    let holed = open("old-1");
    fallocate(
        &holed,
        FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE,
        8192,
        16_384,
    )
    .unwrap();
    holed.sync_all().unwrap();
    let cut = open("old-2");
    cut.set_len(10_000).unwrap();
    cut.sync_all().unwrap();
    let planned = open("old-3");
    fallocate(&planned, FallocateFlags::empty(), 50_000, 100_000).unwrap();
    planned.sync_all().unwrap();
    std::fs::hard_link(file("old-3"), file("dir/second")).unwrap();
    planned.sync_all().unwrap();
    std::fs::remove_file(file("dir/new-3")).unwrap();
    std::fs::set_permissions(file("old-4"), std::fs::Permissions::from_mode(0o600)).unwrap();
    sync_file(&file("old-4"));
    std::fs::rename(file("dir/new-4"), file("dir/moved")).unwrap();
    sync_file(&file("dir/moved"));
}

#[test]
fn a_crash_after_fast_commits() {
    let warnings = recovers_as_the_kernel_does("-t ext4 -O fast_commit", "commit=300", &fast);
    if kernel_helps() {
        assert!(
            warnings
                .iter()
                .any(|w| w.contains("fast commits") && !w.contains(" 0 fast commits")),
            "the kernel made no fast commits: {warnings:?}"
        );
    }
}

#[test]
fn fast_commits_that_wait_are_no_ground_to_write_on() {
    let scratch = Scratch::new();
    let Some(image) = crashed(&scratch, "-t ext4 -O fast_commit", "commit=300", &fast) else {
        return;
    };
    let disk = FileDisk::open(&image, Access::Read, Sharing::Force).unwrap();
    let over = Arc::new(Overlay::new(Arc::new(disk)));
    let now = h2k_fs::Time::default();
    let e = h2k_ext4::open_writer(over, &Limits::default(), now)
        .err()
        .unwrap();
    assert_eq!(e.class(), Class::Unsupported);
    assert!(e.to_string().contains("fast commits"), "{e}");
    assert!(e.advice().is_some());
}

#[test]
fn a_mounted_filesystem_says_so_through_multiple_mount_protection() {
    let scratch = Scratch::new();
    let Some(image) = crashed(&scratch, "-t ext4 -O mmp", "commit=300", &|root| {
        std::fs::write(root.join("file"), "x").unwrap();
        sync_file(&root.join("file"));
    }) else {
        return;
    };
    let warnings = open(&image, Journal::Replay).facts().warnings;
    assert!(
        warnings
            .iter()
            .any(|w| w.contains("multiple mount protection says that")),
        "{warnings:?}"
    );
    assert!(warnings.iter().all(|w| !w.contains("checksum")), "{warnings:?}");
}

/// A crash and a damaged primary superblock at once: backups do not say that there is a journal to replay, the journal
/// itself does.
#[test]
fn a_crash_is_recovered_through_a_backup_superblock() {
    let scratch = Scratch::new();
    let Some(image) = crashed(&scratch, "-t ext4 -b 1024", "commit=300", &busy) else {
        return;
    };
    let whole = listing::of_fs(&open(&image, Journal::Replay), Options::UNIX).unwrap();
    let file = std::fs::OpenOptions::new().write(true).open(&image).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &[0; 1024], 1024).unwrap();
    let fs = open(&image, Journal::Replay);
    let warnings = fs.facts().warnings;
    assert!(
        warnings.iter().any(|w| w.contains("copy in group")),
        "{warnings:?}"
    );
    assert!(warnings.iter().any(|w| w.contains("replayed")), "{warnings:?}");
    assert_eq!(listing::of_fs(&fs, Options::UNIX).unwrap().text, whole.text);
}

/// Free space is believed only where nothing waits in the journal and nothing is known to be wrong.
#[test]
fn nothing_counts_as_free_when_the_bitmaps_may_be_wrong() {
    let scratch = Scratch::new();
    let Some(image) = crashed(&scratch, "-t ext4", "commit=300", &busy) else {
        return;
    };
    let free = |fs: &Ext4| {
        let end = fs.disk().len();
        let (mut at, mut sum) = (0, 0);
        while at < end {
            let extent = fs.used_at(at, end).unwrap();
            sum += if extent.kind == Kind::Hole { extent.len } else { 0 };
            at = extent.end();
        }
        sum
    };
    assert!(free(&open(&image, Journal::Replay)) > 10 << 20);
    assert_eq!(free(&open(&image, Journal::Ignore)), 0);
    let clean = scratch.make("-t ext4", "64M");
    assert!(free(&open(&clean, Journal::Replay)) > 10 << 20);
    oracle::ok("debugfs", &["-w", "-R", "ssv state 3", clean.to_str().unwrap()]);
    assert_eq!(free(&open(&clean, Journal::Replay)), 0);
}
