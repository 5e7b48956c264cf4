//! Guests with one thing wrong each, and what the doctor says.

use crate::boot_files::{cpio, files, kernel, packed};
use crate::common::rig;
use crate::hives::hive;
use crate::windows_text::{self, APPLICATIONS, SETTINGS, system};
use h2k_block::{Limits, MemDisk};
use h2k_boot::Bus;
use h2k_fs::MemFs;
use h2k_guest::{Device, Guest};
use h2k_inspect::{Diagnosis, Level, SystemDiagnosis, Verdict, diagnose};
use h2k_testkit::oracle;
use h2k_volume::{Disk, scan};
use std::sync::Arc;

const RELEASE: &str = "6.1.0-18-amd64";
const UUID: &str = "0fc63daf-8483-4772-8e79-3d69d8477de4";

const DEP: &str = "kernel/virtio.ko:
kernel/virtio_pci.ko: kernel/virtio.ko
kernel/virtio_blk.ko: kernel/virtio.ko
kernel/virtio_scsi.ko: kernel/virtio.ko kernel/scsi_mod.ko
kernel/scsi_mod.ko:
kernel/sd_mod.ko: kernel/scsi_mod.ko
kernel/ahci.ko: kernel/scsi_mod.ko
";

/// A guest on a disk with boot code, an old table and one partition of ext4.
struct Made {
    root: &'static str,
    fstab: String,
    modules: &'static [&'static str],
    parameters: &'static str,
    conf: &'static str,
    kernel: bool,
    code: bool,
}

impl Default for Made {
    fn default() -> Self {
        Self {
            root: "UUID=0fc63daf-8483-4772-8e79-3d69d8477de4",
            fstab: format!("UUID={UUID} / ext4 defaults 0 1\n"),
            modules: &["virtio", "virtio_pci", "virtio_blk", "scsi_mod", "sd_mod", "ahci"],
            parameters: "",
            conf: "",
            kernel: true,
            code: true,
        }
    }
}

impl Made {
    fn diagnose(&self) -> SystemDiagnosis {
        let image = {
            let dir = files(&[
                ("scripts/functions", b"x"),
                ("etc/modprobe.d/x.conf", self.conf.as_bytes()),
            ]);
            let base = dir.path().join(format!("lib/modules/{RELEASE}"));
            std::fs::create_dir_all(base.join("kernel")).unwrap();
            std::fs::write(base.join("modules.dep"), DEP).unwrap();
            for module in self.modules {
                std::fs::write(base.join(format!("kernel/{module}.ko")), "elf").unwrap();
            }
            packed("zstd", &["-q"], &cpio(dir.path()))
        };
        let config = format!(
            "set default=0\nmenuentry Linux {{\n linux /boot/vmlinuz-{RELEASE} root={} ro {}\n initrd /boot/initrd.img-{RELEASE}\n}}\n",
            self.root, self.parameters
        );
        let dir = files(&[
            (
                "etc/os-release",
                b"ID=debian\nVERSION_ID=12\nPRETTY_NAME=Debian\n",
            ),
            ("etc/fstab", self.fstab.as_bytes()),
            ("bin/sh", b"x"),
            ("boot/grub/grub.cfg", config.as_bytes()),
            (&format!("boot/initrd.img-{RELEASE}"), &image),
            (&format!("lib/modules/{RELEASE}/modules.dep"), DEP.as_bytes()),
        ]);
        if self.kernel {
            std::fs::write(
                dir.path().join(format!("boot/vmlinuz-{RELEASE}")),
                kernel(RELEASE),
            )
            .unwrap();
        }
        let base = dir.path().join(format!("lib/modules/{RELEASE}/kernel"));
        std::fs::create_dir_all(&base).unwrap();
        for line in DEP.lines() {
            let path = line.split(':').next().unwrap().strip_prefix("kernel/").unwrap();
            std::fs::write(base.join(path), "elf").unwrap();
        }
        let disk = dir.path().with_extension("img");
        std::fs::File::create(&disk).unwrap().set_len(24 << 20).unwrap();
        oracle::ok(
            "mkfs.ext4",
            &[
                "-q",
                "-U",
                UUID,
                "-E",
                "offset=1048576",
                "-d",
                dir.path().to_str().unwrap(),
                disk.to_str().unwrap(),
                "22M",
            ],
        );
        let mut bytes = std::fs::read(&disk).unwrap();
        std::fs::remove_file(&disk).unwrap();
        bytes[0x1c2] = 0x83;
        bytes[0x1c6..0x1ca].copy_from_slice(&2048_u32.to_le_bytes());
        bytes[0x1ca..0x1ce].copy_from_slice(&45056_u32.to_le_bytes());
        bytes[510..512].copy_from_slice(&[0x55, 0xaa]);
        if self.code {
            bytes[0x180..0x185].copy_from_slice(b"GRUB ");
        }
        let volumes = scan(&[Disk::new(0, Arc::new(MemDisk::new(bytes)))], &Limits::default()).unwrap();
        only(&Guest::new(&volumes, &Limits::default()))
    }
}

