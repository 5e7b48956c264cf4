//! Rock Ridge: what a record's system use area says (SUSP 1.12, RRIP 1.12), bounded.

use super::time;
use h2k_block::{BlockRead, Error, Result};
use h2k_fs::Time;
use std::ops::ControlFlow;

const NAME: &str = "system use entry";
/// Continuation areas one record may have, and the bytes of one.
const MOST_AREAS: usize = 32;
const MOST_AREA: u32 = 32 << 10;
/// Longest name and target that are put together.
const MOST_NAME: usize = 1024;
const MOST_TARGET: usize = 8192;

/// A file that is stored in pieces of zlib (ZF).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Zisofs {
    pub(crate) header: u32,
    pub(crate) block_bits: u8,
    pub(crate) size: u32,
}

/// What Rock Ridge says of a record.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rock {
    pub(crate) name: Vec<u8>,
    pub(crate) mode: Option<u32>,
    pub(crate) links: Option<u32>,
    pub(crate) uid: Option<u32>,
    pub(crate) gid: Option<u32>,
    pub(crate) device: Option<(u32, u32)>,
    pub(crate) target: Vec<u8>,
    pub(crate) created: Option<Time>,
    pub(crate) modified: Option<Time>,
    pub(crate) accessed: Option<Time>,
    pub(crate) changed: Option<Time>,
    /// The directory lies at this block instead (CL).
    pub(crate) child: Option<u32>,
    /// This directory is shown elsewhere (RE).
    pub(crate) relocated: bool,
    pub(crate) zisofs: Option<Zisofs>,
    /// Kept sparse by a method that is not read (SF), or compressed by one (ZF of another kind).
    pub(crate) coded: Option<String>,
}

/// The number of bytes to skip in each area (SP), if `area`, of the root's own record, says that Rock Ridge is used.
/// Discs in CD-ROM XA have fourteen bytes of their own before it.
pub(crate) fn skip(area: &[u8]) -> Option<usize> {
    [0_usize, 14]
        .into_iter()
        .find_map(|from| match area.get(from..)? {
            [b'S', b'P', 7, 1, 0xbe, 0xef, skip, ..] => Some(usize::from(*skip)),
            _ => None,
        })
}

/// Takes an entry's signature and its data behind the version.
type Show<'a> = dyn FnMut([u8; 2], &[u8]) -> ControlFlow<()> + 'a;

/// Shows each entry of `area` and of the areas it goes on in.
fn each(disk: &dyn BlockRead, block: u64, area: &[u8], show: &mut Show<'_>) -> Result<()> {
    let mut area = area.to_vec();
    for _ in 0..MOST_AREAS {
        let mut next = None;
        let mut rest = area.as_slice();
        while let [a, b, len, _version, ..] = rest {
            let Some((entry, tail)) = rest.split_at_checked(usize::from(*len)) else {
                break;
            };
            let Some(data) = entry.get(4..) else { break };
            match [*a, *b] {
                [b'S', b'T'] => break,
                [b'C', b'E'] => next = number(data, 0).zip(number(data, 8)).zip(number(data, 16)),
                signature => {
                    if show(signature, data).is_break() {
                        return Ok(());
                    }
                }
            }
            rest = tail;
        }
        let Some(((first, offset), len)) = next else {
            return Ok(());
        };
        let at = u64::from(first)
            .saturating_mul(block)
            .saturating_add(offset.into());
        if len > MOST_AREA || at.saturating_add(len.into()) > disk.len() {
            let what = format!("a continuation of {len} bytes at {at:#x} of {:#x}", disk.len());
            return Err(Error::corrupt("continuation area", at, what));
        }
        area = vec![0; usize::try_from(len).unwrap_or(0)];
        disk.read_at(at, &mut area)?;
    }
    let what = format!("a record has more than {MOST_AREAS} continuation areas");
    Err(Error::corrupt("continuation area", 0, what))
}

/// The little-endian half of a number at byte `at`.
fn number(data: &[u8], at: usize) -> Option<u32> {
    let bytes = data.get(at..)?.first_chunk::<4>()?;
    Some(u32::from_le_bytes(*bytes))
}

