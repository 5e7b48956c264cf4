//! What must be true of the samples.

use h2k_block::{Class, Limits, MemDisk};
use h2k_machine::{
    Arch, Chipset, Clock, Controller, DriveKind, Firmware, Kind, Machine, Network, NicModel, Slot, Source,
    Topology, Tpm, libvirt, ovf, vmx,
};

pub const VMWARE: &[u8] = include_bytes!("samples/vmware.ovf");
pub const VIRTUALBOX: &[u8] = include_bytes!("samples/virtualbox.ovf");
pub const WEB: &[u8] = include_bytes!("samples/web.vmx");
pub const OLD_VMX: &[u8] = include_bytes!("samples/old.vmx");
pub const RHEL: &[u8] = include_bytes!("samples/rhel.xml");
pub const OLD_XML: &[u8] = include_bytes!("samples/old.xml");

fn at(controller: u32, unit: u32) -> Option<Slot> {
    Some(Slot { controller, unit })
}

/// The name of a drive's file.
fn file(machine: &Machine, index: usize) -> &str {
    match &machine.drives[index].source {
        Source::File(file) => &file.name,
        other => panic!("{other:?}"),
    }
}

fn notes(machine: &Machine) -> Vec<&str> {
    machine.notes.iter().map(|n| n.what.as_str()).collect()
}

/// Controllers and places of all drives.
fn places(machine: &Machine) -> Vec<(DriveKind, Controller, Option<Slot>)> {
    machine
        .drives
        .iter()
        .map(|d| (d.kind, d.controller, d.slot))
        .collect()
}

#[test]
fn vmwares_ovf() {
    let options = ovf::Options::default();
    let m = ovf::read(VMWARE, &options, &Limits::default()).unwrap();
    assert_eq!(m.name, "shop01");
    assert_eq!(m.description.as_deref(), Some("The shop <1>"));
    assert_eq!(m.memory, Some(4 << 30));
    assert_eq!(m.cpu.count, Some(8));
    assert_eq!(
        m.cpu.topology,
        Some(Topology {
            sockets: 2,
            cores: 4,
            threads: 1
        })
    );
    assert_eq!(m.firmware, Some(Firmware::Uefi { secure_boot: true }));
    assert_eq!(m.tpm, Some(Tpm::V2));
    assert_eq!(
        (m.os.cim, m.os.vmware.as_deref()),
        (Some(94), Some("ubuntu64Guest"))
    );
    assert_eq!(m.os.text.as_deref(), Some("Ubuntu Linux (64-bit)"));
    use Controller::{Ide, LsiSas, PvScsi};
    use DriveKind::{Cdrom, Disk};
    assert_eq!(
        places(&m),
        [
            (Disk, PvScsi, at(0, 0)),
            (Disk, LsiSas, at(1, 3)),
            (Disk, LsiSas, at(1, 4)),
            (Cdrom, Ide, at(0, 3)),
        ]
    );
    assert_eq!(file(&m, 0), "shop 01-1.vmdk");
    assert_eq!(m.drives[0].capacity, Some(20 << 30));
    let Source::File(second) = &m.drives[1].source else {
        panic!("{:?}", m.drives[1]);
    };
    assert_eq!(second.format.as_deref(), Some("vmdk"));
    assert_eq!(
        (second.gzip, second.chunk, second.size),
        (true, Some(1000), Some(2500))
    );
    assert_eq!((m.drives[1].boot, m.drives[0].boot), (Some(1), None));
    assert_eq!(
        (&m.drives[2].source, m.drives[2].capacity),
        (&Source::Empty, Some(1 << 30))
    );
    assert_eq!(file(&m, 3), "shop01-3.iso");
    let [one, two] = m.nics.as_slice() else { panic!() };
    assert_eq!(one.mac.unwrap().to_string(), "00:50:56:11:22:33");
    assert_eq!(
        (one.old_name.as_deref(), two.old_name.as_deref()),
        (Some("ens192"), Some("ens193"))
    );
    assert_eq!((&one.model, &two.model), (&NicModel::Vmxnet3, &NicModel::E1000e));
    assert_eq!(two.network, Network::Named("DMZ & more".to_owned()));
    assert_eq!((one.connected, two.connected, one.boot), (true, false, Some(2)));
    assert_eq!(
        notes(&m),
        ["DeploymentOptionSection", "item \"8\"", "item \"Parallel 1\""]
    );
    let small = ovf::Options {
        configuration: Some("small".to_owned()),
        ..options.clone()
    };
    let m = ovf::read(VMWARE, &small, &Limits::default()).unwrap();
    assert_eq!((m.cpu.count, m.cpu.topology), (Some(2), None));
    let none = ovf::Options {
        configuration: Some("huge".to_owned()),
        ..options
    };
    let error = ovf::read(VMWARE, &none, &Limits::default()).unwrap_err();
    assert!(
        error.class() == Class::Invalid && error.to_string().contains("small, large"),
        "{error}"
    );
}

