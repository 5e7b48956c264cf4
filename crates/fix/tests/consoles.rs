//! Consoles, parameters and screens of the old machine.

use crate::lab::Lab;
use h2k_fix::{Hypervisor, Outcome};

const GRUB: &str = "/etc/default/grub";

fn grub(words: &str) -> String {
    format!("GRUB_CMDLINE_LINUX=\"{words}\"\n")
}

fn told(id: &str, before: &str) -> (String, crate::lab::Done) {
    let done = Lab::new(&[(GRUB, &grub(before))]).fix(id);
    (done.text(GRUB).unwrap(), done)
}

#[test]
fn consoles_of_xen_go() {
    for (before, after) in [
        (
            "console=hvc0 ro console=tty0 xencons=tty quiet",
            "ro console=tty0 quiet",
        ),
        ("console=hvc0 earlyprintk=xen", ""),
        ("ro independent_wallclock=1 console=xvc0,115200", "ro"),
    ] {
        let (text, done) = told("linux.console", before);
        assert_eq!(text, grub(after));
        done.says(Outcome::Change, "only Xen has it");
    }
}

#[test]
fn other_consoles_are_left() {
    told("linux.console", "console=tty0 console=ttyS0 earlyprintk=ttyS0")
        .1
        .left("no console of Xen");
    let mut kvm = Lab::new(&[(GRUB, &grub("console=hvc0"))]);
    kvm.target.from = Some(Hypervisor::Kvm);
    kvm.fix("linux.console").left("comes from KVM");
}

#[test]
fn logins_on_consoles_of_xen_give_way_to_those_there_were() {
    let path = "/etc/inittab";
    let text = "id:3:initdefault:\n#1:2345:respawn:/sbin/mingetty tty1\n#ca::x\nco:2345:respawn:/sbin/agetty xvc0 9600 vt100-nav\n";
    let done = Lab::new(&[(path, text)]).fix("linux.console");
    let expected = text.replace("#1", "1").replace("co:", "#co:");
    assert_eq!(done.text(path).unwrap(), expected);
    let more = "1:2345:respawn:/sbin/mingetty tty1\n#2:2345:respawn:/sbin/mingetty tty2\nh0:2345:respawn:/sbin/getty 38400 hvc0\n";
    let done = Lab::new(&[(path, more)]).fix("linux.console");
    assert_eq!(done.text(path).unwrap(), more.replace("h0:", "#h0:"));
    let plain = "1:2345:respawn:/sbin/mingetty tty1\n";
    Lab::new(&[(path, plain)])
        .fix("linux.console")
        .left("no console of Xen");
}

#[test]
fn consoles_of_xen_give_way_to_those_of_a_screen() {
    let text = "id:3:initdefault:\n#1:2345:respawn:/sbin/mingetty tty1\n#2:2345:respawn:/sbin/mingetty tty2\n# a remark\nco:2345:respawn:/sbin/agetty hvc0 9600 vt100-nav\n";
    let after = "id:3:initdefault:\n1:2345:respawn:/sbin/mingetty tty1\n2:2345:respawn:/sbin/mingetty tty2\n# a remark\n#co:2345:respawn:/sbin/agetty hvc0 9600 vt100-nav\n";
    let done = Lab::new(&[("/etc/inittab", text)]).fix("linux.console");
    assert_eq!(done.text("/etc/inittab").as_deref(), Some(after));
    // Somebody else's choice to have one console is left.
    let other = "id:3:initdefault:\n1:2345:respawn:/sbin/getty tty1\n#2:2345:respawn:/sbin/getty tty2\n";
    Lab::new(&[("/etc/inittab", other)])
        .fix("linux.console")
        .left("no console of Xen");
}

