//! What is written: judged by libvirt's schema and validator, and by our own reader.

use crate::common::{decisions, machine};
use h2k_block::{Class, Limits};
use h2k_machine::{
    Arch, Attach, Bus, Chipset, Controller, Decisions, Firmware, Graphics, Guest, Kind, Mac, MacPolicy,
    Machine, Network, Nic, NicModel, Note, Placed, Processor, Target, Uuid, Video, domain_xml, libvirt,
};
use h2k_testkit::oracle;
use h2k_testkit::rng::Rng;
use std::path::Path;

const SCHEMA: &str = "/usr/share/libvirt/schemas/domain.rng";

/// What the reader can know of a target.
fn readable(machine: &Machine) -> Machine {
    Machine {
        notes: Vec::new(),
        ..machine.clone()
    }
}

fn read(xml: &str) -> Machine {
    libvirt::read(xml.as_bytes(), &Limits::default()).unwrap_or_else(|e| panic!("{e}\n{xml}"))
}

/// All files at once: the schema is slow to load.
fn judge(dir: &Path, count: usize) {
    let names: Vec<String> = (0..count)
        .map(|n| dir.join(format!("{n}.xml")).display().to_string())
        .collect();
    let mut args = vec!["--noout", "--relaxng", SCHEMA];
    args.extend(names.iter().map(String::as_str));
    oracle::ok("xmllint", &args);
}

#[test]
fn random_targets_obey_libvirts_schema_and_are_read_back_the_same() {
    let mut rng = Rng::new(0x0dd5_eed5);
    let dir = tempfile::tempdir().unwrap();
    let count = 400;
    for n in 0..count {
        let source = machine(&mut rng);
        let decisions = decisions(&mut rng, &source);
        let target =
            Target::new(&source, &decisions).unwrap_or_else(|e| panic!("{e}: {source:?} {decisions:?}"));
        let xml = domain_xml(&target);
        assert_eq!(xml, domain_xml(&target));
        std::fs::write(dir.path().join(format!("{n}.xml")), &xml).unwrap();
        let again = read(&xml);
        assert_eq!(again.notes, [], "{xml}");
        assert_eq!(again, readable(target.machine()), "{xml}");
    }
    judge(dir.path(), count);
}

#[test]
fn every_combination_of_choices_obeys_libvirts_schema() {
    let dir = tempfile::tempdir().unwrap();
    let mut count = 0;
    let firmwares = [
        Firmware::Bios,
        Firmware::Uefi { secure_boot: false },
        Firmware::Uefi { secure_boot: true },
    ];
    let processors = [
        Processor::HostModel,
        Processor::HostPassthrough,
        Processor::Named("EPYC".to_owned()),
    ];
    let source = Machine {
        name: "all".to_owned(),
        nics: vec![Nic::new(
            NicModel::Vmxnet3,
            Network::Named("VM Network".to_owned()),
        )],
        sound: true,
        ..Machine::default()
    };
    for bus in Bus::ALL {
        for firmware in firmwares {
            for guest in [Guest::Unix, Guest::Windows] {
                for (graphics, video) in [
                    (Graphics::Vnc, Video::Vga),
                    (Graphics::Spice, Video::Qxl),
                    (Graphics::Vnc, Video::Virtio),
                    (Graphics::None, Video::None),
                ] {
                    let nth = count % processors.len();
                    let decisions = Decisions {
                        drives: vec![
                            Placed::disk("/a.qcow2", "qcow2", bus),
                            Placed::disk("/b.raw", "raw", bus),
                        ],
                        firmware: Some(firmware),
                        guest,
                        graphics,
                        video,
                        virtio: nth != 1,
                        tpm: Some(nth != 2),
                        processor: processors[nth].clone(),
                        ..Decisions::default()
                    };
                    let target = match Target::new(&source, &decisions) {
                        Ok(target) => target,
                        Err(e) => {
                            let impossible = bus == Bus::Ide && firmware == firmwares[2];
                            assert!(impossible && e.class() == Class::Invalid, "{e}");
                            continue;
                        }
                    };
                    std::fs::write(dir.path().join(format!("{count}.xml")), domain_xml(&target)).unwrap();
                    count += 1;
                }
            }
        }
    }
    assert!(count > 150, "{count}");
    judge(dir.path(), count);
}

