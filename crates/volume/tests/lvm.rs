//! LVM2 against volumes that the kernel read, against the corpus, and against damage and lies made here.

use crate::common::{all, mem, problems, scan_all};
use crate::fixture;
use h2k_block::{BlockRead, BlockWrite, Class, Overlay};
use h2k_testkit::corpus::corpus;
use h2k_testkit::hash::{disk_sha256, sha256};
use h2k_testkit::rng::Rng;
use h2k_volume::{Kind, Volume, Volumes};
use std::sync::Arc;

fn logical(volumes: &Volumes) -> Vec<&Volume> {
    volumes
        .list
        .iter()
        .filter(|v| matches!(v.kind, Kind::LogicalVolume(_)))
        .collect()
}

fn layout(volume: &Volume) -> &str {
    match &volume.kind {
        Kind::LogicalVolume(lv) => &lv.layout,
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_kind_of_volume_reads_as_the_kernel_read_it() {
    let case = fixture::load("lvm");
    let volumes = scan_all(case.without(&[]));
    assert_eq!(problems(&volumes), Vec::<String>::new());
    for (device, len, digest) in &case.volumes {
        let volume = volumes.find(device).unwrap();
        assert_eq!(volume.disk.len(), *len, "{device}");
        assert_eq!(disk_sha256(volume.disk.as_ref()).unwrap(), *digest, "{device}");
    }
    let mut names: Vec<&str> = logical(&volumes).iter().map(|v| v.device.as_str()).collect();
    let mut expected: Vec<&str> = case.volumes.iter().map(|v| v.0.as_str()).collect();
    names.sort_unstable();
    expected.sort_unstable();
    assert_eq!(names, expected);
    let odd = volumes.find("/dev/mapper/vg--0-a--b").unwrap();
    assert_eq!(odd.device, "/dev/vg-0/a-b");
    assert_eq!(layout(odd), "striped");
    assert_eq!(odd.below, [0, 1, 4]);
    assert_eq!(layout(volumes.find("/dev/vg-0/lin").unwrap()), "linear");
    assert_eq!(layout(volumes.find("/dev/vg-0/snap").unwrap()), "snapshot");
}

#[test]
fn reads_across_every_border_agree_with_the_whole() {
    let case = fixture::load("lvm");
    let volumes = scan_all(case.without(&[]));
    let mut rng = Rng::new(5);
    for volume in logical(&volumes) {
        let whole = all(volume.disk.as_ref());
        let check = |from: usize, to: usize| {
            let mut buf = vec![0; to - from];
            volume.disk.read_at(from as u64, &mut buf).unwrap();
            assert!(buf == whole[from..to], "{} {from}..{to}", volume.device);
        };
        // Chunks are 4, 8 and 16 KiB, extents 128 KiB.
        for border in (4096..whole.len()).step_by(4096) {
            check(border - 1, border + 1);
            check(border - 1, border);
            check(border, border + 1);
        }
        for _ in 0..200 {
            let from = rng.below(whole.len() as u64) as usize;
            check(from, from + rng.below((whole.len() - from) as u64 + 1) as usize);
        }
        // The map covers the volume, and says hole nowhere data is.
        let mut at = 0;
        while at < whole.len() as u64 {
            let extent = volume.disk.extent_at(at, whole.len() as u64).unwrap();
            assert_eq!(extent.start, at);
            at = extent.end();
        }
    }
}

#[test]
fn without_one_disk_redundant_volumes_read_and_the_others_name_it() {
    let case = fixture::load("lvm");
    for absent in ["sda", "sdb", "sdc", "sdd", "sde"] {
        let volumes = scan_all(case.without(&[absent]));
        let said = problems(&volumes).join("\n");
        assert!(said.contains("/dev/vg-0: physical volume"), "{said}");
        let mut read = 0;
        for (device, _, digest) in &case.volumes {
            match volumes.find(device) {
                Ok(volume) => {
                    assert_eq!(
                        disk_sha256(volume.disk.as_ref()).unwrap(),
                        *digest,
                        "{device} without {absent}"
                    );
                    read += 1;
                }
                Err(e) => {
                    let name = device.rsplit('/').next().unwrap();
                    assert!(
                        !name.starts_with("raid") && !name.starts_with("r1"),
                        "{device}: {e}"
                    );
                    assert_eq!(e.class(), Class::NotFound, "{e}");
                    let hint = format!("/dev/v{}", &absent[1..]);
                    assert!(e.to_string().contains(&hint), "{e} should name {hint}");
                }
            }
        }
        assert!(read >= 17, "{read} without {absent}");
    }
}

#[test]
fn without_two_disks_only_what_was_kept_twice_more_reads() {
    let case = fixture::load("lvm");
    let volumes = scan_all(case.without(&["sda", "sdb"]));
    for (device, _, digest) in &case.volumes {
        if let Ok(volume) = volumes.find(device) {
            assert_eq!(disk_sha256(volume.disk.as_ref()).unwrap(), *digest, "{device}");
        }
    }
    // Three legs, two of them gone.
    assert!(volumes.find("/dev/vg-0/r1").is_ok());
    assert_eq!(
        volumes.find("/dev/vg-0/raid5_ls").unwrap_err().class(),
        Class::NotFound
    );
    assert!(
        problems(&volumes)
            .iter()
            .any(|p| p.starts_with("/dev/vg-0/r1: degraded"))
    );
}

#[test]
fn the_corpus_reads_as_recorded() {
    let Some(corpus) = corpus() else { return };
    let mut checked = 0;
    for case in corpus.below("volumes/lvm/").chain(corpus.below("volumes/lvm")) {
        let facts = if case.oracle["lvm"]["volumes"].is_object() {
            &case.oracle["lvm"]
        } else if case.oracle["partition_fs"]["1"]["lvm"]["volumes"].is_object() {
            &case.oracle["partition_fs"]["1"]["lvm"]
        } else {
            continue;
        };
        let dir = tempfile::tempdir().unwrap();
        let set: Vec<Arc<dyn BlockRead>> = corpus
            .cases
            .iter()
            .filter(|other| other.path == case.path || (case.set != "-" && other.set == case.set))
            .map(|other| corpus.disk(other, dir.path()))
            .collect();
        let volumes = scan_all(set);
        let group = facts["vg"].as_str().unwrap();
        for (name, fact) in facts["volumes"].as_object().unwrap() {
            if fact["visible"] == false {
                continue;
            }
            let volume = volumes.find(&format!("/dev/{group}/{name}")).unwrap();
            assert_eq!(
                disk_sha256(volume.disk.as_ref()).unwrap(),
                fact["sha256"],
                "{} {name}",
                case.path
            );
            checked += 1;
        }
    }
    assert!(checked >= 5, "{checked}");
}

#[test]
fn a_label_without_metadata_is_a_physical_volume_of_no_group() {
    let Some(corpus) = corpus() else { return };
    let case = corpus.below("volumes/lvm/util-linux-lvm2").next().unwrap();
    let volumes = scan_all(vec![mem(corpus.bytes(case))]);
    assert_eq!(volumes.list[0].identity.as_ref().unwrap().kind, "LVM2_member");
    assert_eq!(volumes.list.len(), 1);
}

/// A physical volume made by hand.
#[derive(Clone)]
pub struct Pv {
    /// One letter, repeated.
    pub id: char,
    pub text: Option<String>,
    /// Where in the ring the text begins.
    pub offset: usize,
    /// A second metadata area at the end.
    pub second: Option<String>,
    pub len: usize,
}

const AREA: usize = 4096;
const AREA_LEN: usize = 8192;
/// First byte of the extents.
const DATA: usize = 16384;

pub fn crc(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0xf597_a6cf_u32, |mut crc, byte| {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
        }
        crc
    })
}

