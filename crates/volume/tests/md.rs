//! MD arrays against what the kernel read from them, and against damage and lies made here.

use crate::common::{all, mem, problems, scan_all};
use crate::fixture;
use h2k_block::{BlockRead, Class};
use h2k_testkit::hash::disk_sha256;
use h2k_testkit::rng::Rng;
use h2k_volume::{Kind, Raid, Volume, Volumes};
use std::sync::Arc;

fn arrays(volumes: &Volumes) -> Vec<(&Volume, &Raid)> {
    let mut found = Vec::new();
    for volume in &volumes.list {
        if let Kind::Raid(raid) = &volume.kind {
            found.push((volume, raid));
        }
    }
    found
}

#[test]
fn every_level_and_layout_reads_as_the_kernel_read_it() {
    let case = fixture::load("md");
    let volumes = scan_all(case.without(&[]));
    for (device, len, digest) in &case.volumes {
        let volume = volumes.find(device).unwrap();
        assert_eq!(volume.disk.len(), *len, "{device}");
        assert_eq!(disk_sha256(volume.disk.as_ref()).unwrap(), *digest, "{device}");
    }
    assert_eq!(arrays(&volumes).len(), case.volumes.len());
    // One member was left behind while the array was written to, and is not used.
    let stale = volumes.find("/dev/md/a13").unwrap();
    let said: Vec<String> = problems(&volumes);
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said[0].contains("/dev/sdb13 is left out"), "{said:?}");
    assert!(said[1].contains("degraded: member 1 of 2"), "{said:?}");
    let Kind::Raid(raid) = &stale.kind else { panic!() };
    assert_eq!(
        (raid.members, raid.present, raid.name.as_str()),
        (2, 1, "any:a13")
    );
    assert!(stale.is_named("/dev/md/any:a13"));
    let old = volumes.find("/dev/md4").unwrap();
    let Kind::Raid(raid) = &old.kind else { panic!() };
    assert_eq!((raid.level.as_str(), raid.version), ("raid1", "0.90"));
    // Member 0 is /dev/sdb4.
    assert_eq!(volumes.list[old.below[0]].device, "/dev/sdb4");
}

#[test]
fn reads_across_every_border_agree_with_the_whole() {
    let case = fixture::load("md");
    let volumes = scan_all(case.without(&[]));
    let mut rng = Rng::new(8);
    for (volume, _) in arrays(&volumes) {
        let whole = all(volume.disk.as_ref());
        let check = |from: usize, to: usize| {
            let mut buf = vec![0; to - from];
            volume.disk.read_at(from as u64, &mut buf).unwrap();
            assert!(buf == whole[from..to], "{} {from}..{to}", volume.device);
        };
        // Chunks are 8 and 16 KiB; members end at odd multiples of 4 KiB.
        for border in (4096..whole.len()).step_by(4096) {
            check(border - 1, border + 1);
            check(border - 1, border);
            check(border, border + 1);
        }
        for _ in 0..200 {
            let from = rng.below(whole.len() as u64) as usize;
            check(from, from + rng.below((whole.len() - from) as u64 + 1) as usize);
        }
    }
}

#[test]
fn without_one_disk_redundant_arrays_read_and_the_others_say_why_not() {
    let case = fixture::load("md");
    for absent in ["sda", "sdb", "sdc", "sdd", "sde", "sdf"] {
        let volumes = scan_all(case.without(&[absent]));
        let full = scan_all(case.without(&[]));
        for (device, _, digest) in &case.volumes {
            match volumes.find(device) {
                Ok(volume) => {
                    // The member that fell behind is all that is left of array 13 without sda.
                    if absent == "sda" && device.ends_with("a13") {
                        continue;
                    }
                    assert_eq!(
                        disk_sha256(volume.disk.as_ref()).unwrap(),
                        *digest,
                        "{device} without {absent}"
                    );
                }
                Err(_) => {
                    let Kind::Raid(raid) = &full.find(device).unwrap().kind else {
                        panic!()
                    };
                    let lost_last_leg = device.ends_with("a13");
                    assert!(
                        matches!(raid.level.as_str(), "raid0" | "linear") || lost_last_leg,
                        "{device}"
                    );
                }
            }
        }
        for problem in &volumes.problems {
            assert!(problem.device.starts_with("/dev/md"), "{problem}");
            assert_eq!(problem.error.class(), Class::NotFound, "{problem}");
        }
    }
}

