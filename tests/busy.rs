//! A disk that somebody uses: seen from both sides.

use crate::run::{raw_disk, run, start};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// qemu-io with an image open, until it is dropped.
struct Holder(Child);

impl Holder {
    /// Returns once the image is open: looking for the lock from outside would take one, and keep qemu-io from its own.
    fn open(dir: &Path, args: &[&str]) -> Self {
        let child = Command::new("qemu-io")
            .args(args)
            .current_dir(dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let mut child =
            child.unwrap_or_else(|e| panic!("qemu-io did not start ({e}); run `cargo xtask setup`"));
        writeln!(child.stdin.as_mut().unwrap(), "length").unwrap();
        let mut answer = String::new();
        BufReader::new(child.stdout.as_mut().unwrap())
            .read_line(&mut answer)
            .unwrap();
        assert!(answer.contains("iB"), "qemu-io {args:?} says {answer:?}");
        Self(child)
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn within(what: &str, mut done: impl FnMut() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < Duration::from_secs(20), "{what} never happened");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_disk_that_qemu_writes_is_refused_and_read_only_when_forced() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    raw_disk(&dir.join("a.raw"), 1 << 20, 1000, 1);
    run(dir, &["convert", "-q", "a.raw", "a.qcow2"]).good();
    run(dir, &["convert", "-q", "a.raw", "other.raw"]).good();
    for (image, format) in [("a.raw", "raw"), ("a.qcow2", "qcow2")] {
        let _holder = Holder::open(dir, &["-f", format, image]);
        assert_eq!(run(dir, &["info", image]).code, 1);
        let ran = run(dir, &["convert", image, "x.qcow2"]);
        assert_eq!(ran.code, 1, "{ran:?}");
        assert!(
            ran.err.starts_with(&format!("error: {image} is in use\n")),
            "{ran:?}"
        );
        assert!(
            ran.err.contains("class: busy") && ran.err.contains("--force-share"),
            "{ran:?}"
        );
        assert_eq!(
            run(dir, &["info", "--json", image]).json()["error"]["class"],
            "busy"
        );
        assert_eq!(run(dir, &["check", image]).code, 1);
        assert_eq!(run(dir, &["resize", image, "+1M"]).code, 1);
        // Replacing it would take the file from under the virtual machine.
        let ran = run(dir, &["convert", "--force", "other.raw", image]);
        assert_eq!(ran.code, 1, "{ran:?}");
        assert!(ran.err.contains("class: busy"), "{ran:?}");
        run(
            dir,
            &["convert", "-q", "--force", "--force-share", image, "x.qcow2"],
        )
        .good();
    }
    run(dir, &["info", "a.qcow2"]).good();
}

#[test]
fn readers_do_not_keep_each_other_out() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    raw_disk(&dir.join("a.raw"), 1 << 20, 1000, 1);
    let _holder = Holder::open(dir, &["-r", "-f", "raw", "a.raw"]);
    run(dir, &["convert", "-q", "a.raw", "b.qcow2"]).good();
}

#[test]
fn a_disk_that_we_read_cannot_be_written_by_qemu_and_one_we_write_cannot_be_read() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    raw_disk(&dir.join("a.raw"), 64 << 20, 30 << 20, 3);
    let mut ours = start(dir, &["convert", "--bandwidth", "1M", "a.raw", "b.raw"]);
    within("the conversion began", || dir.join("b.raw.part").exists());
    let qemu = |args: &[&str]| {
        Command::new("qemu-io")
            .args(args)
            .current_dir(dir)
            .output()
            .unwrap()
    };
    let out = qemu(&["-f", "raw", "-c", "write 0 512", "a.raw"]);
    assert!(!out.status.success(), "{out:?}");
    assert!(String::from_utf8_lossy(&out.stderr).contains("lock"), "{out:?}");
    let out = qemu(&["-f", "raw", "-c", "write 0 512", "b.raw.part"]);
    assert!(!out.status.success(), "{out:?}");
    ours.kill().unwrap();
    ours.wait().unwrap();
    // With us gone, it works.
    assert!(
        qemu(&["-f", "raw", "-c", "write 0 512", "a.raw"])
            .status
            .success()
    );
}
