//! Checksums of ext4 structures (checksums.rst). Each function computes what the field has to hold, so that reading
//! compares with it and writing stores it.

use crate::layout::SuperBlock;
use zerocopy::IntoBytes;

/// CRC-32C as ext4 chains it: `crc` goes in and comes out without the usual inversions.
pub(crate) fn crc32c(crc: u32, bytes: &[u8]) -> u32 {
    !crc32c::crc32c_append(!crc, bytes)
}

/// CRC-16 (polynomial 0x8005 reflected), as `gdt_csum` uses it.
pub(crate) fn crc16(crc: u16, bytes: &[u8]) -> u16 {
    bytes.iter().fold(crc, |mut crc, byte| {
        crc ^= u16::from(*byte);
        for _ in 0..8 {
            let out = crc & 1;
            crc >>= 1;
            if out != 0 {
                crc ^= 0xa001;
            }
        }
        crc
    })
}

/// `s_checksum`: everything before it.
pub(crate) fn superblock(sb: &SuperBlock) -> u32 {
    let bytes = sb.as_bytes();
    crc32c(!0, bytes.get(..0x3fc).unwrap_or_default())
}

/// What the checksums of one filesystem begin with, or `None` where it has none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seed(pub(crate) u32);

impl Seed {
    fn word(self, word: u32) -> Self {
        Self(crc32c(self.0, &word.to_le_bytes()))
    }

    /// The seed of everything that belongs to one inode.
    pub(crate) fn inode(self, number: u32, generation: u32) -> Self {
        self.word(number).word(generation)
    }

    /// `bg_checksum` with `metadata_csum`: the descriptor with the field as zero.
    pub(crate) fn group(self, group: u32, desc: &[u8]) -> u16 {
        low(blanked(self.word(group).0, desc, 0x1e..0x20))
    }

    /// A bitmap's checksum over the bytes that hold bits.
    pub(crate) fn bitmap(self, bits: &[u8]) -> u32 {
        crc32c(self.0, bits)
    }

    /// The whole inode record with both halves of its checksum as zero. `self` is [`Seed::inode`]'s.
    /// `has_hi` tells whether `i_extra_isize` covers the upper half.
    pub(crate) fn inode_record(self, record: &[u8], has_hi: bool) -> u32 {
        let (base, extra) = record.split_at_checked(128).unwrap_or((record, &[]));
        let crc = blanked(self.0, base, 0x7c..0x7e);
        if has_hi {
            blanked(crc, extra, 2..4)
        } else {
            crc32c(crc, extra)
        }
    }

    /// A block whose checksum lies at its end: `covered` is everything before the tail. [`Seed::inode`]'s.
    pub(crate) fn covered(self, covered: &[u8]) -> u32 {
        crc32c(self.0, covered)
    }

    /// A block of a hash tree: the index in use, and the tail with its checksum as zero. [`Seed::inode`]'s.
    pub(crate) fn index(self, used: &[u8], reserved: &[u8]) -> u32 {
        let crc = crc32c(self.0, used);
        crc32c(crc32c(crc, reserved), &[0; 4])
    }

    /// `h_checksum` of an attribute block.
    pub(crate) fn xattr_block(self, block: u64, bytes: &[u8]) -> u32 {
        blanked(crc32c(self.0, &block.to_le_bytes()), bytes, 0x10..0x14)
    }

    /// The checksum of a value that lives in an inode of its own (`ea_inode`).
    pub(crate) fn xattr_value(self, value: &[u8]) -> u32 {
        crc32c(self.0, value)
    }
}

/// `bg_checksum` with `gdt_csum`: UUID, group, the descriptor without the field.
pub(crate) fn group_crc16(uuid: &[u8; 16], group: u32, desc: &[u8]) -> u16 {
    let mut crc = crc16(!0, uuid);
    crc = crc16(crc, &group.to_le_bytes());
    crc = crc16(crc, desc.get(..0x1e).unwrap_or_default());
    crc16(crc, desc.get(0x20..).unwrap_or_default())
}

/// The lower half of a checksum, for fields of 16 bits.
pub(crate) fn low(crc: u32) -> u16 {
    let [a, b, _, _] = crc.to_le_bytes();
    u16::from_le_bytes([a, b])
}

/// The checksum of `bytes` with the `hole` read as zero.
fn blanked(crc: u32, bytes: &[u8], hole: std::ops::Range<usize>) -> u32 {
    let zeros = [0; 4];
    let n = hole.end.saturating_sub(hole.start).min(zeros.len());
    let Some(head) = bytes.get(..hole.start) else {
        return crc32c(crc, bytes);
    };
    let crc = crc32c(crc, head);
    let crc = crc32c(crc, zeros.get(..n).unwrap_or_default());
    crc32c(crc, bytes.get(hole.end..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_polynomials_are_the_published_ones() {
        // Check values of CRC-32C and CRC-16/ARC for "123456789" (the CRC catalogue).
        assert_eq!(!crc32c(!0, b"123456789"), 0xe306_9283);
        assert_eq!(crc16(0, b"123456789"), 0xbb3d);
    }
}
