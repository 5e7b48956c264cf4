//! Leaving a filesystem as a clean unmount does.

use super::FatWriter;
use crate::boot;
use h2k_block::Result;
use zerocopy::IntoBytes;

impl FatWriter {
    /// Writes the count of free clusters into FSInfo. The bits that say "clean" were set when the volume was opened,
    /// and have stayed so.
    pub(super) fn leave_clean(&mut self) -> Result<()> {
        let Some(at) = self.fs.geometry.info else {
            return Ok(());
        };
        // Hints whose signatures are not there are nobody's: they stay as they are.
        let Ok(mut info) = boot::info(&*self.fs.clusters.disk, at) else {
            return Ok(());
        };
        info.free_count = self.space.free.into();
        if self.fs.clusters.has(self.space.last) {
            info.next_free = self.space.last.into();
        }
        self.put(at, info.as_bytes())
    }
}
