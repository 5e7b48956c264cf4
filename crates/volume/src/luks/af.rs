//! The anti-forensic splitter ("LUKS1 On-Disk Format Specification", section 2.4): key material inflated so that the
//! loss of any sector of it loses the key. Only merging is needed here.

use super::kdf::Hash;
use zeroize::Zeroizing;

/// The key out of `stripes` blocks of `len` bytes each. `None` when `material` is not that long.
pub(super) fn merge(material: &[u8], len: usize, stripes: u32, hash: Hash) -> Option<Zeroizing<Vec<u8>>> {
    let stripes = usize::try_from(stripes).ok()?;
    if len == 0 || stripes == 0 || material.len() != len.checked_mul(stripes)? {
        return None;
    }
    let mut sum = Zeroizing::new(vec![0_u8; len]);
    for (i, block) in material.chunks_exact(len).enumerate() {
        for (s, b) in sum.iter_mut().zip(block) {
            *s ^= b;
        }
        // The last block is only added.
        if i.saturating_add(1) < stripes {
            diffuse(&mut sum, hash);
        }
    }
    Some(sum)
}

/// Each piece as long as a digest becomes the digest of its number and itself.
fn diffuse(bytes: &mut [u8], hash: Hash) {
    for (i, piece) in (0_u32..).zip(bytes.chunks_mut(hash.len())) {
        let digest = hash.of(&[&i.to_be_bytes(), piece]);
        for (b, d) in piece.iter_mut().zip(digest.iter()) {
            *b = *d;
        }
    }
}
