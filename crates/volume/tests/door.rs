//! The door hostile disks come through: the same function serves the mutation tests and the fuzz targets.

use crate::common::mem;
use crate::tables::Gpt;
use h2k_block::{BlockRead, Class, Limits};
use h2k_testkit::mutate::damage;
use h2k_testkit::rng::Rng;
use h2k_volume::{Disk, scan};
use std::sync::Arc;

/// What hostile input may cost here.
pub const LIMITS: Limits = Limits {
    bytes: 16 << 20,
    steps: 100_000,
    depth: 16,
};

/// Scans `disks` together and reads at the borders of everything found. Whatever happens, it has to end soon,
/// without a panic and in bounded memory.
pub fn knock(disks: Vec<Vec<u8>>) {
    let disks: Vec<Disk> = disks
        .into_iter()
        .enumerate()
        .map(|(i, bytes)| Disk::new(i, mem(bytes)))
        .collect();
    match scan(&disks, &LIMITS) {
        Ok(volumes) => volumes.list.iter().for_each(|v| borders(&v.disk)),
        Err(e) => assert_eq!(e.class(), Class::Limit, "{e}"),
    }
}

fn borders(disk: &Arc<dyn BlockRead>) {
    let mut buf = [0; 512];
    let mut at = 0;
    for _ in 0..16 {
        if at >= disk.len() {
            break;
        }
        let Ok(extent) = disk.extent_at(at, disk.len()) else {
            break;
        };
        let n = extent.len.min(512) as usize;
        let _ = disk.read_at(extent.start, &mut buf[..n]);
        let _ = disk.read_at(extent.end() - n as u64, &mut buf[..n]);
        at = extent.end();
    }
    if disk.len() >= 512 {
        let _ = disk.read_at(disk.len() - 512, &mut buf);
        let _ = disk.read_at(disk.len() / 2, &mut buf);
    }
}

/// Damages `seed` within one of `ranges` and knocks, `times` times.
pub fn storm(seed: u64, times: u32, disks: &[Vec<u8>], ranges: &[(usize, std::ops::Range<usize>)]) {
    let mut rng = Rng::new(seed);
    for _ in 0..times {
        let mut copy = disks.to_vec();
        for _ in 0..=rng.below(2) {
            let (disk, range) = &ranges[rng.below(ranges.len() as u64) as usize];
            damage(&mut rng, &mut copy[*disk], range.clone());
        }
        knock(copy);
    }
}

#[test]
fn a_hundred_thousand_damaged_gpts_end_well() {
    let gpt = Gpt {
        entries: 4,
        partitions: vec![(3, 5), (6, 8), (9, 11)],
        ..Gpt::default()
    };
    let disk = gpt.disk(24);
    // Headers whose checksum still holds reach further: the checksums are refreshed in half of the cases by
    // damaging before they are made.
    storm(
        1,
        50_000,
        &[disk],
        &[(0, 446..1024 + 512), (0, 22 * 512..24 * 512)],
    );
    let mut rng = Rng::new(2);
    for _ in 0..50_000 {
        let mut copy = gpt.disk(24);
        damage(&mut rng, &mut copy, 512 + 20..512 + 88);
        if rng.below(2) == 0 {
            damage(&mut rng, &mut copy, 1024..1536);
            let array = crate::tables::crc32(&copy[1024..1536]);
            copy[512 + 88..512 + 92].copy_from_slice(&array.to_le_bytes());
        }
        copy[512 + 16..512 + 20].fill(0);
        let crc = crate::tables::crc32(&copy[512..512 + 92]);
        copy[512 + 16..512 + 20].copy_from_slice(&crc.to_le_bytes());
        knock(vec![copy]);
    }
}

