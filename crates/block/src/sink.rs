use crate::{Buffer, Result};

/// What stands for a piece of the guest's disk in the container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// Nothing: a parent shows through, or zero at the bottom.
    Hole,
    /// Reads as zero, whatever lies below.
    Zero,
    /// The guest's bytes as they are, in [`Batch::guest`].
    Plain,
    /// Encoded bytes: `len` of them at `at` in [`Batch::coded`].
    Coded {
        /// First byte in [`Batch::coded`].
        at: usize,
        /// How many bytes.
        len: usize,
    },
}

/// One piece of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// First guest byte.
    pub start: u64,
    /// Guest bytes covered.
    pub len: u64,
    /// What is there.
    pub body: Body,
    /// Where the container keeps it, in bytes of the container's file. Chosen by [`Sink::place`].
    pub host: u64,
}

/// A stretch of the guest's disk on its way into a container. Reused by its worker.
///
/// Pieces ascend, touch each other and cover `start .. start+len`. [`Body::Plain`] pieces start at a
/// multiple of the sink's grain and are one grain long (the last one of the disk may be shorter).
/// Holes and zeros start and end at grain borders too (or at the end of the disk) and may be any length.
#[derive(Debug, Default)]
pub struct Batch {
    /// First guest byte.
    pub start: u64,
    /// Guest bytes covered.
    pub len: u64,
    /// The guest's bytes from `start`. Shorter than `len`, or empty, where no piece is plain.
    pub guest: Buffer,
    /// What [`Sink::encode`] made.
    pub coded: Vec<u8>,
    /// The pieces.
    pub pieces: Vec<Piece>,
}

impl Batch {
    /// The bytes of the container for `piece`: plain or coded; empty for holes and zeros.
    #[must_use]
    pub fn bytes(&self, piece: &Piece) -> &[u8] {
        match piece.body {
            Body::Plain => {
                let at = usize::try_from(piece.start.saturating_sub(self.start)).unwrap_or(usize::MAX);
                let len = usize::try_from(piece.len).unwrap_or(usize::MAX);
                self.guest
                    .get(at..)
                    .and_then(|b| b.get(..len))
                    .unwrap_or_default()
            }
            Body::Coded { at, len } => self
                .coded
                .get(at..)
                .and_then(|b| b.get(..len))
                .unwrap_or_default(),
            Body::Hole | Body::Zero => &[],
        }
    }

    /// What has to be written: host offsets and bytes, with pieces that touch on both sides joined, so that a
    /// sink's [`Sink::store`] makes one call for a run and not one for each grain. Pieces must be placed.
    pub fn runs(&self) -> impl Iterator<Item = (u64, &[u8])> {
        let mut pieces = self.pieces.iter().peekable();
        std::iter::from_fn(move || {
            loop {
                let (host, coded, at, mut len) = self.span(pieces.next()?);
                while let Some((next_host, next_coded, next_at, next_len)) =
                    pieces.peek().map(|piece| self.span(piece))
                    && next_coded == coded
                    && next_at == at.saturating_add(len)
                    && next_host == host.saturating_add(u64::try_from(len).unwrap_or(u64::MAX))
                {
                    len = len.saturating_add(next_len);
                    pieces.next();
                }
                let buffer: &[u8] = if coded { &self.coded } else { &self.guest };
                match buffer.get(at..).and_then(|b| b.get(..len)) {
                    Some(bytes) if !bytes.is_empty() => return Some((host, bytes)),
                    _ => {}
                }
            }
        })
    }

    /// Where the bytes of `piece` are: host offset, whether among the coded, first byte there, length.
    /// Holes and zeros have none, wherever they are.
    fn span(&self, piece: &Piece) -> (u64, bool, usize, usize) {
        match piece.body {
            Body::Plain => {
                let at = usize::try_from(piece.start.saturating_sub(self.start)).unwrap_or(usize::MAX);
                let len = usize::try_from(piece.len).unwrap_or(usize::MAX);
                (piece.host, false, at, len)
            }
            Body::Coded { at, len } => (piece.host, true, at, len),
            Body::Hole | Body::Zero => (piece.host, false, usize::MAX, 0),
        }
    }
}

/// A container being made, by any number of threads. Until [`Sink::finish`] returns, no reader accepts it.
///
/// A batch passes three doors: [`encode`](Self::encode) (any thread, any order: the expensive part),
/// [`place`](Self::place) (one batch at a time, in ascending order: short, chooses places, so that the
/// container's bytes do not depend on the number of workers) and [`store`](Self::store) (any thread,
/// any order: moves the bytes).
pub trait Sink: Send + Sync {
    /// Size of the guest's disk in bytes.
    fn len(&self) -> u64;

    /// Whether the guest's disk has no bytes at all.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The container's unit of allocation in bytes (cluster, grain, block); a power of two. Every worker holds
    /// at least two grains in memory: a container with units beyond 2 MiB answers with a fraction of one and
    /// sets the unit aside when its first piece is placed.
    fn grain(&self) -> u32;

    /// Turns plain pieces into coded ones, where the container compresses. [`Batch::guest`] stays as it is: it
    /// may still have to be hashed.
    ///
    /// # Errors
    /// When the codec fails.
    fn encode(&self, _batch: &mut Batch) -> Result<()> {
        Ok(())
    }

    /// Chooses where each piece goes. Called once for each batch, in ascending order, never at the same time.
    ///
    /// # Errors
    /// When the container is full.
    fn place(&self, batch: &mut Batch) -> Result<()>;

    /// Moves the bytes of a placed batch.
    ///
    /// # Errors
    /// Whatever the host says.
    fn store(&self, batch: &Batch) -> Result<()>;

    /// Writes the metadata, flushes, and writes the magic last.
    ///
    /// # Errors
    /// Whatever the host says.
    fn finish(self: Box<Self>) -> Result<()>;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(start: u64, len: u64, body: Body, host: u64) -> Piece {
        Piece {
            start,
            len,
            body,
            host,
        }
    }

    #[test]
    fn runs_join_what_touches_in_the_batch_and_in_the_file() {
        let batch = Batch {
            start: 100,
            len: 60,
            guest: (0..60).collect::<Vec<u8>>().as_slice().into(),
            coded: vec![7; 9],
            pieces: vec![
                piece(100, 10, Body::Plain, 1000),
                piece(110, 10, Body::Plain, 1010),
                piece(120, 10, Body::Zero, 1020),
                piece(130, 10, Body::Plain, 1030),
                piece(140, 10, Body::Plain, 5000),
                piece(150, 5, Body::Coded { at: 0, len: 4 }, 5010),
                piece(155, 5, Body::Coded { at: 4, len: 5 }, 5014),
            ],
        };
        let runs: Vec<_> = batch.runs().map(|(host, b)| (host, b.to_vec())).collect();
        let guest = |a: u8, b: u8| (a..b).collect::<Vec<u8>>();
        assert_eq!(
            runs,
            vec![
                (1000, guest(0, 20)),
                (1030, guest(30, 40)),
                (5000, guest(40, 50)),
                (5010, vec![7; 9]),
            ]
        );
    }
}
