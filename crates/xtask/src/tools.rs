//! The independent tools the tests compare against, and the Debian packages they come in. The only such list; Python
//! packages are pinned in the testkit.

use crate::run::{Done, have, show};
use h2k_testkit::oracle::{PYTHON_PACKAGES, python_home};
use std::collections::BTreeSet;
use std::io::IsTerminal;
use std::process::Command;

/// Program, Debian package.
const TOOLS: &[(&str, &str)] = &[
    ("qemu-img", "qemu-utils"),
    ("qemu-io", "qemu-utils"),
    ("qemu-nbd", "qemu-utils"),
    ("qemu-system-x86_64", "qemu-system-x86"),
    ("setpriv", "util-linux"),
    ("mkfs.ext4", "e2fsprogs"),
    ("e2fsck", "e2fsprogs"),
    ("debugfs", "e2fsprogs"),
    ("mkfs.xfs", "xfsprogs"),
    ("xfs_repair", "xfsprogs"),
    ("xfs_db", "xfsprogs"),
    ("xfs_io", "xfsprogs"),
    ("setfattr", "attr"),
    ("setfacl", "acl"),
    ("matchpathcon", "selinux-utils"),
    ("shellcheck", "shellcheck"),
    ("visudo", "sudo"),
    ("pwck", "passwd"),
    ("grpck", "passwd"),
    ("mkfs.btrfs", "btrfs-progs"),
    ("btrfs", "btrfs-progs"),
    ("mkntfs", "ntfs-3g"),
    ("ntfs-3g", "ntfs-3g"),
    ("ntfs-3g.probe", "ntfs-3g"),
    ("ntfscp", "ntfs-3g"),
    ("ntfsls", "ntfs-3g"),
    ("wimlib-imagex", "wimtools"),
    ("mkfs.vfat", "dosfstools"),
    ("fsck.vfat", "dosfstools"),
    ("mcopy", "mtools"),
    ("mdir", "mtools"),
    ("mtype", "mtools"),
    ("mkfs.exfat", "exfatprogs"),
    ("fsck.exfat", "exfatprogs"),
    ("mksquashfs", "squashfs-tools"),
    ("mount.exfat-fuse", "exfat-fuse"),
    ("genisoimage", "genisoimage"),
    ("mkudffs", "udftools"),
    ("blkid", "util-linux"),
    ("lvm", "lvm2"),
    ("mdadm", "mdadm"),
    ("xorriso", "xorriso"),
    ("journalctl", "systemd"),
    ("systemctl", "systemd"),
    ("systemd-analyze", "systemd"),
    ("systemd-escape", "systemd"),
    ("/lib/systemd/systemd", "systemd"),
    ("setpriv", "util-linux"),
    ("last", "util-linux"),
    ("/usr/share/i18n/locales/de_DE", "locales"),
    ("/lib/systemd/systemd-journal-remote", "systemd-journal-remote"),
    ("xz", "xz-utils"),
    ("rpm", "rpm"),
    ("rpmbuild", "rpm"),
    ("sqlite3", "sqlite3"),
    ("pacman", "pacman-package-manager"),
    ("hivexsh", "libhivex-bin"),
    ("hivexregedit", "libwin-hivex-perl"),
    ("reglookup", "reglookup"),
    ("python3", "python3"),
    ("pip3", "python3-pip"),
    (
        "/usr/lib/python3/dist-packages/jsonschema/__init__.py",
        "python3-jsonschema",
    ),
    ("strace", "strace"),
    ("zstd", "zstd"),
    ("sfdisk", "fdisk"),
    ("sgdisk", "gdisk"),
    ("cryptsetup", "cryptsetup-bin"),
    ("netplan", "netplan.io"),
    ("ifquery", "ifupdown"),
    ("nft", "nftables"),
    ("crontab", "cron"),
    ("unshare", "util-linux"),
    ("mount", "mount"),
    ("findmnt", "util-linux"),
    ("grub-script-check", "grub-common"),
    ("grub-editenv", "grub-common"),
    ("script", "bsdutils"),
    ("cpio", "cpio"),
    ("gzip", "gzip"),
    ("split", "coreutils"),
    ("lz4", "lz4"),
    ("lzop", "lzop"),
    ("bzip2", "bzip2"),
    ("depmod", "kmod"),
    ("osinfo-query", "libosinfo-bin"),
    ("ssh-keygen", "openssh-client"),
    ("cvtsudoers", "sudo"),
    ("tar", "tar"),
    ("xmllint", "libxml2-utils"),
    ("virt-xml-validate", "libvirt-clients"),
    ("virsh", "libvirt-clients"),
    ("/usr/share/libvirt/schemas/domain.rng", "libvirt0"),
];

/// Installs what is missing; does nothing where everything is there.
pub fn setup() -> Done {
    debian()?;
    python()
}

/// The Python packages, in a folder of their own: no other Python program sees them.
fn python() -> Done {
    let home = python_home();
    if home.is_dir() {
        return Ok(());
    }
    println!("setup: missing {}", PYTHON_PACKAGES.join(", "));
    let sentence = |e: std::io::Error| format!("{}: {e}", home.display());
    let above = home.parent().ok_or("there is no folder for Python packages")?;
    std::fs::create_dir_all(above).map_err(sentence)?;
    // Under its name only when it is whole.
    let fresh = tempfile::tempdir_in(above).map_err(sentence)?;
    show(
        Command::new("python3")
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
            .args([
                "--root-user-action",
                "ignore",
                "--only-binary",
                ":all:",
                "--no-deps",
                "--target",
            ])
            .arg(fresh.path())
            .args(PYTHON_PACKAGES),
    )?;
    match std::fs::rename(fresh.path(), &home) {
        // Another run was faster.
        Err(_) if home.is_dir() => Ok(()),
        done => done.map_err(sentence),
    }
}

fn debian() -> Done {
    let missing: Vec<_> = TOOLS.iter().filter(|(program, _)| !have(program)).collect();
    if missing.is_empty() {
        println!("setup: all {} tools are installed", TOOLS.len());
        return Ok(());
    }
    let programs: Vec<_> = missing.iter().map(|(program, _)| *program).collect();
    let packages: BTreeSet<_> = missing.iter().map(|(_, package)| *package).collect();
    println!("setup: missing {}", programs.join(", "));
    if !have("apt-get") {
        return Err(format!(
            "this is no Debian; install what provides {} and run this again (on Debian: {})",
            programs.join(", "),
            packages.into_iter().collect::<Vec<_>>().join(" ")
        ));
    }
    show(apt()?.arg("update"))?;
    show(
        apt()?
            .args(["install", "--yes", "--no-install-recommends"])
            .args(packages),
    )?;
    match TOOLS.iter().find(|(program, _)| !have(program)) {
        None => Ok(()),
        Some((program, package)) => Err(format!(
            "{package} was installed, but {program} is still not there"
        )),
    }
}

/// `apt-get` with the right to install: as root, or through sudo.
fn apt() -> Result<Command, String> {
    let mut command = if rustix::process::geteuid().is_root() {
        Command::new("apt-get")
    } else if have("sudo") {
        let mut sudo = Command::new("sudo");
        if !std::io::stdin().is_terminal() {
            sudo.arg("--non-interactive");
        }
        sudo.args(["DEBIAN_FRONTEND=noninteractive", "apt-get"]);
        sudo
    } else {
        return Err("installing packages needs root or sudo".to_owned());
    };
    command.env("DEBIAN_FRONTEND", "noninteractive");
    Ok(command)
}
