use std::borrow::Cow;

/// Brings the value of `system.posix_acl_access` or `system.posix_acl_default` into the form that Linux' system calls
/// take and give: version 2, an id in every entry. ext4 stores version 1, where only named users and groups have one.
/// What is in another form already, or in none, is handed back as it is.
#[must_use]
pub fn linux_acl(value: &[u8]) -> Cow<'_, [u8]> {
    widen(value).map_or(Cow::Borrowed(value), Cow::Owned)
}

/// `ACL_USER` and `ACL_GROUP`, the tags whose entries carry an id.
const NAMED: [u8; 2] = [2, 8];

fn widen(value: &[u8]) -> Option<Vec<u8>> {
    let (version, mut rest) = value.split_first_chunk::<4>()?;
    if u32::from_le_bytes(*version) != 1 {
        return None;
    }
    let mut out = 2_u32.to_le_bytes().to_vec();
    while !rest.is_empty() {
        // Tag and permissions, 16 bits each.
        let (entry, tail) = rest.split_first_chunk::<4>()?;
        out.extend_from_slice(entry);
        let [tag, high, ..] = *entry;
        rest = tail;
        if high == 0 && NAMED.contains(&tag) {
            let (id, tail) = rest.split_first_chunk::<4>()?;
            out.extend_from_slice(id);
            rest = tail;
        } else {
            out.extend_from_slice(&u32::MAX.to_le_bytes());
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_acl_gets_its_ids() {
        let stored = [1, 0, 0, 0, 1, 0, 6, 0, 2, 0, 4, 0, 0xe9, 3, 0, 0, 32, 0, 0, 0];
        let linux = [
            2, 0, 0, 0, 1, 0, 6, 0, 255, 255, 255, 255, 2, 0, 4, 0, 0xe9, 3, 0, 0, 32, 0, 0, 0, 255, 255,
            255, 255,
        ];
        assert_eq!(linux_acl(&stored)[..], linux);
        assert_eq!(linux_acl(&linux)[..], linux);
        assert_eq!(linux_acl(&stored[..15])[..], stored[..15]);
        assert_eq!(linux_acl(b"")[..], *b"");
    }
}
