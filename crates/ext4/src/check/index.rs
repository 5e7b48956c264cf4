//! Hash trees: every block in its place, every name under its hash.

use super::Check;
use crate::bytes::at;
use crate::dir::Form;
use crate::feature::incompat;
use crate::fold;
use crate::hash::Hasher;
use crate::htree::{ROOT_INFO, index_of};
use crate::inode::Inode;
use crate::layout::{DxRootInfo, inode_flag};
use crate::write::raw::{narrow, wide};
use h2k_block::Result;

const INDEX: &str = "directory index";
/// `hash_version` of directories that are encrypted and fold case: hashes are stored beside the names.
const SIPHASH: u8 = 6;
/// What knowing a block of a directory costs.
const LEAF_BYTES: u64 = 16;

/// One block of a directory with an index.
#[derive(Clone, Copy, Debug)]
struct Leaf {
    least: u32,
    most: u32,
    /// How many entries of the index lead to it.
    named: u8,
    /// Whether it carries a part of the index.
    inner: bool,
}

/// The blocks of one directory with an index.
pub(super) struct Leaves {
    blocks: Vec<Leaf>,
    hasher: Option<Hasher>,
    stored: bool,
    folds: bool,
    /// Entries that blocks of the index have room for, behind the root.
    limit: usize,
}

impl Leaves {
    /// `None` for directories without an index.
    pub(super) fn new(check: &mut Check<'_>, dir: &Inode, count: u64) -> Result<Option<Self>> {
        if !dir.has(inode_flag::INDEX) {
            return Ok(None);
        }
        let len = check
            .meter
            .bytes(count.saturating_mul(LEAF_BYTES), "blocks of a directory")?;
        let fs = check.fs;
        let version = fs
            .run(dir, 0, 1)
            .ok()
            .and_then(|run| match run.target {
                crate::map::Target::At(block) => fs.blocks.get(block, INDEX).ok(),
                _ => None,
            })
            .and_then(|block| at::<DxRootInfo>(&block, ROOT_INFO).map(|info| info.hash_version));
        let leaf = Leaf {
            least: u32::MAX,
            most: 0,
            named: 0,
            inner: false,
        };
        Ok(Some(Self {
            blocks: vec![leaf; len / 16],
            hasher: version.and_then(|v| fs.hasher(Some(v))),
            stored: version == Some(SIPHASH),
            folds: dir.has(inode_flag::CASEFOLD),
            limit: room(check, 8),
        }))
    }

    /// A block begins.
    pub(super) fn begin(&mut self, block: u64, bytes: &[u8]) {
        let inner = block == 0 || index_of(block, bytes).is_some_and(|index| index.limit == self.limit);
        if let Some(leaf) = self.blocks.get_mut(narrow(block)) {
            leaf.inner = inner;
        }
    }

    /// A name was found in a block. `entry` is all of it.
    pub(super) fn add(&mut self, block: u64, name: &[u8], entry: &[u8], form: &Form) {
        let hash = if self.stored {
            form.stored_hash(entry, 0, name.len(), entry.len())
                .map(|(major, _)| major & !1)
        } else {
            let folded = if self.folds { fold::fold(name) } else { None };
            let name = folded.as_ref().map_or(name, |f| f.as_bytes());
            self.hasher.as_ref().map(|h| h.hash(name).0)
        };
        if let (Some(hash), Some(leaf)) = (hash, self.blocks.get_mut(narrow(block))) {
            leaf.least = leaf.least.min(hash);
            leaf.most = leaf.most.max(hash);
        }
    }
}

/// A part of an index that has still to be visited.
struct Next {
    block: u64,
    levels: u8,
    /// Hashes below it.
    least: u32,
    end: Option<u32>,
}

