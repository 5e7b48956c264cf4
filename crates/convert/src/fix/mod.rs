//! Fixing a guest: what has to change is found, drafted, written into overlays and judged there. The disks stay as
//! they are; what becomes of the overlays is the caller's business.
//!
//! ```text
//!  disks ──▶ Overlay each ──▶ the same volumes over them ──▶ one writer for each filesystem with edits
//!               │
//!               └──▶ the guest again, over the overlays ──▶ every fix asked again, doctor, checks
//! ```

mod check;
mod place;
mod report;
mod write;

pub(crate) use check::STEPS as CHECK_STEPS;
pub use place::{FixOnly, FixedReport, Into};
pub(crate) use report::clear;
pub use report::{CheckedReport, DiskEdits, FixReport, FixTimes, RefusedReport, SystemFixes, Validation};

use crate::{GuestSource, ManifestWish, OpenGuest, OpenMachine, Result};
use h2k_block::{BlockRead, Class, Error, Limits, Overlay};
use h2k_boot::{Boot, Bus};
use h2k_fix::{Hypervisor, Nic, Options, Outcome, Proposal, Target, propose};
use h2k_guest::{Assembly, Guest, Look, System, SystemKind};
use h2k_inspect::{Diagnosis, Section, boot_of, diagnose_booting};
use h2k_machine::{Kind, Mac};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

/// A guest to be fixed, and for what.
#[derive(Debug, Default)]
pub struct Fixing {
    /// The guest.
    pub guest: GuestSource,
    /// The machine it will be in.
    pub target: Target,
    /// Which fixes, and how far they go.
    pub options: Options,
}

/// A guest whose fixes were made in overlays.
pub struct Fixed {
    /// The guest as it is.
    pub guest: OpenGuest,
    /// What was found, changed and judged.
    pub report: FixReport,
    /// The machine it was fixed for.
    pub target: Target,
    overlays: Vec<Arc<Overlay>>,
}

impl Fixed {
    /// A disk with the fixes made, by its number.
    ///
    /// # Errors
    /// [`Class::Invalid`] when the guest has no such disk.
    pub fn disk(&self, number: usize) -> h2k_block::Result<Arc<dyn BlockRead>> {
        let over = self.overlays.get(number).cloned();
        let over = over.ok_or_else(|| Error::new(Class::Invalid, "there is no such disk"))?;
        Ok(over)
    }

    /// What the disks are attached to: as the user wants it, else the best the guest starts on.
    pub(crate) fn bus(&self) -> Bus {
        let best = || self.report.bus();
        self.target.bus.or_else(best).unwrap_or(Bus::VirtioBlk)
    }

    /// The overlay of a disk, by its number.
    pub(crate) fn overlay(&self, number: usize) -> Option<&Arc<Overlay>> {
        self.overlays.get(number)
    }
}

impl Fixing {
    /// Looks, drafts, writes into overlays and judges the result. No disk is written to.
    ///
    /// # Errors
    /// As [`GuestSource::open`]; what one fix cannot do is part of the report.
    pub fn run(mut self, stop: &AtomicBool) -> Result<Fixed> {
        let begun = Instant::now();
        if self.guest.manifest == ManifestWish::Skip {
            self.guest.manifest = ManifestWish::Tell;
        }
        let spill = self.guest.spill.clone();
        let guest = self.guest.open_until(stop)?;
        if let Some(open) = &guest.machine {
            from_machine(&mut self.target, open);
        }
        let opened = begun.elapsed();
        let assembly = guest.assembly()?;
        let limits = Limits::default();
        let boots = boots(&guest.guest, &assembly, &limits);
        let before = diagnose_booting(&guest.guest, &assembly, &boots, &limits);
        let proposals = proposals(&guest.guest, &assembly, &boots, &self.target, &self.options);
        let looked = begun.elapsed();
        let site = write::Site::new(&guest, spill.as_deref())?;
        let refused = site.write(&proposals, &limits, self.options.now);
        let written = begun.elapsed();
        let judged = judge(&guest, &site, &assembly, &self.target, &self.options, &limits);
        if guest.machine.is_none() && self.target.nics.is_empty() {
            self.target.nics = told_by(&judged.assembly, &limits);
        }
        let report = FixReport {
            checks: checks(&judged.guest, &guest.guest, &proposals, &refused),
            bus_wanted: self.target.bus,
            edits: site.edits(&guest)?,
            ..FixReport::of(&guest, &assembly, &boots, proposals, refused, &before, judged)
        };
        let times = FixTimes::of(&[opened, looked, written, begun.elapsed()]);
        Ok(Fixed {
            guest,
            report: FixReport { times, ..report },
            target: self.target,
            overlays: site.overlays,
        })
    }
}