fn put(bytes: &mut [u8], at: usize, what: &[u8]) {
    bytes[at..at + what.len()].copy_from_slice(what);
}

pub fn uuid(id: char) -> String {
    let s = |n| id.to_string().repeat(n);
    [s(6), s(4), s(4), s(4), s(4), s(4), s(6)].join("-")
}

impl Pv {
    pub fn new(id: char, text: &str) -> Self {
        Self {
            id,
            text: Some(text.to_owned()),
            offset: 512,
            second: None,
            len: DATA + 32 * 1024,
        }
    }

    /// The whole device; the extents hold `id` and the number of each 512 bytes.
    pub fn disk(&self) -> Vec<u8> {
        let mut disk = vec![0; self.len];
        for (i, sector) in disk[DATA..].chunks_mut(512).enumerate() {
            put(sector, 0, format!("{} {i}", self.id).as_bytes());
        }
        let mut label = [0; 512];
        put(&mut label, 0, b"LABELONE");
        put(&mut label, 8, &1_u64.to_le_bytes());
        put(&mut label, 20, &32_u32.to_le_bytes());
        put(&mut label, 24, b"LVM2 001");
        put(&mut label, 32, self.id.to_string().repeat(32).as_bytes());
        put(&mut label, 64, &(self.len as u64).to_le_bytes());
        put(&mut label, 72, &(DATA as u64).to_le_bytes());
        let mut at = 72 + 32;
        let second = self.len - AREA_LEN;
        for (text, start) in [(&self.text, AREA), (&self.second, second)] {
            let Some(text) = text else { continue };
            put(&mut label, at, &(start as u64).to_le_bytes());
            put(&mut label, at + 8, &(AREA_LEN as u64).to_le_bytes());
            at += 16;
            write_area(&mut disk, start, self.offset, text);
        }
        let sum = crc(&label[20..]);
        put(&mut label, 16, &sum.to_le_bytes());
        put(&mut disk, 512, &label);
        disk
    }
}

