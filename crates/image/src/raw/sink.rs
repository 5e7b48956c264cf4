use h2k_block::{Batch, Body, HostFile, Piece, Result, Sink};
use std::sync::Arc;

/// What the host sets aside before the copy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Preallocation {
    /// Nothing: zeros are holes.
    #[default]
    Off,
    /// Every block, unwritten (`fallocate`).
    Falloc,
    /// Every block, written with zeros.
    Full,
}

/// How a raw file is made.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// What the host sets aside.
    pub preallocation: Preallocation,
}

/// Starts a raw file of `len` bytes.
pub(crate) fn create(file: Arc<dyn HostFile>, options: &Options, len: u64) -> Result<Box<dyn Sink>> {
    file.set_len(len)?;
    if options.preallocation != Preallocation::Off {
        file.reserve(0..len)?;
    }
    let zeros = options.preallocation == Preallocation::Full;
    Ok(Box::new(RawSink { file, len, zeros }))
}

struct RawSink {
    file: Arc<dyn HostFile>,
    len: u64,
    /// Zeros are written, not left out.
    zeros: bool,
}

impl Sink for RawSink {
    fn len(&self) -> u64 {
        self.len
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
            self.file.write_at(host, bytes)?;
        }
        let empty = |piece: &&Piece| matches!(piece.body, Body::Hole | Body::Zero);
        for piece in batch.pieces.iter().filter(empty).filter(|_| self.zeros) {
            let end = piece.host.saturating_add(piece.len);
            let mut at = piece.host;
            while at < end {
                let some = h2k_block::zeros(end.saturating_sub(at));
                self.file.write_at(at, some)?;
                at = at.saturating_add(u64::try_from(some.len()).unwrap_or(u64::MAX));
            }
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<()> {
        self.file.flush()
    }
}
