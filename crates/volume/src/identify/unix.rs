//! File systems of Linux and other Unixes, by the superblocks their documentation describes.

use super::head::Head;
use super::{Identity, Usage};
use crate::bytes::{be32, has, le16, le32, utf16};
use h2k_block::Result;

fn id16(bytes: &[u8], at: usize) -> [u8; 16] {
    bytes
        .get(at..)
        .and_then(|b| b.first_chunk::<16>())
        .copied()
        .unwrap_or_default()
}

fn part(bytes: &[u8], at: usize, len: usize) -> &[u8] {
    bytes.get(at..).and_then(|b| b.get(..len)).unwrap_or_default()
}

// Feature bits of the ext family (kernel documentation, "ext4: The Super Block").
const COMPAT_HAS_JOURNAL: u32 = 0x4;
const INCOMPAT_JOURNAL_DEV: u32 = 0x8;
/// filetype, recover, meta_bg: what an ext3 may have.
const INCOMPAT_EXT3: u32 = 0x2 | 0x4 | 0x10;
/// sparse_super, large_file, btree_dir: what an ext2 or ext3 may have.
const RO_COMPAT_EXT3: u32 = 0x1 | 0x2 | 0x4;

pub(super) fn ext(head: &Head<'_>) -> Result<Option<Identity>> {
    let Some(sb) = head.at::<256>(1024)? else {
        return Ok(None);
    };
    if le16(&sb, 56) != Some(0xef53) {
        return Ok(None);
    }
    // Revision 0 has no feature words.
    let dynamic = le32(&sb, 76).unwrap_or(0) > 0;
    let feature = |at| {
        if dynamic { le32(&sb, at).unwrap_or(0) } else { 0 }
    };
    let (compat, incompat, ro_compat) = (feature(92), feature(96), feature(100));
    let journal = compat & COMPAT_HAS_JOURNAL != 0;
    let beyond = incompat & !INCOMPAT_EXT3 != 0 || ro_compat & !RO_COMPAT_EXT3 != 0;
    let identity = if incompat & INCOMPAT_JOURNAL_DEV != 0 {
        Identity::new("jbd", Usage::Other)
    } else if beyond {
        Identity::filesystem("ext4")
    } else if journal {
        Identity::filesystem("ext3")
    } else {
        Identity::filesystem("ext2")
    };
    let revision = format!("{}.{}", le32(&sb, 76).unwrap_or(0), le16(&sb, 62).unwrap_or(0));
    Ok(Some(
        identity
            .version(revision)
            .uuid(id16(&sb, 104))
            .label(part(&sb, 120, 16)),
    ))
}

/// XFS: "XFS Algorithms & Data Structures", section 13.1.
pub(super) fn xfs(head: &Head<'_>) -> Result<Option<Identity>> {
    let Some(sb) = head.at::<128>(0)? else {
        return Ok(None);
    };
    if !sb.starts_with(b"XFSB") {
        return Ok(None);
    }
    let block = be32(&sb, 4).unwrap_or(0);
    if !block.is_power_of_two() || !(512..=65536).contains(&block) {
        return Ok(None);
    }
    Ok(Some(
        Identity::filesystem("xfs")
            .uuid(id16(&sb, 32))
            .label(part(&sb, 108, 12)),
    ))
}

/// btrfs: "On-disk Format" of its documentation; the primary superblock at 64 KiB.
pub(super) fn btrfs(head: &Head<'_>) -> Result<Option<Identity>> {
    let Some(sb) = head.at::<1024>(64 << 10)? else {
        return Ok(None);
    };
    if !has(&sb, 64, b"_BHRfS_M") {
        return Ok(None);
    }
    Ok(Some(
        Identity::filesystem("btrfs")
            .uuid(id16(&sb, 32))
            .label(part(&sb, 299, 256)),
    ))
}

