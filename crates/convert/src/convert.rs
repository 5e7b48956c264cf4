//! Converting: open, refuse what must not be, copy, verify, give the result its name.

pub(crate) mod backing;
mod report;
pub(crate) mod verify;

use crate::free::free;
use crate::private::private_as;
use crate::target::Reference;
use crate::{Failure, Making, Opened, Phase, Result, Source, Watch, local};
use h2k_block::{BlockRead, Class, Error, Joined, Output, Part};
use h2k_copy::DigestKind;
use h2k_image::{Format, Info, Target};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

pub use report::{ConvertReport, DigestReport, Plan};

/// A new size for the guest's disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resize {
    /// So many bytes altogether.
    To(u64),
    /// So many bytes more.
    By(u64),
}

impl Resize {
    /// The new size of a disk of `len` bytes.
    ///
    /// # Errors
    /// [`Class::Invalid`] when no disk can be that large.
    pub fn apply(self, len: u64) -> Result<u64> {
        match self {
            Self::To(size) => Ok(size),
            Self::By(more) => len
                .checked_add(more)
                .ok_or_else(|| Failure::invalid("no disk can be that large")),
        }
    }
}

/// Whether a target holds everything itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Chain {
    /// It does: the source's parents are copied into it.
    #[default]
    Flatten,
    /// It holds what the source itself holds, and refers to the source's parent for the rest.
    Keep {
        /// The parent's name as recorded in the target; `None` records where the source found it.
        name: Option<String>,
        /// The format of what `name` means; `None` is the format of the source's parent.
        format: Option<Format>,
    },
}

/// A conversion: what is meant, every choice made.
#[derive(Clone, Debug)]
pub struct Convert {
    /// The image to be read.
    pub source: Source,
    /// The file to be made.
    pub target: PathBuf,
    /// How it is made.
    pub making: Making,
    /// Whether the target holds everything itself.
    pub chain: Chain,
    /// A new size for the guest's disk.
    pub resize: Option<Resize>,
    /// Whether the new size may cut off content.
    pub shrink: bool,
    /// Worker threads; 0 means one for each processor.
    pub workers: usize,
    /// Which digest of the content to make in the same pass.
    pub digest: Option<DigestKind>,
    /// Whether to read the finished target again and compare.
    pub verify: bool,
    /// At most so many bytes of source data read in a second.
    pub bandwidth: Option<u64>,
    /// Whether an existing target may be replaced.
    pub replace: bool,
}

/// Everything checked and nothing written.
pub(crate) struct Ready {
    source: Opened,
    disk: Arc<dyn BlockRead>,
    target: Target,
    /// The same without compression, to find out how much room it needs at most.
    measured: Target,
    backing: Option<String>,
    path: PathBuf,
}

impl Convert {
    /// Checks everything that can be checked without writing, and says what would be done.
    ///
    /// # Errors
    /// As [`run`](Self::run), for everything that goes wrong before the first byte is written.
    pub fn plan(&self, stop: &AtomicBool) -> Result<Plan> {
        let ready = self.ready(stop)?;
        Plan::of(self, &ready, stop).map_err(|e| self.failed(e, Some(&ready)))
    }

    /// Converts. The target appears whole under its name, or not at all.
    ///
    /// # Errors
    /// What the source, the target and the host say; [`Class::Cancelled`] when `stop` was set.
    pub fn run(&self, stop: &AtomicBool, watch: &dyn Watch) -> Result<ConvertReport> {
        let ready = self.ready(stop)?;
        self.make(&ready, stop, watch).map_err(|e| {
            self.failed(e, Some(&ready))
                .leaving("the source was not modified")
                .leaving(format!("nothing was left of {}", ready.path.display()))
        })
    }

    fn ready(&self, stop: &AtomicBool) -> Result<Ready> {
        local(&self.target)?;
        let source = self.source.open()?;
        let kept = match &self.chain {
            Chain::Flatten => None,
            Chain::Keep { name, format } => {
                Some(backing::keep(self, &source, name.as_deref(), *format, stop)?)
            }
        };
        let mut needed = vec![&source.info];
        needed.extend(kept.iter().flat_map(|kept| &kept.parent));
        let path = free(&self.target, self.replace, &needed)?;
        let (disk, making) = match kept {
            None => (source.disk(), self.making.clone()),
            Some(kept) => {
                let making = Making {
                    backing: Some(kept.reference),
                    ..self.making.clone()
                };
                (kept.delta, making)
            }
        };
        Ok(Ready {
            disk: self.sized(disk)?,
            target: making.target()?,
            measured: making.uncompressed().target()?,
            backing: making.backing.map(|b| b.name),
            source,
            path,
        })
    }

