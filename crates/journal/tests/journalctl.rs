//! Whatever systemd writes reads as journalctl reads it.

use crate::common::{FORMS, Form, boot, entry, journalctl, many, open, ours, same, write};
use h2k_journal::{EntryHead, Journal, Query, Status};
use h2k_testkit::oracle;

const START: u64 = 1_700_000_000_000_000;

#[test]
fn every_form_reads_entry_by_entry() {
    let dir = tempfile::tempdir().unwrap();
    for form in FORMS {
        let path = dir.path().join("x.journal");
        let _ = std::fs::remove_file(&path);
        write(&path, &many(1, 3, 400, START), form);
        let file = open(&path);
        assert_eq!(
            (file.header().compact(), file.header().keyed()),
            (form.compact, form.keyed)
        );
        assert_eq!(file.header().status, Status::Offline);
        assert!(file.warnings().is_empty(), "{:?}", file.warnings());
        assert_eq!(file.header().entries, 1200);
        let journal = Journal::new(vec![file]);
        let paths = [path.clone()];
        same(
            &ours(&journal, &Query::all()),
            &journalctl(&paths, &[]),
            &format!("{form:?}"),
        );

        let report = journal.files()[0].verify().unwrap();
        assert_eq!(report.problems, Vec::<String>::new(), "{form:?}");
        assert_eq!(report.entries, 1200);
        oracle::ok(
            "journalctl",
            &["--verify".to_owned(), format!("--file={}", path.display())],
        );
    }
}

#[test]
fn matches_choose_what_journalctl_chooses() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.journal");
    write(&path, &many(2, 3, 300, START), FORMS[2]);
    let journal = Journal::new(vec![open(&path)]);
    let long = format!("LONG={}", "compress me 22 ".repeat(300));
    let b2 = format!("_BOOT_ID={}", boot(2));
    let cases: [(Query, &[&str]); 8] = [
        (Query::all().with("PRIORITY", "3"), &["PRIORITY=3"]),
        (
            Query::all().with("PRIORITY", "3").with("PRIORITY", "5"),
            &["PRIORITY=3", "PRIORITY=5"],
        ),
        (
            Query::all().with("PRIORITY", "0").with("TAG", "two"),
            &["PRIORITY=0", "TAG=two"],
        ),
        (Query::all().boot(boot(2)), &[&b2]),
        (Query::all().severe(3).boot(boot(2)), &["-p", "err", &b2]),
        (
            Query::all().with("LONG", long.split_once('=').unwrap().1),
            &[&long],
        ),
        (Query::all().with("EMPTY", ""), &["EMPTY="]),
        (Query::all().with("_HOSTNAME", "other"), &["_HOSTNAME=other"]),
    ];
    for (query, args) in cases {
        let (ours, theirs) = (
            ours(&journal, &query),
            journalctl(std::slice::from_ref(&path), args),
        );
        assert!(
            args == ["_HOSTNAME=other"] || !ours.is_empty(),
            "{args:?} chooses nothing"
        );
        same(&ours, &theirs, &format!("{args:?}"));
    }
}

#[test]
fn groups_units_and_cursors_choose_what_journalctl_chooses() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.journal");
    let mut export = many(5, 2, 300, START);
    let about: [&[(&str, &[u8])]; 5] = [
        &[
            ("_SYSTEMD_UNIT", b"web.service"),
            ("MESSAGE", b"mine"),
            ("_UID", b"33"),
        ],
        &[("_PID", b"1"), ("UNIT", b"web.service"), ("MESSAGE", b"of it")],
        &[("_PID", b"7"), ("UNIT", b"web.service"), ("MESSAGE", b"a lie")],
        &[
            ("_UID", b"0"),
            ("OBJECT_SYSTEMD_UNIT", b"web.service"),
            ("MESSAGE", b"kernel"),
        ],
        &[
            ("_SYSTEMD_UNIT", b"other.service"),
            ("_SYSTEMD_SLICE", b"a.slice"),
            ("MESSAGE", b"x"),
        ],
    ];
    for (n, fields) in (0..200).zip(about.iter().cycle()) {
        let more = [*fields, &[("PRIORITY", b"4")]].concat();
        let at = 60_000_000 + n * 1000;
        export.extend(entry(START + at, at, boot(2), &more));
    }
    write(&path, &export, FORMS[1]);
    let journal = Journal::new(vec![open(&path)]);
    let any = Query::all()
        .any([
            Query::all().with("TAG", "two").with("PRIORITY", "3"),
            Query::all().with("PRIORITY", "6").with("PRIORITY", "5"),
        ])
        .boot(boot(2));
    let b2 = format!("_BOOT_ID={}", boot(2));
    let cursor = journal.entries(&Query::all()).nth(123).unwrap().head;
    assert_eq!(EntryHead::from_cursor(&cursor.cursor()), Some(cursor));
    let (at, behind) = (
        format!("--cursor={}", cursor.cursor()),
        format!("--after-cursor={}", cursor.cursor()),
    );
    let cases: [(Query, Vec<&str>); 7] = [
        (
            any,
            vec!["TAG=two", "PRIORITY=3", &b2, "+", "PRIORITY=5", "PRIORITY=6", &b2],
        ),
        (Query::all().units(&["web.service"]), vec!["-u", "web.service"]),
        (
            Query::all().units(&["web.service", "a.slice"]).severe(4),
            vec!["-u", "web", "-u", "a.slice", "-p", "4"],
        ),
        (Query::all().units(&["none.service"]), vec!["-u", "none.service"]),
        (Query::all().priorities(2, 4), vec!["-p", "2..4"]),
        (Query::all().from(cursor, true), vec![&at]),
        (Query::all().from(cursor, false), vec![&behind]),
    ];
    for (query, args) in cases {
        let theirs = journalctl(std::slice::from_ref(&path), &args);
        same(&ours(&journal, &query), &theirs, &format!("{args:?}"));
        let count = journal.entries(&query).remaining();
        let there = theirs.windows(12).filter(|w| w == b"__REALTIME_T").count();
        assert_eq!(count, there as u64, "{args:?}");
    }
    let back: Vec<u8> = journal.latest(&Query::all()).flat_map(|e| e.export()).collect();
    same(&back, &journalctl(&[path], &["-r"]), "newest first");
}