impl Check<'_> {
    /// Walks the index of `dir`, whose blocks were read.
    pub(super) fn index(&mut self, dir: &Inode, mut leaves: Leaves) -> Result<()> {
        let Ok(Some((root, place))) = self.fs.dir_block(dir, 0) else {
            // Named when it was read.
            return Ok(());
        };
        let Some(info) = at::<DxRootInfo>(&root, ROOT_INFO) else {
            return Ok(());
        };
        let most = if self.fs.geo.has_incompat(incompat::LARGEDIR) {
            3
        } else {
            2
        };
        let version = info.hash_version;
        if info.info_length != 8
            || info.reserved_zero.get() != 0
            || info.unused_flags & 1 != 0
            || info.indirect_levels >= most
            || version > SIPHASH
            || (3..SIPHASH).contains(&version)
        {
            self.error(INDEX, place, || {
                format!(
                    "inode {}: info of {} bytes, hash version {version}, {} levels",
                    dir.number, info.info_length, info.indirect_levels
                )
            });
            return Ok(());
        }
        let mut next = vec![Next {
            block: 0,
            levels: info.indirect_levels,
            least: 0,
            end: None,
        }];
        // Each block is visited once: those that are named again are not followed.
        while let Some(turn) = next.pop() {
            self.meter.steps(8, INDEX)?;
            self.index_block(dir, &turn, &mut leaves, &mut next)?;
        }
        for (number, leaf) in leaves.blocks.iter().enumerate().skip(1) {
            if leaf.named != 1 {
                self.error(INDEX, place, || {
                    format!(
                        "inode {}: {} entries lead to block {number}, expected one",
                        dir.number, leaf.named
                    )
                });
            }
        }
        Ok(())
    }

    fn index_block(
        &mut self,
        dir: &Inode,
        turn: &Next,
        leaves: &mut Leaves,
        next: &mut Vec<Next>,
    ) -> Result<()> {
        let Ok(Some((block, place))) = self.fs.dir_block(dir, turn.block) else {
            return Ok(());
        };
        let inner = leaves
            .blocks
            .get(narrow(turn.block))
            .is_some_and(|leaf| leaf.inner);
        let expected = room(self, if turn.block == 0 { 32 } else { 8 });
        let Some(index) = index_of(turn.block, &block).filter(|i| inner && i.limit == expected) else {
            self.error(INDEX, place, || {
                format!(
                    "inode {}: block {} is no part of an index for {expected} entries",
                    dir.number, turn.block
                )
            });
            return Ok(());
        };
        if let Err(e) = index.check(&block, place) {
            return self.damage(INDEX, e);
        }
        let count = wide(leaves.blocks.len());
        let mut before = turn.least;
        let mut children = Vec::new();
        for n in 0..index.count {
            self.meter.step(INDEX)?;
            let least = if n == 0 { turn.least } else { index.hash(&block, n) };
            let following = n.saturating_add(1);
            let end = if following < index.count {
                Some(index.hash(&block, following))
            } else {
                turn.end
            };
            let child = index.child(&block, n);
            if least < before || end.is_some_and(|end| end < least) {
                self.error(INDEX, place, || {
                    format!(
                        "inode {}: block {}, entry {n}: hash {least:#x} after {before:#x}",
                        dir.number, turn.block
                    )
                });
            }
            before = least;
            let Some(leaf) = leaves.blocks.get_mut(narrow(child)).filter(|_| child > 0) else {
                self.error(INDEX, place, || {
                    format!(
                        "inode {}: block {}, entry {n} leads to block {child} of {count}",
                        dir.number, turn.block
                    )
                });
                continue;
            };
            leaf.named = leaf.named.saturating_add(1);
            if leaf.named > 1 {
                continue;
            }
            if turn.levels > 0 {
                children.push(Next {
                    block: child,
                    levels: turn.levels.saturating_sub(1),
                    least,
                    end,
                });
            } else {
                let leaf = *leaf;
                self.leaf(dir, child, &leaf, (least, end), place);
            }
        }
        next.extend(children.into_iter().rev());
        Ok(())
    }

    /// The names of a leaf against the hashes that lead to it. The lowest bit of a hash says that names with it began
    /// in the block before.
    fn leaf(&mut self, dir: &Inode, number: u64, leaf: &Leaf, (least, end): (u32, Option<u32>), place: u64) {
        if leaf.inner {
            self.error(INDEX, place, || {
                format!("inode {}: block {number} is an index, expected names", dir.number)
            });
        }
        if leaf.least > leaf.most {
            return;
        }
        let late = end.is_some_and(|end| leaf.most > end & !1 || (leaf.most == end && end & 1 == 0));
        if leaf.least < least & !1 || late {
            self.error(INDEX, place, || {
                format!(
                    "inode {}: block {number} has names with hashes {:#x} to {:#x}, expected {least:#x} to {end:#x?}",
                    dir.number, leaf.least, leaf.most
                )
            });
        }
    }
}

/// Entries that a block of an index has room for behind its first `head` bytes.
fn room(check: &Check<'_>, head: u64) -> usize {
    let tail = if check.fs.geo.seed.is_some() { 8 } else { 0 };
    narrow(
        check
            .fs
            .geo
            .block_size()
            .saturating_sub(head)
            .saturating_sub(tail)
            >> 3,
    )
}
