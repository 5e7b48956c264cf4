//! Kernels and their modules, of a guest that was never built: heads that say what they are, and real ELF objects, so
//! that depmod indexes them.

use crate::oracle;
use std::path::Path;

/// A module: its path below `lib/modules/RELEASE`, a device it serves, and the names of others that it needs.
pub type Driver = (&'static str, &'static str, &'static [&'static str]);

/// What Debian's kernels have for SATA and for virtio. Those that SATA needs come first: see [`sata`].
pub const DRIVERS: [Driver; 9] = [
    ("kernel/drivers/scsi/scsi_mod.ko", "x:s", &[]),
    ("kernel/drivers/scsi/sd_mod.ko", "scsi:t-0x00*", &["scsi_mod"]),
    (
        "kernel/drivers/ata/ahci.ko",
        "pci:v*d*sv*sd*bc01sc06i01*",
        &["scsi_mod"],
    ),
    ("kernel/drivers/virtio/virtio.ko", "x:v", &[]),
    ("kernel/drivers/virtio/virtio_ring.ko", "x:r", &["virtio"]),
    (
        "kernel/drivers/virtio/virtio_pci.ko",
        "pci:v00001AF4d*sv*sd*bc*sc*i*",
        &["virtio", "virtio_ring"],
    ),
    (
        "kernel/drivers/block/virtio_blk.ko",
        "virtio:d00000002v*",
        &["virtio", "virtio_ring"],
    ),
    (
        "kernel/drivers/scsi/virtio_scsi.ko",
        "virtio:d00000008v*",
        &["scsi_mod", "virtio", "virtio_ring"],
    ),
    (
        "kernel/drivers/net/virtio-net.ko",
        "virtio:d00000001v*",
        &["virtio", "virtio_ring"],
    ),
];

/// Those of [`DRIVERS`] that a start from a SATA disk needs.
#[must_use]
pub fn sata() -> &'static [Driver] {
    &DRIVERS[..3]
}

/// A kernel's file: the head that the boot protocol asks for, and a version.
#[must_use]
pub fn kernel(banner: &str) -> Vec<u8> {
    let mut head = vec![0; 0x1000];
    head[0x202..0x206].copy_from_slice(b"HdrS");
    head[0x206..0x208].copy_from_slice(&0x020f_u16.to_le_bytes());
    head[0x20e..0x210].copy_from_slice(&0x0600_u16.to_le_bytes());
    head[0x236] = 1;
    head[0x800..0x800 + banner.len()].copy_from_slice(banner.as_bytes());
    head
}

/// Puts modules below `lib/modules/RELEASE` of `root`, and runs depmod.
///
/// # Panics
/// When the compiler or depmod does not succeed.
pub fn plant(root: &Path, release: &str, all: &[Driver]) {
    // All of them by one run of the compiler, which is most of the time this takes.
    let scratch = tempfile::tempdir().unwrap();
    let stem = |path: &str| Path::new(path).file_stem().unwrap().to_str().unwrap().to_owned();
    let mut words = ["-C", scratch.path().to_str().unwrap(), "cc", "-c"]
        .map(str::to_owned)
        .to_vec();
    for driver in all {
        let file = format!("{}.c", stem(driver.0));
        let source = source(&stem(driver.0).replace('-', "_"), driver);
        std::fs::write(scratch.path().join(&file), source).unwrap();
        words.push(file);
    }
    oracle::ok("env", &words);
    for (path, ..) in all {
        let ko = root.join("lib/modules").join(release).join(path);
        std::fs::create_dir_all(ko.parent().unwrap()).unwrap();
        std::fs::copy(scratch.path().join(stem(path) + ".o"), ko).unwrap();
    }
    oracle::ok("depmod", &["-b", root.to_str().unwrap(), release]);
}

/// What depmod looks at: what the module says of itself, the symbol it has for others, and theirs that it uses.
fn source(name: &str, (_, alias, needs): &Driver) -> String {
    let put = |section: &str, variable: &str, text: &str| {
        format!("__attribute__((section(\"{section}\"),used)) static const char {variable}[]=\"{text}\";\n")
    };
    let mut source = put(".modinfo", "i0", &format!("name={name}"))
        + &put(".modinfo", "i1", &format!("alias={alias}"))
        + &format!("int sym_{name}(void){{return 1;}}\n")
        + &put("__ksymtab_strings", "s", &format!("sym_{name}"));
    for need in *needs {
        source += &format!("extern int sym_{need}(void); int use_{need}(void){{return sym_{need}();}}\n");
    }
    source
}
