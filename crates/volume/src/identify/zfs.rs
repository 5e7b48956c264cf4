//! ZFS ("ZFS On-Disk Specification", Sun Microsystems 2006, chapter 1): four vdev labels of 256 KiB, two at each end.
//! Each has a list of names and values in XDR at 16 KiB and a ring of uberblocks at 128 KiB.

use super::head::Head;
use super::{Identity, Usage};
use crate::bytes::{be32, be64, index};
use h2k_block::Result;

const LABEL: u64 = 256 << 10;
const UBERBLOCK: [u8; 8] = [0x0c, 0xb1, 0xba, 0, 0, 0, 0, 0];
const TYPE_UINT64: u32 = 8;
const TYPE_STRING: u32 = 9;

pub(super) fn zfs(head: &Head<'_>) -> Result<Option<Identity>> {
    let end = (head.len() / LABEL).saturating_mul(LABEL);
    let starts = [
        0,
        LABEL,
        end.saturating_sub(LABEL.saturating_mul(2)),
        end.saturating_sub(LABEL),
    ];
    if end < LABEL.saturating_mul(4) {
        return Ok(None);
    }
    for start in starts {
        // Every label begins with a list in XDR (1), of version 0, with names that are unique (flag 1).
        let list = head.at::<12>(start.saturating_add(16 << 10))?;
        let is_list =
            list.is_some_and(|l| l.first() == Some(&1) && l.get(4..) == Some(&[0, 0, 0, 0, 0, 0, 0, 1]));
        if !is_list {
            continue;
        }
        // Uberblocks are at least 1 KiB each; one good one is enough to know a ZFS device by.
        let mut known = false;
        for slot in 0..128_u64 {
            let at = start
                .saturating_add(128 << 10)
                .saturating_add(slot.saturating_mul(1024));
            let mut magic = head.at::<8>(at)?.unwrap_or_default();
            if magic.first() == Some(&0) {
                magic.reverse();
            }
            if magic == UBERBLOCK {
                known = true;
                break;
            }
        }
        if known {
            let mut identity = Identity::new("zfs_member", Usage::Member);
            if let Some(list) = head.at::<8192>(start.saturating_add(16 << 10))? {
                pairs(&list, &mut identity);
            }
            return Ok(Some(identity));
        }
    }
    Ok(None)
}

/// The pool's name and GUID from the top level of the label's list.
fn pairs(list: &[u8], identity: &mut Identity) {
    // Encoding 1 is XDR; then version and flags.
    if list.first() != Some(&1) {
        return;
    }
    let mut at = 12_usize;
    while let Some(size) = be32(list, at).filter(|size| *size >= 16) {
        let Some(pair) = list.get(at..).and_then(|p| p.get(..index(size.into()))) else {
            return;
        };
        pair_into(pair, identity);
        at = at.saturating_add(pair.len());
    }
}

fn pair_into(pair: &[u8], identity: &mut Identity) -> Option<()> {
    let len = index(be32(pair, 8)?.into());
    let name = pair.get(12..)?.get(..len)?;
    let value = 12_usize.checked_add(len.checked_next_multiple_of(4)?)?;
    let kind = be32(pair, value)?;
    let value = value.checked_add(8)?;
    match (name, kind) {
        (b"name", TYPE_STRING) => {
            let len = index(be32(pair, value)?.into());
            let text = pair.get(value.checked_add(4)?..)?.get(..len)?;
            identity.label = Some(text.to_vec());
        }
        (b"pool_guid", TYPE_UINT64) => identity.uuid = Some(be64(pair, value)?.to_string()),
        (b"version", TYPE_UINT64) => identity.version = Some(be64(pair, value)?.to_string()),
        _ => {}
    }
    Some(())
}