fn write_area(disk: &mut [u8], start: usize, offset: usize, text: &str) {
    let mut text = text.as_bytes().to_vec();
    text.push(0);
    for (i, byte) in text.iter().enumerate() {
        let at = offset + i;
        let at = if at >= AREA_LEN { at - AREA_LEN + 512 } else { at };
        disk[start + at] = *byte;
    }
    let mut header = [0; 512];
    put(&mut header, 4, b" LVM2 x[5A%r0N*>");
    put(&mut header, 20, &1_u32.to_le_bytes());
    put(&mut header, 24, &(start as u64).to_le_bytes());
    put(&mut header, 32, &(AREA_LEN as u64).to_le_bytes());
    put(&mut header, 40, &(offset as u64).to_le_bytes());
    put(&mut header, 48, &(text.len() as u64).to_le_bytes());
    put(&mut header, 56, &crc(&text).to_le_bytes());
    let sum = crc(&header[4..]);
    put(&mut header, 0, &sum.to_le_bytes());
    put(disk, start, &header);
}

/// The text of a group `name` with physical volumes a, b, … (32 KiB each in extents of 4 KiB) and `lvs` as given.
pub fn group(name: &str, id: char, seqno: u32, pvs: &[char], lvs: &str) -> String {
    let pvs: String = pvs
        .iter()
        .enumerate()
        .map(|(i, pv)| {
            format!(
                "pv{i} {{ id = \"{}\" device = \"/dev/x{pv}\" pe_start = {} pe_count = 8 }}\n",
                uuid(*pv),
                DATA / 512
            )
        })
        .collect();
    format!(
        "{name} {{ id = \"{}\" seqno = {seqno} status = [\"READ\"] extent_size = 8\nphysical_volumes {{ {pvs} }}\nlogical_volumes {{ {lvs} }} }}\n",
        uuid(id)
    )
}

/// A linear volume of `count` extents from extent `from` of physical volume `pv`.
pub fn linear(name: &str, pv: usize, from: u32, count: u32) -> String {
    volume(
        name,
        &format!("type = \"striped\" stripes = [\"pv{pv}\", {from}]"),
        count,
    )
}

/// A visible volume of one segment.
pub fn volume(name: &str, segment: &str, count: u32) -> String {
    format!(
        "{name} {{ id = \"x\" status = [\"READ\", \"VISIBLE\"] segment1 {{ start_extent = 0 extent_count = {count} {segment} }} }}\n"
    )
}

fn first_bytes(volumes: &Volumes, device: &str) -> String {
    let mut buf = [0; 16];
    volumes.find(device).unwrap().disk.read_at(0, &mut buf).unwrap();
    String::from_utf8_lossy(&buf).trim_end_matches('\0').to_owned()
}

#[test]
fn a_text_that_runs_over_the_end_of_its_ring_is_joined() {
    let text = group("vg", 'g', 1, &['a'], &linear("lv", 0, 2, 3));
    for offset in [512, 1024, AREA_LEN - 512, AREA_LEN - 1, AREA_LEN - text.len()] {
        let pv = Pv {
            offset,
            ..Pv::new('a', &text)
        };
        let volumes = scan_all(vec![mem(pv.disk())]);
        assert_eq!(problems(&volumes), Vec::<String>::new(), "{offset}");
        assert_eq!(first_bytes(&volumes, "/dev/vg/lv"), "a 16", "{offset}");
        assert_eq!(volumes.find("/dev/vg/lv").unwrap().disk.len(), 3 * 4096);
    }
}

