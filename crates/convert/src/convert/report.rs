use super::{Convert, Ready};
use crate::image::FileReport;
use crate::{ImageReport, MapEntry, map};
use h2k_block::{HostFile, Result};
use h2k_copy::{Digest, DigestKind, Report};
use serde::Serialize;
use std::sync::atomic::AtomicBool;

/// What a conversion would do.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Plan {
    /// The source and its parents.
    pub source: ImageReport,
    /// The file that would be made.
    pub target: String,
    /// Its format.
    pub target_format: &'static str,
    /// The parent the target would refer to.
    pub target_backing: Option<String>,
    /// Size of the guest's disk in the target, in bytes.
    pub virtual_size: u64,
    /// Bytes of host space the target would need at most.
    pub required: u64,
    /// Bytes that would be read.
    pub bytes_to_read: u64,
    /// Bytes that are known without reading them: zeros, and what the parent of the target holds.
    pub bytes_to_skip: u64,
    /// Whether an existing target would be replaced.
    pub replaces: bool,
}

impl Plan {
    pub(super) fn of(job: &Convert, ready: &Ready, stop: &AtomicBool) -> Result<Self> {
        let mut read = 0_u64;
        map(&*ready.disk, 0..ready.disk.len(), stop, &mut |run: &MapEntry| {
            if run.data {
                read = read.saturating_add(run.length);
            }
            Ok(())
        })?;
        Ok(Self {
            source: ImageReport::of(&ready.source.info),
            target: ready.path.display().to_string(),
            target_format: ready.target.format().name(),
            target_backing: ready.backing.clone(),
            virtual_size: ready.disk.len(),
            required: crate::measure::required(&*ready.disk, &ready.measured, stop)?,
            bytes_to_read: read,
            bytes_to_skip: ready.disk.len().saturating_sub(read),
            replaces: job.replace && ready.path.exists(),
        })
    }
}

/// What a conversion did.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ConvertReport {
    /// The source.
    pub source: String,
    /// Its format.
    pub source_format: &'static str,
    /// The target.
    pub target: String,
    /// Its format.
    pub target_format: &'static str,
    /// The parent the target refers to.
    pub target_backing: Option<String>,
    /// Size of the guest's disk in the target, in bytes.
    pub virtual_size: u64,
    /// Length of the target's file, and what it occupies.
    pub target_file: FileReport,
    /// Bytes read and stored.
    pub bytes_copied: u64,
    /// Bytes read and found to be zero.
    pub bytes_found_zero: u64,
    /// Bytes never read: known zeros, and what the parent of the target holds.
    pub bytes_skipped: u64,
    /// The digest of the content that was asked for.
    pub digest: Option<DigestReport>,
    /// Whether the target was read again and found to hold the same.
    pub verified: bool,
    /// How long the copy took, in milliseconds.
    pub elapsed_ms: u64,
}

/// A digest of guest-visible content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct DigestReport {
    /// How it was made: `blake3`, `sha256` or `sparse`.
    pub kind: &'static str,
    /// Its bytes in hexadecimal.
    pub value: String,
}

impl From<&Digest> for DigestReport {
    fn from(digest: &Digest) -> Self {
        Self {
            kind: match digest.kind {
                DigestKind::Blake3 => "blake3",
                DigestKind::Sha256 => "sha256",
                DigestKind::Sparse => "sparse",
            },
            value: digest.bytes.iter().map(|b| format!("{b:02x}")).collect(),
        }
    }
}

impl ConvertReport {
    pub(super) fn of(
        job: &Convert,
        ready: &Ready,
        copied: &Report,
        file: &dyn HostFile,
        virtual_size: u64,
    ) -> Self {
        let target = ready.path.display().to_string();
        Self {
            source: job.source.path.display().to_string(),
            source_format: ready.source.info.format.name(),
            target_file: FileReport {
                filename: target.clone(),
                length: file.len(),
                actual_size: file.allocated(),
            },
            target,
            target_format: ready.target.format().name(),
            target_backing: ready.backing.clone(),
            virtual_size,
            bytes_copied: copied.data,
            bytes_found_zero: copied.found_zero,
            bytes_skipped: copied.skipped,
            // The digest a verification makes for itself is nobody else's business.
            digest: job.digest.and(copied.digest.as_ref()).map(DigestReport::from),
            verified: job.verify,
            elapsed_ms: u64::try_from(copied.elapsed.as_millis()).unwrap_or(u64::MAX),
        }
    }
}
