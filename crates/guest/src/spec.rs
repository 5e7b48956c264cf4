//! What an fstab calls a device, and which device that is here.

use crate::device::Device;
use crate::fstab::fields;
use crate::guest::Guest;
use crate::plug::by_path;
use h2k_block::{Class, Error, Result};
use h2k_volume::disk_name;

/// Names that the guest gives to the plain text of encrypted devices: crypttab(5), name and device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Crypttab(Vec<(Vec<u8>, Vec<u8>)>);

impl Crypttab {
    /// Reads a crypttab.
    #[must_use]
    pub fn read(text: &[u8]) -> Self {
        let lines = text.split(|b| *b == b'\n').filter_map(|line| {
            let mut fields = fields(line);
            Some((fields.next()?.to_vec(), fields.next()?.to_vec()))
        });
        Self(lines.collect())
    }

    fn device(&self, name: &[u8]) -> Option<&[u8]> {
        let found = self.0.iter().find(|(n, _)| n == name);
        found.map(|(_, spec)| spec.as_slice())
    }
}

/// The name that guestfish gives to what the guest calls `/dev/vda1`, `/dev/hda1`, `/dev/xvda1`, `/dev/nvme0n1p1` or
/// `/dev/mmcblk0p1`: disks are counted in their order whatever bus they were on. `None` for other names.
pub(crate) fn as_sd(name: &str) -> Option<String> {
    let plain = name.strip_prefix("/dev/")?;
    for (prefix, divider) in [("nvme", Some("n")), ("mmcblk", None)] {
        if let Some(rest) = plain.strip_prefix(prefix) {
            let (disk, rest) = digits(rest)?;
            let rest = match divider {
                Some(divider) => digits(rest.strip_prefix(divider)?)?.1,
                None => rest,
            };
            let disk = disk_name(usize::try_from(disk).ok().filter(|d| *d < 4096)?);
            return match rest {
                "" => Some(format!("/dev/{disk}")),
                _ => Some(format!("/dev/{disk}{}", digits(rest.strip_prefix('p')?)?.0)),
            };
        }
    }
    let rest = ["vd", "xvd", "hd", "ubd"]
        .iter()
        .find_map(|bus| plain.strip_prefix(bus))?;
    let ours = rest.starts_with(|c: char| c.is_ascii_lowercase());
    ours.then(|| format!("/dev/sd{rest}"))
}

fn digits(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, rest) = text.split_at_checked(end)?;
    Some((number.parse().ok()?, rest))
}

/// The device that `spec` means in this guest.
pub(crate) fn resolve<'g>(guest: &'g Guest, spec: &[u8], crypttab: &Crypttab) -> Result<&'g Device> {
    let text = String::from_utf8_lossy(spec).into_owned();
    if let Some((key, value)) = split(spec) {
        return by(guest, &key, value).ok_or_else(|| absent(&text));
    }
    if let Some(rest) = spec.strip_prefix(b"/dev/disk/by-")
        && let Some(slash) = rest.iter().position(|b| *b == b'/')
    {
        let (key, value) = rest.split_at(slash);
        let value = udev(value.get(1..).unwrap_or_default());
        let key = key.to_ascii_uppercase();
        let found = match key.as_slice() {
            b"ID" => by_id(guest, &value, crypttab)?,
            b"PATH" => only_disk(guest, &value).or_else(|| by_path(guest, &value)),
            _ => by(guest, &key, &value),
        };
        return found.ok_or_else(|| absent(&text));
    }
    if let Ok(device) = guest.device(&text) {
        return Ok(device);
    }
    if let Some(name) = spec.strip_prefix(b"/dev/mapper/") {
        return mapped(guest, name, crypttab)?.ok_or_else(|| absent(&text));
    }
    Err(absent(&text))
}

fn absent(text: &str) -> Error {
    Error::new(Class::NotFound, format!("{text} is not on these disks"))
        .advise("if the guest has more disks, name them all: -a FIRST -a SECOND")
}

/// `UUID=…` and its kin. A path with `=` in it is none.
fn split(spec: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let at = spec.iter().position(|b| *b == b'=')?;
    let (key, value) = spec.split_at(at);
    let word = !key.is_empty() && key.iter().all(u8::is_ascii_alphabetic);
    word.then(|| (key.to_ascii_uppercase(), value.get(1..).unwrap_or_default()))
}

