//! Parts of something larger: array members, physical volumes, encrypted devices, caches, replicas.

use super::head::Head;
use super::{Identity, Usage};
use crate::bytes::{be32, be64, has, le32, le64, until_nul};
use h2k_block::Result;

const MD_MAGIC: u32 = 0xa92b_4efc;

/// Linux MD: superblock 1.1 at 0, 1.2 at 4 KiB, 1.0 and 0.90 near the end.
pub(super) fn linux_raid(head: &Head<'_>) -> Result<Option<Identity>> {
    let len = head.len();
    let v1_end = (len / 512).saturating_sub(16) & !7;
    let places = [(0, "1.1"), (4096, "1.2"), (v1_end.saturating_mul(512), "1.0")];
    for (at, version) in places {
        let Some(sb) = head.at::<256>(at)? else {
            continue;
        };
        // The superblock says in which sector it lies: a copy found elsewhere belongs to something else.
        if le32(&sb, 0) == Some(MD_MAGIC) && le32(&sb, 4) == Some(1) && le64(&sb, 144) == Some(at / 512) {
            let uuid = sb
                .get(16..)
                .and_then(|b| b.first_chunk::<16>())
                .copied()
                .unwrap_or_default();
            return Ok(Some(
                Identity::new("linux_raid_member", Usage::Member)
                    .version(version)
                    .uuid(uuid)
                    .label(sb.get(32..64).unwrap_or_default()),
            ));
        }
    }
    let Some(at) = (len & !0xffff).checked_sub(0x1_0000) else {
        return Ok(None);
    };
    let Some(sb) = head.at::<64>(at)? else {
        return Ok(None);
    };
    let little = le32(&sb, 0) == Some(MD_MAGIC) && le32(&sb, 4) == Some(0);
    let big = be32(&sb, 0) == Some(MD_MAGIC) && be32(&sb, 4) == Some(0);
    if !little && !big {
        return Ok(None);
    }
    // Four words: the first beside the version, the others after the personality's numbers.
    let word = |at: usize| {
        let found = if little { le32(&sb, at) } else { be32(&sb, at) };
        found.unwrap_or(0).to_be_bytes()
    };
    let mut uuid = [0; 16];
    for (slot, at) in uuid.as_chunks_mut::<4>().0.iter_mut().zip([20, 52, 56, 60]) {
        *slot = word(at);
    }
    Ok(Some(
        Identity::new("linux_raid_member", Usage::Member)
            .version("0.90.0")
            .uuid(uuid),
    ))
}

/// LVM2: `LABELONE` in one of the first four sectors, the physical volume's UUID in the header it points to.
pub(super) fn lvm2(head: &Head<'_>) -> Result<Option<Identity>> {
    for sector in 0..4_u64 {
        let at = sector.saturating_mul(512);
        let Some(label) = head.at::<512>(at)? else {
            break;
        };
        if !label.starts_with(b"LABELONE") || le64(&label, 8) != Some(sector) {
            continue;
        }
        let Some(kind) = label.get(24..32) else {
            continue;
        };
        if kind != b"LVM2 001" {
            continue;
        }
        let header = le32(&label, 20).unwrap_or(32);
        let id = head.at::<32>(at.saturating_add(u64::from(header)))?;
        let uuid = id.map(|id| crate::name::dashed(&id));
        return Ok(Some(
            Identity::new("LVM2_member", Usage::Member)
                .version("LVM2 001")
                .uuid_text(uuid),
        ));
    }
    Ok(None)
}

/// LUKS1 and LUKS2 ("LUKS2 On-Disk Format Specification"): the same magic and place of the UUID.
pub(super) fn luks(head: &Head<'_>) -> Result<Option<Identity>> {
    let Some(header) = head.at::<208>(0)? else {
        return Ok(None);
    };
    if !header.starts_with(b"LUKS\xba\xbe") {
        return Ok(None);
    }
    let version = crate::bytes::be16(&header, 6).unwrap_or(0);
    let uuid = until_nul(header.get(168..208).unwrap_or_default());
    let mut identity = Identity::new("crypto_LUKS", Usage::Encrypted)
        .version(version.to_string())
        .uuid_text((!uuid.is_empty()).then(|| String::from_utf8_lossy(uuid).into_owned()));
    if version == 2 {
        identity = identity.label(header.get(24..72).unwrap_or_default());
    }
    Ok(Some(identity))
}

