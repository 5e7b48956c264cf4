//! Machines of every shape, and decisions for them.

use h2k_machine::{
    Attach, Bus, Chipset, Clock, Cpu, Decisions, Firmware, Graphics, Guest, Mac, MacPolicy, Machine, Network,
    Nic, NicModel, Placed, Processor, Topology, Tpm, Uuid, Video,
};
use h2k_testkit::rng::Rng;

/// Texts that are hard to write: markup, quotes, blanks, other alphabets, what XML cannot hold at all.
const TEXTS: [&str; 9] = [
    "web01",
    "a&b<c>'\"d",
    "Grüße 東京 🖥",
    "tab\there",
    "]]> --> <![CDATA[",
    "two  blanks",
    "line\nend",
    "bell\u{7}del\u{7f}",
    "&amp;lt;",
];

pub fn pick<T: Clone>(rng: &mut Rng, all: &[T]) -> T {
    all[rng.below(all.len() as u64) as usize].clone()
}

pub fn maybe<T>(rng: &mut Rng, make: impl FnOnce(&mut Rng) -> T) -> Option<T> {
    (rng.below(2) == 0).then(|| make(rng))
}

pub fn coin(rng: &mut Rng) -> bool {
    rng.below(2) == 0
}

fn mac(rng: &mut Rng) -> Mac {
    let mut bytes = [0; 6];
    rng.fill(&mut bytes);
    bytes[0] &= 0xfe;
    bytes[5] |= 1;
    Mac(bytes)
}

/// A machine as a source could have it.
pub fn machine(rng: &mut Rng) -> Machine {
    let topology = maybe(rng, |rng| Topology {
        sockets: 1 + rng.below(4) as u32,
        cores: 1 + rng.below(4) as u32,
        threads: 1 + rng.below(2) as u32,
    });
    let mut uuid = [0; 16];
    rng.fill(&mut uuid);
    let mut machine = Machine {
        name: pick(rng, &TEXTS).to_owned(),
        title: maybe(rng, |rng| pick(rng, &TEXTS).to_owned()),
        description: maybe(rng, |rng| pick(rng, &TEXTS).to_owned()),
        uuid: maybe(rng, |_| Uuid(uuid)),
        memory: maybe(rng, |rng| 1 + rng.below(1 << 40)),
        cpu: Cpu {
            count: maybe(rng, |rng| match topology.and_then(Topology::total) {
                Some(all) if coin(rng) => all,
                _ => 1 + rng.below(64) as u32,
            }),
            topology,
            model: maybe(rng, |rng| pick(rng, &TEXTS).to_owned()),
        },
        firmware: maybe(rng, |rng| {
            pick(
                rng,
                &[
                    Firmware::Bios,
                    Firmware::Uefi { secure_boot: false },
                    Firmware::Uefi { secure_boot: true },
                ],
            )
        }),
        chipset: maybe(rng, |rng| pick(rng, &[Chipset::Pc, Chipset::Q35])),
        tpm: maybe(rng, |rng| pick(rng, &[Tpm::V1, Tpm::V2])),
        clock: maybe(rng, |rng| pick(rng, &[Clock::Utc, Clock::Localtime])),
        sound: coin(rng),
        serials: rng.below(3) as u32,
        ..Machine::default()
    };
    machine.os.libosinfo = maybe(rng, |_| "http://debian.org/debian/12?a=1&b='2'".to_owned());
    for _ in 0..rng.below(4) {
        let network = match rng.below(5) {
            0 => Network::Unsaid,
            1 => Network::User,
            2 => Network::Bridge("br7".to_owned()),
            _ => Network::Named(pick(rng, &["VM Network", "DMZ & more"]).to_owned()),
        };
        let mut nic = Nic::new(NicModel::Vmxnet3, network);
        nic.mac = maybe(rng, mac);
        nic.connected = rng.below(4) > 0;
        machine.nics.push(nic);
    }
    machine
}

