//! Archives of cpio to be put behind an image: the form [`super::cpio`] reads, and what packs it.

use super::codec::Compression;
use h2k_block::{Error, Result};
use std::io::Write;

/// Blocks of lz4's legacy frames hold that much, unpacked; only the last one holds less.
const LZ4_BLOCK: usize = 8 << 20;

/// An archive that is being made. The same calls make the same bytes.
pub(super) struct Archive {
    out: Vec<u8>,
    /// Number of the last entry: each has its own, for equal ones would be names of one file.
    ino: u32,
    mtime: u32,
}

impl Archive {
    /// An empty archive whose entries all have this time, in seconds since 1970.
    pub(super) fn new(mtime: u32) -> Self {
        let out = Vec::new();
        Self { out, ino: 0, mtime }
    }

    pub(super) fn dir(&mut self, path: &[u8]) -> Result<()> {
        self.entry(path, 0o040_755, 2, &[])
    }

    /// A regular file with these permissions.
    pub(super) fn file(&mut self, path: &[u8], permissions: u32, content: &[u8]) -> Result<()> {
        self.entry(path, 0o100_000 | (permissions & 0o7777), 1, content)
    }

    /// The archive, with the entry that ends it.
    pub(super) fn finish(mut self) -> Result<Vec<u8>> {
        (self.ino, self.mtime) = (u32::MAX, 0); // The next one is 0.
        self.entry(b"TRAILER!!!", 0, 1, &[])?;
        Ok(self.out)
    }

    fn entry(&mut self, path: &[u8], mode: u32, nlink: u32, content: &[u8]) -> Result<()> {
        let number =
            |n: usize| u32::try_from(n).map_err(|_| Error::unsupported("cpio holds no file of 4 GiB"));
        self.ino = self.ino.wrapping_add(1);
        let (size, name_size) = (number(content.len())?, number(path.len().saturating_add(1))?);
        self.out.extend(b"070701");
        let numbers = [
            self.ino, mode, 0, 0, nlink, self.mtime, size, 0, 0, 0, 0, name_size, 0,
        ];
        for number in numbers {
            self.out.extend(format!("{number:08x}").bytes());
        }
        self.out.extend(path);
        self.out.push(0);
        self.align();
        self.out.extend(content);
        self.align();
        Ok(())
    }

    fn align(&mut self) {
        self.out.resize(self.out.len().next_multiple_of(4), 0);
    }
}

/// `plain`, packed so that a kernel that knows the method unpacks it.
pub(super) fn pack(plain: Vec<u8>, method: Compression) -> Result<Vec<u8>> {
    match method {
        Compression::None => Ok(plain),
        Compression::Gzip => {
            // Without a name and a time: the same content has the same bytes.
            let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
            let packed = out.write_all(&plain).and_then(|()| out.finish());
            packed.map_err(|e| Error::unsupported(format!("gzip did not pack: {e}")))
        }
        Compression::Lz4 => {
            let mut out = 0x184c_2102_u32.to_le_bytes().to_vec();
            for block in plain.chunks(LZ4_BLOCK) {
                let packed = lz4_flex::block::compress(block);
                let len = u32::try_from(packed.len()).unwrap_or(u32::MAX);
                out.extend(len.to_le_bytes());
                out.extend(packed);
            }
            Ok(out)
        }
        _ => Err(Error::unsupported(format!(
            "{} is not written into initramfs images",
            method.word()
        ))),
    }
}
