//! [`FsRead`] and [`FsWrite`] for [`Ext4Writer`].

use super::Ext4Writer;
use h2k_block::{Extent, Result};
use h2k_fs::{
    Attributes, EachEntry, EachXattr, Facts, FileExtent, FsRead, FsWrite, Name, Node, Stat, Time, Usage,
};

impl FsRead for Ext4Writer {
    fn facts(&self) -> Facts {
        self.fs.facts()
    }

    fn usage(&self) -> Result<Usage> {
        self.fs.usage()
    }

    fn root(&self) -> Node {
        self.fs.root()
    }

    fn stat(&self, node: Node) -> Result<Stat> {
        self.fs.stat(node)
    }

    fn lookup(&self, dir: Node, name: &Name) -> Result<Option<Node>> {
        self.fs.lookup(dir, name)
    }

    fn list(&self, dir: Node, each: &mut EachEntry<'_>) -> Result<()> {
        self.fs.list(dir, each)
    }

    fn read_at(&self, file: Node, offset: u64, buf: &mut [u8]) -> Result<usize> {
        self.fs.read_at(file, offset, buf)
    }

    fn target(&self, link: Node) -> Result<Vec<u8>> {
        self.fs.target(link)
    }

    fn xattrs(&self, node: Node, each: &mut EachXattr<'_>) -> Result<()> {
        self.fs.xattrs(node, each)
    }

    fn file_extent_at(&self, file: Node, offset: u64, end: u64) -> Result<FileExtent> {
        self.fs.file_extent_at(file, offset, end)
    }

    fn used_at(&self, offset: u64, end: u64) -> Result<Extent> {
        self.fs.used_at(offset, end)
    }
}

impl FsWrite for Ext4Writer {
    fn set_clock(&mut self, now: Time) {
        self.now = now;
    }

    fn create(&mut self, dir: Node, name: &Name, mode: u16) -> Result<Node> {
        self.whole(|w| w.make_file(dir, name, mode))
    }

    fn mkdir(&mut self, dir: Node, name: &Name, mode: u16) -> Result<Node> {
        self.whole(|w| w.make_dir(dir, name, mode))
    }

    fn symlink(&mut self, dir: Node, name: &Name, target: &[u8]) -> Result<Node> {
        self.whole(|w| w.make_link(dir, name, target))
    }

    fn add_name(&mut self, dir: Node, name: &Name, node: Node) -> Result<()> {
        self.whole(|w| w.one_more_name(dir, name, node))
    }

    fn remove(&mut self, dir: Node, name: &Name) -> Result<()> {
        self.whole(|w| w.remove_name(dir, name))
    }

    fn rmdir(&mut self, dir: Node, name: &Name) -> Result<()> {
        self.whole(|w| w.remove_dir(dir, name))
    }

    fn rename(&mut self, from: Node, name: &Name, to: Node, new: &Name) -> Result<()> {
        self.whole(|w| w.move_name(from, name, to, new))
    }

    fn replace(&mut self, file: Node, content: &[u8]) -> Result<()> {
        self.whole(|w| w.replace_content(file, content))
    }

    fn write_at(&mut self, file: Node, offset: u64, bytes: &[u8]) -> Result<()> {
        self.whole(|w| w.write_content(file, offset, bytes))
    }

    fn truncate(&mut self, file: Node, len: u64) -> Result<()> {
        self.whole(|w| w.truncate_content(file, len))
    }

    fn set_attributes(&mut self, node: Node, attributes: &Attributes) -> Result<()> {
        self.whole(|w| w.change_attributes(node, attributes))
    }

    fn set_xattr(&mut self, node: Node, name: &[u8], value: &[u8]) -> Result<()> {
        self.whole(|w| w.change_xattr(node, name, Some(value)))
    }

    fn remove_xattr(&mut self, node: Node, name: &[u8]) -> Result<()> {
        self.whole(|w| w.change_xattr(node, name, None))
    }

    fn settle(&mut self) -> Result<()> {
        self.whole(Self::leave_clean)
    }
}
