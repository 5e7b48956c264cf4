//! What the boot manager of Windows is told, in stores of real machines.

use crate::windows::facts;
use h2k_inspect::windows::BootStore;
use h2k_testkit::corpus;

fn stores(files: &[(&str, Vec<u8>)]) -> Vec<BootStore> {
    let section = facts(files).windows.unwrap().boot.unwrap();
    assert_eq!(section.unread, []);
    section.found.stores
}

#[test]
fn entries_of_a_uefi_machine_name_partitions_by_their_guids() {
    let Some(corpus) = corpus::corpus() else { return };
    let case = corpus.below("hives/regipy/BCD").next().unwrap();
    let found = stores(&[("/EFI/Microsoft/Boot/BCD", corpus.bytes(case))]);
    let [store] = found.as_slice() else { panic!() };
    assert_eq!(
        (store.firmware.as_str(), store.device.as_str()),
        ("uefi", "/dev/sda2")
    );
    // hivexregedit --export shows the same bytes; the GUIDs' first three fields are little-endian.
    let linux = store
        .entries
        .iter()
        .find(|e| e.id == "{733b62de-f608-11eb-825c-c112f60133ab}")
        .unwrap();
    assert_eq!(linux.description.as_deref(), Some("Linux Boot Manager"));
    assert_eq!(linux.path.as_deref(), Some("\\EFI\\systemd\\systemd-bootx64.efi"));
    let device = linux.device.as_ref().unwrap();
    assert_eq!(device.kind, "partition");
    assert_eq!(
        device.identity.as_deref(),
        Some("24e0e103-9bc2-477e-a5e2-3e42d2bb134f")
    );
    assert_eq!(
        device.disk.as_deref(),
        Some("376e5397-7d1f-4e4f-a668-5a62c1269e60")
    );
    let default = store.default_entry.as_ref().unwrap();
    let windows = store.entries.iter().find(|e| &e.id == default).unwrap();
    assert_eq!(windows.kind, "windows loader");
    assert_eq!(
        windows.system_root.as_deref().map(str::to_lowercase).as_deref(),
        Some("\\windows")
    );
    assert!(store.timeout.is_some() && store.display_order.contains(default));
}

#[test]
fn a_store_of_installation_media_starts_from_a_file() {
    let Some(corpus) = corpus::corpus() else { return };
    let case = corpus.below("hives/ez/BCD").next().unwrap();
    let found = stores(&[("/Boot/BCD", corpus.bytes(case))]);
    let entry = found[0]
        .entries
        .iter()
        .find(|e| e.description.as_deref() == Some("Windows Setup"))
        .unwrap();
    assert_eq!(entry.device.as_ref().unwrap().kind, "file");
    assert_eq!(found[0].firmware, "bios");
}

#[test]
fn boot_ini_is_the_store_of_old_systems() {
    let ini = "[boot loader]\r\ntimeout=30\r\ndefault=multi(0)disk(0)rdisk(0)partition(1)\\WINDOWS\r\n\
               [operating systems]\r\nmulti(0)disk(0)rdisk(0)partition(1)\\WINDOWS=\"Windows XP\" /fastdetect /noexecute=optin\r\n";
    let found = stores(&[("/boot.ini", ini.into())]);
    let [store] = found.as_slice() else { panic!() };
    assert_eq!(store.timeout, Some(30));
    let entry = &store.entries[0];
    assert_eq!(Some(&entry.id), store.default_entry.as_ref());
    assert_eq!(
        (entry.description.as_deref(), entry.system_root.as_deref()),
        (Some("Windows XP"), Some("\\WINDOWS"))
    );
    assert_eq!(entry.switches, ["/fastdetect", "/noexecute=optin"]);
    assert_eq!(entry.source.as_str(), "/dev/sda2:/boot.ini:5");
}
