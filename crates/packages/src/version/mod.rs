//! Which of two versions is newer, as each package manager decides it.

mod apk;
mod dpkg;
mod rpm;

pub use apk::apk;
pub use dpkg::dpkg;
pub use rpm::{rpm, rpm_evr};

use std::cmp::Ordering;

/// Splits `text` behind its leading bytes that are `of` a kind.
fn leading(text: &[u8], of: impl Fn(u8) -> bool) -> (&[u8], &[u8]) {
    let end = text.iter().position(|b| !of(*b)).unwrap_or(text.len());
    text.split_at(end)
}

/// Compares decimal digits of any length as numbers.
fn numbers(a: &[u8], b: &[u8]) -> Ordering {
    let (_, a) = leading(a, |d| d == b'0');
    let (_, b) = leading(b, |d| d == b'0');
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}
