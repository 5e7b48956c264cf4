//! What hosted, COWD and space-efficient extents have in common: a directory of tables of grains.

use super::layout::SECTOR;
use h2k_block::{BlockRead, Cache, Error, HostFile, Meter, Result};
use std::sync::Arc;

/// Most tables an extent may have: 128 TiB of a hosted extent in grains of 64 KiB, 64 TiB of a space-efficient one.
/// A directory of so many takes 16 MiB.
const MOST_TABLES: u64 = 4 << 20;

/// Most entries a grain table of any kind has.
const MOST_ENTRIES: u64 = 4096;

/// Set in an entry that points where no grain can be; the rest is what was found, in sectors or grains.
const OUTSIDE: u64 = 1 << 63;
const HOLE: u64 = 0;
const ZERO: u64 = 1;

/// How the entries of a grain table are written.
#[derive(Clone, Copy, Debug)]
pub(super) enum Entries {
    /// 32 bits: a sector of the file; 1 means zero where `zero_grains` says so.
    Sectors { zero_grains: bool },
    /// 64 bits: a kind in the top nibble, and the number of a grain in the area at `grains`.
    Numbers { grains: u64 },
}

/// How the bytes of a grain are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    /// As they are.
    Plain,
    /// RFC 1950, after a header with or without the grain's LBA.
    Zlib { lba: bool },
}

/// Shape of an extent's tables. All lengths and offsets in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) capacity: u64,
    pub(super) grain: u64,
    pub(super) entries_per_table: u64,
    pub(super) entries: Entries,
    pub(super) coding: Coding,
}

impl Shape {
    /// Bytes of the disk that one table covers.
    pub(super) fn reach(&self) -> u64 {
        self.grain.saturating_mul(self.entries_per_table)
    }

    /// Tables needed for the capacity.
    pub(super) fn tables(&self) -> u64 {
        self.capacity.div_ceil(self.reach().max(1))
    }
}

/// Where the tables are: for each, its offset in units of `unit` from `base`, plus one; 0 for an absent one.
pub(super) struct Directory {
    pub(super) places: Vec<u32>,
    pub(super) base: u64,
    pub(super) unit: u64,
}

impl Directory {
    /// Allocates for the tables of `shape`, whose entries take `width` bytes in the file at `offset`.
    pub(super) fn room(
        file: &dyn BlockRead,
        shape: &Shape,
        offset: u64,
        width: u64,
        meter: &mut Meter,
    ) -> Result<Vec<u32>> {
        let tables = shape.tables();
        let bytes = tables.saturating_mul(width);
        let end = offset.checked_add(bytes);
        if end.is_none_or(|end| end > file.len()) {
            return Err(Error::corrupt(
                "grain directory",
                offset,
                format!(
                    "a capacity of {} bytes needs {bytes} bytes here, the file has {}",
                    shape.capacity,
                    file.len()
                ),
            ));
        }
        if tables > MOST_TABLES {
            return Err(Error::new(
                h2k_block::Class::Limit,
                format!("the extent needs {tables} grain tables, more than {MOST_TABLES} are not read"),
            ));
        }
        let count = meter.bytes(tables.saturating_mul(4), "grain directory")?;
        Ok(Vec::with_capacity(count / 4))
    }

    /// Offset of table `index` in the file, or `None` where there is none.
    pub(super) fn table(&self, index: u64) -> Option<u64> {
        let place = usize::try_from(index).ok().and_then(|i| self.places.get(i))?;
        let number = u64::from(place.checked_sub(1)?);
        Some(self.base.saturating_add(number.saturating_mul(self.unit)))
    }

    /// The first table at or after `index`, below `end`, that is there; else `end`.
    fn next(&self, index: u64, end: u64) -> u64 {
        let from = usize::try_from(index).unwrap_or(usize::MAX);
        let to = usize::try_from(end).unwrap_or(usize::MAX);
        let ahead = self
            .places
            .get(from..to.min(self.places.len()))
            .unwrap_or_default();
        ahead
            .iter()
            .position(|p| *p != 0)
            .and_then(|n| u64::try_from(n).ok())
            .map_or(end, |n| index.saturating_add(n))
    }
}

