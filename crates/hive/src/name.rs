use crate::bytes::units;
use crate::upcase;
use std::cmp::Ordering;
use std::fmt;

/// The name of a key or a value, as it is stored: Latin-1 ("compressed") or UTF-16.
///
/// `Display` gives text; units that are no UTF-16 become U+FFFD.
#[derive(Clone, Copy, Debug)]
pub struct Name<'h> {
    bytes: &'h [u8],
    latin: bool,
}

impl<'h> Name<'h> {
    pub(crate) fn new(bytes: &'h [u8], latin: bool) -> Self {
        Self { bytes, latin }
    }

    /// The bytes as stored.
    #[must_use]
    pub fn raw(&self) -> &'h [u8] {
        self.bytes
    }

    /// Whether it is stored in Latin-1.
    #[must_use]
    pub fn is_latin(&self) -> bool {
        self.latin
    }

    /// Whether there is no name: the default value of a key has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Its UTF-16 units.
    pub fn units(&self) -> impl Iterator<Item = u16> + Clone + 'h {
        let (latin, wide): (&[u8], &[u8]) = if self.latin {
            (self.bytes, &[])
        } else {
            (&[], self.bytes)
        };
        latin.iter().map(|b| u16::from(*b)).chain(units(wide))
    }

    /// Whether Windows takes the two for the same name.
    #[must_use]
    pub fn is(&self, other: &str) -> bool {
        self.against(other.encode_utf16()) == Ordering::Equal
    }

    /// The order of subkeys in their list: by units in upper case.
    #[must_use]
    pub fn order(&self, other: &Name<'_>) -> Ordering {
        self.against(other.units())
    }

    /// The same, against a name that is no view.
    pub(crate) fn against(&self, other: impl Iterator<Item = u16>) -> Ordering {
        fold(self.units(), other)
    }

    /// Whether every unit belongs to a character.
    #[must_use]
    pub fn is_text(&self) -> bool {
        char::decode_utf16(self.units()).all(|c| c.is_ok())
    }
}

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write;
        for c in char::decode_utf16(self.units()) {
            f.write_char(c.unwrap_or(char::REPLACEMENT_CHARACTER))?;
        }
        Ok(())
    }
}

/// Compares units in upper case.
pub(crate) fn fold(a: impl Iterator<Item = u16>, b: impl Iterator<Item = u16>) -> Ordering {
    a.map(upcase).cmp(b.map(upcase))
}

/// The hash that a hash leaf keeps of a name.
pub(crate) fn hash(name: impl Iterator<Item = u16>) -> u32 {
    name.fold(0_u32, |h, unit| {
        h.wrapping_mul(37).wrapping_add(u32::from(upcase(unit)))
    })
}

/// The hint that a fast leaf keeps of a name: its first four characters, or nothing when one of them is no Latin-1.
pub(crate) fn hint(name: impl Iterator<Item = u16>) -> [u8; 4] {
    let mut hint = [0; 4];
    for (to, unit) in hint.iter_mut().zip(name) {
        match u8::try_from(unit) {
            Ok(byte) => *to = byte,
            Err(_) => return [0; 4],
        }
    }
    hint
}
