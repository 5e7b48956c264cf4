//! The forms entries are written in, against journalctl's, and what explains them.

use crate::common::{FORMS, boot, entry, many, open, write};
use crate::fixture;
use h2k_block::{Limits, Meter};
use h2k_fs::{FsFiles, MemFs};
use h2k_journal::{Catalog, Journal, Output, Query, text_logs, utc};
use h2k_testkit::mutate::Patched;
use h2k_testkit::oracle;
use h2k_testkit::rng::Rng;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

const START: u64 = 1_700_000_000_000_000;

fn odd() -> Vec<u8> {
    let mut out = many(8, 1, 40, START);
    let long = "a line\n".repeat(700);
    let cases: [&[(&str, &[u8])]; 9] = [
        &[
            ("MESSAGE", b"plain"),
            ("SYSLOG_IDENTIFIER", b"sshd"),
            ("_PID", b"77"),
            ("_HOSTNAME", b"guest"),
        ],
        &[
            ("MESSAGE", b"several\nlines\n"),
            ("_COMM", b"worker"),
            ("SYSLOG_PID", b"12"),
            ("_HOSTNAME", b"guest"),
        ],
        &[("MESSAGE", b"not text \xff"), ("_HOSTNAME", b"guest")],
        &[("MESSAGE", b""), ("SYSLOG_IDENTIFIER", b"empty")],
        &[("PRIORITY", b"3"), ("SYSLOG_IDENTIFIER", b"says nothing")],
        &[
            ("MESSAGE", b"late"),
            ("_SOURCE_REALTIME_TIMESTAMP", b"1700000000500000"),
        ],
        &[("MESSAGE", b"early"), ("_SOURCE_MONOTONIC_TIMESTAMP", b"12345")],
        &[
            ("MESSAGE", long.as_bytes()),
            ("QUOTE", b"say \"hi\" \\ there\ttab"),
            ("ESC", b"\x1b[1m"),
        ],
        &[("MESSAGE", "gr\u{fc}\u{df}e".as_bytes()), ("BLOB", &[0; 3000])],
    ];
    for (n, fields) in (1..).zip(cases) {
        out.extend(entry(
            START + 90_000_000 + n * 1_000_000,
            90_000_000 + n,
            boot(1 + (n / 5) as u8),
            fields,
        ));
    }
    out
}

#[test]
fn every_form_is_written_as_journalctl_writes_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.journal");
    write(&path, &odd(), FORMS[2]);
    let journal = Journal::new(vec![open(&path)]);
    for all in [false, true] {
        for output in Output::ALL {
            // The next test compares these two. Of lines with a NUL journalctl shows the part before it.
            if matches!(output, Output::Json | Output::Export) || (all && output == Output::Verbose) {
                continue;
            }
            let file = format!("--file={}", path.display());
            let mut args = vec![
                file.as_str(),
                "--utc",
                "--no-pager",
                "--quiet",
                "-o",
                output.word(),
            ];
            if all {
                args.push("--all");
            }
            let theirs = oracle::run("journalctl", &args).stdout;
            let entries = journal.entries(&Query::all());
            let ours: Vec<u8> = entries
                .filter_map(|entry| output.write(&entry, &utc, all))
                .flatten()
                .collect();
            let (ours, theirs) = (String::from_utf8_lossy(&ours), String::from_utf8_lossy(&theirs));
            // The order of fields is the library's own affair.
            let sorted = |text: &str| {
                let mut blocks: Vec<Vec<String>> = Vec::new();
                for line in text.split_inclusive('\n') {
                    if line.starts_with("    ") && !blocks.is_empty() && output == Output::Verbose {
                        blocks.last_mut().unwrap().push(line.to_owned());
                    } else {
                        blocks.push(vec![line.to_owned()]);
                    }
                }
                blocks.iter_mut().for_each(|block| block.sort());
                blocks
            };
            for (a, b) in sorted(&ours).iter().zip(&sorted(&theirs)) {
                assert!(a == b, "{output:?}, all: {all}:\n{a:.300?}\n{b:.300?}");
            }
            assert_eq!(ours.len(), theirs.len(), "{output:?}, all: {all}");
        }
    }
}

#[test]
fn json_and_export_say_the_same_as_journalctls() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.journal");
    write(&path, &odd(), FORMS[1]);
    let journal = Journal::new(vec![open(&path)]);
    let file = format!("--file={}", path.display());
    let theirs = |form: &str| oracle::run("journalctl", &[&file, "--quiet", "-o", form]).stdout;
    let ours = |output: Output| -> Vec<u8> {
        let entries = journal.entries(&Query::all());
        entries
            .filter_map(|entry| output.write(&entry, &utc, false))
            .flatten()
            .collect()
    };
    let parse = |bytes: &[u8]| -> Vec<serde_json::Value> {
        let lines = bytes.split(|b| *b == b'\n').filter(|line| !line.is_empty());
        let mut all: Vec<serde_json::Value> =
            lines.map(|line| serde_json::from_slice(line).unwrap()).collect();
        for value in &mut all {
            let map = value.as_object_mut().unwrap();
            // Later versions add these two.
            map.retain(|key, _| !key.starts_with("__SEQNUM"));
        }
        all
    };
    let (a, b) = (parse(&ours(Output::Json)), parse(&theirs("json")));
    assert_eq!(a.len(), b.len());
    for (a, b) in a.iter().zip(&b) {
        assert_eq!(a, b);
    }
    let lines = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes).into_owned();
        let mut kept: Vec<String> = text
            .lines()
            .filter(|l| !l.starts_with("__SEQNUM"))
            .map(str::to_owned)
            .collect();
        kept.sort();
        kept
    };
    assert_eq!(lines(&ours(Output::Export)), lines(&theirs("export")));
}

