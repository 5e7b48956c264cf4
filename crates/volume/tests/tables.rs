//! Damaged, unusual and lying tables, built here byte by byte.

use crate::common::{mem, problems, scan_all};
use h2k_block::{BlockRead, BlockWrite, Kind as Extents, MemDisk, Overlay};
use h2k_volume::{Disk, Kind, Role, Scheme, Volumes, scan};
use std::sync::Arc;

fn put(bytes: &mut [u8], at: usize, what: &[u8]) {
    bytes[at..at + what.len()].copy_from_slice(what);
}

/// One MBR record: type, first sector, sectors.
type Record = (u8, u32, u32);

/// Writes a boot record with its signature at sector `at`.
fn boot_record(disk: &mut [u8], at: u32, records: &[Record]) {
    let base = at as usize * 512;
    for (i, (kind, start, count)) in records.iter().enumerate() {
        let r = base + 446 + 16 * i;
        disk[r + 4] = *kind;
        put(disk, r + 8, &start.to_le_bytes());
        put(disk, r + 12, &count.to_le_bytes());
    }
    put(disk, base + 510, &[0x55, 0xaa]);
}

/// What a GPT is made from.
pub struct Gpt {
    pub sector: usize,
    pub entry_size: usize,
    pub entries: usize,
    /// First and last sector of each partition.
    pub partitions: Vec<(u64, u64)>,
}

impl Default for Gpt {
    fn default() -> Self {
        Self {
            sector: 512,
            entry_size: 128,
            entries: 128,
            partitions: vec![(64, 127), (128, 255)],
        }
    }
}

impl Gpt {
    /// A whole disk of `sectors` with a protective MBR and both copies.
    pub fn disk(&self, sectors: usize) -> Vec<u8> {
        let mut disk = vec![0; sectors * self.sector];
        boot_record(&mut disk, 0, &[(0xee, 1, u32::MAX)]);
        let mut array = vec![0; self.entries * self.entry_size];
        for (i, (first, last)) in self.partitions.iter().enumerate() {
            let e = i * self.entry_size;
            // EBD0A0A2-B9E5-4433-87C0-68B6B72699C7
            put(&mut array, e, &[0xa2, 0xa0, 0xd0, 0xeb, 0xe5, 0xb9, 0x33, 0x44]);
            put(
                &mut array,
                e + 8,
                &[0x87, 0xc0, 0x68, 0xb6, 0xb7, 0x26, 0x99, 0xc7],
            );
            array[e + 16] = i as u8 + 1;
            put(&mut array, e + 32, &first.to_le_bytes());
            put(&mut array, e + 40, &last.to_le_bytes());
        }
        let array_sectors = array.len().div_ceil(self.sector);
        let last = sectors - 1;
        put(&mut disk, 2 * self.sector, &array);
        put(&mut disk, (last - array_sectors) * self.sector, &array);
        for (mine, other, table) in [(1, last, 2), (last, 1, last - array_sectors)] {
            let at = mine * self.sector;
            let mut h = vec![0; 92];
            put(&mut h, 0, b"EFI PART");
            put(&mut h, 8, &0x0001_0000_u32.to_le_bytes());
            put(&mut h, 12, &92_u32.to_le_bytes());
            put(&mut h, 24, &(mine as u64).to_le_bytes());
            put(&mut h, 32, &(other as u64).to_le_bytes());
            put(&mut h, 40, &(2 + array_sectors as u64).to_le_bytes());
            put(&mut h, 48, &((last - array_sectors - 1) as u64).to_le_bytes());
            put(&mut h, 56, &[7; 16]);
            put(&mut h, 72, &(table as u64).to_le_bytes());
            put(&mut h, 80, &(self.entries as u32).to_le_bytes());
            put(&mut h, 84, &(self.entry_size as u32).to_le_bytes());
            put(&mut h, 88, &crc32(&array).to_le_bytes());
            let crc = crc32(&h);
            put(&mut h, 16, &crc.to_le_bytes());
            put(&mut disk, at, &h);
        }
        disk
    }
}

/// CRC-32 bit by bit, from its definition: the tests do not share the reader's.
pub fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |mut crc, byte| {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
        }
        crc
    })
}