/// What the description of the old machine says of the new one's interfaces, where the user said nothing.
fn from_machine(target: &mut Target, open: &OpenMachine) {
    if target.nics.is_empty() {
        let known = open.machine.nics.iter().filter_map(|nic| {
            Some(Nic {
                mac: nic.mac?.to_string(),
                name: nic.old_name.clone(),
            })
        });
        target.nics = known.collect();
    }
    if target.from.is_none() && open.kind == Some(Kind::Vmx) {
        target.from = Some(Hypervisor::Vmware);
    }
}

/// The interfaces that the only Linux system knows by their addresses: where nothing else is known of the old machine,
/// the new one has cards with these, so that names and configurations find them.
fn told_by(assembly: &Assembly, limits: &Limits) -> Vec<Nic> {
    let [(system, assembled)] = assembly.systems.as_slice() else {
        return Vec::new();
    };
    if system.kind != SystemKind::Linux {
        return Vec::new();
    }
    let network = h2k_inspect::linux_network(&Look::new(&assembled.tree, limits));
    let rules = network.names.iter().filter(|r| r.ignored.is_none());
    let rules = rules.map(|r| (&r.matching.macs, r.name.clone()));
    let connections = network.connections.iter().filter(|c| c.ignored.is_none());
    let connections = connections.map(|c| (&c.matching.macs, c.set_name.as_ref().map(|f| f.value.clone())));
    let mut nics: Vec<Nic> = Vec::new();
    for (macs, name) in rules.chain(connections) {
        let [mac] = macs.as_slice() else { continue };
        let Some(mac) = Mac::parse(mac).map(|mac| mac.to_string()) else {
            continue;
        };
        if nics.len() < NICS && nics.iter().all(|nic| nic.mac != mac) {
            nics.push(Nic { mac, name });
        }
    }
    nics
}

/// More cards than a machine is given for what its files say.
const NICS: usize = 8;

/// Every system and what is proposed for it.
pub(crate) type Proposals = Vec<(System, Proposal)>;

/// How each system boots. Going through kernels and initramfs images takes longest of all that is asked, so it is done
/// once for those who judge and those who fix.
fn boots(guest: &Guest, assembly: &Assembly, limits: &Limits) -> Vec<Section<Boot>> {
    let systems = assembly.systems.iter();
    systems
        .map(|(system, assembled)| boot_of(guest, system, assembled, limits))
        .collect()
}

fn proposals(
    guest: &Guest,
    assembly: &Assembly,
    boots: &[Section<Boot>],
    target: &Target,
    options: &Options,
) -> Proposals {
    let systems = assembly.systems.iter().zip(boots);
    let each = systems.map(|((system, assembled), boot)| {
        let limits = Limits::default();
        let proposal = propose(guest, system, assembled, &boot.found, target, options, &limits);
        (system.clone(), proposal)
    });
    each.collect()
}

/// What was found of the guest with the fixes made.
pub(crate) struct Judged {
    guest: Guest,
    assembly: Assembly,
    again: Proposals,
    diagnosis: Diagnosis,
}

fn judge(
    open: &OpenGuest,
    site: &write::Site,
    before: &Assembly,
    target: &Target,
    options: &Options,
    limits: &Limits,
) -> Judged {
    let fixed = Guest::of_volumes(&open.volumes.read_over(&site.volumes), limits).plugged(&open.plugs);
    let mut assembly = Assembly::default();
    for (system, _) in &before.systems {
        match fixed.assemble(system) {
            Ok(assembled) => assembly.systems.push((system.clone(), assembled)),
            Err(e) => assembly.failed.push((system.clone(), e)),
        }
    }
    let boots = boots(&fixed, &assembly, limits);
    Judged {
        again: proposals(&fixed, &assembly, &boots, target, options),
        diagnosis: diagnose_booting(&fixed, &assembly, &boots, limits),
        assembly,
        guest: fixed,
    }
}

/// Every filesystem that was written, judged.
fn checks(
    guest: &Guest,
    before: &Guest,
    proposals: &Proposals,
    refused: &[RefusedReport],
) -> Vec<CheckedReport> {
    let drafts = proposals
        .iter()
        .flat_map(|(_, proposal)| proposal.drafted.changed());
    let written = drafts.filter(|(device, _)| refused.iter().all(|r| r.device != *device));
    written
        .map(|(device, _)| check::judge(guest, before, device))
        .collect()
}

/// The worst of several.
pub(crate) fn worst(all: impl Iterator<Item = Outcome>) -> Outcome {
    all.max().unwrap_or(Outcome::Leave)
}

/// Whether `offset` lies in one of `ranges`, which are sorted and apart from each other, and where that changes.
pub(crate) fn edited_at(ranges: &[(u64, u64)], offset: u64) -> (bool, u64) {
    let after = ranges.partition_point(|(at, _)| *at <= offset);
    let inside = after.checked_sub(1).and_then(|i| ranges.get(i));
    if let Some((at, len)) = inside
        && offset < at.saturating_add(*len)
    {
        return (true, at.saturating_add(*len));
    }
    (false, ranges.get(after).map_or(u64::MAX, |(at, _)| *at))
}