#[test]
fn a_hundred_thousand_damaged_mbrs_end_well() {
    let mut disk = vec![0; 64 * 512];
    let mut record = |at: usize, records: &[(u8, u32, u32)]| {
        for (i, (kind, start, count)) in records.iter().enumerate() {
            let r = at * 512 + 446 + 16 * i;
            disk[r + 4] = *kind;
            disk[r + 8..r + 12].copy_from_slice(&start.to_le_bytes());
            disk[r + 12..r + 16].copy_from_slice(&count.to_le_bytes());
        }
        disk[at * 512 + 510..at * 512 + 512].copy_from_slice(&[0x55, 0xaa]);
    };
    record(0, &[(0x83, 1, 2), (5, 10, 50)]);
    record(10, &[(0x83, 1, 2), (5, 10, 5)]);
    record(20, &[(0x83, 1, 2), (5, 20, 5)]);
    record(30, &[(0x83, 1, 2)]);
    storm(
        3,
        100_000,
        &[disk],
        &[
            (0, 446..512),
            (0, 5566..5632),
            (0, 10686..10752),
            (0, 15806..15872),
        ],
    );
}

#[test]
fn a_hundred_thousand_damaged_apple_maps_end_well() {
    let mut disk = vec![0; 64 * 512];
    disk[..4].copy_from_slice(b"ER\x02\0");
    for i in 1..4_usize {
        let at = i * 512;
        disk[at..at + 2].copy_from_slice(b"PM");
        disk[at + 4..at + 8].copy_from_slice(&3_u32.to_be_bytes());
        disk[at + 8..at + 12].copy_from_slice(&(i as u32 * 10).to_be_bytes());
        disk[at + 12..at + 16].copy_from_slice(&9_u32.to_be_bytes());
        disk[at + 16..at + 20].copy_from_slice(b"name");
        disk[at + 48..at + 57].copy_from_slice(b"Apple_HFS");
    }
    let ranges: Vec<(usize, std::ops::Range<usize>)> =
        vec![(0, 0..8), (0, 512..604), (0, 1024..1116), (0, 1536..1628)];
    storm(4, 100_000, &[disk], &ranges);
}

#[test]
fn a_hundred_thousand_damaged_lvm_texts_end_well() {
    use crate::lvm::{Pv, group, linear, volume};
    let mut lvs = linear("lin", 0, 0, 2);
    for i in 0..2 {
        lvs += &linear(&format!("m{i}"), i, 2, 1);
        lvs += &linear(&format!("i{i}"), i, 3, 2);
    }
    lvs += &volume(
        "r1",
        "type = \"raid1\" device_count = 2 raids = [\"m0\", \"i0\", \"m1\", \"i1\"]",
        2,
    );
    lvs += &volume(
        "st",
        "type = \"striped\" stripe_size = 2 stripes = [\"pv0\", 5, \"pv1\", 5]",
        2,
    );
    lvs += &volume(
        "sn",
        "type = \"snapshot\" chunk_size = 8 origin = \"lin\" cow_store = \"st\"",
        2,
    );
    let text = group("vg", 'g', 1, &['a', 'b'], &lvs);
    let other = Pv {
        text: None,
        ..Pv::new('b', "")
    }
    .disk();
    let mut rng = Rng::new(6);
    for _ in 0..90_000 {
        let mut bytes = text.clone().into_bytes();
        let len = bytes.len();
        damage(&mut rng, &mut bytes, 0..len);
        if rng.below(4) == 0 {
            // Numbers, where they hurt.
            let at = rng.below(len as u64) as usize;
            if let Some(digit) = bytes[at..].iter().position(u8::is_ascii_digit) {
                bytes[at + digit] = b'0' + rng.below(10) as u8;
            }
        }
        let text: String = bytes
            .iter()
            .filter(|b| **b != 0)
            .map(|b| char::from(*b & 0x7f))
            .collect();
        knock(vec![Pv::new('a', &text).disk(), other.clone()]);
    }
    // And the structures around the text, whose checksums no longer hold.
    let disk = Pv::new('a', &text).disk();
    storm(
        7,
        10_000,
        &[disk, other],
        &[(0, 512..700), (0, 4096..4200), (1, 512..700)],
    );
}

