//! Directory hashes (directory.rst, "Hash Tree Directories"): which leaf of a hash tree a name belongs to.
//!
//! Three families, each over bytes taken as signed or unsigned (the machine that made the filesystem decides):
//! the legacy hash, half of MD4 (RFC 1320 with the message cut to 32 bytes a round), and TEA (Wheeler & Needham).

/// `dx_root.info.hash_version`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    Legacy,
    HalfMd4,
    Tea,
}

/// How one directory hashes names.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hasher {
    family: Family,
    signed: bool,
    seed: [u32; 4],
}

/// Major and minor hash.
pub(crate) type Hash = (u32, u32);

/// The largest major hash means "end of directory" to the kernel and is not used.
const END: u32 = 0xffff_fffe;

impl Hasher {
    /// From `hash_version`, the superblock's seed and its flag for unsigned bytes. `None` for versions that need a
    /// key (SipHash) or do not exist.
    pub(crate) fn new(version: u8, unsigned_flag: bool, seed: [u32; 4]) -> Option<Self> {
        let (family, signed) = match version {
            0 => (Family::Legacy, !unsigned_flag),
            1 => (Family::HalfMd4, !unsigned_flag),
            2 => (Family::Tea, !unsigned_flag),
            3 => (Family::Legacy, false),
            4 => (Family::HalfMd4, false),
            5 => (Family::Tea, false),
            _ => return None,
        };
        let seed = if seed == [0; 4] {
            [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476]
        } else {
            seed
        };
        Some(Self { family, signed, seed })
    }

    /// The hash of a name as stored.
    pub(crate) fn hash(&self, name: &[u8]) -> Hash {
        let (major, minor) = match self.family {
            Family::Legacy => (self.legacy(name), 0),
            Family::HalfMd4 => {
                let mut state = self.seed;
                let mut rest = name;
                while !rest.is_empty() {
                    half_md4(&mut state, &self.pack::<8>(rest));
                    rest = rest.get(32..).unwrap_or_default();
                }
                let [_, major, minor, _] = state;
                (major, minor)
            }
            Family::Tea => {
                let mut state = self.seed;
                let mut rest = name;
                while !rest.is_empty() {
                    tea(&mut state, &self.pack::<4>(rest));
                    rest = rest.get(16..).unwrap_or_default();
                }
                let [major, minor, _, _] = state;
                (major, minor)
            }
        };
        let major = major & !1;
        (if major == END { END.wrapping_sub(2) } else { major }, minor)
    }

    fn widen(&self, byte: u8) -> u32 {
        if self.signed {
            u32::from_ne_bytes(i32::from(i8::from_ne_bytes([byte])).to_ne_bytes())
        } else {
            u32::from(byte)
        }
    }

    fn legacy(&self, name: &[u8]) -> u32 {
        let (mut now, mut before) = (0x12a3_fe2d_u32, 0x37ab_e8f9_u32);
        for byte in name {
            let mut next = before.wrapping_add(now ^ self.widen(*byte).wrapping_mul(7_152_373));
            if next & 0x8000_0000 != 0 {
                next = next.wrapping_sub(0x7fff_ffff);
            }
            before = now;
            now = next;
        }
        now.wrapping_shl(1)
    }

    /// Up to `4 * N` bytes as words, filled up with the length.
    fn pack<const N: usize>(&self, bytes: &[u8]) -> [u32; N] {
        let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let pad = len | len.wrapping_shl(8);
        let pad = pad | pad.wrapping_shl(16);
        let mut words = [pad; N];
        let room = N.saturating_mul(4);
        let bytes = bytes.get(..room).unwrap_or(bytes);
        for (word, four) in words.iter_mut().zip(bytes.chunks(4)) {
            for byte in four {
                *word = self.widen(*byte).wrapping_add(word.wrapping_shl(8));
            }
        }
        words
    }
}

