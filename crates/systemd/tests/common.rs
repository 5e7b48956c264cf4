//! Trees of files, on the host for the oracles and in memory for us.

use h2k_fs::MemFs;
use h2k_guest::Tree;
use h2k_testkit::rng::Rng;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

/// What lies below `dir`, as a guest's tree.
pub fn mirror(dir: &Path) -> Tree {
    let mut fs = MemFs::new();
    copy(&mut fs, dir, "");
    Tree::new("/dev/sda1", Arc::new(fs))
}

fn copy(fs: &mut MemFs, dir: &Path, at: &str) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        let path = format!("{at}/{name}");
        let kind = entry.file_type().unwrap();
        if kind.is_symlink() {
            let target = std::fs::read_link(entry.path()).unwrap();
            fs.link(&path, target.to_str().unwrap()).unwrap();
        } else if kind.is_dir() {
            fs.dir(&path).unwrap();
            copy(fs, &entry.path(), &path);
        } else if kind.is_file() {
            let node = fs.file(&path, std::fs::read(entry.path()).unwrap()).unwrap();
            let mode = entry.metadata().unwrap().permissions().mode();
            fs.set_mode(node, u16::try_from(mode & 0o7777).unwrap()).unwrap();
        }
    }
}

/// Writes a file and the directories above it.
pub fn put(root: &Path, path: &str, content: &str) {
    let path = root.join(path.trim_start_matches('/'));
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}

/// Makes a link and the directories above it; what is there already stays.
pub fn link(root: &Path, path: &str, target: &str) {
    let path = root.join(path.trim_start_matches('/'));
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let _there = std::os::unix::fs::symlink(target, path);
}

pub fn pick<'a, T>(rng: &mut Rng, all: &'a [T]) -> &'a T {
    &all[usize::try_from(rng.below(all.len() as u64)).unwrap()]
}

/// One time in `n`.
pub fn once_in(rng: &mut Rng, n: u64) -> bool {
    rng.below(n) == 0
}
