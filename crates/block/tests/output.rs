//! Files that appear whole or not at all.

use h2k_block::{Access, BlockRead, Class, FileDisk, Output, Sharing};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(dir)
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn write(output: &mut Output, path: &Path, bytes: &[u8]) -> h2k_block::Result<()> {
    let file = output.create(path)?;
    file.set_len(bytes.len() as u64)?;
    file.write_at(0, bytes)
}

fn dir() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_owned();
    (dir, path)
}

#[test]
fn several_files_appear_together() {
    let (_dir, at) = dir();
    let mut output = Output::new(false);
    write(&mut output, &at.join("disk.vmdk"), b"descriptor").unwrap();
    write(&mut output, &at.join("disk-flat.vmdk"), b"bytes").unwrap();
    assert_eq!(names(&at), ["disk-flat.vmdk.part", "disk.vmdk.part"]);
    output.commit().unwrap();
    assert_eq!(names(&at), ["disk-flat.vmdk", "disk.vmdk"]);
    assert_eq!(std::fs::read(at.join("disk.vmdk")).unwrap(), b"descriptor");
}

#[test]
fn what_is_not_committed_is_gone() {
    let (_dir, at) = dir();
    let mut output = Output::new(false);
    write(&mut output, &at.join("a"), b"x").unwrap();
    drop(output);
    assert_eq!(names(&at), [""; 0]);
}

#[test]
fn an_existing_target_is_kept_unless_the_user_insists() {
    let (_dir, at) = dir();
    let target = at.join("target");
    std::fs::write(&target, b"old").unwrap();
    let e = Output::new(false).create(&target).err().unwrap();
    assert_eq!(e.class(), Class::Exists);
    assert!(e.advice().unwrap().contains("--force"));
    let mut output = Output::new(true);
    write(&mut output, &target, b"new").unwrap();
    assert_eq!(std::fs::read(&target).unwrap(), b"old", "until the end");
    output.commit().unwrap();
    assert_eq!(std::fs::read(&target).unwrap(), b"new");
}

#[test]
fn a_target_that_appears_meanwhile_is_not_overwritten() {
    let (_dir, at) = dir();
    let mut output = Output::new(false);
    write(&mut output, &at.join("a"), b"ours").unwrap();
    write(&mut output, &at.join("b"), b"ours").unwrap();
    std::fs::write(at.join("a"), b"theirs").unwrap();
    assert_eq!(output.commit().unwrap_err().class(), Class::Exists);
    assert_eq!(names(&at), ["a"], "and the other file did not stay either");
    assert_eq!(std::fs::read(at.join("a")).unwrap(), b"theirs");
}

#[test]
fn a_link_is_replaced_and_not_followed() {
    let (_dir, at) = dir();
    std::fs::write(at.join("precious"), b"precious").unwrap();
    symlink("precious", at.join("target")).unwrap();
    let mut output = Output::new(true);
    write(&mut output, &at.join("target"), b"new").unwrap();
    output.commit().unwrap();
    assert_eq!(std::fs::read(at.join("precious")).unwrap(), b"precious");
    assert_eq!(std::fs::read(at.join("target")).unwrap(), b"new");
}

#[test]
fn a_planted_part_file_is_not_followed() {
    let (_dir, at) = dir();
    std::fs::write(at.join("precious"), b"precious").unwrap();
    symlink("precious", at.join("a.part")).unwrap();
    std::fs::hard_link(at.join("precious"), at.join("b.part")).unwrap();
    for name in ["a", "b"] {
        assert!(Output::new(true).create(&at.join(name)).is_err(), "{name}");
    }
    assert_eq!(std::fs::read(at.join("precious")).unwrap(), b"precious");
    assert_eq!(names(&at), ["a.part", "b.part", "precious"]);
}

#[test]
fn devices_and_directories_are_never_targets() {
    let (_dir, at) = dir();
    for target in [Path::new("/dev/null"), &at] {
        let e = Output::new(true).create(target).err().unwrap();
        assert_eq!(e.class(), Class::Unsupported, "{e}");
    }
}

