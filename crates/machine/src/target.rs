//! The machine as KVM shall see it.

use crate::decide::{Attach, Decisions, Guest, MacPolicy, Placed};
use crate::{
    Arch, Bus, Chipset, Clock, Drive, DriveKind, File, Firmware, Mac, Machine, Network, Nic, NicModel,
    OsHints, Slot, Source, Tpm,
};
use h2k_block::{Class, Error, Result};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

const MEMORY: u64 = 2 << 30;
const PROCESSORS: u32 = 2;
/// QEMU's own limit on Q35 with the interrupt controllers that need no more configuration.
const MOST_PROCESSORS: u32 = 288;

/// Which processor the guest sees.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Processor {
    /// The host's, as far as a model of libvirt describes it: guests move between like hosts.
    #[default]
    HostModel,
    /// The host's, with everything it has.
    HostPassthrough,
    /// A model by libvirt's name.
    Named(String),
}

/// The screen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Graphics {
    /// VNC on the loopback address.
    #[default]
    Vnc,
    /// SPICE on the loopback address.
    Spice,
    /// None.
    None,
}

/// The graphics card.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Video {
    /// Standard VGA: every system knows it.
    #[default]
    Vga,
    /// virtio-gpu.
    Virtio,
    /// QXL.
    Qxl,
    /// None.
    None,
}

/// A machine that KVM can run: everything decided, checked and named. [`domain_xml`](crate::domain_xml) only writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub(crate) machine: Machine,
    pub(crate) processor: Processor,
    pub(crate) guest: Guest,
    pub(crate) virtio: bool,
    pub(crate) graphics: Graphics,
    pub(crate) video: Video,
}

impl Target {
    /// `source` as KVM shall see it. Its drives are those of `decisions`; what the source had besides is in the notes
    /// of [`machine`](Self::machine).
    ///
    /// # Errors
    /// [`Class::Invalid`] for decisions that contradict each other (IDE on Q35, a path that is not absolute, a name
    /// with a slash); [`Class::Unsupported`] for what QEMU on x86 does not have.
    pub fn new(source: &Machine, decisions: &Decisions) -> Result<Self> {
        let mut made = Machine {
            title: source.title.as_deref().map(one_line).filter(|t| !t.is_empty()),
            description: source
                .description
                .as_deref()
                .map(writable)
                .filter(|d| !d.is_empty()),
            uuid: source.uuid,
            arch: arch(&source.arch)?,
            sound: source.sound,
            serials: 1,
            notes: source.notes.clone(),
            os: OsHints {
                libosinfo: decisions
                    .libosinfo
                    .as_deref()
                    .or(source.os.libosinfo.as_deref())
                    .map(one_line)
                    .filter(|id| !id.is_empty()),
                ..OsHints::default()
            },
            ..Machine::default()
        };
        name(source, decisions, &mut made)?;
        memory(source, decisions, &mut made)?;
        processors(source, decisions, &mut made)?;
        let firmware = decisions.firmware.or(source.firmware).unwrap_or(Firmware::Bios);
        made.firmware = Some(firmware);
        made.chipset = Some(chipset(source, decisions, firmware)?);
        made.clock = Some(decisions.clock.or(source.clock).unwrap_or(match decisions.guest {
            Guest::Windows => Clock::Localtime,
            Guest::Unix => Clock::Utc,
        }));
        if decisions.tpm.unwrap_or(source.tpm.is_some()) {
            made.tpm = Some(Tpm::V2);
            if source.tpm.is_some() {
                made.note("tpm", "an empty TPM 2.0: what was sealed by the source's has to be unsealed by its recovery key");
            }
        }
        made.drives = drives(&decisions.drives)?;
        left_drives(source, &mut made);
        for (index, nic) in source.nics.iter().enumerate() {
            let nic = network_card(source, nic, index, decisions, &mut made)?;
            made.nics.push(nic);
        }
        if let Processor::Named(model) = &decisions.processor {
            made.cpu.model = Some(plain(model, "the processor's model")?);
        }
        Ok(Self {
            machine: made,
            processor: decisions.processor.clone(),
            guest: decisions.guest,
            virtio: decisions.virtio,
            graphics: decisions.graphics,
            video: decisions.video,
        })
    }

