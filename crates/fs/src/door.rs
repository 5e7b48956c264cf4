//! The door of a writer: [`FsRead`](crate::FsRead) and [`FsWrite`](crate::FsWrite) in terms of its own methods.

/// Implements [`FsRead`](crate::FsRead) for a writer by asking the reader in its field `fs`, and
/// [`FsWrite`](crate::FsWrite) by its methods of the same arguments, each done by its method `whole`: whole or not at
/// all. The moment is kept in its field `now`.
///
/// The methods: `make_file`, `make_dir`, `make_link`, `one_more_name`, `remove_name`, `remove_dir`, `move_name`,
/// `replace_content`, `write_content`, `truncate_content`, `change_attributes`, `change_xattr` (value `None` removes)
/// and `leave_clean`.
#[macro_export]
macro_rules! writer_door {
    ($writer:ty) => {
        impl $crate::FsRead for $writer {
            fn facts(&self) -> $crate::Facts {
                self.fs.facts()
            }

            fn usage(&self) -> h2k_block::Result<$crate::Usage> {
                self.fs.usage()
            }

            fn root(&self) -> $crate::Node {
                self.fs.root()
            }

            fn stat(&self, node: $crate::Node) -> h2k_block::Result<$crate::Stat> {
                self.fs.stat(node)
            }

            fn lookup(
                &self,
                dir: $crate::Node,
                name: &$crate::Name,
            ) -> h2k_block::Result<Option<$crate::Node>> {
                self.fs.lookup(dir, name)
            }

            fn list(&self, dir: $crate::Node, each: &mut $crate::EachEntry<'_>) -> h2k_block::Result<()> {
                self.fs.list(dir, each)
            }

            fn read_at(&self, file: $crate::Node, offset: u64, buf: &mut [u8]) -> h2k_block::Result<usize> {
                self.fs.read_at(file, offset, buf)
            }

            fn target(&self, link: $crate::Node) -> h2k_block::Result<Vec<u8>> {
                self.fs.target(link)
            }

            fn xattrs(&self, node: $crate::Node, each: &mut $crate::EachXattr<'_>) -> h2k_block::Result<()> {
                self.fs.xattrs(node, each)
            }

            fn streams(&self, node: $crate::Node, each: &mut $crate::EachEntry<'_>) -> h2k_block::Result<()> {
                self.fs.streams(node, each)
            }

            fn file_extent_at(
                &self,
                file: $crate::Node,
                offset: u64,
                end: u64,
            ) -> h2k_block::Result<$crate::FileExtent> {
                self.fs.file_extent_at(file, offset, end)
            }

            fn used_at(&self, offset: u64, end: u64) -> h2k_block::Result<h2k_block::Extent> {
                self.fs.used_at(offset, end)
            }
        }

        impl $crate::FsWrite for $writer {
            fn set_clock(&mut self, now: $crate::Time) {
                self.now = now;
            }

            fn create(
                &mut self,
                dir: $crate::Node,
                name: &$crate::Name,
                mode: u16,
            ) -> h2k_block::Result<$crate::Node> {
                self.whole(|w| w.make_file(dir, name, mode))
            }

            fn mkdir(
                &mut self,
                dir: $crate::Node,
                name: &$crate::Name,
                mode: u16,
            ) -> h2k_block::Result<$crate::Node> {
                self.whole(|w| w.make_dir(dir, name, mode))
            }

            fn symlink(
                &mut self,
                dir: $crate::Node,
                name: &$crate::Name,
                target: &[u8],
            ) -> h2k_block::Result<$crate::Node> {
                self.whole(|w| w.make_link(dir, name, target))
            }

            fn add_name(
                &mut self,
                dir: $crate::Node,
                name: &$crate::Name,
                node: $crate::Node,
            ) -> h2k_block::Result<()> {
                self.whole(|w| w.one_more_name(dir, name, node))
            }

            fn remove(&mut self, dir: $crate::Node, name: &$crate::Name) -> h2k_block::Result<()> {
                self.whole(|w| w.remove_name(dir, name))
            }

            fn rmdir(&mut self, dir: $crate::Node, name: &$crate::Name) -> h2k_block::Result<()> {
                self.whole(|w| w.remove_dir(dir, name))
            }

            fn rename(
                &mut self,
                from: $crate::Node,
                name: &$crate::Name,
                to: $crate::Node,
                new: &$crate::Name,
            ) -> h2k_block::Result<()> {
                self.whole(|w| w.move_name(from, name, to, new))
            }

            fn replace(&mut self, file: $crate::Node, content: &[u8]) -> h2k_block::Result<()> {
                self.whole(|w| w.replace_content(file, content))
            }

            fn write_at(&mut self, file: $crate::Node, offset: u64, bytes: &[u8]) -> h2k_block::Result<()> {
                self.whole(|w| w.write_content(file, offset, bytes))
            }

            fn truncate(&mut self, file: $crate::Node, len: u64) -> h2k_block::Result<()> {
                self.whole(|w| w.truncate_content(file, len))
            }

            fn set_attributes(
                &mut self,
                node: $crate::Node,
                attributes: &$crate::Attributes,
            ) -> h2k_block::Result<()> {
                self.whole(|w| w.change_attributes(node, attributes))
            }

            fn set_xattr(&mut self, node: $crate::Node, name: &[u8], value: &[u8]) -> h2k_block::Result<()> {
                self.whole(|w| w.change_xattr(node, name, Some(value)))
            }

            fn remove_xattr(&mut self, node: $crate::Node, name: &[u8]) -> h2k_block::Result<()> {
                self.whole(|w| w.change_xattr(node, name, None))
            }

            fn settle(&mut self) -> h2k_block::Result<()> {
                self.whole(Self::leave_clean)
            }
        }
    };
}
