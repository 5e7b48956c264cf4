//! Machines that are started: as VMware had them, and what `--boot-test` sees of what was made of them.

use super::cut::comes;
use super::{Place, digest};
use crate::run::{names, run, start};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

/// The answer of a boot test, from the report beside the disks.
fn seen(out: &Path) -> Value {
    let text = std::fs::read_to_string(out.join("report.json")).unwrap();
    serde_json::from_str::<Value>(&text).unwrap()["boot-test"].take()
}

/// The child of a process that is QEMU by now.
fn qemu(parent: u32) -> Option<u32> {
    let children = std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).ok()?;
    let mut children = children.split_whitespace().filter_map(|id| id.parse().ok());
    children.find(|id| alive(*id))
}

fn alive(id: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{id}/comm")).is_ok_and(|name| name.starts_with("qemu-system"))
}

/// The words that migrate a guest whose boot sector leads nowhere: it neither comes up nor says why.
const STUCK: [&str; 6] = ["migrate", "-q", "a.img", "-o", "out", "--boot-test"];

#[test]
fn a_machine_that_says_nothing_is_not_judged_and_its_screen_is_shown() {
    let place = Place::new();
    let args = [&STUCK[..], &["--boot-timeout", "3"]].concat();
    let ran = run(place.path(), &args);
    assert_eq!(ran.code, 3, "{ran:?}");
    let all = ["a.qcow2", "a.xml", "boot-test.png", "report.json"];
    assert_eq!(names(&place.file("out")), all);
    let test = seen(&place.file("out"));
    assert_eq!(test["result"], "timed-out", "{test:#}");
    assert_eq!(test["screen"], "out/boot-test.png");
    let picture = std::fs::read(place.file("out/boot-test.png")).unwrap();
    assert!(picture.starts_with(b"\x89PNG\r\n\x1a\n"));
    place.untouched();
    // The picture is a target like others.
    for name in ["a.qcow2", "a.xml", "report.json"] {
        std::fs::remove_file(place.file("out").join(name)).unwrap();
    }
    let ran = run(place.path(), &args);
    assert!(ran.code == 1 && ran.err.contains("boot-test.png"), "{ran:?}");
    assert_eq!(names(&place.file("out")), ["boot-test.png"]);
}

#[test]
fn a_machine_ends_with_who_watches_it_however_that_ends() {
    for (how, code) in [(Signal::INT, Some(130)), (Signal::KILL, None)] {
        let place = Place::new();
        let child = start(place.path(), &STUCK);
        comes("QEMU", || qemu(child.id()).is_some());
        let machine = qemu(child.id()).unwrap();
        kill_process(Pid::from_raw(child.id() as i32).unwrap(), how).unwrap();
        let ended = child.wait_with_output().unwrap();
        assert_eq!(ended.status.code(), code, "{ended:?}");
        comes("QEMU's end", || !alive(machine));
        let mut left = names(&place.file("out"));
        // A part, as of other targets; the next run takes it over.
        left.retain(|name| code.is_some() || name != "boot-test.part");
        assert_eq!(left, ["a.qcow2", "a.xml", "report.json"]);
        let test = seen(&place.file("out"));
        match code {
            Some(_) => assert_eq!(test["result"], "stopped", "{ended:?}"),
            // The report was there before; nobody was left to tell more.
            None => assert_eq!(test, Value::Null),
        }
        place.untouched();
    }
}

/// The small Debian that `cargo xtask guest` makes, which takes a minute when it is not there.
static DEBIAN: LazyLock<PathBuf> = LazyLock::new(|| {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("guest");
    let made = Command::new(env!("CARGO"))
        .args(["run", "--quiet", "--package", "xtask", "--", "guest"])
        .arg(&dir)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&made.stdout) + String::from_utf8_lossy(&made.stderr);
    assert!(made.status.success(), "no guest could be made: {said}");
    dir
});

/// What it says of itself, wherever it comes up.
const NAMES: &str = "guest: host=web01 if=ens192 mac=00:50:56:3a:01:31 address=192.168.77.31/24";

