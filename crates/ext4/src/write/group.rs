//! Group descriptors, to be changed: the primary copies only, as the kernel does.

use super::Ext4Writer;
use super::raw::{get16, get32, high16, low16, narrow, put, put16};
use crate::bytes::wide;
use crate::checksum::group_crc16;
use crate::feature::ro_compat;
use h2k_block::{Error, Result};

/// `bg_flags`: the inode bitmap was never written.
pub(super) const INODE_UNINIT: u16 = 1;
/// `bg_flags`: the block bitmap was never written.
pub(super) const BLOCK_UNINIT: u16 = 2;

/// The offsets of the two halves of a field (group_descr.rst).
#[derive(Clone, Copy)]
pub(super) struct Pair(usize, usize);

pub(super) const FREE_CLUSTERS: Pair = Pair(0x0c, 0x2c);
pub(super) const FREE_INODES: Pair = Pair(0x0e, 0x2e);
pub(super) const USED_DIRS: Pair = Pair(0x10, 0x30);
pub(super) const BLOCK_CSUM: Pair = Pair(0x18, 0x38);
pub(super) const INODE_CSUM: Pair = Pair(0x1a, 0x3a);
pub(super) const TABLE_UNUSED: Pair = Pair(0x1c, 0x32);
const FLAGS: usize = 0x12;
const CHECKSUM: usize = 0x1e;

/// One descriptor in memory.
#[derive(Clone, Debug)]
pub(super) struct Desc {
    pub(super) number: u32,
    block: u64,
    at: usize,
    place: u64,
    raw: Vec<u8>,
}

impl Desc {
    fn has_upper(&self) -> bool {
        self.raw.len() >= 64
    }

    pub(super) fn get(&self, field: Pair) -> u32 {
        let upper = if self.has_upper() {
            get16(&self.raw, field.1)
        } else {
            0
        };
        u32::from(get16(&self.raw, field.0)) | u32::from(upper).rotate_left(16)
    }

    pub(super) fn set(&mut self, field: Pair, value: u32) {
        put16(&mut self.raw, field.0, low16(value));
        if self.has_upper() {
            put16(&mut self.raw, field.1, high16(value));
        }
    }

    /// A field as the descriptor can keep it.
    pub(super) fn kept(&self, value: u32) -> u32 {
        crate::group::kept(value, self.has_upper())
    }

    fn place(&self, lo: usize, hi: usize) -> u64 {
        let upper = if self.has_upper() { get32(&self.raw, hi) } else { 0 };
        wide(get32(&self.raw, lo), upper)
    }

    pub(super) fn block_bitmap(&self) -> u64 {
        self.place(0, 0x20)
    }

    pub(super) fn inode_bitmap(&self) -> u64 {
        self.place(4, 0x24)
    }

    pub(super) fn inode_table(&self) -> u64 {
        self.place(8, 0x28)
    }

    pub(super) fn has_flag(&self, flag: u16) -> bool {
        get16(&self.raw, FLAGS) & flag != 0
    }

    pub(super) fn clear_flag(&mut self, flag: u16) {
        let flags = get16(&self.raw, FLAGS) & !flag;
        put16(&mut self.raw, FLAGS, flags);
    }

    pub(super) fn corrupt(&self, what: impl AsRef<str>) -> Error {
        Error::corrupt(
            "group descriptor",
            self.place,
            format!("group {}: {}", self.number, what.as_ref()),
        )
    }
}

impl Ext4Writer {
    /// Whether `bg_flags` and `bg_itable_unused` mean anything.
    pub(super) fn has_group_flags(&self) -> bool {
        self.fs.geo.has_ro(ro_compat::GDT_CSUM | ro_compat::METADATA_CSUM)
    }

    pub(super) fn desc(&self, number: u32) -> Result<Desc> {
        let geo = &self.fs.geo;
        let per = geo.descs_per_block();
        let nr = u64::from(number).checked_div(per).unwrap_or(0);
        let within = u64::from(number).checked_rem(per).unwrap_or(0);
        let at = narrow(within.saturating_mul(u64::from(geo.desc_size)));
        let block = self.fs.groups.primary(geo, nr);
        let held = self.fs.blocks.get(block, "group descriptor")?;
        let raw = held
            .get(at..)
            .and_then(|b| b.get(..usize::from(geo.desc_size)))
            .ok_or_else(|| Error::corrupt("group descriptor", block, "is cut off"))?
            .to_vec();
        let mut desc = Desc {
            number,
            block,
            at,
            place: self.fs.blocks.offset(block).saturating_add(super::raw::wide(at)),
            raw,
        };
        if !self.has_group_flags() {
            desc.clear_flag(INODE_UNINIT | BLOCK_UNINIT);
        }
        Ok(desc)
    }

    pub(super) fn save_desc(&mut self, desc: &mut Desc) -> Result<()> {
        let sum = if let Some(seed) = self.fs.geo.seed {
            seed.group(desc.number, &desc.raw)
        } else if self.fs.geo.has_ro(ro_compat::GDT_CSUM) {
            group_crc16(&self.fs.groups.superblock().uuid, desc.number, &desc.raw)
        } else {
            get16(&desc.raw, CHECKSUM)
        };
        put16(&mut desc.raw, CHECKSUM, sum);
        let mut bytes = self.get(desc.block, "group descriptor")?;
        put(&mut bytes, desc.at, &desc.raw);
        self.put(desc.block, &bytes)
    }
}
