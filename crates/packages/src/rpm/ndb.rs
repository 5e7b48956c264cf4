//! ndb, rpm's own store (`Packages.db`). All numbers are little-endian; blocks are 16 bytes.
//!
//! ```text
//! header  RpmP | version 0 | generation | slot pages | next package | 12 unused bytes
//! slots   Slot | package number (0: free) | first block | blocks        16 bytes each, from byte 32
//! blob    BlbS | package number | generation | length | header | padding | Adler-32 | length | BlbE
//! ```

use super::EachHeader;
use crate::bytes::{index, le32};
use h2k_block::{BlockRead, Error, Limits, Meter, Result};

const PAGE: u64 = 4096;
const BLOCK: u64 = 16;
const HEAD: usize = 16;
const TAIL: usize = 12;

pub(super) fn is(head: &[u8]) -> bool {
    head.starts_with(b"RpmP")
}

/// Shows every header of the store, in the order of its slots.
pub(super) fn headers(
    disk: &dyn BlockRead,
    limits: &Limits,
    each: &mut EachHeader<'_>,
    warn: &mut dyn FnMut(String),
) -> Result<()> {
    const NAME: &str = "ndb header";
    let mut head = [0; 32];
    disk.read_at(0, &mut head).map_err(|e| e.at(NAME, 0))?;
    let version = le32(&head, 4).unwrap_or_default();
    if version != 0 {
        return Err(
            Error::unsupported(format!("ndb version {version} is not read, version 0 is")).at(NAME, 4),
        );
    }
    let pages = le32(&head, 12).unwrap_or_default();
    let slots = u64::from(pages).saturating_mul(PAGE);
    if pages == 0 || slots > disk.len() {
        return Err(Error::corrupt(
            NAME,
            12,
            format!("{pages} pages of slots do not fit into {} bytes", disk.len()),
        ));
    }
    let mut meter = Meter::new(*limits);
    let mut page = vec![0; 4096];
    for number in 0..u64::from(pages) {
        let at = number.saturating_mul(PAGE);
        disk.read_at(at, &mut page)?;
        // The header takes the place of the first two slots.
        let skip = if number == 0 { 2 } else { 0 };
        for (i, slot) in page.chunks_exact(HEAD).enumerate().skip(skip) {
            meter.step("ndb slot")?;
            let at = at.saturating_add(u64::try_from(i).unwrap_or(0).saturating_mul(BLOCK));
            if !slot.starts_with(b"Slot") {
                warn(format!("ndb slot at {at:#x} has no mark"));
                continue;
            }
            let field = |at| le32(slot, at).unwrap_or_default();
            let (package, first, blocks) = (field(4), field(8), field(12));
            if package == 0 {
                continue;
            }
            match blob(disk, package, first, blocks, limits) {
                Ok(blob) => {
                    let end = blob.len().saturating_sub(TAIL);
                    let len = index(le32(&blob, 12).unwrap_or_default());
                    let end = HEAD.saturating_add(len).min(end);
                    each(package, blob.get(HEAD..end).unwrap_or_default())?;
                }
                Err(e) => warn(format!("package {package}: {e}")),
            }
        }
    }
    Ok(())
}

/// The checked blocks of one blob.
fn blob(disk: &dyn BlockRead, package: u32, first: u32, blocks: u32, limits: &Limits) -> Result<Vec<u8>> {
    const NAME: &str = "ndb blob";
    let at = u64::from(first).saturating_mul(BLOCK);
    let len = u64::from(blocks).saturating_mul(BLOCK);
    let bad = |what: String| Error::corrupt(NAME, at, what);
    if len < 32 || at.saturating_add(len) > disk.len() {
        return Err(bad(format!("{len} bytes there do not fit into {}", disk.len())));
    }
    let mut blob = Meter::new(*limits).buffer(len, NAME)?;
    disk.read_at(at, &mut blob)?;
    let (body, tail) = blob.split_at(blob.len().saturating_sub(TAIL));
    if !body.starts_with(b"BlbS") || !tail.ends_with(b"BlbE") {
        return Err(bad("has no mark at its beginning or its end".to_owned()));
    }
    if le32(body, 4) != Some(package) {
        return Err(bad(format!(
            "belongs to package {:?}, expected {package}",
            le32(body, 4)
        )));
    }
    let (said, again) = (
        le32(body, 12).unwrap_or_default(),
        le32(tail, 4).unwrap_or_default(),
    );
    if said != again || HEAD.saturating_add(index(said)) > body.len() {
        return Err(bad(format!("is {said} bytes long, or {again}, in {len}")));
    }
    let (found, expected) = (adler32(body), le32(tail, 0).unwrap_or_default());
    if found != expected {
        return Err(bad(format!(
            "has checksum {found:#010x}, expected {expected:#010x}"
        )));
    }
    Ok(blob)
}

/// Adler-32 of RFC 1950.
fn adler32(bytes: &[u8]) -> u32 {
    let (mut a, mut b) = (1_u32, 0_u32);
    // 5552 is the longest run after which neither sum has left 32 bits.
    for run in bytes.chunks(5552) {
        for byte in run {
            a = a.wrapping_add(u32::from(*byte));
            b = b.wrapping_add(a);
        }
        a = a.wrapping_rem(65521);
        b = b.wrapping_rem(65521);
    }
    b.wrapping_shl(16) | a
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_checksum_is_that_of_the_standard() {
        assert_eq!(super::adler32(b"Wikipedia"), 0x11e6_0398);
        assert_eq!(super::adler32(b""), 1);
    }
}
