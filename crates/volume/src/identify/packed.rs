//! Read-only packed file systems: squashfs (kernel documentation, "Squashfs 4.0"), EROFS (kernel documentation,
//! "EROFS - Enhanced Read-Only File System"), cramfs.

use super::Identity;
use super::head::Head;
use crate::bytes::{be16, le16};
use h2k_block::Result;

pub(super) fn squashfs(head: &Head<'_>) -> Result<Option<Identity>> {
    let Some(sb) = head.at::<32>(0)? else {
        return Ok(None);
    };
    let (major, minor) = match sb.first_chunk::<4>() {
        Some(b"hsqs") => (le16(&sb, 28), le16(&sb, 30)),
        Some(b"sqsh") => (be16(&sb, 28), be16(&sb, 30)),
        _ => return Ok(None),
    };
    let (Some(major), Some(minor)) = (major, minor) else {
        return Ok(None);
    };
    let kind = if major < 4 { "squashfs3" } else { "squashfs" };
    Ok(Some(
        Identity::filesystem(kind).version(format!("{major}.{minor}")),
    ))
}

pub(super) fn erofs(head: &Head<'_>) -> Result<Option<Identity>> {
    let Some(sb) = head.at::<80>(1024)? else {
        return Ok(None);
    };
    if !sb.starts_with(&0xe0f5_e1e2_u32.to_le_bytes()) {
        return Ok(None);
    }
    let (_, rest) = sb.split_at(48);
    let Some((uuid, name)) = rest.split_first_chunk::<16>() else {
        return Ok(None);
    };
    Ok(Some(Identity::filesystem("erofs").uuid(*uuid).label(name)))
}

pub(super) fn cramfs(head: &Head<'_>) -> Result<Option<Identity>> {
    let Some(sb) = head.at::<64>(0)? else {
        return Ok(None);
    };
    let magic = 0x28cd_3d45_u32;
    if !sb.starts_with(&magic.to_le_bytes()) && !sb.starts_with(&magic.to_be_bytes()) {
        return Ok(None);
    }
    if sb.get(16..32) != Some(b"Compressed ROMFS") {
        return Ok(None);
    }
    Ok(Some(
        Identity::filesystem("cramfs").label(sb.get(48..64).unwrap_or_default()),
    ))
}
