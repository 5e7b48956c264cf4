//! What kernels are told, in every file that keeps it.

use crate::lab::{Done, Lab};
use h2k_fix::Outcome;
use h2k_testkit::oracle;
use h2k_testkit::rng::Rng;

const SWAP: &str = "22222222-2222-3333-4444-555555555555";

fn lab(files: &[(&str, &str)]) -> Lab {
    let mut lab = Lab::new(files);
    lab.disk("/dev/sda");
    lab.partition("/dev/sda2", "swap", SWAP, "aaaaaaaa-02");
    lab
}

/// Every home of command lines: the fix, the file, what stands before and after the words.
const HOMES: [(&str, &str, &str, &str); 9] = [
    (
        "linux.grub-default",
        "/etc/default/grub",
        "A=1\nGRUB_CMDLINE_LINUX=\"",
        "\" # root=/dev/sda1\n",
    ),
    (
        "linux.grub-default",
        "/etc/default/grub.d/50-x.cfg",
        "GRUB_CMDLINE_LINUX_DEFAULT='",
        "'\n",
    ),
    (
        "linux.grub-cfg",
        "/boot/grub/grub.cfg",
        "# root=/dev/sda1\nmenuentry 'a' {\n\tsearch --hint-bios=hd0,msdos1 u\n\tlinux\t/boot/vmlinuz ",
        "\n\tinitrd /boot/initrd\n}\n",
    ),
    (
        "linux.grub-cfg",
        "/boot/grub2/grub.cfg",
        "submenu 'root=/dev/sda1' {\nmenuentry 'b' {\n  linux16 /vmlinuz ",
        "\n  initrd16 /i\n}\n}\n",
    ),
    (
        "linux.bls",
        "/boot/loader/entries/a.conf",
        "title root=/dev/sda1\nlinux /vmlinuz\ninitrd /i\noptions ",
        "\n",
    ),
    ("linux.kernel-cmdline", "/etc/kernel/cmdline", "", "\n"),
    (
        "linux.grub-legacy",
        "/boot/grub/menu.lst",
        "# kopt=root=/dev/sda1\ntitle a\n\troot (hd0,0)\n\tkernel /vmlinuz ",
        "\n\tinitrd /i\n",
    ),
    (
        "linux.extlinux",
        "/boot/extlinux/extlinux.conf",
        "LABEL a\n  LINUX /v\n  INITRD /i\n  append ",
        "\n",
    ),
    (
        "linux.extlinux",
        "/etc/update-extlinux.conf",
        "x=root=/dev/sda1\ndefault_kernel_opts=\"",
        "\"\n",
    ),
];

fn fixed(id: &str, path: &str, text: &str) -> Done {
    lab(&[(path, text)]).fix(id)
}

#[test]
fn the_root_is_named_by_its_uuid_in_every_home() {
    let uuid = Lab::ROOT;
    for (id, path, before, after) in HOMES {
        let text = format!("{before}ro  root=/dev/sda1 quiet{after}");
        let done = fixed(id, path, &text);
        let expected = format!("{before}ro  root=UUID={uuid} quiet{after}");
        assert_eq!(done.text(path).unwrap(), expected, "{path}");
        done.says(Outcome::Change, "root=: /dev/sda1 becomes UUID=");
    }
}

#[test]
fn names_that_hold_are_left_in_every_home() {
    for (id, path, before, after) in HOMES {
        let uuid = Lab::ROOT;
        let text =
            format!("{before}root=UUID={uuid} boot=live cryptdevice=UUID={uuid}:x console=ttyS0{after}");
        let done = fixed(id, path, &text);
        match before.contains("kopt") {
            true => done.says(
                Outcome::Warn,
                "update-grub would write /dev/sda1 into the menu again",
            ),
            false => done.left("holds on any machine as it is"),
        }
        assert_eq!(done.text(path).unwrap(), text);
        Lab::new(&[]).fix(id).left("there is no");
        let mut left = lab(&[(path, &format!("{before}root=/dev/sda1{after}"))]);
        left.options.no_grub = true;
        left.fix(id).left("to be left");
    }
}

