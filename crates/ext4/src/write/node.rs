//! Names and the inodes they stand for: made, moved, removed.

use super::Ext4Writer;
use super::dir::Named;
use super::inode::Record;
use super::map::Map;
use super::raw::{put, wide};
use crate::feature::ro_compat;
use crate::inode::Inode;
use crate::layout::{ROOT_INO, inode_flag};
use h2k_block::{Class, Error, Result};
use h2k_fs::{FileKind, Name, Node, check_name};

/// `ro_compat`: directories may have more subdirectories than a link count can say.
const DIR_NLINK: u32 = 0x20;
/// Most names of one inode.
const LINKS_MAX: u16 = 65_000;
/// The same, by the rules of ext2 and ext3.
const OLD_LINKS_MAX: u16 = 32_000;

fn shown(name: &Name) -> String {
    format!("{:?}", String::from_utf8_lossy(name))
}

fn kind_of(inode: &Inode) -> Result<FileKind> {
    inode
        .kind()
        .ok_or_else(|| inode.corrupt(format!("mode {:#o} is no kind of file", inode.mode)))
}

impl Ext4Writer {
    fn links_max(&self) -> u16 {
        if self.fs.geo.has_ro(DIR_NLINK) || self.fs.geo.has_ro(ro_compat::METADATA_CSUM | ro_compat::GDT_CSUM)
        {
            LINKS_MAX
        } else {
            OLD_LINKS_MAX
        }
    }

    /// A directory in which a name is free.
    fn free_name(&self, dir: Node, name: &Name) -> Result<Inode> {
        check_name(name)?;
        let dir = self.writable_dir(dir)?;
        if self.fs.find_name(&dir, name)?.is_some() {
            return Err(Error::new(
                Class::Exists,
                format!("{} exists already", shown(name)),
            ));
        }
        Ok(dir)
    }

    /// A directory, and what a name in it stands for.
    fn named(&self, dir: Node, name: &Name) -> Result<(Inode, Inode)> {
        check_name(name)?;
        let dir = self.writable_dir(dir)?;
        match self.fs.find_name(&dir, name)? {
            Some(number) => {
                let inode = self.fs.inode(Node(u64::from(number)))?;
                self.check_writable(&inode)?;
                Ok((dir, inode))
            }
            None => Err(Error::new(
                Class::NotFound,
                format!("there is no {}", shown(name)),
            )),
        }
    }

    /// Names in a directory changed.
    fn touch_dir(&mut self, number: u32) -> Result<()> {
        let mut record = self.record(&self.fs.any_inode(number)?);
        record.set_mtime(self.now);
        record.set_ctime(self.now);
        self.save(&mut record)
    }

    /// One subdirectory more: its `..` is a name of this one.
    fn more_links(&mut self, number: u32) -> Result<()> {
        let dir = self.fs.any_inode(number)?;
        let mut record = self.record(&dir);
        let links = record.links();
        // One link means that they are not counted any more (dir_nlink).
        if links == 1 {
            return Ok(());
        }
        if links < self.links_max() {
            record.set_links(links.saturating_add(1));
        } else if self.fs.geo.has_ro(DIR_NLINK) && dir.has(inode_flag::INDEX) {
            record.set_links(1);
        } else {
            return Err(Error::new(
                Class::Limit,
                format!("directory inode {number} cannot have more subdirectories"),
            ));
        }
        self.save(&mut record)
    }

    fn fewer_links(&mut self, number: u32) -> Result<()> {
        let mut record = self.record(&self.fs.any_inode(number)?);
        if record.links() > 2 {
            record.set_links(record.links().saturating_sub(1));
            self.save(&mut record)?;
        }
        Ok(())
    }

    pub(super) fn make_file(&mut self, dir: Node, name: &Name, mode: u16) -> Result<Node> {
        let dir = self.free_name(dir, name)?;
        let mut record = self.new_inode(dir.number, FileKind::File, mode)?;
        self.save(&mut record)?;
        self.enter(&dir, name, &record, FileKind::File)
    }

    pub(super) fn make_dir(&mut self, dir: Node, name: &Name, mode: u16) -> Result<Node> {
        let dir = self.free_name(dir, name)?;
        self.more_links(dir.number)?;
        let mut record = self.new_inode(dir.number, FileKind::Dir, mode)?;
        record.set_links(2);
        self.save(&mut record)?;
        self.new_dir(&mut record, dir.number)?;
        self.enter(&dir, name, &record, FileKind::Dir)
    }

    pub(super) fn make_link(&mut self, dir: Node, name: &Name, target: &[u8]) -> Result<Node> {
        let dir = self.free_name(dir, name)?;
        let most = self.block_size().saturating_sub(1).min(4095);
        if target.is_empty() || target.len() > most || target.contains(&0) {
            return Err(Error::new(
                Class::Invalid,
                format!("no link can point to {} ({} bytes)", shown(target), target.len()),
            ));
        }
        let mut record = self.new_inode(dir.number, FileKind::Link, 0o777)?;
        if target.len() < 60 {
            record.set_flag(inode_flag::EXTENTS, false);
            record.set_area(target);
        } else {
            let mut map = Map::default();
            self.lay_out(&record, &mut map, target)?;
            self.store_map(&mut record, &mut map)?;
        }
        record.set_size(wide(target.len()));
        self.save(&mut record)?;
        self.enter(&dir, name, &record, FileKind::Link)
    }

    fn enter(&mut self, dir: &Inode, name: &Name, record: &Record, kind: FileKind) -> Result<Node> {
        let named = Named {
            name,
            inode: record.number,
            kind,
        };
        self.add_entry(dir.number, named)?;
        self.touch_dir(dir.number)?;
        Ok(Node(u64::from(record.number)))
    }

