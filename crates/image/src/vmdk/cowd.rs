//! ESX server sparse extents (`COWD`): redo logs and snapshots of VMFS before SESPARSE.

use super::layout::{COWD_ENTRIES, COWD_MAGIC, CowdHeader, SECTOR};
use super::sparse::{Books, Coding, Directory, Entries, Shape, Sparse, words};
use h2k_block::{Error, HostFile, Meter, Result};
use std::sync::Arc;
use zerocopy::FromBytes;

const WHAT: &str = "COWD header";

/// Whether `head` begins a COWD extent.
pub(super) fn sniff(head: &[u8]) -> bool {
    head.starts_with(&COWD_MAGIC)
}

/// Reads header and grain directory.
pub(super) fn open(
    file: Arc<dyn HostFile>,
    first_table: u64,
    meter: &mut Meter,
    warnings: &mut Vec<String>,
) -> Result<Sparse> {
    let mut bytes = [0_u8; 2048];
    if file.len() < 2048 {
        return Err(Error::corrupt(
            WHAT,
            0,
            format!("the file has only {} bytes", file.len()),
        ));
    }
    file.read_at(0, &mut bytes)?;
    let header =
        CowdHeader::read_from_bytes(&bytes).map_err(|_| Error::corrupt(WHAT, 0, "it is too short"))?;
    if header.magic_number != COWD_MAGIC {
        return Err(Error::corrupt(
            WHAT,
            0,
            format!("it begins with {:02x?}, not with \"COWD\"", header.magic_number),
        ));
    }
    if header.version.get() != 1 {
        return Err(
            Error::unsupported(format!("COWD version {}; version 1 is known", header.version)).at(WHAT, 4),
        );
    }
    let grain = u64::from(header.grain_size.get());
    if !grain.is_power_of_two() || grain > 2048 {
        return Err(Error::corrupt(
            WHAT,
            16,
            format!("a grain of {grain} sectors; a power of two up to 2048 was expected"),
        ));
    }
    let shape = Shape {
        capacity: u64::from(header.num_sectors.get()).saturating_mul(SECTOR),
        grain: grain.saturating_mul(SECTOR),
        entries_per_table: COWD_ENTRIES,
        entries: Entries::Sectors { zero_grains: false },
        coding: Coding::Plain,
    };
    let entries = u64::from(header.num_gd_entries.get());
    if entries < shape.tables() {
        return Err(Error::corrupt(
            WHAT,
            24,
            format!(
                "{entries} grain directory entries, the capacity needs {}",
                shape.tables()
            ),
        ));
    }
    let offset = u64::from(header.gd_offset.get()).saturating_mul(SECTOR);
    if offset == 0 {
        return Err(Error::corrupt(
            WHAT,
            20,
            "the grain directory is said to be at sector 0",
        ));
    }
    if header.unclean_shutdown.get() != 0 {
        warnings
            .push("the extent was not closed cleanly: the host that wrote it may have crashed".to_owned());
    }
    let mut places = Directory::room(&*file, &shape, offset, 4, meter)?;
    words::<4>(&*file, offset, shape.tables(), &mut |i, word| {
        let sector = u32::from_le_bytes(word);
        let covered = shape.capacity.saturating_sub(i.saturating_mul(shape.reach()));
        let used = covered.div_ceil(shape.grain).min(COWD_ENTRIES).saturating_mul(4);
        let end = u64::from(sector).saturating_mul(SECTOR).saturating_add(used);
        if sector == u32::MAX || (sector != 0 && end > file.len()) {
            return Err(Error::corrupt(
                "grain directory",
                offset,
                format!(
                    "entry {i} is sector {sector:#x}, past the end of the file ({:#x} sectors)",
                    file.len() / SECTOR
                ),
            ));
        }
        places.push(if sector == 0 { 0 } else { sector.saturating_add(1) });
        Ok(())
    })?;
    Ok(Sparse {
        file,
        shape,
        directory: Directory {
            places,
            base: 0,
            unit: SECTOR,
        },
        redundant: None,
        books: Books {
            metadata: vec![(0, 4 * SECTOR), (offset, shape.tables().saturating_mul(4))],
            ..Books::default()
        },
        first_table,
    })
}
