//! Inode records: changing, making and deleting them.

use super::Ext4Writer;
use super::group::{BLOCK_UNINIT, Desc, FREE_INODES, INODE_CSUM, INODE_UNINIT, TABLE_UNUSED, USED_DIRS};
use super::raw::{
    bit, count_free, get16, get32, high16, high32, low16, low32, narrow, pad, put, put16, put32, set_bit,
    wide,
};
use crate::feature::{incompat, ro_compat};
use crate::inode::Inode;
use crate::layout::{EXTENT_MAGIC, GOOD_OLD_INODE_SIZE, inode_flag};
use h2k_block::{Class, Error, Result};
use h2k_fs::{FileKind, Node, Time};

/// `i_flags` that matter to a writer only.
pub(super) mod flag {
    pub(crate) const IMMUTABLE: u32 = 0x10;
    pub(crate) const APPEND: u32 = 0x20;
    pub(crate) const VERITY: u32 = 0x10_0000;
}

/// Offsets in the record (inodes.rst).
pub(super) mod at {
    pub(crate) const MODE: usize = 0x00;
    pub(crate) const UID: usize = 0x02;
    pub(crate) const SIZE: usize = 0x04;
    pub(crate) const ATIME: usize = 0x08;
    pub(crate) const CTIME: usize = 0x0c;
    pub(crate) const MTIME: usize = 0x10;
    pub(crate) const DTIME: usize = 0x14;
    pub(crate) const GID: usize = 0x18;
    pub(crate) const LINKS: usize = 0x1a;
    pub(crate) const BLOCKS: usize = 0x1c;
    pub(crate) const FLAGS: usize = 0x20;
    pub(crate) const BLOCK: usize = 0x28;
    pub(crate) const GENERATION: usize = 0x64;
    pub(crate) const FILE_ACL: usize = 0x68;
    pub(crate) const SIZE_HIGH: usize = 0x6c;
    pub(crate) const BLOCKS_HIGH: usize = 0x74;
    pub(crate) const ACL_HIGH: usize = 0x76;
    pub(crate) const UID_HIGH: usize = 0x78;
    pub(crate) const GID_HIGH: usize = 0x7a;
    pub(crate) const CHECKSUM: usize = 0x7c;
    pub(crate) const EXTRA_SIZE: usize = 0x80;
    pub(crate) const CHECKSUM_HIGH: usize = 0x82;
    pub(crate) const CTIME_EXTRA: usize = 0x84;
    pub(crate) const MTIME_EXTRA: usize = 0x88;
    pub(crate) const ATIME_EXTRA: usize = 0x8c;
    pub(crate) const CRTIME: usize = 0x90;
    pub(crate) const CRTIME_EXTRA: usize = 0x94;
}

/// A record that is being changed. `at` is its byte offset on the volume.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) number: u32,
    pub(super) at: u64,
    pub(super) raw: Vec<u8>,
}

impl Record {
    pub(super) fn flags(&self) -> u32 {
        get32(&self.raw, at::FLAGS)
    }

    pub(super) fn set_flag(&mut self, flag: u32, to: bool) {
        let flags = if to {
            self.flags() | flag
        } else {
            self.flags() & !flag
        };
        put32(&mut self.raw, at::FLAGS, flags);
    }

    pub(super) fn generation(&self) -> u32 {
        get32(&self.raw, at::GENERATION)
    }

    pub(super) fn links(&self) -> u16 {
        get16(&self.raw, at::LINKS)
    }

    pub(super) fn set_links(&mut self, links: u16) {
        put16(&mut self.raw, at::LINKS, links);
    }

    pub(super) fn set_size(&mut self, size: u64) {
        put32(&mut self.raw, at::SIZE, low32(size));
        put32(&mut self.raw, at::SIZE_HIGH, high32(size));
    }

    pub(super) fn set_mode(&mut self, mode: u16) {
        put16(&mut self.raw, at::MODE, mode);
    }

    pub(super) fn set_owner(&mut self, uid: Option<u32>, gid: Option<u32>) {
        for (id, lo, hi) in [(uid, at::UID, at::UID_HIGH), (gid, at::GID, at::GID_HIGH)] {
            if let Some(id) = id {
                put16(&mut self.raw, lo, low16(id));
                put16(&mut self.raw, hi, high16(id));
            }
        }
    }

    fn extra_size(&self) -> usize {
        if self.raw.len() > 128 {
            usize::from(get16(&self.raw, at::EXTRA_SIZE))
        } else {
            0
        }
    }

    fn holds(&self, field: usize) -> bool {
        field.saturating_add(4) <= self.extra_size().saturating_add(128)
    }

