//! The archive: which names lie where.

use h2k_block::{BlockRead, Class, Error, Meter, Result};

/// Bytes of a header, and what everything is padded to.
const BLOCK: u64 = 512;
/// Members of an archive; packages have a handful.
const MOST: usize = 10_000;
/// Bytes of a pax header or a long name.
const LONGEST: u64 = 64 << 10;

/// A file in an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its name: no slash, no `..`, not empty.
    pub name: String,
    /// Its first byte in the archive.
    pub start: u64,
    /// Its bytes.
    pub len: u64,
}

impl Member {
    /// Whether the name ends so, in whatever case.
    pub(super) fn ends_with(&self, ending: &str) -> bool {
        let at = self.name.len().checked_sub(ending.len());
        at.and_then(|at| self.name.get(at..))
            .is_some_and(|end| end.eq_ignore_ascii_case(ending))
    }
}

/// Files, and what else there is.
#[derive(Default)]
pub(super) struct Listed {
    pub(super) members: Vec<Member>,
    pub(super) passed_over: Vec<String>,
}

/// What headers in front of a member say of it.
#[derive(Default)]
struct Ahead {
    name: Option<Vec<u8>>,
    size: Option<u64>,
}

pub(super) fn read(file: &dyn BlockRead, meter: &mut Meter) -> Result<Listed> {
    let mut listed = Listed::default();
    let mut ahead = Ahead::default();
    let mut at = 0_u64;
    while at.checked_add(BLOCK).is_some_and(|end| end <= file.len()) {
        meter.step("an archive")?;
        let mut header = [0; 512];
        file.read_at(at, &mut header)?;
        if header.iter().all(|b| *b == 0) {
            break;
        }
        let header = Header::read(&header, at)?;
        let start = at.saturating_add(BLOCK);
        let len = ahead.size.filter(|_| header.is_member()).unwrap_or(header.size);
        let room = file.len().saturating_sub(start);
        if len > room {
            return Err(corrupt(
                at,
                format!("a member of {len} bytes, where {room} are left of the archive"),
            ));
        }
        match header.kind {
            b'x' | b'g' => records(&text(file, start, len, meter)?, start, &mut ahead)?,
            b'L' => {
                let mut name = text(file, start, len, meter)?;
                while name.last() == Some(&0) {
                    name.pop();
                }
                ahead.name = Some(name);
            }
            // A long target of a link.
            b'K' => {}
            b'S' => return Err(sparse(at)),
            kind => {
                let before = std::mem::take(&mut ahead);
                let name = before.name.unwrap_or(header.name);
                keep(kind, &name, start, len, &mut listed)?;
            }
        }
        let padded = len.checked_next_multiple_of(BLOCK);
        at = padded.and_then(|len| start.checked_add(len)).unwrap_or(u64::MAX);
    }
    if listed.members.is_empty() && listed.passed_over.is_empty() {
        return Err(corrupt(0, "no tar archive, or an empty one".to_owned()));
    }
    Ok(listed)
}

/// Keeps what is a file with a plain name.
fn keep(kind: u8, name: &[u8], start: u64, len: u64, listed: &mut Listed) -> Result<()> {
    if listed.members.len().saturating_add(listed.passed_over.len()) >= MOST {
        return Err(Error::new(
            Class::Limit,
            format!("an archive of more than {MOST} members"),
        ));
    }
    let shown = String::from_utf8_lossy(name).into_owned();
    let plain = std::str::from_utf8(name)
        .ok()
        .map(|n| n.strip_prefix("./").unwrap_or(n));
    let plain =
        plain.filter(|n| !n.is_empty() && !matches!(*n, "." | "..") && !n.contains(['/', '\\', '\0']));
    let file = matches!(kind, b'0' | 0 | b'7');
    let Some(plain) = plain.filter(|_| file) else {
        listed.passed_over.push(shown);
        return Ok(());
    };
    if listed.members.iter().any(|m| m.name == plain) {
        return Err(corrupt(
            start.saturating_sub(BLOCK),
            format!("a second member {plain:?}"),
        ));
    }
    listed.members.push(Member {
        name: plain.to_owned(),
        start,
        len,
    });
    Ok(())
}

struct Header {
    name: Vec<u8>,
    size: u64,
    kind: u8,
}

