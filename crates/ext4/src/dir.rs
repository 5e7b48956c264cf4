//! Directories (directory.rst): blocks of entries, or entries inside the inode.

use crate::blocks::Block;
use crate::bytes::at;
use crate::crypt;
use crate::feature::{compat, incompat};
use crate::fold;
use crate::hash::{Hash, Hasher};
use crate::htree;
use crate::inode::Inode;
use crate::layout::{DIR_TAIL_TYPE, DirEntry, DirTail, FLAG_UNSIGNED_HASH, inode_flag};
use crate::map::Target;
use crate::volume::Ext4;
use h2k_block::{Class, Error, Meter, Result};
use h2k_fs::{EachEntry, Entry, FileKind, Node};
use std::ops::ControlFlow;

/// Directory content read at once when listing.
const PIECE: u64 = 64 << 10;
/// What finding a run of a directory costs, in steps.
const RUN_STEPS: u64 = 64;
/// Longest name.
const NAME_MAX: usize = 255;

/// One entry as stored.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Raw<'a> {
    pub(crate) inode: u32,
    pub(crate) kind: Option<FileKind>,
    pub(crate) name: &'a [u8],
    /// The hash behind the name, in directories that are encrypted and fold case.
    pub(crate) hash: Option<Hash>,
}

/// How the entries of one directory are to be read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Form {
    pub(crate) filetype: bool,
    stored_hash: bool,
    encrypted: bool,
    block_size: u64,
    inodes: u32,
}

impl Form {
    /// `rec_len`: the two low bits extend it, as all others are needed with blocks of 64 KiB.
    pub(crate) fn rec_len(&self, stored: u16) -> usize {
        let len = u64::from(stored);
        let len = if self.block_size < 65536 {
            len
        } else if stored == 0 || stored == u16::MAX {
            self.block_size
        } else {
            (len & 0xfffc) | ((len & 3) << 16)
        };
        usize::try_from(len).unwrap_or(usize::MAX)
    }

    /// Shows the used entries of `area` (a block, or a part of inline data at `place`), without `.` and `..`.
    /// The last entry has to end where the area ends.
    pub(crate) fn each(
        &self,
        area: &[u8],
        place: u64,
        each: &mut dyn FnMut(Raw<'_>) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>> {
        let mut pos = 0_usize;
        // `rec_len` is at least 12, so this ends with the area.
        while pos < area.len() {
            let here = place.saturating_add(u64::try_from(pos).unwrap_or(u64::MAX));
            let bad = |what: String| Err(Error::corrupt("directory entry", here, what));
            let Some(entry) = at::<DirEntry>(area, pos) else {
                return bad(format!(
                    "{} bytes are left of its block",
                    area.len().saturating_sub(pos)
                ));
            };
            let len = self.rec_len(entry.rec_len.get());
            let inode = entry.inode.get();
            let end = pos.saturating_add(len);
            if len < 12 || !len.is_multiple_of(4) || end > area.len() {
                return bad(format!("rec_len {len} at {pos} of {} bytes", area.len()));
            }
            if inode != 0 {
                let name_len = usize::from(entry.name_len);
                let name = area
                    .get(pos.saturating_add(8)..end)
                    .and_then(|rest| rest.get(..name_len));
                let Some(name) = name else {
                    return bad(format!("name_len {name_len} with rec_len {len}"));
                };
                if name != b"." && name != b".." {
                    if inode > self.inodes {
                        return bad(format!("inode {inode}, there are {}", self.inodes));
                    }
                    if name.is_empty() || (!self.encrypted && name.iter().any(|b| matches!(b, b'/' | 0))) {
                        return bad(format!("{:?} is no name", String::from_utf8_lossy(name)));
                    }
                    let raw = Raw {
                        inode,
                        kind: if self.filetype {
                            FileKind::from_entry(entry.file_type & 0xf)
                        } else {
                            None
                        },
                        name,
                        hash: self.stored_hash(area, pos, name_len, end),
                    };
                    if each(raw).is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                }
            }
            pos = end;
        }
        Ok(ControlFlow::Continue(()))
    }

    pub(crate) fn stored_hash(&self, area: &[u8], pos: usize, name_len: usize, end: usize) -> Option<Hash> {
        if !self.stored_hash {
            return None;
        }
        let at = pos.saturating_add(8).saturating_add(name_len).next_multiple_of(4);
        let bytes = area.get(at..end)?;
        Some((crate::bytes::le32(bytes, 0)?, crate::bytes::le32(bytes, 4)?))
    }
}

impl Ext4 {
    pub(crate) fn form(&self, dir: &Inode) -> Form {
        Form {
            filetype: self.geo.has_incompat(incompat::FILETYPE),
            stored_hash: dir.has(inode_flag::ENCRYPT) && dir.has(inode_flag::CASEFOLD),
            encrypted: dir.has(inode_flag::ENCRYPT),
            block_size: self.geo.block_size(),
            inodes: self.geo.inodes,
        }
    }

