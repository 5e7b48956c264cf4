//! Whether a guest would start on KVM as it is: what is there, what is missing, what would stop it.
//!
//! Each [`Finding`] is one check with its evidence. A finding that stops the boot may do so on one bus only: a root that
//! is named `/dev/sda2` is not found on virtio-blk, where disks are called `vda`. [`Verdict`] is what follows from all
//! of them for the system that starts when nobody chooses.

mod bootmgr;
mod cpu;
mod linux;
mod loader;
mod network;
mod preflight;
mod windows;

use crate::report::{Section, SystemFacts, boot_of, facts};
use crate::topic::{Topic, Topics};
use h2k_block::Limits;
use h2k_boot::{Boot, Bus};
use h2k_guest::{Assembled, Assembly, Crypttab, Device, Guest, Look, Source, System, SystemKind, Unread};
use schemars::JsonSchema;
use serde::Serialize;

/// Name and version of the form of a diagnosis as JSON.
pub const DOCTOR_SCHEMA: &str = "hyper2kvm-doctor-1";

/// What was found of all systems.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Diagnosis {
    /// Name and version of the schema: `hyper2kvm-doctor-1`.
    pub schema: &'static str,
    /// The operating systems, in the order of their devices.
    pub systems: Vec<SystemDiagnosis>,
    /// What could not be looked into.
    pub unread: Vec<Unread>,
}

/// Whether a system starts, as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Verdict {
    /// On virtio.
    Boots,
    /// On a bus that QEMU emulates, and not on virtio.
    BootsEmulated,
    /// On no bus.
    WillNotBoot,
    /// What decides could not be read, or systems of this kind are not known well enough.
    Unknown,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Level {
    /// As it should be.
    Ok,
    /// The guest starts, and something of it will be different or slow.
    Warn,
    /// It cannot be told.
    Unknown,
    /// The guest does not start.
    Stop,
}

impl Level {
    /// As tables name it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Unknown => "unknown",
            Self::Stop => "stop",
        }
    }
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Finding {
    /// What was checked: `disk-driver`, `root`, `boot-loader` …
    pub check: String,
    /// The kernel it is about; absent where it is about all of them.
    pub kernel: Option<String>,
    /// The bus it is about; absent where it is the same on each.
    pub bus: Option<Bus>,
    /// How bad it is.
    pub level: Level,
    /// What was found, in a sentence.
    pub why: String,
    /// What would help.
    pub advice: Option<String>,
    /// Where that was read.
    pub evidence: Vec<Source>,
}

/// What was found of one system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct SystemDiagnosis {
    /// Its root as guestfish spells it.
    pub root: String,
    /// `linux`, `windows` …
    pub kind: String,
    /// What it calls itself.
    pub name: Option<String>,
    /// Whether it starts.
    pub verdict: Verdict,
    /// The buses it starts on, the best first.
    pub buses: Vec<Bus>,
    /// The firmware it needs: `bios`, `uefi`.
    pub firmware: Option<h2k_boot::Firmware>,
    /// The kernel that starts when nobody chooses.
    pub kernel: Option<String>,
    /// Every check.
    pub findings: Vec<Finding>,
    /// What could not be read, and why.
    pub unread: Vec<Unread>,
}

impl Finding {
    pub(crate) fn new(check: &str, level: Level, why: impl Into<String>) -> Self {
        Self {
            check: check.to_owned(),
            kernel: None,
            bus: None,
            level,
            why: why.into(),
            advice: None,
            evidence: Vec::new(),
        }
    }

    pub(crate) fn read(mut self, source: impl IntoIterator<Item = Source>) -> Self {
        self.evidence.extend(source);
        self
    }

    pub(crate) fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    pub(crate) fn on(mut self, bus: Bus) -> Self {
        self.bus = Some(bus);
        self
    }

    pub(crate) fn of(mut self, kernel: &str) -> Self {
        self.kernel = Some(kernel.to_owned());
        self
    }
}

/// What every check is given.
pub(crate) struct Patient<'a> {
    pub(crate) guest: &'a Guest,
    pub(crate) system: &'a System,
    pub(crate) assembled: &'a Assembled,
    pub(crate) facts: &'a SystemFacts,
    pub(crate) crypttab: Crypttab,
}

impl Patient<'_> {
    /// Whether there are disks to look at, and not only files.
    pub(crate) fn scanned(&self) -> bool {
        self.guest.devices().iter().any(|d| d.content().is_some())
    }

    /// The device that a table of the guest calls `spec`.
    pub(crate) fn resolve(&self, spec: &str) -> h2k_block::Result<&Device> {
        self.guest.resolve(spec.as_bytes(), &self.crypttab)
    }
}

