//! The bytes as ECMA-119 draws them. Numbers are stored twice, little-endian first; the second copy is not looked at,
//! as no driver does and some mastering programs get it wrong.

use zerocopy::byteorder::little_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

/// A number of 16 bits in both byte orders (7.2.3).
#[derive(Clone, Copy, Debug, FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct Both16 {
    pub(crate) value: U16,
    big: [u8; 2],
}

/// A number of 32 bits in both byte orders (7.3.3).
#[derive(Clone, Copy, Debug, FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct Both32 {
    pub(crate) value: U32,
    big: [u8; 4],
}

impl Both16 {
    pub(crate) fn get(self) -> u16 {
        self.value.get()
    }
}

impl Both32 {
    pub(crate) fn get(self) -> u32 {
        self.value.get()
    }
}

/// Primary and supplementary volume descriptors (8.4 and 8.5).
#[derive(Clone, Copy, Debug, FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct Descriptor {
    pub(crate) kind: u8,
    pub(crate) identifier: [u8; 5],
    pub(crate) version: u8,
    pub(crate) flags: u8,
    pub(crate) system: [u8; 32],
    pub(crate) volume: [u8; 32],
    pub(crate) unused: [u8; 8],
    pub(crate) space: Both32,
    pub(crate) escapes: [u8; 32],
    pub(crate) set_size: Both16,
    pub(crate) sequence: Both16,
    pub(crate) block: Both16,
    pub(crate) path_table_size: Both32,
    pub(crate) path_tables: [u8; 16],
    pub(crate) root: [u8; 34],
    pub(crate) names: [u8; 623],
    pub(crate) created: [u8; 17],
    pub(crate) modified: [u8; 17],
    pub(crate) expires: [u8; 17],
    pub(crate) effective: [u8; 17],
    pub(crate) structure: u8,
}

const _: () = assert!(size_of::<Descriptor>() == 882);
/// Where the root's record lies in its descriptor.
pub(crate) const ROOT: u64 = 156;

/// [`Descriptor::kind`]
pub(crate) mod kind {
    pub(crate) const BOOT: u8 = 0;
    pub(crate) const PRIMARY: u8 = 1;
    pub(crate) const SUPPLEMENTARY: u8 = 2;
    pub(crate) const TERMINATOR: u8 = 255;
}

/// A directory record before its name (9.1).
#[derive(Clone, Copy, Debug, FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct Record {
    pub(crate) len: u8,
    /// Blocks at the beginning of the extent that are no content.
    pub(crate) attribute_len: u8,
    pub(crate) extent: Both32,
    pub(crate) size: Both32,
    /// Year since 1900, month, day, hour, minute, second, quarters of an hour from UTC.
    pub(crate) date: [u8; 7],
    pub(crate) flags: u8,
    pub(crate) unit: u8,
    pub(crate) gap: u8,
    pub(crate) sequence: Both16,
    pub(crate) name_len: u8,
}

const _: () = assert!(size_of::<Record>() == 33);

/// [`Record::flags`]
pub(crate) mod flag {
    pub(crate) const DIRECTORY: u8 = 2;
    pub(crate) const ASSOCIATED: u8 = 4;
    pub(crate) const MORE: u8 = 0x80;
}

/// Bytes of a sector: descriptors and directories are made of these.
pub(crate) const SECTOR: u64 = 2048;
