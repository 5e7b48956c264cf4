//! FAT12/16/32 (Microsoft, "FAT32 File System Specification"), exFAT (Microsoft's published specification), NTFS,
//! ReFS, and BitLocker, which replaces their boot sector.

use super::head::Head;
use super::{Identity, Usage};
use crate::bytes::{clipped, has, index, le16, le32, le64, utf16, wide};
use h2k_block::Result;

/// What a FAT boot sector says, checked.
struct Bpb {
    sector: u64,
    cluster_sectors: u64,
    reserved: u64,
    fats: u64,
    root_entries: u64,
    fat_sectors: u64,
    total_sectors: u64,
    fat32: bool,
    root_cluster: u64,
}

fn bpb(sector: &[u8]) -> Option<Bpb> {
    let size = le16(sector, 11)?;
    let cluster = *sector.get(13)?;
    let reserved = le16(sector, 14)?;
    let fats = *sector.get(16)?;
    let media = *sector.get(21)?;
    let jump = *sector.first()?;
    let sane = matches!(jump, 0xeb | 0xe9)
        && size.is_power_of_two()
        && (512..=4096).contains(&size)
        && cluster.is_power_of_two()
        && reserved > 0
        && fats > 0
        && (media == 0xf0 || media >= 0xf8);
    if !sane {
        return None;
    }
    let fat16 = u64::from(le16(sector, 22)?);
    let fat32_sectors = u64::from(le32(sector, 36)?);
    let total16 = u64::from(le16(sector, 19)?);
    let total32 = u64::from(le32(sector, 32)?);
    let total_sectors = if total16 != 0 { total16 } else { total32 };
    let fat32 = fat16 == 0;
    let fat_sectors = if fat32 { fat32_sectors } else { fat16 };
    (total_sectors != 0 && fat_sectors != 0).then(|| Bpb {
        sector: size.into(),
        cluster_sectors: cluster.into(),
        reserved: reserved.into(),
        fats: fats.into(),
        root_entries: le16(sector, 17).unwrap_or(0).into(),
        fat_sectors,
        total_sectors,
        fat32,
        root_cluster: le32(sector, 44).unwrap_or(0).into(),
    })
}

impl Bpb {
    fn root_start(&self) -> u64 {
        self.fats
            .saturating_mul(self.fat_sectors)
            .saturating_add(self.reserved)
            .saturating_mul(self.sector)
    }

    fn data_start(&self) -> u64 {
        let root = self.root_entries.saturating_mul(32).div_ceil(self.sector.max(1));
        self.root_start().saturating_add(root.saturating_mul(self.sector))
    }

    /// The specification decides by the count of clusters, and by nothing else.
    fn version(&self) -> &'static str {
        if self.fat32 {
            return "FAT32";
        }
        let data = self
            .total_sectors
            .saturating_sub(self.data_start().checked_div(self.sector).unwrap_or(0));
        let clusters = data.checked_div(self.cluster_sectors).unwrap_or(0);
        if clusters < 4085 { "FAT12" } else { "FAT16" }
    }
}

pub(super) fn fat(head: &Head<'_>) -> Result<Option<Identity>> {
    let Some(sector) = head.at::<512>(0)? else {
        return Ok(None);
    };
    if !has(&sector, 510, &[0x55, 0xaa]) && !has(&sector, 54, b"FAT") && !has(&sector, 82, b"FAT32") {
        return Ok(None);
    }
    let Some(bpb) = bpb(&sector) else {
        return Ok(None);
    };
    // The serial number exists where the extended boot signature says so.
    let tail = if bpb.fat32 { 66 } else { 38 };
    let signed = matches!(sector.get(tail), Some(0x28 | 0x29));
    let serial = if signed {
        le32(&sector, tail.saturating_add(1)).filter(|s| *s != 0)
    } else {
        None
    };
    let mut identity = Identity::filesystem("vfat")
        .version(bpb.version())
        .uuid_text(serial.map(short_serial));
    // The boot sector has a label too, written when the volume was made and never changed: Windows ignores it.
    if let Some(label) = root_label(head, &bpb)?.filter(|l| l != b"NO NAME    ") {
        identity = identity.label(&label);
    }
    Ok(Some(identity))
}

fn short_serial(serial: u32) -> String {
    format!("{:04X}-{:04X}", serial >> 16, serial & 0xffff)
}

