//! A tree as the place where databases and journals are looked for.

use super::{Look, regular};
use crate::tree::{Place, Tree};
use h2k_block::{BlockRead, Meter, Result};
use h2k_fs::{Files, fill};

/// A regular file of a tree as a run of bytes.
pub struct TreeFile<'a> {
    tree: &'a Tree,
    place: Place,
    len: u64,
}

impl<'a> Look<'a> {
    /// The regular file that `path` leads to, to be read piece by piece.
    #[must_use]
    pub fn file(&self, path: impl AsRef<[u8]>) -> Option<TreeFile<'a>> {
        let path = path.as_ref();
        self.asked(path, |meter| TreeFile::open(self.tree, path, meter))
    }
}

impl<'a> TreeFile<'a> {
    /// The regular file that `path` leads to; `None` where there is none.
    ///
    /// # Errors
    /// As [`Tree::lookup`].
    pub fn open(tree: &'a Tree, path: &[u8], meter: &mut Meter) -> Result<Option<Self>> {
        let found = regular(tree, path, meter)?;
        Ok(found.map(|(place, len)| Self { tree, place, len }))
    }
}

impl BlockRead for TreeFile<'_> {
    fn len(&self) -> u64 {
        self.len
    }

    fn fetch(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        fill(self.len, offset, buf, |at, rest| {
            self.tree.read_at(self.place, at, rest)
        })
    }
}

impl Files for Look<'_> {
    fn open(&self, path: &[u8]) -> Result<Option<Box<dyn BlockRead + '_>>> {
        let file = TreeFile::open(self.tree, path, &mut Meter::new(self.limits))?;
        let Some(file) = file else { return Ok(None) };
        Ok(Some(Box::new(file)))
    }

    fn names(&self, path: &[u8], meter: &mut Meter) -> Result<Option<Vec<Vec<u8>>>> {
        self.listed(path, meter)
    }
}
