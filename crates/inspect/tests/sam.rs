//! Accounts in hives of real machines.

use crate::hives::hive;
use crate::windows::facts;
use crate::windows_text;
use h2k_block::Limits;
use h2k_hive::Hive;
use h2k_testkit::corpus;

#[test]
fn every_account_of_a_real_machine_has_the_name_and_number_that_its_index_has() {
    let Some(corpus) = corpus::corpus() else { return };
    let mut machines = 0;
    for case in corpus
        .below("hives/")
        .filter(|c| corpus::plain_name(c).to_lowercase().contains("sam"))
    {
        let bytes = corpus.bytes(case);
        let index = Hive::open(bytes.clone(), &[], &Limits::default()).unwrap();
        let Some(names) = index.find("SAM\\Domains\\Account\\Users\\Names").unwrap() else {
            continue;
        };
        // The number is the kind of the default value: Windows' own idea.
        let mut expected: Vec<(u32, String)> = names
            .subkeys()
            .map(|key| key.unwrap())
            .map(|key| (key.value("").unwrap().unwrap().kind().0, key.name().to_string()))
            .collect();
        expected.sort();
        let section = facts(&[("/Windows/System32/config/SAM", bytes)])
            .windows
            .unwrap()
            .users
            .unwrap();
        assert_eq!(section.unread, [], "{}", case.path);
        let found: Vec<_> = section
            .found
            .users
            .iter()
            .map(|u| (u.rid, u.name.clone()))
            .collect();
        assert_eq!(found, expected, "{}", case.path);
        assert!(
            section
                .found
                .groups
                .iter()
                .any(|g| g.rid == 544 && g.name == "Administrators")
        );
        machines += 1;
    }
    assert!(machines >= 7, "{machines}");
}

#[test]
fn members_flags_and_times_of_accounts_are_what_their_hive_says() {
    let Some(corpus) = corpus::corpus() else { return };
    let case = corpus.below("hives/ez/SAM_DUPENAME").next().unwrap();
    let facts = facts(&[("/Windows/System32/config/SAM", corpus.bytes(case))]);
    let found = facts.windows.unwrap().users.unwrap().found;
    let group = |name: &str| found.groups.iter().find(|g| g.name == name).unwrap();
    assert_eq!(
        group("Administrators").members,
        ["Administrator", "thegaffer", "aitch", "martina"]
    );
    assert_eq!(group("Users").members[..3], ["S-1-5-4", "S-1-5-11", "harry"]);
    assert_eq!(group("Power Users").members, [""; 0]);
    let user = |name: &str| found.users.iter().find(|u| u.name == name).unwrap();
    assert!(user("SUPPORT_388945a0").disabled && user("HelpAssistant").disabled && !user("Guest").disabled);
    // hivexget … F | python3 struct.unpack_from("<Q", f, 8)[0] // 10**7 - 11644473600
    let aitch = user("aitch");
    assert_eq!(
        (aitch.last_logon, aitch.logons, aitch.rid),
        (Some(1_194_803_558), Some(246), 1006)
    );
    assert_eq!(
        user("HelpAssistant").full_name.as_deref(),
        Some("Remote Desktop Help Assistant Account")
    );
}

#[test]
fn a_password_that_everybody_can_read_is_told_and_not_shown() {
    let software = hive(
        r#"[X\Microsoft\Windows NT\CurrentVersion]
"SystemRoot"="C:\\Windows"
[X\Microsoft\Windows NT\CurrentVersion\ProfileList\S-1-5-21-9-9-9-1001]
"ProfileImagePath"="C:\\Users\\ann"
"State"=dword:00000204
"LocalProfileLoadTimeLow"=dword:3c9b4000
"LocalProfileLoadTimeHigh"=dword:01da6b04
[X\Microsoft\Windows NT\CurrentVersion\ProfileList\S-1-5-21-9-9-9-1002]
"ProfileImagePath"="E:\\Users\\bob"
[X\Microsoft\Windows NT\CurrentVersion\Winlogon]
"AutoAdminLogon"="1"
"DefaultUserName"="ann"
"DefaultPassword"="hunter2-geheim"
"#,
    );
    let facts = facts(&[
        ("/Windows/System32/config/SOFTWARE", software),
        ("/Users/ann/x", Vec::new()),
    ]);
    let text = serde_json::to_string(&facts).unwrap();
    assert!(!text.contains("geheim"));
    let found = facts.windows.unwrap().users.unwrap().found;
    let logon = found.automatic_logon.unwrap();
    assert!(logon.enabled.value && logon.password_in_clear);
    assert_eq!(logon.user.unwrap().value, "ann");
    let profiles: Vec<_> = found
        .profiles
        .iter()
        .map(|p| (p.folder.as_str(), p.present, p.loaded.is_some()))
        .collect();
    assert_eq!(
        profiles,
        [
            ("C:\\Users\\ann", Some(true), true),
            ("E:\\Users\\bob", None, false)
        ]
    );
}

#[test]
fn an_account_is_told_with_its_group_flags_and_times() {
    let facts = facts(&[("/Windows/System32/config/SAM", hive(&windows_text::sam()))]);
    let found = facts.windows.unwrap().users.unwrap().found;
    assert_eq!(found.machine_sid.unwrap().value, "S-1-5-21-1-2-3");
    let [ann] = found.users.as_slice() else { panic!() };
    assert_eq!(
        (ann.name.as_str(), ann.full_name.as_deref(), ann.rid, ann.logons),
        ("ann", Some("Ann Author"), 1001, Some(7))
    );
    // python3: 0x01da6b043c9b4000 // 10**7 - 11644473600
    assert_eq!((ann.last_logon, ann.expires), (Some(1_709_206_890), None));
    assert!(ann.password_never_expires && !ann.disabled);
    assert_eq!(found.groups[0].members, ["ann"]);
}

/// What the default values of `PolPrDmN` and `PolDnDDN` say, and whether `PolPrDmS` has a SID: by hivexsh.
const AUTHORITIES: [(&str, Option<&str>, Option<&str>); 6] = [
    ("regipy/SECURITY", Some("WORKGROUP"), None),
    ("dfwinreg/SECURITY", None, Some("internal.greendale.edu")),
    ("aiowinreg/nt-security.hive", None, Some("TEST")),
    ("aiowinreg/win2008r2_64-security.hive", None, Some("TEST.CORP")),
    ("aiowinreg/win2019_64-security.hive", None, Some("TEST.corp")),
    ("ez/SECURITYNoRoot", None, None),
];

#[test]
fn members_of_domains_and_of_workgroups_are_told_apart() {
    let told = |security: Vec<u8>| {
        let os = facts(&[("/Windows/System32/config/SECURITY", security)])
            .os
            .unwrap()
            .found;
        (os.workgroup.map(|f| f.value), os.domain.map(|f| f.value))
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(
        told(hive(&windows_text::security("HOME", None))),
        (some("HOME"), None)
    );
    assert_eq!(
        told(hive(&windows_text::security("CORP", Some("corp.example")))),
        (None, some("corp.example"))
    );
    let Some(corpus) = corpus::corpus() else { return };
    for (path, workgroup, domain) in AUTHORITIES {
        let below = format!("hives/{path}");
        let case = corpus.below(&below).next().unwrap();
        let expected = (workgroup.map(str::to_owned), domain.map(str::to_owned));
        assert_eq!(told(corpus.bytes(case)), expected, "{path}");
    }
}