    /// The hash of names in `dir`, of the given version or the filesystem's own.
    pub(crate) fn hasher(&self, version: Option<u8>) -> Option<Hasher> {
        let sb = self.groups.superblock();
        Hasher::new(
            version.unwrap_or(sb.def_hash_version),
            sb.flags.get() & FLAG_UNSIGNED_HASH != 0,
            sb.hash_seed.map(|w| w.get()),
        )
    }

    /// Checks the checksum of a directory block, leaf or index.
    pub(crate) fn check_dir_block(&self, dir: &Inode, number: u64, block: &[u8], place: u64) -> Result<()> {
        let Some(seed) = self.inode_seed(dir) else {
            return Ok(());
        };
        if dir.has(inode_flag::INDEX)
            && let Some(index) = htree::index_of(number, block)
        {
            return index.check_sum(seed, block, place);
        }
        let bad = |what: String| Err(Error::corrupt("directory block", place, what));
        let Some((covered, tail)) = block.split_last_chunk::<12>() else {
            return bad("is cut off".to_owned());
        };
        let tail: &DirTail = match at(tail, 0) {
            Some(tail) => tail,
            None => return bad("is cut off".to_owned()),
        };
        if tail.reserved_ft != DIR_TAIL_TYPE || tail.rec_len.get() != 12 || tail.reserved_zero1.get() != 0 {
            return bad("has no checksum".to_owned());
        }
        let (found, expected) = (tail.checksum.get(), seed.covered(covered));
        if found != expected {
            return bad(format!("checksum {found:#010x}, computed {expected:#010x}"));
        }
        Ok(())
    }

    /// One block of a directory through the cache, checked; `None` for a hole.
    pub(crate) fn dir_block(&self, dir: &Inode, number: u64) -> Result<Option<(Block, u64)>> {
        let ahead = (PIECE >> self.geo.block_bits).max(1);
        let run = self.run(dir, number, number.saturating_add(ahead))?;
        let Target::At(first) = run.target else {
            return Ok(None);
        };
        let block = self
            .blocks
            .get_near(first, run.len.min(ahead), "directory block")
            .map_err(|e| e.through(format!("directory inode {}", dir.number)))?;
        let place = self.blocks.offset(first);
        self.check_dir_block(dir, number, &block, place)
            .map_err(|e| e.through(format!("directory inode {}", dir.number)))?;
        Ok(Some((block, place)))
    }

