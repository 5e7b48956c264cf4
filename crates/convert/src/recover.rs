use crate::failure::About;
use crate::{Result, Source, in_place, local, redo_log_of};
use h2k_block::{Access, FileDisk};
use serde::Serialize;

/// Finishes a change in place that was interrupted.
#[derive(Clone, Debug)]
pub struct Recover {
    /// The image.
    pub image: Source,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct RecoveredReport {
    /// The image.
    pub filename: String,
    /// Whether a redo log lay beside it.
    pub log_found: bool,
    /// Whether the log was whole, so that the change it records is complete now, in every image that changed with this
    /// one. A log that was not whole belongs to a change that had not begun, or that was complete.
    pub recovered: bool,
}

impl Recover {
    /// Finishes the change and removes the log.
    ///
    /// # Errors
    /// What the host says. The log stays then.
    pub fn run(&self) -> Result<RecoveredReport> {
        let path = &self.image.path;
        local(path)?;
        let log_found = redo_log_of(path).symlink_metadata().is_ok();
        let recovered = if log_found {
            let file = FileDisk::open(path, Access::Edit, self.image.sharing).about(path)?;
            in_place::finish(file, path, self.image.sharing, self.image.limits).about(path)?
        } else {
            // Nothing to do is an answer only about an image that is there.
            FileDisk::open(path, Access::Read, self.image.sharing).about(path)?;
            false
        };
        Ok(RecoveredReport {
            filename: path.display().to_string(),
            log_found,
            recovered,
        })
    }
}