    /// Seconds with their two extra bits and nanoseconds (inodes.rst, "Inode Timestamps"); without room for those,
    /// the nearest moment that 32 bits can say.
    fn set_time(&mut self, field: usize, extra: usize, time: Time) {
        if self.holds(extra) {
            let [a, b, c, d, ..] = time.seconds.to_le_bytes();
            put(&mut self.raw, field, &[a, b, c, d]);
            let base = i64::from(i32::from_le_bytes([a, b, c, d]));
            let epoch = u32::try_from(time.seconds.saturating_sub(base) >> 32).unwrap_or(0) & 3;
            let nanos = time.nanos.min(999_999_999);
            put32(&mut self.raw, extra, (nanos << 2) | epoch);
        } else {
            let range = i64::from(i32::MIN)..=i64::from(i32::MAX);
            let seconds = time.seconds.clamp(*range.start(), *range.end());
            let [a, b, c, d, ..] = seconds.to_le_bytes();
            put(&mut self.raw, field, &[a, b, c, d]);
        }
    }

    pub(super) fn set_mtime(&mut self, time: Time) {
        self.set_time(at::MTIME, at::MTIME_EXTRA, time);
    }

    pub(super) fn set_ctime(&mut self, time: Time) {
        self.set_time(at::CTIME, at::CTIME_EXTRA, time);
    }

    pub(super) fn set_atime(&mut self, time: Time) {
        self.set_time(at::ATIME, at::ATIME_EXTRA, time);
    }

    /// Fills `i_block`: `bytes`, then zeros.
    pub(super) fn set_area(&mut self, bytes: &[u8]) {
        let mut area = [0; 60];
        for (to, from) in area.iter_mut().zip(bytes) {
            *to = *from;
        }
        put(&mut self.raw, at::BLOCK, &area);
    }

    /// An extent tree without extents.
    pub(super) fn set_empty_tree(&mut self) {
        let mut root = [0; 12];
        put16(&mut root, 0, EXTENT_MAGIC);
        put16(&mut root, 4, 4);
        self.set_area(&root);
    }

    pub(super) fn set_acl(&mut self, block: u64, wide: bool) {
        put32(&mut self.raw, at::FILE_ACL, low32(block));
        if wide {
            put16(&mut self.raw, at::ACL_HIGH, low16(high32(block)));
        }
    }
}

impl Ext4Writer {
    /// The record of an inode that is in use.
    pub(super) fn record(&self, inode: &Inode) -> Record {
        Record {
            number: inode.number,
            at: inode.place,
            raw: inode.raw.to_vec(),
        }
    }

    /// What the reader makes of a record.
    pub(super) fn parsed(&self, record: &Record) -> Result<Inode> {
        let unchecked = crate::geometry::Geometry {
            seed: None,
            ..self.fs.geo.clone()
        };
        Inode::parse(&unchecked, record.number, record.at, &record.raw)
    }

    /// Writes a record, with its checksum.
    pub(super) fn save(&mut self, record: &mut Record) -> Result<()> {
        if let Some(seed) = self.fs.geo.seed {
            let has_hi = record.raw.len() > 128 && record.extra_size() >= 4;
            let sum = seed
                .inode(record.number, record.generation())
                .inode_record(&record.raw, has_hi);
            put16(&mut record.raw, at::CHECKSUM, low16(sum));
            if has_hi {
                put16(&mut record.raw, at::CHECKSUM_HIGH, high16(sum));
            }
        }
        let block = record.at.checked_shr(self.fs.geo.block_bits).unwrap_or(0);
        let within = narrow(record.at.saturating_sub(self.fs.blocks.offset(block)));
        let mut bytes = self.get(block, "inode table")?;
        put(&mut bytes, within, &record.raw);
        self.put(block, &bytes)
    }

    /// `i_blocks`, from the clusters that content, map and attributes take.
    pub(super) fn set_blocks(&self, record: &mut Record, clusters: u64) -> Result<()> {
        let geo = &self.fs.geo;
        let blocks = clusters.checked_shl(geo.cluster_bits).unwrap_or(u64::MAX);
        let sectors = blocks.saturating_mul(geo.block_size() >> 9);
        let huge = geo.has_ro(ro_compat::HUGE_FILE);
        let (count, in_blocks) = if sectors >> 32 == 0 || (huge && sectors >> 48 == 0) {
            (sectors, false)
        } else {
            (blocks, true)
        };
        if count >> (if huge { 48 } else { 32 }) != 0 {
            return Err(Error::new(
                Class::Limit,
                format!("inode {} cannot count {blocks} blocks", record.number),
            ));
        }
        put32(&mut record.raw, at::BLOCKS, low32(count));
        if huge {
            put16(&mut record.raw, at::BLOCKS_HIGH, low16(high32(count)));
            record.set_flag(inode_flag::HUGE_FILE, in_blocks);
        }
        Ok(())
    }

