//! Extended attributes: in the inode, in leaves, or in blocks of their own.

use crate::bmap::{Fork, Found};
use crate::inode::Inode;
use crate::layout::{DA_CRC, REMOTE_CRC, RemoteHeader, be16, be32, magic};
use crate::tree::Volume;
use h2k_block::{Error, Limits, Meter, Result};
use h2k_fs::EachXattr;
use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::Arc;
use zerocopy::FromBytes;

const LOCAL: u8 = 1;
const ROOT: u8 = 2;
const SECURE: u8 = 4;
const PARENT: u8 = 8;
const INCOMPLETE: u8 = 0x80;
/// Longest value the kernel accepts (XATTR_SIZE_MAX).
const LONGEST: u32 = 65536;
const LEAF: &str = "attribute leaf";

/// Shows every attribute of `inode` with its full name until `each` breaks.
pub(crate) fn list(volume: &Volume, inode: &Inode, limits: Limits, each: &mut EachXattr<'_>) -> Result<()> {
    let Some(fork) = &inode.attributes else {
        return Ok(());
    };
    if let Fork::Local(bytes) = fork {
        short_form(inode, bytes, each)?;
        return Ok(());
    }
    let mut meter = Meter::new(limits);
    let mut seen = HashSet::new();
    let mut next = first_leaf(volume, inode, fork, &mut meter)?;
    while let Some(number) = next {
        meter.step(LEAF)?;
        if !seen.insert(number) {
            return Err(bad(inode, "the attribute leaves go round in a circle"));
        }
        let block = fork_block(volume, inode, fork, number, LEAF, DA_CRC)?;
        if leaf(volume, inode, fork, &block, &mut meter, each)?.is_break() {
            return Ok(());
        }
        next = be32(&block, 0).filter(|n| *n != 0).map(u64::from);
    }
    Ok(())
}

fn bad(inode: &Inode, what: impl std::fmt::Display) -> Error {
    Error::corrupt(
        "attribute fork",
        inode.at,
        format!("inode {}: {what}", inode.number),
    )
}

/// Shows one attribute under the name Linux gives it. `None` where it is not the user's to see.
fn show(flags: u8, name: &[u8], value: &[u8], each: &mut EachXattr<'_>) -> ControlFlow<()> {
    if flags & (PARENT | INCOMPLETE) != 0 {
        return ControlFlow::Continue(());
    }
    if flags & ROOT != 0 {
        // XFS keeps POSIX ACLs in a form of its own; Linux shows them under the names all filesystems use.
        let acl = match name {
            b"SGI_ACL_FILE" => Some(&b"system.posix_acl_access"[..]),
            b"SGI_ACL_DEFAULT" => Some(&b"system.posix_acl_default"[..]),
            _ => None,
        };
        if let Some(acl) = acl
            && let Some(value) = posix_acl(value)
        {
            return each(acl, &value);
        }
    }
    let prefix: &[u8] = match flags & (ROOT | SECURE) {
        ROOT => b"trusted.",
        SECURE => b"security.",
        _ => b"user.",
    };
    each(&[prefix, name].concat(), value)
}

/// From XFS's big-endian ACL (count; tag, id, permissions of 12 bytes each) to the value of `system.posix_acl_*`.
fn posix_acl(value: &[u8]) -> Option<Vec<u8>> {
    let count = usize::try_from(be32(value, 0)?).ok()?;
    let (entries, _) = value.get(4..)?.as_chunks::<12>();
    let mut out = 2_u32.to_le_bytes().to_vec();
    for entry in entries.get(..count)? {
        out.extend_from_slice(&u16::try_from(be32(entry, 0)?).ok()?.to_le_bytes());
        out.extend_from_slice(&be16(entry, 8)?.to_le_bytes());
        let named = matches!(be32(entry, 0)?, 0x02 | 0x08);
        let id = if named { be32(entry, 4)? } else { u32::MAX };
        out.extend_from_slice(&id.to_le_bytes());
    }
    Some(out)
}

fn short_form(inode: &Inode, bytes: &[u8], each: &mut EachXattr<'_>) -> Result<()> {
    let short = || bad(inode, "an attribute runs past the end");
    let count = *bytes.get(2).ok_or_else(short)?;
    let mut rest = bytes.get(4..).ok_or_else(short)?;
    for _ in 0..count {
        let ([name, value, flags], after) = rest.split_first_chunk::<3>().ok_or_else(short)?;
        let (name, after) = after.split_at_checked(usize::from(*name)).ok_or_else(short)?;
        let (value, after) = after.split_at_checked(usize::from(*value)).ok_or_else(short)?;
        if show(*flags, name, value, each).is_break() {
            return Ok(());
        }
        rest = after;
    }
    Ok(())
}

/// Block `number` of the attribute fork.
fn fork_block(
    volume: &Volume,
    inode: &Inode,
    fork: &Fork,
    number: u64,
    what: &'static str,
    crc: usize,
) -> Result<Arc<[u8]>> {
    let sb = &volume.geometry;
    let Found::Extent(record) = fork.find(volume, inode.at, number)? else {
        return Err(bad(inode, format!("block {number} of the fork is not there")));
    };
    let block = record.block.checked_add(number.saturating_sub(record.start));
    let Some(at) = block.and_then(|b| sb.byte(b, 1)) else {
        return Err(bad(inode, "an extent lies outside the volume"));
    };
    volume.block(at, sb.block, what, Some(crc))
}

