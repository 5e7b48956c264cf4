//! `cargo xtask guest DIR`: a small Debian as VMware leaves one, made from Debian's packages and nothing else.
//!
//! Debian's kernel for clouds, an initramfs that its own initramfs-tools made, udev, ifupdown and busybox's init, on
//! ext4, started by GRUB from a BIOS. Its disk hangs on PVSCSI and its interface is called after the slot of a vmxnet3.
//! Nothing of virtio is in the initramfs: on KVM it does not come up. On its serial console it says what it is called.

use crate::run::{Done, show};
use rustix::fs::FlockOperation;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What is on it. Who depends on whom, and which versions there are, apt knows.
const PACKAGES: [&str; 20] = [
    "base-files",
    "base-passwd",
    "bash",
    "busybox-static",
    "coreutils",
    "dash",
    "findutils",
    "grep",
    "grub-pc-bin",
    "gzip",
    "ifupdown",
    "initramfs-tools",
    "kmod",
    "libc-bin",
    "linux-image-cloud-amd64",
    "mount",
    "sed",
    "udev",
    "util-linux",
    "zstd",
];
/// How it is put together.
const MAKE: &str = include_str!("make.sh");
/// The machine, as VMware describes it.
const MACHINE: &str = include_str!("web01.vmx");

/// Makes `web01.vmx` and `web01.vmdk` in `dir`, where they are not there yet; the packages stay in `dir/packages`.
pub fn make(dir: &str) -> Done {
    let dir = Path::new(dir);
    fs::create_dir_all(dir.join("packages/partial")).map_err(about(dir))?;
    let dir = dir.canonicalize().map_err(about(dir))?;
    // Two that make it at once would be in each other's way.
    let lock = fs::File::create(dir.join("lock")).map_err(about(&dir))?;
    rustix::fs::flock(&lock, FlockOperation::LockExclusive).map_err(|e| e.to_string())?;
    let recipe = format!("{}\n{MACHINE}{MAKE}", PACKAGES.join(" "));
    let stamp = dir.join("recipe");
    if fs::read_to_string(&stamp).is_ok_and(|made| made == recipe) {
        println!("guest: {} is there", dir.join("web01.vmx").display());
        return Ok(());
    }
    download(&dir)?;
    let work = tempfile::tempdir_in(&dir).map_err(about(&dir))?;
    let script = work.path().join("make.sh");
    fs::write(&script, MAKE).map_err(about(&script))?;
    show(
        root_here()
            .args(["sh", "-eu"])
            .arg(&script)
            .arg(dir.join("packages"))
            .arg(work.path()),
    )?;
    show(
        Command::new("qemu-img")
            .args(["convert", "-O", "vmdk", "-o", "adapter_type=lsilogic"])
            .arg(work.path().join("disk.raw"))
            .arg(dir.join("web01.vmdk")),
    )?;
    let machine = dir.join("web01.vmx");
    fs::write(&machine, MACHINE).map_err(about(&machine))?;
    // Last: where it is, everything is.
    fs::write(&stamp, recipe).map_err(about(&stamp))
}

fn about(path: &Path) -> impl Fn(std::io::Error) -> String {
    let path: PathBuf = path.to_owned();
    move |e| format!("{}: {e}", path.display())
}

/// The packages and everything they depend on, from where this machine's own come from.
fn download(dir: &Path) -> Done {
    for entry in fs::read_dir(dir.join("packages")).map_err(about(dir))?.flatten() {
        // Of an older recipe, or an older Debian: two kernels would be one too many.
        if entry.path().extension().is_some_and(|e| e == "deb") {
            fs::remove_file(entry.path()).map_err(about(dir))?;
        }
    }
    let known = apt(dir)
        .args(["install", "--yes", "--download-only", "--no-install-recommends"])
        .args(PACKAGES)
        .status();
    if known.is_ok_and(|status| status.success()) {
        return Ok(());
    }
    println!("guest: apt's lists do not have it; reading them anew");
    let lists = dir.join("lists/partial");
    fs::create_dir_all(&lists).map_err(about(&lists))?;
    let own = format!("Dir::State::lists={}", dir.join("lists").display());
    show(apt(dir).args(["-o", &own, "update"]))?;
    show(
        apt(dir)
            .args(["-o", &own, "install", "--yes", "--download-only"])
            .arg("--no-install-recommends")
            .args(PACKAGES),
    )
}

/// apt, for a system on which nothing is installed; that of this machine is not touched.
fn apt(dir: &Path) -> Command {
    let mut command = Command::new("apt-get");
    command.arg("--quiet").args(["-o", "Debug::NoLocking=1"]);
    for (option, value) in [
        ("Dir::State::status", "/dev/null".into()),
        ("Dir::Cache::archives", dir.join("packages")),
        ("Dir::Cache::pkgcache", PathBuf::new()),
        ("Dir::Cache::srcpkgcache", PathBuf::new()),
    ] {
        command.arg("-o").arg(format!("{option}={}", value.display()));
    }
    // Whoever apt would fetch files as may not see this folder.
    command.args(["-o", "APT::Sandbox::User=", "-o", "APT::Architecture=amd64"]);
    command
}

/// Runs what follows as root, or as somebody who looks like root to himself.
fn root_here() -> Command {
    if rustix::process::geteuid().is_root() {
        return Command::new("env");
    }
    let mut command = Command::new("unshare");
    command.arg("--map-root-user");
    command
}
