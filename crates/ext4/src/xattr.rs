//! Extended attributes (attributes.rst): behind the inode's fields, in a block of their own, and with `ea_inode`
//! values in inodes of their own.

use crate::bytes::at;
use crate::feature::incompat;
use crate::inode::Inode;
use crate::layout::{XATTR_MAGIC, XattrEntry, XattrHeader, inode_flag};
use crate::volume::Ext4;
use h2k_block::{Error, Meter, Result};
use h2k_fs::{EachXattr, FileKind};

/// `e_name_index` of `system.`, where inline data hides.
pub(crate) const SYSTEM: u8 = 7;

/// One attribute as stored.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attr<'a> {
    pub(crate) index: u8,
    pub(crate) name: &'a [u8],
    /// The value, if it is not in an inode of its own.
    pub(crate) value: &'a [u8],
    /// That inode, 0 for none.
    pub(crate) inode: u32,
    /// Bytes of the value.
    pub(crate) size: u32,
}

/// The prefix that `e_name_index` stands for; `None` for indices that are nobody's business (encryption contexts)
/// or not assigned.
pub(crate) fn prefix(index: u8) -> Option<&'static [u8]> {
    match index {
        1 => Some(b"user."),
        2 => Some(b"system.posix_acl_access"),
        3 => Some(b"system.posix_acl_default"),
        4 => Some(b"trusted."),
        6 => Some(b"security."),
        7 => Some(b"system."),
        8 => Some(b"system.richacl"),
        10 => Some(b"gnu."),
        _ => None,
    }
}

/// Parses the entries of `area` from `first` on; values count from `base`. `place` is where `area` lies.
pub(crate) fn parse<'a>(area: &'a [u8], first: usize, base: usize, place: u64) -> Result<Vec<Attr<'a>>> {
    let mut found = Vec::new();
    let mut pos = first;
    // An entry takes at least 16 bytes, so this ends with the area.
    loop {
        // Four zero bytes end the list; so does an area without room for them.
        if area
            .get(pos..)
            .and_then(|rest| rest.first_chunk::<4>())
            .is_none_or(|w| *w == [0; 4])
        {
            return Ok(found);
        }
        let here = place.saturating_add(u64::try_from(pos).unwrap_or(u64::MAX));
        let bad = |what: &str| Error::corrupt("extended attribute", here, what);
        let entry: &XattrEntry = at(area, pos).ok_or_else(|| bad("is cut off"))?;
        let name_at = pos.saturating_add(16);
        let name = area
            .get(name_at..)
            .and_then(|rest| rest.get(..usize::from(entry.name_len)))
            .ok_or_else(|| bad("has a name that does not fit"))?;
        let (inode, size) = (entry.value_inum.get(), entry.value_size.get());
        let value: &[u8] = if inode != 0 || size == 0 {
            &[]
        } else {
            base.checked_add(usize::from(entry.value_offs.get()))
                .and_then(|start| area.get(start..)?.get(..usize::try_from(size).ok()?))
                .ok_or_else(|| {
                    bad(&format!(
                        "has {size} bytes of value at {}, outside its area of {}",
                        entry.value_offs.get(),
                        area.len()
                    ))
                })?
        };
        found.push(Attr {
            index: entry.name_index,
            name,
            value,
            inode,
            size,
        });
        pos = name_at
            .saturating_add(usize::from(entry.name_len))
            .next_multiple_of(4);
    }
}

/// `e_hash`: name byte by byte, then the value in words. Bytes past ASCII were once taken as `signed`.
pub(crate) fn entry_hash(name: &[u8], value: &[u8], signed: bool) -> u32 {
    let widen = |byte: u8| match signed {
        true => u32::from_ne_bytes(i32::from(i8::from_ne_bytes([byte])).to_ne_bytes()),
        false => u32::from(byte),
    };
    let hash = name.iter().fold(0_u32, |h, b| h.rotate_left(5) ^ widen(*b));
    value.chunks(4).fold(hash, |hash, word| {
        let mut four = [0; 4];
        for (to, from) in four.iter_mut().zip(word) {
            *to = *from;
        }
        hash.rotate_left(16) ^ u32::from_le_bytes(four)
    })
}

/// The attributes inside an inode's record.
pub(crate) fn in_inode(inode: &Inode) -> Result<Vec<Attr<'_>>> {
    let Some(start) = inode.xattrs_at() else {
        return Ok(Vec::new());
    };
    let area = inode.raw.get(start..).unwrap_or_default();
    if crate::bytes::le32(area, 0) != Some(XATTR_MAGIC) {
        return Ok(Vec::new());
    }
    let place = inode
        .place
        .saturating_add(u64::try_from(start).unwrap_or(u64::MAX));
    parse(area, 4, 4, place).map_err(|e| e.through(format!("inode {}", inode.number)))
}

