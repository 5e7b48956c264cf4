//! Which entries are wanted.

use crate::entry::{Entry, EntryHead, Id};
use std::collections::BTreeMap;

/// A choice of entries. Values for the same field are alternatives; everything else has to hold together, as with
/// `journalctl`. The default chooses everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    matches: BTreeMap<Vec<u8>, Vec<Vec<u8>>>,
    since: Option<u64>,
    until: Option<u64>,
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

    /// Only entries of one boot.
    #[must_use]
    pub fn boot(self, boot: Id) -> Self {
        self.with("_BOOT_ID", boot.to_string())
    }

    /// Only entries at least as severe as `priority` (0 emergency to 7 debug).
    #[must_use]
    pub fn severe(self, priority: u8) -> Self {
        (0..=priority.min(7)).fold(self, |query, p| query.with("PRIORITY", p.to_string()))
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

    pub(crate) fn matches(&self) -> impl Iterator<Item = (&[u8], &[Vec<u8>])> {
        self.matches
            .iter()
            .map(|(field, values)| (field.as_slice(), values.as_slice()))
    }

    pub(crate) fn in_time(&self, head: &EntryHead) -> bool {
        self.since.is_none_or(|t| head.realtime >= t) && self.until.is_none_or(|t| head.realtime <= t)
    }

    /// Whether the fields of `entry` are as asked: for files whose hash tables cannot be used.
    pub(crate) fn chooses(&self, entry: &Entry) -> bool {
        self.matches
            .iter()
            .all(|(field, values)| entry.fields.iter().any(|(n, v)| n == field && values.contains(v)))
    }
}
