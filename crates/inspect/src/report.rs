//! The report: systems, and sections of what is known of each.

use crate::agents::Agents;
use crate::boot;
use crate::cloud::Cloud;
use crate::containers::Containers;
use crate::environment::Environment;
use crate::firewall::Firewalls;
use crate::init::{self, Init};
use crate::journal::{self, Journal};
use crate::linux;
use crate::locale::{self, LocaleFacts};
use crate::mounts::{self, Mounts};
use crate::network::Network;
use crate::os::Os;
use crate::packages::Packages;
use crate::schedule::Schedule;
use crate::security::Security;
use crate::storage::Storage;
use crate::topic::{Topic, Topics};
use crate::units::{self, SystemdUnits};
use crate::users::Users;
use crate::windows;
use h2k_block::Limits;
use h2k_boot::Boot;
use h2k_guest::registry::Registry;
use h2k_guest::{Assembled, Assembly, FilesystemFacts, Guest, Look, Source, System, SystemKind, Unread};
use h2k_packages::{Database, Package, State};
use schemars::JsonSchema;
use serde::Serialize;
use std::cell::OnceCell;

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
    /// Every filesystem of the guest, mounted or not, swap spaces and locked devices.
    pub filesystems: Vec<FilesystemFacts>,
    /// What could not be looked into: devices, systems that could not be put together.
    pub unread: Vec<Unread>,
}

/// An answer to one topic, and what kept it from being complete.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
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
    /// Product, version, architecture, names, identifiers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub os: Option<Section<Os>>,
    /// What is mounted where.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mounts: Option<Section<Mounts>>,
    /// Swap, encrypted devices, volume groups, arrays.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage: Option<Section<Storage>>,
    /// What is started, and by what.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub init: Option<Section<Init>>,
    /// Units of systemd.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub units: Option<Section<SystemdUnits>>,
    /// Firmware, boot loader and its entries, kernels, initramfs images, drivers in them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub boot: Option<Section<Boot>>,
    /// Packages, by the package manager's own database.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub packages: Option<Section<Packages>>,
    /// How it is connected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<Section<Network>>,
    /// Drive letters of Windows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drives: Option<Section<windows::Drives>>,
    /// Reboots and installations that wait, of Windows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updates: Option<Section<windows::Updates>>,
    /// Topics whose answer has another form for Windows than for other systems.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub windows: Option<windows::WindowsFacts>,
    /// Services of Windows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub services: Option<Section<windows::Services>>,
    /// Drivers of Windows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drivers: Option<Section<windows::Drivers>>,
    /// Applications that Windows has installed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub applications: Option<Section<windows::Applications>>,
    /// Firewalls and their rules.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub firewall: Option<Section<Firewalls>>,
    /// What restrains programs and users.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub security: Option<Section<Security>>,
    /// What runs by the clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule: Option<Section<Schedule>>,
    /// Time zone, clock, language, keyboard.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locale: Option<Section<LocaleFacts>>,
    /// What was logged, and what the last boot was like.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub journal: Option<Section<Journal>>,
    /// Users, groups, keys that open them, who may become whom.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub users: Option<Section<Users>>,
    /// Environment variables for everybody.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<Section<Environment>>,
    /// Tools of hypervisors and clouds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agents: Option<Section<Agents>>,
    /// What cloud-init is told and did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cloud: Option<Section<Cloud>>,
    /// Engines of containers and what they hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub containers: Option<Section<Containers>>,
}

/// Asks for `topics` of every system of `guest`.
#[must_use]
pub fn inspect(guest: &Guest, topics: &Topics, limits: &Limits) -> Inspection {
    inspect_trees(guest, &guest.assemble_all(), topics, limits)
}

/// Asks for `topics` of systems that were put together.
#[must_use]
pub fn inspect_trees(guest: &Guest, trees: &Assembly, topics: &Topics, limits: &Limits) -> Inspection {
    let (filesystems, problems) = guest.contents(trees.systems.iter().map(|(_, assembled)| &assembled.tree));
    let mut unread: Vec<Unread> = problems
        .iter()
        .map(|(device, e)| Unread::new(Source::named(device.clone()), e))
        .collect();
    for more in trees.unread() {
        if !unread.contains(&more) {
            unread.push(more);
        }
    }
    let systems = trees
        .systems
        .iter()
        .map(|(system, assembled)| inspect_system(guest, system, assembled, topics, limits));
    Inspection {
        schema: SCHEMA,
        systems: systems.collect(),
        filesystems,
        unread,
    }
}

/// The JSON Schema of an [`Inspection`], as `docs/schema` publishes it.
#[must_use]
pub fn schema() -> schemars::Schema {
    let mut schema = schemars::schema_for!(Inspection);
    schema.insert("$id".to_owned(), SCHEMA.into());
    schema
}

