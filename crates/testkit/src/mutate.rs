//! Seeded damage: the same function serves the mutation tests and the fuzz targets.

use crate::rng::Rng;

const NASTY: [u64; 14] = [
    0,
    1,
    2,
    0x7f,
    0x80,
    0xff,
    0x7fff,
    0xffff,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x7fff_ffff_ffff_ffff,
    0x8000_0000_0000_0000,
    0xffff_ffff_ffff_ffff,
];

/// Damages `bytes` in one to six places within `range`: bits, bytes, 16/32/64-bit fields in either byte order
/// set to borders or shifted by one, runs copied over others.
pub fn damage(rng: &mut Rng, bytes: &mut [u8], range: std::ops::Range<usize>) {
    let range = range.start.min(bytes.len())..range.end.min(bytes.len());
    let room = (range.end - range.start) as u64;
    if room == 0 {
        return;
    }
    for _ in 0..=rng.below(6) {
        let at = range.start + rng.below(room) as usize;
        match rng.below(6) {
            0 => bytes[at] ^= 1 << rng.below(8),
            1 => bytes[at] = rng.word() as u8,
            2 | 3 => {
                let width = [1, 2, 4, 8][rng.below(4) as usize];
                let at = at - at % width;
                let Some(field) = bytes.get_mut(at..at + width) else {
                    continue;
                };
                let value = NASTY[rng.below(NASTY.len() as u64) as usize];
                let le = value.to_le_bytes();
                let be = value.to_be_bytes();
                if rng.below(2) == 0 {
                    field.copy_from_slice(&le[..width]);
                } else {
                    field.copy_from_slice(&be[8 - width..]);
                }
            }
            4 => {
                let delta = [1_u8, 0xff, 2, 0x10, 0x80][rng.below(5) as usize];
                bytes[at] = bytes[at].wrapping_add(delta);
            }
            _ => {
                let from = range.start + rng.below(room) as usize;
                let n = (1 + rng.below(16) as usize)
                    .min(range.end - at)
                    .min(range.end - from);
                bytes.copy_within(from..from + n, at);
            }
        }
    }
}
