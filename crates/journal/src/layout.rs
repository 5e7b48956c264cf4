//! The file's header and the fixed parts of its objects. All numbers are little-endian.

use crate::entry::Id;
use h2k_block::{BlockRead, Error, Result};

pub(crate) const NAME: &str = "journal header";
pub(crate) const MAGIC: &[u8; 8] = b"LPKSHHRH";
/// Up to here every version of the format has the same header.
pub(crate) const HEADER_MIN: u64 = 208;
/// The header of version 254; later ones may be longer.
const HEADER: usize = 272;

/// Bits of `incompatible_flags`.
pub(crate) mod incompatible {
    pub(crate) const XZ: u32 = 1;
    pub(crate) const LZ4: u32 = 2;
    pub(crate) const KEYED_HASH: u32 = 4;
    pub(crate) const ZSTD: u32 = 8;
    pub(crate) const COMPACT: u32 = 16;
    pub(crate) const KNOWN: u32 = 31;
}

/// Types of objects.
pub(crate) mod object {
    pub(crate) const DATA: u8 = 1;
    pub(crate) const FIELD: u8 = 2;
    pub(crate) const ENTRY: u8 = 3;
    pub(crate) const DATA_HASH_TABLE: u8 = 4;
    pub(crate) const FIELD_HASH_TABLE: u8 = 5;
    pub(crate) const ENTRY_ARRAY: u8 = 6;
    pub(crate) const TAG: u8 = 7;

    /// Bytes before the payload or the items.
    pub(crate) fn fixed(kind: u8, compact: bool) -> u64 {
        match kind {
            DATA if compact => 72,
            DATA | ENTRY | TAG => 64,
            FIELD => 40,
            ENTRY_ARRAY => 24,
            _ => 16,
        }
    }

    /// The type's name in the specification.
    pub(crate) fn name(kind: u8) -> &'static str {
        match kind {
            DATA => "DATA object",
            FIELD => "FIELD object",
            ENTRY => "ENTRY object",
            DATA_HASH_TABLE => "DATA_HASH_TABLE object",
            FIELD_HASH_TABLE => "FIELD_HASH_TABLE object",
            ENTRY_ARRAY => "ENTRY_ARRAY object",
            TAG => "TAG object",
            _ => "object",
        }
    }
}

/// Whether somebody was writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Status {
    /// Closed.
    Offline,
    /// Open when the machine stopped, or when the disk was copied.
    Online,
    /// Closed for good.
    Archived,
    /// A value the specification does not know.
    Unknown(u8),
}

/// What a journal file says of itself.
#[derive(Clone, Debug)]
pub struct Header {
    /// Optional features, as bits: 1 sealed, 2 the boot of the last entry is kept strictly.
    pub compatible: u32,
    /// Features that have to be known, as bits: 1 xz, 2 LZ4, 4 keyed hashes, 8 zstd, 16 compact.
    pub incompatible: u32,
    /// Whether somebody was writing.
    pub status: Status,
    /// The file's own number; key of its hashes.
    pub file_id: Id,
    /// The machine that wrote it.
    pub machine_id: Id,
    /// The boot of the last entry.
    pub tail_boot: Id,
    /// Sequence numbers are counted within this number.
    pub seqnum_id: Id,
    /// Bytes of the header: where the first object lies.
    pub header_size: u64,
    /// Bytes behind the header that are in use.
    pub arena_size: u64,
    /// The items of the hash table of DATA: offset and bytes.
    pub data_hash_table: (u64, u64),
    /// The items of the hash table of FIELD: offset and bytes.
    pub field_hash_table: (u64, u64),
    /// The last object.
    pub tail_object: u64,
    /// Number of objects.
    pub objects: u64,
    /// Number of entries.
    pub entries: u64,
    /// Sequence numbers of the first and the last entry.
    pub seqnums: (u64, u64),
    /// The first array of all entries.
    pub entry_array: u64,
    /// Times of the first and the last entry, microseconds since 1970 UTC.
    pub realtimes: (u64, u64),
    /// Time of the last entry, microseconds since its boot.
    pub tail_monotonic: u64,
    /// Number of DATA objects, since version 187.
    pub data: Option<u64>,
    /// Number of FIELD objects, since version 187.
    pub fields: Option<u64>,
    /// Number of TAG objects, since version 189.
    pub tags: Option<u64>,
    /// Number of ENTRY_ARRAY objects, since version 189.
    pub entry_arrays: Option<u64>,
    /// The last ENTRY, since version 254.
    pub tail_entry: Option<u64>,
}

