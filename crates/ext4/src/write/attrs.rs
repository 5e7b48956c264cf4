//! Permission bits, owners and times.

use super::Ext4Writer;
use h2k_block::Result;
use h2k_fs::{Attributes, Node};

impl Ext4Writer {
    pub(super) fn change_attributes(&mut self, node: Node, to: &Attributes) -> Result<()> {
        let inode = self.writable(node)?;
        let mut record = self.record(&inode);
        if let Some(mode) = to.mode {
            record.set_mode((inode.mode & 0o170_000) | (mode & 0o7777));
        }
        record.set_owner(to.uid, to.gid);
        if let Some(time) = to.modified {
            record.set_mtime(time);
        }
        if let Some(time) = to.accessed {
            record.set_atime(time);
        }
        record.set_ctime(self.now);
        self.save(&mut record)
    }
}
