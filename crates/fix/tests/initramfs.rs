use crate::lab::{Done, Lab};
use h2k_block::{Limits, Meter};
use h2k_fix::Outcome;
use h2k_fs::{read_file, resolve};
use h2k_testkit::modules::{DRIVERS, Driver, plant, sata};
use h2k_testkit::oracle;

const RELEASE: &str = "6.1.0-18-amd64";
const IMAGE: &str = "/boot/initrd.img-6.1.0-18-amd64";
const ID: &str = "linux.initramfs";
const TOOLS: &str = "linux.initramfs-tools";

/// An image as initramfs-tools makes it, with these drivers.
fn image(drivers: &[Driver]) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    for (path, text) in [
        ("conf/initramfs.conf", "MODULES=dep\n"),
        ("init", "#!/bin/sh\n"),
        ("scripts/functions", "#!/bin/sh\n"),
    ] {
        std::fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
        std::fs::write(root.join(path), text).unwrap();
    }
    plant(root, RELEASE, drivers);
    let packed = tempfile::NamedTempFile::new().unwrap();
    let script = "cd \"$1\"; find . -mindepth 1 | cpio --quiet -o -H newc | gzip -n > \"$2\"";
    let (root, to) = (root.to_str().unwrap(), packed.path().to_str().unwrap());
    oracle::ok("sh", &["-ec", script, "sh", root, to]);
    std::fs::read(packed.path()).unwrap()
}

/// A guest whose kernel has all drivers as modules, and this initramfs.
fn guest(image: &[u8]) -> Lab {
    let mut lab = Lab::new(&[("/usr/sbin/update-initramfs", "#!/bin/sh\n")]);
    let dir = tempfile::tempdir().unwrap();
    plant(dir.path(), RELEASE, &DRIVERS);
    let modules = dir.path().join("lib/modules");
    let mut below = vec![modules.clone()];
    while let Some(path) = below.pop() {
        if path.is_dir() {
            below.extend(std::fs::read_dir(&path).unwrap().map(|e| e.unwrap().path()));
            continue;
        }
        let own = path.strip_prefix(&modules).unwrap().to_str().unwrap();
        let bytes = std::fs::read(&path).unwrap();
        lab.fs.file(&format!("/lib/modules/{own}"), bytes).unwrap();
    }
    let kernel = h2k_testkit::modules::kernel(&format!("{RELEASE} (debian) #1 SMP"));
    lab.fs.file(&format!("/boot/vmlinuz-{RELEASE}"), kernel).unwrap();
    lab.fs.file(IMAGE, image.to_vec()).unwrap();
    lab
}

fn now(done: &Done, path: &str) -> Vec<u8> {
    let mut meter = Meter::new(Limits::default());
    let node = resolve(&done.fs, path.as_bytes(), &mut meter).unwrap().unwrap();
    read_file(&done.fs, node, &mut meter).unwrap()
}

#[test]
fn drivers_are_put_behind_an_image_that_lacks_them_and_cutting_it_back_undoes_that() {
    let old = image(sata());
    let done = guest(&old).fix(ID);
    done.says(Outcome::Change, "virtio_blk");
    done.says(
        Outcome::Change,
        &format!("cutting it back to {} bytes", old.len()),
    );
    let new = now(&done, IMAGE);
    assert!(new.starts_with(&old) && new.len() > old.len());
    // The kernel unpacks the parts in turn; cpio shows what the second one brings.
    let added = tempfile::NamedTempFile::new().unwrap();
    let rest = &new[old.len()..];
    let start = rest.iter().position(|byte| *byte != 0).unwrap();
    std::fs::write(added.path(), &rest[start..]).unwrap();
    let script = "gzip -dc < \"$1\" | cpio --quiet -it";
    let names = oracle::ok("sh", &["-ec", script, "sh", added.path().to_str().unwrap()]);
    for name in ["virtio_blk.ko", "virtio_scsi.ko", "modules.dep.bin"] {
        assert!(names.lines().any(|line| line.ends_with(name)), "{name}: {names}");
    }
    assert_eq!(done.proposal.drafted.changes().len(), 1);
}

#[test]
fn an_image_that_has_the_drivers_keeps_every_byte() {
    let old = image(&DRIVERS);
    let done = guest(&old).fix(ID);
    done.left("finds its root on virtio as it is");
    assert!(now(&done, IMAGE) == old);
}

#[test]
fn an_image_that_nothing_can_be_added_to_is_left_and_told() {
    let old = b"no archive begins so".to_vec();
    let done = guest(&old).fix(ID);
    done.says(Outcome::Warn, "gets no virtio drivers");
    assert!(done.proposal.drafted.changes().is_empty());
    assert!(now(&done, IMAGE) == old);
}

#[test]
fn without_a_kernel_nothing_can_be_started() {
    let done = Lab::new(&[]).fix(ID);
    done.says(Outcome::Blocked, "there is no kernel");
}

#[test]
fn a_controller_that_the_image_knows_needs_nothing() {
    let old = image(sata());
    let mut lab = guest(&old);
    lab.target.bus = Some(h2k_boot::Bus::Sata);
    let done = lab.fix(ID);
    assert!(done.proposal.drafted.changes().is_empty());
    assert!(now(&done, IMAGE) == old);
}

#[test]
fn the_guests_own_tools_are_told_of_the_drivers_once() {
    let done = guest(&image(sata())).fix(TOOLS);
    done.says(Outcome::Change, "initramfs-tools is told");
    let text = done.text("/etc/initramfs-tools/modules").unwrap();
    assert!(text.lines().any(|line| line == "virtio_blk"), "{text}");
    let mut lab = guest(&image(sata()));
    lab.file(
        "/etc/initramfs-tools/modules",
        "# mine\nvirtio_blk\nvirtio_scsi\nvirtio_pci\nvirtio_net\nvirtio_console\n",
    );
    lab.fix(TOOLS).left("puts virtio drivers in");
}

#[test]
fn a_guest_without_such_tools_is_told_nothing() {
    let lab = Lab::new(&[]);
    lab.fix(TOOLS).left("there is no such tool");
}
