//! Making VMDKs.

mod flat;
mod sparse;
mod stream;

use super::layout::{LINE_ENDS, SECTOR, SPARSE_MAGIC, SparseExtentHeader};
use super::options::{Kind, Options};
use h2k_block::{Class, Error, HostFile, Output, Result, Sink};
use std::sync::Arc;

/// Sectors in a grain, and entries in a grain table, as in every VMDK VMware makes.
const GRAIN: u64 = 128;
const GRAIN_BYTES: u64 = GRAIN * SECTOR;
const ENTRIES: u64 = 512;
/// Sectors in a grain table.
const TABLE: u64 = ENTRIES * 4 / SECTOR;
/// Bytes of the disk that a grain table covers.
const REACH: u64 = GRAIN_BYTES * ENTRIES;
/// Sectors set aside for the descriptor.
const DESCRIPTOR: u64 = 20;
/// The largest disk: VMware's own limit, 62 TiB, rounded up.
const LARGEST: u64 = 64 << 40;
/// A file grows in such steps while it is written, and is cut at the end.
const STEP: u64 = 16 << 20;

/// Starts a container for `len` bytes in `file`.
pub(crate) fn create(
    file: Arc<dyn HostFile>,
    another: &mut dyn FnMut(&str) -> Result<Arc<dyn HostFile>>,
    options: &Options,
    len: u64,
) -> Result<Box<dyn Sink>> {
    // Tables and grains nobody writes have to read as zero.
    if !file.is_empty() {
        return Err(Error::new(
            Class::Invalid,
            format!(
                "a VMDK is made in an empty file, and {} is none",
                file.name().display()
            ),
        ));
    }
    if len > LARGEST {
        return Err(Error::unsupported(format!(
            "a VMDK holds at most 64 TiB, the disk has {len} bytes"
        )));
    }
    // What a disk has beyond its last whole sector gets one of its own, filled up with zeros.
    let capacity = len.div_ceil(SECTOR);
    match options.kind {
        Kind::MonolithicSparse => {
            let text = options.descriptor(capacity, "SPARSE", &name(&*file, options)?, "")?;
            Ok(Box::new(sparse::SparseSink::new(file, text, capacity)?))
        }
        Kind::StreamOptimized => {
            let text = options.descriptor(capacity, "SPARSE", &name(&*file, options)?, "")?;
            Ok(Box::new(stream::StreamSink::new(
                file,
                text,
                options.level,
                capacity,
            )?))
        }
        Kind::MonolithicFlat => {
            let flat = another("-flat.vmdk")?;
            let text = options.descriptor(capacity, "FLAT", &own_name(&*flat)?, " 0")?;
            Ok(Box::new(flat::FlatSink::new(file, flat, text, capacity)?))
        }
    }
}

/// The name for the extent line of an image that is its own extent.
fn name(file: &dyn HostFile, options: &Options) -> Result<String> {
    match &options.name {
        Some(name) => Ok(name.clone()),
        None => own_name(file),
    }
}

/// What `file` will be called, without its directory.
fn own_name(file: &dyn HostFile) -> Result<String> {
    let path = Output::final_name(file.name());
    let name = path.file_name().unwrap_or_else(|| "disk.vmdk".as_ref());
    name.to_str().map(str::to_owned).ok_or_else(|| {
        Error::new(
            Class::Invalid,
            format!(
                "the file name {} is not UTF-8 and cannot be written into a descriptor",
                name.display()
            ),
        )
    })
}

/// The header all sparse extents share.
fn header(version: u32, flags: u32, capacity: u64) -> SparseExtentHeader {
    SparseExtentHeader {
        magic_number: SPARSE_MAGIC,
        version: version.into(),
        flags: flags.into(),
        capacity: capacity.into(),
        grain_size: GRAIN.into(),
        descriptor_offset: 1.into(),
        descriptor_size: DESCRIPTOR.into(),
        num_gtes_per_gt: u32::try_from(ENTRIES).unwrap_or(512).into(),
        rgd_offset: 0.into(),
        gd_offset: 0.into(),
        over_head: 0.into(),
        unclean_shutdown: 0,
        line_ends: LINE_ENDS,
        compress_algorithm: 0.into(),
        pad: [0; 433],
    }
}

/// Grain tables needed for `capacity` sectors.
fn tables(capacity: u64) -> u64 {
    capacity.div_ceil(GRAIN * ENTRIES)
}

/// The number of a sector as tables hold it.
fn sector_number(sector: u64) -> Result<u32> {
    u32::try_from(sector).map_err(|_| {
        Error::unsupported("the file would exceed 2 TiB, which is as far as the grain tables of a VMDK reach")
            .advise("make a monolithicFlat VMDK, or another format")
    })
}

/// Makes `file` reach up to `sector`, in large steps.
fn grow(file: &dyn HostFile, sector: u64) -> Result<()> {
    let end = sector.saturating_mul(SECTOR);
    if end > file.len() {
        file.set_len(end.next_multiple_of(STEP))?;
    }
    Ok(())
}

/// The grain table being filled. Pieces ascend, so there is one at a time.
struct OpenTable {
    number: u64,
    entries: Vec<u8>,
    used: bool,
}

impl OpenTable {
    fn new() -> Self {
        Self {
            number: 0,
            entries: vec![0; usize::try_from(ENTRIES * 4).unwrap_or(2048)],
            used: false,
        }
    }

    /// Sets the entry for the grain at byte `start` of the disk, which this table covers.
    fn set(&mut self, start: u64, sector: u32) {
        let index = usize::try_from(start / GRAIN_BYTES % ENTRIES).unwrap_or(0);
        if let Some(entry) = self.entries.as_chunks_mut::<4>().0.get_mut(index) {
            *entry = sector.to_le_bytes();
            self.used = true;
        }
    }

    /// Empties the table for the number `next`.
    fn turn(&mut self, next: u64) {
        self.entries.fill(0);
        self.used = false;
        self.number = next;
    }
}