#[test]
fn damage_to_one_area_is_named_and_the_other_used() {
    let text = group("vg", 'g', 1, &['a'], &linear("lv", 0, 0, 1));
    let pv = Pv {
        second: Some(text.clone()),
        ..Pv::new('a', &text)
    };
    for at in [AREA, AREA + 8, AREA + 41, AREA + 513] {
        let mut disk = pv.disk();
        disk[at] ^= 1;
        let volumes = scan_all(vec![mem(disk)]);
        assert_eq!(first_bytes(&volumes, "/dev/vg/lv"), "a 0");
        assert_eq!(problems(&volumes).len(), 1, "{:?}", problems(&volumes));
        assert!(
            problems(&volumes)[0].contains("LVM2 metadata"),
            "{:?}",
            problems(&volumes)
        );
    }
}

#[test]
fn the_newest_description_counts() {
    let old = group("vg", 'g', 3, &['a', 'b'], &linear("old", 0, 0, 1));
    let new = group("vg", 'g', 4, &['a', 'b'], &linear("new", 1, 0, 1));
    for texts in [[&old, &new], [&new, &old]] {
        let disks = vec![
            mem(Pv::new('a', texts[0]).disk()),
            mem(Pv::new('b', texts[1]).disk()),
        ];
        let volumes = scan_all(disks);
        assert_eq!(first_bytes(&volumes, "/dev/vg/new"), "b 0");
        assert!(volumes.find("/dev/vg/old").is_err());
    }
}

#[test]
fn a_physical_volume_that_keeps_no_metadata_is_found_by_its_uuid() {
    let text = group("vg", 'g', 1, &['a', 'b'], &linear("lv", 1, 0, 1));
    let bare = Pv {
        text: None,
        ..Pv::new('b', "")
    };
    let volumes = scan_all(vec![mem(bare.disk()), mem(Pv::new('a', &text).disk())]);
    assert_eq!(first_bytes(&volumes, "/dev/vg/lv"), "b 0");
}

#[test]
fn two_groups_of_one_name_are_both_reachable() {
    let one = group("vg", 'g', 1, &['a'], &linear("lv", 0, 0, 1));
    let two = group("vg", 'h', 1, &['b'], &linear("lv", 0, 0, 1));
    let volumes = scan_all(vec![
        mem(Pv::new('a', &one).disk()),
        mem(Pv::new('b', &two).disk()),
    ]);
    assert_eq!(first_bytes(&volumes, "/dev/vg/lv"), "a 0");
    assert_eq!(first_bytes(&volumes, &format!("/dev/{}/lv", uuid('h'))), "b 0");
    assert!(problems(&volumes)[0].contains("two groups of this name"));
}

#[test]
fn a_physical_volume_seen_twice_is_named_and_the_first_used() {
    let text = group("vg", 'g', 1, &['a'], &linear("lv", 0, 0, 1));
    let disk = Pv::new('a', &text).disk();
    let volumes = scan_all(vec![mem(disk.clone()), mem(disk)]);
    assert_eq!(logical(&volumes).len(), 1);
    assert!(
        problems(&volumes)[0].contains("the same physical volume"),
        "{:?}",
        problems(&volumes)
    );
}

#[test]
fn what_is_not_read_is_refused_by_name() {
    let thing = |kind: &str| volume("lv", &format!("type = \"{kind}\""), 1);
    for kind in [
        "cache",
        "writecache",
        "vdo",
        "error",
        "cache+METADATA_FORMAT",
        "era",
        "raid7",
    ] {
        let volumes = scan_all(vec![mem(Pv::new(
            'a',
            &group("vg", 'g', 1, &['a'], &thing(kind)),
        )
        .disk())]);
        let e = volumes.find("/dev/vg/lv").unwrap_err();
        assert!(matches!(e.class(), Class::Unsupported | Class::Corrupt), "{e}");
        assert!(e.to_string().contains(kind) || kind == "raid7", "{e}");
    }
}

