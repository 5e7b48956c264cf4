//! Extended attributes: blocks that inodes share, hashes, values in inodes of their own.

use super::Check;
use crate::bytes::at;
use crate::feature::{compat, incompat};
use crate::inode::Inode;
use crate::layout::{XATTR_MAGIC, XattrEntry, XattrHeader, inode_flag};
use crate::write::raw::{get32, wide};
use crate::xattr::{Attr, entry_hash, parse};
use h2k_block::Result;

const BLOCK: &str = "extended attribute block";
/// What remembering a block of attributes, a value, a byte range costs.
const BOOK_BYTES: u64 = 32;

/// `e_name_index` of attributes that are named by it alone: ACLs.
const NAMELESS: [u8; 3] = [2, 3, 8];
/// `e_name_index` of the encryption context.
const ENCRYPTION: u8 = 9;

/// A block of attributes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shared {
    /// How many inodes it says share it, and how many were found.
    said: u32,
    found: u32,
    /// Blocks that values in inodes of their own take.
    values: u64,
}

/// An inode that holds a value.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Uses {
    pub(super) count: u64,
    /// Whether it names its only owner.
    pub(super) owned: bool,
}

impl Check<'_> {
    /// The attribute block of `inode`: how many blocks it takes.
    pub(super) fn outer_attributes(&mut self, inode: &Inode) -> Result<u64> {
        let number = inode.file_acl;
        if number == 0 {
            return Ok(0);
        }
        if !self.fs.geo.has_compat(compat::EXT_ATTR) {
            self.error("inode", inode.place, || {
                format!(
                    "inode {}: attributes in block {number} without ext_attr",
                    inode.number
                )
            });
            return Ok(0);
        }
        let ratio = self.ratio();
        if let Some(held) = self.attributes.get_mut(&number) {
            held.found = held.found.saturating_add(1);
            return Ok(ratio.saturating_add(held.values));
        }
        let blocks = &self.fs.blocks;
        let place = blocks.offset(number);
        if !blocks.holds(number, 1) || number < self.fs.geo.first_block {
            let e = self.outside("inode", inode.place, number);
            self.damage("inode", e)?;
            return Ok(0);
        }
        let held = blocks.get(number, BLOCK)?;
        let Some(header) = at::<XattrHeader>(&held, 0) else {
            return Ok(0);
        };
        if header.magic.get() != XATTR_MAGIC || header.blocks.get() != 1 {
            self.error(BLOCK, place, || {
                format!(
                    "magic {:#010x} with {} blocks, expected {XATTR_MAGIC:#010x} with 1",
                    header.magic.get(),
                    header.blocks.get()
                )
            });
            return Ok(0);
        }
        self.meter.bytes(BOOK_BYTES, BLOCK)?;
        self.claim(inode, number, 1, BLOCK)?;
        if let Some(seed) = self.fs.geo.seed {
            let (found, expected) = (header.checksum.get(), seed.xattr_block(number, &held));
            if found != expected {
                self.error(BLOCK, place, || {
                    format!("checksum {found:#010x}, computed {expected:#010x}")
                });
            }
        }
        let values = self.entries(inode, &held, 32, 0, place, true)?;
        let shared = Shared {
            said: header.refcount.get(),
            found: 1,
            values,
        };
        self.attributes.insert(number, shared);
        Ok(ratio.saturating_add(values))
    }

    /// The attributes behind the fields of `inode`: how many blocks their values take elsewhere.
    pub(super) fn inner_attributes(&mut self, inode: &Inode) -> Result<u64> {
        let extra = usize::from(inode.extra_isize);
        if inode.raw.len() > 128 && (extra != 0 && extra < 4 || extra > inode.raw.len().saturating_sub(128)) {
            self.error("inode", inode.place, || {
                format!(
                    "inode {}: i_extra_isize {extra} in a record of {}",
                    inode.number,
                    inode.raw.len()
                )
            });
            return Ok(0);
        }
        let Some(start) = inode.xattrs_at() else {
            return Ok(0);
        };
        let area = inode.raw.get(start..).unwrap_or_default();
        if get32(area, 0) != XATTR_MAGIC {
            return Ok(0);
        }
        let place = inode.place.saturating_add(wide(start));
        self.entries(inode, area, 4, 4, place, false)
    }

    /// The entries of `area`: names and values inside it, values that do not overlap, hashes. How many blocks values in
    /// inodes of their own take.
    fn entries(
        &mut self,
        inode: &Inode,
        area: &[u8],
        first: usize,
        base: usize,
        place: u64,
        hashed: bool,
    ) -> Result<u64> {
        let all = match parse(area, first, base, place) {
            Ok(all) => all,
            Err(e) => {
                self.damage("extended attribute", e)?;
                return Ok(0);
            }
        };
        let mut elsewhere = 0_u64;
        self.meter.steps(wide(all.len()), "extended attribute")?;
        let mut pos = first;
        let mut taken: Vec<(usize, usize)> = Vec::new();
        for attr in &all {
            let here = place.saturating_add(wide(pos));
            let Some(entry) = at::<XattrEntry>(area, pos) else {
                break;
            };
            pos = pos
                .saturating_add(16)
                .saturating_add(attr.name.len())
                .next_multiple_of(4);
            let start = base.saturating_add(usize::from(entry.value_offs.get()));
            let offset = entry.value_offs.get();
            let outside = attr.inode == 0 && base.saturating_add(usize::from(offset)) > area.len();
            // Without a value only who looks for inline data minds.
            if outside && inode.has(inode_flag::INLINE_DATA) {
                self.error("extended attribute", here, || {
                    format!(
                        "inode {}: a value at {offset} of {} bytes",
                        inode.number,
                        area.len()
                    )
                });
            }
            if hashed && attr.name.is_empty() && !NAMELESS.contains(&attr.index) {
                self.error("extended attribute", here, || {
                    format!("inode {}: name index {} and no name", inode.number, attr.index)
                });
            }
            let cluster = self.fs.geo.block_size().saturating_mul(self.ratio());
            let uses = if attr.inode == 0 {
                None
            } else {
                Some(self.value(inode, attr)?)
            };
            // The old way, values count for nobody.
            if uses.is_some_and(|(_, owned)| !owned) {
                let clusters = u64::from(attr.size).div_ceil(cluster);
                elsewhere = elsewhere.saturating_add(clusters.saturating_mul(self.ratio()));
            }
            if attr.index == ENCRYPTION && attr.name == b"c" {
                self.encryption(inode, attr, here);
            }
            if attr.inode == 0 && !attr.value.is_empty() {
                taken.push((start, start.saturating_add(attr.value.len().next_multiple_of(4))));
            }
            let said = entry.hash.get();
            let expected = hash(attr, uses.map(|(sum, _)| sum));
            // In the inode, a hash of zero means none.
            if (hashed || said != 0) && !expected.contains(&said) {
                self.error("extended attribute", here, || {
                    format!(
                        "inode {}: hash {said:#010x}, computed {:#010x}",
                        inode.number, expected[0]
                    )
                });
            }
        }
        taken.push((first, pos.saturating_add(4)));
        taken.sort_unstable();
        let mut free = 0;
        for (start, end) in taken {
            if start < free || end > area.len().next_multiple_of(4) {
                self.error("extended attribute", place, || {
                    format!(
                        "inode {}: a value at {start}..{end} overlaps what ends at {free}",
                        inode.number
                    )
                });
                break;
            }
            free = end;
        }
        Ok(elsewhere)
    }

    /// What an encrypted inode is encrypted with (fscrypt.rst, "Encryption context"): its length by its version.
    fn encryption(&mut self, inode: &Inode, attr: &Attr<'_>, place: u64) {
        self.contexts.insert(inode.number);
        let expected = match attr.value.first() {
            Some(1) => 28,
            Some(2) => 40,
            _ => 0,
        };
        if attr.value.len() != expected {
            self.error("extended attribute", place, || {
                format!("inode {}: no encryption context", inode.number)
            });
        }
    }

    /// A value in an inode of its own, counted: the checksum of its content, and whether it names its only owner.
    fn value(&mut self, owner: &Inode, attr: &Attr<'_>) -> Result<(u32, bool)> {
        let number = attr.inode;
        let mut wrong = |what: String| {
            self.out.note(
                h2k_block::Severity::Error,
                "extended attribute",
                owner.place,
                || format!("inode {}: its value in inode {number} {what}", owner.number),
            );
        };
        if !self.fs.geo.has_incompat(incompat::EA_INODE) {
            wrong("is not possible without ea_inode".to_owned());
            return Ok((0, false));
        }
        let inode = match self.fs.any_inode(number) {
            Ok(inode) => inode,
            Err(e) => {
                self.damage("inode", e)?;
                return Ok((0, false));
            }
        };
        if !inode.has(inode_flag::EA_INODE) || inode.links == 0 {
            wrong("is no value".to_owned());
            return Ok((0, false));
        }
        if attr.size != 0 && inode.size != u64::from(attr.size) {
            wrong(format!("has {} bytes, expected {}", inode.size, attr.size));
        }
        self.meter.bytes(BOOK_BYTES, "value of an attribute")?;
        let uses = self.values.entry(number).or_default();
        uses.count = uses.count.saturating_add(1);
        // Made the old way, it names its owner and does not count.
        let owned = inode.mtime_raw == owner.number && inode.generation == owner.generation;
        uses.owned |= owned;
        Ok((inode.atime_raw, owned))
    }

    /// Blocks of attributes against the inodes that were found to share them.
    pub(super) fn shared_attributes(&mut self) {
        for (block, Shared { said, found, .. }) in std::mem::take(&mut self.attributes) {
            if said != found {
                let place = self.fs.blocks.offset(block);
                self.error(BLOCK, place, || format!("refcount {said}, counted {found}"));
            }
        }
    }
}

/// What the hash of an attribute has to be, with the checksum of its value if that lies elsewhere: names with bytes
/// past ASCII are hashed in one of two ways.
fn hash(attr: &Attr<'_>, elsewhere: Option<u32>) -> [u32; 2] {
    let sum = elsewhere.filter(|_| attr.size > 0).map(u32::to_le_bytes);
    let value = sum.as_ref().map_or(attr.value, |four| four.as_slice());
    [false, true].map(|signed| entry_hash(attr.name, value, signed))
}
