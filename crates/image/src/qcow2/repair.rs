use super::check::{compare, judge};
use super::edit::{Draft, Edit};
use super::entry::Cluster;
use super::header::Header;
use super::layout::{
    AUTOCLEAR_BITMAPS, AUTOCLEAR_RAW_DATA_FILE, COPIED, INCOMPATIBLE_CORRUPT, INCOMPATIBLE_DIRTY,
};
use super::refcount::{Counted, Stored, block_bits, largest, read_padded, store};
use super::walk::Walk;
use crate::{Check, Format};
use h2k_block::{BlockRead, Error, HostFile, Limits, Meter, Result};
use std::collections::BTreeSet;
use std::sync::Arc;

/// How much is repaired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repair {
    /// Leaked clusters are freed; nothing else is touched.
    Leaks,
    /// Reference counts are set to what the tables refer to, the flags that speak of them are set right, and an
    /// image that is sound then is no longer marked dirty or corrupt. No table entry is ever changed or removed:
    /// what points nowhere stays an error, and as long as there is one no cluster is freed.
    All,
}

/// A repair, not yet committed.
pub struct Repaired {
    /// What was wrong.
    pub before: Check,
    /// What is still wrong with the repaired image.
    pub after: Check,
    /// The change.
    pub edit: Edit,
}

/// Works out how the image in `file` is repaired. Nothing is written: see [`Edit`].
///
/// # Errors
/// As [`super::check`]; [`h2k_block::Class::Unsupported`] when a cluster has more references than the image's
/// reference counts can hold.
pub fn repair(file: Arc<dyn HostFile>, how: Repair, limits: &Limits) -> Result<Repaired> {
    let mut meter = Meter::new(*limits);
    let header = Header::read(&*file, &mut meter)?;
    let (before, _) = judge(&*file, &header, meter)?;
    let mut draft = Draft::new(file);
    if !before.is_clean() || (how == Repair::All && (header.dirty() || header.corrupt())) {
        settle(&mut draft, how, limits)?;
    }
    let mut meter = Meter::new(*limits);
    let header = Header::read(draft.file(), &mut meter)?;
    let (mut after, _) = judge(draft.file(), &header, meter)?;
    if how == Repair::All && after.errors == 0 && (header.dirty() || header.corrupt()) {
        let marks = INCOMPATIBLE_DIRTY | INCOMPATIBLE_CORRUPT;
        draft.set(72, header.incompatible & !marks)?;
        let mut meter = Meter::new(*limits);
        let header = Header::read(draft.file(), &mut meter)?;
        after = judge(draft.file(), &header, meter)?.0;
    }
    Ok(Repaired {
        before,
        after,
        edit: draft.finish(),
    })
}

/// What the tables refer to, and whether some of them cannot be followed.
struct Truth {
    counted: Counted,
    lost: bool,
    file_clusters: u64,
}

impl Truth {
    /// The count a cluster should have. Where tables are lost nobody can tell what is free.
    fn of(&self, cluster: u64, stored: &Stored<'_>) -> Result<u64> {
        let counted = self.counted.get(cluster);
        if self.lost {
            return Ok(counted.max(stored.get(cluster)?));
        }
        Ok(counted)
    }
}

/// Sets reference counts right, and, for [`Repair::All`], what depends on them.
pub(super) fn settle(draft: &mut Draft, how: Repair, limits: &Limits) -> Result<()> {
    let mut meter = Meter::new(*limits);
    let header = Header::read(draft.file(), &mut meter)?;
    // Whoever writes to an image clears the marks of those whose data it may have made stale.
    let known = AUTOCLEAR_BITMAPS | AUTOCLEAR_RAW_DATA_FILE;
    if header.autoclear & !known != 0 {
        draft.set(88, header.autoclear & known)?;
    }
    let rebuilt = {
        let file = draft.file();
        let stored = Stored::read(file, &header, &mut meter)?;
        let truth = count(file, &header, meter.clone(), Some(&stored))?;
        if how == Repair::All && !fit(&header, &stored, &truth) {
            true
        } else {
            patch(draft, &header, &stored, &truth, how, &mut meter)?;
            if how == Repair::All {
                flags(draft, &header, &truth, &stored, &mut meter)?;
            }
            false
        }
    };
    if rebuilt {
        rebuild(draft, &header, &mut meter)?;
    }
    Ok(())
}

fn count(file: &dyn BlockRead, header: &Header, meter: Meter, books: Option<&Stored<'_>>) -> Result<Truth> {
    let mut walk = Walk::new(file, header, meter, Check::new(Format::Qcow2));
    walk.content()?;
    // Without stored counts to compare with, every error is an entry that cannot be followed.
    let lost = walk.check.errors > 0;
    if let Some(stored) = books {
        walk.books(stored)?;
    }
    Ok(Truth {
        counted: walk.counted,
        lost,
        file_clusters: walk.file_clusters,
    })
}

