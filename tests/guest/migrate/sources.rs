//! Whole machines as sources: their disks, and what their descriptions say of the rest.

use super::{DISK, digest, fixed};
use crate::run::{names, run};
use h2k_testkit::oracle;
use std::path::Path;

/// A folder with the guest's disk in the format that machines are exported with.
fn exported() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let (from, to) = (DISK.path().join("a.img"), dir.path().join("d.vmdk"));
    let (from, to) = (from.to_str().unwrap(), to.to_str().unwrap());
    let options = [
        "convert",
        "-f",
        "raw",
        "-O",
        "vmdk",
        "-o",
        "subformat=streamOptimized",
    ];
    oracle::ok("qemu-img", &[&options[..], &[from, to]].concat());
    dir
}

const OVF: &str = "<?xml version='1.0'?><Envelope xmlns='http://schemas.dmtf.org/ovf/envelope/1'>\
    <References><File id='f' href='d.vmdk'/></References>\
    <DiskSection><Disk diskId='d' fileRef='f' capacity='32' capacityAllocationUnits='byte * 2^20'/></DiskSection>\
    <VirtualSystem id='app'><VirtualHardwareSection>\
    <Item><InstanceID>1</InstanceID><ResourceType>6</ResourceType><ResourceSubType>lsilogic</ResourceSubType></Item>\
    <Item><InstanceID>2</InstanceID><ResourceType>17</ResourceType><Parent>1</Parent>\
    <AddressOnParent>0</AddressOnParent><HostResource>ovf:/disk/d</HostResource></Item>\
    <Item><InstanceID>3</InstanceID><ResourceType>10</ResourceType><Address>00:50:56:01:02:03</Address></Item>\
    </VirtualHardwareSection></VirtualSystem></Envelope>";

const VMX: &str = ".encoding = \"UTF-8\"\ndisplayName = \"app\"\nmemsize = \"1024\"\nscsi0.present = \"TRUE\"\n\
    scsi0.virtualDev = \"lsilogic\"\nscsi0:0.present = \"TRUE\"\nscsi0:0.fileName = \"d.vmdk\"\n\
    ethernet0.present = \"TRUE\"\nethernet0.virtualDev = \"vmxnet3\"\nethernet0.generatedAddress = \"00:50:56:01:02:03\"\n";

/// `app.ova` of the descriptor, the disk, and their digests as the manifest tells them.
fn package(dir: &Path, told: impl Fn(&str) -> String) {
    std::fs::write(dir.join("app.ovf"), OVF).unwrap();
    let line = |name: &&str| format!("SHA256({name})= {}\n", told(name));
    let manifest: String = ["app.ovf", "d.vmdk"].iter().map(line).collect();
    std::fs::write(dir.join("app.mf"), manifest).unwrap();
    let script = "cd \"$1\" && tar -cf app.ova app.ovf app.mf d.vmdk && rm app.ovf app.mf d.vmdk";
    super::shell(script, &[dir]);
}

