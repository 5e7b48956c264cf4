//! Group descriptors, to be changed: the primary copies only, as the kernel does.

use super::Ext4Writer;
use super::raw::{get16, get32, high16, low16, narrow, put, put16};
use crate::bytes::wide;
use crate::checksum::group_crc16;
use crate::feature::ro_compat;
use crate::volume::Ext4;
use h2k_block::{Error, Result};

/// `bg_flags`: the inode bitmap was never written.
pub(crate) const INODE_UNINIT: u16 = 1;
/// `bg_flags`: the block bitmap was never written.
pub(crate) const BLOCK_UNINIT: u16 = 2;

/// The offsets of the two halves of a field (group_descr.rst).
#[derive(Clone, Copy)]
pub(crate) struct Pair(usize, usize);

pub(crate) const FREE_CLUSTERS: Pair = Pair(0x0c, 0x2c);
pub(crate) const FREE_INODES: Pair = Pair(0x0e, 0x2e);
pub(crate) const USED_DIRS: Pair = Pair(0x10, 0x30);
pub(crate) const BLOCK_CSUM: Pair = Pair(0x18, 0x38);
pub(crate) const INODE_CSUM: Pair = Pair(0x1a, 0x3a);
pub(crate) const TABLE_UNUSED: Pair = Pair(0x1c, 0x32);
const FLAGS: usize = 0x12;
const CHECKSUM: usize = 0x1e;

/// One descriptor in memory.
#[derive(Clone, Debug)]
pub(crate) struct Desc {
    pub(crate) number: u32,
    block: u64,
    at: usize,
    pub(crate) place: u64,
    raw: Vec<u8>,
    /// Says that parts were never written, which means nothing without checksums of groups.
    pub(crate) stray: bool,
}

impl Desc {
    fn has_upper(&self) -> bool {
        self.raw.len() >= 64
    }

    pub(crate) fn get(&self, field: Pair) -> u32 {
        let upper = if self.has_upper() {
            get16(&self.raw, field.1)
        } else {
            0
        };
        u32::from(get16(&self.raw, field.0)) | u32::from(upper).rotate_left(16)
    }

    pub(crate) fn set(&mut self, field: Pair, value: u32) {
        put16(&mut self.raw, field.0, low16(value));
        if self.has_upper() {
            put16(&mut self.raw, field.1, high16(value));
        }
    }

    /// A field as the descriptor can keep it.
    pub(crate) fn kept(&self, value: u32) -> u32 {
        crate::group::kept(value, self.has_upper())
    }

    fn place(&self, lo: usize, hi: usize) -> u64 {
        let upper = if self.has_upper() { get32(&self.raw, hi) } else { 0 };
        wide(get32(&self.raw, lo), upper)
    }

    pub(crate) fn block_bitmap(&self) -> u64 {
        self.place(0, 0x20)
    }

    pub(crate) fn inode_bitmap(&self) -> u64 {
        self.place(4, 0x24)
    }

    pub(crate) fn inode_table(&self) -> u64 {
        self.place(8, 0x28)
    }

    pub(crate) fn has_flag(&self, flag: u16) -> bool {
        get16(&self.raw, FLAGS) & flag != 0
    }

    pub(crate) fn clear_flag(&mut self, flag: u16) {
        let flags = get16(&self.raw, FLAGS) & !flag;
        put16(&mut self.raw, FLAGS, flags);
    }

    pub(crate) fn corrupt(&self, what: impl AsRef<str>) -> Error {
        Error::corrupt(
            "group descriptor",
            self.place,
            format!("group {}: {}", self.number, what.as_ref()),
        )
    }
}

impl Desc {
    /// The checksum it has to have; what it says where the filesystem has none.
    pub(crate) fn sum(&self, fs: &Ext4) -> u16 {
        if let Some(seed) = fs.geo.seed {
            seed.group(self.number, &self.raw)
        } else if fs.geo.has_ro(ro_compat::GDT_CSUM) {
            group_crc16(&fs.groups.superblock().uuid, self.number, &self.raw)
        } else {
            self.said()
        }
    }

    /// The checksum as stored.
    pub(crate) fn said(&self) -> u16 {
        get16(&self.raw, CHECKSUM)
    }
}

impl Ext4 {
    /// Whether `bg_flags` and `bg_itable_unused` mean anything.
    pub(crate) fn has_group_flags(&self) -> bool {
        self.geo.has_ro(ro_compat::GDT_CSUM | ro_compat::METADATA_CSUM)
    }

    /// The primary descriptor of a group, unchecked.
    pub(crate) fn desc(&self, number: u32) -> Result<Desc> {
        let geo = &self.geo;
        let per = geo.descs_per_block();
        let nr = u64::from(number).checked_div(per).unwrap_or(0);
        let within = u64::from(number).checked_rem(per).unwrap_or(0);
        let at = narrow(within.saturating_mul(u64::from(geo.desc_size)));
        let block = self.groups.primary(geo, nr);
        let held = self.blocks.get(block, "group descriptor")?;
        let raw = held
            .get(at..)
            .and_then(|b| b.get(..usize::from(geo.desc_size)))
            .ok_or_else(|| Error::corrupt("group descriptor", block, "is cut off"))?
            .to_vec();
        let mut desc = Desc {
            number,
            block,
            at,
            place: self.blocks.offset(block).saturating_add(super::raw::wide(at)),
            raw,
            stray: false,
        };
        if !self.has_group_flags() {
            desc.stray = desc.has_flag(INODE_UNINIT | BLOCK_UNINIT) || desc.get(TABLE_UNUSED) != 0;
            desc.clear_flag(INODE_UNINIT | BLOCK_UNINIT);
        }
        Ok(desc)
    }
}

impl Ext4Writer {
    /// As [`Ext4::has_group_flags`].
    pub(crate) fn has_group_flags(&self) -> bool {
        self.fs.has_group_flags()
    }

    pub(crate) fn desc(&self, number: u32) -> Result<Desc> {
        self.fs.desc(number)
    }

    pub(crate) fn save_desc(&mut self, desc: &mut Desc) -> Result<()> {
        let sum = desc.sum(&self.fs);
        put16(&mut desc.raw, CHECKSUM, sum);
        let mut bytes = self.get(desc.block, "group descriptor")?;
        put(&mut bytes, desc.at, &desc.raw);
        self.put(desc.block, &bytes)
    }
}
