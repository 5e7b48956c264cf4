use h2k_block::{Error, Result};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

/// Keeps those from reading a copy who could not read the source: takes every permission from `part` that others than
/// its owner do not have on `source`.
pub(crate) fn private_as(source: &Path, part: &Path) -> Result<()> {
    let restrict = || -> std::io::Result<()> {
        let source = source.metadata()?;
        let mut mode = part.metadata()?.permissions();
        if source.is_file() {
            mode.set_mode(mode.mode() & (source.mode() | 0o600));
            std::fs::set_permissions(part, mode)?;
        }
        Ok(())
    };
    restrict().map_err(|e| Error::from(e).through(part.display().to_string()))
}
