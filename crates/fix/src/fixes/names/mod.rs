//! Names of disks that hang on the old machine, and the names that hold on any.
//!
//! `/dev/sda1` hangs on the order of the disks, `/dev/disk/by-path/…` on where they are plugged in. Both are looked up
//! on the guest's disks and give way to what lies there: the UUID of the filesystem, swap area or LUKS header, or else
//! that of the partition. Names that hang on content (`UUID=`, LVM, MD, device-mapper) stay.

mod arrays;
mod crypttab;
mod fstab;
mod lilo;
mod lvm;
mod map;
mod parameters;
mod resume;
mod uki;
mod units;

pub(super) use arrays::Mdadm;
pub(super) use crypttab::Crypttab;
pub(super) use fstab::Fstab;
pub(super) use lilo::Lilo;
pub(super) use lvm::LvmFilter;
pub(super) use map::DeviceMap;
pub(super) use parameters::Parameters;
pub(super) use resume::Resume;
pub(super) use uki::Uki;
pub(super) use units::Units;

use super::patch::Patch;
use crate::edit::Edit;
use crate::finding::Finding;
use crate::view::View;
use h2k_boot::Bus;
use h2k_boot::naming::{Naming, of as naming};
use h2k_guest::{Device, Source};
use std::collections::HashSet;

/// What a name stands for, and so which names may take its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// What lies on the device, where `UUID=` is understood.
    Content,
    /// The same, told to a kernel: one without an initramfs knows partitions alone.
    Kernel,
    /// The same, where only a path is understood.
    Path,
    /// A device below encryption: what lies on it counts only if it is a LUKS header, for anything else there is noise
    /// that changes.
    Crypt,
}

/// What becomes of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Renamed {
    /// It stays.
    Stays,
    /// It hangs on content, and no such content is on these disks.
    Absent,
    /// It gives way to this one.
    To(String),
    /// Nothing stable is known of its device: it gives way to this one, which hangs on the new machine.
    Weak(String),
    /// It hangs on the old machine and names no device of these disks.
    Lost,
}

/// Looks names up.
#[derive(Clone, Copy)]
pub(super) struct Renamer<'a> {
    view: &'a View<'a>,
}

impl<'a> Renamer<'a> {
    pub(super) fn new(view: &'a View<'a>) -> Self {
        Self { view }
    }

    /// What becomes of `spec`.
    pub(super) fn rename(self, spec: &[u8], usage: Use) -> Renamed {
        let Ok(text) = std::str::from_utf8(spec) else {
            return Renamed::Stays;
        };
        match naming(text) {
            Naming::None => Renamed::Stays,
            // Whatever the kernel mounted as its root.
            Naming::Content if text == "/dev/root" => Renamed::Stays,
            Naming::Content if self.view.resolve(spec).is_ok() || self.locked() => Renamed::Stays,
            Naming::Content => Renamed::Absent,
            Naming::Order(_) | Naming::Place => match self.view.resolve(spec) {
                Ok(device) => self.stable(device, text, usage),
                Err(_) => Renamed::Lost,
            },
        }
    }

    /// Whether something lies behind encryption: what is not found may be there.
    fn locked(self) -> bool {
        self.view.guest.devices().iter().any(|d| d.locked)
    }

