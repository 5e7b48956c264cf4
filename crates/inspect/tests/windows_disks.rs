//! A whole Windows guest for UEFI, made by sgdisk, mkfs.vfat, mtools, mkntfs and ntfs-3g, hives from registry text.

use crate::doctor::only;
use crate::hives::hive;
use crate::windows_text::{ELEVEN, bcd, system};
use h2k_block::{Limits, MemDisk};
use h2k_guest::Guest;
use h2k_inspect::{Finding, Level, SystemDiagnosis, Topics, inspect};
use h2k_testkit::{mount, oracle};
use h2k_volume::{Disk, guid, scan};
use std::path::Path;
use std::sync::Arc;

/// The disk's and the partitions' identifiers, as they stand on a disk.
const DISK: [u8; 16] = [0x11; 16];
const ESP: [u8; 16] = [0x22; 16];
const SYSTEM: [u8; 16] = [0x33; 16];

/// Where the partitions begin, in MiB.
const STARTS: [usize; 2] = [1, 9];

/// What is on the EFI partition, besides the boot manager.
struct Made {
    /// The partition that the store says Windows is on.
    store: Option<[u8; 16]>,
    /// Whether the program is there that firmware starts when it knows no other.
    fallback: bool,
    /// Whether Windows has its loader.
    loader: bool,
}

const SOUND: Made = Made {
    store: Some(SYSTEM),
    fallback: true,
    loader: true,
};

fn file(dir: &Path, name: &str, content: &[u8]) {
    let path = dir.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}

impl Made {
    /// The disk; `None` where the host cannot mount through FUSE.
    fn disk(&self) -> Option<Vec<u8>> {
        let dir = tempfile::tempdir().unwrap();
        let (esp, nt, whole) = (
            dir.path().join("esp"),
            dir.path().join("nt"),
            dir.path().join("whole"),
        );
        for (image, mib) in [(&esp, 8_u64), (&nt, 16), (&whole, 26)] {
            std::fs::File::create(image).unwrap().set_len(mib << 20).unwrap();
        }
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        oracle::ok("mkfs.vfat", &[text(&esp)]);
        let files = dir.path().join("files");
        file(&files, "EFI/Microsoft/Boot/bootmgfw.efi", b"MZ");
        if let Some(partition) = self.store {
            file(&files, "EFI/Microsoft/Boot/BCD", &hive(&bcd(DISK, partition)));
        }
        if self.fallback {
            file(&files, "EFI/Boot/bootx64.efi", b"MZ");
        }
        oracle::ok(
            "mcopy",
            &["-s", "-i", &text(&esp), &text(&files.join("EFI")), "::"],
        );
        oracle::ok("mkntfs", &["-q", "-F", "-Q", &text(&nt)]);
        {
            let mounted = mount::fuse("ntfs-3g", &[], &nt)?;
            let config = "Windows/System32/config";
            file(mounted.path(), &format!("{config}/SYSTEM"), &hive(&system()));
            file(mounted.path(), &format!("{config}/SOFTWARE"), &hive(ELEVEN));
            if self.loader {
                file(mounted.path(), "Windows/System32/winload.efi", b"MZ");
            }
        }
        let [disk, first, second] = [DISK, ESP, SYSTEM].map(guid);
        oracle::ok(
            "sgdisk",
            &[
                "--set-alignment=2048",
                &format!("--disk-guid={disk}"),
                "--new=1:1M:+8M",
                "--typecode=1:ef00",
                &format!("--partition-guid=1:{first}"),
                "--new=2:9M:+16M",
                "--typecode=2:0700",
                &format!("--partition-guid=2:{second}"),
                &text(&whole),
            ],
        );
        let mut bytes = std::fs::read(&whole).unwrap();
        for (start, image) in STARTS.iter().zip([esp, nt]) {
            let part = std::fs::read(image).unwrap();
            bytes[start << 20..(start << 20) + part.len()].copy_from_slice(&part);
        }
        Some(bytes)
    }

    fn diagnosed(&self) -> Option<SystemDiagnosis> {
        Some(only(&guest(vec![self.disk()?])))
    }
}

fn guest(disks: Vec<Vec<u8>>) -> Guest {
    let disks: Vec<Disk> = (0..)
        .zip(disks)
        .map(|(number, bytes)| Disk::new(number, Arc::new(MemDisk::new(bytes))))
        .collect();
    Guest::new(&scan(&disks, &Limits::default()).unwrap(), &Limits::default())
}

/// A dynamic disk: one partition of type 0x42, and the private header in sector 6.
fn dynamic() -> Vec<u8> {
    let mut bytes = vec![0; 4 << 20];
    bytes[0x1b8..0x1bc].copy_from_slice(&0x1234_5678_u32.to_le_bytes());
    bytes[0x1c2] = 0x42;
    bytes[0x1c6..0x1ca].copy_from_slice(&63_u32.to_le_bytes());
    bytes[0x1ca..0x1ce].copy_from_slice(&4000_u32.to_le_bytes());
    bytes[510..512].copy_from_slice(&[0x55, 0xaa]);
    let header = 6 * 512;
    bytes[header..header + 8].copy_from_slice(b"PRIVHEAD");
    let disk = b"5b39bc1c-87b3-11d9-b1cf-806d6172696f";
    bytes[header + 48..header + 48 + 36].copy_from_slice(disk);
    let group = b"5b39bc1d-87b3-11d9-b1cf-806d6172696f";
    bytes[header + 176..header + 176 + 36].copy_from_slice(group);
    bytes
}

