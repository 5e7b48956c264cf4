//! Content of files: written, replaced, cut off.

use super::Ext4Writer;
use super::inode::Record;
use super::map::{Map, bytes_of};
use super::raw::{fill, narrow, put, wide};
use crate::extent::Piece;
use crate::feature::incompat;
use crate::inode::Inode;
use crate::layout::inode_flag;
use h2k_block::{Class, Error, Result};
use h2k_fs::{FileKind, Node};

/// A longer file needs the `large_file` feature.
const SMALL: u64 = 0x7fff_ffff;

impl Ext4Writer {
    fn regular(&self, file: Node) -> Result<Inode> {
        let inode = self.fs.inode(file)?;
        if inode.kind() != Some(FileKind::File) {
            return Err(Error::new(
                Class::Invalid,
                format!("inode {} is not a regular file", inode.number),
            ));
        }
        self.check_writable(&inode)?;
        Ok(inode)
    }

    /// The content of a file in its inode.
    fn inline(&self, inode: &Inode) -> Result<Option<Vec<u8>>> {
        if !inode.has(inode_flag::INLINE_DATA) {
            return Ok(None);
        }
        let mut meter = self.fs.meter();
        self.fs.whole(inode, &mut meter, "inline data").map(Some)
    }

    fn finish(&mut self, mut record: Record, size: u64) -> Result<()> {
        record.set_size(size);
        record.set_mtime(self.now);
        record.set_ctime(self.now);
        self.large_file |= size > SMALL;
        self.save(&mut record)
    }

    /// Blocks a file of `len` bytes has; an error if none can be that long.
    fn blocks_for(&self, inode: &Inode, len: u64) -> Result<u64> {
        let blocks = len.div_ceil(self.fs.geo.block_size());
        let old = self.fs.groups.superblock().rev_level.get() == 0;
        if blocks > u64::from(u32::MAX) || (old && len > SMALL) {
            return Err(Error::new(
                Class::Limit,
                format!("inode {} cannot have {len} bytes", inode.number),
            ));
        }
        Ok(blocks)
    }

    /// Stores short content in the inode it has always been in, or moves it out.
    fn store_inline(&mut self, inode: &Inode, content: &[u8]) -> Result<()> {
        let mut record = self.record(inode);
        let (head, rest) = content.split_at_checked(60).unwrap_or((content, &[]));
        if self.set_inline_rest(&mut record, Some(rest))? {
            record.set_area(head);
            return self.finish(record, wide(content.len()));
        }
        self.leave_inode(&mut record)?;
        self.store_whole(record, Map::default(), content)
    }

    /// Makes an inode with inline data one with a map, without content.
    pub(super) fn leave_inode(&self, record: &mut Record) -> Result<()> {
        self.set_inline_rest(record, None)?;
        record.set_flag(inode_flag::INLINE_DATA, false);
        if self.fs.geo.has_incompat(incompat::EXTENTS) {
            record.set_flag(inode_flag::EXTENTS, true);
            record.set_empty_tree();
        } else {
            record.set_area(&[]);
        }
        Ok(())
    }

    /// Gives an inode new blocks with `content`, and the ones in `old` back.
    fn store_whole(&mut self, mut record: Record, old: Map, content: &[u8]) -> Result<()> {
        let mut map = Map::default();
        self.lay_out(&record, &mut map, content)?;
        let Map { pieces, nodes, .. } = old;
        self.release_pieces(&pieces, &Map::default())?;
        map.nodes = nodes;
        self.store_map(&mut record, &mut map)?;
        self.finish(record, wide(content.len()))
    }

    /// Allocates blocks for `content` from the beginning of an empty map, and writes it there.
    pub(super) fn lay_out(&mut self, record: &Record, map: &mut Map, content: &[u8]) -> Result<()> {
        let blocks = wide(content.len()).div_ceil(self.fs.geo.block_size());
        for piece in self.fill(record, map, 0, blocks)? {
            let from = bytes_of(piece.start, self.fs.geo.block_bits);
            let to = from.saturating_add(bytes_of(piece.len, self.fs.geo.block_bits));
            if let Some(bytes) = content.get(from..to) {
                self.put_fresh(piece.at, bytes)?;
            } else {
                let mut last = content.get(from..).unwrap_or_default().to_vec();
                last.resize(to.saturating_sub(from), 0);
                self.put_fresh(piece.at, &last)?;
            }
        }
        Ok(())
    }

    pub(super) fn replace_content(&mut self, file: Node, content: &[u8]) -> Result<()> {
        let inode = self.regular(file)?;
        if self.inline(&inode)?.is_some() {
            return self.store_inline(&inode, content);
        }
        self.blocks_for(&inode, wide(content.len()))?;
        let old = self.load_map(&inode)?;
        self.store_whole(self.record(&inode), old, content)
    }