#[test]
fn messages_are_explained_by_the_catalog_whichever_form_it_has() {
    let source = "# comment\n-- be02cf6855d2428ba40df7e9d022f03d\nSubject: A start job for unit @UNIT@ has failed\nDefined-By: systemd\n\nResult @JOB_RESULT@ of a@b.\n\n-- be02cf6855d2428ba40df7e9d022f03d de\nSubject: Startjob\n";
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("usr/lib/systemd/catalog");
    std::fs::create_dir_all(&home).unwrap();
    std::fs::create_dir_all(dir.path().join("var/lib/systemd/catalog")).unwrap();
    std::fs::write(home.join("systemd.catalog"), source).unwrap();
    oracle::ok(
        "journalctl",
        &[
            format!("--root={}", dir.path().display()),
            "--update-catalog".to_owned(),
        ],
    );
    let database = std::fs::read(dir.path().join("var/lib/systemd/catalog/database")).unwrap();

    let path = dir.path().join("x.journal");
    write(&path, &crate::facts::story(), FORMS[0]);
    let journal = Journal::new(vec![open(&path)]);
    let failed = journal
        .entries(&Query::all().with("JOB_RESULT", "dependency"))
        .next()
        .unwrap();
    let expected = "Subject: A start job for unit web.service has failed\nDefined-By: systemd\n\nResult dependency of a@b.\n";
    let limits = Limits::default();
    let mut plain = MemFs::new();
    plain
        .file("/usr/lib/systemd/catalog/systemd.catalog", source)
        .unwrap();
    let mut compiled = MemFs::new();
    compiled
        .file("/var/lib/systemd/catalog/database", database.clone())
        .unwrap();
    for fs in [plain, compiled] {
        let catalog = Catalog::read(&FsFiles::new(&fs, limits), &limits).unwrap();
        assert_eq!((catalog.len(), catalog.is_empty()), (1, false));
        assert_eq!(catalog.explain(&failed).as_deref(), Some(expected));
    }
    let other = journal
        .entries(&Query::all())
        .find(|e| e.get("MESSAGE_ID").is_none());
    assert!(other.is_none_or(|e| Catalog::default().explain(&e).is_none()));

    let seed = Arc::new(database);
    let live: Vec<usize> = Patched::live(&seed);
    let (mut good, mut bad, mut rng) = (0, 0, Rng::new(0x6361_7461));
    for _ in 0..100_000 {
        let mut meter = Meter::new(crate::door::LIMITS);
        let bytes = h2k_fs::whole(&Patched::new(&mut rng, &seed, &live), &mut meter, "x").unwrap_or_default();
        match Catalog::database(&bytes, &mut meter) {
            Ok(catalog) => {
                good += 1;
                let _ = catalog.explain(&failed);
            }
            Err(_) => bad += 1,
        }
    }
    assert!(good > 100 && bad > 100, "{good} {bad}");
}

#[test]
fn text_logs_are_read_oldest_first() {
    let dir = tempfile::tempdir().unwrap();
    let packed = |text: &str| {
        let path = dir.path().join("log");
        std::fs::File::create(&path)
            .unwrap()
            .write_all(text.as_bytes())
            .unwrap();
        oracle::ok("gzip", &["-f".into(), path.clone()]);
        std::fs::read(dir.path().join("log.gz")).unwrap()
    };
    let mut fs = MemFs::new();
    fs.file("/var/log/syslog", "five\nsix\n").unwrap();
    fs.file("/var/log/syslog.1", "three\n\n").unwrap();
    fs.file("/var/log/syslog.2.gz", packed("one\ntwo\n")).unwrap();
    fs.file("/var/log/syslog.3.gz", &[0x1f, 0x8b, 8, 0, 1][..])
        .unwrap();
    fs.file("/var/log/messages-20260101", "old\n").unwrap();
    fs.file("/var/log/messages", "").unwrap();
    let (logs, unreadable) = text_logs(&FsFiles::new(&fs, Limits::default()), &Limits::default());
    let all: Vec<String> = logs
        .iter()
        .flat_map(|log| {
            log.lines
                .iter()
                .map(|line| format!("{} {}", log.path, String::from_utf8_lossy(line)))
        })
        .collect();
    assert_eq!(
        all,
        [
            "/var/log/messages-20260101 old",
            "/var/log/syslog.2.gz one",
            "/var/log/syslog.2.gz two",
            "/var/log/syslog.1 three",
            "/var/log/syslog.1 ",
            "/var/log/syslog five",
            "/var/log/syslog six",
        ]
    );
    assert_eq!(unreadable.len(), 1);
    assert_eq!(unreadable[0].0, "/var/log/syslog.3.gz");
}

#[test]
fn start_up_is_drawn_with_every_unit_in_its_place() {
    let file = crate::common::open_bytes(fixture::bytes("small-plain.journal"));
    let journal = Journal::new(vec![file]);
    let last = journal.last_boot().unwrap();
    let svg = journal.units(last.id).svg(journal.startup(last.id).as_ref());
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"), "{svg}");
    let first = journal.boots()[0].id;
    let svg = journal.units(first).svg(journal.startup(first).as_ref());
    assert!(
        svg.contains(">net.service<") && svg.contains("start-up complete"),
        "{svg}"
    );
    assert!(Path::new(&fixture::home()).exists());
}
