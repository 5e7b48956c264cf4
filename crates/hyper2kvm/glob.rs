//! Patterns for names, as the shell knows them, over bytes.

/// A pattern: `*` any bytes, `?` one, `[a-z]` one of these, `[!a-z]` none of them, `\` takes the next as it is.
#[derive(Debug)]
pub(crate) struct Glob {
    parts: Vec<Part>,
    fold: bool,
}

#[derive(Debug)]
enum Part {
    Any,
    One,
    Byte(u8),
    Set { not: bool, ranges: Vec<(u8, u8)> },
}

impl Glob {
    /// Reads a pattern; every pattern means something. `fold` takes ASCII capitals and small letters for the same.
    pub(crate) fn new(pattern: Vec<u8>, fold: bool) -> Self {
        let mut parts = Vec::new();
        let mut rest = pattern.as_slice();
        while let Some((first, tail)) = rest.split_first() {
            rest = tail;
            let part = match first {
                b'*' => Part::Any,
                b'?' => Part::One,
                b'[' => match set(tail) {
                    Some((part, after)) => {
                        rest = after;
                        part
                    }
                    None => Part::Byte(b'['),
                },
                b'\\' => match tail.split_first() {
                    Some((byte, after)) => {
                        rest = after;
                        Part::Byte(*byte)
                    }
                    None => Part::Byte(b'\\'),
                },
                byte => Part::Byte(*byte),
            };
            // Several stars in a row say what one says.
            if !(matches!(part, Part::Any) && matches!(parts.last(), Some(Part::Any))) {
                parts.push(part);
            }
        }
        Self { parts, fold }
    }

    /// Whether all of `name` is what the pattern says. Takes at most length times length steps.
    pub(crate) fn matches(&self, name: &[u8]) -> bool {
        let (mut part, mut at) = (0_usize, 0_usize);
        // Where the last star was, and up to where it reaches now.
        let mut star: Option<(usize, usize)> = None;
        while let Some(byte) = name.get(at) {
            match self.parts.get(part) {
                Some(Part::Any) => {
                    star = Some((part, at));
                    part = part.saturating_add(1);
                }
                Some(one) if self.is(one, *byte) => {
                    part = part.saturating_add(1);
                    at = at.saturating_add(1);
                }
                _ => match &mut star {
                    Some((place, reach)) => {
                        *reach = reach.saturating_add(1);
                        (part, at) = (place.saturating_add(1), *reach);
                    }
                    None => return false,
                },
            }
        }
        let left = self.parts.get(part..).unwrap_or_default();
        left.iter().all(|p| matches!(p, Part::Any))
    }

    fn is(&self, part: &Part, byte: u8) -> bool {
        let same = |byte: u8| match part {
            Part::Any | Part::One => true,
            Part::Byte(b) => *b == byte,
            Part::Set { not, ranges } => ranges.iter().any(|(a, z)| (*a..=*z).contains(&byte)) != *not,
        };
        match (self.fold, part) {
            (true, Part::Byte(b)) => b.eq_ignore_ascii_case(&byte),
            (true, Part::Set { not: true, .. }) => {
                same(byte.to_ascii_lowercase()) && same(byte.to_ascii_uppercase())
            }
            (true, _) => same(byte.to_ascii_lowercase()) || same(byte.to_ascii_uppercase()),
            (false, _) => same(byte),
        }
    }
}

/// What stands between brackets, and what follows; `None` where no bracket closes them.
fn set(text: &[u8]) -> Option<(Part, &[u8])> {
    let (not, mut rest) = match text.split_first() {
        Some((b'!' | b'^', tail)) => (true, tail),
        _ => (false, text),
    };
    let mut ranges = Vec::new();
    let mut first = true;
    loop {
        let (byte, tail) = rest.split_first()?;
        // A bracket that comes first is one of the set.
        if *byte == b']' && !first {
            return Some((Part::Set { not, ranges }, tail));
        }
        first = false;
        let (low, tail) = match (byte, tail.split_first()) {
            (b'\\', Some((escaped, tail))) => (*escaped, tail),
            _ => (*byte, tail),
        };
        match tail {
            [b'-', high, tail @ ..] if *high != b']' => {
                ranges.push((low, *high));
                rest = tail;
            }
            _ => {
                ranges.push((low, low));
                rest = tail;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Glob;

    fn is(pattern: &str, name: &[u8]) -> bool {
        Glob::new(pattern.into(), false).matches(name)
    }

    #[test]
    fn patterns_match_whole_names() {
        for (pattern, yes, no) in [
            (
                "*.conf",
                &[&b".conf"[..], b"a.conf", b"a.conf.conf"][..],
                &[&b"a.conf~"[..], b"conf"][..],
            ),
            ("a?c", &[b"abc", b"a\xffc"], &[b"ac", b"abbc"]),
            ("[a-c]x[!0-9]", &[b"bxz"], &[b"dxz", b"bx5"]),
            ("[]x]", &[b"]", b"x"], &[b"y"]),
            ("[a-]", &[b"a", b"-"], &[b"b"]),
            ("[open", &[b"[open"], &[b"o"]),
            ("\\*", &[b"*"], &[b"a", b"\\"]),
            ("*a*b*c", &[b"abc", b"xaybzc", b"abcabc"], &[b"acb", b""]),
            ("", &[b""], &[b"x"]),
            ("**", &[b"", b"anything"], &[]),
        ] {
            yes.iter()
                .for_each(|name| assert!(is(pattern, name), "{pattern} {name:?}"));
            no.iter()
                .for_each(|name| assert!(!is(pattern, name), "{pattern} {name:?}"));
        }
        assert!(Glob::new("*.JPG".into(), true).matches(b"a.jPg"));
        assert!(!Glob::new("[!A]".into(), true).matches(b"a"));
    }

    #[test]
    fn a_pattern_made_of_stars_takes_no_forever() {
        let pattern = "*a".repeat(100) + "b";
        assert!(!is(&pattern, &[b'a'; 4000]));
    }
}