    pub(super) fn write_content(&mut self, file: Node, offset: u64, bytes: &[u8]) -> Result<()> {
        let inode = self.regular(file)?;
        if bytes.is_empty() {
            return Ok(());
        }
        let end = offset
            .checked_add(wide(bytes.len()))
            .ok_or_else(|| Error::new(Class::Limit, "no file can be that long"))?;
        let last = self.blocks_for(&inode, end)?;
        let mut record = self.record(&inode);
        let mut map = Map::default();
        if let Some(mut content) = self.inline(&inode)? {
            let most = u64::from(self.fs.geo.inode_size);
            if end <= most {
                if wide(content.len()) < end {
                    content.resize(narrow(end), 0);
                }
                put(&mut content, narrow(offset), bytes);
                return self.store_inline(&inode, &content);
            }
            self.leave_inode(&mut record)?;
            self.lay_out(&record, &mut map, &content)?;
        } else {
            map = self.load_map(&inode)?;
        }
        if offset > inode.size {
            self.clear_tail(&map, inode.size)?;
        }
        let size = self.fs.geo.block_size();
        let first = offset.checked_shr(self.fs.geo.block_bits).unwrap_or(0);
        let start = self.fs.blocks.offset(first);
        let mut buf = self.around(&inode, start, self.fs.blocks.offset(last), offset, end)?;
        put(&mut buf, narrow(offset.saturating_sub(start)), bytes);
        let fresh = self.fill(&record, &mut map, first, last)?;
        self.store_blocks(&map, &fresh, first, &buf, narrow(size))?;
        map.mark_written(first, last);
        self.store_map(&mut record, &mut map)?;
        self.finish(record, inode.size.max(end))
    }

    /// A buffer for the blocks of `start..stop`, with what the file holds there outside of `offset..end`.
    fn around(&self, inode: &Inode, start: u64, stop: u64, offset: u64, end: u64) -> Result<Vec<u8>> {
        let mut buf = vec![0; narrow(stop.saturating_sub(start))];
        let head = narrow(offset.saturating_sub(start));
        if let Some(head) = buf.get_mut(..head) {
            self.fs.content(inode, start, head)?;
        }
        let tail = narrow(end.saturating_sub(start));
        if let Some(tail) = buf.get_mut(tail..) {
            self.fs.content(inode, end, tail)?;
        }
        Ok(buf)
    }

    /// Writes blocks from logical block `first` on to where the map says.
    fn store_blocks(
        &mut self,
        map: &Map,
        fresh: &[Piece],
        first: u64,
        buf: &[u8],
        size: usize,
    ) -> Result<()> {
        let is_fresh = |block: u64| {
            let n = fresh.partition_point(|p| p.start.saturating_add(p.len) <= block);
            fresh.get(n).filter(|p| p.start <= block).copied()
        };
        let mut done = 0_usize;
        // Each turn writes at least one block.
        while done < buf.len() {
            let block = first.saturating_add(wide(done.checked_div(size).unwrap_or(0)));
            let Some(piece) = map.at(block) else {
                return Err(Error::new(
                    Class::Invalid,
                    "a block was written that has no place",
                ));
            };
            let at = piece.at.saturating_add(block.saturating_sub(piece.start));
            let n = match is_fresh(block) {
                Some(f) => {
                    let left = f.start.saturating_add(f.len).saturating_sub(block);
                    bytes_of(left, self.fs.geo.block_bits)
                }
                None => size,
            };
            let n = n.min(buf.len().saturating_sub(done)).max(1);
            let part = buf.get(done..done.saturating_add(n)).unwrap_or_default();
            if is_fresh(block).is_some() {
                self.put_fresh(at, part)?;
            } else {
                self.put(at, part)?;
            }
            done = done.saturating_add(n);
        }
        Ok(())
    }

    /// Makes what lies behind the end of a file, in its last block, zero.
    fn clear_tail(&mut self, map: &Map, len: u64) -> Result<()> {
        let within = len.checked_rem(self.fs.geo.block_size()).unwrap_or(0);
        let block = len.checked_shr(self.fs.geo.block_bits).unwrap_or(0);
        let Some(piece) = map.at(block).filter(|p| within > 0 && !p.unwritten) else {
            return Ok(());
        };
        let at = piece.at.saturating_add(block.saturating_sub(piece.start));
        let mut bytes = self.get(at, "file content")?;
        let size = bytes.len();
        fill(&mut bytes, narrow(within), size.saturating_sub(narrow(within)));
        self.put(at, &bytes)
    }

    pub(super) fn truncate_content(&mut self, file: Node, len: u64) -> Result<()> {
        let inode = self.regular(file)?;
        let blocks = self.blocks_for(&inode, len)?;
        let mut record = self.record(&inode);
        if let Some(mut content) = self.inline(&inode)? {
            if len <= u64::from(self.fs.geo.inode_size) {
                content.resize(narrow(len), 0);
                return self.store_inline(&inode, &content);
            }
            self.leave_inode(&mut record)?;
            let mut map = Map::default();
            self.lay_out(&record, &mut map, &content)?;
            self.store_map(&mut record, &mut map)?;
            return self.finish(record, len);
        }
        let mut map = self.load_map(&inode)?;
        self.cut_off(&mut record, &mut map, blocks)?;
        self.clear_tail(&map, len.min(inode.size))?;
        self.finish(record, len)
    }

    /// Gives back every block from `blocks` on.
    pub(super) fn cut_off(&mut self, record: &mut Record, map: &mut Map, blocks: u64) -> Result<()> {
        let gone = map.split_off(blocks);
        if gone.is_empty() {
            return Ok(());
        }
        self.release_pieces(&gone, map)?;
        self.store_map(record, map)
    }
}
