//! Directories: the index `$I30` of file names, a B-tree in the record and in index blocks.

use crate::attribute::{Attribute, Body};
use crate::layout::{REFERENCE, kind, le16, le32, le64};
use crate::names::{self, UpCase};
use crate::record::{File, fix_up};
use crate::stream;
use crate::volume::Volume;
use h2k_block::{Error, Meter, Result};
use std::cmp::Ordering;
use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::Arc;

/// Namespace of names made for DOS: each stands beside a longer one.
const DOS: u8 = 2;
const SUBNODE: u16 = 1;
const LAST: u16 = 2;

/// A name in a directory.
pub(crate) struct Name {
    pub(crate) units: Vec<u16>,
    pub(crate) record: u64,
    /// Whether the entry says it is a directory.
    pub(crate) directory: bool,
    /// Whether the entry says it has a reparse point or is a system file: then only the record tells what it is.
    pub(crate) reparse: bool,
    dos: bool,
}

fn i30() -> Vec<u16> {
    "$I30".encode_utf16().collect()
}

struct Index<'a> {
    volume: &'a Volume,
    file: &'a File,
    root: &'a [u8],
    blocks: Option<&'a Attribute>,
    block: u64,
}

impl<'a> Index<'a> {
    fn open(volume: &'a Volume, file: &'a File) -> Result<Self> {
        let bad =
            |what: &str| Error::corrupt("$INDEX_ROOT", file.at, format!("record {}: {what}", file.number));
        let root = file
            .find(kind::INDEX_ROOT, &i30())
            .ok_or_else(|| bad("the directory has no index"))?;
        let Body::Resident(root) = &root.body else {
            return Err(bad("lies outside the record"));
        };
        let block = u64::from(le32(root, 8).unwrap_or(0));
        if !block.is_power_of_two() || !(512..=65536).contains(&block) {
            // Volumes with larger clusters have index blocks of one cluster.
            if block != u64::from(volume.geometry.cluster) {
                return Err(bad(&format!("index blocks of {block} bytes")));
            }
        }
        let blocks = file.find(kind::INDEX_ALLOCATION, &i30());
        Ok(Self {
            volume,
            file,
            root: root.get(16..).unwrap_or_default(),
            blocks,
            block,
        })
    }

    fn bad(&self, what: &str) -> Error {
        Error::corrupt(
            "$INDEX_ALLOCATION",
            self.file.at,
            format!("record {}: {what}", self.file.number),
        )
    }

    /// Blocks are numbered in clusters, or in 512 bytes when they are smaller than a cluster.
    fn unit(&self) -> u64 {
        let cluster = u64::from(self.volume.geometry.cluster);
        if self.block >= cluster { cluster } else { 512 }
    }

    /// The block at `vcn`, fixed up; `None` when it was never used.
    fn load(&self, vcn: u64) -> Result<Option<Arc<[u8]>>> {
        let blocks = self
            .blocks
            .ok_or_else(|| self.bad("an entry points at a block, there are none"))?;
        let at = vcn
            .checked_mul(self.unit())
            .filter(|at| at.checked_add(self.block).is_some_and(|e| e <= blocks.len()));
        let at = at.ok_or_else(|| self.bad(&format!("there is no block {vcn:#x}")))?;
        // The file's record number tells blocks of different directories apart.
        let key = self.file.number << 24 ^ vcn ^ 1 << 62;
        let block = self.volume.blocks.get(key, || {
            let mut bytes = vec![0; usize::try_from(self.block).unwrap_or(0)];
            stream::read(self.volume, blocks, at, &mut bytes)?;
            if bytes.first_chunk::<4>() == Some(&[0; 4]) {
                return Ok(Arc::from(&[][..]));
            }
            fix_up(&mut bytes, *b"INDX").map_err(|what| self.bad(&format!("block {vcn:#x}: {what}")))?;
            if le64(&bytes, 16) != Some(vcn) {
                return Err(self.bad(&format!("block {vcn:#x} says it is another one")));
            }
            Ok(Arc::from(bytes))
        })?;
        Ok((!block.is_empty()).then_some(block))
    }

    /// Shows the entries of a node: name (none for the last entry) and the block below it.
    fn node(
        &self,
        node: &[u8],
        each: &mut dyn FnMut(Option<Name>, Option<u64>) -> ControlFlow<()>,
    ) -> Result<()> {
        let mut at = usize::try_from(le32(node, 0).unwrap_or(0)).unwrap_or(usize::MAX);
        let end = usize::try_from(le32(node, 4).unwrap_or(0)).unwrap_or(usize::MAX);
        let node = node
            .get(..end)
            .ok_or_else(|| self.bad(&format!("a node says it has {end} bytes")))?;
        loop {
            let entry = node.get(at..).unwrap_or_default();
            let len = usize::from(le16(entry, 8).ok_or_else(|| self.bad("a node has no last entry"))?);
            let entry = entry.get(..len).filter(|e| e.len() >= 16);
            let entry =
                entry.ok_or_else(|| self.bad(&format!("an entry of {len} bytes does not fit its node")))?;
            let flags = le16(entry, 12).unwrap_or(0);
            let below = (flags & SUBNODE != 0)
                .then(|| le64(entry, len.saturating_sub(8)))
                .flatten();
            if flags & LAST != 0 {
                let _end = each(None, below);
                return Ok(());
            }
            let name = self.name(entry)?;
            if each(Some(name), below).is_break() {
                return Ok(());
            }
            at = at.saturating_add(len);
        }
    }

