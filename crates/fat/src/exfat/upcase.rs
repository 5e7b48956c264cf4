//! The up-case table: which names are equal.

use crate::oem;

/// The upper-case form of each unit of UTF-16.
pub(crate) struct UpCase(Vec<u16>);

impl UpCase {
    /// The table as it is stored (section 7.2.5): 0xffff and a count stand for so many units that are their own.
    pub(crate) fn new(bytes: &[u8]) -> Self {
        let mut table: Vec<u16> = Vec::new();
        let mut units = bytes.as_chunks::<2>().0.iter().map(|b| u16::from_le_bytes(*b));
        while let Some(unit) = units.next() {
            let next = || u16::try_from(table.len()).ok();
            let Some(here) = next() else { break };
            if unit == 0xffff && here != 0xffff {
                let count = units.next().unwrap_or(0);
                table.extend((here..=0xffff).take(count.into()));
            } else {
                table.push(unit);
            }
        }
        Self(table)
    }

    /// What to use where a volume's own table is damaged.
    pub(crate) fn usual() -> Self {
        Self(Vec::new())
    }

    pub(crate) fn up(&self, unit: u16) -> u16 {
        if self.0.is_empty() {
            return oem::up(unit);
        }
        self.0.get(usize::from(unit)).copied().unwrap_or(unit)
    }
}

/// The checksum of a table (section 7.2.2).
pub(crate) fn checksum(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |sum: u32, byte| {
        sum.rotate_right(1).wrapping_add((*byte).into())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_stands_for_units_that_are_their_own() {
        let stored: Vec<u8> = [0xffff_u16, 0x61, 0x41, 0x42]
            .iter()
            .flat_map(|u| u.to_le_bytes())
            .collect();
        let table = UpCase::new(&stored);
        assert_eq!(
            [0x60, 0x61, 0x62, 0x63].map(|u| table.up(u)),
            [0x60, 0x41, 0x42, 0x63]
        );
        assert_eq!(
            UpCase::new(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff])
                .0
                .len(),
            0x10000
        );
        assert_eq!(UpCase::usual().up(0xe9), 0xc9);
    }
}
