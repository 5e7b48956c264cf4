//! Edits of one filesystem, in memory, over the filesystem itself: [`Draft`].
//!
//! Reads like the filesystem with the edits made; what it holds is the difference and nothing else. Nodes of the
//! filesystem keep their numbers; new ones get numbers from the top, which no filesystem uses.

mod change;
mod read;
mod replay;

use h2k_block::{Class, Error, Result};
use h2k_fs::{Attributes, FileKind, FsRead, Name, Node, Time};
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// What a file holds instead of what it held.
#[derive(Clone)]
enum Content {
    /// All of it.
    Whole(Arc<[u8]>),
    /// What it held, up to here, and then this.
    Tail(u64, Arc<[u8]>),
}

/// A node that is not on the filesystem yet.
#[derive(Clone)]
struct Fresh {
    kind: FileKind,
    mode: u16,
    target: Vec<u8>,
}

/// One step, to be made again on a writer.
#[derive(Clone)]
enum Step {
    Create(Node, Vec<u8>, Node, u16),
    Mkdir(Node, Vec<u8>, Node, u16),
    Symlink(Node, Vec<u8>, Node, Vec<u8>),
    Remove(Node, Vec<u8>),
    /// From where, what, and its node; to where, and what it is called there.
    Rename(Node, Vec<u8>, Node, Node, Vec<u8>),
    Attributes(Node, Attributes),
    Xattr(Node, Vec<u8>, Vec<u8>),
}

/// Names of a directory that changed: folded name to the name and what has it, or to nothing where it is gone.
type Names = BTreeMap<Vec<u8>, Option<(Vec<u8>, Node)>>;

#[derive(Clone, Default)]
struct State {
    steps: Vec<Step>,
    names: BTreeMap<Node, Names>,
    fresh: BTreeMap<Node, Fresh>,
    contents: BTreeMap<Node, Content>,
    attributes: BTreeMap<Node, Attributes>,
    xattrs: BTreeMap<Node, BTreeMap<Vec<u8>, Vec<u8>>>,
}

/// How things were at some moment, to go back to.
#[derive(Clone)]
pub(crate) struct Moment(State);

/// A filesystem with edits that are not written.
pub struct Draft {
    below: Arc<dyn FsRead>,
    /// Whether names that differ in case only are one name.
    folds: bool,
    now: Time,
    state: RwLock<State>,
}

impl std::fmt::Debug for Draft {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Draft")
            .field("steps", &self.read().steps.len())
            .field("contents", &self.read().contents.len())
            .finish_non_exhaustive()
    }
}

impl Draft {
    /// No edits yet over `below`. What is made is stamped with `now`.
    #[must_use]
    pub fn new(below: Arc<dyn FsRead>, now: Time) -> Self {
        let folds = matches!(below.facts().kind, "vfat" | "exfat" | "ntfs" | "msdos");
        Self {
            below,
            folds,
            now,
            state: RwLock::default(),
        }
    }

    /// Whether anything differs from the filesystem.
    #[must_use]
    pub fn changed(&self) -> bool {
        let state = self.read();
        !state.steps.is_empty() || !state.contents.is_empty()
    }

    /// The filesystem without the edits.
    #[must_use]
    pub fn below(&self) -> &Arc<dyn FsRead> {
        &self.below
    }

    /// How things are now.
    pub(crate) fn moment(&self) -> Moment {
        Moment(self.read().clone())
    }

    /// Puts back how things were.
    pub(crate) fn go_back(&self, moment: Moment) {
        *self.write() = moment.0;
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn folded(&self, name: &Name) -> Vec<u8> {
        if self.folds {
            name.to_ascii_lowercase()
        } else {
            name.to_vec()
        }
    }
}

impl State {
    /// A number for a new node.
    fn number(&self) -> Node {
        let last = self.fresh.keys().next().map_or(u64::MAX, |node| node.0);
        Node(last.saturating_sub(1))
    }
}

fn wrong(what: &str, node: Node) -> Error {
    Error::new(Class::Invalid, format!("node {} is no {what}", node.0))
}

fn directory(kind: FileKind, node: Node) -> Result<()> {
    if kind == FileKind::Dir {
        Ok(())
    } else {
        Err(wrong("directory", node))
    }
}
