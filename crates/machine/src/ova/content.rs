//! Files as OVF allows them to be: whole, cut into chunks, compressed.

use crate::File;
use flate2::bufread::MultiGzDecoder;
use h2k_block::{
    Access, BlockRead, BlockWrite, Class, Error, Extent, Host, HostFile, Joined, Part, RawSpan, Result,
    is_zero,
};
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Chunks of one file: each is an open file.
const MOST_CHUNKS: u64 = 512;
/// How much is inflated at once.
const PIECE: usize = 256 << 10;

/// Opens the file that a description names through `host`: joins its chunks, and inflates it into the file that `spill`
/// makes (which should have no name, and vanish with the last one who holds it).
///
/// # Errors
/// As the host says; [`Class::Corrupt`] for chunks of other lengths than said and for damaged streams; [`Class::Limit`] for
/// more than 512 chunks; [`Class::Cancelled`] when `stop` is set.
pub fn open_file(
    host: &dyn Host,
    referrer: &Path,
    file: &File,
    spill: &mut dyn FnMut() -> Result<Arc<dyn HostFile>>,
    stop: &AtomicBool,
) -> Result<Arc<dyn HostFile>> {
    let stored = match file.chunk {
        None => host.open(referrer, Path::new(&file.name), Access::Read)?,
        Some(chunk) => chunks(host, referrer, file, chunk)?,
    };
    if !file.gzip {
        return Ok(stored);
    }
    let name = stored.name().to_owned();
    let spill = spill()?;
    inflate(&stored, &*spill, stop).map_err(|e| e.through(name.display().to_string()))?;
    Ok(Arc::new(ReadOnly::new(spill, name)))
}

fn chunks(host: &dyn Host, referrer: &Path, file: &File, chunk: u64) -> Result<Arc<dyn HostFile>> {
    let mut parts = Vec::new();
    let mut name = PathBuf::from(&file.name);
    let mut total = 0_u64;
    for n in 0..=MOST_CHUNKS {
        if file.size.is_some_and(|size| total >= size) {
            break;
        }
        let one = host.open(
            referrer,
            Path::new(&format!("{}.{n:09}", file.name)),
            Access::Read,
        );
        let one = match one {
            Err(e) if e.class() == Class::NotFound && n > 0 => break,
            other => other?,
        };
        if n == MOST_CHUNKS {
            return Err(Error::new(
                Class::Limit,
                format!("{} lies in more than {MOST_CHUNKS} chunks", file.name),
            ));
        }
        if n == 0 {
            name = one.name().with_file_name(&file.name);
        }
        let short = parts.last().is_some_and(|part: &Part| part.len != chunk);
        if short || one.len() > chunk {
            return Err(Error::corrupt(
                "chunk",
                total,
                format!(
                    "{}: every chunk but the last has to have {chunk} bytes, and none more",
                    one.name().display()
                ),
            ));
        }
        total = total.saturating_add(one.len());
        parts.push(Part {
            offset: 0,
            len: one.len(),
            disk: Some(one),
        });
    }
    if let Some(size) = file.size
        && size != total
    {
        return Err(Error::corrupt(
            "chunk",
            total,
            format!(
                "the chunks of {} have {total} bytes together, {size} are said",
                file.name
            ),
        ));
    }
    Ok(Arc::new(ReadOnly::new(Arc::new(Joined::new(parts)?), name)))
}

/// Inflates all of `from` into `to`, leaving holes where it is zero. What a stream can grow to follows from its length: a
/// thousandfold.
fn inflate(from: &Arc<dyn HostFile>, to: &dyn HostFile, stop: &AtomicBool) -> Result<()> {
    let stream = Stream {
        disk: from.clone(),
        at: 0,
        failed: None,
    };
    let mut decoder = MultiGzDecoder::new(BufReader::with_capacity(PIECE, stream));
    let mut piece = vec![0; PIECE];
    let mut at = 0_u64;
    loop {
        if stop.load(Ordering::Acquire) {
            return Err(Error::new(Class::Cancelled, "stopped while a file was inflated"));
        }
        let n = match decoder.read(&mut piece) {
            Ok(n) => n,
            Err(e) => {
                let source = decoder.get_mut().get_mut();
                return Err(source
                    .failed
                    .take()
                    .unwrap_or_else(|| Error::corrupt("gzip", source.at, e.to_string())));
            }
        };
        let (piece, _) = piece.split_at(n);
        if n == 0 {
            break;
        }
        let end = at.saturating_add(u64::try_from(n).unwrap_or(u64::MAX));
        if !is_zero(piece) {
            if to.len() < end {
                to.set_len(end)?;
            }
            to.write_at(at, piece)?;
        }
        at = end;
    }
    to.set_len(at)
}

/// A disk as a stream, which keeps the error that std's has no room for.
struct Stream {
    disk: Arc<dyn HostFile>,
    at: u64,
    failed: Option<Error>,
}

impl Read for Stream {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let left = usize::try_from(self.disk.len().saturating_sub(self.at)).unwrap_or(usize::MAX);
        let n = left.min(buf.len());
        let (buf, _) = buf.split_at_mut(n);
        if let Err(e) = self.disk.read_at(self.at, buf) {
            self.failed = Some(e);
            return Err(std::io::Error::other("the file cannot be read"));
        }
        self.at = self.at.saturating_add(u64::try_from(n).unwrap_or(u64::MAX));
        Ok(n)
    }
}

/// A disk as a file of a name, which nobody changes.
pub(super) struct ReadOnly {
    disk: Arc<dyn BlockRead>,
    name: PathBuf,
}

impl ReadOnly {
    pub(super) fn new(disk: Arc<dyn BlockRead>, name: PathBuf) -> Self {
        Self { disk, name }
    }

    fn refused(&self) -> Error {
        Error::new(Class::ReadOnly, "files of a package are only read")
            .through(self.name.display().to_string())
    }
}

impl BlockRead for ReadOnly {
    fn len(&self) -> u64 {
        self.disk.len()
    }

    fn fetch(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        self.disk.read_at(offset, buf)
    }

    fn map(&self, offset: u64, end: u64) -> Result<Extent> {
        self.disk.extent_at(offset, end)
    }

    fn raw_at(&self, offset: u64, end: u64) -> Result<Option<RawSpan>> {
        self.disk.raw_at(offset, end)
    }

    fn grain(&self) -> u32 {
        self.disk.grain()
    }
}

impl BlockWrite for ReadOnly {
    fn store(&self, _offset: u64, _buf: &[u8]) -> Result<()> {
        Err(self.refused())
    }

    fn flush(&self) -> Result<()> {
        Ok(())
    }
}

impl HostFile for ReadOnly {
    fn set_len(&self, _len: u64) -> Result<()> {
        Err(self.refused())
    }

    fn name(&self) -> &Path {
        &self.name
    }
}
