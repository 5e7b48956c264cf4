//! Jobs that only read: digests and comparisons.

use crate::convert::DigestReport;
use crate::{Failure, Phase, Result, Source, Watch};
use h2k_copy::{DigestKind, Options};
use serde::Serialize;
use std::sync::atomic::AtomicBool;

/// Digests what an image holds.
#[derive(Clone, Debug)]
pub struct Digesting {
    /// The image.
    pub source: Source,
    /// How.
    pub kind: DigestKind,
    /// Worker threads; 0 means one for each processor.
    pub workers: usize,
}

/// What an image holds, in 32 bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct DigestedReport {
    /// The image.
    pub filename: String,
    /// Its format.
    pub format: &'static str,
    /// Size of the guest's disk in bytes.
    pub virtual_size: u64,
    /// The digest.
    pub digest: DigestReport,
}

impl Digesting {
    /// Reads the image and digests it.
    ///
    /// # Errors
    /// What the image says; [`h2k_block::Class::Cancelled`] when `stop` was set.
    pub fn run(&self, stop: &AtomicBool, watch: &dyn Watch) -> Result<DigestedReport> {
        let opened = self.source.open()?;
        let options = Options {
            workers: self.workers,
            digest: Some(self.kind),
            bytes_per_second: None,
        };
        watch.phase(Phase::Digest);
        let report = h2k_copy::digest(&*opened.disk, &options, stop, watch);
        let report = report.map_err(|e| Failure::from(e).about(&self.source.path))?;
        let digest = report
            .digest
            .as_ref()
            .map(DigestReport::from)
            .ok_or_else(|| Failure::invalid("a digest was asked for and none was made"))?;
        Ok(DigestedReport {
            filename: self.source.path.display().to_string(),
            format: opened.info.format.name(),
            virtual_size: opened.info.virtual_size,
            digest,
        })
    }
}

/// Compares what two images hold.
#[derive(Clone, Debug)]
pub struct Comparing {
    /// One image.
    pub a: Source,
    /// The other.
    pub b: Source,
    /// Whether different sizes count as a difference even where the rest is zero.
    pub strict: bool,
    /// Worker threads; 0 means one for each processor.
    pub workers: usize,
}

/// Whether two images hold the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ComparedReport {
    /// Whether they do.
    pub equal: bool,
    /// The first byte that differs, if one does.
    pub first_difference: Option<u64>,
    /// One image.
    pub a: String,
    /// Size of its disk in bytes.
    pub a_virtual_size: u64,
    /// The other.
    pub b: String,
    /// Size of its disk in bytes.
    pub b_virtual_size: u64,
}

impl Comparing {
    /// Reads both images until they differ.
    ///
    /// # Errors
    /// What the images say; [`h2k_block::Class::Cancelled`] when `stop` was set.
    pub fn run(&self, stop: &AtomicBool, watch: &dyn Watch) -> Result<ComparedReport> {
        let a = self.a.open()?;
        let b = self.b.open()?;
        let sizes = (a.disk().len(), b.disk().len());
        let differ_in_size = self.strict && sizes.0 != sizes.1;
        let difference = if differ_in_size {
            None
        } else {
            let options = Options {
                workers: self.workers,
                ..Options::default()
            };
            watch.phase(Phase::Compare);
            h2k_copy::compare(&*a.disk, &*b.disk, &options, stop, watch).map_err(|e| {
                let blame = if b.disk.failed() { &self.b } else { &self.a };
                Failure::from(e).about(&blame.path)
            })?
        };
        Ok(ComparedReport {
            equal: !differ_in_size && difference.is_none(),
            first_difference: difference.map(|d| d.offset),
            a: self.a.path.display().to_string(),
            a_virtual_size: sizes.0,
            b: self.b.path.display().to_string(),
            b_virtual_size: sizes.1,
        })
    }
}