/// Reads `count` little-endian words of `N` bytes at `offset` of `file`, a piece at a time.
pub(super) fn words<const N: usize>(
    file: &dyn BlockRead,
    offset: u64,
    count: u64,
    each: &mut dyn FnMut(u64, [u8; N]) -> Result<()>,
) -> Result<()> {
    let width = u64::try_from(N).unwrap_or(8);
    let whole = usize::try_from(count.saturating_mul(width)).unwrap_or(usize::MAX);
    let mut piece = vec![0_u8; whole.min(64 << 10)];
    let mut index = 0_u64;
    while index < count {
        let left = count.saturating_sub(index).saturating_mul(width);
        let n = usize::try_from(left).unwrap_or(usize::MAX).min(piece.len());
        let Some(buf) = piece.get_mut(..n) else { break };
        file.read_at(offset.saturating_add(index.saturating_mul(width)), buf)?;
        for word in buf.as_chunks::<N>().0 {
            each(index, *word)?;
            index = index.saturating_add(1);
        }
    }
    Ok(())
}

/// The entries of a grain table: where each grain begins in the file, or why it does not.
pub(super) struct Table(Box<[u64]>);

impl Table {
    fn entry(&self, index: u64) -> u64 {
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        self.0.get(index).copied().unwrap_or(HOLE)
    }

    fn sound(&self) -> bool {
        self.0.iter().all(|e| e & OUTSIDE == 0)
    }

    /// How many entries there are.
    pub(super) fn len(&self) -> u64 {
        u64::try_from(self.0.len()).unwrap_or(0)
    }

    /// Entry `index`, which is equal in equal tables.
    pub(super) fn raw(&self, index: u64) -> u64 {
        self.entry(index)
    }

    /// Offset of grain `index` in the file, where it is stored.
    pub(super) fn stored(&self, index: u64) -> Option<u64> {
        let entry = self.entry(index);
        (entry > ZERO && entry & OUTSIDE == 0).then_some(entry)
    }
}

/// What is known of a run of grains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Not stored: a parent shows through.
    Hole,
    /// Said to be zero.
    Zero,
    /// Stored; the offset in the file of the first byte asked for.
    Plain(u64),
    /// Stored, compressed.
    Coded,
}

impl State {
    fn same_kind(self, other: Self) -> bool {
        matches!(
            (self, other),
            (Self::Hole, Self::Hole)
                | (Self::Zero, Self::Zero)
                | (Self::Plain(_), Self::Plain(_))
                | (Self::Coded, Self::Coded)
        )
    }
}

/// How far a run goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Along {
    /// While the state is of one kind.
    Kind,
    /// While plain grains also touch each other in the file.
    File,
}

/// What an extent consists of besides grains and tables.
#[derive(Default)]
pub(super) struct Books {
    /// Header, descriptor, directories: first byte and length.
    pub(super) metadata: Vec<(u64, u64)>,
    /// Whether the extent keeps a second set of tables.
    pub(super) twins: bool,
    /// Where the markers of a stream begin.
    pub(super) markers: Option<u64>,
    /// Whether every grain's worth of bytes behind the metadata should be in use.
    pub(super) packed: bool,
}

/// An extent whose grains are found through tables.
pub(super) struct Sparse {
    pub(super) file: Arc<dyn HostFile>,
    pub(super) shape: Shape,
    pub(super) directory: Directory,
    /// The same tables once more, where the format has them.
    pub(super) redundant: Option<Directory>,
    /// What else the extent consists of.
    pub(super) books: Books,
    /// Number of the first table among all tables of the disk: what the cache calls it.
    pub(super) first_table: u64,
}

