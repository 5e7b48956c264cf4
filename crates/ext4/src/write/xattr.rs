//! Extended attributes, changed (attributes.rst): in the inode while there is room, else in a block.

use super::Ext4Writer;
use super::inode::Record;
use super::map::Map;
use super::raw::{fill, get32, low16, low32, put, put16, put32, wide};
use super::space::Wish;
use crate::feature::incompat;
use crate::inode::Inode;
use crate::layout::{XATTR_MAGIC, inode_flag};
use crate::xattr::{SYSTEM, entry_hash, parse, prefix};
use h2k_block::{Class, Error, Result};
use h2k_fs::{FileKind, Node};

const HEADER: usize = 32;
const ENTRY: usize = 16;

/// An attribute that is being moved about.
#[derive(Clone, Debug)]
struct Own {
    index: u8,
    name: Vec<u8>,
    value: Vec<u8>,
    inode: u32,
}

impl Own {
    fn is(&self, index: u8, name: &[u8]) -> bool {
        self.index == index && self.name == name
    }

    fn entry_len(&self) -> usize {
        ENTRY.saturating_add(self.name.len()).next_multiple_of(4)
    }

    fn value_len(&self) -> usize {
        self.value.len().next_multiple_of(4)
    }
}

/// The index and the stored part of a full name.
fn stored_name(full: &[u8]) -> Option<(u8, &[u8])> {
    for index in [2_u8, 3] {
        if prefix(index) == Some(full) {
            return Some((index, &[]));
        }
    }
    [1_u8, 4, 6, 10].into_iter().find_map(|index| {
        let rest = full.strip_prefix(prefix(index)?)?;
        (!rest.is_empty() && rest.len() <= 255).then_some((index, rest))
    })
}

/// Lays attributes out in `area`: entries from `first` on, values from the end down, offsets from `base`. `false` when
/// they do not fit. Hashes are kept in blocks only.
fn pack(area: &mut [u8], first: usize, base: usize, all: &[Own], hashes: bool) -> bool {
    let entries: usize = all.iter().map(Own::entry_len).fold(first, usize::saturating_add);
    let values: usize = all.iter().map(Own::value_len).fold(0, usize::saturating_add);
    if entries.saturating_add(4).saturating_add(values) > area.len() {
        return false;
    }
    let len = area.len();
    fill(area, first, len);
    if let Some(rest) = area.get_mut(first..) {
        rest.fill(0);
    }
    let (mut at, mut end) = (first, len);
    for own in all {
        end = end.saturating_sub(own.value_len());
        put(
            area,
            at,
            &[u8::try_from(own.name.len()).unwrap_or(u8::MAX), own.index],
        );
        if !own.value.is_empty() {
            put16(
                area,
                at.saturating_add(2),
                low16(low32(wide(end.saturating_sub(base)))),
            );
        }
        put32(area, at.saturating_add(4), own.inode);
        put32(area, at.saturating_add(8), low32(wide(own.value.len())));
        let hash = if hashes {
            entry_hash(&own.name, &own.value, false)
        } else {
            0
        };
        put32(area, at.saturating_add(12), hash);
        put(area, at.saturating_add(ENTRY), &own.name);
        put(area, end, &own.value);
        at = at.saturating_add(own.entry_len());
    }
    true
}

impl Ext4Writer {
    fn owned(&self, area: &[u8], first: usize, base: usize, place: u64) -> Result<Vec<Own>> {
        let found = parse(area, first, base, place)?;
        Ok(found
            .into_iter()
            .map(|a| Own {
                index: a.index,
                name: a.name.to_vec(),
                value: a.value.to_vec(),
                inode: a.inode,
            })
            .collect())
    }

    /// Where attributes in the record begin, their magic included.
    fn inner(&self, record: &Record) -> Result<(Option<usize>, Vec<Own>)> {
        let inode = self.parsed(record)?;
        let Some(start) = inode.xattrs_at() else {
            return Ok((None, Vec::new()));
        };
        let area = record.raw.get(start..).unwrap_or_default();
        if get32(area, 0) != XATTR_MAGIC {
            return Ok((Some(start), Vec::new()));
        }
        let place = record.at.saturating_add(wide(start));
        Ok((Some(start), self.owned(area, 4, 4, place)?))
    }

