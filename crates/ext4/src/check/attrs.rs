//! Extended attributes: blocks that inodes share, hashes, values in inodes of their own.

use super::Check;
use crate::bytes::at;
use crate::feature::incompat;
use crate::inode::Inode;
use crate::layout::{XATTR_MAGIC, XattrEntry, XattrHeader, inode_flag};
use crate::write::raw::{get32, wide};
use crate::xattr::{Attr, entry_hash, parse};
use h2k_block::Result;

const BLOCK: &str = "extended attribute block";
/// What remembering a block of attributes, a value, a byte range costs.
const BOOK_BYTES: u64 = 32;

impl Check<'_> {
    /// The attribute block of `inode`: how many blocks it takes.
    pub(super) fn outer_attributes(&mut self, inode: &Inode) -> Result<u64> {
        let number = inode.file_acl;
        if number == 0 {
            return Ok(0);
        }
        let ratio = self.ratio();
        if let Some((_, found)) = self.attributes.get_mut(&number) {
            *found = found.saturating_add(1);
            return Ok(ratio);
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
        self.attributes.insert(number, (header.refcount.get(), 1));
        self.claim(inode, number, 1, BLOCK)?;
        if let Some(seed) = self.fs.geo.seed {
            let (found, expected) = (header.checksum.get(), seed.xattr_block(number, &held));
            if found != expected {
                self.error(BLOCK, place, || {
                    format!("checksum {found:#010x}, computed {expected:#010x}")
                });
            }
        }
        self.entries(inode, &held, 32, 0, place, true)?;
        Ok(ratio)
    }

    /// The attributes behind the fields of `inode`.
    pub(super) fn inner_attributes(&mut self, inode: &Inode) -> Result<()> {
        let extra = usize::from(inode.extra_isize);
        if inode.raw.len() > 128 && (extra != 0 && extra < 4 || extra > inode.raw.len().saturating_sub(128)) {
            self.error("inode", inode.place, || {
                format!(
                    "inode {}: i_extra_isize {extra} in a record of {}",
                    inode.number,
                    inode.raw.len()
                )
            });
            return Ok(());
        }
        let Some(start) = inode.xattrs_at() else {
            return Ok(());
        };
        let area = inode.raw.get(start..).unwrap_or_default();
        if get32(area, 0) != XATTR_MAGIC {
            return Ok(());
        }
        let place = inode.place.saturating_add(wide(start));
        self.entries(inode, area, 4, 4, place, false)
    }

    /// The entries of `area`: names and values inside it, values that do not overlap, hashes.
    fn entries(
        &mut self,
        inode: &Inode,
        area: &[u8],
        first: usize,
        base: usize,
        place: u64,
        hashed: bool,
    ) -> Result<()> {
        let all = match parse(area, first, base, place) {
            Ok(all) => all,
            Err(e) => return self.damage("extended attribute", e),
        };
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
            if attr.inode == 0 && !attr.value.is_empty() {
                taken.push((start, start.saturating_add(attr.value.len().next_multiple_of(4))));
            }
            let hash = entry.hash.get();
            let expected = self.hash(inode, attr)?;
            // In the inode, a hash of zero means none.
            if (hashed || hash != 0) && !expected.contains(&hash) {
                self.error("extended attribute", here, || {
                    format!(
                        "inode {}: hash {hash:#010x}, computed {:#010x}",
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
        Ok(())
    }

    /// What the hash of an attribute has to be: names with bytes past ASCII are hashed in one of two ways.
    fn hash(&mut self, inode: &Inode, attr: &Attr<'_>) -> Result<[u32; 2]> {
        if attr.inode == 0 {
            return Ok([false, true].map(|signed| entry_hash(attr.name, attr.value, signed)));
        }
        let sum = self.value(inode, attr)?;
        let four = sum.to_le_bytes();
        Ok([false, true].map(|signed| entry_hash(attr.name, &four, signed)))
    }

    /// A value in an inode of its own: counted, and the checksum of its content answered.
    fn value(&mut self, owner: &Inode, attr: &Attr<'_>) -> Result<u32> {
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
            return Ok(0);
        }
        let inode = match self.fs.any_inode(number) {
            Ok(inode) => inode,
            Err(e) => {
                self.damage("inode", e)?;
                return Ok(0);
            }
        };
        if !inode.has(inode_flag::EA_INODE) || inode.links == 0 {
            wrong("is no value".to_owned());
            return Ok(0);
        }
        if inode.size != u64::from(attr.size) {
            wrong(format!("has {} bytes, expected {}", inode.size, attr.size));
        }
        self.meter.bytes(BOOK_BYTES, "value of an attribute")?;
        let uses = self.values.entry(number).or_insert(0);
        *uses = uses.saturating_add(1);
        Ok(inode.atime_raw)
    }

    /// Blocks of attributes against the inodes that were found to share them.
    pub(super) fn shared_attributes(&mut self) {
        for (block, (said, found)) in std::mem::take(&mut self.attributes) {
            if said != found {
                let place = self.fs.blocks.offset(block);
                self.error(BLOCK, place, || format!("refcount {said}, counted {found}"));
            }
        }
    }
}