fn all(guest: &Guest) -> Diagnosis {
    let trees = guest.assemble_all();
    assert!(trees.failed.is_empty());
    diagnose(guest, &trees, &Limits::default())
}

pub fn only(guest: &Guest) -> SystemDiagnosis {
    let mut all = all(guest);
    assert_eq!(all.systems.len(), 1);
    all.systems.remove(0)
}

/// What stops the guest on that bus, by the names of the checks.
fn stops(of: &SystemDiagnosis, bus: Bus) -> Vec<&str> {
    let here = of
        .findings
        .iter()
        .filter(|f| f.level == Level::Stop && f.bus.is_none_or(|b| b == bus));
    here.map(|f| f.check.as_str()).collect()
}

#[test]
fn a_guest_with_virtio_in_its_initramfs_and_stable_names_boots() {
    let made = Made::default().diagnose();
    assert_eq!(made.verdict, Verdict::Boots, "{:#?}", made.findings);
    assert_eq!(made.buses, [Bus::VirtioBlk, Bus::Sata]);
    assert_eq!(made.kernel.as_deref(), Some(RELEASE));
    assert_eq!(stops(&made, Bus::VirtioScsi), ["disk-driver"]);
    let driver = made
        .findings
        .iter()
        .find(|f| f.bus == Some(Bus::VirtioScsi))
        .unwrap();
    assert!(
        driver.why.starts_with("virtio_scsi: among the modules"),
        "{}",
        driver.why
    );
}

#[test]
fn a_guest_that_has_only_the_drivers_of_its_old_bus_boots_there() {
    let modules = &["scsi_mod", "sd_mod", "ahci"];
    let made = Made {
        modules,
        ..Made::default()
    }
    .diagnose();
    assert_eq!(
        (made.verdict, made.buses.as_slice()),
        (Verdict::BootsEmulated, &[Bus::Sata][..])
    );
    assert_eq!(stops(&made, Bus::VirtioBlk), ["disk-driver"]);
}

#[test]
fn names_of_disks_are_lost_where_disks_are_called_otherwise() {
    let fstab =
        "/dev/sda1 / ext4 defaults 0 1\n/dev/sda1 /srv ext4 defaults 0 2\n/dev/sda9 none swap sw 0 0\n";
    let made = Made {
        root: "/dev/sda1",
        fstab: fstab.to_owned(),
        ..Made::default()
    }
    .diagnose();
    assert_eq!(made.buses, [Bus::Sata]);
    assert_eq!(stops(&made, Bus::VirtioBlk), ["root", "fstab"]);
    assert!(stops(&made, Bus::Sata).is_empty());
}

#[test]
fn modules_that_are_kept_from_being_loaded_are_as_good_as_missing() {
    let conf = Made {
        conf: "install virtio_blk /bin/false\n",
        ..Made::default()
    }
    .diagnose();
    let told = Made {
        parameters: "module_blacklist=virtio_pci",
        ..Made::default()
    }
    .diagnose();
    for made in [conf, told] {
        assert_eq!(made.verdict, Verdict::BootsEmulated);
        let driver = made
            .findings
            .iter()
            .find(|f| f.bus == Some(Bus::VirtioBlk))
            .unwrap();
        assert!(driver.why.contains("kept from being loaded"), "{}", driver.why);
    }
}

#[test]
fn what_fstab_waits_for_and_is_not_there_stops_the_boot_unless_it_need_not_be() {
    let fstab =
        |options: &str| format!("UUID={UUID} / ext4 defaults 0 1\nUUID=11-22 /data xfs {options} 0 0\n");
    let made = Made {
        fstab: fstab("defaults"),
        ..Made::default()
    }
    .diagnose();
    assert_eq!(
        (made.verdict, stops(&made, Bus::Sata)),
        (Verdict::WillNotBoot, vec!["fstab"])
    );
    let finding = made.findings.iter().find(|f| f.check == "fstab").unwrap();
    assert_eq!(finding.evidence[0].as_str(), "/etc/fstab:2");
    let made = Made {
        fstab: fstab("nofail"),
        ..Made::default()
    }
    .diagnose();
    assert_eq!(made.verdict, Verdict::Boots);
}

