//! ISO 9660 (ECMA-119) with Joliet names, UDF (ECMA-167 and OSTA UDF 2.60).

use super::Identity;
use super::head::Head;
use crate::bytes::{le16, le32};
use h2k_block::Result;
use std::fmt::Write as _;

const SECTOR: u64 = 2048;
const DESCRIPTORS: u64 = 16 * SECTOR;

pub(super) fn iso9660(head: &Head<'_>) -> Result<Option<Identity>> {
    let mut identity: Option<Identity> = None;
    for i in 0..16_u64 {
        let at = DESCRIPTORS.saturating_add(i.saturating_mul(SECTOR));
        let Some(vd) = head.at::<2048>(at)? else {
            break;
        };
        if vd.get(1..6) != Some(b"CD001") {
            break;
        }
        match vd.first() {
            Some(1) if identity.is_none() => {
                let label = vd.get(40..72).unwrap_or_default();
                let uuid = date(&vd, 830).or_else(|| date(&vd, 813));
                identity = Some(Identity::filesystem("iso9660").label(label).uuid_text(uuid));
            }
            Some(2) if is_joliet(&vd) => {
                if let Some(found) = &mut identity {
                    joliet_label(found, vd.get(40..72).unwrap_or_default());
                    found.version = Some("Joliet Extension".to_owned());
                }
            }
            Some(255) => break,
            _ => {}
        }
    }
    Ok(identity)
}

fn is_joliet(vd: &[u8]) -> bool {
    matches!(vd.get(88..91), Some(b"%/@" | b"%/C" | b"%/E"))
}

/// Joliet's label keeps case and length; it is preferred where it says something.
fn joliet_label(identity: &mut Identity, field: &[u8]) {
    let (units, _) = field.as_chunks::<2>();
    let units = units
        .iter()
        .map(|u| u16::from_be_bytes(*u))
        .take_while(|u| *u != 0);
    let text: String = char::decode_utf16(units)
        .map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect();
    let text = text.trim_end();
    if text.is_empty() {
        return;
    }
    // Sixteen UTF-16 units cut what 32 plain bytes could hold; where both agree so far, the rest is there.
    let mut label = text.as_bytes().to_vec();
    let plain = identity.label.as_deref().unwrap_or_default();
    if text.chars().count() == 16 && plain.len() > 16 {
        let (start, tail) = plain.split_at(16);
        // What the plain alphabet lacks, blanks and small letters among them, stands there as an underscore or
        // a capital.
        let agrees = |(wide, byte): (char, &u8)| {
            *byte == b'_' || u8::try_from(wide).is_ok_and(|ascii| ascii.eq_ignore_ascii_case(byte))
        };
        if text.chars().zip(start).all(agrees) {
            label.extend_from_slice(tail);
        }
    }
    identity.label = Some(label);
}

/// Seventeen bytes of ECMA-119 8.4.26.1 as `2024-01-31-12-30-00-00`; `None` when not set.
fn date(vd: &[u8], at: usize) -> Option<String> {
    let digits = vd.get(at..)?.get(..16)?;
    if digits.iter().all(|d| *d == b'0') || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let mut text = String::new();
    for (i, digit) in digits.iter().enumerate() {
        if matches!(i, 4 | 6 | 8 | 10 | 12 | 14) {
            text.push('-');
        }
        text.push(char::from(*digit));
    }
    Some(text)
}

pub(super) fn udf(head: &Head<'_>) -> Result<Option<Identity>> {
    let mut nsr = false;
    for i in 0..16_u64 {
        for step in [SECTOR, 4096] {
            let at = DESCRIPTORS.saturating_add(i.saturating_mul(step));
            let id = head.at::<6>(at)?.unwrap_or_default();
            nsr |= matches!(id.get(1..6), Some(b"NSR02" | b"NSR03"));
        }
    }
    if !nsr {
        return Ok(None);
    }
    // The anchor at block 256 says how large blocks are, and where the volume descriptors begin.
    for block in [2048_u64, 512, 1024, 4096] {
        let Some(anchor) = head.at::<24>(block.saturating_mul(256))? else {
            continue;
        };
        if le16(&anchor, 0) != Some(2) || le32(&anchor, 12) != Some(256) {
            continue;
        }
        let (Some(len), Some(start)) = (le32(&anchor, 16), le32(&anchor, 20)) else {
            continue;
        };
        return volume(head, block, u64::from(start), u64::from(len)).map(Some);
    }
    Ok(Some(Identity::filesystem("udf")))
}

fn volume(head: &Head<'_>, block: u64, start: u64, len: u64) -> Result<Identity> {
    let mut identity = Identity::filesystem("udf");
    // A sequence has at least sixteen blocks (UDF 2.2.3.2); more than 64 nobody writes.
    for i in 0..len.checked_div(block).unwrap_or(0).min(64) {
        let at = start.saturating_add(i).saturating_mul(block);
        let Some(vd) = head.at::<512>(at)? else {
            break;
        };
        match le16(&vd, 0) {
            Some(1) => {
                identity.uuid = set_identifier(vd.get(72..200).unwrap_or_default());
                if identity.label.is_none() {
                    identity.label = dstring(vd.get(24..56).unwrap_or_default());
                }
            }
            Some(6) => {
                if let Some(label) = dstring(vd.get(84..212).unwrap_or_default()) {
                    identity.label = Some(label);
                }
                if let Some(revision) = le16(&vd, 240) {
                    identity.version = Some(format!("{:x}.{:02x}", revision >> 8, revision & 0xff));
                }
            }
            Some(8) | None => break,
            _ => {}
        }
    }
    Ok(identity)
}

/// OSTA compressed Unicode (UDF 2.1.1) in a field whose last byte is the length used.
fn dstring(field: &[u8]) -> Option<Vec<u8>> {
    let (used, field) = field.split_last()?;
    let text = decode(field.get(..usize::from(*used)).unwrap_or(field))?;
    let text = text.trim_end_matches([' ', '\0']);
    (!text.is_empty()).then(|| text.as_bytes().to_vec())
}

fn decode(bytes: &[u8]) -> Option<String> {
    let (id, body) = bytes.split_first()?;
    match id {
        8 | 254 => Some(body.iter().map(|b| char::from(*b)).collect()),
        16 | 255 => {
            let (units, _) = body.as_chunks::<2>();
            let units = units.iter().map(|u| u16::from_be_bytes(*u));
            Some(
                char::decode_utf16(units)
                    .map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER))
                    .collect(),
            )
        }
        _ => None,
    }
}

/// The first sixteen hexadecimal digits of the volume set identifier. Where its start is not hexadecimal (old
/// Linux and other writers), the bytes themselves are spelled in hexadecimal.
fn set_identifier(field: &[u8]) -> Option<String> {
    let text = dstring(field)?;
    let hex = |bytes: &[u8]| {
        let mut out = String::new();
        for b in bytes {
            let _ = write!(out, "{b:02x}");
        }
        out
    };
    let digits = text.iter().take_while(|b| b.is_ascii_hexdigit()).count().min(16);
    let lower = |n: usize| String::from_utf8_lossy(text.get(..n).unwrap_or_default()).to_lowercase();
    match digits {
        16 => Some(lower(16)),
        8..16 => {
            let rest = text.get(8..12)?;
            Some(lower(8) + &hex(rest))
        }
        _ => text.get(..8).map(hex),
    }
}
