//! Machines as sources: packages, configurations and domains around real images that qemu-img made.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

use h2k_block::{BlockRead, Class, HostFile, MemDisk};
use h2k_convert::{MachineSource, ManifestCheck, ManifestWish, OpenMachine, Result, Source};
use h2k_guest::{Plug, Wire};
use h2k_machine::{Bus, Decisions, Kind, Placed, Target, domain_xml};
use h2k_testkit::oracle;
use h2k_testkit::rng::Rng;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

static GO: AtomicBool = AtomicBool::new(false);

fn spill() -> h2k_block::Result<Arc<dyn HostFile>> {
    Ok(Arc::new(MemDisk::named("spill", Vec::new())))
}

fn open(source: &Source) -> Result<OpenMachine> {
    MachineSource::new(source.clone()).open(&spill, &GO)
}

fn class(source: &Source) -> Class {
    open(source).map(|_| ()).unwrap_err().class()
}

fn all(disk: &dyn BlockRead) -> Vec<u8> {
    let mut bytes = vec![0; disk.len() as usize];
    disk.read_at(0, &mut bytes).unwrap();
    bytes
}

/// A folder with `disk.raw`: noise, a hole, noise.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        std::fs::write(place.path("disk.raw"), Self::content()).unwrap();
        place
    }

    fn content() -> Vec<u8> {
        let mut bytes = vec![0; 3 << 20];
        Rng::new(11).fill(&mut bytes[..300_000]);
        Rng::new(12).fill(&mut bytes[2 << 20..]);
        bytes
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn put(&self, name: &str, text: &str) -> Source {
        std::fs::write(self.path(name), text).unwrap();
        Source::new(self.path(name))
    }

    /// The disk in another format, by qemu-img.
    fn image(&self, name: &str, format: &str, options: &[&str]) {
        let (from, to) = (self.path("disk.raw"), self.path(name));
        let mut args = vec!["convert", "-f", "raw", "-O", format];
        args.extend(options);
        args.extend([from.to_str().unwrap(), to.to_str().unwrap()]);
        oracle::ok("qemu-img", &args);
    }

    fn manifest(&self, name: &str, files: &[&str]) {
        let line = |file: &&str| {
            let said = oracle::ok("sha256sum", &[self.path(file)]);
            format!("SHA256({file})= {}\n", &said[..64])
        };
        self.put(name, &files.iter().map(line).collect::<String>());
    }

    fn ova(&self, names: &[&str]) -> Source {
        let ova = self.path("app.ova");
        let mut args = vec![
            "-C",
            self.0.path().to_str().unwrap(),
            "-cf",
            ova.to_str().unwrap(),
        ];
        args.extend(names);
        oracle::ok("tar", &args);
        Source::new(ova)
    }
}

/// A descriptor with one disk, whose `File` has these attributes.
fn ovf(file: &str) -> String {
    format!(
        "<?xml version='1.0'?><Envelope xmlns='http://schemas.dmtf.org/ovf/envelope/1'>\
         <References><File id='f' {file}/></References>\
         <DiskSection><Disk diskId='d' fileRef='f' capacity='3' capacityAllocationUnits='byte * 2^20'/>\
         <Disk diskId='e' capacity='8' capacityAllocationUnits='byte * 2^20'/></DiskSection>\
         <VirtualSystem id='app'><VirtualHardwareSection>\
         <Item><InstanceID>1</InstanceID><ResourceType>6</ResourceType><ResourceSubType>VirtualSCSI</ResourceSubType></Item>\
         <Item><InstanceID>2</InstanceID><ResourceType>17</ResourceType><Parent>1</Parent><AddressOnParent>0</AddressOnParent>\
         <HostResource>ovf:/disk/d</HostResource></Item>\
         <Item><InstanceID>3</InstanceID><ResourceType>15</ResourceType></Item>\
         <Item><InstanceID>4</InstanceID><ResourceType>17</ResourceType><Parent>1</Parent><AddressOnParent>1</AddressOnParent>\
         <HostResource>ovf:/disk/e</HostResource></Item>\
         </VirtualHardwareSection></VirtualSystem></Envelope>"
    )
}

