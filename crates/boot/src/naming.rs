//! What names of disks are worth on another bus.

use crate::ladder::Bus;

/// What a name hangs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Naming {
    /// What is on the disk: it stays.
    Content,
    /// The kernel's name for the n-th disk of a bus: `sda`, `vda`, `nvme0n1`.
    Order(&'static str),
    /// Where the disk is plugged in, or its serial number: it never stays.
    Place,
    /// No disk.
    None,
}

/// What the name of a device hangs on.
#[must_use]
pub fn of(spec: &str) -> Naming {
    if let Some(rest) = spec.strip_prefix("/dev/disk/by-") {
        let stays = [
            "uuid/",
            "label/",
            "partuuid/",
            "partlabel/",
            "id/dm-",
            "id/md-",
            "id/lvm-pv-uuid-",
        ];
        return match stays.iter().any(|s| rest.starts_with(s)) {
            true => Naming::Content,
            false => Naming::Place,
        };
    }
    let Some(name) = spec.strip_prefix("/dev/") else {
        let keys = ["UUID=", "LABEL=", "PARTUUID=", "PARTLABEL="];
        return match keys.iter().any(|k| spec.starts_with(k)) {
            true => Naming::Content,
            false => Naming::None,
        };
    };
    let removable = ["sr", "scd", "fd", "loop", "ram", "cdrom", "dvd", "zram", "nbd"];
    if removable.iter().any(|r| name.starts_with(r)) {
        return Naming::None;
    }
    const ORDERS: [&str; 7] = ["sd", "vd", "xvd", "hd", "nvme", "mmcblk", "cciss/"];
    let order = ORDERS.iter().find(|o| {
        let rest = name.strip_prefix(**o);
        rest.and_then(|r| r.chars().next())
            .is_some_and(|c| c.is_ascii_alphanumeric() && (o.len() != 2 || c.is_ascii_lowercase()))
    });
    match order {
        Some(order) if !name.contains('/') || *order == "cciss/" => Naming::Order(order),
        _ => Naming::Content,
    }
}

/// What the kernel calls disks on a bus.
#[must_use]
pub fn order(bus: Bus) -> &'static str {
    match bus {
        Bus::VirtioBlk => "vd",
        Bus::Nvme => "nvme",
        _ => "sd",
    }
}

/// Whether a name still names the same disk on a bus.
#[must_use]
pub fn stays(spec: &str, bus: Bus) -> bool {
    match of(spec) {
        Naming::Content | Naming::None => true,
        Naming::Order(name) => name == order(bus),
        Naming::Place => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_hang_on_the_bus_are_told_from_others() {
        for (spec, expected) in [
            ("UUID=1-2", Naming::Content),
            ("/dev/disk/by-uuid/1-2", Naming::Content),
            ("/dev/mapper/vg-root", Naming::Content),
            ("/dev/vg/root", Naming::Content),
            ("/dev/sdvg/root", Naming::Content),
            ("/dev/md0", Naming::Content),
            ("/dev/sda1", Naming::Order("sd")),
            ("/dev/vdb", Naming::Order("vd")),
            ("/dev/xvda1", Naming::Order("xvd")),
            ("/dev/nvme0n1p2", Naming::Order("nvme")),
            ("/dev/cciss/c0d0p1", Naming::Order("cciss/")),
            ("/dev/disk/by-path/pci-0000:03:00.0-scsi-0:0:0:0", Naming::Place),
            ("/dev/disk/by-id/wwn-0x6000c29", Naming::Place),
            ("/dev/disk/by-id/dm-name-vg-root", Naming::Content),
            ("/dev/sr0", Naming::None),
            ("tmpfs", Naming::None),
            ("server:/export", Naming::None),
        ] {
            assert_eq!(of(spec), expected, "{spec}");
        }
        assert!(stays("/dev/sda1", Bus::VirtioScsi) && !stays("/dev/sda1", Bus::VirtioBlk));
        assert!(stays("/dev/vda1", Bus::VirtioBlk) && stays("LABEL=x", Bus::Nvme));
    }
}
