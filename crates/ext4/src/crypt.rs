//! Encrypted names as they are shown without the key (fscrypt.rst, "Kernel config" and "Access semantics / Without
//! the key"): the directory hash and the ciphertext in base64url. They are the names the kernel shows, so a path
//! copied from there works here; content stays refused.

use crate::dir::Raw;
use crate::hash::Hasher;
use sha2::{Digest, Sha256};

/// Ciphertext beyond this is replaced by its SHA-256, so that the name stays below 255 bytes.
const PLAIN: usize = 149;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// The name that stands for an encrypted one.
pub(crate) fn nokey_name(raw: Raw<'_>, hasher: Option<&Hasher>) -> Vec<u8> {
    let (major, minor) = raw
        .hash
        .or_else(|| hasher.map(|h| h.hash(raw.name)))
        .unwrap_or_default();
    let mut bytes = Vec::with_capacity(192);
    bytes.extend_from_slice(&major.to_le_bytes());
    bytes.extend_from_slice(&minor.to_le_bytes());
    match raw.name.split_at_checked(PLAIN) {
        Some((head, tail)) if !tail.is_empty() => {
            bytes.extend_from_slice(head);
            bytes.extend_from_slice(&Sha256::digest(tail));
        }
        _ => bytes.extend_from_slice(raw.name),
    }
    base64url(&bytes)
}

/// RFC 4648 section 5, without padding.
fn base64url(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len().saturating_mul(2));
    for three in bytes.chunks(3) {
        let mut word = [0; 4];
        if let Some(to) = word.get_mut(1..=three.len()) {
            to.copy_from_slice(three);
        }
        let word = u32::from_be_bytes(word);
        for shift in [18, 12, 6, 0].into_iter().take(three.len().saturating_add(1)) {
            let six = usize::try_from((word >> shift) & 63).unwrap_or(0);
            out.extend(ALPHABET.get(six));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64url_is_that_of_rfc_4648() {
        for (plain, coded) in [
            ("f", "Zg"),
            ("fo", "Zm8"),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg"),
            ("fooba", "Zm9vYmE"),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64url(plain.as_bytes()), coded.as_bytes());
        }
        assert_eq!(base64url(&[0xfb, 0xff]), b"-_8");
    }
}
