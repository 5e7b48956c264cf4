//! Where a file's blocks are, as a list of runs: read from its map, changed, and written back as a new map.

use super::Ext4Writer;
use super::inode::Record;
use super::raw::{high32, low16, low32, narrow, put, put16, put32, wide};
use super::space::Wish;
use crate::extent::{self, Node, Piece};
use crate::inode::Inode;
use crate::layout::{EXTENT_MAGIC, EXTENT_MAX_DEPTH, EXTENT_MAX_LEN, inode_flag};
use h2k_block::{Class, Error, Meter, Result};

/// The runs of a file, ascending and apart, and the blocks its map lies in.
#[derive(Clone, Debug, Default)]
pub(super) struct Map {
    pub(super) pieces: Vec<Piece>,
    pub(super) nodes: Vec<u64>,
    /// Blocks of the pieces while they are read.
    total: u64,
}

/// Entries in `i_block`.
const ROOT: usize = 4;
/// What visiting a node costs, in steps.
const NODE_STEPS: u64 = 64;

impl Map {
    /// Index of the first piece that ends after `block`.
    fn after(&self, block: u64) -> usize {
        self.pieces
            .partition_point(|p| p.start.saturating_add(p.len) <= block)
    }

    /// The piece that holds `block`.
    pub(super) fn at(&self, block: u64) -> Option<Piece> {
        self.pieces
            .get(self.after(block))
            .copied()
            .filter(|p| p.start <= block)
    }

    /// Puts a piece where there is none, joined to its neighbours if they continue each other.
    pub(super) fn insert(&mut self, piece: Piece) {
        let at = self.after(piece.start);
        self.pieces.insert(at, piece);
        self.join(at);
        if let Some(before) = at.checked_sub(1) {
            self.join(before);
        }
    }

    /// Joins the piece at `n` with the next one, if they continue each other.
    fn join(&mut self, n: usize) {
        let next = n.saturating_add(1);
        let (Some(a), Some(b)) = (self.pieces.get(n).copied(), self.pieces.get(next).copied()) else {
            return;
        };
        if a.unwritten == b.unwritten
            && a.start.saturating_add(a.len) == b.start
            && a.at.saturating_add(a.len) == b.at
        {
            self.pieces.remove(next);
            if let Some(a) = self.pieces.get_mut(n) {
                a.len = a.len.saturating_add(b.len);
            }
        }
    }

    /// Cuts the piece that lies over `block`, so that one begins there.
    fn cut(&mut self, block: u64) {
        let n = self.after(block);
        let Some(piece) = self.pieces.get(n).copied() else {
            return;
        };
        let head = block.saturating_sub(piece.start);
        if piece.start >= block {
            return;
        }
        if let Some(first) = self.pieces.get_mut(n) {
            first.len = head;
        }
        self.pieces.insert(
            n.saturating_add(1),
            Piece {
                start: block,
                len: piece.len.saturating_sub(head),
                at: piece.at.saturating_add(head),
                unwritten: piece.unwritten,
            },
        );
    }

    /// Takes out everything from `block` on.
    pub(super) fn split_off(&mut self, block: u64) -> Vec<Piece> {
        self.cut(block);
        let n = self.after(block);
        self.pieces.split_off(n.min(self.pieces.len()))
    }

    /// Marks `from..to` as written, where it is allocated.
    pub(super) fn mark_written(&mut self, from: u64, to: u64) {
        let touched = |p: &Piece| p.unwritten && p.start < to && p.start.saturating_add(p.len) > from;
        if !self.pieces.iter().any(touched) {
            return;
        }
        self.cut(from);
        self.cut(to);
        for piece in &mut self.pieces {
            if piece.start >= from && piece.start.saturating_add(piece.len) <= to {
                piece.unwritten = false;
            }
        }
        let all = std::mem::take(&mut self.pieces);
        for piece in all {
            let n = self.pieces.len();
            self.pieces.push(piece);
            if let Some(before) = n.checked_sub(1) {
                self.join(before);
            }
        }
    }

    /// Whether any block of a cluster of the file has a place.
    fn uses(&self, cluster: u64, bits: u32) -> bool {
        let start = cluster.checked_shl(bits).unwrap_or(u64::MAX);
        let end = cluster.saturating_add(1).checked_shl(bits).unwrap_or(u64::MAX);
        self.pieces.get(self.after(start)).is_some_and(|p| p.start < end)
    }