impl Ext4 {
    /// What inline data has beyond `i_block`.
    pub(crate) fn inline_rest<'a>(&self, inode: &'a Inode) -> Result<&'a [u8]> {
        let found = in_inode(inode)?
            .into_iter()
            .find(|a| a.index == SYSTEM && a.name == b"data");
        match found {
            Some(attr) if attr.inode != 0 => Err(inode.corrupt("inline data lies in another inode")),
            Some(attr) => Ok(attr.value),
            None => Ok(&[]),
        }
    }

    /// Shows all attributes a user of the filesystem sees.
    pub(crate) fn each_xattr(&self, inode: &Inode, each: &mut EachXattr<'_>) -> Result<()> {
        let mut meter = self.meter();
        for attr in in_inode(inode)? {
            if self.show(inode, attr, &mut meter, each)? {
                return Ok(());
            }
        }
        if inode.file_acl == 0 {
            return Ok(());
        }
        let place = self.blocks.offset(inode.file_acl);
        let through = |e: Error| e.through(format!("inode {}", inode.number));
        let block = self
            .blocks
            .get(inode.file_acl, "extended attribute block")
            .map_err(through)?;
        let bad = |what: String| Error::corrupt("extended attribute block", place, what);
        let header: &XattrHeader = at(&block, 0).ok_or_else(|| through(bad("is cut off".to_owned())))?;
        if header.magic.get() != XATTR_MAGIC || header.blocks.get() != 1 {
            return Err(through(bad(format!(
                "magic {:#010x} with {} blocks, expected {XATTR_MAGIC:#010x} with 1",
                header.magic.get(),
                header.blocks.get()
            ))));
        }
        if let Some(seed) = self.geo.seed {
            let (found, expected) = (header.checksum.get(), seed.xattr_block(inode.file_acl, &block));
            if found != expected {
                return Err(through(bad(format!(
                    "checksum {found:#010x}, computed {expected:#010x}"
                ))));
            }
        }
        for attr in parse(&block, 32, 0, place).map_err(through)? {
            if self.show(inode, attr, &mut meter, each)? {
                break;
            }
        }
        Ok(())
    }

    /// Shows one attribute; `true` when the caller has seen enough.
    fn show(
        &self,
        inode: &Inode,
        attr: Attr<'_>,
        meter: &mut Meter,
        each: &mut EachXattr<'_>,
    ) -> Result<bool> {
        let Some(prefix) = prefix(attr.index) else {
            return Ok(false);
        };
        if attr.index == SYSTEM && attr.name == b"data" {
            return Ok(false);
        }
        let name = [prefix, attr.name].concat();
        if attr.inode == 0 {
            return Ok(each(&name, attr.value).is_break());
        }
        let value = self.value_inode(inode, attr, meter)?;
        Ok(each(&name, &value).is_break())
    }

    /// A value in an inode of its own: `i_atime` holds its checksum, unless it was made the old way, where
    /// `i_mtime` names the owner.
    fn value_inode(&self, owner: &Inode, attr: Attr<'_>, meter: &mut Meter) -> Result<Vec<u8>> {
        let bad = |what: String| {
            owner.corrupt(format!(
                "the value of {:?} in inode {} {what}",
                String::from_utf8_lossy(attr.name),
                attr.inode
            ))
        };
        if !self.geo.has_incompat(incompat::EA_INODE) {
            return Err(bad("is not possible without the ea_inode feature".to_owned()));
        }
        let inode = self.any_inode(attr.inode)?;
        if !inode.has(inode_flag::EA_INODE) || inode.kind() != Some(FileKind::File) {
            return Err(bad("is not an attribute value".to_owned()));
        }
        if inode.has(inode_flag::ENCRYPT) || inode.size != u64::from(attr.size) {
            return Err(bad(format!("has {} bytes, {} expected", inode.size, attr.size)));
        }
        let value = self.whole(&inode, meter, "extended attribute value")?;
        if let Some(seed) = self.geo.seed {
            let (found, expected) = (inode.atime_raw, seed.xattr_value(&value));
            let old_way = inode.mtime_raw == owner.number && inode.generation == owner.generation;
            if found != expected && !old_way {
                return Err(bad(format!(
                    "has checksum {found:#010x}, computed {expected:#010x}"
                )));
            }
        }
        Ok(value)
    }
}
