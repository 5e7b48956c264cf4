use super::edit::{Draft, Edit, changeable};
use super::entry::Cluster;
use super::geometry::Geometry;
use super::header::{Header, Table};
use super::layout::{COPIED, MAX_L1_BYTES, OFFSET_MASK, ZERO};
use super::refcount::read_padded;
use super::repair::{Repair, settle};
use h2k_block::{BlockRead, Class, Error, HostFile, Limits, Meter, Result, is_zero};
use std::sync::Arc;

/// What may be lost when a disk gets smaller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shrink {
    /// Nothing: what is cut off must be unallocated (and nothing underneath) or zero.
    #[default]
    Careful,
    /// Data: what is cut off is gone.
    Discard,
}

/// Works out how the guest's disk in `file` becomes `len` bytes long. Nothing is written: see [`Edit`].
///
/// New bytes read as zero. Over a backing file, whose length is not known here, each new cluster is marked as zero,
/// which costs a table for every so many of them.
///
/// # Errors
/// [`Class::Invalid`] when data would be cut off and `shrink` does not allow it, or when `len` is not a multiple of
/// 512; [`Class::Unsupported`] for encrypted images, external data files, bitmaps, and for internal snapshots where
/// tables would have to be changed that a snapshot may share; [`Class::Corrupt`] when the image is not sound; else as
/// [`super::check`].
pub fn resize(file: Arc<dyn HostFile>, len: u64, shrink: Shrink, limits: &Limits) -> Result<Edit> {
    let mut meter = Meter::new(*limits);
    let header = Header::read(&*file, &mut meter)?;
    refuse(&header, len)?;
    changeable(&*file, &header, "resized", &mut meter)?;
    let mut draft = Draft::new(file);
    if len == header.size {
        return Ok(draft.finish());
    }
    let mut work = Work {
        draft: &mut draft,
        header,
        meter,
    };
    if len > work.header.size {
        work.grow(len)?;
    } else {
        work.shrink(len, shrink)?;
    }
    work.draft.write(24, &len.to_be_bytes())?;
    // Frees what is no longer referred to and counts what is new.
    settle(&mut draft, Repair::All, limits)?;
    Ok(draft.finish())
}

fn refuse(header: &Header, len: u64) -> Result<()> {
    if !len.is_multiple_of(512) {
        return Err(Error::new(
            Class::Invalid,
            format!("a disk of {len} bytes asked; the size has to be a multiple of 512"),
        ));
    }
    if header.nb_snapshots > 0 && header.version == 2 {
        return Err(Error::unsupported(
            "an image of version 2 with internal snapshots, which do not know their own size, is not resized",
        ));
    }
    if header.geometry.l1_entries(len).saturating_mul(8) > MAX_L1_BYTES {
        return Err(Error::unsupported(format!(
            "a disk of {len} bytes does not fit into clusters of {} bytes",
            header.geometry.cluster()
        ))
        .advise("convert it into an image with larger clusters"));
    }
    Ok(())
}

struct Work<'a> {
    draft: &'a mut Draft,
    header: Header,
    meter: Meter,
}

