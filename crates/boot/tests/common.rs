//! Guests in memory, and archives that cpio itself makes.

use h2k_block::{Limits, MemDisk};
use h2k_boot::{Boot, Initramfs};
use h2k_fs::MemFs;
use h2k_guest::{Device, Guest, Look, Tree};
pub use h2k_testkit::modules::kernel;
use h2k_testkit::oracle;
use std::path::Path;
use std::sync::Arc;

/// A guest with these files on its only filesystem.
pub fn boot(files: &[(&str, &[u8])]) -> Boot {
    let mut fs = MemFs::new();
    for (path, content) in files {
        fs.file(path, content.to_vec()).unwrap();
    }
    let (boot, unread) = boot_of(fs);
    assert!(unread.is_empty(), "{unread:?}");
    boot
}

pub fn boot_of(fs: MemFs) -> (Boot, Vec<h2k_guest::Unread>) {
    looked(fs, &Limits::default(), |look, boot| (boot, look.take_unread()))
}

/// What `ask` answers of a guest with this filesystem, and of how it boots.
pub fn looked<T>(fs: MemFs, limits: &Limits, ask: impl FnOnce(&Look<'_>, Boot) -> T) -> T {
    let tree = Tree::new("/dev/sda1", Arc::new(fs));
    let guest = Guest::of(vec![Device::with_fs("/dev/sda1", MemFs::new())], limits);
    let look = Look::new(&tree, limits);
    let (boot, unread) = h2k_boot::read(&look, &guest);
    look.remember(unread);
    ask(&look, boot)
}

/// An archive of the files below `dir`, made by cpio.
pub fn cpio(dir: &Path) -> Vec<u8> {
    let made = dir.with_extension("cpio");
    let script = "cd \"$1\" && find . -mindepth 1 | LC_ALL=C sort | cpio --quiet -o -H newc > \"$2\"";
    oracle::ok(
        "sh",
        &["-c", script, "sh", dir.to_str().unwrap(), made.to_str().unwrap()],
    );
    std::fs::read(made).unwrap()
}

/// `bytes` packed by `program`, which reads and writes as gzip does.
pub fn packed(program: &str, args: &[&str], bytes: &[u8]) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let (plain, out) = (dir.path().join("plain"), dir.path().join("packed"));
    std::fs::write(&plain, bytes).unwrap();
    let script = "in=$1 out=$2; shift 2; \"$@\" < \"$in\" > \"$out\"";
    let mut all = vec![
        "-c",
        script,
        "sh",
        plain.to_str().unwrap(),
        out.to_str().unwrap(),
        program,
    ];
    all.extend(args);
    oracle::ok("sh", &all);
    std::fs::read(out).unwrap()
}

/// The image in `bytes`, which has to be readable.
pub fn image(bytes: Vec<u8>) -> Initramfs {
    let (image, errors) = Initramfs::read(&MemDisk::new(bytes), "/boot/initrd.img", &Limits::default());
    assert!(errors.is_empty(), "{errors:?}");
    image
}

/// Writes files below a fresh directory.
pub fn files(all: &[(&str, &[u8])]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (path, content) in all {
        let path = dir.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    dir
}

/// An initramfs as Debian makes it with `MODULES=dep`, without virtio.
pub fn debian() -> tempfile::TempDir {
    files(&[
        ("conf/initramfs.conf", b"MODULES=most\nCOMPRESS=zstd\n"),
        ("conf/conf.d/driver-policy", b"MODULES=dep\n"),
        ("conf/conf.d/resume", b"RESUME=/dev/sda5\n"),
        ("scripts/functions", b"#!/bin/sh\n"),
        ("init", b"#!/bin/sh\n"),
        (
            "usr/lib/modules/6.1.0-18-amd64/kernel/drivers/ata/ahci.ko",
            &[7; 70_000],
        ),
        (
            "usr/lib/modules/6.1.0-18-amd64/kernel/drivers/scsi/sd_mod.ko",
            b"elf",
        ),
        (
            "usr/lib/modules/6.1.0-18-amd64/kernel/drivers/block/virtio_blk.ko",
            b"elf",
        ),
        (
            "usr/lib/modules/6.1.0-18-amd64/modules.dep",
            b"kernel/drivers/ata/ahci.ko:\nkernel/drivers/scsi/sd_mod.ko:\n",
        ),
        (
            "etc/modprobe.d/hard.conf",
            b"# no\nblacklist floppy\ninstall sctp /bin/true\n",
        ),
    ])
}
