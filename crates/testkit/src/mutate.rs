//! Seeded damage: the same function serves the mutation tests and the fuzz targets.

use crate::rng::Rng;
use h2k_block::{BlockRead, Result};
use std::collections::BTreeMap;
use std::sync::Arc;

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

/// A disk that shares its bytes with others and differs in a few sectors: damage without a copy.
#[derive(Clone, Debug)]
pub struct Patched {
    base: Arc<Vec<u8>>,
    sectors: BTreeMap<usize, [u8; 512]>,
}

impl Patched {
    /// Damages one to three of the sectors of `base` that `live` names by their first byte.
    #[must_use]
    pub fn new(rng: &mut Rng, base: &Arc<Vec<u8>>, live: &[usize]) -> Self {
        let mut sectors = BTreeMap::new();
        for _ in 0..=rng.below(2) {
            let at = live[rng.below(live.len() as u64) as usize];
            let mut sector = [0; 512];
            let room = (base.len() - at).min(512);
            sector[..room].copy_from_slice(&base[at..at + room]);
            damage(rng, &mut sector[..room], 0..room);
            sectors.insert(at / 512, sector);
        }
        Self {
            base: base.clone(),
            sectors,
        }
    }

    /// The first bytes of the sectors of `base` that hold anything: where damage can be noticed.
    #[must_use]
    pub fn live(base: &[u8]) -> Vec<usize> {
        let full = |c: &[u8]| !h2k_block::is_zero(c);
        base.chunks(512)
            .enumerate()
            .filter(|(_, c)| full(c))
            .map(|(i, _)| i * 512)
            .collect()
    }
}

/// Knocks a hundred thousand times with one of `seeds` (its live sectors, its bytes), damaged as `rng` says. A knock
/// tells whether the answer was whole nevertheless.
///
/// # Panics
/// When damage shows almost never or almost always: then it proves nothing.
pub fn storm(seeds: &[(Vec<usize>, Arc<Vec<u8>>)], rng: &mut Rng, mut knock: impl FnMut(Patched) -> bool) {
    let (mut whole, mut less) = (0, 0);
    for (live, seed) in seeds.iter().cycle().take(100_000) {
        if knock(Patched::new(rng, seed, live)) {
            whole += 1;
        } else {
            less += 1;
        }
    }
    assert!(
        whole > 1000 && less > 1000,
        "{whole} whole, {less} not: the damage does not bite"
    );
}

impl BlockRead for Patched {
    fn len(&self) -> u64 {
        self.base.len() as u64
    }

    fn fetch(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        let from = offset as usize;
        let end = from + buf.len();
        buf.copy_from_slice(&self.base[from..end]);
        for (number, sector) in self.sectors.range(from / 512..end.div_ceil(512)) {
            let at = number * 512;
            for (i, byte) in sector.iter().enumerate() {
                if (from..end).contains(&(at + i)) {
                    buf[at + i - from] = *byte;
                }
            }
        }
        Ok(())
    }
}
