//! Every object, hash and link of a file, looked at once.

use crate::file::{File, Object};
use crate::hash::lookup3;
use crate::layout::{incompatible, le64, object};
use h2k_block::{Meter, Result};
use std::collections::HashSet;

/// How many problems are kept.
const KEPT: usize = 100;

/// What [`File::verify`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Objects that were looked at.
    pub objects: u64,
    /// Entries among them.
    pub entries: u64,
    /// Data among them.
    pub data: u64,
    /// Field names among them.
    pub fields: u64,
    /// Arrays among them.
    pub arrays: u64,
    /// Seals among them. They are not verified: that needs a key which is not in the file.
    pub tags: u64,
    /// What is wrong, in the order of the file; the first hundred.
    pub problems: Vec<String>,
    /// How many problems there are.
    pub wrong: u64,
}

impl Report {
    fn wrong(&mut self, what: impl Into<String>) {
        self.wrong = self.wrong.saturating_add(1);
        if self.problems.len() < KEPT {
            self.problems.push(what.into());
        }
    }
}

impl File<'_> {
    /// Looks at every object: sizes, places, payloads and their hashes, what entries and arrays refer to, whether each
    /// value is found through the hash table, and the numbers in the header.
    ///
    /// # Errors
    /// [`h2k_block::Class::Limit`] when the file holds more than the limits it was opened with allow.
    pub fn verify(&self) -> Result<Report> {
        let mut report = Report::default();
        let mut meter = Meter::new(self.limits);
        let mut known = Known::default();
        let mut at = self.header.header_size;
        while self.header.tail_object != 0 && at <= self.header.tail_object {
            meter.step("object of a journal")?;
            let object = match self.any_object(at) {
                Ok(object) => object,
                Err(e) => {
                    // Where an object ends cannot be told, so nothing behind it can be either.
                    report.wrong(e.to_string());
                    break;
                }
            };
            report.objects = report.objects.saturating_add(1);
            if let Err(e) = self.look(&object, &mut known, &mut report) {
                report.wrong(e.to_string());
            }
            at = object.end();
        }
        for (from, to) in std::mem::take(&mut known.wanted_data) {
            if !known.data.contains(&to) {
                report.wrong(format!(
                    "ENTRY object at {from:#x} refers to {to:#x}, where no data is"
                ));
            }
        }
        for (from, to) in std::mem::take(&mut known.wanted_entries) {
            if !known.entries.contains(&to) {
                report.wrong(format!(
                    "ENTRY_ARRAY object at {from:#x} refers to {to:#x}, where no entry is"
                ));
            }
        }
        self.chain_of_all(&known, &mut report);
        self.counters(&mut report);
        Ok(report)
    }

    fn look(&self, object: &Object, known: &mut Known, report: &mut Report) -> Result<()> {
        let mut meter = Meter::new(self.limits);
        let count = match object.kind {
            object::DATA => {
                known.data.insert(object.at);
                self.data(object, &mut meter, report)?;
                &mut report.data
            }
            object::FIELD => {
                let payload = self.behind(object, &mut meter)?;
                self.hashed(object, &payload, report)?;
                &mut report.fields
            }
            object::ENTRY => {
                known.entries.insert(object.at);
                self.one_entry(object, known, &mut meter, report)?;
                &mut report.entries
            }
            object::ENTRY_ARRAY => {
                let width: usize = if self.header.compact() { 4 } else { 8 };
                let items = self.behind(object, &mut meter)?;
                let mut last = 0;
                for item in items.chunks_exact(width) {
                    let mut raw = [0; 8];
                    raw.iter_mut().zip(item).for_each(|(to, from)| *to = *from);
                    let to = u64::from_le_bytes(raw);
                    if to == 0 {
                        break;
                    }
                    if to <= last {
                        report.wrong(format!(
                            "ENTRY_ARRAY object at {:#x} is not in order at {to:#x}",
                            object.at
                        ));
                    }
                    last = to;
                    known.wanted_entries.push((object.at, to));
                }
                &mut report.arrays
            }
            object::TAG => &mut report.tags,
            _ => return Ok(()),
        };
        *count = count.saturating_add(1);
        Ok(())
    }

    fn data(&self, object: &Object, meter: &mut Meter, report: &mut Report) -> Result<()> {
        let needs = match object.flags & 7 {
            1 => incompatible::XZ,
            2 => incompatible::LZ4,
            4 => incompatible::ZSTD,
            _ => 0,
        };
        if needs & !self.header.incompatible != 0 {
            report.wrong(format!(
                "DATA object at {:#x} is compressed as the header does not say",
                object.at
            ));
        }
        let payload = self.payload(object, meter)?;
        if !payload.contains(&b'=') {
            report.wrong(format!("DATA object at {:#x} has no name", object.at));
        }
        self.hashed(object, &payload, report)
    }

    /// The stored hash, and the way to the object through its table.
    fn hashed(&self, object: &Object, payload: &[u8], report: &mut Report) -> Result<()> {
        let (found, expected) = (le64(&self.fixed(object)?, 16), self.hash(payload));
        let name = object::name(object.kind);
        if found != expected {
            report.wrong(format!(
                "{name} at {:#x} has hash {found:#018x}, expected {expected:#018x}",
                object.at
            ));
        } else if self.find_object(object.kind, payload)? != Some(object.at) {
            report.wrong(format!("{name} at {:#x} is not in the hash table", object.at));
        }
        Ok(())
    }

    fn one_entry(
        &self,
        object: &Object,
        known: &mut Known,
        meter: &mut Meter,
        report: &mut Report,
    ) -> Result<()> {
        let head = self.head(object.at)?;
        if head.seqnum <= known.seqnum {
            report.wrong(format!(
                "ENTRY object at {:#x} has number {} behind {}",
                object.at, head.seqnum, known.seqnum
            ));
        }
        known.seqnum = head.seqnum;
        let mut hash = 0;
        for item in self.items(object, meter)? {
            known.wanted_data.push((object.at, item));
            if let Ok(data) = self.object(item, object::DATA) {
                hash ^= if self.header.keyed() {
                    lookup3(&self.payload(&data, meter)?)
                } else {
                    le64(&self.fixed(&data)?, 16)
                };
            }
        }
        if hash != head.xor_hash {
            report.wrong(format!(
                "ENTRY object at {:#x} has hash {:#018x}, expected {hash:#018x}",
                object.at, head.xor_hash
            ));
        }
        Ok(())
    }

    /// The chain of all entries has to name each of them.
    fn chain_of_all(&self, known: &Known, report: &mut Report) {
        let all = self.all();
        if let Some(e) = all.trouble {
            report.wrong(e.to_string());
        }
        let named: HashSet<u64> = all.list.into_iter().collect();
        let missing = known.entries.difference(&named).count();
        if missing != 0 {
            report.wrong(format!("{missing} entries are not in the file's list"));
        }
    }

    fn counters(&self, report: &mut Report) {
        let header = &self.header;
        let counts = [
            ("objects", Some(header.objects), report.objects),
            ("entries", Some(header.entries), report.entries),
            ("data", header.data, report.data),
            ("fields", header.fields, report.fields),
            ("tags", header.tags, report.tags),
            ("arrays", header.entry_arrays, report.arrays),
        ];
        for (what, said, found) in counts {
            if said.is_some_and(|said| said != found) {
                report.wrong(format!(
                    "journal header: {} {what}, {found} are there",
                    said.unwrap_or(0)
                ));
            }
        }
    }
}

/// What has been seen on the way.
#[derive(Default)]
struct Known {
    data: HashSet<u64>,
    entries: HashSet<u64>,
    wanted_data: Vec<(u64, u64)>,
    wanted_entries: Vec<(u64, u64)>,
    seqnum: u64,
}
