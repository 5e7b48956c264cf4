//! Hosted sparse extents and streams: header, footer, grain directories.

use super::layout::{
    COMPRESSION_DEFLATE, COMPRESSION_NONE, FLAG_COMPRESSED, FLAG_LINE_ENDS, FLAG_MARKERS, FLAG_REDUNDANT,
    FLAG_ZERO_GRAINS, GD_AT_END, INCOMPATIBLE_FLAGS, LINE_ENDS, MARKER_FOOTER, MetadataMarker, SECTOR,
    SPARSE_MAGIC, SparseExtentHeader,
};
use super::sparse::{Books, Coding, Directory, Entries, Shape, Sparse, words};
use h2k_block::{BlockRead, Error, HostFile, Meter, Result};
use std::sync::Arc;
use zerocopy::FromBytes;

/// Largest grain, in sectors: 1 MiB, so that a worker's buffers stay small. VMware uses 64 KiB.
const LARGEST_GRAIN: u64 = 2048;

/// A hosted sparse extent, and what its header says.
pub(super) struct Hosted {
    pub(super) sparse: Sparse,
    pub(super) header: SparseExtentHeader,
    pub(super) warnings: Vec<String>,
}

/// Whether `head` begins a hosted sparse extent.
pub(super) fn sniff(head: &[u8]) -> bool {
    head.starts_with(&SPARSE_MAGIC)
}

/// Reads header (or footer) and grain directory.
pub(super) fn open(file: Arc<dyn HostFile>, first_table: u64, meter: &mut Meter) -> Result<Hosted> {
    let first = header_at(&*file, 0, "sparse extent header")?;
    let header = if first.gd_offset.get() == GD_AT_END {
        footer(&*file, &first)?
    } else {
        first
    };
    let shape = shape(&header)?;
    let mut warnings = Vec::new();
    if header.unclean_shutdown != 0 {
        warnings
            .push("the extent was not closed cleanly: the machine that wrote it may have crashed".to_owned());
    }
    let unknown =
        header.flags.get() & !INCOMPATIBLE_FLAGS & !(FLAG_LINE_ENDS | FLAG_REDUNDANT | FLAG_ZERO_GRAINS);
    if unknown != 0 {
        warnings.push(format!("unknown compatible flags {unknown:#x} were passed over"));
    }
    let primary = directory(&*file, &shape, header.gd_offset.get(), meter);
    let has_copy = header.flags.get() & FLAG_REDUNDANT != 0 && header.rgd_offset.get() != 0;
    let copy = has_copy.then(|| directory(&*file, &shape, header.rgd_offset.get(), meter));
    let (directory, redundant) = match (primary, copy) {
        (Ok(primary), None) => (primary, None),
        (Ok(primary), Some(Ok(copy))) => (primary, Some(copy)),
        (Ok(primary), Some(Err(e))) => {
            warnings.push(format!(
                "the redundant grain directory is damaged and was left out ({e})"
            ));
            (primary, None)
        }
        (Err(e), Some(Ok(copy))) => {
            warnings.push(format!(
                "the grain directory is damaged; the redundant one is used instead ({e})"
            ));
            (copy, None)
        }
        (Err(e), _) => return Err(e),
    };
    Ok(Hosted {
        sparse: Sparse {
            file,
            shape,
            directory,
            redundant,
            books: books(&header, &shape),
            first_table,
        },
        header,
        warnings,
    })
}

/// Everything but grains and tables; all of it is inside the file, or nothing would have been opened.
fn books(header: &SparseExtentHeader, shape: &Shape) -> Books {
    let directory = shape.tables().saturating_mul(4).next_multiple_of(SECTOR);
    let at = |sectors: u64| sectors.saturating_mul(SECTOR);
    let twins = header.flags.get() & FLAG_REDUNDANT != 0 && header.rgd_offset.get() != 0;
    let mut metadata = vec![
        (0, SECTOR),
        (
            at(header.descriptor_offset.get()),
            at(header.descriptor_size.get()),
        ),
        (at(header.gd_offset.get()), directory),
    ];
    if twins {
        metadata.push((at(header.rgd_offset.get()), directory));
    }
    let markers = shape.coding == Coding::Zlib { lba: true };
    Books {
        metadata,
        twins,
        markers: markers.then(|| at(header.over_head.get())),
        packed: shape.coding == Coding::Plain,
    }
}