/// ReiserFS 3 at 64 KiB, older ones at 8 KiB.
pub(super) fn reiserfs(head: &Head<'_>) -> Result<Option<Identity>> {
    for at in [64 << 10, 8 << 10] {
        let Some(sb) = head.at::<128>(at)? else {
            continue;
        };
        let version = match part(&sb, 52, 9) {
            b"ReIsEr2Fs" => "3.6",
            b"ReIsEr3Fs" => "JR",
            [b'R', b'e', b'I', b's', b'E', b'r', b'F', b's', _] => "3.5",
            _ => continue,
        };
        let identity = Identity::filesystem("reiserfs").version(version);
        return Ok(Some(if version == "3.5" {
            identity
        } else {
            identity.uuid(id16(&sb, 84)).label(part(&sb, 100, 16))
        }));
    }
    Ok(None)
}

pub(super) fn jfs(head: &Head<'_>) -> Result<Option<Identity>> {
    let Some(sb) = head.at::<184>(32 << 10)? else {
        return Ok(None);
    };
    // The block size is kept as a number and as its logarithm, at 24 and 28.
    let block = le32(&sb, 24).unwrap_or(0);
    let shift = u32::from(le16(&sb, 28).unwrap_or(0));
    if !sb.starts_with(b"JFS1") || 1_u32.checked_shl(shift) != Some(block) {
        return Ok(None);
    }
    Ok(Some(
        Identity::filesystem("jfs")
            .version("1")
            .uuid(id16(&sb, 136))
            .label(part(&sb, 152, 16)),
    ))
}

/// UFS1 and UFS2 of the BSDs and Solaris: magic at byte 1372 of the superblock, in the maker's byte order.
pub(super) fn ufs(head: &Head<'_>) -> Result<Option<Identity>> {
    const UFS1: u32 = 0x0001_1954;
    const UFS2: u32 = 0x1954_0119;
    for at in [8 << 10, 64 << 10, 256 << 10, 0] {
        let Some(sb) = head.at::<1376>(at)? else {
            continue;
        };
        let magics = [le32(&sb, 1372), be32(&sb, 1372)];
        let version = if magics.contains(&Some(UFS1)) {
            "1"
        } else if magics.contains(&Some(UFS2)) {
            "2"
        } else {
            continue;
        };
        let read = if matches!(magics, [Some(UFS1 | UFS2), _]) {
            le32
        } else {
            be32
        };
        let uuid = match (read(&sb, 144), read(&sb, 148)) {
            (Some(a), Some(b)) if a != 0 || b != 0 => Some(format!("{a:08x}{b:08x}")),
            _ => None,
        };
        let identity = Identity::filesystem("ufs").version(version).uuid_text(uuid);
        return Ok(Some(if version == "2" {
            identity.label(part(&sb, 680, 32))
        } else {
            identity
        }));
    }
    Ok(None)
}

/// F2FS: kernel documentation, "Flash-Friendly File System".
pub(super) fn f2fs(head: &Head<'_>) -> Result<Option<Identity>> {
    let Some(sb) = head.at::<1152>(1024)? else {
        return Ok(None);
    };
    if le32(&sb, 0) != Some(0xf2f5_2010) {
        return Ok(None);
    }
    let version = format!("{}.{}", le16(&sb, 4).unwrap_or(0), le16(&sb, 6).unwrap_or(0));
    Ok(Some(
        Identity::filesystem("f2fs")
            .version(version)
            .uuid(id16(&sb, 108))
            .label(utf16(part(&sb, 124, 1024)).as_bytes()),
    ))
}

/// NILFS2: kernel documentation, "NILFS2".
pub(super) fn nilfs2(head: &Head<'_>) -> Result<Option<Identity>> {
    let Some(sb) = head.at::<280>(1024)? else {
        return Ok(None);
    };
    let size = le16(&sb, 8).unwrap_or(0);
    if le16(&sb, 6) != Some(0x3434) || !(256..=1024).contains(&size) {
        return Ok(None);
    }
    Ok(Some(
        Identity::filesystem("nilfs2")
            .version(le32(&sb, 0).unwrap_or(0).to_string())
            .uuid(id16(&sb, 152))
            .label(part(&sb, 168, 80)),
    ))
}

