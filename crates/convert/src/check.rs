use crate::failure::About;
use crate::free::free;
use crate::private::private_as;
use crate::{Failure, Result, Source, Unwatched, in_place};
use h2k_block::{Access, Class, Error, Output};
use h2k_image::{Check, Finding, Format, OpenOptions, qcow2};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

pub use h2k_image::qcow2::Repair;

/// Checks the structure of an image, and repairs it if asked to.
#[derive(Clone, Debug)]
pub struct Checking {
    /// The image.
    pub image: Source,
    /// What is repaired, and where the repaired image goes.
    pub repair: Option<(Repair, Where)>,
}

/// Where a repaired image goes.
#[derive(Clone, Debug)]
pub enum Where {
    /// Into the image itself, all or nothing.
    InPlace,
    /// Into a new file; the image stays as it is.
    Into {
        /// The new file.
        path: PathBuf,
        /// Whether an existing file may be replaced.
        replace: bool,
    },
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct CheckReport {
    /// The image that was checked.
    pub filename: String,
    /// Its format.
    pub format: &'static str,
    /// Whether there is neither an error nor a leak.
    pub clean: bool,
    /// How many errors there are: the guest's data is or may become wrong.
    pub errors: u64,
    /// How many units of allocation are taken and used by nothing.
    pub leaks: u64,
    /// How many things are odd and harmless.
    pub warnings: u64,
    /// First byte of the file after everything the image uses.
    pub image_end_offset: Option<u64>,
    /// Units of allocation that hold guest data.
    pub allocated_clusters: Option<u64>,
    /// Units of allocation of the whole disk.
    pub total_clusters: Option<u64>,
    /// Allocated units that are compressed.
    pub compressed_clusters: Option<u64>,
    /// What was found, the first thousand of it.
    pub findings: Vec<FindingReport>,
    /// What was repaired: the state after it. The other fields are the state before.
    pub repaired: Option<RepairedReport>,
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct FindingReport {
    /// `error`, `leak` or `warning`.
    pub severity: &'static str,
    /// The structure, as its specification names it.
    pub structure: &'static str,
    /// Where it lies in the file, in bytes.
    pub offset: u64,
    /// A sentence.
    pub message: String,
}

/// What a repair left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct RepairedReport {
    /// The repaired image.
    pub filename: String,
    /// Errors that are left.
    pub errors: u64,
    /// Leaks that are left.
    pub leaks: u64,
    /// What is left, the first thousand of it.
    pub findings: Vec<FindingReport>,
}

impl Checking {
    /// Checks, and repairs if asked to.
    ///
    /// # Errors
    /// When the check could not be done: what is wrong with the image is in the report.
    pub fn run(&self, stop: &AtomicBool) -> Result<CheckReport> {
        match &self.repair {
            None => self.check(),
            Some((how, into)) => self.repair(*how, into, stop),
        }
    }

    fn check(&self) -> Result<CheckReport> {
        let path = &self.image.path;
        let file = self.image.file(Access::Read)?;
        let options = OpenOptions {
            format: self.image.format,
            limits: self.image.limits,
            ..OpenOptions::default()
        };
        let found = h2k_image::check(file, &self.image.host(), &options).about(path)?;
        Ok(CheckReport::of(path, &found))
    }

    fn repair(&self, how: Repair, into: &Where, stop: &AtomicBool) -> Result<CheckReport> {
        let path = &self.image.path;
        if self.format()? != Format::Qcow2 {
            let error = Error::unsupported("only qcow2 images keep books that can be repaired");
            return Err(Failure::from(error)
                .about(path)
                .advise("convert it: everything that can be read goes into a sound new image"));
        }
        let access = match into {
            Where::InPlace => Access::Edit,
            Where::Into { .. } => Access::Read,
        };
        let file = self.image.file(access)?;
        let repaired = qcow2::repair(file.clone(), how, &self.image.limits).about(path)?;
        let result = match into {
            Where::InPlace => {
                in_place::apply(&repaired.edit, &*file, path).about(path)?;
                path.clone()
            }
            Where::Into { path: new, replace } => {
                let alone = self.image.open_alone();
                let needed: Vec<_> = alone.iter().map(|opened| &opened.info).collect();
                let new = free(new, *replace, &needed)?;
                write(&repaired.edit, path, &new, *replace, stop).about(&new)?;
                new
            }
        };
        let mut report = CheckReport::of(path, &repaired.before);
        report.repaired = Some(RepairedReport {
            filename: result.display().to_string(),
            errors: repaired.after.errors,
            leaks: repaired.after.leaks,
            findings: repaired.after.findings.iter().map(FindingReport::from).collect(),
        });
        Ok(report)
    }

    fn format(&self) -> Result<Format> {
        match self.image.format {
            Some(format) => Ok(format),
            None => h2k_image::probe(&*self.image.file(Access::Read)?).about(&self.image.path),
        }
    }
}

/// Writes the changed image into a new file.
fn write(
    edit: &qcow2::Edit,
    image: &Path,
    path: &Path,
    replace: bool,
    stop: &AtomicBool,
) -> h2k_block::Result<()> {
    let mut output = Output::new(replace);
    let file = output.create(path)?;
    private_as(image, file.name())?;
    let raw = h2k_image::Target::of(Format::Raw);
    let mut none = |_: &str| Err(Error::new(Class::Invalid, "a copy of one file is one file"));
    let sink = h2k_image::create(file, &mut none, &raw, edit.len())?;
    h2k_copy::copy(
        &*edit.bytes(),
        sink,
        &h2k_copy::Options::default(),
        stop,
        &Unwatched,
    )?;
    output.commit()
}

impl CheckReport {
    fn of(path: &Path, check: &Check) -> Self {
        Self {
            filename: path.display().to_string(),
            format: check.format.name(),
            clean: check.is_clean(),
            errors: check.errors,
            leaks: check.leaks,
            warnings: check.warnings,
            image_end_offset: check.image_end,
            allocated_clusters: check.allocated,
            total_clusters: check.total,
            compressed_clusters: check.compressed,
            findings: check.findings.iter().map(FindingReport::from).collect(),
            repaired: None,
        }
    }

    /// Errors and leaks that are left: after the repair, where there was one.
    #[must_use]
    pub fn left(&self) -> (u64, u64) {
        match &self.repaired {
            Some(repaired) => (repaired.errors, repaired.leaks),
            None => (self.errors, self.leaks),
        }
    }
}

impl From<&Finding> for FindingReport {
    fn from(finding: &Finding) -> Self {
        Self {
            severity: finding.severity.word(),
            structure: finding.structure,
            offset: finding.offset,
            message: finding.what.clone(),
        }
    }
}
