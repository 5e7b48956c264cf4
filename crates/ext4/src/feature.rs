//! Feature bits and their names as `dumpe2fs` prints them, and which ones this reader refuses.

use crate::layout::SuperBlock;
use h2k_block::{Error, Result};

/// `s_feature_compat`.
pub(crate) mod compat {
    pub(crate) const IMAGIC_INODES: u32 = 0x2;
    pub(crate) const HAS_JOURNAL: u32 = 0x4;
    pub(crate) const EXT_ATTR: u32 = 0x8;
    pub(crate) const RESIZE_INODE: u32 = 0x10;
    pub(crate) const DIR_INDEX: u32 = 0x20;
    pub(crate) const SPARSE_SUPER2: u32 = 0x200;
    pub(crate) const ORPHAN_FILE: u32 = 0x1000;
}

/// `s_feature_incompat`.
pub(crate) mod incompat {
    pub(crate) const FILETYPE: u32 = 0x2;
    pub(crate) const RECOVER: u32 = 0x4;
    pub(crate) const JOURNAL_DEV: u32 = 0x8;
    pub(crate) const META_BG: u32 = 0x10;
    pub(crate) const EXTENTS: u32 = 0x40;
    pub(crate) const BIT64: u32 = 0x80;
    pub(crate) const MMP: u32 = 0x100;
    pub(crate) const FLEX_BG: u32 = 0x200;
    pub(crate) const EA_INODE: u32 = 0x400;
    pub(crate) const CSUM_SEED: u32 = 0x2000;
    pub(crate) const LARGEDIR: u32 = 0x4000;
    pub(crate) const INLINE_DATA: u32 = 0x8000;
    pub(crate) const ENCRYPT: u32 = 0x1_0000;
    pub(crate) const CASEFOLD: u32 = 0x2_0000;

    /// What this reader understands.
    pub(crate) const READ: u32 = FILETYPE
        | RECOVER
        | META_BG
        | EXTENTS
        | BIT64
        | MMP
        | FLEX_BG
        | EA_INODE
        | CSUM_SEED
        | LARGEDIR
        | INLINE_DATA
        | ENCRYPT
        | CASEFOLD;
}

/// `s_feature_ro_compat`.
pub(crate) mod ro_compat {
    pub(crate) const SPARSE_SUPER: u32 = 0x1;
    pub(crate) const LARGE_FILE: u32 = 0x2;
    pub(crate) const BTREE_DIR: u32 = 0x4;
    pub(crate) const HUGE_FILE: u32 = 0x8;
    pub(crate) const GDT_CSUM: u32 = 0x10;
    pub(crate) const DIR_NLINK: u32 = 0x20;
    pub(crate) const BIGALLOC: u32 = 0x200;
    pub(crate) const METADATA_CSUM: u32 = 0x400;
    pub(crate) const SHARED_BLOCKS: u32 = 0x4000;
    pub(crate) const ORPHAN_PRESENT: u32 = 0x1_0000;
}

const COMPAT: &[(u32, &str)] = &[
    (0x1, "dir_prealloc"),
    (0x2, "imagic_inodes"),
    (0x4, "has_journal"),
    (0x8, "ext_attr"),
    (0x10, "resize_inode"),
    (0x20, "dir_index"),
    (0x40, "lazy_bg"),
    (0x100, "snapshot_bitmap"),
    (0x200, "sparse_super2"),
    (0x400, "fast_commit"),
    (0x800, "stable_inodes"),
    (0x1000, "orphan_file"),
];

const INCOMPAT: &[(u32, &str)] = &[
    (0x1, "compression"),
    (0x2, "filetype"),
    (0x4, "needs_recovery"),
    (0x8, "journal_dev"),
    (0x10, "meta_bg"),
    (0x40, "extent"),
    (0x80, "64bit"),
    (0x100, "mmp"),
    (0x200, "flex_bg"),
    (0x400, "ea_inode"),
    (0x1000, "dirdata"),
    (0x2000, "metadata_csum_seed"),
    (0x4000, "large_dir"),
    (0x8000, "inline_data"),
    (0x1_0000, "encrypt"),
    (0x2_0000, "casefold"),
];

