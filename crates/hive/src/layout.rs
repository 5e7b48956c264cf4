//! The specification's bytes: offsets and flags by the names "Windows registry file format specification" gives them.
//! All integers are little-endian; offsets of cells are relative to the end of the base block.

/// Length of the base block, and unit of the hive bins.
pub(crate) const BLOCK: usize = 4096;
/// An offset that points nowhere.
pub(crate) const NOWHERE: u32 = u32::MAX;
/// Hive bins never reach this far: the top bit of an offset means "volatile", in memory.
pub(crate) const FARTHEST: usize = 0x7fff_f000;
/// The largest cell Windows makes of one piece.
pub(crate) const LARGEST: usize = 1 << 20;
/// The deepest tree Windows allows.
pub(crate) const DEPTH: usize = 512;

/// The base block.
pub(crate) mod base {
    pub(crate) const SIGNATURE: [u8; 4] = *b"regf";
    pub(crate) const PRIMARY: usize = 4;
    pub(crate) const SECONDARY: usize = 8;
    pub(crate) const WRITTEN: usize = 12;
    pub(crate) const MAJOR: usize = 20;
    pub(crate) const MINOR: usize = 24;
    pub(crate) const TYPE: usize = 28;
    pub(crate) const FORMAT: usize = 32;
    pub(crate) const ROOT: usize = 36;
    pub(crate) const BINS: usize = 40;
    pub(crate) const CLUSTERING: usize = 44;
    pub(crate) const NAME: usize = 48;
    pub(crate) const NAME_LEN: usize = 64;
    pub(crate) const FLAGS: usize = 144;
    pub(crate) const CHECKSUM: usize = 508;
    /// What a log keeps of it.
    pub(crate) const KEPT: usize = 512;
}

/// A hive bin.
pub(crate) mod bin {
    pub(crate) const SIGNATURE: [u8; 4] = *b"hbin";
    pub(crate) const OFFSET: usize = 4;
    pub(crate) const SIZE: usize = 8;
    pub(crate) const TIMESTAMP: usize = 20;
    pub(crate) const HEADER: usize = 32;
}

/// Where a record that has a name keeps it.
pub(crate) struct Named {
    pub(crate) structure: &'static str,
    pub(crate) signature: [u8; 2],
    pub(crate) flags: usize,
    /// The flag that says the name is Latin-1.
    pub(crate) latin: u16,
    pub(crate) name_len: usize,
    pub(crate) name: usize,
}

/// A key node, from the start of the cell's content.
pub(crate) mod nk {
    pub(crate) const RECORD: super::Named = super::Named {
        structure: "key node",
        signature: SIGNATURE,
        flags: FLAGS,
        latin: LATIN,
        name_len: NAME_LEN,
        name: NAME,
    };
    pub(crate) const SIGNATURE: [u8; 2] = *b"nk";
    pub(crate) const FLAGS: usize = 2;
    pub(crate) const WRITTEN: usize = 4;
    pub(crate) const ACCESS: usize = 12;
    pub(crate) const PARENT: usize = 16;
    pub(crate) const SUBKEYS: usize = 20;
    pub(crate) const LIST: usize = 28;
    pub(crate) const VOLATILE_LIST: usize = 32;
    pub(crate) const VALUES: usize = 36;
    pub(crate) const VALUE_LIST: usize = 40;
    pub(crate) const SECURITY: usize = 44;
    pub(crate) const CLASS: usize = 48;
    pub(crate) const MAX_NAME: usize = 52;
    pub(crate) const MAX_CLASS: usize = 56;
    pub(crate) const MAX_VALUE_NAME: usize = 60;
    pub(crate) const MAX_VALUE_DATA: usize = 64;
    pub(crate) const NAME_LEN: usize = 72;
    pub(crate) const CLASS_LEN: usize = 74;
    pub(crate) const NAME: usize = 76;

    /// UTF-16 units of a name at most.
    pub(crate) const NAME_MOST: usize = 255;

    pub(crate) const IS_ROOT: u16 = 0x0004;
    pub(crate) const NO_DELETE: u16 = 0x0008;
    pub(crate) const LATIN: u16 = 0x0020;
    /// The number of values is a handle, and no number.
    pub(crate) const PREDEFINED: u16 = 0x0040;
}

/// A key value.
pub(crate) mod vk {
    pub(crate) const RECORD: super::Named = super::Named {
        structure: "key value",
        signature: SIGNATURE,
        flags: FLAGS,
        latin: LATIN,
        name_len: NAME_LEN,
        name: NAME,
    };
    pub(crate) const SIGNATURE: [u8; 2] = *b"vk";
    pub(crate) const NAME_LEN: usize = 2;
    pub(crate) const SIZE: usize = 4;
    pub(crate) const DATA: usize = 8;
    pub(crate) const TYPE: usize = 12;
    pub(crate) const FLAGS: usize = 16;
    pub(crate) const NAME: usize = 20;

    /// UTF-16 units of a name at most.
    pub(crate) const NAME_MOST: usize = 16_383;

    pub(crate) const LATIN: u16 = 0x0001;
    pub(crate) const TOMBSTONE: u16 = 0x0002;
    /// Data of up to four bytes lies where its offset would.
    pub(crate) const RESIDENT: u32 = 0x8000_0000;
}

/// A security item.
pub(crate) mod sk {
    pub(crate) const SIGNATURE: [u8; 2] = *b"sk";
    pub(crate) const FLINK: usize = 4;
    pub(crate) const BLINK: usize = 8;
    pub(crate) const REFERENCES: usize = 12;
    pub(crate) const SIZE: usize = 16;
    pub(crate) const DESCRIPTOR: usize = 20;
}

/// Lists of subkeys: signature, number of elements, elements.
pub(crate) mod list {
    pub(crate) const COUNT: usize = 2;
    pub(crate) const ELEMENTS: usize = 4;
    /// Elements of a leaf that Windows keeps in one 4 KiB bin: beyond them it makes an index root.
    pub(crate) const LEAF_OF_PAIRS: usize = 507;
    /// The same for leaves without hints.
    pub(crate) const LEAF_OF_OFFSETS: usize = 1014;
}

/// Big data.
pub(crate) mod db {
    pub(crate) const SIGNATURE: [u8; 2] = *b"db";
    pub(crate) const SEGMENTS: usize = 2;
    pub(crate) const LIST: usize = 4;
    pub(crate) const LEN: usize = 8;
    /// Bytes of a full segment.
    pub(crate) const SEGMENT: usize = 16344;
    /// From this minor version on.
    pub(crate) const SINCE: u32 = 4;
}

/// An entry of a transaction log in the new format.
pub(crate) mod entry {
    pub(crate) const SIGNATURE: [u8; 4] = *b"HvLE";
    pub(crate) const SIZE: usize = 4;
    pub(crate) const FLAGS: usize = 8;
    pub(crate) const SEQUENCE: usize = 12;
    pub(crate) const BINS: usize = 16;
    pub(crate) const PAGES: usize = 20;
    pub(crate) const HASH_1: usize = 24;
    pub(crate) const HASH_2: usize = 32;
    pub(crate) const REFERENCES: usize = 40;
}
