//! A hundred thousand damaged images: whatever they say, opening and reading ends soon, without a panic.

use super::build::{self, Hosted};
use crate::door;
use h2k_block::MemHost;
use h2k_image::Format;
use h2k_testkit::{mutate::damage, rng::Rng};

fn small(grains: usize) -> Hosted {
    Hosted {
        gtes: 4,
        ..Hosted::small(grains * 4096)
    }
}

#[test]
fn damaged_hosted_extents_end_in_an_answer() {
    let good = small(12).sparse(&build::grains(1, 12, 4096));
    let metadata = 16 * 512;
    let mut rng = Rng::new(0xd15c);
    for _ in 0..40_000 {
        let mut bytes = good.clone();
        damage(&mut rng, &mut bytes, 0..metadata);
        door::knock(bytes, Format::Vmdk);
    }
}

#[test]
fn damaged_streams_end_in_an_answer() {
    let line = "RW 96 SPARSE \"image\"".to_owned();
    let hosted = Hosted {
        version: 3,
        descriptor: Some(build::descriptor("streamOptimized", 7, None, &[line])),
        ..small(12)
    };
    let good = hosted.stream(&build::grains(2, 12, 4096), true);
    let mut rng = Rng::new(0x57ea);
    for i in 0..30_000 {
        let mut bytes = good.clone();
        let n = bytes.len();
        match i % 3 {
            0 => damage(&mut rng, &mut bytes, 0..512),
            1 => damage(&mut rng, &mut bytes, 8 * 512..n),
            _ => damage(&mut rng, &mut bytes, n - 4096..n),
        }
        if i % 16 == 0 {
            bytes.truncate(rng.below(n as u64) as usize);
        }
        door::knock(bytes, Format::Vmdk);
    }
}

#[test]
fn damaged_descriptors_end_in_an_answer() {
    let good = build::descriptor(
        "twoGbMaxExtentFlat",
        1,
        Some((2, "parent.vmdk")),
        &[
            "RW 16 FLAT \"flat\" 0".to_owned(),
            "RW 96 SPARSE \"sparse\"".to_owned(),
            "RW 4 ZERO".to_owned(),
        ],
    )
    .into_bytes();
    let parent = build::descriptor("vmfs", 2, None, &["RW 16 VMFS \"flat\" 0".to_owned()]).into_bytes();
    let sparse = small(12).sparse(&build::grains(1, 12, 4096));
    let host = MemHost::default();
    host.put("flat", vec![7; 16 * 512]);
    host.put("sparse", sparse);
    host.put("parent.vmdk", parent);
    let words: [&[u8]; 8] = [
        b"\"",
        b"\n",
        b"=",
        b" ZERO",
        b"RW 16 ",
        b"\0",
        b"99999999999999999999",
        b"image",
    ];
    let mut rng = Rng::new(0xde5c);
    for i in 0..20_000 {
        let mut bytes = good.clone();
        if i % 2 == 0 {
            let n = bytes.len();
            damage(&mut rng, &mut bytes, 0..n);
        } else {
            let at = rng.below(bytes.len() as u64) as usize;
            let word = words[rng.below(words.len() as u64) as usize];
            let cut = rng.below(20) as usize;
            let end = (at + cut).min(bytes.len());
            bytes.splice(at..end, word.iter().copied());
        }
        host.put("image", bytes);
        door::knock_among(&host, Format::Vmdk);
    }
}

#[test]
fn damaged_cowd_and_sesparse_extents_end_in_an_answer() {
    let host = MemHost::default();
    let mut rng = Rng::new(0xc0d);
    let grains = build::grains(4, 12, 4096);
    let cowd = build::cowd(96, 8, &build::without_zeros(grains.clone()));
    let se = build::sesparse(96, 0, &grains);
    for (kind, word, good, ranges) in [
        ("vmfsSparse", "VMFSSPARSE", &cowd, [0..32, 2048..2560 + 64]),
        ("seSparse", "SESPARSE", &se, [0..1024, 16 * 512..17 * 512 + 128]),
    ] {
        let text = build::descriptor(kind, 1, None, &[format!("RW 96 {word} \"extent\"")]);
        host.put("image", text.into_bytes());
        for i in 0..6_000 {
            let mut bytes = good.clone();
            damage(&mut rng, &mut bytes, ranges[i % 2].clone());
            host.put("extent", bytes);
            door::knock_among(&host, Format::Vmdk);
        }
    }
}
