//! Hostile volumes end in typed errors, soon and in bounded memory.

use crate::door::knock;
use crate::small::small;
use h2k_block::{BlockRead, Class, Result};
use h2k_testkit::corpus::corpus;
use h2k_testkit::mutate::{Patched, damage};
use h2k_testkit::rng::Rng;
use std::collections::BTreeMap;
use std::sync::Arc;

#[test]
fn damaged_volumes_of_the_corpus_end_in_answers() {
    let Some(corpus) = corpus() else { return };
    let (mut read, mut refused) = (0, BTreeMap::new());
    for case in corpus.below("corrupt/btrfs/") {
        let dir = tempfile::tempdir().unwrap();
        match knock(vec![corpus.disk(case, dir.path())]) {
            Ok(_) => read += 1,
            Err(e) => *refused.entry(e.class().word()).or_insert(0) += 1,
        }
    }
    println!("{read} could be listed, {refused:?} were refused");
    // Whatever is wrong with them, none is merely not supported.
    assert!(
        read >= 36 && refused.keys().eq([&Class::Corrupt.word()]),
        "{read} {refused:?}"
    );
}

/// A filesystem that is damaged on top of `base`: whole blocks are replaced.
struct Replaced {
    base: Arc<Vec<u8>>,
    blocks: BTreeMap<usize, Vec<u8>>,
}

impl BlockRead for Replaced {
    fn len(&self) -> u64 {
        self.base.len() as u64
    }

    fn fetch(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        let (from, end) = (offset as usize, offset as usize + buf.len());
        buf.copy_from_slice(&self.base[from..end]);
        for (at, block) in &self.blocks {
            let (a, b) = (from.max(*at), end.min(at + block.len()));
            if a < b {
                buf[a - from..b - from].copy_from_slice(&block[a - at..b - at]);
            }
        }
        Ok(())
    }
}

/// The places of the superblock and of all tree blocks: what carries the filesystem's id and a right CRC-32C.
fn blocks(base: &[u8], len: usize) -> Vec<usize> {
    let id = &base[0x1_0020..0x1_0030];
    let ours = |at: &usize| {
        let block = &base[*at..*at + len];
        block[32..48] == *id && block[..4] == crc32c::crc32c(&block[32..]).to_le_bytes()
    };
    (0..base.len()).step_by(len).filter(ours).collect()
}

/// Damages one to three of the blocks of `base` and gives them checksums that agree.
fn signed(rng: &mut Rng, base: &Arc<Vec<u8>>, places: &[usize], len: usize) -> Replaced {
    let mut replaced = BTreeMap::new();
    for _ in 0..=rng.below(3) {
        let at = places[rng.below(places.len() as u64) as usize];
        let mut block = base[at..at + len].to_vec();
        // Half of the damage in the headers and keys at the front.
        let end = if rng.below(2) == 0 { 512 } else { len };
        damage(rng, &mut block, 32..end);
        let sum = crc32c::crc32c(&block[32..]).to_le_bytes();
        block[..4].copy_from_slice(&sum);
        replaced.insert(at, block);
    }
    Replaced {
        base: base.clone(),
        blocks: replaced,
    }
}

#[test]
fn a_hundred_thousand_mutations_end_in_answers() {
    let base = Arc::new(small());
    let live = Patched::live(&base);
    let places = blocks(&base, 4096);
    assert!(places.len() > 40, "{} blocks", places.len());
    let mut rng = Rng::new(0x4254_5246);
    let mut opened = 0;
    for n in 0..100_000 {
        // Most damage is found by checksums; what has to be found behind them carries right ones.
        let disk: Arc<dyn BlockRead> = if n % 5 == 0 {
            Arc::new(Patched::new(&mut rng, &base, &live))
        } else {
            Arc::new(signed(&mut rng, &base, &places, 4096))
        };
        opened += usize::from(knock(vec![disk]).is_ok());
    }
    println!("{opened} of 100000 could be opened");
    assert!(opened > 20_000, "{opened}: the damage does not get far");
}
