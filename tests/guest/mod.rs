//! Commands that look into guests.

mod copy_out;
mod formats;
mod inspect;
mod journal;
mod look;
mod measure;
mod migrate;
mod rig;
mod schema;
mod stack;
mod systemd;
mod tar_out;
mod trees;

use h2k_testkit::corpus::{shared, sparse_write, unzstd};
use std::path::{Path, PathBuf};

/// Puts the small Linux of `fixtures/guests` into `dir`: `sda.img` and `sdb.img`.
pub fn fixture(dir: &Path) {
    let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/guests/linux");
    for disk in ["sda", "sdb"] {
        let packed = std::fs::read(home.join(format!("{disk}.zst"))).unwrap();
        sparse_write(&dir.join(format!("{disk}.img")), &unzstd(&packed));
    }
}

/// The same in a folder of its own.
pub fn linux() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fixture(dir.path());
    dir
}

/// A larger guest from beside the checkout, if it has them.
pub fn larger(name: &str, dir: &Path) -> Option<PathBuf> {
    let Some(shared) = shared() else {
        println!("skipped: no guests beside the checkout");
        return None;
    };
    let packed = std::fs::read(shared.join(format!("guests/{name}.img.zst"))).unwrap();
    let path = dir.join(format!("{name}.img"));
    sparse_write(&path, &unzstd(&packed));
    Some(path)
}

/// The root filesystem of the small Linux, mounted by the kernel.
pub fn mounted(dir: &Path) -> h2k_testkit::mount::Mount {
    let options = format!("ro,noload,offset={}", 2 << 20);
    h2k_testkit::mount::mount(&dir.join("sda.img"), "ext4", &options).unwrap()
}

/// Makes `image`, an ext4 of `size` with the files of `tree`.
pub fn ext4_of(tree: &Path, image: &Path, size: &str) {
    let (tree, image) = (tree.to_str().unwrap(), image.to_str().unwrap());
    let args = ["-q", "-F", "-t", "ext4", "-d", tree, image, size];
    h2k_testkit::oracle::ok("mke2fs", &args);
}

/// Only the root filesystem: what the kernel shows of it.
pub const ALONE: [&str; 3] = ["-q", "-m", "/dev/sda2:/"];