#[test]
fn of_any_command_line_only_the_devices_change() {
    let mut rng = Rng::new(9);
    let uuid = Lab::ROOT;
    let words: [(&str, String); 9] = [
        ("root=/dev/sda1", format!("root=UUID={uuid}")),
        ("real_root=/dev/vda1", format!("real_root=UUID={uuid}")),
        (
            "cryptdevice=/dev/hda2:c:allow-discards",
            format!("cryptdevice=UUID={SWAP}:c:allow-discards"),
        ),
        (
            "cryptopts=target=c,source=/dev/sda2,lvm=x",
            format!("cryptopts=target=c,source=UUID={SWAP},lvm=x"),
        ),
        (
            "rootflags=subvol=@/dev/sda1",
            "rootflags=subvol=@/dev/sda1".to_owned(),
        ),
        ("root=ZFS=a/b", "root=ZFS=a/b".to_owned()),
        ("boot=live", "boot=live".to_owned()),
        ("$X", "$X".to_owned()),
        ("a=\u{e9}\u{fffd}", "a=\u{e9}\u{fffd}".to_owned()),
    ];
    for round in 0..400 {
        let (id, path, before, after) = HOMES[round % HOMES.len()];
        let (mut text, mut expected) = (before.to_owned(), before.to_owned());
        for _ in 0..rng.below(8) {
            let (old, new) = &words[usize::try_from(rng.below(9)).unwrap()];
            let gap = [" ", "\t", "   "][usize::try_from(rng.below(3)).unwrap()];
            text.push_str(&format!("{old}{gap}"));
            expected.push_str(&format!("{new}{gap}"));
        }
        text.push_str(&format!("end{after}"));
        expected.push_str(&format!("end{after}"));
        assert_eq!(fixed(id, path, &text).text(path).unwrap(), expected, "{text}");
    }
}

#[test]
fn a_kernel_without_initramfs_is_told_a_partition() {
    let script = "menuentry 'a' {\n linux /vmlinuz root=/dev/sda2\n}\n";
    let done = fixed("linux.grub-cfg", "/boot/grub/grub.cfg", script);
    let text = done.text("/boot/grub/grub.cfg").unwrap();
    assert_eq!(text, script.replace("/dev/sda2", "PARTUUID=aaaaaaaa-02"));
}

#[test]
fn a_root_that_is_nowhere_stops_the_default_entry_alone() {
    let script = "menuentry 'a' {\n linux /v root=UUID=no\n initrd /i\n}\n\
                  menuentry 'b' {\n linux /v root=UUID=never\n initrd /i\n}\n";
    let done = fixed("linux.grub-cfg", "/boot/grub/grub.cfg", script);
    done.says(Outcome::Blocked, "UUID=no,");
    done.says(Outcome::Warn, "UUID=never,");
}

#[test]
fn what_the_default_entry_starts_is_this_system() {
    let script = "menuentry 'a' {\n linux /v root=/dev/sdq7\n initrd /i\n}\n";
    let done = fixed("linux.grub-cfg", "/boot/grub/grub.cfg", script);
    let text = done.text("/boot/grub/grub.cfg").unwrap();
    assert_eq!(text, script.replace("/dev/sdq7", &format!("UUID={}", Lab::ROOT)));
}

#[test]
fn the_switch_against_uuids_is_turned_off() {
    let text = "GRUB_CMDLINE_LINUX=\"root=/dev/sda1\"\nGRUB_DISABLE_LINUX_UUID=\"true\" # x\n";
    let done = fixed("linux.grub-default", "/etc/default/grub", text);
    let expected = format!(
        "GRUB_CMDLINE_LINUX=\"root=UUID={}\"\nGRUB_DISABLE_LINUX_UUID=\"false\" # x\n",
        Lab::ROOT
    );
    assert_eq!(done.text("/etc/default/grub").unwrap(), expected);
}

#[test]
fn old_suse_systems_are_told_paths() {
    let files = [
        (
            "/boot/grub/menu.lst",
            "title a\n kernel /v root=/dev/sda1\n initrd /i\n",
        ),
        ("/etc/SuSE-release", "SUSE Linux Enterprise Server 11\n"),
    ];
    let done = lab(&files).fix("linux.grub-legacy");
    let text = done.text("/boot/grub/menu.lst").unwrap();
    assert!(
        text.contains(&format!("root=/dev/disk/by-uuid/{}", Lab::ROOT)),
        "{text}"
    );
}

/// An environment block with these lines.
fn block(lines: &str) -> String {
    let mut text = format!("# GRUB Environment Block\n{lines}");
    text.extend(std::iter::repeat_n('#', 1024 - text.len()));
    text
}

