//! Reading a member's superblock into one form, whatever its version.

use super::layout::{Super1, word};
use crate::bytes::{be32, index, le16, le32, le64, peek, until_nul};
use h2k_block::{BlockRead, Error, Result};
use zerocopy::FromBytes;

const MAGIC: u32 = 0xa92b_4efc;
/// Roles of devices that hold no data of the array.
const SPARE: u16 = 0xffff;
const JOURNAL: u16 = 0xfffd;
/// The kernel's own limit: what fits 4 KiB behind the superblock.
const MAX_ROLES: u32 = 1920;
/// Members of a version 0.90 array.
const MAX_DISKS_90: usize = 27;

const FEATURES: [(u32, &str); 13] = [
    (1, "bitmap"),
    (2, "recovery offset"),
    (4, "reshape"),
    (8, "bad block log"),
    (16, "replacement"),
    (32, "reshape backwards"),
    (64, "new offset"),
    (128, "recovery bitmap"),
    (256, "clustered bitmap"),
    (512, "journal"),
    (1024, "partial parity log"),
    (2048, "multiple partial parity logs"),
    (4096, "raid0 layout"),
];
const RECOVERY_OFFSET: u32 = 2;
const RESHAPE: u32 = 4;
const BAD_BLOCKS: u32 = 8;
const HAS_JOURNAL: u32 = 512;

/// Which array a member belongs to: the version's family and the UUID.
pub(crate) type SetId = (bool, [u8; 16]);

/// A member, as its own superblock describes it and the array.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    /// `0.90`, `1.0`, `1.1`, `1.2`.
    pub(crate) version: &'static str,
    pub(crate) set: SetId,
    /// The array's name with the machine it was made on, `host:name`; empty for 0.90.
    pub(crate) name: String,
    /// The device number an array of version 0.90 asks for.
    pub(crate) minor: Option<u32>,
    pub(super) level: i32,
    pub(super) layout: u32,
    /// Bytes.
    pub(super) chunk: u64,
    /// Bytes used of each member.
    pub(super) size: u64,
    pub(super) raid_disks: usize,
    pub(super) events: u64,
    /// What this member says of itself: its place in `roles`.
    pub(super) number: usize,
    /// The role of each device the array ever had.
    pub(super) roles: Vec<u16>,
    /// First byte of data on this member.
    pub(super) data_start: u64,
    /// Bytes that can hold data on this member.
    pub(super) data_len: u64,
    /// Not filled completely yet.
    pub(super) recovering: bool,
    pub(super) bad_blocks: bool,
    /// Stopped in an orderly way: copies and parity agree everywhere.
    pub(super) clean: bool,
    /// Why the array cannot be read, where a feature of it says so.
    pub(super) refused: Option<&'static str>,
}

/// The superblock of a device that was recognised as a member; `None` when it is not one after all.
pub(crate) fn read(disk: &dyn BlockRead) -> Result<Option<Member>> {
    let end = (disk.len() / 512).saturating_sub(16) & !7;
    for (sector, version) in [(0, "1.1"), (8, "1.2"), (end, "1.0")] {
        let at = sector.checked_mul(512);
        let Some(bytes) = at.map_or(Ok(None), |at| peek::<4096>(disk, at))? else {
            continue;
        };
        if le32(&bytes, 0) == Some(MAGIC) && le32(&bytes, 4) == Some(1) && le64(&bytes, 144) == Some(sector) {
            return version1(disk, &bytes, sector, version).map(Some);
        }
    }
    let Some(at) = (disk.len() & !0xffff).checked_sub(0x1_0000) else {
        return Ok(None);
    };
    let Some(bytes) = peek::<4096>(disk, at)? else {
        return Ok(None);
    };
    let words: Vec<u32> = match (le32(&bytes, 0), be32(&bytes, 0)) {
        (Some(MAGIC), _) => words(&bytes, u32::from_le_bytes),
        (_, Some(MAGIC)) => words(&bytes, u32::from_be_bytes),
        _ => return Ok(None),
    };
    let little = le32(&bytes, 0) == Some(MAGIC);
    version90(&words, little, at).map(Some)
}

