//! Directories, changed: blocks of entries and entries inside the inode.

use super::Ext4Writer;
use super::inode::{Record, at};
use super::map::Map;
use super::raw::{fill, get16, get32, put, put16, put32, wide};
use crate::dir::Form;
use crate::feature::compat;
use crate::inode::Inode;
use crate::layout::{DIR_TAIL_TYPE, inode_flag};
use h2k_block::{Class, Error, Result};
use h2k_fs::{FileKind, Node};
use std::ops::ControlFlow;

/// Bytes of the tail that carries a block's checksum.
const TAIL: usize = 12;

/// What visiting a block of entries costs, in steps.
pub(super) const BLOCK_STEPS: u64 = 16;

/// One name and what it stands for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Named<'a> {
    pub(super) name: &'a [u8],
    pub(super) inode: u32,
    pub(super) kind: FileKind,
}

fn code(kind: FileKind) -> u8 {
    match kind {
        FileKind::File => 1,
        FileKind::Dir => 2,
        FileKind::CharDevice => 3,
        FileKind::BlockDevice => 4,
        FileKind::Fifo => 5,
        FileKind::Socket => 6,
        FileKind::Link => 7,
        _ => 0,
    }
}

/// Bytes an entry takes.
fn need(name: usize) -> usize {
    name.saturating_add(8).next_multiple_of(4)
}

/// `rec_len` as stored: with blocks of 64 KiB the length of a whole one does not fit.
pub(super) fn stored_len(len: usize) -> u16 {
    u16::try_from(len).unwrap_or(u16::MAX)
}

/// An entry in an area of entries: where it is, how long, and where the one before it is.
#[derive(Clone, Copy)]
struct Slot {
    at: usize,
    len: usize,
    before: Option<usize>,
}

/// The entries of `area`, which the reader has checked.
fn slots<'a>(form: &'a Form, area: &'a [u8]) -> impl Iterator<Item = Slot> + 'a {
    let (mut at, mut before) = (0_usize, None);
    std::iter::from_fn(move || {
        if at.saturating_add(8) > area.len() {
            return None;
        }
        let len = form.rec_len(get16(area, at.saturating_add(4))).max(8);
        let slot = Slot { at, len, before };
        before = Some(at);
        at = at.saturating_add(len);
        Some(slot)
    })
}

fn name_at(area: &[u8], at: usize) -> &[u8] {
    let len = area.get(at.saturating_add(6)).map_or(0, |n| usize::from(*n));
    let from = at.saturating_add(8);
    area.get(from..from.saturating_add(len)).unwrap_or_default()
}

fn put_entry(form: &Form, area: &mut [u8], at: usize, len: usize, named: Named<'_>) {
    put32(area, at, named.inode);
    put16(area, at.saturating_add(4), stored_len(len));
    let kind = if form.filetype { code(named.kind) } else { 0 };
    let name = u8::try_from(named.name.len()).unwrap_or(u8::MAX);
    put(area, at.saturating_add(6), &[name, kind]);
    put(area, at.saturating_add(8), named.name);
}

/// Puts an entry where there is room for it.
pub(super) fn insert(form: &Form, area: &mut [u8], named: Named<'_>) -> bool {
    let need_len = need(named.name.len());
    let free = |slot: &Slot| {
        if get32(area, slot.at) == 0 {
            0
        } else {
            need(name_at(area, slot.at).len())
        }
    };
    let found = slots(form, area)
        .map(|slot| (slot, free(&slot)))
        .find(|(slot, used)| slot.len >= used.saturating_add(need_len));
    let Some((slot, used)) = found else {
        return false;
    };
    if used > 0 {
        put16(area, slot.at.saturating_add(4), stored_len(used));
    }
    put_entry(
        form,
        area,
        slot.at.saturating_add(used),
        slot.len.saturating_sub(used),
        named,
    );
    true
}

/// Makes `area` one free entry.
pub(super) fn clear(area: &mut [u8]) {
    area.fill(0);
    let len = stored_len(area.len());
    put16(area, 4, len);
}

fn find(form: &Form, area: &[u8], name: &[u8]) -> Option<Slot> {
    slots(form, area).find(|s| get32(area, s.at) != 0 && name_at(area, s.at) == name)
}

