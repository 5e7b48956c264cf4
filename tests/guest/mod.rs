//! Commands that look into guests.

mod formats;
mod look;

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