    pub(super) fn one_more_name(&mut self, dir: Node, name: &Name, node: Node) -> Result<()> {
        let dir = self.free_name(dir, name)?;
        let inode = self.writable(node)?;
        let kind = kind_of(&inode)?;
        if kind == FileKind::Dir {
            return Err(Error::new(Class::Invalid, "a directory has one name only"));
        }
        let mut record = self.record(&inode);
        if record.links() >= self.links_max() {
            return Err(Error::new(
                Class::Limit,
                format!("inode {} cannot have more names", inode.number),
            ));
        }
        record.set_links(record.links().saturating_add(1));
        record.set_ctime(self.now);
        self.save(&mut record)?;
        let named = Named {
            name,
            inode: inode.number,
            kind,
        };
        self.add_entry(dir.number, named)?;
        self.touch_dir(dir.number)
    }

    pub(super) fn remove_name(&mut self, dir: Node, name: &Name) -> Result<()> {
        let (dir, inode) = self.named(dir, name)?;
        if kind_of(&inode)? == FileKind::Dir {
            return Err(Error::new(
                Class::Invalid,
                format!("{} is a directory", shown(name)),
            ));
        }
        self.remove_entry(dir.number, name)?;
        self.touch_dir(dir.number)?;
        self.unname(&inode)
    }

    pub(super) fn remove_dir(&mut self, dir: Node, name: &Name) -> Result<()> {
        let (dir, inode) = self.named(dir, name)?;
        if kind_of(&inode)? != FileKind::Dir {
            return Err(Error::new(
                Class::Invalid,
                format!("{} is no directory", shown(name)),
            ));
        }
        if inode.number == ROOT_INO || inode.number == dir.number {
            return Err(inode.corrupt("is a directory inside itself"));
        }
        self.is_empty(&inode)?;
        self.remove_entry(dir.number, name)?;
        self.fewer_links(dir.number)?;
        self.touch_dir(dir.number)?;
        self.bury(&inode)
    }

    /// Takes one name away from something that is no directory.
    fn unname(&mut self, inode: &Inode) -> Result<()> {
        let inode = self.fs.any_inode(inode.number)?;
        if inode.links <= 1 {
            return self.bury(&inode);
        }
        let mut record = self.record(&inode);
        record.set_links(record.links().saturating_sub(1));
        record.set_ctime(self.now);
        self.save(&mut record)
    }

    /// Gives back an inode and all that belongs to it.
    pub(super) fn bury(&mut self, inode: &Inode) -> Result<()> {
        self.drop_xattrs(inode)?;
        let Map { pieces, nodes, .. } = self.map_of(inode)?;
        self.release_pieces(&pieces, &Map::default())?;
        for node in nodes {
            self.release(node, 1)?;
        }
        let mut record = self.record(inode);
        self.drop_inode(&mut record, inode.kind() == Some(FileKind::Dir))
    }

    /// Whether directory `inner` is `outer` or lies below it.
    fn lies_in(&self, outer: u32, inner: u32) -> Result<bool> {
        let mut meter = self.fs.meter();
        let mut here = inner;
        loop {
            meter.steps(16, "directory")?;
            if here == outer {
                return Ok(true);
            }
            if here == ROOT_INO {
                return Ok(false);
            }
            let dir = self.fs.directory(Node(u64::from(here)))?;
            here = self.parent(&dir)?;
        }
    }

    pub(super) fn move_name(&mut self, from: Node, name: &Name, to: Node, new: &Name) -> Result<()> {
        let (source, inode) = self.named(from, name)?;
        check_name(new)?;
        let target = self.writable_dir(to)?;
        let old = self.fs.find_name(&target, new)?;
        if old == Some(inode.number) {
            return Ok(());
        }
        let kind = kind_of(&inode)?;
        let is_dir = kind == FileKind::Dir;
        let moves = is_dir && source.number != target.number;
        if is_dir && self.lies_in(inode.number, target.number)? {
            return Err(Error::new(
                Class::Invalid,
                "a directory cannot be moved into itself",
            ));
        }
        let named = Named {
            name: new,
            inode: inode.number,
            kind,
        };
        if let Some(old) = old {
            let old = self.writable(Node(u64::from(old)))?;
            let old_is_dir = kind_of(&old)? == FileKind::Dir;
            if old_is_dir != is_dir {
                return Err(Error::new(
                    Class::Invalid,
                    "a directory replaces a directory only, and anything else anything else",
                ));
            }
            if is_dir {
                self.is_empty(&old)?;
                if old.number == ROOT_INO || old.number == source.number || old.number == target.number {
                    return Err(old.corrupt("is a directory inside itself"));
                }
            }
            self.point_entry(target.number, named)?;
            self.remove_entry(source.number, name)?;
            if is_dir {
                self.fewer_links(target.number)?;
                self.bury(&old)?;
            } else {
                self.unname(&old)?;
            }
        } else {
            self.add_entry(target.number, named)?;
            self.remove_entry(source.number, name)?;
        }
        if moves {
            self.set_parent(inode.number, target.number)?;
            self.fewer_links(source.number)?;
            self.more_links(target.number)?;
        }
        let mut record = self.record(&self.fs.any_inode(inode.number)?);
        record.set_ctime(self.now);
        self.save(&mut record)?;
        self.touch_dir(source.number)?;
        self.touch_dir(target.number)
    }

    /// Changes some bytes of a block.
    pub(super) fn patch_block(&mut self, block: u64, at: usize, bytes: &[u8]) -> Result<()> {
        let mut held = self.get(block, "block")?;
        put(&mut held, at, bytes);
        self.put(block, &held)
    }
}
