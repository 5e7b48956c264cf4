use crate::{BlockRead, BlockWrite, Class, Error, HostFile, Result};
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

/// A disk in memory; also a host file, so that whole containers can live in a test.
#[derive(Debug, Default)]
pub struct MemDisk {
    bytes: RwLock<Vec<u8>>,
    name: PathBuf,
}

impl MemDisk {
    /// A disk holding `bytes`.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self {
            bytes: RwLock::new(bytes),
            name: PathBuf::new(),
        }
    }

    /// The same, with a name for messages and for relative references.
    #[must_use]
    pub fn named(name: impl Into<PathBuf>, bytes: Vec<u8>) -> Self {
        Self {
            bytes: RwLock::new(bytes),
            name: name.into(),
        }
    }

    /// A copy of the contents.
    #[must_use]
    pub fn to_vec(&self) -> Vec<u8> {
        self.bytes.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl BlockRead for MemDisk {
    fn len(&self) -> u64 {
        let bytes = self.bytes.read().unwrap_or_else(PoisonError::into_inner);
        u64::try_from(bytes.len()).unwrap_or(u64::MAX)
    }

    fn fetch(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        let bytes = self.bytes.read().unwrap_or_else(PoisonError::into_inner);
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let src = bytes
            .get(start..)
            .and_then(|s| s.get(..buf.len()))
            .ok_or_else(|| beyond(offset))?;
        buf.copy_from_slice(src);
        Ok(())
    }
}

impl BlockWrite for MemDisk {
    fn store(&self, offset: u64, buf: &[u8]) -> Result<()> {
        let mut bytes = self.bytes.write().unwrap_or_else(PoisonError::into_inner);
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let dst = bytes
            .get_mut(start..)
            .and_then(|s| s.get_mut(..buf.len()))
            .ok_or_else(|| beyond(offset))?;
        dst.copy_from_slice(buf);
        Ok(())
    }

    fn flush(&self) -> Result<()> {
        Ok(())
    }
}

impl HostFile for MemDisk {
    fn set_len(&self, len: u64) -> Result<()> {
        let len = usize::try_from(len)
            .map_err(|_| Error::new(Class::Limit, "a memory disk cannot be larger than memory"))?;
        self.bytes
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .resize(len, 0);
        Ok(())
    }

    fn name(&self) -> &Path {
        &self.name
    }
}

fn beyond(offset: u64) -> Error {
    Error::new(Class::OutOfBounds, "the memory disk ends before").at("memory disk", offset)
}
