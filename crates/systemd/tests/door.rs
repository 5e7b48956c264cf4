//! Hostile unit files end in answers.

use h2k_block::Limits;
use h2k_fs::MemFs;
use h2k_guest::{Look, Tree};
use h2k_systemd::syntax::{Escapes, parse, words};
use h2k_systemd::{Calendar, Lists, Name, Scope, Units, Utc, name, span, verify};
use h2k_testkit::mutate::damage;
use h2k_testkit::rng::Rng;
use std::sync::Arc;

/// What hostile input may cost here.
const LIMITS: Limits = Limits {
    bytes: 1 << 20,
    steps: 20_000,
    depth: 16,
};

const TEXT: &str = "[Unit]\nDescription=%n of %i\nWants=a.service b@%i.service \\\n  c.socket\nAfter=a.service\nBefore=a.service\nRequiresMountsFor=/a/%p\nConditionPathExists=|!/x\n[Service]\nType=dbus\nExecStart=/bin/a \"b \\x41\"\nSlice=x-y.slice\n[Timer]\nOnCalendar=Mon..Fri *-*-1..7/2 0/2:15,30:00.5 UTC\nOnBootSec=1h 5.5min\n[Install]\nWantedBy=default.target\nAlias=c.service\nDefaultInstance=q\n";

#[test]
fn a_hundred_thousand_mutated_texts_end_in_answers() {
    let mut rng = Rng::new(0x756e_6974);
    let (mut calendars, mut spans) = (0, 0);
    for _ in 0..100_000 {
        let mut bytes = TEXT.as_bytes().to_vec();
        let len = bytes.len();
        for _ in 0..1 + rng.below(4) {
            damage(&mut rng, &mut bytes, 0..len);
        }
        let text = String::from_utf8_lossy(&bytes);
        for setting in parse("/x", &text).settings {
            let _ = words(&setting.value, Escapes::Keep);
            let _ = words(&setting.value, Escapes::Take);
            let _ = name::unescape_path(&setting.value).map(|p| name::escape_path(&p));
            let _ = Name::parse(&setting.value).map(|n| n.template());
            if setting.key.starts_with("OnCal")
                && let Some(calendar) = Calendar::parse(&setting.value)
            {
                calendars += 1;
                assert_eq!(
                    Calendar::parse(&calendar.to_string()),
                    Some(calendar.clone()),
                    "{calendar}"
                );
                let _ = calendar.next(1_795_273_200_000_000, &Utc);
            }
            if setting.key.starts_with("OnBoot") && span::parse(&setting.value).map(span::human).is_some() {
                spans += 1;
            }
        }
    }
    assert!(calendars > 10_000 && spans > 10_000, "{calendars} {spans}");
}

#[test]
fn guests_with_mutated_units_end_in_answers() {
    let mut rng = Rng::new(0x7472_6565);
    let mut problems = 0;
    for _ in 0..1500 {
        let mut fs = MemFs::new();
        for unit in [
            "a.service",
            "b@.service",
            "c.socket",
            "default.target",
            "t.timer",
            "x-y.mount",
        ] {
            let mut bytes = TEXT.as_bytes().to_vec();
            let len = bytes.len();
            for _ in 0..rng.below(4) {
                damage(&mut rng, &mut bytes, 0..len);
            }
            fs.file(&format!("/usr/lib/systemd/system/{unit}"), bytes)
                .unwrap();
        }
        fs.link("/etc/systemd/system/c.service", "c.service").unwrap();
        fs.link("/etc/systemd/system/d.service", "c.service").unwrap();
        fs.link("/etc/systemd/system/default.target.wants/t.timer", "../t.timer")
            .unwrap();
        fs.file("/etc/fstab", &TEXT.as_bytes()[..(rng.below(200) as usize)])
            .unwrap();
        let tree = Tree::new("/dev/sda1", Arc::new(fs));
        let look = Look::new(&tree, &LIMITS);
        let units = Units::new(&look, Scope::System, true);
        let lists = Lists::new(&units);
        let _ = (
            lists.unit_files(),
            lists.timers(0, &Utc),
            lists.sockets(),
            lists.mounts(),
        );
        problems += verify(&units, lists.graph()).len();
    }
    assert!(problems > 1500, "{problems}");
}

/// A file of the largest size that is one unit, in the forms that are dear to read.
#[test]
fn large_units_are_read_in_time_that_grows_with_their_size() {
    for piece in [
        "[a]\n",
        "[Unit]\nWants=a.service\n",
        "a\\\n",
        "Wants=%n%n%n%n\n",
        "\\\\\n",
    ] {
        let text = piece.repeat((1 << 20) / piece.len());
        let settings = parse("/x", &text).settings;
        assert!(settings.len() <= text.len());
    }
}