    /// Writes the attributes inside the record; `false`, and nothing changed, when they do not fit.
    fn set_inner(record: &mut Record, start: Option<usize>, all: &[Own]) -> bool {
        let Some(area) = start.and_then(|s| record.raw.get_mut(s..)) else {
            return all.is_empty();
        };
        if all.is_empty() {
            area.fill(0);
            return true;
        }
        if !pack(area, 4, 4, all, false) {
            return false;
        }
        put32(area, 0, XATTR_MAGIC);
        true
    }

    /// Sets or removes `system.data`, the part of inline data that does not fit `i_block`. `false` when there is no
    /// room for it.
    pub(super) fn set_inline_rest(&self, record: &mut Record, value: Option<&[u8]>) -> Result<bool> {
        let (start, mut all) = self.inner(record)?;
        let old = all.iter().position(|a| a.is(SYSTEM, b"data"));
        match (old.and_then(|n| all.get_mut(n)), value) {
            (Some(own), Some(value)) => own.value = value.to_vec(),
            (None, Some(value)) => all.insert(
                0,
                Own {
                    index: SYSTEM,
                    name: b"data".to_vec(),
                    value: value.to_vec(),
                    inode: 0,
                },
            ),
            (_, None) => all.retain(|a| !a.is(SYSTEM, b"data")),
        }
        Ok(Self::set_inner(record, start, &all))
    }

    /// The attribute block of an inode, checked by the reader.
    fn outer(&self, inode: &Inode) -> Result<(Vec<u8>, Vec<Own>)> {
        if inode.file_acl == 0 {
            return Ok((Vec::new(), Vec::new()));
        }
        // The reader checks magic and checksum.
        self.fs
            .each_xattr(inode, &mut |_, _| std::ops::ControlFlow::Continue(()))?;
        if self.zone.touches(inode.file_acl, 1) || !self.fs.blocks.holds(inode.file_acl, 1) {
            return Err(inode.corrupt(format!("has its attributes at block {}", inode.file_acl)));
        }
        let block = self.get(inode.file_acl, "extended attribute block")?;
        let place = self.fs.blocks.offset(inode.file_acl);
        let all = self.owned(&block, HEADER, 0, place)?;
        Ok((block, all))
    }

    /// Refuses what would leave values in inodes of their own behind.
    pub(super) fn check_values(&self, inode: &Inode) -> Result<()> {
        let (_, inner) = self.inner(&self.record(inode))?;
        let (_, outer) = self.outer(inode)?;
        if inner.iter().chain(&outer).any(|a| a.inode != 0) {
            return Err(Error::unsupported(format!(
                "inode {} keeps values of attributes in inodes of their own (ea_inode), which is not written yet",
                inode.number
            ))
            .at("inode", inode.place));
        }
        Ok(())
    }

    /// Sets (or, without a value, removes) an attribute.
    pub(super) fn change_xattr(&mut self, node: Node, full: &[u8], value: Option<&[u8]>) -> Result<()> {
        let inode = self.writable(node)?;
        let shown = String::from_utf8_lossy(full).into_owned();
        let Some((index, name)) = stored_name(full) else {
            return Err(Error::unsupported(format!(
                "an attribute called {shown:?} cannot be set"
            )));
        };
        self.check_values(&inode)?;
        let mut record = self.record(&inode);
        let (start, mut inner) = self.inner(&record)?;
        let (block, mut outer) = self.outer(&inode)?;
        let before = inner.len().saturating_add(outer.len());
        inner.retain(|a| !a.is(index, name));
        let outer_before = outer.len();
        outer.retain(|a| !a.is(index, name));
        let existed = inner.len().saturating_add(outer.len()) < before;
        let mut outer_changed = outer.len() != outer_before;
        match value {
            None if !existed => {
                return Err(Error::new(
                    Class::NotFound,
                    format!("inode {} has no attribute {shown:?}", inode.number),
                ));
            }
            None => {
                Self::set_inner(&mut record, start, &inner);
            }
            Some(_) if self.fs.groups.superblock().rev_level.get() == 0 => {
                return Err(Error::unsupported(
                    "a filesystem of revision 0 cannot have extended attributes",
                ));
            }
            Some(value) => {
                self.ext_attr = true;
                let own = Own {
                    index,
                    name: name.to_vec(),
                    value: value.to_vec(),
                    inode: 0,
                };
                let mut with = inner.clone();
                with.push(own.clone());
                if start.is_none() || !Self::set_inner(&mut record, start, &with) {
                    Self::set_inner(&mut record, start, &inner);
                    outer.push(own);
                    outer_changed = true;
                }
            }
        }
        if outer_changed {
            self.store_outer(&inode, &mut record, &block, outer)?;
        }
        record.set_ctime(self.now);
        self.save(&mut record)
    }

