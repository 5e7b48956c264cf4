//! Runs that are ended from outside: the source stays, and what is made is whole or is not there.

use super::{Place, clean, copy, digest, fixed};
use crate::run::{changes, names, run, start, struck};
use h2k_testkit::oracle;
use rustix::process::{Pid, Signal, kill_process};
use std::path::Path;
use std::time::{Duration, Instant};

const KILL: &str = "signal=KILL";

/// Kills `fix --in-place` of `disks` before each of its writes, and recovers by one of them: all are old, or all new.
fn cut_before_any_write(place: &Place, disks: &[&str], recover_by: &[&str]) {
    let dir = place.path();
    let works: Vec<String> = disks.iter().map(|disk| format!("new-{disk}")).collect();
    let args: Vec<&str> = ["fix", "-q", "--in-place"]
        .into_iter()
        .chain(works.iter().map(String::as_str))
        .collect();
    let renew = || {
        for (disk, work) in disks.iter().zip(&works) {
            copy(&place.file(disk), &place.file(work));
        }
    };
    // What an image holds says whether it is old or new; where it holds it may be either.
    let digests = |names: &[String]| -> Vec<String> {
        let each = names.iter().map(|name| {
            if name.ends_with(".qcow2") {
                oracle::qemu_check(&place.file(name), "qcow2");
                return run(dir, &["digest", name]).good().out;
            }
            digest(&place.file(name))
        });
        each.collect()
    };
    renew();
    let before = digests(&works);
    let Some(calls) = changes(dir, &args) else {
        return;
    };
    assert!(calls.len() > 8, "{calls:?}");
    let after = digests(&works);
    assert!(
        before.iter().zip(&after).all(|(old, new)| old != new),
        "a disk is not changed"
    );
    for work in &works {
        let format = if work.ends_with(".qcow2") { "qcow2" } else { "raw" };
        clean(&place.file(work), format);
    }
    let plan: Vec<&str> = ["plan", "-q"]
        .into_iter()
        .chain(works.iter().map(String::as_str))
        .collect();
    run(dir, &plan).good();
    let left = names(dir);
    let (mut old, mut new, mut logged) = (0, 0, 0);
    for (nth, call) in calls.iter().enumerate() {
        renew();
        struck(dir, call, KILL, &args);
        let by = recover_by[nth % recover_by.len()];
        let others: Vec<&str> = works
            .iter()
            .map(String::as_str)
            .filter(|work| *work != by)
            .collect();
        let log = |work: &str| place.file(&format!("{work}.h2k-redo")).exists();
        logged += i32::from(log(by));
        for work in works.iter().filter(|work| log(work)) {
            let ran = run(dir, &["plan", work]);
            assert!(
                ran.code == 1 && ran.err.contains(&format!("hyper2kvm recover {work}")),
                "{ran:?}"
            );
        }
        run(dir, &["recover", "-q", by]).good();
        // Where nothing had begun, the notes beside the others may have stayed.
        for other in others {
            run(dir, &["recover", "-q", other]).good();
        }
        assert_eq!(names(dir), left, "{call:?}");
        let now = digests(&works);
        if now == before {
            assert_eq!(new, 0, "{call:?} took back what was there");
            old += 1;
        } else {
            assert_eq!(now, after, "{call:?}: half of it");
            new += 1;
        }
    }
    println!("{old} old, {new} new; {logged} left a log");
    assert!(old > 0 && new > 0 && logged > 1);
}

#[test]
fn a_fix_in_place_that_is_cut_off_before_any_write_is_made_whole_or_had_not_begun() {
    let place = Place::new();
    cut_before_any_write(&place, &["a.img"], &["new-a.img"]);
    fixed(place.path(), "new-a.img");
}

#[test]
fn a_fix_of_two_disks_that_is_cut_off_is_made_whole_on_both_or_had_not_begun() {
    let place = Place::of_two_disks();
    cut_before_any_write(&place, &["a.img", "b.img"], &["new-a.img", "new-b.img"]);
}

#[test]
fn a_fix_of_a_qcow2_image_and_a_raw_disk_is_made_whole_on_both_or_had_not_begun() {
    let place = Place::of_two_disks();
    let (raw, image) = (place.file("a.img"), place.file("a.qcow2"));
    let (raw, image) = (raw.to_str().unwrap(), image.to_str().unwrap());
    oracle::ok(
        "qemu-img",
        &["convert", "-c", "-f", "raw", "-O", "qcow2", raw, image],
    );
    cut_before_any_write(&place, &["a.qcow2", "b.img"], &["new-b.img", "new-a.qcow2"]);
}

