//! The door damaged files of a guest come through: the same function serves the mutation test and the fuzz target.

use crate::lab::Lab;

/// Files with everything in them that fixes look for, and the fix that is for each.
pub const FILES: [(&str, &str, &str); 17] = [
    (
        "/etc/fstab",
        "linux.fstab",
        "/dev/sda1 / ext4 defaults,device=/dev/sda2 0 1\n/dev/sda2 none swap sw\n/dev/hdc /cdrom iso9660 ro\n",
    ),
    (
        "/etc/crypttab",
        "linux.crypttab",
        "a /dev/sda2 /dev/sda1:/key luks,header=/dev/sda2\nb UUID=1 none luks\n",
    ),
    (
        "/etc/default/grub",
        "linux.grub-default",
        "GRUB_CMDLINE_LINUX=\"root=/dev/sda1 \\\"x\\\" console=hvc0\n resume=/dev/sdz\"\nGRUB_DISABLE_LINUX_UUID=true\n",
    ),
    (
        "/boot/grub/grub.cfg",
        "linux.grub-cfg",
        "set default=\"0\"\nset kernelopts=\"root=/dev/sda1\"\nmenuentry 'a' { linux /v root=/dev/sda1 \\\n notsc lpj=1; initrd /i }\n",
    ),
    (
        "/boot/loader/entries/a.conf",
        "linux.bls",
        "title a\noptions root=/dev/sda1 $kernelopts cryptdevice=/dev/sda2:c\n",
    ),
    (
        "/etc/kernel/cmdline",
        "linux.kernel-cmdline",
        "root=/dev/sda1 cryptopts=target=a,source=/dev/sda2 console=tty0\n",
    ),
    (
        "/boot/grub/menu.lst",
        "linux.grub-legacy",
        "default=0\n# kopt=root=/dev/sda1\ntitle a\n kernel (hd0,0)/v root=/dev/sda1 ide0=noprobe\n",
    ),
    (
        "/boot/extlinux/extlinux.conf",
        "linux.extlinux",
        "LABEL a\n APPEND root=/dev/sda1 module_blacklist=virtio_blk,x\n",
    ),
    (
        "/etc/initramfs-tools/conf.d/resume",
        "linux.resume",
        "RESUME=/dev/sda2\n",
    ),
    (
        "/etc/mdadm.conf",
        "linux.mdadm",
        "DEVICE /dev/sda1\n /dev/sda2\nARRAY /dev/md0 uuid=1 devices=/dev/sda1,/dev/sda2\n",
    ),
    (
        "/etc/lvm/lvm.conf",
        "linux.lvm-filter",
        "filter = [ \"a|/dev/sda|\", # x\n \"r|.*|\" ]\nglobal_filter=\"a|.*|\"\n",
    ),
    ("/boot/grub/device.map", "linux.device-map", "(hd0) /dev/sda\n"),
    (
        "/etc/lilo.conf",
        "linux.lilo",
        "boot=/dev/sda\n root = /dev/sda1\n",
    ),
    (
        "/etc/inittab",
        "linux.console",
        "1:2345:respawn:/sbin/getty 38400 tty1\nx0:2345:respawn:/sbin/getty xvc0\n#2:2345:respawn:/sbin/getty tty2\n",
    ),
    (
        "/etc/X11/xorg.conf",
        "linux.x11",
        "Section \"Device\"\n Driver \"vmware\"\n BusID \"PCI:1\"\nEndSection\n",
    ),
    (
        "/boot/grub/grubenv",
        "linux.grubenv",
        "# GRUB Environment Block\nsaved_entry=a\nkernelopts=root=/dev/sda1 console=hvc0\n####",
    ),
    (
        "/etc/systemd/system/dev-sda2.swap",
        "linux.units",
        "[Unit]\nDescription=x\n[Swap]\nWhat=/dev/sda2\nPriority=1\n",
    ),
];

/// A guest with two partitions and no files of its own.
pub fn guest() -> Lab {
    let mut lab = Lab::new(&[]);
    lab.disk("/dev/sda");
    lab.partition(
        "/dev/sda2",
        "swap",
        "22222222-2222-3333-4444-555555555555",
        "aaaaaaaa-02",
    );
    lab
}

/// Gives a guest one of [`FILES`], the one that the first byte says, with the rest of `bytes` in it, and asks the fix
/// for it twice: whatever it changes, nothing may be left to do.
pub fn knock(bytes: &[u8]) {
    let Some((number, content)) = bytes.split_first() else {
        return;
    };
    let (path, id, _) = FILES[usize::from(*number) % FILES.len()];
    let mut lab = guest();
    lab.fs.file(path, content).unwrap();
    lab.fix(id);
}