#[test]
fn a_root_that_is_nowhere_a_missing_kernel_and_missing_boot_code_stop_the_boot() {
    let root = Made {
        root: "UUID=99-99",
        ..Made::default()
    }
    .diagnose();
    assert_eq!(
        (root.verdict, stops(&root, Bus::VirtioBlk)),
        (Verdict::WillNotBoot, vec!["root"])
    );
    let kernel = Made {
        kernel: false,
        ..Made::default()
    }
    .diagnose();
    assert_eq!(kernel.verdict, Verdict::WillNotBoot);
    assert_eq!(stops(&kernel, Bus::VirtioBlk), ["boot-loader", "kernel"]);
    let code = Made {
        code: false,
        ..Made::default()
    }
    .diagnose();
    assert_eq!(
        (code.verdict, stops(&code, Bus::VirtioBlk)),
        (Verdict::WillNotBoot, vec!["firmware"])
    );
}

/// The registry of a Windows with these services.
fn windows(services: &str, database: &str) -> SystemDiagnosis {
    let text = format!("[X\\Select]\n\"Current\"=dword:00000001\n{services}{database}");
    let mut fs = MemFs::new();
    fs.file("/Windows/System32/config/SYSTEM", hive(&text)).unwrap();
    fs.file("/Windows/System32/config/SOFTWARE", hive("[X\\Microsoft]\n"))
        .unwrap();
    for driver in ["viostor", "storahci"] {
        fs.file(&format!("/Windows/System32/drivers/{driver}.sys"), "MZ")
            .unwrap();
    }
    fs.file("/Windows/System32/ntoskrnl.exe", "MZ").unwrap();
    fs.file("/Windows/System32/cmd.exe", "MZ").unwrap();
    only(&Guest::of(
        vec![Device::with_fs("/dev/sda1", fs)],
        &Limits::default(),
    ))
}

fn service(name: &str, start: u32) -> String {
    format!(
        "[X\\ControlSet001\\Services\\{name}]\n\"Start\"=dword:{start:08x}\n\
         \"ImagePath\"=\"\\\\SystemRoot\\\\System32\\\\drivers\\\\{name}.sys\"\n"
    )
}

#[test]
fn windows_boots_where_a_driver_starts_with_the_kernel_and_knows_the_device() {
    let database = "[X\\DriverDatabase\\DeviceIds\\PCI\\VEN_1AF4&DEV_1001&SUBSYS_00021AF4&REV_00]\n\"oem1.inf\"=hex:01,ff,00,00\n";
    let both = service("viostor", 0) + &service("storahci", 0);
    assert_eq!(windows(&both, database).buses, [Bus::VirtioBlk, Bus::Sata]);
    // The driver is there, and no device is bound to it.
    assert_eq!(windows(&both, "").buses, [Bus::Sata]);
    // Started on demand: too late.
    assert_eq!(windows(&service("viostor", 3), database).buses, []);
    let over = both.clone() + "[X\\ControlSet001\\Services\\viostor\\StartOverride]\n\"0\"=dword:00000003\n";
    let over = windows(&over, database);
    assert_eq!(over.buses, [Bus::Sata]);
    let driver = over
        .findings
        .iter()
        .find(|f| f.bus == Some(Bus::VirtioBlk))
        .unwrap();
    assert!(driver.why.contains("StartOverride"), "{}", driver.why);
    // Its file was removed.
    let gone = service("vioscsi", 0);
    let gone = windows(&gone, "");
    let driver = gone
        .findings
        .iter()
        .find(|f| f.bus == Some(Bus::VirtioScsi))
        .unwrap();
    assert!(driver.why.contains("file of vioscsi"), "{}", driver.why);
}