fn words(bytes: &[u8], read: fn([u8; 4]) -> u32) -> Vec<u32> {
    bytes.as_chunks::<4>().0.iter().map(|w| read(*w)).collect()
}

/// Both versions add up 32-bit words and fold the carry back once.
fn fold(sum: u64) -> u32 {
    let folded = (sum & 0xffff_ffff).wrapping_add(sum >> 32);
    u32::try_from(folded & 0xffff_ffff).unwrap_or(0)
}

fn version1(disk: &dyn BlockRead, bytes: &[u8; 4096], sector: u64, version: &'static str) -> Result<Member> {
    let at = sector.saturating_mul(512);
    let bad = |what: String| Error::corrupt("MD superblock", at, what);
    let (sb, _) = Super1::read_from_prefix(bytes).map_err(|_| bad("too short".to_owned()))?;
    let max_dev = sb.max_dev.get();
    if max_dev > MAX_ROLES {
        return Err(bad(format!("{max_dev} roles, at most {MAX_ROLES} fit")));
    }
    let roles_len = index(u64::from(max_dev)).saturating_mul(2);
    let covered = bytes.get(..roles_len.saturating_add(256)).unwrap_or_default();
    let mut sum = covered
        .as_chunks::<4>()
        .0
        .iter()
        .fold(0_u64, |sum, w| sum.wrapping_add(u32::from_le_bytes(*w).into()));
    if let [a, b] = covered.as_chunks::<4>().1 {
        sum = sum.wrapping_add(u16::from_le_bytes([*a, *b]).into());
    }
    let sum = fold(sum.wrapping_sub(sb.sb_csum.get().into()));
    if sum != sb.sb_csum.get() {
        return Err(bad(format!(
            "checksum {:#010x}, expected {sum:#010x}",
            sb.sb_csum.get()
        )));
    }
    let features = sb.feature_map.get();
    let known = FEATURES.iter().fold(0, |all, (bit, _)| all | bit);
    if features & !known != 0 {
        return Err(Error::unsupported(format!(
            "MD array with unknown features {:#x}",
            features & !known
        )));
    }
    let bytes_of = |sectors: u64, what: &str| {
        sectors
            .checked_mul(512)
            .ok_or_else(|| bad(format!("{what} of {sectors} sectors")))
    };
    let data_start = bytes_of(sb.data_offset.get(), "data offset")?;
    let data_len = bytes_of(sb.data_size.get(), "data size")?;
    let end = data_start
        .checked_add(data_len)
        .ok_or_else(|| bad("data past the end of any disk".to_owned()))?;
    // Data over the superblock would be an array inside itself.
    let over = if version == "1.0" {
        end > at
    } else {
        data_start < at.saturating_add(4096)
    };
    if over || end > disk.len() {
        return Err(bad(format!(
            "data at {data_start:#x}..{end:#x} of a device of {:#x} bytes",
            disk.len()
        )));
    }
    let role_bytes = bytes.get(256..).unwrap_or_default();
    let roles: Vec<u16> = (0..index(u64::from(max_dev)))
        .filter_map(|i| le16(role_bytes, i.saturating_mul(2)))
        .collect();
    let recovering = features & RECOVERY_OFFSET != 0 && sb.recovery_offset.get() != u64::MAX;
    Ok(Member {
        version,
        set: (true, sb.set_uuid),
        name: String::from_utf8_lossy(until_nul(&sb.set_name)).into_owned(),
        minor: None,
        level: i32::from_le_bytes(sb.level.to_bytes()),
        layout: sb.layout.get(),
        chunk: u64::from(sb.chunksize.get()).saturating_mul(512),
        size: bytes_of(sb.size.get(), "size")?,
        raid_disks: disks(sb.raid_disks.get(), index(u64::from(MAX_ROLES))).map_err(bad)?,
        events: sb.events.get(),
        number: index(u64::from(sb.dev_number.get())),
        roles,
        data_start,
        data_len,
        recovering,
        clean: sb.resync_offset.get() == u64::MAX,
        bad_blocks: features & BAD_BLOCKS != 0 && has_bad_blocks(disk, &sb, at)?,
        refused: if features & RESHAPE != 0 {
            Some("its layout is being changed")
        } else if features & HAS_JOURNAL != 0 {
            Some("it has a write journal that may hold newer data")
        } else {
            None
        },
    })
}