fn half_md4(state: &mut [u32; 4], words: &[u32; 8]) {
    let [i0, i1, i2, i3, i4, i5, i6, i7] = *words;
    let [mut a, mut b, mut c, mut d] = *state;
    let f = |x: u32, y: u32, z: u32| z ^ (x & (y ^ z));
    let g = |x: u32, y: u32, z: u32| (x & y).wrapping_add((x ^ y) & z);
    let h = |x: u32, y: u32, z: u32| x ^ y ^ z;
    let step =
        |mixed: u32, a: u32, word: u32, turn: u32| a.wrapping_add(mixed).wrapping_add(word).rotate_left(turn);
    for [w, x, y, z] in [[i0, i1, i2, i3], [i4, i5, i6, i7]] {
        a = step(f(b, c, d), a, w, 3);
        d = step(f(a, b, c), d, x, 7);
        c = step(f(d, a, b), c, y, 11);
        b = step(f(c, d, a), b, z, 19);
    }
    for [w, x, y, z] in [[i1, i3, i5, i7], [i0, i2, i4, i6]] {
        a = step(g(b, c, d), a, w.wrapping_add(0x5a82_7999), 3);
        d = step(g(a, b, c), d, x.wrapping_add(0x5a82_7999), 5);
        c = step(g(d, a, b), c, y.wrapping_add(0x5a82_7999), 9);
        b = step(g(c, d, a), b, z.wrapping_add(0x5a82_7999), 13);
    }
    for [w, x, y, z] in [[i3, i7, i2, i6], [i1, i5, i0, i4]] {
        a = step(h(b, c, d), a, w.wrapping_add(0x6ed9_eba1), 3);
        d = step(h(a, b, c), d, x.wrapping_add(0x6ed9_eba1), 9);
        c = step(h(d, a, b), c, y.wrapping_add(0x6ed9_eba1), 11);
        b = step(h(c, d, a), b, z.wrapping_add(0x6ed9_eba1), 15);
    }
    for (old, new) in state.iter_mut().zip([a, b, c, d]) {
        *old = old.wrapping_add(new);
    }
}

fn tea(state: &mut [u32; 4], key: &[u32; 4]) {
    let [a, b, c, d] = *key;
    let [mut x, mut y, _, _] = *state;
    let mut sum = 0_u32;
    for _ in 0..16 {
        sum = sum.wrapping_add(0x9e37_79b9);
        x = x.wrapping_add(
            y.wrapping_shl(4).wrapping_add(a) ^ y.wrapping_add(sum) ^ y.wrapping_shr(5).wrapping_add(b),
        );
        y = y.wrapping_add(
            x.wrapping_shl(4).wrapping_add(c) ^ x.wrapping_add(sum) ^ x.wrapping_shr(5).wrapping_add(d),
        );
    }
    let [s0, s1, ..] = state;
    *s0 = s0.wrapping_add(x);
    *s1 = s1.wrapping_add(y);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_debugfs_prints() {
        // debugfs: dx_hash [-h legacy|half_md4|tea] NAME, with a seed of zeros; signed unless _unsigned.
        for (version, name, major, minor) in KNOWN {
            let hasher = Hasher::new(*version, false, [0; 4]).unwrap();
            assert_eq!(
                hasher.hash(name.as_bytes()),
                (*major, *minor),
                "version {version}, {name}"
            );
        }
        assert!(Hasher::new(6, false, [0; 4]).is_none());
    }

    const KNOWN: &[(u8, &str, u32, u32)] = &[
        (0, "a", 0xe74b_53e2, 0x0000_0000),
        (0, "hello", 0x3225_2546, 0x0000_0000),
        (
            0,
            "a-rather-long-name-of-more-than-thirty-two-bytes.txt",
            0x4aa5_aa2a,
            0x0000_0000,
        ),
        (0, "Ünïcödé-ßß", 0xb692_ce46, 0x0000_0000),
        (0, "sixteen-bytes-ab", 0xf0c9_7df8, 0x0000_0000),
        (0, "thirty-two-bytes-exactly-abcdefg", 0x1a1e_dc42, 0x0000_0000),
        (1, "a", 0xd5fa_7d7a, 0xacb4_8187),
        (1, "hello", 0x1746_da32, 0x4200_13b5),
        (
            1,
            "a-rather-long-name-of-more-than-thirty-two-bytes.txt",
            0xa9cb_235c,
            0x1317_f6c9,
        ),
        (1, "Ünïcödé-ßß", 0x781e_ea24, 0xe74a_7e87),
        (1, "sixteen-bytes-ab", 0x3f7e_8516, 0xfc7f_ec11),
        (1, "thirty-two-bytes-exactly-abcdefg", 0x5587_663c, 0x3874_edbb),
        (2, "a", 0x6d0e_a4c0, 0xc189_22df),
        (2, "hello", 0x6f5b_b1a8, 0x2319_17c2),
        (
            2,
            "a-rather-long-name-of-more-than-thirty-two-bytes.txt",
            0x5207_3214,
            0xfaf6_d38a,
        ),
        (2, "Ünïcödé-ßß", 0x15a2_f8b6, 0x289d_970c),
        (2, "sixteen-bytes-ab", 0xc7ef_72d0, 0x01ef_b267),
        (2, "thirty-two-bytes-exactly-abcdefg", 0x97b4_2022, 0xeb68_265d),
    ];
}
