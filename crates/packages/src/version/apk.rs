use super::{leading, numbers};
use std::cmp::Ordering;

/// Compares two versions as apk does; `None` when one of them is no version of apk's form
/// `number{.number}[letter]{_suffix[number]}[~hash][-rnumber]`.
///
/// `_alpha`, `_beta`, `_pre` and `_rc` come before the version without a suffix; `_cvs`, `_svn`, `_git`, `_hg` and `_p`
/// behind it. A number that begins with a zero, other than the first, is a fraction: 1.05 is older than 1.5 and than
/// 1.1.
#[must_use]
pub fn apk(a: &str, b: &str) -> Option<Ordering> {
    let (a, b) = (Version::parse(a)?, Version::parse(b)?);
    Some(
        a.numbers(&b)
            .then_with(|| a.letter.cmp(&b.letter))
            .then_with(|| a.suffixes(&b))
            .then_with(|| a.hash.cmp(&b.hash))
            .then_with(|| match (a.revision, b.revision) {
                (Some(x), Some(y)) => numbers(x, y),
                (x, y) => x.is_some().cmp(&y.is_some()),
            }),
    )
}

struct Version<'a> {
    numbers: Vec<&'a [u8]>,
    letter: Option<u8>,
    suffixes: Vec<(i8, &'a [u8])>,
    hash: Option<&'a [u8]>,
    revision: Option<&'a [u8]>,
}

const SUFFIXES: [(&[u8], i8); 9] = [
    (b"alpha", -4),
    (b"beta", -3),
    (b"pre", -2),
    (b"rc", -1),
    (b"cvs", 1),
    (b"svn", 2),
    (b"git", 3),
    (b"hg", 4),
    (b"p", 5),
];

impl<'a> Version<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let digit = |c: u8| c.is_ascii_digit();
        let some = |n: &'a [u8]| (!n.is_empty()).then_some(n);
        let (first, mut rest) = leading(text.as_bytes(), digit);
        let mut version = Self {
            numbers: vec![some(first)?],
            letter: None,
            suffixes: Vec::new(),
            hash: None,
            revision: None,
        };
        while let Some(after) = rest.strip_prefix(b".") {
            let (number, after) = leading(after, digit);
            version.numbers.push(some(number)?);
            rest = after;
        }
        if let Some((letter, after)) = rest.split_first().filter(|(c, _)| c.is_ascii_lowercase()) {
            version.letter = Some(*letter);
            rest = after;
        }
        while let Some(after) = rest.strip_prefix(b"_") {
            let (word, after) = leading(after, |c| c.is_ascii_lowercase());
            let (_, rank) = SUFFIXES.into_iter().find(|(name, _)| *name == word)?;
            let (number, after) = leading(after, digit);
            version.suffixes.push((rank, number));
            rest = after;
        }
        if let Some(after) = rest.strip_prefix(b"~") {
            let (hash, after) = leading(after, |c| c.is_ascii_hexdigit());
            version.hash = Some(some(hash)?);
            rest = after;
        }
        if let Some(after) = rest.strip_prefix(b"-r") {
            let (number, after) = leading(after, digit);
            version.revision = Some(some(number)?);
            rest = after;
        }
        rest.is_empty().then_some(version)
    }

    fn numbers(&self, other: &Self) -> Ordering {
        let pairs = self.numbers.iter().zip(&other.numbers).enumerate();
        for (i, (a, b)) in pairs {
            let fraction = i > 0 && (a.starts_with(b"0") || b.starts_with(b"0"));
            let order = if fraction {
                let end = |n: &[u8]| {
                    n.iter()
                        .rposition(|d| *d != b'0')
                        .map_or(0, |at| at.saturating_add(1))
                };
                a.get(..end(a)).cmp(&b.get(..end(b)))
            } else {
                numbers(a, b)
            };
            if order.is_ne() {
                return order;
            }
        }
        self.numbers.len().cmp(&other.numbers.len())
    }

    fn suffixes(&self, other: &Self) -> Ordering {
        for i in 0..self.suffixes.len().max(other.suffixes.len()) {
            let at = |v: &Self| {
                v.suffixes
                    .get(i)
                    .map_or((0, b"".to_vec()), |(r, n)| (*r, n.to_vec()))
            };
            let ((rank_a, a), (rank_b, b)) = (at(self), at(other));
            let order = rank_a
                .cmp(&rank_b)
                .then_with(|| a.is_empty().cmp(&b.is_empty()).reverse())
                .then_with(|| numbers(&a, &b));
            if order.is_ne() {
                return order;
            }
        }
        Ordering::Equal
    }
}

#[cfg(test)]
mod tests {
    use super::apk;

    #[test]
    fn each_version_is_older_than_the_next() {
        let ascending = [
            "0.1_alpha",
            "0.1_alpha1_pre2",
            "0.1_alpha1",
            "0.1_beta1",
            "0.1_pre1",
            "0.1_rc1",
            "0.1",
            "0.1-r0",
            "0.1-r1",
            "0.1-r10",
            "0.1_cvs20200101",
            "0.1_git20210101-r3",
            "0.1_p1",
            "0.1_p1-r1",
            "0.1a",
            "0.1b-r0",
            "0.1.0",
            "0.1.05",
            "0.1.1",
            "0.1.5",
            "0.1.10",
            "0.2",
            "0.9",
            "1",
            "1.0",
            "6.1.128-r0",
            "10.0.0",
        ];
        for pair in ascending.windows(2) {
            assert_eq!(apk(pair[0], pair[1]), Some(std::cmp::Ordering::Less), "{pair:?}");
            assert_eq!(
                apk(pair[1], pair[0]),
                Some(std::cmp::Ordering::Greater),
                "{pair:?}"
            );
        }
    }

    #[test]
    fn what_is_no_version_is_not_compared() {
        for bad in ["", "a1", "1.", "1_gamma", "1-r", "1-2", "1.0.x", "1~"] {
            assert_eq!(apk(bad, "1"), None, "{bad}");
        }
    }
}