    /// How many clusters of the file have any block in use.
    fn count_clusters(&self, bits: u32) -> u64 {
        let shift = |n: u64| n.checked_shr(bits).unwrap_or(0);
        let (mut sum, mut counted) = (0_u64, 0_u64);
        for piece in &self.pieces {
            let first = shift(piece.start).max(counted);
            let end = shift(piece.start.saturating_add(piece.len).saturating_sub(1)).saturating_add(1);
            sum = sum.saturating_add(end.saturating_sub(first));
            counted = end.max(counted);
        }
        sum
    }
}

impl Ext4Writer {
    /// Reads the map of an inode.
    pub(super) fn load_map(&self, inode: &Inode) -> Result<Map> {
        let mut meter = self.fs.meter();
        let mut map = Map::default();
        if inode.has(inode_flag::INLINE_DATA) {
            return Ok(map);
        }
        if inode.has(inode_flag::EXTENTS) {
            let place = inode.place.saturating_add(0x28);
            self.load_node(inode, &inode.block, place, None, &mut map, &mut meter)?;
        } else {
            self.load_block_map(inode, &mut map, &mut meter)?;
        }
        Ok(map)
    }

    fn load_node(
        &self,
        inode: &Inode,
        bytes: &[u8],
        place: u64,
        depth: Option<u16>,
        map: &mut Map,
        meter: &mut Meter,
    ) -> Result<()> {
        meter.steps(NODE_STEPS, "extent node")?;
        let node = Node::new(&self.fs.blocks, bytes, place, depth)
            .map_err(|e| e.through(format!("inode {}", inode.number)))?;
        let mut n = 0;
        // A node ends with its last entry.
        while node.start_of(n).is_some() {
            if node.depth == 0 {
                if let Some(piece) = node.leaf(n) {
                    self.add_piece(inode, map, piece, meter)?;
                }
            } else if let Some(child) = node.child(n) {
                if !self.fs.blocks.holds(child, 1) || self.zone.touches(child, 1) {
                    return Err(inode.corrupt(format!("has an extent node at block {child}")));
                }
                let below = extent::load(&self.fs.geo, &self.fs.blocks, inode, child)?;
                map.nodes.push(child);
                meter.bytes(8, "extent node")?;
                let place = self.fs.blocks.offset(child);
                self.load_node(inode, &below, place, node.depth.checked_sub(1), map, meter)?;
            }
            n = n.saturating_add(1);
        }
        Ok(())
    }

    /// Adds a piece at the end of a map that is being read.
    pub(super) fn add_piece(
        &self,
        inode: &Inode,
        map: &mut Map,
        piece: Piece,
        meter: &mut Meter,
    ) -> Result<()> {
        meter.steps(1, "extent")?;
        let n = map.pieces.len();
        if let Some(last) = map.pieces.last()
            && last.start.saturating_add(last.len) > piece.start
        {
            return Err(inode.corrupt(format!(
                "has extents that overlap at logical block {}",
                piece.start
            )));
        }
        if self.zone.touches(piece.at, piece.len) {
            return Err(inode.corrupt(format!(
                "claims block {}, where the filesystem itself lies",
                piece.at
            )));
        }
        let mask = self.ratio().saturating_sub(1);
        if piece.start & mask != piece.at & mask {
            return Err(inode.corrupt(format!(
                "has an extent at block {} that does not fit its cluster",
                piece.at
            )));
        }
        map.total = map.total.saturating_add(piece.len);
        if map.total > self.fs.geo.blocks {
            return Err(inode.corrupt("has more blocks than the filesystem"));
        }
        meter.bytes(32, "extent")?;
        map.pieces.push(piece);
        if let Some(before) = n.checked_sub(1) {
            map.join(before);
        }
        Ok(())
    }

    /// Writes the map of an inode whose pieces have changed, and counts its blocks. The record is not saved yet.
    pub(super) fn store_map(&mut self, record: &mut Record, map: &mut Map) -> Result<()> {
        if record.flags() & inode_flag::EXTENTS != 0 {
            self.store_extents(record, map)?;
        } else {
            self.store_block_map(record, map)?;
        }
        self.count_blocks(record, map)
    }

    /// `i_blocks` from what the map and the attributes take.
    pub(super) fn count_blocks(&self, record: &mut Record, map: &Map) -> Result<()> {
        let acl = self.parsed(record)?.file_acl;
        let clusters = map
            .count_clusters(self.fs.geo.cluster_bits)
            .saturating_add(wide(map.nodes.len()))
            .saturating_add(u64::from(acl != 0));
        self.set_blocks(record, clusters)
    }