/// The label kept as an entry of the root directory.
fn root_label(head: &Head<'_>, bpb: &Bpb) -> Result<Option<Vec<u8>>> {
    if !bpb.fat32 {
        let len = bpb.root_entries.saturating_mul(32);
        let root = clipped(head.disk(), bpb.root_start(), index(len))?;
        return Ok(label_entry(&root).found());
    }
    let cluster_len = bpb.cluster_sectors.saturating_mul(bpb.sector);
    let mut cluster = bpb.root_cluster;
    // The label is written first; a root directory of more clusters than this keeps it elsewhere.
    for _ in 0..100 {
        let Some(nth) = cluster.checked_sub(2).filter(|n| *n < 0x0fff_fff5) else {
            break;
        };
        let at = bpb.data_start().saturating_add(nth.saturating_mul(cluster_len));
        let entries = clipped(head.disk(), at, index(cluster_len))?;
        if entries.is_empty() {
            break;
        }
        match label_entry(&entries) {
            Search::Found(label) => return Ok(Some(label)),
            Search::End => break,
            Search::Nothing => {}
        }
        let link = bpb
            .reserved
            .saturating_mul(bpb.sector)
            .saturating_add(cluster.saturating_mul(4));
        let Some(next) = head.at::<4>(link)? else {
            break;
        };
        cluster = u64::from(u32::from_le_bytes(next) & 0x0fff_ffff);
    }
    Ok(None)
}

enum Search {
    Found(Vec<u8>),
    Nothing,
    End,
}

impl Search {
    fn found(self) -> Option<Vec<u8>> {
        match self {
            Self::Found(label) => Some(label),
            Self::Nothing | Self::End => None,
        }
    }
}

fn label_entry(entries: &[u8]) -> Search {
    for entry in entries.as_chunks::<32>().0 {
        let (name, rest) = entry.split_at(11);
        let attributes = rest.first().copied().unwrap_or(0);
        match name.first() {
            Some(0) => return Search::End,
            Some(0xe5) => continue,
            _ => {}
        }
        let no_cluster = le16(entry, 20) == Some(0) && le16(entry, 26) == Some(0);
        // 0x0f in the low bits is a piece of a long name; 0x18 would be a directory.
        if attributes & 0x18 == 0x08 && attributes & 0x3f != 0x0f && no_cluster {
            let mut label = name.to_vec();
            if let Some(first) = label.first_mut()
                && *first == 0x05
            {
                *first = 0xe5;
            }
            return Search::Found(label);
        }
    }
    Search::Nothing
}

pub(super) fn exfat(head: &Head<'_>) -> Result<Option<Identity>> {
    let Some(sector) = head.at::<120>(0)? else {
        return Ok(None);
    };
    if !has(&sector, 3, b"EXFAT   ") {
        return Ok(None);
    }
    let serial = le32(&sector, 100).filter(|s| *s != 0).map(short_serial);
    let version = format!(
        "{}.{}",
        sector.get(105).copied().unwrap_or(0),
        sector.get(104).copied().unwrap_or(0)
    );
    let identity = Identity::filesystem("exfat").version(version).uuid_text(serial);
    Ok(Some(match exfat_label(head, &sector)? {
        Some(label) => identity.label(label.as_bytes()),
        None => identity,
    }))
}

/// The volume label entry (type 0x83) of the root directory.
fn exfat_label(head: &Head<'_>, boot: &[u8]) -> Result<Option<String>> {
    let (Some(fat), Some(heap), Some(root)) = (le32(boot, 80), le32(boot, 88), le32(boot, 96)) else {
        return Ok(None);
    };
    let (Some(sector_bits), Some(cluster_bits)) = (boot.get(108), boot.get(109)) else {
        return Ok(None);
    };
    // Sectors of 512 to 4096 bytes, clusters up to 32 MiB.
    if !(9..=12).contains(sector_bits) || sector_bits.saturating_add(*cluster_bits) > 25 {
        return Ok(None);
    }
    let sector = 1_u64 << sector_bits;
    let cluster_len = sector << cluster_bits;
    let mut cluster = u64::from(root);
    for _ in 0..100 {
        let Some(nth) = cluster.checked_sub(2).filter(|n| *n < 0xffff_fff5) else {
            break;
        };
        let at = u64::from(heap)
            .saturating_mul(sector)
            .saturating_add(nth.saturating_mul(cluster_len));
        // The label is among the first entries (7.3 of the specification recommends the first).
        let entries = clipped(head.disk(), at, index(cluster_len.min(64 << 10)))?;
        for entry in entries.as_chunks::<32>().0 {
            match entry.first() {
                Some(0) => return Ok(None),
                Some(0x83) => {
                    let units = usize::from(entry.get(1).copied().unwrap_or(0)).min(11);
                    let text = entry.get(2..).and_then(|t| t.get(..units.saturating_mul(2)));
                    return Ok(text.map(utf16));
                }
                _ => {}
            }
        }
        let link = u64::from(fat)
            .saturating_mul(sector)
            .saturating_add(cluster.saturating_mul(4));
        let Some(next) = head.at::<4>(link)? else {
            break;
        };
        cluster = u64::from(u32::from_le_bytes(next));
    }
    Ok(None)
}

