//! Small files that commands write.

use h2k_block::Output;
use h2k_convert::Failure;
use std::path::Path;

/// Writes whole files. All of them appear under their names, or none does; what is there gives way if `replace` says so.
pub(super) fn save<P: AsRef<Path>, B: AsRef<[u8]>>(
    replace: bool,
    files: impl IntoIterator<Item = (P, B)>,
) -> Result<(), Failure> {
    let mut output = Output::new(replace);
    for (path, bytes) in files {
        let (file, bytes) = (output.create(path.as_ref())?, bytes.as_ref());
        file.set_len(u64::try_from(bytes.len()).unwrap_or(u64::MAX))?;
        file.write_at(0, bytes)?;
    }
    Ok(output.commit()?)
}
