//! Bringing a draft onto the filesystem it was made over.

use super::{Content, Draft, Step};
use h2k_block::Result;
use h2k_fs::{FsWrite, Node};
use std::collections::BTreeMap;

impl Draft {
    /// Makes every edit on `writer`, which is the filesystem this is a draft of, opened for writing; then leaves it as
    /// a clean unmount would.
    ///
    /// # Errors
    /// What the writer says; it is to be thrown away then, with the overlay it wrote to.
    pub fn replay(&self, writer: &mut dyn FsWrite) -> Result<()> {
        writer.set_clock(self.now);
        let state = self.read();
        let mut made: BTreeMap<Node, Node> = BTreeMap::new();
        let real = |made: &BTreeMap<Node, Node>, node: &Node| made.get(node).copied().unwrap_or(*node);
        for step in &state.steps {
            match step {
                Step::Create(dir, name, node, mode) => {
                    let new = writer.create(real(&made, dir), name, *mode)?;
                    made.insert(*node, new);
                }
                Step::Mkdir(dir, name, node, mode) => {
                    let new = writer.mkdir(real(&made, dir), name, *mode)?;
                    made.insert(*node, new);
                }
                Step::Symlink(dir, name, node, target) => {
                    let new = writer.symlink(real(&made, dir), name, target)?;
                    made.insert(*node, new);
                }
                Step::Remove(dir, name) => writer.remove(real(&made, dir), name)?,
                Step::Rename(from, name, node, to, new) => {
                    let to = real(&made, to);
                    writer.rename(real(&made, from), name, to, new)?;
                    // On FAT a node is the place of its entry, and that is elsewhere now.
                    if let Some(moved) = writer.lookup(to, new)? {
                        made.insert(*node, moved);
                    }
                }
                Step::Attributes(node, attributes) => {
                    writer.set_attributes(real(&made, node), attributes)?;
                }
                Step::Xattr(node, name, value) => writer.set_xattr(real(&made, node), name, value)?,
            }
        }
        for (node, content) in &state.contents {
            let file = real(&made, node);
            match content {
                Content::Whole(bytes) => writer.replace(file, bytes)?,
                Content::Tail(at, bytes) => writer.write_at(file, *at, bytes)?,
            }
        }
        writer.settle()
    }
}
