//! Trees of real files: filling a filesystem with them, and reading them back through the kernel.

use super::input;
use crate::run::Done;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// What a tree holds.
#[derive(Clone, Copy, Default)]
pub(super) struct Facts {
    pub(super) files: u64,
    pub(super) bytes: u64,
    /// Bytes of the image they are in.
    pub(super) image: u64,
}

/// Copies files of this machine to `to`, with their directories, until there are `bytes` of them.
pub(super) fn fill(to: &Path, bytes: u64) -> Result<Facts, String> {
    let mut facts = Facts::default();
    input::visit(&mut |file| {
        // What this user may not read is left out, as it is on the disk of the conversions.
        let Ok(content) = input::slurp(file) else {
            return Ok(true);
        };
        let place = to.join(file.strip_prefix("/").unwrap_or(file));
        let folder = place.parent().unwrap_or(to);
        std::fs::create_dir_all(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
        std::fs::write(&place, &content).map_err(|e| format!("{}: {e}", place.display()))?;
        facts.files += 1;
        facts.bytes += content.len() as u64;
        Ok(facts.bytes < bytes)
    })?;
    Ok(facts)
}

/// `xtask bench-mounted KIND IMAGE list|hash|top`: mounts the image and does to its files what the row asks: names
/// all of them, hashes all of them on all cores, or names those in the root.
pub(crate) fn mounted(words: &[&str]) -> Done {
    let [kind, image, work] = words else {
        return Err("bench-mounted needs a kind, an image and what to do".to_owned());
    };
    let mount = h2k_testkit::mount::mount(Path::new(image), kind, "ro")?;
    let sentence = |e: std::io::Error| format!("{image}: {e}");
    let mut out = std::io::stdout().lock();
    match *work {
        "top" => {
            for entry in std::fs::read_dir(mount.path()).map_err(sentence)? {
                name(&mut out, &entry.map_err(sentence)?.path()).map_err(sentence)?;
            }
        }
        "list" => {
            for file in below(mount.path()).map_err(sentence)? {
                name(&mut out, &file).map_err(sentence)?;
            }
        }
        "hash" => {
            for (digest, file) in hashes(&below(mount.path()).map_err(sentence)?).map_err(sentence)? {
                write!(out, "{digest}  ").map_err(sentence)?;
                name(&mut out, &file).map_err(sentence)?;
            }
        }
        other => return Err(format!("bench-mounted cannot {other}")),
    }
    Ok(())
}

fn name(out: &mut dyn Write, path: &Path) -> std::io::Result<()> {
    out.write_all(path.as_os_str().as_bytes())?;
    out.write_all(b"\n")
}

/// Every regular file below `dir`.
fn below(dir: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() {
                files.push(entry.path());
            }
        }
    }
    Ok(files)
}

/// The SHA-256 of every file, on all cores.
fn hashes(files: &[PathBuf]) -> std::io::Result<Vec<(String, PathBuf)>> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::with_capacity(files.len()));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let work = || -> std::io::Result<()> {
        let mut room = vec![0; 1 << 20];
        while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
            let mut open = File::open(file)?;
            let mut hash = Sha256::new();
            loop {
                match open.read(&mut room)? {
                    0 => break,
                    n => hash.update(room.get(..n).unwrap_or_default()),
                }
            }
            let digest = h2k_testkit::hash::hex(&hash.finalize());
            done.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push((digest, file.clone()));
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let others: Vec<_> = (1..cores).map(|_| scope.spawn(work)).collect();
        let mine = work();
        let gone = || std::io::Error::other("a thread panicked");
        others
            .into_iter()
            .map(|other| other.join().unwrap_or_else(|_| Err(gone())))
            .fold(mine, Result::and)
    })?;
    Ok(done.into_inner().unwrap_or_else(PoisonError::into_inner))
}
