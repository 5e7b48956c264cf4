//! The footer: at the end of every image, with a copy at the head of dynamic and differencing ones.

use super::layout::{
    DIFFERENCING, DYNAMIC, DynamicHeader, FIXED, FOOTER_COOKIE, Footer, HEADER_COOKIE, SECTOR, VERSION,
};
use h2k_block::{BlockRead, Error, Result};
use zerocopy::{FromZeros, IntoBytes};

/// A footer whose cookie and checksum are right.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    pub(super) footer: Footer,
    /// Where it was.
    pub(super) offset: u64,
    /// The file without the footer at its end, if there is one.
    pub(super) body: u64,
}

/// Finds the footer: the last 512 bytes; else the last 511, as Virtual PC before 2004 wrote it; else the copy at the
/// head.
pub(super) fn find(file: &dyn BlockRead, warnings: &mut Vec<String>) -> Result<Found> {
    let len = file.len();
    let mut reasons = Vec::new();
    for (offset, size) in [
        (len.checked_sub(512), 512),
        (len.checked_sub(511), 511),
        (Some(0), 512),
    ] {
        let Some(offset) = offset else {
            continue;
        };
        let place = match (offset, size) {
            (0, _) => "at the head of the file",
            (_, 511) => "in the last 511 bytes",
            _ => "in the last 512 bytes",
        };
        match at(file, offset, size)? {
            Err(why) => reasons.push(format!("{place}: {why}")),
            Ok(footer) => {
                let copy = offset == 0 && len > SECTOR;
                if copy && footer.disk_type.get() == FIXED {
                    reasons.push(format!(
                        "{place}: a fixed disk's footer, which belongs at the end"
                    ));
                    continue;
                }
                if copy {
                    warnings.push(format!(
                        "the footer at the end of the file is damaged or missing ({}); its copy at the head is used",
                        reasons.join(", ")
                    ));
                }
                let body = if copy { len } else { offset };
                return Ok(Found { footer, offset, body });
            }
        }
    }
    if let Some(found) = twins(file)? {
        // Damage does not hit two copies in the same way: whoever wrote them cannot add up.
        warnings.push("the checksum of the footer does not match, but both copies are the same".to_owned());
        return Ok(found);
    }
    Err(Error::corrupt(
        "footer",
        len.saturating_sub(SECTOR),
        format!("no valid footer: {}", reasons.join(", ")),
    )
    .advise("if the file was cut off in transit, copy it again"))
}

/// The footer at the end, if the copy at the head equals it byte for byte.
fn twins(file: &dyn BlockRead) -> Result<Option<Found>> {
    let Some(offset) = file.len().checked_sub(SECTOR).filter(|offset| *offset >= SECTOR) else {
        return Ok(None);
    };
    let (mut tail, mut head) = (Footer::new_zeroed(), Footer::new_zeroed());
    file.read_at(offset, tail.as_mut_bytes())?;
    file.read_at(0, head.as_mut_bytes())?;
    let same = tail.cookie == FOOTER_COOKIE && tail.as_bytes() == head.as_bytes();
    Ok(same.then_some(Found {
        footer: tail,
        offset,
        body: offset,
    }))
}

fn at(file: &dyn BlockRead, offset: u64, size: usize) -> Result<std::result::Result<Footer, &'static str>> {
    let mut footer = Footer::new_zeroed();
    let Some(raw) = footer.as_mut_bytes().get_mut(..size) else {
        return Ok(Err("too short"));
    };
    if file.len() < u64::try_from(size).unwrap_or(u64::MAX) {
        return Ok(Err("the file is too short"));
    }
    file.read_at(offset, raw)?;
    Ok(if footer.cookie != FOOTER_COOKIE {
        Err("no cookie \"conectix\"")
    } else if footer_checksum(&footer) != footer.checksum.get() {
        Err("the checksum does not match")
    } else {
        Ok(footer)
    })
}

/// Whether the copy at the head of a dynamic or differencing image can stand in for the footer.
pub(super) fn copy_is_sound(file: &dyn BlockRead) -> Result<bool> {
    Ok(at(file, 0, 512)?.is_ok())
}

