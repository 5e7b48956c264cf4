//! Failures and start-up times, from the messages systemd writes.

use crate::common::{FORMS, boot, entry, open, write};
use h2k_block::Limits;
use h2k_fs::{FsFiles, MemFs};
use h2k_journal::{Failure, Id, Journal, Query, find, is_journal_name};

const START_FAILED: &[u8] = b"be02cf6855d2428ba40df7e9d022f03d";
const UNIT_FAILED: &[u8] = b"d9b373ed55a64feb8242e02dbe79a49c";
const STARTED: &[u8] = b"39f53479d3a045ac8e11786248231fbf";
const FINISHED: &[u8] = b"b07a249cd024414a82dd00cd181378ff";
const USER_FINISHED: &[u8] = b"eed00a68ffd84e31882105fd973abdd1";

/// The messages of two boots, as systemd 252 writes them.
pub fn story() -> Vec<u8> {
    let mut out = Vec::new();
    let mut at = 1_700_000_000_000_000_u64;
    let mut say = |b: Id, fields: &[(&str, &[u8])]| {
        at += 1000;
        out.extend(entry(at, at - 1_699_999_999_000_000, b, fields));
    };
    let failed = |unit| -> [(&str, &[u8]); 5] {
        [
            ("MESSAGE_ID", UNIT_FAILED),
            ("UNIT", unit),
            ("UNIT_RESULT", b"exit-code"),
            ("MESSAGE", b"Failed with result 'exit-code'."),
            ("PRIORITY", b"4"),
        ]
    };
    let job = |unit, result| -> [(&str, &[u8]); 6] {
        [
            ("MESSAGE_ID", START_FAILED),
            ("UNIT", unit),
            ("JOB_TYPE", b"start"),
            ("JOB_RESULT", result),
            ("MESSAGE", b"Failed to start it."),
            ("PRIORITY", b"3"),
        ]
    };
    let started = |unit| -> [(&str, &[u8]); 4] {
        [
            ("MESSAGE_ID", STARTED),
            ("UNIT", unit),
            ("JOB_RESULT", b"done"),
            ("MESSAGE", b"Started it."),
        ]
    };
    say(boot(1), &failed(b"old.service"));
    say(boot(1), &job(b"old.service", b"failed"));
    say(boot(2), &started(b"good.service"));
    say(boot(2), &failed(b"net.service"));
    say(boot(2), &job(b"net.service", b"failed"));
    say(boot(2), &job(b"web.service", b"dependency"));
    say(boot(2), &failed(b"flaky.service"));
    say(boot(2), &failed(b"flaky.service"));
    say(boot(2), &started(b"flaky.service"));
    say(
        boot(2),
        &[
            ("MESSAGE_ID", UNIT_FAILED),
            ("USER_UNIT", b"bar.service"),
            ("UNIT_RESULT", b"timeout"),
            ("MESSAGE", b"x"),
        ],
    );
    say(
        boot(2),
        &[("MESSAGE_ID", USER_FINISHED), ("USERSPACE_USEC", b"77")],
    );
    say(
        boot(2),
        &[
            ("MESSAGE_ID", FINISHED),
            ("KERNEL_USEC", b"1200000"),
            ("INITRD_USEC", b"800000"),
            ("USERSPACE_USEC", b"4500000"),
            (
                "MESSAGE",
                b"Startup finished in 1.2s (kernel) + 800ms (initrd) + 4.5s (userspace) = 6.5s.",
            ),
        ],
    );
    out
}

fn journal() -> Journal<'static> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.journal");
    write(&path, &story(), FORMS[2]);
    Journal::new(vec![open(&path)])
}

#[test]
fn the_units_that_failed_are_named_once_with_the_reason() {
    let journal = journal();
    let failures = journal.failures(boot(2));
    let short: Vec<_> = failures
        .iter()
        .map(|f: &Failure| {
            (
                f.unit.as_str(),
                f.user,
                f.result.as_deref().unwrap(),
                f.times,
                f.recovered,
            )
        })
        .collect();
    assert_eq!(
        short,
        [
            ("flaky.service", false, "exit-code", 2, true),
            ("net.service", false, "exit-code", 1, false),
            ("web.service", false, "dependency", 1, false),
            ("bar.service", true, "timeout", 1, false),
        ]
    );
    assert_eq!(
        failures[1].message.as_deref(),
        Some("Failed with result 'exit-code'.")
    );
    assert_eq!(journal.failures(boot(1)).len(), 1);
    assert!(journal.failures(boot(9)).is_empty());
}

#[test]
fn a_boot_says_how_long_it_took() {
    let journal = journal();
    let startup = journal.startup(boot(2)).unwrap();
    assert_eq!(
        (
            startup.kernel,
            startup.initrd,
            startup.userspace,
            startup.firmware
        ),
        (Some(1_200_000), Some(800_000), Some(4_500_000), None)
    );
    assert_eq!(startup.total(), 6_500_000);
    assert_eq!(journal.startup(boot(1)), None, "it did not get that far");
}

#[test]
fn errors_are_those_of_priority_three_and_below() {
    let journal = journal();
    assert_eq!(journal.errors(Some(boot(2))).count(), 2);
    assert_eq!(journal.errors(None).count(), 3);
    let first = journal.errors(None).next().unwrap();
    assert_eq!(
        (first.priority(), first.text("UNIT").as_deref()),
        (Some(3), Some("old.service"))
    );
}

#[test]
fn a_guests_journal_is_found_with_what_was_put_aside() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.journal");
    write(&path, &story(), FORMS[0]);
    let bytes = std::fs::read(&path).unwrap();
    let mut fs = MemFs::new();
    let id = "00112233445566778899aabbccddeeff";
    fs.file(&format!("/var/log/journal/{id}/system.journal"), bytes.clone())
        .unwrap();
    fs.file(
        &format!("/var/log/journal/{id}/user-1000@0005-0006.journal~"),
        bytes,
    )
    .unwrap();
    fs.file(&format!("/var/log/journal/{id}/broken.journal"), "nothing")
        .unwrap();
    fs.file(&format!("/var/log/journal/{id}/notes.txt"), "nothing")
        .unwrap();
    let files = FsFiles::new(&fs, Limits::default());
    let found = find(&files, &Limits::default()).unwrap();
    assert_eq!(found.journal.files().len(), 2);
    assert_eq!(found.unreadable.len(), 1);
    assert!(found.unreadable[0].0.ends_with("/broken.journal"));
    assert_eq!(found.journal.entries(&Query::all()).count(), 12);
    assert!(is_journal_name(b"a.journal~") && !is_journal_name(b"a.journal.gz"));

    let none = MemFs::new();
    assert!(
        find(&FsFiles::new(&none, Limits::default()), &Limits::default())
            .unwrap()
            .journal
            .files()
            .is_empty()
    );
}
