use super::edit::{Draft, Edit, changeable};
use super::entry::Cluster;
use super::geometry::Geometry;
use super::header::Header;
use super::layout::{COPIED, OFFSET_MASK};
use super::refcount::read_padded;
use super::repair::{Repair, settle};
use h2k_block::{BlockRead, Class, Error, HostFile, Limits, Meter, Result};
use std::collections::BTreeMap;
use std::sync::Arc;

/// All 32 subclusters are stored, none reads as zero.
const STORED: u64 = 0xffff_ffff;

/// Works out how the guest's disk in `file` gets the bytes that `disk` has in `ranges` (offset and length, sorted,
/// apart from each other). Nothing is written: see [`Edit`].
///
/// `disk` shows the whole disk with its parents: a cluster that belongs to a parent or a snapshot, too, or is stored
/// compressed, gets a place of its own at the end of the file, and is filled up from `disk`.
///
/// # Errors
/// [`Class::Invalid`] for ranges outside of the disk; [`Class::Unsupported`] for encrypted images, external data files
/// and bitmaps; [`Class::Corrupt`] when the image is not sound; else as [`super::check`], and what `disk` says.
pub fn overwrite(
    file: Arc<dyn HostFile>,
    disk: &dyn BlockRead,
    ranges: &[(u64, u64)],
    limits: &Limits,
) -> Result<Edit> {
    let mut meter = Meter::new(*limits);
    let header = Header::read(&*file, &mut meter)?;
    changeable(&*file, &header, "written", &mut meter)?;
    let mut draft = Draft::new(file);
    let touched = touched(&header, ranges, &mut meter)?;
    if touched.is_empty() {
        return Ok(draft.finish());
    }
    let mut work = Work {
        fresh: 0,
        draft: &mut draft,
        header,
        disk,
    };
    let places = work.places(&touched)?;
    work.make_room(&places, &mut meter)?;
    for (guest, place) in places.clusters {
        match place {
            Some(host) => work.write_within(guest, host, ranges)?,
            None => work.move_out(guest, &places.tables)?,
        }
    }
    // Frees what is no longer referred to and counts what is new.
    settle(&mut draft, Repair::All, limits)?;
    Ok(draft.finish())
}

/// The numbers of the guest clusters that `ranges` lie in, each once.
fn touched(header: &Header, ranges: &[(u64, u64)], meter: &mut Meter) -> Result<Vec<u64>> {
    let geometry = header.geometry;
    let mut all: Vec<u64> = Vec::new();
    for (offset, len) in ranges {
        let end = offset.checked_add(*len).filter(|end| *end <= header.size);
        let Some(end) = end else {
            return Err(Error::new(
                Class::Invalid,
                format!(
                    "{len} bytes at {offset:#x} are not on a disk of {} bytes",
                    header.size
                ),
            ));
        };
        if end == *offset {
            continue;
        }
        let first = geometry.index(*offset);
        let skip = u64::from(all.last() == Some(&first));
        let clusters = first.saturating_add(skip)..=geometry.index(end.saturating_sub(1));
        let count = geometry.clusters(*len).saturating_add(1);
        // Its number here, its place afterwards.
        meter.bytes(count.saturating_mul(32), "clusters to be written")?;
        all.extend(clusters);
    }
    Ok(all)
}

/// Where clusters are written.
struct Places {
    /// A guest cluster, and its place in the file where it may be written there.
    clusters: Vec<(u64, Option<u64>)>,
    /// Of each L1 entry that is needed the L2 table, and whether this image alone refers to it.
    tables: BTreeMap<u64, (u64, bool)>,
}

struct Work<'a> {
    draft: &'a mut Draft,
    header: Header,
    disk: &'a dyn BlockRead,
    /// The next new cluster.
    fresh: u64,
}

