//! A file that is written from its start to its end.

use h2k_block::HostFile;
use std::io::Write;
use std::sync::Arc;

/// How much a file grows at once; what is too much is cut off in the end.
const GROW: u64 = 64 << 20;

/// Writes a host file as a stream.
pub struct FileOut {
    file: Arc<dyn HostFile>,
    at: u64,
    len: u64,
}

impl FileOut {
    /// From the start of an empty file.
    #[must_use]
    pub fn new(file: Arc<dyn HostFile>) -> Self {
        Self { file, at: 0, len: 0 }
    }

    /// Ends the file where the stream ended.
    ///
    /// # Errors
    /// What the host says.
    pub fn finish(self) -> h2k_block::Result<()> {
        self.file.set_len(self.at)
    }
}

impl Write for FileOut {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let end = self
            .at
            .saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        if end > self.len {
            self.len = end.saturating_add(GROW);
            self.file.set_len(self.len).map_err(told)?;
        }
        self.file.write_at(self.at, bytes).map_err(told)?;
        self.at = end;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The host's error in std's words, its kind kept.
fn told(e: h2k_block::Error) -> std::io::Error {
    let kind = match e.class() {
        h2k_block::Class::NoSpace => std::io::ErrorKind::StorageFull,
        _ => std::io::ErrorKind::Other,
    };
    std::io::Error::new(kind, e)
}
