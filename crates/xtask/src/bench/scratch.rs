//! A folder on a tmpfs that is gone afterwards.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

const TMPFS: &str = "/dev/shm";

const NAME: &str = "hyper2kvm-bench-";

/// The folder. Removed with everything in it when dropped.
pub(super) struct Scratch(PathBuf);

impl Scratch {
    /// A folder with room for `bytes`: of the file system, and of memory.
    pub(super) fn new(bytes: u64) -> Result<Self, String> {
        sweep();
        let stat = rustix::fs::statvfs(TMPFS).map_err(|e| format!("{TMPFS}: {e}"))?;
        let free = (stat.f_bavail * stat.f_frsize).min(available_memory()?);
        if free < bytes {
            return Err(format!(
                "{} MiB of memory and of {TMPFS} are needed, {} are free; --quick needs less",
                bytes >> 20,
                free >> 20
            ));
        }
        let path = Path::new(TMPFS).join(format!("{NAME}{}", std::process::id()));
        std::fs::create_dir(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        Ok(Self(path))
    }

    /// Fills `bytes` of memory and frees them. A virtual machine gets its memory from its host when it is first
    /// touched, which takes longer than the copies that are measured here.
    pub(super) fn warm(&self, bytes: u64) -> Result<(), String> {
        let path = self.path("warm");
        let zeros = vec![0; 1 << 20];
        let mut file = std::fs::File::create_new(&path).map_err(|e| e.to_string())?;
        for _ in 0..bytes >> 20 {
            std::io::Write::write_all(&mut file, &zeros).map_err(|e| e.to_string())?;
        }
        remove(&path);
        Ok(())
    }

    /// A path in it.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(e) = std::fs::remove_dir_all(&self.0) {
            eprintln!("{} stays behind: {e}", self.0.display());
        }
    }
}

/// Removes what runs that were killed left behind.
fn sweep() {
    let Ok(list) = std::fs::read_dir(TMPFS) else {
        return;
    };
    for entry in list.flatten() {
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| name.strip_prefix(NAME));
        if owner.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            let _kept = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// Memory that can be had without swapping, bytes.
pub(super) fn available_memory() -> Result<u64, String> {
    memory("MemAvailable:")
}

/// A line of `/proc/meminfo`, in bytes.
pub(super) fn memory(line: &str) -> Result<u64, String> {
    let text = std::fs::read_to_string("/proc/meminfo").map_err(|e| e.to_string())?;
    text.lines()
        .find_map(|l| {
            l.strip_prefix(line)?
                .trim()
                .strip_suffix(" kB")?
                .parse::<u64>()
                .ok()
        })
        .map(|kib| kib << 10)
        .ok_or_else(|| format!("/proc/meminfo has no {line}"))
}

/// Bytes the file occupies.
pub(super) fn allocated(path: &Path) -> Result<u64, String> {
    let meta = std::fs::metadata(path).map_err(|e| format!("{}: {e}", path.display()))?;
    Ok(meta.blocks() * 512)
}

/// Removes a file that may be there.
pub(super) fn remove(path: &Path) {
    let _absent = std::fs::remove_file(path);
}