/// The first two partitions of a 512-byte GPT, as a disk of the same length in other sectors.
pub fn in_sectors_of(sector: usize, disk: &[u8]) -> Vec<u8> {
    let entry = |i: usize| {
        let e = 1024 + 128 * i;
        let lba = |at: usize| u64::from_le_bytes(disk[e + at..e + at + 8].try_into().unwrap());
        let scale = (sector / 512) as u64;
        (lba(32) / scale, (lba(40) + 1) / scale - 1)
    };
    let gpt = Gpt {
        sector,
        partitions: vec![entry(0), entry(1)],
        ..Gpt::default()
    };
    gpt.disk(disk.len() / sector)
}

fn partitions(volumes: &Volumes) -> Vec<(u32, u64, u64)> {
    volumes
        .list
        .iter()
        .filter_map(|v| match &v.kind {
            Kind::Partition(p) => Some((p.number, p.start, p.len)),
            _ => None,
        })
        .collect()
}

const TWO: [(u32, u64, u64); 2] = [(1, 64 * 512, 64 * 512), (2, 128 * 512, 128 * 512)];

fn one_disk(bytes: Vec<u8>) -> Volumes {
    scan_all(vec![mem(bytes)])
}

#[test]
fn a_sound_gpt_says_nothing() {
    let volumes = one_disk(Gpt::default().disk(400));
    assert_eq!(partitions(&volumes), TWO);
    assert_eq!(problems(&volumes), Vec::<String>::new());
    assert_eq!(volumes.list[1].device, "/dev/sda1");
    assert_eq!(volumes.list[1].below, [0]);
    assert!(!volumes.list[0].may_hold_files());
}

#[test]
fn the_backup_takes_over_whatever_part_of_the_primary_is_damaged() {
    // Signature, header field, header CRC, an entry.
    for at in [512, 512 + 40, 512 + 16, 1024 + 33] {
        let mut disk = Gpt::default().disk(400);
        disk[at] ^= 0x40;
        let volumes = one_disk(disk);
        assert_eq!(partitions(&volumes), TWO, "{at}");
        assert!(
            problems(&volumes).iter().any(|p| p.contains("backup")),
            "{:?}",
            problems(&volumes)
        );
    }
}

#[test]
fn the_backup_takes_over_in_sectors_of_4096_bytes() {
    let gpt = Gpt {
        sector: 4096,
        partitions: vec![(16, 31), (32, 63)],
        ..Gpt::default()
    };
    let good = gpt.disk(200);
    assert_eq!(problems(&one_disk(good.clone())), Vec::<String>::new());
    let two = [(1, 16 * 4096, 16 * 4096), (2, 32 * 4096, 32 * 4096)];
    // A field of the header, and all of the disk before the first partition, protective MBR and entries included.
    for gone in [4096 + 40..4096 + 44, 0..16 * 4096] {
        let mut disk = good.clone();
        disk[gone.clone()].fill(0);
        let volumes = one_disk(disk);
        assert_eq!(partitions(&volumes), two, "{gone:?}");
        let said = problems(&volumes).join("\n");
        assert!(said.contains("backup"), "{gone:?}: {said}");
        assert_eq!(volumes.list[0].table.as_ref().unwrap().sector_size, 4096);
    }
}

#[test]
fn a_damaged_backup_is_a_warning() {
    let mut disk = Gpt::default().disk(400);
    disk[399 * 512 + 40] ^= 1;
    let volumes = one_disk(disk);
    assert_eq!(partitions(&volumes), TWO);
    assert!(
        problems(&volumes)[0].contains("backup GPT is damaged"),
        "{:?}",
        problems(&volumes)
    );
}

#[test]
fn with_both_copies_damaged_there_are_no_partitions_and_two_reasons() {
    let mut disk = Gpt::default().disk(400);
    disk[512 + 40] ^= 1;
    disk[399 * 512 + 40] ^= 1;
    let volumes = one_disk(disk);
    assert_eq!(partitions(&volumes), []);
    assert!(!volumes.list[0].may_hold_files());
    let said = problems(&volumes).join("\n");
    assert!(said.contains("GPT header at 0x200"), "{said}");
    assert!(said.contains("GPT header at 0x31e00"), "{said}");
}

