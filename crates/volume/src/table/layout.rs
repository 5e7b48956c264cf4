//! The specifications' bytes: UEFI 2.10 chapter 5 (GPT, MBR), "Inside Macintosh: Devices" chapter 3 (APM).

use zerocopy::byteorder::{BE, LE, U16, U32, U64};
use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

/// UEFI 5.3.2, table 5-5. The rest of the sector is reserved.
#[derive(Debug, Clone, Copy, FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct GptHeader {
    pub(super) signature: [u8; 8],
    pub(super) revision: U32<LE>,
    pub(super) header_size: U32<LE>,
    pub(super) header_crc32: U32<LE>,
    pub(super) reserved: U32<LE>,
    pub(super) my_lba: U64<LE>,
    pub(super) alternate_lba: U64<LE>,
    pub(super) first_usable_lba: U64<LE>,
    pub(super) last_usable_lba: U64<LE>,
    pub(super) disk_guid: [u8; 16],
    pub(super) partition_entry_lba: U64<LE>,
    pub(super) number_of_partition_entries: U32<LE>,
    pub(super) size_of_partition_entry: U32<LE>,
    pub(super) partition_entry_array_crc32: U32<LE>,
}
const _: () = assert!(size_of::<GptHeader>() == 92);

/// UEFI 5.3.3, table 5-6. An entry may be larger; the rest is reserved.
#[derive(Debug, Clone, Copy, FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct GptEntry {
    pub(super) partition_type_guid: [u8; 16],
    pub(super) unique_partition_guid: [u8; 16],
    pub(super) starting_lba: U64<LE>,
    pub(super) ending_lba: U64<LE>,
    pub(super) attributes: U64<LE>,
    pub(super) partition_name: [u8; 72],
}
const _: () = assert!(size_of::<GptEntry>() == 128);

/// UEFI 5.2.1, table 5-2: one of the four records at byte 446.
#[derive(Debug, Clone, Copy, FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct MbrRecord {
    pub(super) boot_indicator: u8,
    pub(super) starting_chs: [u8; 3],
    pub(super) os_type: u8,
    pub(super) ending_chs: [u8; 3],
    pub(super) starting_lba: U32<LE>,
    pub(super) size_in_lba: U32<LE>,
}
const _: () = assert!(size_of::<MbrRecord>() == 16);

/// UEFI 5.2.1, table 5-1: master boot record; an extended boot record has the same shape.
#[derive(Debug, Clone, Copy, FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct BootRecord {
    pub(super) boot_code: [u8; 440],
    pub(super) unique_mbr_disk_signature: U32<LE>,
    pub(super) unknown: [u8; 2],
    pub(super) partition_record: [MbrRecord; 4],
    pub(super) signature: [u8; 2],
}
const _: () = assert!(size_of::<BootRecord>() == 512);

/// Block 0 of an Apple disk ("Block0"), as far as needed.
#[derive(Debug, Clone, Copy, FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct DriverDescriptor {
    pub(super) sb_sig: [u8; 2],
    pub(super) sb_blk_size: U16<BE>,
    pub(super) sb_blk_count: U32<BE>,
}
const _: () = assert!(size_of::<DriverDescriptor>() == 8);

/// One block of the Apple partition map ("Partition"), as far as needed.
#[derive(Debug, Clone, Copy, FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct ApplePartition {
    pub(super) pm_sig: [u8; 2],
    pub(super) pm_sig_pad: U16<BE>,
    pub(super) pm_map_blk_cnt: U32<BE>,
    pub(super) pm_py_part_start: U32<BE>,
    pub(super) pm_part_blk_cnt: U32<BE>,
    pub(super) pm_part_name: [u8; 32],
    pub(super) pm_par_type: [u8; 32],
    pub(super) pm_lg_data_start: U32<BE>,
    pub(super) pm_data_cnt: U32<BE>,
    pub(super) pm_part_status: U32<BE>,
}
const _: () = assert!(size_of::<ApplePartition>() == 92);
