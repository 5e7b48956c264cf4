//! Calendar expressions, spans and escaped names, against systemd's own tools.

use crate::common::{once_in, pick};
use h2k_block::Limits;
use h2k_fs::MemFs;
use h2k_guest::{Look, Tree};
use h2k_systemd::{Calendar, Clocks, name, span};
use h2k_testkit::oracle;
use h2k_testkit::rng::Rng;
use std::collections::BTreeSet;

/// 2026-11-21 15:00:00 UTC.
const BASE: i64 = 1_795_273_200_000_000;

fn component(rng: &mut Rng, from: u64, to: u64) -> String {
    if once_in(rng, 3) {
        return "*".to_owned();
    }
    let mut out = Vec::new();
    for _ in 0..1 + rng.below(3) {
        let n = from + rng.below(to - from + 2);
        let m = from + rng.below(to - from + 2);
        let step = 1 + rng.below(7);
        out.push(match rng.below(7) {
            0 => format!("{n}..{m}"),
            1 => format!("{n}/{step}"),
            2 => format!("{}..{}/{step}", n.min(m), n.max(m)),
            3 => format!("{n:02}"),
            4 if once_in(rng, 6) => (*pick(rng, &["*/2", "", "x", "1..", "/3", "-1", "3/0"])).to_owned(),
            _ => format!("{n}"),
        });
    }
    out.join(",")
}

fn expression(rng: &mut Rng) -> String {
    let words = [
        "daily",
        "weekly",
        "hourly",
        "minutely",
        "monthly",
        "yearly",
        "quarterly",
        "semi-annually",
        "Weekly",
        "annually",
        "bogus",
    ];
    if once_in(rng, 25) {
        return format!("{}{}", pick(rng, &words), pick(rng, &["", " UTC", " utc"]));
    }
    if once_in(rng, 30) {
        return format!("@{}", rng.below(5_000_000_000));
    }
    let mut out: Vec<String> = Vec::new();
    if once_in(rng, 3) {
        let names = ["Mon", "tue", "Wednesday", "Thu", "Fri", "SAT", "Sunday", "Foo"];
        let known = if once_in(rng, 20) { 8 } else { 7 };
        let day = |rng: &mut Rng| (*pick(rng, &names[..known])).to_owned();
        let mut days = Vec::new();
        for _ in 0..1 + rng.below(3) {
            let one = day(rng);
            days.push(match rng.below(4) {
                0 => format!("{one}..{}", day(rng)),
                1 => format!("{one}-{}", day(rng)),
                _ => one,
            });
        }
        out.push(days.join(",") + if once_in(rng, 6) { "," } else { "" });
    }
    if !once_in(rng, 3) {
        let (year, month, mut day) = (
            component(rng, 2020, 2040),
            component(rng, 1, 12),
            component(rng, 1, 31),
        );
        let dash = if once_in(rng, 6) { "~" } else { "-" };
        // systemd 252 refuses some lists of days counted from the end, by no rule its manual has; we take them.
        if dash == "~" {
            day = day.split(',').next().unwrap().to_owned();
        }
        out.push(match rng.below(3) {
            0 => format!("{month}{dash}{day}"),
            _ => format!("{year}-{month}{dash}{day}"),
        });
    }
    if !once_in(rng, 3) || out.is_empty() {
        let (hour, minute, mut second) = (
            component(rng, 0, 23),
            component(rng, 0, 59),
            component(rng, 0, 59),
        );
        if once_in(rng, 5) {
            let more = *pick(rng, &[".5", ".123456", "/1.5", ".1234567"]);
            second.push_str(more);
        }
        out.push(match rng.below(2) {
            0 => format!("{hour}:{minute}"),
            _ => format!("{hour}:{minute}:{second}"),
        });
    }
    if once_in(rng, 12) {
        out.push("UTC".to_owned());
    }
    out.join(" ")
}

/// Normalized form and next time of each expression, as `systemd-analyze` has them; `None` where it says there is none.
fn theirs(all: &[String]) -> Vec<Option<(String, String)>> {
    let mut args = vec![
        "calendar".to_owned(),
        "--base-time=2026-11-21 15:00:00 UTC".to_owned(),
        "--".to_owned(),
    ];
    args.extend(all.iter().cloned());
    let out = oracle::run(
        "env",
        &[
            &["TZ=UTC".to_owned(), "systemd-analyze".to_owned()],
            args.as_slice(),
        ]
        .concat(),
    );
    let (said, errors) = (
        String::from_utf8(out.stdout).unwrap(),
        String::from_utf8(out.stderr).unwrap(),
    );
    let bad: BTreeSet<&str> = errors
        .lines()
        .filter_map(|l| l.split_once('\'')?.1.rsplit_once('\'').map(|(e, _)| e))
        .collect();
    let after = |label: &'static str| {
        said.lines()
            .filter_map(move |l| l.trim_start().strip_prefix(label))
    };
    let mut forms = after("Normalized form: ");
    let mut nexts = after("Next elapse: ");
    all.iter()
        .map(|e| {
            (!bad.contains(e.as_str()))
                .then(|| (forms.next().unwrap().to_owned(), nexts.next().unwrap().to_owned()))
        })
        .collect()
}