fn take(form: &Form, area: &mut [u8], name: &[u8]) -> bool {
    let Some(slot) = find(form, area, name) else {
        return false;
    };
    match slot.before {
        Some(before) => {
            let longer = slot.at.saturating_sub(before).saturating_add(slot.len);
            put16(area, before.saturating_add(4), stored_len(longer));
            fill(area, slot.at, need(name.len()).min(slot.len));
        }
        None => put32(area, slot.at, 0),
    }
    true
}

fn point(form: &Form, area: &mut [u8], named: Named<'_>) -> bool {
    let Some(slot) = find(form, area, named.name) else {
        return false;
    };
    put32(area, slot.at, named.inode);
    if form.filetype {
        put(area, slot.at.saturating_add(7), &[code(named.kind)]);
    }
    true
}

impl Ext4Writer {
    /// Bytes of a directory block that hold entries.
    pub(super) fn usable(&self) -> usize {
        let tail = if self.fs.geo.seed.is_some() { TAIL } else { 0 };
        self.block_size().saturating_sub(tail)
    }

    /// Writes a block of entries, with its checksum.
    pub(super) fn put_leaf(&mut self, dir: &Inode, block: u64, bytes: &mut [u8]) -> Result<()> {
        if let Some(seed) = self.fs.inode_seed(dir) {
            let at = self.usable();
            let sum = seed.covered(bytes.get(..at).unwrap_or_default());
            put32(bytes, at, 0);
            put16(bytes, at.saturating_add(4), 12);
            put(bytes, at.saturating_add(6), &[0, DIR_TAIL_TYPE]);
            put32(bytes, at.saturating_add(8), sum);
        }
        self.put(block, bytes)
    }

    /// A block of entries, checked: its number on the volume and its bytes.
    pub(super) fn leaf(&self, dir: &Inode, number: u64) -> Result<Option<(u64, Vec<u8>)>> {
        let Some((block, place)) = self.fs.dir_block(dir, number)? else {
            return Ok(None);
        };
        let mut show = |_: crate::dir::Raw<'_>| ControlFlow::Continue(());
        let _checked = self.fs.form(dir).each(&block, place, &mut show)?;
        let at = place.checked_shr(self.fs.geo.block_bits).unwrap_or(0);
        if self.zone.touches(at, 1) {
            return Err(dir.corrupt(format!("has block {at}, where the filesystem itself lies")));
        }
        Ok(Some((at, block.to_vec())))
    }

    pub(super) fn blocks_of(&self, dir: &Inode) -> u64 {
        dir.size.div_ceil(self.fs.geo.block_size())
    }

    /// Adds a block at the end of a directory; answers with its logical and its real number.
    pub(super) fn grow(&mut self, number: u32) -> Result<(u64, u64)> {
        let dir = self.fs.any_inode(number)?;
        let mut record = self.record(&dir);
        let mut map = self.load_map(&dir)?;
        let next = self.blocks_of(&dir);
        if next >= u64::from(u32::MAX) >> 4 {
            return Err(Error::new(
                Class::Limit,
                format!("directory inode {number} cannot grow any further"),
            ));
        }
        self.fill(&record, &mut map, next, next.saturating_add(1))?;
        map.mark_written(next, next.saturating_add(1));
        let at = map
            .at(next)
            .map_or(0, |p| p.at.saturating_add(next.saturating_sub(p.start)));
        self.store_map(&mut record, &mut map)?;
        let blocks = next.saturating_add(1);
        record.set_size(blocks.saturating_mul(self.fs.geo.block_size()));
        self.save(&mut record)?;
        Ok((next, at))
    }

    /// The first block of a new directory.
    pub(super) fn new_dir(&mut self, record: &mut Record, parent: u32) -> Result<()> {
        let mut map = Map::default();
        self.fill(record, &mut map, 0, 1)?;
        self.store_map(record, &mut map)?;
        record.set_size(self.fs.geo.block_size());
        self.save(record)?;
        let dir = self.fs.any_inode(record.number)?;
        let mut bytes = vec![0; self.block_size()];
        self.begin(&dir, &mut bytes, parent);
        self.put_leaf(&dir, map.at(0).map_or(0, |p| p.at), &mut bytes)
    }

    /// `.` and `..`, which takes the rest of the block.
    fn begin(&self, dir: &Inode, bytes: &mut [u8], parent: u32) {
        let form = self.fs.form(dir);
        let own = Named {
            name: b".",
            inode: dir.number,
            kind: FileKind::Dir,
        };
        put_entry(&form, bytes, 0, 12, own);
        let up = Named {
            name: b"..",
            inode: parent,
            kind: FileKind::Dir,
        };
        put_entry(&form, bytes, 12, self.usable().saturating_sub(12), up);
    }

