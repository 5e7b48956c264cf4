//! Volume descriptors: what trees the disc has, and what it boots.

use super::layout::{Descriptor, ROOT, SECTOR, kind};
use h2k_block::{BlockRead, Error, Result};
use zerocopy::FromBytes;

const NAME: &str = "volume descriptor";
/// Descriptors looked at; discs have four or five.
const MOST: u64 = 64;

/// A tree: its descriptor, and where its root's record lies.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tree {
    pub(crate) descriptor: Descriptor,
    /// Byte of the root's record.
    pub(crate) root: u64,
    /// Bytes of a logical block.
    pub(crate) block: u64,
    /// Joliet's level, 0 for the primary descriptor.
    pub(crate) joliet: u8,
}

/// What the descriptors say.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trees {
    pub(crate) primary: Option<Tree>,
    pub(crate) joliet: Option<Tree>,
    /// Sector of El Torito's catalog.
    pub(crate) catalog: Option<u32>,
}

/// Reads the descriptors of the session that begins at sector `session`.
pub(crate) fn read(disk: &dyn BlockRead, session: u32) -> Result<Trees> {
    let mut trees = Trees::default();
    for n in 0..MOST {
        let at = u64::from(session)
            .saturating_add(16)
            .saturating_add(n)
            .saturating_mul(SECTOR);
        let mut bytes = [0; 2048];
        if at.saturating_add(SECTOR) > disk.len() {
            break;
        }
        disk.read_at(at, &mut bytes)?;
        let (descriptor, _) =
            Descriptor::read_from_prefix(&bytes).map_err(|_| Error::corrupt(NAME, at, "is too short"))?;
        if descriptor.identifier != *b"CD001" {
            if bytes.get(9..14) == Some(b"CDROM") {
                let what = "the disc is in the High Sierra format, the forerunner of ISO 9660";
                return Err(Error::unsupported(what).at(NAME, at));
            }
            // A bridge disc goes on with the descriptors of UDF.
            if n == 0 || !matches!(&descriptor.identifier, b"BEA01" | b"NSR02" | b"NSR03" | b"TEA01") {
                break;
            }
            continue;
        }
        match descriptor.kind {
            kind::PRIMARY if trees.primary.is_none() => trees.primary = Some(tree(&descriptor, at, 0)?),
            kind::SUPPLEMENTARY if trees.joliet.is_none() => {
                // Joliet's three levels: %/@, %/C, %/E.
                let level = match descriptor.escapes {
                    [0x25, 0x2f, 0x40, ..] => 1,
                    [0x25, 0x2f, 0x43, ..] => 2,
                    [0x25, 0x2f, 0x45, ..] => 3,
                    _ => continue,
                };
                trees.joliet = tree(&descriptor, at, level).ok();
            }
            kind::BOOT if bytes.get(7..30) == Some(b"EL TORITO SPECIFICATION") => {
                let sector = bytes.get(71..75).and_then(|b| b.first_chunk::<4>());
                trees.catalog = trees.catalog.or(sector.map(|b| u32::from_le_bytes(*b)));
            }
            kind::TERMINATOR => break,
            _ => {}
        }
    }
    if trees.primary.is_none() && trees.joliet.is_none() {
        let at = u64::from(session).saturating_add(16).saturating_mul(SECTOR);
        return Err(Error::corrupt(NAME, at, "there is no primary volume descriptor"));
    }
    Ok(trees)
}

fn tree(descriptor: &Descriptor, at: u64, joliet: u8) -> Result<Tree> {
    let block = u64::from(descriptor.block.get());
    if !matches!(block, 512 | 1024 | 2048) {
        let what = format!("logical blocks of {block} bytes, 512, 1024 or 2048 are allowed");
        return Err(Error::corrupt(NAME, at, what));
    }
    Ok(Tree {
        descriptor: *descriptor,
        root: at.saturating_add(ROOT),
        block,
        joliet,
    })
}

/// What El Torito's catalog at `sector` lists: platform, first sector and sectors loaded of each image.
pub(crate) fn boots(disk: &dyn BlockRead, sector: u32) -> Vec<String> {
    let mut bytes = [0; 2048];
    let at = u64::from(sector).saturating_mul(SECTOR);
    if disk.read_at(at, &mut bytes).is_err() {
        return Vec::new();
    }
    let mut found = Vec::new();
    let mut platform = 0;
    for (i, entry) in bytes.as_chunks::<32>().0.iter().enumerate() {
        let [first, second, _, _, _, _, low, high, a, b, c, d, ..] = *entry;
        match (i, first) {
            // The validation entry names the platform of the one after it; section headers do so for theirs.
            (0, 1) | (_, 0x90 | 0x91) => platform = second,
            (1.., 0x88) => {
                let name = match platform {
                    0 => "x86",
                    1 => "powerpc",
                    2 => "mac",
                    0xef => "efi",
                    _ => "other",
                };
                let (count, start) = (u16::from_le_bytes([low, high]), u32::from_le_bytes([a, b, c, d]));
                found.push(format!("eltorito:{name}@{start}+{count}"));
            }
            (0, _) => break,
            _ => {}
        }
    }
    found
}