#[test]
fn a_grown_disk_is_named() {
    let mut disk = Gpt::default().disk(400);
    disk.resize(500 * 512, 0);
    let volumes = one_disk(disk);
    assert_eq!(partitions(&volumes), TWO);
    assert!(problems(&volumes)[0].contains("the disk has grown"));
}

#[test]
fn entries_of_other_sizes_and_counts_are_read() {
    for (entry_size, entries) in [(256, 128), (128, 4), (136, 2), (4096, 3)] {
        let gpt = Gpt {
            entry_size,
            entries,
            ..Gpt::default()
        };
        let volumes = one_disk(gpt.disk(600));
        let expected = if entries > 1 { &TWO[..] } else { &TWO[..1] };
        assert_eq!(partitions(&volumes), expected, "{entry_size} {entries}");
        assert_eq!(problems(&volumes), Vec::<String>::new());
    }
}

#[test]
fn ranges_that_are_none_and_ranges_past_the_end_are_named() {
    let gpt = Gpt {
        partitions: vec![
            (64, 63),
            (100, 10_000),
            (20_000, 30_000),
            (90, 120),
            (0, u64::MAX),
        ],
        ..Gpt::default()
    };
    let volumes = one_disk(gpt.disk(400));
    let numbers: Vec<u32> = partitions(&volumes).iter().map(|p| p.0).collect();
    assert_eq!(numbers, [2, 3, 4]);
    let said = problems(&volumes).join("\n");
    for part in [
        "gpt partition 1 covers LBA 64 to 63, which is no range",
        "gpt partition 2 ends at",
        "gpt partition 3 begins at",
        "partitions 4 and 2 overlap",
        "gpt partition 5 covers LBA 0 to 18446744073709551615, which is no range",
    ] {
        assert!(said.contains(part), "{part} in {said}");
    }
    // The table is not believed about the size, the disk is.
    let second = volumes.find("/dev/sda2").unwrap();
    assert_eq!(second.disk.len(), 300 * 512);
    assert_eq!(volumes.find("/dev/sda3").unwrap().disk.len(), 0);
}

#[test]
fn an_mbr_that_does_not_mention_gpt_beats_one_left_behind() {
    let mut disk = Gpt::default().disk(400);
    disk[446..512].fill(0);
    boot_record(&mut disk, 0, &[(0x83, 10, 20)]);
    let volumes = one_disk(disk);
    assert_eq!(partitions(&volumes), [(1, 5120, 10240)]);
    assert!(problems(&volumes)[0].contains("does not mention it"));
}

#[test]
fn a_missing_protective_mbr_is_named() {
    let mut disk = Gpt::default().disk(400);
    disk[..512].fill(0);
    let volumes = one_disk(disk);
    assert_eq!(partitions(&volumes), TWO);
    assert!(problems(&volumes)[0].contains("protective MBR is missing"));
}

#[test]
fn a_chain_of_extended_boot_records_that_loops_ends() {
    let mut disk = vec![0; 1000 * 512];
    boot_record(&mut disk, 0, &[(0x83, 1, 9), (0x0f, 100, 800)]);
    boot_record(&mut disk, 100, &[(0x83, 1, 10), (5, 50, 60)]);
    boot_record(&mut disk, 150, &[(0x82, 1, 10), (5, 0, 60)]);
    let volumes = one_disk(disk);
    let roles: Vec<Role> = volumes
        .list
        .iter()
        .filter_map(|v| match &v.kind {
            Kind::Partition(p) => Some(p.role),
            _ => None,
        })
        .collect();
    assert_eq!(
        roles,
        [Role::Primary, Role::Extended, Role::Logical, Role::Logical]
    );
    assert_eq!(volumes.list[4].device, "/dev/sda6");
    assert_eq!(partitions(&volumes)[3], (6, 151 * 512, 5120));
    assert!(
        problems(&volumes)[0].contains("returns to 0xc800"),
        "{:?}",
        problems(&volumes)
    );
    assert!(!volumes.find("/dev/sda2").unwrap().may_hold_files());
}

#[test]
fn a_chain_that_goes_on_for_ever_ends_at_the_number_linux_stops_at() {
    let mut disk = vec![0; 1000 * 512];
    boot_record(&mut disk, 0, &[(5, 100, 900)]);
    for i in 100..999 {
        boot_record(&mut disk, i, &[(0x83, 1, 1), (5, i + 1 - 100, 2)]);
    }
    let volumes = one_disk(disk);
    assert_eq!(partitions(&volumes).last().unwrap().0, 255);
    assert!(problems(&volumes).iter().any(|p| p.contains("more than 255")));
}

