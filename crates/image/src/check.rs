use crate::{Format, OpenOptions, Opening, format, open};
use h2k_block::{Class, Error, Host, HostFile, Kind, Result, extents};
use std::sync::Arc;

/// How bad a [`Finding`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Severity {
    /// The guest's data is or may become wrong.
    Error,
    /// Space of the file is taken and used by nothing. The guest's data is not touched.
    Leak,
    /// Odd, and harmless for reading.
    Warning,
}

impl Severity {
    /// The word used for it in reports and JSON.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Leak => "leak",
            Self::Warning => "warning",
        }
    }
}

/// One thing a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// Name of the structure as its specification spells it.
    pub structure: &'static str,
    /// Byte offset in the file.
    pub offset: u64,
    /// A plain sentence.
    pub what: String,
}

/// What a check of an image's own structure found. The content of the guest's disk is not judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// The image's format.
    pub format: Format,
    /// How many errors there are.
    pub errors: u64,
    /// How many units of allocation are leaked.
    pub leaks: u64,
    /// How many warnings there are.
    pub warnings: u64,
    /// First byte of the file after everything the image uses, where the format can tell.
    pub image_end: Option<u64>,
    /// Units of allocation that hold guest data, where the format can tell.
    pub allocated: Option<u64>,
    /// Units of allocation of the whole guest disk, where the format can tell.
    pub total: Option<u64>,
    /// Allocated units that are compressed.
    pub compressed: Option<u64>,
    /// What was found, in the order of the check: the first [`Check::KEPT`] of it. The counts are complete.
    pub findings: Vec<Finding>,
}

impl Check {
    /// How many findings are kept word for word; a damaged image can have billions.
    pub const KEPT: usize = 1000;

    /// A check that has found nothing yet.
    #[must_use]
    pub fn new(format: Format) -> Self {
        Self {
            format,
            errors: 0,
            leaks: 0,
            warnings: 0,
            image_end: None,
            allocated: None,
            total: None,
            compressed: None,
            findings: Vec::new(),
        }
    }

    /// Notes a finding. The sentence is made only when it is kept.
    pub fn note(
        &mut self,
        severity: Severity,
        structure: &'static str,
        offset: u64,
        what: impl FnOnce() -> String,
    ) {
        let count = match severity {
            Severity::Error => &mut self.errors,
            Severity::Leak => &mut self.leaks,
            Severity::Warning => &mut self.warnings,
        };
        *count = count.saturating_add(1);
        if self.findings.len() < Self::KEPT {
            self.findings.push(Finding {
                severity,
                structure,
                offset,
                what: what(),
            });
        }
    }

    /// Notes damage as a finding; hands every other failure back.
    pub(crate) fn error(&mut self, e: Error) -> Result<()> {
        if e.class() != Class::Corrupt {
            return Err(e);
        }
        let place = e.place();
        self.note(
            Severity::Error,
            place.map_or("image", |p| p.structure),
            place.map_or(0, |p| p.offset),
            || e.sentence().to_owned(),
        );
        Ok(())
    }

    /// Whether there is neither an error nor a leak.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.errors == 0 && self.leaks == 0
    }
}

/// Checks the structure of the image in `file`, without its parents. What is wrong with the image is in the
/// answer; an error means that the check could not be done.
///
/// Every format checks what it must check to be read: the image is opened alone and its whole map is walked.
/// Formats that keep more books (reference counts, checksums, logs) check those too.
///
/// # Errors
/// [`Class::Unsupported`] for an image that this code cannot read, [`Class::Limit`] when the check costs more than
/// `options.limits` allow, [`Class::Io`] when the host fails.
pub fn check(file: Arc<dyn HostFile>, host: &dyn Host, options: &OpenOptions) -> Result<Check> {
    let format = match options.format {
        Some(format) => format,
        None => format::probe(&*file)?,
    };
    match format {
        Format::Qcow2 => {
            let name = file.name().display().to_string();
            crate::qcow2::check(file, &options.limits).map_err(|e| e.through(name))
        }
        Format::Vhd | Format::Vhdx | Format::Vdi | Format::Vmdk => {
            let name = file.name().display().to_string();
            let mut check = Check::new(format);
            let alone = OpenOptions {
                alone: true,
                ..options.clone()
            };
            let audited = match format {
                Format::Vhd => crate::vhd::audit(&file, &options.limits, &mut check),
                Format::Vhdx => crate::vhdx::audit(&file, &options.limits, &mut check),
                Format::Vmdk => crate::vmdk::audit(file, &Opening::new(host, alone), &mut check),
                _ => crate::vdi::audit(&file, &options.limits, &mut check),
            };
            match audited {
                Ok(()) => Ok(check),
                Err(e) => damaged(check, e).map_err(|e| e.through(name)),
            }
        }
        _ => walk(file, host, options, format),
    }
}

/// The check every format has: can it be opened, and does its whole map make sense.
fn walk(file: Arc<dyn HostFile>, host: &dyn Host, options: &OpenOptions, format: Format) -> Result<Check> {
    let options = OpenOptions {
        format: Some(format),
        alone: true,
        ..options.clone()
    };
    let mut check = Check::new(format);
    let image = match open(file, host, &options) {
        Ok(image) => image,
        Err(e) => return damaged(check, e),
    };
    for warning in &image.info.warnings {
        check.note(Severity::Warning, "image", 0, || warning.clone());
    }
    let unit = image.info.grain.unwrap_or_else(|| image.disk.grain().into());
    let (mut data, mut coded) = (0_u64, 0_u64);
    for extent in extents(&*image.disk, 0..image.disk.len()) {
        match extent {
            Ok(extent) => {
                let bytes = if extent.kind == Kind::Data { extent.len } else { 0 };
                data = data.saturating_add(bytes);
                coded = coded.saturating_add(if extent.compressed { bytes } else { 0 });
            }
            Err(e) => return damaged(check, e),
        }
    }
    if unit > 0 {
        check.allocated = Some(data.div_ceil(unit));
        check.compressed = Some(coded.div_ceil(unit));
        check.total = Some(image.disk.len().div_ceil(unit));
    }
    Ok(check)
}

/// Damage is an answer; everything else is a failure.
fn damaged(mut check: Check, e: Error) -> Result<Check> {
    check.error(e)?;
    Ok(check)
}