    fn name(&self, entry: &[u8]) -> Result<Name> {
        let key = entry.get(16..).unwrap_or_default();
        let (Some(len), Some(space)) = (key.get(64), key.get(65)) else {
            return Err(self.bad("an entry has no name"));
        };
        let bytes = key
            .get(66..)
            .and_then(|k| k.get(..usize::from(*len).saturating_mul(2)));
        let bytes = bytes.ok_or_else(|| self.bad("a name runs past its entry"))?;
        let units = names::units(bytes);
        if units.is_empty() || units.contains(&0) || units.contains(&u16::from(b'/')) {
            return Err(self.bad("an entry has a name that cannot be"));
        }
        Ok(Name {
            units,
            record: le64(entry, 0).unwrap_or(0) & REFERENCE,
            // FILE_ATTR_I30_INDEX_PRESENT
            directory: le32(key, 56).unwrap_or(0) & 0x1000_0000 != 0,
            // FILE_ATTRIBUTE_REPARSE_POINT, FILE_ATTRIBUTE_SYSTEM
            reparse: le32(key, 56).unwrap_or(0) & 0x404 != 0,
            dos: *space == DOS,
        })
    }
}

/// The entries of a block begin 24 bytes into it.
const BLOCK_NODE: usize = 24;

/// Shows every name of `dir` but those made for DOS, until `each` breaks.
pub(crate) fn list(volume: &Volume, dir: &File, each: &mut dyn FnMut(Name) -> ControlFlow<()>) -> Result<()> {
    let index = Index::open(volume, dir)?;
    let mut meter = Meter::new(volume.limits);
    let mut seen = HashSet::new();
    let mut todo = Vec::new();
    let mut stop = false;
    let mut visit = |node: &[u8], todo: &mut Vec<u64>| -> Result<bool> {
        index.node(node, &mut |name, below| {
            todo.extend(below);
            if let Some(name) =
                name.filter(|n| !n.dos && n.units != [u16::from(b'.')] && n.units != [u16::from(b'.'); 2])
            {
                let shown = each(name);
                stop = shown.is_break();
                return shown;
            }
            ControlFlow::Continue(())
        })?;
        Ok(stop)
    };
    if visit(index.root, &mut todo)? {
        return Ok(());
    }
    while let Some(vcn) = todo.pop() {
        meter.step("index block")?;
        if !seen.insert(vcn) {
            return Err(index.bad(&format!("block {vcn:#x} hangs below two entries")));
        }
        let Some(block) = index.load(vcn)? else { continue };
        if visit(block.get(BLOCK_NODE..).unwrap_or_default(), &mut todo)? {
            return Ok(());
        }
    }
    Ok(())
}

/// The record that `name` stands for: the exact name if there is one, else one that differs in case only.
pub(crate) fn lookup(volume: &Volume, dir: &File, name: &[u16]) -> Result<Option<u64>> {
    let index = Index::open(volume, dir)?;
    let upcase = volume.upcase()?;
    let mut meter = Meter::new(volume.limits);
    let mut seen = HashSet::new();
    let mut todo = Vec::new();
    let mut found = Found::default();
    found.search(&index, index.root, upcase, name, &mut todo)?;
    while let Some(vcn) = todo.pop() {
        if found.exact.is_some() {
            break;
        }
        meter.step("index block")?;
        if !seen.insert(vcn) {
            return Err(index.bad(&format!("block {vcn:#x} hangs below two entries")));
        }
        let Some(block) = index.load(vcn)? else { continue };
        found.search(
            &index,
            block.get(BLOCK_NODE..).unwrap_or_default(),
            upcase,
            name,
            &mut todo,
        )?;
    }
    Ok(found.exact.or(found.folded))
}

#[derive(Default)]
struct Found {
    exact: Option<u64>,
    folded: Option<u64>,
}

impl Found {
    /// Looks through a node; blocks where the name can be go to `todo`.
    fn search(
        &mut self,
        index: &Index<'_>,
        node: &[u8],
        up: &UpCase,
        name: &[u16],
        todo: &mut Vec<u64>,
    ) -> Result<()> {
        index.node(node, &mut |entry, below| {
            let order = entry
                .as_ref()
                .map_or(Ordering::Greater, |e| up.compare(&e.units, name));
            if order == Ordering::Less {
                return ControlFlow::Continue(());
            }
            todo.extend(below);
            match entry {
                Some(entry) if order == Ordering::Equal => {
                    if entry.units == name {
                        self.exact = Some(entry.record);
                        return ControlFlow::Break(());
                    }
                    self.folded.get_or_insert(entry.record);
                    ControlFlow::Continue(())
                }
                _ => ControlFlow::Break(()),
            }
        })
    }
}
