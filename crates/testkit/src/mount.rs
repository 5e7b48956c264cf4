//! The kernel as an oracle: loop mounts, where the host lets us.

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
