//! A whole guest, made by libguestfs, whose facts its own tools recorded; and guests made of registry text.

use crate::hives::{hive, tree};
use h2k_block::{Access, FileDisk, Limits, Sharing};
use h2k_guest::{Assembled, Fact, Guest, System, SystemKind};
use h2k_inspect::{SystemFacts, Topics, inspect, inspect_system};
use h2k_testkit::corpus;
use h2k_volume::{Disk, scan};
use std::sync::Arc;

/// What is known of the Windows with these files.
pub fn facts(files: &[(&str, Vec<u8>)]) -> SystemFacts {
    let limits = Limits::default();
    let guest = Guest::of(Vec::new(), &limits);
    let system = System {
        device: "/dev/sda2".to_owned(),
        subvolume: None,
        deployment: None,
        kind: SystemKind::Windows,
        name: None,
    };
    let assembled = Assembled {
        tree: tree(files),
        left_out: Vec::new(),
        unlisted: Vec::new(),
        system: None,
    };
    inspect_system(&guest, &system, &assembled, &Topics::all(), &limits)
}

/// What stands in the first element of that name.
fn between<'a>(xml: &'a str, tag: &str) -> Option<&'a str> {
    let (_, rest) = xml.split_once(&format!("<{tag}>"))?;
    rest.split_once("</").map(|(text, _)| text)
}

