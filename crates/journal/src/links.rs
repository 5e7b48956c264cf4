//! Chains and tables: from a file to its entries, from a value to the entries that have it.

use crate::file::{File, Object};
use crate::layout::{index, le32, le64, object};
use h2k_block::{Error, Meter, Result};
use std::collections::HashSet;

/// Offsets of entries, and what kept us from knowing all of them.
#[derive(Debug, Default)]
pub(crate) struct Offsets {
    pub(crate) list: Vec<u64>,
    pub(crate) trouble: Option<Error>,
}

/// The first and last of the entries that have a value, and how many the value says there are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ends {
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) count: u64,
}

impl File<'_> {
    /// All entries, in the order of writing.
    pub(crate) fn all(&self) -> Offsets {
        let mut meter = Meter::new(self.limits);
        let mut all = Offsets::default();
        all.trouble = self
            .arrays(self.header.entry_array, &mut all.list, &mut meter)
            .err();
        all
    }

    /// The array at `at`, which has to lie behind `behind`, and the next one of its chain.
    fn array(&self, at: u64, behind: &mut u64) -> Result<(Object, u64)> {
        let array = self.object(at, object::ENTRY_ARRAY)?;
        // Arrays are appended as the file grows: the next one lies further on.
        if at < *behind {
            return Err(array.bad(format!("lies before the end {behind:#x} of the array before it")));
        }
        *behind = array.end();
        let next = le64(&self.fixed(&array)?, 16);
        Ok((array, next))
    }

    /// Appends what the chain of arrays that begins at `at` holds.
    fn arrays(&self, mut at: u64, list: &mut Vec<u64>, meter: &mut Meter) -> Result<()> {
        let mut behind = 0;
        while at != 0 {
            meter.step("entry array")?;
            let (array, next) = self.array(at, &mut behind)?;
            let items = self.behind(&array, meter)?;
            let width = if self.header.compact() { 4 } else { 8 };
            meter.steps(crate::layout::wide(items.len().div_euclid(width)), "entry array")?;
            for item in items.chunks_exact(width) {
                let offset = if width == 4 {
                    u64::from(le32(item, 0))
                } else {
                    le64(item, 0)
                };
                // The rest of the last array was not used yet.
                if offset == 0 {
                    return Ok(());
                }
                list.push(offset);
            }
            at = next;
        }
        Ok(())
    }

    /// The heads of a hash table's chain for `hash`.
    fn bucket(&self, (at, len): (u64, u64), hash: u64) -> Result<u64> {
        const NAME: &str = "journal hash table";
        let Some(slot) = hash.checked_rem(len.div_euclid(16)) else {
            return Err(Error::corrupt(NAME, at, "has no slots"));
        };
        if at.saturating_add(len) > self.end() {
            return Err(Error::corrupt(NAME, at, format!("ends behind {:#x}", self.end())));
        }
        let mut item = [0; 8];
        self.read(at.saturating_add(slot.saturating_mul(16)), &mut item)?;
        Ok(u64::from_le_bytes(item))
    }

    /// The object of the type `kind` with this payload, through its hash table.
    pub(crate) fn lookup(&self, kind: u8, payload: &[u8], meter: &mut Meter) -> Result<Option<u64>> {
        let table = if kind == object::DATA {
            self.header.data_hash_table
        } else {
            self.header.field_hash_table
        };
        let hash = self.hash(payload);
        let mut at = self.bucket(table, hash)?;
        while at != 0 {
            meter.step("hash chain")?;
            let found = self.object(at, kind)?;
            let raw = self.fixed(&found)?;
            if le64(&raw, 16) == hash {
                let here = if kind == object::DATA {
                    self.payload(&found, meter)?
                } else {
                    self.behind(&found, meter)?
                };
                if here == payload {
                    return Ok(Some(at));
                }
            }
            let next = le64(&raw, 24);
            // Objects are appended to their chains.
            if next != 0 && next <= at {
                return Err(found.bad(format!("the next of its chain lies before it, at {next:#x}")));
            }
            at = next;
        }
        Ok(None)
    }

    /// Where the object with this payload is found.
    pub(crate) fn find_object(&self, kind: u8, payload: &[u8]) -> Result<Option<u64>> {
        self.lookup(kind, payload, &mut Meter::new(self.limits))
    }

    /// The entries that refer to the DATA at `at`.
    pub(crate) fn entries_of(&self, at: u64, list: &mut Vec<u64>, meter: &mut Meter) -> Result<()> {
        let data = self.object(at, object::DATA)?;
        let raw = self.fixed(&data)?;
        let first = le64(&raw, 40);
        if first != 0 {
            list.push(first);
        }
        self.arrays(le64(&raw, 48), list, meter)
    }

    /// The entries that refer to the DATA at `at`.
    pub(crate) fn entries_with(&self, at: u64) -> Result<Vec<u64>> {
        let mut list = Vec::new();
        self.entries_of(at, &mut list, &mut Meter::new(self.limits))?;
        Ok(list)
    }

    /// The first and the last entry that refer to the DATA at `at`, without reading those in between; `None` where
    /// there is none.
    pub(crate) fn ends(&self, at: u64) -> Result<Option<Ends>> {
        let mut meter = Meter::new(self.limits);
        let raw = self.fixed(&self.object(at, object::DATA)?)?;
        let first = le64(&raw, 40);
        if first == 0 {
            return Ok(None);
        }
        let mut last = first;
        let (mut at, mut behind) = (le64(&raw, 48), 0);
        while at != 0 {
            meter.step("entry array")?;
            let (array, next) = self.array(at, &mut behind)?;
            let width: u64 = if self.header.compact() { 4 } else { 8 };
            let item = |n: u64| -> Result<u64> {
                let mut raw = [0; 8];
                let at = array
                    .at
                    .saturating_add(24)
                    .saturating_add(n.saturating_mul(width));
                self.read(at, raw.get_mut(..index(width)).unwrap_or_default())?;
                Ok(u64::from_le_bytes(raw))
            };
            // What is not in use yet is zero, and lies behind what is.
            let (mut used, mut free) = (0, array.size.saturating_sub(24).div_euclid(width));
            while used < free {
                let middle = used.midpoint(free);
                match item(middle)? {
                    0 => free = middle,
                    _ => used = middle.saturating_add(1),
                }
            }
            match used.checked_sub(1) {
                Some(n) => last = item(n)?,
                None => break,
            }
            at = next;
        }
        Ok(Some(Ends {
            first,
            last,
            count: le64(&raw, 56),
        }))
    }

    /// Every value of `field` in this file, and the DATA that holds it.
    pub(crate) fn values(&self, field: &str) -> Result<Vec<(Vec<u8>, u64)>> {
        let mut meter = Meter::new(self.limits);
        let Some(at) = self.lookup(object::FIELD, field.as_bytes(), &mut meter)? else {
            return Ok(Vec::new());
        };
        let found = self.object(at, object::FIELD)?;
        let mut at = le64(&self.fixed(&found)?, 32);
        let mut seen = HashSet::new();
        let mut values = Vec::new();
        while at != 0 {
            meter.step("values of a field")?;
            let data = self.object(at, object::DATA)?;
            if !seen.insert(at) {
                return Err(data.bad("is among the values of its field twice".to_owned()));
            }
            let payload = self.payload(&data, &mut meter)?;
            let value = payload
                .strip_prefix(field.as_bytes())
                .and_then(|rest| rest.strip_prefix(b"="))
                .ok_or_else(|| data.bad(format!("is no value of {field}")))?;
            values.push((value.to_vec(), at));
            at = le64(&self.fixed(&data)?, 32);
        }
        Ok(values)
    }
}