#[test]
fn an_ova_is_opened_where_it_lies_and_its_manifest_agrees() {
    let place = Place::new();
    place.image("d.vmdk", "vmdk", &["-o", "subformat=streamOptimized"]);
    place.put("app.ovf", &ovf("href='d.vmdk'"));
    place.manifest("app.mf", &["app.ovf", "d.vmdk"]);
    place.put("app.cert", "x");
    let source = place.ova(&["app.ovf", "app.mf", "app.cert", "d.vmdk"]);
    let opened = open(&source).unwrap();
    assert_eq!(
        (opened.kind, opened.machine.name.as_str()),
        (Some(Kind::Ova), "app")
    );
    assert!(matches!(opened.manifest, ManifestCheck::Agreed { files: 2, bytes } if bytes > 1 << 20));
    let [disk, empty] = opened.disks.as_slice() else {
        panic!()
    };
    assert!(all(&*disk.opened.disk()) == Place::content());
    assert_eq!(disk.name, place.path("app.ova/d.vmdk"));
    assert_eq!((&disk.source.path, disk.drive), (&place.path("app.ova"), 0));
    assert_eq!((empty.drive, empty.opened.disk().len()), (2, 8 << 20));
    assert!(all(&*empty.opened.disk()) == vec![0; 8 << 20]);
    let notes: Vec<&str> = opened.machine.notes.iter().map(|n| n.what.as_str()).collect();
    assert!(notes.contains(&"app.cert"), "{notes:?}");
    // And on to a domain.
    let decisions = Decisions {
        drives: vec![Placed::disk("/srv/app.qcow2", "qcow2", Bus::VirtioBlk)],
        ..Decisions::default()
    };
    let xml = domain_xml(&Target::new(&opened.machine, &decisions).unwrap());
    let file = place.path("app.xml");
    std::fs::write(&file, xml).unwrap();
    oracle::ok("virt-xml-validate", &[file.to_str().unwrap(), "domain"]);
}

#[test]
fn a_package_that_was_changed_is_refused_unless_nobody_asks() {
    let place = Place::new();
    place.image("d.vmdk", "vmdk", &["-o", "subformat=streamOptimized"]);
    place.put("app.ovf", &ovf("href='d.vmdk'"));
    place.manifest("app.mf", &["app.ovf", "d.vmdk"]);
    place.put("app.ovf", &ovf("href='d.vmdk' "));
    let packed = place.ova(&["app.ovf", "app.mf", "d.vmdk"]);
    for source in [packed, Source::new(place.path("app.ovf"))] {
        assert_eq!(class(&source), Class::Corrupt);
        let mut careless = MachineSource::new(source);
        careless.manifest = ManifestWish::Skip;
        let opened = careless.open(&spill, &GO).unwrap();
        assert_eq!(opened.manifest, ManifestCheck::Skipped);
        assert!(all(&*opened.disks[0].opened.disk()) == Place::content());
    }
}

#[test]
fn disks_come_in_the_order_of_their_positions_as_the_guest_counts_them() {
    let place = Place::new();
    place.image("d.vmdk", "vmdk", &["-o", "subformat=streamOptimized"]);
    let text = ovf("href='d.vmdk'");
    let orders = [("0", [3, 8], [0, 1]), ("5", [8, 3], [1, 5])];
    for (unit, sizes, units) in orders {
        let text = text.replace("<AddressOnParent>0<", &format!("<AddressOnParent>{unit}<"));
        let opened = open(&place.put("app.ovf", &text)).unwrap();
        let lens: Vec<u64> = opened.disks.iter().map(|d| d.opened.disk().len() >> 20).collect();
        assert_eq!(lens, sizes, "{unit}");
        let plugs = units.map(|unit| {
            Some(Plug {
                wire: Wire::Scsi,
                unit,
            })
        });
        assert_eq!(opened.plugs(), plugs, "{unit}");
    }
}

#[test]
fn chunks_and_compressed_files_beside_an_ovf_are_put_together() {
    let place = Place::new();
    place.image("d.vmdk", "vmdk", &["-o", "subformat=streamOptimized"]);
    let path = place.path("d.vmdk");
    oracle::ok("gzip", &["--keep", path.to_str().unwrap()]);
    let packed = place.path("d.vmdk.gz");
    let cut = place.path("cut.");
    oracle::ok(
        "split",
        &[
            "-b",
            "100000",
            "-d",
            "-a",
            "9",
            packed.to_str().unwrap(),
            cut.to_str().unwrap(),
        ],
    );
    let source = place.put(
        "app.ovf",
        &ovf("href='cut' compression='gzip' chunkSize='100000'"),
    );
    let opened = open(&source).unwrap();
    assert_eq!(
        (opened.kind, opened.manifest),
        (Some(Kind::Ovf), ManifestCheck::Absent)
    );
    assert!(all(&*opened.disks[0].opened.disk()) == Place::content());
    // The same within an archive.
    let mut names = vec!["app.ovf".to_owned()];
    let count = std::fs::metadata(&packed).unwrap().len().div_ceil(100_000);
    names.extend((0..count).map(|n| format!("cut.{n:09}")));
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let opened = open(&place.ova(&names)).unwrap();
    assert!(all(&*opened.disks[0].opened.disk()) == Place::content());
}

