use super::common::{Scratch, qemu_img, qemu_io};
use crate::door::{LIMITS, knock};
use h2k_block::{HostFile, MemDisk, MemHost};
use h2k_image::qcow2::{self, Repair, Shrink};
use h2k_image::{Format, OpenOptions, open};
use h2k_testkit::{mutate::damage, rng::Rng};
use std::ops::Range;
use std::sync::Arc;

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
    let mut opened = 0;
    for round in 0..100_000 {
        let (bytes, places) = &seeds[round % seeds.len()];
        let mut bytes = bytes.clone();
        let place = &places[rng.below(places.len() as u64) as usize];
        damage(&mut rng, &mut bytes, place.clone());
        if rng.below(8) == 0 {
            bytes.truncate(rng.below(bytes.len() as u64) as usize);
        }
        if round % 4 == 3 {
            opened += u32::from(by_snapshot(bytes));
        } else {
            knock(bytes, Format::Qcow2);
        }
    }
    // Most damage is found where it is, not at the door.
    assert!(opened > 5_000, "{opened}");
}

/// The same door, through an internal snapshot.
fn by_snapshot(bytes: Vec<u8>) -> bool {
    let host = MemHost::default();
    let file = host.put("image", bytes);
    let options = OpenOptions {
        format: Some(Format::Qcow2),
        snapshot: Some("1".to_owned()),
        limits: LIMITS,
        ..OpenOptions::default()
    };
    let Ok(image) = open(file, &host, &options) else {
        return false;
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
    true
}

#[test]
fn damaged_images_are_checked_repaired_and_resized_in_bounds() {
    let seeds = seeds();
    let mut rng = Rng::new(0xc4ec);
    let (mut sound, mut mended) = (0, 0);
    for round in 0..20_000 {
        let (bytes, places) = &seeds[round % seeds.len()];
        let mut bytes = bytes.clone();
        let place = &places[rng.below(places.len() as u64) as usize];
        damage(&mut rng, &mut bytes, place.clone());
        let file: Arc<dyn HostFile> = Arc::new(MemDisk::new(bytes));
        let Ok(check) = qcow2::check(file.clone(), &LIMITS) else {
            continue;
        };
        sound += u32::from(check.is_clean());
        if round % 3 == 0 {
            let len = rng.below(1 << 20) & !511;
            let _ = qcow2::resize(file, len, Shrink::Discard, &LIMITS);
            continue;
        }
        let Ok(repaired) = qcow2::repair(file.clone(), Repair::All, &LIMITS) else {
            continue;
        };
        // A repair never makes things worse, and what it promises is what a fresh look finds.
        assert!(repaired.after.errors <= repaired.before.errors, "round {round}");
        mended += u32::from(repaired.after.is_clean() && !check.is_clean());
        repaired.edit.commit(&*file, &MemDisk::default()).unwrap();
        assert_eq!(
            qcow2::check(file, &LIMITS).unwrap(),
            repaired.after,
            "round {round}"
        );
    }
    assert!(sound > 1000 && mended > 1000, "{sound} {mended}");
}