    /// The device that the system is on.
    pub(super) fn root(self) -> Option<&'a Device> {
        self.view.guest.device(&self.view.system.device).ok()
    }

    /// The name that holds on any machine for `device`, which was called `spec`.
    pub(super) fn stable(self, device: &Device, spec: &str, usage: Use) -> Renamed {
        let luks = device.kind == Some("crypto_LUKS");
        let content = device.holds_files || device.kind == Some("swap") || luks;
        let counts = if usage == Use::Crypt { luks } else { content };
        let uuid = device.uuid.as_deref().filter(|_| counts && self.only(device));
        let part = device.part_uuid.as_deref();
        let uuid = || uuid.map(|uuid| ("UUID", uuid));
        let part = || part.map(|uuid| ("PARTUUID", uuid));
        let bare = usage == Use::Kernel && self.without_initramfs(spec);
        let found = match bare {
            true => part(),
            false => uuid().or_else(part),
        };
        match found {
            // cryptsetup's own scripts take PARTUUID= only since Debian 10, and a path always.
            Some((key, uuid)) if usage == Use::Path || (usage == Use::Crypt && key == "PARTUUID") => {
                Renamed::To(format!("/dev/disk/by-{}/{uuid}", key.to_ascii_lowercase()))
            }
            Some((key, uuid)) => Renamed::To(format!("{key}={uuid}")),
            None => match mapped(&device.name, self.view.target.bus) {
                Some(name) => Renamed::Weak(name),
                None => Renamed::Lost,
            },
        }
    }

    /// Whether no other device has the same content: a copied disk has the UUIDs of its origin.
    fn only(self, device: &Device) -> bool {
        let same = |d: &&Device| d.uuid == device.uuid && d.kind == device.kind && !d.snapshot;
        device.kind == Some("btrfs") || self.view.guest.devices().iter().filter(same).count() < 2
    }

    /// Whether some entry starts a kernel with this root and no initramfs.
    fn without_initramfs(self, spec: &str) -> bool {
        let mut entries = self.view.boot.entries.iter();
        entries.any(|e| e.kernel.is_some() && e.initramfs.is_empty() && e.parameter("root") == Some(spec))
    }
}

/// What the kernel will call a device on a bus: `/dev/sdb3` is `/dev/vdb3` on virtio-blk. `None` for what lies on no
/// disk itself.
fn mapped(name: &str, bus: Option<Bus>) -> Option<String> {
    let rest = name.strip_prefix("/dev/sd")?;
    let at = rest.find(|c: char| !c.is_ascii_lowercase()).unwrap_or(rest.len());
    let (letters, number) = rest.split_at_checked(at)?;
    match bus.unwrap_or(Bus::VirtioBlk) {
        Bus::Nvme => {
            let index = letters.bytes().fold(0_usize, |n, letter| {
                let digit = usize::from(letter.saturating_sub(b'a')).saturating_add(1);
                n.saturating_mul(26).saturating_add(digit)
            });
            let index = index.checked_sub(1)?;
            let part = if number.is_empty() { "" } else { "p" };
            Some(format!("/dev/nvme{index}n1{part}{number}"))
        }
        bus => Some(format!("/dev/{}{rest}", h2k_boot::naming::order(bus))),
    }
}

/// What is needed of a name, for what is told of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    /// The name, without quotes and escapes.
    pub(super) spec: &'a [u8],
    /// What it stands for.
    pub(super) usage: Use,
    /// What a person calls the place: `/home`, `root=`.
    pub(super) what: &'a str,
    /// The line it is in, from 1.
    pub(super) line: usize,
    /// Whether the guest does not start without it.
    pub(super) needed: bool,
}

/// What was found about the names in one file.
pub(super) struct Book<'a> {
    pub(super) names: Renamer<'a>,
    path: String,
    changed: Vec<String>,
    read: Vec<Source>,
    told: Vec<Finding>,
    /// What stands in `changed`, and why in `told`: a long file is not searched for each of its lines.
    known: HashSet<String>,
}

impl<'a> Book<'a> {
    pub(super) fn new(names: Renamer<'a>, path: &str) -> Self {
        Self {
            names,
            path: path.to_owned(),
            changed: Vec::new(),
            read: Vec::new(),
            told: Vec::new(),
            known: HashSet::new(),
        }
    }

    /// The name that takes the place of one; `None` where it stays. What a person should know is noted.
    pub(super) fn rename(&mut self, asked: &Asked<'_>) -> Option<Vec<u8>> {
        let renamed = self.names.rename(asked.spec, asked.usage);
        self.note(asked, renamed)
    }