#[test]
fn the_windows_guest_of_libguestfs_says_what_virt_inspector_says() {
    let Some(shared) = corpus::shared() else {
        println!("skipped: no corpus");
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let raw = dir.path().join("windows.raw");
    let packed = std::fs::read(shared.join("guests/windows.img.zst")).unwrap();
    corpus::sparse_write(&raw, &corpus::unzstd(&packed));
    let disk = Arc::new(FileDisk::open(&raw, Access::Read, Sharing::Careful).unwrap());
    let limits = Limits::default();
    let guest = Guest::new(&scan(&[Disk::new(0, disk)], &limits).unwrap(), &limits);
    let inspection = inspect(&guest, &Topics::all(), &limits);
    let [system] = inspection.systems.as_slice() else {
        panic!("{:?}", inspection.systems);
    };
    let xml = std::fs::read_to_string(shared.join("guests/windows.inspect.xml")).unwrap();
    let os = system.os.as_ref().unwrap();
    let said = |tag: &str| between(&xml, tag).map(str::to_owned);
    let value = |fact: &Option<Fact<String>>| fact.as_ref().map(|f| f.value.clone());
    assert_eq!(value(&os.found.product_name), said("product_name"));
    assert_eq!(value(&os.found.variant), said("product_variant"));
    assert_eq!(value(&os.found.distro), said("distro"));
    assert_eq!(value(&os.found.architecture), said("arch"));
    assert_eq!(value(&os.found.hostname), said("hostname"));
    assert_eq!(value(&os.found.osinfo), said("osinfo"));
    assert_eq!(value(&os.found.system_root), said("windows_systemroot"));
    assert_eq!(value(&os.found.control_set), said("windows_current_control_set"));
    let numbers =
        [&os.found.major_version, &os.found.minor_version].map(|n| n.as_ref().unwrap().value.to_string());
    assert_eq!(numbers.map(Some), [said("major_version"), said("minor_version")]);
    let drives = system.drives.as_ref().unwrap();
    let drive: Vec<_> = drives
        .found
        .drives
        .iter()
        .map(|d| (d.letter.as_str(), d.device.as_deref()))
        .collect();
    assert_eq!(drive, [("C", Some("/dev/sda2"))]);
    let applications = system.applications.as_ref().unwrap();
    let mut found: Vec<_> = applications.found.applications.iter().collect();
    found.sort_by(|a, b| a.name.cmp(&b.name));
    let told: Vec<&str> = xml.split("<application>").skip(1).collect();
    assert_eq!(told.len(), 4);
    assert_eq!(found.len(), told.len());
    for (ours, theirs) in found.iter().zip(told) {
        let said = |tag: &str| between(theirs, tag);
        assert_eq!(said("name"), Some(ours.name.as_str()));
        assert_eq!(said("display_name"), Some(ours.display_name.as_str()));
        assert_eq!(said("version"), ours.version.as_deref());
        assert_eq!(said("publisher"), ours.publisher.as_deref());
        assert_eq!(said("url"), ours.url.as_deref());
        assert_eq!(said("install_path"), ours.install_location.as_deref());
        assert_eq!(said("description"), ours.comments.as_deref());
    }
    assert_eq!(found[3].view, "32-bit");
    assert_eq!(
        found[3].source.as_str(),
        "HKLM\\SOFTWARE\\WOW6432node\\Microsoft\\Windows\\CurrentVersion\\Uninstall\\test4"
    );
    assert!(os.unread.is_empty() && drives.unread.is_empty() && applications.unread.is_empty());
}

const SOFTWARE: &str = r#"[X\Microsoft\Windows NT\CurrentVersion]
"SystemRoot"="D:\\Windows"
[X\Microsoft\Windows NT\CurrentVersion\ProfileList\S-1-5-21-1-2-3-1001]
"ProfileImagePath"=hex(2):25,00,53,00,79,00,73,00,74,00,65,00,6d,00,44,00,72,00,69,00,76,00,65,00,25,00,5c,00,55,00,73,00,65,00,72,00,73,00,5c,00,61,00,6e,00,6e,00,00,00
[X\Microsoft\Windows\CurrentVersion\Uninstall\AddressBook]
"Version"="1"
[X\Microsoft\Windows\CurrentVersion\Uninstall\{0D4E5F60-0000-0000-0000-000000000000}]
"DisplayName"="VMware Tools"
"DisplayVersion"="12.3.5"
"Publisher"="VMware, Inc."
"WindowsInstaller"=dword:00000001
"EstimatedSize"=dword:00000400
"UninstallString"="MsiExec.exe /I{0D4E5F60-0000-0000-0000-000000000000}"
[X\Wow6432Node\Microsoft\Windows\CurrentVersion\Uninstall\KAV]
"DisplayName"="Kaspersky Endpoint Security"
"SystemComponent"=dword:00000001
[X\Microsoft\Windows\CurrentVersion\Appx\AppxAllUserStore\Applications\Microsoft.WindowsStore_12107.1001.15.0_neutral_~_8wekyb3d8bbwe]
"Path"="C:\\x"
[X\Microsoft\Windows\CurrentVersion\Component Based Servicing\Packages\Package_for_KB4474419~31bf3856ad364e35~amd64~~6.1.3.2]
"CurrentState"=dword:00000070
"InstallTimeLow"=dword:3c9b4000
"InstallTimeHigh"=dword:01da6b04
[X\Microsoft\Windows NT\CurrentVersion\HotFix\KB912817]
"Installed"=dword:00000001
[X\Microsoft\Windows Defender]
"DisableAntiVirus"=dword:00000000
[X\Policies\Microsoft\Windows Defender]
"DisableAntiSpyware"=dword:00000001
"#;

const USER: &str = r#"[X\Software\Microsoft\Windows\CurrentVersion\Uninstall\Editor]
"DisplayName"="An Editor"
"DisplayVersion"="1.0"
"#;

#[test]
fn applications_come_from_both_views_and_from_users() {
    let facts = facts(&[
        ("/Windows/System32/config/SOFTWARE", hive(SOFTWARE)),
        ("/Users/ann/NTUSER.DAT", hive(USER)),
    ]);
    let section = facts.applications.unwrap();
    assert_eq!(section.unread, []);
    let found = section.found;
    let shown: Vec<_> = found
        .applications
        .iter()
        .map(|a| {
            (
                a.display_name.as_str(),
                a.view.as_str(),
                a.class.as_deref(),
                a.hidden,
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            ("VMware Tools", "native", None, false),
            ("Kaspersky Endpoint Security", "32-bit", Some("antivirus"), true),
            ("An Editor", "user", None, false),
        ]
    );
    let tools = &found.applications[0];
    assert_eq!(
        tools.product_code.as_deref(),
        Some("{0D4E5F60-0000-0000-0000-000000000000}")
    );
    assert_eq!(tools.estimated_size, Some(1024));
    let editor = &found.applications[2];
    assert_eq!(editor.user.as_deref(), Some("ann"));
    assert_eq!(
        editor.source.as_str(),
        "HKU\\S-1-5-21-1-2-3-1001\\Software\\Microsoft\\Windows\\CurrentVersion\\Uninstall\\Editor"
    );
    let store = &found.appx[0];
    assert_eq!(
        (
            store.name.as_str(),
            store.version.as_deref(),
            store.publisher_id.as_deref()
        ),
        (
            "Microsoft.WindowsStore",
            Some("12107.1001.15.0"),
            Some("8wekyb3d8bbwe")
        )
    );
    let fixes: Vec<_> = found
        .hotfixes
        .iter()
        .map(|h| {
            (
                h.name.as_str(),
                h.version.as_deref(),
                h.state.as_str(),
                h.installed,
            )
        })
        .collect();
    // python3: (0x01da6b043c9b4000 // 10**7) - 11644473600
    let expected = [
        ("KB4474419", Some("6.1.3.2"), "installed", Some(1709206890)),
        ("KB912817", None, "installed", None),
    ];
    assert_eq!(fixes, expected);
    let defender = found.defender.unwrap().disabled.unwrap();
    assert!(defender.value, "the policy turns it off");
    assert_eq!(
        defender.source.as_str(),
        "HKLM\\SOFTWARE\\Policies\\Microsoft\\Windows Defender\\DisableAntiSpyware"
    );
}

const ELEVEN: &str = r#"[X\Microsoft\Windows NT\CurrentVersion]
"ProductName"="Windows 10 Pro"
"EditionID"="Professional"
"InstallationType"="Client"
"CurrentVersion"="6.3"
"CurrentMajorVersionNumber"=dword:0000000a
"CurrentMinorVersionNumber"=dword:00000000
"CurrentBuildNumber"="22631"
"UBR"=dword:00000bbf
"DisplayVersion"="23H2"
"InstallDate"=dword:65e07cc0
"InstallTime"=hex(b):00,40,9b,3c,04,6b,da,01
"RegisteredOwner"="Ann"
[X\Microsoft\Cryptography]
"MachineGuid"="01234567-89ab-cdef-0123-456789abcdef"
"#;

const SYSTEM: &str = r#"[X\Select]
"Current"=dword:00000001
[X\ControlSet001\Services\Tcpip\Parameters]
"Hostname"="desk"
"Domain"="example.com"
[X\ControlSet001\Control\ComputerName\ComputerName]
"ComputerName"="DESK"
[X\ControlSet001\Control\Session Manager\Environment]
"PROCESSOR_ARCHITECTURE"="AMD64"
[X\ControlSet001\Control\CriticalDeviceDatabase\pci#ven_1af4&dev_1001]
"Service"="viostor"
[X\ControlSet001\Services\viostor]
"Type"=dword:00000001
"Start"=dword:00000000
"ErrorControl"=dword:00000001
"Group"="SCSI miniport"
"ImagePath"=hex(2):73,00,79,00,73,00,74,00,65,00,6d,00,33,00,32,00,5c,00,64,00,72,00,69,00,76,00,65,00,72,00,73,00,5c,00,76,00,69,00,6f,00,73,00,74,00,6f,00,72,00,2e,00,73,00,79,00,73,00,00,00
[X\ControlSet001\Services\viostor\StartOverride]
"0"=dword:00000003
[X\ControlSet001\Services\Gone]
"Type"=dword:00000002
"Start"=dword:00000001
[X\ControlSet001\Services\Spooler]
"Type"=dword:00000110
"Start"=dword:00000002
"DelayedAutostart"=dword:00000001
"DisplayName"="@%systemroot%\\system32\\spoolsv.exe,-1"
"ImagePath"="C:\\Windows\\System32\\spoolsv.exe -x"
"ObjectName"="LocalSystem"
"DependOnService"=hex(7):52,00,50,00,43,00,53,00,53,00,00,00,68,00,74,00,74,00,70,00,00,00,00,00
[X\ControlSet001\Services\Spooler\TriggerInfo\0]
"Type"=dword:00000001
[X\ControlSet001\Services\NoType]
"Start"=dword:00000002
[X\DriverDatabase\DriverInfFiles\oem3.inf]
"Active"="oem3.inf_amd64_0123456789abcdef"
[X\DriverDatabase\DeviceIds\PCI\VEN_1AF4&DEV_1001]
"oem3.inf"=hex:01,ff,00,00
[X\DriverDatabase\DriverPackages\oem3.inf_amd64_0123456789abcdef]
"Provider"="Red Hat, Inc."
[X\DriverDatabase\DriverPackages\oem3.inf_amd64_0123456789abcdef\Configurations\c]
"Service"="viostor"
"#;

#[test]
fn windows_11_is_told_from_10_by_its_build() {
    let facts = facts(&[
        ("/Windows/System32/config/SOFTWARE", hive(ELEVEN)),
        ("/Windows/System32/config/SYSTEM", hive(SYSTEM)),
    ]);
    let os = facts.os.unwrap().found;
    let product = os.product_name.unwrap();
    assert_eq!(product.value, "Windows 11 Pro");
    assert!(
        product
            .source
            .as_str()
            .ends_with("CurrentVersion\\CurrentBuildNumber"),
        "{}",
        product.source
    );
    assert_eq!(os.build.unwrap().value, "22631.3007");
    assert_eq!(os.version.unwrap().value, "10.0");
    assert_eq!(os.release.unwrap().value, "23H2");
    assert_eq!(os.osinfo.unwrap().value, "win11");
    assert_eq!(os.architecture.unwrap().value, "x86_64");
    assert_eq!(os.domain.unwrap().value, "example.com");
    let names: Vec<_> = os.hostnames.iter().map(|n| n.value.as_str()).collect();
    assert_eq!(names, ["desk", "DESK"]);
    assert_eq!(os.registered_owner.unwrap().value, "Ann");
    assert_eq!(
        os.machine_id.unwrap().value,
        "01234567-89ab-cdef-0123-456789abcdef"
    );
    // python3, as for the hotfix; and int("65e07cc0", 16)
    let times: Vec<i64> = os.installed.iter().map(|i| i.seconds.value).collect();
    assert_eq!(times, [1709206890, 1709210816]);
}

#[test]
fn services_and_drivers_say_how_they_start_and_whether_they_are_there() {
    let facts = facts(&[
        ("/Windows/System32/config/SYSTEM", hive(SYSTEM)),
        ("/Windows/System32/drivers/viostor.sys", b"MZ".to_vec()),
        ("/Windows/system32/drivers/viostor.sys", b"MZ".to_vec()),
    ]);
    let services = facts.services.unwrap().found.services;
    let [spooler] = services.as_slice() else {
        panic!("{services:?}")
    };
    assert_eq!(
        (spooler.kind.as_str(), spooler.start.as_str()),
        ("own process", "automatic (delayed)")
    );
    assert_eq!(spooler.depends_on, ["RPCSS", "http"]);
    assert_eq!((spooler.triggers, spooler.present), (1, Some(false)));
    assert_eq!(
        (spooler.account.as_deref(), spooler.display_name.as_deref()),
        (Some("LocalSystem"), None)
    );
    let drivers = facts.drivers.unwrap().found;
    let all: Vec<_> = drivers
        .drivers
        .iter()
        .map(|d| {
            (
                d.name.as_str(),
                d.kind.as_str(),
                d.start.as_str(),
                d.start_override.as_deref(),
                d.present,
            )
        })
        .collect();
    assert_eq!(
        all,
        [
            ("Gone", "filesystem driver", "system", None, Some(false)),
            ("viostor", "kernel driver", "boot", Some("manual"), Some(true)),
        ]
    );
    assert_eq!(drivers.critical_devices[0].device, "pci#ven_1af4&dev_1001");
    assert_eq!(drivers.critical_devices[0].service.as_deref(), Some("viostor"));
    let package = &drivers.packages[0];
    assert_eq!(
        (package.inf.as_str(), package.provider.as_deref()),
        ("oem3.inf", Some("Red Hat, Inc."))
    );
    assert_eq!(
        (package.devices.as_slice(), package.services.as_slice()),
        (
            &["PCI\\VEN_1AF4&DEV_1001".to_owned()][..],
            &["viostor".to_owned()][..]
        )
    );
}
