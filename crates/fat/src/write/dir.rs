//! The entries of a directory: found, taken out, put in.

use super::name::{self, Stored};
use super::{FatWriter, wide};
use crate::dir::{Found, Reader, Step, checksum};
use crate::layout::{DELETED, ENTRY, LAST_LONG, Long, Short, attr};
use crate::volume::{MOST_DIR, Place, ROOT};
use h2k_block::{Class, Error, Meter, Result};
use h2k_fs::{Name, Node};
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use zerocopy::{FromBytes, IntoBytes};

type Slot = [u8; ENTRY];

/// All slots of a directory: where each lies, and what it holds.
struct Slots {
    all: Vec<(u64, Slot)>,
}

impl Slots {
    /// The first of `count` free slots that follow each other, or how many are free at the end.
    fn room(&self, count: usize) -> std::result::Result<usize, usize> {
        let (mut from, mut ended) = (0, false);
        for (i, (_, slot)) in self.all.iter().enumerate() {
            let [first, ..] = slot;
            // From an entry 0 on, nothing was ever written.
            ended |= *first == 0;
            if !ended && *first != DELETED {
                from = i.saturating_add(1);
            }
            if i.saturating_add(1).saturating_sub(from) >= count {
                return Ok(from);
            }
        }
        Err(self.all.len().saturating_sub(from))
    }

    /// Whether nothing was ever written behind slot `n`, as far as slots before it say.
    fn ended_before(&self, n: usize) -> bool {
        self.all.iter().take(n).any(|(_, slot)| matches!(slot, [0, ..]))
    }
}

impl FatWriter {
    fn slots(&self, dir: Node) -> Result<Slots> {
        let mut all = Vec::new();
        let mut meter = Meter::new(self.fs.clusters.limits);
        let mut take = |at: u64, len: u64| -> Result<()> {
            let mut bytes = meter.buffer(len, "directory")?;
            self.over.read_at(at, &mut bytes)?;
            let mut here = at;
            for slot in bytes.as_chunks::<ENTRY>().0 {
                all.push((here, *slot));
                here = here.saturating_add(wide(ENTRY));
            }
            Ok(())
        };
        match self.fs.place(dir)? {
            Place::Fixed(at, len) => take(at, len)?,
            Place::Chain(chain) => {
                for run in chain.runs() {
                    take(
                        self.fs.clusters.byte(run.first),
                        u64::from(run.count) << self.fs.clusters.bits,
                    )?;
                }
            }
        }
        Ok(Slots { all })
    }

    /// The first cluster of a directory as `..` has it: 0 for the root.
    pub(super) fn first_of(&self, dir: Node) -> Result<u32> {
        if dir == ROOT {
            return Ok(0);
        }
        let short = self.fs.short(dir)?;
        if short.attributes & attr::DIRECTORY == 0 {
            let what = format!("node {} is not a directory", dir.0);
            return Err(Error::new(Class::Invalid, what));
        }
        self.dir_cluster(&short, dir.0)
    }

    /// The first cluster of a directory by its entry, which lies at `at`.
    pub(super) fn dir_cluster(&self, short: &Short, at: u64) -> Result<u32> {
        let first = self.cluster(short);
        if self.fs.clusters.has(first) && !self.is_root(first) {
            return Ok(first);
        }
        let what = format!("is a directory that begins in cluster {first}");
        Err(Error::corrupt("directory entry", at, what))
    }

    /// Whether an empty directory is what lies at `dir`.
    pub(super) fn is_empty(&self, dir: Node) -> Result<()> {
        let mut empty = true;
        self.fs.entries(dir, &mut |step| match step {
            Step::Name(_) => {
                empty = false;
                ControlFlow::Break(())
            }
            _ => ControlFlow::Continue(()),
        })?;
        if empty {
            return Ok(());
        }
        Err(Error::new(Class::Exists, "the directory is not empty"))
    }