#[test]
fn virtualboxs_ovf() {
    let m = ovf::read(VIRTUALBOX, &ovf::Options::default(), &Limits::default()).unwrap();
    assert_eq!(
        (m.name.as_str(), m.memory, m.cpu.count),
        ("lab", Some(1 << 30), Some(2))
    );
    assert_eq!(
        m.uuid.unwrap().to_string(),
        "6f6a1d1c-0000-4000-8000-00000000000a"
    );
    assert_eq!(m.firmware, Some(Firmware::Uefi { secure_boot: false }));
    assert_eq!((m.tpm, m.clock, m.sound), (Some(Tpm::V2), Some(Clock::Utc), true));
    assert_eq!(m.os.virtualbox.as_deref(), Some("Debian_64"));
    assert_eq!(
        places(&m),
        [
            (DriveKind::Disk, Controller::Sata, at(0, 0)),
            (DriveKind::Cdrom, Controller::Ide, at(0, 2)),
        ]
    );
    assert_eq!(file(&m, 0), "lab-disk001.vmdk");
    let [one, two] = m.nics.as_slice() else { panic!() };
    assert_eq!(one.mac.unwrap().to_string(), "08:00:27:11:22:33");
    assert_eq!(two.mac.unwrap().to_string(), "08:00:27:aa:bb:cc");
    assert_eq!(
        (one.old_name.as_deref(), two.old_name.as_deref()),
        (Some("enp0s3"), Some("enp0s9"))
    );
    assert_eq!((one.connected, two.connected), (true, false));
    assert_eq!((&one.model, &two.model), (&NicModel::E1000, &NicModel::Virtio));
    assert_eq!(notes(&m), [""; 0]);
}

#[test]
fn esxis_vmx() {
    let m = vmx::read(WEB, &Limits::default()).unwrap();
    assert_eq!(m.name, "web \"one\" – Grüße");
    assert_eq!(m.description.as_deref(), Some("first line\nsecond line"));
    assert_eq!((m.memory, m.cpu.count), (Some(8 << 30), Some(8)));
    assert_eq!(m.cpu.topology.unwrap().sockets, 2);
    assert_eq!(
        m.uuid.unwrap().to_string(),
        "564dab01-0203-0405-0607-08090a0b0c0d"
    );
    assert_eq!(
        (m.firmware, m.tpm),
        (Some(Firmware::Uefi { secure_boot: true }), Some(Tpm::V2))
    );
    assert_eq!(m.os.vmware.as_deref(), Some("rhel8-64"));
    assert_eq!(m.os.text.as_deref(), Some("Red Hat Enterprise Linux 8.9 (Ootpa)"));
    use Controller::{LsiSas, Nvme, PvScsi, Sata};
    use DriveKind::{Cdrom, Disk};
    assert_eq!(
        places(&m),
        [
            (Disk, PvScsi, at(0, 0)),
            (Disk, PvScsi, at(0, 1)),
            (Disk, LsiSas, at(1, 2)),
            (Cdrom, Sata, at(0, 0)),
            (Disk, Nvme, at(0, 0)),
        ]
    );
    assert_eq!(
        (file(&m, 0), file(&m, 1)),
        ("web-000002.vmdk", "/vmfs/volumes/5f-1/data/data.vmdk")
    );
    assert_eq!(m.drives[3].source, Source::Empty);
    let turns: Vec<_> = m.drives.iter().map(|d| d.boot).collect();
    assert_eq!(turns, [Some(2), Some(1), None, Some(3), None]);
    let [one, two] = m.nics.as_slice() else { panic!() };
    assert_eq!(one.mac.unwrap().to_string(), "00:50:56:aa:bb:01");
    assert_eq!(two.mac.unwrap().to_string(), "00:50:56:00:00:02");
    assert_eq!(
        (one.old_name.as_deref(), two.old_name.as_deref()),
        (Some("ens192"), Some("ens161"))
    );
    assert_eq!((one.connected, two.connected), (true, false));
    assert_eq!(m.serials, 1);
    assert_eq!(notes(&m), ["scsi0:1.mode", "checkpoint.vmState", "pcipassthru"]);
}

