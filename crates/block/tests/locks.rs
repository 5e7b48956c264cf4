//! Locks, with real QEMU processes on the other side.

use h2k_block::{Access, BlockRead, Class, FileDisk, Output, Sharing};
use h2k_testkit::oracle::{ok, run};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

/// A `qemu-io` that holds an image open until it is dropped.
struct Holder {
    child: Child,
    out: BufReader<ChildStdout>,
}

impl Holder {
    /// Opens `image` (raw), for reading alone or for writing too; returns once it is open.
    fn new(image: &Path, writable: bool) -> Self {
        let mut command = Command::new("qemu-io");
        command.args(["-f", "raw"]);
        if !writable {
            command.arg("-r");
        }
        let mut child = command
            .arg(image)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("qemu-io starts; `cargo xtask setup` installs it");
        let out = BufReader::new(child.stdout.take().unwrap());
        let mut holder = Self { child, out };
        // Its answer says that the image is open.
        let answer = holder.ask("length");
        assert!(answer.contains("64 KiB"), "{answer}");
        holder
    }

    fn ask(&mut self, what: &str) -> String {
        writeln!(self.child.stdin.as_mut().unwrap(), "{what}").unwrap();
        let mut line = String::new();
        self.out.read_line(&mut line).unwrap();
        line
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        // The end of its input ends it.
        drop(self.child.stdin.take());
        let _ended = self.child.wait();
    }
}

fn image() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let image = dir.path().join("disk.img");
    std::fs::write(&image, vec![1; 65_536]).unwrap();
    (dir, image)
}

fn ours(image: &Path, access: Access) -> h2k_block::Result<FileDisk> {
    FileDisk::open(image, access, Sharing::Careful)
}

/// Whether qemu may open the image for writing (`-c` runs one command and leaves).
fn qemu_may(image: &Path, how: &[&str], command: &str) -> bool {
    let mut args = vec!["-f", "raw"];
    args.extend(how);
    args.extend(["-c", command, image.to_str().unwrap()]);
    run("qemu-io", &args).status.success()
}

#[test]
fn a_disk_a_virtual_machine_writes_to_is_refused() {
    let (_dir, image) = image();
    let holder = Holder::new(&image, true);
    let e = ours(&image, Access::Read).unwrap_err();
    assert_eq!(e.class(), Class::Busy);
    assert!(e.to_string().contains("disk.img"), "{e}");
    assert!(e.advice().unwrap().contains("--force-share"));
    assert_eq!(ours(&image, Access::Edit).unwrap_err().class(), Class::Busy);
    // Unless the user insists.
    let forced = FileDisk::open(&image, Access::Read, Sharing::Force).unwrap();
    let mut byte = [0];
    forced.read_at(0, &mut byte).unwrap();
    assert_eq!(byte, [1]);
    drop(holder);
    assert!(ours(&image, Access::Edit).is_ok(), "it is free again");
}

#[test]
fn readers_do_not_mind_each_other() {
    let (_dir, image) = image();
    let first = ours(&image, Access::Read).unwrap();
    let second = ours(&image, Access::Read).unwrap();
    let holder = Holder::new(&image, false);
    let third = ours(&image, Access::Read).unwrap();
    let path = image.to_str().unwrap();
    ok("qemu-img", &["info", "-f", "raw", path]);
    ok(
        "qemu-img",
        &["convert", "-f", "raw", "-O", "raw", path, &format!("{path}.copy")],
    );
    drop((first, second, third, holder));
}

#[test]
fn nobody_writes_to_a_disk_we_read() {
    let (_dir, image) = image();
    let reading = ours(&image, Access::Read).unwrap();
    assert!(!qemu_may(&image, &[], "write 0 512"));
    assert_eq!(ours(&image, Access::Edit).unwrap_err().class(), Class::Busy);
    assert!(
        !run(
            "qemu-img",
            &["resize", "-f", "raw", image.to_str().unwrap(), "128k"]
        )
        .status
        .success()
    );
    drop(reading);
    assert!(qemu_may(&image, &[], "write 0 512"));
}

#[test]
fn nobody_opens_a_disk_we_write() {
    let (_dir, image) = image();
    let writing = ours(&image, Access::Edit).unwrap();
    assert!(!qemu_may(&image, &[], "write 0 512"));
    assert!(!qemu_may(&image, &["-r"], "read 0 512"));
    let path = image.to_str().unwrap();
    let convert = ["convert", "-f", "raw", "-O", "raw", path, &format!("{path}.copy")];
    assert!(!run("qemu-img", &convert).status.success());
    assert_eq!(ours(&image, Access::Read).unwrap_err().class(), Class::Busy);
    assert_eq!(ours(&image, Access::Edit).unwrap_err().class(), Class::Busy);
    // Not even with their --force-share: what is being written is not whole.
    assert!(!qemu_may(&image, &["-r", "-U"], "read 0 512"));
    drop(writing);
    assert!(qemu_may(&image, &["-r"], "read 0 512"));
}

#[test]
fn a_reader_keeps_us_from_writing() {
    let (_dir, image) = image();
    let holder = Holder::new(&image, false);
    assert_eq!(ours(&image, Access::Edit).unwrap_err().class(), Class::Busy);
    drop(holder);
    assert!(ours(&image, Access::Edit).is_ok());
}

#[test]
fn an_unfinished_target_is_closed_to_qemu() {
    let (dir, _) = image();
    let target = dir.path().join("target.img");
    let mut output = Output::new(false);
    let file = output.create(&target).unwrap();
    file.set_len(65_536).unwrap();
    let part = dir.path().join("target.img.part");
    assert!(!qemu_may(&part, &["-r"], "read 0 512"));
    // Also after the writer let go of its handle: the output holds the lock until the file has its name.
    drop(file);
    assert!(!qemu_may(&part, &["-r"], "read 0 512"));
    output.commit().unwrap();
    assert!(qemu_may(&target, &["-r"], "read 0 512"));
}

#[test]
fn a_running_export_is_noticed() {
    let (dir, image) = image();
    let socket = dir.path().join("nbd");
    let mut export = Command::new("qemu-nbd")
        .args(["-f", "raw", "--persistent", "-k"])
        .arg(&socket)
        .arg(&image)
        .spawn()
        .expect("qemu-nbd starts; `cargo xtask setup` installs it");
    // It is there when its socket is.
    for _ in 0..600 {
        if std::os::unix::net::UnixStream::connect(&socket).is_ok() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let got = ours(&image, Access::Read).map(|_| ()).map_err(|e| e.class());
    export.kill().unwrap();
    export.wait().unwrap();
    assert_eq!(got, Err(Class::Busy));
    assert!(
        ours(&image, Access::Read).is_ok(),
        "a killed process holds nothing"
    );
}
