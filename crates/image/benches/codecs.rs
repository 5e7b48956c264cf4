//! How fast the codecs are with nothing around them: what the compressed rows of `cargo xtask bench` are held
//! against. `cargo bench -p h2k-image --bench codecs -- FILE` prints one line each: name, MiB a second on all cores, encoded
//! size by plain size, what it is.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods
)]

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::Instant;

const BLOCK: usize = 65536;

/// Plain data to measure on: enough to leave every cache.
const SAMPLE: usize = 192 << 20;

type Codec = Box<dyn FnMut(&[u8], &mut [u8]) -> usize>;

fn main() {
    let Some(path) = std::env::args().skip(1).find(|arg| !arg.starts_with('-')) else {
        println!("usage: cargo bench -p h2k-image --bench codecs -- FILE");
        return;
    };
    let sample = sample(&path);
    let blocks: Vec<&[u8]> = sample.chunks(BLOCK).collect();
    let plain = blocks.len() * BLOCK;
    // Our own encoder stays within 4 KiB, as qcow2 wants, and may be faster: it is greedier and looks less far.
    tell(
        "deflate",
        "libdeflate, level 1, window 32 KiB",
        &blocks,
        plain,
        || {
            let mut state = libdeflater::Compressor::new(libdeflater::CompressionLvl::new(1).unwrap());
            Box::new(move |src, dst| state.deflate_compress(src, dst).unwrap_or(src.len()))
        },
    );
    tell("zlib", "libdeflate, level 6", &blocks, plain, || {
        let mut state = libdeflater::Compressor::new(libdeflater::CompressionLvl::new(6).unwrap());
        Box::new(move |src, dst| state.zlib_compress(src, dst).unwrap_or(src.len()))
    });
    tell("zstd", "libzstd, level 3", &blocks, plain, || {
        let mut state = zstd::bulk::Compressor::new(3).unwrap();
        Box::new(move |src, dst| state.compress_to_buffer(src, dst).unwrap_or(src.len()))
    });
    let packed = pack(&blocks);
    let packed: Vec<&[u8]> = packed.iter().map(Vec::as_slice).collect();
    tell(
        "inflate",
        "libdeflate, of zlib level 6",
        &packed,
        packed.len() * BLOCK,
        || {
            let mut state = libdeflater::Decompressor::new();
            Box::new(move |src, dst| state.zlib_decompress(src, dst).unwrap())
        },
    );
}

/// The first blocks of the file that hold something.
fn sample(path: &str) -> Vec<u8> {
    let file = File::open(path).unwrap();
    let len = file.metadata().unwrap().len();
    let mut bytes = Vec::with_capacity(SAMPLE);
    let mut block = vec![0; BLOCK];
    // Spread over the whole disk, so that no kind of file rules.
    let stride = (len / 4096).next_multiple_of(BLOCK as u64);
    'all: for lane in 0..stride / BLOCK as u64 {
        let mut at = lane * BLOCK as u64;
        while at + BLOCK as u64 <= len {
            file.read_exact_at(&mut block, at).unwrap();
            if block.iter().any(|b| *b != 0) {
                bytes.extend_from_slice(&block);
                if bytes.len() >= SAMPLE {
                    break 'all;
                }
            }
            at += stride;
        }
    }
    bytes
}

/// Zlib streams at level 6, as qemu-img makes them.
fn pack(blocks: &[&[u8]]) -> Vec<Vec<u8>> {
    let mut state = libdeflater::Compressor::new(libdeflater::CompressionLvl::new(6).unwrap());
    let mut room = vec![0; state.zlib_compress_bound(BLOCK)];
    let mut pack = |block: &&[u8]| {
        let n = state.zlib_compress(block, &mut room).unwrap();
        room[..n].to_vec()
    };
    blocks.iter().map(&mut pack).collect()
}

/// Runs one codec over all blocks on all cores and prints what came of it. `plain` is the size of the plain data.
fn tell(name: &str, what: &str, blocks: &[&[u8]], plain: usize, make: impl Fn() -> Codec + Sync) {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut best = f64::MAX;
    let mut out = 0;
    for _ in 0..3 {
        let begun = Instant::now();
        out = std::thread::scope(|scope| {
            let make = &make;
            let crew: Vec<_> = (0..cores)
                .map(|me| {
                    scope.spawn(move || {
                        let mut codec = make();
                        let mut room = vec![0; 2 * BLOCK];
                        let mine = blocks.iter().skip(me).step_by(cores);
                        mine.map(|block| codec(block, &mut room).min(BLOCK))
                            .sum::<usize>()
                    })
                })
                .collect();
            crew.into_iter().map(|one| one.join().unwrap()).sum()
        });
        best = best.min(begun.elapsed().as_secs_f64());
    }
    let input: usize = blocks.iter().map(|block| block.len()).sum();
    let ratio = out.min(input) as f64 / plain as f64;
    println!(
        "{name}\t{:.0}\t{ratio:.4}\t{what}",
        plain as f64 / best / f64::from(1 << 20)
    );
}
