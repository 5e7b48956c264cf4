//! What is put behind images, judged by cpio, gzip, lz4 and kmod's modprobe.

use crate::common::{cpio, files, kernel, looked, packed};
use crate::initramfs::PACKERS;
use h2k_block::{Limits, MemDisk};
use h2k_boot::initramfs::segment::{Addition, Options, Outcome, Refusal, plan};
use h2k_boot::{Bus, Compression, Generator, Initramfs};
use h2k_fs::MemFs;
use h2k_testkit::modules::{DRIVERS, plant, sata};
use h2k_testkit::oracle;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use tempfile::TempDir;

pub const RELEASE: &str = "6.1.0-18-amd64";
const IMAGE: &str = "/boot/initrd.img-6.1.0-18-amd64";

/// The modules of the guest. They are made once.
static MODULES: LazyLock<TempDir> = LazyLock::new(|| {
    let dir = tempfile::tempdir().unwrap();
    plant(dir.path(), RELEASE, &DRIVERS);
    dir
});

/// The files below a directory, as paths from it.
fn below(dir: &Path) -> Vec<PathBuf> {
    let listed = oracle::ok(
        "sh",
        &["-c", "cd \"$1\" && find . -type f", "sh", dir.to_str().unwrap()],
    );
    listed.lines().map(|l| PathBuf::from(&l[2..])).collect()
}

/// A guest with these modules, whose files `program` packed, and with this image.
fn guest(image: &[u8], pack: Option<(&str, &[&str], &str)>) -> MemFs {
    let mut fs = MemFs::new();
    for path in below(MODULES.path()) {
        let mut content = std::fs::read(MODULES.path().join(&path)).unwrap();
        let mut path = format!("/usr/{}", path.display());
        if let Some((program, args, end)) = pack {
            if path.ends_with(".ko") {
                content = packed(program, args, &content);
                path += end;
            } else if path.ends_with("/modules.dep") {
                let text = String::from_utf8(content).unwrap();
                content = text.replace(".ko", &format!(".ko{end}")).into_bytes();
            }
        }
        fs.file(&path, content).unwrap();
    }
    let banner = format!("{RELEASE} (debian-kernel@lists.debian.org) #1 SMP");
    fs.file(&format!("/boot/vmlinuz-{RELEASE}"), kernel(&banner))
        .unwrap();
    fs.file(IMAGE, image.to_vec()).unwrap();
    fs
}

fn planned(fs: MemFs, options: &Options<'_>) -> Outcome {
    looked(fs, &Limits::default(), |look, boot| {
        plan(look, &boot.kernels[0], options)
    })
}

fn added(outcome: Outcome) -> Addition {
    match outcome {
        Outcome::Append(addition) => *addition,
        other => panic!("{other:?}"),
    }
}

/// What is put behind this image, by default.
fn addition(image: &[u8]) -> Addition {
    added(planned(guest(image, None), &Options::default()))
}