    /// Takes the entry at byte `at` out of `dir`, with its long name.
    pub(super) fn strike(&mut self, dir: Node, at: u64) -> Result<()> {
        let slots = self.slots(dir)?;
        let Some(n) = slots.all.iter().position(|(place, _)| *place == at) else {
            return Err(Error::new(Class::Invalid, "an entry is not in its directory"));
        };
        let (before, entry) = slots.all.split_at_checked(n).unwrap_or_default();
        let name = entry.first().and_then(|(_, slot)| slot.first_chunk::<11>());
        let sum = name.map(checksum).unwrap_or_default();
        self.put(at, &[DELETED])?;
        self.moved.push((at, false));
        for ((place, slot), order) in before.iter().rev().zip(1..) {
            let Ok(long) = Long::read_from_bytes(slot) else {
                break;
            };
            let ours = long.attributes & attr::LONG_MASK == attr::LONG
                && long.order & !LAST_LONG == order
                && long.checksum == sum;
            if !ours {
                break;
            }
            self.put(*place, &[DELETED])?;
            if long.order & LAST_LONG != 0 {
                break;
            }
        }
        Ok(())
    }

    /// Puts `short` into `dir` under another name; answers with its place.
    pub(super) fn insert(&mut self, dir: Node, name: &Name, mut short: Short) -> Result<Node> {
        let units = name::check(name)?;
        let mut slots = self.slots(dir)?;
        let Stored {
            short: stored,
            case,
            mut pieces,
        } = {
            let (shorts, longs) = names(&slots);
            name::stored(&units, |s| shorts.contains(s) || longs.contains(&as_shown(s)))?
        };
        short.name = stored;
        // Other bits of this byte are not ours.
        short.case = short.case & !0x18 | case;
        let mut last = [0; ENTRY];
        last.copy_from_slice(short.as_bytes());
        pieces.push(last);
        let count = pieces.len();
        let from = match slots.room(count) {
            Ok(from) => from,
            Err(free) => {
                let from = slots.all.len().saturating_sub(free);
                self.grow(dir, &mut slots, count.saturating_sub(free))?;
                from
            }
        };
        let after = from.saturating_add(count);
        // What lies behind the end of a directory must not come to light.
        if slots.ended_before(after)
            && let Some((at, slot)) = slots.all.get(after)
            && !matches!(slot, [0, ..])
        {
            let at = *at;
            self.put(at, &[0])?;
        }
        let places = slots.all.get(from..after).unwrap_or_default();
        for ((at, _), bytes) in places.iter().zip(&pieces) {
            self.put(*at, bytes)?;
        }
        let at = places.last().map(|(at, _)| *at).unwrap_or_default();
        self.moved.push((at, true));
        // Pieces that lie before the entry by chance would give it another name.
        match self.fs.find(dir, name)? {
            Some(found) if found.at == at => Ok(Node(at)),
            _ => Err(Error::corrupt(
                "directory entry",
                at,
                "cannot be found again: the directory is damaged around it",
            )),
        }
    }

    /// Gives a directory room for `more` entries.
    fn grow(&mut self, dir: Node, slots: &mut Slots, more: usize) -> Result<()> {
        let Place::Chain(_) = self.fs.place(dir)? else {
            let what = format!("the root directory has room for {} entries", slots.all.len());
            return Err(Error::new(Class::NoSpace, what));
        };
        let first = match dir {
            ROOT => self.root_cluster().unwrap_or_default(),
            _ => self.first_of(dir)?,
        };
        let most = self.fs.clusters.needed(MOST_DIR);
        let mut chain = self
            .fs
            .clusters
            .walk(first, crate::clusters::Want::AtMost(most))?;
        let need = self.fs.clusters.needed(wide(more.saturating_mul(ENTRY)));
        let had = chain.clusters;
        if had.saturating_add(need) > most {
            return Err(Error::new(
                Class::Limit,
                "a directory can have 65,536 entries and no more",
            ));
        }
        self.extend(&mut chain, need)?;
        let bits = self.fs.clusters.bits;
        let (start, end) = (u64::from(had) << bits, u64::from(chain.clusters) << bits);
        self.clear_fresh(&chain, start, end)?;
        let mut offset = start;
        while offset < end {
            let (at, _) = self.fs.clusters.place(&chain, offset).unwrap_or_default();
            slots.all.push((at, [0; ENTRY]));
            offset = offset.saturating_add(wide(ENTRY));
        }
        Ok(())
    }

