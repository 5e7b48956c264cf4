//! Hostile unit files end in answers.

use crate::door::{UNITS, guest, texts};
use h2k_systemd::syntax::parse;
use h2k_testkit::mutate::damage;
use h2k_testkit::rng::Rng;

const TEXT: &str = "[Unit]\nDescription=%n of %i\nWants=a.service b@%i.service \\\n  c.socket\nAfter=a.service\nBefore=a.service\nRequiresMountsFor=/a/%p\nConditionPathExists=|!/x\n[Service]\nType=dbus\nExecStart=/bin/a \"b \\x41\"\nSlice=x-y.slice\nUser=%i\nCapabilityBoundingSet=~CAP_KILL 5\nRestrictNamespaces=user pid\nRestrictAddressFamilies=~AF_INET AF_CAN\nSystemCallFilter=@clock:EPERM ~read\nIPAddressDeny=any 10.0.0.0/8 ::1/128\nDevicePolicy=closed\nDeviceAllow=char-rtc r\nUMask=0077\n[Timer]\nOnCalendar=Mon..Fri *-*-1..7/2 0/2:15,30:00.5 UTC\nOnBootSec=1h 5.5min\n[Install]\nWantedBy=default.target\nAlias=c.service\nDefaultInstance=q\n";

/// The text, damaged up to so many times.
fn damaged(rng: &mut Rng, times: u64) -> Vec<u8> {
    let mut bytes = TEXT.as_bytes().to_vec();
    let len = bytes.len();
    for _ in 0..times {
        damage(rng, &mut bytes, 0..len);
    }
    bytes
}

#[test]
fn a_hundred_thousand_mutated_texts_end_in_answers() {
    let mut rng = Rng::new(0x756e_6974);
    let (mut calendars, mut spans) = (0, 0);
    for _ in 0..100_000 {
        let times = 1 + rng.below(4);
        let found = texts(&damaged(&mut rng, times));
        calendars += found.0;
        spans += found.1;
    }
    assert!(calendars > 10_000 && spans > 10_000, "{calendars} {spans}");
}

#[test]
fn guests_with_mutated_units_end_in_answers() {
    let mut rng = Rng::new(0x7472_6565);
    let (mut problems, mut exposed) = (0, 0);
    for _ in 0..1500 {
        let units: Vec<Vec<u8>> = UNITS
            .iter()
            .map(|_| {
                let times = rng.below(4);
                damaged(&mut rng, times)
            })
            .collect();
        let fstab = &TEXT.as_bytes()[..(rng.below(200) as usize)];
        let found = guest(units.iter().map(Vec::as_slice), fstab);
        problems += found.0;
        exposed += found.1;
    }
    assert!(problems > 1500 && exposed > 1500, "{problems} {exposed}");
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
