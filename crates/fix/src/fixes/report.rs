//! What is nothing to change in the guest, and that the user has to know.

use super::Fix;
use crate::finding::Finding;
use crate::view::View;
use h2k_block::Result;
use h2k_guest::{Fact, Look, Source};
use std::collections::BTreeMap;

/// Tells what time the guest takes its clock for.
pub(super) struct Clock;

impl Fix for Clock {
    fn id(&self) -> &'static str {
        "linux.rtc"
    }

    fn about(&self) -> &'static str {
        "tells whether the machine's clock has to run in local time"
    }

    fn look(&self, view: &View<'_>) -> Result<Vec<Finding>> {
        Ok(vec![match clock(view.look) {
            Some(said) if said.value => Finding::warn("the guest takes the machine's clock for local time")
                .advise("migrate describes the machine so; one described otherwise needs a clock with offset localtime")
                .read([said.source]),
            Some(said) => Finding::leave("the machine's clock runs in UTC").read([said.source]),
            None => Finding::leave("nothing says that the machine's clock runs in local time: it runs in UTC"),
        }])
    }
}

/// Whether a Linux guest takes the machine's clock for local time, where it says so: otherwise it takes it for UTC.
#[must_use]
pub fn clock(look: &Look<'_>) -> Option<Fact<bool>> {
    let adjtime = look.text("/etc/adjtime");
    if let Some(line) = adjtime.as_ref().and_then(|text| text.lines().nth(2)) {
        return Some(Fact::new(line.text.trim() == "LOCAL", line.source()));
    }
    // Before /etc/adjtime said it, and where the init system is not systemd.
    let switches = [
        ("/etc/sysconfig/clock", "UTC", &["false", "no", "0"][..]),
        ("/etc/sysconfig/clock", "HWCLOCK", &["--localtime"]),
        ("/etc/default/rcS", "UTC", &["no"]),
        ("/etc/conf.d/hwclock", "clock", &["local"]),
    ];
    let found = switches.into_iter().find_map(|(path, key, locals)| {
        let found = look.text(path)?.assigned(key)?;
        let local = locals.iter().any(|word| found.value.eq_ignore_ascii_case(word));
        local.then_some(found.source)
    });
    found.map(|source| Fact::new(true, source))
}

/// Tells of kernels that check files against signatures, which edits make invalid.
pub(super) struct Integrity;

impl Fix for Integrity {
    fn id(&self) -> &'static str {
        "linux.integrity"
    }

    fn about(&self) -> &'static str {
        "tells whether the kernel refuses files that were changed (IMA, EVM)"
    }

    fn look(&self, view: &View<'_>) -> Result<Vec<Finding>> {
        let mut findings = Vec::new();
        for entry in view.boot.entries.iter().filter(|entry| !entry.rescue) {
            let words = entry.command_line.as_deref().unwrap_or_default();
            let refuses = words.split_whitespace().find(|word| {
                let (key, value) = word.split_once('=').unwrap_or((word, ""));
                match key {
                    "ima_appraise" => value == "enforce",
                    "ima_policy" => value
                        .split('|')
                        .any(|policy| matches!(policy, "appraise_tcb" | "secure_boot" | "fail_securely")),
                    "ima_appraise_tcb" => true,
                    _ => false,
                }
            });
            if let Some(word) = refuses {
                findings.push(refused(
                    &format!("{} starts with {word}", entry.title),
                    entry.source.clone(),
                ));
            }
        }
        for path in [
            "/etc/ima/ima-policy",
            "/etc/ima/ima_policy",
            "/etc/sysconfig/ima-policy",
        ] {
            let Some(text) = view.look.text(path) else {
                continue;
            };
            let rule = text
                .spoken()
                .find(|line| line.text.split_whitespace().next() == Some("appraise"));
            findings.extend(rule.map(|line| refused(&format!("{path} has files appraised"), line.source())));
        }
        if findings.is_empty() {
            findings.push(Finding::leave(
                "no kernel is told to refuse files that were changed",
            ));
        }
        Ok(findings)
    }
}

fn refused(what: &str, source: Source) -> Finding {
    Finding::warn(format!(
        "{what}: the kernel may refuse files that were changed, and their signatures are not made anew"
    ))
    .advise("start once with ima_appraise=fix, which signs anew what is opened")
    .read([source])
}

/// Tells of filesystems that are on the disks twice: a disk that was cloned has the UUIDs of its origin.
pub(super) struct Twins;

impl Fix for Twins {
    fn id(&self) -> &'static str {
        "linux.twins"
    }

    fn about(&self) -> &'static str {
        "tells of filesystems with the same UUID, of which nobody knows which one is mounted"
    }

    fn look(&self, view: &View<'_>) -> Result<Vec<Finding>> {
        let mut groups: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
        for device in view.guest.devices() {
            // A btrfs on several devices has one UUID; a snapshot has its origin's, and LVM knows which is which.
            let counts = device.holds_files || matches!(device.kind, Some("swap" | "crypto_LUKS"));
            if let (Some(kind), Some(uuid)) = (device.kind, device.uuid.as_deref())
                && counts
                && kind != "btrfs"
                && !device.snapshot
            {
                groups.entry((kind, uuid)).or_default().push(&device.name);
            }
        }
        let mut findings = Vec::new();
        for ((kind, uuid), names) in groups.into_iter().filter(|(_, names)| names.len() > 1) {
            let all = names.join(" and ");
            let root = names.contains(&view.system.device.as_str());
            let means = match root {
                true => format!("root=UUID={uuid} may start any of them"),
                false => format!("UUID={uuid} may mean any of them"),
            };
            let finding = Finding::warn(format!("{all} hold {kind} with one UUID: {means}"));
            findings.push(finding.advise(
                "leave the copy out of the machine, or give it a UUID of its own (tune2fs -U random, xfs_admin -U \
                 generate, mkswap, cryptsetup luksUUID)",
            ));
        }
        if findings.is_empty() {
            findings.push(Finding::leave("no filesystem is on these disks twice"));
        }
        Ok(findings)
    }
}
