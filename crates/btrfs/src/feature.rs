//! Feature bits by the names `btrfs inspect-internal dump-super` prints, and what becomes of each.

/// Incompatible features, bit by bit; holes in the numbering are empty.
const INCOMPAT: [&str; 18] = [
    "MIXED_BACKREF",
    "DEFAULT_SUBVOL",
    "MIXED_GROUPS",
    "COMPRESS_LZO",
    "COMPRESS_ZSTD",
    "BIG_METADATA",
    "EXTENDED_IREF",
    "RAID56",
    "SKINNY_METADATA",
    "NO_HOLES",
    "METADATA_UUID",
    "RAID1C34",
    "ZONED",
    "EXTENT_TREE_V2",
    "RAID_STRIPE_TREE",
    "",
    "SIMPLE_QUOTA",
    "REMAP_TREE",
];

/// Compatible for reading, bit by bit.
const COMPAT_RO: [&str; 4] = [
    "FREE_SPACE_TREE",
    "FREE_SPACE_TREE_VALID",
    "VERITY",
    "BLOCK_GROUP_TREE",
];

/// Those of [`INCOMPAT`] that are read: all up to RAID1C34, and SIMPLE_QUOTA, which changes only who pays for an
/// extent. Zoned devices keep their superblocks elsewhere; the other three change where things are found.
const INCOMPAT_READ: u64 = 0x1_0fff;

pub(crate) mod incompat {
    pub(crate) const METADATA_UUID: u64 = 1 << 10;
}

pub(crate) mod compat_ro {
    pub(crate) const BLOCK_GROUP_TREE: u64 = 1 << 3;
}

fn names(set: u64, known: &[&str]) -> Vec<String> {
    let bits =
        (0..64_usize).filter(|bit| set.checked_shr(u32::try_from(*bit).unwrap_or(64)).unwrap_or(0) & 1 == 1);
    bits.map(|bit| match known.get(bit) {
        Some(name) if !name.is_empty() => (*name).to_owned(),
        _ => format!("bit {bit}"),
    })
    .collect()
}

/// The names of incompatible features that are not read.
pub(crate) fn refused(incompat: u64) -> Vec<String> {
    names(incompat & !INCOMPAT_READ, &INCOMPAT)
}

/// All features of a filesystem.
pub(crate) fn list(incompat: u64, compat_ro: u64) -> Vec<String> {
    let mut all = names(incompat, &INCOMPAT);
    all.extend(names(compat_ro, &COMPAT_RO));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_read_is_named() {
        assert!(refused(0xfff).is_empty());
        assert_eq!(
            refused(1 << 12 | 1 << 14 | 1 << 16 | 1 << 40 | 1),
            ["ZONED", "RAID_STRIPE_TREE", "bit 40"]
        );
        assert_eq!(
            list(1 | 1 << 15, 1 << 3),
            ["MIXED_BACKREF", "bit 15", "BLOCK_GROUP_TREE"]
        );
    }
}
