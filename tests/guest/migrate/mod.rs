//! Guests moved to KVM by the binary: what is made, what stays, what is refused.

mod bad;
// Machines start the same whatever packed their disks: once is enough.
#[cfg(feature = "fast")]
mod boot;
mod cut;
mod sources;
mod whole;

use crate::run::{bytes, run};
use h2k_testkit::{corpus::sparse_write, hash::sha256, modules, oracle};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use tempfile::TempDir;

const RELEASE: &str = "6.1.0-18-amd64";
const UUID: &str = "11111111-2222-3333-4444-555555555555";
/// Where the only partition begins.
const START: u64 = 1 << 20;
const SIZE: u64 = 32 << 20;

/// The files of a Linux that starts from a SATA disk and not from virtio.
static TREE: LazyLock<TempDir> = LazyLock::new(|| {
    let dir = tempfile::tempdir().unwrap();
    plant(dir.path());
    dir
});

/// A disk with those files.
static DISK: LazyLock<TempDir> = LazyLock::new(|| {
    let dir = tempfile::tempdir().unwrap();
    disk_of(TREE.path(), UUID, &dir.path().join("a.img"));
    dir
});

fn put(root: &Path, path: &str, content: impl AsRef<[u8]>) {
    let path = root.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}

fn shell(script: &str, args: &[&Path]) {
    let mut all = vec!["-ec".as_ref(), script.as_ref(), "sh".as_ref()];
    all.extend(args.iter().map(|p| p.as_os_str()));
    oracle::ok("sh", &all);
}

fn plant(root: &Path) {
    for dir in [
        "usr/bin", "usr/lib", "bin", "sbin", "dev", "proc", "sys", "srv", "var/log",
    ] {
        std::fs::create_dir_all(root.join(dir)).unwrap();
    }
    std::os::unix::fs::symlink("usr/lib", root.join("lib")).unwrap();
    put(
        root,
        "etc/os-release",
        "ID=debian\nVERSION_ID=\"12\"\nPRETTY_NAME=\"Debian 12\"\n",
    );
    put(root, "etc/hostname", "web01\n");
    put(root, "etc/fstab", "/dev/sda1 / ext4 errors=remount-ro 0 1\n");
    let boot = format!(
        "menuentry 'Debian' {{\n  search --fs-uuid --set=root {UUID}\n  linux /boot/vmlinuz-{RELEASE} root=/dev/sda1 ro\n  \
         initrd /boot/initrd.img-{RELEASE}\n}}\n"
    );
    put(root, "boot/grub/grub.cfg", boot);
    let kernel = modules::kernel(&format!("{RELEASE} (debian) #1 SMP"));
    put(root, &format!("boot/vmlinuz-{RELEASE}"), kernel);
    modules::plant(root, RELEASE, &modules::DRIVERS);
    let image = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(image.path().join("usr/lib")).unwrap();
    std::os::unix::fs::symlink("usr/lib", image.path().join("lib")).unwrap();
    put(image.path(), "conf/initramfs.conf", "MODULES=dep\n");
    put(image.path(), "init", "#!/bin/sh\n");
    put(image.path(), "scripts/functions", "#!/bin/sh\n");
    modules::plant(image.path(), RELEASE, modules::sata());
    let script = format!(
        "cd \"$2\"; find . -mindepth 1 | LC_ALL=C sort | cpio --quiet -o -H newc | gzip -n > \"$1/boot/initrd.img-{RELEASE}\""
    );
    shell(&script, &[root, image.path()]);
}

/// Makes `disk`: one partition with the files of `tree`, and the first sector of GRUB.
fn disk_of(tree: &Path, uuid: &str, disk: &Path) {
    let script = format!(
        "truncate -s {SIZE} \"$2\"; echo start=2048, type=83, bootable | sfdisk -q \"$2\"\n\
         mkfs.ext4 -q -F -U {uuid} -E offset={START} -d \"$1\" \"$2\" {}k",
        (SIZE - START) / 1024
    );
    shell(&format!("PATH=$PATH:/usr/sbin:/sbin\n{script}"), &[tree, disk]);
    use std::os::unix::fs::FileExt;
    let file = std::fs::File::options().write(true).open(disk).unwrap();
    file.write_all_at(b"\xeb\x63\x90", 0).unwrap();
    file.write_all_at(b"GRUB \0Geom\0Hard Disk\0Read\0 Error", 384)
        .unwrap();
}

