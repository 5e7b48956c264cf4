//! Directories, and what their entries claim.

use super::Check;
use super::names::Pieces;
use crate::boot::Root;
use crate::clusters::Chain;
use crate::dir::{Found, checksum, cluster};
use crate::layout::{DELETED, ENTRY, Short, attr};
use crate::volume::MOST_DIR;
use h2k_block::{Error, Result};
use std::collections::BTreeSet;
use zerocopy::FromBytes;

const DIR: &str = "directory entry";
/// Memory of a short name that was seen, and of a directory to be looked into.
const SEEN: u64 = 64;
const DOT: &[u8; 11] = b".          ";
const DOTDOT: &[u8; 11] = b"..         ";

/// A directory whose entries are to be looked at.
struct Dir {
    /// Where its entries lie, as bytes and length.
    places: Vec<(u64, u64)>,
    /// Its first cluster; 0 for the root, as its children call it.
    first: u32,
    /// The first cluster of the one above.
    above: u32,
    is_root: bool,
}

/// What was seen in a directory so far.
#[derive(Default)]
struct Seen {
    names: BTreeSet<[u8; 11]>,
    label: Option<[u8; 11]>,
    pieces: Pieces,
    entries: u64,
}

impl Check {
    pub(super) fn directories(&mut self) -> Result<()> {
        let root = match self.geometry.root {
            Root::Fixed { at, len } => vec![(at, len)],
            Root::Cluster(first) => {
                let chain = self.claim(first, 0, &|| "the root directory".to_owned())?;
                self.places(&chain)
            }
        };
        let mut waiting = vec![Dir {
            places: root,
            first: 0,
            above: 0,
            is_root: true,
        }];
        while let Some(dir) = waiting.pop() {
            self.directory(&dir, &mut waiting)?;
        }
        Ok(())
    }

    fn places(&self, chain: &Chain) -> Vec<(u64, u64)> {
        let runs = chain.runs().iter();
        runs.map(|run| {
            let len = u64::from(run.count) << self.geometry.cluster_bits;
            (self.clusters.byte(run.first), len)
        })
        .collect()
    }

    fn directory(&mut self, dir: &Dir, waiting: &mut Vec<Dir>) -> Result<()> {
        let mut seen = Seen::default();
        let (mut ended, mut told) = (false, false);
        for (from, len) in &dir.places {
            let mut at = *from;
            let end = from.saturating_add(*len);
            while at < end {
                self.meter.step("directory entry")?;
                let mut bytes = [0; ENTRY];
                if !self.there(at, &mut bytes)? {
                    return Ok(());
                }
                let [first, ..] = bytes;
                // A zero ends a directory (section 6.1), and not every driver stops there: what lies behind it counts.
                if ended && !told && first != 0 && first != DELETED {
                    self.odd(DIR, at, || "an entry behind the end of its directory".to_owned());
                    told = true;
                }
                ended |= first == 0;
                self.entry(dir, at, &bytes, &mut seen, waiting)?;
                seen.entries = seen.entries.saturating_add(1);
                at = at.saturating_add(32);
            }
        }
        self.loose(&mut seen.pieces);
        self.label(dir, seen.label);
        Ok(())
    }

    /// Reads an entry; what lies behind the end of a volume that is cut off has been told of.
    fn there(&self, at: u64, bytes: &mut [u8; ENTRY]) -> Result<bool> {
        let end = at.saturating_add(32);
        if end > self.disk.len() {
            return Ok(false);
        }
        self.disk.read_at(at, bytes)?;
        Ok(true)
    }

    fn entry(
        &mut self,
        dir: &Dir,
        at: u64,
        bytes: &[u8; ENTRY],
        seen: &mut Seen,
        waiting: &mut Vec<Dir>,
    ) -> Result<()> {
        let short = Short::read_from_bytes(bytes).map_err(|_| Error::corrupt(DIR, at, "is too short"))?;
        let used = !matches!(short.name, [0 | DELETED, ..]);
        self.dots(dir, at, used.then_some(&short), seen.entries);
        if !used {
            self.loose(&mut seen.pieces);
            return Ok(());
        }
        if short.attributes & attr::LONG_MASK == attr::LONG {
            if let Some(why) = seen.pieces.take(at, bytes) {
                self.odd("long name", at, || why.to_owned());
            }
            return Ok(());
        }
        if !dir.is_root && seen.entries < 2 && (short.name == *DOT || short.name == *DOTDOT) {
            return Ok(());
        }
        if let Some((piece, why)) = seen.pieces.end(checksum(&short.name)) {
            self.odd("long name", piece, || why.to_owned());
        }
        let found = Found {
            at,
            short,
            long: None,
        };
        let name = || found.short_name(false);
        if short.attributes & attr::VOLUME != 0 {
            self.volume_entry(dir, at, &short, seen);
            return Ok(());
        }
        if let Some(why) = super::names::wrong(&short) {
            self.error(DIR, at, || format!("{}: {why}", name()));
        } else if short.case & !0x18 != 0 {
            self.odd(DIR, at, || {
                format!("{}: bits that mean nothing, {:#x}", name(), short.case)
            });
        }
        self.meter.bytes(SEEN, "names of a directory")?;
        if !seen.names.insert(short.name) {
            self.error(DIR, at, || {
                format!("{}: another entry has that name, too", name())
            });
        }
        let first = cluster(&short, self.fat32());
        if short.attributes & attr::DIRECTORY != 0 {
            return self.child(dir, at, &short, first, &name, waiting);
        }
        self.file(at, short.size.get(), first, &name)
    }

