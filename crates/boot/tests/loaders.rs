//! Boot loaders as distributions set them up.

use crate::common::{boot, boot_of, kernel};
use h2k_boot::{Boot, LoaderKind};
use h2k_fs::MemFs;

/// As `grub-mkconfig` of Debian 12 writes it, shortened to what decides.
const DEBIAN: &[u8] = br#"
set have_grubenv=""
if [ -s $prefix/grubenv ]; then
  set have_grubenv=true
  load_env
fi
if [ "${next_entry}" ] ; then
   set default="${next_entry}"
   set next_entry=
   save_env next_entry
   set boot_once=true
else
   set default="0"
fi

if [ x"${feature_menuentry_id}" = xy ]; then
  menuentry_id_option="--id"
else
  menuentry_id_option=""
fi
export menuentry_id_option

function savedefault {
  if [ -z "${boot_once}" ]; then
    saved_entry="${chosen}"
    save_env saved_entry
  fi
}
if [ x$feature_timeout_style = xy ] ; then
  set timeout_style=menu
  set timeout=5
else
  set timeout=6
fi
function gfxmode {
	set gfxpayload="${1}"
}
menuentry 'Debian GNU/Linux' --class debian --class gnu-linux $menuentry_id_option 'gnulinux-simple-11' {
	load_video
	insmod gzio
	if [ x$grub_platform = xxen ]; then insmod xzio; insmod lzopio; fi
	set root='hd0,msdos1'
	if [ x$feature_platform_search_hint = xy ]; then
	  search --no-floppy --fs-uuid --set=root --hint-bios=hd0,msdos1 11-22
	else
	  search --no-floppy --fs-uuid --set=root 33-44
	fi
	echo	'Loading Linux 6.1.0-18-amd64 ...'
	linux	/boot/vmlinuz-6.1.0-18-amd64 root=/dev/sda1 ro  quiet
	initrd	/boot/initrd.img-6.1.0-18-amd64
}
submenu 'Advanced options for Debian GNU/Linux' $menuentry_id_option 'gnulinux-advanced-11' {
	menuentry 'Debian GNU/Linux, with Linux 6.1.0-18-amd64' --class debian $menuentry_id_option 'gnulinux-6.1.0-18-amd64-advanced-11' {
		linux	/boot/vmlinuz-6.1.0-18-amd64 root=/dev/sda1 ro  quiet
		initrd	/boot/initrd.img-6.1.0-18-amd64
	}
	menuentry 'Debian GNU/Linux, with Linux 6.1.0-9-amd64 (recovery mode)' --class debian $menuentry_id_option 'gnulinux-6.1.0-9-amd64-recovery-11' {
		linux	/boot/vmlinuz-6.1.0-9-amd64 root=/dev/sda1 ro single
		initrd	/boot/initrd.img-6.1.0-9-amd64
	}
}
"#;

fn debian(grub: &[u8], env: &[u8]) -> Boot {
    let mut fs = MemFs::new();
    for release in ["6.1.0-18-amd64", "6.1.0-9-amd64"] {
        let image = kernel(&format!("{release} (debian-kernel@lists) #1 SMP"));
        fs.file(&format!("/boot/vmlinuz-{release}"), image).unwrap();
        fs.file(&format!("/boot/initrd.img-{release}"), crate::damage::archive())
            .unwrap();
        fs.file(
            &format!("/lib/modules/{release}/modules.dep"),
            "kernel/virtio_blk.ko:\n",
        )
        .unwrap();
    }
    fs.file("/boot/grub/grub.cfg", grub).unwrap();
    fs.file("/boot/grub/grubenv", env).unwrap();
    let (boot, unread) = boot_of(fs);
    assert!(unread.is_empty(), "{unread:?}");
    boot
}

fn block(lines: &str) -> Vec<u8> {
    let mut bytes = format!("# GRUB Environment Block\n{lines}").into_bytes();
    bytes.resize(1024, b'#');
    bytes
}

