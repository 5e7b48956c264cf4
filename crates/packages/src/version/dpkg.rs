use super::{leading, numbers};
use std::cmp::Ordering;

/// Compares two Debian versions (deb-version(7)): epoch, upstream version, revision. A missing epoch is 0, a missing
/// revision is the same as an empty one.
#[must_use]
pub fn dpkg(a: &str, b: &str) -> Ordering {
    let parts = |full| -> (&str, &str, &str) {
        let full: &str = full;
        let (epoch, rest) = full.split_once(':').unwrap_or(("0", full));
        let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, ""));
        (epoch, upstream, revision)
    };
    let ((e1, u1, r1), (e2, u2, r2)) = (parts(a), parts(b));
    numbers(e1.as_bytes(), e2.as_bytes())
        .then_with(|| part(u1.as_bytes(), u2.as_bytes()))
        .then_with(|| part(r1.as_bytes(), r2.as_bytes()))
}

/// Words and numbers in turn, beginning with a word that may be empty.
fn part(mut a: &[u8], mut b: &[u8]) -> Ordering {
    while !(a.is_empty() && b.is_empty()) {
        let word = |c: u8| !c.is_ascii_digit();
        let (left, rest_a) = leading(a, word);
        let (right, rest_b) = leading(b, word);
        let order = words(left, right);
        if order.is_ne() {
            return order;
        }
        let (left, rest_a) = leading(rest_a, |c| c.is_ascii_digit());
        let (right, rest_b) = leading(rest_b, |c| c.is_ascii_digit());
        let order = numbers(left, right);
        if order.is_ne() {
            return order;
        }
        (a, b) = (rest_a, rest_b);
    }
    Ordering::Equal
}

/// `~` before the end, the end before letters, letters before everything else.
fn words(a: &[u8], b: &[u8]) -> Ordering {
    let rank = |c: Option<&u8>| match c {
        Some(b'~') => -1,
        None => 0,
        Some(c) if c.is_ascii_alphabetic() => i32::from(*c),
        Some(c) => i32::from(*c).saturating_add(256),
    };
    let ranks = (0..a.len().max(b.len())).map(|i| rank(a.get(i)).cmp(&rank(b.get(i))));
    ranks.into_iter().find(|o| o.is_ne()).unwrap_or(Ordering::Equal)
}
