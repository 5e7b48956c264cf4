//! The nouns: what every description of a machine says in its own words.

use crate::Controller;
use std::fmt;

/// Notes of one machine; each is compared with those before it.
const MOST_NOTES: usize = 500;

/// A virtual machine as its description has it. What the description leaves open is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Machine {
    /// The name it is called by. Readers that find none leave it empty.
    pub name: String,
    /// A short title besides the name.
    pub title: Option<String>,
    /// Free text.
    pub description: Option<String>,
    /// The identity the firmware shows to the guest (SMBIOS UUID).
    pub uuid: Option<Uuid>,
    /// Memory in bytes.
    pub memory: Option<u64>,
    /// Processors.
    pub cpu: Cpu,
    /// What the guest's processor speaks.
    pub arch: Arch,
    /// The board, where it is said.
    pub chipset: Option<Chipset>,
    /// How it boots, where it is said.
    pub firmware: Option<Firmware>,
    /// A trusted platform module.
    pub tpm: Option<Tpm>,
    /// What the real-time clock shows, where it is said.
    pub clock: Option<Clock>,
    /// What is said of the guest's system.
    pub os: OsHints,
    /// Disks and drives, in the order of the description.
    pub drives: Vec<Drive>,
    /// Network cards, in the order of the guest's slots.
    pub nics: Vec<Nic>,
    /// Whether there is a sound card.
    pub sound: bool,
    /// Serial ports.
    pub serials: u32,
    /// What was said and is not carried over, and what was assumed.
    pub notes: Vec<Note>,
}

impl Machine {
    /// Says that `what` (an element, a key) is not carried over, or how it was understood.
    pub fn note(&mut self, what: impl Into<String>, why: impl Into<String>) {
        let mut note = Note {
            what: what.into(),
            why: why.into(),
        };
        if self.notes.len() > MOST_NOTES || self.notes.contains(&note) {
            return;
        }
        if self.notes.len() == MOST_NOTES {
            note = Note {
                what: "notes".to_owned(),
                why: format!("there are more than {MOST_NOTES}"),
            };
        }
        self.notes.push(note);
    }

    /// The hard disks, in the order of the description.
    pub fn disks(&self) -> impl Iterator<Item = &Drive> {
        self.drives.iter().filter(|drive| drive.kind == DriveKind::Disk)
    }
}

/// Something a description says that does not become part of the target, or how an open question was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The element, key or device.
    pub what: String,
    /// What became of it, in one sentence without a full stop.
    pub why: String,
}

/// Processors.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cpu {
    /// How many the guest sees.
    pub count: Option<u32>,
    /// How they are grouped.
    pub topology: Option<Topology>,
    /// A model the description asks for.
    pub model: Option<String>,
}

/// How processors are grouped; the product is their number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Topology {
    /// Packages.
    pub sockets: u32,
    /// Cores of each.
    pub cores: u32,
    /// Threads of each core.
    pub threads: u32,
}

impl Topology {
    /// All threads together; `None` where that is no number of processors.
    #[must_use]
    pub fn total(self) -> Option<u32> {
        self.sockets
            .checked_mul(self.cores)?
            .checked_mul(self.threads)
            .filter(|n| *n > 0)
    }
}

/// Instruction sets, by libvirt's names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Arch {
    /// 64-bit x86.
    #[default]
    X86_64,
    /// 32-bit x86.
    I686,
    /// 64-bit Arm.
    Aarch64,
    /// Another, by name.
    Other(String),
}

impl Arch {
    /// libvirt's name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::X86_64 => "x86_64",
            Self::I686 => "i686",
            Self::Aarch64 => "aarch64",
            Self::Other(name) => name,
        }
    }

    pub(crate) fn from_name(name: &str) -> Self {
        match name {
            "x86_64" => Self::X86_64,
            "i686" => Self::I686,
            "aarch64" => Self::Aarch64,
            other => Self::Other(other.to_owned()),
        }
    }
}

/// Boards of x86 machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chipset {
    /// i440FX: PCI, IDE.
    Pc,
    /// Q35: PCI Express, AHCI.
    Q35,
}

/// How a machine boots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Firmware {
    /// PC BIOS.
    Bios,
    /// UEFI.
    Uefi {
        /// Whether it starts only what is signed.
        secure_boot: bool,
    },
}

/// Trusted platform modules, by version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tpm {
    /// 1.2
    V1,
    /// 2.0
    V2,
}

