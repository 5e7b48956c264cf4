//! Blocks of metadata: read through a bounded cache, checked once when they come in.

use crate::layout::crc_agrees;
use crate::superblock::Geometry;
use h2k_block::{BlockRead, Cache, Error, Result};
use std::sync::Arc;

/// Memory the cache may hold, in bytes.
const CACHE: u64 = 16 << 20;

/// The volume with its metadata cache.
pub(crate) struct Volume {
    pub(crate) disk: Arc<dyn BlockRead>,
    pub(crate) geometry: Geometry,
    cache: Cache<[u8]>,
}

impl Volume {
    pub(crate) fn new(disk: Arc<dyn BlockRead>, geometry: Geometry) -> Self {
        let each = u64::from(geometry.dir_block.max(geometry.block));
        Self {
            disk,
            geometry,
            cache: Cache::new(CACHE, each),
        }
    }

    /// `len` bytes at `at`, from the cache or the disk. `crc` says where a version 5 block keeps its checksum.
    ///
    /// A block is always asked for with the same length: the byte offset is the key.
    pub(crate) fn block(
        &self,
        at: u64,
        len: u32,
        what: &'static str,
        crc: Option<usize>,
    ) -> Result<Arc<[u8]>> {
        self.cache.get(at, || {
            let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
            self.disk.read_at(at, &mut bytes).map_err(|e| e.at(what, at))?;
            if let Some(crc) = crc
                && self.geometry.has_crc
                && !crc_agrees(&bytes, crc)
            {
                return Err(Error::corrupt(
                    what,
                    at,
                    "the checksum does not agree with the content",
                ));
            }
            Ok(Arc::from(bytes))
        })
    }
}
