//! The superblock, checked once: what the rest of the room knows of the volume.

use crate::feature::{self, features2, incompat, version};
use crate::layout::{SUPERBLOCK_CRC, Superblock, crc_agrees};
use h2k_block::{BlockRead, Class, Error, Result};
use zerocopy::FromBytes;

/// The facts of a volume after validation. Sizes in bytes unless the name says otherwise.
#[derive(Clone, Debug)]
pub(crate) struct Geometry {
    pub(crate) v5: bool,
    pub(crate) block: u32,
    pub(crate) block_log: u32,
    pub(crate) sector: u32,
    pub(crate) inode: u32,
    pub(crate) inodes_per_block_log: u32,
    pub(crate) blocks: u64,
    pub(crate) ag_blocks: u32,
    pub(crate) ag_blocks_log: u32,
    pub(crate) ag_count: u32,
    pub(crate) root: u64,
    pub(crate) dir_block: u32,
    /// First block of the internal log as an fsblock number, and its length in blocks.
    pub(crate) log_start: u64,
    pub(crate) log_blocks: u32,
    pub(crate) free_blocks: u64,
    pub(crate) inode_count: u64,
    pub(crate) inode_free: u64,
    pub(crate) inode_max_percent: u8,
    pub(crate) ftype: bool,
    pub(crate) ascii_ci: bool,
    pub(crate) has_crc: bool,
    pub(crate) uuid: [u8; 16],
    pub(crate) label: [u8; 12],
    pub(crate) versionnum: u16,
    pub(crate) features2: u32,
    pub(crate) incompat: u32,
    pub(crate) ro_compat: u32,
}

const NAME: &str = "superblock";

fn bad(place: u64, what: String) -> Error {
    Error::corrupt(NAME, place, what)
}

/// A size and its logarithm that have to agree and lie between two powers of two.
fn power(name: &str, place: u64, size: u32, log: u8, range: std::ops::RangeInclusive<u32>) -> Result<u32> {
    let log = u32::from(log);
    if !range.contains(&log) || 1_u32.checked_shl(log) != Some(size) {
        return Err(bad(
            place,
            format!("{name} is {size} with logarithm {log}, expected 2^{range:?}"),
        ));
    }
    Ok(log)
}

/// The bytes at `at` as a superblock, whatever they are.
pub(crate) fn raw(disk: &dyn BlockRead, at: u64) -> Result<Superblock> {
    let mut sector = vec![0; 512];
    disk.read_at(at, &mut sector).map_err(|e| e.at(NAME, at))?;
    let (sb, _) = Superblock::read_from_prefix(&sector).map_err(|_| bad(at, "is too short".to_owned()))?;
    Ok(sb)
}

/// Reads and checks the superblock at byte `at` of `disk`. Warnings go to `warn`.
pub(crate) fn read(disk: &dyn BlockRead, at: u64, warn: &mut dyn FnMut(String)) -> Result<Geometry> {
    let sb = raw(disk, at)?;
    let place = |field: u64| at.saturating_add(field);
    if sb.magicnum != *b"XFSB" {
        return Err(bad(
            place(0),
            format!("magic is {:02x?}, expected \"XFSB\"", sb.magicnum),
        ));
    }
    let number = sb.versionnum.get() & 0xf;
    let v5 = match number {
        4 => false,
        5 => true,
        1..=3 => {
            return Err(
                Error::unsupported(format!("XFS version {number} (IRIX) is not read")).at(NAME, place(100)),
            );
        }
        _ => return Err(bad(place(100), format!("version is {number}, expected 4 or 5"))),
    };
    let sector_log = power(
        "sector size",
        place(102),
        sb.sectsize.get().into(),
        sb.sectlog,
        9..=15,
    )?;
    if v5 {
        check_crc(disk, at, sb.sectsize.get().into())?;
        refuse_unknown(&sb, at)?;
        if sb.features_incompat.get() & incompat::NEEDSREPAIR != 0 {
            warn("the volume is marked as needing xfs_repair".to_owned());
        }
    }
    let block_log = power("block size", place(4), sb.blocksize.get(), sb.blocklog, 9..=16)?;
    let inode_log = power(
        "inode size",
        place(104),
        sb.inodesize.get().into(),
        sb.inodelog,
        8..=11,
    )?;
    if inode_log > block_log || sector_log > block_log {
        return Err(bad(
            place(104),
            "an inode or a sector is larger than a block".to_owned(),
        ));
    }
    let inodes_per_block_log = block_log.saturating_sub(inode_log);
    if u32::from(sb.inopblog) != inodes_per_block_log {
        return Err(bad(
            place(123),
            format!(
                "inodes per block has logarithm {}, expected {inodes_per_block_log}",
                sb.inopblog
            ),
        ));
    }
    let ag_blocks = sb.agblocks.get();
    let ag_blocks_log = u32::from(sb.agblklog);
    if ag_blocks == 0
        || ag_blocks_log > 31
        || ag_blocks.checked_next_power_of_two().map(u32::ilog2) != Some(ag_blocks_log)
    {
        return Err(bad(
            place(84),
            format!("an allocation group has {ag_blocks} blocks with logarithm {ag_blocks_log}"),
        ));
    }
    let blocks = sb.dblocks.get();
    let ag_count = sb.agcount.get();
    if ag_count == 0 || blocks.div_ceil(ag_blocks.into()) != u64::from(ag_count) {
        return Err(bad(
            place(88),
            format!("{ag_count} allocation groups of {ag_blocks} blocks do not make {blocks} blocks"),
        ));
    }
    let room = disk.len() >> block_log;
    if blocks > room {
        warn(format!(
            "the volume has room for {room} blocks, the superblock counts {blocks}: it was cut off"
        ));
    }
    let dir_log = block_log.saturating_add(sb.dirblklog.into());
    if dir_log > 16 {
        return Err(bad(
            place(192),
            format!("directory blocks have 2^{dir_log} bytes, at most 2^16 are allowed"),
        ));
    }
    // mkfs leaves the mark in every copy.
    if sb.inprogress != 0 && at == 0 {
        warn("mkfs.xfs did not finish on this volume".to_owned());
    }
    if sb.rblocks.get() != 0 {
        warn("the filesystem has a realtime device: files on it are refused".to_owned());
    }
    let more = sb.versionnum.get() & version::MOREBITS != 0;
    let features2 = if more { sb.features2.get() } else { 0 };
    Ok(Geometry {
        v5,
        block: sb.blocksize.get(),
        block_log,
        sector: sb.sectsize.get().into(),
        inode: sb.inodesize.get().into(),
        inodes_per_block_log,
        blocks,
        ag_blocks,
        ag_blocks_log,
        ag_count,
        root: sb.rootino.get(),
        dir_block: 1_u32.checked_shl(dir_log).unwrap_or(0),
        log_start: sb.logstart.get(),
        log_blocks: sb.logblocks.get(),
        free_blocks: sb.fdblocks.get(),
        inode_count: sb.icount.get(),
        inode_free: sb.ifree.get(),
        inode_max_percent: sb.imax_pct,
        ftype: if v5 {
            sb.features_incompat.get() & incompat::FTYPE != 0
        } else {
            features2 & features2::FTYPE != 0
        },
        ascii_ci: sb.versionnum.get() & version::BORG != 0,
        has_crc: v5,
        uuid: sb.uuid,
        label: sb.fname,
        versionnum: sb.versionnum.get(),
        features2,
        incompat: if v5 { sb.features_incompat.get() } else { 0 },
        ro_compat: if v5 { sb.features_ro_compat.get() } else { 0 },
    })
    .and_then(|g| {
        if g.versionnum & version::DIRV2 == 0 && !v5 {
            Err(Error::unsupported("version 1 directories (IRIX) are not read").at(NAME, place(100)))
        } else {
            Ok(g)
        }
    })
}

