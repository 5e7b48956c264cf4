//! Directories: every block, every entry, every name.

use super::Check;
use super::index::Leaves;
use crate::bytes::{at, le32};
use crate::dir::Form;
use crate::fold;
use crate::inode::Inode;
use crate::layout::{DirEntry, inode_flag};
use crate::map::Target;
use crate::write::raw::wide;
use h2k_block::Result;
use h2k_fs::FileKind;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

const ENTRY: &str = "directory entry";
/// `s_encoding_flags`: names that are not valid are refused.
const STRICT: u16 = 1;
/// Blocks of a directory that are read at once.
const AHEAD: u64 = 16;

/// What is kept while one directory is read.
pub(super) struct Scan {
    form: Form,
    /// How many dots came: the first entries of the first block.
    dots: u8,
    /// Fingerprints of names, to find those that are there twice.
    names: Vec<u64>,
    print: RandomState,
    folds: bool,
    pub(super) leaves: Option<Leaves>,
}

impl Check<'_> {
    /// Reads every directory.
    pub(super) fn directories(&mut self) -> Result<()> {
        let numbers: Vec<u32> = self.dirs.keys().copied().collect();
        for number in numbers {
            self.meter.steps(8, "directory")?;
            let dir = match self.fs.any_inode(number) {
                Ok(dir) => dir,
                Err(e) => {
                    self.damage("inode", e)?;
                    continue;
                }
            };
            let mut scan = Scan {
                form: self.fs.form(&dir),
                dots: 0,
                names: Vec::new(),
                print: RandomState::new(),
                folds: dir.has(inode_flag::CASEFOLD) && !dir.has(inode_flag::ENCRYPT),
                leaves: None,
            };
            if dir.has(inode_flag::INLINE_DATA) {
                self.inline_directory(&dir, &mut scan)?;
            } else {
                self.directory(&dir, &mut scan)?;
            }
            if scan.dots < 2 {
                self.error("directory", dir.place, || {
                    format!("inode {number}: the first entries are not \".\" and \"..\"")
                });
            }
            scan.names.sort_unstable();
            let twice = scan.names.windows(2).filter(|w| w.first() == w.last()).count();
            if twice > 0 {
                self.error("directory", dir.place, || {
                    format!("inode {number}: {twice} names are there twice")
                });
            }
        }
        Ok(())
    }

    fn inline_directory(&mut self, dir: &Inode, scan: &mut Scan) -> Result<()> {
        let parent = le32(&dir.block, 0).unwrap_or(0);
        scan.dots = 2;
        self.dot(dir.number);
        self.dotdot(dir, parent, dir.place);
        match self.fs.inline_areas(dir) {
            Ok(areas) => {
                for (area, place) in areas {
                    self.entries_of(dir, area, place, 1, scan)?;
                }
                Ok(())
            }
            Err(e) => self.damage("directory", e),
        }
    }

    fn directory(&mut self, dir: &Inode, scan: &mut Scan) -> Result<()> {
        let count = dir.size >> self.fs.geo.block_bits;
        if count > self.fs.geo.blocks {
            self.error("directory", dir.place, || {
                format!(
                    "inode {}: {count} blocks, the filesystem has {}",
                    dir.number, self.fs.geo.blocks
                )
            });
            return Ok(());
        }
        scan.leaves = Leaves::new(self, dir, count)?;
        let mut number = 0_u64;
        // Grows by at least one each turn.
        while number < count {
            self.meter.steps(8, "directory block")?;
            let run = match self.fs.run(dir, number, number.saturating_add(AHEAD)) {
                Ok(run) => run,
                // The map was judged with its inode.
                Err(_) => return Ok(()),
            };
            let Target::At(first) = run.target else {
                self.error("directory", dir.place, || {
                    format!(
                        "inode {}: blocks {number}+{} are not there",
                        dir.number,
                        run.len.min(count.saturating_sub(number))
                    )
                });
                number = number.saturating_add(run.len);
                continue;
            };
            let len = run.len.min(AHEAD).min(count.saturating_sub(number)).max(1);
            for nth in 0..len {
                self.meter.steps(4, "directory block")?;
                let block = first.saturating_add(nth);
                let logical = number.saturating_add(nth);
                let place = self.fs.blocks.offset(block);
                let held = match self
                    .fs
                    .blocks
                    .get_near(block, len.saturating_sub(nth), "directory block")
                {
                    Ok(held) => held,
                    Err(e) => {
                        self.damage("directory block", e)?;
                        continue;
                    }
                };
                if let Err(e) = self.fs.check_dir_block(dir, logical, &held, place) {
                    self.damage("directory block", e.through(format!("inode {}", dir.number)))?;
                }
                self.entries_of(dir, &held, place, logical, scan)?;
            }
            number = number.saturating_add(len);
        }
        let leaves = scan.leaves.take();
        if let Some(leaves) = leaves {
            self.index(dir, leaves)?;
        }
        Ok(())
    }

    /// One block of entries, or a part of inline data.
    fn entries_of(
        &mut self,
        dir: &Inode,
        area: &[u8],
        place: u64,
        block: u64,
        scan: &mut Scan,
    ) -> Result<()> {
        if let Some(leaves) = &mut scan.leaves {
            leaves.begin(block, area);
        }
        let mut pos = 0_usize;
        // `rec_len` is at least 12, so this ends with the area.
        while pos < area.len() {
            self.meter.step(ENTRY)?;
            let here = place.saturating_add(wide(pos));
            let rest = area.len().saturating_sub(pos);
            let Some(entry) = at::<DirEntry>(area, pos) else {
                self.error(ENTRY, here, || {
                    format!("inode {}: {rest} bytes are left of its block", dir.number)
                });
                return Ok(());
            };
            let len = scan.form.rec_len(entry.rec_len.get());
            let name_len = usize::from(entry.name_len);
            if len < 12 || !len.is_multiple_of(4) || len > rest || name_len.saturating_add(8) > len {
                self.error(ENTRY, here, || {
                    format!(
                        "inode {}: rec_len {len} and name_len {name_len} in the last {rest} bytes",
                        dir.number
                    )
                });
                return Ok(());
            }
            let start = pos.saturating_add(8);
            let name = area
                .get(start..start.saturating_add(name_len))
                .unwrap_or_default();
            let nth = scan.dots;
            let after = start.saturating_add(name_len);
            if block == 0
                && pos <= 12
                && nth < 2
                && name.iter().all(|b| *b == b'.')
                && area.get(after) != Some(&0)
            {
                self.error(ENTRY, here, || {
                    format!("inode {}: no zero behind the dots", dir.number)
                });
            }
            if block == 0 && pos == 0 {
                if name == b"." && entry.inode.get() == dir.number && len == 12 {
                    scan.dots = 1;
                    self.dot(dir.number);
                    self.kind_said(dir, entry, here, scan);
                }
            } else if block == 0 && nth == 1 && pos == 12 {
                if name == b".." && entry.inode.get() != 0 {
                    scan.dots = 2;
                    self.dotdot(dir, entry.inode.get(), here);
                    self.kind_said(dir, entry, here, scan);
                }
            } else if entry.inode.get() != 0 {
                self.name(dir, entry, name, here, scan)?;
                if let Some(leaves) = &mut scan.leaves {
                    let end = pos.saturating_add(len);
                    leaves.add(block, name, area.get(pos..end).unwrap_or_default(), &scan.form);
                }
            }
            pos = pos.saturating_add(len);
        }
        Ok(())
    }

    /// A name counts for its inode.
    fn dot(&mut self, number: u32) {
        if let Some(known) = self.known(number) {
            known.found = known.found.saturating_add(1);
        }
    }

    fn dotdot(&mut self, dir: &Inode, parent: u32, place: u64) {
        if let Some(held) = self.dirs.get_mut(&dir.number) {
            held.dotdot = parent;
        }
        if parent == 0 || parent > self.fs.geo.inodes {
            self.error(ENTRY, place, || {
                format!("inode {}: \"..\" is inode {parent}", dir.number)
            });
            return;
        }
        self.dot(parent);
    }

    /// A name other than the dots.
    fn name(
        &mut self,
        dir: &Inode,
        entry: &DirEntry,
        name: &[u8],
        place: u64,
        scan: &mut Scan,
    ) -> Result<()> {
        let number = entry.inode.get();
        let text = || String::from_utf8_lossy(name).into_owned();
        if name == b"." || name == b".." {
            self.error(ENTRY, place, || {
                format!("inode {}: {:?} is there twice", dir.number, text())
            });
            return Ok(());
        }
        if name.is_empty() || (!dir.has(inode_flag::ENCRYPT) && name.iter().any(|b| matches!(b, b'/' | 0))) {
            self.error(ENTRY, place, || {
                format!("inode {}: {:?} is no name", dir.number, text())
            });
        }
        if scan.folds && std::str::from_utf8(name).is_err() && self.sb.encoding_flags.get() & STRICT != 0 {
            self.error(ENTRY, place, || {
                format!("inode {}: {:?} is no UTF-8", dir.number, text())
            });
        }
        if dir.has(inode_flag::ENCRYPT) && name.len() < 16 {
            self.error(ENTRY, place, || {
                format!(
                    "inode {}: an encrypted name of {} bytes, expected 16 at least",
                    dir.number,
                    name.len()
                )
            });
        }
        if number > self.fs.geo.inodes || self.is_special(number) {
            self.error(ENTRY, place, || {
                format!(
                    "inode {}: {:?} is inode {number}, expected one of files, {} to {}",
                    dir.number,
                    text(),
                    self.fs.geo.first_ino,
                    self.fs.geo.inodes
                )
            });
            return Ok(());
        }
        self.meter.bytes(8, "names of a directory")?;
        let folded = if scan.folds { fold::fold(name) } else { None };
        scan.names.push(
            scan.print
                .hash_one(folded.as_ref().map_or(name, |f| f.as_bytes())),
        );
        if let Some(value) = self.known(number).filter(|k| k.used && k.value) {
            value.found = value.found.saturating_add(1);
            // Linux does not open it, and nothing is lost by that.
            self.odd(ENTRY, place, || {
                format!(
                    "inode {}: {:?} is inode {number}, which holds the value of an attribute",
                    dir.number,
                    text()
                )
            });
            return Ok(());
        }
        let Some(known) = self.known(number).filter(|k| k.used) else {
            self.error(ENTRY, place, || {
                format!(
                    "inode {}: {:?} is inode {number}, which is not in use",
                    dir.number,
                    text()
                )
            });
            return Ok(());
        };
        known.found = known.found.saturating_add(1);
        self.kind_said(dir, entry, place, scan);
        if let Some(child) = self.dirs.get_mut(&number) {
            if child.parent == 0 {
                child.parent = dir.number;
            } else {
                let first = child.parent;
                self.error(ENTRY, place, || {
                    format!(
                        "inode {}: {:?} is directory {number}, which inode {first} names already",
                        dir.number,
                        text()
                    )
                });
            }
        }
        Ok(())
    }

    /// The kind that an entry says.
    fn kind_said(&mut self, dir: &Inode, entry: &DirEntry, place: u64, scan: &Scan) {
        let number = entry.inode.get();
        let Some(kind) = self.known(number).and_then(|k| k.kind) else {
            return;
        };
        let expected = if scan.form.filetype { code(kind) } else { 0 };
        if entry.file_type == 0 && expected != 0 {
            // Nothing is said, and the inode says all.
            if !self.fs.geo.hurd {
                self.odd(ENTRY, place, || {
                    format!("inode {}: does not say what inode {number} is", dir.number)
                });
            }
        } else if entry.file_type != expected {
            self.error(ENTRY, place, || {
                format!(
                    "inode {}: says that inode {number} is of type {}, expected {expected}",
                    dir.number, entry.file_type
                )
            });
        }
    }
}

/// The number of a kind in entries (directory.rst).
fn code(kind: FileKind) -> u8 {
    (1..8)
        .find(|n| FileKind::from_entry(*n) == Some(kind))
        .unwrap_or(0)
}