#[test]
fn logical_partitions_outside_their_extended_one_are_named() {
    let mut disk = vec![0; 1000 * 512];
    boot_record(&mut disk, 0, &[(5, 100, 100)]);
    boot_record(&mut disk, 100, &[(0x83, 1, 800)]);
    let volumes = one_disk(disk);
    assert!(problems(&volumes)[0].contains("not inside the extended partition"));
}

#[test]
fn an_mbr_in_sectors_of_4096_bytes_is_found_by_what_its_partitions_hold() {
    let mut disk = vec![0; 4096 * 4096];
    boot_record(&mut disk, 0, &[(0x83, 256, 512), (5, 1000, 1000)]);
    put(&mut disk, 256 * 4096 + 1024 + 56, &[0x53, 0xef]);
    boot_record(&mut disk, 8000, &[(0x83, 10, 20)]);
    let volumes = one_disk(disk);
    assert_eq!(
        partitions(&volumes),
        [
            (1, 256 * 4096, 512 * 4096),
            (2, 1000 * 4096, 1000 * 4096),
            (5, 1010 * 4096, 20 * 4096)
        ]
    );
    assert_eq!(volumes.list[1].identity.as_ref().unwrap().kind, "ext2");
}

#[test]
fn a_bsd_label_inside_a_partition_is_named() {
    let mut disk = vec![0; 600 * 512];
    boot_record(&mut disk, 0, &[(0xa5, 63, 400)]);
    // struct disklabel in the second sector of the slice: d_magic and d_magic2.
    put(&mut disk, 64 * 512, &0x8256_4557_u32.to_le_bytes());
    put(&mut disk, 64 * 512 + 132, &0x8256_4557_u32.to_le_bytes());
    let volumes = one_disk(disk);
    assert_eq!(partitions(&volumes), [(1, 63 * 512, 400 * 512)]);
    let said = problems(&volumes);
    assert!(
        said[0].contains("/dev/sda1") && said[0].contains("BSD disklabel"),
        "{said:?}"
    );
}

#[test]
fn partitions_pass_extents_and_writes_through() {
    let bytes = Gpt::default().disk(400);
    let disk: Arc<dyn BlockRead> = Arc::new(MemDisk::new(bytes));
    let overlay = Arc::new(Overlay::new(Arc::clone(&disk)));
    let volumes = scan(&[Disk::new(0, Arc::clone(&disk))], &h2k_block::Limits::default()).unwrap();
    let writable = volumes
        .over(&[Arc::clone(&overlay) as Arc<dyn BlockWrite>])
        .unwrap();
    writable[2].write_at(511, b"edit").unwrap();
    let mut seen = [0; 4];
    overlay.read_at(128 * 512 + 511, &mut seen).unwrap();
    assert_eq!(&seen, b"edit");
    let mut source = [9; 4];
    volumes.list[2].disk.read_at(511, &mut source).unwrap();
    assert_eq!(source, [0; 4]);
    assert_eq!(
        volumes.list[2].disk.extent_at(0, 512).unwrap().kind,
        Extents::Data
    );
    let shorter: Arc<dyn BlockWrite> = Arc::new(MemDisk::new(vec![0; 512]));
    assert!(volumes.over(&[shorter]).is_err());
}

#[test]
fn several_disks_are_named_in_order() {
    let volumes = scan_all(vec![mem(vec![0; 4096]), mem(Gpt::default().disk(400))]);
    let names: Vec<&str> = volumes.list.iter().map(|v| v.device.as_str()).collect();
    assert_eq!(names, ["/dev/sda", "/dev/sdb", "/dev/sdb1", "/dev/sdb2"]);
    assert_eq!(volumes.list[1].table.as_ref().unwrap().scheme, Scheme::Gpt);
    let e = volumes.find("/dev/sdc1").unwrap_err();
    assert_eq!(e.class(), h2k_block::Class::NotFound);
    assert!(e.advice().unwrap().contains("/dev/sdb2"));
}
