//! How conversions end when something goes wrong: nothing half-made under the target's name, nothing left behind.

use crate::run::{limited, names, raw_disk, run, start};
use rustix::process::{Pid, Signal, kill_process};
use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

fn scratch() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_raw(child.id() as i32).unwrap(), signal).unwrap();
}

/// Waits until `path` is there: the conversion has begun.
fn wait_for(path: &Path) {
    let began = Instant::now();
    while !path.exists() {
        assert!(
            began.elapsed() < Duration::from_secs(20),
            "{} never came",
            path.display()
        );
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A conversion that will take half a minute, begun.
fn slow(dir: &Path) -> Child {
    raw_disk(&dir.join("a.raw"), 64 << 20, 30 << 20, 3);
    let child = start(dir, &["convert", "--bandwidth", "1M", "a.raw", "b.raw"]);
    wait_for(&dir.join("b.raw.part"));
    std::thread::sleep(Duration::from_millis(100));
    child
}

#[test]
fn an_interrupted_conversion_leaves_nothing_and_says_so() {
    for (how, code) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)] {
        let dir = scratch();
        let child = slow(dir.path());
        signal(&child, how);
        let out = child.wait_with_output().unwrap();
        assert_eq!(out.status.code(), Some(code), "{out:?}");
        let err = String::from_utf8_lossy(&out.stderr);
        assert!(err.starts_with("error: stopped\n"), "{err}");
        assert!(err.contains("nothing was left of b.raw"), "{err}");
        assert_eq!(names(dir.path()), ["a.raw"]);
    }
}

#[test]
fn a_conversion_under_nohup_outlives_its_terminal() {
    let dir = scratch();
    raw_disk(&dir.path().join("a.raw"), 8 << 20, 2 << 20, 3);
    let line = format!(
        "trap '' HUP; exec {} convert -q --bandwidth 2M a.raw b.raw",
        env!("CARGO_BIN_EXE_hyper2kvm")
    );
    let mut child = std::process::Command::new("bash")
        .args(["-c", &line])
        .current_dir(dir.path())
        .spawn()
        .unwrap();
    wait_for(&dir.path().join("b.raw.part"));
    signal(&child, Signal::HUP);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(names(dir.path()), ["a.raw", "b.raw"]);
}

#[test]
fn a_killed_conversion_leaves_no_file_under_the_name_of_the_target() {
    let dir = scratch();
    raw_disk(&dir.path().join("a.raw"), 64 << 20, 8 << 20, 4);
    let whole = std::fs::read(dir.path().join("a.raw")).unwrap();
    let mut rng = h2k_testkit::rng::Rng::new(11);
    let (mut early, mut late) = (0, 0);
    for _ in 0..40 {
        let mut child = start(dir.path(), &["convert", "--force", "--verify", "a.raw", "b.raw"]);
        std::thread::sleep(Duration::from_micros(rng.below(120_000)));
        signal(&child, Signal::KILL);
        child.wait().unwrap();
        match std::fs::read(dir.path().join("b.raw")) {
            Ok(bytes) => {
                assert!(bytes == whole, "half a disk under the target's name");
                late += 1;
                std::fs::remove_file(dir.path().join("b.raw")).unwrap();
            }
            Err(_) => early += 1,
        }
    }
    println!("killed before the end {early} times, after it {late} times");
    assert!(early > 0, "no run was killed early enough to test anything");
    // What the killed ones left does not keep the next one from its work.
    run(dir.path(), &["convert", "--force", "a.raw", "b.raw"]).good();
    assert_eq!(names(dir.path()), ["a.raw", "b.raw"]);
}

#[test]
fn two_conversions_to_one_target_do_not_mix() {
    let dir = scratch();
    let child = slow(dir.path());
    let ran = run(dir.path(), &["convert", "a.raw", "b.raw"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.err.contains("class: busy"), "{ran:?}");
    assert!(
        dir.path().join("b.raw.part").exists(),
        "the loser removed the winner's file"
    );
    signal(&child, Signal::INT);
    child.wait_with_output().unwrap();
    assert_eq!(names(dir.path()), ["a.raw"]);
}

#[test]
fn a_source_that_shrinks_while_it_is_read_is_named() {
    let dir = scratch();
    let child = slow(dir.path());
    let source = std::fs::File::options()
        .write(true)
        .open(dir.path().join("a.raw"))
        .unwrap();
    source.set_len(1 << 20).unwrap();
    let out = child.wait_with_output().unwrap();
    assert_eq!(out.status.code(), Some(1), "{out:?}");
    let err = String::from_utf8_lossy(&out.stderr);
    assert!(
        err.starts_with("error: a.raw could not be read or written\n"),
        "{err}"
    );
    assert!(err.contains("it had 0x4000000 bytes when opened"), "{err}");
    assert_eq!(names(dir.path()), ["a.raw"]);
}

#[test]
fn a_file_size_limit_is_an_error_that_leaves_nothing() {
    let dir = scratch();
    raw_disk(&dir.path().join("a.raw"), 8 << 20, 4 << 20, 5);
    let ran = limited(dir.path(), 1 << 20, &["convert", "a.raw", "b.raw"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(
        ran.err.starts_with("error: b.raw could not be read or written\n"),
        "{ran:?}"
    );
    assert!(ran.err.contains("File too large"), "{ran:?}");
    assert_eq!(names(dir.path()), ["a.raw"]);
}

#[test]
fn a_full_disk_is_an_error_that_leaves_nothing() {
    let dir = scratch();
    raw_disk(&dir.path().join("a.raw"), 8 << 20, 4 << 20, 6);
    let small = dir.path().join("small");
    std::fs::create_dir(&small).unwrap();
    let Some(_mounted) = Mounted::tmpfs(&small, "1m") else {
        return;
    };
    let ran = run(dir.path(), &["convert", "a.raw", "small/b.raw"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(
        ran.err.starts_with("error: no room left for small/b.raw\n"),
        "{ran:?}"
    );
    assert!(ran.err.contains("class: no-space"), "{ran:?}");
    assert_eq!(names(&small), Vec::<String>::new());
    let json = run(dir.path(), &["convert", "--json", "a.raw", "small/b.raw"]).json();
    assert_eq!(json["error"]["class"], "no-space");
}

/// A file system of its own, taken away again at the end.
struct Mounted(std::path::PathBuf);

impl Mounted {
    fn tmpfs(at: &Path, size: &str) -> Option<Self> {
        let option = format!("size={size}");
        let args = [
            "-t".as_ref(),
            "tmpfs".as_ref(),
            "-o".as_ref(),
            option.as_ref(),
            "tmpfs".as_ref(),
            at.as_os_str(),
        ];
        let mounted = h2k_testkit::oracle::run("mount", &args);
        if !mounted.status.success() {
            println!("SKIPPED: the full-disk test needs to mount a small tmpfs, and may not: {mounted:?}");
            return None;
        }
        Some(Self(at.to_owned()))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        h2k_testkit::oracle::run("umount", &["-l".as_ref(), self.0.as_os_str()]);
    }
}
