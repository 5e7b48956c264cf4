//! Who uses which bytes of a container's file: what two structures both claim is found here.

use crate::check::{Check, Severity};
use h2k_block::{Meter, Result};
use std::fmt;

/// A user of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum User {
    /// A structure by name.
    Named(&'static str),
    /// A block of the guest's disk.
    Block(u64),
}

impl fmt::Display for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(name) => write!(f, "the {name}"),
            Self::Block(n) => write!(f, "block {n}"),
        }
    }
}

/// Claims on a file, in any order.
#[derive(Default)]
pub(crate) struct Spans(Vec<(u64, u64, User)>);

impl Spans {
    /// Notes that `user` claims `len` bytes at `start`.
    pub(crate) fn claim(&mut self, start: u64, len: u64, user: User, meter: &mut Meter) -> Result<()> {
        meter.bytes(32, "map of the file")?;
        self.0.push((start, len, user));
        Ok(())
    }

    /// Reports every claim that begins inside an earlier one, and how far the file is used.
    pub(crate) fn settle(mut self, check: &mut Check) {
        self.0.sort_unstable();
        let mut before: Option<(u64, User)> = None;
        for (start, len, user) in self.0 {
            let end = start.saturating_add(len);
            if let Some((taken, other)) = before
                && start < taken
            {
                check.note(Severity::Error, "file", start, || {
                    format!("{other} and {user} both use it")
                });
            }
            if before.is_none_or(|(taken, _)| end > taken) {
                before = Some((end, user));
            }
        }
        check.image_end = before.map(|(end, _)| end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Format;
    use h2k_block::Limits;

    #[test]
    fn claims_that_overlap_are_found_in_any_order() {
        let mut meter = Meter::new(Limits::default());
        let mut spans = Spans::default();
        for (start, len, user) in [
            (100, 10, User::Block(1)),
            (0, 50, User::Named("header")),
            (105, 10, User::Block(2)),
            (50, 50, User::Block(0)),
            (40, 1, User::Block(3)),
        ] {
            spans.claim(start, len, user, &mut meter).unwrap();
        }
        let mut check = Check::new(Format::Vhd);
        spans.settle(&mut check);
        let said: Vec<&str> = check.findings.iter().map(|f| f.what.as_str()).collect();
        assert_eq!(
            said,
            [
                "the header and block 3 both use it",
                "block 1 and block 2 both use it"
            ]
        );
        assert_eq!((check.errors, check.image_end), (2, Some(115)));
    }
}