    fn store_outer(
        &mut self,
        inode: &Inode,
        record: &mut Record,
        old: &[u8],
        mut all: Vec<Own>,
    ) -> Result<()> {
        let mut acl = 0;
        if !all.is_empty() {
            all.sort_by(|a, b| (a.index, a.name.len(), &a.name).cmp(&(b.index, b.name.len(), &b.name)));
            let mut bytes = vec![0; self.block_size()];
            if !pack(&mut bytes, HEADER, 0, &all, true) {
                return Err(Error::new(
                    Class::NoSpace,
                    format!(
                        "inode {} has no room for that attribute beside the others",
                        inode.number
                    ),
                ));
            }
            let shared = inode.file_acl == 0 || get32(old, 4) > 1;
            acl = if shared {
                let goal = self.home(inode.number);
                let narrow = !self.fs.geo.has_incompat(incompat::BIT64);
                self.allocate(Wish {
                    goal,
                    clusters: 1,
                    narrow,
                })?
                .0
            } else {
                inode.file_acl
            };
            put32(&mut bytes, 0, XATTR_MAGIC);
            put32(&mut bytes, 4, 1);
            put32(&mut bytes, 8, 1);
            let hash = all.iter().fold(0_u32, |h, own| {
                h.rotate_left(16) ^ entry_hash(&own.name, &own.value, false)
            });
            put32(&mut bytes, 12, hash);
            self.put_outer(acl, &mut bytes)?;
        }
        if inode.file_acl != 0 && acl != inode.file_acl {
            self.leave_outer(inode.file_acl, old)?;
        }
        record.set_acl(
            acl,
            self.fs.geo.has_incompat(incompat::BIT64) && !self.fs.geo.hurd,
        );
        let map = self.map_of(inode)?;
        self.count_blocks(record, &map)
    }

    fn put_outer(&mut self, block: u64, bytes: &mut [u8]) -> Result<()> {
        if let Some(seed) = self.fs.geo.seed {
            let sum = seed.xattr_block(block, bytes);
            put32(bytes, 16, sum);
        }
        self.put(block, bytes)
    }

    /// One inode less uses an attribute block.
    fn leave_outer(&mut self, block: u64, held: &[u8]) -> Result<()> {
        let users = get32(held, 4);
        if users <= 1 {
            return self.release(block, 1);
        }
        let mut bytes = held.to_vec();
        put32(&mut bytes, 4, users.saturating_sub(1));
        self.put_outer(block, &mut bytes)
    }

    /// Gives back what the attributes of an inode take.
    pub(super) fn drop_xattrs(&mut self, inode: &Inode) -> Result<()> {
        self.check_values(inode)?;
        if inode.file_acl == 0 {
            return Ok(());
        }
        let (block, _) = self.outer(inode)?;
        self.leave_outer(inode.file_acl, &block)
    }

    /// The map of whatever has one; devices and short links have none.
    pub(super) fn map_of(&self, inode: &Inode) -> Result<Map> {
        let has_map = match inode.kind() {
            Some(FileKind::File | FileKind::Dir) => true,
            Some(FileKind::Link) => !inode.is_fast_link(&self.fs.geo),
            _ => false,
        };
        if !has_map || inode.has(inode_flag::INLINE_DATA) {
            return Ok(Map::default());
        }
        self.load_map(inode)
    }
}
