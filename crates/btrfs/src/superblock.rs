//! Superblocks: three places on every device, the newest valid one counts.

use crate::checksum::Checksum;
use crate::feature::{self, incompat};
use crate::layout::{HEADER, MAGIC, SUPER, SUPERS, Superblock, super_flag};
use h2k_block::{BlockRead, Error, Result};
use zerocopy::FromBytes;

const NAME: &str = "superblock";
/// Levels a tree can have.
pub(crate) const LEVELS: u8 = 8;

/// A superblock that was checked.
#[derive(Clone, Debug)]
pub(crate) struct Super {
    pub(crate) head: Box<Superblock>,
    pub(crate) checksum: Checksum,
    /// Bytes of a sector: what a data checksum covers.
    pub(crate) sector: u32,
    /// Bytes of a tree block.
    pub(crate) node: u32,
    /// Where it lay.
    pub(crate) at: u64,
}

impl Super {
    /// What tree blocks carry to show that they belong here.
    pub(crate) fn metadata_id(&self) -> [u8; 16] {
        if self.head.incompat_flags.get() & incompat::METADATA_UUID == 0 {
            self.head.fsid
        } else {
            self.head.metadata_uuid
        }
    }

    pub(crate) fn has(&self, flag: u64) -> bool {
        self.head.flags.get() & flag != 0
    }

    pub(crate) fn is_seed(&self) -> bool {
        self.has(super_flag::SEEDING)
    }

    /// The label without its padding.
    pub(crate) fn label(&self) -> Vec<u8> {
        self.head.label.iter().copied().take_while(|b| *b != 0).collect()
    }
}

/// Whether the primary superblock of `disk` has the magic number, and nothing more.
pub(crate) fn probe(disk: &dyn BlockRead) -> Result<bool> {
    let [primary, ..] = SUPERS;
    let mut magic = [0; 8];
    if disk.len() < primary.saturating_add(4096) {
        return Ok(false);
    }
    disk.read_at(primary.saturating_add(64), &mut magic)?;
    Ok(magic == MAGIC)
}

/// The superblock of a device: the primary one, or a mirror that is newer or the only one left.
pub(crate) fn read(disk: &dyn BlockRead, warn: &mut dyn FnMut(String)) -> Result<Super> {
    let mut best: Option<Super> = None;
    let mut first_error = None;
    for (number, at) in SUPERS.into_iter().enumerate() {
        match candidate(disk, at) {
            Ok(None) => {}
            Ok(Some(found)) => match &best {
                None => {
                    if number > 0 {
                        warn(format!(
                            "the primary superblock is damaged; the mirror at {at:#x} was used"
                        ));
                    }
                    best = Some(found);
                }
                // A mirror that another filesystem left behind does not count.
                Some(old) if old.head.dev_item.uuid != found.head.dev_item.uuid => {}
                Some(old) if found.head.generation.get() > old.head.generation.get() => {
                    warn(format!(
                        "the superblock mirror at {at:#x} is newer than the one at {:#x} (generation {} and {}) and \
                         was used",
                        old.at, found.head.generation, old.head.generation
                    ));
                    best = Some(found);
                }
                Some(_) => {}
            },
            Err(e) => {
                first_error.get_or_insert(e);
            }
        }
    }
    let [primary, ..] = SUPERS;
    best.ok_or_else(|| {
        first_error
            .unwrap_or_else(|| Error::corrupt(NAME, primary, "no superblock has the magic number _BHRfS_M"))
    })
}

/// The superblock at `at`, if there is one: `None` where the device ends before or another thing lies there.
fn candidate(disk: &dyn BlockRead, at: u64) -> Result<Option<Super>> {
    let mut bytes = [0; SUPER];
    let room = disk.len().saturating_sub(at);
    if room < bytes.len().try_into().unwrap_or(u64::MAX) {
        return Ok(None);
    }
    disk.read_at(at, &mut bytes).map_err(|e| e.at(NAME, at))?;
    let (head, _) =
        Superblock::ref_from_prefix(&bytes).map_err(|_| Error::corrupt(NAME, at, "is too short"))?;
    if head.magic != MAGIC {
        return Ok(None);
    }
    let bad = |what: String| Err(Error::corrupt(NAME, at, what));
    let number = head.csum_type.get();
    let Some(checksum) = Checksum::from_number(number) else {
        let what =
            format!("checksum type {number} is not known (0 crc32c, 1 xxhash64, 2 sha256, 3 blake2 are)");
        return Err(Error::unsupported(what).at(NAME, at));
    };
    if !checksum.agrees_with_head(&bytes) {
        return bad(format!("its {} does not agree with the content", checksum.name()));
    }
    if head.bytenr.get() != at {
        return bad(format!("says that it lies at {:#x}", head.bytenr));
    }
    let refused = feature::refused(head.incompat_flags.get());
    if !refused.is_empty() {
        let what = format!("incompatible features that are not read: {}", refused.join(", "));
        return Err(Error::unsupported(what).at(NAME, at));
    }
    let (sector, node) = (head.sectorsize.get(), head.nodesize.get());
    if !sector.is_power_of_two() || !(512..=65536).contains(&sector) {
        return bad(format!(
            "sector size is {sector}, a power of two from 512 to 65536 was expected"
        ));
    }
    if !node.is_power_of_two()
        || !(sector..=65536).contains(&node)
        || usize::try_from(node).unwrap_or(0) < HEADER
    {
        return bad(format!(
            "node size is {node}, a power of two from the sector size ({sector}) to 65536 was expected"
        ));
    }
    if head.sys_chunk_array_size.get() > 2048 {
        return bad(format!(
            "the array of system chunks has {} bytes, there is room for 2048",
            head.sys_chunk_array_size
        ));
    }
    Ok(Some(Super {
        checksum,
        sector,
        node,
        at,
        head: Box::new(head.clone()),
    }))
}
