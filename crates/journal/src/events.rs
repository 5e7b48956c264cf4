//! What the manager said of its units during one boot, by the tables of the files where these are whole.

use crate::entry::{EntryHead, Id};
use crate::file::File;
use crate::layout::object;
use crate::merge::Journal;
use crate::message;
use h2k_block::Result;
use std::collections::HashMap;
use std::sync::Arc;

/// What happened to a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Starting,
    Started,
    StartFailed,
    Stopping,
    Stopped,
    Succeeded,
    Failed,
    Skipped,
    Restart,
}

const KINDS: [(&str, Kind); 9] = [
    (message::STARTING, Kind::Starting),
    (message::STARTED, Kind::Started),
    (message::START_FAILED, Kind::StartFailed),
    (message::STOPPING, Kind::Stopping),
    (message::STOPPED, Kind::Stopped),
    (message::SUCCEEDED, Kind::Succeeded),
    (message::UNIT_FAILED, Kind::Failed),
    (message::SKIPPED, Kind::Skipped),
    (message::RESTART, Kind::Restart),
];

/// Fields that name the unit a message is about, and whether it belongs to a user's manager.
const NAMES: [(&str, bool); 2] = [("UNIT", false), ("USER_UNIT", true)];

/// One message about one unit.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) kind: Kind,
    pub(crate) unit: Arc<str>,
    pub(crate) user: bool,
    pub(crate) head: EntryHead,
    pub(crate) file: usize,
    pub(crate) offset: u64,
}

impl Journal<'_> {
    /// What was said of units during `boot`, in order.
    pub(crate) fn events(&self, boot: Id) -> Vec<Event> {
        let mut all = Vec::new();
        for (number, file) in self.files().iter().enumerate() {
            let before = all.len();
            if file.events(number, boot, &mut all).is_err() {
                all.truncate(before);
                file.scan_events(number, boot, &mut all);
            }
        }
        // Within one boot the time since it began orders everything, whichever file it is in.
        all.sort_by_key(|e| (e.head.monotonic, e.head.seqnum, e.head.xor_hash));
        all.dedup_by_key(|e| (e.head.monotonic, e.head.seqnum, e.head.xor_hash));
        all
    }
}

impl File<'_> {
    fn events(&self, number: usize, boot: Id, all: &mut Vec<Event>) -> Result<()> {
        let payload = format!("_BOOT_ID={boot}");
        let Some(at) = self.find_object(object::DATA, payload.as_bytes())? else {
            return Ok(());
        };
        let Some(ends) = self.ends(at)? else {
            return Ok(());
        };
        let mut kinds = HashMap::new();
        for (id, kind) in KINDS {
            let payload = format!("MESSAGE_ID={id}");
            if let Some(at) = self.find_object(object::DATA, payload.as_bytes())? {
                let offsets = self.entries_with(at)?;
                let here = offsets
                    .into_iter()
                    .filter(|o| (ends.first..=ends.last).contains(o));
                kinds.extend(here.map(|offset| (offset, kind)));
            }
        }
        if kinds.is_empty() {
            return Ok(());
        }
        for (field, user) in NAMES {
            for (value, at) in self.values(field)? {
                let unit: Arc<str> = String::from_utf8_lossy(&value).into();
                for offset in self.entries_with(at)? {
                    let Some(kind) = kinds.get(&offset) else { continue };
                    let head = self.head(offset)?;
                    if head.boot == boot {
                        all.push(Event {
                            kind: *kind,
                            unit: unit.clone(),
                            user,
                            head,
                            file: number,
                            offset,
                        });
                    }
                }
            }
        }
        Ok(())
    }

    /// The same without tables: every entry is looked at.
    fn scan_events(&self, number: usize, boot: Id, all: &mut Vec<Event>) {
        for offset in self.all().list {
            let Ok(head) = self.head(offset) else { continue };
            if head.boot != boot {
                continue;
            }
            let Ok(entry) = self.entry(offset, &mut |_| ()) else {
                continue;
            };
            let id = entry.get("MESSAGE_ID").unwrap_or_default();
            let kind = KINDS.iter().find(|(known, _)| known.as_bytes() == id);
            let unit = NAMES
                .iter()
                .find_map(|(field, user)| entry.text(field).map(|u| (u, *user)));
            if let (Some((_, kind)), Some((unit, user))) = (kind, unit) {
                all.push(Event {
                    kind: *kind,
                    unit: unit.into(),
                    user,
                    head,
                    file: number,
                    offset,
                });
            }
        }
    }
}
