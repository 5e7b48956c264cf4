//! Archives of cpio, in the "new" form that Linux unpacks (`Documentation/driver-api/early-userspace/buffer-format.rst`).
//!
//! ```text
//!  070701 │ 13 numbers, 8 hexadecimal digits each │ name NUL │ 0-3 NUL │ content │ 0-3 NUL │ next entry …
//! ```

use crate::bytes::wide;
use h2k_block::{Error, Meter, Result};
use std::io::BufRead;

/// Length of an entry's head.
const HEAD: usize = 110;

/// The longest path Linux takes.
const NAME: u64 = 4096;

/// One entry of an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name as stored, without NUL.
    pub name: Vec<u8>,
    /// Kind and permissions, as `st_mode`.
    pub mode: u32,
    /// Number that names of one file share.
    pub ino: u32,
    /// How many names the file has.
    pub nlink: u32,
    /// Time of last change, in seconds since 1970.
    pub mtime: u32,
    /// Length of the content in bytes. Of a file with several names, one entry has it.
    pub size: u64,
    /// Where the entry's head begins, in bytes of the plain stream.
    pub offset: u64,
}

impl Entry {
    /// Whether it is a directory.
    #[must_use]
    pub fn is_dir(&self) -> bool {
        self.mode & 0o170_000 == 0o040_000
    }

    /// Whether it is a symbolic link, whose content is its target.
    #[must_use]
    pub fn is_link(&self) -> bool {
        self.mode & 0o170_000 == 0o120_000
    }

    /// The name without `/` and `./` in front.
    #[must_use]
    pub fn path(&self) -> &[u8] {
        let mut name = self.name.as_slice();
        while let Some(rest) = name.strip_prefix(b"./").or_else(|| name.strip_prefix(b"/")) {
            name = rest;
        }
        name
    }
}

/// Reads the entries of one or more archives from a stream.
pub struct Reader<R> {
    input: R,
    /// Bytes consumed.
    taken: u64,
    /// Bytes of the entry's content and padding that were not read.
    left: u64,
    padding: u64,
    /// Whether what was consumed ends with the end of an archive.
    closed: bool,
}

impl<R: BufRead> Reader<R> {
    /// Reads from `input`, which begins with an archive.
    pub fn new(input: R) -> Self {
        Self {
            input,
            taken: 0,
            left: 0,
            padding: 0,
            closed: false,
        }
    }

    /// How many bytes of the stream were consumed.
    #[must_use]
    pub fn taken(&self) -> u64 {
        self.taken
    }

    /// Whether the last archive had the entry that ends it. Without, kernels take what follows for more of it.
    #[must_use]
    pub fn closed(&self) -> bool {
        self.closed
    }

    /// The next entry; what was not read of the last one is skipped. After the end of an archive, zeros are skipped and
    /// another archive may follow; `None` at the end of the stream, and before anything else than an archive.
    ///
    /// # Errors
    /// [`h2k_block::Class::Corrupt`] when the stream ends in the middle of an entry, when a head is not made of
    /// hexadecimal digits, or a name is longer than paths can be; [`h2k_block::Class::Limit`] when `meter` is empty.
    pub fn next_entry(&mut self, meter: &mut Meter) -> Result<Option<Entry>> {
        loop {
            meter.step("entries of an initramfs")?;
            let rest = self.left.saturating_add(self.padding);
            self.skip(rest)?;
            (self.left, self.padding) = (0, 0);
            if !self.another()? {
                return Ok(None);
            }
            let entry = self.head(meter)?;
            self.closed = entry.name == b"TRAILER!!!";
            if !self.closed {
                return Ok(Some(entry));
            }
        }
    }

    /// The content of the last entry, at most `most` bytes of it; the rest is skipped.
    ///
    /// # Errors
    /// As [`next_entry`](Self::next_entry).
    pub fn content(&mut self, most: u64, meter: &mut Meter) -> Result<Vec<u8>> {
        let want = self.left.min(most);
        meter.bytes(want, "content of a file in an initramfs")?;
        let mut out = Vec::new();
        while wide(out.len()) < want {
            let need = usize::try_from(want.saturating_sub(wide(out.len()))).unwrap_or(usize::MAX);
            let here = self.input.fill_buf().map_err(|e| broken(self.taken, &e))?;
            if here.is_empty() {
                return Err(ends(self.taken));
            }
            let n = need.min(here.len());
            out.extend_from_slice(here.get(..n).unwrap_or_default());
            self.input.consume(n);
            self.taken = self.taken.saturating_add(wide(n));
            self.left = self.left.saturating_sub(wide(n));
        }
        Ok(out)
    }