    /// The machine, with what was assumed and what is left out in its notes.
    #[must_use]
    pub fn machine(&self) -> &Machine {
        &self.machine
    }
}

fn name(source: &Machine, decisions: &Decisions, made: &mut Machine) -> Result<()> {
    if let Some(name) = &decisions.name {
        if name.is_empty() || name.trim() != name || one_line(name) != *name || name.contains('/') {
            return Err(Error::new(
                Class::Invalid,
                format!(
                    "{name:?} cannot be the name of a domain: no slashes, no line ends, no blanks around it"
                ),
            ));
        }
        made.name = name.clone();
        return Ok(());
    }
    let name = one_line(&source.name).replace('/', "-");
    let name = name.trim();
    if name.is_empty() {
        return Err(Error::new(Class::Invalid, "the machine has no name").advise("say one with --name"));
    }
    if name != source.name {
        made.note("name", format!("{:?} becomes {name:?}", source.name));
    }
    made.name = name.to_owned();
    Ok(())
}

fn memory(source: &Machine, decisions: &Decisions, made: &mut Machine) -> Result<()> {
    let bytes = decisions.memory.or(source.memory).unwrap_or_else(|| {
        made.note("memory", "the description of the old machine names none: 2 GiB");
        MEMORY
    });
    let whole = bytes
        .checked_next_multiple_of(1 << 20)
        .filter(|b| *b > 0 && *b <= 1 << 50);
    let Some(whole) = whole else {
        return Err(Error::new(
            Class::Invalid,
            format!("{bytes} bytes of memory; a machine has from 1 MiB to 1 PiB"),
        ));
    };
    if whole != bytes {
        made.note("memory", format!("{bytes} bytes, rounded up to whole MiB"));
    }
    made.memory = Some(whole);
    Ok(())
}

fn processors(source: &Machine, decisions: &Decisions, made: &mut Machine) -> Result<()> {
    let said = decisions.processors.or(source.cpu.count);
    let count = said
        .or_else(|| source.cpu.topology.and_then(|t| t.total()))
        .unwrap_or_else(|| {
            made.note(
                "processors",
                format!("the description of the old machine names none: {PROCESSORS}"),
            );
            PROCESSORS
        });
    if count == 0 || count > MOST_PROCESSORS {
        return Err(Error::new(
            Class::Invalid,
            format!("{count} processors; a machine has from 1 to {MOST_PROCESSORS}"),
        ));
    }
    made.cpu.count = Some(count);
    match source.cpu.topology {
        Some(topology) if topology.total() == Some(count) => made.cpu.topology = Some(topology),
        Some(_) => made.note(
            "topology",
            format!("the source's groups do not make {count} processors; all are sockets"),
        ),
        None => {}
    }
    if let Some(model) = &source.cpu.model
        && !matches!(&decisions.processor, Processor::Named(named) if named == model)
    {
        made.note("processor", format!("the source asks for {model:?}"));
    }
    Ok(())
}

fn arch(source: &Arch) -> Result<Arch> {
    match source {
        // A 64-bit processor runs both.
        Arch::X86_64 | Arch::I686 => Ok(Arch::X86_64),
        other => Err(Error::unsupported(format!(
            "a machine for {}; domains are written for x86 only",
            other.name()
        ))),
    }
}

fn chipset(source: &Machine, decisions: &Decisions, firmware: Firmware) -> Result<Chipset> {
    let ide = decisions.drives.iter().any(|d| d.bus == Bus::Ide);
    let secure = firmware == Firmware::Uefi { secure_boot: true };
    let chosen = decisions.chipset.unwrap_or(match source.chipset {
        _ if ide => Chipset::Pc,
        _ if secure => Chipset::Q35,
        Some(known) => known,
        None => Chipset::Q35,
    });
    let wrong = match chosen {
        Chipset::Q35 if ide => Some("Q35 has no IDE"),
        Chipset::Pc if secure => Some("secure boot needs Q35"),
        _ => None,
    };
    wrong.map_or(Ok(chosen), |why| {
        Err(Error::new(
            Class::Invalid,
            format!("the board does not fit: {why}"),
        ))
    })
}

