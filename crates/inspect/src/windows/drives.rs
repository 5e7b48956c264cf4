//! Drive letters, and what they stand for.
//!
//! `MountedDevices` remembers every volume the system ever gave a letter to: by MBR signature and first byte, by GPT
//! partition, or by the name of a device (CD-ROM, USB).

use super::{SYSTEM, hive};
use crate::report::Asking;
use h2k_guest::registry::RegValue;
use h2k_guest::{Guest, Look, Source};
use h2k_volume::Scheme;
use schemars::JsonSchema;
use serde::Serialize;

/// Drive letters, and what they stand for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Drives {
    /// By letter.
    pub drives: Vec<Drive>,
    /// Volumes the system knows by their own name, with or without a letter.
    pub volumes: Vec<VolumePoint>,
}

/// A drive letter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Drive {
    /// The letter alone: `C`.
    pub letter: String,
    /// The device it is, as guestfish spells it: `/dev/sda2`; absent when it is not on these disks.
    pub device: Option<String>,
    /// `mbr`, `gpt` (also a volume of a dynamic disk), or `device` for what is named instead: a CD-ROM, a stick.
    pub kind: String,
    /// How the registry identifies it: `4a1b22c3 at 1048576`, a GUID, a device's path.
    pub identity: String,
    /// Where it was read.
    pub source: Source,
}

/// A volume by its own name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct VolumePoint {
    /// `Volume{…}`.
    pub name: String,
    /// The device it is, as guestfish spells it; absent when it is not on these disks.
    pub device: Option<String>,
    /// As of a drive.
    pub kind: String,
    /// As of a drive.
    pub identity: String,
    /// Where it was read.
    pub source: Source,
}

/// What identifies a volume to Windows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Identity {
    /// The disk's signature, the partition's first byte.
    Mbr(u32, u64),
    /// The partition's own GUID.
    Gpt(String),
    /// A device's path, or bytes that say nothing.
    Device(String),
}

impl Identity {
    fn read(data: &[u8]) -> Self {
        if let Ok(bytes) = <[u8; 12]>::try_from(data) {
            let [a, b, c, d, offset @ ..] = bytes;
            return Self::Mbr(u32::from_le_bytes([a, b, c, d]), u64::from_le_bytes(offset));
        }
        if let Some(id) = data.strip_prefix(b"DMIO:ID:")
            && let Ok(id) = <[u8; 16]>::try_from(id)
        {
            return Self::Gpt(h2k_volume::guid(id));
        }
        let (pairs, _) = data.as_chunks::<2>();
        let units: Vec<u16> = pairs.iter().map(|pair| u16::from_le_bytes(*pair)).collect();
        let text = String::from_utf16_lossy(&units);
        Self::Device(text.trim_end_matches('\0').to_owned())
    }

    /// The device of the guest that it means.
    pub(crate) fn device(&self, guest: &Guest) -> Option<String> {
        guest
            .devices()
            .iter()
            .find(|device| {
                let Some(partition) = &device.partition else {
                    return false;
                };
                let uuid = device.part_uuid.as_deref().unwrap_or_default();
                match self {
                    Self::Mbr(signature, start) => {
                        partition.scheme == Scheme::Mbr
                            && partition.start == *start
                            && uuid.starts_with(&format!("{signature:08x}-"))
                    }
                    Self::Gpt(id) => partition.scheme == Scheme::Gpt && uuid.eq_ignore_ascii_case(id),
                    Self::Device(_) => false,
                }
            })
            .map(|device| device.name.clone())
    }

    /// Its kind in one word.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Mbr(..) => "mbr",
            Self::Gpt(_) => "gpt",
            Self::Device(_) => "device",
        }
    }

    /// As people see it.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Mbr(signature, start) => format!("{signature:08x} at {start}"),
            Self::Gpt(id) | Self::Device(id) => id.clone(),
        }
    }
}

pub(crate) fn look(asking: &Asking<'_>, look: &Look<'_>) -> Drives {
    let mut found = Drives::default();
    let Some(system) = hive(asking, look, SYSTEM) else {
        return found;
    };
    let Some(mounted) = system.key(look, "MountedDevices") else {
        return found;
    };
    for value in mounted.values() {
        found.add(asking, &value);
    }
    found.drives.sort_by(|a, b| a.letter.cmp(&b.letter));
    found
}

impl Drives {
    fn add(&mut self, asking: &Asking<'_>, value: &RegValue<'_>) {
        let name = value.name();
        let Some(identity) = value.data().map(|data| Identity::read(&data)) else {
            return;
        };
        let (device, kind) = (identity.device(asking.guest), identity.kind().to_owned());
        let (identity, source) = (identity.text(), value.source());
        if let Some(letter) = letter(&name) {
            self.drives.push(Drive {
                letter,
                device,
                kind,
                identity,
                source,
            });
        } else if let Some(volume) = name.strip_prefix("\\??\\") {
            self.volumes.push(VolumePoint {
                name: volume.to_owned(),
                device,
                kind,
                identity,
                source,
            });
        }
    }
}

/// The letter in `\DosDevices\C:`.
fn letter(name: &str) -> Option<String> {
    const PREFIX: &str = "\\DosDevices\\";
    let (head, rest) = name.split_at_checked(PREFIX.len())?;
    let letter = rest.strip_suffix(':')?;
    let single = letter.len() == 1 && letter.chars().all(|c| c.is_ascii_alphabetic());
    (single && head.eq_ignore_ascii_case(PREFIX)).then(|| letter.to_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::{Identity, letter};

    #[test]
    fn volumes_are_known_by_signature_guid_or_name() {
        let mbr = [0xc3, 0x22, 0x1b, 0x4a, 0, 0, 0x10, 0, 0, 0, 0, 0];
        assert_eq!(Identity::read(&mbr).text(), "4a1b22c3 at 1048576");
        let mut gpt = b"DMIO:ID:".to_vec();
        gpt.extend((0..16).collect::<Vec<u8>>());
        assert_eq!(
            Identity::read(&gpt).text(),
            "03020100-0504-0706-0809-0a0b0c0d0e0f"
        );
        let text: Vec<u8> = "\\??\\IDE#CdRom"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        assert_eq!(Identity::read(&text).text(), "\\??\\IDE#CdRom");
        assert_eq!(letter("\\DosDevices\\c:").unwrap(), "C");
        assert_eq!(letter("\\??\\Volume{x}"), None);
        assert_eq!(letter("\\DosDevices\\CC:"), None);
    }
}
