//! What firmware and boot loaders start.

use crate::lab::{Done, Lab};
use h2k_block::{Limits, Meter};
use h2k_fix::Outcome;
use h2k_fs::{MemFs, read_file, resolve};
use h2k_testkit::uki::uki;

/// A guest with these files on its EFI system partition, which its table does not mount.
fn efi(files: &[&str]) -> Lab {
    let mut lab = Lab::new(&[]);
    lab.fs.dir("/boot/efi").unwrap();
    let mut esp = MemFs::default();
    for path in files {
        esp.file(path, *path).unwrap();
    }
    lab.esp = Some(esp);
    lab
}

fn on_esp(done: &Done, path: &str) -> Option<String> {
    let mut meter = Meter::new(Limits::default());
    let fs = done.esp.as_ref().unwrap();
    let node = resolve(fs, path.as_bytes(), &mut meter).unwrap()?;
    Some(String::from_utf8(read_file(fs, node, &mut meter).unwrap()).unwrap())
}

const ID: &str = "linux.efi-fallback";

#[test]
fn shim_and_what_it_starts_are_put_where_firmware_looks() {
    let done = efi(&[
        "/EFI/debian/shimx64.efi",
        "/EFI/debian/grubx64.efi",
        "/EFI/debian/mmx64.efi",
        "/EFI/debian/fbx64.efi",
        "/EFI/debian/BOOTX64.CSV",
        "/EFI/debian/grub.cfg",
        "/EFI/another/grubx64.efi",
    ])
    .fix(ID);
    for (to, from) in [
        ("BOOTX64.EFI", "shimx64.efi"),
        ("grubx64.efi", "grubx64.efi"),
        ("mmx64.efi", "mmx64.efi"),
        ("fbx64.efi", "fbx64.efi"),
        ("grub.cfg", "grub.cfg"),
    ] {
        assert_eq!(
            on_esp(&done, &format!("/EFI/BOOT/{to}")).unwrap(),
            format!("/EFI/debian/{from}")
        );
    }
    done.says(Outcome::Change, "shimx64.efi as BOOTX64.EFI");
}

#[test]
fn without_shim_the_loader_itself_is_started() {
    let done = efi(&["/efi/arch/GRUBX64.EFI", "/efi/boot/readme"]).fix(ID);
    assert_eq!(
        on_esp(&done, "/efi/boot/BOOTX64.EFI").unwrap(),
        "/efi/arch/GRUBX64.EFI"
    );
    let done = efi(&["/EFI/systemd/systemd-bootx64.efi", "/EFI/Linux/grubx64.efi"]).fix(ID);
    assert_eq!(
        on_esp(&done, "/EFI/BOOT/BOOTX64.EFI").unwrap(),
        "/EFI/systemd/systemd-bootx64.efi"
    );
}

#[test]
fn what_firmware_finds_is_left() {
    efi(&["/EFI/boot/bootx64.efi", "/EFI/debian/shimx64.efi"])
        .fix(ID)
        .left("finds a program to start");
    Lab::new(&[]).fix(ID).left("does not boot by UEFI");
}

#[test]
fn where_there_is_nothing_to_start_that_is_told() {
    let done = efi(&["/EFI/Linux/a.efi"]).fix(ID);
    done.says(Outcome::Blocked, "finds nothing to start on /dev/sda15");
    assert!(done.proposal.drafted.changes().is_empty());
}

const KERNEL: &str = "linux.default-kernel";

/// A guest with a kernel for Xen alone, and maybe another one.
fn xen(menu: (&str, &str), other: bool) -> Lab {
    let mut lab = Lab::new(&[
        menu,
        ("/boot/vmlinuz-2.6.18-8.el5xen", "x"),
        ("/boot/config-2.6.18-8.el5xen", "CONFIG_X86_64_XEN=y\n"),
        ("/lib/modules/2.6.18-8.el5xen/modules.dep", ""),
        (
            "/etc/sysconfig/kernel",
            "UPDATEDEFAULT=yes\nDEFAULTKERNEL=kernel-xen\n",
        ),
    ]);
    if other {
        lab.file("/boot/vmlinuz-2.6.18-8.el5", "y");
        lab.file("/boot/config-2.6.18-8.el5", "CONFIG_VIRTIO=m\n");
        lab.file("/lib/modules/2.6.18-8.el5/modules.dep", "");
    }
    lab
}

