//! How every volume is made from what lies below it: plain numbers in one list, where each node refers only to
//! nodes before it. Built once over the disks as they are, and again over writable ones on demand.

use h2k_block::{BlockRead, BlockWrite, Class, Error, Result, Window};
use std::sync::Arc;

#[derive(Clone)]
pub(crate) enum Node {
    /// A disk, by its place in the list given.
    Disk(usize),
    /// A run of bytes of another node, clipped to it.
    Window { below: usize, start: u64, len: u64 },
}

fn lost(what: &str) -> Error {
    Error::new(
        Class::Invalid,
        format!("a volume refers to a {what} that was not given"),
    )
}

/// Makes `node` readable over `disks` and the nodes before it.
pub(crate) fn read(
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
    })
}
