//! The structural check: every cell reachable once, every size, count, hash, order and reference right.

use crate::bytes::{array, field, index, le16, le32, wide};
use crate::hive::Hive;
use crate::key::Key;
use crate::layout::{BLOCK, NOWHERE, base, bin, db, nk, sk, vk};
use crate::log::State;
use crate::name::{hash, hint};
use crate::subkeys::{Entry, Leaf, List};
use crate::sums::{sound, xor32};
use crate::value::{Value, segment_list};
use h2k_block::{Error, Meter, Result};
use std::cmp::Ordering;
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

    /// The base block.
    fn head(&mut self) {
        let bytes = &self.hive.bytes;
        if !sound(bytes) {
            let found = le32(bytes, base::CHECKSUM).unwrap_or(0);
            let message = format!("checksum {found:#010x}, expected {:#010x}", xor32(bytes));
            self.find(Severity::Error, "base block", wide(base::CHECKSUM), message);
        }
        let (first, second) = self.hive.facts().sequence;
        if first != second {
            let message = format!("sequence numbers {first} and {second}: a write was not finished");
            self.find(Severity::Error, "base block", wide(base::PRIMARY), message);
        }
        if let State::Recovered(entries) = self.hive.state {
            let message =
                format!("the file was left in the middle of a write; {entries} log entries were replayed");
            self.find(Severity::Warning, "base block", wide(base::PRIMARY), message);
        }
        let said = index(le32(bytes, base::BINS).unwrap_or(0)).saturating_add(BLOCK);
        if said > self.hive.end {
            let message = format!("hive bins up to {said:#x}, the file ends at {:#x}", self.hive.end);
            self.find(Severity::Error, "base block", wide(base::BINS), message);
        }
    }

    /// Bins and the cells in them: no gaps, no overlaps.
    fn cells(&mut self) -> Result<()> {
        let mut bins = Vec::new();
        if let Err(e) = self.hive.bins(&mut |at, size| bins.push((at, size))) {
            self.failed(&e);
        }
        self.out.bins = wide(bins.len());
        for (start, size) in bins {
            let end = start.saturating_add(size);
            let mut at = start.saturating_add(bin::HEADER);
            let mut free_before = false;
            while at < end {
                self.meter.step("cell")?;
                let size = match self.hive.any_cell(field(at), "cell") {
                    Ok((size, _)) => size,
                    Err(e) => {
                        self.failed(&e);
                        break;
                    }
                };
                let len = index(size.unsigned_abs());
                if at.saturating_add(len) > end {
                    let message =
                        format!("a cell of {len:#x} bytes runs past its hive bin, which ends at {end:#x}");
                    self.wrong(field(at), "cell", message);
                    break;
                }
                if size < 0 {
                    self.out.used = self.out.used.saturating_add(wide(len));
                    self.cells.insert(field(at), Cell { len, user: None });
                } else {
                    self.out.free = self.out.free.saturating_add(wide(len));
                    if free_before {
                        self.odd(
                            field(at),
                            "cell",
                            "two free cells side by side, expected one".to_owned(),
                        );
                    }
                }
                free_before = size > 0;
                at = at.saturating_add(len);
            }
        }
        Ok(())
    }

    /// Notes that `structure` uses the cell at `at`. Says whether it is the first to do so.
    fn claim(&mut self, at: u32, structure: &'static str) -> bool {
        match self.cells.get_mut(&at) {
            Some(Cell { user: Some(user), .. }) => {
                let message = format!("a cell that is a {user} already");
                self.wrong(at, structure, message);
                false
            }
            Some(cell) => {
                cell.user = Some(structure);
                true
            }
            None => {
                self.wrong(at, structure, "no allocated cell begins here".to_owned());
                false
            }
        }
    }

    /// Everything below the root.
    fn tree(&mut self) -> Result<()> {
        let root = self.hive.root_offset();
        if !self.claim(root, "key node") {
            return Ok(());
        }
        let mut next = vec![(root, NOWHERE)];
        while let Some((at, parent)) = next.pop() {
            self.meter.step("key")?;
            match self.hive.key(at) {
                Err(e) => self.failed(&e),
                Ok(key) => {
                    self.out.keys = self.out.keys.saturating_add(1);
                    self.key(&key, parent)?;
                    self.subkeys(&key, &mut next)?;
                }
            }
        }
        Ok(())
    }

    fn key(&mut self, key: &Key<'h>, parent: u32) -> Result<()> {
        let at = key.id();
        let says = key.word(nk::PARENT);
        if parent == NOWHERE {
            if key.flags() & nk::IS_ROOT == 0 {
                self.odd(at, "key node", "the root key has no flag that says so".to_owned());
            }
        } else if says != parent {
            self.wrong(at, "key node", format!("parent {says:#x}, expected {parent:#x}"));
        }
        if !key.name().is_text() {
            self.odd(at, "key node", "a name with half a surrogate pair".to_owned());
        }
        let class = key.word(nk::CLASS);
        if class != NOWHERE
            && self.claim(class, "class name")
            && let Err(e) = key.class()
        {
            self.failed(&e);
        }
        let security = key.word(nk::SECURITY);
        if security == NOWHERE {
            self.odd(at, "key node", "no security item".to_owned());
        } else {
            let count = self.references.entry(security).or_insert(0);
            *count = count.saturating_add(1);
        }
        let count = key.value_count();
        if count == 0 {
            return Ok(());
        }
        let list = key.value_list();
        if !self.claim(list, "key values list") {
            return Ok(());
        }
        let mut names: BTreeMap<Vec<u16>, u32> = BTreeMap::new();
        for value in key.values() {
            self.meter.step("value")?;
            match value {
                Err(e) => self.failed(&e),
                Ok(value) => {
                    self.value(&value, key)?;
                    let folded = value.name().units().map(crate::upcase).collect();
                    if names.insert(folded, value.id()).is_some() {
                        let message = format!("a second value called {}", value.name());
                        self.wrong(value.id(), "key value", message);
                    }
                }
            }
        }
        Ok(())
    }

    fn value(&mut self, value: &Value<'h>, key: &Key<'h>) -> Result<()> {
        let at = value.id();
        if !self.claim(at, "key value") {
            return Ok(());
        }
        self.out.values = self.out.values.saturating_add(1);
        let name_len = value.name().units().count().saturating_mul(2);
        if index(key.word(nk::MAX_VALUE_NAME)) < name_len {
            let message = format!(
                "a value name of {name_len} bytes, the key says at most {}",
                key.word(nk::MAX_VALUE_NAME)
            );
            self.odd(at, "key value", message);
        }
        if key.word(nk::MAX_VALUE_DATA) < value.len() {
            let message = format!(
                "data of {} bytes, the key says at most {}",
                value.len(),
                key.word(nk::MAX_VALUE_DATA)
            );
            self.odd(at, "key value", message);
        }
        if value.size_field() & vk::RESIDENT == 0 && !value.is_empty() {
            let data = value.data_offset();
            if self.claim(data, "value data") {
                self.big(data, value.len())?;
            }
        }
        if let Err(e) = value.data() {
            self.failed(&e);
        }
        Ok(())
    }

    /// Claims the segments of big data.
    fn big(&mut self, at: u32, len: u32) -> Result<()> {
        let Ok(cell) = self.hive.cell(at, "big data") else {
            return Ok(());
        };
        if self.hive.minor < db::SINCE || index(len) <= db::SEGMENT || array(cell, 0) != Some(db::SIGNATURE) {
            return Ok(());
        }
        // What is wrong with the list is said where the data is read.
        let Ok((list, count)) = segment_list(self.hive, at, cell) else {
            return Ok(());
        };
        let expected = index(len).div_ceil(db::SEGMENT);
        if count != expected {
            self.wrong(at, "big data", format!("{count} segments, expected {expected}"));
        }
        self.claim(le32(cell, db::LIST).unwrap_or(NOWHERE), "list of segments");
        for i in 0..count {
            self.meter.step("data segment")?;
            self.claim(le32(list, i.saturating_mul(4)).unwrap_or(NOWHERE), "data segment");
        }
        Ok(())
    }

    /// Claims the lists of a key and the nodes they name, which are left in `next`.
    fn subkeys(&mut self, key: &Key<'h>, next: &mut Vec<(u32, u32)>) -> Result<()> {
        if key.list() == NOWHERE {
            if key.subkey_count() > 0 {
                let message = format!("{} subkeys, and no list of them", key.subkey_count());
                self.wrong(key.id(), "key node", message);
            }
            return Ok(());
        }
        let mut leaves = vec![key.list()];
        if !self.claim(key.list(), "subkeys list") {
            return Ok(());
        }
        match List::at(self.hive, key.list()) {
            Ok(root) if root.leaf.is_none() => {
                self.full(key.list(), &root);
                leaves = (0..root.present()).filter_map(|i| root.offset(i)).collect();
                leaves.retain(|leaf| self.claim(*leaf, "subkeys list"));
            }
            Ok(_) => {}
            Err(e) => {
                self.failed(&e);
                return Ok(());
            }
        }
        let mut order = Order {
            count: 0,
            before: None,
        };
        for at in leaves {
            match List::at(self.hive, at) {
                Ok(list) if list.leaf.is_some() => {
                    self.full(at, &list);
                    self.leaf(at, &list, key, &mut order, next)?;
                }
                Ok(_) => self.wrong(
                    at,
                    "subkeys list",
                    "an index root inside an index root".to_owned(),
                ),
                Err(e) => self.failed(&e),
            }
        }
        if order.count != key.subkey_count() {
            let message = format!("{} subkeys, its lists have {}", key.subkey_count(), order.count);
            self.wrong(key.id(), "key node", message);
        }
        Ok(())
    }

    fn full(&mut self, at: u32, list: &List<'_>) {
        if list.present() < list.count {
            let message = format!(
                "{} elements, the cell has room for {}",
                list.count,
                list.present()
            );
            self.wrong(at, "subkeys list", message);
        }
    }

    fn leaf(
        &mut self,
        at: u32,
        list: &List<'h>,
        parent: &Key<'h>,
        order: &mut Order<'h>,
        next: &mut Vec<(u32, u32)>,
    ) -> Result<()> {
        for i in 0..list.present() {
            self.meter.step("subkey")?;
            let (Some(offset), Some(leaf)) = (list.offset(i), list.leaf) else {
                break;
            };
            order.count = order.count.saturating_add(1);
            if !self.claim(offset, "key node") {
                continue;
            }
            next.push((offset, parent.id()));
            // A damaged node is reported when its turn comes.
            let Ok(key) = self.hive.key(offset) else { continue };
            let entry = Entry {
                key: offset,
                leaf,
                mark: list.mark(i),
            };
            self.mark(at, &entry, &key);
            if let Some(before) = order.before {
                match before.name().order(&key.name()) {
                    Ordering::Less => {}
                    Ordering::Equal => {
                        self.wrong(
                            offset,
                            "key node",
                            format!("a second subkey called {}", key.name()),
                        );
                    }
                    Ordering::Greater => {
                        let message = format!("{} comes behind {}", key.name(), before.name());
                        self.wrong(at, "subkeys list", message);
                    }
                }
            }
            order.before = Some(key);
            let len = key.name().units().count().saturating_mul(2);
            let most = parent.word(nk::MAX_NAME) & 0xffff;
            if index(most) < len {
                self.odd(
                    offset,
                    "key node",
                    format!("a name of {len} bytes, its parent says at most {most}"),
                );
            }
        }
        Ok(())
    }

    /// The hint or hash beside a name.
    fn mark(&mut self, list: u32, entry: &Entry, key: &Key<'h>) {
        let Some(found) = entry.mark else { return };
        let expected = match entry.leaf {
            Leaf::Hash => hash(key.name().units()).to_le_bytes(),
            _ => hint(key.name().units()),
        };
        if found == expected {
            return;
        }
        let message = format!(
            "{found:02x?} beside the name {}, expected {expected:02x?}",
            key.name()
        );
        // Windows makes hints through its code page: beyond ASCII they differ from one system to the next.
        if entry.leaf == Leaf::Fast && !key.name().units().take(4).all(|unit| unit < 0x80) {
            self.odd(list, "subkeys list", message);
        } else {
            self.wrong(list, "subkeys list", message);
        }
    }

    /// Security items: counted right, and all on one ring.
    fn securities(&mut self) -> Result<()> {
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
            let next = le32(cell, sk::FLINK).unwrap_or(NOWHERE);
            let back = self.hive.cell(next, "key security").ok();
            let back = back.filter(|cell| array(cell, 0) == Some(sk::SIGNATURE));
            match back.and_then(|cell| le32(cell, sk::BLINK)) {
                Some(back) if back == *at => {}
                _ => self.wrong(
                    *at,
                    "key security",
                    format!("the next item, {next:#x}, does not point back"),
                ),
            }
        }
        Ok(())
    }

    /// Cells that nothing uses.
    fn leaks(&mut self) {
        let cells = std::mem::take(&mut self.cells);
        for (at, cell) in cells {
            if cell.user.is_none() {
                let offset = u64::from(at).saturating_add(wide(BLOCK));
                let kind = self
                    .hive
                    .cell(at, "cell")
                    .ok()
                    .and_then(|c| le16(c, 0))
                    .map(u16::to_le_bytes);
                let kind = match kind {
                    Some(kind) if kind.iter().all(u8::is_ascii_lowercase) => {
                        format!(", by its signature \"{}\"", String::from_utf8_lossy(&kind))
                    }
                    _ => String::new(),
                };
                let message = format!("{:#x} allocated bytes that nothing uses{kind}", cell.len);
                self.find(Severity::Leak, "cell", offset, message);
            }
        }
    }
}

/// What was seen of a key's subkeys so far.
struct Order<'h> {
    count: u32,
    before: Option<Key<'h>>,
}