#[test]
fn arrays_without_too_many_members_are_named() {
    let case = fixture::load("md");
    let volumes = scan_all(case.without(&["sda", "sdb"]));
    let said = problems(&volumes).join("\n");
    assert!(said.contains("raid5: member 0, 1 of 4 is missing"), "{said}");
    assert!(said.contains("raid6 with two members missing"), "{said}");
    // Three copies on six devices: two may go.
    let three = volumes.find("/dev/md/a14").unwrap();
    let digest = &case.volumes.iter().find(|v| v.0 == "/dev/md/a14").unwrap().2;
    assert_eq!(disk_sha256(three.disk.as_ref()).unwrap(), *digest);
}

fn put(bytes: &mut [u8], at: usize, what: &[u8]) {
    bytes[at..at + what.len()].copy_from_slice(what);
}

fn fold(words: impl Iterator<Item = u32>) -> u32 {
    let sum: u64 = words.map(u64::from).sum();
    ((sum & 0xffff_ffff) + (sum >> 32)) as u32
}

/// A member of version 1.2 made by hand: data of `data` bytes at 16 KiB.
#[derive(Clone)]
pub struct Member {
    pub level: i32,
    pub layout: u32,
    pub chunk_sectors: u32,
    pub disks: u32,
    pub number: u32,
    pub events: u64,
    pub features: u32,
    pub data: usize,
    pub uuid: u8,
}

impl Default for Member {
    fn default() -> Self {
        Self {
            level: 1,
            layout: 0,
            chunk_sectors: 8,
            disks: 2,
            number: 0,
            events: 10,
            features: 0,
            data: 32 << 10,
            uuid: 7,
        }
    }
}

/// Writes the checksum of the version 1 superblock at `at`.
pub fn seal(disk: &mut [u8], at: usize) {
    put(disk, at + 216, &[0; 4]);
    let max = u32::from_le_bytes(disk[at + 220..at + 224].try_into().unwrap()) as usize;
    let end = (at + 256 + 2 * max.min(1920)).min(disk.len());
    let mut padded = disk[at..end].to_vec();
    padded.resize(padded.len().next_multiple_of(4), 0);
    let sum = fold(
        padded
            .chunks(4)
            .map(|w| u32::from_le_bytes(w.try_into().unwrap())),
    );
    put(disk, at + 216, &sum.to_le_bytes());
}

impl Member {
    pub fn disk(&self) -> Vec<u8> {
        const AT: usize = 4096;
        const DATA: usize = 16 << 10;
        let mut disk = vec![0; DATA + self.data];
        let sectors = (self.data / 512) as u64;
        for (i, sector) in disk[DATA..].chunks_mut(512).enumerate() {
            put(sector, 0, format!("{} {i}", self.number).as_bytes());
        }
        let mut field = |at: usize, what: &[u8]| put(&mut disk, AT + at, what);
        field(0, &0xa92b_4efc_u32.to_le_bytes());
        field(4, &1_u32.to_le_bytes());
        field(8, &self.features.to_le_bytes());
        field(16, &[self.uuid; 16]);
        field(32, b"host:made");
        field(72, &self.level.to_le_bytes());
        field(76, &self.layout.to_le_bytes());
        field(80, &sectors.to_le_bytes());
        field(88, &self.chunk_sectors.to_le_bytes());
        field(92, &self.disks.to_le_bytes());
        field(128, &((DATA / 512) as u64).to_le_bytes());
        field(136, &sectors.to_le_bytes());
        field(144, &8_u64.to_le_bytes());
        field(152, &u64::MAX.to_le_bytes());
        field(160, &self.number.to_le_bytes());
        field(200, &self.events.to_le_bytes());
        field(208, &u64::MAX.to_le_bytes());
        field(220, &4_u32.to_le_bytes());
        for i in 0..4_u16 {
            let role = if u32::from(i) < self.disks { i } else { 0xffff };
            field(256 + 2 * usize::from(i), &role.to_le_bytes());
        }
        seal(&mut disk, AT);
        disk
    }
}

fn two(member: &Member) -> Vec<Arc<dyn BlockRead>> {
    (0..2)
        .map(|number| {
            mem(Member {
                number,
                ..member.clone()
            }
            .disk())
        })
        .collect()
}

fn start(volumes: &Volumes, device: &str) -> String {
    let mut buf = [0; 16];
    volumes.find(device).unwrap().disk.read_at(0, &mut buf).unwrap();
    String::from_utf8_lossy(&buf).trim_end_matches('\0').to_owned()
}

#[test]
fn a_member_that_fell_behind_is_not_read_even_if_it_comes_first() {
    let old = Member {
        events: 3,
        ..Member::default()
    };
    let new = Member {
        number: 1,
        ..Member::default()
    };
    let volumes = scan_all(vec![mem(old.disk()), mem(new.disk())]);
    assert_eq!(start(&volumes, "/dev/md127"), "1 0");
    assert!(problems(&volumes)[0].contains("/dev/sda is left out: 3 events, the array has 10"));
}