#[test]
fn the_serial_console_is_told_where_it_is_wanted() {
    let mut lab = Lab::new(&[
        (
            GRUB,
            "GRUB_CMDLINE_LINUX=\"\"\nGRUB_CMDLINE_LINUX_DEFAULT=\"quiet\"\n",
        ),
        (
            "/boot/grub/grub.cfg",
            "menuentry a {\n linux /v root=UUID=1 quiet # x\n}\nmenuentry m {\n linux16 /memtest\n}\n",
        ),
        (
            "/boot/loader/entries/a.conf",
            "title a\noptions root=UUID=1 console=ttyS0\n",
        ),
        ("/etc/kernel/cmdline", "root=UUID=1 console=tty0\n"),
        ("/etc/inittab", "1:2345:respawn:/sbin/mingetty tty1"),
        ("/sbin/agetty", "x"),
        ("/etc/securetty", "tty1\n"),
    ]);
    lab.options.enable = vec!["linux.serial-console".to_owned()];
    let done = lab.fix("linux.serial-console");
    let text = |path: &str| done.text(path).unwrap();
    let both = "console=tty0 console=ttyS0,115200";
    assert_eq!(
        text(GRUB),
        format!("GRUB_CMDLINE_LINUX=\"{both}\"\nGRUB_CMDLINE_LINUX_DEFAULT=\"quiet\"\n")
    );
    assert_eq!(
        text("/boot/grub/grub.cfg"),
        format!(
            "menuentry a {{\n linux /v root=UUID=1 quiet {both} # x\n}}\nmenuentry m {{\n linux16 /memtest\n}}\n"
        )
    );
    assert!(text("/boot/loader/entries/a.conf").ends_with("root=UUID=1 console=ttyS0\n"));
    assert_eq!(
        text("/etc/kernel/cmdline"),
        "root=UUID=1 console=tty0 console=ttyS0,115200\n"
    );
    assert!(text("/etc/inittab").ends_with("tty1\nS0:2345:respawn:/sbin/agetty -L 115200 ttyS0 vt102\n"));
    assert_eq!(text("/etc/securetty"), "tty1\nttyS0\n");
}

#[test]
fn a_value_without_quotes_gets_them_with_a_second_word() {
    let both = "console=tty0 console=ttyS0,115200";
    for (path, before, after) in [
        (
            GRUB,
            "GRUB_CMDLINE_LINUX=quiet # x\n",
            format!("GRUB_CMDLINE_LINUX=\"quiet {both}\" # x\n"),
        ),
        (
            GRUB,
            "GRUB_CMDLINE_LINUX=\n",
            format!("GRUB_CMDLINE_LINUX=\"{both}\"\n"),
        ),
        (
            "/boot/loader/entries/a.conf",
            "title a\noptions\n",
            format!("title a\noptions {both}\n"),
        ),
    ] {
        let done = Lab::new(&[(path, before)]).fix("linux.serial-console");
        assert_eq!(done.text(path).unwrap(), after);
    }
}

#[test]
fn the_serial_console_is_off_by_default() {
    let fix = h2k_fix::by_id("linux.serial-console").unwrap();
    assert!(!fix.by_default());
    told("linux.serial-console", "console=ttyS0")
        .1
        .left("told already");
}

#[test]
fn parameters_that_break_go() {
    for (before, after) in [
        ("clocksource=xen ro", "ro"),
        ("ro clocksource=hyperv_clocksource", "ro"),
        ("notsc lpj=1234 ro", "ro"),
        ("ide0=noprobe hda=noprobe ro", "ro"),
        ("module_blacklist=virtio_blk,floppy", "module_blacklist=floppy"),
        ("a modprobe.blacklist=virtio-net,virtio_scsi b", "a b"),
    ] {
        let (text, done) = told("linux.boot-parameters", before);
        assert_eq!(text, grub(after));
        done.says(Outcome::Change, "/etc/default/grub");
    }
}

#[test]
fn parameters_that_do_no_harm_are_left() {
    let words = "elevator=noop clocksource=tsc notsc rootdelay=300 numa=off divider=10 pci=nomsi \
                 modprobe.blacklist=floppy ide=nodma";
    told("linux.boot-parameters", words).1.left("nothing that breaks");
}

#[test]
fn drivers_of_x_give_way_and_the_bus_of_the_card_with_them() {
    let path = "/etc/X11/xorg.conf";
    let text = "Section \"Device\"\n\tIdentifier \"Card0\"\n\tDriver  \"vmware\" # c\n\tVendorName \"VMware\"\n\
                \tBusID \"PCI:0:15:0\"\nEndSection\nSection \"InputDevice\"\n Driver \"vmmouse\"\n Option \"BusID\" \"x\"\n\
                EndSection\n# Driver \"vmware\"\n";
    let files = [(path, text), ("/usr/lib64/xorg/modules/input/evdev_drv.so", "x")];
    let done = Lab::new(&files).fix("linux.x11");
    let expected = "Section \"Device\"\n\tIdentifier \"Card0\"\n\tDriver  \"modesetting\" # c\nEndSection\n\
                    Section \"InputDevice\"\n Driver \"evdev\"\n Option \"BusID\" \"x\"\nEndSection\n# Driver \"vmware\"\n";
    assert_eq!(done.text(path).unwrap(), expected);
}

#[test]
fn drivers_of_x_that_work_anywhere_are_left() {
    let text = "Section \"Device\"\n Driver \"fbdev\"\n BusID \"PCI:0:2:0\"\nEndSection\n";
    Lab::new(&[("/etc/X11/xorg.conf.d/1.conf", text)])
        .fix("linux.x11")
        .left("no driver of another hypervisor");
}
