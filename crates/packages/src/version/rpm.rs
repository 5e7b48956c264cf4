use super::{leading, numbers};
use std::cmp::Ordering;

/// Compares two versions, or two releases, as rpm does (rpm-version(7)).
///
/// Runs of digits and runs of letters are compared one by one; what separates them does not matter. `~` comes before
/// everything, even the end; `^` comes after the end and before everything else.
#[must_use]
pub fn rpm(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    loop {
        let separator = |c: u8| !c.is_ascii_alphanumeric() && c != b'~' && c != b'^';
        (_, a) = leading(a, separator);
        (_, b) = leading(b, separator);
        let (x, y) = (a.first().copied(), b.first().copied());
        match (x, y) {
            (Some(b'~'), Some(b'~')) | (Some(b'^'), Some(b'^')) => {
                a = a.get(1..).unwrap_or_default();
                b = b.get(1..).unwrap_or_default();
                continue;
            }
            (Some(b'~'), _) => return Ordering::Less,
            (_, Some(b'~')) => return Ordering::Greater,
            (None, None) => return Ordering::Equal,
            // The caret is newer than the end, and older than anything that goes on.
            (Some(b'^'), None) => return Ordering::Greater,
            (None, Some(b'^')) => return Ordering::Less,
            (Some(b'^'), Some(_)) => return Ordering::Less,
            (Some(_), Some(b'^')) => return Ordering::Greater,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(_), Some(_)) => {}
        }
        let digits = x.is_some_and(|c| c.is_ascii_digit());
        let of = |c: u8| {
            if digits {
                c.is_ascii_digit()
            } else {
                c.is_ascii_alphabetic()
            }
        };
        let (left, rest_a) = leading(a, of);
        let (right, rest_b) = leading(b, of);
        let order = match (digits, right.is_empty()) {
            // A number is newer than a word.
            (true, true) => Ordering::Greater,
            (false, true) => Ordering::Less,
            (true, false) => numbers(left, right),
            (false, false) => left.cmp(right),
        };
        if order.is_ne() {
            return order;
        }
        (a, b) = (rest_a, rest_b);
    }
}

/// Compares `epoch:version-release` of two packages as rpm does. A missing epoch is 0; a missing release is older
/// than any.
#[must_use]
pub fn rpm_evr(a: &str, b: &str) -> Ordering {
    let parts = |evr| -> (Option<&[u8]>, &str, Option<&str>) {
        let evr: &str = evr;
        let (epoch, rest) = match evr.split_once(':') {
            Some((e, rest)) if e.bytes().all(|c| c.is_ascii_digit()) => (Some(e.as_bytes()), rest),
            _ => (None, evr),
        };
        match rest.rsplit_once('-') {
            Some((version, release)) => (epoch, version, Some(release)),
            None => (epoch, rest, None),
        }
    };
    let ((e1, v1, r1), (e2, v2, r2)) = (parts(a), parts(b));
    let releases = || match (r1, r2) {
        (Some(r1), Some(r2)) => rpm(r1, r2),
        _ => r1.is_some().cmp(&r2.is_some()),
    };
    numbers(e1.unwrap_or(b"0"), e2.unwrap_or(b"0"))
        .then_with(|| rpm(v1, v2))
        .then_with(releases)
}