#[test]
fn what_is_not_read_is_refused_by_name() {
    let cases = [
        (
            Member {
                features: 4,
                ..Member::default()
            },
            "layout is being changed",
        ),
        (
            Member {
                features: 512,
                ..Member::default()
            },
            "write journal",
        ),
        (
            Member {
                features: 1 << 20,
                ..Member::default()
            },
            "unknown features 0x100000",
        ),
        (
            Member {
                level: -4,
                ..Member::default()
            },
            "multipath",
        ),
        (
            Member {
                level: 10,
                layout: 0x2_0102,
                ..Member::default()
            },
            "raid10 of unknown layout",
        ),
        (
            Member {
                level: 0,
                layout: 9,
                ..Member::default()
            },
            "raid0 of unknown layout 9",
        ),
    ];
    for (member, word) in cases {
        let volumes = scan_all(two(&member));
        assert!(arrays(&volumes).is_empty());
        let said = problems(&volumes).join("\n");
        assert!(said.contains(word), "{word} in {said}");
        assert!(
            volumes
                .problems
                .iter()
                .all(|p| p.error.class() == Class::Unsupported),
            "{said}"
        );
        assert_eq!(
            volumes.list[0].identity.as_ref().unwrap().kind,
            "linux_raid_member"
        );
    }
}

#[test]
fn numbers_that_make_no_array_are_corrupt() {
    let cases = [
        Member {
            level: 0,
            chunk_sectors: 0,
            ..Member::default()
        },
        Member {
            level: 10,
            layout: 0x0103,
            ..Member::default()
        },
        Member {
            level: 10,
            layout: 0,
            ..Member::default()
        },
        Member {
            disks: 0,
            ..Member::default()
        },
        Member {
            disks: 5000,
            ..Member::default()
        },
        Member {
            level: 6,
            layout: 2,
            ..Member::default()
        },
    ];
    for member in cases {
        let volumes = scan_all(two(&member));
        assert!(arrays(&volumes).is_empty());
        assert!(
            volumes.problems.iter().any(|p| p.error.class() == Class::Corrupt),
            "{:?}",
            problems(&volumes)
        );
    }
}

#[test]
fn parity_of_an_array_that_was_not_stopped_in_order_makes_up_for_nothing() {
    let member = Member {
        level: 5,
        layout: 2,
        disks: 3,
        ..Member::default()
    };
    let disks = |clean: bool| {
        (0..2_u32)
            .map(|number| {
                let mut disk = Member {
                    number,
                    ..member.clone()
                }
                .disk();
                if !clean {
                    put(&mut disk, 4096 + 208, &0_u64.to_le_bytes());
                    seal(&mut disk, 4096);
                }
                mem(disk)
            })
            .collect()
    };
    assert_eq!(arrays(&scan_all(disks(true))).len(), 1);
    let volumes = scan_all(disks(false));
    assert!(arrays(&volumes).is_empty());
    assert!(
        problems(&volumes)[0].contains("not stopped in order"),
        "{:?}",
        problems(&volumes)
    );
}

#[test]
fn data_over_the_superblock_would_be_an_array_in_itself() {
    let mut disk = Member::default().disk();
    put(&mut disk, 4096 + 128, &[0; 8]);
    seal(&mut disk, 4096);
    let volumes = scan_all(vec![mem(disk)]);
    assert!(arrays(&volumes).is_empty());
    assert!(
        problems(&volumes)[0].contains("data at 0x0"),
        "{:?}",
        problems(&volumes)
    );
}

/// md(4): chunks of RAID0 need not be a power of two, only a multiple of 4 KiB.
#[test]
fn stripes_of_any_chunk_size_alternate() {
    for (disks, chunk) in [(2_u32, 12 << 10), (3, 20 << 10), (3, 4 << 10), (4, 36 << 10)] {
        let member = Member {
            level: 0,
            chunk_sectors: chunk / 512,
            disks,
            data: 180 << 10,
            ..Member::default()
        };
        let members: Vec<_> = (0..disks)
            .map(|number| {
                Member {
                    number,
                    ..member.clone()
                }
                .disk()
            })
            .collect();
        let volumes = scan_all(members.iter().rev().map(|m| mem(m.clone())).collect());
        assert_eq!(problems(&volumes), Vec::<String>::new(), "{disks} {chunk}");
        let array = volumes.find("/dev/md127").unwrap();
        // What does not fill a chunk at the end of a member is not used.
        let chunk = chunk as usize;
        let rows = (180 << 10) / chunk;
        let mut expected = Vec::new();
        for row in 0..rows {
            for member in &members {
                let at = (16 << 10) + row * chunk;
                expected.extend_from_slice(&member[at..at + chunk]);
            }
        }
        assert!(
            all(array.disk.as_ref()) == expected,
            "{disks} disks, chunks of {chunk}"
        );
    }
}

