//! The boot sector: where everything lies.

use crate::layout::{Bpb, FsInfo, Head32, Tail16};
use crate::table::{Table, Width};
use h2k_block::{BlockRead, Error, Result};
use zerocopy::FromBytes;

const NAME: &str = "boot sector";
/// Most clusters of FAT12 (section 3.5); one more is FAT16.
const MOST_12: u64 = 4084;
/// Most clusters of FAT16 that Linux accepts: entries from 0xfff7 on have meanings.
const MOST_16: u64 = 0xfff4;
const MOST_32: u64 = 0x0fff_fff4;

/// Where the root directory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Root {
    /// FAT12 and FAT16: between the tables and the clusters, so many bytes at this byte.
    Fixed { at: u64, len: u64 },
    /// FAT32: a chain like any other.
    Cluster(u32),
}

/// What the boot sector says, checked.
#[derive(Clone, Debug)]
pub(crate) struct Geometry {
    pub(crate) width: Width,
    pub(crate) sector: u64,
    /// Binary logarithm of the bytes of a cluster.
    pub(crate) cluster_bits: u32,
    pub(crate) media: u8,
    /// Byte and length of the first table, and how many there are.
    pub(crate) fat_at: u64,
    pub(crate) fat_len: u64,
    pub(crate) fats: u64,
    /// The only table that is kept up to date, where FAT32 says so.
    pub(crate) active: Option<u64>,
    pub(crate) root: Root,
    pub(crate) heap: u64,
    pub(crate) clusters: u32,
    /// Bytes of the volume.
    pub(crate) len: u64,
    pub(crate) serial: Option<u32>,
    /// Label in the boot sector; the root directory's counts more.
    pub(crate) label: [u8; 11],
    pub(crate) dirty: bool,
    /// A disk error was met when the volume was used last.
    pub(crate) worn: bool,
    pub(crate) info: Option<u64>,
}

/// Why a sector is no boot sector of FAT.
type Wrong = String;

/// The boot sector of `disk`, or its backup.
pub(crate) fn read(disk: &dyn BlockRead, warn: &mut dyn FnMut(String)) -> Result<Geometry> {
    let wrong = match sector(disk, 0)? {
        Some(bytes) => match geometry(&bytes) {
            Ok(found) => return fits(disk, found, warn),
            Err(wrong) => wrong,
        },
        None => "the volume is smaller than a sector".to_owned(),
    };
    // FAT32 keeps a copy in sector 6 (section 3.3); how large sectors are is in the part that is damaged.
    for size in [512_u64, 1024, 2048, 4096] {
        if let Some(bytes) = sector(disk, size.saturating_mul(6))?
            && let Ok(found) = geometry(&bytes)
            && found.width == Width::Fat32
            && found.sector == size
        {
            warn(format!(
                "the boot sector is damaged ({wrong}); its backup was used"
            ));
            return fits(disk, found, warn);
        }
    }
    Err(Error::corrupt(NAME, 0, wrong))
}

/// Whether `disk` begins with a boot sector of FAT.
pub(crate) fn probe(disk: &dyn BlockRead) -> Result<bool> {
    Ok(sector(disk, 0)?.is_some_and(|bytes| geometry(&bytes).is_ok()))
}

fn sector(disk: &dyn BlockRead, at: u64) -> Result<Option<[u8; 512]>> {
    let mut bytes = [0; 512];
    if disk.len() < at.saturating_add(512) {
        return Ok(None);
    }
    disk.read_at(at, &mut bytes)?;
    Ok(Some(bytes))
}

fn fits(disk: &dyn BlockRead, found: Geometry, warn: &mut dyn FnMut(String)) -> Result<Geometry> {
    if found.heap > disk.len() {
        let what = format!(
            "clusters begin at {:#x}, the volume has {:#x} bytes",
            found.heap,
            disk.len()
        );
        return Err(Error::corrupt(NAME, 0, what));
    }
    if found.len > disk.len() {
        warn(format!(
            "the volume is cut off: {} of {} bytes are there",
            disk.len(),
            found.len
        ));
    }
    Ok(found)
}