#[test]
fn virt_xml_validate_agrees_and_the_text_is_what_is_promised() {
    let mut source = Machine {
        name: "web & <one>".to_owned(),
        memory: Some(4 << 30),
        firmware: Some(Firmware::Uefi { secure_boot: true }),
        tpm: Some(h2k_machine::Tpm::V2),
        nics: vec![Nic::new(
            NicModel::Vmxnet3,
            Network::Named("VM Network".to_owned()),
        )],
        ..Machine::default()
    };
    source.cpu.count = Some(4);
    source.nics[0].mac = Mac::parse("00:50:56:ab:cd:ef");
    let mut disk = Placed::disk("/srv/web 1.qcow2", "qcow2", Bus::VirtioBlk);
    disk.boot = Some(1);
    let decisions = Decisions {
        drives: vec![
            disk,
            Placed::disk("/srv/data.qcow2", "qcow2", Bus::PvScsi),
            Placed::disk("/srv/more.raw", "raw", Bus::VirtioScsi),
        ],
        guest: Guest::Windows,
        libosinfo: Some("http://microsoft.com/win/2k22".to_owned()),
        fallback: Some(Attach::Bridge("br0".to_owned())),
        virtio: true,
        ..Decisions::default()
    };
    let target = Target::new(&source, &decisions).unwrap();
    let xml = domain_xml(&target);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("web.xml");
    std::fs::write(&file, &xml).unwrap();
    let file = file.to_str().unwrap();
    oracle::ok("virt-xml-validate", &[file, "domain"]);
    std::fs::write(file, xml.replace("<vcpu>4</vcpu>", "<vcpu>four</vcpu>")).unwrap();
    assert!(
        !oracle::run("virt-xml-validate", &[file, "domain"])
            .status
            .success()
    );
    for line in [
        "<name>web &amp; &lt;one&gt;</name>",
        "<memory unit='MiB'>4096</memory>",
        "<vcpu>4</vcpu>",
        "<os firmware='efi'>",
        "<type arch='x86_64' machine='q35'>hvm</type>",
        "<feature enabled='yes' name='secure-boot'/>",
        "<smm state='on'/>",
        "<clock offset='localtime'>",
        "<timer name='hypervclock' present='yes'/>",
        "<source file='/srv/web 1.qcow2'/>",
        "<target dev='vda' bus='virtio'/>",
        "<boot order='1'/>",
        "<target dev='sda' bus='scsi'/>",
        "<target dev='sdb' bus='scsi'/>",
        "<address type='drive' controller='1' bus='0' target='0' unit='0'/>",
        "<controller type='scsi' index='0' model='vmpvscsi'/>",
        "<controller type='scsi' index='1' model='virtio-scsi'/>",
        "<mac address='00:50:56:ab:cd:ef'/>",
        "<source bridge='br0'/>",
        "<model type='virtio'/>",
        "<target type='virtio' name='org.qemu.guest_agent.0'/>",
        "<tpm model='tpm-crb'>",
        "<backend type='emulator' version='2.0'/>",
        "<libosinfo:os id='http://microsoft.com/win/2k22'/>",
    ] {
        assert!(xml.contains(line), "{line} is missing:\n{xml}");
    }
}

#[test]
fn what_cannot_be_is_refused_with_its_reason() {
    let good = Machine {
        name: "m".to_owned(),
        ..Machine::default()
    };
    let disk = |bus| Placed::disk("/a", "raw", bus);
    let with = |drives: Vec<Placed>| Decisions {
        drives,
        ..Decisions::default()
    };
    let refused = |source: &Machine, decisions: &Decisions| Target::new(source, decisions).unwrap_err();
    for (decisions, word) in [
        (with(vec![Placed::disk("relative", "raw", Bus::Sata)]), "absolute"),
        (
            with(vec![Placed::disk("/two\nlines", "raw", Bus::Sata)]),
            "one line",
        ),
        (with(vec![Placed::disk("/a", "ra'w", Bus::Sata)]), "format"),
        (with(vec![disk(Bus::Ide); 5]), "4 places"),
        (
            Decisions {
                chipset: Some(Chipset::Q35),
                ..with(vec![disk(Bus::Ide)])
            },
            "Q35 has no IDE",
        ),
        (
            Decisions {
                chipset: Some(Chipset::Pc),
                firmware: Some(Firmware::Uefi { secure_boot: true }),
                ..with(Vec::new())
            },
            "secure boot needs Q35",
        ),
        (
            with(vec![Placed {
                cdrom: true,
                ..disk(Bus::VirtioBlk)
            }]),
            "CD drive",
        ),
        (
            with(vec![
                Placed {
                    boot: Some(1),
                    ..disk(Bus::Sata)
                };
                2
            ]),
            "boot order",
        ),
        (
            with(vec![Placed {
                serial: Some("x".repeat(21)),
                ..disk(Bus::Sata)
            }]),
            "at most 20",
        ),
        (
            Decisions {
                name: Some("a/b".to_owned()),
                ..with(Vec::new())
            },
            "slashes",
        ),
        (
            Decisions {
                memory: Some(0),
                ..with(Vec::new())
            },
            "memory",
        ),
        (
            Decisions {
                processors: Some(0),
                ..with(Vec::new())
            },
            "processors",
        ),
    ] {
        let error = refused(&good, &decisions);
        assert_eq!(error.class(), Class::Invalid, "{error}");
        assert!(error.to_string().contains(word), "{word}: {error}");
    }
    let nameless = refused(&Machine::default(), &with(Vec::new()));
    assert_eq!(nameless.class(), Class::Invalid);
    let arm = Machine {
        arch: Arch::Aarch64,
        ..good.clone()
    };
    assert_eq!(refused(&arm, &with(Vec::new())).class(), Class::Unsupported);
    let odd = Decisions {
        nic: Some(NicModel::Other("tulip".to_owned())),
        ..with(Vec::new())
    };
    let mut card = good.clone();
    card.nics.push(Nic::new(NicModel::Unsaid, Network::Unsaid));
    assert_eq!(refused(&card, &odd).class(), Class::Unsupported);
    card.nics[0].mac = Some(Mac([1, 2, 3, 4, 5, 6]));
    assert_eq!(refused(&card, &with(Vec::new())).class(), Class::Invalid);
}

