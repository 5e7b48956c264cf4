//! The blocks of one inode: its extent tree or block map, walked whole, every block claimed.

use super::Check;
use crate::bytes::le32;
use crate::extent::{self, Node, Piece};
use crate::feature::ro_compat;
use crate::inode::Inode;
use crate::layout::inode_flag;
use crate::write::raw::get32;
use h2k_block::Result;

/// What the walk of one map found.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Mapped {
    /// Blocks of the volume that are used, whole clusters, maps included.
    pub(super) blocks: u64,
    /// The first logical block after the last one that is there.
    pub(super) end: u64,
    /// The first logical block after the last one that was written.
    pub(super) written: u64,
    /// Whether there are extents that were never written.
    pub(super) unwritten: bool,
    /// Whether the walk met damage: what it counted is not all.
    pub(super) broken: bool,
    /// The last logical cluster, and the cluster of the volume it lies in.
    last: Option<(u64, u64)>,
}

/// A node of an extent tree that has still to be visited.
struct Next {
    block: u64,
    depth: u16,
    /// Where its parent says that it begins, and where its neighbour does.
    start: u64,
    end: u64,
}

impl Check<'_> {
    /// Claims everything that the map of `inode` uses.
    pub(super) fn map(&mut self, inode: &Inode) -> Result<Mapped> {
        let mut mapped = Mapped::default();
        if inode.has(inode_flag::EXTENTS) {
            self.extents(inode, &mut mapped)?;
        } else {
            self.pointers(inode, &mut mapped)?;
        }
        Ok(mapped)
    }

    /// Claims blocks for `inode`; says whether nobody had them.
    pub(super) fn claim(&mut self, inode: &Inode, first: u64, len: u64, what: &'static str) -> Result<bool> {
        let twice = self.claims.take(&self.fs.geo, first, len, &mut self.meter)?;
        if twice > 0 {
            let place = self.fs.blocks.offset(first);
            self.error(what, place, || {
                format!(
                    "inode {}: {twice} clusters in blocks {first}+{len} are claimed already, expected none",
                    inode.number
                )
            });
        }
        Ok(twice == 0)
    }

    /// Claims a block of a map or of attributes, which takes a cluster of its own.
    fn claim_one(
        &mut self,
        inode: &Inode,
        block: u64,
        what: &'static str,
        mapped: &mut Mapped,
    ) -> Result<bool> {
        mapped.blocks = mapped.blocks.saturating_add(self.ratio());
        self.claim(inode, block, 1, what)
    }

    /// Blocks in a cluster.
    pub(super) fn ratio(&self) -> u64 {
        1_u64.checked_shl(self.fs.geo.cluster_bits).unwrap_or(1)
    }

    /// Claims a run of content. With clusters, neighbouring runs of a file share the cluster they meet in.
    fn claim_run(&mut self, inode: &Inode, run: Piece, mapped: &mut Mapped) -> Result<()> {
        let bits = self.fs.geo.cluster_bits;
        let ratio = self.ratio();
        let (mut at, mut len) = (run.at, run.len);
        let mut clusters = (at.saturating_add(len).saturating_sub(1) >> bits)
            .saturating_sub(at >> bits)
            .saturating_add(1);
        if bits > 0 {
            if (run.start ^ run.at) & ratio.saturating_sub(1) != 0 {
                self.error("extent", inode.place, || {
                    format!(
                        "inode {}: logical block {} at block {} is not aligned to clusters of {ratio}",
                        inode.number, run.start, run.at
                    )
                });
            }
            if mapped.last == Some((run.start >> bits, at >> bits)) {
                // The rest of the cluster that the run before ended in.
                let rest = ratio.saturating_sub(at & ratio.saturating_sub(1)).min(len);
                at = at.saturating_add(rest);
                len = len.saturating_sub(rest);
                clusters = clusters.saturating_sub(1);
            }
            let last = run.len.saturating_sub(1);
            mapped.last = Some((
                run.start.saturating_add(last) >> bits,
                run.at.saturating_add(last) >> bits,
            ));
        }
        if len > 0 && self.fs.geo.has_ro(ro_compat::SHARED_BLOCKS) {
            // Contents may be shared, by design.
            self.claims.take(&self.fs.geo, at, len, &mut self.meter)?;
        } else if len > 0 {
            self.claim(inode, at, len, "extent")?;
        }
        mapped.blocks = mapped.blocks.saturating_add(clusters.saturating_mul(ratio));
        mapped.end = run.start.saturating_add(run.len).max(mapped.end);
        if run.unwritten {
            mapped.unwritten = true;
        } else {
            mapped.written = mapped.end;
        }
        Ok(())
    }

    fn extents(&mut self, inode: &Inode, mapped: &mut Mapped) -> Result<()> {
        let place = inode.place.saturating_add(0x28);
        let mut next = Vec::new();
        self.node(inode, &inode.block, place, None, (0, 1 << 32), &mut next, mapped)?;
        // Each block is visited once: who claims one that is taken is not followed.
        while let Some(turn) = next.pop() {
            self.meter.steps(16, "extent node")?;
            if !self.fs.blocks.holds(turn.block, 1) {
                let e = self.outside("extent node", place, turn.block);
                mapped.broken = true;
                self.damage("extent node", e)?;
                continue;
            }
            if !self.claim_one(inode, turn.block, "extent node", mapped)? {
                mapped.broken = true;
                continue;
            }
            match extent::load(&self.fs.geo, &self.fs.blocks, inode, turn.block) {
                Ok(block) => {
                    let place = self.fs.blocks.offset(turn.block);
                    let within = (turn.start, turn.end);
                    self.node(inode, &block, place, Some(turn.depth), within, &mut next, mapped)?;
                }
                Err(e) => {
                    mapped.broken = true;
                    self.damage("extent node", e)?;
                }
            }
        }
        Ok(())
    }

    /// One node: leaves are claimed, children are put on `next` so that the first comes off it first.
    #[expect(
        clippy::too_many_arguments,
        reason = "a node, what its parent said of it, and where it all goes"
    )]
    fn node(
        &mut self,
        inode: &Inode,
        bytes: &[u8],
        place: u64,
        depth: Option<u16>,
        within: (u64, u64),
        next: &mut Vec<Next>,
        mapped: &mut Mapped,
    ) -> Result<()> {
        let node = match Node::new(&self.fs.blocks, bytes, place, depth) {
            Ok(node) => node,
            Err(e) => {
                mapped.broken = true;
                return self.damage("extent node", e);
            }
        };
        if get32(bytes, 4) & 0xffff == 0 {
            mapped.broken = true;
            self.error("extent node", place, || {
                format!("inode {}: no room for entries", inode.number)
            });
        }
        let first = node.start_of(0);
        if depth.is_some() && first != Some(within.0) {
            mapped.broken = true;
            self.error("extent node", place, || {
                format!("begins at logical block {first:?}, its parent says {}", within.0)
            });
        }
        let mut n = 0_usize;
        let mut children = Vec::new();
        while let Some(start) = node.start_of(n) {
            self.meter.step("extent")?;
            let end = node.start_of(n.saturating_add(1)).unwrap_or(within.1);
            if node.depth == 0 {
                if let Some(piece) = node.leaf(n) {
                    if piece.start.saturating_add(piece.len) > within.1 {
                        mapped.broken = true;
                        self.error("extent", place, || {
                            format!(
                                "inode {}: ends at logical block {}, the next node begins at {}",
                                inode.number,
                                piece.start.saturating_add(piece.len),
                                within.1
                            )
                        });
                    }
                    self.claim_run(inode, piece, mapped)?;
                }
            } else if let Some(block) = node.child(n) {
                children.push(Next {
                    block,
                    depth: node.depth.saturating_sub(1),
                    start,
                    end,
                });
            }
            n = n.saturating_add(1);
        }
        next.extend(children.into_iter().rev());
        Ok(())
    }

    /// The block map: twelve blocks, then three trees.
    fn pointers(&mut self, inode: &Inode, mapped: &mut Mapped) -> Result<()> {
        let place = inode.place.saturating_add(0x28);
        let mut logical = 0_u64;
        let mut run = None;
        for slot in 0..15_usize {
            let number = le32(&inode.block, slot.saturating_mul(4)).unwrap_or(0);
            let level = u32::try_from(slot.saturating_sub(11)).unwrap_or(0);
            self.pointer(inode, (number, level, place), &mut logical, &mut run, mapped)?;
        }
        if let Some(run) = run {
            self.claim_run(inode, run, mapped)?;
        }
        Ok(())
    }

    /// One pointer and everything below it: `level` blocks of pointers, then content.
    fn pointer(
        &mut self,
        inode: &Inode,
        (number, level, place): (u32, u32, u64),
        logical: &mut u64,
        run: &mut Option<Piece>,
        mapped: &mut Mapped,
    ) -> Result<()> {
        let bits = self.fs.blocks.bits().saturating_sub(2);
        let span = 1_u64.checked_shl(bits.saturating_mul(level)).unwrap_or(u64::MAX);
        let at = u64::from(number);
        let start = *logical;
        if number == 0 {
            *logical = logical.saturating_add(span);
            return Ok(());
        }
        if !self.fs.blocks.holds(at, 1) || at < self.fs.geo.first_block {
            *logical = logical.saturating_add(span);
            mapped.broken = true;
            let e = self.outside("block map", place, at);
            return self.damage("block map", e);
        }
        if level == 0 {
            self.meter.step("block map")?;
            *logical = logical.saturating_add(1);
            match run {
                Some(r) if r.at.saturating_add(r.len) == at && r.start.saturating_add(r.len) == start => {
                    r.len = r.len.saturating_add(1);
                }
                _ => {
                    let one = Piece {
                        start,
                        len: 1,
                        at,
                        unwritten: false,
                    };
                    if let Some(before) = run.replace(one) {
                        self.claim_run(inode, before, mapped)?;
                    }
                }
            }
            return Ok(());
        }
        self.meter.steps(16, "indirect block")?;
        // What is claimed already is not followed: no block of pointers is visited twice.
        let ours = self.claim_one(inode, at, "indirect block", mapped)?;
        let held = if ours {
            self.fs.blocks.get(at, "indirect block")
        } else {
            mapped.broken = true;
            *logical = logical.saturating_add(span);
            return Ok(());
        };
        let held = match held {
            Ok(held) => held,
            Err(e) => {
                mapped.broken = true;
                *logical = logical.saturating_add(span);
                return self.damage("indirect block", e);
            }
        };
        let place = self.fs.blocks.offset(at);
        // The depth falls by one each time, and is three at most.
        for four in held.as_chunks::<4>().0 {
            let below = u32::from_le_bytes(*four);
            self.pointer(
                inode,
                (below, level.saturating_sub(1), place),
                logical,
                run,
                mapped,
            )?;
        }
        Ok(())
    }
}
