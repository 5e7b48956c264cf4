//! Chains and tables: from a file to its entries, from a value to the entries that have it.

use crate::file::File;
use crate::layout::{le32, le64, object};
use crate::query::Query;
use h2k_block::{Error, Meter, Result};
use std::collections::HashSet;

/// Offsets of entries, and what kept us from knowing all of them.
#[derive(Debug, Default)]
pub(crate) struct Offsets {
    pub(crate) list: Vec<u64>,
    pub(crate) trouble: Option<Error>,
}

/// What a query comes to in one file.
pub(crate) struct Selected {
    pub(crate) list: Vec<u64>,
    /// The tables could not be used: every entry's fields have to be looked at.
    pub(crate) look: bool,
    pub(crate) trouble: Option<Error>,
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

    /// Appends what the chain of arrays that begins at `at` holds.
    fn arrays(&self, mut at: u64, list: &mut Vec<u64>, meter: &mut Meter) -> Result<()> {
        let mut behind = 0;
        while at != 0 {
            meter.step("entry array")?;
            let array = self.object(at, object::ENTRY_ARRAY)?;
            // Arrays are appended as the file grows: the next one lies further on.
            if at < behind {
                return Err(array.bad(format!("lies before the end {behind:#x} of the array before it")));
            }
            behind = array.end();
            let next = le64(&self.fixed(&array)?, 16);
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
    fn lookup(&self, kind: u8, payload: &[u8], meter: &mut Meter) -> Result<Option<u64>> {
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
    fn entries_of(&self, at: u64, list: &mut Vec<u64>, meter: &mut Meter) -> Result<()> {
        let data = self.object(at, object::DATA)?;
        let raw = self.fixed(&data)?;
        let first = le64(&raw, 40);
        if first != 0 {
            list.push(first);
        }
        self.arrays(le64(&raw, 48), list, meter)
    }

    /// Every value of `field` in this file, and the entries it occurs in.
    pub(crate) fn values(&self, field: &str) -> Result<Vec<(Vec<u8>, Vec<u64>)>> {
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
            let mut entries = Vec::new();
            self.entries_of(at, &mut entries, &mut meter)?;
            values.push((value.to_vec(), entries));
            at = le64(&self.fixed(&data)?, 32);
        }
        Ok(values)
    }

    /// The entries that `query` may mean, by their fields; times are not looked at here.
    pub(crate) fn select(&self, query: &Query) -> Selected {
        match self.through_tables(query) {
            Ok(Some(list)) => Selected {
                list,
                look: false,
                trouble: None,
            },
            Ok(None) => self.scan(false, None),
            Err(e) => self.scan(true, Some(e)),
        }
    }

    fn scan(&self, look: bool, why: Option<Error>) -> Selected {
        let Offsets { list, trouble } = self.all();
        Selected {
            list,
            look,
            trouble: why.or(trouble),
        }
    }

    /// `None` where nothing is asked of the fields.
    fn through_tables(&self, query: &Query) -> Result<Option<Vec<u64>>> {
        let mut meter = Meter::new(self.limits);
        let mut chosen: Option<Vec<u64>> = None;
        for (field, values) in query.matches() {
            let mut any = Vec::new();
            for value in values {
                let payload = [field, b"=", value].concat();
                if let Some(at) = self.lookup(object::DATA, &payload, &mut meter)? {
                    self.entries_of(at, &mut any, &mut meter)?;
                }
            }
            // Entries are appended: the order of offsets is the order of writing.
            any.sort_unstable();
            any.dedup();
            chosen = Some(match chosen {
                None => any,
                Some(mut all) => {
                    all.retain(|offset| any.binary_search(offset).is_ok());
                    all
                }
            });
        }
        Ok(chosen)
    }
}
