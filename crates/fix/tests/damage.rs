//! Files that are damaged at random: every fix answers, and what it changes once is left afterwards.

use crate::lab::Lab;
use h2k_testkit::rng::Rng;

/// Files with everything in them that fixes look for.
const FILES: [(&str, &str); 16] = [
    (
        "/etc/fstab",
        "/dev/sda1 / ext4 defaults,device=/dev/sda2 0 1\n/dev/sda2 none swap sw\n/dev/hdc /cdrom iso9660 ro\n",
    ),
    (
        "/etc/crypttab",
        "a /dev/sda2 /dev/sda1:/key luks,header=/dev/sda2\nb UUID=1 none luks\n",
    ),
    (
        "/etc/default/grub",
        "GRUB_CMDLINE_LINUX=\"root=/dev/sda1 \\\"x\\\" console=hvc0\n resume=/dev/sdz\"\nGRUB_DISABLE_LINUX_UUID=true\n",
    ),
    (
        "/boot/grub/grub.cfg",
        "set default=\"0\"\nset kernelopts=\"root=/dev/sda1\"\nmenuentry 'a' { linux /v root=/dev/sda1 \\\n notsc lpj=1; initrd /i }\n",
    ),
    (
        "/boot/loader/entries/a.conf",
        "title a\noptions root=/dev/sda1 $kernelopts cryptdevice=/dev/sda2:c\n",
    ),
    (
        "/etc/kernel/cmdline",
        "root=/dev/sda1 cryptopts=target=a,source=/dev/sda2 console=tty0\n",
    ),
    (
        "/boot/grub/menu.lst",
        "default=0\n# kopt=root=/dev/sda1\ntitle a\n kernel (hd0,0)/v root=/dev/sda1 ide0=noprobe\n",
    ),
    (
        "/boot/extlinux/extlinux.conf",
        "LABEL a\n APPEND root=/dev/sda1 module_blacklist=virtio_blk,x\n",
    ),
    ("/etc/initramfs-tools/conf.d/resume", "RESUME=/dev/sda2\n"),
    (
        "/etc/mdadm.conf",
        "DEVICE /dev/sda1\n /dev/sda2\nARRAY /dev/md0 uuid=1 devices=/dev/sda1,/dev/sda2\n",
    ),
    (
        "/etc/lvm/lvm.conf",
        "filter = [ \"a|/dev/sda|\", # x\n \"r|.*|\" ]\nglobal_filter=\"a|.*|\"\n",
    ),
    ("/boot/grub/device.map", "(hd0) /dev/sda\n"),
    ("/etc/lilo.conf", "boot=/dev/sda\n root = /dev/sda1\n"),
    (
        "/etc/inittab",
        "1:2345:respawn:/sbin/getty 38400 tty1\nx0:2345:respawn:/sbin/getty xvc0\n#2:2345:respawn:/sbin/getty tty2\n",
    ),
    (
        "/etc/X11/xorg.conf",
        "Section \"Device\"\n Driver \"vmware\"\n BusID \"PCI:1\"\nEndSection\n",
    ),
    (
        "/boot/grub/grubenv",
        "# GRUB Environment Block\nsaved_entry=a\nkernelopts=root=/dev/sda1 console=hvc0\n####",
    ),
];

fn damaged(rng: &mut Rng, text: &str) -> Vec<u8> {
    const PIECES: [&[u8]; 12] = [
        b"\"",
        b"'",
        b"\\",
        b"\n",
        b" ",
        b"#",
        b"=",
        b",",
        b"/dev/sda1",
        b"[",
        b"\xff\0",
        b"root=",
    ];
    let mut bytes = text.as_bytes().to_vec();
    for _ in 0..rng.below(4) {
        let at = usize::try_from(rng.below(bytes.len() as u64 + 1)).unwrap();
        let len = usize::try_from(rng.below(6)).unwrap().min(bytes.len() - at);
        let piece = PIECES[usize::try_from(rng.below(12)).unwrap()];
        let with = if rng.below(3) == 0 { &b""[..] } else { piece };
        bytes.splice(at..at + len, with.iter().copied());
    }
    bytes
}

#[test]
fn damaged_files_are_changed_once_at_most() {
    let mut rng = Rng::new(77);
    for round in 0..1500 {
        let mut lab = Lab::new(&[]);
        lab.disk("/dev/sda");
        lab.partition(
            "/dev/sda2",
            "swap",
            "22222222-2222-3333-4444-555555555555",
            "aaaaaaaa-02",
        );
        if round % 3 == 0 {
            lab.options.enable = vec!["linux.serial-console".to_owned()];
        }
        for (path, text) in FILES {
            let content = damaged(&mut rng, text);
            lab.fs.file(path, content).unwrap();
        }
        // Asks twice, and nothing may be left to do.
        lab.fix("linux");
    }
}

/// Files that say one thing very often: what is looked at again for each of many lines or words would never end.
#[test]
fn files_of_one_thing_over_and_over_are_looked_at_once() {
    let many = |n: u32, each: &dyn Fn(u32) -> String| (0..n).map(each).collect::<String>();
    let words = many(50_000, &|n| format!(" console=hvc{n}"));
    let files = [
        ("/boot/grub/grub.cfg", "\\\n".repeat(100_000)),
        (
            "/boot/grub2/grub.cfg",
            format!("linux /v root=/dev/sda1{words}\n"),
        ),
        ("/boot/grub2/custom.cfg", "set kernelopts=\"\n".repeat(4000)),
        (
            "/etc/fstab",
            many(10_000, &|n| format!("/dev/sdz{n} /m{n} ext4 defaults 0 0\n")),
        ),
        (
            "/etc/crypttab",
            format!(
                "a /dev/disk/by-path/{} /dev/disk/by-path/{}\n",
                "x",
                ":".repeat(50_000)
            ),
        ),
    ];
    for (path, text) in files {
        let begin = std::time::Instant::now();
        let mut lab = Lab::new(&[(path, &text)]);
        lab.disk("/dev/sda");
        let done = lab.fix("linux");
        assert!(!done.proposal.findings.is_empty(), "{path}");
        println!("{path}: {:?}", begin.elapsed());
    }
}
