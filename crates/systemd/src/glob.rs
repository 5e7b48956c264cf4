//! Shell patterns as presets use them: `*`, `?`, `[a-z]`, `[!a-z]`; a backslash is a character like others.

/// Whether `name` is what `pattern` describes. Takes at most the product of the two lengths.
pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    let (mut p, mut n) = (0_usize, 0_usize);
    let mut star: Option<(usize, usize)> = None;
    while let Some(c) = name.get(n) {
        let rest = pattern.get(p..).unwrap_or_default();
        if rest.first() == Some(&'*') {
            star = Some((p.saturating_add(1), n));
            p = p.saturating_add(1);
        } else if let Some(taken) = one(rest, *c) {
            p = p.saturating_add(taken);
            n = n.saturating_add(1);
        } else if let Some((after, from)) = star {
            // The star takes one more.
            let from = from.saturating_add(1);
            star = Some((after, from));
            (p, n) = (after, from);
        } else {
            return false;
        }
    }
    pattern.get(p..).unwrap_or_default().iter().all(|c| *c == '*')
}

/// How much of the pattern stands for `c`, if its beginning does.
fn one(pattern: &[char], c: char) -> Option<usize> {
    match pattern.first()? {
        '?' => Some(1),
        '[' => set(pattern, c).unwrap_or((c == '[').then_some(1)),
        other => (*other == c).then_some(1),
    }
}

/// A set in brackets: `None` where it is not closed, so that the bracket stands for itself.
fn set(pattern: &[char], c: char) -> Option<Option<usize>> {
    let negated = matches!(pattern.get(1), Some('!' | '^'));
    let begin = if negated { 2_usize } else { 1 };
    let mut at = begin;
    let mut found = false;
    loop {
        let low = *pattern.get(at)?;
        if low == ']' && at > begin {
            let len = at.saturating_add(1);
            return Some((found != negated).then_some(len));
        }
        let dash = pattern.get(at.saturating_add(1)) == Some(&'-');
        let high = pattern.get(at.saturating_add(2)).filter(|h| **h != ']');
        if let (true, Some(high)) = (dash, high) {
            found |= (low..=*high).contains(&c);
            at = at.saturating_add(3);
        } else {
            found |= low == c;
            at = at.saturating_add(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns_are_those_of_a_shell() {
        for (pattern, name, answer) in [
            ("*", "", true),
            ("a*c*e", "abcde", true),
            ("a*c", "abcd", false),
            ("sys?.service", "sysv.service", true),
            ("[a-c]x", "bx", true),
            ("[!a-c]x", "bx", false),
            ("[]]x", "]x", true),
            ("[a", "[a", true),
            ("a\\*", "a\\b", true),
        ] {
            assert_eq!(matches(pattern, name), answer, "{pattern} {name}");
        }
    }
}
