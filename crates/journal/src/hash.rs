//! The two hash functions of journal files.

use crate::layout::{le32, le64};

/// SipHash-2-4 of `bytes` under a key of 16 bytes.
pub(crate) fn sip24(key: &[u8; 16], bytes: &[u8]) -> u64 {
    let (k0, k1) = (le64(key, 0), le64(key, 8));
    let mut v = [
        k0 ^ 0x736f_6d65_7073_6575,
        k1 ^ 0x646f_7261_6e64_6f6d,
        k0 ^ 0x6c79_6765_6e65_7261,
        k1 ^ 0x7465_6462_7974_6573,
    ];
    let words = bytes.chunks_exact(8);
    let tail = words.remainder();
    for word in words {
        let m = le64(word, 0);
        v[3] ^= m;
        rounds(&mut v, 2);
        v[0] ^= m;
    }
    // The last word: what is left, and the length in the highest byte.
    let mut last = [0; 8];
    for (to, from) in last.iter_mut().zip(tail) {
        *to = *from;
    }
    if let Some(top) = last.last_mut() {
        *top = bytes.len().to_le_bytes().first().copied().unwrap_or_default();
    }
    let m = u64::from_le_bytes(last);
    v[3] ^= m;
    rounds(&mut v, 2);
    v[0] ^= m;
    v[2] ^= 0xff;
    rounds(&mut v, 4);
    v[0] ^ v[1] ^ v[2] ^ v[3]
}

fn rounds(v: &mut [u64; 4], n: usize) {
    let [mut a, mut b, mut c, mut d] = *v;
    for _ in 0..n {
        a = a.wrapping_add(b);
        b = b.rotate_left(13) ^ a;
        a = a.rotate_left(32);
        c = c.wrapping_add(d);
        d = d.rotate_left(16) ^ c;
        a = a.wrapping_add(d);
        d = d.rotate_left(21) ^ a;
        c = c.wrapping_add(b);
        b = b.rotate_left(17) ^ c;
        c = c.rotate_left(32);
    }
    *v = [a, b, c, d];
}

/// Bob Jenkins' lookup3 (`hashlittle2`, in the public domain) with both seeds zero; its first word is the upper half.
pub(crate) fn lookup3(bytes: &[u8]) -> u64 {
    let len = bytes.len();
    // The length enters with its low 32 bits.
    let seed = 0xdead_beef_u32.wrapping_add(le32(&len.to_le_bytes(), 0));
    let (mut a, mut b, mut c) = (seed, seed, seed);
    let mut rest = bytes;
    while rest.len() > 12 {
        let (block, after) = rest.split_at(12);
        a = a.wrapping_add(le32(block, 0));
        b = b.wrapping_add(le32(block, 4));
        c = c.wrapping_add(le32(block, 8));
        a = a.wrapping_sub(c) ^ c.rotate_left(4);
        c = c.wrapping_add(b);
        b = b.wrapping_sub(a) ^ a.rotate_left(6);
        a = a.wrapping_add(c);
        c = c.wrapping_sub(b) ^ b.rotate_left(8);
        b = b.wrapping_add(a);
        a = a.wrapping_sub(c) ^ c.rotate_left(16);
        c = c.wrapping_add(b);
        b = b.wrapping_sub(a) ^ a.rotate_left(19);
        a = a.wrapping_add(c);
        c = c.wrapping_sub(b) ^ b.rotate_left(4);
        b = b.wrapping_add(a);
        rest = after;
    }
    if !rest.is_empty() {
        let mut block = [0; 12];
        for (to, from) in block.iter_mut().zip(rest) {
            *to = *from;
        }
        a = a.wrapping_add(le32(&block, 0));
        b = b.wrapping_add(le32(&block, 4));
        c = c.wrapping_add(le32(&block, 8));
        c = (c ^ b).wrapping_sub(b.rotate_left(14));
        a = (a ^ c).wrapping_sub(c.rotate_left(11));
        b = (b ^ a).wrapping_sub(a.rotate_left(25));
        c = (c ^ b).wrapping_sub(b.rotate_left(16));
        a = (a ^ c).wrapping_sub(c.rotate_left(4));
        b = (b ^ a).wrapping_sub(a.rotate_left(14));
        c = (c ^ b).wrapping_sub(b.rotate_left(24));
    }
    (u64::from(c) << 32) | u64::from(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn siphash_gives_the_vectors_of_its_paper() {
        let key = std::array::from_fn(|i| u8::try_from(i).unwrap());
        let message: Vec<u8> = (0..15).collect();
        assert_eq!(sip24(&key, &message), 0xa129_ca61_49be_45e5);
        assert_eq!(sip24(&key, &[]), 0x726f_db47_dd0e_0e31);
    }

    #[test]
    fn lookup3_gives_the_vectors_of_its_author() {
        assert_eq!(lookup3(b""), 0xdead_beef_dead_beef);
        assert_eq!(lookup3(b"Four score and seven years ago"), 0x1777_0551_ce72_26e6);
    }
}