fn by<'g>(guest: &'g Guest, key: &[u8], value: &[u8]) -> Option<&'g Device> {
    let text = |field: &Option<String>| {
        let field = field.as_deref().unwrap_or_default();
        !field.is_empty() && field.as_bytes().eq_ignore_ascii_case(value)
    };
    let matches = |d: &&Device| match key {
        b"UUID" => text(&d.uuid),
        b"LABEL" => d.label.as_deref() == Some(value),
        b"PARTUUID" => text(&d.part_uuid),
        b"PARTLABEL" => d.part_label.as_ref().is_some_and(|l| l.as_bytes() == value),
        _ => false,
    };
    let all = || guest.devices().iter().filter(matches);
    // A snapshot has the UUID of its origin, and a member of an array may show its content.
    let first = all().find(|d| !d.snapshot && (d.holds_files || d.kind == Some("swap")));
    first
        .or_else(|| all().find(|d| !d.snapshot))
        .or_else(|| all().next())
}

fn by_id<'g>(guest: &'g Guest, value: &[u8], crypttab: &Crypttab) -> Result<Option<&'g Device>> {
    if let Some(name) = value.strip_prefix(b"dm-name-") {
        return mapped(guest, name, crypttab);
    }
    if let Some(uuid) = value.strip_prefix(b"dm-uuid-LVM-") {
        let mut all = guest.devices().iter();
        return Ok(all.find(|d| d.lvm_uuid.as_ref().is_some_and(|u| u.as_bytes() == uuid)));
    }
    if let Some(name) = value.strip_prefix(b"md-name-") {
        let name = name.rsplit(|b| *b == b':').next().unwrap_or_default();
        let name = format!("/dev/md/{}", String::from_utf8_lossy(name));
        return Ok(guest.devices().iter().find(|d| d.is_named(&name)));
    }
    Ok(only_disk(guest, value))
}

/// Names made of serial numbers and buses (`ata-QEMU_HARDDISK_QM00001-part1`) are not on a disk; where there is one
/// disk only, they mean it.
fn only_disk<'g>(guest: &'g Guest, value: &[u8]) -> Option<&'g Device> {
    let mut disks = guest.devices().iter().filter(|d| d.whole_disk);
    let disk = disks.next()?;
    if disks.next().is_some() {
        return None;
    }
    let text = std::str::from_utf8(value).ok()?;
    match text.rsplit_once("-part") {
        Some((_, number)) => {
            let number: u32 = number.parse().ok()?;
            let name = h2k_volume::partition_name(&disk.name, number);
            guest.devices().iter().find(|d| d.is_named(&name))
        }
        None => Some(disk),
    }
}

/// `/dev/mapper/NAME`: a logical volume by its name there, or what crypttab calls so.
fn mapped<'g>(guest: &'g Guest, name: &[u8], crypttab: &Crypttab) -> Result<Option<&'g Device>> {
    let path = format!("/dev/mapper/{}", String::from_utf8_lossy(name));
    if let Some(found) = guest.devices().iter().find(|d| d.is_named(&path)) {
        return Ok(Some(found));
    }
    let Some(spec) = crypttab.device(name) else {
        return Ok(None);
    };
    // Its own line in crypttab is not looked up again: no line can lead to itself.
    let below = resolve(guest, spec, &Crypttab::default())?;
    let plain = guest
        .devices()
        .iter()
        .find(|d| d.plain_of.as_ref() == Some(&below.name));
    Ok(Some(plain.unwrap_or(below)))
}

/// `\x20`: udev writes bytes that are not safe in a name in hexadecimal.
fn udev(name: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(name.len());
    let mut rest = name;
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        let coded = tail.strip_prefix(b"x").and_then(|t| t.split_first_chunk::<2>());
        let byte = coded.and_then(|(hex, after)| {
            let hex = std::str::from_utf8(hex).ok()?;
            Some((u8::from_str_radix(hex, 16).ok()?, after))
        });
        match byte {
            Some((byte, after)) if *first == b'\\' => {
                out.push(byte);
                rest = after;
            }
            _ => out.push(*first),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disks_are_counted_whatever_bus_they_are_on() {
        for (theirs, ours) in [
            ("/dev/vda1", Some("/dev/sda1")),
            ("/dev/xvdb", Some("/dev/sdb")),
            ("/dev/hdc5", Some("/dev/sdc5")),
            ("/dev/nvme0n1", Some("/dev/sda")),
            ("/dev/nvme1n1p3", Some("/dev/sdb3")),
            ("/dev/mmcblk0p2", Some("/dev/sda2")),
            ("/dev/sda1", None),
            ("/dev/vg/root", None),
            ("/dev/nvme0", None),
            ("/dev/vd1", None),
            ("/dev/nvme99999999999999999999n1", None),
        ] {
            assert_eq!(as_sd(theirs).as_deref(), ours, "{theirs}");
        }
    }

    #[test]
    fn names_of_udev_are_decoded() {
        assert_eq!(udev(b"my\\x20disk\\x2fa\\q"), b"my disk/a\\q");
    }
}