/// bcache: magic in the superblock at 4 KiB (kernel documentation, "bcache").
pub(super) fn bcache(head: &Head<'_>) -> Result<Option<Identity>> {
    let Some(sb) = head.at::<128>(4096)? else {
        return Ok(None);
    };
    let magic = [
        0xc6, 0x85, 0x73, 0xf6, 0x4e, 0x1a, 0x45, 0xca, 0x82, 0x65, 0xf5, 0x7f, 0x48, 0xba, 0x6d, 0x81,
    ];
    // The superblock names its own sector; bcachefs shares the magic and puts other things there.
    if !has(&sb, 24, &magic) || le64(&sb, 8) != Some(8) {
        return Ok(None);
    }
    let uuid = sb
        .get(40..)
        .and_then(|b| b.first_chunk::<16>())
        .copied()
        .unwrap_or_default();
    Ok(Some(
        Identity::new("bcache", Usage::Other)
            .uuid(uuid)
            .label(sb.get(72..104).unwrap_or_default()),
    ))
}

/// DRBD internal meta data: a block in the last 4 KiB (version 8.4 and 9), big-endian.
pub(super) fn drbd(head: &Head<'_>) -> Result<Option<Identity>> {
    let Some(at) = (head.len() & !0xfff).checked_sub(0x1000) else {
        return Ok(None);
    };
    let Some(md) = head.at::<80>(at)? else {
        return Ok(None);
    };
    let version = match (be32(&md, 60), be32(&md, 64)) {
        (Some(0x8374_026c | 0x8374_026d), _) => "v08",
        (_, Some(0x8374_026d)) => "v09",
        _ => return Ok(None),
    };
    let uuid = be64(&md, 40).map(|u| format!("{u:016x}"));
    Ok(Some(
        Identity::new("drbd", Usage::Member)
            .version(version)
            .uuid_text(uuid),
    ))
}

/// VMware VMFS: the logical volume header at 1 MiB.
pub(super) fn vmfs(head: &Head<'_>) -> Result<Option<Identity>> {
    let Some(lvm) = head.at::<4>(1 << 20)? else {
        return Ok(None);
    };
    if le32(&lvm, 0) == Some(0xc001_d00d) {
        let uuid = head.at::<16>((1 << 20) + 0x254)?.map(vmfs_uuid);
        return Ok(Some(
            Identity::new("VMFS_volume_member", Usage::Member).uuid_text(uuid),
        ));
    }
    if head
        .at::<4>(2 << 20)?
        .is_some_and(|fs| le32(&fs, 0) == Some(0x2fab_f15e))
    {
        return Ok(Some(Identity::filesystem("VMFS")));
    }
    Ok(None)
}

/// Two little-endian words, a half word, and a MAC address.
fn vmfs_uuid(bytes: [u8; 16]) -> String {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = bytes;
    let words = (
        u32::from_le_bytes([a, b, c, d]),
        u32::from_le_bytes([e, f, g, h]),
        u16::from_le_bytes([i, j]),
    );
    format!(
        "{:08x}-{:08x}-{:04x}-{k:02x}{l:02x}{m:02x}{n:02x}{o:02x}{p:02x}",
        words.0, words.1, words.2
    )
}

/// Windows dynamic disks (LDM): `PRIVHEAD` in sector 6 of the disk, or at the start of the LDM metadata partition's
/// last sectors on GPT disks. Only the former is looked for here; the latter has its own partition type.
pub(super) fn ldm(head: &Head<'_>) -> Result<Option<Identity>> {
    let Some(header) = head.at::<512>(6 * 512)? else {
        return Ok(None);
    };
    if !header.starts_with(b"PRIVHEAD") {
        return Ok(None);
    }
    // Disk identifier and disk group identifier are GUIDs in text.
    let group = until_nul(header.get(176..240).unwrap_or_default());
    let disk = until_nul(header.get(48..112).unwrap_or_default());
    Ok(Some(
        Identity::new("LDM", Usage::Member)
            .uuid_text((!disk.is_empty()).then(|| String::from_utf8_lossy(disk).into_owned()))
            .label(group),
    ))
}

/// Windows Storage Spaces: the pool's own signature at the start of its partition.
pub(super) fn storage_spaces(head: &Head<'_>) -> Result<Option<Identity>> {
    Ok(head
        .has(0, b"SPACEDB ")?
        .then(|| Identity::new("storage_spaces", Usage::Member)))
}
