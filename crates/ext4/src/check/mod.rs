//! The structural check: everything the filesystem says twice, compared; everything it says once, judged. What
//! `e2fsck -fn` does, by the same documents as the rest of the room.
//!
//! 1. Superblock and descriptors: numbers, checksums, where the filesystem itself lies (`ground`).
//! 2. Every inode in use: its fields, and every block it claims (`inodes`, `map`, `attrs`, `special`).
//! 3. Every directory: entries, names, kinds, indexes (`dirs`, `index`).
//! 4. The tree: every inode reached, every directory once, links counted (`tree`).
//! 5. What was recounted against bitmaps and counters (`totals`).
//!
//! A journal that holds changes is replayed in memory first. Nothing is ever written.

mod attrs;
mod claims;
mod dirs;
mod ground;
mod index;
mod inodes;
mod map;
mod special;
mod totals;
mod tree;

use crate::bytes::wide;
use crate::feature;
use crate::layout::{SUPER_AT, SuperBlock};
use crate::open::{Journal, open_with};
use crate::volume::Ext4;
use attrs::{Shared, Uses};
use claims::Claims;
use h2k_block::{BlockRead, Error, Findings, Limits, Meter, Result, Severity};
use h2k_fs::FileKind;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Checks the structure of the filesystem on `disk`: what is wrong with it is in the answer. Findings lie at byte
/// offsets of the volume. Contents of files are not judged.
///
/// Errors are what a kernel may stumble over or lose data by; leaks are blocks and inodes that are marked as used and
/// belong to nothing; warnings are what a mount puts right by itself: a journal to be replayed, deleted files whose
/// space waits to be freed.
///
/// Memory grows with the space in use: a bit for each cluster of the groups that files lie in, twelve bytes for each
/// inode of the tables that are in use, all paid for by `limits`.
///
/// # Errors
/// When the check could not be done: [`h2k_block::Class::Unsupported`] for features that are refused, by their names,
/// and for fast commits that wait; [`h2k_block::Class::Limit`] when it costs more than `limits` allow; what reading
/// the volume fails with.
pub fn check(disk: Arc<dyn BlockRead>, limits: &Limits) -> Result<Findings> {
    let mut out = Findings::default();
    let fs = match open_with(disk, limits, Journal::Replay) {
        Ok(fs) => fs,
        Err(e) => {
            out.damage("superblock", e)?;
            return Ok(out);
        }
    };
    if fs.fast.commits() > 0 {
        return Err(Error::unsupported(
            "the journal holds fast commits, which say what happened to files and not to blocks",
        )
        .at("superblock", SUPER_AT)
        .advise("mount the filesystem once, or run fsck"));
    }
    let unknown = feature::unknown(fs.groups.superblock());
    if !unknown.is_empty() {
        return Err(Error::unsupported(format!(
            "the filesystem uses features that are not known, and so not checked: {}",
            unknown.join(", ")
        ))
        .at("superblock", SUPER_AT));
    }
    let mut check = Check {
        fs: &fs,
        sb: fs.groups.superblock(),
        out,
        meter: Meter::new(*limits),
        claims: Claims::default(),
        inodes: BTreeMap::new(),
        dirs: BTreeMap::new(),
        attributes: BTreeMap::new(),
        values: BTreeMap::new(),
        contexts: BTreeSet::new(),
        orphans: BTreeSet::new(),
    };
    check.run()?;
    Ok(check.out)
}

/// What is known of one inode.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    /// Its kind, if it is in use and a kind of file.
    kind: Option<FileKind>,
    /// Whether it is in use.
    used: bool,
    /// Whether it holds the value of an attribute.
    value: bool,
    /// `i_links_count`.
    said: u16,
    /// Names that were found for it.
    found: u32,
}

/// What is known of one directory.
#[derive(Clone, Copy, Debug, Default)]
struct Dir {
    /// The directory that names it, 0 until one is found.
    parent: u32,
    /// What its `..` says, 0 for none.
    dotdot: u32,
}

struct Check<'f> {
    fs: &'f Ext4,
    sb: &'f SuperBlock,
    out: Findings,
    meter: Meter,
    claims: Claims,
    /// Inodes by group, as far as their tables are in use.
    inodes: BTreeMap<u32, Vec<Known>>,
    dirs: BTreeMap<u32, Dir>,
    /// Attribute blocks by their number.
    attributes: BTreeMap<u64, Shared>,
    /// Inodes that hold values: how they are used.
    values: BTreeMap<u32, Uses>,
    /// Inodes that say what they are encrypted with, until they were judged.
    contexts: BTreeSet<u32>,
    /// Deleted files that wait for their space to be freed, and files that were being cut off.
    orphans: BTreeSet<u32>,
}

impl Check<'_> {
    fn run(&mut self) -> Result<()> {
        self.superblock();
        if !self.ground()? {
            // Where bitmaps and tables lie is not known: nothing that follows would mean anything.
            return Ok(());
        }
        self.journal()?;
        self.find_orphans()?;
        self.tables()?;
        self.shared_attributes();
        self.directories()?;
        self.tree()?;
        self.totals()
    }

    fn error(&mut self, structure: &'static str, offset: u64, what: impl FnOnce() -> String) {
        self.out.note(Severity::Error, structure, offset, what);
    }

    fn odd(&mut self, structure: &'static str, offset: u64, what: impl FnOnce() -> String) {
        self.out.note(Severity::Warning, structure, offset, what);
    }

    /// Notes damage; hands every other failure back.
    fn damage(&mut self, structure: &'static str, e: Error) -> Result<()> {
        self.out.damage(structure, e)
    }

    /// What is known of inode `number`; nothing of those outside the tables in use.
    fn known(&mut self, number: u32) -> Option<&mut Known> {
        let index = number.checked_sub(1)?;
        let group = index.checked_div(self.fs.geo.group_inodes)?;
        let within = index.checked_rem(self.fs.geo.group_inodes)?;
        self.inodes
            .get_mut(&group)?
            .get_mut(usize::try_from(within).ok()?)
    }

    /// Byte offset of an inode's record, as far as its descriptor tells.
    fn place(&self, number: u32) -> u64 {
        let geo = &self.fs.geo;
        let index = number.saturating_sub(1);
        let group = index.checked_div(geo.group_inodes).unwrap_or(0);
        let within = u64::from(index.checked_rem(geo.group_inodes).unwrap_or(0));
        let table = self.fs.desc(group).map_or(0, |desc| desc.inode_table());
        self.fs
            .blocks
            .offset(table)
            .saturating_add(within.saturating_mul(u64::from(geo.inode_size)))
    }

    /// Inodes that the superblock names, which no directory does.
    fn is_special(&self, number: u32) -> bool {
        let sb = self.sb;
        number < self.fs.geo.first_ino
            || [
                sb.journal_inum.get(),
                sb.usr_quota_inum.get(),
                sb.grp_quota_inum.get(),
                sb.prj_quota_inum.get(),
                sb.orphan_file_inum.get(),
                sb.snapshot_list.get(),
            ]
            .contains(&number)
    }

    /// Blocks that the superblock says are free.
    fn free_said(&self) -> u64 {
        let hi = if self.fs.geo.desc_size >= 64 {
            self.sb.free_blocks_count_hi.get()
        } else {
            0
        };
        wide(self.sb.free_blocks_count_lo.get(), hi)
    }
}