    /// Puts a name into a directory that has no such name yet.
    pub(super) fn add_entry(&mut self, number: u32, named: Named<'_>) -> Result<()> {
        let mut dir = self.fs.any_inode(number)?;
        if dir.has(inode_flag::INLINE_DATA) {
            if self.edit_inline(&dir, |form, area| insert(form, area, named))? {
                return Ok(());
            }
            self.dir_leaves_inode(&dir)?;
            dir = self.fs.any_inode(number)?;
        }
        if dir.has(inode_flag::INDEX) {
            return self.add_indexed(number, named);
        }
        let count = self.blocks_of(&dir);
        let form = self.fs.form(&dir);
        let usable = self.usable();
        let last = count.saturating_sub(1);
        let mut meter = self.fs.meter();
        // The last block is the likeliest to have room.
        for n in std::iter::once(last).chain(0..last) {
            meter.steps(BLOCK_STEPS, "directory block")?;
            let Some((at, mut bytes)) = self.leaf(&dir, n)? else {
                continue;
            };
            if let Some(area) = bytes.get_mut(..usable)
                && insert(&form, area, named)
            {
                return self.put_leaf(&dir, at, &mut bytes);
            }
        }
        if count == 1 && self.fs.geo.has_compat(compat::DIR_INDEX) && self.make_index(&dir)? {
            return self.add_indexed(number, named);
        }
        let (_, at) = self.grow(number)?;
        let mut bytes = vec![0; self.block_size()];
        if let Some(area) = bytes.get_mut(..usable) {
            clear(area);
            insert(&form, area, named);
        }
        let dir = self.fs.any_inode(number)?;
        self.put_leaf(&dir, at, &mut bytes)
    }

    /// Changes the one block that `edit` finds its name in.
    fn edit_entry(
        &mut self,
        number: u32,
        name: &[u8],
        edit: impl Fn(&Form, &mut [u8]) -> bool,
    ) -> Result<()> {
        let dir = self.fs.any_inode(number)?;
        if dir.has(inode_flag::INLINE_DATA) {
            if self.edit_inline(&dir, edit)? {
                return Ok(());
            }
            return Err(dir.corrupt("has lost a name that was found before"));
        }
        let form = self.fs.form(&dir);
        let count = self.blocks_of(&dir);
        let usable = self.usable();
        let indexed = dir.has(inode_flag::INDEX);
        let candidates: Box<dyn Iterator<Item = u64>> = if indexed {
            Box::new(self.leaves_for(&dir, name)?.into_iter())
        } else {
            Box::new(0..count)
        };
        let mut meter = self.fs.meter();
        for n in candidates {
            meter.steps(BLOCK_STEPS, "directory block")?;
            let Some((at, mut bytes)) = self.leaf(&dir, n)? else {
                continue;
            };
            if let Some(area) = bytes.get_mut(..usable)
                && edit(&form, area)
            {
                return self.put_leaf(&dir, at, &mut bytes);
            }
        }
        Err(dir.corrupt("has a name that its index does not lead to"))
    }

    pub(super) fn remove_entry(&mut self, number: u32, name: &[u8]) -> Result<()> {
        self.edit_entry(number, name, |form, area| take(form, area, name))
    }

    /// Makes an existing name stand for something else.
    pub(super) fn point_entry(&mut self, number: u32, named: Named<'_>) -> Result<()> {
        self.edit_entry(number, named.name, |form, area| point(form, area, named))
    }

    /// The directory a directory lies in.
    pub(super) fn parent(&self, dir: &Inode) -> Result<u32> {
        if dir.has(inode_flag::INLINE_DATA) {
            return Ok(get32(&dir.block, 0));
        }
        match self.fs.dir_block(dir, 0)? {
            Some((block, _)) if name_at(&block, 12) == b".." => Ok(get32(&block, 12)),
            _ => Err(dir.corrupt("does not begin with . and ..")),
        }
    }

    pub(super) fn set_parent(&mut self, number: u32, parent: u32) -> Result<()> {
        let dir = self.fs.any_inode(number)?;
        if dir.has(inode_flag::INLINE_DATA) {
            let mut record = self.record(&dir);
            put32(&mut record.raw, at::BLOCK, parent);
            return self.save(&mut record);
        }
        self.parent(&dir)?;
        let Some((block, mut bytes)) = self.leaf(&dir, 0)? else {
            return Err(dir.corrupt("has no first block"));
        };
        put32(&mut bytes, 12, parent);
        if dir.has(inode_flag::INDEX) {
            self.put_index(&dir, 0, block, &mut bytes)
        } else {
            self.put_leaf(&dir, block, &mut bytes)
        }
    }