/// A member of version 0.90: 64 KiB blocks, the superblock in the last.
fn member90(number: u32, big: bool) -> Vec<u8> {
    let mut words = vec![0_u32; 1024];
    words[0] = 0xa92b_4efc;
    words[2] = 90;
    words[5] = 0x0102_0304;
    words[7] = 1;
    words[8] = 64;
    words[9] = 2;
    words[10] = 2;
    words[11] = 3;
    let (low, high) = if big { (40, 39) } else { (39, 40) };
    words[low] = 5;
    words[high] = 1;
    for disk in 0..2 {
        let at = 128 + 32 * disk;
        words[at] = disk as u32;
        words[at + 3] = disk as u32;
        words[at + 4] = 6;
    }
    words[992] = number;
    words[38] = fold(words.iter().copied());
    let mut disk = vec![0; 128 << 10];
    put(&mut disk, 0, format!("{number} 0").as_bytes());
    for (i, word) in words.iter().enumerate() {
        let bytes = if big {
            word.to_be_bytes()
        } else {
            word.to_le_bytes()
        };
        put(&mut disk, (64 << 10) + 4 * i, &bytes);
    }
    disk
}

#[test]
fn superblocks_of_version_0_90_are_read_in_both_byte_orders() {
    for big in [false, true] {
        let volumes = scan_all(vec![mem(member90(1, big)), mem(member90(0, big))]);
        assert_eq!(problems(&volumes), Vec::<String>::new());
        assert_eq!(start(&volumes, "/dev/md3"), "0 0");
        let uuid = volumes.list[0].identity.as_ref().unwrap().uuid.clone().unwrap();
        assert_eq!(uuid, "01020304-0000-0000-0000-000000000000");
        assert_eq!(volumes.find("/dev/md3").unwrap().disk.len(), 64 << 10);
    }
}

#[test]
fn a_superblock_of_the_last_partition_does_not_make_the_disk_a_member() {
    // One partition up to the end of the disk, whose superblock is the last 64 KiB of both.
    let mut disk = vec![0; 64 << 10];
    disk.extend(member90(0, false));
    disk[446 + 4] = 0xfd;
    put(&mut disk, 446 + 8, &128_u32.to_le_bytes());
    put(&mut disk, 446 + 12, &256_u32.to_le_bytes());
    put(&mut disk, 510, &[0x55, 0xaa]);
    let mut other = disk.clone();
    let sb = other.len() - (64 << 10);
    put(&mut other, sb + 4 * 992, &1_u32.to_le_bytes());
    put(&mut other, sb + 4 * 38, &[0; 4]);
    let sum = fold(
        other[sb..sb + 4096]
            .chunks(4)
            .map(|w| u32::from_le_bytes(w.try_into().unwrap())),
    );
    put(&mut other, sb + 4 * 38, &sum.to_le_bytes());
    let volumes = scan_all(vec![mem(disk), mem(other)]);
    assert!(volumes.list[0].identity.is_none());
    let array = volumes.find("/dev/md3").unwrap();
    let below: Vec<&str> = array
        .below
        .iter()
        .map(|i| volumes.list[*i].device.as_str())
        .collect();
    assert_eq!(below, ["/dev/sda1", "/dev/sdb1"]);
}

#[test]
fn a_group_on_an_array_on_two_disks_is_found() {
    let text = crate::lvm::group("vg", 'g', 1, &['a'], &crate::lvm::linear("lv", 0, 1, 2));
    let pv = crate::lvm::Pv::new('a', &text).disk();
    let disks = (0..2)
        .map(|number| {
            let mut disk = Member {
                number,
                data: pv.len(),
                ..Member::default()
            }
            .disk();
            put(&mut disk, 16 << 10, &pv);
            mem(disk)
        })
        .collect();
    let volumes = scan_all(disks);
    assert_eq!(problems(&volumes), Vec::<String>::new());
    assert_eq!(start(&volumes, "/dev/vg/lv"), "a 8");
    let lv = volumes.find("/dev/mapper/vg-lv").unwrap();
    assert_eq!(volumes.list[lv.below[0]].device, "/dev/md127");
}