#[test]
fn times_choose_what_journalctl_chooses() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.journal");
    // Entries a few milliseconds apart over several seconds a boot.
    write(&path, &many(3, 3, 2000, START), FORMS[1]);
    let journal = Journal::new(vec![open(&path)]);
    let (since, until) = (START / 1_000_000 + 2, START / 1_000_000 + 17);
    let query = Query::all().since(since * 1_000_000).until(until * 1_000_000);
    let args = [format!("--since=@{since}"), format!("--until=@{until}")];
    let ours = ours(&journal, &query);
    let count = ours.windows(9).filter(|w| w == b"_BOOT_ID=").count();
    assert!((500..5500).contains(&count), "{count}");
    same(
        &ours,
        &journalctl(&[path], &args.each_ref().map(String::as_str)),
        "since and until",
    );
}

#[test]
fn several_files_are_one_stream() {
    let dir = tempfile::tempdir().unwrap();
    // Three files whose entries interleave within one boot, and one of another boot.
    let mut paths = Vec::new();
    for n in 0..3_u64 {
        let path = dir.path().join(format!("{n}.journal"));
        write(
            &path,
            &many(10 + n, 2, 200, START + n * 777),
            FORMS[n as usize % 4],
        );
        paths.push(path);
    }
    let path = dir.path().join("3.journal");
    write(&path, &many(99, 1, 50, START - 1_000_000_000), FORMS[3]);
    paths.push(path);
    let journal = Journal::new(paths.iter().map(|p| open(p)).collect());
    same(
        &ours(&journal, &Query::all()),
        &journalctl(&paths, &[]),
        "four files",
    );
    let query = Query::all().severe(2);
    same(
        &ours(&journal, &query),
        &journalctl(&paths, &["-p", "crit"]),
        "four files, critical",
    );
}

#[test]
fn what_two_files_both_have_is_shown_once() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (dir.path().join("a.journal"), dir.path().join("b.journal"));
    write(&a, &many(5, 2, 100, START), FORMS[2]);
    std::fs::copy(&a, &b).unwrap();
    let journal = Journal::new(vec![open(&a), open(&b)]);
    assert_eq!(journal.entries(&Query::all()).count(), 200);
    same(
        &ours(&journal, &Query::all()),
        &journalctl(&[a, b], &[]),
        "a file and its copy",
    );
}

#[test]
fn boots_are_those_journalctl_lists() {
    let dir = tempfile::tempdir().unwrap();
    let mut paths = Vec::new();
    for n in 0..2_u64 {
        let path = dir.path().join(format!("{n}.journal"));
        write(
            &path,
            &many(20 + n, 4, 90, START + n * 500),
            FORMS[1 + n as usize],
        );
        paths.push(path);
    }
    let journal = Journal::new(paths.iter().map(|p| open(p)).collect());
    let mut args: Vec<String> = paths.iter().map(|p| format!("--file={}", p.display())).collect();
    args.extend(["--list-boots", "--utc", "--no-pager", "--quiet"].map(str::to_owned));
    let said = oracle::ok("journalctl", &args);
    let listed: Vec<Vec<String>> = said
        .lines()
        .map(|l| l.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
        .filter(|words| words.get(1).is_some_and(|w| w.len() == 32))
        .collect();
    let boots = journal.boots();
    assert_eq!(boots.len(), 4);
    assert_eq!(listed.len(), 4, "{said}");
    for (boot, words) in boots.iter().zip(&listed) {
        assert_eq!(boot.id.to_string(), words[1]);
        assert_eq!(boot.entries, 180);
        // -2 ID Tue 2023-11-14 22:13:20 UTC [—] Tue 2023-11-14 22:13:30 UTC
        let times: Vec<&String> = words
            .iter()
            .filter(|w| w.len() == 8 && w.matches(':').count() == 2)
            .collect();
        assert_eq!(times, [&clock(boot.first), &clock(boot.last)]);
        // Both ends again, from the entries themselves.
        let all: Vec<u64> = journal
            .entries(&Query::all().boot(boot.id))
            .map(|e| e.head.realtime)
            .collect();
        assert_eq!(
            (all.iter().min(), all.iter().max()),
            (Some(&boot.first), Some(&boot.last))
        );
    }
}

/// Hours, minutes and seconds in UTC.
fn clock(micros: u64) -> String {
    let s = micros / 1_000_000;
    format!("{:02}:{:02}:{:02}", s / 3600 % 24, s / 60 % 60, s % 60)
}

#[test]
fn a_journal_of_many_entries_chains_its_arrays() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.journal");
    write(
        &path,
        &many(6, 1, 20_000, START),
        Form {
            compress: true,
            compact: true,
            keyed: true,
        },
    );
    let file = open(&path);
    assert!(file.header().entry_arrays.unwrap() > 10);
    let journal = Journal::new(vec![file]);
    same(
        &ours(&journal, &Query::all()),
        &journalctl(&[path], &[]),
        "20000 entries",
    );
}