impl Sparse {
    /// The state at `at` and how many bytes it holds for, at most up to `end`.
    pub(super) fn run(&self, tables: &Cache<Table>, at: u64, end: u64, along: Along) -> Result<(State, u64)> {
        let reach = self.shape.reach().max(1);
        let grain = self.shape.grain.max(1);
        let number = at.checked_div(reach).unwrap_or(0);
        let last = end.div_ceil(reach);
        if self.directory.table(number).is_none() {
            let next = self.directory.next(number, last).saturating_mul(reach);
            return Ok((State::Hole, next.min(end).saturating_sub(at)));
        }
        let table = self.table(tables, number)?;
        let start = number.saturating_mul(reach);
        let stop = start.saturating_add(reach).min(end);
        let first = at.saturating_sub(start).checked_div(grain).unwrap_or(0);
        let skip = at.saturating_sub(start).checked_rem(grain).unwrap_or(0);
        let begin = self.state(&table, number, first)?;
        let mut index = first;
        let mut border = at.saturating_add(grain.saturating_sub(skip));
        let mut before = begin;
        while border < stop {
            index = index.saturating_add(1);
            // A damaged entry ends the run: whoever asks for it gets the error.
            let Ok(here) = self.state(&table, number, index) else {
                break;
            };
            let touches = match (before, here) {
                (State::Plain(a), State::Plain(b)) => along == Along::Kind || a.checked_add(grain) == Some(b),
                _ => true,
            };
            if !begin.same_kind(here) || !touches {
                break;
            }
            before = here;
            border = border.saturating_add(grain);
        }
        let state = match begin {
            State::Plain(offset) => State::Plain(offset.saturating_add(skip)),
            other => other,
        };
        Ok((state, border.min(stop).saturating_sub(at)))
    }

    /// The table that covers byte `at`, and the number of the grain in it.
    pub(super) fn locate(&self, tables: &Cache<Table>, at: u64) -> Result<(Arc<Table>, u64)> {
        let reach = self.shape.reach().max(1);
        let number = at.checked_div(reach).unwrap_or(0);
        let within = at.checked_rem(reach).unwrap_or(0);
        let index = within.checked_div(self.shape.grain.max(1)).unwrap_or(0);
        Ok((self.table(tables, number)?, index))
    }

    /// A number that no other grain of the disk has, whatever the shapes of its extents.
    pub(super) fn grain_key(&self, at: u64) -> u64 {
        let number = at.checked_div(self.shape.reach().max(1)).unwrap_or(0);
        let within = at.checked_rem(self.shape.reach().max(1)).unwrap_or(0);
        let index = within.checked_div(self.shape.grain.max(1)).unwrap_or(0);
        self.first_table
            .saturating_add(number)
            .saturating_mul(MOST_ENTRIES)
            .saturating_add(index)
    }

    /// What entry `index` of table `number` says.
    pub(super) fn state(&self, table: &Table, number: u64, index: u64) -> Result<State> {
        match table.entry(index) {
            HOLE => Ok(State::Hole),
            ZERO => Ok(State::Zero),
            entry if entry & OUTSIDE != 0 => Err(self.outside(number, index, entry & !OUTSIDE)),
            offset if self.shape.coding == Coding::Plain => Ok(State::Plain(offset)),
            _ => Ok(State::Coded),
        }
    }

    /// The error for entry `index` of table `number`, which holds `found`.
    fn outside(&self, number: u64, index: u64, found: u64) -> Error {
        let table = self.directory.table(number).unwrap_or(0);
        let error = match self.shape.entries {
            Entries::Sectors { .. } => Error::corrupt(
                "grain table",
                table,
                format!(
                    "entry {index} is sector {found:#x}, where no grain of {} bytes can be: the file has {:#x} sectors",
                    self.shape.grain,
                    self.file.len() / SECTOR
                ),
            ),
            Entries::Numbers { .. } => Error::corrupt(
                "grain table",
                table,
                format!("entry {index} is {found:#x}, which is no grain of this extent"),
            ),
        };
        error
            .through(self.file.name().display().to_string())
            .advise("the file was probably cut short: compare its length with the original's")
    }