/// Decisions that fit together.
pub fn decisions(rng: &mut Rng, machine: &Machine) -> Decisions {
    let secure = Firmware::Uefi { secure_boot: true };
    let firmware = maybe(rng, |rng| {
        pick(
            rng,
            &[Firmware::Bios, Firmware::Uefi { secure_boot: false }, secure],
        )
    });
    let board_is_new = firmware.or(machine.firmware) == Some(secure);
    let buses: Vec<Bus> = Bus::ALL
        .into_iter()
        .filter(|b| !(board_is_new && *b == Bus::Ide))
        .collect();
    let first = pick(rng, &buses);
    let mut drives: Vec<Placed> = Vec::new();
    for n in 0..rng.below(30) {
        let bus = if rng.below(4) == 0 {
            pick(rng, &buses)
        } else {
            first
        };
        let full = bus == Bus::Ide && drives.iter().filter(|d| d.bus == Bus::Ide).count() >= 4;
        if full {
            continue;
        }
        let path = format!(
            "/var/lib/libvirt/images/{} {n}.img",
            pick(rng, &["a", "ü&<'\">", "b"])
        );
        let mut placed = Placed::disk(path, pick(rng, &["qcow2", "raw"]), bus);
        placed.cdrom = bus != Bus::VirtioBlk && rng.below(6) == 0;
        placed.device = rng.below(6) == 0;
        if placed.device {
            placed.format = "raw".to_owned();
        }
        if placed.cdrom {
            placed.format = "raw".to_owned();
            if coin(rng) {
                placed.path = String::new();
            }
        }
        placed.boot = maybe(rng, |_| n as u32 + 1);
        placed.serial = maybe(rng, |_| format!("serial-{n}"));
        drives.push(placed);
    }
    let has_ide = drives.iter().any(|d| d.bus == Bus::Ide);
    let chipset = maybe(rng, |rng| match (has_ide, board_is_new) {
        (true, _) => Chipset::Pc,
        (_, true) => Chipset::Q35,
        _ => pick(rng, &[Chipset::Pc, Chipset::Q35]),
    });
    let mut networks = std::collections::BTreeMap::new();
    networks.insert("VM Network".to_owned(), Attach::Bridge("br0".to_owned()));
    let named = machine.name.trim().is_empty();
    Decisions {
        name: if named {
            Some("named".to_owned())
        } else {
            maybe(rng, |_| "other <name>".to_owned())
        },
        drives,
        memory: maybe(rng, |rng| 1 + rng.below(1 << 38)),
        processors: maybe(rng, |rng| 1 + rng.below(288) as u32),
        processor: pick(
            rng,
            &[
                Processor::HostModel,
                Processor::HostPassthrough,
                Processor::Named("Skylake-Server-noTSX-IBRS".to_owned()),
            ],
        ),
        chipset,
        firmware,
        clock: maybe(rng, |rng| pick(rng, &[Clock::Utc, Clock::Localtime])),
        tpm: maybe(rng, coin),
        guest: pick(rng, &[Guest::Unix, Guest::Windows]),
        libosinfo: maybe(rng, |_| "http://microsoft.com/win/2k22".to_owned()),
        networks,
        fallback: maybe(rng, |_| Attach::Network("lab & <1>".to_owned())),
        macs: pick(rng, &[MacPolicy::Preserve, MacPolicy::Regenerate]),
        nic: maybe(rng, |rng| {
            pick(
                rng,
                &[
                    NicModel::Virtio,
                    NicModel::E1000,
                    NicModel::E1000e,
                    NicModel::Vmxnet3,
                    NicModel::Pcnet,
                    NicModel::Rtl8139,
                ],
            )
        }),
        virtio: coin(rng),
        graphics: pick(rng, &[Graphics::Vnc, Graphics::Spice, Graphics::None]),
        video: pick(rng, &[Video::Vga, Video::Virtio, Video::Qxl, Video::None]),
    }
}