#[test]
fn lies_about_extents_and_circles_are_corrupt() {
    let cases = [
        linear("lv", 0, 0, 9),
        linear("lv", 0, 8, 1),
        linear("lv", 7, 0, 1),
        volume("lv", "type = \"striped\" stripes = [\"lv\", 0]", 1),
        volume("lv", "type = \"striped\" stripes = [\"two\", 0]", 1)
            + &volume("two", "type = \"striped\" stripes = [\"lv\", 0]", 1),
        volume(
            "lv",
            "type = \"striped\" stripe_size = 3 stripes = [\"pv0\", 0, \"pv0\", 1]",
            2,
        ),
        volume("lv", "type = \"striped\" stripes = [\"pv0\", 0, \"pv0\", 1]", 3),
        volume(
            "lv",
            "type = \"striped\" stripes = [\"pv0\", 18446744073709551615]",
            1,
        ),
        volume("lv", "type = \"striped\" stripes = [\"pv0\"]", 1),
        "lv { status = [\"VISIBLE\"] segment1 { start_extent = 5 extent_count = 1 type = \"zero\" } }"
            .to_owned(),
    ];
    for lvs in cases {
        let volumes = scan_all(vec![mem(Pv::new('a', &group("vg", 'g', 1, &['a'], &lvs)).disk())]);
        assert!(volumes.find("/dev/vg/lv").is_err(), "{lvs}");
        assert!(
            volumes.problems.iter().any(|p| p.error.class() == Class::Corrupt),
            "{lvs}: {:?}",
            problems(&volumes)
        );
    }
}

#[test]
fn volumes_are_written_through_overlays_where_that_is_safe_and_refused_where_not() {
    let case = fixture::load("lvm");
    let sources = case.without(&[]);
    let overlays: Vec<Arc<dyn BlockWrite>> = sources
        .iter()
        .map(|d| Arc::new(Overlay::new(Arc::clone(d))) as Arc<dyn BlockWrite>)
        .collect();
    let volumes = scan_all(sources);
    let writable = volumes.over(&overlays).unwrap();
    let mut rng = Rng::new(13);
    for (volume, disk) in volumes.list.iter().zip(&writable) {
        let Kind::LogicalVolume(lv) = &volume.kind else {
            continue;
        };
        let name = lv.name.as_str();
        if name.starts_with("raid") || matches!(name, "orig" | "snap") {
            assert_eq!(
                disk.write_at(0, b"x").unwrap_err().class(),
                Class::ReadOnly,
                "{name}"
            );
            continue;
        }
        let mut model = all(volume.disk.as_ref());
        for _ in 0..40 {
            let from = rng.below(model.len() as u64 - 70_000) as usize;
            let mut bytes = vec![0; rng.below(70_000) as usize];
            rng.fill(&mut bytes);
            disk.write_at(from as u64, &bytes).unwrap();
            model[from..from + bytes.len()].copy_from_slice(&bytes);
        }
        assert!(all(disk.as_ref()) == model, "{name}");
        // Every leg has it: a mirror read without its first disk says the same.
        let again = scan_all(
            overlays
                .iter()
                .skip(1)
                .map(|o| Arc::clone(o) as Arc<dyn BlockRead>)
                .collect(),
        );
        if let Ok(other) = again.find(&volume.device) {
            assert!(all(other.disk.as_ref()) == model, "{name} without sda");
        }
    }
}

#[test]
fn a_device_cut_short_is_an_error_where_it_ends() {
    let text = group("vg", 'g', 1, &['a'], &linear("lv", 0, 0, 8));
    let mut disk = Pv::new('a', &text).disk();
    disk.truncate(DATA + 3 * 4096);
    let volumes = scan_all(vec![mem(disk)]);
    let lv = volumes.find("/dev/vg/lv").unwrap();
    let mut buf = [0; 4096];
    lv.disk.read_at(2 * 4096, &mut buf).unwrap();
    let e = lv.disk.read_at(3 * 4096, &mut buf).unwrap_err();
    assert_eq!(e.class(), Class::Corrupt);
    assert!(e.to_string().contains("ends at"), "{e}");
}

#[test]
fn exported_foreign_and_skipped_are_said() {
    let lv = "lv { status = [\"READ\", \"VISIBLE\"] flags = [\"ACTIVATION_SKIP\"] segment1 { start_extent = 0 extent_count = 1 type = \"zero\" } }";
    let text = group("vg", 'g', 1, &['a'], lv).replace(
        "status = [\"READ\"] ",
        "status = [\"EXPORTED\"] system_id = \"host7\" ",
    );
    let volumes = scan_all(vec![mem(Pv::new('a', &text).disk())]);
    let said = problems(&volumes).join("\n");
    assert!(said.contains("exported") && said.contains("host7"), "{said}");
    let lv = volumes.find("/dev/vg/lv").unwrap();
    assert!(!lv.may_hold_files());
    assert_eq!(sha256(&all(lv.disk.as_ref())), sha256(&[0; 4096]));
}