const LEGACY: &str = "# default=9\ndefault=0\ntimeout=5\ntitle Xen\n\tkernel /boot/vmlinuz-2.6.18-8.el5xen root=UUID=1\n\
                      title Plain\n\tkernel /boot/vmlinuz-2.6.18-8.el5 root=UUID=1\n";
const MENU: &str = "/boot/grub/menu.lst";

#[test]
fn a_kernel_that_needs_no_xen_is_started() {
    let done = xen((MENU, LEGACY), true).fix(KERNEL);
    assert_eq!(
        done.text(MENU).unwrap(),
        LEGACY.replace("\ndefault=0", "\ndefault=1")
    );
    assert_eq!(
        done.text("/etc/sysconfig/kernel").unwrap(),
        "UPDATEDEFAULT=yes\nDEFAULTKERNEL=kernel\n"
    );
}

#[test]
fn grub_2_is_told_the_identifier_of_the_entry() {
    let path = "/boot/grub/grub.cfg";
    let script = "set default=\"0\"\nmenuentry 'X' --id x {\n linux /boot/vmlinuz-2.6.18-8.el5xen root=UUID=1\n}\n\
                  submenu 'More' {\nmenuentry 'P' --id p {\n linux /boot/vmlinuz-2.6.18-8.el5 root=UUID=1\n}\n}\n";
    let done = xen((path, script), true).fix(KERNEL);
    assert_eq!(
        done.text(path).unwrap(),
        script.replace("default=\"0\"", "default=\"More>p\"")
    );
}

#[test]
fn kernels_that_run_on_kvm_are_left_and_missing_ones_told() {
    let plain = LEGACY.replace("default=0", "default=1");
    xen((MENU, &plain), true).fix(KERNEL).left("does not need Xen");
    xen((MENU, LEGACY), false)
        .fix(KERNEL)
        .says(Outcome::Blocked, "there is no other kernel to start");
}

/// A guest that systemd-boot starts by a unified image which has these words built in.
fn unified(words: &str) -> Lab {
    let mut lab = efi(&["/EFI/systemd/systemd-bootx64.efi"]);
    lab.disk("/dev/sda");
    let image = uki(&[
        (".uname", b"6.1"),
        (".cmdline", words.as_bytes()),
        (".linux", b"MZ"),
    ]);
    lab.esp
        .as_mut()
        .unwrap()
        .file("/EFI/Linux/linux.efi", image)
        .unwrap();
    lab
}

#[test]
fn a_unified_image_that_names_disks_of_the_old_machine_stands_in_the_way() {
    let done = unified("root=/dev/sda1 ro quiet").fix("linux.uki");
    done.says(
        Outcome::Blocked,
        "/EFI/Linux/linux.efi has root=/dev/sda1 built in",
    );
    let advice = done.proposal.findings[0].advice.clone().unwrap();
    assert!(advice.contains(&format!("root=UUID={}", Lab::ROOT)), "{advice}");
    unified("root=/dev/mapper/vg-root resume=/dev/disk/by-path/x-part1")
        .fix("linux.uki")
        .says(Outcome::Warn, "has resume=/dev/disk/by-path/x-part1 built in");
}

#[test]
fn a_unified_image_that_starts_as_it_is_is_left() {
    for words in ["root=UUID=1 ro", "quiet", "rd.luks.name=x"] {
        unified(words).fix("linux.uki").left("holds on the new machine");
    }
    // Where disks stay sda, so does the name.
    let mut sata = unified("root=/dev/sda1");
    sata.target.bus = Some(h2k_boot::Bus::Sata);
    sata.fix("linux.uki").left("holds on the new machine");
    Lab::new(&[]).fix("linux.uki").left("no unified kernel image");
}
