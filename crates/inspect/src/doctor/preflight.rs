//! What keeps a Windows from being moved as it is, besides drivers: that it sleeps, was not shut down cleanly, waits for a
//! restart, is encrypted, or guards itself against changes.

use super::{Finding, Level, Patient};
use crate::windows::special;
use h2k_guest::registry::{HIVES, Registry};
use h2k_guest::{Look, Source};
use h2k_hive::State;

pub(super) fn check(
    patient: &Patient<'_>,
    registry: &Registry<'_>,
    look: &Look<'_>,
    findings: &mut Vec<Finding>,
) {
    sleeping(patient, findings);
    hives(registry, look, findings);
    volumes(patient, findings);
    waiting(patient, findings);
    policies(patient, findings);
    guards(patient, findings);
    signatures(patient, findings);
}

/// Hibernation, and the fast start-up that is a kind of it.
fn sleeping(patient: &Patient<'_>, findings: &mut Vec<Finding>) {
    let windows = patient.facts.windows.as_ref();
    let Some(storage) = windows.and_then(|w| w.storage.as_ref()).map(|s| &s.found) else {
        return;
    };
    let fast = storage.fast_startup.as_ref().filter(|f| f.value);
    let fast_source = fast.map(|f| f.source.clone());
    let state = storage.hibernation.as_ref();
    let finding = |level, why: &str| {
        let evidence = state
            .map(|f| f.source.clone())
            .into_iter()
            .chain(fast_source.clone());
        Finding::new("hibernation", level, why).read(evidence)
    };
    match state.map(|f| f.value.as_str()) {
        Some("hibernated") => findings.push(
            finding(
                Level::Stop,
                "it is hibernated, or was shut down for a fast start-up: it would go on with the devices it had",
            )
            .advise("start it once on the old machine, and shut it down with: shutdown /s /t 0"),
        ),
        Some("resuming") => findings.push(
            finding(
                Level::Warn,
                "it was waking up from hibernation when it stopped: it may ask whether to go on with that",
            )
            .advise("start it once on the old machine, and shut it down with: shutdown /s /t 0"),
        ),
        Some("empty") | None => {
            if fast.is_some() {
                findings.push(finding(Level::Ok, "it was shut down completely, though fast start-up is on"));
            }
        }
        Some(_) => findings.push(finding(
            Level::Warn,
            "it has a hibernation file of a kind that is not known",
        )),
    }
}

/// Hives whose last write was not finished.
fn hives(registry: &Registry<'_>, look: &Look<'_>, findings: &mut Vec<Finding>) {
    for (name, file) in HIVES {
        if !["HKLM\\SYSTEM", "HKLM\\SOFTWARE", "HKLM\\SAM", "HKLM\\SECURITY"].contains(&name) {
            continue;
        }
        let Some(hold) = registry.ask(look, name) else {
            continue;
        };
        let why = match hold.hive().facts().state {
            State::Clean => continue,
            State::Recovered(entries) => {
                format!("the hive {name} was not written to its end: its logs have {entries} changes more")
            }
            // Whatever else it may come to be called.
            _ => {
                format!(
                    "the hive {name} was not written to its end, and its logs do not help: something may be missing"
                )
            }
        };
        let path = registry.path(look, file);
        findings.push(
            Finding::new("hive", Level::Warn, why)
                .advise("start it once on the old machine, and shut it down")
                .read(path.as_deref().map(Source::file)),
        );
    }
}

/// What lies on volumes that Windows alone reads, and how its filesystems were left.
fn volumes(patient: &Patient<'_>, findings: &mut Vec<Finding>) {
    for device in patient.guest.devices() {
        let name = &device.name;
        let finding = match special(device) {
            Some("BitLocker") => {
                let why =
                    format!("{name} is encrypted with BitLocker: keys in a TPM stay with the old machine");
                Finding::new("bitlocker", Level::Warn, why)
                    .advise("have the recovery key at hand, or suspend BitLocker before the move")
            }
            Some("LDM") => {
                let why = format!("{name} belongs to a dynamic disk");
                Finding::new("dynamic-disk", Level::Warn, why)
            }
            Some(_) => {
                let why = format!("{name} belongs to Storage Spaces");
                Finding::new("storage-spaces", Level::Warn, why)
            }
            None => continue,
        };
        findings.push(finding.read([Source::named(name.clone())]));
    }
    for mount in patient.assembled.tree.mounts() {
        for warning in mount.fs.facts().warnings {
            findings.push(
                Finding::new("filesystem", Level::Warn, warning).read([Source::named(mount.source.clone())]),
            );
        }
    }
}

