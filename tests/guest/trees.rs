//! Two directories of the host: are they the same?

use h2k_testkit::oracle;
use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// What is compared of each path: type, mode, owner, size, time, other names, target or content.
pub type Facts = BTreeMap<Vec<u8>, String>;

/// Everything below `root`, and the root's own mode.
pub fn facts(root: &Path) -> Facts {
    let mut all = Facts::new();
    let mut first: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
    let mut todo: Vec<PathBuf> = vec![PathBuf::new()];
    let mut paths = Vec::new();
    while let Some(below) = todo.pop() {
        let mut names: Vec<_> = std::fs::read_dir(root.join(&below))
            .unwrap()
            .map(|e| e.unwrap())
            .collect();
        names.sort_by_key(std::fs::DirEntry::file_name);
        for entry in names {
            let path = below.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                todo.push(path.clone());
            }
            paths.push(path);
        }
    }
    paths.sort();
    for path in paths {
        let full = root.join(&path);
        let meta = full.symlink_metadata().unwrap();
        let kind = meta.file_type();
        let name = path.as_os_str().as_bytes().to_vec();
        let what = if kind.is_symlink() {
            format!("-> {}", std::fs::read_link(&full).unwrap().display())
        } else if kind.is_file() && meta.size() > 1 << 30 {
            "large".to_owned() // Nobody reads gigabytes of holes.
        } else if kind.is_file() {
            h2k_testkit::hash::sha256(&std::fs::read(&full).unwrap())
        } else if kind.is_char_device() || kind.is_block_device() {
            format!("device {:x}", meta.rdev())
        } else {
            String::new()
        };
        let twin = match kind.is_file() && meta.nlink() > 1 {
            true => first.entry(meta.ino()).or_insert_with(|| name.clone()).clone(),
            false => Vec::new(),
        };
        let size = if kind.is_dir() { 0 } else { meta.size() };
        let line = format!(
            "{:o} {}:{} {size} {}.{:09} {} {what}",
            meta.mode(),
            meta.uid(),
            meta.gid(),
            meta.mtime(),
            meta.mtime_nsec(),
            String::from_utf8_lossy(&twin)
        );
        all.insert(name, line);
    }
    all
}

/// Extended attributes of everything below `root`, as `getfattr` prints them, sorted.
pub fn xattrs(root: &Path) -> Vec<String> {
    let script = "cd \"$1\" && getfattr -R -P -h -d -m '^(user|system|security)' -e hex .";
    let args = ["-c".as_ref(), script.as_ref(), "sh".as_ref(), root.as_os_str()];
    let text = oracle::ok("sh", &args);
    let mut blocks: Vec<String> = text.split("\n\n").map(str::to_owned).collect();
    blocks.sort();
    blocks
}

/// Fails with the first difference.
pub fn same(ours: &Facts, theirs: &Facts) {
    for (name, line) in theirs {
        let shown = String::from_utf8_lossy(name);
        assert_eq!(ours.get(name), Some(line), "{shown}");
    }
    for name in ours.keys() {
        assert!(
            theirs.contains_key(name),
            "{} is too much",
            String::from_utf8_lossy(name)
        );
    }
}