#[test]
fn addresses_of_network_cards_stay_or_are_the_same_new_ones_each_time() {
    let mac = Mac::parse("00:50:56:00:00:01").unwrap();
    let other = Mac::parse("52:54:00:12:34:56").unwrap();
    let mut source = Machine {
        name: "m".to_owned(),
        nics: vec![Nic::new(NicModel::Vmxnet3, Network::Unsaid); 2],
        ..Machine::default()
    };
    source.nics[0].mac = Some(mac);
    let macs = |policy: MacPolicy| {
        let decisions = Decisions {
            macs: policy,
            ..Decisions::default()
        };
        let target = Target::new(&source, &decisions).unwrap();
        let macs: Vec<Mac> = target.machine().nics.iter().filter_map(|n| n.mac).collect();
        (macs, target.machine().notes.clone())
    };
    let (kept, notes) = macs(MacPolicy::Preserve);
    assert_eq!(kept[0], mac);
    assert_eq!(&kept[1].0[..3], [0x52, 0x54, 0]);
    assert!(
        notes.iter().any(|n: &Note| n.what == "network card 1"),
        "{notes:?}"
    );
    assert_eq!(macs(MacPolicy::Preserve).0, kept);
    let (new, _) = macs(MacPolicy::Regenerate);
    assert!(new[0] != mac && new[0] != new[1] && new[1] == kept[1]);
    let (replaced, _) = macs(MacPolicy::Replace([(mac, other)].into()));
    assert_eq!(replaced[0], other);
    assert_eq!(replaced[1], kept[1]);
}

#[test]
fn the_28th_disk_and_the_8th_scsi_disk_have_places() {
    let source = Machine {
        name: "m".to_owned(),
        ..Machine::default()
    };
    let drives = (0..28)
        .map(|n| Placed::disk(format!("/{n}"), "raw", Bus::VirtioScsi))
        .collect();
    let decisions = Decisions {
        drives,
        ..Decisions::default()
    };
    let xml = domain_xml(&Target::new(&source, &decisions).unwrap());
    for part in [
        "dev='sdab'",
        "controller='3' bus='0' target='6'",
        "type='scsi' index='3' model='virtio-scsi'",
    ] {
        assert!(xml.contains(part), "{part}\n{xml}");
    }
    assert!(!xml.contains("index='4'"));
    let drives = read(&xml).drives;
    assert_eq!(drives.len(), 28);
    assert!(drives.iter().all(|d| d.controller == Controller::VirtioScsi));
    assert_eq!(
        Kind::of(&h2k_block::MemDisk::new(xml.into_bytes())).unwrap(),
        Some(Kind::Domain)
    );
}

/// The schema knows spelling; libvirt's own parser knows more (places taken twice, addresses that do not exist, numbers
/// that do not fit). Its test driver parses without a host that could run anything, and writes what it understood.
#[test]
fn libvirt_understands_targets_as_they_are_meant() {
    let mut rng = Rng::new(0x71b_0e57);
    let dir = tempfile::tempdir().unwrap();
    for n in 0..60 {
        let mut source = machine(&mut rng);
        source.uuid = Some(Uuid([n + 1; 16]));
        let decisions = decisions(&mut rng, &source);
        let target = Target::new(&source, &decisions).unwrap();
        // The driver runs domains of its own type only.
        let xml = domain_xml(&target).replacen("type='kvm'", "type='test'", 1);
        let file = dir.path().join("domain.xml");
        std::fs::write(&file, &xml).unwrap();
        let script = format!("define {}; dumpxml {}", file.display(), Uuid([n + 1; 16]));
        let said = oracle::ok("virsh", &["-q", "-c", "test:///default", &script]);
        let at = said.find("<domain").unwrap_or_else(|| panic!("{said}\n{xml}"));
        let mut again = read(&said[at..]);
        let mut want = readable(target.machine());
        if want.drives.iter().all(|d| d.boot.is_none()) {
            // Then libvirt says that hard disks boot.
            again.drives.iter_mut().for_each(|d| d.boot = None);
        }
        // libvirt sorts disks by their buses.
        for m in [&mut again, &mut want] {
            m.drives
                .sort_by_key(|d| (d.controller.name(), d.slot, format!("{:?}", d.source)));
        }
        again.notes.clear();
        assert_eq!(again, want, "{said}\n{xml}");
    }
}