    /// Skips zeros between archives; whether an archive or another entry follows.
    fn another(&mut self) -> Result<bool> {
        loop {
            let here = self.input.fill_buf().map_err(|e| broken(self.taken, &e))?;
            let Some(first) = here.first() else {
                return Ok(false);
            };
            match first {
                0 => {
                    let zeros = here.iter().take_while(|b| **b == 0).count();
                    self.input.consume(zeros);
                    self.taken = self.taken.saturating_add(wide(zeros));
                }
                // The kernel takes an archive for one only where it is aligned.
                b'0' => return Ok(self.taken.is_multiple_of(4)),
                _ => return Ok(false),
            }
        }
    }

    fn head(&mut self, meter: &mut Meter) -> Result<Entry> {
        let offset = self.taken;
        let mut head = [0; HEAD];
        self.exactly(&mut head)?;
        let magic = head.get(..6).unwrap_or_default();
        if magic != b"070701" && magic != b"070702" {
            return Err(Error::corrupt(
                "cpio entry",
                offset,
                format!("it begins with {}, not 070701", magic.escape_ascii()),
            ));
        }
        let mut numbers = [0_u32; 13];
        for (number, digits) in numbers
            .iter_mut()
            .zip(head.get(6..).unwrap_or_default().chunks(8))
        {
            let digits = std::str::from_utf8(digits).ok().filter(|d| !d.contains('+'));
            let value = digits.and_then(|d| u32::from_str_radix(d, 16).ok());
            *number = value.ok_or_else(|| {
                Error::corrupt("cpio entry", offset, "a number in its head is not hexadecimal")
            })?;
        }
        let [ino, mode, _, _, nlink, mtime, size, _, _, _, _, name_size, _] = numbers;
        let name_len = u64::from(name_size);
        if name_len == 0 || name_len > NAME {
            let what = format!("its name has {name_len} bytes, and paths have from 1 to {NAME}");
            return Err(Error::corrupt("cpio entry", offset, what));
        }
        let mut name = meter.buffer(name_len, "name in an initramfs")?;
        self.exactly(&mut name)?;
        let end = name.iter().position(|b| *b == 0).unwrap_or(name.len());
        name.truncate(end);
        let pad = (4_u64.wrapping_sub(wide(HEAD).wrapping_add(name_len))) & 3;
        self.skip(pad)?;
        self.left = u64::from(size);
        self.padding = 4_u64.wrapping_sub(self.left) & 3;
        Ok(Entry {
            name,
            mode,
            ino,
            nlink,
            mtime,
            size: u64::from(size),
            offset,
        })
    }

    fn exactly(&mut self, out: &mut [u8]) -> Result<()> {
        self.input.read_exact(out).map_err(|e| match e.kind() {
            std::io::ErrorKind::UnexpectedEof => ends(self.taken),
            _ => broken(self.taken, &e),
        })?;
        self.taken = self.taken.saturating_add(wide(out.len()));
        Ok(())
    }

    fn skip(&mut self, mut n: u64) -> Result<()> {
        while n > 0 {
            let here = self.input.fill_buf().map_err(|e| broken(self.taken, &e))?;
            if here.is_empty() {
                return Err(ends(self.taken));
            }
            let step = here.len().min(usize::try_from(n).unwrap_or(usize::MAX));
            self.input.consume(step);
            self.taken = self.taken.saturating_add(wide(step));
            n = n.saturating_sub(wide(step));
        }
        Ok(())
    }
}

fn ends(at: u64) -> Error {
    Error::corrupt("cpio archive", at, "it ends in the middle of an entry")
}

fn broken(at: u64, error: &std::io::Error) -> Error {
    Error::corrupt(
        "cpio archive",
        at,
        format!("what it is packed in is damaged: {error}"),
    )
}