    /// Brings the number of blocks a map lies in to `count`.
    pub(super) fn size_nodes(
        &mut self,
        record: &Record,
        map: &mut Map,
        count: usize,
        narrow: bool,
    ) -> Result<()> {
        while map.nodes.len() > count {
            if let Some(block) = map.nodes.pop() {
                self.release(block, 1)?;
            }
        }
        while map.nodes.len() < count {
            let goal = map
                .pieces
                .first()
                .map_or_else(|| self.home(record.number), |p| p.at);
            let (block, _) = self.allocate(Wish {
                goal,
                clusters: 1,
                narrow,
            })?;
            map.nodes.push(block);
        }
        Ok(())
    }

    fn store_extents(&mut self, record: &mut Record, map: &mut Map) -> Result<()> {
        let mut level: Vec<(u64, [u8; 12])> = Vec::new();
        for piece in &map.pieces {
            let most = u64::from(EXTENT_MAX_LEN).saturating_sub(u64::from(piece.unwritten));
            let mut done = 0;
            while done < piece.len {
                let len = piece.len.saturating_sub(done).min(most);
                let start = piece.start.saturating_add(done);
                level.push((
                    start,
                    leaf(start, len, piece.at.saturating_add(done), piece.unwritten),
                ));
                done = done.saturating_add(len);
            }
        }
        let size = self.block_size();
        let room = size.saturating_sub(12).checked_div(12).unwrap_or(1).max(2);
        let (mut count, mut rows) = (0_usize, level.len());
        while rows > ROOT {
            rows = rows.div_ceil(room);
            count = count.saturating_add(rows);
        }
        self.size_nodes(record, map, count, false)?;
        let seed = self
            .fs
            .geo
            .seed
            .map(|s| s.inode(record.number, record.generation()));
        let mut free = map.nodes.clone().into_iter();
        let mut depth = 0_u16;
        while level.len() > ROOT {
            if depth >= EXTENT_MAX_DEPTH {
                return Err(Error::new(
                    Class::Limit,
                    format!("inode {} is in too many pieces", record.number),
                ));
            }
            let mut above = Vec::new();
            for chunk in level.chunks(room) {
                let Some(block) = free.next() else {
                    return Err(Error::new(
                        Class::Invalid,
                        "an extent tree has fewer nodes than it needs",
                    ));
                };
                let mut bytes = vec![0; size];
                header(&mut bytes, chunk.len(), room, depth);
                fill_entries(&mut bytes, chunk);
                if let Some(seed) = seed {
                    let tail = room.saturating_mul(12).saturating_add(12);
                    let sum = seed.covered(bytes.get(..tail).unwrap_or_default());
                    put32(&mut bytes, tail, sum);
                }
                self.put(block, &bytes)?;
                let start = chunk.first().map_or(0, |(start, _)| *start);
                above.push((start, index(start, block)));
            }
            level = above;
            depth = depth.saturating_add(1);
        }
        let mut root = [0; 60];
        header(&mut root, level.len(), ROOT, depth);
        fill_entries(&mut root, &level);
        record.set_area(&root);
        Ok(())
    }

