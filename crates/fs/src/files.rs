//! Files by their path, whatever they lie on.

use crate::{FileKind, FsRead, Node, resolve};
use h2k_block::{BlockRead, Class, Error, Limits, Meter, Result};
use std::ops::ControlFlow;

/// The files of a guest, by absolute path. A tree of several filesystems implements this as well as one filesystem.
pub trait Files {
    /// The regular file at `path`, links followed; `None` where there is none.
    ///
    /// # Errors
    /// When the way there is damaged.
    fn open(&self, path: &[u8]) -> Result<Option<Box<dyn BlockRead + '_>>>;

    /// The names in the directory at `path`, links followed, in byte order; `None` where there is none.
    ///
    /// # Errors
    /// When the way there or the directory is damaged.
    fn names(&self, path: &[u8], meter: &mut Meter) -> Result<Option<Vec<Vec<u8>>>>;
}

/// Shows one name; breaks to stop.
pub type EachName<'a> = dyn FnMut(&[u8]) -> ControlFlow<()> + 'a;

/// The files of one filesystem.
pub struct FsFiles<'a> {
    fs: &'a dyn FsRead,
    limits: Limits,
}

impl<'a> FsFiles<'a> {
    /// Looks paths up in `fs`; each look-up may cost `limits`.
    #[must_use]
    pub fn new(fs: &'a dyn FsRead, limits: Limits) -> Self {
        Self { fs, limits }
    }
}

impl Files for FsFiles<'_> {
    fn open(&self, path: &[u8]) -> Result<Option<Box<dyn BlockRead + '_>>> {
        let mut meter = Meter::new(self.limits);
        let Some(node) = resolve(self.fs, path, &mut meter)? else {
            return Ok(None);
        };
        let stat = self.fs.stat(node)?;
        if stat.kind != FileKind::File {
            return Ok(None);
        }
        Ok(Some(Box::new(FsFile {
            fs: self.fs,
            node,
            len: stat.len,
        })))
    }

    fn names(&self, path: &[u8], meter: &mut Meter) -> Result<Option<Vec<Vec<u8>>>> {
        let Some(node) = resolve(self.fs, path, meter)? else {
            return Ok(None);
        };
        if self.fs.stat(node)?.kind != FileKind::Dir {
            return Ok(None);
        }
        let names = sorted_names(meter, |each| self.fs.list(node, &mut |entry| each(entry.name)));
        names.map(Some)
    }
}

/// A file of a filesystem as a run of bytes.
struct FsFile<'a> {
    fs: &'a dyn FsRead,
    node: Node,
    len: u64,
}

impl BlockRead for FsFile<'_> {
    fn len(&self) -> u64 {
        self.len
    }

    fn fetch(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        fill(self.len, offset, buf, |at, rest| {
            self.fs.read_at(self.node, at, rest)
        })
    }
}

/// Fills `buf` from `offset` of a file that is said to have `len` bytes, by as many calls of `read` as it takes.
///
/// # Errors
/// [`Class::Corrupt`] when the file ends before `buf` is full; else as `read`.
pub fn fill(
    len: u64,
    offset: u64,
    buf: &mut [u8],
    mut read: impl FnMut(u64, &mut [u8]) -> Result<usize>,
) -> Result<()> {
    let mut done = 0_usize;
    while let Some(rest) = buf.get_mut(done..).filter(|rest| !rest.is_empty()) {
        let at = offset.saturating_add(wide(done));
        let n = read(at, rest)?;
        if n == 0 {
            return Err(Error::new(
                Class::Corrupt,
                format!("the file ends at {at}, its length is said to be {len}"),
            ));
        }
        done = done.saturating_add(n);
    }
    Ok(())
}

/// The names that `list` shows, paid for, in byte order.
///
/// # Errors
/// [`Class::Limit`] when there are more than `meter` has left for; else as `list`.
pub fn sorted_names(
    meter: &mut Meter,
    list: impl FnOnce(&mut EachName<'_>) -> Result<()>,
) -> Result<Vec<Vec<u8>>> {
    let mut names = Vec::new();
    let mut over = None;
    list(&mut |name| {
        let paid = meter
            .step("directory entry")
            .and_then(|()| meter.bytes(wide(name.len()), "directory entry"));
        match paid {
            Ok(_) => names.push(name.to_vec()),
            Err(e) => over = Some(e),
        }
        if over.is_none() {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    })?;
    names.sort();
    over.map_or(Ok(names), Err)
}

/// All bytes of `file`, which `meter` pays for as `what`.
///
/// # Errors
/// [`Class::Limit`] when there are more than `meter` has left for; else as reading.
pub fn whole(file: &dyn BlockRead, meter: &mut Meter, what: &'static str) -> Result<Vec<u8>> {
    // A length is the input's word: pay for all of it, allocate only what really comes.
    let len = file.len();
    meter.bytes(len, what)?;
    let mut all = Vec::new();
    let mut piece = vec![0; 1 << 16];
    while wide(all.len()) < len {
        let left = len.saturating_sub(wide(all.len()));
        let n = usize::try_from(left).unwrap_or(usize::MAX).min(piece.len());
        let Some(part) = piece.get_mut(..n) else { break };
        file.read_at(wide(all.len()), part)?;
        all.extend_from_slice(part);
    }
    Ok(all)
}

/// `dir/name`, with one slash between them.
#[must_use]
pub fn join(dir: &[u8], name: &[u8]) -> Vec<u8> {
    let dir = dir.strip_suffix(b"/").unwrap_or(dir);
    [dir, b"/", name].concat()
}

/// A length as 64 bits.
fn wide(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}
