//! Writing: random operations on a filesystem and on the model, judged by e2fsck, by our reader and by the kernel.

use crate::kernel::{LITTLE, Scratch, aloud, kernel_helps};
use crate::tree;
use h2k_block::{BlockRead, Limits, MemDisk, Overlay};
use h2k_ext4::{Ext4Writer, open_writer};
use h2k_fs::{FsRead, FsWrite};
use h2k_testkit::listing::{self, Options};
use h2k_testkit::mount::mount;
use h2k_testkit::oracle;
use h2k_testkit::twins::{Twins, Ways, judge};
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use h2k_testkit::twins::NOW;

/// One filesystem that is written, and the image its edits are brought to for others to judge.
pub struct Subject {
    pub image: PathBuf,
    pub over: Arc<Overlay>,
    pub fs: Ext4Writer,
}

impl Subject {
    pub fn open(image: &Path) -> h2k_block::Result<Self> {
        let disk = Arc::new(MemDisk::new(std::fs::read(image).unwrap()));
        let over = Arc::new(Overlay::new(disk));
        let fs = open_writer(over.clone(), &Limits::default(), NOW)?;
        Ok(Self {
            image: image.to_owned(),
            over,
            fs,
        })
    }

    /// Settles, brings the edits onto the image, and asks e2fsck.
    pub fn judge(&mut self, when: &str) {
        self.fs.settle().unwrap();
        judge(&self.over, &self.image, ("e2fsck", "-fn"), when);
        clean(self.over.clone(), when);
    }
}

/// Our own check has nothing to say either.
#[track_caller]
pub fn clean(disk: Arc<dyn BlockRead>, when: &str) {
    let found = h2k_ext4::check(disk, &Limits::default()).unwrap();
    assert!(found.findings.is_empty(), "{when}: {:#?}", found.findings);
}

pub fn same_tree(model: &dyn FsRead, ours: &dyn FsRead, when: &str) {
    h2k_testkit::twins::same_tree(model, ours, Ways::UNIX, when);
}

/// Random operations on a filesystem made with `options`, filled by the kernel first.
fn random(options: &str, size: &str, seed: u64, steps: u64) {
    let scratch = Scratch::new();
    let image = scratch.make(options, size);
    if kernel_helps()
        && let Ok(mounted) = mount(&image, "ext4", "rw")
    {
        tree::fill(mounted.path(), tree::Size { names: 60, ..LITTLE });
        // Too much for the model, which keeps holes as zeros.
        for big in ["content/sparse", "content/unwritten-large"] {
            let _ = std::fs::remove_file(mounted.path().join(big));
        }
    }
    let mut subject = Subject::open(&image).unwrap();
    let mut twins = Twins::new(&subject.fs, seed, Ways::UNIX);
    for batch in 0..3 {
        for _ in 0..steps {
            twins.step(&mut subject.fs);
        }
        let when = format!("{options}, batch {batch}");
        same_tree(&twins.model, &subject.fs, &when);
        assert!(
            twins.done > twins.full && twins.done > steps / 2,
            "{when}: {} done, {} refused for space",
            twins.done,
            twins.full
        );
        subject.judge(&when);
        // What was written is what is read again.
        let fs = crate::kernel::open(&image, h2k_ext4::Journal::Replay);
        assert!(
            fs.facts().warnings.is_empty(),
            "{when}: {:?}",
            fs.facts().warnings
        );
        same_tree(&twins.model, &fs, &when);
    }
    if kernel_helps() {
        match mount(&image, "ext4", "rw") {
            Ok(mounted) => {
                let theirs = listing::of_host(mounted.path(), Options::UNIX);
                let ours = listing::of_fs(&twins.model, Options::UNIX).unwrap();
                assert_eq!(
                    listing::differences(&theirs.text, &ours.text),
                    None,
                    "{options}: {:#?}",
                    theirs.errors
                );
                // And the kernel writes on where we stopped.
                std::fs::create_dir(mounted.path().join("by the kernel")).unwrap();
                for n in 0..40 {
                    let path = mounted.path().join(format!("by the kernel/{n}"));
                    std::fs::write(path, vec![n; 3000 * usize::from(n)]).unwrap_or_default();
                }
            }
            Err(why) => aloud(&format!("{options}: not mounted here ({why})")),
        }
        oracle::ok("e2fsck", &["-fn", image.to_str().unwrap()]);
        clean(crate::kernel::file(&image), options);
    }
}