#[test]
fn an_old_vmx() {
    let m = vmx::read(OLD_VMX, &Limits::default()).unwrap();
    assert_eq!(
        (m.name.as_str(), m.memory, m.cpu.count),
        ("Büro", Some(512 << 20), Some(1))
    );
    assert_eq!((m.firmware, m.tpm, m.sound), (Some(Firmware::Bios), None, true));
    use Controller::{BusLogic, Floppy, Ide};
    assert_eq!(
        places(&m),
        [
            (DriveKind::Disk, Ide, at(0, 0)),
            (DriveKind::Cdrom, Ide, at(0, 2)),
            (DriveKind::Disk, BusLogic, at(0, 0)),
            (DriveKind::Floppy, Floppy, at(0, 0)),
        ]
    );
    assert_eq!(m.nics[0].network, Network::Named("nat".to_owned()));
    assert_eq!(
        (&m.nics[0].model, m.nics[0].old_name.as_deref()),
        (&NicModel::Pcnet, None)
    );
    assert_eq!(notes(&m), ["scsi0:0.mode"]);
}

#[test]
fn a_domain_of_today() {
    let m = libvirt::read(RHEL, &Limits::default()).unwrap();
    assert_eq!(
        (m.name.as_str(), m.title.as_deref()),
        ("rhel10", Some("Build & test"))
    );
    assert_eq!((m.memory, m.cpu.count), (Some(16 << 30), Some(6)));
    assert_eq!(m.cpu.model.as_deref(), Some("Cascadelake-Server"));
    let topology = m.cpu.topology.unwrap();
    assert_eq!(
        (topology.sockets, topology.cores, topology.total()),
        (2, 3, Some(6))
    );
    assert_eq!(m.firmware, Some(Firmware::Uefi { secure_boot: true }));
    assert_eq!(
        (m.chipset, m.clock, m.tpm),
        (Some(Chipset::Q35), Some(Clock::Localtime), Some(Tpm::V2))
    );
    assert_eq!(m.os.libosinfo.as_deref(), Some("http://redhat.com/rhel/10.0"));
    use Controller::{Sata, VirtioBlk, VirtioScsi};
    use DriveKind::{Cdrom, Disk};
    assert_eq!(
        places(&m),
        [
            (Cdrom, Sata, at(0, 2)),
            (Disk, VirtioBlk, None),
            (Disk, VirtioScsi, at(0, 3)),
            (Disk, Sata, at(0, 1)),
        ]
    );
    assert_eq!(file(&m, 1), "/var/lib/libvirt/images/rhel10.qcow2");
    assert_eq!(
        (m.drives[1].boot, m.drives[1].serial.as_deref()),
        (Some(1), Some("ROOT1"))
    );
    assert_eq!(m.drives[2].source, Source::Device("/dev/vg0/data".to_owned()));
    assert!(matches!(&m.drives[3].source, Source::Elsewhere(words) if words.contains("rbd")));
    let [one, two] = m.nics.as_slice() else { panic!() };
    assert_eq!(
        (&one.network, one.boot),
        (&Network::Named("default".to_owned()), Some(2))
    );
    assert_eq!(
        (&two.network, two.connected),
        (&Network::Bridge("br0".to_owned()), false)
    );
    assert_eq!((m.sound, m.serials), (true, 1));
    assert_eq!(
        notes(&m),
        [
            "currentMemory",
            "vcpu",
            "nvram",
            "clock",
            "disk sdb",
            "iotune of sdb",
            "filterref of a network card",
            "hostdev",
            "filesystem",
        ]
    );
}

