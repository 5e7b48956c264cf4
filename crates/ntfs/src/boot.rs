//! The boot sector, checked once.

use crate::layout::Boot;
use h2k_block::{BlockRead, Error, Result};
use zerocopy::FromBytes;

/// The facts of a volume after validation, all sizes in bytes.
#[derive(Clone, Debug)]
pub(crate) struct Geometry {
    pub(crate) cluster: u32,
    pub(crate) clusters: u64,
    pub(crate) mft: u64,
    pub(crate) mirror: u64,
    pub(crate) record: u32,
    pub(crate) serial: u64,
}

const NAME: &str = "boot sector";

fn bad(field: u64, what: String) -> Error {
    Error::corrupt(NAME, field, what)
}

/// Whether `sector` begins like an NTFS volume.
pub(crate) fn looks_right(sector: &[u8; 512]) -> bool {
    sector.get(3..11) == Some(b"NTFS    ")
}

/// Reads and checks the boot sector of `disk`; the copy at the end takes over when the first one is damaged.
pub(crate) fn read(disk: &dyn BlockRead, warn: &mut dyn FnMut(String)) -> Result<Geometry> {
    let first = at(disk, 0);
    let Err(e) = first else { return first };
    let last = disk.len().saturating_sub(512) & !511;
    match at(disk, last) {
        Ok(found) if last > 0 => {
            warn(format!(
                "the boot sector is damaged ({e}); its copy at the end of the volume was used"
            ));
            Ok(found)
        }
        _ => Err(e),
    }
}

fn at(disk: &dyn BlockRead, offset: u64) -> Result<Geometry> {
    let mut sector = [0; 512];
    disk.read_at(offset, &mut sector)
        .map_err(|e| e.at(NAME, offset))?;
    let (boot, _) = Boot::ref_from_prefix(&sector).map_err(|_| bad(offset, "is too short".to_owned()))?;
    let place = |field: u64| offset.saturating_add(field);
    if !looks_right(&sector) {
        return Err(bad(
            place(3),
            format!("OEM id is {:02x?}, expected \"NTFS    \"", boot.oem_id),
        ));
    }
    let bytes = u32::from(boot.bytes_per_sector.get());
    if !bytes.is_power_of_two() || !(256..=4096).contains(&bytes) {
        return Err(bad(
            place(11),
            format!("{bytes} bytes per sector, expected a power of two from 256 to 4096"),
        ));
    }
    // Above 128 the byte is a negative logarithm, as for records: clusters of 256 KiB and more.
    let sectors = match boot.sectors_per_cluster {
        n @ 1..=128 if n.is_power_of_two() => u32::from(n),
        n @ 0xe0..=0xff => 1_u32.checked_shl(256_u32.saturating_sub(n.into())).unwrap_or(0),
        n => {
            return Err(bad(
                place(13),
                format!("{n} sectors per cluster, expected a power of two"),
            ));
        }
    };
    let cluster = bytes.checked_mul(sectors).filter(|c| (256..=2 << 20).contains(c));
    let cluster = cluster.ok_or_else(|| {
        bad(
            place(13),
            format!("clusters of {sectors} sectors are larger than 2 MiB"),
        )
    })?;
    let record = size(boot.clusters_per_record, cluster).filter(|n| (256..=65536).contains(n));
    let record = record.ok_or_else(|| {
        bad(
            place(64),
            format!(
                "{} clusters per file record, expected a record of 256 to 65536 bytes",
                boot.clusters_per_record
            ),
        )
    })?;
    if size(boot.clusters_per_index, cluster).is_none_or(|n| n < 256) {
        return Err(bad(
            place(68),
            format!("{} clusters per index block", boot.clusters_per_index),
        ));
    }
    let clusters = boot.total_sectors.get().checked_div(sectors.into()).unwrap_or(0);
    let byte = |lcn: u64, field: u64, name: &str| {
        let found = lcn.checked_mul(cluster.into()).filter(|_| lcn < clusters);
        found.ok_or_else(|| {
            bad(
                place(field),
                format!("{name} begins at cluster {lcn:#x} of {clusters:#x}"),
            )
        })
    };
    Ok(Geometry {
        cluster,
        clusters,
        mft: byte(boot.mft_lcn.get(), 48, "$MFT")?,
        mirror: byte(boot.mftmirr_lcn.get(), 56, "$MFTMirr").unwrap_or(0),
        record,
        serial: boot.serial.get(),
    })
}

fn size(code: i8, cluster: u32) -> Option<u32> {
    let found = match u32::try_from(code) {
        Ok(clusters) => cluster.checked_mul(clusters),
        Err(_) => 1_u32.checked_shl(code.unsigned_abs().into()),
    };
    found.filter(|n| n.is_power_of_two())
}
