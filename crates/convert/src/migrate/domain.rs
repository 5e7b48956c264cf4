//! The machine's description for libvirt.

use super::Migrate;
use crate::failure::About;
use crate::{Failure, Fixed, Result};
use h2k_boot::{Bus, Firmware};
use h2k_fix::Target;
use h2k_machine as machine;
use h2k_machine::{Decisions, Machine, NicModel, Placed, domain_xml};
use std::path::{Path, PathBuf};

/// A description, and what was assumed or left out.
pub(super) struct Domain {
    pub(super) xml: String,
    pub(super) notes: Vec<String>,
}

/// Describes the machine whose disks are `disks`, each with its format.
pub(super) fn describe(
    job: &Migrate,
    name: &str,
    fixed: &Fixed,
    disks: &[(PathBuf, &'static str)],
) -> Result<Domain> {
    let bus = fixed.bus();
    let place = bus_of(bus).ok_or_else(|| {
        Failure::from(h2k_block::Error::unsupported(format!(
            "libvirt describes no {} disks that are images",
            bus.word()
        )))
        .advise("choose another with --bus")
    })?;
    let mut drives = Vec::new();
    for (number, (path, format)) in disks.iter().enumerate() {
        let mut drive = Placed::disk(absolute(&job.into, path)?, *format, place);
        drive.boot = (number == 0).then_some(1);
        drives.push(drive);
    }
    let source = match &fixed.guest.machine {
        Some(open) => open.machine.clone(),
        None => bare(name, &fixed.target),
    };
    let decisions = Decisions {
        name: Some(name.to_owned()),
        drives,
        firmware: firmware(fixed, &source),
        guest: guest(fixed),
        // The agent's channel, randomness and the balloon are nothing to a guest that does not know them.
        virtio: bus.is_virtio(),
        clock: job.decisions.clock.or_else(|| clock(fixed)),
        nic: (!bus.is_virtio()).then_some(NicModel::E1000e),
        ..job.decisions.clone()
    };
    let target = machine::Target::new(&source, &decisions).map_err(Failure::from)?;
    let notes = target.machine().notes.iter();
    Ok(Domain {
        notes: notes.map(|note| format!("{}: {}", note.what, note.why)).collect(),
        xml: domain_xml(&target),
    })
}

/// What is known of a machine of which there are only disks: the interfaces the user told of, or one.
fn bare(name: &str, wish: &Target) -> Machine {
    let nic = |mac: Option<machine::Mac>| machine::Nic {
        mac,
        ..machine::Nic::new(NicModel::Virtio, machine::Network::Unsaid)
    };
    let told = wish.nics.iter().map(|n| nic(machine::Mac::parse(&n.mac)));
    let mut nics: Vec<machine::Nic> = told.collect();
    if nics.is_empty() {
        nics.push(nic(None));
    }
    Machine {
        name: name.to_owned(),
        nics,
        ..Machine::default()
    }
}

/// As the disks were installed; whether only what is signed starts is the machine's business.
fn firmware(fixed: &Fixed, source: &Machine) -> Option<machine::Firmware> {
    let found = fixed.report.systems.iter().find_map(|s| s.firmware)?;
    Some(match (found, source.firmware) {
        (Firmware::Bios, _) => machine::Firmware::Bios,
        (_, Some(said @ machine::Firmware::Uefi { .. })) => said,
        (_, _) => machine::Firmware::Uefi { secure_boot: false },
    })
}

/// What the guest takes the clock for: where it is Linux alone, its files tell. Windows wants local time unless the
/// old machine says otherwise.
fn clock(fixed: &Fixed) -> Option<machine::Clock> {
    if guest(fixed) == machine::Guest::Windows {
        return None;
    }
    let mut said = fixed
        .report
        .systems
        .iter()
        .filter_map(|s| s.local_time)
        .peekable();
    said.peek()?;
    Some(match said.any(|local| local) {
        true => machine::Clock::Localtime,
        false => machine::Clock::Utc,
    })
}

fn guest(fixed: &Fixed) -> machine::Guest {
    match fixed.report.systems.iter().any(|s| s.kind == "windows") {
        true => machine::Guest::Windows,
        false => machine::Guest::Unix,
    }
}

fn bus_of(bus: Bus) -> Option<machine::Bus> {
    Some(match bus {
        Bus::VirtioBlk => machine::Bus::VirtioBlk,
        Bus::VirtioScsi => machine::Bus::VirtioScsi,
        Bus::Sata => machine::Bus::Sata,
        Bus::Ide => machine::Bus::Ide,
        Bus::Pvscsi => machine::Bus::PvScsi,
        Bus::LsiSas => machine::Bus::LsiSas,
        Bus::Lsi => machine::Bus::Lsi53c895a,
        _ => return None,
    })
}

/// libvirt names files by absolute paths only.
fn absolute(into: &Path, file: &Path) -> Result<String> {
    let dir = into.canonicalize().map_err(h2k_block::Error::from).about(into)?;
    let path = dir.join(file.file_name().unwrap_or_default());
    path.to_str()
        .map(str::to_owned)
        .ok_or_else(|| Failure::invalid(format!("{} is not UTF-8 and cannot be described", path.display())))
}