#[test]
fn debian_starts_the_first_entry_and_the_kernel_it_names() {
    let boot = debian(DEBIAN, &block(""));
    assert_eq!(boot.loaders[0].kind, LoaderKind::Grub);
    assert_eq!(
        boot.loaders[0].default.as_ref().unwrap().source.as_str(),
        "/boot/grub/grub.cfg:13"
    );
    assert_eq!(boot.loaders[0].timeout.as_ref().unwrap().value, "5");
    assert_eq!(boot.entries.len(), 3);
    let entry = boot.default_entry().unwrap();
    assert_eq!(entry.title, "Debian GNU/Linux");
    assert_eq!(entry.id.as_deref(), Some("gnulinux-simple-11"));
    assert_eq!(entry.command_line.as_deref(), Some("root=/dev/sda1 ro quiet"));
    assert_eq!(entry.parameter("root"), Some("/dev/sda1"));
    assert_eq!(entry.search.as_deref(), Some("11-22"));
    assert_eq!(entry.device.as_deref(), Some("hd0,msdos1"));
    assert_eq!(entry.source.as_str(), "/boot/grub/grub.cfg:38");
    assert_eq!(boot.entries[1].menus, ["Advanced options for Debian GNU/Linux"]);
    assert!(boot.entries[2].rescue && !boot.entries[1].rescue);
    let releases: Vec<_> = boot.kernels.iter().map(|k| (k.name(), k.default)).collect();
    assert_eq!(releases, [("6.1.0-18-amd64", true), ("6.1.0-9-amd64", false)]);
    assert_eq!(
        boot.kernels[0].initramfs[0].path,
        "/boot/initrd.img-6.1.0-18-amd64"
    );
}

#[test]
fn the_environment_block_leads_into_menus_by_identifier_title_and_number() {
    let script = String::from_utf8(DEBIAN.to_vec()).unwrap();
    let saved = script.replace("set default=\"0\"", "set default=\"${saved_entry}\"");
    for wanted in [
        "gnulinux-advanced-11>gnulinux-6.1.0-9-amd64-recovery-11",
        "1>1",
        "Advanced options for Debian GNU/Linux>Debian GNU/Linux, with Linux 6.1.0-9-amd64 (recovery mode)",
    ] {
        let boot = debian(saved.as_bytes(), &block(&format!("saved_entry={wanted}\n")));
        let default = boot.loaders[0].default.as_ref().unwrap();
        assert_eq!(
            (default.value.as_str(), default.source.as_str()),
            (wanted, "/boot/grub/grubenv:2")
        );
        assert_eq!(
            boot.default_entry().unwrap().kernel_path.as_deref(),
            Some("/boot/vmlinuz-6.1.0-9-amd64")
        );
        assert_eq!(boot.kernels[0].name(), "6.1.0-9-amd64");
    }
    // What is chosen for the next time alone comes first.
    let boot = debian(saved.as_bytes(), &block("saved_entry=0\nnext_entry=1>1\n"));
    assert_eq!(boot.kernels[0].name(), "6.1.0-9-amd64");
    // What is not there any more: the first one.
    let boot = debian(saved.as_bytes(), &block("saved_entry=gone\n"));
    assert_eq!(boot.default_entry().unwrap().title, "Debian GNU/Linux");
}

