//! Linux swap space (`mkswap`): a signature at the end of the first page, whatever size a page has, and a header
//! at byte 1024. A suspended system replaces the signature.

use super::head::Head;
use super::{Identity, Usage};
use crate::bytes::le32;
use h2k_block::Result;

const PAGES: [u64; 5] = [4096, 8192, 16384, 32768, 65536];

fn signature(head: &Head<'_>, page: u64) -> Result<Option<[u8; 10]>> {
    head.at::<10>(page.saturating_sub(10))
}

pub(super) fn suspended(head: &Head<'_>) -> Result<Option<Identity>> {
    for page in PAGES {
        let Some(found) = signature(head, page)? else {
            break;
        };
        let version = match &found {
            b"S1SUSPEND\0" => "s1suspend",
            b"S2SUSPEND\0" => "s2suspend",
            b"ULSUSPEND\0" => "ulsuspend",
            b"LINHIB0001" => "linhib0001",
            _ if found.starts_with(b"\xed\xc3\x02\xe9\x98\x56\xe5\x0c") => "tuxonice",
            _ => continue,
        };
        return details(head, Identity::new("swsuspend", Usage::Other).version(version)).map(Some);
    }
    Ok(None)
}

pub(super) fn swap(head: &Head<'_>) -> Result<Option<Identity>> {
    for page in PAGES {
        let Some(found) = signature(head, page)? else {
            break;
        };
        match &found {
            b"SWAPSPACE2" => {
                let identity = Identity::new("swap", Usage::Other).version("1");
                return details(head, identity).map(Some);
            }
            b"SWAP-SPACE" => return Ok(Some(Identity::new("swap", Usage::Other).version("0"))),
            _ => {}
        }
    }
    Ok(None)
}

/// UUID and label of a version 1 header (version, last page, bad pages, UUID, label from byte 1024).
fn details(head: &Head<'_>, identity: Identity) -> Result<Identity> {
    let Some(bytes) = head.at::<44>(1024)? else {
        return Ok(identity);
    };
    // Version 1 in either byte order; anything else has no label.
    if !matches!(le32(&bytes, 0), Some(1 | 0x0100_0000)) {
        return Ok(identity);
    }
    let (_, rest) = bytes.split_at(12);
    let Some((uuid, label)) = rest.split_first_chunk::<16>() else {
        return Ok(identity);
    };
    Ok(identity.uuid(*uuid).label(label))
}