impl Header {
    fn read(block: &[u8; 512], at: u64) -> Result<Self> {
        let field = |from: usize, len: usize| block.get(from..from.saturating_add(len)).unwrap_or_default();
        let said = octal(field(148, 8));
        // The sum counts its own field as blanks.
        let sum = |range: std::ops::Range<usize>| -> u64 {
            let bytes = block.get(range).unwrap_or_default();
            bytes.iter().map(|b| u64::from(*b)).sum()
        };
        let found = sum(0..148).saturating_add(256).saturating_add(sum(156..512));
        if said != Some(found) {
            return Err(corrupt(
                at,
                format!("checksum {found:o} found, {said:?} said: no tar header"),
            ));
        }
        let size = number(field(124, 12))
            .ok_or_else(|| corrupt(at, "the size of a member is no number".to_owned()))?;
        let kind = block.get(156).copied().unwrap_or(0);
        let posix = field(257, 6) == b"ustar\0";
        let mut name = Vec::new();
        if posix {
            let prefix = until_zero(field(345, 155));
            if !prefix.is_empty() {
                name.extend_from_slice(prefix);
                name.push(b'/');
            }
        }
        name.extend_from_slice(until_zero(field(0, 100)));
        Ok(Self { name, size, kind })
    }

    /// Whether a pax header in front of it is about it.
    fn is_member(&self) -> bool {
        !matches!(self.kind, b'x' | b'g' | b'L' | b'K')
    }
}

/// A number in octal digits, or in binary where the first bit is set.
fn number(field: &[u8]) -> Option<u64> {
    let (first, rest) = field.split_first()?;
    if first & 0x80 == 0 {
        return octal(field);
    }
    // Negative ones have the next bit set, too.
    let mut value = u64::from(first & 0x7f);
    for byte in rest {
        value = value.checked_mul(256)?.checked_add(u64::from(*byte))?;
    }
    Some(value)
}

fn octal(field: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(until_zero(field)).ok()?.trim();
    if text.is_empty() {
        return Some(0);
    }
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    u64::from_str_radix(text, 8).ok().filter(|_| digits)
}

fn until_zero(field: &[u8]) -> &[u8] {
    field.split(|b| *b == 0).next().unwrap_or_default()
}

/// `length key=value` lines.
fn records(mut rest: &[u8], at: u64, ahead: &mut Ahead) -> Result<()> {
    let wrong = || corrupt(at, "a pax record that is none".to_owned());
    while !rest.is_empty() {
        let blank = rest.iter().position(|b| *b == b' ').ok_or_else(wrong)?;
        let digits = std::str::from_utf8(rest.get(..blank).unwrap_or_default()).map_err(|_| wrong())?;
        let len: usize = digits.parse().map_err(|_| wrong())?;
        let record = rest.get(blank.saturating_add(1)..len).ok_or_else(wrong)?;
        let record = record.strip_suffix(b"\n").ok_or_else(wrong)?;
        let equals = record.iter().position(|b| *b == b'=').ok_or_else(wrong)?;
        let (key, value) = record.split_at(equals);
        let value = value.get(1..).unwrap_or_default();
        match key {
            b"path" => ahead.name = Some(value.to_vec()),
            b"size" => {
                let size = std::str::from_utf8(value).ok().and_then(|v| v.parse().ok());
                ahead.size = Some(size.ok_or_else(wrong)?);
            }
            _ if key.starts_with(b"GNU.sparse.") => return Err(sparse(at)),
            _ => {}
        }
        rest = rest.get(len..).ok_or_else(wrong)?;
    }
    Ok(())
}

fn text(file: &dyn BlockRead, start: u64, len: u64, meter: &mut Meter) -> Result<Vec<u8>> {
    if len > LONGEST {
        return Err(Error::new(
            Class::Limit,
            format!("a header of {len} bytes in an archive; at most {LONGEST} are read"),
        ));
    }
    let mut bytes = meter.buffer(len, "a header in an archive")?;
    file.read_at(start, &mut bytes)?;
    Ok(bytes)
}

fn sparse(at: u64) -> Error {
    Error::unsupported("a sparse member of an archive")
        .at("tar header", at)
        .advise("pack it again without --sparse")
}

fn corrupt(at: u64, why: String) -> Error {
    Error::corrupt("tar header", at, why)
}