    fn file(&mut self, at: u64, size: u32, first: u32, name: &dyn Fn() -> String) -> Result<()> {
        let needed = u64::from(size).div_ceil(1 << self.geometry.cluster_bits);
        let chain = match first {
            0 => Chain::default(),
            _ => self.claim(first, at, name)?,
        };
        if u64::from(chain.clusters) != needed {
            self.error(DIR, at, || {
                format!(
                    "{}: a size of {size} bytes needs {needed} clusters, {} are chained",
                    name(),
                    chain.clusters
                )
            });
        }
        self.behind_the_end(at, &chain, name);
        Ok(())
    }

    fn child(
        &mut self,
        dir: &Dir,
        at: u64,
        short: &Short,
        first: u32,
        name: &dyn Fn() -> String,
        waiting: &mut Vec<Dir>,
    ) -> Result<()> {
        if short.size.get() != 0 {
            self.odd(DIR, at, || format!("{}: a directory with a size", name()));
        }
        if first == 0 {
            self.error(DIR, at, || format!("{}: a directory without clusters", name()));
            return Ok(());
        }
        let chain = self.claim(first, at, name)?;
        let len = u64::from(chain.clusters) << self.geometry.cluster_bits;
        if len > MOST_DIR {
            self.odd(DIR, at, || {
                format!("{}: a directory of {len} bytes, {MOST_DIR} are the most", name())
            });
        }
        self.behind_the_end(at, &chain, name);
        if chain.clusters == 0 {
            return Ok(());
        }
        self.meter.bytes(SEEN, "directories")?;
        waiting.push(Dir {
            places: self.places(&chain),
            first,
            above: dir.first,
            is_root: false,
        });
        Ok(())
    }

    /// Clusters that a volume which is cut off does not have.
    fn behind_the_end(&mut self, at: u64, chain: &Chain, name: &dyn Fn() -> String) {
        let end = self.disk.len();
        let gone = self
            .places(chain)
            .into_iter()
            .find(|(from, len)| from.saturating_add(*len) > end);
        if let Some((from, _)) = gone {
            self.error(DIR, at, || {
                format!(
                    "{}: its clusters from {from:#x} on lie behind the volume's end",
                    name()
                )
            });
        }
    }

    /// Whether the first two entries of a directory are `.` and `..` (section 6.5).
    fn dots(&mut self, dir: &Dir, at: u64, found: Option<&Short>, number: u64) {
        let (name, leads, word) = match number {
            _ if dir.is_root => return,
            0 => (DOT, dir.first, "."),
            1 => (DOTDOT, dir.above, ".."),
            _ => return,
        };
        let fat32 = self.fat32();
        let fits = found.is_some_and(|short| {
            let is_dir = short.attributes & attr::DIRECTORY != 0 && short.attributes & attr::VOLUME == 0;
            short.name == *name && is_dir && cluster(short, fat32) == leads
        });
        if !fits {
            self.error(DIR, at, || {
                format!("entry {number} of a directory is not {word} with cluster {leads}")
            });
        }
    }

    /// Pieces that no entry follows.
    fn loose(&mut self, pieces: &mut Pieces) {
        if let Some((piece, why)) = pieces.drop_all() {
            self.odd("long name", piece, || why.to_owned());
        }
    }

    fn volume_entry(&mut self, dir: &Dir, at: u64, short: &Short, seen: &mut Seen) {
        if short.attributes & attr::DIRECTORY != 0 {
            self.odd(DIR, at, || "an entry that is a label and a directory".to_owned());
            return;
        }
        if !dir.is_root || seen.label.is_some() {
            self.odd(DIR, at, || "a label of the volume where none belongs".to_owned());
        }
        if cluster(short, self.fat32()) != 0 || short.size.get() != 0 {
            self.odd(DIR, at, || {
                "a label of the volume with clusters or a size".to_owned()
            });
        }
        seen.label.get_or_insert(short.name);
    }

    /// Whether the label of the root directory is the boot sector's.
    fn label(&mut self, dir: &Dir, found: Option<[u8; 11]>) {
        if !dir.is_root {
            return;
        }
        let said = self.geometry.label;
        let none = [*b"NO NAME    ", [b' '; 11], [0; 11]];
        let same = match found {
            Some(label) => label == said,
            None => none.contains(&said),
        };
        if !same {
            let text = |label: &[u8]| String::from_utf8_lossy(label).trim_end().to_owned();
            self.odd("boot sector", 0, || {
                let root = found.map_or_else(|| "none".to_owned(), |label| format!("{:?}", text(&label)));
                format!("the label is {:?}, the root directory's {root}", text(&said))
            });
        }
    }
}
