//! Digests of all content, made while it passes by. See [`DigestKind`] for what each of them is.

use crate::{Digest, DigestKind};
use blake3::hazmat::{ChainingValue, HasherExt, Mode, merge_subtrees_non_root, merge_subtrees_root};
use h2k_block::{Batch, is_zero, zeros};
use sha2::Digest as _;

/// The blocks of [`DigestKind::Sparse`].
const BLOCK: usize = 65536;

/// What one batch adds to a digest: made by any worker, in any order.
#[derive(Debug, Default)]
pub(crate) struct Mark {
    /// BLAKE3: chaining values of the windows. Sparse: a hash for each block that counts.
    values: Vec<[u8; 32]>,
    /// Sparse: where those blocks begin.
    offsets: Vec<u64>,
}

/// The digest so far: fed in ascending order.
pub(crate) struct Tally {
    kind: DigestKind,
    /// Bytes of a whole window: a power of two, so that each is a subtree of BLAKE3's tree.
    window: u64,
    /// Bytes altogether.
    total: u64,
    sha: sha2::Sha256,
    sparse: blake3::Hasher,
    /// Subtrees not merged yet, largest first, as in section 5.1.2 of the BLAKE3 paper.
    stack: Vec<ChainingValue>,
    /// Windows pushed.
    windows: u64,
}

impl Tally {
    /// Nothing hashed yet. `window` is a power of two from 64 KiB.
    pub(crate) fn new(kind: DigestKind, window: u64, total: u64) -> Self {
        Self {
            kind,
            window,
            total,
            sha: sha2::Sha256::new(),
            sparse: blake3::Hasher::new(),
            stack: Vec::new(),
            windows: 0,
        }
    }

    /// Adds the batch whose turn it is.
    pub(crate) fn add(&mut self, batch: &Batch, mark: &Mark) {
        match self.kind {
            DigestKind::Sha256 if batch.guest.is_empty() => each_zero(batch.len, |z| self.sha.update(z)),
            DigestKind::Sha256 => self.sha.update(&*batch.guest),
            DigestKind::Blake3 => mark.values.iter().for_each(|value| self.push(*value)),
            DigestKind::Sparse => {
                for (offset, value) in mark.offsets.iter().zip(&mark.values) {
                    self.sparse.update(&offset.to_le_bytes());
                    self.sparse.update(value);
                }
            }
        }
    }

    /// Two subtrees of one size become one as soon as it is known that more follows: the last merge of all
    /// makes the root, and is another function.
    fn push(&mut self, value: ChainingValue) {
        let settled = usize::try_from(self.windows.count_ones()).unwrap_or(usize::MAX);
        while self.stack.len() > settled
            && let Some(right) = self.stack.pop()
            && let Some(left) = self.stack.pop()
        {
            self.stack
                .push(merge_subtrees_non_root(&left, &right, Mode::Hash));
        }
        self.stack.push(value);
        self.windows = self.windows.saturating_add(1);
    }

    /// The digest.
    pub(crate) fn finish(mut self) -> Digest {
        let bytes = match self.kind {
            DigestKind::Sha256 => self.sha.finalize().into(),
            DigestKind::Sparse => *self.sparse.finalize().as_bytes(),
            DigestKind::Blake3 => match self.stack.pop() {
                None => *blake3::hash(&[]).as_bytes(),
                // A single window was hashed as the root already.
                Some(only) if self.stack.is_empty() => only,
                Some(mut right) => {
                    while self.stack.len() > 1
                        && let Some(left) = self.stack.pop()
                    {
                        right = merge_subtrees_non_root(&left, &right, Mode::Hash);
                    }
                    let left = self.stack.pop().unwrap_or_default();
                    *merge_subtrees_root(&left, &right, Mode::Hash).as_bytes()
                }
            },
        };
        Digest {
            kind: self.kind,
            bytes,
        }
    }

    /// What makes marks for this digest; shared by all workers.
    pub(crate) fn marker(&self) -> Marker {
        Marker {
            kind: self.kind,
            window: self.window,
            total: self.total,
        }
    }
}

/// Makes marks: the part of hashing that needs no order.
#[derive(Clone, Copy)]
pub(crate) struct Marker {
    kind: DigestKind,
    window: u64,
    total: u64,
}

impl Marker {
    /// Hashes what can be hashed out of order.
    pub(crate) fn mark(self, batch: &Batch, mark: &mut Mark) {
        mark.values.clear();
        mark.offsets.clear();
        match self.kind {
            DigestKind::Sha256 => {}
            DigestKind::Blake3 => self.subtrees(batch, &mut mark.values),
            DigestKind::Sparse => {
                let mut at = batch.start;
                for block in batch.guest.chunks(BLOCK) {
                    if !is_zero(block) {
                        mark.offsets.push(at);
                        mark.values.push(*blake3::hash(block).as_bytes());
                    }
                    at = at.saturating_add(u64::try_from(block.len()).unwrap_or(u64::MAX));
                }
            }
        }
    }

    fn subtrees(self, batch: &Batch, values: &mut Vec<[u8; 32]>) {
        let end = batch.start.saturating_add(batch.len);
        let mut at = batch.start;
        while at < end {
            let len = end.saturating_sub(at).min(self.window);
            let mut hasher = blake3::Hasher::new();
            hasher.set_input_offset(at);
            // Only a batch of one window has bytes; longer ones are without data.
            if batch.guest.is_empty() {
                each_zero(len, |z| {
                    hasher.update(z);
                });
            } else {
                hasher.update(&batch.guest);
            }
            values.push(if self.total <= self.window {
                *hasher.finalize().as_bytes()
            } else {
                hasher.finalize_non_root()
            });
            at = at.saturating_add(len);
        }
    }
}

fn each_zero(len: u64, mut show: impl FnMut(&'static [u8])) {
    let mut left = len;
    while left > 0 {
        let some = zeros(left);
        show(some);
        left = left.saturating_sub(u64::try_from(some.len()).unwrap_or(u64::MAX));
    }
}