/// What the real-time clock shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// Coordinated universal time, as Linux wants it.
    Utc,
    /// The time of the place, as Windows wants it.
    Localtime,
}

/// What is said of the guest's system, each in the words of who said it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OsHints {
    /// VMware's name: `ubuntu-64`, `windows9Server64Guest`.
    pub vmware: Option<String>,
    /// VirtualBox's name: `Debian_64`.
    pub virtualbox: Option<String>,
    /// CIM's number (`CIM_OperatingSystem.OsType`): 94 is 64-bit Ubuntu.
    pub cim: Option<u16>,
    /// libosinfo's identifier: `http://debian.org/debian/12`.
    pub libosinfo: Option<String>,
    /// In words.
    pub text: Option<String>,
}

/// A drive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drive {
    /// Disk, CD, floppy.
    pub kind: DriveKind,
    /// What it hangs on.
    pub controller: Controller,
    /// Where it hangs there; `None` where every drive is its own device (virtio-blk) or nothing is said.
    pub slot: Option<Slot>,
    /// What is in it.
    pub source: Source,
    /// Size in bytes, where it is said.
    pub capacity: Option<u64>,
    /// Its turn in the boot order, from 1.
    pub boot: Option<u32>,
    /// Whether the guest may only read it. CDs always are, and do not say so here.
    pub read_only: bool,
    /// The serial number the guest sees, where it is said.
    pub serial: Option<String>,
}

impl Drive {
    /// An empty drive.
    #[must_use]
    pub fn new(kind: DriveKind, controller: Controller, slot: Option<Slot>) -> Self {
        Self {
            kind,
            controller,
            slot,
            source: Source::Empty,
            capacity: None,
            boot: None,
            read_only: false,
            serial: None,
        }
    }
}

/// Kinds of drives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DriveKind {
    /// A hard disk.
    Disk,
    /// A CD or DVD.
    Cdrom,
    /// A floppy disk.
    Floppy,
}

/// Where a drive hangs: `scsi1:3` is unit 3 of controller 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot {
    /// Which controller of its kind, from 0.
    pub controller: u32,
    /// The position there. On IDE: twice the channel, plus 1 for the second drive.
    pub unit: u32,
}

/// What is in a drive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Source {
    /// Nothing.
    #[default]
    Empty,
    /// A file.
    File(File),
    /// A block device of the source's host.
    Device(String),
    /// Something that is no local file (a pool's volume, a network protocol, a physical device), in words.
    Elsewhere(String),
}

/// A file as a description names it: a name, which becomes a file only through a gate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct File {
    /// The name as it is written: relative to the description, or absolute.
    pub name: String,
    /// The format where it is said, in qemu-img's words (`vmdk`, `qcow2`, `raw`).
    pub format: Option<String>,
    /// Whether the file is compressed with gzip as a whole.
    pub gzip: bool,
    /// The file is cut into chunks of this many bytes, called `name.000000000` and so on.
    pub chunk: Option<u64>,
    /// Bytes of the file, where it is said.
    pub size: Option<u64>,
}

impl File {
    /// A plain file called `name`.
    #[must_use]
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            ..Self::default()
        }
    }
}

/// A network card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nic {
    /// Its address, where it is said.
    pub mac: Option<Mac>,
    /// What the guest drives.
    pub model: NicModel,
    /// What it is plugged into.
    pub network: Network,
    /// Whether it is plugged in when the machine starts.
    pub connected: bool,
    /// VMware's number of the PCI slot, as configured.
    pub pci_slot: Option<u32>,
    /// What Linux called it there by default, where that follows from the slot: `ens192`, `enp0s3`.
    pub old_name: Option<String>,
    /// Its turn in the boot order, from 1.
    pub boot: Option<u32>,
}

impl Nic {
    /// A card of `model` on `network`, plugged in.
    #[must_use]
    pub fn new(model: NicModel, network: Network) -> Self {
        Self {
            mac: None,
            model,
            network,
            connected: true,
            pci_slot: None,
            old_name: None,
            boot: None,
        }
    }
}

/// What a network card is plugged into.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Network {
    /// Nothing is said.
    #[default]
    Unsaid,
    /// A network of the source's platform: a port group, a libvirt network.
    Named(String),
    /// A bridge of the host.
    Bridge(String),
    /// The hypervisor's own address translation.
    User,
    /// Something else, in words.
    Other(String),
}

