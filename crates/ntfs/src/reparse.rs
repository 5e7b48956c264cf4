//! Reparse points: links, special files, and files whose content is kept elsewhere (MS-FSCC 2.1.2).

use crate::layout::{le16, le32};
use crate::names;
use crate::wof::Algorithm;
use h2k_fs::FileKind;

const MOUNT_POINT: u32 = 0xa000_0003;
const SYMLINK: u32 = 0xa000_000c;
const LX_SYMLINK: u32 = 0xa000_001d;
const AF_UNIX: u32 = 0x8000_0023;
const LX_FIFO: u32 = 0x8000_0024;
const LX_CHR: u32 = 0x8000_0025;
const LX_BLK: u32 = 0x8000_0026;
const WIM: u32 = 0x8000_0008;
const DEDUP: u32 = 0x8000_0013;
const WOF: u32 = 0x8000_0017;
const HSM: u32 = 0xc000_0004;
const HSM2: u32 = 0x8000_0006;

/// What a reparse point means for the file it is on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// A link, with its target as bytes.
    Link(Vec<u8>),
    /// A special file of the Windows Subsystem for Linux.
    Special(FileKind),
    /// Compressed behind the reparse point.
    Compressed(Algorithm),
    /// The content is not on this volume, or in a form that is not read; why.
    Elsewhere(String),
    /// Nothing that changes what the file is.
    Plain,
}

/// What the bytes of a `$REPARSE_POINT` attribute mean.
pub(crate) fn parse(bytes: &[u8]) -> Result<Meaning, String> {
    let tag = le32(bytes, 0).ok_or("is too short")?;
    let len = usize::from(le16(bytes, 4).ok_or("is too short")?);
    let data = bytes
        .get(8..)
        .and_then(|b| b.get(..len))
        .ok_or_else(|| format!("says it has {len} bytes"))?;
    Ok(match tag {
        MOUNT_POINT => Meaning::Link(windows_target(data, 8, false)?),
        SYMLINK => Meaning::Link(windows_target(data, 12, le32(data, 8).unwrap_or(0) & 1 == 1)?),
        // A version in four bytes, then the target as Linux wrote it.
        LX_SYMLINK => Meaning::Link(data.get(4..).ok_or("has no target")?.to_vec()),
        AF_UNIX => Meaning::Special(FileKind::Socket),
        LX_FIFO => Meaning::Special(FileKind::Fifo),
        LX_CHR => Meaning::Special(FileKind::CharDevice),
        LX_BLK => Meaning::Special(FileKind::BlockDevice),
        WOF => match Algorithm::parse(data) {
            Ok(algorithm) => Meaning::Compressed(algorithm),
            Err(why) => Meaning::Elsewhere(why),
        },
        WIM => Meaning::Elsewhere("its content lies in a WIM file".to_owned()),
        DEDUP => Meaning::Elsewhere("its content was deduplicated into the volume's chunk store".to_owned()),
        HSM | HSM2 => Meaning::Elsewhere("its content was moved to other storage (HSM)".to_owned()),
        // 0x9000?01a: OneDrive and other cloud files; present ones read like others once hydrated.
        tag if tag & 0xffff_0fff == 0x9000_001a => {
            Meaning::Elsewhere("its content may lie in the cloud (cloud files reparse point)".to_owned())
        }
        _ => Meaning::Plain,
    })
}

/// What a small system file means that Services for Unix or ntfs-3g wrote: a link or a device.
pub(crate) fn interix(content: &[u8]) -> Option<Meaning> {
    let (magic, rest) = content.split_first_chunk::<8>()?;
    match magic {
        b"IntxLNK\x01" => Some(Meaning::Link(h2k_fs::wtf8::encode(names::units(rest)))),
        b"IntxCHR\0" => Some(Meaning::Special(FileKind::CharDevice)),
        b"IntxBLK\0" => Some(Meaning::Special(FileKind::BlockDevice)),
        _ => None,
    }
}

/// The target of a junction or symbolic link as a path with `/`. A drive letter in front is taken off, so that the
/// path starts at the root of the volume, as ntfs-3g shows it.
fn windows_target(data: &[u8], names_at: usize, relative: bool) -> Result<Vec<u8>, String> {
    let offset = usize::from(le16(data, 0).unwrap_or(0));
    let len = usize::from(le16(data, 2).unwrap_or(0));
    let name = data
        .get(names_at..)
        .and_then(|d| d.get(offset..))
        .and_then(|d| d.get(..len));
    let name = name.ok_or_else(|| format!("has its target at {offset}, {len} bytes long"))?;
    let mut path = h2k_fs::wtf8::encode(names::units(name));
    for byte in &mut path {
        if *byte == b'\\' {
            *byte = b'/';
        }
    }
    if relative {
        return Ok(path);
    }
    let rest = path.strip_prefix(b"/??/").unwrap_or(&path);
    Ok(match rest {
        // Linux's own driver puts the whole path behind the prefix.
        [b'/', ..] => rest.to_vec(),
        [letter, b':', tail @ ..] if letter.is_ascii_alphabetic() => {
            if tail.is_empty() {
                b"/".to_vec()
            } else {
                tail.to_vec()
            }
        }
        _ => path,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(tag: u32, flags: Option<u32>, target: &str) -> Vec<u8> {
        let name: Vec<u8> = target.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let n = u16::try_from(name.len()).unwrap();
        let mut data = Vec::new();
        for word in [0, n, n, 0] {
            data.extend_from_slice(&word.to_le_bytes());
        }
        data.extend(flags.into_iter().flat_map(u32::to_le_bytes));
        data.extend(name);
        let mut all = tag.to_le_bytes().to_vec();
        all.extend_from_slice(&u16::try_from(data.len()).unwrap().to_le_bytes());
        all.extend_from_slice(&[0, 0]);
        all.extend(data);
        all
    }

    #[test]
    fn targets_become_paths_of_the_volume() {
        let path = |p: &str| Ok(Meaning::Link(p.as_bytes().to_vec()));
        assert_eq!(
            parse(&link(MOUNT_POINT, None, "\\??\\C:\\Users\\x")),
            path("/Users/x")
        );
        assert_eq!(
            parse(&link(MOUNT_POINT, None, "\\??\\Volume{0-1}\\")),
            path("/??/Volume{0-1}/")
        );
        assert_eq!(parse(&link(SYMLINK, Some(1), "..\\a b")), path("../a b"));
        assert_eq!(parse(&link(SYMLINK, Some(0), "\\??\\D:\\")), path("/"));
        assert!(parse(&link(SYMLINK, Some(0), "abc")[..20]).is_err());
    }
}