#[test]
fn machines_are_migrated_as_their_descriptions_say() {
    for source in ["app.ova", "app.vmx", "app.xml"] {
        let dir = exported();
        let dir = dir.path();
        match source {
            "app.ova" => package(dir, |name| digest(&dir.join(name))),
            "app.vmx" => std::fs::write(dir.join(source), VMX).unwrap(),
            _ => {
                let domain = format!(
                    "<domain type='vmware'><name>app</name><memory unit='MiB'>1024</memory><vcpu>1</vcpu>\
                     <os><type arch='x86_64'>hvm</type></os><devices>\
                     <disk type='file' device='disk'><driver name='qemu' type='vmdk'/><source file='{}'/>\
                     <target dev='sda' bus='scsi'/></disk><interface type='network'>\
                     <mac address='00:50:56:01:02:03'/><source network='default'/></interface></devices></domain>",
                    dir.join("d.vmdk").display()
                );
                std::fs::write(dir.join(source), domain).unwrap();
            }
        }
        let before: Vec<String> = names(dir).iter().map(|n| digest(&dir.join(n))).collect();
        let there = names(dir);
        let plan = run(dir, &["plan", "--json", source]);
        assert_eq!(plan.code, 3, "{source}: {plan:?}");
        let manifest = &plan.json()["manifest"];
        let state = if source == "app.ova" { "agreed" } else { "absent" };
        assert_eq!(manifest["state"], state, "{source}: {manifest}");
        run(dir, &["migrate", "-q", "--prove", source, "-o", "out"]).good();
        assert_eq!(
            names(&dir.join("out")),
            ["app.qcow2", "app.xml", "report.json"],
            "{source}"
        );
        oracle::qemu_check(&dir.join("out/app.qcow2"), "qcow2");
        fixed(dir, "out/app.qcow2");
        let xml = std::fs::read_to_string(dir.join("out/app.xml")).unwrap();
        assert!(
            xml.contains("<mac address='00:50:56:01:02:03'/>"),
            "{source}: {xml}"
        );
        assert!(xml.contains("bus='virtio'"), "{source}: {xml}");
        if source != "app.ova" {
            assert!(
                xml.contains("<memory unit='MiB'>1024</memory>"),
                "{source}: {xml}"
            );
        }
        let file = dir.join("out/app.xml");
        oracle::ok("virt-xml-validate", &[file.to_str().unwrap(), "domain"]);
        std::fs::remove_dir_all(dir.join("out")).unwrap();
        assert_eq!(names(dir), there);
        let after: Vec<String> = there.iter().map(|n| digest(&dir.join(n))).collect();
        assert_eq!(after, before, "{source}: a source was written to");
    }
}

#[test]
fn a_machines_clock_runs_as_its_guest_takes_it() {
    let said = |place: &super::Place, text: &str| {
        let domain = format!(
            "<domain type='kvm'><name>app</name><memory unit='MiB'>1024</memory><vcpu>1</vcpu>\
             <os><type arch='x86_64'>hvm</type></os><clock offset='{text}'/><devices><disk type='file' device='disk'>\
             <driver name='qemu' type='raw'/><source file='{}'/><target dev='sda' bus='scsi'/></disk></devices></domain>",
            place.file("a.img").display()
        );
        std::fs::write(place.file("app.xml"), domain).unwrap();
        run(place.path(), &["migrate", "-q", "app.xml", "-o", "out"]).good();
        std::fs::read_to_string(place.file("out/app.xml")).unwrap()
    };
    let local = super::Place::changed(|tree| super::put(tree, "etc/adjtime", "0.0 0 0.0\n0\nLOCAL\n"));
    let xml = said(&local, "utc");
    assert!(xml.contains("<clock offset='localtime'"), "{xml}");
    // What says nothing takes it for UTC, whatever the old machine had.
    let xml = said(&super::Place::new(), "localtime");
    assert!(xml.contains("<clock offset='utc'"), "{xml}");
}

#[test]
fn a_package_whose_manifest_tells_other_digests_is_refused() {
    let dir = exported();
    let dir = dir.path();
    package(dir, |name| match name {
        "d.vmdk" => "0".repeat(64),
        _ => digest(&dir.join(name)),
    });
    let ran = run(dir, &["migrate", "app.ova", "-o", "out"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    for word in ["class: corrupt", "d.vmdk", "manifest", "fetch it again"] {
        assert!(ran.err.contains(word), "{word}: {ran:?}");
    }
    assert_eq!(names(dir), ["app.ova"]);
    // A plan shows the rest, too.
    let ran = run(dir, &["plan", "app.ova"]);
    assert_eq!(ran.code, 4, "{ran:?}");
    for word in ["blocked", "d.vmdk", "manifest", "fetch it again", "/etc/fstab"] {
        assert!(ran.out.contains(word), "{word}: {ran:?}");
    }
    let manifest = &run(dir, &["plan", "--json", "app.ova"]).json()["manifest"];
    assert_eq!(manifest["state"], "differs", "{manifest}");
    let ran = run(dir, &["fix", "--overlay", "over.qcow2", "app.ova"]);
    assert!(ran.code == 1 && ran.err.contains("fetch it again"), "{ran:?}");
    assert_eq!(names(dir), ["app.ova"]);
}
