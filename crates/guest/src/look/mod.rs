//! Reading a guest's files to learn something from them.
//!
//! A [`Look`] answers what a file says, `None` where there is no such file; what there is and cannot be read it
//! remembers as [`Unread`], so that nobody who asks has to, and nothing goes missing silently.

mod fact;
mod files;
mod text;

pub use fact::{Fact, Source, Unread};
pub use files::TreeFile;
pub use h2k_fs::join;
pub use text::{Line, Text, lossy};

use crate::tree::{Place, Tree};
use h2k_block::{Class, Limits, Meter, Result};
use h2k_fs::{FileKind, Stat, sorted_names};
use std::cell::RefCell;

/// What a configuration file may weigh. The largest that guests have are unit files and host lists of some MiB.
const TEXT: u64 = 16 << 20;

/// How many complaints are kept: a thousand say what a million would.
const UNREAD: usize = 1000;

/// The files of one system, looked at. Each call has an account of its own, and all together one more.
#[derive(Debug)]
pub struct Look<'a> {
    tree: &'a Tree,
    limits: Limits,
    spent: RefCell<Meter>,
    unread: RefCell<Vec<Unread>>,
}

impl<'a> Look<'a> {
    /// Looks at `tree`; one call may cost `limits`, all calls together eight times as much.
    #[must_use]
    pub fn new(tree: &'a Tree, limits: &Limits) -> Self {
        let all = Limits {
            bytes: limits.bytes.saturating_mul(8),
            steps: limits.steps.saturating_mul(8),
            ..*limits
        };
        Self {
            tree,
            limits: *limits,
            spent: RefCell::new(Meter::new(all)),
            unread: RefCell::default(),
        }
    }