#[test]
fn two_runs_do_not_write_one_target() {
    let (_dir, at) = dir();
    let target = at.join("target");
    let mut first = Output::new(false);
    write(&mut first, &target, b"first").unwrap();
    let e = Output::new(false).create(&target).err().unwrap();
    assert_eq!(e.class(), Class::Busy);
    assert!(e.to_string().contains("another run"), "{e}");
    first.commit().unwrap();
    assert_eq!(std::fs::read(&target).unwrap(), b"first");
}

#[test]
fn what_a_killed_run_left_is_taken_over() {
    let (_dir, at) = dir();
    std::fs::write(at.join("target.part"), vec![7; 100_000]).unwrap();
    let mut output = Output::new(false);
    let file = output.create(&at.join("target")).unwrap();
    assert_eq!(file.len(), 0, "and its bytes are gone");
    drop(file);
    write_and_commit(output, &at.join("other"));
    assert_eq!(names(&at), ["other", "target"]);
}

fn write_and_commit(mut output: Output, path: &Path) {
    write(&mut output, path, b"x").unwrap();
    output.commit().unwrap();
}

#[test]
fn a_directory_that_is_not_there_is_named() {
    let (_dir, at) = dir();
    let e = Output::new(false)
        .create(&at.join("absent/target"))
        .err()
        .unwrap();
    assert_eq!(e.class(), Class::NotFound);
    assert!(e.to_string().contains("absent"), "{e}");
}

/// Many runs race for one name: one of them writes all of it, the others are told why not.
#[test]
fn of_many_runs_exactly_one_wins() {
    for _ in 0..50 {
        let (_dir, at) = dir();
        let target = at.join("target");
        let wins: usize = std::thread::scope(|scope| {
            let runs: Vec<_> = (0..4_u8)
                .map(|i| {
                    let target = &target;
                    scope.spawn(move || {
                        let mut output = Output::new(false);
                        let done = write(&mut output, target, &[i; 4096]).and_then(|()| output.commit());
                        match done {
                            Ok(()) => 1,
                            Err(e) => {
                                assert!(matches!(e.class(), Class::Busy | Class::Exists), "{e}");
                                0
                            }
                        }
                    })
                })
                .collect();
            runs.into_iter().map(|run| run.join().unwrap()).sum()
        });
        assert_eq!(wins, 1);
        let bytes = std::fs::read(&target).unwrap();
        assert!(bytes.len() == 4096 && bytes.iter().all(|b| *b == bytes[0]));
        assert_eq!(names(&at), ["target"]);
    }
}

const CHILD: &str = "H2K_TEST_OUTPUT_CHILD";

/// Not a test by itself: what the killed process of the next test does, over and over.
#[test]
fn child_that_writes_targets() {
    let Some(at) = std::env::var_os(CHILD) else {
        return;
    };
    let at = PathBuf::from(at);
    println!("begun");
    for round in 0_u32.. {
        let mut output = Output::new(true);
        for name in ["second", "first"] {
            let file = output.create(&at.join(name)).unwrap();
            file.set_len(64 * 4096).unwrap();
            for i in 0..64 {
                file.write_at(i * 4096, &[round as u8; 4096]).unwrap();
            }
        }
        output.commit().unwrap();
    }
}

#[test]
fn a_kill_at_any_moment_leaves_whole_files_under_their_names() {
    let (_dir, at) = dir();
    let mut rng = h2k_testkit::rng::Rng::new(5);
    for _ in 0..25 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "output::child_that_writes_targets", "--nocapture"])
            .env(CHILD, &at)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // Begun when it says so; killed some moments later.
        let mut out = std::io::BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        while !line.contains("begun") {
            line.clear();
            assert!(std::io::BufRead::read_line(&mut out, &mut line).unwrap() > 0);
        }
        std::thread::sleep(std::time::Duration::from_micros(rng.below(20_000)));
        child.kill().unwrap();
        child.wait().unwrap();
        for name in ["first", "second"] {
            if let Ok(bytes) = std::fs::read(at.join(name)) {
                assert_eq!(bytes.len(), 64 * 4096);
                assert!(bytes.iter().all(|b| *b == bytes[0]), "{name} is torn");
            }
        }
        // The lock died with it, and the next run is not hindered.
        FileDisk::open(&at.join("first.part"), Access::Edit, Sharing::Careful).map_or_else(
            |e| assert_eq!(e.class(), Class::NotFound, "{e}"),
            |file| assert!(file.len() <= 64 * 4096),
        );
    }
}
