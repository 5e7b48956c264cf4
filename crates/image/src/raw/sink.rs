//! Making raw files, and filling block devices.

use h2k_block::{Batch, Body, Class, HostFile, Piece, Result, Sink};
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

/// What is done where the guest's disk is zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Zeros {
    /// Nothing: the file is new and zero already.
    Left,
    /// The host is told: holes in a file, discarded or zeroed blocks on a device.
    Told,
    /// They are written.
    Written,
}

/// Starts a raw disk of `len` bytes. A file that is not empty (a block device above all) holds old bytes: there,
/// zeros replace them.
pub(crate) fn create(file: Arc<dyn HostFile>, options: &Options, len: u64) -> Result<Box<dyn Sink>> {
    let fresh = file.is_empty();
    file.set_len(len)?;
    let zeros = match (options.preallocation, fresh) {
        (Preallocation::Off, true) => Zeros::Left,
        (Preallocation::Off, false) => Zeros::Told,
        (Preallocation::Falloc, true) => {
            file.reserve(0..len)?;
            Zeros::Left
        }
        (Preallocation::Full, true) => {
            // Room that is missing is said now; a host that cannot promise room is written to all the same.
            match file.reserve(0..len) {
                Err(e) if e.class() == Class::NoSpace => return Err(e),
                _ => Zeros::Written,
            }
        }
        // Telling the host of zeros would give back the room that is to be kept.
        (Preallocation::Falloc | Preallocation::Full, false) => Zeros::Written,
    };
    Ok(Box::new(RawSink { file, len, zeros }))
}

struct RawSink {
    file: Arc<dyn HostFile>,
    len: u64,
    zeros: Zeros,
}

impl RawSink {
    fn zero(&self, piece: &Piece) -> Result<()> {
        let end = piece.host.saturating_add(piece.len);
        match self.zeros {
            Zeros::Left => Ok(()),
            Zeros::Told => self.file.store_zeros(piece.host..end),
            Zeros::Written => {
                let mut at = piece.host;
                while at < end {
                    let some = h2k_block::zeros(end.saturating_sub(at));
                    self.file.write_at(at, some)?;
                    at = at.saturating_add(u64::try_from(some.len()).unwrap_or(u64::MAX));
                }
                Ok(())
            }
        }
    }
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
        if self.zeros == Zeros::Left {
            return Ok(());
        }
        // Neighbours are told of in one call.
        let mut pieces = batch
            .pieces
            .iter()
            .filter(|p| matches!(p.body, Body::Hole | Body::Zero))
            .peekable();
        while let Some(first) = pieces.next() {
            let mut whole = *first;
            while let Some(next) = pieces.next_if(|next| next.start == whole.start.saturating_add(whole.len))
            {
                whole.len = whole.len.saturating_add(next.len);
            }
            self.zero(&whole)?;
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<()> {
        self.file.flush()
    }
}