fn check_crc(disk: &dyn BlockRead, at: u64, sector: u64) -> Result<()> {
    let mut whole = vec![0; usize::try_from(sector).unwrap_or(512)];
    disk.read_at(at, &mut whole).map_err(|e| e.at(NAME, at))?;
    if crc_agrees(&whole, SUPERBLOCK_CRC) {
        Ok(())
    } else {
        Err(bad(
            at.saturating_add(u64::try_from(SUPERBLOCK_CRC).unwrap_or(0)),
            "the checksum does not agree with the content".to_owned(),
        ))
    }
}

fn refuse_unknown(sb: &Superblock, at: u64) -> Result<()> {
    let unknown = sb.features_incompat.get() & !feature::INCOMPAT_READ;
    if unknown == 0 {
        return Ok(());
    }
    let names = feature::names(unknown, &feature::INCOMPAT).join(", ");
    Err(Error::new(
        Class::Unsupported,
        format!("the filesystem needs features that are not read: {names}"),
    )
    .at(NAME, at.saturating_add(216)))
}

impl Geometry {
    /// Byte offset of a block of an allocation group; `None` when the group or the volume has no such block.
    pub(crate) fn ag_byte(&self, ag: u32, block: u32) -> Option<u64> {
        if ag >= self.ag_count || block >= self.ag_blocks {
            return None;
        }
        let number = u64::from(ag)
            .checked_mul(self.ag_blocks.into())?
            .checked_add(block.into())?;
        (number < self.blocks).then(|| number << self.block_log)
    }

    /// Allocation group and block within it of an fsblock number; `None` when the volume has no such block.
    pub(crate) fn split(&self, fsblock: u64) -> Option<(u32, u32)> {
        let ag = u32::try_from(fsblock.checked_shr(self.ag_blocks_log)?).ok()?;
        let mask = 1_u64.checked_shl(self.ag_blocks_log)?.saturating_sub(1);
        let block = u32::try_from(fsblock & mask).ok()?;
        self.ag_byte(ag, block).map(|_| (ag, block))
    }

    /// Byte offset of `count` blocks that begin at an fsblock number and have to lie in one allocation group.
    pub(crate) fn byte(&self, fsblock: u64, count: u64) -> Option<u64> {
        let (ag, block) = self.split(fsblock)?;
        let last = u64::from(block).checked_add(count)?.checked_sub(1)?;
        self.ag_byte(ag, u32::try_from(last).ok()?)?;
        self.ag_byte(ag, block)
    }

    /// Byte offset of an inode; `None` when the volume cannot have it.
    pub(crate) fn inode_byte(&self, number: u64) -> Option<u64> {
        let bits = self.ag_blocks_log.checked_add(self.inodes_per_block_log)?;
        let ag = u32::try_from(number.checked_shr(bits)?).ok()?;
        let within = number & 1_u64.checked_shl(bits)?.saturating_sub(1);
        let block = u32::try_from(within >> self.inodes_per_block_log).ok()?;
        let index = within & 1_u64.checked_shl(self.inodes_per_block_log)?.saturating_sub(1);
        self.ag_byte(ag, block)?
            .checked_add(index.checked_mul(self.inode.into())?)
    }

    /// Whether the filesystem can hold wide timestamps or wide extent counters.
    pub(crate) fn allows(&self, bit: u32) -> bool {
        self.incompat & bit != 0
    }
}
