//! Hives for tests, from registry text.

use h2k_block::Limits;
use h2k_fs::MemFs;
use h2k_guest::Tree;
use h2k_hive::{Hive, RegFile, Version};
use std::sync::Arc;

/// The hive that `text` describes, its keys written below `[X]` for the hive's root.
pub fn hive(text: &str) -> Vec<u8> {
    let text = format!(
        "Windows Registry Editor Version 5.00\r\n\r\n{}",
        text.replace('\n', "\r\n")
    );
    let file = RegFile::parse(text.as_bytes(), &Limits::default()).unwrap();
    let mut hive = Hive::create(Version::V1_5, 1);
    let mut edit = hive.edit(0x01d0_0000_0000_0000).unwrap();
    file.apply(&mut edit, "X").unwrap();
    edit.finish();
    hive.into_bytes()
}

/// A Windows whose files these are.
pub fn tree(files: &[(&str, Vec<u8>)]) -> Tree {
    let mut fs = MemFs::new();
    fs.dir("/Windows/System32/config").unwrap();
    for (path, content) in files {
        fs.file(path, content.clone()).unwrap();
    }
    Tree::new("/dev/sda2", Arc::new(fs))
}
