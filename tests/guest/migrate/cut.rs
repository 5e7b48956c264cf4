//! Runs that are ended from outside: the source stays, and what is made is whole or is not there.

use super::{Place, clean, copy, digest, fixed};
use crate::run::{changes, names, run, start, struck};
use rustix::process::{Pid, Signal, kill_process};
use std::path::Path;
use std::time::{Duration, Instant};

const KILL: &str = "signal=KILL";

#[test]
fn a_fix_in_place_that_is_cut_off_before_any_write_is_made_whole_or_had_not_begun() {
    let place = Place::new();
    let dir = place.path();
    let args = ["fix", "-q", "--in-place", "new.img"];
    copy(&place.file("a.img"), &place.file("new.img"));
    let Some(calls) = changes(dir, &args) else {
        return;
    };
    assert!(calls.len() > 8, "{calls:?}");
    clean(&place.file("new.img"), "raw");
    fixed(dir, "new.img");
    let after = digest(&place.file("new.img"));
    let (mut old, mut new, mut logged) = (0, 0, 0);
    for call in &calls {
        copy(&place.file("a.img"), &place.file("new.img"));
        struck(dir, call, KILL, &args);
        let log = place.file("new.img.h2k-redo").exists();
        logged += i32::from(log);
        if log {
            let ran = run(dir, &["plan", "new.img"]);
            assert!(
                ran.code == 1 && ran.err.contains("hyper2kvm recover new.img"),
                "{ran:?}"
            );
        }
        run(dir, &["recover", "-q", "new.img"]).good();
        assert_eq!(names(dir), ["a.img", "new.img"], "{call:?}");
        let now = digest(&place.file("new.img"));
        if now == place.before {
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

fn comes(what: &str, mut there: impl FnMut() -> bool) {
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