    /// Allocates every block of `from..to` that has none. New pieces are written ones; they are listed in the answer.
    pub(super) fn fill(&mut self, record: &Record, map: &mut Map, from: u64, to: u64) -> Result<Vec<Piece>> {
        let bits = self.fs.geo.cluster_bits;
        let up = |n: u64| n.checked_shl(bits).unwrap_or(u64::MAX);
        let down = |n: u64| n.checked_shr(bits).unwrap_or(0);
        let mask = self.ratio().saturating_sub(1);
        let is_narrow = record.flags() & inode_flag::EXTENTS == 0;
        let mut fresh = Vec::new();
        let mut at = from;
        // Each turn covers at least one block.
        while at < to {
            let n = map.after(at);
            let next = map.pieces.get(n).copied();
            if let Some(piece) = next.filter(|p| p.start <= at) {
                at = piece.start.saturating_add(piece.len);
                continue;
            }
            let hole_end = next.map_or(to, |p| p.start.min(to));
            let before = n.checked_sub(1).and_then(|b| map.pieces.get(b)).copied();
            let cluster = down(at);
            // Another block of the same cluster says where the cluster is.
            let mate = [before, next].into_iter().flatten().find(|p| {
                down(p.start) <= cluster && down(p.start.saturating_add(p.len).saturating_sub(1)) >= cluster
            });
            let piece = if let Some(mate) = mate.filter(|_| bits > 0) {
                let same = if mate.start > at {
                    mate.at.saturating_sub(mate.start.saturating_sub(at))
                } else {
                    mate.at.saturating_add(at.saturating_sub(mate.start))
                };
                Piece {
                    start: at,
                    len: hole_end.min(up(cluster.saturating_add(1))).saturating_sub(at),
                    at: same,
                    unwritten: false,
                }
            } else {
                // A cluster that the next piece has begun is not wanted again.
                let shared = next.is_some_and(|p| down(p.start) == down(hole_end) && hole_end & mask != 0);
                let last = if shared {
                    down(hole_end)
                } else {
                    down(hole_end.saturating_add(mask))
                };
                let goal = before.map_or_else(
                    || self.home(record.number),
                    |p| p.at.saturating_add(at.saturating_sub(p.start)),
                );
                let (first, got) = self.allocate(Wish {
                    goal,
                    clusters: last.saturating_sub(cluster),
                    narrow: is_narrow,
                })?;
                let end = up(cluster.saturating_add(got)).min(hole_end);
                Piece {
                    start: at,
                    len: end.saturating_sub(at),
                    at: first.saturating_add(at & mask),
                    unwritten: false,
                }
            };
            at = piece.start.saturating_add(piece.len);
            fresh.push(piece);
            map.insert(piece);
        }
        Ok(fresh)
    }

    /// Gives back the clusters of `gone` that nothing of `map` lies in.
    pub(super) fn release_pieces(&mut self, gone: &[Piece], map: &Map) -> Result<()> {
        let bits = self.fs.geo.cluster_bits;
        if bits == 0 {
            for piece in gone {
                self.release(piece.at, piece.len)?;
            }
            return Ok(());
        }
        // Pieces ascend: a cluster that two of them share comes up twice in a row.
        let mut done = None;
        let (mut first, mut count) = (0_u64, 0_u64);
        for piece in gone {
            let mut n = 0;
            while n < piece.len {
                let logical = piece.start.saturating_add(n);
                let cluster = logical.checked_shr(bits).unwrap_or(0);
                let next = cluster.saturating_add(1).checked_shl(bits).unwrap_or(u64::MAX);
                let into = logical & self.ratio().saturating_sub(1);
                let at = piece.at.saturating_add(n).saturating_sub(into);
                n = n.saturating_add(next.saturating_sub(logical).max(1));
                if done == Some(cluster) || map.uses(cluster, bits) {
                    continue;
                }
                done = Some(cluster);
                let follows = first.saturating_add(count.checked_shl(bits).unwrap_or(u64::MAX)) == at;
                if count > 0 && !follows {
                    self.release(first, count)?;
                    count = 0;
                }
                if count == 0 {
                    first = at;
                }
                count = count.saturating_add(1);
            }
        }
        if count > 0 {
            self.release(first, count)?;
        }
        Ok(())
    }
}

fn header(node: &mut [u8], entries: usize, max: usize, depth: u16) {
    put16(node, 0, EXTENT_MAGIC);
    put16(node, 2, u16::try_from(entries).unwrap_or(u16::MAX));
    put16(node, 4, u16::try_from(max).unwrap_or(u16::MAX));
    put16(node, 6, depth);
}

fn fill_entries(node: &mut [u8], entries: &[(u64, [u8; 12])]) {
    for (n, (_, entry)) in entries.iter().enumerate() {
        put(node, n.saturating_add(1).saturating_mul(12), entry);
    }
}

fn leaf(start: u64, len: u64, at: u64, unwritten: bool) -> [u8; 12] {
    let mut raw = [0; 12];
    let len = low16(low32(len)).saturating_add(if unwritten { EXTENT_MAX_LEN } else { 0 });
    put32(&mut raw, 0, low32(start));
    put16(&mut raw, 4, len);
    put16(&mut raw, 6, low16(high32(at)));
    put32(&mut raw, 8, low32(at));
    raw
}

fn index(start: u64, block: u64) -> [u8; 12] {
    let mut raw = [0; 12];
    put32(&mut raw, 0, low32(start));
    put32(&mut raw, 4, low32(block));
    put16(&mut raw, 8, low16(high32(block)));
    raw
}

/// A length in blocks as bytes.
pub(super) fn bytes_of(blocks: u64, bits: u32) -> usize {
    narrow(blocks.checked_shl(bits).unwrap_or(u64::MAX))
}
