//! Times and the read-only attribute; and what FAT has no place for.

use super::FatWriter;
use crate::layout::{Short, attr};
use crate::time::{self, Dos};
use crate::volume::ROOT;
use h2k_block::{Class, Error, Result};
use h2k_fs::{Attributes, Name, Node, Time};
use zerocopy::IntoBytes;

/// Bits of a mode that let somebody write.
const WRITABLE: u16 = 0o222;

/// Marks a file read-only if its mode lets nobody write.
pub(super) fn set_mode(short: &mut Short, mode: u16) {
    if short.attributes & attr::DIRECTORY != 0 {
        // There, Windows takes the bit for something else.
        return;
    }
    if mode & WRITABLE == 0 {
        short.attributes |= attr::READ_ONLY;
    } else {
        short.attributes &= !attr::READ_ONLY;
    }
}

pub(super) fn set_modified(short: &mut Short, time: Time) {
    let Dos { date, time, .. } = time::dos(time);
    short.modified_date = date.into();
    short.modified_time = time.into();
}

pub(super) fn set_accessed(short: &mut Short, time: Time) {
    short.accessed_date = time::dos(time).date.into();
}

pub(super) fn set_created(short: &mut Short, time: Time) {
    let Dos { date, time, tenth } = time::dos(time);
    short.created_date = date.into();
    short.created_time = time.into();
    short.created_tenth = tenth;
}

impl FatWriter {
    /// Changes the entry behind `node`.
    pub(super) fn edit(&mut self, node: Node, edit: impl FnOnce(&mut Short)) -> Result<()> {
        let mut short = self.fs.short(node)?;
        edit(&mut short);
        self.put(node.0, short.as_bytes())
    }

    /// Names in a directory changed.
    pub(super) fn touch(&mut self, dir: Node) -> Result<()> {
        if dir == ROOT {
            return Ok(());
        }
        let now = self.now;
        self.edit(dir, |short| set_modified(short, now))
    }

    pub(super) fn change_attributes(&mut self, node: Node, to: &Attributes) -> Result<()> {
        if to.uid.is_some() || to.gid.is_some() {
            return Err(Error::unsupported("FAT keeps no owners"));
        }
        if node == ROOT {
            return Err(Error::unsupported(
                "FAT keeps no attributes and no times of its root directory",
            ));
        }
        self.edit(node, |short| {
            if let Some(mode) = to.mode {
                set_mode(short, mode);
            }
            if let Some(time) = to.modified {
                set_modified(short, time);
            }
            if let Some(time) = to.accessed {
                set_accessed(short, time);
            }
        })
    }

    pub(super) fn change_xattr(&mut self, node: Node, _name: &[u8], _value: Option<&[u8]>) -> Result<()> {
        self.exists(node)?;
        Err(Error::unsupported("FAT keeps no extended attributes"))
    }

    pub(super) fn make_link(&mut self, dir: Node, _name: &Name, _target: &[u8]) -> Result<Node> {
        self.exists(dir)?;
        Err(Error::unsupported("FAT has no symbolic links"))
    }

    pub(super) fn one_more_name(&mut self, _dir: Node, _name: &Name, node: Node) -> Result<()> {
        self.exists(node)?;
        Err(Error::unsupported("FAT has no hard links"))
    }

    fn exists(&self, node: Node) -> Result<()> {
        if node != ROOT {
            self.fs.short(node)?;
        }
        Ok(())
    }

    /// What `node` is, if it is a file.
    pub(super) fn file(&self, node: Node) -> Result<Short> {
        if node != ROOT {
            let short = self.fs.short(node)?;
            if short.attributes & attr::DIRECTORY == 0 {
                return Ok(short);
            }
        }
        let what = format!("node {} is not a regular file", node.0);
        Err(Error::new(Class::Invalid, what))
    }
}
