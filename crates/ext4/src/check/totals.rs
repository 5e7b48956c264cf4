//! What was recounted against the bitmaps, the descriptors and the superblock.

use super::Check;
use crate::layout::SUPER_AT;
use crate::write::group::{Desc, FREE_CLUSTERS, FREE_INODES, INODE_CSUM, USED_DIRS};
use crate::write::raw::{bit, count_free, narrow, pad, set_bit, wide};
use h2k_block::{Result, Severity};
use h2k_fs::FileKind;

/// What comparing a bitmap costs.
const BITMAP_STEPS: u64 = 32;

impl Check<'_> {
    pub(super) fn totals(&mut self) -> Result<()> {
        let (mut blocks, mut inodes) = (0_u64, 0_u64);
        for number in 0..self.fs.geo.groups {
            self.meter.steps(BITMAP_STEPS, "bitmap")?;
            let desc = self.fs.desc(number)?;
            blocks = blocks.saturating_add(self.blocks_of(&desc)?);
            inodes = inodes.saturating_add(self.inodes_of(&desc)?);
        }
        let free = blocks.checked_shl(self.fs.geo.cluster_bits).unwrap_or(u64::MAX);
        // The superblock's counters are not journalled: mounting counts anew.
        let severity = if self.fs.replayed.is_some() {
            Severity::Warning
        } else {
            Severity::Error
        };
        let inodes_said = u64::from(self.sb.free_inodes_count.get());
        for (what, said, counted) in [
            ("blocks", self.free_said(), free),
            ("inodes", inodes_said, inodes),
        ] {
            if said != counted {
                self.out.note(severity, "superblock", SUPER_AT, || {
                    format!("{said} free {what}, counted {counted}")
                });
            }
        }
        Ok(())
    }

    /// The block bitmap of a group; how many clusters are free.
    fn blocks_of(&mut self, desc: &Desc) -> Result<u64> {
        let geo = &self.fs.geo;
        let clusters = geo.group_len(desc.number).div_ceil(self.ratio());
        let mut expected = vec![0; narrow(geo.block_size())];
        if let Some(found) = self.claims.group(desc.number) {
            for (to, from) in expected.iter_mut().zip(found) {
                *to = *from;
            }
        }
        pad(&mut expected, clusters);
        let free = count_free(&expected, clusters);
        let (fresh, _) = Self::uninit(desc);
        match self
            .fs
            .group(desc.number)
            .and_then(|group| self.fs.bitmap(&group))
        {
            Ok(found) => {
                let end = if fresh {
                    clusters
                } else {
                    wide(found.len()).saturating_mul(8)
                };
                let mut found = found.to_vec();
                if fresh {
                    pad(&mut found, clusters);
                }
                self.compare(
                    desc,
                    "block bitmap",
                    desc.block_bitmap(),
                    (&found, &expected),
                    (clusters, end),
                );
            }
            Err(e) => self.damage("block bitmap", e)?,
        }
        let said = u64::from(desc.get(FREE_CLUSTERS));
        if said != free {
            let number = desc.number;
            self.error("group descriptor", desc.place, || {
                format!("group {number}: {said} free clusters, counted {free}")
            });
        }
        Ok(free)
    }

    /// The inode bitmap of a group; how many inodes are free.
    fn inodes_of(&mut self, desc: &Desc) -> Result<u64> {
        let geo = &self.fs.geo;
        let number = desc.number;
        let count = u64::from(geo.group_inodes);
        let mut expected = vec![0; narrow(geo.block_size())];
        let mut dirs = 0_u64;
        let first = number.saturating_mul(geo.group_inodes).saturating_add(1);
        let reserved = geo.first_ino.saturating_sub(first).min(geo.group_inodes);
        for n in 0..reserved {
            set_bit(&mut expected, u64::from(n), true);
        }
        for (n, known) in (0..).zip(self.inodes.get(&number).into_iter().flatten()) {
            if known.used {
                set_bit(&mut expected, n, true);
                dirs = dirs.saturating_add(u64::from(known.kind == Some(FileKind::Dir)));
            }
        }
        pad(&mut expected, count);
        let free = count_free(&expected, count);
        let (_, fresh) = Self::uninit(desc);
        if !fresh {
            let place = desc.inode_bitmap();
            match self.fs.blocks.get(place, "inode bitmap") {
                Ok(found) => {
                    if let Some(seed) = geo.seed {
                        let bits = found.get(..narrow(count >> 3)).unwrap_or(&found);
                        let computed = desc.kept(seed.bitmap(bits));
                        let said = desc.kept(desc.get(INODE_CSUM));
                        if said != computed {
                            let offset = self.fs.blocks.offset(place);
                            self.error("inode bitmap", offset, || {
                                format!("of group {number} has checksum {said:#x}, computed {computed:#x}")
                            });
                        }
                    }
                    let end = wide(found.len()).saturating_mul(8);
                    self.compare(desc, "inode bitmap", place, (&found, &expected), (count, end));
                }
                Err(e) => self.damage("inode bitmap", e)?,
            }
        }
        for (name, field, counted) in [
            ("free inodes", FREE_INODES, free),
            ("directories", USED_DIRS, dirs),
        ] {
            let said = u64::from(desc.get(field));
            if said != counted {
                self.error("group descriptor", desc.place, || {
                    format!("group {number}: {said} {name}, counted {counted}")
                });
            }
        }
        Ok(free)
    }

    /// A bitmap as found and as expected; from `end` on everything has to be set, up to `last`.
    fn compare(
        &mut self,
        desc: &Desc,
        structure: &'static str,
        block: u64,
        (found, expected): (&[u8], &[u8]),
        (end, last): (u64, u64),
    ) {
        let (mut lost, mut leaked, mut padding) = (Differences::default(), Differences::default(), 0_u64);
        for (at, (found, expected)) in (0_u64..).zip(found.iter().zip(expected)) {
            if found == expected {
                continue;
            }
            let start = at.saturating_mul(8);
            for n in start..start.saturating_add(8).min(last) {
                let nth = [*found, *expected].map(|byte| bit(&[byte], n & 7));
                match nth {
                    [false, true] if n >= end => padding = padding.saturating_add(1),
                    [false, true] => lost.add(n),
                    [true, false] => leaked.add(n),
                    _ => {}
                }
            }
        }
        let place = self.fs.blocks.offset(block);
        let number = desc.number;
        let kinds = [
            (Severity::Error, lost, "in use and marked as free"),
            (Severity::Leak, leaked, "marked as in use and belong to nothing"),
        ];
        for (severity, differences, what) in kinds {
            if let Some(first) = differences.first {
                self.out.note(severity, structure, place, || {
                    format!(
                        "of group {number}: {} bits, from bit {first} on, are {what}",
                        differences.count
                    )
                });
            }
        }
        if padding > 0 {
            self.error(structure, place, || {
                format!("of group {number}: {padding} bits behind its end are not set")
            });
        }
    }
}

/// Bits that differ.
#[derive(Clone, Copy, Debug, Default)]
struct Differences {
    count: u64,
    first: Option<u64>,
}

impl Differences {
    fn add(&mut self, n: u64) {
        self.count = self.count.saturating_add(1);
        self.first.get_or_insert(n);
    }
}
