//! Names in directories that ignore case.
//!
//! Linux compares them after canonical decomposition and full case folding, without the code points that are
//! ignorable by default, by the tables of Unicode 12.1. The libraries' tables are newer: code points that Unicode 12.1
//! did not have stand for themselves here as well. Measured with debugfs (`dx_hash -c`) over every code point.

use caseless::Caseless;
use unicode_normalization::UnicodeNormalization;

/// The folded name, empty if all of it is ignorable; `None` for what is not UTF-8, which only its exact bytes find.
pub(crate) fn fold(name: &[u8]) -> Option<String> {
    let name = std::str::from_utf8(name).ok()?;
    if name.is_ascii() {
        return Some(name.to_ascii_lowercase());
    }
    let mut out = String::with_capacity(name.len());
    // Marks are put in order within a piece: in Linux they pass neither of the two kinds that end one.
    for piece in name.split_inclusive(|c| is_newer(c) || is_ignorable(c)) {
        let newer = piece.chars().next_back().filter(|c| is_newer(*c));
        let known = piece.chars().filter(|c| !is_ignorable(*c) && !is_newer(*c));
        // U+0345 becomes a letter: folded first, marks do not pass it either.
        out.extend(known.default_case_fold().nfd());
        out.extend(newer);
    }
    Some(out)
}

/// Code points with a case or a decomposition that came after Unicode 12.1.
fn is_newer(c: char) -> bool {
    matches!(u32::from(c),
        0x1c89 | 0x2c2f | 0xa7c0 | 0xa7c7 | 0xa7c9 | 0xa7cb..=0xa7cc | 0xa7d0 | 0xa7d6 | 0xa7d8 | 0xa7da | 0xa7dc
        | 0xa7f5 | 0x10570..=0x1057a | 0x1057c..=0x1058a | 0x1058c..=0x10592 | 0x10594..=0x10595 | 0x105c9 | 0x105e4
        | 0x10d50..=0x10d65 | 0x11383 | 0x11385 | 0x1138e | 0x11391 | 0x113c5 | 0x113c7..=0x113c8 | 0x11938
        | 0x16121..=0x16128 | 0x16d68..=0x16d6a)
}

/// `Default_Ignorable_Code_Point` (DerivedCoreProperties.txt).
fn is_ignorable(c: char) -> bool {
    matches!(u32::from(c),
        0xad | 0x34f | 0x61c | 0x115f..=0x1160 | 0x17b4..=0x17b5 | 0x180b..=0x180e | 0x200b..=0x200f
        | 0x202a..=0x202e | 0x2060..=0x206f | 0x3164 | 0xfe00..=0xfe0f | 0xfeff | 0xffa0 | 0xfff0..=0xfff8
        | 0x1bca0..=0x1bca3 | 0x1d173..=0x1d17a | 0xe0000..=0xe0fff)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::as_conversions, clippy::disallowed_methods)]
    use super::*;

    use crate::hash::Hasher;
    use h2k_testkit::{oracle, rng::Rng};

    /// The hash of `name` in a directory that ignores case, from debugfs.
    fn debugfs(names: &[String]) -> Vec<u32> {
        let script = tempfile::NamedTempFile::new().unwrap();
        let lines: String = names
            .iter()
            .map(|n| format!("dx_hash -h half_md4 -c -e utf8 {n}\n"))
            .collect();
        std::fs::write(script.path(), lines).unwrap();
        let text = oracle::ok("debugfs", &["-f", script.path().to_str().unwrap()]);
        text.lines()
            .filter_map(|l| l.strip_prefix("Hash of ")?.split_once(" is 0x"))
            .map(|(_, hash)| u32::from_str_radix(hash.split(' ').next().unwrap(), 16).unwrap())
            .collect()
    }

    fn compare(names: &[String]) {
        let hasher = Hasher::new(1, false, [0; 4]).unwrap();
        let theirs = debugfs(names);
        assert_eq!(theirs.len(), names.len());
        for (name, theirs) in names.iter().zip(theirs) {
            let ours = hasher.hash(fold(name.as_bytes()).unwrap().as_bytes()).0;
            assert_eq!(ours, theirs, "{name:?} ({})", name.escape_unicode());
        }
    }

    /// Code points that any table of the libraries changes or moves, without white space, which debugfs splits at.
    fn interesting() -> Vec<char> {
        ('\u{a1}'..=char::MAX)
            .filter(|c| !c.is_whitespace())
            .filter(|c| {
                is_ignorable(*c)
                    || is_newer(*c)
                    || unicode_normalization::char::canonical_combining_class(*c) != 0
                    || !std::iter::once(*c).default_case_fold().nfd().eq([*c])
            })
            // Hangul syllables decompose by arithmetic: one in a hundred will do, as of the ignorable planes.
            .filter(|c| !('가'..='힣').contains(c) || u32::from(*c) % 100 == 0)
            .filter(|c| u32::from(*c) < 0xe0000 || u32::from(*c) % 100 == 0)
            .collect()
    }

    #[test]
    fn every_code_point_that_changes_folds_as_debugfs_folds_it() {
        let names: Vec<_> = interesting().iter().map(|c| format!("A{c}z")).collect();
        assert!(names.len() > 3000);
        compare(&names);
    }

    #[test]
    fn mixtures_of_marks_and_letters_fold_as_debugfs_folds_them() {
        let pool = interesting();
        let mut rng = Rng::new(0xca5e);
        // Marks that Unicode 12.1 did not know stay where they are in Linux; the libraries move them.
        let known = |c: &char| {
            unicode_normalization::char::canonical_combining_class(*c) == 0 || u32::from(*c) < 0x370
        };
        let pool: Vec<_> = pool.into_iter().filter(known).collect();
        let names: Vec<_> = (0..3000)
            .map(|_| {
                (0..1 + rng.below(8))
                    .map(|_| match rng.below(3) {
                        0 => char::from_u32(0x300 + rng.below(0x70) as u32).unwrap(),
                        1 => char::from(b'A' + rng.below(26) as u8),
                        _ => pool[rng.below(pool.len() as u64) as usize],
                    })
                    .collect::<String>()
            })
            .collect();
        compare(&names);
    }

    #[test]
    fn names_that_differ_in_case_or_composition_fold_to_the_same() {
        for (a, b) in [
            ("README.Txt", "readme.tXT"),
            ("STRASSE", "straße"),
            ("ΣΊΣΥΦΟΣ", "σίσυφος"),
            ("caf\u{e9}", "CAFE\u{301}"),
            ("q\u{307}\u{323}", "Q\u{323}\u{307}"),
            ("\u{1f82}", "\u{1f00}\u{300}\u{3b9}"),
            ("soft\u{ad}hyphen", "SoftHyphen"),
            ("\u{212b}", "\u{e5}"),
        ] {
            assert_eq!(fold(a.as_bytes()), fold(b.as_bytes()), "{a} {b}");
        }
        assert_ne!(fold(b"a"), fold(b"b"));
        // Compatibility is not equivalence.
        assert_ne!(fold("ﬁ".as_bytes()), fold("fj".as_bytes()));
        assert_ne!(fold("²".as_bytes()), fold(b"2"));
        assert_eq!(fold(b"\xff"), None);
    }
}