    /// An inode that may be changed: in use, and nothing about it is beyond this writer.
    pub(super) fn writable(&self, node: Node) -> Result<Inode> {
        let inode = self.fs.inode(node)?;
        self.check_writable(&inode)?;
        Ok(inode)
    }

    pub(super) fn check_writable(&self, inode: &Inode) -> Result<()> {
        let refuse = |what: &str| {
            Err(Error::unsupported(format!("inode {} {what}", inode.number)).at("inode", inode.place))
        };
        if inode.has(inode_flag::ENCRYPT) {
            return refuse("is encrypted (fscrypt) and cannot be written without its key");
        }
        if inode.has(flag::VERITY) {
            return refuse("is protected by fs-verity and cannot be changed");
        }
        if inode.has(inode_flag::CASEFOLD) {
            return refuse("ignores the case of names (casefold), which is not written yet");
        }
        if inode.has(flag::IMMUTABLE) || inode.has(flag::APPEND) {
            return Err(Error::new(
                Class::ReadOnly,
                format!("inode {} is marked immutable or append-only", inode.number),
            )
            .at("inode", inode.place)
            .advise("clear the mark inside the guest with chattr first"));
        }
        Ok(())
    }

    /// The same, and a directory.
    pub(super) fn writable_dir(&self, node: Node) -> Result<Inode> {
        let inode = self.fs.directory(node)?;
        self.check_writable(&inode)?;
        Ok(inode)
    }

    /// The first block of the group an inode belongs to: where its content would like to be.
    pub(super) fn home(&self, number: u32) -> u64 {
        let group = number
            .saturating_sub(1)
            .checked_div(self.fs.geo.group_inodes)
            .unwrap_or(0);
        self.fs.geo.group_start(group)
    }

    fn inode_bits(&self, desc: &Desc) -> Result<Vec<u8>> {
        let count = u64::from(self.fs.geo.group_inodes);
        let mut bits = if desc.has_flag(INODE_UNINIT) {
            vec![0; self.block_size()]
        } else {
            let place = desc.inode_bitmap();
            if !self.fs.blocks.holds(place, 1) {
                return Err(desc.corrupt(format!("its inode bitmap lies at block {place}")));
            }
            let bits = self.get(place, "inode bitmap")?;
            if let Some(seed) = self.fs.geo.seed {
                let sum = seed.bitmap(bits.get(..narrow(count.div_ceil(8))).unwrap_or(&bits));
                let (found, expected) = (desc.kept(desc.get(INODE_CSUM)), desc.kept(sum));
                if found != expected {
                    return Err(desc.corrupt(format!(
                        "its inode bitmap has checksum {found:#x}, computed {expected:#x}"
                    )));
                }
            }
            bits
        };
        pad(&mut bits, count);
        let (free, said) = (count_free(&bits, count), u64::from(desc.get(FREE_INODES)));
        if free != said {
            return Err(desc
                .corrupt(format!(
                    "its inode bitmap has {free} free inodes, the descriptor says {said}"
                ))
                .advise("fsck has to be run before this filesystem can be written to"));
        }
        Ok(bits)
    }

    fn save_inode_bits(&mut self, desc: &mut Desc, bits: &[u8]) -> Result<()> {
        let place = desc.inode_bitmap();
        if !self.fs.blocks.holds(place, 1) {
            return Err(desc.corrupt(format!("its inode bitmap lies at block {place}")));
        }
        self.put(place, bits)?;
        let count = u64::from(self.fs.geo.group_inodes);
        let free = count_free(bits, count);
        desc.set(FREE_INODES, u32::try_from(free).unwrap_or(u32::MAX));
        desc.clear_flag(INODE_UNINIT);
        if let Some(seed) = self.fs.geo.seed {
            let sum = seed.bitmap(bits.get(..narrow(count.div_ceil(8))).unwrap_or(bits));
            desc.set(INODE_CSUM, sum);
        }
        self.save_desc(desc)
    }