/// Migrates it; its exit code, and what the boot test saw. A slow machine needs minutes for what takes others seconds.
fn migrated(out: &Path, more: &[&str]) -> (i32, Value) {
    let source = DEBIAN.join("web01.vmdk");
    let before = digest(&source);
    let machine = DEBIAN.join("web01.vmx");
    let into = out.join("out");
    let mut args = vec![
        "migrate",
        "-q",
        machine.to_str().unwrap(),
        "-o",
        into.to_str().unwrap(),
    ];
    args.extend(["--boot-test", "--boot-timeout", "1200"]);
    args.extend(more);
    let ran = run(out, &args);
    assert!(into.join("report.json").exists(), "{ran:?}");
    assert_eq!(digest(&source), before, "the source was written to");
    (ran.code, seen(&into))
}

fn says(test: &Value, place: &str, line: &str) -> bool {
    let lines = test[place].as_array().unwrap();
    lines.iter().any(|said| said.as_str().unwrap().contains(line))
}

#[test]
fn a_debian_comes_up_as_vmware_has_it() {
    let disk = format!(
        "if=none,id=hd0,format=vmdk,snapshot=on,file={}",
        DEBIAN.join("web01.vmdk").display()
    );
    // Slot 192 is where VMware puts the first vmxnet3. QEMU's own hotplug would hide the numbers of slots.
    let machine = "-machine q35,accel=tcg,graphics=off -cpu max -m 512 -nodefaults -display none -serial stdio \
        -global ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off -device VGA,addr=0f.0 \
        -device pcie-root-port,id=slot192,addr=16.0,chassis=31,slot=192 -netdev user,id=net0,restrict=on \
        -device vmxnet3,bus=slot192,netdev=net0,mac=00:50:56:3a:01:31,romfile= \
        -device pvscsi,id=scsi0,addr=10.0 -device scsi-hd,bus=scsi0.0,drive=hd0,bootindex=1";
    let mut child = Command::new("timeout")
        .args(["1200", "qemu-system-x86_64", "-drive", &disk])
        .args(machine.split_whitespace())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("oracle qemu-system-x86_64 did not start; run `cargo xtask setup`");
    let (mut said, mut room) = (Vec::new(), [0; 4096]);
    let mut console = child.stdout.take().unwrap();
    let over = |said: &[u8]| {
        let text = String::from_utf8_lossy(said);
        text.contains(" login: ") || text.contains("(initramfs)")
    };
    while let Ok(length @ 1..) = console.read(&mut room) {
        said.extend_from_slice(&room[..length]);
        if over(&said) {
            break;
        }
    }
    // The machine is not our child: its keeper hands the signal on.
    kill_process(Pid::from_raw(child.id() as i32).unwrap(), Signal::TERM).unwrap();
    child.wait().unwrap();
    let said = String::from_utf8_lossy(&said);
    assert!(said.contains("guest: root=/dev/sda1 driver=vmxnet3"), "{said}");
    assert!(said.contains(NAMES) && said.contains("web01 login:"), "{said}");
}

#[test]
fn a_debian_does_not_come_up_on_virtio_as_it_is() {
    let out = tempfile::tempdir().unwrap();
    let more = [
        "--only-fix",
        "linux.crypttab",
        "--bus",
        "virtio-blk",
        "--allow-partial",
    ];
    let (code, test) = migrated(out.path(), &more);
    assert_eq!((code, &test["result"]), (4, &"failed".into()), "{test:#}");
    assert!(test["reason"].as_str().unwrap().contains("initramfs"), "{test:#}");
}

#[test]
fn a_debian_comes_up_on_virtio_when_it_was_migrated() {
    let out = tempfile::tempdir().unwrap();
    let (code, test) = migrated(out.path(), &["--prove"]);
    assert_eq!((code, &test["result"]), (0, &"booted".into()), "{test:#}");
    for line in ["guest: root=/dev/vda1 driver=virtio_net", NAMES] {
        assert!(says(&test, "console", line), "{line} is not in {test:#}");
    }
    // The screen is in text mode, and somebody may log in there, too. Which asks first is chance.
    let asked = ["console", "screen-text"].map(|place| says(&test, place, "web01 login:"));
    assert!(asked[0] || asked[1], "{test:#}");
    assert_ne!(test["screen-text"].as_array().unwrap().len(), 0, "{test:#}");
    let all = ["boot-test.png", "report.json", "web01.qcow2", "web01.xml"];
    assert_eq!(names(&out.path().join("out")), all);
}