#[test]
fn an_old_domain() {
    let m = libvirt::read(OLD_XML, &Limits::default()).unwrap();
    assert_eq!(
        (m.memory, &m.arch, m.chipset),
        (Some(512 << 20), &Arch::I686, Some(Chipset::Pc))
    );
    assert_eq!(
        (m.firmware, m.clock),
        (Some(Firmware::Bios), Some(Clock::Localtime))
    );
    use Controller::{Floppy, Ide, Lsi53c895a};
    assert_eq!(
        places(&m),
        [
            (DriveKind::Disk, Ide, at(0, 3)),
            (DriveKind::Disk, Lsi53c895a, at(1, 0)),
            (DriveKind::Floppy, Floppy, at(0, 0)),
        ]
    );
    assert_eq!(
        (m.nics[0].boot, m.drives[1].boot, m.nics[0].mac),
        (Some(1), Some(2), None)
    );
    assert_eq!(m.nics[0].network, Network::User);
    assert_eq!(notes(&m), ["kernel"]);
}

#[test]
fn files_are_told_by_content() {
    for (bytes, want) in [
        (VMWARE, Kind::Ovf),
        (VIRTUALBOX, Kind::Ovf),
        (WEB, Kind::Vmx),
        (OLD_VMX, Kind::Vmx),
        (RHEL, Kind::Domain),
        (OLD_XML, Kind::Domain),
    ] {
        assert_eq!(Kind::of(&MemDisk::new(bytes.to_vec())).unwrap(), Some(want));
    }
    for disk in [
        &b"KDMV\x01\0\0\0"[..],
        b"QFI\xfb",
        b"# Disk DescriptorFile\nversion=1\n",
        b"",
        &[0; 4096],
    ] {
        assert_eq!(Kind::of(&MemDisk::new(disk.to_vec())).unwrap(), None);
    }
}

/// The sample with one text in place of another.
fn with(sample: &[u8], from: &str, to: &str) -> Vec<u8> {
    let text = std::str::from_utf8(sample).unwrap();
    assert!(text.contains(from), "{from}");
    text.replacen(from, to, 1).into_bytes()
}

#[test]
fn ovfs_that_contradict_themselves_or_are_not_read_say_so() {
    for (from, to, class, word) in [
        (
            "ovf:/disk/vmdisk1",
            "ovf:/disk/vmdisk9",
            Class::Corrupt,
            "vmdisk9",
        ),
        (
            "ovf:/file/file3",
            "ovf:/elsewhere",
            Class::Corrupt,
            "leads to nothing",
        ),
        ("fileRef=\"file1\"", "fileRef=\"file9\"", Class::Corrupt, "file9"),
        (
            "fileRef=\"file1\"",
            "fileRef=\"file1\" ovf:parentRef=\"vmdisk2\"",
            Class::Unsupported,
            "difference",
        ),
        (
            "ovf:id=\"file2\"",
            "ovf:id=\"file1\"",
            Class::Corrupt,
            "second file",
        ),
        (
            "ovf:diskId=\"vmdisk2\"",
            "ovf:diskId=\"vmdisk1\"",
            Class::Corrupt,
            "second disk",
        ),
        (
            "ovf:chunkSize=\"1000\"",
            "ovf:chunkSize=\"0\"",
            Class::Corrupt,
            "chunks",
        ),
        (
            "ovf:chunkSize=\"1000\"",
            "ovf:chunkSize=\"-1\"",
            Class::Corrupt,
            "chunkSize",
        ),
        (
            "<rasd:VirtualQuantity>4096<",
            "<rasd:VirtualQuantity>many<",
            Class::Corrupt,
            "many",
        ),
        (
            "<rasd:VirtualQuantity>4096<",
            "<rasd:VirtualQuantity>18446744073709551615<",
            Class::Corrupt,
            "memory",
        ),
        ("byte * 2^20", "furlong", Class::Corrupt, "furlong"),
        (
            "<rasd:ResourceType>3<",
            "<rasd:ResourceType>three<",
            Class::Corrupt,
            "ResourceType",
        ),
        (
            "<rasd:InstanceID>14<",
            "<rasd:InstanceID>13<",
            Class::Corrupt,
            "second item",
        ),
        (
            "<VirtualHardwareSection>",
            "<Other/></VirtualSystem><VirtualSystem ovf:id='b'><VirtualHardwareSection>",
            Class::Unsupported,
            "2 machines",
        ),
        (
            "xmlns=\"http://schemas.dmtf.org/ovf/envelope/1\"",
            "xmlns=\"http://www.vmware.com/schema/ovf/1/envelope\"",
            Class::Unsupported,
            "0.9",
        ),
    ] {
        let mut bytes = with(VMWARE, from, to);
        if word == "0.9" {
            bytes = with(&bytes, "xmlns:ovf=\"http://schemas.dmtf.org/ovf/envelope/1\"", "");
        }
        let error = ovf::read(&bytes, &ovf::Options::default(), &Limits::default()).unwrap_err();
        assert_eq!(error.class(), class, "{to}: {error}");
        assert!(error.to_string().contains(word), "{word}: {error}");
    }
}

