//! The four checksums a filesystem can choose between when it is made.

use crate::layout::CSUM;
use blake2::{Blake2b256, Digest};
use sha2::Sha256;

/// A checksum algorithm (`csum_type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Checksum {
    Crc32c,
    Xxhash64,
    Sha256,
    Blake2,
}

impl Checksum {
    pub(crate) fn from_number(number: u16) -> Option<Self> {
        Some(match number {
            0 => Self::Crc32c,
            1 => Self::Xxhash64,
            2 => Self::Sha256,
            3 => Self::Blake2,
            _ => return None,
        })
    }

    /// The name `btrfs inspect-internal dump-super` has for it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Crc32c => "crc32c",
            Self::Xxhash64 => "xxhash64",
            Self::Sha256 => "sha256",
            Self::Blake2 => "blake2",
        }
    }

    /// Bytes of one checksum.
    pub(crate) fn size(self) -> usize {
        match self {
            Self::Crc32c => 4,
            Self::Xxhash64 => 8,
            Self::Sha256 | Self::Blake2 => CSUM,
        }
    }

    /// Whether `stored` (at least [`size`](Self::size) bytes) is the checksum of `data`.
    pub(crate) fn agrees(self, data: &[u8], stored: &[u8]) -> bool {
        match self {
            Self::Crc32c => stored.get(..4) == Some(&crc32c::crc32c(data).to_le_bytes()),
            Self::Xxhash64 => stored.get(..8) == Some(&twox_hash::XxHash64::oneshot(0, data).to_le_bytes()),
            Self::Sha256 => stored.get(..CSUM) == Some(Sha256::digest(data).as_slice()),
            Self::Blake2 => stored.get(..CSUM) == Some(Blake2b256::digest(data).as_slice()),
        }
    }

    /// Whether a superblock or tree block agrees with the checksum at its head.
    pub(crate) fn agrees_with_head(self, block: &[u8]) -> bool {
        block
            .split_at_checked(CSUM)
            .is_some_and(|(stored, body)| self.agrees(body, stored))
    }
}

/// The hash of a name in a directory or of an attribute: CRC-32C with the seed ~1, not inverted at the end.
pub(crate) fn name_hash(name: &[u8]) -> u64 {
    // The crate inverts before and after; the specification does neither.
    u64::from(!crc32c::crc32c_append(1, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_the_default_subvolume_hashes_to_the_number_every_filesystem_has() {
        // `btrfs inspect-internal dump-tree -t root`: key (ROOT_TREE_DIR DIR_ITEM 2378154706), name default.
        assert_eq!(name_hash(b"default"), 2_378_154_706);
    }
}