#[test]
fn a_planted_log_writes_to_no_disk_that_was_not_changed_with_its_own() {
    let place = Place::of_two_disks();
    let dir = place.path();
    let args = ["fix", "-q", "--in-place", "a.img", "b.img"];
    let fresh = |name: &str| std::fs::read(place.file(name)).unwrap();
    let (a, b) = (fresh("a.img"), fresh("b.img"));
    let Some(calls) = changes(dir, &args) else {
        return;
    };
    // Cut where both files lie there and the log is whole: before the first disk is written.
    let whole = calls.iter().find(|call| {
        for (name, bytes) in [("a.img", &a), ("b.img", &b)] {
            h2k_testkit::corpus::sparse_write(&place.file(name), bytes);
        }
        struck(dir, call, KILL, &args);
        let head = std::fs::read(place.file("a.img.h2k-redo")).unwrap_or_default();
        let whole = head.starts_with(b"h2k-redo") && fresh("b.img") == b;
        if !whole {
            for name in ["a.img", "b.img"] {
                run(dir, &["recover", "-q", name]).good();
            }
        }
        whole
    });
    assert!(whole.is_some(), "no call left a whole log");
    let note = place.file("b.img.h2k-redo");
    let said = std::fs::read(&note).unwrap();
    for other in [None, Some(&b"h2k-note: something else"[..])] {
        std::fs::remove_file(&note).unwrap();
        if let Some(text) = other {
            std::fs::write(&note, text).unwrap();
        }
        let ran = run(dir, &["recover", "a.img"]);
        assert!(ran.code == 1 && ran.err.contains("class: refused"), "{ran:?}");
        assert!(fresh("b.img") == b, "it was written to");
        std::fs::write(&note, &said).unwrap();
    }
    // The log is what makes the note mean anything.
    std::fs::rename(place.file("a.img"), place.file("away.img")).unwrap();
    let ran = run(dir, &["recover", "b.img"]);
    assert!(ran.code == 1 && ran.err.contains("changed together"), "{ran:?}");
    std::fs::rename(place.file("away.img"), place.file("a.img")).unwrap();
    run(dir, &["recover", "-q", "b.img"]).good();
    assert_eq!(names(dir), ["a.img", "b.img"]);
    run(dir, &["plan", "-q", "a.img", "b.img"]).good();
}

/// What a killed migration left: parts, or what is whole.
fn left(place: &Place) -> Vec<String> {
    let out = place.file("out");
    if out.exists() { names(&out) } else { Vec::new() }
}

#[test]
fn a_migration_killed_at_any_moment_leaves_the_source_and_is_taken_over() {
    let place = Place::new();
    let dir = place.path();
    let args = ["migrate", "-q", "--workers", "1", "a.img", "-o", "out"];
    let Some(calls) = changes(dir, &args) else {
        return;
    };
    let whole = ["a.qcow2", "a.xml", "report.json"];
    assert_eq!(left(&place), whole);
    let disk = digest(&place.file("out/a.qcow2"));
    // Some of the many writes, and each of the last calls: there the names are given.
    let last = calls.len().saturating_sub(8);
    let chosen = calls
        .iter()
        .enumerate()
        .filter(|(i, _)| *i >= last || i % (last / 6).max(1) == 0);
    let mut parts = 0;
    for (_, call) in chosen {
        std::fs::remove_dir_all(place.file("out")).unwrap();
        struck(dir, call, KILL, &args);
        place.untouched();
        let found = left(&place);
        parts += i32::from(found.iter().any(|name| name.ends_with(".part")));
        for name in &found {
            let name = name.strip_suffix(".part").unwrap_or(name);
            assert!(whole.contains(&name), "{call:?} left {found:?}");
        }
        if found.iter().any(|name| name == "a.qcow2") {
            assert_eq!(
                digest(&place.file("out/a.qcow2")),
                disk,
                "{call:?}: it has its name and is not whole"
            );
        }
        // Where the report is, everything is.
        if found.iter().any(|name| name == "report.json") {
            assert_eq!(found, whole, "{call:?}");
        }
        let named = found.iter().any(|name| !name.ends_with(".part"));
        let force: &[&str] = if named { &["--force"] } else { &[] };
        run(dir, &[&args[..], force].concat()).good();
        assert_eq!(left(&place), whole, "{call:?}");
        assert_eq!(digest(&place.file("out/a.qcow2")), disk, "{call:?}");
        assert_eq!(names(dir), ["a.img", "out"]);
    }
    assert!(parts > 1, "no run was killed while it wrote");
}

/// Waits until something is so.
pub fn comes(what: &str, mut there: impl FnMut() -> bool) {
    let began = Instant::now();
    while !there() {
        assert!(began.elapsed() < Duration::from_secs(60), "{what} never came");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_migration_that_is_stopped_leaves_nothing() {
    let place = Place::changed(|tree| {
        let mut noise = vec![0; 8 << 20];
        h2k_testkit::rng::Rng::new(5).fill(&mut noise);
        super::put(tree, "srv/noise", noise);
    });
    let dir = place.path();
    for (how, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let args = ["migrate", "--bandwidth", "1M", "a.img", "-o", "out"];
        let child = start(dir, &args);
        let part = |out: &Path| out.exists() && names(out).iter().any(|n| n == "a.qcow2.part");
        comes("a part", || part(&place.file("out")));
        kill_process(Pid::from_raw(child.id() as i32).unwrap(), how).unwrap();
        let ended = child.wait_with_output().unwrap();
        assert_eq!(ended.status.code(), Some(code), "{ended:?}");
        let err = String::from_utf8_lossy(&ended.stderr);
        assert!(err.starts_with("error: stopped\n"), "{err}");
        assert_eq!(names(dir), ["a.img"]);
        place.untouched();
    }
}