/// The header at `offset`, its own fields checked.
pub(super) fn header_at(file: &dyn BlockRead, offset: u64, what: &'static str) -> Result<SparseExtentHeader> {
    let mut bytes = [0_u8; 512];
    if offset.checked_add(SECTOR).is_none_or(|end| end > file.len()) {
        return Err(Error::corrupt(
            what,
            offset,
            format!("the file ends at {:#x}, before the header does", file.len()),
        ));
    }
    file.read_at(offset, &mut bytes)?;
    let corrupt = |why: String| Error::corrupt(what, offset, why);
    let header =
        SparseExtentHeader::read_from_bytes(&bytes).map_err(|_| corrupt("it is too short".to_owned()))?;
    if header.magic_number != SPARSE_MAGIC {
        return Err(corrupt(format!(
            "it begins with {:02x?}, not with \"KDMV\"",
            header.magic_number
        )));
    }
    let version = header.version.get();
    if !(1..=3).contains(&version) {
        return Err(Error::unsupported(format!(
            "sparse extent version {version}; versions 1 to 3 are known"
        ))
        .at(what, offset));
    }
    if header.flags.get() & FLAG_LINE_ENDS != 0 && header.line_ends != LINE_ENDS {
        let found = header.line_ends;
        let only_line_ends = found.iter().all(|b| matches!(b, b'\n' | b'\r' | b' '));
        return Err(if only_line_ends {
            corrupt(format!(
                "its line-end bytes are {found:02x?} instead of {LINE_ENDS:02x?}: the file went through a transfer \
                 that changes line ends (FTP in text mode)"
            ))
            .advise("transfer the file again in binary mode")
        } else {
            corrupt(format!(
                "its line-end bytes are {found:02x?} instead of {LINE_ENDS:02x?}"
            ))
        });
    }
    Ok(header)
}

/// The footer, which takes the header's place when the grain directory is at the end.
fn footer(file: &dyn BlockRead, first: &SparseExtentHeader) -> Result<SparseExtentHeader> {
    let incomplete = |why: &str| {
        Error::corrupt(
            "footer",
            file.len(),
            format!("{why}: the end of the file is missing, the download or export is probably incomplete"),
        )
        .advise("transfer the file again and compare its size and checksum with the manifest (.mf)")
    };
    // The last three sectors: footer marker, footer, end of stream.
    let Some(at) = file.len().checked_sub(3 * SECTOR) else {
        return Err(incomplete("there is no room for one"));
    };
    let mut bytes = [0_u8; 512];
    file.read_at(at, &mut bytes)?;
    let marker = MetadataMarker::read_from_bytes(&bytes).map_err(|_| incomplete("there is none"))?;
    if marker.marker.size.get() != 0 || marker.kind.get() != MARKER_FOOTER {
        return Err(incomplete("there is no footer marker"));
    }
    let at = at.saturating_add(SECTOR);
    let footer = header_at(file, at, "footer")?;
    if footer.gd_offset.get() == GD_AT_END {
        return Err(Error::corrupt(
            "footer",
            at,
            "it does not say where the grain directory is",
        ));
    }
    let differs = footer.capacity != first.capacity
        || footer.grain_size != first.grain_size
        || footer.num_gtes_per_gt != first.num_gtes_per_gt
        || footer.flags != first.flags
        || footer.compress_algorithm != first.compress_algorithm;
    if differs {
        return Err(Error::corrupt(
            "footer",
            at,
            "it describes another disk than the header",
        ));
    }
    Ok(SparseExtentHeader {
        descriptor_offset: first.descriptor_offset,
        descriptor_size: first.descriptor_size,
        ..footer
    })
}

