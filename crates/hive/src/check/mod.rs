//! The structural check: every cell reachable once, every size, count, hash, order and reference right.

mod cells;
mod keys;
mod securities;

use crate::bytes::wide;
use crate::hive::Hive;
use crate::layout::BLOCK;
use h2k_block::{Error, Meter, Result};
use std::collections::BTreeMap;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Odd and harmless.
    Warning,
    /// Allocated, and used by nothing.
    Leak,
    /// Something is wrong or missing.
    Error,
}

/// One thing the check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The structure, as the specification names it.
    pub structure: &'static str,
    /// Its position in the file in bytes.
    pub offset: u64,
    /// What was found, and what was expected.
    pub message: String,
}

/// What the check counted and found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// Keys reached.
    pub keys: u64,
    /// Values reached.
    pub values: u64,
    /// Security items reached.
    pub securities: u64,
    /// Hive bins.
    pub bins: u64,
    /// Allocated bytes, with the sizes of the cells.
    pub used: u64,
    /// Free bytes.
    pub free: u64,
    /// What is wrong, in the order it was met; at most ten thousand.
    pub findings: Vec<Finding>,
    /// How many findings there are of each severity, with those that are not listed.
    pub errors: u64,
    /// Allocated cells that nothing uses.
    pub leaks: u64,
    /// What is odd.
    pub warnings: u64,
}

impl Checked {
    /// Whether nothing is wrong and nothing leaked.
    #[must_use]
    pub fn clean(&self) -> bool {
        self.errors == 0 && self.leaks == 0
    }
}

/// Findings that are listed.
const LISTED: usize = 10_000;

impl Hive {
    /// Looks at everything.
    ///
    /// # Errors
    /// Only `Limit`, when the hive needs more steps than it may take. What is wrong with the hive is in the report.
    pub fn check(&self) -> Result<Checked> {
        let mut check = Check {
            hive: self,
            out: Checked::default(),
            cells: BTreeMap::new(),
            references: BTreeMap::new(),
            meter: Meter::new(self.limits),
        };
        check.head();
        check.cells()?;
        check.tree()?;
        check.securities()?;
        check.leaks();
        Ok(check.out)
    }
}

/// What is known of an allocated cell.
struct Cell {
    /// How many bytes it takes.
    len: usize,
    /// What uses it.
    user: Option<&'static str>,
}

struct Check<'h> {
    hive: &'h Hive,
    out: Checked,
    /// Allocated cells by offset.
    cells: BTreeMap<u32, Cell>,
    /// How many keys point at each security item.
    references: BTreeMap<u32, u32>,
    meter: Meter,
}

impl<'h> Check<'h> {
    fn find(&mut self, severity: Severity, structure: &'static str, offset: u64, message: String) {
        let count = match severity {
            Severity::Error => &mut self.out.errors,
            Severity::Leak => &mut self.out.leaks,
            Severity::Warning => &mut self.out.warnings,
        };
        *count = count.saturating_add(1);
        if self.out.findings.len() < LISTED {
            self.out.findings.push(Finding {
                severity,
                structure,
                offset,
                message,
            });
        }
    }

    /// An error about the cell at `at`.
    fn wrong(&mut self, at: u32, structure: &'static str, message: String) {
        let offset = u64::from(at).saturating_add(wide(BLOCK));
        self.find(Severity::Error, structure, offset, message);
    }

    fn odd(&mut self, at: u32, structure: &'static str, message: String) {
        let offset = u64::from(at).saturating_add(wide(BLOCK));
        self.find(Severity::Warning, structure, offset, message);
    }

    fn failed(&mut self, e: &Error) {
        let (structure, offset) = e.place().map_or(("hive", 0), |p| (p.structure, p.offset));
        self.find(Severity::Error, structure, offset, e.sentence().to_owned());
    }
}
