//! `cargo xtask rig vary`: more guests out of those that `../shared/rig` built, each with another initramfs, or another
//! filesystem below its root.

use super::mounted::{partitions, root_of};
use crate::run::{Done, root as repository, show};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The recipe, run as root with the guest's root, a generator, a compressor and drivers.
const INITRAMFS: &str = "crates/xtask/src/rig/initramfs.sh";

/// A guest made from another one.
pub(super) struct Variant {
    pub(super) name: &'static str,
    /// The image it is made from.
    pub(super) of: &'static str,
    generator: &'static str,
    compressor: &'static str,
    /// Drivers of the machine the guest comes from.
    drivers: &'static [&'static str],
    /// Whether its root becomes ext4.
    ext4: bool,
}

/// What the rig's own guests get, whose controllers are these.
const SAS: &[&str] = &["mptspi", "mptsas", "vmw_pvscsi", "ahci", "ata_piix", "sd_mod"];

const fn bios(name: &'static str, generator: &'static str, compressor: &'static str) -> Variant {
    Variant {
        name,
        of: "ext4-bios",
        generator,
        compressor,
        drivers: SAS,
        ext4: false,
    }
}

/// Every guest that can be made.
pub(super) const VARIANTS: [Variant; 9] = [
    bios("initramfs-tools-gzip", "initramfs-tools", "gzip"),
    bios("initramfs-tools-xz", "initramfs-tools", "xz"),
    bios("initramfs-tools-zstd", "initramfs-tools", "zstd"),
    bios("initramfs-tools-lz4", "initramfs-tools", "lz4"),
    bios("dracut-gzip", "dracut", "gzip"),
    bios("dracut-xz", "dracut", "xz"),
    bios("dracut-zstd", "dracut", "zstd"),
    bios("dracut-lz4", "dracut", "lz4"),
    Variant {
        name: "ext4-uefi",
        of: "xfs-uefi",
        generator: "dracut",
        compressor: "zstd",
        drivers: &["nvme"],
        ext4: true,
    },
];

/// Makes all variants, or those named, into `DIR/variants`.
pub fn vary(dir: &str, names: &[&str]) -> Done {
    let known = |name: &&&str| VARIANTS.iter().all(|variant| variant.name != **name);
    if let Some(name) = names.iter().find(known) {
        let all: Vec<&str> = VARIANTS.iter().map(|variant| variant.name).collect();
        return Err(format!("there is no variant {name}, but {}", all.join(", ")));
    }
    let dir = Path::new(dir);
    let out = dir.join("variants");
    fs::create_dir_all(&out).map_err(|e| format!("{}: {e}", out.display()))?;
    for variant in &VARIANTS {
        if names.is_empty() || names.contains(&variant.name) {
            let made = variant.make(&dir.join("images"), &out)?;
            println!("made {}", made.display());
        }
    }
    Ok(())
}

impl Variant {
    /// Makes `out/NAME.raw`, with the description of what it is made from beside it, as `NAME.meta`.
    pub(super) fn make(&self, images: &Path, out: &Path) -> Result<PathBuf, String> {
        if !rustix::process::geteuid().is_root() {
            return Err("mounting a guest and running its own tools needs root".to_owned());
        }
        let source = images.join(self.of).with_extension("raw");
        let image = out.join(self.name).with_extension("raw");
        copy(&source, &image, &["--sparse=always"])?;
        copy(&source.with_extension("meta"), &image.with_extension("meta"), &[])?;
        if self.ext4 {
            change_root(&source, &image)?;
        }
        let root = root_of(&image)?;
        let at = root.path().join("boot");
        // A /boot of its own is the partition before the root's.
        let boot = match fs::read_dir(&at).map_err(|e| e.to_string())?.next() {
            Some(_) => None,
            None => {
                let parts = partitions(&image)?;
                let before = parts.iter().rev().nth(1).ok_or("there is no /boot")?;
                Some((before.mount(&image, "rw")?, at))
            }
        };
        let bound = match &boot {
            Some((mounted, at)) => {
                show(Command::new("mount").arg("--bind").args([mounted.path(), at]))?;
                Some(at)
            }
            None => None,
        };
        let tool = repository().join(INITRAMFS);
        let made = show(
            Command::new("sh")
                .arg("-eu")
                .args([tool.as_path(), root.path()])
                .args([self.generator, self.compressor])
                .args(self.drivers),
        );
        if let Some(at) = bound {
            show(Command::new("umount").arg(at))?;
        }
        made.map(|()| image)
    }
}

/// Makes the root of `image`, its last partition, ext4 of the same name and number, with the files of the one in
/// `source`.
fn change_root(source: &Path, image: &Path) -> Done {
    let parts = partitions(image)?;
    let root = parts.last().ok_or("there are no partitions")?;
    let old = root.mount(source, "ro,norecovery")?;
    let fstab = fs::read_to_string(old.path().join("etc/fstab")).map_err(|e| e.to_string())?;
    let line = fstab
        .lines()
        .find(|line| line.split_whitespace().nth(1) == Some("/"));
    let uuid = line
        .and_then(|line| line.strip_prefix("UUID="))
        .and_then(|line| line.split_whitespace().next())
        .ok_or("the root has no UUID= in /etc/fstab")?;
    show(
        Command::new("mkfs.ext4")
            .args(["-q", "-F", "-L", "rootext4", "-U", uuid])
            .arg("-E")
            .arg(format!("offset={}", root.start))
            .arg(image)
            .arg(format!("{}k", root.size >> 10)),
    )?;
    let new = root.mount(image, "rw")?;
    copy(&old.path().join("."), new.path(), &["-a"])?;
    let fstab = fstab.replace(" xfs ", " ext4 ");
    fs::write(new.path().join("etc/fstab"), fstab).map_err(|e| e.to_string())
}

fn copy(from: &Path, to: &Path, flags: &[&str]) -> Done {
    show(Command::new("cp").args(flags).arg("--").args([from, to]))
}
