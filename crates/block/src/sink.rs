use crate::Result;

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
    pub guest: Vec<u8>,
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

    /// The container's unit of allocation in bytes (cluster, grain, block); a power of two.
    fn grain(&self) -> u32;

    /// Turns plain pieces into coded ones, where the container compresses.
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