    /// Makes a directory in a cluster of its own, whose parent begins in cluster `parent`.
    pub(super) fn lay_dir(&mut self, mut short: Short, parent: u32) -> Result<u32> {
        let mut chain = crate::clusters::Chain::default();
        self.extend(&mut chain, 1)?;
        let first = chain.first();
        self.clear_fresh(&chain, 0, 1 << self.fs.clusters.bits)?;
        let at = self.fs.clusters.byte(first);
        for (n, (name, cluster)) in [(b".          ", first), (b"..         ", parent)]
            .into_iter()
            .enumerate()
        {
            short.name = *name;
            self.set_cluster(&mut short, cluster);
            let at = at.saturating_add(wide(n.saturating_mul(ENTRY)));
            self.over.write_at(at, short.as_bytes())?;
        }
        Ok(first)
    }

    /// The place of `..` in the directory that begins in cluster `first`, and the cluster it leads to; 0 is the root.
    pub(super) fn parent(&self, first: u32) -> Result<(u64, u32)> {
        let at = self.fs.clusters.byte(first).saturating_add(wide(ENTRY));
        let mut bytes = [0; ENTRY];
        self.over.read_at(at, &mut bytes)?;
        let short = Short::read_from_bytes(&bytes).ok();
        let short = short.filter(|s| s.name == *b"..         " && s.attributes & attr::DIRECTORY != 0);
        let Some(short) = short else {
            let what = format!("the directory in cluster {first} has no entry \"..\"");
            return Err(Error::corrupt("directory entry", at, what));
        };
        let parent = self.cluster(&short);
        if parent == 0 || self.is_root(parent) {
            return Ok((at, 0));
        }
        if self.fs.clusters.has(parent) {
            return Ok((at, parent));
        }
        let what = format!("\"..\" leads to cluster {parent}");
        Err(Error::corrupt("directory entry", at, what))
    }

    pub(super) fn set_parent(&mut self, first: u32, parent: u32) -> Result<()> {
        let (at, _) = self.parent(first)?;
        let mut bytes = [0; ENTRY];
        self.over.read_at(at, &mut bytes)?;
        if let Ok(mut short) = Short::read_from_bytes(&bytes) {
            self.set_cluster(&mut short, parent);
            self.put(at, short.as_bytes())?;
        }
        Ok(())
    }
}

/// The short names in a directory, and its long names in upper case.
fn names(slots: &Slots) -> (BTreeSet<[u8; 11]>, BTreeSet<Vec<u16>>) {
    let (mut shorts, mut longs) = (BTreeSet::new(), BTreeSet::new());
    let mut reader = Reader::default();
    for (at, slot) in &slots.all {
        match reader.step(*at, slot) {
            Step::End => break,
            Step::Name(Found { short, long, .. }) => {
                shorts.insert(short.name);
                // Longer ones cannot be a short name.
                if let Some(long) = long.filter(|l| l.len() <= 12) {
                    longs.insert(long.into_iter().map(crate::oem::up).collect());
                }
            }
            _ => {}
        }
    }
    (shorts, longs)
}

/// A short name of ASCII with its dot.
fn as_shown(short: &[u8; 11]) -> Vec<u16> {
    let (base, extension) = short.split_at(8);
    let part = |part: &[u8]| -> Vec<u16> { part.trim_ascii_end().iter().map(|b| u16::from(*b)).collect() };
    let (mut name, extension) = (part(base), part(extension));
    if !extension.is_empty() {
        name.push(u16::from(b'.'));
        name.extend(extension);
    }
    name
}

impl FatWriter {
    /// The first cluster of FAT32's root.
    fn root_cluster(&self) -> Option<u32> {
        match self.fs.geometry.root {
            crate::boot::Root::Cluster(first) => Some(first),
            crate::boot::Root::Fixed { .. } => None,
        }
    }

    fn is_root(&self, cluster: u32) -> bool {
        self.root_cluster() == Some(cluster)
    }

    /// The first cluster an entry leads to.
    pub(super) fn cluster(&self, short: &Short) -> u32 {
        crate::dir::cluster(short, self.fs.fat32())
    }

    pub(super) fn set_cluster(&self, short: &mut Short, cluster: u32) {
        let [a, b, c, d] = cluster.to_le_bytes();
        short.cluster_low = u16::from_le_bytes([a, b]).into();
        if self.fs.fat32() {
            short.cluster_high = u16::from_le_bytes([c, d]).into();
        }
    }
}