/// The root that an image of Debian unpacks to, without virtio and with its own indexes.
fn tree(more: &[(&str, &[u8])]) -> TempDir {
    let dir = files(&[
        ("scripts/functions", b"#!/bin/sh\n"),
        ("conf/initramfs.conf", b"MODULES=dep\n"),
        ("init", b"#!/bin/sh\n"),
    ]);
    let root = dir.path();
    std::fs::create_dir_all(root.join("usr/lib")).unwrap();
    std::os::unix::fs::symlink("usr/lib", root.join("lib")).unwrap();
    plant(root, RELEASE, sata());
    for (path, content) in more {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    dir
}

/// Unpacks the addition over what the image unpacked to, with the tools of distributions.
fn unpacked_over(tree: &TempDir, addition: &Addition) {
    let file = tree.path().with_extension("added");
    std::fs::write(&file, &addition.bytes).unwrap();
    let program = match addition.compression {
        Compression::Gzip => "gzip -dc",
        Compression::Lz4 => "lz4 -dcq",
        _ => "cat",
    };
    // `-u` replaces what is there, as the kernel does.
    let script = format!("cd \"$1\" && {program} < \"$2\" | cpio --quiet -idu");
    let args = [
        "-c",
        &script,
        "sh",
        tree.path().to_str().unwrap(),
        file.to_str().unwrap(),
    ];
    oracle::ok("sh", &args);
}

/// The modules that modprobe would load for `name`, in that order.
fn depends(root: &Path, name: &str) -> Vec<String> {
    let args = [
        "-d",
        root.to_str().unwrap(),
        "-S",
        RELEASE,
        "--show-depends",
        name,
    ];
    let said = oracle::ok("modprobe", &args);
    said.lines()
        .map(|l| l.trim().rsplit('/').next().unwrap().to_owned())
        .collect()
}

/// Whether everything that a virtio disk needs is there, by modprobe, and what was there before still is.
fn judged(root: &Path) {
    let link = std::fs::read_link(root.join("lib")).unwrap();
    assert_eq!(link, Path::new("usr/lib"), "the link has to stay one");
    assert_eq!(
        depends(root, "virtio_blk"),
        ["virtio.ko", "virtio_ring.ko", "virtio_blk.ko"]
    );
    assert_eq!(
        depends(root, "virtio_scsi").last().map(String::as_str),
        Some("virtio_scsi.ko")
    );
    assert_eq!(
        depends(root, "ahci"),
        ["scsi_mod.ko", "ahci.ko"],
        "what was there"
    );
    for (device, module) in [
        ("virtio:d00000002v00001AF4", "virtio_blk"),
        ("virtio:d00000008v00001AF4", "virtio_scsi"),
        ("pci:v00001AF4d00001042sv0sd0bc00sc00i00", "virtio_pci"),
        ("pci:v00008086d00002922sv0sd0bc01sc06i01", "ahci"),
    ] {
        let args = ["-d", root.to_str().unwrap(), "-S", RELEASE, "-R", device];
        assert_eq!(oracle::ok("modprobe", &args).trim(), module);
    }
    for path in below(root) {
        if path.extension().is_some_and(|e| e == "ko") {
            let name = path.file_name().unwrap();
            let own = DRIVERS
                .iter()
                .find(|m| Path::new(m.0).file_name() == Some(name))
                .unwrap();
            let source = MODULES.path().join(format!("lib/modules/{RELEASE}")).join(own.0);
            assert_eq!(
                std::fs::read(root.join(&path)).unwrap(),
                std::fs::read(source).unwrap()
            );
        }
    }
}

fn joined(image: &[u8], addition: &Addition) -> Vec<u8> {
    assert_eq!(addition.old_length, image.len() as u64);
    [image, &addition.bytes].concat()
}

#[test]
fn modules_are_added_whatever_the_image_is_packed_with() {
    for (program, args, compression) in PACKERS {
        let tree = tree(&[("conf/modules", b"dm_mod")]);
        let image = packed(program, args, &cpio(tree.path()));
        let addition = addition(&image);
        let expected = if compression == Compression::Lz4 {
            compression
        } else {
            Compression::Gzip
        };
        assert_eq!(addition.compression, expected, "{program}");
        let names: Vec<_> = addition.modules.iter().map(|m| m.name.as_str()).collect();
        assert_eq!(
            names,
            ["virtio", "virtio_ring", "virtio_pci", "virtio_blk", "virtio_scsi"]
        );
        assert!(
            addition
                .modules
                .iter()
                .all(|m| m.path.starts_with("usr/lib/modules/6.1.0"))
        );
        unpacked_over(&tree, &addition);
        judged(tree.path());
        let list = std::fs::read_to_string(tree.path().join("conf/modules")).unwrap();
        assert_eq!(list, "dm_mod\nvirtio_pci\nvirtio_blk\nvirtio_scsi\nsd_mod\n");

        let whole = joined(&image, &addition);
        let (read, errors) = Initramfs::read(&MemDisk::new(whole.clone()), "x", &Limits::default());
        assert!(
            errors.is_empty() && read.can_be_added_to(),
            "{program}: {errors:?}"
        );
        assert!(
            ["virtio_blk", "virtio_scsi", "virtio_pci", "ahci"]
                .iter()
                .all(|m| read.finds(m))
        );
        // Asked twice it leaves.
        assert_eq!(
            planned(guest(&whole, None), &Options::default()),
            Outcome::Capable,
            "{program}"
        );
    }
}

#[test]
fn the_same_is_planned_twice() {
    let image = cpio(tree(&[]).path());
    let (one, two) = (addition(&image), addition(&image));
    assert_eq!(one, two);
    let options = Options {
        mtime: 1,
        ..Options::default()
    };
    assert_ne!(added(planned(guest(&image, None), &options)).bytes, one.bytes);
}

#[test]
fn microcode_in_front_and_padding_behind_do_not_matter() {
    let early = files(&[
        ("kernel/x86/microcode/GenuineIntel.bin", b"microcode"),
        ("early_cpio", b"1"),
    ]);
    let tree = tree(&[]);
    let mut image = cpio(early.path());
    image.extend(packed("zstd", &["-q"], &cpio(tree.path())));
    image.resize(image.len().next_multiple_of(512), 0);
    let addition = addition(&image);
    unpacked_over(&tree, &addition);
    judged(tree.path());
    assert_eq!(
        planned(guest(&joined(&image, &addition), None), &Options::default()),
        Outcome::Capable
    );
}

#[test]
fn packed_modules_are_unpacked() {
    for (program, args, end) in [
        ("gzip", &["-n"][..], ".gz"),
        ("xz", &["--check=crc32"], ".xz"),
        ("zstd", &["-q"], ".zst"),
    ] {
        let tree = tree(&[]);
        let image = packed("gzip", &["-n"], &cpio(tree.path()));
        let addition = added(planned(
            guest(&image, Some((program, args, end))),
            &Options::default(),
        ));
        assert!(
            addition.modules[0].from.ends_with(&format!("virtio.ko{end}")),
            "{:?}",
            addition.modules[0]
        );
        unpacked_over(&tree, &addition);
        judged(tree.path());
    }
}

#[test]
fn a_kernel_that_unpacks_no_gzip_gets_a_plain_archive_where_it_looks_for_one() {
    let tree = tree(&[]);
    let mut image = packed("xz", &["--check=crc32"], &cpio(tree.path()));
    // Somewhere that is not aligned.
    image.resize(image.len().next_multiple_of(4) + 1, 0);
    let mut fs = guest(&image, None);
    fs.file(
        &format!("/boot/config-{RELEASE}"),
        "CONFIG_RD_XZ=y\n# CONFIG_RD_GZIP is not set\n",
    )
    .unwrap();
    let addition = added(planned(fs, &Options::default()));
    assert_eq!(addition.compression, Compression::None);
    assert!(addition.bytes.starts_with(b"\0\0\x000707"));
    let (read, errors) = Initramfs::read(&MemDisk::new(joined(&image, &addition)), "x", &Limits::default());
    assert!(errors.is_empty() && read.finds("virtio_blk"), "{errors:?}");
}

#[test]
fn an_image_with_one_form_of_index_alone_keeps_to_it() {
    for (gone, text) in [("", ".bin"), (".bin", "")] {
        let tree = tree(&[]);
        let dir = tree.path().join(format!("usr/lib/modules/{RELEASE}"));
        for name in ["modules.dep", "modules.alias"] {
            std::fs::remove_file(dir.join(format!("{name}{gone}"))).unwrap();
        }
        let image = cpio(tree.path());
        let addition = addition(&image);
        let paths: Vec<_> = addition.files.iter().map(|f| f.path.as_str()).collect();
        // What kmod reads is always there afterwards; a text only where one was, or nothing.
        assert!(paths.iter().any(|p| p.ends_with("modules.dep.bin")));
        assert_eq!(paths.iter().any(|p| p.ends_with("modules.dep")), text.is_empty());
        unpacked_over(&tree, &addition);
        judged(tree.path());
        assert_eq!(
            planned(guest(&joined(&image, &addition), None), &Options::default()),
            Outcome::Capable
        );
    }
}

#[test]
fn each_generator_is_told_what_to_load() {
    let same = |path: &str, text: &str| (path.to_owned(), text.to_owned());
    let names = "virtio_pci virtio_blk virtio_scsi sd_mod";
    let cases = [
        (
            &[("usr/lib/dracut/hooks/cmdline/x.sh", &b"x"[..])][..],
            "usr/lib/systemd/systemd",
            vec![
                same(
                    "etc/cmdline.d/99-hyper2kvm.conf",
                    &format!("rd.driver.pre={}\n", names.replace(' ', ",")),
                ),
                same(
                    "etc/modules-load.d/99-hyper2kvm.conf",
                    &format!("{}\n", names.replace(' ', "\n")),
                ),
            ],
        ),
        (
            &[
                ("init_functions", b"x"),
                ("config", b"MODULES=\"ext4\"\nHOOKS=\"udev\""),
            ],
            "bin/busybox",
            vec![same(
                "config",
                &format!("MODULES=\"ext4\"\nHOOKS=\"udev\"\nMODULES=\"$MODULES {names}\"\n"),
            )],
        ),
        (&[("sbin/nlplug-findfs", b"x")], "bin/busybox", vec![]),
    ];
    for (marks, init, expected) in cases {
        let tree = tree(marks);
        for file in ["scripts/functions", "conf/initramfs.conf", "init"] {
            std::fs::remove_file(tree.path().join(file)).unwrap();
        }
        std::os::unix::fs::symlink(init, tree.path().join("init")).unwrap();
        let image = packed("gzip", &["-n"], &cpio(tree.path()));
        let addition = addition(&image);
        let others = addition.files.iter().filter(|f| !f.path.contains("/modules."));
        let others: Vec<_> = others.map(|f| f.path.clone()).collect();
        assert_eq!(others, expected.iter().map(|e| e.0.clone()).collect::<Vec<_>>());
        unpacked_over(&tree, &addition);
        judged(tree.path());
        for (path, text) in expected {
            assert_eq!(std::fs::read_to_string(tree.path().join(path)).unwrap(), text);
        }
        assert_eq!(
            planned(guest(&joined(&image, &addition), None), &Options::default()),
            Outcome::Capable
        );
    }
}

#[test]
fn the_script_of_nash_loads_modules_before_it_makes_the_root() {
    let init = "#!/bin/nash\nmkblkdevs\necho Loading mptspi.ko\ninsmod /lib/mptspi.ko\nmkrootdev -t ext3 /dev/sda2\ninsmod /lib/late.ko\n";
    let tree = files(&[
        ("init", init.as_bytes()),
        ("lib/mptspi.ko", b"x"),
        ("lib/scsi_mod.ko", b"x"),
    ]);
    let image = packed("gzip", &["-n"], &cpio(tree.path()));
    let addition = addition(&image);
    unpacked_over(&tree, &addition);
    let script = std::fs::read_to_string(tree.path().join("init")).unwrap();
    let lines: Vec<_> = script.lines().skip(3).take(8).collect();
    assert_eq!(
        lines,
        [
            "insmod /lib/mptspi.ko",
            "insmod /lib/virtio.ko",
            "insmod /lib/virtio_ring.ko",
            "insmod /lib/virtio_pci.ko",
            "insmod /lib/virtio_blk.ko",
            "insmod /lib/virtio_scsi.ko",
            "insmod /lib/sd_mod.ko",
            "mkrootdev -t ext3 /dev/sda2",
        ]
    );
    assert!(tree.path().join("lib/virtio_blk.ko").exists());
    assert_eq!(
        planned(guest(&joined(&image, &addition), None), &Options::default()),
        Outcome::Capable
    );
}

#[test]
fn what_belongs_to_the_old_machine_gets_another_content() {
    let tree = tree(&[
        (
            "etc/modprobe.d/hard.conf",
            b"# kept\nblacklist floppy\ninstall virtio-blk /bin/false\nblacklist virtio_ring",
        ),
        ("conf/conf.d/resume", b"RESUME=/dev/sda5\n"),
        (
            "cryptroot/crypttab",
            b"# t\nsda3_crypt  /dev/sda3 none luks\nother UUID=1 none\nlost /dev/sdb1 none\n",
        ),
        (
            "etc/cmdline.d/95root.conf",
            b"root=/dev/sda1 rd.lvm.lv=vg/root resume=/dev/sda5\n",
        ),
        (
            "usr/lib/dracut/hooks/initqueue/finished/devexists-\\x2fdev\\x2fsda2.sh",
            b"[ -e /dev/sda2 ]\n",
        ),
        (
            "usr/lib/dracut/hooks/initqueue/finished/devexists-\\x2fdev\\x2fdisk\\x2fby-uuid\\x2f1-2.sh",
            b"[ -e x ]\n",
        ),
        ("etc/systemd/system/initrd.target.wants/dev-sda2.device", b""),
        ("etc/systemd/system/initrd.target.requires/dev-sdb2.device", b""),
        (
            "etc/lvm/devices/system.devices",
            b"# LVM\nIDTYPE=sys_wwid IDNAME=naa.6 DEVNAME=/dev/sda2 PVID=x\n",
        ),
        ("etc/lvm/lvmlocal.conf", b"local/x=1"),
    ]);
    let stable = |device: &str| {
        let known = [("/dev/sda1", "UUID=aa"), ("/dev/sda3", "UUID=cc")];
        known.iter().find(|k| k.0 == device).map(|k| k.1.to_owned())
    };
    let options = Options {
        stable: &stable,
        ..Options::default()
    };
    let image = cpio(tree.path());
    let addition = added(planned(guest(&image, None), &options));
    unpacked_over(&tree, &addition);
    for (path, text) in [
        (
            "etc/modprobe.d/hard.conf",
            "# kept\nblacklist floppy\n# not on KVM: install virtio-blk /bin/false\n# not on KVM: blacklist virtio_ring",
        ),
        ("conf/conf.d/resume", "RESUME=none\n"),
        (
            "cryptroot/crypttab",
            "# t\nsda3_crypt  UUID=cc none luks\nother UUID=1 none\nlost /dev/sdb1 none\n",
        ),
        ("etc/cmdline.d/95root.conf", "root=UUID=aa rd.lvm.lv=vg/root \n"),
        (
            "usr/lib/dracut/hooks/initqueue/finished/devexists-\\x2fdev\\x2fsda2.sh",
            "true\n",
        ),
        (
            "usr/lib/dracut/hooks/initqueue/finished/devexists-\\x2fdev\\x2fdisk\\x2fby-uuid\\x2f1-2.sh",
            "[ -e x ]\n",
        ),
        (
            "etc/systemd/system/dev-sda2.device.d/zz-hyper2kvm.conf",
            "[Unit]\nJobTimeoutSec=1\nJobRunningTimeoutSec=1\n",
        ),
        (
            "etc/lvm/lvmlocal.conf",
            "local/x=1\ndevices/use_devicesfile = 0\n",
        ),
    ] {
        assert_eq!(
            std::fs::read_to_string(tree.path().join(path)).unwrap(),
            text,
            "{path}"
        );
        let told = addition.files.iter().any(|f| f.path == path);
        assert_eq!(told, !text.starts_with("[ -e"), "{path}");
    }
    let left: Vec<_> = addition.left.iter().map(|l| l.what.as_str()).collect();
    assert_eq!(
        left,
        [
            format!("{IMAGE}:cryptroot/crypttab: lost /dev/sdb1 none"),
            format!("{IMAGE}:etc/systemd/system/initrd.target.requires/dev-sdb2.device: /dev/sdb2"),
        ]
    );
    let whole = joined(&image, &addition);
    assert_eq!(planned(guest(&whole, None), &options), Outcome::Capable);
}

#[test]
fn what_blocks_a_module_that_is_there_is_lifted_alone() {
    let tree = tree(&[("etc/modprobe.d/x.conf", b"blacklist virtio_scsi\n")]);
    plant(tree.path(), RELEASE, &DRIVERS);
    let addition = addition(&cpio(tree.path()));
    assert!(addition.modules.is_empty());
    let paths: Vec<_> = addition.files.iter().map(|f| f.path.as_str()).collect();
    assert_eq!(paths, ["etc/modprobe.d/x.conf"]);
}

#[test]
fn a_root_on_the_network_gets_the_driver_and_the_names() {
    let image = cpio(tree(&[]).path());
    let link = [("etc/systemd/network/10-a.link".to_owned(), b"[Match]\n".to_vec())];
    for (command_line, network) in [("root=UUID=1 ro", false), ("root=/dev/nfs ip=dhcp", true)] {
        let options = Options {
            command_line,
            network_files: &link,
            ..Options::default()
        };
        let addition = added(planned(guest(&image, None), &options));
        assert_eq!(addition.modules.iter().any(|m| m.name == "virtio_net"), network);
        assert_eq!(addition.files.iter().any(|f| f.path == link[0].0), network);
    }
}

#[test]
fn what_the_kernel_is_told_not_to_load_is_reported() {
    let image = cpio(tree(&[]).path());
    let options = Options {
        command_line: "ro modprobe.blacklist=virtio_blk",
        ..Options::default()
    };
    let addition = added(planned(guest(&image, None), &options));
    assert_eq!(
        addition.left[0].what,
        "the command line of the kernel: virtio_blk"
    );
}

#[test]
fn an_image_that_has_all_stays_as_it_is() {
    let full = tree(&[]);
    plant(full.path(), RELEASE, &DRIVERS);
    let image = packed("zstd", &["-q"], &cpio(full.path()));
    assert_eq!(
        planned(guest(&image, None), &Options::default()),
        Outcome::Capable
    );
    // Built in: not even an initramfs is needed.
    let mut fs = guest(&cpio(tree(&[]).path()), None);
    let builtin: String = DRIVERS.iter().map(|m| format!("{}\n", m.0)).collect();
    fs.file(&format!("/usr/lib/modules/{RELEASE}/modules.builtin"), builtin)
        .unwrap();
    assert_eq!(planned(fs, &Options::default()), Outcome::Capable);
    // A kernel that has one of the buses only is asked for no more.
    let one = Options {
        buses: &[Bus::Sata],
        ..Options::default()
    };
    assert_eq!(
        planned(guest(&cpio(tree(&[]).path()), None), &one),
        Outcome::Capable
    );
}

#[test]
fn what_cannot_be_helped_is_refused_by_name() {
    let plain = tree(&[]);
    let image = cpio(plain.path());
    let refused = |image: &[u8]| match planned(guest(image, None), &Options::default()) {
        Outcome::Cannot(refusal) => refusal,
        other => panic!("{other:?}"),
    };
    let bare = |marks: &[(&str, &[u8])]| {
        let dir = tree(marks);
        std::fs::remove_dir_all(dir.path().join("scripts")).unwrap();
        std::fs::remove_dir_all(dir.path().join("conf")).unwrap();
        cpio(dir.path())
    };
    assert_eq!(refused(&bare(&[])), Refusal::UnknownGenerator);
    assert_eq!(
        refused(&bare(&[("etc/booster.init.yaml", b"x")])),
        Refusal::Generator(Generator::Booster)
    );
    assert_eq!(
        refused(&bare(&[("squashfs-root.img", b"x")])),
        Refusal::NestedRoot
    );
    let says = |image: &[u8], words: &str| {
        let refusal = refused(image);
        assert!(matches!(refusal, Refusal::Image(_)), "{refusal:?}");
        assert!(refusal.to_string().contains(words), "{refusal}");
    };
    says(&packed("bzip2", &[], &image), "bzip2");
    let mut padded = packed("lz4", &["-l"], &image);
    padded.extend([0; 3]);
    says(&padded, "3 bytes of padding behind lz4");
    let mut cut = packed("zstd", &["-q"], &image);
    cut.truncate(cut.len() / 2);
    says(&cut, "damaged");
    let end = image.windows(10).rposition(|w| w == b"TRAILER!!!").unwrap() - 110;
    says(&image[..end], "does not end");
    let dir = files(&[("scripts/functions", b"x"), ("lib/modules/5.10.0/a.ko", b"x")]);
    assert_eq!(
        refused(&cpio(dir.path())),
        Refusal::OtherRelease(vec!["5.10.0".to_owned()])
    );

    let without = |path: &str| {
        let mut fs = MemFs::new();
        fs.file(
            &format!("/boot/vmlinuz-{RELEASE}"),
            kernel(&format!("{RELEASE} x")),
        )
        .unwrap();
        if path != IMAGE {
            fs.file(IMAGE, image.clone()).unwrap();
            return fs;
        }
        for file in below(MODULES.path()) {
            let content = std::fs::read(MODULES.path().join(&file)).unwrap();
            fs.file(&format!("/usr/{}", file.display()), content).unwrap();
        }
        fs
    };
    assert_eq!(
        planned(without(IMAGE), &Options::default()),
        Outcome::Cannot(Refusal::NoImage)
    );
    let lacking = planned(without("modules"), &Options::default());
    assert!(
        matches!(lacking, Outcome::Cannot(Refusal::NotInKernel(_))),
        "{lacking:?}"
    );
}

#[test]
fn the_doors_seeds_are_added_to() {
    // Otherwise mutations of them would test refusals alone.
    for bytes in [crate::damage::archive(), vec![0xb0, 7]] {
        assert!(crate::door::planned(&bytes), "{bytes:?}");
    }
}