    /// As [`rename`](Self::rename), where what becomes of it is known already.
    pub(super) fn note(&mut self, asked: &Asked<'_>, renamed: Renamed) -> Option<Vec<u8>> {
        let spec = String::from_utf8_lossy(asked.spec).into_owned();
        let what = asked.what;
        match &renamed {
            Renamed::Stays => None,
            Renamed::To(name) if *name == spec => None,
            Renamed::To(name) => {
                self.change(asked.line, format!("{what}: {spec} becomes {name}"));
                Some(name.clone().into_bytes())
            }
            Renamed::Weak(name) => {
                let why = format!(
                    "{what} is on {spec}, of which nothing is known that holds on any machine; {name} is its name \
                     where the disks keep their order and bus"
                );
                let warn = Finding::warn(why).advise("give it a label or a UUID while the guest still runs");
                self.tell(asked.line, warn);
                if *name == spec {
                    return None;
                }
                self.change(asked.line, format!("{what}: {spec} becomes {name}"));
                Some(name.clone().into_bytes())
            }
            Renamed::Absent | Renamed::Lost => {
                let why = format!("{what} is on {spec}, which names no device of these disks");
                // Names of drivers that are not known here (`/dev/bcache0`) may be made of what is there.
                let plain = spec.strip_prefix("/dev/").is_some_and(|name| !name.contains('/'));
                let known = renamed == Renamed::Lost || !plain;
                let finding = if asked.needed && known {
                    Finding::blocked(why)
                } else {
                    Finding::warn(why)
                };
                let advice = "if the guest has more disks, name them all";
                self.tell(asked.line, finding.advise(advice));
                None
            }
        }
    }

    /// Something is changed in a line.
    pub(super) fn change(&mut self, line: usize, what: String) {
        if self.known.insert(what.clone()) {
            self.changed.push(what);
        }
        self.read.push(Source::line(self.path.as_bytes(), line));
    }

    /// Something else is to be said of a line. It is said once.
    pub(super) fn tell(&mut self, line: usize, finding: Finding) {
        if self.known.insert(finding.why.clone()) {
            let source = Source::line(self.path.as_bytes(), line);
            self.told.push(finding.read([source]));
        }
    }

    /// What is to be said in the end, with the edit that makes the patch.
    pub(super) fn close(self, patch: &Patch<'_>) -> Vec<Finding> {
        let edit = patch
            .changed()
            .then(|| Edit::write(self.path.clone(), patch.done()));
        self.close_with(edit)
    }

    /// The same, with the edit itself.
    pub(super) fn close_with(self, edit: Option<Edit>) -> Vec<Finding> {
        let mut findings = self.told;
        match edit {
            Some(edit) => {
                let why = format!("in {}, {}", self.path, few(&self.changed));
                findings.push(Finding::change(why, vec![edit]).read(self.read));
            }
            None if findings.is_empty() => {
                let why = format!("{} holds on any machine as it is", self.path);
                findings.push(Finding::leave(why).read([Source::file(self.path.as_bytes())]));
            }
            None => {}
        }
        findings
    }
}

/// The first of many, and how many more there are.
fn few(all: &[String]) -> String {
    const SHOWN: usize = 8;
    let shown = all.iter().take(SHOWN).cloned().collect::<Vec<_>>().join("; ");
    match all.len().checked_sub(SHOWN).filter(|more| *more > 0) {
        Some(more) => format!("{shown}; and {more} more"),
        None => shown,
    }
}

/// Where a comma-separated list has its items.
pub(super) fn items(list: &[u8], start: usize) -> impl Iterator<Item = (&[u8], std::ops::Range<usize>)> {
    let mut at = start;
    list.split(|b| *b == b',').map(move |item| {
        let end = at.saturating_add(item.len());
        let range = at..end;
        at = end.saturating_add(1);
        (item, range)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disks_keep_their_order_on_another_bus() {
        for (name, bus, expected) in [
            ("/dev/sda1", None, Some("/dev/vda1")),
            ("/dev/sdaa", Some(Bus::VirtioBlk), Some("/dev/vdaa")),
            ("/dev/sdb2", Some(Bus::Sata), Some("/dev/sdb2")),
            ("/dev/sdb2", Some(Bus::Nvme), Some("/dev/nvme1n1p2")),
            ("/dev/sdaa", Some(Bus::Nvme), Some("/dev/nvme26n1")),
            ("/dev/vg/root", None, None),
        ] {
            assert_eq!(mapped(name, bus).as_deref(), expected, "{name}");
        }
    }
}