#[test]
fn one_machine_of_several_is_chosen_by_its_name() {
    let system = |id: &str, mib: u32| {
        format!(
            "<VirtualSystem ovf:id='{id}'><VirtualHardwareSection><Item><InstanceID>1</InstanceID><ResourceType>4</ResourceType>\
             <VirtualQuantity>{mib}</VirtualQuantity></Item></VirtualHardwareSection></VirtualSystem>"
        )
    };
    let text = format!(
        "<Envelope xmlns='http://schemas.dmtf.org/ovf/envelope/1' xmlns:ovf='http://schemas.dmtf.org/ovf/envelope/1'>\
         <VirtualSystemCollection ovf:id='all'>{}<VirtualSystemCollection ovf:id='in'>{}</VirtualSystemCollection>\
         </VirtualSystemCollection></Envelope>",
        system("a", 256),
        system("b", 512)
    );
    let read = |system: Option<&str>| {
        let options = ovf::Options {
            system: system.map(str::to_owned),
            configuration: None,
        };
        ovf::read(text.as_bytes(), &options, &Limits::default())
    };
    let b = read(Some("b")).unwrap();
    assert_eq!((b.name.as_str(), b.memory), ("b", Some(512 << 20)));
    assert_eq!(notes(&b), ["AllocationUnits"]);
    let error = read(None).unwrap_err();
    assert!(
        error.class() == Class::Unsupported && error.to_string().contains("a, b"),
        "{error}"
    );
    assert_eq!(read(Some("c")).unwrap_err().class(), Class::Invalid);
}

#[test]
fn vmx_and_domains_that_are_wrong_say_where() {
    for (from, to, class, word) in [
        (
            "memSize = \"8192\"",
            "memSize = \"lots\"",
            Class::Corrupt,
            "memsize",
        ),
        (
            "memSize = \"8192\"",
            "memSize = \"18446744073709551615\"",
            Class::Corrupt,
            "memsize",
        ),
        (
            "numvcpus = \"8\"",
            "numvcpus = \"8\"\nNUMVCPUS = \"9\"",
            Class::Corrupt,
            "numvcpus",
        ),
        (
            "numvcpus = \"8\"",
            "encryption.data = \"x\"",
            Class::Unsupported,
            "encrypted",
        ),
    ] {
        let error = vmx::read(&with(WEB, from, to), &Limits::default()).unwrap_err();
        assert_eq!(error.class(), class, "{to}: {error}");
        assert!(error.to_string().contains(word), "{word}: {error}");
    }
    for (from, to, word) in [
        ("unit='GiB'>16", "unit='acres'>16", "acres"),
        ("unit='GiB'>16", "unit='TiB'>99999999999", "memory"),
        ("current='6'", "current='x'", "current"),
        ("sockets='1'", "sockets='0'", "topology"),
        ("unit='3'", "unit='x'", "unit"),
        (
            "<domain type='kvm'>",
            "<network><domain type='kvm'></domain></network><!--",
            "XML",
        ),
    ] {
        let error = libvirt::read(&with(RHEL, from, to), &Limits::default()).unwrap_err();
        assert_eq!(error.class(), Class::Corrupt, "{to}: {error}");
        assert!(error.to_string().contains(word), "{word}: {error}");
    }
    let utf16: Vec<u8> = "<domain/>"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .chain([0xff])
        .collect();
    let error = libvirt::read(&utf16, &Limits::default()).unwrap_err();
    assert_eq!(error.class(), Class::Unsupported, "{error}");
}
