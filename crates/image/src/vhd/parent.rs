//! The parent of a differencing image: locators, the Unicode name, the identity that has to match.

use super::layout::{DynamicHeader, ParentLocator};
use crate::{Format, Image, Info, Opening, Value, windows};
use h2k_block::{BlockRead, Error, HostFile, Result};
use std::sync::Arc;

/// The fact that a child checks its parent by.
pub(super) const UNIQUE_ID: &str = "unique-id";
/// The fact that a child compares its parent time stamp with.
pub(super) const TIME_STAMP: &str = "time-stamp";

/// The longest locator that is read: a Windows path has at most 32767 UTF-16 units.
const LONGEST: u32 = 65536;

/// Opens the parent of `file` and checks that it is the one the child was made for.
pub(super) fn open(
    file: &dyn HostFile,
    header: &DynamicHeader,
    opening: &mut Opening<'_>,
    info: &mut Info,
) -> Result<Option<Arc<dyn BlockRead>>> {
    let names = names(file, header, &mut info.warnings)?;
    if let Some(name) = names.first() {
        info.fact("parent-name", name.as_str());
    }
    let wanted = text(&header.parent_unique_id);
    info.fact("parent-unique-id", wanted.as_str());
    if opening.options.alone {
        return Ok(None);
    }
    let (name, _) = windows::find(opening, file, &names)?;
    let Image { disk, info: parent } = opening.parent(file, &name, Format::Vhd)?;
    let fact = |key| parent.facts.iter().find(|f| f.key == key).map(|f| &f.value);
    if fact(UNIQUE_ID) != Some(&Value::Text(wanted.clone())) {
        return Err(Error::corrupt(
            "dynamic header",
            0,
            format!(
                "the child was made for the parent {wanted}, but {} is {}",
                parent.name.display(),
                match fact(UNIQUE_ID) {
                    Some(Value::Text(id)) => id,
                    _ => "nameless",
                }
            ),
        )
        .advise("find the original parent; with another one the disk's content would be wrong"));
    }
    let stamp = u64::from(header.parent_time_stamp.get());
    // Windows writes 0; others the time the parent was made or last written to.
    if stamp != 0 && fact(TIME_STAMP) != Some(&Value::Number(stamp)) {
        info.warnings.push(format!(
            "the parent {} may have been changed since the child was made: its time stamp differs",
            parent.name.display()
        ));
    }
    info.parent = Some(Box::new(parent));
    Ok(Some(disk))
}

/// Every name the image has for its parent, best first: relative ones, absolute ones, the Unicode name.
fn names(file: &dyn BlockRead, header: &DynamicHeader, warnings: &mut Vec<String>) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for code in [b"W2ru", b"Wi2r", b"W2ku", b"Wi2k", b"MacX"] {
        for locator in header.parent_locators.iter().filter(|l| l.platform_code == *code) {
            match name(file, locator)? {
                Some(name) => names.push(name),
                None => warnings.push(format!(
                    "the parent locator \"{}\" lies outside the file or is too long; it is not used",
                    code.escape_ascii()
                )),
            }
        }
    }
    let unicode = windows::utf16(header.parent_unicode_name.iter().map(|unit| unit.get()));
    names.push(unicode);
    names.retain(|name| !name.is_empty());
    Ok(names)
}

fn name(file: &dyn BlockRead, locator: &ParentLocator) -> Result<Option<String>> {
    let (offset, len) = (
        locator.platform_data_offset.get(),
        locator.platform_data_length.get(),
    );
    let end = offset.checked_add(len.into());
    if len > LONGEST || end.is_none_or(|end| end > file.len()) {
        return Ok(None);
    }
    let mut raw = vec![0; usize::try_from(len).unwrap_or(0)];
    file.read_at(offset, &mut raw)?;
    Ok(Some(match &locator.platform_code {
        b"W2ru" | b"W2ku" => windows::utf16(raw.as_chunks().0.iter().map(|unit| u16::from_le_bytes(*unit))),
        b"MacX" => url_path(&raw),
        _ => {
            let text = raw.split(|b| *b == 0).next().unwrap_or_default();
            String::from_utf8_lossy(text).into_owned()
        }
    }))
}

/// The path of a `file:` URL (RFC 2396), escapes resolved.
fn url_path(raw: &[u8]) -> String {
    let text = raw.split(|b| *b == 0).next().unwrap_or_default();
    let text = match text.strip_prefix(b"file://") {
        Some(rest) => {
            let host = rest.iter().position(|b| *b == b'/').unwrap_or(rest.len());
            rest.get(host..).unwrap_or_default()
        }
        None => text,
    };
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, tail)) = rest.split_first() {
        let escaped = tail
            .first_chunk::<2>()
            .filter(|_| *first == b'%')
            .and_then(|pair| {
                let digits = std::str::from_utf8(pair).ok()?;
                u8::from_str_radix(digits, 16).ok()
            });
        out.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() {
            tail.get(2..).unwrap_or_default()
        } else {
            tail
        };
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// A UUID as text: VHD stores it big-endian, as RFC 4122 writes it.
pub(super) fn text(id: &[u8; 16]) -> String {
    let n = u128::from_be_bytes(*id);
    let hex = format!("{n:032x}");
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    format!(
        "{}-{}-{}-{}-{}",
        part(0, 8),
        part(8, 12),
        part(12, 16),
        part(16, 20),
        part(20, 32)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_become_paths() {
        assert_eq!(url_path(b"file://localhost/a%20b/c.vhd"), "/a b/c.vhd");
        assert_eq!(url_path(b"file:///c.vhd\0\0"), "/c.vhd");
        assert_eq!(url_path(b"x%zz%4"), "x%zz%4");
    }

    #[test]
    fn a_uuid_is_written_big_endian() {
        let id = [
            0x5f, 0xa2, 0x1a, 0x55, 0xf3, 0x94, 0xaa, 0x4d, 0x99, 0x58, 0x19, 0x51, 0xa6, 0x7d, 0x55, 0x40,
        ];
        assert_eq!(text(&id), "5fa21a55-f394-aa4d-9958-1951a67d5540");
    }
}