#[test]
fn what_keeps_a_windows_from_being_moved_is_told_with_its_evidence() {
    let mut fs = MemFs::new();
    let config = "/Windows/System32/config";
    let services = service("netkvm", 4);
    fs.file(&format!("{config}/SYSTEM"), hive(&(system() + &services)))
        .unwrap();
    let seven = "[X\\Microsoft\\Windows NT\\CurrentVersion]\n\"CurrentVersion\"=\"6.1\"\n\
                 [X\\Microsoft\\Windows\\CurrentVersion\\WindowsUpdate\\Auto Update\\RebootRequired]\n";
    // APPLICATIONS has KB4474419 and an antivirus, SETTINGS policies.
    let software = hive(&[APPLICATIONS, SETTINGS, seven].concat());
    fs.file(&format!("{config}/SOFTWARE"), software).unwrap();
    fs.file("/Windows/WinSxS/pending.xml", "<x/>").unwrap();
    fs.file("/hiberfil.sys", "wake").unwrap();
    let mut security = hive(&windows_text::security("HOME", None));
    security[4] += 1;
    fs.file(&format!("{config}/SECURITY"), security).unwrap();
    let devices = vec![
        Device::with_fs("/dev/sda1", fs),
        Device::without_files("/dev/sda2", "BitLocker"),
        Device::without_files("/dev/sdb", "storage_spaces"),
    ];
    let diagnosis = only(&Guest::of(devices, &Limits::default()));
    let told: Vec<String> = diagnosis
        .findings
        .iter()
        .filter(|f| f.check != "disk-driver" && f.check != "firmware")
        .map(|f| {
            assert!(!f.evidence.is_empty(), "{f:#?}");
            format!("{} {}: {} ({})", f.level.word(), f.check, f.why, f.evidence[0])
        })
        .collect();
    let current = "HKLM\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion";
    let set = "HKLM\\SYSTEM\\ControlSet001";
    let expected = [
        format!(
            "warn network: the driver of virtio's network device is there, and disabled (Start is 4) ({set}\\Services\\netkvm\\Start)"
        ),
        "warn hibernation: it was waking up from hibernation when it stopped: it may ask whether to go on with that \
         (/hiberfil.sys)"
            .to_owned(),
        format!(
            "warn hive: the hive HKLM\\SECURITY was not written to its end, and its logs do not help: something may be missing \
             ({config}/SECURITY)"
        ),
        "warn bitlocker: /dev/sda2 is encrypted with BitLocker: keys in a TPM stay with the old machine (/dev/sda2)"
            .to_owned(),
        "warn storage-spaces: /dev/sdb belongs to Storage Spaces (/dev/sdb)".to_owned(),
        format!(
            "warn pending-reboot: a restart is due: components of Windows were changed ({current}\\Component Based Servicing\\RebootPending)"
        ),
        format!(
            "warn pending-reboot: a restart is due: Windows Update asks for it ({current}\\WindowsUpdate\\Auto Update\\RebootRequired)"
        ),
        "warn pending-reboot: a restart is due: a list of changes to components waits (/Windows/WinSxS/pending.xml)"
            .to_owned(),
        format!(
            "warn pending-reboot: a restart is due: 1 files are renamed or deleted ({set}\\Control\\Session Manager\\PendingFileRenameOperations)"
        ),
        "warn policy: a policy forbids that devices are installed (DenyUnspecified=1): drivers may not be \
         (HKLM\\SOFTWARE\\Policies\\Microsoft\\Windows\\DeviceInstall\\Restrictions\\DenyUnspecified)"
            .to_owned(),
        format!(
            "warn policy: group policies apply to it, and may undo changes: Default Domain Policy ({current}\\Group Policy\\History\\\
             {{35378EAC-683F-11D2-A89A-00C04FBBCFA2}}\\0\\DisplayName)"
        ),
        format!(
            "warn antivirus: Kaspersky Endpoint Security guards it, and may keep drivers and services from being added \
             ({})",
            current.replace("SOFTWARE", "SOFTWARE\\Wow6432Node") + "\\Uninstall\\KAV"
        ),
        "ok antivirus: Windows Defender is off (HKLM\\SOFTWARE\\Microsoft\\Windows Defender)".to_owned(),
        format!(
            "ok driver-signatures: KB4474419 is installed: drivers signed with SHA-2 are loaded ({current}\\Component Based Servicing\\Packages\\\
             Package_for_KB4474419~31bf3856ad364e35~amd64~~6.1.3.2)"
        ),
    ];
    assert_eq!(told, expected);
}

/// Name, the buses its own initramfs serves, whether its root is found on virtio-blk by its name.
const RIG: [(&str, &[Bus], bool); 4] = [
    (
        "ext4-bios",
        &[Bus::Sata, Bus::Ide, Bus::Pvscsi, Bus::LsiSas],
        false,
    ),
    ("lvm-bios", &[Bus::Pvscsi], true),
    ("xfs-uefi", &[Bus::Sata, Bus::Nvme, Bus::Ide], true),
    ("btrfs-bios", &[Bus::Sata], true),
];

#[test]
fn guests_of_the_rig_fail_on_virtio_for_the_reasons_they_were_built_with() {
    for (name, buses, root) in RIG {
        let Some(guest) = rig(name) else { return };
        let found = only(&guest);
        assert_eq!(
            (found.verdict, found.buses.as_slice()),
            (Verdict::BootsEmulated, buses),
            "{name}"
        );
        let why = stops(&found, Bus::VirtioBlk);
        assert!(why.contains(&"disk-driver"), "{name}: {why:?}");
        assert_eq!(!why.contains(&"root"), root, "{name}: {why:?}");
    }
}
