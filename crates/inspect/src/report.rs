//! The report: systems, and sections of what is known of each.

use crate::mounts::{self, Mounts};
use crate::topic::{Topic, Topics};
use h2k_block::Limits;
use h2k_guest::{Assembled, Guest, Look, Source, System, Unread};
use schemars::JsonSchema;
use serde::Serialize;

/// Name and version of the JSON Schema that a report obeys. The number grows when a field is renamed or removed; fields
/// are added without.
pub const SCHEMA: &str = "hyper2kvm-inspect-1";

/// What is known of a guest.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Inspection {
    /// Name and version of the schema: `hyper2kvm-inspect-1`.
    pub schema: &'static str,
    /// The operating systems, in the order of their devices.
    pub systems: Vec<SystemFacts>,
    /// What could not be looked into: devices, systems that could not be put together.
    pub unread: Vec<Unread>,
}

/// An answer to one topic, and what kept it from being complete.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Section<T> {
    /// What was found.
    #[serde(flatten)]
    pub found: T,
    /// What could not be read, and why.
    pub unread: Vec<Unread>,
}

/// What is known of one system. A topic that was not asked for, or that this kind of system does not have, is absent.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct SystemFacts {
    /// Its root as guestfish spells it: `/dev/sda2`, `btrfsvol:/dev/sda2/root`.
    pub root: String,
    /// `linux`, `windows`, `freebsd` …
    pub kind: String,
    /// What is mounted where.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mounts: Option<Section<Mounts>>,
}

/// Asks for `topics` of every system of `guest`.
#[must_use]
pub fn inspect(guest: &Guest, topics: &Topics, limits: &Limits) -> Inspection {
    let found = guest.systems();
    let mut unread: Vec<Unread> = found
        .unread
        .iter()
        .map(|(device, e)| Unread::new(Source::named(device.clone()), e))
        .collect();
    let mut systems = Vec::new();
    for system in &found.found {
        match guest.assemble(system) {
            Ok(assembled) => systems.push(inspect_system(system, &assembled, topics, limits)),
            Err(e) => unread.push(Unread::new(Source::named(system.source()), &e)),
        }
    }
    Inspection {
        schema: SCHEMA,
        systems,
        unread,
    }
}

/// Asks for `topics` of one system that was put together.
#[must_use]
pub fn inspect_system(
    system: &System,
    assembled: &Assembled,
    topics: &Topics,
    limits: &Limits,
) -> SystemFacts {
    let asking = Asking {
        system,
        assembled,
        topics,
        limits,
    };
    SystemFacts {
        root: system.source(),
        kind: system.kind.word().to_owned(),
        mounts: asking.section(Topic::Mounts, true, mounts::look),
    }
}

/// What every topic is given.
pub(crate) struct Asking<'a> {
    /// Which system.
    pub(crate) system: &'a System,
    /// Its files, and what its fstab names besides.
    pub(crate) assembled: &'a Assembled,
    topics: &'a Topics,
    limits: &'a Limits,
}

impl Asking<'_> {
    /// Asks for `topic`, if it is wanted, where the system is of a kind that `answers`.
    pub(crate) fn section<T>(
        &self,
        topic: Topic,
        answers: bool,
        look: impl FnOnce(&Self, &Look<'_>) -> T,
    ) -> Option<Section<T>> {
        if !answers || !self.topics.wants(topic) {
            return None;
        }
        let files = Look::new(&self.assembled.tree, self.limits);
        let found = look(self, &files);
        Some(Section {
            found,
            unread: files.take_unread(),
        })
    }
}