/// Restarts that are due, and a setup that is not done.
fn waiting(patient: &Patient<'_>, findings: &mut Vec<Finding>) {
    let Some(updates) = patient.facts.updates.as_ref().map(|s| &s.found) else {
        return;
    };
    for reason in &updates.reasons {
        findings.push(
            Finding::new(
                "pending-reboot",
                Level::Warn,
                format!("a restart is due: {}", reason.value),
            )
            .advise("let it restart once before the move")
            .read([reason.source.clone()]),
        );
    }
    if let Some(setup) = updates.setup_in_progress.as_ref().filter(|f| f.value) {
        findings.push(
            Finding::new(
                "setup",
                Level::Warn,
                "its setup is not done, and goes on at the next start",
            )
            .read([setup.source.clone()]),
        );
    }
}

/// What administrators wrote down that concerns drivers and settings.
fn policies(patient: &Patient<'_>, findings: &mut Vec<Finding>) {
    let windows = patient.facts.windows.as_ref();
    let Some(security) = windows.and_then(|w| w.security.as_ref()).map(|s| &s.found) else {
        return;
    };
    let denies = security.device_installation.iter().find(|f| {
        let number = f.value.split_once('=').and_then(|(_, n)| n.parse::<u64>().ok());
        f.value.starts_with("Deny") && number.is_some_and(|n| n != 0)
    });
    if let Some(denies) = denies {
        let why = format!(
            "a policy forbids that devices are installed ({}): drivers may not be",
            denies.value
        );
        findings.push(Finding::new("policy", Level::Warn, why).read([denies.source.clone()]));
    }
    if !security.group_policies.is_empty() {
        let names: Vec<&str> = security.group_policies.iter().map(|f| f.value.as_str()).collect();
        let why = format!(
            "group policies apply to it, and may undo changes: {}",
            names.join(", ")
        );
        let evidence = security.group_policies.iter().map(|f| f.source.clone());
        findings.push(Finding::new("policy", Level::Warn, why).read(evidence));
    }
    if let Some(secure) = security.secure_boot.as_ref().filter(|f| f.value) {
        findings.push(
            Finding::new(
                "secure-boot",
                Level::Ok,
                "it started with Secure Boot: where the new machine has it too, drivers need Microsoft's signature",
            )
            .read([secure.source.clone()]),
        );
    }
}

/// Programs against viruses.
fn guards(patient: &Patient<'_>, findings: &mut Vec<Finding>) {
    let Some(applications) = patient.facts.applications.as_ref().map(|s| &s.found) else {
        return;
    };
    for program in &applications.applications {
        if program.class.as_deref() == Some("antivirus") {
            let why = format!(
                "{} guards it, and may keep drivers and services from being added",
                program.display_name
            );
            findings.push(Finding::new("antivirus", Level::Warn, why).read([program.source.clone()]));
        }
    }
    if let Some(defender) = &applications.defender {
        let off = defender.disabled.as_ref().is_some_and(|f| f.value)
            || defender.service.as_ref().is_some_and(|f| f.value == "disabled");
        let why = if off {
            "Windows Defender is off"
        } else {
            "Windows Defender guards it"
        };
        let evidence = [&defender.disabled]
            .into_iter()
            .flatten()
            .map(|f| f.source.clone());
        let evidence = evidence.chain(defender.service.iter().map(|f| f.source.clone()));
        findings.push(
            Finding::new("antivirus", Level::Ok, why)
                .read([defender.source.clone()])
                .read(evidence),
        );
    }
}

/// Updates that teach Windows 7 and Server 2008 R2 the signatures of today's drivers (Microsoft, "2019 SHA-2 Code
/// Signing Support requirement").
const SHA2: [&str; 2] = ["KB4474419", "KB3033929"];

fn signatures(patient: &Patient<'_>, findings: &mut Vec<Finding>) {
    let (Some(os), Some(applications)) = (&patient.facts.os, &patient.facts.applications) else {
        return;
    };
    let numbers = os
        .found
        .major_version
        .as_ref()
        .zip(os.found.minor_version.as_ref());
    let Some((major, _)) = numbers.filter(|(major, minor)| (major.value, minor.value) == (6, 1)) else {
        return;
    };
    let taught = applications.found.hotfixes.iter().find(|fix| {
        matches!(fix.state.as_str(), "installed" | "permanent" | "superseded")
            && SHA2.iter().any(|name| fix.name.contains(name))
    });
    findings.push(match taught {
        Some(fix) => Finding::new(
            "driver-signatures",
            Level::Ok,
            format!("{} is installed: drivers signed with SHA-2 are loaded", fix.name),
        )
        .read([fix.source.clone()]),
        None => Finding::new(
            "driver-signatures",
            Level::Warn,
            "neither KB4474419 nor KB3033929 is installed: drivers signed with SHA-2 alone are not loaded",
        )
        .advise("install KB4474419 before the move, or use drivers of virtio-win 0.1.173")
        .read([major.source.clone()]),
    });
}