/// Models of network cards, by libvirt's names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NicModel {
    /// virtio-net
    Virtio,
    /// Intel 82545EM and kin.
    E1000,
    /// Intel 82574L.
    E1000e,
    /// VMware VMXNET3.
    Vmxnet3,
    /// AMD PCnet: VMware's vlance and flexible, VirtualBox's Am79C970A.
    Pcnet,
    /// Realtek 8139.
    Rtl8139,
    /// Another, by the name the description has.
    Other(String),
    /// Nothing is said.
    Unsaid,
}

impl NicModel {
    /// libvirt's name; `None` for what QEMU does not have.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Virtio => Some("virtio"),
            Self::E1000 => Some("e1000"),
            Self::E1000e => Some("e1000e"),
            Self::Vmxnet3 => Some("vmxnet3"),
            Self::Pcnet => Some("pcnet"),
            Self::Rtl8139 => Some("rtl8139"),
            Self::Other(_) | Self::Unsaid => None,
        }
    }

    /// The model a description calls `name`, in libvirt's, VMware's or VirtualBox's words.
    pub(crate) fn from_name(name: &str) -> Self {
        match name.to_ascii_lowercase().as_str() {
            "" => Self::Unsaid,
            "virtio" | "virtio-net" | "virtio-net-pci" => Self::Virtio,
            "e1000" | "82540em" | "82543gc" | "82545em" => Self::E1000,
            "e1000e" | "82574l" => Self::E1000e,
            "vmxnet3" => Self::Vmxnet3,
            "pcnet" | "pcnet32" | "vlance" | "flexible" | "vmxnet" | "am79c970a" | "am79c973" => Self::Pcnet,
            "rtl8139" => Self::Rtl8139,
            _ => Self::Other(name.to_owned()),
        }
    }
}

/// The address of a network card.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// Reads `00:50:56:ab:cd:ef`, with colons, dashes or nothing between the bytes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        hex_bytes(text, &[':', '-']).map(Self)
    }

    /// Whether it addresses a group, which no card may be called.
    #[must_use]
    pub fn is_group(self) -> bool {
        self.0[0] & 1 == 1
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, byte) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(":")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A machine's identity: sixteen bytes in the order they are written.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Uuid(pub [u8; 16]);

impl Uuid {
    /// Reads the usual form, with or without dashes and braces, and VMware's (`56 4d ab … -…`).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        hex_bytes(text, &['-', ' ', '{', '}']).map(Self)
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, byte) in self.0.iter().enumerate() {
            if matches!(i, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Exactly `N` bytes of hexadecimal digits, `between` which there may be other signs.
fn hex_bytes<const N: usize>(text: &str, between: &[char]) -> Option<[u8; N]> {
    let mut out = [0; N];
    let mut digits = text.trim().chars().filter(|c| !between.contains(c));
    for byte in &mut out {
        let (high, low) = (digits.next()?.to_digit(16)?, digits.next()?.to_digit(16)?);
        *byte = u8::try_from(high << 4 | low).ok()?;
    }
    digits.next().is_none().then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_said_once_and_end() {
        let mut machine = Machine::default();
        for n in 0..2 * MOST_NOTES {
            machine.note(format!("{n}"), "left out");
            machine.note(format!("{n}"), "left out");
        }
        assert_eq!(machine.notes.len(), MOST_NOTES + 1);
        assert_eq!(machine.notes[MOST_NOTES].what, "notes");
    }

    #[test]
    fn addresses_and_identities_are_read_in_every_spelling() {
        let mac = Mac([0x08, 0, 0x27, 0xab, 0xcd, 0xef]);
        for text in ["08:00:27:ab:cd:ef", "080027ABCDEF", "08-00-27-AB-CD-EF"] {
            assert_eq!(Mac::parse(text), Some(mac), "{text}");
        }
        for text in ["", "08:00:27:ab:cd", "08:00:27:ab:cd:ef:00", "08:00:27:ab:cd:eg"] {
            assert_eq!(Mac::parse(text), None, "{text}");
        }
        assert_eq!(mac.to_string(), "08:00:27:ab:cd:ef");
        let want = "564dab01-0203-0405-0607-08090a0b0c0d";
        for text in [
            want,
            "56 4d ab 01 02 03 04 05-06 07 08 09 0a 0b 0c 0d",
            "{564DAB01-0203-0405-0607-08090A0B0C0D}",
        ] {
            assert_eq!(Uuid::parse(text).unwrap().to_string(), want);
        }
        assert_eq!(Uuid::parse("564dab01"), None);
    }
}