/// The findings of a check.
fn found<'a>(of: &'a SystemDiagnosis, check: &str) -> Vec<&'a Finding> {
    of.findings.iter().filter(|f| f.check == check).collect()
}

#[test]
fn a_windows_for_uefi_has_its_store_on_the_efi_partition() {
    let Some(disk) = SOUND.disk() else { return };
    let guest = guest(vec![disk, dynamic()]);
    let found = inspect(&guest, &Topics::all(), &Limits::default());
    let [system] = found.systems.as_slice() else {
        panic!("{found:#?}")
    };
    assert_eq!(system.root, "/dev/sda2");
    let boot = &system.boot.as_ref().unwrap().found;
    assert_eq!(boot.firmware.as_ref().unwrap().value, h2k_boot::Firmware::Uefi);
    let esp = boot.esp.as_ref().unwrap();
    assert_eq!(
        (
            esp.device.as_str(),
            esp.windows.as_deref(),
            esp.fallback.as_deref()
        ),
        (
            "/dev/sda1",
            Some("/EFI/Microsoft/Boot/bootmgfw.efi"),
            Some("/EFI/Boot/bootx64.efi")
        )
    );
    assert_eq!(boot.loaders[0].kind, h2k_boot::LoaderKind::WindowsBootManager);
    assert_eq!(boot.loaders[0].config, "/dev/sda1:/EFI/Microsoft/Boot/BCD");
    let windows = system.windows.as_ref().unwrap();
    let [store] = windows.boot.as_ref().unwrap().found.stores.as_slice() else {
        panic!("{windows:#?}")
    };
    assert_eq!(
        (store.device.as_str(), store.firmware.as_str(), store.timeout),
        ("/dev/sda1", "uefi", Some(30))
    );
    let default = store.default_entry.as_ref().unwrap();
    assert_eq!(&store.display_order, std::slice::from_ref(default));
    let entry = store.entries.iter().find(|e| &e.id == default).unwrap();
    let device = entry.os_device.as_ref().unwrap();
    assert_eq!(
        (
            device.device.as_deref(),
            device.identity.clone(),
            device.disk.clone()
        ),
        (Some("/dev/sda2"), Some(guid(SYSTEM)), Some(guid(DISK)))
    );
    assert_eq!(entry.switches, ["testsigning"]);
    // The dynamic disk is named with what identifies it, and its volumes as not supported.
    let storage = windows.storage.as_ref().unwrap();
    let special: Vec<_> = storage
        .found
        .special_devices
        .iter()
        .map(|d| {
            (
                d.device.as_str(),
                d.kind.as_str(),
                d.uuid.as_deref(),
                d.group.as_deref(),
            )
        })
        .collect();
    assert_eq!(
        special,
        [
            (
                "/dev/sdb",
                "LDM",
                Some("5b39bc1c-87b3-11d9-b1cf-806d6172696f"),
                Some("5b39bc1d-87b3-11d9-b1cf-806d6172696f")
            ),
            ("/dev/sdb1", "LDM", None, None),
        ]
    );
    assert!(storage.unread.iter().all(|u| u.class == "unsupported") && !storage.unread.is_empty());
}

#[test]
fn the_boot_manager_is_followed_to_windows() {
    let Some(sound) = SOUND.diagnosed() else { return };
    let loader = found(&sound, "boot-loader");
    assert_eq!(loader.len(), 1, "{loader:#?}");
    assert_eq!(loader[0].level, Level::Warn);
    assert!(loader[0].why.contains("testsigning"), "{}", loader[0].why);
    assert_eq!(
        loader[0].evidence[0].as_str(),
        "/dev/sda1:/EFI/Microsoft/Boot/BCD"
    );
    assert_eq!(found(&sound, "firmware")[0].level, Level::Ok);
    let why = |made: Made, check: &str| {
        let diagnosis = made.diagnosed().unwrap();
        let stop: Vec<_> = found(&diagnosis, check)
            .into_iter()
            .filter(|f| f.level == Level::Stop)
            .map(|f| format!("{} {}", f.why, f.advice.as_deref().unwrap_or_default()))
            .collect();
        stop.join("; ")
    };
    let lost = Made {
        store: Some([9; 16]),
        ..SOUND
    };
    assert!(why(lost, "boot-loader").contains("not on these disks"));
    let empty = Made { store: None, ..SOUND };
    assert!(why(empty, "boot-loader").contains("has no store: /dev/sda1:/EFI/Microsoft/Boot/BCD"));
    let gone = Made {
        loader: false,
        ..SOUND
    };
    assert!(why(gone, "boot-loader").contains("winload.efi, which is not there"));
    let bare = Made {
        fallback: false,
        ..SOUND
    };
    assert!(why(bare, "firmware").contains("copy /EFI/Microsoft/Boot/bootmgfw.efi"));
}
