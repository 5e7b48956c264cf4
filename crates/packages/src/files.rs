//! Where databases are read from.

use crate::bytes::{index, wide};
use h2k_block::{BlockRead, Class, Error, Limits, Meter, Result};
use h2k_fs::{FileKind, FsRead, Node, resolve};
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
        let mut names = Vec::new();
        let mut over = None;
        self.fs.list(node, &mut |entry| {
            let paid = meter
                .step("directory entry")
                .and_then(|()| meter.bytes(wide(entry.name.len()), "directory entry"));
            match paid {
                Ok(_) => names.push(entry.name.to_vec()),
                Err(e) => over = Some(e),
            }
            if over.is_none() {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        })?;
        names.sort();
        over.map_or(Ok(Some(names)), Err)
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
        let mut done = 0;
        while let Some(rest) = buf.get_mut(done..).filter(|rest| !rest.is_empty()) {
            let at = offset.saturating_add(wide(done));
            let n = self.fs.read_at(self.node, at, rest)?;
            if n == 0 {
                return Err(Error::new(
                    Class::Corrupt,
                    format!("the file ends at {at}, its length is said to be {}", self.len),
                ));
            }
            done = done.saturating_add(n);
        }
        Ok(())
    }
}

/// All bytes of `file`, paid for.
pub(crate) fn whole(file: &dyn BlockRead, meter: &mut Meter, what: &'static str) -> Result<Vec<u8>> {
    // A length is the input's word: pay for all of it, allocate only what really comes.
    let len = file.len();
    meter.bytes(len, what)?;
    let mut all = Vec::new();
    let mut piece = vec![0; 1 << 16];
    while wide(all.len()) < len {
        let left = len.saturating_sub(wide(all.len()));
        let n = index(left).min(piece.len());
        let Some(part) = piece.get_mut(..n) else { break };
        file.read_at(wide(all.len()), part)?;
        all.extend_from_slice(part);
    }
    Ok(all)
}

/// `dir/name`.
pub(crate) fn join(dir: &[u8], name: &[u8]) -> Vec<u8> {
    [dir, b"/", name].concat()
}
