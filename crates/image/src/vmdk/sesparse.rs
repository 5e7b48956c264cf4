//! Space-efficient sparse extents (`SESPARSE`): snapshots of VMFS 6. Not in VMware's technical note; the layout
//! is what published descriptions of the format and a real extent agree on.

use super::layout::{
    SECTOR, SESPARSE_MAGIC, SESPARSE_VERSION, SESPARSE_VOLATILE_MAGIC, SeSparseHeader, SeSparseRegion,
    SeSparseVolatile,
};
use super::sparse::{Books, Coding, Directory, Entries, Shape, Sparse, words};
use h2k_block::{Error, HostFile, Meter, Result};
use std::sync::Arc;
use zerocopy::FromBytes;

const WHAT: &str = "SESPARSE header";
/// Sectors in a grain and in a grain table: the only values in use.
const GRAIN: u64 = 8;
const TABLE: u64 = 64;

/// Whether `head` begins a space-efficient sparse extent.
pub(super) fn sniff(head: &[u8]) -> bool {
    let Some((magic, rest)) = head.split_first_chunk::<8>() else {
        return false;
    };
    u64::from_le_bytes(*magic) == SESPARSE_MAGIC
        && rest
            .first_chunk::<8>()
            .is_some_and(|v| u64::from_le_bytes(*v) == SESPARSE_VERSION)
}

/// Reads both headers and the grain directory.
pub(super) fn open(file: Arc<dyn HostFile>, first_table: u64, meter: &mut Meter) -> Result<Sparse> {
    let mut bytes = [0_u8; 512];
    if file.len() < SECTOR {
        return Err(Error::corrupt(
            WHAT,
            0,
            format!("the file has only {} bytes", file.len()),
        ));
    }
    file.read_at(0, &mut bytes)?;
    let header =
        SeSparseHeader::read_from_bytes(&bytes).map_err(|_| Error::corrupt(WHAT, 0, "it is too short"))?;
    if header.magic.get() != SESPARSE_MAGIC {
        return Err(Error::corrupt(
            WHAT,
            0,
            format!("its magic is {:#x}, not {SESPARSE_MAGIC:#x}", header.magic),
        ));
    }
    if header.version.get() != SESPARSE_VERSION {
        return Err(Error::unsupported(format!(
            "SESPARSE version {:#x}; {SESPARSE_VERSION:#x} is known",
            header.version
        ))
        .at(WHAT, 8));
    }
    if header.grain_size.get() != GRAIN || header.grain_table_size.get() != TABLE {
        return Err(Error::unsupported(format!(
            "grains of {} and tables of {} sectors; {GRAIN} and {TABLE} are known",
            header.grain_size, header.grain_table_size
        ))
        .at(WHAT, 24));
    }
    if header.flags.get() != 0 {
        return Err(Error::unsupported(format!("unknown flags {:#x}", header.flags)).at(WHAT, 40));
    }
    settled(&file, &header)?;
    let offset = |region: SeSparseRegion| region.offset.get().saturating_mul(SECTOR);
    let shape = Shape {
        capacity: header
            .capacity
            .get()
            .checked_mul(SECTOR)
            .filter(|c| *c >> 63 == 0)
            .ok_or_else(|| Error::corrupt(WHAT, 16, "a capacity of more than 2^63 bytes"))?,
        grain: GRAIN * SECTOR,
        entries_per_table: TABLE * SECTOR / 8,
        entries: Entries::Numbers {
            grains: offset(header.grains),
        },
        coding: Coding::Plain,
    };
    let at = offset(header.grain_directory);
    let tables = offset(header.grain_tables);
    let room = header.grain_tables.size.get() / TABLE;
    let mut places = Directory::room(&*file, &shape, at, 8, meter)?;
    words::<8>(&*file, at, shape.tables(), &mut |i, word| {
        let word = u64::from_le_bytes(word);
        let number = word & 0xffff_ffff;
        let end = number
            .saturating_add(1)
            .saturating_mul(TABLE * SECTOR)
            .saturating_add(tables);
        places.push(match (word, word >> 32) {
            (0, _) => 0,
            (_, 0x1000_0000) if number < room && end <= file.len() => {
                u32::try_from(number.saturating_add(1)).unwrap_or(u32::MAX)
            }
            _ => {
                return Err(Error::corrupt(
                    "grain directory",
                    at,
                    format!("entry {i} is {word:#x}; a grain table below {room:#x} was expected"),
                ));
            }
        });
        Ok(())
    })?;
    Ok(Sparse {
        file,
        shape,
        directory: Directory {
            places,
            base: tables,
            unit: TABLE * SECTOR,
        },
        redundant: None,
        books: Books {
            metadata: vec![(0, SECTOR), (at, shape.tables().saturating_mul(8))],
            ..Books::default()
        },
        first_table,
    })
}

/// Refuses an extent whose journal has to be replayed first.
fn settled(file: &Arc<dyn HostFile>, header: &SeSparseHeader) -> Result<()> {
    const WHAT: &str = "SESPARSE volatile header";
    let at = header.volatile_header.offset.get().saturating_mul(SECTOR);
    if at.checked_add(SECTOR).is_none_or(|end| end > file.len()) {
        return Err(Error::corrupt(WHAT, at, "it is past the end of the file"));
    }
    let mut bytes = [0_u8; 512];
    file.read_at(at, &mut bytes)?;
    let volatile =
        SeSparseVolatile::read_from_bytes(&bytes).map_err(|_| Error::corrupt(WHAT, at, "too short"))?;
    if volatile.magic.get() != SESPARSE_VOLATILE_MAGIC {
        return Err(Error::corrupt(
            WHAT,
            at,
            format!(
                "its magic is {:#x}, not {SESPARSE_VOLATILE_MAGIC:#x}",
                volatile.magic
            ),
        ));
    }
    if volatile.replay_journal.get() != 0 {
        return Err(Error::unsupported(
            "the extent's journal has to be replayed first, which only ESXi can do",
        )
        .at(WHAT, at)
        .advise("open the disk once on ESXi (vmkfstools -x check), then copy it again"));
    }
    Ok(())
}
