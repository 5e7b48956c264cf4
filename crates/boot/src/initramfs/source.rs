//! A run of a disk as a stream.

use crate::bytes::wide;
use h2k_block::{BlockRead, Error};
use std::io::{self, BufRead, Read};

/// How much is read at once.
const CHUNK: usize = 256 << 10;

/// A stream over a disk that knows how far it was read.
pub(crate) struct Stream<'a> {
    disk: &'a dyn BlockRead,
    /// Where the buffer's bytes end on the disk.
    next: u64,
    buffer: Vec<u8>,
    start: usize,
    error: Option<Error>,
}

impl<'a> Stream<'a> {
    pub(crate) fn new(disk: &'a dyn BlockRead) -> Self {
        Self {
            disk,
            next: 0,
            buffer: Vec::new(),
            start: 0,
            error: None,
        }
    }

    /// How far the stream was consumed.
    pub(crate) fn position(&self) -> u64 {
        self.next
            .saturating_sub(wide(self.buffer.len().saturating_sub(self.start)))
    }

    /// What the disk said, if that is why reading failed.
    pub(crate) fn take_error(&mut self) -> Option<Error> {
        self.error.take()
    }

    /// The next bytes, at least `least` unless the disk ends.
    pub(crate) fn peek(&mut self, least: usize) -> io::Result<&[u8]> {
        if self.buffer.len().saturating_sub(self.start) < least {
            let rest = self.buffer.get(self.start..).unwrap_or_default().to_vec();
            self.fill(rest)?;
        }
        Ok(self.buffer.get(self.start..).unwrap_or_default())
    }

    /// Puts `rest` and the next chunk into the buffer.
    fn fill(&mut self, mut rest: Vec<u8>) -> io::Result<()> {
        let left = self.disk.len().saturating_sub(self.next);
        let n = usize::try_from(left).unwrap_or(usize::MAX).min(CHUNK);
        let old = rest.len();
        rest.resize(old.saturating_add(n), 0);
        let new = rest.get_mut(old..).unwrap_or_default();
        if let Err(e) = self.disk.read_at(self.next, new) {
            let told = io::Error::other(e.to_string());
            self.error = Some(e);
            return Err(told);
        }
        self.next = self.next.saturating_add(wide(n));
        self.buffer = rest;
        self.start = 0;
        Ok(())
    }
}

impl BufRead for Stream<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.start >= self.buffer.len() {
            let mut empty = std::mem::take(&mut self.buffer);
            empty.clear();
            self.fill(empty)?;
        }
        Ok(self.buffer.get(self.start..).unwrap_or_default())
    }

    fn consume(&mut self, n: usize) {
        self.start = self.start.saturating_add(n).min(self.buffer.len());
    }
}

impl Read for Stream<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let here = self.fill_buf()?;
        let n = here.len().min(out.len());
        if let (Some(to), Some(from)) = (out.get_mut(..n), here.get(..n)) {
            to.copy_from_slice(from);
        }
        self.consume(n);
        Ok(n)
    }
}
