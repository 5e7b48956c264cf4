//! Names of devices, as guestfish and the Linux kernel spell them.

use std::fmt::Write as _;

/// The name of the disk at `index` (from 0) in the order given: `sda` … `sdz`, `sdaa` ….
#[must_use]
pub fn disk_name(index: usize) -> String {
    let mut letters = Vec::new();
    let mut left = index;
    loop {
        let digit = u8::try_from(left % 26).unwrap_or(0);
        letters.push(char::from(b'a'.saturating_add(digit)));
        match (left / 26).checked_sub(1) {
            Some(next) => left = next,
            None => break,
        }
    }
    letters.push('d');
    letters.push('s');
    letters.iter().rev().collect()
}

/// The name of partition `number` of `device`: `/dev/sda1`, but `/dev/md127p1`.
#[must_use]
pub fn partition_name(device: &str, number: u32) -> String {
    let digit = device.ends_with(|c: char| c.is_ascii_digit());
    let separator = if digit { "p" } else { "" };
    format!("{device}{separator}{number}")
}

/// The device-mapper name of a logical volume: hyphens inside either name are doubled.
#[must_use]
pub fn mapper_name(group: &str, volume: &str) -> String {
    format!("{}-{}", group.replace('-', "--"), volume.replace('-', "--"))
}

/// 16 bytes as `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx`, in the order stored.
pub(crate) fn uuid(bytes: [u8; 16]) -> String {
    let mut text = String::with_capacity(36);
    for (i, byte) in bytes.iter().enumerate() {
        if matches!(i, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// A GUID as `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx`: its first three fields are stored little-endian.
#[must_use]
pub fn guid(bytes: [u8; 16]) -> String {
    let [a, b, c, d, e, f, g, h, rest @ ..] = bytes;
    let [i, j, k, l, m, n, o, p] = rest;
    uuid([d, c, b, a, f, e, h, g, i, j, k, l, m, n, o, p])
}

/// LVM's identifiers: 32 characters, grouped 6-4-4-4-4-4-6 for people.
pub(crate) fn dashed(id: &[u8; 32]) -> String {
    let mut text = String::with_capacity(38);
    for (i, byte) in id.iter().enumerate() {
        if matches!(i, 6 | 10 | 14 | 18 | 22 | 26) {
            text.push('-');
        }
        text.push(char::from(*byte));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disks_are_counted_as_the_kernel_counts_them() {
        let names: Vec<String> = [0, 25, 26, 27, 701, 702].map(disk_name).into();
        assert_eq!(names, ["sda", "sdz", "sdaa", "sdab", "sdzz", "sdaaa"]);
    }

    #[test]
    fn a_partition_of_a_numbered_device_gets_a_p() {
        assert_eq!(partition_name("/dev/sda", 5), "/dev/sda5");
        assert_eq!(partition_name("/dev/md127", 1), "/dev/md127p1");
    }

    #[test]
    fn hyphens_in_mapper_names_are_doubled() {
        assert_eq!(mapper_name("my-vg", "a--b"), "my--vg-a----b");
    }

    #[test]
    fn a_guid_is_spelled_as_its_makers_spell_it() {
        let bytes = [
            0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11, 0xba, 0x4b, 0x00, 0xa0, 0xc9, 0x3e, 0xc9, 0x3b,
        ];
        assert_eq!(guid(bytes), "c12a7328-f81f-11d2-ba4b-00a0c93ec93b");
    }
}