    /// The two parts of inline data that hold entries, with their places (inlinedata.rst, "Inline Directories").
    pub(crate) fn inline_areas<'a>(&self, dir: &'a Inode) -> Result<[(&'a [u8], u64); 2]> {
        // The first word is the parent's number, in place of `..`.
        let head = dir.block.get(4..).unwrap_or_default();
        let rest = self.inline_rest(dir)?;
        let size = usize::try_from(dir.size).unwrap_or(usize::MAX);
        let rest = rest.get(..size.saturating_sub(60)).unwrap_or(rest);
        Ok([
            (head, dir.place.saturating_add(0x2c)),
            (rest, dir.place.saturating_add(128)),
        ])
    }

    /// Shows the stored entries of `dir`. Damaged blocks are left out; the first such error is answered when all
    /// others have been shown.
    pub(crate) fn each_stored(
        &self,
        dir: &Inode,
        meter: &mut Meter,
        each: &mut dyn FnMut(Raw<'_>) -> ControlFlow<()>,
    ) -> Result<()> {
        let form = self.form(dir);
        let mut first_error = None;
        let mut note = |e: Error| {
            first_error.get_or_insert(e.through(format!("directory inode {}", dir.number)));
        };
        if dir.has(inode_flag::INLINE_DATA) {
            for (area, place) in self.inline_areas(dir)? {
                match form.each(area, place, each) {
                    Ok(ControlFlow::Continue(())) => {}
                    Ok(ControlFlow::Break(())) => return Ok(()),
                    Err(e) => note(e),
                }
            }
            return first_error.map_or(Ok(()), Err);
        }
        let size = self.geo.block_size();
        let count = dir.size.div_ceil(size);
        let ahead = (PIECE >> self.geo.block_bits).max(1);
        let mut buf = Vec::new();
        let mut number = 0;
        let mut read = 0_u64;
        // `number` grows by at least one block each turn.
        while number < count {
            meter.steps(RUN_STEPS, "directory block")?;
            let run = self.run(dir, number, number.saturating_add(ahead).min(count))?;
            let len = run.len.min(ahead).min(count.saturating_sub(number)).max(1);
            let Target::At(first) = run.target else {
                number = number.saturating_add(run.len);
                continue;
            };
            read = read.saturating_add(len);
            // Entries take tens of bytes: about one step each.
            meter.steps(len.saturating_mul(size) >> 6, "directory content")?;
            if read > self.geo.blocks {
                note(dir.corrupt("has more blocks than the filesystem"));
                break;
            }
            let bytes = usize::try_from(len.saturating_mul(size)).unwrap_or(usize::MAX);
            buf.resize(bytes, 0);
            let place = self.blocks.offset(first);
            if let Err(e) = self.blocks.read(place, &mut buf, "directory block") {
                note(e);
                number = number.saturating_add(len);
                continue;
            }
            let step = usize::try_from(size).unwrap_or(usize::MAX);
            for (n, block) in (0_u64..).zip(buf.chunks_exact(step)) {
                let place = place.saturating_add(n.saturating_mul(size));
                let shown = self
                    .check_dir_block(dir, number.saturating_add(n), block, place)
                    .and_then(|()| form.each(block, place, each));
                match shown {
                    Ok(ControlFlow::Continue(())) => {}
                    Ok(ControlFlow::Break(())) => return Ok(()),
                    Err(e) => note(e),
                }
            }
            number = number.saturating_add(len);
        }
        first_error.map_or(Ok(()), Err)
    }

    /// Whether the kernel lists `dir` in the order of hashes, and so has them at hand: directories with an index, and
    /// those that are small enough not to need one.
    fn lists_by_hash(&self, dir: &Inode) -> bool {
        self.geo.has_compat(compat::DIR_INDEX)
            && (dir.has(inode_flag::INDEX)
                || dir.has(inode_flag::INLINE_DATA)
                || dir.size.checked_shr(self.geo.block_bits) == Some(1))
    }

    /// Shows the entries of `dir` as users see them: with fast commits applied, and encrypted names in the form
    /// that the kernel shows without the key.
    pub(crate) fn each_entry(&self, dir: &Inode, each: &mut EachEntry<'_>) -> Result<()> {
        let mut meter = self.meter();
        let encrypted = dir.has(inode_flag::ENCRYPT);
        let hasher = if encrypted && self.lists_by_hash(dir) {
            self.hasher(None)
        } else {
            None
        };
        let broke = std::cell::Cell::new(false);
        let mut show = |raw: Raw<'_>| {
            let coded;
            let name = if encrypted {
                coded = crypt::nokey_name(raw, hasher.as_ref());
                &coded
            } else {
                raw.name
            };
            let flow = each(Entry {
                name,
                node: Node(u64::from(raw.inode)),
                kind: raw.kind,
            });
            broke.set(flow.is_break());
            flow
        };
        if !self.fast.has_names(dir.number) {
            return self.each_stored(dir, &mut meter, &mut show);
        }
        let names = self.fast.names(dir.number);
        let stored = self.each_stored(dir, &mut meter, &mut |raw| {
            if names.is_some_and(|n| n.contains_key(raw.name)) {
                return ControlFlow::Continue(());
            }
            show(raw)
        });
        for (name, inode) in names.into_iter().flatten() {
            let Some(inode) = inode else {
                continue;
            };
            let raw = Raw {
                inode: *inode,
                kind: self.any_inode(*inode).ok().and_then(|i| i.kind()),
                name,
                hash: None,
            };
            if broke.get() || show(raw).is_break() {
                break;
            }
        }
        stored
    }

    /// The inode called `name` in `dir`.
    pub(crate) fn find_name(&self, dir: &Inode, name: &[u8]) -> Result<Option<u32>> {
        if name.is_empty() || name == b"." || name == b".." || name.len() > NAME_MAX {
            return Ok(None);
        }
        if dir.has(inode_flag::ENCRYPT) {
            return self.find_shown(dir, name);
        }
        if let Some(change) = self.fast.names(dir.number).and_then(|n| n.get(name)) {
            return Ok(*change);
        }
        if dir.has(inode_flag::CASEFOLD) && self.geo.has_incompat(incompat::CASEFOLD) {
            return self.find_folded(dir, name);
        }
        if dir.has(inode_flag::INDEX) && !dir.has(inode_flag::INLINE_DATA) {
            // Without an answer the index cannot be used: the blocks still hold every entry.
            if let Some(found) = self.find_indexed(dir, name, &mut |raw| raw.name == name)? {
                return Ok(found);
            }
        }
        self.find_stored(dir, &mut |raw| raw.name == name)
    }

    /// The entry that `is` and has the hash of `name`. The outer `None`: the index cannot be used.
    fn find_indexed(
        &self,
        dir: &Inode,
        name: &[u8],
        is: &mut dyn FnMut(Raw<'_>) -> bool,
    ) -> Result<Option<Option<u32>>> {
        match self.find_hashed(dir, name, is) {
            Err(e) if e.class() == Class::Corrupt => {
                self.warnings.add(format!(
                    "the index of directory inode {} is damaged and was not used: {e}",
                    dir.number
                ));
                Ok(None)
            }
            other => other,
        }
    }

    /// The first entry that `is`. An error only when it is not found in what could be read.
    fn find_stored(&self, dir: &Inode, is: &mut dyn FnMut(Raw<'_>) -> bool) -> Result<Option<u32>> {
        let mut meter = self.meter();
        let mut found = None;
        let shown = self.each_stored(dir, &mut meter, &mut |raw| {
            if is(raw) {
                found = Some(raw.inode);
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        });
        match found {
            Some(inode) => Ok(Some(inode)),
            None => shown.map(|()| None),
        }
    }

    /// Among names as they are shown without the key.
    fn find_shown(&self, dir: &Inode, name: &[u8]) -> Result<Option<u32>> {
        let mut found = None;
        let shown = self.each_entry(dir, &mut |entry| {
            if entry.name == name {
                found = u32::try_from(entry.node.0).ok();
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        });
        match found {
            Some(inode) => Ok(Some(inode)),
            None => shown.map(|()| None),
        }
    }

    /// In a directory that ignores case: the exact name first, then one that folds to the same.
    fn find_folded(&self, dir: &Inode, name: &[u8]) -> Result<Option<u32>> {
        let wanted = fold::fold(name);
        if let Some(folded) = &wanted
            && dir.has(inode_flag::INDEX)
            && !dir.has(inode_flag::INLINE_DATA)
        {
            // Linux hashes the folded name. Entries that it could not make are looked for below.
            let is = &mut |raw: Raw<'_>| fold::fold(raw.name).as_ref() == Some(folded);
            if let Some(Some(found)) = self.find_indexed(dir, folded.as_bytes(), is)? {
                return Ok(Some(found));
            }
        }
        let mut alike = None;
        let exact = self.find_stored(dir, &mut |raw| {
            if alike.is_none() && wanted.is_some() && fold::fold(raw.name) == wanted {
                alike = Some(raw.inode);
            }
            raw.name == name
        });
        match (exact, alike) {
            (Ok(Some(inode)), _) | (_, Some(inode)) => Ok(Some(inode)),
            (other, None) => other,
        }
    }
}
