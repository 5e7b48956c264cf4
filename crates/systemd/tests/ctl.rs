//! What timedatectl and its kin would say, against the tools that can read files of another system.

use h2k_block::{Class, Limits, MemDisk, Meter};
use h2k_fs::MemFs;
use h2k_guest::{Look, Tree};
use h2k_systemd::TimeZone;
use h2k_systemd::ctl::{
    LOGIN_RECORD, LoginKind, SessionEnd, XkbList, archive, host_name, keymaps, last_logins, locale, locales,
    login_records, records, sessions, time_date, time_zones, xkb,
};
use h2k_testkit::mutate::Patched;
use h2k_testkit::oracle;
use h2k_testkit::rng::Rng;
use std::path::Path;
use std::sync::Arc;

fn tree(files: &[(&str, &[u8])], links: &[(&str, &str)]) -> Tree {
    let mut fs = MemFs::new();
    for (path, content) in files {
        fs.file(path, *content).unwrap();
    }
    for (path, target) in links {
        fs.link(path, *target).unwrap();
    }
    Tree::new("/dev/sda1", Arc::new(fs))
}

/// Asks `question` of a system of these files; nothing may be odd.
fn ask<T>(files: &[(&str, &[u8])], links: &[(&str, &str)], question: impl FnOnce(&Look<'_>) -> T) -> T {
    let tree = tree(files, links);
    let look = Look::new(&tree, &Limits::default());
    let answer = question(&look);
    assert_eq!(look.take_unread(), []);
    answer
}

#[test]
fn the_clock_is_as_the_files_say() {
    let files: [(&str, &[u8]); 3] = [
        ("/etc/adjtime", b"0.0 0 0.0\n0\nLOCAL\n"),
        ("/usr/lib/systemd/system/chrony.service", b"[Unit]\n"),
        ("/usr/lib/systemd/system/systemd-timesyncd.service", b"[Unit]\n"),
    ];
    let links = [
        ("/etc/localtime", "/usr/share/zoneinfo/Europe/Berlin"),
        (
            "/etc/systemd/system/multi-user.target.wants/chrony.service",
            "/lib/systemd/system/chrony.service",
        ),
        ("/etc/systemd/system/systemd-timesyncd.service", "/dev/null"),
    ];
    let found = ask(&files, &links, time_date);
    let zone = found.time_zone.unwrap();
    assert_eq!(
        (zone.value.as_str(), zone.source.as_str()),
        ("Europe/Berlin", "/etc/localtime")
    );
    assert!(found.local_rtc.value);
    assert_eq!(found.local_rtc.source.as_str(), "/etc/adjtime:3");
    let ntp: Vec<_> = found.ntp.iter().map(|u| (u.unit.as_str(), u.enabled)).collect();
    assert_eq!(
        ntp,
        [("systemd-timesyncd.service", false), ("chrony.service", true)]
    );
    let bare = ask(&[], &[], time_date);
    assert_eq!(bare.time_zone.unwrap().value, "UTC");
    assert!(!bare.local_rtc.value);
    let copy: [(&str, &[u8]); 2] = [("/etc/localtime", b"TZif"), ("/etc/timezone", b"Asia/Tokyo\n")];
    assert_eq!(ask(&copy, &[], time_date).time_zone.unwrap().value, "Asia/Tokyo");
}

#[test]
fn names_are_as_the_files_say() {
    let files: [(&str, &[u8]); 5] = [
        ("/etc/hostname", b"# comment\nweb01\n"),
        ("/etc/machine-info", b"PRETTY_HOSTNAME=\"Web, one\"\nCHASSIS=vm\n"),
        ("/etc/machine-id", b"00112233445566778899aabbccddeeff\n"),
        ("/usr/lib/os-release", b"PRETTY_NAME=\"Debian GNU/Linux 12\"\n"),
        ("/usr/lib/modules/6.1.0-1-amd64/modules.dep", b""),
    ];
    let found = ask(&files, &[("/etc/os-release", "../usr/lib/os-release")], host_name);
    assert_eq!(found.static_hostname.unwrap().value, "web01");
    assert_eq!(found.pretty_hostname.unwrap().value, "Web, one");
    assert_eq!(found.chassis.unwrap().value, "vm");
    assert_eq!(
        found.machine_id.unwrap().value,
        "00112233445566778899aabbccddeeff"
    );
    assert_eq!(found.operating_system.unwrap().value, "Debian GNU/Linux 12");
    assert_eq!(found.kernels[0].value, "6.1.0-1-amd64");
    let uninitialized: [(&str, &[u8]); 1] = [("/etc/machine-id", b"uninitialized\n")];
    assert_eq!(ask(&uninitialized, &[], host_name).machine_id, None);
}

#[test]
fn languages_and_keyboards_are_as_the_files_say() {
    let files: [(&str, &[u8]); 6] = [
        ("/etc/default/locale", b"LANG=\"de_DE.UTF-8\"\nLC_TIME=C\nFOO=x\n"),
        ("/etc/vconsole.conf", b"KEYMAP=de-nodeadkeys\n"),
        ("/etc/default/keyboard", b"XKBLAYOUT=\"de\"\nXKBMODEL=\"pc105\"\nXKBVARIANT=\"\"\n"),
        ("/usr/share/keymaps/i386/qwertz/de.map.gz", b""),
        ("/usr/share/keymaps/i386/include/compose.inc", b""),
        (
            "/usr/share/X11/xkb/rules/base.lst",
            b"! model\n  pc105           Generic\n  pc104  Other\n\n! layout\n  de              German\n\n! variant\n  nodeadkeys      de: German (no dead keys)\n  dvorak          us: English\n",
        ),
    ];
    let found = ask(&files, &[], locale);
    let set: Vec<_> = found
        .variables
        .iter()
        .map(|v| format!("{}={} {}", v.name, v.value, v.source))
        .collect();
    assert_eq!(
        set,
        [
            "LANG=de_DE.UTF-8 /etc/default/locale:1",
            "LC_TIME=C /etc/default/locale:2"
        ]
    );
    assert_eq!(found.keyboard.vc_keymap.unwrap().value, "de-nodeadkeys");
    assert_eq!(found.keyboard.x11_layout.unwrap().value, "de");
    assert_eq!(found.keyboard.x11_variant, None);
    assert_eq!(ask(&files, &[], keymaps), ["de"]);
    let list = |list, layout| ask(&files, &[], |look| xkb(look, list, layout));
    assert_eq!(list(XkbList::Models, None), ["pc104", "pc105"]);
    assert_eq!(list(XkbList::Layouts, None), ["de"]);
    assert_eq!(list(XkbList::Variants, Some("de")), ["nodeadkeys"]);
    assert_eq!(list(XkbList::Variants, None), ["dvorak", "nodeadkeys"]);
    let xorg: [(&str, &[u8]); 1] = [(
        "/etc/X11/xorg.conf.d/00-keyboard.conf",
        b"Section \"InputClass\"\n  Option \"XkbLayout\" \"fr\"\nEndSection\n",
    )];
    assert_eq!(ask(&xorg, &[], locale).keyboard.x11_layout.unwrap().value, "fr");
}

/// An archive of a few locales, made by localedef, and how it lists it.
fn archive_of(dir: &Path) -> (Vec<u8>, Vec<String>) {
    let place = dir.join("usr/lib/locale");
    std::fs::create_dir_all(&place).unwrap();
    let prefix = format!("--prefix={}", dir.display());
    for (name, charset) in [
        ("de_DE", "UTF-8"),
        ("en_US", "UTF-8"),
        ("fr_FR", "ISO-8859-1"),
        ("C", "UTF-8"),
    ] {
        oracle::ok(
            "localedef",
            &[
                prefix.as_str(),
                "-i",
                name,
                "-f",
                charset,
                &format!("{name}.{charset}"),
            ],
        );
    }
    let listed = oracle::run("localedef", &[prefix.as_str(), "--list-archive"]);
    let names = String::from_utf8(listed.stdout).unwrap();
    let bytes = std::fs::read(place.join("locale-archive")).unwrap();
    (bytes, names.lines().map(str::to_owned).collect())
}

#[test]
fn the_archive_of_locales_lists_what_localedef_lists() {
    let dir = tempfile::tempdir().unwrap();
    let (bytes, names) = archive_of(dir.path());
    assert!(names.len() >= 3, "{names:?}");
    let mut meter = Meter::new(Limits::default());
    assert_eq!(archive(&MemDisk::new(bytes.clone()), &mut meter).unwrap(), names);
    let files: [(&str, &[u8]); 2] = [
        ("/usr/lib/locale/locale-archive", &bytes),
        ("/usr/lib/locale/C.utf8/LC_CTYPE", b""),
    ];
    let all = ask(&files, &[], locales);
    assert_eq!(all.locales.len(), names.len() + 1);

    // Only the tables: the locales themselves are megabytes that nobody looks at.
    let (mut good, mut bad) = (0, 0);
    let mut small = bytes;
    small.truncate(small.len().min(1 << 16));
    let seed = Arc::new(small);
    let live: Vec<usize> = (0..56).chain(Patched::live(&seed)).collect();
    let mut rng = Rng::new(0x6c6f_6361);
    for _ in 0..30_000 {
        let mut meter = Meter::new(Limits {
            bytes: 4 << 20,
            steps: 50_000,
            depth: 8,
        });
        match archive(&Patched::new(&mut rng, &seed, &live), &mut meter) {
            Ok(_) => good += 1,
            Err(_) => bad += 1,
        }
    }
    assert!(good > 100 && bad > 100, "{good} {bad}");
}

/// A record of wtmp.
fn record(kind: i16, pid: i32, line: &str, user: &str, host: &str, time: u32) -> Vec<u8> {
    let mut raw = vec![0; LOGIN_RECORD];
    let mut put = |at: usize, bytes: &[u8]| raw[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &kind.to_le_bytes());
    put(4, &pid.to_le_bytes());
    put(8, line.as_bytes());
    put(44, user.as_bytes());
    put(76, host.as_bytes());
    put(340, &time.to_le_bytes());
    raw
}

const START: u32 = 1_700_000_000;

/// Two boots: one shut down in order, one that crashed.
fn wtmp() -> Vec<u8> {
    let mut out = Vec::new();
    let mut at = START;
    let mut say = |kind, pid, line: &str, user: &str, host: &str| {
        at += 60;
        out.extend(record(kind, pid, line, user, host, at));
    };
    say(2, 0, "~", "reboot", "6.1.0");
    say(1, i32::from(b'5'), "~", "runlevel", "6.1.0");
    say(7, 100, "pts/0", "anna", "10.0.0.1");
    say(7, 101, "tty1", "root", "");
    say(8, 100, "pts/0", "", "");
    say(7, 102, "pts/0", "bert", "host.example");
    say(1, i32::from(b'0'), "~", "shutdown", "6.1.0");
    say(2, 0, "~", "reboot", "6.1.1");
    say(7, 103, "pts/1", "anna", "10.0.0.2");
    say(2, 0, "~", "reboot", "6.1.1");
    say(7, 104, "pts/2", "carl", "10.0.0.3");
    out
}

#[test]
fn sessions_are_those_that_last_shows() {
    let mut meter = Meter::new(Limits::default());
    let all = records(&wtmp(), &mut meter).unwrap();
    assert_eq!(all[0].kind, LoginKind::Boot);
    let ours: Vec<_> = sessions(&all)
        .into_iter()
        .map(|s| {
            let minutes = s.logout.map(|t| (t - s.login) / 60_000_000);
            (s.user, s.line, s.host, s.end, minutes)
        })
        .collect();
    let expected = [
        ("anna", "pts/0", "10.0.0.1", SessionEnd::Logout, Some(2)),
        ("root", "tty1", "", SessionEnd::Shutdown, Some(3)),
        ("bert", "pts/0", "host.example", SessionEnd::Shutdown, Some(1)),
        ("anna", "pts/1", "10.0.0.2", SessionEnd::Crash, Some(1)),
        ("carl", "pts/2", "10.0.0.3", SessionEnd::Open, None),
    ]
    .map(|(user, line, host, end, minutes)| {
        (user.to_owned(), line.to_owned(), host.to_owned(), end, minutes)
    });
    assert_eq!(ours, expected);

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("wtmp");
    std::fs::write(&path, wtmp()).unwrap();
    let args = ["-w", "-f", path.to_str().unwrap(), "--time-format", "iso"];
    let said = String::from_utf8(oracle::run("last", &args).stdout).unwrap();
    for (user, line, host, end, minutes) in expected {
        let row = said.lines().find(|l| l.starts_with(&user) && l.contains(&line));
        let row = row.unwrap_or_else(|| panic!("{user} {line} is not in\n{said}"));
        assert!(host.is_empty() || row.contains(&host), "{row}");
        let word = match end {
            SessionEnd::Shutdown => "- down",
            SessionEnd::Crash => "- crash",
            // last looks at the machine it runs on before it says "still".
            SessionEnd::Open => "",
            _ => "-",
        };
        assert!(row.contains(word), "{row}");
        assert!(
            minutes.is_none_or(|m| row.contains(&format!("(00:{m:02})"))),
            "{row}"
        );
    }
}

#[test]
fn who_logged_in_last_is_what_lastlog_shows() {
    let mut raw = vec![0; 292 * 1001];
    let mut put = |uid: usize, time: u32, line: &[u8], host: &[u8]| {
        let at = uid * 292;
        raw[at..at + 4].copy_from_slice(&time.to_le_bytes());
        raw[at + 4..at + 4 + line.len()].copy_from_slice(line);
        raw[at + 36..at + 36 + host.len()].copy_from_slice(host);
    };
    put(0, START, b"tty1", b"");
    put(1000, START + 7, b"pts/3", b"10.1.2.3");
    let files: [(&str, &[u8]); 1] = [("/var/log/lastlog", &raw)];
    let all = ask(&files, &[], last_logins).unwrap().unwrap();
    let short: Vec<_> = all
        .iter()
        .map(|l| (l.uid, l.line.as_str(), l.host.as_str(), l.time))
        .collect();
    assert_eq!(
        short,
        [(0, "tty1", "", START), (1000, "pts/3", "10.1.2.3", START + 7)]
    );
    assert_eq!(ask(&[], &[], last_logins).unwrap(), None);
    let new: [(&str, &[u8]); 2] = [
        ("/var/lib/lastlog/lastlog2.db", b""),
        ("/var/lib/wtmpdb/wtmp.db", b""),
    ];
    let refused = ask(&new, &[], last_logins).unwrap_err();
    assert!(
        refused.class() == Class::Unsupported && refused.to_string().contains("lastlog2"),
        "{refused}"
    );
    let refused = ask(&new, &[], |look| login_records(look, "/var/log/wtmp")).unwrap_err();
    assert!(
        refused.class() == Class::Unsupported && refused.to_string().contains("wtmpdb"),
        "{refused}"
    );
}

#[test]
fn damaged_login_records_end_in_answers() {
    let seed = Arc::new(wtmp());
    let live = Patched::live(&seed);
    let mut rng = Rng::new(0x7774_6d70);
    let mut lengths = std::collections::BTreeSet::new();
    for _ in 0..35_000 {
        let disk = Patched::new(&mut rng, &seed, &live);
        let mut meter = Meter::new(Limits::default());
        let bytes = h2k_fs::whole(&disk, &mut meter, "wtmp").unwrap_or_default();
        lengths.insert(sessions(&records(&bytes, &mut meter).unwrap()).len());
    }
    assert!(lengths.len() > 2, "{lengths:?}: the damage does not bite");
}

#[test]
fn zones_change_their_clocks_when_date_does() {
    let seeds = [
        "Europe/Berlin",
        "America/New_York",
        "Australia/Lord_Howe",
        "Asia/Kolkata",
        "Africa/Casablanca",
        "UTC",
    ];
    let mut rng = Rng::new(7);
    for name in seeds {
        let bytes = std::fs::read(Path::new("/usr/share/zoneinfo").join(name)).unwrap();
        let zone = TimeZone::parse(&bytes).unwrap();
        // Around each half year for a century, and far beyond the last change of the table.
        let times: Vec<i64> = (0..220)
            .map(|n| -1_500_000_000 + n * 31_556_952 + rng.below(9_000_000) as i64)
            .collect();
        let dir = tempfile::tempdir().unwrap();
        let list = dir.path().join("list");
        let text: String = times.iter().map(|t| format!("@{t}\n")).collect();
        std::fs::write(&list, text).unwrap();
        let args = [
            &format!("TZ={name}"),
            "date",
            "-f",
            list.to_str().unwrap(),
            "+%z %Z",
        ];
        let said = String::from_utf8(oracle::run("env", &args).stdout).unwrap();
        for (at, line) in times.iter().zip(said.lines()) {
            let (offset, abbreviation) = zone.at(*at);
            let minutes = offset.abs() / 60;
            let sign = if offset < 0 { '-' } else { '+' };
            let ours = format!("{sign}{:02}{:02} {abbreviation}", minutes / 60, minutes % 60);
            assert_eq!(ours, line, "{name} at {at}");
        }
    }
    let seed = Arc::new(std::fs::read("/usr/share/zoneinfo/Europe/Berlin").unwrap());
    let live = Patched::live(&seed);
    let (mut good, mut bad) = (0, 0);
    for _ in 0..35_000 {
        let mut meter = Meter::new(Limits::default());
        let bytes =
            h2k_fs::whole(&Patched::new(&mut rng, &seed, &live), &mut meter, "zone").unwrap_or_default();
        match TimeZone::parse(&bytes) {
            Ok(zone) => {
                let _ = (
                    zone.at(0),
                    zone.at(i64::MAX),
                    zone.at(i64::MIN),
                    zone.at(3_000_000_000),
                );
                good += 1;
            }
            Err(_) => bad += 1,
        }
    }
    assert!(good > 100 && bad > 100, "{good} {bad}");
}

#[test]
fn time_zones_are_those_that_the_guest_has() {
    let text = b"# version 2024a\nR A 1 2 o 1 1 0 0 -\nZ Europe/Berlin 0:53:28 - LMT 1893 Ap\n1 c CE%sT\nL Europe/Berlin Europe/Oslo\n";
    let files: [(&str, &[u8]); 1] = [("/usr/share/zoneinfo/tzdata.zi", text)];
    assert_eq!(
        ask(&files, &[], time_zones),
        ["Europe/Berlin", "Europe/Oslo", "UTC"]
    );
    let files: [(&str, &[u8]); 1] = [(
        "/usr/share/zoneinfo/zone.tab",
        b"# x\nDE\t+5230+01322\tEurope/Berlin\tmost\n",
    )];
    assert_eq!(ask(&files, &[], time_zones), ["Europe/Berlin", "UTC"]);
}
