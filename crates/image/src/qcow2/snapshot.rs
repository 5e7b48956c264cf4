use super::header::{Header, Table};
use super::layout::{MAX_SNAPSHOTS, SnapshotEntry, SnapshotExtra};
use crate::Snapshot;
use h2k_block::{BlockRead, Class, Error, Meter, Result};
use zerocopy::{FromZeros, IntoBytes};

/// An internal snapshot, and the L1 table that maps it.
#[derive(Clone, Debug)]
pub(super) struct Saved {
    pub(super) about: Snapshot,
    pub(super) l1: Table,
}

/// The snapshot table, and the first byte after it.
///
/// # Errors
/// [`Class::Corrupt`] when an entry runs out of the file.
pub(super) fn list(file: &dyn BlockRead, header: &Header, meter: &mut Meter) -> Result<(Vec<Saved>, u64)> {
    let start = header.snapshots_offset;
    let count = header.nb_snapshots;
    if count == 0 {
        return Ok((Vec::new(), start));
    }
    if count > MAX_SNAPSHOTS {
        return Err(Error::unsupported(format!(
            "{count} snapshots; more than {MAX_SNAPSHOTS} are read by nobody"
        ))
        .at("snapshot table", start));
    }
    if header.geometry.within(start) != 0 || start == 0 {
        return Err(Error::corrupt(
            "snapshot table",
            start,
            "is not aligned to a cluster",
        ));
    }
    let mut at = start;
    let mut all = Vec::new();
    for _ in 0..count {
        meter.step("snapshot")?;
        let (saved, end) = entry(file, header, at, meter)?;
        all.push(saved);
        at = end.next_multiple_of(8);
    }
    Ok((all, at))
}

fn entry(file: &dyn BlockRead, header: &Header, at: u64, meter: &mut Meter) -> Result<(Saved, u64)> {
    let bad = |what: &str| Error::corrupt("snapshot table entry", at, what);
    let outside = || bad("runs past the end of the file");
    let mut head = SnapshotEntry::new_zeroed();
    let extra_at = at.checked_add(40).filter(|end| *end <= file.len());
    let extra_at = extra_at.ok_or_else(outside)?;
    file.read_at(at, head.as_mut_bytes())?;
    let extra_len = u64::from(head.extra_data_size.get());
    let id_at = extra_at.saturating_add(extra_len);
    let name_at = id_at.saturating_add(head.id_size.get().into());
    let end = name_at.saturating_add(head.name_size.get().into());
    if end > file.len() || end.checked_next_multiple_of(8).is_none() {
        return Err(outside());
    }
    let mut extra = SnapshotExtra::new_zeroed();
    if extra_len >= 16 {
        file.read_at(extra_at, extra.as_mut_bytes())?;
    } else {
        extra.disk_size = header.size.into();
        extra.vm_state_size = u64::from(head.vm_state_size.get()).into();
        if header.version > 2 {
            return Err(bad(
                "has less than the 16 bytes of extra data that version 3 demands",
            ));
        }
    }
    let mut text = |at: u64, len: u16| -> Result<String> {
        let mut bytes = meter.buffer(len.into(), "snapshot name")?;
        file.read_at(at, &mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    let saved = Saved {
        about: Snapshot {
            id: text(id_at, head.id_size.get())?,
            name: text(name_at, head.name_size.get())?,
            seconds: head.date_sec.get().into(),
            clock_ns: head.vm_clock_nsec.get(),
            state_size: extra.vm_state_size.get(),
            virtual_size: extra.disk_size.get(),
        },
        l1: Table {
            offset: head.l1_table_offset.get(),
            entries: head.l1_size.get().into(),
        },
    };
    Ok((saved, end))
}

/// The snapshot that `wanted` means: its identifier, else its name.
///
/// # Errors
/// [`Class::NotFound`] with the names there are; [`Class::Invalid`] for a name that several have.
pub(super) fn choose<'a>(all: &'a [Saved], wanted: &str) -> Result<&'a Saved> {
    if let Some(found) = all.iter().find(|s| s.about.id == wanted) {
        return Ok(found);
    }
    let mut named = all.iter().filter(|s| s.about.name == wanted);
    match (named.next(), named.next()) {
        (Some(found), None) => Ok(found),
        (Some(_), Some(_)) => Err(Error::new(
            Class::Invalid,
            format!("several snapshots are called {wanted:?}"),
        )
        .advise("say the identifier instead of the name")),
        (None, _) => {
            let names: Vec<String> = all
                .iter()
                .take(20)
                .map(|s| format!("{} ({:?})", s.about.id, s.about.name))
                .collect();
            let there = if names.is_empty() {
                "it has none".to_owned()
            } else {
                format!("there are {}", names.join(", "))
            };
            Err(Error::new(
                Class::NotFound,
                format!("the image has no snapshot {wanted:?}; {there}"),
            ))
        }
    }
}
