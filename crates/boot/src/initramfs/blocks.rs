//! Two methods whose streams are rows of blocks: lz4's legacy frames and lzop's files.

use super::source::Stream;
use crate::bytes::{be32, index, le32};
use std::io::{self, BufRead, Read};

/// The most a block of a legacy frame unpacks to (`lz4_Frame_format.md`, "Legacy frame").
const LZ4_BLOCK: usize = 8 << 20;

/// The most a block of a file of lzop unpacks to.
const LZO_BLOCK: usize = 64 << 20;

fn bad(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why.to_owned())
}

/// A block that was unpacked, handed out piece by piece.
#[derive(Default)]
struct Block {
    plain: Vec<u8>,
    start: usize,
}

impl Block {
    fn read(&mut self, out: &mut [u8]) -> usize {
        let rest = self.plain.get(self.start..).unwrap_or_default();
        let n = rest.len().min(out.len());
        if let (Some(to), Some(from)) = (out.get_mut(..n), rest.get(..n)) {
            to.copy_from_slice(from);
        }
        self.start = self.start.saturating_add(n);
        n
    }
}

/// `len` bytes of a stream. Memory grows with what is there, not with what is said.
fn packed(stream: &mut Stream<'_>, len: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    stream.take(crate::bytes::wide(len)).read_to_end(&mut bytes)?;
    if bytes.len() < len {
        return Err(bad("a block ends early"));
    }
    Ok(bytes)
}

/// lz4's legacy frames: a magic number, then blocks with their packed length in front. The frame has no end of its own:
/// the kernel reads blocks until its input ends, and takes the magic number in between for the start of another frame.
pub(crate) struct Lz4<'a, 'd> {
    stream: &'a mut Stream<'d>,
    block: Block,
}

impl<'a, 'd> Lz4<'a, 'd> {
    pub(crate) fn new(stream: &'a mut Stream<'d>) -> Self {
        let block = Block::default();
        Self { stream, block }
    }

    fn next(&mut self) -> io::Result<bool> {
        loop {
            let Some(len) = le32(self.stream.peek(4)?, 0) else {
                // Up to three bytes of padding, which no kernel minds. Zeros are not the segment's.
                let left = self.stream.peek(4)?;
                let junk = left
                    .iter()
                    .rposition(|b| *b != 0)
                    .map_or(0, |at| at.saturating_add(1));
                self.stream.consume(junk);
                return Ok(false);
            };
            match len {
                0x184c_2102 => self.stream.consume(4),
                // Padding: kernels since 5.11 end here, and look for the next segment.
                0 => return Ok(false),
                _ => {
                    self.stream.consume(4);
                    let len = index(len);
                    if len > LZ4_BLOCK.saturating_add(LZ4_BLOCK / 128) {
                        return Err(bad("a block of lz4 is larger than 8 MiB"));
                    }
                    let packed = packed(self.stream, len)?;
                    self.block.plain.resize(LZ4_BLOCK, 0);
                    let n = lz4_flex::block::decompress_into(&packed, &mut self.block.plain)
                        .map_err(|e| bad(&e.to_string()))?;
                    self.block.plain.truncate(n);
                    self.block.start = 0;
                    if n > 0 {
                        return Ok(true);
                    }
                }
            }
        }
    }
}

impl Read for Lz4<'_, '_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.block.start >= self.block.plain.len() && !self.next()? {
            return Ok(0);
        }
        Ok(self.block.read(out))
    }
}

/// A file of lzop: a header, then blocks with both lengths and check sums in front.
pub(crate) struct Lzop<'a, 'd> {
    stream: &'a mut Stream<'d>,
    block: Block,
    flags: u32,
    done: bool,
}

/// Flags of a file of lzop: which check sums its blocks have.
const ADLER32_PLAIN: u32 = 0x1;
const ADLER32_PACKED: u32 = 0x2;
const EXTRA: u32 = 0x40;
const CRC32_PLAIN: u32 = 0x100;
const CRC32_PACKED: u32 = 0x200;
const FILTER: u32 = 0x800;

impl<'a, 'd> Lzop<'a, 'd> {
    pub(crate) fn new(stream: &'a mut Stream<'d>) -> io::Result<Self> {
        let mut head = [0; 9];
        stream.read_exact(&mut head)?;
        let mut bytes = [0; 2];
        stream.read_exact(&mut bytes)?;
        let version = u16::from_be_bytes(bytes);
        // Version of the library, and, since 0.94, what is needed to unpack.
        stream.read_exact(&mut bytes)?;
        if version >= 0x0940 {
            stream.read_exact(&mut bytes)?;
        }
        let mut method = [0; 1];
        stream.read_exact(&mut method)?;
        if version >= 0x0940 {
            stream.read_exact(&mut [0; 1])?; // level
        }
        let flags = number(stream)?;
        if flags & FILTER != 0 {
            number(stream)?;
        }
        // Mode and time of the file that was packed.
        number(stream)?;
        number(stream)?;
        if version >= 0x0940 {
            number(stream)?;
        }
        stream.read_exact(&mut method)?;
        let name = usize::from(method[0]);
        packed(stream, name)?;
        number(stream)?; // check sum of the header
        if flags & EXTRA != 0 {
            let len = index(number(stream)?);
            packed(stream, len.min(LZO_BLOCK).saturating_add(4))?;
        }
        let block = Block::default();
        Ok(Self {
            stream,
            block,
            flags,
            done: false,
        })
    }

    fn next(&mut self) -> io::Result<bool> {
        if self.done {
            return Ok(false);
        }
        let plain = index(number(self.stream)?);
        if plain == 0 {
            self.done = true;
            return Ok(false);
        }
        let len = index(number(self.stream)?);
        if plain > LZO_BLOCK || len > plain {
            return Err(bad("a block of lzop has impossible lengths"));
        }
        let sums = |of: &[u32]| of.iter().filter(|flag| self.flags & **flag != 0).count();
        let skip = sums(&[ADLER32_PLAIN, CRC32_PLAIN]);
        // What did not become shorter is stored, without check sums of its own.
        let more = if len < plain {
            sums(&[ADLER32_PACKED, CRC32_PACKED])
        } else {
            0
        };
        for _ in 0..skip.saturating_add(more) {
            number(self.stream)?;
        }
        let bytes = packed(self.stream, len)?;
        self.block.start = 0;
        if len == plain {
            self.block.plain = bytes;
            return Ok(true);
        }
        self.block.plain.clear();
        self.block.plain.resize(plain, 0);
        let n = lzokay::decompress::decompress(&bytes, &mut self.block.plain)
            .map_err(|e| bad(&format!("{e:?}")))?;
        if n != plain {
            return Err(bad("a block of lzop is shorter than it says"));
        }
        Ok(true)
    }
}

fn number(stream: &mut Stream<'_>) -> io::Result<u32> {
    let mut bytes = [0; 4];
    stream.read_exact(&mut bytes)?;
    be32(&bytes, 0).ok_or_else(|| bad("no number"))
}

impl Read for Lzop<'_, '_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.block.start >= self.block.plain.len() && !self.next()? {
            return Ok(0);
        }
        Ok(self.block.read(out))
    }
}
