use std::ops::{Deref, DerefMut};

/// A page of the host, or a part of one on hosts with larger pages.
const PAGE: usize = 4096;

/// Bytes that begin at a page border: an allocator hands large buffers out at a border plus 16, and the kernel
/// copies a page into two halves of two then, which costs up to half of a read (`docs/decisions/006-no-mapping.md`).
///
/// Made to be reused: growing keeps nothing in order, and nothing is set to zero again.
#[derive(Debug, Default)]
pub struct Buffer {
    room: Vec<u8>,
    skip: usize,
    len: usize,
}

impl Buffer {
    /// Makes it `len` bytes long. What they are is anybody's guess: zeros, or what the buffer held before.
    pub fn stretch(&mut self, len: usize) {
        if self.room.len().saturating_sub(self.skip) < len {
            // Fresh and not grown: nothing would be worth copying.
            self.room = Vec::new();
            self.room = vec![0; len.saturating_add(PAGE)];
            self.skip = self.room.as_ptr().align_offset(PAGE);
            if self.skip > PAGE {
                // Nobody promises that the border is found.
                self.skip = 0;
            }
        }
        self.len = len;
    }

    /// Makes it empty. Its memory stays.
    pub fn clear(&mut self) {
        self.len = 0;
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        let rest = self.room.get(self.skip..).unwrap_or_default();
        rest.get(..self.len).unwrap_or_default()
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        let rest = self.room.get_mut(self.skip..).unwrap_or_default();
        rest.get_mut(..self.len).unwrap_or_default()
    }
}

impl From<&[u8]> for Buffer {
    fn from(bytes: &[u8]) -> Self {
        let mut buffer = Self::default();
        buffer.stretch(bytes.len());
        buffer.copy_from_slice(bytes);
        buffer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_begins_at_a_page() {
        let mut buffer = Buffer::default();
        assert!(buffer.is_empty());
        for len in [1, 4095, 1 << 20, 7, 0, (2 << 20) + 1] {
            buffer.stretch(len);
            assert_eq!(buffer.len(), len);
            assert_eq!(buffer.as_ptr().align_offset(PAGE), 0);
            buffer.fill(3);
        }
        buffer.clear();
        assert!(buffer.is_empty());
        assert_eq!(*Buffer::from([1, 2, 3].as_slice()), [1, 2, 3]);
    }

    #[test]
    fn a_shorter_length_keeps_the_memory() {
        let mut buffer = Buffer::from(vec![5; 1 << 20].as_slice());
        let at = buffer.as_ptr();
        buffer.stretch(9);
        buffer.stretch(1 << 20);
        assert_eq!(buffer.as_ptr(), at);
    }
}