fn geometry(bytes: &[u8; 512]) -> std::result::Result<Geometry, Wrong> {
    let short = || "is too short".to_owned();
    let (bpb, rest) = Bpb::read_from_prefix(bytes).map_err(|_| short())?;
    let (head, tail_32) = Head32::read_from_prefix(rest).map_err(|_| short())?;
    let sector = u64::from(bpb.bytes_per_sector.get());
    if !sector.is_power_of_two() || !(512..=4096).contains(&sector) {
        return Err(format!("sectors of {sector} bytes, 512 to 4096 are allowed"));
    }
    let per_cluster = u64::from(bpb.sectors_per_cluster);
    if !per_cluster.is_power_of_two() {
        return Err(format!("{per_cluster} sectors in a cluster, no power of two"));
    }
    if !(bpb.media == 0xf0 || bpb.media >= 0xf8) {
        return Err(format!(
            "media byte {:#x}, 0xf0 or 0xf8 to 0xff are allowed",
            bpb.media
        ));
    }
    let reserved = u64::from(bpb.reserved_sectors.get());
    let fats = u64::from(bpb.fats);
    if reserved == 0 || fats == 0 {
        return Err(format!(
            "{reserved} reserved sectors and {fats} tables, neither may be none"
        ));
    }
    // As Linux has it: no 16-bit size of the table means FAT32, whatever the count of clusters.
    let fat32 = bpb.fat_sectors_16.get() == 0;
    let fat_sectors = if fat32 {
        u64::from(head.fat_sectors_32.get())
    } else {
        u64::from(bpb.fat_sectors_16.get())
    };
    if fat_sectors == 0 {
        return Err("tables of no sectors".to_owned());
    }
    let total = match bpb.total_sectors_16.get() {
        0 => u64::from(bpb.total_sectors_32.get()),
        n => u64::from(n),
    };
    let root_len = u64::from(bpb.root_entries.get()).saturating_mul(32);
    let tables_end = reserved.saturating_add(fats.saturating_mul(fat_sectors));
    let heap = tables_end.saturating_add(root_len.div_ceil(sector));
    let data = total.checked_sub(heap).filter(|d| *d >= per_cluster);
    let data = data.ok_or_else(|| format!("{total} sectors, {heap} of them before the first cluster"))?;
    // `per_cluster` is a power of two, so it is not zero.
    let clusters = data.checked_div(per_cluster).unwrap_or(0);
    let (width, most) = match clusters {
        _ if fat32 => (Width::Fat32, MOST_32),
        0..=MOST_12 => (Width::Fat12, MOST_12),
        _ => (Width::Fat16, MOST_16),
    };
    let fat_len = fat_sectors.saturating_mul(sector);
    // A table may be too short for all clusters: those behind it do not exist.
    let clusters = clusters.min(Table::entries(width, fat_len).saturating_sub(2));
    if clusters == 0 || clusters > most {
        return Err(format!("{clusters} clusters, at most {most} are allowed"));
    }
    let tail = if fat32 { tail_32 } else { rest };
    let (tail, _) = Tail16::read_from_prefix(tail).map_err(|_| short())?;
    let signed = matches!(tail.signature, 0x28 | 0x29);
    let flags = head.flags.get();
    let info = u64::from(head.info_sector.get());
    let root_at = tables_end.saturating_mul(sector);
    Ok(Geometry {
        width,
        sector,
        cluster_bits: per_cluster.saturating_mul(sector).trailing_zeros(),
        media: bpb.media,
        fat_at: reserved.saturating_mul(sector),
        fat_len,
        fats,
        active: (fat32 && flags & 0x80 != 0)
            .then(|| u64::from(flags & 0xf))
            .filter(|n| *n < fats),
        root: if fat32 {
            Root::Cluster(head.root_cluster.get())
        } else {
            Root::Fixed {
                at: root_at,
                len: root_len,
            }
        },
        heap: heap.saturating_mul(sector),
        clusters: u32::try_from(clusters).unwrap_or(u32::MAX),
        len: total.saturating_mul(sector),
        serial: signed.then(|| tail.serial.get()).filter(|s| *s != 0),
        label: if tail.signature == 0x29 {
            tail.label
        } else {
            [b' '; 11]
        },
        dirty: tail.state & 1 != 0 && signed,
        worn: tail.state & 2 != 0 && signed,
        info: (fat32 && info != 0 && info < reserved).then(|| info.saturating_mul(sector)),
    })
}

/// FSInfo, whose signatures are there.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn info(disk: &dyn BlockRead, at: u64) -> Result<FsInfo> {
    let mut bytes = [0; 512];
    disk.read_at(at, &mut bytes)?;
    let info = FsInfo::read_from_bytes(&bytes).map_err(|_| Error::corrupt("FSInfo", at, "is too short"))?;
    if info.lead != *b"RRaA" || info.structure != *b"rrAa" || info.trail != [0, 0, 0x55, 0xaa] {
        return Err(Error::corrupt("FSInfo", at, "its signatures are not there"));
    }
    Ok(info)
}
