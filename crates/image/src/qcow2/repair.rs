use super::Edit;
use crate::Check;
use h2k_block::{Error, HostFile, Limits, Result};
use std::sync::Arc;

/// How much is repaired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repair {
    /// Leaked clusters are freed; nothing else is touched.
    Leaks,
    /// Reference counts are rebuilt from the tables, flags are set right, entries that point nowhere are removed.
    All,
}

/// A repair, not yet committed.
pub struct Repaired {
    /// What was wrong.
    pub before: Check,
    /// What is still wrong with the repaired image.
    pub after: Check,
    /// The change.
    pub edit: Edit,
}

/// Works out how the image in `file` is repaired. Nothing is written: see [`Edit`].
///
/// # Errors
/// As [`super::check`].
pub fn repair(_file: Arc<dyn HostFile>, _how: Repair, _limits: &Limits) -> Result<Repaired> {
    Err(Error::unsupported("qcow2 is not repaired yet"))
}