    /// Takes a free inode, in the group of `near` or the next one that has any, and makes a fresh record of it.
    pub(super) fn new_inode(&mut self, near: u32, kind: FileKind, mode: u16) -> Result<Record> {
        let geo = self.fs.geo.clone();
        let home = near.saturating_sub(1).checked_div(geo.group_inodes).unwrap_or(0);
        for turn in 0..geo.groups {
            let group = home.saturating_add(turn).checked_rem(geo.groups).unwrap_or(0);
            let mut desc = self.desc(group)?;
            if desc.get(FREE_INODES) == 0 {
                continue;
            }
            let mut bits = self.inode_bits(&desc)?;
            let base = group.saturating_mul(geo.group_inodes);
            let first = if group == 0 {
                geo.first_ino.saturating_sub(1)
            } else {
                0
            };
            let end = geo.group_inodes.min(geo.inodes.saturating_sub(base));
            let Some(index) = (first..end).find(|n| !bit(&bits, u64::from(*n))) else {
                continue;
            };
            set_bit(&mut bits, u64::from(index), true);
            if desc.has_flag(BLOCK_UNINIT) {
                // As the kernel does: a group with inodes has a bitmap that was written.
                let blocks = self.block_bits(&desc)?;
                self.save_block_bits(&mut desc, &blocks)?;
            }
            if kind == FileKind::Dir {
                let dirs = desc.get(USED_DIRS).saturating_add(1);
                desc.set(USED_DIRS, dirs);
            }
            if self.has_group_flags() {
                let after = geo.group_inodes.saturating_sub(index).saturating_sub(1);
                let unused = desc.get(TABLE_UNUSED).min(after);
                desc.set(TABLE_UNUSED, unused);
            }
            self.save_inode_bits(&mut desc, &bits)?;
            let number = base.saturating_add(index).saturating_add(1);
            let within = u64::from(index).saturating_mul(u64::from(geo.inode_size));
            let at = self.fs.blocks.offset(desc.inode_table()).saturating_add(within);
            return self.fresh(number, at, kind, mode);
        }
        Err(Error::new(
            Class::NoSpace,
            "the filesystem has no free inodes left",
        ))
    }

    fn fresh(&self, number: u32, place: u64, kind: FileKind, mode: u16) -> Result<Record> {
        let geo = &self.fs.geo;
        let sb = self.fs.groups.superblock();
        let mut old = vec![0; usize::from(geo.inode_size)];
        self.fs.blocks.read(place, &mut old, "inode table")?;
        let mut record = Record {
            number,
            at: place,
            raw: vec![0; usize::from(geo.inode_size)],
        };
        let generation = get32(&old, at::GENERATION).wrapping_add(1);
        put32(&mut record.raw, at::GENERATION, generation);
        if geo.inode_size > GOOD_OLD_INODE_SIZE {
            let room = geo.inode_size.saturating_sub(GOOD_OLD_INODE_SIZE);
            let wanted = sb.want_extra_isize.get().max(sb.min_extra_isize.get());
            let extra = if wanted == 0 || wanted > room || !wanted.is_multiple_of(4) {
                32
            } else {
                wanted
            };
            put16(&mut record.raw, at::EXTRA_SIZE, extra);
        }
        let format: u16 = match kind {
            FileKind::Dir => 0o040_000,
            FileKind::Link => 0o120_000,
            _ => 0o100_000,
        };
        record.set_mode(format | (mode & 0o7777));
        record.set_links(1);
        record.set_atime(self.now);
        record.set_ctime(self.now);
        record.set_mtime(self.now);
        if record.holds(at::CRTIME_EXTRA) {
            record.set_time(at::CRTIME, at::CRTIME_EXTRA, self.now);
        }
        if geo.has_incompat(incompat::EXTENTS) {
            record.set_flag(inode_flag::EXTENTS, true);
            record.set_empty_tree();
        }
        Ok(record)
    }

    /// Gives an inode back whose content is gone already.
    pub(super) fn drop_inode(&mut self, record: &mut Record, is_dir: bool) -> Result<()> {
        let geo = self.fs.geo.clone();
        let index = record.number.saturating_sub(1);
        let mut desc = self.desc(index.checked_div(geo.group_inodes).unwrap_or(0))?;
        let mut bits = self.inode_bits(&desc)?;
        let within = u64::from(index.checked_rem(geo.group_inodes).unwrap_or(0));
        if !bit(&bits, within) {
            return Err(desc.corrupt(format!(
                "inode {} is in use, but its bitmap says that it is free",
                record.number
            )));
        }
        set_bit(&mut bits, within, false);
        if is_dir {
            let dirs = desc.get(USED_DIRS).saturating_sub(1);
            desc.set(USED_DIRS, dirs);
        }
        self.save_inode_bits(&mut desc, &bits)?;
        // What is left is the moment of deletion. Small numbers there are taken for a list of orphans by fsck.
        let moment = u32::try_from(self.now.seconds).unwrap_or(u32::MAX);
        let moment = moment.max(geo.inodes.saturating_add(1));
        let keep = record.generation();
        let extra = record.extra_size();
        let len = record.raw.len();
        record.raw = vec![0; len];
        put32(&mut record.raw, at::GENERATION, keep);
        put32(&mut record.raw, at::DTIME, moment);
        if wide(len) > 128 {
            put16(&mut record.raw, at::EXTRA_SIZE, u16::try_from(extra).unwrap_or(0));
        }
        self.save(record)
    }
}