impl Work<'_> {
    fn grow(&mut self, len: u64) -> Result<()> {
        let geometry = self.header.geometry;
        let old = self.header.size;
        self.clear_tail(old)?;
        // What lies in tables behind the old end was left by somebody; the guest must not see it come back.
        self.clear_from(geometry.clusters(old))?;
        let needed = geometry.l1_entries(len);
        if needed > self.header.l1.entries {
            self.move_l1(needed)?;
        }
        if self.header.backing.is_some() {
            self.mark_zero(geometry.clusters(old), geometry.clusters(len))?;
        }
        Ok(())
    }

    fn shrink(&mut self, len: u64, shrink: Shrink) -> Result<()> {
        if self.header.nb_snapshots > 0 {
            return Err(
                Error::unsupported("an image with internal snapshots cannot be made smaller")
                    .advise("delete the snapshots first, or convert the state you need"),
            );
        }
        let geometry = self.header.geometry;
        if shrink == Shrink::Careful {
            self.nothing_is_lost(len)?;
        }
        self.clear_from(geometry.clusters(len))
    }

    /// Refuses when bytes from `len` on are, or could be, anything but zero.
    fn nothing_is_lost(&mut self, len: u64) -> Result<()> {
        let geometry = self.header.geometry;
        let backed = self.header.backing.is_some();
        let lost = |at: u64| {
            Err(Error::new(
                Class::Invalid,
                format!("the disk holds data at {at:#x}, which would be cut off"),
            )
            .advise("say --shrink if it may be lost"))
        };
        let file = self.draft.file();
        let size = self.header.size;
        let mut found = None;
        each_cluster(
            file,
            &self.header,
            geometry.index(len),
            &mut self.meter,
            &mut |guest, _, cluster| {
                let start = guest.wrapping_shl(geometry.cluster_bits()).max(len);
                if start >= size || found.is_some() {
                    return Ok(());
                }
                let zero = match cluster {
                    Cluster::Hole => !backed,
                    Cluster::Zero { .. } => true,
                    Cluster::Data { host } => {
                        let skip = geometry.within(start);
                        let n = usize::try_from(geometry.cluster().saturating_sub(skip)).unwrap_or(0);
                        is_zero(&read_padded(file, host.saturating_add(skip), n)?)
                    }
                    Cluster::Coded { .. } | Cluster::Parts { .. } => false,
                };
                if !zero {
                    found = Some(start);
                }
                Ok(())
            },
        )?;
        if backed && found.is_none() && self.has_missing_tables(len)? {
            found = Some(len);
        }
        found.map_or(Ok(()), lost)
    }

    /// Whether a table is missing for bytes from `len` on: a backing file shows through there.
    fn has_missing_tables(&self, len: u64) -> Result<bool> {
        let first = len.wrapping_shr(self.header.geometry.span_bits());
        for index in first..self.header.geometry.l1_entries(self.header.size) {
            if self.draft.word(self.header.l1.at(index))? == 0 {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Makes every cluster from number `first` on unallocated.
    fn clear_from(&mut self, first: u64) -> Result<()> {
        let geometry = self.header.geometry;
        let shared = self.header.nb_snapshots > 0;
        let mut places = Vec::new();
        let mut memory = self.meter.clone();
        each_cluster(
            self.draft.file(),
            &self.header,
            first,
            &mut self.meter,
            &mut |guest, at, cluster| {
                if guest >= first && cluster != Cluster::Hole {
                    // Its place here, and its share of a changed page.
                    memory.bytes(16, "table entries to be cleared")?;
                    places.push(at);
                }
                Ok(())
            },
        )?;
        if shared && !places.is_empty() {
            return Err(Error::unsupported(
                "there is data behind the end of the disk, in tables that snapshots may share",
            ));
        }
        for at in places {
            self.draft.set(at, 0)?;
            if geometry.extended() {
                self.draft.set(at.saturating_add(8), 0)?;
            }
        }
        let whole = first.div_ceil(1_u64.wrapping_shl(geometry.l2_bits()));
        for index in whole..self.header.l1.entries {
            self.draft.set(self.header.l1.at(index), 0)?;
        }
        Ok(())
    }

    /// Makes the bytes between the end of the disk and the end of its last cluster zero.
    fn clear_tail(&mut self, size: u64) -> Result<()> {
        let geometry = self.header.geometry;
        let within = geometry.within(size);
        if within == 0 {
            return Ok(());
        }
        let last = geometry.index(size);
        let backed = self.header.backing.is_some();
        let mut here = Cluster::Hole;
        each_cluster(
            self.draft.file(),
            &self.header,
            last,
            &mut self.meter,
            &mut |guest, _, cluster| {
                if guest == last {
                    here = cluster;
                }
                Ok(())
            },
        )?;
        let no = |what: &str| {
            Err(Error::unsupported(format!(
                "the disk ends inside a cluster that {what}; its rest cannot be made zero in place"
            ))
            .advise("convert the image instead: hyper2kvm convert --resize"))
        };
        let host = match here {
            Cluster::Zero { .. } => return Ok(()),
            Cluster::Hole if backed => return no("the backing file shows through"),
            Cluster::Hole => return Ok(()),
            Cluster::Coded { .. } => return no("is compressed"),
            Cluster::Parts { .. } if backed => return no("the backing file shows through"),
            Cluster::Parts { host: None, .. } => return Ok(()),
            Cluster::Parts { host: Some(host), .. } | Cluster::Data { host } => host,
        };
        let start = host.saturating_add(within);
        let end = host
            .saturating_add(geometry.cluster())
            .min(self.draft.file().len());
        let n = usize::try_from(end.saturating_sub(start)).unwrap_or(0);
        if is_zero(&read_padded(self.draft.file(), start, n)?) {
            return Ok(());
        }
        if self.header.nb_snapshots > 0 {
            return no("a snapshot may share");
        }
        self.draft.write(start, &vec![0; n])
    }

    /// Puts an L1 table of `entries` entries behind everything else.
    fn move_l1(&mut self, entries: u64) -> Result<()> {
        let geometry = self.header.geometry;
        let old = self.header.l1;
        let bytes = self.meter.bytes(old.entries.saturating_mul(8), "L1 table")?;
        let table = read_padded(self.draft.file(), old.offset, bytes)?;
        let offset = self
            .draft
            .append(geometry, geometry.clusters(entries.saturating_mul(8)))?;
        self.draft.write(offset, &table)?;
        self.header.l1 = Table { offset, entries };
        let entries = u32::try_from(entries)
            .map_err(|_| Error::unsupported("the L1 table needs more than 2^32 entries"))?;
        self.draft.write(36, &entries.to_be_bytes())?;
        self.draft.write(40, &offset.to_be_bytes())
    }

    /// Gives clusters `first .. end` the zero flag; they are unallocated.
    fn mark_zero(&mut self, first: u64, end: u64) -> Result<()> {
        let geometry = self.header.geometry;
        if self.header.version < 3 {
            return Err(Error::unsupported(
                "version 2 has no way to hide a backing file behind zeros, so the disk cannot grow",
            )
            .advise("upgrade it first: qemu-img amend -f qcow2 -o compat=1.1 IMAGE"));
        }
        if self.header.nb_snapshots > 0 {
            return Err(Error::unsupported(
                "an image with a backing file and internal snapshots cannot grow",
            ));
        }
        let mut entry = Vec::new();
        if geometry.extended() {
            entry.extend_from_slice(&[0; 8]);
            entry.extend_from_slice(&(u64::from(u32::MAX) << 32).to_be_bytes());
        } else {
            entry.extend_from_slice(&ZERO.to_be_bytes());
        }
        let per_table = 1_u64.wrapping_shl(geometry.l2_bits());
        // Tables that are missing are made all at once.
        let mut missing = 0_u64;
        for index in first.wrapping_shr(geometry.l2_bits())..geometry.l1_entries(end_of(geometry, end)) {
            let there = self.draft.word(self.header.l1.at(index))? & OFFSET_MASK != 0;
            missing = missing.saturating_add(u64::from(!there));
        }
        let entries = end.saturating_sub(first).wrapping_shl(geometry.entry_bits());
        let tables = missing.saturating_mul(geometry.cluster());
        self.meter.bytes(
            entries.saturating_add(tables),
            "zero clusters over the backing file",
        )?;
        let mut fresh = self.draft.append(geometry, missing)?;
        let mut guest = first;
        while guest < end {
            let index = guest.wrapping_shr(geometry.l2_bits());
            let table_end = index.saturating_add(1).saturating_mul(per_table).min(end);
            let n = table_end.saturating_sub(guest);
            let at = self.header.l1.at(index);
            let mut table = self.draft.word(at)? & OFFSET_MASK;
            if table == 0 {
                table = fresh;
                fresh = fresh.saturating_add(geometry.cluster());
                self.draft.set(at, table | COPIED)?;
            }
            let skip = guest & per_table.wrapping_sub(1);
            let place = table.saturating_add(skip.wrapping_shl(geometry.entry_bits()));
            self.draft
                .write(place, &entry.repeat(usize::try_from(n).unwrap_or(0)))?;
            guest = table_end;
        }
        Ok(())
    }
}

/// First guest byte after `clusters` clusters.
fn end_of(geometry: Geometry, clusters: u64) -> u64 {
    clusters.saturating_mul(geometry.cluster())
}

/// Shows every entry of the active L2 tables from guest cluster `first` on: its number, the offset of the entry, what
/// it says. The image was checked, so entries that make no sense do not occur.
fn each_cluster(
    file: &dyn BlockRead,
    header: &Header,
    first: u64,
    meter: &mut Meter,
    show: &mut dyn FnMut(u64, u64, Cluster) -> Result<()>,
) -> Result<()> {
    let geometry = header.geometry;
    let dialect = header.dialect();
    for index in first.wrapping_shr(geometry.l2_bits())..header.l1.entries {
        let mut entry = [0; 8];
        file.read_at(header.l1.at(index), &mut entry)?;
        let Ok(Some(table)) = dialect.l1(u64::from_be_bytes(entry)) else {
            continue;
        };
        meter.steps(1_u64.wrapping_shl(geometry.l2_bits()).div_ceil(64), "L2 table")?;
        let bytes = read_padded(file, table, usize::try_from(geometry.cluster()).unwrap_or(0))?;
        let (words, _) = bytes.as_chunks::<8>();
        let mut guest = index.wrapping_shl(geometry.l2_bits());
        let mut at = table;
        for pair in words.chunks(if geometry.extended() { 2 } else { 1 }) {
            let half = |n: usize| pair.get(n).map_or(0, |w| u64::from_be_bytes(*w));
            if guest >= first
                && let Ok(cluster) = dialect.l2(half(0), half(1))
            {
                show(guest, at, cluster)?;
            }
            guest = guest.saturating_add(1);
            at = at.saturating_add(1_u64.wrapping_shl(geometry.entry_bits()));
        }
    }
    Ok(())
}
