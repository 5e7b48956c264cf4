//! Security items: counted right, with a descriptor that means something, and all on one ring.

use super::Check;
use crate::bytes::{array, index, le32};
use crate::descriptor;
use crate::layout::{NOWHERE, sk};
use h2k_block::Result;
use std::collections::{BTreeMap, BTreeSet};

impl Check<'_> {
    /// Security items: counted right, and all on one ring.
    pub(super) fn securities(&mut self) -> Result<()> {
        let references = std::mem::take(&mut self.references);
        for (at, count) in &references {
            self.meter.step("security item")?;
            if !self.claim(*at, "key security") {
                continue;
            }
            self.out.securities = self.out.securities.saturating_add(1);
            let cell = match self.hive.cell(*at, "key security") {
                Ok(cell) => cell,
                Err(e) => {
                    self.failed(&e);
                    continue;
                }
            };
            if array(cell, 0) != Some(sk::SIGNATURE) {
                let found = cell.get(..2).unwrap_or_default();
                self.wrong(*at, "key security", format!("{found:02x?}, expected \"sk\""));
                continue;
            }
            let said = le32(cell, sk::REFERENCES).unwrap_or(0);
            if said != *count {
                self.wrong(
                    *at,
                    "key security",
                    format!("{said} references, {count} keys point here"),
                );
            }
            let size = index(le32(cell, sk::SIZE).unwrap_or(0));
            let room = cell.len().saturating_sub(sk::DESCRIPTOR);
            if size > room {
                self.wrong(
                    *at,
                    "key security",
                    format!("a descriptor of {size} bytes, the cell has {room}"),
                );
            }
            let descriptor = cell.get(sk::DESCRIPTOR..).and_then(|room| room.get(..size));
            if let Some(problem) = descriptor.and_then(descriptor::problem) {
                self.odd(*at, "key security", format!("a descriptor with {problem}"));
            }
            let next = le32(cell, sk::FLINK).unwrap_or(NOWHERE);
            if self.link(next, sk::BLINK) != Some(*at) {
                self.wrong(
                    *at,
                    "key security",
                    format!("the next item, {next:#x}, does not point back"),
                );
            }
        }
        self.ring(&references)
    }

    /// Where the security item at `at` points: forwards or backwards.
    fn link(&self, at: u32, field: usize) -> Option<u32> {
        let cell = self.hive.cell(at, "key security").ok()?;
        le32(cell, field).filter(|_| array(cell, 0) == Some(sk::SIGNATURE))
    }

    /// One ring goes through every security item that a key points at.
    fn ring(&mut self, used: &BTreeMap<u32, u32>) -> Result<()> {
        let Some(start) = used.keys().next() else {
            return Ok(());
        };
        let mut seen = BTreeSet::new();
        let mut at = *start;
        while seen.insert(at) {
            self.meter.step("security item")?;
            match self.link(at, sk::FLINK) {
                Some(next) => at = next,
                // That it leads nowhere was said where it was looked at.
                None => return Ok(()),
            }
        }
        for at in used.keys().filter(|at| !seen.contains(at)) {
            let message = format!("not on the ring of the item at {start:#x}");
            self.wrong(*at, "key security", message);
        }
        Ok(())
    }
}
