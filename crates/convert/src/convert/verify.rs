//! Reading a finished target again, before it gets its name.

use crate::Watch;
use h2k_block::{Access, Class, Error, FileDisk, Host, HostFile, Joined, Output, Part, Result, Sharing};
use h2k_copy::{Digest, Options};
use h2k_image::{Format, Image, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Names the files of an output by the names they will have.
struct Parts {
    names: Vec<(PathBuf, PathBuf)>,
    fresh: bool,
}

impl Host for Parts {
    fn open(&self, referrer: &Path, name: &Path, access: Access) -> Result<Arc<dyn HostFile>> {
        let wanted = referrer.with_file_name(name);
        let part = self.names.iter().find(|(_, path)| *path == wanted);
        let Some((part, _)) = part else {
            return Err(Error::new(
                Class::Refused,
                format!(
                    "the target names {}, which was not made with it",
                    wanted.display()
                ),
            ));
        };
        self.reopen(part, access)
    }
}

impl Parts {
    /// Opens a part again. The writer's own locks are still held, so none are asked for.
    fn reopen(&self, part: &Path, access: Access) -> Result<Arc<dyn HostFile>> {
        let file = FileDisk::open(part, access, Sharing::Force)?;
        if self.fresh {
            forget_cached(&file);
        }
        Ok(Arc::new(file))
    }
}

/// Lets the host drop what it still holds of the file in memory, so that reading asks the storage. A wish.
fn forget_cached(file: &FileDisk) {
    if let Some(file) = file.descriptor() {
        let _wish = rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::DontNeed);
    }
}

/// Opens the finished target with a reader that knows nothing of the writer. `fresh` asks the storage for what is
/// read, where the host can.
pub(crate) fn open(output: &Output, part: &Path, format: Format, fresh: bool) -> Result<Image> {
    let parts = Parts {
        names: output
            .parts()
            .map(|(a, b)| (a.to_owned(), b.to_owned()))
            .collect(),
        fresh,
    };
    let options = OpenOptions {
        format: Some(format),
        // A reference to a parent is not followed: what was written is in the target itself.
        alone: true,
        ..OpenOptions::default()
    };
    let file = parts.reopen(part, Access::Read)?;
    h2k_image::open(file, &parts, &options).map_err(|e| e.through("opening the finished target"))
}

/// Reads the first `len` bytes of the finished target's disk, and compares digests.
pub(super) fn verify(
    target: Image,
    len: u64,
    wanted: Option<&Digest>,
    options: &Options,
    stop: &AtomicBool,
    watch: &dyn Watch,
) -> Result<()> {
    // Some formats round the size of a disk up: what is compared is what was copied.
    let disk = Joined::new(vec![Part {
        disk: Some(target.disk),
        offset: 0,
        len,
    }])?;
    let options = Options {
        bytes_per_second: None,
        ..options.clone()
    };
    let found =
        h2k_copy::digest(&disk, &options, stop, watch).map_err(|e| e.through("verifying the target"))?;
    match (wanted, &found.digest) {
        (Some(wanted), Some(found)) if wanted == found => Ok(()),
        _ => Err(Error::new(
            Class::Corrupt,
            "the target, read again, does not hold what was written to it",
        )
        .advise("check the memory and the storage of this machine before trusting any copy made on it")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Unwatched;
    use h2k_block::MemDisk;
    use h2k_copy::DigestKind;
    use h2k_image::Target;
    use h2k_testkit::rng::Rng;
    use std::os::unix::fs::FileExt;

    /// Copies a small disk into `format`, lets `damage` at the unfinished file, and verifies.
    fn verified(format: Format, damage: impl FnOnce(&std::fs::File, u64)) -> Result<()> {
        let dir = tempfile::tempdir().unwrap();
        let mut bytes = vec![0; 3 << 20];
        Rng::new(5).fill(&mut bytes[1 << 20..2 << 20]);
        let source = MemDisk::new(bytes);
        let mut output = Output::new(false);
        let file = output.create(&dir.path().join("target")).unwrap();
        let mut another = |ending: &str| output.create(&dir.path().join(format!("target{ending}")));
        let sink = h2k_image::create(file.clone(), &mut another, &Target::of(format), 3 << 20).unwrap();
        let options = Options {
            digest: Some(DigestKind::Sparse),
            ..Options::default()
        };
        let stop = AtomicBool::new(false);
        let copied = h2k_copy::copy(&source, sink, &options, &stop, &Unwatched).unwrap();
        let raw = std::fs::File::options()
            .write(true)
            .read(true)
            .open(file.name())
            .unwrap();
        damage(&raw, file.len());
        let target = open(&output, file.name(), format, true)?;
        verify(
            target,
            3 << 20,
            copied.digest.as_ref(),
            &options,
            &stop,
            &Unwatched,
        )
    }

    #[test]
    fn a_target_that_is_as_it_was_written_passes() {
        for format in Format::ALL.into_iter().filter(|f| f.is_made()) {
            verified(format, |_, _| {}).unwrap_or_else(|e| panic!("{}: {e}", format.name()));
        }
    }

    #[test]
    fn one_damaged_byte_of_content_is_found() {
        for format in Format::ALL.into_iter().filter(|f| f.is_made()) {
            let damage = |file: &std::fs::File, len: u64| {
                // The noise is a third of the disk, and every byte of it matters: somewhere in the file's middle.
                let mut found = None;
                let mut buf = [0; 4096];
                for at in (0..len - 4096).step_by(4096) {
                    file.read_exact_at(&mut buf, at).unwrap();
                    if buf.iter().filter(|b| **b != 0).count() > 4000 {
                        found = Some(at);
                    }
                }
                let at = found.unwrap();
                file.read_exact_at(&mut buf, at).unwrap();
                file.write_all_at(&[buf[17] ^ 1], at + 17).unwrap();
            };
            let error = verified(format, damage).unwrap_err();
            assert_eq!(error.class(), Class::Corrupt, "{}: {error}", format.name());
        }
    }

    #[test]
    fn a_target_that_lost_its_end_is_found() {
        for format in Format::ALL.into_iter().filter(|f| f.is_made()) {
            let cut = |file: &std::fs::File, len: u64| file.set_len(len / 2).unwrap();
            assert!(verified(format, cut).is_err(), "{}", format.name());
        }
    }
}