impl Work<'_> {
    fn geometry(&self) -> Geometry {
        self.header.geometry
    }

    /// Number of the L1 entry of a guest cluster, and how far into the L2 table its own entry lies.
    fn slot(&self, guest: u64) -> (u64, u64) {
        let bits = self.geometry().l2_bits();
        let within = guest & 1_u64.wrapping_shl(bits).wrapping_sub(1);
        (
            guest.wrapping_shr(bits),
            within.wrapping_shl(self.geometry().entry_bits()),
        )
    }

    fn places(&self, touched: &[u64]) -> Result<Places> {
        let mut places = Places {
            clusters: Vec::with_capacity(touched.len()),
            tables: BTreeMap::new(),
        };
        for guest in touched {
            let (index, within) = self.slot(*guest);
            let entry = self.draft.word(self.header.l1.at(index))?;
            let table = entry & OFFSET_MASK;
            let own = table != 0 && entry & COPIED != 0;
            places.tables.insert(index, (table, own));
            let place = if own {
                self.own(table.saturating_add(within))?
            } else {
                None
            };
            places.clusters.push((*guest, place));
        }
        Ok(places)
    }

    /// The place of the cluster whose L2 entry is at `at`, where nothing else refers to it and all of it is stored.
    fn own(&self, at: u64) -> Result<Option<u64>> {
        let entry = self.draft.word(at)?;
        let bitmap = match self.geometry().extended() {
            true => self.draft.word(at.saturating_add(8))?,
            false => 0,
        };
        match self.header.dialect().l2(entry, bitmap) {
            Ok(Cluster::Data { host }) if entry & COPIED != 0 => Ok(Some(host)),
            Ok(_) => Ok(None),
            Err(what) => Err(Error::corrupt("L2 entry", at, what)),
        }
    }

    /// Makes room for clusters and tables that are new, and tables of this image's own where they were not.
    fn make_room(&mut self, places: &Places, meter: &mut Meter) -> Result<()> {
        let geometry = self.geometry();
        let tables = places.tables.iter().filter(|(_, (_, own))| !own);
        let clusters = places.clusters.iter().filter(|(_, place)| place.is_none());
        let count = tables.clone().count().saturating_add(clusters.count());
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        meter.bytes(count.saturating_mul(geometry.cluster()), "new clusters")?;
        self.fresh = self.draft.append(geometry, count)?;
        for (index, (table, _)) in tables {
            let place = self.next();
            if *table != 0 {
                let len = usize::try_from(geometry.cluster()).unwrap_or(0);
                let was = read_padded(self.draft.file(), *table, len)?;
                self.draft.write(place, &was)?;
            }
            self.draft.set(self.header.l1.at(*index), place | COPIED)?;
        }
        Ok(())
    }

    fn next(&mut self) -> u64 {
        let place = self.fresh;
        self.fresh = place.saturating_add(self.geometry().cluster());
        place
    }

    /// Writes what changed of a cluster where it is.
    fn write_within(&self, guest: u64, host: u64, ranges: &[(u64, u64)]) -> Result<()> {
        let cluster = self.geometry().cluster();
        let start = guest.saturating_mul(cluster);
        let end = start.saturating_add(cluster);
        let first = ranges.partition_point(|(at, len)| at.saturating_add(*len) <= start);
        let inside = ranges.get(first..).unwrap_or_default().iter();
        for (at, len) in inside.take_while(|(at, _)| *at < end) {
            let (from, to) = ((*at).max(start), at.saturating_add(*len).min(end));
            let mut bytes = vec![0; usize::try_from(to.saturating_sub(from)).unwrap_or(0)];
            self.disk.read_at(from, &mut bytes)?;
            let place = host.saturating_add(from.saturating_sub(start));
            self.draft.write(place, &bytes)?;
        }
        Ok(())
    }

    /// Gives a guest cluster a place of its own, and writes all of it there.
    fn move_out(&mut self, guest: u64, tables: &BTreeMap<u64, (u64, bool)>) -> Result<()> {
        let cluster = self.geometry().cluster();
        let start = guest.saturating_mul(cluster);
        let there = self.header.size.saturating_sub(start).min(cluster);
        let mut bytes = vec![0; usize::try_from(there).unwrap_or(0)];
        self.disk.read_at(start, &mut bytes)?;
        let place = self.next();
        self.draft.write(place, &bytes)?;
        let (index, within) = self.slot(guest);
        let table = match tables.get(&index) {
            Some((table, true)) => *table,
            _ => self.draft.word(self.header.l1.at(index))? & OFFSET_MASK,
        };
        let at = table.saturating_add(within);
        self.draft.set(at, place | COPIED)?;
        if self.geometry().extended() {
            self.draft.set(at.saturating_add(8), STORED)?;
        }
        Ok(())
    }
}