/// As `systemd-analyze` writes a time: without fractions of the second.
fn shown(at: Option<i64>) -> String {
    let Some(at) = at else { return "never".to_owned() };
    let date = oracle_date(at / 1_000_000);
    format!("{date} UTC")
}

fn oracle_date(seconds: i64) -> String {
    let format = "+%a %Y-%m-%d %H:%M:%S";
    oracle::ok("date", &["-u", "-d", &format!("@{seconds}"), format])
        .trim()
        .to_owned()
}

#[test]
fn calendar_expressions_mean_what_systemd_takes_them_for() {
    let mut rng = Rng::new(0x6361_6c65);
    let (mut good, mut bad, mut wrong) = (0, 0, Vec::new());
    for _ in 0..20 {
        let all: BTreeSet<String> = (0..100).map(|_| expression(&mut rng)).collect();
        let all: Vec<String> = all.into_iter().collect();
        for (text, theirs) in all.iter().zip(theirs(&all)) {
            let ours = Calendar::parse(text);
            let form = ours.as_ref().map(ToString::to_string);
            if form != theirs.as_ref().map(|(form, _)| form.clone()) {
                wrong.push(format!("{text:?}: ours {form:?}, systemd's {theirs:?}"));
            } else if let (Some(ours), Some((_, next))) = (ours, theirs) {
                good += 1;
                let mine = shown(ours.next(BASE, &Clocks::utc()));
                if mine != next {
                    wrong.push(format!("{text:?}: next is {mine}, systemd's {next}"));
                }
            } else {
                bad += 1;
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {}\n{}",
        wrong.len(),
        good + bad,
        wrong.join("\n")
    );
    assert!(good > 500 && bad > 100, "{good} good, {bad} bad");
}

const ZONES: [&str; 6] = [
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Kolkata",
    "Africa/Casablanca",
    "Pacific/Apia",
];

/// A guest in `own`, with the data of all zones.
fn guest(own: &str) -> Tree {
    let mut fs = MemFs::new();
    for zone in ZONES {
        let path = format!("/usr/share/zoneinfo/{zone}");
        fs.file(&path, std::fs::read(&path).unwrap()).unwrap();
    }
    fs.link("/etc/localtime", format!("../usr/share/zoneinfo/{own}"))
        .unwrap();
    Tree::new("/dev/sda1", std::sync::Arc::new(fs))
}

/// Each time an expression comes true, in seconds since 1970 UTC, as `systemd-analyze` reckons in `own`.
fn elapses(own: &str, base: i64, text: &str) -> Vec<i64> {
    let args = [
        format!("TZ={own}"),
        "LC_ALL=C".to_owned(),
        "systemd-analyze".to_owned(),
        "calendar".to_owned(),
        "--iterations=6".to_owned(),
        format!("--base-time=@{base}"),
        text.to_owned(),
    ];
    let said = String::from_utf8(oracle::run("env", &args).stdout).unwrap();
    let utc = said.lines().filter_map(|l| l.trim().strip_prefix("(in UTC): "));
    let dates: Vec<String> = utc.map(|l| l.trim().to_owned()).collect();
    let dir = tempfile::tempdir().unwrap();
    let list = dir.path().join("list");
    std::fs::write(&list, dates.join("\n")).unwrap();
    let seconds = oracle::ok("date", &["-u", "-f", list.to_str().unwrap(), "+%s"]);
    seconds.lines().map(|s| s.parse().unwrap()).collect()
}

#[test]
fn clocks_of_a_guest_are_put_back_and_forward_as_systemd_has_it() {
    let mut rng = Rng::new(0x7a6f_6e65);
    let often = [
        "*:0/15",
        "*-*-* *:30",
        "*-*-* 02:30",
        "*:45:10",
        "Sun 1:30",
        "*-*-* 0/2:00",
        "daily",
    ];
    let (mut compared, mut wrong) = (0, Vec::new());
    for own in ZONES {
        let tree = guest(own);
        let look = Look::new(&tree, &Limits::default());
        let clocks = Clocks::of(&look);
        // Days around which these zones change their clocks, and one on which none does.
        for day in [
            1_774_738_800,
            1_772_953_200,
            1_793_491_200,
            1_775_311_200,
            1_792_886_400,
            1_781_000_000,
        ] {
            let base = day + rng.below(86_400) as i64 - 43_200;
            let place = *pick(&mut rng, &ZONES);
            let text = match rng.below(3) {
                0 => format!("{} {place}", pick(&mut rng, &often)),
                _ => (*pick(&mut rng, &often)).to_owned(),
            };
            let calendar = Calendar::parse(&text).unwrap();
            let mut at = base * 1_000_000;
            let ours: Vec<i64> = std::iter::from_fn(|| {
                at = calendar.next(at, &clocks)?;
                Some(at / 1_000_000)
            })
            .take(6)
            .collect();
            let theirs = elapses(own, base, &text);
            compared += theirs.len();
            if ours != theirs {
                wrong.push(format!(
                    "{text} in {own} from {base}: ours {ours:?}, systemd's {theirs:?}"
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong\n{}", wrong.len(), wrong.join("\n"));
    assert!(compared > 200, "{compared}");
}

#[test]
fn a_zone_that_the_guest_has_no_data_of_is_not_guessed() {
    let tree = guest("Europe/Berlin");
    let look = Look::new(&tree, &Limits::default());
    let clocks = Clocks::of(&look);
    let next = |text: &str| Calendar::parse(text).unwrap().next(BASE, &clocks);
    // Midnight of the 22nd of November, an hour ahead of UTC.
    assert_eq!(next("daily"), Some(1_795_302_000_000_000));
    assert_eq!(next("daily Europe/Berlin"), next("daily"));
    assert_eq!(next("daily UTC"), Some(1_795_305_600_000_000));
    assert_eq!(next("daily Europe/Paris"), None);
    assert_eq!(next("daily Europe"), None);
    assert_eq!(
        Calendar::parse("daily Europe/Berlin")
            .unwrap()
            .next(BASE, &Clocks::utc()),
        None
    );
}

#[test]
fn spans_of_time_are_read_and_written_as_systemd_does() {
    let mut rng = Rng::new(0x7370_616e);
    let units = [
        "", "s", "min", "h", "d", "w", "M", "month", "months", "y", "ms", "us", "msec", "sec", "seconds",
        "hr", "m", "usec", "x", "µs",
    ];
    let mut all = BTreeSet::from([
        "infinity".to_owned(),
        "0".to_owned(),
        "1.5".to_owned(),
        ".5s".to_owned(),
        "5.s".to_owned(),
        "-1".to_owned(),
    ]);
    for _ in 0..150 {
        let mut text = String::new();
        for _ in 0..1 + rng.below(3) {
            let n = rng.below(3000);
            let fraction = if once_in(&mut rng, 4) {
                format!(".{}", rng.below(1000))
            } else {
                String::new()
            };
            let blank = *pick(&mut rng, &["", " "]);
            text.push_str(&format!("{n}{fraction}{blank}{} ", pick(&mut rng, &units)));
        }
        all.insert(text.trim().to_owned());
    }
    let all: Vec<String> = all.into_iter().collect();
    let mut wrong = Vec::new();
    for text in &all {
        let out = oracle::run("systemd-analyze", &["timespan", "--", text]);
        let said = String::from_utf8(out.stdout).unwrap();
        let after = |label| {
            said.lines()
                .find_map(|l| Some(l.trim_start().strip_prefix(label)?.to_owned()))
        };
        let theirs = after("μs: ").or_else(|| after("us: ")).zip(after("Human: "));
        let ours = span::parse(text).map(|n| (n.to_string(), span::human(n)));
        if ours != theirs {
            wrong.push(format!("{text:?}: ours {ours:?}, systemd's {theirs:?}"));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {}\n{}",
        wrong.len(),
        all.len(),
        wrong.join("\n")
    );
}

#[test]
fn names_are_escaped_as_systemd_escape_does() {
    let mut rng = Rng::new(0x6573_6361);
    let mut all = BTreeSet::new();
    for _ in 0..60 {
        let len = 1 + rng.below(12);
        let alphabet: Vec<char> = "ab/.-\\_: é@xX2".chars().collect();
        all.insert((0..len).map(|_| *pick(&mut rng, &alphabet)).collect::<String>());
    }
    let all: Vec<String> = all.into_iter().collect();
    let said = |flags: &[&str], text: &str| {
        let args = [flags, &["--", text]].concat();
        let out = oracle::run("systemd-escape", &args);
        let text = String::from_utf8_lossy(&out.stdout)
            .trim_end_matches('\n')
            .to_owned();
        out.status.success().then_some(text)
    };
    let text = |bytes: Option<Vec<u8>>| bytes.map(|b| String::from_utf8_lossy(&b).into_owned());
    for one in &all {
        assert_eq!(Some(name::escape(one.as_bytes())), said(&[], one), "{one:?}");
        assert_eq!(
            name::escape_path(one.as_bytes()),
            said(&["--path"], one),
            "path {one:?}"
        );
        assert_eq!(text(name::unescape(one)), said(&["-u"], one), "back {one:?}");
        assert_eq!(
            text(name::unescape_path(one)),
            said(&["-u", "--path"], one),
            "path back {one:?}"
        );
    }
}