/// Eight bytes at `at`, or zero behind the end.
pub(crate) fn le64(bytes: &[u8], at: usize) -> u64 {
    take(bytes, at).map_or(0, u64::from_le_bytes)
}

/// Four bytes at `at`, or zero behind the end.
pub(crate) fn le32(bytes: &[u8], at: usize) -> u32 {
    take(bytes, at).map_or(0, u32::from_le_bytes)
}

pub(crate) fn take<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

/// A size as an index; what does not fit cannot be inside any buffer.
pub(crate) fn index(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

/// A length as 64 bits.
pub(crate) fn wide(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

impl Header {
    /// Reads and checks the header of `disk`.
    pub(crate) fn read(disk: &dyn BlockRead) -> Result<Self> {
        let mut raw = [0; HEADER];
        let there = index(disk.len()).min(HEADER);
        let part = raw.get_mut(..there).unwrap_or_default();
        disk.read_at(0, part).map_err(|e| e.at(NAME, 0))?;
        if wide(there) < HEADER_MIN {
            return Err(Error::corrupt(
                NAME,
                0,
                format!("the file has {there} bytes only"),
            ));
        }
        if !raw.starts_with(MAGIC) {
            return Err(Error::corrupt(
                NAME,
                0,
                format!(
                    "magic is {:02x?}, expected \"LPKSHHRH\"",
                    raw.get(..8).unwrap_or_default()
                ),
            ));
        }
        let header_size = le64(&raw, 88);
        if header_size < HEADER_MIN || !header_size.is_multiple_of(8) || header_size > disk.len() {
            return Err(Error::corrupt(
                NAME,
                88,
                format!("the header is said to have {header_size} bytes, expected {HEADER_MIN} or more"),
            ));
        }
        let id = |at| Id(take(&raw, at).unwrap_or_default());
        // Fields that a shorter header does not have.
        let later = |at: usize| (wide(at).saturating_add(8) <= header_size).then(|| le64(&raw, at));
        let header = Self {
            compatible: le32(&raw, 8),
            incompatible: le32(&raw, 12),
            status: match raw.get(16).copied().unwrap_or_default() {
                0 => Status::Offline,
                1 => Status::Online,
                2 => Status::Archived,
                other => Status::Unknown(other),
            },
            file_id: id(24),
            machine_id: id(40),
            tail_boot: id(56),
            seqnum_id: id(72),
            header_size,
            arena_size: le64(&raw, 96),
            data_hash_table: (le64(&raw, 104), le64(&raw, 112)),
            field_hash_table: (le64(&raw, 120), le64(&raw, 128)),
            tail_object: le64(&raw, 136),
            objects: le64(&raw, 144),
            entries: le64(&raw, 152),
            seqnums: (le64(&raw, 168), le64(&raw, 160)),
            entry_array: le64(&raw, 176),
            realtimes: (le64(&raw, 184), le64(&raw, 192)),
            tail_monotonic: le64(&raw, 200),
            data: later(208),
            fields: later(216),
            tags: later(224),
            entry_arrays: later(232),
            tail_entry: later(264),
        };
        let unknown = header.incompatible & !incompatible::KNOWN;
        if unknown != 0 {
            return Err(Error::unsupported(format!(
                "incompatible features {unknown:#x} of a journal are not known"
            ))
            .at(NAME, 12));
        }
        Ok(header)
    }

    /// Whether offsets in arrays and entries have 32 bits.
    #[must_use]
    pub fn compact(&self) -> bool {
        self.incompatible & incompatible::COMPACT != 0
    }

    /// Whether hashes are keyed with the file's number.
    #[must_use]
    pub fn keyed(&self) -> bool {
        self.incompatible & incompatible::KEYED_HASH != 0
    }
}
