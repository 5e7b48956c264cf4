//! Security descriptors in the self-relative form, as far as it takes to tell one from something else.
//!
//! Source: [MS-DTYP] 2.4.2 (SID), 2.4.4 (ACE), 2.4.5 (ACL), 2.4.6 (SECURITY_DESCRIPTOR).

use crate::bytes::{index, le16, le32};

const HEADER: usize = 20;
/// The control flag that says that offsets are relative to the descriptor's first byte.
const SELF_RELATIVE: u16 = 0x8000;
const SUB_AUTHORITIES_MOST: u8 = 15;

/// What is wrong with a security descriptor, if anything is: Windows would not take it then.
pub(crate) fn problem(descriptor: &[u8]) -> Option<String> {
    let (Some([1, _]), Some(control)) = (descriptor.first_chunk(), le16(descriptor, 2)) else {
        return Some("no revision 1".to_owned());
    };
    if descriptor.len() < HEADER || control & SELF_RELATIVE == 0 {
        return Some("no self-relative form".to_owned());
    }
    type Judge = fn(&[u8]) -> bool;
    let parts: [(&str, usize, Judge); 4] = [
        ("owner", 4, is_sid),
        ("group", 8, is_sid),
        ("system access list", 12, is_acl),
        ("access list", 16, is_acl),
    ];
    parts.into_iter().find_map(|(name, field, judge)| {
        let at = index(le32(descriptor, field).unwrap_or(0));
        let fine = at == 0 || at >= HEADER && descriptor.get(at..).is_some_and(judge);
        (!fine).then(|| format!("a broken {name} at {at:#x}"))
    })
}

/// Whether a security identifier begins here.
fn is_sid(bytes: &[u8]) -> bool {
    let Some([1, count]) = bytes.first_chunk() else {
        return false;
    };
    let len = usize::from(*count).saturating_mul(4).saturating_add(8);
    *count <= SUB_AUTHORITIES_MOST && bytes.len() >= len
}

/// Whether a whole access list begins here.
fn is_acl(bytes: &[u8]) -> bool {
    let whole = le16(bytes, 2).and_then(|len| bytes.get(..usize::from(len)));
    let (Some([2..=4, _]), Some(whole), Some(count)) = (bytes.first_chunk(), whole, le16(bytes, 4)) else {
        return false;
    };
    let mut rest = whole.get(8..).unwrap_or_default();
    (0..count).all(|_| {
        let len = le16(rest, 2).map_or(0, usize::from);
        let next = rest.get(len..).filter(|_| len >= 4);
        rest = next.unwrap_or_default();
        next.is_some()
    })
}
