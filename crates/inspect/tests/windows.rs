//! A whole guest, made by libguestfs, whose facts its own tools recorded; and guests made of registry text.

use crate::hives::{hive, tree};
use crate::windows_text::{APPLICATIONS, DRIVERS, ELEVEN, USER};
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

#[test]
fn applications_come_from_both_views_and_from_users() {
    let facts = facts(&[
        ("/Windows/System32/config/SOFTWARE", hive(APPLICATIONS)),
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

#[test]
fn windows_11_is_told_from_10_by_its_build() {
    let facts = facts(&[
        ("/Windows/System32/config/SOFTWARE", hive(ELEVEN)),
        ("/Windows/System32/config/SYSTEM", hive(DRIVERS)),
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
        ("/Windows/System32/config/SYSTEM", hive(DRIVERS)),
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

#[test]
fn what_could_not_be_read_is_counted_over_all_topics() {
    let damaged = |name: &str| format!("/Windows/System32/config/{name}");
    let paths = ["SYSTEM", "SOFTWARE", "SAM"].map(damaged);
    let files: Vec<(&str, Vec<u8>)> = paths
        .iter()
        .map(|path| (path.as_str(), b"no hive".to_vec()))
        .collect();
    let facts = facts(&files);
    let told = serde_json::to_value(&facts).unwrap();
    let count = |sections: &serde_json::Value| -> usize {
        let sections = sections.as_object().unwrap().values();
        let unread = sections.filter_map(|section| section.get("unread")?.as_array());
        unread.map(Vec::len).sum()
    };
    let (all, windows) = (count(&told), count(&told["windows"]));
    assert!(all > 0 && windows > 0, "{all} {windows}");
    assert_eq!(facts.unread().count(), all + windows);
}
