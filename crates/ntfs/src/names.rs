//! Names: UTF-16 units on the volume, compared through the volume's own table.

/// The volume's `$UpCase`: the upper-case form of each UTF-16 unit.
pub(crate) struct UpCase(Vec<u16>);

impl UpCase {
    /// The table as `$UpCase` stores it; units it does not have stay as they are.
    pub(crate) fn new(bytes: &[u8]) -> Self {
        let (pairs, _) = bytes.as_chunks::<2>();
        Self(pairs.iter().map(|p| u16::from_le_bytes(*p)).collect())
    }

    fn up(&self, unit: u16) -> u16 {
        self.0.get(usize::from(unit)).copied().unwrap_or(unit)
    }

    /// The order of names in an index: by upper-case units.
    pub(crate) fn compare(&self, a: &[u16], b: &[u16]) -> std::cmp::Ordering {
        a.iter().map(|u| self.up(*u)).cmp(b.iter().map(|u| self.up(*u)))
    }
}

/// Pairs of bytes as UTF-16 units.
pub(crate) fn units(bytes: &[u8]) -> Vec<u16> {
    let (pairs, _) = bytes.as_chunks::<2>();
    pairs.iter().map(|p| u16::from_le_bytes(*p)).collect()
}