/// The drives, each in the next free place of its bus.
fn drives(placed: &[Placed]) -> Result<Vec<Drive>> {
    let mut taken: BTreeMap<Bus, u32> = BTreeMap::new();
    let mut scsi: Vec<Bus> = Vec::new();
    let mut turns: Vec<u32> = placed.iter().filter_map(|p| p.boot).collect();
    turns.sort_unstable();
    if turns.contains(&0) || turns.windows(2).any(|two| two.first() == two.last()) {
        return Err(Error::new(
            Class::Invalid,
            "turns in the boot order begin at 1, and no two are the same",
        ));
    }
    placed
        .iter()
        .map(|p| {
            let slot = p.bus.room().map(|room| {
                let used = taken.entry(p.bus).or_default();
                let (nth, unit) = (
                    used.checked_div(room).unwrap_or(0),
                    used.checked_rem(room).unwrap_or(0),
                );
                *used = used.saturating_add(1);
                let controller = match p.bus.scsi_model() {
                    None => nth,
                    // SCSI controllers of all models are numbered together.
                    Some(_) => scsi_number(&mut scsi, p.bus, nth),
                };
                Slot { controller, unit }
            });
            drive(p, slot)
        })
        .collect()
}

/// The number of the `nth` controller of `bus` among all of SCSI.
fn scsi_number(all: &mut Vec<Bus>, bus: Bus, nth: u32) -> u32 {
    let nth = usize::try_from(nth).unwrap_or(usize::MAX);
    let found = all.iter().enumerate().filter(|(_, b)| **b == bus).nth(nth);
    let number = found.map_or(all.len(), |(i, _)| i);
    if number == all.len() {
        all.push(bus);
    }
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn drive(placed: &Placed, slot: Option<Slot>) -> Result<Drive> {
    let kind = if placed.cdrom {
        DriveKind::Cdrom
    } else {
        DriveKind::Disk
    };
    if placed.bus == Bus::Ide && slot.is_some_and(|s| s.controller > 0) {
        return Err(Error::new(
            Class::Invalid,
            "more than 4 drives on IDE, which has 4 places",
        ));
    }
    if placed.cdrom && placed.bus == Bus::VirtioBlk {
        return Err(Error::new(
            Class::Invalid,
            "a CD drive on virtio-blk, which has disks only",
        ));
    }
    let mut drive = Drive::new(kind, placed.bus.controller(), slot);
    drive.boot = placed.boot;
    drive.serial = match &placed.serial {
        Some(long) if long.len() > 20 => {
            return Err(Error::new(
                Class::Invalid,
                format!(
                    "a disk's serial number has at most 20 signs, {long:?} has {}",
                    long.len()
                ),
            ));
        }
        Some(serial) => Some(plain(serial, "a disk's serial number")?),
        None => None,
    };
    if placed.path.is_empty() && placed.cdrom {
        return Ok(drive);
    }
    if !placed.path.starts_with('/')
        || writable(&placed.path) != placed.path
        || placed.path.contains(['\n', '\r'])
    {
        return Err(Error::new(
            Class::Invalid,
            format!(
                "{:?} cannot be the path of an image in a domain: it has to be absolute, of one line",
                placed.path
            ),
        ));
    }
    drive.source = if placed.device {
        Source::Device(placed.path.clone())
    } else {
        Source::File(File {
            name: placed.path.clone(),
            format: Some(plain(&placed.format, "a disk's format")?),
            ..File::default()
        })
    };
    Ok(drive)
}

/// Notes for drives of the source that the target leaves out.
fn left_drives(source: &Machine, made: &mut Machine) {
    for drive in &source.drives {
        let what = match (drive.kind, &drive.source) {
            (DriveKind::Disk, _) => continue,
            (DriveKind::Cdrom, Source::Empty) => "an empty CD drive",
            (DriveKind::Cdrom, _) => "a CD drive and what is in it",
            (DriveKind::Floppy, _) => "a floppy drive",
        };
        made.note(what, "left out");
    }
}

fn network_card(
    source: &Machine,
    nic: &Nic,
    index: usize,
    decisions: &Decisions,
    made: &mut Machine,
) -> Result<Nic> {
    let said = match &nic.network {
        Network::Named(name) | Network::Bridge(name) | Network::Other(name) => name.clone(),
        Network::User => "user".to_owned(),
        Network::Unsaid => String::new(),
    };
    let attach = decisions
        .networks
        .get(&said)
        .or(decisions.fallback.as_ref())
        .cloned();
    let attach = attach.unwrap_or_else(|| {
        made.note(
            format!("network {said:?}"),
            "no network or bridge here was named for it: becomes libvirt's network \"default\"",
        );
        Attach::Network("default".to_owned())
    });
    let network = match attach {
        Attach::Network(name) => Network::Named(plug(&name)?),
        Attach::Bridge(name) => Network::Bridge(plug(&name)?),
    };
    let model = decisions.nic.clone().unwrap_or(NicModel::Virtio);
    if model.name().is_none() {
        return Err(Error::unsupported(format!(
            "network cards of model {model:?}, which QEMU does not have"
        )));
    }
    let mac = match (&decisions.macs, nic.mac) {
        (MacPolicy::Preserve, Some(mac)) => mac,
        (MacPolicy::Replace(table), Some(mac)) => table.get(&mac).copied().unwrap_or(mac),
        (_, None) => {
            made.note(
                format!("network card {index}"),
                "the source says no address: a new one",
            );
            fresh(source, index)
        }
        (MacPolicy::Regenerate, Some(mac)) => {
            made.note(format!("network card {index}"), format!("{mac} is replaced"));
            fresh(source, index)
        }
    };
    if mac.is_group() || mac.0 == [0; 6] {
        return Err(Error::new(
            Class::Invalid,
            format!("{mac} is no address of a single network card"),
        ));
    }
    Ok(Nic {
        mac: Some(mac),
        model,
        network,
        connected: nic.connected,
        ..Nic::new(NicModel::Virtio, Network::Unsaid)
    })
}

/// An address below QEMU's prefix that follows from the machine, so that it is the same in every run.
fn fresh(source: &Machine, index: usize) -> Mac {
    let mut hash = Sha256::new();
    match source.uuid {
        Some(uuid) => hash.update(uuid.0),
        None => hash.update(source.name.as_bytes()),
    }
    hash.update(index.to_string().as_bytes());
    let [a, b, c, ..] = <[u8; 32]>::from(hash.finalize());
    Mac([0x52, 0x54, 0, a, b, c])
}

/// The name of a network or a bridge.
fn plug(name: &str) -> Result<String> {
    let fits = !name.is_empty() && name.trim() == name && one_line(name) == name && !name.contains('/');
    if !fits {
        return Err(Error::new(
            Class::Invalid,
            format!("{name:?} cannot be the name of a network"),
        ));
    }
    Ok(name.to_owned())
}

/// A word of letters, digits and `_`, `-`, `.`, `+`.
fn plain(word: &str, what: &str) -> Result<String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '+');
    if word.is_empty() || !word.chars().all(fits) {
        return Err(Error::new(Class::Invalid, format!("{word:?} cannot be {what}")));
    }
    Ok(word.to_owned())
}

/// What XML 1.0 can hold of `text`, without blanks around it.
fn writable(text: &str) -> String {
    let fits =
        |c: &char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..) && *c != '\u{7f}';
    text.chars().filter(fits).collect::<String>().trim().to_owned()
}

/// [`writable`] on one line.
fn one_line(text: &str) -> String {
    writable(&text.replace(['\n', '\r', '\t'], " "))
}