    pub(super) fn is_empty(&self, dir: &Inode) -> Result<()> {
        let mut empty = true;
        self.fs.each_entry(dir, &mut |_| {
            empty = false;
            ControlFlow::Break(())
        })?;
        if empty {
            return Ok(());
        }
        Err(Error::new(
            Class::Exists,
            format!("directory inode {} is not empty", dir.number),
        ))
    }

    /// Changes the entries inside an inode, where `edit` can.
    fn edit_inline(&mut self, dir: &Inode, edit: impl Fn(&Form, &mut [u8]) -> bool) -> Result<bool> {
        let form = self.fs.form(dir);
        let [(head, head_at), (rest, rest_at)] = self.fs.inline_areas(dir)?;
        let mut show = |_: crate::dir::Raw<'_>| ControlFlow::Continue(());
        let (mut head, mut rest) = (head.to_vec(), rest.to_vec());
        let _checked = form.each(&head, head_at, &mut show)?;
        let _checked = form.each(&rest, rest_at, &mut show)?;
        let mut record = self.record(dir);
        if edit(&form, &mut head) {
            put(&mut record.raw, at::BLOCK.saturating_add(4), &head);
        } else if !rest.is_empty() && edit(&form, &mut rest) {
            if !self.set_inline_rest(&mut record, Some(&rest))? {
                return Ok(false);
            }
        } else {
            return Ok(false);
        }
        self.save(&mut record)?;
        Ok(true)
    }

    /// Gives a directory inside its inode a block of its own.
    fn dir_leaves_inode(&mut self, dir: &Inode) -> Result<()> {
        let parent = self.parent(dir)?;
        let mut names = Vec::new();
        let mut meter = self.fs.meter();
        self.fs.each_stored(dir, &mut meter, &mut |raw| {
            names.push((raw.name.to_vec(), raw.inode, raw.kind));
            ControlFlow::Continue(())
        })?;
        let mut record = self.record(dir);
        self.leave_inode(&mut record)?;
        self.new_dir(&mut record, parent)?;
        for (name, inode, kind) in names {
            let kind = kind
                .or_else(|| self.fs.inode(Node(u64::from(inode))).ok()?.kind())
                .unwrap_or(FileKind::File);
            let named = Named {
                name: &name,
                inode,
                kind,
            };
            self.add_entry(record.number, named)?;
        }
        Ok(())
    }

    /// The entries of a block, without the tail.
    pub(super) fn entries(&self, dir: &Inode, bytes: &[u8]) -> Vec<(Vec<u8>, u32, u8)> {
        let form = self.fs.form(dir);
        let area = bytes.get(..self.usable()).unwrap_or_default();
        slots(&form, area)
            .filter(|s| get32(area, s.at) != 0)
            .map(|s| {
                let kind = area.get(s.at.saturating_add(7)).copied().unwrap_or(0);
                (name_at(area, s.at).to_vec(), get32(area, s.at), kind)
            })
            .collect()
    }

    /// Fills a block with entries, one behind the other.
    pub(super) fn packed(&self, entries: &[(Vec<u8>, u32, u8)]) -> Vec<u8> {
        let mut bytes = vec![0; self.block_size()];
        let end = self.usable();
        if let Some(area) = bytes.get_mut(..end) {
            clear(area);
        }
        let mut at = 0_usize;
        for (n, (name, inode, kind)) in entries.iter().enumerate() {
            let last = n.saturating_add(1) == entries.len();
            let len = if last {
                end.saturating_sub(at)
            } else {
                need(name.len())
            };
            put32(&mut bytes, at, *inode);
            put16(&mut bytes, at.saturating_add(4), stored_len(len));
            let name_len = u8::try_from(name.len()).unwrap_or(u8::MAX);
            put(&mut bytes, at.saturating_add(6), &[name_len, *kind]);
            put(&mut bytes, at.saturating_add(8), name);
            at = at.saturating_add(len);
        }
        bytes
    }

    /// What an entry of that name takes in a block.
    pub(super) fn entry_len(name: &[u8]) -> u64 {
        wide(need(name.len()))
    }
}
