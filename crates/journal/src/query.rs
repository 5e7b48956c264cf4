//! Which entries are wanted.

use crate::entry::{Entry, EntryHead, Id};
use crate::merge::order;
use std::collections::BTreeMap;

/// Fields with values each: values of one field are alternatives, and every field has to agree.
pub(crate) type Group = BTreeMap<Vec<u8>, Vec<Vec<u8>>>;

/// A choice of entries. Values for the same field are alternatives; everything else has to hold together, as with
/// `journalctl`. The default chooses everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    pub(crate) matches: Group,
    pub(crate) any: Vec<Vec<Group>>,
    since: Option<u64>,
    until: Option<u64>,
    from: Option<(EntryHead, bool)>,
}

impl Query {
    /// Everything.
    #[must_use]
    pub fn all() -> Self {
        Self::default()
    }

    /// Only entries where `field` has `value`, or another value asked for the same field.
    #[must_use]
    pub fn with(mut self, field: &str, value: impl AsRef<[u8]>) -> Self {
        let values = self.matches.entry(field.as_bytes().to_vec()).or_default();
        values.push(value.as_ref().to_vec());
        self
    }

    /// Besides everything else, only entries that one of `groups` chooses by its fields: `+` between the matches of
    /// `journalctl`. Times of the groups do not count, and no group at all is no condition.
    #[must_use]
    pub fn any(mut self, groups: impl IntoIterator<Item = Self>) -> Self {
        let groups: Vec<Group> = groups.into_iter().map(|query| query.matches).collect();
        if !groups.is_empty() {
            self.any.push(groups);
        }
        self
    }

    /// Only what concerns one of these units: what they wrote themselves, what the manager said of them, and what the
    /// kernel's or a handler's message names as their doing. Slices stand for all that is in them.
    #[must_use]
    pub fn units<S: AsRef<str>>(self, units: &[S]) -> Self {
        let group = |fields: &[(&str, &str)]| {
            fields
                .iter()
                .fold(Self::all(), |query, (field, value)| query.with(field, value))
        };
        self.any(units.iter().map(AsRef::as_ref).flat_map(|unit: &str| {
            let mut groups = vec![
                group(&[("_SYSTEMD_UNIT", unit)]),
                group(&[("_PID", "1"), ("UNIT", unit)]),
                group(&[("_UID", "0"), ("OBJECT_SYSTEMD_UNIT", unit)]),
                group(&[("_UID", "0"), ("COREDUMP_UNIT", unit), ("MESSAGE_ID", COREDUMP)]),
            ];
            if unit.ends_with(".slice") {
                groups.push(group(&[("_SYSTEMD_SLICE", unit)]));
            }
            groups
        }))
    }

    /// Only entries of one boot.
    #[must_use]
    pub fn boot(self, boot: Id) -> Self {
        self.with("_BOOT_ID", boot.to_string())
    }

    /// Only entries at least as severe as `priority` (0 emergency to 7 debug).
    #[must_use]
    pub fn severe(self, priority: u8) -> Self {
        self.priorities(0, priority)
    }

    /// Only entries whose priority lies between `first` and `last`, both included (0 emergency to 7 debug).
    #[must_use]
    pub fn priorities(self, first: u8, last: u8) -> Self {
        (first..=last.min(7)).fold(self, |query, p| query.with("PRIORITY", p.to_string()))
    }

    /// Only entries written then or later: microseconds since 1970 UTC.
    #[must_use]
    pub fn since(self, time: u64) -> Self {
        Self {
            since: Some(time),
            ..self
        }
    }

    /// Only entries written then or before: microseconds since 1970 UTC.
    #[must_use]
    pub fn until(self, time: u64) -> Self {
        Self {
            until: Some(time),
            ..self
        }
    }

    /// Only entries from the one with this head on, that one itself only when `included`.
    #[must_use]
    pub fn from(self, head: EntryHead, included: bool) -> Self {
        Self {
            from: Some((head, included)),
            ..self
        }
    }

    pub(crate) fn in_time(&self, head: &EntryHead) -> bool {
        self.since.is_none_or(|t| head.realtime >= t)
            && self.until.is_none_or(|t| head.realtime <= t)
            && self.from.is_none_or(|(from, included)| {
                let order = order(head, &from);
                order.is_gt() || (included && order.is_eq())
            })
    }

    /// Whether the fields of `entry` are as asked: for files whose hash tables cannot be used.
    pub(crate) fn chooses(&self, entry: &Entry) -> bool {
        let agrees = |group: &Group| {
            group
                .iter()
                .all(|(field, values)| entry.fields.iter().any(|(n, v)| n == field && values.contains(v)))
        };
        agrees(&self.matches) && self.any.iter().all(|groups| groups.iter().any(agrees))
    }
}

/// The message of a handler of crashes.
const COREDUMP: &str = "fc2e22bc6ee647b6b90729ab34a250b1";
