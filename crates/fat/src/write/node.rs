//! Names and what they stand for: made, moved, removed.

use super::attrs::{set_accessed, set_created, set_mode, set_modified};
use super::{FatWriter, name};
use crate::dir::Found;
use crate::layout::{Short, attr};
use h2k_block::{Class, Error, Meter, Result};
use h2k_fs::{Name, Node};
use zerocopy::{FromZeros, IntoBytes};

fn shown(name: &Name) -> String {
    format!("{:?}", String::from_utf8_lossy(name))
}

fn wrong(what: impl Into<String>) -> Error {
    Error::new(Class::Invalid, what)
}

fn is_dir(found: &Found) -> bool {
    found.short.attributes & attr::DIRECTORY != 0
}

impl FatWriter {
    /// An entry without a name.
    fn blank(&self, attributes: u8) -> Short {
        let mut short = Short::new_zeroed();
        short.attributes = attributes;
        set_created(&mut short, self.now);
        set_modified(&mut short, self.now);
        set_accessed(&mut short, self.now);
        short
    }

    /// Refuses names that cannot be or are taken.
    fn free_name(&self, dir: Node, name: &Name) -> Result<()> {
        name::check(name)?;
        self.first_of(dir)?;
        match self.fs.find(dir, name)? {
            Some(_) => Err(Error::new(
                Class::Exists,
                format!("{} exists already", shown(name)),
            )),
            None => Ok(()),
        }
    }

    fn named(&self, dir: Node, name: &Name) -> Result<Found> {
        self.first_of(dir)?;
        let found = self.fs.find(dir, name)?;
        found.ok_or_else(|| Error::new(Class::NotFound, format!("there is no {}", shown(name))))
    }

    pub(super) fn make_file(&mut self, dir: Node, name: &Name, mode: u16) -> Result<Node> {
        self.free_name(dir, name)?;
        let mut short = self.blank(attr::ARCHIVE);
        set_mode(&mut short, mode);
        let made = self.insert(dir, name, short)?;
        self.touch(dir)?;
        Ok(made)
    }

    pub(super) fn make_dir(&mut self, dir: Node, name: &Name, _mode: u16) -> Result<Node> {
        self.free_name(dir, name)?;
        let mut short = self.blank(attr::DIRECTORY);
        let first = self.lay_dir(short, self.first_of(dir)?)?;
        self.set_cluster(&mut short, first);
        let made = self.insert(dir, name, short)?;
        self.touch(dir)?;
        Ok(made)
    }

    pub(super) fn remove_name(&mut self, dir: Node, name: &Name) -> Result<()> {
        let found = self.named(dir, name)?;
        if is_dir(&found) {
            return Err(wrong(format!("{} is a directory", shown(name))));
        }
        self.strike(dir, found.at)?;
        self.bury(&found)?;
        self.touch(dir)
    }

    pub(super) fn remove_dir(&mut self, dir: Node, name: &Name) -> Result<()> {
        let found = self.named(dir, name)?;
        if !is_dir(&found) {
            return Err(wrong(format!("{} is no directory", shown(name))));
        }
        self.spare(&found, &[dir])?;
        self.is_empty(Node(found.at))?;
        self.strike(dir, found.at)?;
        self.bury(&found)?;
        self.touch(dir)
    }

    /// Refuses to do away with a directory that is one of `dirs` by another name.
    fn spare(&self, found: &Found, dirs: &[Node]) -> Result<()> {
        let first = self.dir_cluster(&found.short, found.at)?;
        for dir in dirs {
            if self.first_of(*dir)? == first {
                let what = "is a directory inside itself";
                return Err(Error::corrupt("directory entry", found.at, what));
            }
        }
        Ok(())
    }

    /// Gives back the clusters of something that has no name any more.
    fn bury(&mut self, found: &Found) -> Result<()> {
        let mut chain = self.chain_of(&found.short, found.at)?;
        self.shorten(&mut chain, 0)
    }

    /// Whether the directory that begins in cluster `inner` is the one in cluster `outer` or lies below it.
    fn lies_in(&self, outer: u32, inner: u32) -> Result<bool> {
        let mut meter = Meter::new(self.fs.clusters.limits);
        let mut here = inner;
        while here != 0 {
            if here == outer {
                return Ok(true);
            }
            meter.step("directory")?;
            (_, here) = self.parent(here)?;
        }
        Ok(false)
    }

    pub(super) fn move_name(&mut self, from: Node, name: &Name, to: Node, new: &Name) -> Result<()> {
        let source = self.named(from, name)?;
        name::check(new)?;
        let target = self.first_of(to)?;
        let old = self.fs.find(to, new)?;
        let mut here = None;
        if is_dir(&source) {
            let first = self.dir_cluster(&source.short, source.at)?;
            if self.lies_in(first, target)? {
                return Err(wrong("a directory cannot be moved into itself"));
            }
            here = Some(first);
        }
        match old {
            Some(old) if old.at == source.at && source.name() == new => return Ok(()),
            // Another spelling of its own name.
            Some(old) if old.at == source.at => self.carry(from, &source, to, new)?,
            Some(old) => {
                if is_dir(&old) != here.is_some() {
                    return Err(wrong(
                        "a directory replaces a directory only, and a file a file only",
                    ));
                }
                if here.is_some() {
                    self.is_empty(Node(old.at))?;
                    self.spare(&old, &[from, to])?;
                }
                self.take_over(from, &source, to, new, &old)?;
            }
            None => self.carry(from, &source, to, new)?,
        }
        if let Some(first) = here {
            self.set_parent(first, target)?;
        }
        self.touch(from)?;
        self.touch(to)
    }

    /// Moves an entry to a name that is free.
    fn carry(&mut self, from: Node, source: &Found, to: Node, new: &Name) -> Result<()> {
        self.strike(from, source.at)?;
        self.insert(to, new, source.short).map(drop)
    }

    /// Moves an entry to the place of another one, which goes. Its short name stays if the name is spelled alike.
    fn take_over(&mut self, from: Node, source: &Found, to: Node, new: &Name, old: &Found) -> Result<()> {
        if old.name() == new {
            let mut short = source.short;
            short.name = old.short.name;
            short.case = old.short.case;
            self.put(old.at, short.as_bytes())?;
            self.strike(from, source.at)?;
        } else {
            self.strike(to, old.at)?;
            self.carry(from, source, to, new)?;
        }
        self.bury(old)
    }
}
