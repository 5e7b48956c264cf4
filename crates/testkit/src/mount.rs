//! Mounts as oracles, where the host lets us: the kernel's through loop devices, and others' through FUSE.

use crate::oracle::run;
use std::path::{Path, PathBuf};

/// A mounted image; unmounted when dropped.
#[derive(Debug)]
pub struct Mount {
    at: tempfile::TempDir,
}

impl Mount {
    /// Where it is mounted.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.at.path()
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let out = run("umount", &[self.at.path()]);
        if !out.status.success() {
            // Lazily: better than a temporary folder that deletes what is mounted in it.
            run("umount", &["-l".as_ref(), self.at.path().as_os_str()]);
        }
    }
}

/// Mounts `image` through a loop device: `mount -t <kind> -o loop,<options>`.
///
/// # Errors
/// What `mount` said: no root, no loop devices, or a filesystem the kernel refuses.
pub fn mount(image: &Path, kind: &str, options: &str) -> Result<Mount, String> {
    let at = tempfile::tempdir().map_err(|e| e.to_string())?;
    let options = format!("loop,{options}");
    let args: [PathBuf; 6] = [
        "-t".into(),
        kind.into(),
        "-o".into(),
        options.into(),
        image.into(),
        at.path().into(),
    ];
    let out = run("mount", &args);
    if out.status.success() {
        return Ok(Mount { at });
    }
    Err(format!(
        "mount -t {kind} -o {} {}: {}",
        args[3].display(),
        image.display(),
        String::from_utf8_lossy(&out.stderr).trim()
    ))
}

/// Mounts `image` with `program`, a filesystem in userspace: `<program> <options> <image> <at>`. `None`, loudly, where
/// the host cannot.
///
/// # Panics
/// When there is no temporary folder.
#[must_use]
pub fn fuse(program: &str, options: &[&str], image: &Path) -> Option<Mount> {
    let at = tempfile::tempdir().expect("a temporary folder can be made");
    let mut args: Vec<&std::ffi::OsStr> = options.iter().map(AsRef::as_ref).collect();
    args.extend([image.as_os_str(), at.path().as_os_str()]);
    let out = run(program, &args);
    if out.status.success() {
        return Some(Mount { at });
    }
    println!(
        "skipped: this host cannot mount through FUSE ({})",
        String::from_utf8_lossy(&out.stderr).trim()
    );
    None
}
