use super::super::layout::{FLAG_LINE_ENDS, FLAG_REDUNDANT, SECTOR};
use super::{
    DESCRIPTOR, ENTRIES, GRAIN, GRAIN_BYTES, OpenTable, REACH, TABLE, grow, header, sector_number, tables,
};
use h2k_block::{Batch, Body, HostFile, Result, Sink};
use std::sync::{Arc, Mutex, PoisonError};
use zerocopy::IntoBytes;

/// monolithicSparse, as VMware lays it out: every table has its place before the first grain, twice. Tables
/// without grains are holes of the host's file.
pub(super) struct SparseSink {
    file: Arc<dyn HostFile>,
    descriptor: String,
    /// In sectors.
    capacity: u64,
    map: Map,
    state: Mutex<State>,
}

/// Where things are, in sectors.
#[derive(Clone, Copy)]
struct Map {
    tables: u64,
    directory_sectors: u64,
    redundant: u64,
    primary: u64,
    overhead: u64,
}

struct State {
    /// The next free sector.
    next: u64,
    table: OpenTable,
}

impl Map {
    fn new(capacity: u64) -> Self {
        let tables = tables(capacity);
        let directory_sectors = tables.saturating_mul(4).div_ceil(SECTOR);
        let set = tables.saturating_mul(TABLE).saturating_add(directory_sectors);
        let redundant = DESCRIPTOR + 1;
        let primary = set.saturating_add(redundant);
        Self {
            tables,
            directory_sectors,
            redundant,
            primary,
            overhead: primary.saturating_add(set).next_multiple_of(GRAIN),
        }
    }

    /// Sector of table `number` of the set that begins at `directory`.
    fn table(&self, directory: u64, number: u64) -> u64 {
        directory
            .saturating_add(self.directory_sectors)
            .saturating_add(number.saturating_mul(TABLE))
    }
}

impl SparseSink {
    pub(super) fn new(file: Arc<dyn HostFile>, descriptor: String, capacity: u64) -> Result<Self> {
        let map = Map::new(capacity);
        grow(&*file, map.overhead)?;
        Ok(Self {
            file,
            descriptor,
            capacity,
            map,
            state: Mutex::new(State {
                next: map.overhead,
                table: OpenTable::new(),
            }),
        })
    }

    /// Writes both copies of `table`, if anything is in it.
    fn write_table(&self, table: &OpenTable) -> Result<()> {
        if !table.used {
            return Ok(());
        }
        for directory in [self.map.redundant, self.map.primary] {
            let sector = self.map.table(directory, table.number);
            self.file
                .write_at(sector.saturating_mul(SECTOR), &table.entries)?;
        }
        Ok(())
    }

    fn write_directory(&self, directory: u64) -> Result<()> {
        let mut piece = Vec::with_capacity(1 << 16);
        let mut at = directory.saturating_mul(SECTOR);
        for number in 0..self.map.tables {
            piece.extend_from_slice(&sector_number(self.map.table(directory, number))?.to_le_bytes());
            if piece.len() >= 1 << 16 || number.saturating_add(1) == self.map.tables {
                self.file.write_at(at, &piece)?;
                at = at.saturating_add(u64::try_from(piece.len()).unwrap_or(0));
                piece.clear();
            }
        }
        Ok(())
    }
}

impl Sink for SparseSink {
    fn len(&self) -> u64 {
        self.capacity.saturating_mul(SECTOR)
    }

    fn grain(&self) -> u32 {
        u32::try_from(GRAIN_BYTES).unwrap_or(1 << 16)
    }

    fn place(&self, batch: &mut Batch) -> Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        for piece in batch.pieces.iter_mut().filter(|p| p.body == Body::Plain) {
            let number = piece.start / REACH;
            if number != state.table.number {
                self.write_table(&state.table)?;
                state.table.turn(number);
            }
            let sector = sector_number(state.next)?;
            state.table.set(piece.start, sector);
            piece.host = state.next.saturating_mul(SECTOR);
            state.next = state.next.saturating_add(GRAIN);
        }
        grow(&*self.file, state.next)
    }

    fn store(&self, batch: &Batch) -> Result<()> {
        for (host, bytes) in batch.runs() {
            self.file.write_at(host, bytes)?;
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<()> {
        let end = {
            let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            self.write_table(&state.table)?;
            state.next
        };
        self.write_directory(self.map.redundant)?;
        self.write_directory(self.map.primary)?;
        self.file.write_at(SECTOR, self.descriptor.as_bytes())?;
        self.file.set_len(end.saturating_mul(SECTOR))?;
        self.file.flush()?;
        let mut header = header(1, FLAG_LINE_ENDS | FLAG_REDUNDANT, self.capacity);
        header.rgd_offset = self.map.redundant.into();
        header.gd_offset = self.map.primary.into();
        header.over_head = self.map.overhead.into();
        self.file.write_at(0, header.as_bytes())?;
        self.file.flush()
    }
}

const _: () = assert!(ENTRIES * 4 == TABLE * SECTOR);
