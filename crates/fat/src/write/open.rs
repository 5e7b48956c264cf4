//! Opening for writing: what may not be written is refused here, by name, before anything is.

use super::FatWriter;
use super::space::Space;
use crate::boot;
use crate::layout::{Bpb, Head32};
use crate::volume::{self, Fat};
use h2k_block::{BlockRead, Error, Limits, Meter, Overlay, Result};
use h2k_fs::{FsRead, Time};
use std::sync::Arc;
use zerocopy::FromBytes;

/// What to do about a filesystem that cannot be trusted.
const ADVICE: &str = "run fsck.vfat first";
/// Bytes of tables compared at once.
const PIECE: u64 = 64 << 10;

/// Opens a filesystem for writing into `over`. Operations are stamped with `now` until
/// [`h2k_fs::FsWrite::set_clock`] says otherwise.
///
/// # Errors
/// As [`crate::open`]; [`h2k_block::Class::Corrupt`] when its free space cannot be trusted: not cleanly unmounted, a
/// disk error recorded, tables that differ, a boot sector that its backup had to stand in for, a volume that is cut
/// off; [`h2k_block::Class::Unsupported`] for a version of FAT32 that is not known, and for exFAT.
pub fn open_writer(over: Arc<Overlay>, limits: &Limits, now: Time) -> Result<FatWriter> {
    let disk: Arc<dyn BlockRead> = over.clone();
    if crate::exfat::probe(&*disk)? {
        return Err(Error::unsupported("exFAT is read but not written"));
    }
    let fs = volume::open(disk, limits)?;
    check(&fs)
        .and_then(|tables| {
            let free = fs.usage()?.free >> fs.geometry.cluster_bits;
            Ok(Space {
                free: u32::try_from(free).unwrap_or(u32::MAX),
                last: hint(&fs),
                tables,
            })
        })
        .map(|space| FatWriter {
            fs,
            over,
            now,
            space,
            undo: Vec::new(),
            moved: Vec::new(),
            broken: false,
        })
        .map_err(|e| e.through("fat"))
}

fn distrusted(at: u64, what: impl Into<String>) -> Error {
    Error::corrupt("boot sector", at, what).advise(ADVICE)
}

/// Refuses what cannot be trusted; says where the tables lie that have to be written.
fn check(fs: &Fat) -> Result<Vec<u64>> {
    let geometry = &fs.geometry;
    let disk = &fs.clusters.disk;
    if !boot::probe(&**disk)? {
        return Err(distrusted(
            0,
            "the boot sector is damaged, only its backup is left",
        ));
    }
    if fs.dirty {
        return Err(distrusted(
            0,
            "the volume was not unmounted cleanly: its free space cannot be trusted",
        ));
    }
    if fs.worn {
        return Err(distrusted(
            0,
            "a disk error was met when the volume was used last: its tables cannot be trusted",
        ));
    }
    if geometry.len > disk.len() {
        return Err(distrusted(
            0,
            format!(
                "the volume is cut off: {} of {} bytes are there",
                disk.len(),
                geometry.len
            ),
        ));
    }
    if fs.fat32() {
        check_fat32(fs)?;
    }
    let place = |n: u64| geometry.fat_at.saturating_add(n.saturating_mul(geometry.fat_len));
    let tables: Vec<u64> = match geometry.active {
        Some(active) => vec![place(active)],
        None => (0..geometry.fats).map(place).collect(),
    };
    if let (Some(first), None) = (fs.clusters.tables.first(), geometry.active) {
        let media = first.raw(0, &mut None)? & 0xff;
        if media != u32::from(geometry.media) && media < 0xf8 {
            return Err(distrusted(
                first.at(),
                format!(
                    "the first entry of the table is {media:#x}, the media byte {:#x}",
                    geometry.media
                ),
            ));
        }
    }
    same(fs, &tables)?;
    Ok(tables)
}

fn check_fat32(fs: &Fat) -> Result<()> {
    let mut bytes = [0; 512];
    fs.clusters.disk.read_at(0, &mut bytes)?;
    let Ok((_, rest)) = Bpb::read_from_prefix(&bytes) else {
        return Ok(());
    };
    let Ok((head, _)) = Head32::read_from_prefix(rest) else {
        return Ok(());
    };
    if head.version.get() != 0 {
        let version = head.version.get();
        let (major, minor) = (version >> 8, version & 0xff);
        let what = format!("version {major}.{minor} of FAT32 is not written, only 0.0");
        return Err(Error::unsupported(what).at("boot sector", 42));
    }
    let flags = head.flags.get();
    if flags & 0x80 != 0 && fs.geometry.active.is_none() {
        return Err(distrusted(
            40,
            format!("table {} is to be used, of {}", flags & 0xf, fs.geometry.fats),
        ));
    }
    Ok(())
}

/// Refuses tables that are not copies of each other.
fn same(fs: &Fat, tables: &[u64]) -> Result<()> {
    let Some((first, others)) = tables.split_first() else {
        return Ok(());
    };
    let mut meter = Meter::new(fs.clusters.limits);
    let (mut one, mut two) = (vec![0; super::narrow(PIECE)], vec![0; super::narrow(PIECE)]);
    for (n, other) in others.iter().enumerate() {
        let mut done = 0;
        while done < fs.geometry.fat_len {
            let len = fs.geometry.fat_len.saturating_sub(done).min(PIECE);
            meter.steps(len / 512, "table")?;
            let len = super::narrow(len);
            let (Some(a), Some(b)) = (one.get_mut(..len), two.get_mut(..len)) else {
                break;
            };
            fs.clusters.disk.read_at(first.saturating_add(done), a)?;
            fs.clusters.disk.read_at(other.saturating_add(done), b)?;
            if a != b {
                let what = format!("table {} differs from the first", n.saturating_add(2));
                return Err(Error::corrupt("FAT", other.saturating_add(done), what).advise(ADVICE));
            }
            done = done.saturating_add(PIECE);
        }
    }
    Ok(())
}

/// The cluster that was given out last, where FSInfo knows.
fn hint(fs: &Fat) -> u32 {
    let info = fs.geometry.info.map(|at| boot::info(&*fs.clusters.disk, at));
    match info {
        Some(Ok(info)) if fs.clusters.has(info.next_free.get()) => info.next_free.get(),
        // The search begins with cluster 2.
        _ => 1,
    }
}