    /// As [`ready`](Self::ready), for a source that is open already and is copied as `disk` shows it; over `backing`,
    /// where the target refers to an image for the rest.
    pub(crate) fn ready_for(
        &self,
        source: Opened,
        disk: Arc<dyn BlockRead>,
        backing: Option<Reference>,
        needed: &[&Info],
    ) -> Result<Ready> {
        let making = Making {
            backing,
            ..self.making.clone()
        };
        Ok(Ready {
            path: free(&self.target, self.replace, needed)?,
            target: making.target()?,
            measured: making.uncompressed().target()?,
            backing: making.backing.map(|b| b.name),
            source,
            disk,
        })
    }

    /// `disk` in the size the target will have.
    fn sized(&self, disk: Arc<dyn BlockRead>) -> Result<Arc<dyn BlockRead>> {
        let len = disk.len();
        let new = match self.resize {
            Some(resize) => resize.apply(len)?,
            None => return Ok(disk),
        };
        if new < len && !self.shrink {
            return Err(Failure::cuts_off(len, new));
        }
        let kept = Part {
            disk: Some(disk),
            offset: 0,
            len: new.min(len),
        };
        let more = Part {
            disk: None,
            offset: 0,
            len: new.saturating_sub(len),
        };
        Ok(Arc::new(Joined::new(vec![kept, more])?))
    }

    fn make(&self, ready: &Ready, stop: &AtomicBool, watch: &dyn Watch) -> h2k_block::Result<ConvertReport> {
        let mut output = Output::new(self.replace);
        let report = self.fill(ready, &mut output, stop, watch)?;
        output.commit()?;
        Ok(report)
    }

    /// Writes the target as a part of `output`, which gives it its name later.
    pub(crate) fn fill(
        &self,
        ready: &Ready,
        output: &mut Output,
        stop: &AtomicBool,
        watch: &dyn Watch,
    ) -> h2k_block::Result<ConvertReport> {
        let file = output.create(&ready.path)?;
        let mut another = |ending: &str| output.create(&beside(&ready.path, ending));
        let sink = h2k_image::create(file.clone(), &mut another, &ready.target, ready.disk.len())?;
        for (part, _) in output.parts() {
            private_as(&self.source.path, part)?;
        }
        let options = h2k_copy::Options {
            workers: self.workers,
            digest: self.digest.or(self.verify.then_some(DigestKind::Sparse)),
            bytes_per_second: self.bandwidth,
        };
        watch.phase(Phase::Copy);
        let copied = h2k_copy::copy(&*ready.disk, sink, &options, stop, watch)?;
        // What our own reader does not open must not get a name, verified or not.
        let target = verify::open(output, file.name(), ready.target.format(), self.verify)?;
        let virtual_size = target.info.virtual_size;
        if self.verify {
            watch.phase(Phase::Verify);
            let wanted = copied.digest.as_ref();
            verify::verify(target, ready.disk.len(), wanted, &options, stop, watch)?;
        }
        if stop.load(Ordering::Acquire) {
            return Err(Error::new(
                Class::Cancelled,
                "stopped before the target got its name",
            ));
        }
        Ok(ConvertReport::of(self, ready, &copied, &*file, virtual_size))
    }

    /// Finds out whom an error is about: whoever of the two failed.
    pub(crate) fn failed(&self, error: Error, ready: Option<&Ready>) -> Failure {
        let source = ready.is_some_and(|r| r.source.disk.failed());
        Failure::from(error).about(if source { &self.source.path } else { &self.target })
    }
}

/// The file of a target's own set that is called like it, with `ending` in place of its extension.
pub(crate) fn beside(target: &Path, ending: &str) -> PathBuf {
    let mut name = target.file_stem().unwrap_or_default().to_owned();
    name.push(ending);
    target.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_file_is_named_after_the_first() {
        assert_eq!(
            beside(Path::new("/a/web.01.vmdk"), "-flat.vmdk"),
            Path::new("/a/web.01-flat.vmdk")
        );
    }

    #[test]
    fn a_size_may_be_given_as_a_difference() {
        assert_eq!(Resize::By(5).apply(10).unwrap(), 15);
        assert_eq!(Resize::To(5).apply(10).unwrap(), 5);
        assert_eq!(
            Resize::By(u64::MAX).apply(10).unwrap_err().class(),
            Class::Invalid
        );
    }
}
