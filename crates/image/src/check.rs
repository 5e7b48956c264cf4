use crate::{Format, OpenOptions, Opening, format, open};
use h2k_block::{Error, Findings, Host, HostFile, Kind, Result, extents};
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

pub use h2k_block::{Finding, Severity};

/// What a check of an image's own structure found. The content of the guest's disk is not judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// The image's format.
    pub format: Format,
    /// What was found.
    pub found: Findings,
    /// First byte of the file after everything the image uses, where the format can tell.
    pub image_end: Option<u64>,
    /// Units of allocation that hold guest data, where the format can tell.
    pub allocated: Option<u64>,
    /// Units of allocation of the whole guest disk, where the format can tell.
    pub total: Option<u64>,
    /// Allocated units that are compressed.
    pub compressed: Option<u64>,
}

impl Check {
    /// A check that has found nothing yet.
    #[must_use]
    pub fn new(format: Format) -> Self {
        Self {
            format,
            found: Findings::default(),
            image_end: None,
            allocated: None,
            total: None,
            compressed: None,
        }
    }

    /// Notes damage as a finding; hands every other failure back.
    pub(crate) fn error(&mut self, e: Error) -> Result<()> {
        self.found.damage("image", e)
    }
}

/// The counts and findings of a check are read as its own.
impl Deref for Check {
    type Target = Findings;

    fn deref(&self) -> &Findings {
        &self.found
    }
}

impl DerefMut for Check {
    fn deref_mut(&mut self) -> &mut Findings {
        &mut self.found
    }
}

/// Checks the structure of the image in `file`, without its parents. What is wrong with the image is in the
/// answer; an error means that the check could not be done.
///
/// Every format checks what it must check to be read: the image is opened alone and its whole map is walked.
/// Formats that keep more books (reference counts, checksums, logs) check those too.
///
/// # Errors
/// [`h2k_block::Class::Unsupported`] for an image that this code cannot read, [`h2k_block::Class::Limit`] when the
/// check costs more than `options.limits` allow, [`h2k_block::Class::Io`] when the host fails.
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