/// A copy of a disk that keeps its holes.
fn copy(from: &Path, to: &Path) {
    sparse_write(to, &std::fs::read(from).unwrap());
}

/// A folder with `a.img`, and what it was at first.
struct Place {
    dir: TempDir,
    before: String,
}

impl Place {
    fn new() -> Self {
        Self::with(|disk| copy(&DISK.path().join("a.img"), disk))
    }

    /// The guest with its files changed.
    fn changed(change: impl FnOnce(&Path)) -> Self {
        let tree = tempfile::tempdir().unwrap();
        shell("cp -a \"$1/.\" \"$2\"", &[TREE.path(), tree.path()]);
        change(tree.path());
        Self::with(|disk| disk_of(tree.path(), UUID, disk))
    }

    /// The guest with `/boot` on a second disk, `b.img`.
    fn of_two_disks() -> Self {
        const BOOT: &str = "11111111-2222-3333-4444-666666666666";
        let (root, boot) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let script = "cp -a \"$1/.\" \"$2\"; mv \"$2\"/boot/* \"$3\"";
        shell(script, &[TREE.path(), root.path(), boot.path()]);
        let tables = "/dev/sda1 / ext4 errors=remount-ro 0 1\n/dev/sdb1 /boot ext4 defaults 0 2\n";
        put(root.path(), "etc/fstab", tables);
        let file = boot.path().join("grub/grub.cfg");
        let text = std::fs::read_to_string(&file).unwrap();
        let text = text.replace(UUID, BOOT).replace("/boot/", "/");
        std::fs::write(&file, text).unwrap();
        let place = Self::with(|disk| disk_of(root.path(), UUID, disk));
        disk_of(boot.path(), BOOT, &place.file("b.img"));
        place
    }

    /// The guest with its filesystem changed by debugfs.
    fn debugged(commands: &[&str]) -> Self {
        Self::with(|disk| {
            copy(&DISK.path().join("a.img"), disk);
            for command in commands {
                oracle::ok("debugfs", &["-w", "-R", command, &at_partition(disk)]);
            }
        })
    }

    fn with(make: impl FnOnce(&Path)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        make(&dir.path().join("a.img"));
        let before = digest(&dir.path().join("a.img"));
        Self { dir, before }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// Nobody wrote to the disk.
    fn untouched(&self) {
        assert_eq!(
            digest(&self.file("a.img")),
            self.before,
            "the source was written to"
        );
    }
}

fn digest(file: &Path) -> String {
    sha256(&std::fs::read(file).unwrap())
}

/// The partition of a raw disk, as e2fsprogs name it.
fn at_partition(disk: &Path) -> String {
    format!("{}?offset={START}", disk.display())
}

/// The filesystem on a disk is as a clean unmount leaves it.
fn clean(disk: &Path, format: &str) {
    let raw = tempfile::NamedTempFile::new().unwrap();
    let (from, to) = (disk.to_str().unwrap(), raw.path().to_str().unwrap());
    oracle::ok("qemu-img", &["convert", "-f", format, "-O", "raw", from, to]);
    oracle::ok("e2fsck", &["-fn", &at_partition(raw.path())]);
}

/// What a file in the guest holds.
fn content(dir: &Path, disk: &str, path: &str) -> Vec<u8> {
    bytes(dir, &["cat", &format!("{disk}:{path}")])
}

/// Everything that has to change has changed.
fn fixed(dir: &Path, disk: &str) {
    let fstab = String::from_utf8(content(dir, disk, "/etc/fstab")).unwrap();
    assert_eq!(fstab, format!("UUID={UUID} / ext4 errors=remount-ro 0 1\n"));
    let ran = run(dir, &["plan", "--json", disk]).good().json();
    assert_eq!(ran["outcome"], "leave", "{ran:#}");
    assert_eq!(ran["systems"][0]["validation"]["after"], "boots");
}