/// The number of the leftmost leaf: the hash tree's root is block 0.
fn first_leaf(volume: &Volume, inode: &Inode, fork: &Fork, meter: &mut Meter) -> Result<Option<u64>> {
    if matches!(fork, Fork::Extents(records) if records.is_empty()) {
        return Ok(None);
    }
    let mut number = 0;
    loop {
        meter.descend("attribute node")?;
        let block = fork_block(volume, inode, fork, number, "attribute node", DA_CRC)?;
        match be16(&block, 8) {
            Some(magic::NODE | magic::NODE_V5) => {
                let child = be32(&block, if volume.geometry.has_crc { 68 } else { 20 });
                number = child
                    .ok_or_else(|| bad(inode, "an attribute node is too short"))?
                    .into();
            }
            Some(magic::ATTR_LEAF | magic::ATTR_LEAF_V5) => return Ok(Some(number)),
            other => {
                return Err(bad(
                    inode,
                    format!("block {number} of the fork has magic {other:#x?}"),
                ));
            }
        }
    }
}

fn leaf(
    volume: &Volume,
    inode: &Inode,
    fork: &Fork,
    block: &[u8],
    meter: &mut Meter,
    each: &mut EachXattr<'_>,
) -> Result<ControlFlow<()>> {
    let (count_at, table) = if volume.geometry.has_crc {
        (56, 80)
    } else {
        (12, 32)
    };
    if !matches!(be16(block, 8), Some(magic::ATTR_LEAF | magic::ATTR_LEAF_V5)) {
        return Err(bad(inode, "an attribute leaf has another magic"));
    }
    let count = usize::from(be16(block, count_at).unwrap_or(0));
    let (entries, _) = block.get(table..).unwrap_or_default().as_chunks::<8>();
    let entries = entries
        .get(..count)
        .ok_or_else(|| bad(inode, "an attribute leaf counts too many entries"))?;
    for [_, _, _, _, high, low, flags, _] in entries {
        meter.step("attribute")?;
        let at = usize::from(u16::from_be_bytes([*high, *low]));
        let short = || bad(inode, "an attribute runs past its leaf");
        let body = block.get(at..).ok_or_else(short)?;
        if flags & LOCAL != 0 {
            let value = usize::from(be16(body, 0).ok_or_else(short)?);
            let name = usize::from(*body.get(2).ok_or_else(short)?);
            let (name, rest) = body
                .get(3..)
                .and_then(|b| b.split_at_checked(name))
                .ok_or_else(short)?;
            let value = rest.get(..value).ok_or_else(short)?;
            if show(*flags, name, value, each).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        } else {
            let first = be32(body, 0).ok_or_else(short)?;
            let len = be32(body, 4).ok_or_else(short)?;
            let name = usize::from(*body.get(8).ok_or_else(short)?);
            let name = body.get(9..).and_then(|b| b.get(..name)).ok_or_else(short)?;
            if flags & INCOMPLETE != 0 {
                continue;
            }
            let value = remote(volume, inode, fork, first, len, meter)?;
            if show(*flags, name, &value, each).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
    }
    Ok(ControlFlow::Continue(()))
}

/// A value of `len` bytes in blocks of its own, from block `first` of the fork.
fn remote(
    volume: &Volume,
    inode: &Inode,
    fork: &Fork,
    first: u32,
    len: u32,
    meter: &mut Meter,
) -> Result<Vec<u8>> {
    if len > LONGEST {
        return Err(bad(
            inode,
            format!("a value has {len} bytes, at most {LONGEST} are allowed"),
        ));
    }
    let len = meter.bytes(len.into(), "attribute value")?;
    let mut value = Vec::new();
    let mut number = u64::from(first);
    while value.len() < len {
        meter.step("attribute value block")?;
        let crc = REMOTE_CRC;
        let block = fork_block(volume, inode, fork, number, "attribute value block", crc)?;
        let body = remote_body(volume.geometry.has_crc, &block, magic::ATTR_REMOTE)
            .map_err(|what| bad(inode, what))?;
        let room = len.saturating_sub(value.len());
        value.extend_from_slice(body.get(..room.min(body.len())).unwrap_or_default());
        number = number.saturating_add(1);
    }
    Ok(value)
}

/// What a remote block holds: all of it in version 4, what its header says in version 5.
pub(crate) fn remote_body(v5: bool, block: &[u8], want: [u8; 4]) -> std::result::Result<&[u8], String> {
    if !v5 {
        return Ok(block);
    }
    let (head, body) =
        RemoteHeader::ref_from_prefix(block).map_err(|_| "a remote block is too short".to_owned())?;
    if head.magic != want {
        return Err(format!(
            "a remote block has magic {:02x?}, expected {want:02x?}",
            head.magic
        ));
    }
    let len = usize::try_from(head.bytes.get()).unwrap_or(usize::MAX);
    match body.get(..len) {
        Some(body) if len > 0 => Ok(body),
        _ => Err(format!("a remote block says it holds {len} bytes")),
    }
}