/// OCFS2: superblock inode in block 2, whatever size a block has.
pub(super) fn ocfs2(head: &Head<'_>) -> Result<Option<Identity>> {
    for block in [512_u64, 1024, 2048, 4096] {
        let Some(sb) = head.at::<384>(block.saturating_mul(2))? else {
            continue;
        };
        if !sb.starts_with(b"OCFSV2") {
            continue;
        }
        let version = format!("{}.{}", le16(&sb, 192).unwrap_or(0), le16(&sb, 194).unwrap_or(0));
        return Ok(Some(
            Identity::filesystem("ocfs2")
                .version(version)
                .label(part(&sb, 272, 64))
                .uuid(id16(&sb, 336)),
        ));
    }
    Ok(None)
}

/// GFS2 at 64 KiB, big-endian.
pub(super) fn gfs2(head: &Head<'_>) -> Result<Option<Identity>> {
    let Some(sb) = head.at::<272>(64 << 10)? else {
        return Ok(None);
    };
    if be32(&sb, 0) != Some(0x0116_1970) || be32(&sb, 4) != Some(1) {
        return Ok(None);
    }
    let kind = match be32(&sb, 24) {
        Some(1801..=1899) => "gfs2",
        Some(1301..=1399) => "gfs",
        _ => return Ok(None),
    };
    Ok(Some(
        Identity::filesystem(kind)
            .label(part(&sb, 160, 64))
            .uuid(id16(&sb, 256)),
    ))
}

/// bcachefs at 4 KiB, under its own magic or the one it shares with bcache.
pub(super) fn bcachefs(head: &Head<'_>) -> Result<Option<Identity>> {
    const OWN: [u8; 16] = [
        0xc6, 0x85, 0x73, 0xf6, 0x66, 0xce, 0x90, 0xa9, 0xd9, 0x6a, 0x60, 0xcf, 0x80, 0x3d, 0xf7, 0xef,
    ];
    const SHARED: [u8; 16] = [
        0xc6, 0x85, 0x73, 0xf6, 0x4e, 0x1a, 0x45, 0xca, 0x82, 0x65, 0xf5, 0x7f, 0x48, 0xba, 0x6d, 0x81,
    ];
    let Some(sb) = head.at::<104>(4096)? else {
        return Ok(None);
    };
    if !has(&sb, 24, &OWN) && !has(&sb, 24, &SHARED) {
        return Ok(None);
    }
    Ok(Some(
        Identity::filesystem("bcachefs")
            .uuid(id16(&sb, 56))
            .label(part(&sb, 72, 32)),
    ))
}

/// The BeOS file system: "Practical File System Design", chapter 4; at 512 or at 0 in either byte order.
pub(super) fn befs(head: &Head<'_>) -> Result<Option<Identity>> {
    for at in [512, 0] {
        let Some(sb) = head.at::<128>(at)? else {
            continue;
        };
        let little = has(&sb, 32, b"1SFB") && has(&sb, 68, &0xdd12_1031_u32.to_le_bytes());
        let big = has(&sb, 32, b"BFS1") && has(&sb, 68, &0xdd12_1031_u32.to_be_bytes());
        if little || big {
            let version = if little { "little-endian" } else { "big-endian" };
            return Ok(Some(
                Identity::filesystem("befs")
                    .version(version)
                    .label(part(&sb, 0, 32)),
            ));
        }
    }
    Ok(None)
}

/// Minix 1 to 3 in either byte order.
pub(super) fn minix(head: &Head<'_>) -> Result<Option<Identity>> {
    let Some(sb) = head.at::<32>(1024)? else {
        return Ok(None);
    };
    let at = |at: usize| [le16(&sb, at), le16(&sb, at).map(u16::swap_bytes)];
    let is = |place: usize, magics: &[u16]| at(place).iter().flatten().any(|m| magics.contains(m));
    // A weak magic: block size zero and at least one inode and zone make a superblock of it.
    let sane = at(0) != [Some(0), Some(0)] && le16(&sb, 8).is_some_and(|first_zone| first_zone != 0);
    let version = if is(16, &[0x137f, 0x138f]) && sane {
        "1"
    } else if is(16, &[0x2468, 0x2478]) {
        "2"
    } else if is(24, &[0x4d5a]) {
        "3"
    } else {
        return Ok(None);
    };
    Ok(Some(Identity::filesystem("minix").version(version)))
}
