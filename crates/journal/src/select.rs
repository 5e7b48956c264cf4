//! From a query to the entries of one file, the rarest value first.

use crate::file::File;
use crate::layout::{le64, object, wide};
use crate::query::{Group, Query};
use h2k_block::{Error, Meter, Result};

/// What a query comes to in one file.
pub(crate) struct Selected {
    pub(crate) list: Vec<u64>,
    /// The tables could not be used: every entry's fields have to be looked at.
    pub(crate) look: bool,
    pub(crate) trouble: Option<Error>,
}

/// A condition with values replaced by the DATA that hold them.
enum Part {
    /// Any of these.
    Values(Vec<u64>),
    /// Any of these groups, of which everything.
    Groups(Vec<Vec<Part>>),
}

/// Looking at an entry costs about as much as reading so many offsets out of arrays.
const LOOK: u64 = 16;

impl File<'_> {
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
        let all = self.all();
        Selected {
            list: all.list,
            look,
            trouble: why.or(all.trouble),
        }
    }

    /// `None` where nothing is asked of the fields.
    fn through_tables(&self, query: &Query) -> Result<Option<Vec<u64>>> {
        let mut meter = Meter::new(self.limits);
        let mut parts = self.parts(&query.matches, &mut meter)?;
        for groups in &query.any {
            let groups: Result<_> = groups.iter().map(|group| self.parts(group, &mut meter)).collect();
            parts.push(Part::Groups(groups?));
        }
        if parts.is_empty() {
            return Ok(None);
        }
        self.all_of(&parts, &mut meter).map(Some)
    }

    fn parts(&self, group: &Group, meter: &mut Meter) -> Result<Vec<Part>> {
        let mut parts = Vec::new();
        for (field, values) in group {
            let mut found = Vec::new();
            for value in values {
                let payload = [field.as_slice(), b"=", value].concat();
                found.extend(self.lookup(object::DATA, &payload, meter)?);
            }
            parts.push(Part::Values(found));
        }
        Ok(parts)
    }

    /// How many entries `part` may have, by what its values say.
    fn weight(&self, part: &Part) -> Result<u64> {
        match part {
            Part::Values(values) => values.iter().try_fold(0, |sum: u64, at| {
                let raw = self.fixed(&self.object(*at, object::DATA)?)?;
                Ok(sum.saturating_add(le64(&raw, 56)))
            }),
            Part::Groups(groups) => groups.iter().try_fold(0, |sum: u64, group| {
                let weights: Result<Vec<u64>> = group.iter().map(|part| self.weight(part)).collect();
                let least = weights?.into_iter().min().unwrap_or(u64::MAX);
                Ok(sum.saturating_add(least))
            }),
        }
    }

    /// The entries that fulfil every one of `parts`.
    fn all_of(&self, parts: &[Part], meter: &mut Meter) -> Result<Vec<u64>> {
        let mut weighed = Vec::new();
        for part in parts {
            weighed.push((self.weight(part)?, part));
        }
        weighed.sort_by_key(|(weight, _)| *weight);
        let mut weighed = weighed.into_iter();
        let Some((_, rarest)) = weighed.next() else {
            return Ok(self.all().list);
        };
        let mut list = self.any_of(rarest, meter)?;
        for (weight, part) in weighed {
            if list.is_empty() {
                break;
            }
            if weight > wide(list.len()).saturating_mul(LOOK) {
                // What cannot be read is told of when it is to be shown.
                list.retain(|at| self.has(*at, part).unwrap_or(true));
            } else {
                let other = self.any_of(part, meter)?;
                list.retain(|at| other.binary_search(at).is_ok());
            }
        }
        Ok(list)
    }

    fn any_of(&self, part: &Part, meter: &mut Meter) -> Result<Vec<u64>> {
        let mut list = Vec::new();
        match part {
            Part::Values(values) => {
                for at in values {
                    self.entries_of(*at, &mut list, meter)?;
                }
            }
            Part::Groups(groups) => {
                for group in groups {
                    list.extend(self.all_of(group, meter)?);
                }
            }
        }
        // Entries are appended: the order of offsets is the order of writing.
        list.sort_unstable();
        list.dedup();
        Ok(list)
    }

    fn has(&self, entry: u64, part: &Part) -> Result<bool> {
        let object = self.object(entry, object::ENTRY)?;
        let items = self.items(&object, &mut Meter::new(self.limits))?;
        Ok(part.among(&items))
    }
}

impl Part {
    fn among(&self, items: &[u64]) -> bool {
        match self {
            Self::Values(values) => values.iter().any(|at| items.contains(at)),
            Self::Groups(groups) => groups
                .iter()
                .any(|group| group.iter().all(|part| part.among(items))),
        }
    }
}