    /// Bytes a table takes in the file.
    pub(super) fn table_bytes(&self) -> u64 {
        let width = match self.shape.entries {
            Entries::Sectors { .. } => 4,
            Entries::Numbers { .. } => 8,
        };
        self.shape.entries_per_table.saturating_mul(width)
    }

    fn table(&self, tables: &Cache<Table>, number: u64) -> Result<Arc<Table>> {
        tables.get(self.first_table.saturating_add(number), || {
            self.load(number).map(Arc::new)
        })
    }

    /// Table `number`; its redundant copy when only that one is sound.
    fn load(&self, number: u64) -> Result<Table> {
        let primary = self.read_table(&self.directory, number);
        if primary.as_ref().is_ok_and(Table::sound) {
            return primary;
        }
        match self.redundant.as_ref().map(|r| self.read_table(r, number)) {
            Some(Ok(copy)) if copy.sound() => Ok(copy),
            _ => primary,
        }
    }

    /// Table `number` as `directory` has it.
    pub(super) fn read_table(&self, directory: &Directory, number: u64) -> Result<Table> {
        let offset = directory
            .table(number)
            .ok_or_else(|| Error::corrupt("grain directory", number, "the table is absent"))?;
        let covered = self
            .shape
            .capacity
            .saturating_sub(number.saturating_mul(self.shape.reach()));
        let count = covered
            .div_ceil(self.shape.grain.max(1))
            .min(self.shape.entries_per_table);
        let mut entries = Vec::with_capacity(usize::try_from(count).unwrap_or(0));
        let result = match self.shape.entries {
            Entries::Sectors { zero_grains } => words::<4>(&*self.file, offset, count, &mut |i, word| {
                let sector = u64::from(u32::from_le_bytes(word));
                entries.push(match sector {
                    0 => HOLE,
                    1 if zero_grains => ZERO,
                    1 => OUTSIDE | 1,
                    _ => self.checked(number, i, sector.saturating_mul(SECTOR), sector),
                });
                Ok(())
            }),
            Entries::Numbers { grains } => words::<8>(&*self.file, offset, count, &mut |i, word| {
                let word = u64::from_le_bytes(word);
                // The number's low 12 bits come first, rotated to below the nibble that says what it is.
                let grain_number = ((word & 0x0fff_0000_0000_0000) >> 48) | ((word & 0xffff_ffff_ffff) << 12);
                entries.push(match word >> 60 {
                    0 if word == 0 => HOLE,
                    // Unmapped by the guest, and written with zeros.
                    1 | 2 => ZERO,
                    3 => match grain_number
                        .checked_mul(self.shape.grain)
                        .and_then(|o| o.checked_add(grains))
                    {
                        Some(at) => self.checked(number, i, at, word),
                        None => OUTSIDE | word,
                    },
                    _ => OUTSIDE | word,
                });
                Ok(())
            }),
        };
        result.map_err(|e| {
            e.at("grain table", offset)
                .through(self.file.name().display().to_string())
        })?;
        Ok(Table(entries.into_boxed_slice()))
    }

    /// `offset`, if the needed bytes of grain `index` of table `number` are inside the file.
    fn checked(&self, number: u64, index: u64, offset: u64, found: u64) -> u64 {
        let start = number
            .saturating_mul(self.shape.reach())
            .saturating_add(index.saturating_mul(self.shape.grain));
        let need = match self.shape.coding {
            Coding::Plain => self.shape.capacity.saturating_sub(start).min(self.shape.grain),
            // The size of a compressed grain is in its header, which must be there. The last grain of a file
            // need not be padded to a sector.
            Coding::Zlib { lba: true } => 12,
            Coding::Zlib { lba: false } => 4,
        };
        match offset.checked_add(need) {
            Some(end) if end <= self.file.len() && offset & OUTSIDE == 0 => offset,
            _ => OUTSIDE | found,
        }
    }
}