/// Whether the file looks like a VHD.
pub(super) fn probe(file: &dyn BlockRead) -> Result<bool> {
    let len = file.len();
    let mut cookie = [0; 8];
    if len < 1024 {
        return Ok(false);
    }
    file.read_at(0, &mut cookie)?;
    if cookie == FOOTER_COOKIE {
        return Ok(true);
    }
    for size in [512_usize, 511] {
        let body = len.saturating_sub(u64::try_from(size).unwrap_or(512));
        if let Ok(footer) = at(file, body, size)?
            && footer.disk_type.get() == FIXED
            && (super::geometry::disk_size(&footer) == body || footer.current_size.get() == body)
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Checks what every later step relies on.
pub(super) fn check(found: &Found) -> Result<()> {
    let Found { footer, offset, .. } = found;
    let version = footer.file_format_version.get();
    if version >> 16 != VERSION >> 16 {
        return Err(
            Error::unsupported(format!("version {:#x} of the format", version)).at("footer", *offset),
        );
    }
    match footer.disk_type.get() {
        FIXED | DYNAMIC | DIFFERENCING => Ok(()),
        other => Err(Error::unsupported(format!(
            "disk type {other}; known are 2 (fixed), 3 (dynamic) and 4 (differencing)"
        ))
        .at("footer", *offset)),
    }
}

/// Reads the dynamic header that the footer points at.
pub(super) fn dynamic(
    file: &dyn BlockRead,
    found: &Found,
    warnings: &mut Vec<String>,
) -> Result<DynamicHeader> {
    let at = found.footer.data_offset.get();
    let mut header = DynamicHeader::new_zeroed();
    let end = at.checked_add(1024);
    if end.is_none_or(|end| end > file.len()) {
        return Err(Error::corrupt(
            "footer",
            found.offset,
            format!(
                "it places the dynamic header at {at:#x}, the file has {:#x} bytes",
                file.len()
            ),
        ));
    }
    file.read_at(at, header.as_mut_bytes())?;
    if header.cookie != HEADER_COOKIE {
        return Err(Error::corrupt(
            "dynamic header",
            at,
            format!("no cookie \"cxsparse\" but {:02x?}", header.cookie),
        ));
    }
    if header_checksum(&header) != header.checksum.get() {
        // There are makers that get it wrong; every field that matters is checked on its own.
        warnings.push(format!(
            "the checksum of the dynamic header at {at:#x} does not match"
        ));
    }
    let version = header.header_version.get();
    if version >> 16 != VERSION >> 16 {
        return Err(
            Error::unsupported(format!("version {version:#x} of the dynamic header"))
                .at("dynamic header", at),
        );
    }
    Ok(header)
}

/// One's complement of the sum of all bytes but the checksum's own.
pub(super) fn footer_checksum(footer: &Footer) -> u32 {
    let blank = Footer {
        checksum: 0.into(),
        ..*footer
    };
    sum(blank.as_bytes())
}

/// The same for the dynamic header.
pub(super) fn header_checksum(header: &DynamicHeader) -> u32 {
    let blank = DynamicHeader {
        checksum: 0.into(),
        ..*header
    };
    sum(blank.as_bytes())
}

fn sum(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(0_u32, |all, b| all.wrapping_add(u32::from(*b)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use h2k_block::MemDisk;

    fn sealed(kind: u32, size: u64) -> Footer {
        let mut footer = Footer::new_zeroed();
        footer.cookie = FOOTER_COOKIE;
        footer.disk_type = kind.into();
        footer.current_size = size.into();
        footer.file_format_version = VERSION.into();
        footer.checksum = footer_checksum(&footer).into();
        footer
    }

    #[test]
    fn a_tail_is_believed_only_for_a_fixed_disk_that_fits() {
        let with = |kind, size| {
            let mut bytes = vec![0; 4096];
            bytes.extend_from_slice(sealed(kind, size).as_bytes());
            probe(&MemDisk::new(bytes)).unwrap()
        };
        assert!(with(FIXED, 4096));
        assert!(!with(FIXED, 8192));
        assert!(!with(FIXED, 2048));
        assert!(!with(DYNAMIC, 4096));
        assert!(!with(DIFFERENCING, 4096));
    }

    #[test]
    fn a_footer_of_511_bytes_is_found() {
        let mut bytes = vec![0; 4096];
        bytes.extend_from_slice(&sealed(FIXED, 4096).as_bytes()[..511]);
        let file = MemDisk::new(bytes);
        assert!(probe(&file).unwrap());
        let found = find(&file, &mut Vec::new()).unwrap();
        assert_eq!((found.offset, found.body), (4096, 4096));
    }
}