#[test]
fn a_vmx_with_extents_and_names_that_lead_away() {
    let place = Place::new();
    place.image("d.vmdk", "vmdk", &["-o", "subformat=twoGbMaxExtentSparse"]);
    let text = |name: &str| {
        format!(
            ".encoding = \"UTF-8\"\ndisplayName = \"x\"\nscsi0.present = \"TRUE\"\nscsi0:0.present = \"TRUE\"\n\
             scsi0:0.fileName = \"{name}\"\n"
        )
    };
    let opened = open(&place.put("x.vmx", &text("d.vmdk"))).unwrap();
    assert_eq!(opened.kind, Some(Kind::Vmx));
    assert!(all(&*opened.disks[0].opened.disk()) == Place::content());
    assert_eq!(opened.disks[0].source.path, place.path("d.vmdk"));
    let other = Place::new();
    other.image("far.vmdk", "vmdk", &["-o", "subformat=monolithicSparse"]);
    let far = other.path("far.vmdk");
    let mut source = place.put("x.vmx", &text(far.to_str().unwrap()));
    assert_eq!(class(&source), Class::Refused);
    source.allow.push(other.0.path().to_owned());
    assert!(all(&*open(&source).unwrap().disks[0].opened.disk()) == Place::content());
    assert_eq!(class(&place.put("x.vmx", &text("../x/d.vmdk"))), Class::Refused);
    assert_eq!(class(&place.put("x.vmx", &text("none.vmdk"))), Class::NotFound);
    std::os::unix::fs::symlink(&far, place.path("link.vmdk")).unwrap();
    assert_eq!(class(&place.put("x.vmx", &text("link.vmdk"))), Class::Refused);
    std::fs::write(place.path("d.vmdk.h2k-redo"), b"").unwrap();
    assert_eq!(class(&place.put("x.vmx", &text("d.vmdk"))), Class::Busy);
}

#[test]
fn a_domain_names_absolute_paths_which_have_to_be_allowed_and_formats_which_are_believed() {
    let place = Place::new();
    let images = Place::new();
    images.image("d.qcow2", "qcow2", &[]);
    let file = images.path("d.qcow2");
    let text = |driver: &str, rest: &str| {
        format!(
            "<domain><name>d</name><devices><disk type='file'>{driver}<source file='{}'/><target dev='vda'/></disk>{rest}\
             </devices></domain>",
            file.display()
        )
    };
    let qcow2 = "<driver name='qemu' type='qcow2'/>";
    let mut source = place.put("d.xml", &text(qcow2, ""));
    assert_eq!(class(&source), Class::Refused);
    source.allow.push(images.0.path().to_owned());
    let opened = open(&source).unwrap();
    assert_eq!(opened.kind, Some(Kind::Domain));
    assert!(all(&*opened.disks[0].opened.disk()) == Place::content());
    // Without a format it is raw, whatever the guest wrote into it.
    place.put("d.xml", &text("", ""));
    let raw = open(&source).unwrap();
    assert_eq!(all(&*raw.disks[0].opened.disk()), std::fs::read(&file).unwrap());
    for (rest, word) in [
        (
            "<disk type='block'><source dev='/dev/sda'/><target dev='vdb'/></disk>",
            "/dev/sda",
        ),
        (
            "<disk type='network'><source protocol='rbd' name='a/b'/><target dev='vdb'/></disk>",
            "rbd",
        ),
    ] {
        place.put("d.xml", &text(qcow2, rest));
        let failure = open(&source).map(|_| ()).unwrap_err();
        assert_eq!(failure.class(), Class::Unsupported);
        assert!(
            failure.error().to_string().contains(word),
            "{:?}",
            failure.error()
        );
    }
}

#[test]
fn disk_images_alone_are_a_machine_of_which_nothing_is_said() {
    let place = Place::new();
    place.image("d.qcow2", "qcow2", &[]);
    let both = MachineSource {
        sources: vec![
            Source::new(place.path("d.qcow2")),
            Source::new(place.path("disk.raw")),
        ],
        ..MachineSource::new(Source::new("x"))
    };
    let opened = both.open(&spill, &GO).unwrap();
    assert_eq!((opened.kind, opened.machine.name.as_str()), (None, "d"));
    assert_eq!(opened.disks.len(), 2);
    for disk in &opened.disks {
        assert!(all(&*disk.opened.disk()) == Place::content());
    }
    assert_eq!(class(&Source::new(place.path("none"))), Class::NotFound);
    let nothing = MachineSource {
        sources: Vec::new(),
        ..both
    };
    assert_eq!(
        nothing.open(&spill, &GO).map(|_| ()).unwrap_err().class(),
        Class::Invalid
    );
}

#[test]
fn sources_stay_as_they_are() {
    let place = Place::new();
    place.image("d.vmdk", "vmdk", &["-o", "subformat=streamOptimized"]);
    place.put("app.ovf", &ovf("href='d.vmdk'"));
    let source = place.ova(&["app.ovf", "d.vmdk"]);
    let read = |path: &Path| std::fs::read(path).unwrap();
    let before = read(&source.path);
    drop(open(&source).unwrap());
    assert!(read(&source.path) == before);
    let names: Vec<_> = std::fs::read_dir(place.0.path())
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert_eq!(names.len(), 4, "{names:?}");
}
