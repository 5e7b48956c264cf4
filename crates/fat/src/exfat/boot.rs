//! The boot region and its backup.

use super::layout::{Boot, UNSUMMED, flag};
use h2k_block::{BlockRead, Error, Result};
use zerocopy::FromBytes;

const NAME: &str = "main boot sector";
/// Sectors of a boot region that are summed up; one more holds the sum.
const SUMMED: u64 = 11;

/// What the boot sector says, checked.
#[derive(Clone, Debug)]
pub(crate) struct Geometry {
    pub(crate) cluster_bits: u32,
    pub(crate) fat_at: u64,
    pub(crate) fat_len: u64,
    pub(crate) heap: u64,
    pub(crate) clusters: u32,
    pub(crate) root: u32,
    pub(crate) serial: u32,
    /// Whether the second FAT and bitmap of TexFAT are the ones in use.
    pub(crate) second: bool,
    pub(crate) dirty: bool,
    pub(crate) failure: bool,
}

/// Whether `disk` begins with the name of exFAT.
pub(crate) fn probe(disk: &dyn BlockRead) -> Result<bool> {
    let mut name = [0; 8];
    if disk.len() < 512 {
        return Ok(false);
    }
    disk.read_at(3, &mut name)?;
    Ok(name == *b"EXFAT   ")
}

/// The main boot region, or the backup where that is damaged and the backup is not.
pub(crate) fn read(disk: &dyn BlockRead, warn: &mut dyn FnMut(String)) -> Result<Geometry> {
    let main = region(disk, 0);
    if let Ok((found, true)) = main {
        return Ok(found);
    }
    // Where the backup begins depends on the size of a sector, which may be what is damaged.
    for shift in 9..=12_u8 {
        if let Ok((found, true)) = region(disk, 12_u64 << shift) {
            warn("the main boot region is damaged; its backup was used".to_owned());
            return Ok(found);
        }
    }
    let (found, _) = main?;
    warn("neither boot region agrees with its checksum; the main one was used".to_owned());
    Ok(found)
}

/// The region at byte `at`, and whether its checksum agrees.
fn region(disk: &dyn BlockRead, at: u64) -> Result<(Geometry, bool)> {
    let mut bytes = [0; 120];
    if disk.len() < at.saturating_add(512) {
        return Err(Error::corrupt(NAME, at, "lies behind the end of the volume"));
    }
    disk.read_at(at, &mut bytes)?;
    let boot = Boot::read_from_bytes(&bytes).map_err(|_| Error::corrupt(NAME, at, "is too short"))?;
    let found = geometry(&boot, disk.len()).map_err(|what| Error::corrupt(NAME, at, what))?;
    // A volume too small for its region has no checksum that could agree.
    let whole = summed(disk, at, boot.sector_shift).unwrap_or(false);
    Ok((found, whole))
}

fn geometry(boot: &Boot, room: u64) -> std::result::Result<Geometry, String> {
    if boot.name != *b"EXFAT   " {
        return Err("does not hold the name EXFAT".to_owned());
    }
    let [_, major] = boot.revision.get().to_le_bytes();
    if major != 1 {
        return Err(format!("revision {major}, 1 is known"));
    }
    let shift = u32::from(boot.sector_shift);
    let bits = shift.saturating_add(boot.cluster_shift.into());
    if !(9..=12).contains(&shift) || bits > 25 {
        return Err(format!(
            "sectors of 2^{shift} and clusters of 2^{bits} bytes; 2^9 to 2^12 and at most 2^25 are allowed"
        ));
    }
    if !matches!(boot.fats, 1 | 2) {
        return Err(format!("{} tables, 1 or 2 are allowed", boot.fats));
    }
    let bytes = |sectors: u32| u64::from(sectors) << shift;
    let fat_len = bytes(boot.fat_length.get());
    let flags = boot.flags.get();
    let second = boot.fats == 2 && flags & flag::SECOND_FAT != 0;
    let heap = bytes(boot.heap_offset.get());
    let count = u64::from(boot.cluster_count.get());
    let entries = fat_len / 4;
    if heap >= room || count == 0 || count > 0xffff_fff5 || entries < count.saturating_add(2) {
        return Err(format!(
            "{count} clusters from {heap:#x} on, {entries} entries in the table, {room:#x} bytes in the volume"
        ));
    }
    Ok(Geometry {
        cluster_bits: bits,
        fat_at: bytes(boot.fat_offset.get()).saturating_add(if second { fat_len } else { 0 }),
        fat_len,
        heap,
        clusters: boot.cluster_count.get(),
        root: boot.root_cluster.get(),
        serial: boot.serial.get(),
        second,
        dirty: flags & flag::DIRTY != 0,
        failure: flags & flag::FAILURE != 0,
    })
}

/// Whether the eleven sectors from `at` on add up to what the twelfth repeats (section 3.4).
fn summed(disk: &dyn BlockRead, at: u64, shift: u8) -> Result<bool> {
    let mut sum = 0_u32;
    let mut sector = vec![0; 1_usize.checked_shl(shift.into()).unwrap_or(512)];
    for n in 0..=SUMMED {
        disk.read_at(at.saturating_add(n << shift), &mut sector)?;
        if n == SUMMED {
            break;
        }
        for (i, byte) in sector.iter().enumerate() {
            if n > 0 || !UNSUMMED.contains(&i) {
                sum = sum.rotate_right(1).wrapping_add((*byte).into());
            }
        }
    }
    Ok(sector.as_chunks::<4>().0.iter().all(|c| *c == sum.to_le_bytes()))
}
