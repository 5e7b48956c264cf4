//! The tree: every directory once and under the root, every inode named as often as it says.

use super::Check;
use crate::feature::ro_compat;
use crate::layout::{ROOT_INO, inode_flag};
use crate::write::raw::get32;
use h2k_block::Result;
use h2k_fs::FileKind;
use std::collections::BTreeMap;

/// More links than a directory can count: from there on it says one (`dir_nlink`).
const LINK_MAX: u32 = 65_000;
/// What a directory on the way up costs.
const UP_BYTES: u64 = 24;
/// Where `i_ctime` and `i_version` lie.
const CTIME: usize = 0x0c;
const VERSION: usize = 0x24;

impl Check<'_> {
    pub(super) fn tree(&mut self) -> Result<()> {
        if !self.dirs.contains_key(&ROOT_INO) {
            let place = self.place(ROOT_INO);
            self.error("inode", place, || "inode 2: the root is no directory".to_owned());
        }
        self.parents()?;
        self.links()?;
        self.value_counts()
    }

    /// Directories: named once, `..` right, under the root.
    fn parents(&mut self) -> Result<()> {
        // By which climb each directory was passed.
        let mut passed: BTreeMap<u32, u32> = BTreeMap::new();
        let dirs = std::mem::take(&mut self.dirs);
        for (number, dir) in &dirs {
            let root = *number == ROOT_INO;
            let expected = if root { ROOT_INO } else { dir.parent };
            if root && dir.parent != 0 {
                let place = self.place(*number);
                self.error("directory", place, || {
                    format!("inode {} names the root", dir.parent)
                });
            }
            if expected == 0 {
                let place = self.place(*number);
                self.error("directory", place, || {
                    format!("inode {number}: no directory names it")
                });
                continue;
            }
            if dir.dotdot != expected && dir.dotdot != 0 {
                let place = self.place(*number);
                self.error("directory", place, || {
                    format!(
                        "inode {number}: \"..\" is inode {}, expected {expected}",
                        dir.dotdot
                    )
                });
            }
            let mut at = *number;
            // Ends at the root, at a directory that was passed before, or where nothing leads on.
            while at != ROOT_INO {
                self.meter.step("directory")?;
                self.meter.bytes(UP_BYTES, "directories")?;
                if let Some(climb) = passed.insert(at, *number) {
                    if climb == *number {
                        let place = self.place(*number);
                        self.error("directory", place, || {
                            format!("inode {number}: its parents lead back to inode {at}")
                        });
                    }
                    break;
                }
                at = match dirs.get(&at) {
                    Some(dir) if dir.parent != 0 => dir.parent,
                    _ => break,
                };
            }
        }
        self.dirs = dirs;
        Ok(())
    }

    /// `i_links_count` against the names that were found.
    fn links(&mut self) -> Result<()> {
        let tables = std::mem::take(&mut self.inodes);
        for (group, known) in &tables {
            let first = group.saturating_mul(self.fs.geo.group_inodes).saturating_add(1);
            for (number, known) in (first..).zip(known) {
                let special = self.is_special(number) && number != ROOT_INO;
                if !known.used || known.value || special || self.orphans.contains(&number) {
                    continue;
                }
                self.meter.step("inode")?;
                let said = u32::from(known.said);
                if known.found == 0 {
                    let place = self.place(number);
                    self.error("inode", place, || {
                        format!("inode {number}: {said} links, no directory names it")
                    });
                    continue;
                }
                let dir = known.kind == Some(FileKind::Dir);
                let many =
                    dir && self.fs.geo.has_ro(ro_compat::DIR_NLINK) && said == 1 && known.found > LINK_MAX;
                if said != known.found && !many {
                    let found = known.found;
                    let place = self.place(number);
                    self.error("inode", place, || {
                        format!("inode {number}: {said} links, counted {found}")
                    });
                }
            }
        }
        self.inodes = tables;
        Ok(())
    }

    /// Values in inodes of their own: `i_ctime` and `i_version` count their uses.
    fn value_counts(&mut self) -> Result<()> {
        let mut inodes = Vec::new();
        for (group, known) in &self.inodes {
            let first = group.saturating_mul(self.fs.geo.group_inodes).saturating_add(1);
            for (number, known) in (first..).zip(known) {
                // Those that a directory names instead were told with it.
                if known.used && known.value && (known.found == 0 || self.values.contains_key(&number)) {
                    self.meter.bytes(4, "value of an attribute")?;
                    inodes.push(number);
                }
            }
        }
        let mut values = std::mem::take(&mut self.values);
        for number in inodes {
            self.meter.steps(4, "value of an attribute")?;
            let uses = values.remove(&number).unwrap_or_default();
            let found = uses.count;
            let inode = match self.fs.any_inode(number) {
                Ok(inode) => inode,
                Err(_) => continue,
            };
            let said = crate::bytes::wide(get32(&inode.raw, VERSION), get32(&inode.raw, CTIME));
            let counted = found == said || uses.owned;
            if found == 0 || !counted || !inode.has(inode_flag::EA_INODE) {
                self.error("inode", inode.place, || {
                    format!("inode {number}: the value of {said} attributes, counted {found}")
                });
            }
        }
        Ok(())
    }
}