#[test]
fn an_environment_block_keeps_its_length() {
    let path = "/boot/grub2/grubenv";
    let done = fixed(
        "linux.grubenv",
        path,
        &block("saved_entry=x\nkernelopts=root=/dev/sda1 ro \n"),
    );
    let text = done.text(path).unwrap();
    let expected = format!("saved_entry=x\nkernelopts=root=UUID={} ro \n", Lab::ROOT);
    assert_eq!(text, block(&expected));
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("grubenv");
    std::fs::write(&file, &text).unwrap();
    let listed = oracle::ok("grub-editenv", &[file.to_str().unwrap(), "list"]);
    assert_eq!(listed, expected);
    fixed("linux.grubenv", path, &block("saved_entry=root=/dev/sda1\n")).left("holds on any machine");
}

#[test]
fn an_environment_block_that_is_full_is_not_cut() {
    let path = "/boot/grub2/grubenv";
    let full = block(&format!("kernelopts=root=/dev/sda1 {}\n", "x".repeat(960)));
    let done = fixed("linux.grubenv", path, &full);
    assert_eq!(done.text(path).unwrap(), full);
    done.says(Outcome::Blocked, "does not fit into 1024 bytes");
    let short = fixed("linux.grubenv", path, "kernelopts=root=/dev/sda1\n");
    short.says(Outcome::Blocked, "and GRUB wants 1024");
}

#[test]
fn grub_still_understands_its_script() {
    let script = "set default=0\nif [ x$a = xy ]; then\n  set kernelopts=\"root=/dev/sda1 ro\"\nfi\n\
                  submenu 'more' $id {\n\tmenuentry 'b' {\n\t\tlinux\t/v \"root=/dev/sda1\" \\\n  resume=/dev/sda2; initrd /i\n\t}\n}\n";
    let path = "/boot/grub/grub.cfg";
    let done = fixed("linux.grub-cfg", path, script);
    let text = done.text(path).unwrap();
    assert_eq!(text, script.replace("/dev/sda1", &format!("UUID={}", Lab::ROOT)));
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("grub.cfg");
    std::fs::write(&file, &text).unwrap();
    oracle::ok("grub-script-check", &[file.to_str().unwrap()]);
}

#[test]
fn swap_to_resume_from_is_named_by_its_uuid_everywhere() {
    for (_, path, before, after) in HOMES {
        let done = fixed(
            "linux.resume",
            path,
            &format!("{before}a resume=/dev/sda2 b{after}"),
        );
        assert_eq!(
            done.text(path).unwrap(),
            format!("{before}a resume=UUID={SWAP} b{after}"),
            "{path}"
        );
        let gone = fixed(
            "linux.resume",
            path,
            &format!("{before}a resume=/dev/sdz2 b{after}"),
        );
        assert_eq!(
            gone.text(path).unwrap(),
            format!("{before}a noresume b{after}"),
            "{path}"
        );
        gone.says(
            Outcome::Change,
            "/dev/sdz2 is not on these disks, and becomes noresume",
        );
        let kept = format!("{before}a resume=UUID={SWAP} noresume b{after}");
        fixed("linux.resume", path, &kept).left("holds on any machine");
    }
}

#[test]
fn initramfs_tools_is_told_where_to_resume_from() {
    let path = "/etc/initramfs-tools/conf.d/resume";
    for (before, after) in [
        ("RESUME=/dev/sda2\n", format!("RESUME=UUID={SWAP}\n")),
        ("# x\nRESUME=UUID=gone\n", "# x\nRESUME=none\n".to_owned()),
        ("RESUME=auto\n", "RESUME=auto\n".to_owned()),
    ] {
        assert_eq!(fixed("linux.resume", path, before).text(path).unwrap(), after);
    }
    lab(&[]).fix("linux.resume").left("nothing is told to resume");
}

#[test]
fn several_fixes_change_one_file_and_then_none_does() {
    let mut all = lab(&[("/etc/fstab", "/dev/sda1 / ext4\n/dev/sda2 none swap\n")]);
    for (_, path, before, after) in HOMES {
        let words = "root=/dev/sda1 resume=/dev/sda2 console=hvc0 clocksource=xen quiet";
        all.file(path, &format!("{before}{words}{after}"));
    }
    let done = all.fix("linux");
    for (_, path, before, after) in HOMES {
        let words = format!("root=UUID={} resume=UUID={SWAP} quiet", Lab::ROOT);
        assert_eq!(
            done.text(path).unwrap(),
            format!("{before}{words}{after}"),
            "{path}"
        );
    }
}