const RO_COMPAT: &[(u32, &str)] = &[
    (0x1, "sparse_super"),
    (0x2, "large_file"),
    (0x8, "huge_file"),
    (0x10, "uninit_bg"),
    (0x20, "dir_nlink"),
    (0x40, "extra_isize"),
    (0x80, "snapshot"),
    (0x100, "quota"),
    (0x200, "bigalloc"),
    (0x400, "metadata_csum"),
    (0x800, "replica"),
    (0x1000, "read-only"),
    (0x2000, "project"),
    (0x4000, "shared_blocks"),
    (0x8000, "verity"),
    (0x1_0000, "orphan_present"),
];

fn names(bits: u32, known: &[(u32, &str)], letter: char, out: &mut Vec<String>) {
    for n in 0..32_u32 {
        let bit = 1_u32.rotate_left(n);
        if bits & bit == 0 {
            continue;
        }
        match known.iter().find(|(b, _)| *b == bit) {
            Some((_, name)) => out.push((*name).to_owned()),
            None => out.push(format!("FEATURE_{letter}{n}")),
        }
    }
}

/// All feature names in the order `dumpe2fs` prints them.
pub(crate) fn list(sb: &SuperBlock) -> Vec<String> {
    let mut out = Vec::new();
    if sb.rev_level.get() == 0 {
        return out;
    }
    names(sb.feature_compat.get(), COMPAT, 'C', &mut out);
    names(sb.feature_incompat.get(), INCOMPAT, 'I', &mut out);
    names(sb.feature_ro_compat.get(), RO_COMPAT, 'R', &mut out);
    out
}

/// The names of some bits of the three words.
pub(crate) fn names_of(compat: u32, incompat: u32, ro_compat: u32) -> Vec<String> {
    let mut out = Vec::new();
    names(compat, COMPAT, 'C', &mut out);
    names(incompat, INCOMPAT, 'I', &mut out);
    names(ro_compat, RO_COMPAT, 'R', &mut out);
    out
}

/// The names of features that nothing is known of.
pub(crate) fn unknown(sb: &SuperBlock) -> Vec<String> {
    let mut all = list(sb);
    all.retain(|name| name.starts_with("FEATURE_"));
    all
}

/// Refuses, by name, what would make reading wrong.
pub(crate) fn readable(sb: &SuperBlock) -> Result<()> {
    let incompat = sb.feature_incompat.get();
    if incompat & incompat::JOURNAL_DEV != 0 {
        return Err(Error::unsupported(
            "this volume is an external ext4 journal (journal_dev), it holds no files",
        )
        .at("superblock", crate::layout::SUPER_AT));
    }
    let mut refused = Vec::new();
    names(incompat & !incompat::READ, INCOMPAT, 'I', &mut refused);
    if refused.is_empty() {
        return Ok(());
    }
    Err(Error::unsupported(format!(
        "the filesystem uses features that are not supported: {}",
        refused.join(", ")
    ))
    .at("superblock", crate::layout::SUPER_AT))
}

/// "ext2", "ext3" or "ext4", by the rule `blkid` has.
pub(crate) fn kind(sb: &SuperBlock) -> &'static str {
    if sb.rev_level.get() == 0 {
        return "ext2";
    }
    let (incompat, ro) = (sb.feature_incompat.get(), sb.feature_ro_compat.get());
    let ext3_ro = ro_compat::SPARSE_SUPER | ro_compat::LARGE_FILE | ro_compat::BTREE_DIR;
    let ext3_incompat = incompat::FILETYPE | incompat::RECOVER | incompat::META_BG;
    if ro & !ext3_ro != 0 || incompat & !ext3_incompat != 0 {
        "ext4"
    } else if sb.feature_compat.get() & compat::HAS_JOURNAL != 0 {
        "ext3"
    } else {
        "ext2"
    }
}
