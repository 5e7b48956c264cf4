//! Where disks were plugged in, and what udev made of that: `/dev/disk/by-path/pci-0000:03:00.0-scsi-0:0:1:0-part1`.

use crate::device::Device;
use crate::guest::Guest;

/// What a disk hangs on, as far as names tell it apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Wire {
    /// IDE: the unit is twice the channel, plus 1 for the second drive.
    Ide,
    /// SATA.
    Sata,
    /// SCSI of any model, SAS included.
    Scsi,
    /// NVM Express.
    Nvme,
}

/// Where a disk is plugged in, as the description of a machine tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Plug {
    /// What it hangs on.
    pub wire: Wire,
    /// The position on its controller, from 0.
    pub unit: u32,
}

/// The device that a name of `/dev/disk/by-path` means, by where disks are plugged in. Which controller is meant is an
/// address on the old machine's PCI bus that no description tells: two disks at one position of two controllers
/// leave open which one is meant.
pub(crate) fn by_path<'g>(guest: &'g Guest, value: &[u8]) -> Option<&'g Device> {
    let text = std::str::from_utf8(value).ok()?;
    let (path, part) = match text.rsplit_once("-part") {
        Some((path, number)) => (path, Some(number.parse::<u32>().ok()?)),
        None => (text, None),
    };
    let said = plugs_of(path);
    let mut fits = guest.plugs().filter(|(_, plug)| said.contains(plug));
    let (disk, _) = fits.next()?;
    if fits.next().is_some() {
        return None;
    }
    let name = part.map_or_else(|| disk.to_owned(), |n| h2k_volume::partition_name(disk, n));
    guest.devices().iter().find(|d| d.is_named(&name))
}

/// Where a disk may be that udev calls so.
fn plugs_of(path: &str) -> Vec<Plug> {
    let after = |word: &str| path.split_once(word).map(|(_, rest)| rest);
    let one = |wire, unit| vec![Plug { wire, unit }];
    if let Some(rest) = after("-scsi-") {
        // Host, channel, target, unit.
        let target = rest.split(':').nth(2).and_then(|n| n.parse().ok());
        return target.map(|unit| one(Wire::Scsi, unit)).unwrap_or_default();
    }
    if let Some(rest) = after("-sas-phy") {
        let phy = rest.split('-').next().and_then(|n| n.parse().ok());
        return phy.map(|unit| one(Wire::Scsi, unit)).unwrap_or_default();
    }
    let numbers = |rest: &str, divider: char| -> Option<(u32, u32)> {
        let (first, second) = rest.split_once(divider).unwrap_or((rest, "0"));
        Some((first.parse().ok()?, second.parse().ok()?))
    };
    let ide = |channel: u32, drive: u32| channel.saturating_mul(2).saturating_add(drive);
    if let Some((channel, drive)) = after("-ide-").and_then(|rest| numbers(rest, ':')) {
        return one(Wire::Ide, ide(channel, drive));
    }
    if let Some((port, drive)) = after("-ata-").and_then(|rest| numbers(rest, '.')) {
        let port = port.saturating_sub(1);
        let mut all = one(Wire::Ide, ide(port, drive));
        if drive == 0 {
            all.extend(one(Wire::Sata, port));
        }
        return all;
    }
    match after("-nvme-").and_then(|n| n.parse::<u32>().ok()) {
        Some(space) => one(Wire::Nvme, space.saturating_sub(1)),
        None => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_by_path_tell_where_a_disk_is() {
        for (path, wire, unit) in [
            ("pci-0000:03:00.0-scsi-0:0:2:0", Wire::Scsi, 2),
            ("pci-0000:02:00.0-sas-phy1-lun-0", Wire::Scsi, 1),
            ("pci-0000:00:07.1-ide-1:1", Wire::Ide, 3),
            ("pci-0000:02:01.0-ata-2", Wire::Sata, 1),
            ("pci-0000:00:07.1-ata-1.1", Wire::Ide, 1),
            ("pci-0000:0b:00.0-nvme-1", Wire::Nvme, 0),
        ] {
            assert!(plugs_of(path).contains(&Plug { wire, unit }), "{path}");
        }
        for path in [
            "pci-0000:03:00.0",
            "ip-1.2.3.4:3260-iscsi-x-lun-0",
            "x-scsi-a:b",
            "x-ata-y",
        ] {
            assert_eq!(plugs_of(path), [], "{path}");
        }
    }
}