/// Whether the tables of counts can stay where they are: all there, nobody else's, and a block for every count.
fn fit(header: &Header, stored: &Stored<'_>, truth: &Truth) -> bool {
    let geometry = header.geometry;
    let table = geometry.index(header.refcount_table_offset);
    let table = table..table.saturating_add(header.refcount_table_clusters.into());
    let blocks = stored.blocks.iter().filter(|b| **b != 0);
    let own = table.chain(blocks.map(|b| geometry.index(*b)));
    let per_block = 1_u64.wrapping_shl(stored.block_bits());
    let last = truth
        .counted
        .last()
        .unwrap_or(0)
        .wrapping_shr(stored.block_bits());
    stored.flaws.is_empty()
        && own.into_iter().all(|cluster| truth.counted.get(cluster) == 1)
        && (0..=last).all(|block| {
            let first = block.saturating_mul(per_block);
            let end = first.saturating_add(per_block);
            stored.block(first).is_some()
                || !truth.counted.any(first, end)
                || (first..end).all(|cluster| truth.counted.get(cluster) == 0)
        })
}

/// Writes the counts that differ into the blocks there are.
fn patch(
    draft: &Draft,
    header: &Header,
    stored: &Stored<'_>,
    truth: &Truth,
    how: Repair,
    meter: &mut Meter,
) -> Result<()> {
    let mask = 1_u64.wrapping_shl(stored.block_bits()).wrapping_sub(1);
    let mut open: Option<(u64, Vec<u8>)> = None;
    let close = |open: &mut Option<(u64, Vec<u8>)>| match open.take() {
        Some((offset, bytes)) => {
            // The last block of a file may be there in part; its rest is zero and stays so.
            let room = usize::try_from(draft.file().len().saturating_sub(offset)).unwrap_or(usize::MAX);
            draft.write(offset, bytes.get(..room.min(bytes.len())).unwrap_or_default())
        }
        None => Ok(()),
    };
    compare(
        stored,
        &truth.counted,
        truth.file_clusters,
        meter,
        &mut |cluster, was, is| {
            if was < is && how == Repair::Leaks || was > is && truth.lost {
                return Ok(());
            }
            let Some(block) = stored.block(cluster) else {
                return Ok(());
            };
            fits(header, cluster, is)?;
            if open.as_ref().is_none_or(|(offset, _)| *offset != block) {
                close(&mut open)?;
                let len = usize::try_from(header.geometry.cluster()).unwrap_or(0);
                open = Some((block, read_padded(draft.file(), block, len)?));
            }
            if let Some((_, bytes)) = &mut open {
                store(bytes, cluster & mask, header.refcount_order, is);
            }
            Ok(())
        },
    )?;
    close(&mut open)
}

fn fits(header: &Header, cluster: u64, count: u64) -> Result<()> {
    if count <= largest(header.refcount_order) {
        return Ok(());
    }
    Err(Error::unsupported(format!(
        "it has {count} references, which the image's reference counts cannot hold"
    ))
    .at("cluster", cluster.saturating_mul(header.geometry.cluster())))
}