#[test]
fn entries_of_fedora_come_from_files_with_the_newest_first() {
    let entry = |release: &str| {
        format!(
            "title Fedora Linux ({release}) 39\nversion {release}\nlinux /boot/vmlinuz-{release}\n\
             initrd /boot/initramfs-{release}.img $tuned_initrd\noptions $kernelopts $tuned_params\n"
        )
    };
    let machine = "0123456789abcdef0123456789abcdef";
    let (new, old) = ("6.10.3-200.fc39.x86_64", "6.9.12-200.fc39.x86_64");
    let boot = boot(&[
        (&format!("/boot/loader/entries/{machine}-{new}.conf"), entry(new).as_bytes()),
        (&format!("/boot/loader/entries/{machine}-{old}.conf"), entry(old).as_bytes()),
        (&format!("/boot/loader/entries/{machine}-0-rescue.conf"), b"title Fedora (0-rescue)\nlinux /boot/vmlinuz-0-rescue-1\n"),
        (&format!("/boot/vmlinuz-{new}"), &kernel(new)),
        (&format!("/boot/vmlinuz-{old}"), &kernel(old)),
        ("/boot/vmlinuz-0-rescue-1", &kernel(old)),
        ("/boot/grub2/grub.cfg", b"load_env -f ${config_directory}/grubenv\nset default=\"${saved_entry}\"\ninsmod blscfg\nblscfg\n"),
        ("/boot/grub2/grubenv", &block("kernelopts=root=UUID=1-2 ro rhgb\nsaved_entry=\n")),
    ]);
    let titles: Vec<_> = boot.entries.iter().map(|e| e.id.as_deref().unwrap()).collect();
    assert!(titles[0].contains("6.10.3") && titles[1].contains("6.9.12") && titles[2].contains("rescue"));
    let first = boot.default_entry().unwrap();
    assert_eq!(first.command_line.as_deref(), Some("root=UUID=1-2 ro rhgb"));
    assert_eq!(first.initramfs, [format!("/boot/initramfs-{new}.img")]);
    assert_eq!(boot.kernels[0].name(), new);
    assert!(boot.kernels.last().unwrap().rescue);
}

#[test]
fn grub_of_old_syslinux_and_lilo_are_read() {
    let release = "2.6.32-754.el6.x86_64";
    let old = boot(&[
        ("/boot/grub/grub.conf", b"default=1\ntimeout=5\ntitle other\n\troot (hd0,0)\n\tkernel /gone\ntitle CentOS\n\troot (hd0,0)\n\tkernel /vmlinuz-2.6.32-754.el6.x86_64 ro root=/dev/sda2\n\tinitrd /initramfs-2.6.32-754.el6.x86_64.img\n"),
        ("/boot/vmlinuz-2.6.32-754.el6.x86_64", &kernel(release)),
    ]);
    let entry = old.default_entry().unwrap();
    assert_eq!(
        (entry.loader, entry.title.as_str()),
        (LoaderKind::GrubLegacy, "CentOS")
    );
    assert_eq!(
        entry.kernel_path.as_deref(),
        Some("/boot/vmlinuz-2.6.32-754.el6.x86_64")
    );
    assert_eq!(entry.device.as_deref(), Some("hd0,0"));

    let alpine = boot(&[
        ("/boot/extlinux.conf", b"DEFAULT menu.c32\nTIMEOUT 10\nLABEL lts\n  MENU DEFAULT\n  MENU LABEL Linux lts\n  LINUX vmlinuz-lts\n  INITRD initramfs-lts\n  APPEND root=UUID=9 modules=sd-mod,ext4\n"),
        ("/boot/vmlinuz-lts", &kernel("6.6.8-0-lts")),
        ("/boot/initramfs-lts", &crate::damage::archive()),
    ]);
    let entry = alpine.default_entry().unwrap();
    assert_eq!(
        (entry.title.as_str(), entry.id.as_deref()),
        ("Linux lts", Some("lts"))
    );
    assert_eq!(entry.initramfs_paths, ["/boot/initramfs-lts"]);
    assert_eq!(alpine.kernels[0].name(), "6.6.8-0-lts");

    let lilo = boot(&[(
        "/etc/lilo.conf",
        b"default=Linux\nimage=/boot/vmlinuz\n label=Linux\n root=/dev/hda1\n append=\"quiet\"\n",
    )]);
    assert_eq!(
        lilo.default_entry().unwrap().command_line.as_deref(),
        Some("root=/dev/hda1 quiet")
    );
}