    /// The files themselves.
    #[must_use]
    pub fn tree(&self) -> &'a Tree {
        self.tree
    }

    /// What one call may cost.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// What could not be read so far, and is handed over with this.
    #[must_use]
    pub fn take_unread(&self) -> Vec<Unread> {
        std::mem::take(&mut *self.unread.borrow_mut())
    }

    /// Remembers what another look could not read.
    pub fn remember(&self, more: Vec<Unread>) {
        let mut all = self.unread.borrow_mut();
        let room = UNREAD.saturating_sub(all.len());
        all.extend(more.into_iter().take(room));
    }

    /// Remembers that `source` could not be read.
    pub fn failed(&self, source: Source, error: &h2k_block::Error) {
        let entry = Unread::new(source, error);
        let mut all = self.unread.borrow_mut();
        // A damaged directory is asked about more than once.
        if all.len() < UNREAD && !all.contains(&entry) {
            all.push(entry);
        }
    }

    /// What `read` answers; `None`, remembered under `path`, when it fails.
    pub fn asked<T>(&self, path: &[u8], read: impl FnOnce(&mut Meter) -> Result<Option<T>>) -> Option<T> {
        let mut meter = Meter::new(self.limits);
        let answer = read(&mut meter);
        let left = meter.left();
        let mut spent = self.spent.borrow_mut();
        let paid = spent
            .bytes(
                self.limits.bytes.saturating_sub(left.bytes),
                "all files looked at",
            )
            .and_then(|_| {
                spent.steps(
                    self.limits.steps.saturating_sub(left.steps),
                    "all files looked at",
                )
            });
        drop(spent);
        match paid.and(answer) {
            Ok(found) => found,
            Err(e) => {
                self.failed(Source::file(path), &e);
                None
            }
        }
    }

    /// The place `path` leads to, links followed.
    #[must_use]
    pub fn place(&self, path: impl AsRef<[u8]>) -> Option<Place> {
        let path = path.as_ref();
        self.asked(path, |meter| self.tree.lookup(path, true, meter))
    }

    /// What `path` leads to, links followed.
    #[must_use]
    pub fn stat(&self, path: impl AsRef<[u8]>) -> Option<Stat> {
        self.stat_of(path.as_ref(), true)
    }

    /// What lies at `path`, a link itself and not what it leads to.
    #[must_use]
    pub fn stat_itself(&self, path: impl AsRef<[u8]>) -> Option<Stat> {
        self.stat_of(path.as_ref(), false)
    }

    fn stat_of(&self, path: &[u8], follow: bool) -> Option<Stat> {
        self.asked(path, |meter| {
            let place = self.tree.lookup(path, follow, meter)?;
            place.map(|p| self.tree.stat(p)).transpose()
        })
    }

    /// Whether `path` leads to something.
    #[must_use]
    pub fn exists(&self, path: impl AsRef<[u8]>) -> bool {
        self.place(path).is_some()
    }

    /// Whether `path` leads to a regular file.
    #[must_use]
    pub fn is_file(&self, path: impl AsRef<[u8]>) -> bool {
        self.stat(path).is_some_and(|s| s.kind == FileKind::File)
    }

    /// Whether `path` leads to a directory.
    #[must_use]
    pub fn is_dir(&self, path: impl AsRef<[u8]>) -> bool {
        self.stat(path).is_some_and(|s| s.kind == FileKind::Dir)
    }

    /// Where the link at `path` points, as stored; `None` when there is no link.
    #[must_use]
    pub fn target(&self, path: impl AsRef<[u8]>) -> Option<Vec<u8>> {
        let path = path.as_ref();
        self.asked(path, |meter| {
            let Some(place) = self.tree.lookup(path, false, meter)? else {
                return Ok(None);
            };
            if self.tree.stat(place)?.kind != FileKind::Link {
                return Ok(None);
            }
            self.tree.target(place).map(Some)
        })
    }

    /// The path `path` leads to, free of links.
    #[must_use]
    pub fn canonical(&self, path: impl AsRef<[u8]>) -> Option<Vec<u8>> {
        let path = path.as_ref();
        self.asked(path, |meter| self.tree.canonical(path, meter))
    }

    /// The content of the regular file that `path` leads to, if it weighs no more than `most` bytes; a larger one is
    /// remembered as unread.
    #[must_use]
    pub fn bytes(&self, path: impl AsRef<[u8]>, most: u64) -> Option<Vec<u8>> {
        let path = path.as_ref();
        self.asked(path, |meter| {
            let Some((place, len)) = regular(self.tree, path, meter)? else {
                return Ok(None);
            };
            if len > most {
                let what = format!("it has {len} bytes, and no more than {most} are looked at");
                return Err(h2k_block::Error::new(Class::Limit, what));
            }
            self.tree.read_file(place, meter).map(Some)
        })
    }

    /// The first bytes of the regular file that `path` leads to, at most `most`.
    #[must_use]
    pub fn head(&self, path: impl AsRef<[u8]>, most: usize) -> Option<Vec<u8>> {
        let path = path.as_ref();
        self.asked(path, |meter| {
            let Some((place, len)) = regular(self.tree, path, meter)? else {
                return Ok(None);
            };
            let most = u64::try_from(most).unwrap_or(u64::MAX);
            let mut head = meter.buffer(len.min(most), "head of a file")?;
            let n = self.tree.read_at(place, 0, &mut head)?;
            head.truncate(n);
            Ok(Some(head))
        })
    }

    /// The text file that `path` leads to.
    #[must_use]
    pub fn text(&self, path: impl AsRef<[u8]>) -> Option<Text> {
        let path = path.as_ref();
        self.bytes(path, TEXT).map(|bytes| Text::new(path, &bytes))
    }

    /// The first of `paths` that there is, as a text.
    pub fn first_text<P: AsRef<[u8]>>(&self, paths: impl IntoIterator<Item = P>) -> Option<Text> {
        paths.into_iter().find_map(|path| self.text(path))
    }

    /// The names in the directory that `path` leads to, in byte order; none where there is no directory.
    #[must_use]
    pub fn names(&self, path: impl AsRef<[u8]>) -> Vec<Vec<u8>> {
        let path = path.as_ref();
        self.asked(path, |meter| self.listed(path, meter))
            .unwrap_or_default()
    }

    fn listed(&self, path: &[u8], meter: &mut Meter) -> Result<Option<Vec<Vec<u8>>>> {
        let Some(place) = self.tree.lookup(path, true, meter)? else {
            return Ok(None);
        };
        if self.tree.stat(place)?.kind != FileKind::Dir {
            return Ok(None);
        }
        let names = sorted_names(meter, |each| self.tree.list(place, &mut |entry| each(entry.name)));
        names.map(Some)
    }

    /// The text files in a directory whose names end with `ending`, in the order of their names.
    pub fn texts_in(&self, dir: impl AsRef<[u8]>, ending: &str) -> Vec<Text> {
        let dir = dir.as_ref();
        let names = self.names(dir);
        let wanted = names.iter().filter(|name| name.ends_with(ending.as_bytes()));
        wanted.filter_map(|name| self.text(join(dir, name))).collect()
    }
}

/// The regular file that `path` leads to, and its length in bytes; `None` where there is none.
fn regular(tree: &Tree, path: &[u8], meter: &mut Meter) -> Result<Option<(Place, u64)>> {
    let Some(place) = tree.lookup(path, true, meter)? else {
        return Ok(None);
    };
    let stat = tree.stat(place)?;
    Ok((stat.kind == FileKind::File).then_some((place, stat.len)))
}