/// Reads what Rock Ridge says in `area`, the system use area of the record at byte `at`.
pub(crate) fn read(disk: &dyn BlockRead, block: u64, area: &[u8], at: u64) -> Result<Rock> {
    let mut rock = Rock::default();
    let mut link = Link::default();
    let (mut naming, mut bad) = (true, None);
    each(disk, block, area, &mut |signature, data| {
        match &signature {
            b"NM" => name(&mut rock, data, &mut naming),
            b"PX" => {
                rock.mode = number(data, 0);
                rock.links = number(data, 8);
                rock.uid = number(data, 16);
                rock.gid = number(data, 24);
            }
            b"PN" => rock.device = number(data, 0).zip(number(data, 8)),
            b"SL" => link.add(data),
            b"TF" => times(&mut rock, data),
            b"CL" => rock.child = number(data, 0),
            b"RE" => rock.relocated = true,
            b"ZF" => zisofs(&mut rock, data),
            b"SF" => rock.coded = Some("a sparse file of Rock Ridge (SF)".to_owned()),
            _ => {}
        }
        if rock.name.len() > MOST_NAME || link.target.len() > MOST_TARGET {
            bad = Some("a name or target that is too long");
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    })?;
    if let Some(what) = bad {
        return Err(Error::corrupt(NAME, at, what));
    }
    rock.target = link.target;
    // Old discs put a small number of both into the low half.
    rock.device = rock.device.map(|(high, low)| match (high, low) {
        (0, 0x100..) => (low >> 8, low & 0xff),
        other => other,
    });
    Ok(rock)
}

/// NM: flags (1 goes on, 2 `.`, 4 `..`), then a part of the name.
fn name(rock: &mut Rock, data: &[u8], naming: &mut bool) {
    if let [flags, part @ ..] = data
        && *naming
        && flags & 6 == 0
    {
        rock.name.extend_from_slice(part);
        *naming = flags & 1 != 0;
    }
}

/// A symbolic link, put together from components.
#[derive(Default)]
struct Link {
    target: Vec<u8>,
    /// The last component goes on in the next one.
    open: bool,
}

impl Link {
    /// SL: flags, then components of flags (1 goes on, 2 `.`, 4 `..`, 8 root), length and text.
    fn add(&mut self, data: &[u8]) {
        let mut rest = data.get(1..).unwrap_or_default();
        while let [flags, len, tail @ ..] = rest {
            let Some((text, tail)) = tail.split_at_checked(usize::from(*len)) else {
                break;
            };
            rest = tail;
            if !self.open && !self.target.is_empty() && self.target.last() != Some(&b'/') {
                self.target.push(b'/');
            }
            match flags & !1 {
                2 => self.target.push(b'.'),
                4 => self.target.extend_from_slice(b".."),
                8 => self.target.push(b'/'),
                _ => self.target.extend_from_slice(text),
            }
            self.open = flags & 1 != 0;
            if self.target.len() > MOST_TARGET {
                return;
            }
        }
    }
}

/// TF: which times follow (bit 0 creation, 1 content, 2 access, 3 attributes …), in short form unless bit 7 is set.
fn times(rock: &mut Rock, data: &[u8]) {
    let [flags, stamps @ ..] = data else { return };
    let mut rest = stamps;
    for bit in 0..7_u8 {
        if flags >> bit & 1 == 0 {
            continue;
        }
        let time = if flags & 0x80 != 0 {
            let Some((stamp, tail)) = rest.split_first_chunk::<17>() else {
                return;
            };
            rest = tail;
            time::long(stamp)
        } else {
            let Some((stamp, tail)) = rest.split_first_chunk::<7>() else {
                return;
            };
            rest = tail;
            time::short(*stamp)
        };
        let slot = match bit {
            0 => &mut rock.created,
            1 => &mut rock.modified,
            2 => &mut rock.accessed,
            3 => &mut rock.changed,
            _ => continue,
        };
        *slot = time;
    }
}

/// ZF: algorithm, header size in words, block size, uncompressed size.
fn zisofs(rock: &mut Rock, data: &[u8]) {
    let [a, b, header, block_bits, ..] = *data else {
        return;
    };
    let Some(size) = number(data, 4) else { return };
    if [a, b] == *b"pz" && (15..=17).contains(&block_bits) {
        rock.zisofs = Some(Zisofs {
            header: u32::from(header).saturating_mul(4),
            block_bits,
            size,
        });
    } else {
        let method = String::from_utf8_lossy(&[a, b]).escape_debug().to_string();
        rock.coded = Some(format!(
            "a file compressed by the method {method} (ZF, blocks of 2^{block_bits} bytes)"
        ));
    }
}
