//! Random disks through every sink of raw, VHD, VHDX and VDI, and random chains of children, against plain bytes.

use crate::fill::{self, Feed, Files};
use crate::vhd::build as vhd;
use crate::vhdx::build as vhdx;
use h2k_block::{BlockRead, HostFile, Kind, MemDisk, extents, is_zero};
use h2k_image::{Format, Target, probe};
use h2k_testkit::faulty::Faulty;
use h2k_testkit::rng::Rng;
use h2k_testkit::sparse::Sparse;
use std::sync::Arc;

fn targets(rng: &mut Rng) -> Vec<Target> {
    let block = 1 << (20 + rng.below(4));
    let sector = if rng.below(2) == 0 { 512 } else { 4096 };
    let vhd = |kind| {
        Target::Vhd(h2k_image::vhd::Options {
            kind,
            ..h2k_image::vhd::Options::default()
        })
    };
    let vdi = |kind| {
        Target::Vdi(h2k_image::vdi::Options {
            kind,
            ..h2k_image::vdi::Options::default()
        })
    };
    vec![
        Target::of(Format::Raw),
        vhd(h2k_image::vhd::Kind::Dynamic),
        vhd(h2k_image::vhd::Kind::Fixed),
        vdi(h2k_image::vdi::Kind::Dynamic),
        vdi(h2k_image::vdi::Kind::Static),
        Target::Vhdx(h2k_image::vhdx::Options {
            block_size: Some(block),
            logical_sector_size: sector,
            disk_id: None,
        }),
    ]
}

/// Up to 6 MiB made of runs of noise, zeros and holes whose borders are anywhere.
fn disk(rng: &mut Rng) -> Sparse {
    let len = rng.below(6 << 20) + 1;
    let mut bytes = vec![0; len as usize];
    let mut at = 0;
    while at < bytes.len() {
        let n = (rng.below(1 << 20) as usize + 1).min(bytes.len() - at);
        if rng.below(2) == 0 {
            rng.fill(&mut bytes[at..at + n]);
        }
        at += n;
    }
    Sparse::of("model", &bytes)
}

/// Reads anywhere agree, and what the map calls empty is zero.
fn agrees(rng: &mut Rng, disk: &dyn BlockRead, truth: &[u8]) {
    let same = |from: usize, to: usize| {
        let mut read = vec![0xaa; to - from];
        disk.read_at(from as u64, &mut read).unwrap();
        let known = truth.get(from..to.min(truth.len())).unwrap_or_default();
        assert!(read[..known.len()] == *known, "{from:#x}..{to:#x}");
        assert!(is_zero(&read[known.len()..]));
    };
    let len = disk.len();
    for _ in 0..40 {
        let from = rng.below(len);
        same(from as usize, (from + rng.below(100_000)).min(len) as usize);
    }
    let mut at = 0;
    for extent in extents(disk, 0..len) {
        let extent = extent.unwrap();
        assert_eq!(extent.start, at);
        at = extent.end();
        if extent.kind != Kind::Data && extent.start < truth.len() as u64 {
            let end = (extent.end() as usize).min(truth.len());
            assert!(is_zero(&truth[extent.start as usize..end]), "{extent:?}");
        }
    }
    assert_eq!(at, len);
}

#[test]
fn what_goes_into_a_sink_comes_out_of_the_reader() {
    let mut rng = Rng::new(1);
    for _ in 0..25 {
        let source = disk(&mut rng);
        let truth = source.dense().to_vec();
        for target in targets(&mut rng) {
            let feed = Feed {
                grains: rng.below(40) + 1,
                ahead: rng.below(8) as usize + 1,
            };
            let file = Arc::new(Sparse::new("made"));
            fill::make(&source, file.clone(), &target, feed).unwrap();
            let image = fill::reopen(file, target.format());
            agrees(&mut rng, &*image.disk, &truth);
        }
    }
}