/// Asks for `topics` of one system that was put together.
#[must_use]
pub fn inspect_system(
    guest: &Guest,
    system: &System,
    assembled: &Assembled,
    topics: &Topics,
    limits: &Limits,
) -> SystemFacts {
    facts(guest, system, assembled, topics, limits, None)
}

/// How a system boots, as the topic `boot` has it: what takes longest to find, for those who need it more than once.
#[must_use]
pub fn boot_of(guest: &Guest, system: &System, assembled: &Assembled, limits: &Limits) -> Section<Boot> {
    let topics = Topics::only(&[Topic::Boot]);
    let facts = facts(guest, system, assembled, &topics, limits, None);
    facts.boot.unwrap_or_default()
}

/// As [`inspect_system`], with what is known of its boot already.
pub(crate) fn facts(
    guest: &Guest,
    system: &System,
    assembled: &Assembled,
    topics: &Topics,
    limits: &Limits,
    boot: Option<&Section<Boot>>,
) -> SystemFacts {
    let linux = system.kind == SystemKind::Linux;
    let windows = system.kind == SystemKind::Windows;
    let asking = Asking {
        guest,
        system,
        assembled,
        topics,
        limits,
        databases: OnceCell::new(),
        registry: OnceCell::new(),
    };
    SystemFacts {
        root: system.source(),
        kind: system.kind.word().to_owned(),
        os: asking.section(Topic::Os, true, if windows { windows::os } else { linux::os }),
        mounts: asking.section(Topic::Mounts, true, mounts::look),
        storage: asking.section(Topic::Storage, linux, linux::storage),
        init: asking.section(Topic::Init, linux, init::look),
        units: asking.section(Topic::Units, units::has(&asking), units::look),
        boot: boot
            .cloned()
            .or_else(|| asking.section(Topic::Boot, linux || windows, boot::look)),
        packages: asking.section(Topic::Packages, !windows, linux::packages),
        network: asking.section(
            Topic::Network,
            linux || windows,
            if windows { windows::network } else { linux::network },
        ),
        firewall: asking.section(
            Topic::Firewall,
            linux || windows,
            if windows {
                windows::firewall
            } else {
                linux::firewall
            },
        ),
        drives: asking.section(Topic::Drives, windows, windows::drives),
        updates: asking.section(Topic::Updates, windows, windows::updates),
        windows: if windows { windows::look(&asking) } else { None },
        services: asking.section(Topic::Services, windows, windows::services),
        drivers: asking.section(Topic::Drivers, windows, windows::drivers),
        applications: asking.section(Topic::Applications, windows, windows::applications),
        security: asking.section(Topic::Security, linux, linux::security),
        locale: asking.section(Topic::Locale, linux, |_, look| locale::look(look)),
        journal: asking.section(Topic::Journal, linux, |_, look| journal::look(look)),
        users: asking.section(Topic::Users, !windows, linux::users),
        environment: asking.section(Topic::Environment, !windows, linux::environment),
        agents: asking.section(Topic::Agents, !windows, linux::agents),
        cloud: asking.section(Topic::Cloud, !windows, linux::cloud),
        containers: asking.section(Topic::Containers, !windows, linux::containers),
        schedule: asking.section(
            Topic::Schedule,
            linux || windows,
            if windows {
                windows::schedule
            } else {
                linux::schedule
            },
        ),
    }
}

/// What every topic is given.
pub(crate) struct Asking<'a> {
    /// The guest with all its devices.
    pub(crate) guest: &'a Guest,
    /// Which system.
    pub(crate) system: &'a System,
    /// Its files, and what its fstab names besides.
    pub(crate) assembled: &'a Assembled,
    topics: &'a Topics,
    limits: &'a Limits,
    databases: OnceCell<Vec<Database>>,
    registry: OnceCell<Registry<'a>>,
}

impl<'a> Asking<'a> {
    /// The files, for a question that belongs to no section.
    pub(crate) fn files(&self) -> Look<'a> {
        Look::new(&self.assembled.tree, self.limits)
    }

    /// The package databases, read when they are first asked for.
    pub(crate) fn databases(&self, files: &Look<'_>) -> &[Database] {
        self.databases
            .get_or_init(|| h2k_packages::databases(files, self.limits))
    }

    /// The registry of a Windows system; each hive is opened once for all topics.
    pub(crate) fn registry(&self) -> &Registry<'a> {
        self.registry
            .get_or_init(|| Registry::new(&self.assembled.tree, self.limits))
    }

    /// The packages of one of these names that are installed.
    pub(crate) fn installed<'s>(
        &'s self,
        files: &Look<'_>,
        names: &'s [&str],
    ) -> impl Iterator<Item = &'s Package> {
        let all = self
            .databases(files)
            .iter()
            .flat_map(|database| &database.packages);
        let there = |p: &&Package| matches!(p.state, State::Installed | State::Incomplete);
        all.filter(there).filter(|p| names.contains(&p.name.as_str()))
    }

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
        let files = self.files();
        let found = look(self, &files);
        Some(Section {
            found,
            unread: files.take_unread(),
        })
    }
}
