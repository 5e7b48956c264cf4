//! Patterns of the shell: glob(7).

const LONGEST: usize = 1024;

/// Whether `name` fits `pattern`: `*`, `?`, `[a-z]`, `[!0-9]`. Takes time in proportion to both lengths multiplied.
/// No name of an interface or file is longer than [`LONGEST`], and no pattern need be.
pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    if pattern.len() > LONGEST || name.len() > LONGEST {
        return false;
    }
    let parts = parts(pattern);
    let name: Vec<char> = name.chars().collect();
    // Where parts and name are, and where to go on after the last star if that was wrong.
    let (mut at, mut place) = (0_usize, 0_usize);
    let mut again: Option<(usize, usize)> = None;
    while let Some(c) = name.get(place) {
        match parts.get(at) {
            Some(Part::Star) => {
                again = Some((at.saturating_add(1), place));
                at = at.saturating_add(1);
            }
            Some(Part::One(one)) if one.fits(*c) => {
                at = at.saturating_add(1);
                place = place.saturating_add(1);
            }
            _ => {
                let Some((after, from)) = again else { return false };
                let from = from.saturating_add(1);
                again = Some((after, from));
                (at, place) = (after, from);
            }
        }
    }
    parts.iter().skip(at).all(|part| matches!(part, Part::Star))
}

enum Part {
    Star,
    One(One),
}

enum One {
    Any,
    This(char),
    Set(bool, Vec<(char, char)>),
}

impl One {
    fn fits(&self, c: char) -> bool {
        match self {
            Self::Any => true,
            Self::This(this) => *this == c,
            Self::Set(wanted, ranges) => ranges.iter().any(|(a, b)| (*a..=*b).contains(&c)) == *wanted,
        }
    }
}

fn parts(pattern: &str) -> Vec<Part> {
    let mut all = Vec::new();
    let mut rest = pattern.chars();
    while let Some(c) = rest.next() {
        all.push(match c {
            '*' => Part::Star,
            '?' => Part::One(One::Any),
            '\\' => Part::One(One::This(rest.next().unwrap_or('\\'))),
            '[' => match set(rest.as_str()) {
                Some((one, after)) => {
                    rest = after.chars();
                    Part::One(one)
                }
                None => Part::One(One::This('[')),
            },
            c => Part::One(One::This(c)),
        });
    }
    all
}

/// What stands behind a bracket; `None` where it is never closed, and means itself.
fn set(text: &str) -> Option<(One, &str)> {
    let (wanted, body) = match text.strip_prefix(['!', '^']) {
        Some(body) => (false, body),
        None => (true, text),
    };
    let mut chars = body.chars().peekable();
    let mut ranges = Vec::new();
    let mut first = true;
    loop {
        let c = chars.next()?;
        if c == ']' && !first {
            break;
        }
        first = false;
        let mut ahead = chars.clone();
        match (ahead.next(), ahead.next()) {
            (Some('-'), Some(end)) if end != ']' => {
                ranges.push((c, end));
                chars = ahead;
            }
            _ => ranges.push((c, c)),
        }
    }
    let used: usize = body.len().checked_sub(chars.map(char::len_utf8).sum())?;
    Some((One::Set(wanted, ranges), body.get(used..)?))
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns_fit_as_the_shell_has_it() {
        for (pattern, name, fits) in [
            ("en*", "ens192", true),
            ("e*2", "ens192", true),
            ("e*2", "ens1920", false),
            ("eth[0-3]", "eth2", true),
            ("eth[!0-3]", "eth2", false),
            ("[]x]", "]", true),
            ("eth?", "eth", false),
            ("a[b", "a[b", true),
            ("*", "", true),
            ("", "x", false),
        ] {
            assert_eq!(matches(pattern, name), fits, "{pattern} {name}");
        }
    }
}