/// Writes a new refcount table and new blocks behind everything else.
fn rebuild(draft: &mut Draft, header: &Header, meter: &mut Meter) -> Result<()> {
    let geometry = header.geometry;
    let order = header.refcount_order;
    let bits = block_bits(geometry, order);
    let per_block = 1_u64.wrapping_shl(bits);
    let start = geometry.clusters(draft.file().len());
    // First the old counts, as far as they may be needed, then the draft may grow.
    let (table, blocks) = {
        let file = draft.file();
        let stored = Stored::read(file, header, meter)?;
        let truth = count(file, header, meter.clone(), None)?;
        let mut needed = BTreeSet::new();
        for number in 0..start.div_ceil(per_block) {
            let first = number.saturating_mul(per_block);
            let end = first.saturating_add(per_block);
            if truth.counted.any(first, end) || (truth.lost && stored.block(first).is_some()) {
                meter.bytes(geometry.cluster(), "refcount block")?;
                needed.insert(number);
            }
        }
        // The new structures are counted too, and may need further blocks for that.
        let mut table_clusters = 1_u64;
        loop {
            let own = table_clusters.saturating_add(u64::try_from(needed.len()).unwrap_or(u64::MAX));
            let end = start.saturating_add(own);
            let before = (needed.len(), table_clusters);
            needed.extend(start.wrapping_shr(bits)..=end.saturating_sub(1).wrapping_shr(bits));
            let entries = needed.last().map_or(0, |last| last.saturating_add(1));
            table_clusters = geometry.clusters(entries.saturating_mul(8)).max(table_clusters);
            if before == (needed.len(), table_clusters) {
                break;
            }
        }
        let end = start
            .saturating_add(table_clusters)
            .saturating_add(u64::try_from(needed.len()).unwrap_or(u64::MAX));
        let bytes = usize::try_from(table_clusters.saturating_mul(geometry.cluster())).unwrap_or(0);
        let mut table = vec![0; bytes];
        let mut blocks = Vec::new();
        let mut place = start.saturating_add(table_clusters);
        for number in needed {
            let mut block = vec![0; usize::try_from(geometry.cluster()).unwrap_or(0)];
            let first = number.saturating_mul(per_block);
            for (index, cluster) in (first..first.saturating_add(per_block).min(end)).enumerate() {
                let count = if cluster >= start {
                    1
                } else {
                    truth.of(cluster, &stored)?
                };
                fits(header, cluster, count)?;
                store(&mut block, u64::try_from(index).unwrap_or(u64::MAX), order, count);
            }
            let offset = place.saturating_mul(geometry.cluster());
            let at = usize::try_from(number.saturating_mul(8)).unwrap_or(usize::MAX);
            if let Some(slot) = table.get_mut(at..).and_then(|t| t.first_chunk_mut()) {
                *slot = offset.to_be_bytes();
            }
            blocks.push((offset, block));
            place = place.saturating_add(1);
        }
        (table, blocks)
    };
    let clusters = geometry.clusters(u64::try_from(table.len()).unwrap_or(u64::MAX));
    let offset = start.saturating_mul(geometry.cluster());
    let end = start
        .saturating_add(clusters)
        .saturating_add(u64::try_from(blocks.len()).unwrap_or(u64::MAX));
    draft.extend(end.saturating_mul(geometry.cluster()))?;
    draft.write(offset, &table)?;
    for (offset, block) in &blocks {
        draft.write(*offset, block)?;
    }
    let clusters = u32::try_from(clusters)
        .map_err(|_| Error::unsupported("the refcount table needs more than 2^32 clusters"))?;
    draft.write(48, &offset.to_be_bytes())?;
    draft.write(56, &clusters.to_be_bytes())?;
    let header = Header::read(draft.file(), meter)?;
    let stored = Stored::read(draft.file(), &header, meter)?;
    let truth = count(draft.file(), &header, meter.clone(), Some(&stored))?;
    flags(draft, &header, &truth, &stored, meter)
}

/// Sets the flag "refcount is exactly one" in the active tables to what the counts are now.
fn flags(
    draft: &Draft,
    header: &Header,
    truth: &Truth,
    stored: &Stored<'_>,
    meter: &mut Meter,
) -> Result<()> {
    let geometry = header.geometry;
    let dialect = header.dialect();
    let flagged = |entry: u64, host: u64| -> Result<u64> {
        let one = truth.of(geometry.index(host), stored)? == 1;
        Ok(if one { entry | COPIED } else { entry & !COPIED })
    };
    let word = |at: u64| -> Result<u64> {
        let mut bytes = [0; 8];
        draft.file().read_at(at, &mut bytes)?;
        Ok(u64::from_be_bytes(bytes))
    };
    for index in 0..header.l1.entries {
        let at = header.l1.at(index);
        let entry = word(at)?;
        let Ok(Some(table)) = dialect.l1(entry) else {
            continue;
        };
        if geometry.index(table) >= truth.file_clusters {
            continue;
        }
        draft.set(at, flagged(entry, table)?)?;
        meter.steps(1_u64.wrapping_shl(geometry.l2_bits()).div_ceil(64), "L2 table")?;
        let len = usize::try_from(geometry.cluster()).unwrap_or(0);
        let bytes = read_padded(draft.file(), table, len)?;
        let (words, _) = bytes.as_chunks::<8>();
        let mut at = table;
        for pair in words.chunks(if geometry.extended() { 2 } else { 1 }) {
            let half = |n: usize| pair.get(n).map_or(0, |w| u64::from_be_bytes(*w));
            let (entry, bitmap) = (half(0), half(1));
            let wanted = match dialect.l2(entry, bitmap) {
                Ok(Cluster::Coded { .. }) => entry & !COPIED,
                Ok(
                    Cluster::Data { host }
                    | Cluster::Zero { host: Some(host) }
                    | Cluster::Parts { host: Some(host), .. },
                ) if !header.external() => flagged(entry, host)?,
                _ => entry,
            };
            if wanted != entry {
                draft.set(at, wanted)?;
            }
            at = at.saturating_add(1_u64.wrapping_shl(geometry.entry_bits()));
        }
    }
    Ok(())
}