#[test]
fn a_hundred_thousand_damaged_md_superblocks_end_well() {
    use crate::md::{Member, seal};
    let mut rng = Rng::new(9);
    let levels = [
        (1, 0),
        (0, 2),
        (10, 0x102),
        (10, 0x10201),
        (5, 2),
        (6, 2),
        (-1, 0),
        (4, 0),
    ];
    for round in 0..100_000_u32 {
        let (level, layout) = levels[round as usize % levels.len()];
        let disks = (0..3)
            .map(|number| {
                let mut disk = Member {
                    level,
                    layout,
                    number,
                    disks: 3,
                    data: 8 << 10,
                    ..Member::default()
                }
                .disk();
                if rng.below(2) == 0 {
                    damage(&mut rng, &mut disk, 4096..4096 + 272);
                    // Half of them with a checksum that holds, so that the numbers are looked at.
                    if rng.below(8) > 0 {
                        seal(&mut disk, 4096);
                    }
                }
                disk
            })
            .collect();
        knock(disks);
    }
}

/// Scans one disk and tries a secret on it, with little to spend.
#[cfg(feature = "crypt")]
pub fn knock_with_a_secret(disk: Vec<u8>) {
    let disks = [Disk::new(0, mem(disk))];
    let Ok(mut volumes) = scan(&disks, &LIMITS) else {
        return;
    };
    let limits = Limits {
        bytes: 1 << 20,
        steps: 5000,
        depth: 16,
    };
    if let Ok(name) = volumes.unlock("/dev/sda", &crate::luks::pass(), &limits) {
        borders(&volumes.find(&name).unwrap().disk);
    }
}

#[cfg(feature = "crypt")]
#[test]
fn a_hundred_thousand_damaged_luks_headers_end_well() {
    use crate::luks::{seal, with_json};
    let case = crate::fixture::load("luks");
    // LUKS1 with a cheap key slot, cut to where its key material ends.
    let mut first = crate::common::all(case.disks[0].1.as_ref());
    first.truncate(16 << 10);
    first[164..168].copy_from_slice(&2_u32.to_be_bytes());
    first[104..108].copy_from_slice(&24_u32.to_be_bytes());
    first[212..216].copy_from_slice(&2_u32.to_be_bytes());
    first[252..256].copy_from_slice(&4_u32.to_be_bytes());
    // LUKS2 alike.
    let mut second = crate::common::all(case.disks[3].1.as_ref());
    second.truncate(48 << 10);
    let second = with_json(&second, &|json| {
        json.replace("\"iterations\":1000", "\"iterations\":2")
            .replace("\"stripes\":4000", "\"stripes\":4")
            .replace("\"offset\":\"1048576\"", "\"offset\":\"40960\"")
    });
    let json_end = 4096 + second[4096..].iter().position(|b| *b == 0).unwrap();
    let mut rng = Rng::new(10);
    for round in 0..100_000_u32 {
        let mut disk = if round % 2 == 0 {
            first.clone()
        } else {
            second.clone()
        };
        if round % 2 == 0 {
            damage(&mut rng, &mut disk, 6..260);
        } else {
            let range = if rng.below(4) == 0 { 8..512 } else { 4096..json_end };
            damage(&mut rng, &mut disk, range);
            if rng.below(8) > 0 {
                seal(&mut disk);
            }
        }
        knock_with_a_secret(disk);
    }
}

/// What the seeds of the door above open with, so that the storm is known to reach the end.
#[cfg(feature = "crypt")]
#[test]
fn the_undamaged_seed_of_the_luks_door_gets_as_far_as_the_digest() {
    let case = crate::fixture::load("luks");
    let mut disk = crate::common::all(case.disks[0].1.as_ref());
    disk.truncate(16 << 10);
    disk[164..168].copy_from_slice(&2_u32.to_be_bytes());
    disk[104..108].copy_from_slice(&24_u32.to_be_bytes());
    disk[212..216].copy_from_slice(&2_u32.to_be_bytes());
    disk[252..256].copy_from_slice(&4_u32.to_be_bytes());
    let mut volumes = scan(&[Disk::new(0, mem(disk))], &LIMITS).unwrap();
    let limits = Limits {
        steps: 5000,
        ..LIMITS
    };
    let e = volumes
        .unlock("/dev/sda", &crate::luks::pass(), &limits)
        .unwrap_err();
    assert_eq!(e.class(), Class::Invalid, "{e}");
}
