//! What a record is called in each view.

use super::record::Raw;
use h2k_fs::wtf8;

/// How names of the plain tree are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Names {
    /// As Linux does by default: lower case, without `;1` and a dot at the end, other `;` as dots.
    #[default]
    Mapped,
    /// As they are stored.
    Stored,
}

/// The name of a record of the primary tree.
pub(crate) fn plain(name: &[u8], names: Names) -> Vec<u8> {
    if names == Names::Stored {
        return safe(name.to_vec());
    }
    let name = name
        .strip_suffix(b".;1")
        .or_else(|| name.strip_suffix(b";1"))
        .unwrap_or(name);
    let shown = name.iter().map(|b| match b {
        b';' | b'/' => b'.',
        b => b.to_ascii_lowercase(),
    });
    safe(shown.collect())
}

/// The name of a record of the Joliet tree: UCS-2, big-endian.
pub(crate) fn joliet(name: &[u8]) -> Vec<u8> {
    let units: Vec<u16> = name
        .as_chunks::<2>()
        .0
        .iter()
        .map(|b| u16::from_be_bytes(*b))
        .collect();
    let units = units.strip_suffix(&[0x3b, 0x31]).unwrap_or(&units);
    let bytes = wtf8::encode(units.iter().copied());
    // Windows does not like dots at the end of a name; neither does Linux here.
    let end = bytes
        .iter()
        .rposition(|b| *b != b'.')
        .map_or(1, |i| i.saturating_add(1));
    safe(bytes.get(..end).unwrap_or(&bytes).to_vec())
}

/// A name that can be one: not empty, no slash, no NUL, not `.` or `..`.
pub(crate) fn safe(mut name: Vec<u8>) -> Vec<u8> {
    for byte in &mut name {
        if matches!(byte, 0 | b'/') {
            *byte = b'_';
        }
    }
    if name.is_empty() || name == b"." || name == b".." {
        name = vec![b'_'; name.len().max(1)];
    }
    name
}

/// Whether a record is the directory itself or its parent.
pub(crate) fn is_dots(raw: &Raw) -> bool {
    matches!(raw.name.as_slice(), [0 | 1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_shown_as_linux_shows_them() {
        let mapped = |name: &[u8]| String::from_utf8(plain(name, Names::Mapped)).unwrap();
        assert_eq!(mapped(b"README.TXT;1"), "readme.txt");
        assert_eq!(mapped(b"README.;1"), "readme");
        assert_eq!(mapped(b"README.TXT;2"), "readme.txt.2");
        assert_eq!(plain(b"README.TXT;1", Names::Stored), b"README.TXT;1");
        assert_eq!(plain(b"..", Names::Stored), b"__");
        assert_eq!(plain(b"a/b", Names::Stored), b"a_b");
        assert_eq!(joliet(b"\0A\0b\0;\x001"), b"Ab");
        assert_eq!(joliet(b"\0A\0.\0."), b"A");
        assert_eq!(joliet(b"\xd8\0"), b"\xed\xa0\x80");
    }
}