fn shape(header: &SparseExtentHeader) -> Result<Shape> {
    const WHAT: &str = "sparse extent header";
    let flags = header.flags.get();
    let unknown = flags & INCOMPATIBLE_FLAGS & !(FLAG_COMPRESSED | FLAG_MARKERS);
    if unknown != 0 {
        return Err(Error::unsupported(format!("unknown incompatible flags {unknown:#x}")).at(WHAT, 8));
    }
    let grain = header.grain_size.get();
    if !grain.is_power_of_two() || grain > LARGEST_GRAIN {
        return Err(Error::corrupt(
            WHAT,
            20,
            format!("a grain of {grain} sectors; a power of two up to {LARGEST_GRAIN} was expected"),
        ));
    }
    let entries = u64::from(header.num_gtes_per_gt.get());
    if !entries.is_power_of_two() || entries > 512 {
        return Err(Error::corrupt(
            WHAT,
            44,
            format!("{entries} entries in a grain table; a power of two up to 512 was expected"),
        ));
    }
    let coding = match (flags & FLAG_COMPRESSED != 0, header.compress_algorithm.get()) {
        (false, COMPRESSION_NONE) => Coding::Plain,
        (true, COMPRESSION_DEFLATE) => Coding::Zlib {
            lba: flags & FLAG_MARKERS != 0,
        },
        (compressed, algorithm) => {
            let word = if compressed { "set" } else { "not set" };
            return Err(Error::unsupported(format!(
                "compression method {algorithm} with the flag for compressed grains {word}"
            ))
            .at(WHAT, 77));
        }
    };
    let capacity = header
        .capacity
        .get()
        .checked_mul(SECTOR)
        .filter(|c| *c >> 63 == 0)
        .ok_or_else(|| Error::corrupt(WHAT, 12, "a capacity of more than 2^63 bytes"))?;
    Ok(Shape {
        capacity,
        grain: grain.saturating_mul(SECTOR),
        entries_per_table: entries,
        entries: Entries::Sectors {
            zero_grains: flags & FLAG_ZERO_GRAINS != 0,
        },
        coding,
    })
}

/// Reads the grain directory at `sector`; every table it names has to be inside the file.
fn directory(file: &dyn BlockRead, shape: &Shape, sector: u64, meter: &mut Meter) -> Result<Directory> {
    let offset = sector.checked_mul(SECTOR).filter(|o| *o != 0).ok_or_else(|| {
        Error::corrupt(
            "grain directory",
            0,
            format!("it is said to be at sector {sector:#x}"),
        )
    })?;
    let mut places = Directory::room(file, shape, offset, 4, meter)?;
    // The last table may be cut off after its last entry in use.
    words::<4>(file, offset, shape.tables(), &mut |i, word| {
        let sector = u32::from_le_bytes(word);
        let at = u64::from(sector).saturating_mul(SECTOR);
        let covered = shape.capacity.saturating_sub(i.saturating_mul(shape.reach()));
        let used = covered
            .div_ceil(shape.grain)
            .min(shape.entries_per_table)
            .saturating_mul(4);
        if sector == u32::MAX || (sector != 0 && at.saturating_add(used) > file.len()) {
            return Err(Error::corrupt(
                "grain directory",
                offset,
                format!(
                    "entry {i} is sector {sector:#x}, past the end of the file ({:#x} sectors)",
                    file.len() / SECTOR
                ),
            )
            .advise("the file was probably cut short: compare its length with the original's"));
        }
        places.push(match sector {
            0 => 0,
            // The last number there is was refused above: one more would not fit.
            _ => sector.saturating_add(1),
        });
        Ok(())
    })?;
    Ok(Directory {
        places,
        base: 0,
        unit: SECTOR,
    })
}
