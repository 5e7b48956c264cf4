//! How every volume is made from what lies below it: plain numbers in one list, where each node refers only to
//! nodes before it. Built once over the disks as they are, and again over writable ones on demand.

#[cfg(feature = "crypt")]
use crate::luks::{Keyed, Plain};
use crate::map::{Geometry, Mapped, Target};
use h2k_block::{BlockRead, BlockWrite, Class, Error, Limits, Meter, Result, Window};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What a mapped node lies on: a node, or nothing where a device is missing; with a name for messages.
pub(crate) type Below = (Option<usize>, String);

#[derive(Clone)]
pub(crate) enum Node {
    /// A disk, by its place in the list given.
    Disk(usize),
    /// A run of bytes of another node, clipped to it.
    Window { below: usize, start: u64, len: u64 },
    /// Pieces of other nodes.
    Mapped {
        geometry: Arc<dyn Geometry>,
        targets: Vec<Below>,
    },
    /// The plain text of another node.
    #[cfg(feature = "crypt")]
    Crypt { below: usize, keyed: Arc<Keyed> },
}

fn lost(what: &str) -> Error {
    Error::new(
        Class::Invalid,
        format!("a volume refers to a {what} that was not given"),
    )
}

/// Makes `node` readable over `disks` and the nodes before it.
fn read(
    node: &Node,
    disks: &[Arc<dyn BlockRead>],
    before: &[Arc<dyn BlockRead>],
) -> Result<Arc<dyn BlockRead>> {
    Ok(match node {
        Node::Disk(i) => Arc::clone(disks.get(*i).ok_or_else(|| lost("disk"))?),
        Node::Window { below, start, len } => {
            let below = before.get(*below).ok_or_else(|| lost("device"))?;
            Arc::new(Window::new(Arc::clone(below), *start, *len))
        }
        Node::Mapped { geometry, targets } => {
            Arc::new(Mapped::new(Arc::clone(geometry), targets_in(targets, before)))
        }
        #[cfg(feature = "crypt")]
        Node::Crypt { below, keyed } => {
            let below = before.get(*below).ok_or_else(|| lost("device"))?;
            Arc::new(Plain::new(Arc::clone(below), Arc::clone(keyed)))
        }
    })
}

/// Makes `node` writable over `disks` and the nodes before it.
pub(crate) fn write(
    node: &Node,
    disks: &[Arc<dyn BlockWrite>],
    before: &[Arc<dyn BlockWrite>],
) -> Result<Arc<dyn BlockWrite>> {
    Ok(match node {
        Node::Disk(i) => Arc::clone(disks.get(*i).ok_or_else(|| lost("disk"))?),
        Node::Window { below, start, len } => {
            let below = before.get(*below).ok_or_else(|| lost("device"))?;
            Arc::new(Window::new(Arc::clone(below), *start, *len))
        }
        Node::Mapped { geometry, targets } => {
            Arc::new(Mapped::new(Arc::clone(geometry), targets_in(targets, before)))
        }
        #[cfg(feature = "crypt")]
        Node::Crypt { below, keyed } => {
            let below = before.get(*below).ok_or_else(|| lost("device"))?;
            Arc::new(Plain::new(Arc::clone(below), Arc::clone(keyed)))
        }
    })
}

fn targets_in<D: ?Sized>(targets: &[Below], before: &[Arc<D>]) -> Vec<Target<D>> {
    targets
        .iter()
        .map(|(node, name)| Target {
            disk: node.and_then(|n| before.get(n)).map(Arc::clone),
            name: name.clone(),
        })
        .collect()
}

/// The nodes of a scan, made readable as they are added.
pub(crate) struct Nodes {
    disks: Vec<Arc<dyn BlockRead>>,
    list: Vec<Node>,
    built: Vec<Arc<dyn BlockRead>>,
    meter: Meter,
}

impl Nodes {
    pub(crate) fn new(disks: Vec<Arc<dyn BlockRead>>, limits: Limits) -> Self {
        Self {
            disks,
            list: Vec::new(),
            built: Vec::new(),
            meter: Meter::new(limits),
        }
    }

    /// Adds a node; its place is what later nodes refer to.
    pub(crate) fn add(&mut self, node: Node) -> Result<usize> {
        self.meter.step("device")?;
        let disk = read(&node, &self.disks, &self.built)?;
        self.list.push(node);
        self.built.push(disk);
        Ok(self.list.len().saturating_sub(1))
    }

    pub(crate) fn node(&self, i: usize) -> Option<&Node> {
        self.list.get(i)
    }

    pub(crate) fn disk(&self, i: usize) -> Option<Arc<dyn BlockRead>> {
        self.built.get(i).map(Arc::clone)
    }

    /// Which of `known` (node to volume) a node is made of, directly or through others.
    pub(crate) fn lies_on(&self, node: usize, known: &BTreeMap<usize, usize>) -> Vec<usize> {
        let mut found = BTreeSet::new();
        let mut seen = BTreeSet::new();
        let mut open = vec![node];
        // Nodes refer only to earlier ones, and each is visited once.
        while let Some(next) = open.pop() {
            if !seen.insert(next) {
                continue;
            }
            if let Some(volume) = known.get(&next) {
                found.insert(*volume);
                continue;
            }
            match self.list.get(next) {
                Some(Node::Window { below, .. }) => open.push(*below),
                #[cfg(feature = "crypt")]
                Some(Node::Crypt { below, .. }) => open.push(*below),
                Some(Node::Mapped { targets, .. }) => open.extend(targets.iter().filter_map(|(n, _)| *n)),
                Some(Node::Disk(_)) | None => {}
            }
        }
        found.into_iter().collect()
    }

    /// The account of the whole scan.
    pub(crate) fn meter(&mut self) -> &mut Meter {
        &mut self.meter
    }

    pub(crate) fn into_list(self) -> Vec<Node> {
        self.list
    }
}
