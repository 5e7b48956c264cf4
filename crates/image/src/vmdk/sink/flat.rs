use super::super::layout::SECTOR;
use h2k_block::{Batch, HostFile, Result, Sink};
use std::sync::Arc;

/// monolithicFlat: the bytes in one file, the descriptor in another, written when the bytes are there.
pub(super) struct FlatSink {
    file: Arc<dyn HostFile>,
    flat: Arc<dyn HostFile>,
    descriptor: String,
    /// In sectors.
    capacity: u64,
}

impl FlatSink {
    pub(super) fn new(
        file: Arc<dyn HostFile>,
        flat: Arc<dyn HostFile>,
        descriptor: String,
        capacity: u64,
    ) -> Result<Self> {
        flat.set_len(capacity.saturating_mul(SECTOR))?;
        Ok(Self {
            file,
            flat,
            descriptor,
            capacity,
        })
    }
}

impl Sink for FlatSink {
    fn len(&self) -> u64 {
        self.capacity.saturating_mul(SECTOR)
    }

    fn grain(&self) -> u32 {
        4096
    }

    fn place(&self, batch: &mut Batch) -> Result<()> {
        for piece in &mut batch.pieces {
            piece.host = piece.start;
        }
        Ok(())
    }

    fn store(&self, batch: &Batch) -> Result<()> {
        for (host, bytes) in batch.runs() {
            self.flat.write_at(host, bytes)?;
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<()> {
        self.flat.flush()?;
        let text = self.descriptor.as_bytes();
        self.file.set_len(u64::try_from(text.len()).unwrap_or(0))?;
        self.file.write_at(0, text)?;
        self.file.flush()
    }
}