macro_rules! rows {
    ($($name:ident: $options:literal, $size:literal;)*) => {
        $(#[test]
        fn $name() {
            let seed: u64 = stringify!($name).bytes().map(u64::from).sum();
            random($options, $size, seed, 150);
        })*
    };
}

rows! {
    ext4_as_mke2fs_makes_it: "-t ext4", "64M";
    ext4_with_blocks_of_1k: "-t ext4 -b 1024", "32M";
    ext4_with_blocks_of_2k: "-t ext4 -b 2048", "32M";
    ext3_with_blocks_of_4k: "-t ext3 -b 4096", "48M";
    ext3_with_blocks_of_1k: "-t ext3 -b 1024", "32M";
    ext2_with_blocks_of_1k: "-t ext2 -b 1024", "32M";
    ext2_with_blocks_of_4k: "-t ext2 -b 4096 -I 128", "32M";
    ext2_without_file_types: "-t ext2 -b 2048 -O ^filetype,^sparse_super,^resize_inode", "32M";
    ext2_with_linear_directories: "-t ext2 -b 1024 -O ^dir_index", "32M";
    ext4_with_block_maps: "-t ext4 -b 1024 -O ^extent,^64bit", "32M";
    ext4_without_64bit: "-t ext4 -O ^64bit", "48M";
    ext4_without_checksums: "-t ext4 -O ^metadata_csum,^uninit_bg", "48M";
    ext4_with_group_checksums: "-t ext4 -b 1024 -O ^metadata_csum,uninit_bg", "64M";
    ext4_with_group_checksums_without_64bit: "-t ext4 -b 1024 -O ^metadata_csum,uninit_bg,^64bit", "64M";
    ext4_without_flex_groups: "-t ext4 -b 1024 -O ^flex_bg", "64M";
    ext4_with_meta_groups: "-t ext4 -b 1024 -O meta_bg,^resize_inode", "64M";
    ext4_with_clusters: "-t ext4 -O bigalloc -C 16384", "96M";
    ext4_with_clusters_and_blocks_of_1k: "-t ext4 -b 1024 -O bigalloc -C 8192", "64M";
    ext4_with_inline_data: "-t ext4 -O inline_data -I 256", "48M";
    ext4_with_inline_data_in_large_inodes: "-t ext4 -b 2048 -O inline_data -I 1024", "48M";
    ext4_with_inline_data_and_clusters: "-t ext4 -b 1024 -O inline_data,bigalloc -C 4096", "64M";
    ext4_with_attributes_in_inodes: "-t ext4 -b 1024 -O ea_inode", "48M";
    ext4_with_two_superblock_copies: "-t ext4 -b 1024 -O sparse_super2", "48M";
    ext4_with_an_orphan_file: "-t ext4 -O orphan_file,fast_commit,stable_inodes", "48M";
    ext4_with_a_checksum_seed: "-t ext4 -O metadata_csum_seed", "48M";
    ext4_with_inodes_of_128: "-t ext4 -I 128", "48M";
    ext4_with_inodes_of_512: "-t ext4 -I 512", "48M";
    ext4_without_journal: "-t ext4 -O ^has_journal", "48M";
    ext4_with_large_directories: "-t ext4 -b 1024 -O large_dir", "48M";
    ext4_with_linear_directories: "-t ext4 -b 1024 -O ^dir_index", "48M";
    ext4_with_multiple_mount_protection: "-t ext4 -O mmp", "48M";
    ext4_with_odd_group_sizes: "-t ext4 -b 1024 -g 2048 -N 5000", "48M";
    ext4_with_lazy_tables: "-t ext4 -b 1024 -E lazy_itable_init=1,lazy_journal_init=1 -G 4", "96M";
    ext4_with_blocks_of_64k: "-t ext4 -b 65536", "256M";
}