pub(super) fn ntfs(head: &Head<'_>) -> Result<Option<Identity>> {
    let Some(boot) = head.at::<512>(0)? else {
        return Ok(None);
    };
    if !has(&boot, 3, b"NTFS    ") {
        return Ok(None);
    }
    let (Some(sector), Some(cluster)) = (le16(&boot, 11), boot.get(13).copied()) else {
        return Ok(None);
    };
    if !sector.is_power_of_two() || !(256..=4096).contains(&sector) || cluster == 0 {
        return Ok(None);
    }
    let serial = le64(&boot, 72).unwrap_or(0);
    let mut identity = Identity::filesystem("ntfs").uuid_text(Some(format!("{serial:016X}")));
    let mft = le64(&boot, 48).unwrap_or(0);
    let record = boot.get(64).copied().unwrap_or(0);
    if let Some(label) = ntfs_label(head, u64::from(sector), cluster, mft, record)? {
        identity = identity.label(label.as_bytes());
    }
    Ok(Some(identity))
}

/// A count of clusters, or 2 to the power of minus the value where it is negative.
fn negative_log(value: u8, unit: u64) -> Option<u64> {
    let signed = i8::from_le_bytes([value]);
    if signed > 0 {
        u64::from(value).checked_mul(unit)
    } else {
        1_u64.checked_shl(u32::from(signed.unsigned_abs()))
    }
}

/// $VOLUME_NAME (attribute 0x60) of $Volume, which is record 3 of the MFT.
fn ntfs_label(head: &Head<'_>, sector: u64, cluster: u8, mft: u64, record: u8) -> Result<Option<String>> {
    // Clusters above 64 KiB are stored as a negative power of sectors.
    let sectors = if cluster <= 0x80 {
        u64::from(cluster)
    } else {
        1_u64
            .checked_shl(256_u32.saturating_sub(cluster.into()))
            .unwrap_or(0)
    };
    let cluster_len = sectors.saturating_mul(sector);
    let Some(record_len) = negative_log(record, cluster_len).filter(|len| (256..=65536).contains(len)) else {
        return Ok(None);
    };
    let Some(at) = mft
        .checked_mul(cluster_len)
        .and_then(|m| m.checked_add(record_len.saturating_mul(3)))
    else {
        return Ok(None);
    };
    let mut bytes = clipped(head.disk(), at, index(record_len))?;
    if wide(bytes.len()) != record_len || !bytes.starts_with(b"FILE") {
        return Ok(None);
    }
    restore(&mut bytes);
    Ok(attribute(&bytes, 0x60).map(utf16))
}

/// Puts back the last two bytes of each 512 that the update sequence replaced.
fn restore(record: &mut [u8]) {
    let (Some(at), Some(count)) = (le16(record, 4), le16(record, 6)) else {
        return;
    };
    let array: Vec<[u8; 2]> = record
        .get(usize::from(at)..)
        .map(|a| a.as_chunks::<2>().0.iter().take(count.into()).copied().collect())
        .unwrap_or_default();
    let originals = array.iter().skip(1);
    for (block, original) in record.as_chunks_mut::<512>().0.iter_mut().zip(originals) {
        if let Some(end) = block.last_chunk_mut::<2>() {
            *end = *original;
        }
    }
}

/// The value of a resident attribute.
fn attribute(record: &[u8], wanted: u32) -> Option<&[u8]> {
    let mut at = usize::from(le16(record, 20)?);
    loop {
        let kind = le32(record, at)?;
        if kind == u32::MAX {
            return None;
        }
        let len = index(le32(record, at.checked_add(4)?)?.into());
        let attribute = record.get(at..)?.get(..len)?;
        if kind == wanted && attribute.get(8) == Some(&0) {
            let size = index(le32(attribute, 16)?.into());
            let from = usize::from(le16(attribute, 20)?);
            return attribute.get(from..)?.get(..size);
        }
        at = at.checked_add(len.max(8))?;
    }
}

pub(super) fn refs(head: &Head<'_>) -> Result<Option<Identity>> {
    Ok(head
        .has(0, b"\0\0\0ReFS\0")?
        .then(|| Identity::filesystem("ReFS")))
}

/// BitLocker: its own name where NTFS has its own (Windows 7 and later; Vista), or a FAT boot sector with the
/// identifier of BitLocker To Go.
pub(super) fn bitlocker(head: &Head<'_>) -> Result<Option<Identity>> {
    // 4967d63b-2e29-4ad8-8399-f6a339e3d001, and ….2e29-4ad8-8399-f6a339e3d01 of used-space-only volumes.
    const GUID: [u8; 15] = [
        0x3b, 0xd6, 0x67, 0x49, 0x29, 0x2e, 0xd8, 0x4a, 0x83, 0x99, 0xf6, 0xa3, 0x39, 0xe3, 0xd0,
    ];
    let Some(sector) = head.at::<512>(0)? else {
        return Ok(None);
    };
    let version = if has(&sector, 3, b"-FVE-FS-") {
        // Vista keeps where the metadata lies in the field of $MFTMirr, and no identifier.
        if has(&sector, 160, &GUID) { "2" } else { "1" }
    } else if has(&sector, 3, b"MSWIN4.1") && has(&sector, 424, &GUID) {
        "To Go"
    } else {
        return Ok(None);
    };
    Ok(Some(
        Identity::new("BitLocker", Usage::Encrypted).version(version),
    ))
}