fn disks(count: u32, most: usize) -> std::result::Result<usize, String> {
    let count = index(count.into());
    if (1..=most).contains(&count) {
        Ok(count)
    } else {
        Err(format!("{count} members, expected 1 to {most}"))
    }
}

/// Whether the log of bad blocks has an entry; empty slots are all ones.
fn has_bad_blocks(disk: &dyn BlockRead, sb: &Super1, at: u64) -> Result<bool> {
    let offset = i64::from(i32::from_le_bytes(sb.bblog_offset.to_bytes())).saturating_mul(512);
    let Some(log) = at.checked_add_signed(offset).filter(|log| *log != at) else {
        return Ok(false);
    };
    Ok(peek::<8>(disk, log)?.is_some_and(|first| first != [0xff; 8] && first != [0; 8]))
}

fn version90(words: &[u32], little: bool, at: u64) -> Result<Member> {
    let bad = |what: String| Error::corrupt("MD superblock", at, what);
    let word = |i: usize| words.get(i).copied().unwrap_or(0);
    if word(word::MAJOR) != 0 {
        return Err(bad(format!("version {}, expected 0", word(word::MAJOR))));
    }
    let sum = words.iter().fold(0_u64, |sum, w| sum.wrapping_add((*w).into()));
    let sum = fold(sum.wrapping_sub(word(word::CSUM).into()));
    if sum != word(word::CSUM) {
        return Err(bad(format!(
            "checksum {:#010x}, expected {sum:#010x}",
            word(word::CSUM)
        )));
    }
    let mut uuid = [0; 16];
    let places = [
        word::UUID0,
        word::UUID1,
        word::UUID1.saturating_add(1),
        word::UUID1.saturating_add(2),
    ];
    for (slot, place) in uuid.as_chunks_mut::<4>().0.iter_mut().zip(places) {
        *slot = word(place).to_be_bytes();
    }
    let raid_disks = disks(word(word::RAID_DISKS), MAX_DISKS_90).map_err(bad)?;
    let mut roles = vec![SPARE; MAX_DISKS_90];
    for (i, role) in roles.iter_mut().enumerate() {
        let descriptor = word::DISKS.saturating_add(i.saturating_mul(32));
        let place = word(descriptor.saturating_add(3));
        let state = word(descriptor.saturating_add(4));
        // Bits: 0 faulty, 1 active, 2 in sync.
        if state & 0b111 == 0b110 && index(place.into()) < raid_disks {
            *role = u16::try_from(place).unwrap_or(SPARE);
        }
    }
    let (low, high) = if little { (0, 1) } else { (1, 0) };
    let events = |half: usize| u64::from(word(word::EVENTS.saturating_add(half)));
    Ok(Member {
        version: "0.90",
        set: (false, uuid),
        name: String::new(),
        minor: Some(word(word::MD_MINOR)),
        level: i32::from_le_bytes(word(word::LEVEL).to_le_bytes()),
        layout: word(word::LAYOUT),
        chunk: word(word::CHUNK).into(),
        size: u64::from(word(word::SIZE)).saturating_mul(1024),
        raid_disks,
        events: events(high).wrapping_shl(32) | events(low),
        number: index(word(word::THIS_DISK).into()),
        roles,
        data_start: 0,
        data_len: at,
        recovering: false,
        bad_blocks: false,
        clean: word(word::STATE) & 1 == 1,
        // A minor version of 91 marks an array whose layout is being changed.
        refused: (word(word::MINOR) == 91).then_some("its layout is being changed"),
    })
}

impl Member {
    /// The member's place in the array by `roles`, those of the newest superblock; `None` for spares, journals and
    /// members that failed.
    pub(super) fn place(&self, roles: &[u16]) -> Option<usize> {
        let role = *roles.get(self.number)?;
        (role < JOURNAL && usize::from(role) < self.raid_disks).then(|| usize::from(role))
    }

    /// UUID as `blkid` prints it.
    pub(crate) fn uuid(&self) -> String {
        crate::name::uuid(self.set.1)
    }
}