#[test]
fn chains_of_differencing_images_merge_like_plain_bytes() {
    let mut rng = Rng::new(2);
    let (size, block) = (5 * 65536 + 1024_u64, 65536_u64);
    for _ in 0..30 {
        let mut truth = vec![0; size as usize];
        let mut files = Vec::new();
        for depth in 0..=rng.below(4) as u8 {
            let kind = if depth == 0 {
                vhd::DYNAMIC
            } else {
                vhd::DIFFERENCING
            };
            let mut footer = vhd::Footer::new(kind, size);
            footer.id = [depth; 16];
            let parent = vhd::Parent {
                id: [depth.wrapping_sub(1); 16],
                unicode: format!("{}.vhd", depth.wrapping_sub(1)),
                ..vhd::Parent::default()
            };
            let mut built = vhd::Builder::new(&format!("{depth}.vhd"), footer, block, &parent);
            for n in 0..size.div_ceil(block) {
                let sectors = writes(&mut rng, &mut truth, n * block, block, 512, depth);
                if !sectors.is_empty() {
                    built.put(n, &sectors);
                }
            }
            files.push(built.done());
        }
        let top = files.last().unwrap().name().to_str().unwrap().to_owned();
        agrees(&mut rng, &*Files::with(files).open(&top).unwrap().disk, &truth);
    }
    for sector in [512, 4096] {
        let (size, block) = (3 << 20_u64, 1 << 20_u64);
        for _ in 0..10 {
            let mut truth = vec![0; size as usize];
            let mut files = Vec::new();
            for depth in 0..=rng.below(3) as u8 {
                let pairs = vec![
                    (
                        "parent_linkage",
                        "{11111111-1111-1111-1111-111111111111}".to_owned(),
                    ),
                    ("relative_path", format!(".\\{}.vhdx", depth.wrapping_sub(1))),
                ];
                let parent = (depth > 0).then_some(pairs);
                let name = format!("{depth}.vhdx");
                let mut built = vhdx::Builder::with_parent(&name, size, block, sector, parent);
                for n in 0..3 {
                    let at = n * block;
                    match rng.below(4) {
                        0 => {
                            let mut bytes = vec![0; block as usize];
                            rng.fill(&mut bytes);
                            truth[at as usize..(at + block) as usize].copy_from_slice(&bytes);
                            built.full(n, &bytes);
                        }
                        1 => {
                            truth[at as usize..(at + block) as usize].fill(0);
                            built.entry(n, [vhdx::ZERO, vhdx::UNMAPPED][rng.below(2) as usize]);
                        }
                        2 if depth > 0 => {
                            let sectors = writes(&mut rng, &mut truth, at, block, sector, depth);
                            built.partial(n, &sectors);
                        }
                        _ => {}
                    }
                }
                files.push(built.file);
            }
            let top = files.last().unwrap().name().to_str().unwrap().to_owned();
            agrees(&mut rng, &*Files::with(files).open(&top).unwrap().disk, &truth);
        }
    }
}

/// Random runs of sectors of one block, written to the model too.
fn writes(
    rng: &mut Rng,
    truth: &mut [u8],
    at: u64,
    block: u64,
    sector: u64,
    depth: u8,
) -> Vec<(u64, Vec<u8>)> {
    let room = (truth.len() as u64 - at).min(block) / sector;
    let mut out = Vec::new();
    // Blocks of the lowest image have no parent to show: whole or not at all.
    if depth == 0 {
        if rng.below(2) == 0 {
            return out;
        }
        let mut bytes = vec![0; (room * sector) as usize];
        rng.fill(&mut bytes);
        truth[at as usize..at as usize + bytes.len()].copy_from_slice(&bytes);
        return vec![(0, bytes)];
    }
    let mut next = 0;
    for _ in 0..rng.below(6) {
        let first = next + rng.below(20);
        let count = rng.below(20) + 1;
        if first + count > room {
            break;
        }
        let mut bytes = vec![0; (count * sector) as usize];
        rng.fill(&mut bytes);
        let from = (at + first * sector) as usize;
        truth[from..from + bytes.len()].copy_from_slice(&bytes);
        out.push((first, bytes));
        next = first + count;
    }
    out
}

#[test]
fn a_host_that_fails_at_any_moment_leaves_nothing_that_looks_finished() {
    let mut rng = Rng::new(3);
    let mut source = vec![0; 3 << 20];
    rng.fill(&mut source[1 << 20..]);
    let source = MemDisk::new(source);
    for target in targets(&mut rng).into_iter().skip(1) {
        for calls in 0..200 {
            let below = Arc::new(MemDisk::new(Vec::new()));
            let file = Arc::new(Faulty::after(below.clone(), calls));
            let made = fill::make(&source, file, &target, fill::ONE);
            if made.is_ok() {
                assert!(calls > 5);
                break;
            }
            // The last step is a flush: after it has failed, everything may be there, but it was not promised.
            let looks = probe(&*below).unwrap();
            assert!(looks == Format::Raw || looks == target.format(), "{calls}");
            if looks == target.format() {
                let next = Arc::new(Faulty::after(Arc::new(MemDisk::new(Vec::new())), calls + 3));
                assert!(
                    fill::make(&source, next, &target, fill::ONE).is_ok(),
                    "{target:?} {calls}"
                );
            }
        }
    }
}
