//! [`FsRead`] for [`Ext4`].

use crate::layout::{ROOT_INO, inode_flag};
use crate::volume::Ext4;
use h2k_block::{Class, Error, Extent, Result};
use h2k_fs::{EachEntry, EachXattr, Facts, FileExtent, FileKind, FsRead, Name, Node, Stat, Usage};

/// A target longer than this could not be a path.
const PATH_MAX: u64 = 4096;

impl FsRead for Ext4 {
    fn facts(&self) -> Facts {
        Facts {
            warnings: self.warnings.all(),
            ..self.facts.clone()
        }
    }

    fn usage(&self) -> Result<Usage> {
        self.count_usage()
    }

    fn root(&self) -> Node {
        Node(u64::from(ROOT_INO))
    }

    fn stat(&self, node: Node) -> Result<Stat> {
        let inode = self.inode(node)?;
        let kind = inode
            .kind()
            .ok_or_else(|| inode.corrupt(format!("mode {:#o} is no kind of file", inode.mode)))?;
        Ok(Stat {
            kind,
            len: inode.size,
            allocated: inode.allocated,
            mode: Some(inode.mode & 0o7777),
            uid: Some(inode.uid),
            gid: Some(inode.gid),
            links: u32::from(inode.links),
            device: inode.device(),
            inode: node.0,
            modified: inode.mtime,
            changed: inode.ctime,
            accessed: inode.atime,
            created: inode.crtime,
        })
    }

    fn lookup(&self, dir: Node, name: &Name) -> Result<Option<Node>> {
        let dir = self.directory(dir)?;
        Ok(self.find_name(&dir, name)?.map(|n| Node(u64::from(n))))
    }

    fn list(&self, dir: Node, each: &mut EachEntry<'_>) -> Result<()> {
        let dir = self.directory(dir)?;
        self.each_entry(&dir, each)
    }

    fn read_at(&self, file: Node, offset: u64, buf: &mut [u8]) -> Result<usize> {
        let inode = self.inode(file)?;
        match inode.kind() {
            Some(FileKind::File) => {}
            _ => {
                return Err(Error::new(
                    Class::Invalid,
                    format!("inode {} is not a regular file", inode.number),
                ));
            }
        }
        inode.readable()?;
        self.content(&inode, offset, buf)
    }

    fn target(&self, link: Node) -> Result<Vec<u8>> {
        let inode = self.inode(link)?;
        if inode.kind() != Some(FileKind::Link) {
            return Err(Error::new(
                Class::Invalid,
                format!("inode {} is not a link", inode.number),
            ));
        }
        inode.readable()?;
        if inode.size == 0 || inode.size > PATH_MAX {
            return Err(inode.corrupt(format!("is a link of {} bytes", inode.size)));
        }
        let target = if inode.is_fast_link(&self.geo) {
            let len = usize::try_from(inode.size).unwrap_or(0);
            inode.block.get(..len).unwrap_or_default().to_vec()
        } else {
            let mut meter = self.meter();
            self.whole(&inode, &mut meter, "link target")?
        };
        if target.contains(&0) {
            return Err(inode.corrupt("is a link whose target has a zero byte"));
        }
        Ok(target)
    }

    fn xattrs(&self, node: Node, each: &mut EachXattr<'_>) -> Result<()> {
        let inode = self.inode(node)?;
        self.each_xattr(&inode, each)
    }

    fn file_extent_at(&self, file: Node, offset: u64, end: u64) -> Result<FileExtent> {
        let inode = self.inode(file)?;
        if inode.has(inode_flag::ENCRYPT) {
            inode.readable()?;
        }
        self.content_extent(&inode, offset, end)
    }

    fn used_at(&self, offset: u64, end: u64) -> Result<Extent> {
        self.used(offset, end)
    }
}