/// Looks at every system that was put together.
#[must_use]
pub fn diagnose(guest: &Guest, trees: &Assembly, limits: &Limits) -> Diagnosis {
    let systems = trees.systems.iter();
    let boots: Vec<_> = systems
        .map(|(system, assembled)| boot_of(guest, system, assembled, limits))
        .collect();
    diagnose_booting(guest, trees, &boots, limits)
}

/// As [`diagnose`], of systems of which is known how they boot: by [`boot_of`], in the order of `trees`.
#[must_use]
pub fn diagnose_booting(
    guest: &Guest,
    trees: &Assembly,
    boots: &[Section<Boot>],
    limits: &Limits,
) -> Diagnosis {
    let systems = trees
        .systems
        .iter()
        .zip(boots)
        .map(|((system, assembled), boot)| one(guest, system, assembled, boot, limits));
    Diagnosis {
        schema: DOCTOR_SCHEMA,
        systems: systems.collect(),
        unread: trees.unread().collect(),
    }
}

/// What is asked of a system: what its checks rest on.
fn topics(kind: SystemKind) -> Topics {
    let every = [Topic::Os, Topic::Boot, Topic::Network];
    let windows = [
        Topic::Storage,
        Topic::Updates,
        Topic::Applications,
        Topic::Security,
    ];
    match kind {
        SystemKind::Windows => Topics::only(&[&every[..], &windows[..]].concat()),
        _ => Topics::only(&every),
    }
}

fn one(
    guest: &Guest,
    system: &System,
    assembled: &Assembled,
    boot: &Section<Boot>,
    limits: &Limits,
) -> SystemDiagnosis {
    let topics = topics(system.kind);
    let facts = facts(guest, system, assembled, &topics, limits, Some(boot));
    let look = Look::new(&assembled.tree, limits);
    let patient = Patient {
        guest,
        system,
        assembled,
        facts: &facts,
        crypttab: Crypttab::read(&look.bytes("/etc/crypttab", 1 << 20).unwrap_or_default()),
    };
    let findings = match system.kind {
        SystemKind::Linux => linux::check(&patient, &look),
        SystemKind::Windows => windows::check(&patient, &look),
        _ => vec![
            Finding::new(
                "system",
                Level::Unknown,
                format!("whether {} starts is not checked", system.kind.word()),
            )
            .advise("the topics of inspect tell what is known of it"),
        ],
    };
    let boot = facts.boot.as_ref();
    let kernel = boot.and_then(|b| b.found.kernels.iter().find(|k| k.default));
    let kernel = kernel.map(|k| k.name().to_owned());
    let buses = starts(&findings, kernel.as_deref());
    let doubt = findings.iter().any(|f| {
        f.level == Level::Unknown
            && f.bus.is_none_or(Bus::is_virtio)
            && (f.kernel.is_none() || f.kernel == kernel)
    });
    let verdict = match buses.as_slice() {
        [first, ..] if first.is_virtio() => Verdict::Boots,
        _ if doubt => Verdict::Unknown,
        [_, ..] => Verdict::BootsEmulated,
        [] => Verdict::WillNotBoot,
    };
    let mut unread = Vec::new();
    unread.extend(facts.boot.iter().flat_map(|s| s.unread.iter().cloned()));
    unread.extend(look.take_unread());
    unread.extend(facts.network.iter().flat_map(|s| s.unread.iter().cloned()));
    unread.extend(facts.updates.iter().flat_map(|s| s.unread.iter().cloned()));
    unread.extend(facts.applications.iter().flat_map(|s| s.unread.iter().cloned()));
    let windows = facts.windows.as_ref();
    let storage = windows.and_then(|w| w.storage.as_ref());
    unread.extend(storage.iter().flat_map(|s| s.unread.iter().cloned()));
    let stores = windows.and_then(|w| w.boot.as_ref());
    unread.extend(stores.iter().flat_map(|s| s.unread.iter().cloned()));
    SystemDiagnosis {
        root: system.source(),
        kind: system.kind.word().to_owned(),
        name: system.name.clone(),
        verdict,
        buses,
        firmware: boot.and_then(|b| b.found.firmware.as_ref().map(|f| f.value)),
        kernel,
        findings,
        unread,
    }
}

/// The buses where a driver is ready and nothing stops the kernel that is started.
fn starts(findings: &[Finding], kernel: Option<&str>) -> Vec<Bus> {
    let about = |f: &&Finding| f.kernel.is_none() || f.kernel.as_deref() == kernel;
    let on = |bus: Bus, level: Level| {
        findings.iter().filter(about).any(|f| {
            f.level == level && f.bus.is_none_or(|b| b == bus) && (level == Level::Stop || f.check == DRIVER)
        })
    };
    let ready = |bus: &&Bus| on(**bus, Level::Ok) && !on(**bus, Level::Stop);
    Bus::ALL.iter().filter(ready).copied().collect()
}

/// The check that says whether a kernel drives a bus.
pub(crate) const DRIVER: &str = "disk-driver";
