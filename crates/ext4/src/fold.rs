//! Names in directories that ignore case.
//!
//! The kernel compares Unicode 12.1 names after full case folding and canonical decomposition. This reader knows the
//! lower-case mapping of the standard library and no decomposition: names that differ in case alone are found, names
//! that differ in how an accent is composed have to be given exactly.

/// The folded name; `None` for what is not UTF-8, which only its exact bytes find.
pub(crate) fn fold(name: &[u8]) -> Option<String> {
    let mut out = String::with_capacity(name.len());
    for c in std::str::from_utf8(name).ok()?.chars() {
        match c {
            // The two whose folding is not their lower case and that are common in file names.
            'ß' | 'ẞ' => out.push_str("ss"),
            'ς' => out.push('σ'),
            other => out.extend(other.to_lowercase()),
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_differ_in_case_fold_to_the_same() {
        assert_eq!(fold(b"README.Txt"), fold(b"readme.tXT"));
        assert_eq!(fold("STRASSE".as_bytes()), fold("straße".as_bytes()));
        assert_eq!(fold("ΣΊΣΥΦΟΣ".as_bytes()), fold("σίσυφος".as_bytes()));
        assert_ne!(fold(b"a"), fold(b"b"));
        assert_eq!(fold(b"\xff"), None);
    }
}
