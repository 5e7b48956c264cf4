use super::bench::{Scratch, qemu_img, qemu_io};
use crate::door::{LIMITS, knock};
use h2k_block::MemHost;
use h2k_image::{Format, OpenOptions, open};
use h2k_testkit::{mutate::damage, rng::Rng};
use std::ops::Range;

/// A small image with data, zeros, compressed clusters and a snapshot, and where its structures lie.
fn seed(options: &str, compress: &str) -> (Vec<u8>, Vec<Range<usize>>) {
    let scratch = Scratch::new();
    let raw = scratch.raw("source.raw", 5, 40 * 1024, 3000);
    let path = scratch.path("a.qcow2");
    qemu_img(
        &format!("convert {compress} -f raw -O qcow2 -o {options} {{}} {{}}"),
        &[&raw, &path],
    );
    if !options.contains("data_file") {
        qemu_img("snapshot -c one {}", &[&path]);
    }
    qemu_io(
        &path,
        "qcow2",
        &[
            "write -P 1 4096 3000".replace("3000", "3072"),
            "write -z 12288 4096".to_owned(),
        ],
    );
    if !options.contains("compat=0.10") {
        qemu_img("bitmap --add {} b", &[&path]);
    }
    let bytes = std::fs::read(&path).unwrap();
    let word = |at: usize| u64::from_be_bytes(bytes[at..at + 8].try_into().unwrap()) as usize;
    let half = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    let (l1, l1_size) = (word(40), half(36));
    let cluster = 1 << half(20);
    let mut places = vec![0..112, 0..600, l1..l1 + 8 * l1_size, word(48)..word(48) + 64];
    for entry in 0..l1_size {
        let l2 = word(l1 + 8 * entry) & 0x00ff_ffff_ffff_fe00;
        if l2 != 0 {
            places.push(l2..l2 + cluster.min(640));
        }
    }
    if word(64) != 0 {
        places.push(word(64)..word(64) + 120);
    }
    (bytes, places)
}

fn seeds() -> Vec<(Vec<u8>, Vec<Range<usize>>)> {
    vec![
        seed("cluster_size=512", ""),
        seed("cluster_size=4096,refcount_bits=2", ""),
        seed("cluster_size=512", "-c"),
        seed("cluster_size=4096,compression_type=zstd", "-c"),
        seed("cluster_size=4096,compat=0.10", "-c"),
        seed("cluster_size=16384,extended_l2=on", ""),
    ]
}

#[test]
fn a_hundred_thousand_damaged_images_end_soon_and_in_bounds() {
    let seeds = seeds();
    let mut rng = Rng::new(0x9c02);
    for round in 0..100_000 {
        let (bytes, places) = &seeds[round % seeds.len()];
        let mut bytes = bytes.clone();
        let place = &places[rng.below(places.len() as u64) as usize];
        damage(&mut rng, &mut bytes, place.clone());
        if rng.below(8) == 0 {
            bytes.truncate(rng.below(bytes.len() as u64) as usize);
        }
        if round % 4 == 3 {
            by_snapshot(bytes);
        } else {
            knock(bytes, Format::Qcow2);
        }
    }
}

/// The same door, through an internal snapshot.
fn by_snapshot(bytes: Vec<u8>) {
    let host = MemHost::default();
    let file = host.put("image", bytes);
    let options = OpenOptions {
        format: Some(Format::Qcow2),
        snapshot: Some("1".to_owned()),
        limits: LIMITS,
        ..OpenOptions::default()
    };
    let Ok(image) = open(file, &host, &options) else {
        return;
    };
    let mut buf = vec![0; 5000];
    let n = image.disk.len().min(5000) as usize;
    let _ = image.disk.read_at(0, &mut buf[..n]);
    let mut at = 0;
    for _ in 0..64 {
        let Ok(extent) = image.disk.extent_at(at, image.disk.len()) else {
            break;
        };
        at = extent.end();
    }
}
