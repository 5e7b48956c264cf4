//! Accounts in hives of real machines.

use crate::hives::hive;
use crate::windows::facts;
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
