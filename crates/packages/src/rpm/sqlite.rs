//! The least of SQLite 3 that an rpm database needs: one table, walked from its root page.
//!
//! ```text
//! page 1   100 bytes of header, then the root of the table of tables
//! page     type 1 | first free 2 | cells 2 | content 2 | fragments 1 | (right child 4) | cell offsets 2 each
//! cell     inner: child 4, key        leaf: length, key, record (the rest on a chain of overflow pages)
//! record   length of the head, a type a column | the columns
//! ```
//!
//! Source: sqlite.org/fileformat2.html, sections 1.3 to 2.2 and 4. All numbers are big-endian; lengths and keys are
//! varints.

use super::EachHeader;
use super::wal::Wal;
use crate::bytes::{be16, be32, index};
use h2k_block::{BlockRead, Error, Limits, Meter, Result};
use std::collections::HashSet;

const NAME: &str = "SQLite page";
const LEAF: u8 = 0x0d;
const INNER: u8 = 0x05;

pub(super) fn is(head: &[u8]) -> bool {
    head.starts_with(b"SQLite format 3\0")
}

/// Shows every header of the table `Packages`, by number.
pub(super) fn headers(
    disk: &dyn BlockRead,
    wal: Option<&dyn BlockRead>,
    limits: &Limits,
    each: &mut EachHeader<'_>,
    warn: &mut dyn FnMut(String),
) -> Result<()> {
    let pages = Pages::open(disk, wal, limits, warn)?;
    let mut root = None;
    pages.walk(1, limits, warn, &mut |_, record| {
        // type, name, tbl_name, rootpage, sql
        let columns = columns(record);
        let text = |n: usize| columns.as_ref().and_then(|c| c.get(n)).map(|c| c.bytes);
        if text(0) == Some(b"table") && text(1) == Some(b"Packages") {
            root = columns.as_ref().and_then(|c| c.get(3)).and_then(|c| c.number());
        }
        Ok(())
    })?;
    let Some(root) = root.and_then(|n| u32::try_from(n).ok()) else {
        return Err(Error::corrupt("SQLite schema", 0, "has no table \"Packages\""));
    };
    let mut odd = Vec::new();
    pages.walk(
        root,
        limits,
        warn,
        &mut |key, record| match columns(record).as_deref() {
            Some([_, blob, ..]) => each(u32::try_from(key).unwrap_or(u32::MAX), blob.bytes),
            _ => {
                odd.push(format!("package {key}: its row is cut short"));
                Ok(())
            }
        },
    )?;
    for what in odd {
        warn(what);
    }
    Ok(())
}

struct Pages<'a> {
    disk: &'a dyn BlockRead,
    wal: Option<Wal<'a>>,
    size: u64,
    /// Bytes of a page that SQLite uses.
    usable: usize,
    /// Number of pages.
    count: u32,
}

impl<'a> Pages<'a> {
    fn open(
        disk: &'a dyn BlockRead,
        wal: Option<&'a dyn BlockRead>,
        limits: &Limits,
        warn: &mut dyn FnMut(String),
    ) -> Result<Self> {
        const NAME: &str = "SQLite header";
        let mut head = [0; 100];
        disk.read_at(0, &mut head).map_err(|e| e.at(NAME, 0))?;
        let size = match be16(&head, 16).unwrap_or_default() {
            1 => 65536,
            n => u64::from(n),
        };
        if !(512..=65536).contains(&size) || !size.is_power_of_two() {
            return Err(Error::corrupt(
                NAME,
                16,
                format!("page size is {size}, expected a power of two from 512 to 65536"),
            ));
        }
        let reserved = head.get(20).copied().unwrap_or_default();
        let usable = index(size).saturating_sub(reserved.into());
        if usable < 480 {
            return Err(Error::corrupt(
                NAME,
                20,
                format!("{reserved} bytes of a page of {size} are reserved, 480 have to be left"),
            ));
        }
        let encoding = be32(&head, 56).unwrap_or_default();
        if encoding > 1 {
            return Err(
                Error::unsupported(format!("text encoding {encoding} is not read, UTF-8 is")).at(NAME, 56),
            );
        }
        let there = u32::try_from(disk.len().div_euclid(size)).unwrap_or(u32::MAX);
        let wal = match wal.filter(|wal| !wal.is_empty()) {
            Some(wal) => Wal::open(wal, size, limits, warn)?,
            None => None,
        };
        let count = wal.as_ref().map_or(there, |wal| wal.pages());
        Ok(Self {
            disk,
            wal,
            size,
            usable,
            count,
        })
    }

    fn page(&self, number: u32, page: &mut [u8]) -> Result<()> {
        let at = u64::from(number).saturating_sub(1).saturating_mul(self.size);
        if number == 0 || number > self.count {
            return Err(Error::corrupt(
                NAME,
                at,
                format!("page {number} is asked for, the database has {}", self.count),
            ));
        }
        if let Some(wal) = &self.wal
            && wal.page(number, page)?
        {
            return Ok(());
        }
        self.disk.read_at(at, page).map_err(|e| e.at(NAME, at))
    }

    /// Shows key and record of every row of the table at `root`. A page that cannot be read hides what is below it,
    /// and is a warning.
    fn walk(
        &self,
        root: u32,
        limits: &Limits,
        warn: &mut dyn FnMut(String),
        row: &mut dyn FnMut(u64, &[u8]) -> Result<()>,
    ) -> Result<()> {
        let mut meter = Meter::new(*limits);
        let mut seen = HashSet::new();
        let mut todo = vec![root];
        let mut page = vec![0; index(self.size)];
        while let Some(number) = todo.pop() {
            meter.step(NAME)?;
            if !seen.insert(number) {
                warn(format!("page {number} is in the tree twice"));
                continue;
            }
            if let Err(e) = self.page(number, &mut page) {
                warn(e.to_string());
                continue;
            }
            let start = if number == 1 { 100 } else { 0 };
            let kind = page.get(start).copied().unwrap_or_default();
            let field = |at: usize| be16(&page, start.saturating_add(at)).map(usize::from);
            let cells = field(3).unwrap_or_default();
            let array = start.saturating_add(if kind == INNER { 12 } else { 8 });
            let cell = |n: usize| {
                let at = be16(&page, array.checked_add(n.checked_mul(2)?)?)?;
                page.get(usize::from(at)..self.usable)
            };
            match kind {
                INNER => {
                    let right = be32(&page, start.saturating_add(8));
                    todo.extend(right);
                    // The last in is the first out: children in ascending order.
                    for n in (0..cells).rev() {
                        meter.step("SQLite cell")?;
                        todo.extend(cell(n).and_then(|cell| be32(cell, 0)));
                    }
                }
                LEAF => {
                    for n in 0..cells {
                        meter.step("SQLite cell")?;
                        let Some(cell) = cell(n) else {
                            warn(format!("cell {n} of page {number} lies outside"));
                            continue;
                        };
                        match self.record(cell, limits) {
                            Ok((key, record)) => row(key, &record)?,
                            Err(e) => warn(format!("cell {n} of page {number}: {e}")),
                        }
                    }
                }
                _ => warn(format!("page {number} is of type {kind}, expected 5 or 13")),
            }
        }
        Ok(())
    }

    /// Key and whole record of a leaf's cell.
    fn record(&self, cell: &[u8], limits: &Limits) -> Result<(u64, Vec<u8>)> {
        let short = || Error::corrupt("SQLite cell", 0, "is cut short");
        let (len, rest) = varint(cell).ok_or_else(short)?;
        let (key, rest) = varint(rest).ok_or_else(short)?;
        let all = u64::from(self.count).saturating_mul(self.size);
        if len > all {
            return Err(Error::corrupt(
                "SQLite cell",
                0,
                format!("is {len} bytes long in a database of {all}"),
            ));
        }
        let mut meter = Meter::new(*limits);
        let len = meter.bytes(len, "SQLite record")?;
        let local = self.local(len);
        let mut record = rest.get(..local).ok_or_else(short)?.to_vec();
        if local == len {
            return Ok((key, record));
        }
        let mut next = be32(rest, local).ok_or_else(short)?;
        let mut page = vec![0; index(self.size)];
        let mut seen = HashSet::new();
        while record.len() < len {
            meter.step("SQLite overflow page")?;
            if !seen.insert(next) {
                return Err(Error::corrupt(
                    "SQLite overflow page",
                    u64::from(next).saturating_sub(1).saturating_mul(self.size),
                    format!("page {next} is in the chain twice"),
                ));
            }
            self.page(next, &mut page)?;
            let room = len.saturating_sub(record.len());
            let bytes = page.get(4..self.usable).unwrap_or_default();
            record.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
            next = be32(&page, 0).unwrap_or_default();
        }
        Ok((key, record))
    }

    /// How many bytes of a record of `len` lie in the leaf itself (section 1.6).
    fn local(&self, len: usize) -> usize {
        let u = self.usable;
        let most = u.saturating_sub(35);
        if len <= most {
            return len;
        }
        let least = u
            .saturating_sub(12)
            .saturating_mul(32)
            .div_euclid(255)
            .saturating_sub(23);
        let over = len.saturating_sub(least).checked_rem(u.saturating_sub(4));
        let kept = least.saturating_add(over.unwrap_or(0));
        if kept <= most { kept } else { least }
    }
}

/// Big-endian base 128, at most nine bytes, the ninth with all its bits.
fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0_u64;
    for (i, byte) in bytes.iter().enumerate().take(9) {
        let rest = bytes.get(i.checked_add(1)?..)?;
        if i == 8 {
            return Some((value.wrapping_shl(8) | u64::from(*byte), rest));
        }
        value = value.wrapping_shl(7) | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            return Some((value, rest));
        }
    }
    None
}

/// One value of a row.
struct Column<'a> {
    kind: u64,
    bytes: &'a [u8],
}

impl Column<'_> {
    /// A value that is not negative.
    fn number(&self) -> Option<u64> {
        match self.kind {
            8 => Some(0),
            9 => Some(1),
            1..=6 => Some(
                self.bytes
                    .iter()
                    .fold(0, |n: u64, byte| n.wrapping_shl(8) | u64::from(*byte)),
            ),
            _ => None,
        }
    }
}

/// The columns of a record; `None` when they do not fit it.
fn columns(record: &[u8]) -> Option<Vec<Column<'_>>> {
    let (head, after) = varint(record)?;
    let read = record.len().checked_sub(after.len())?;
    let mut types = record.get(read..index(head))?;
    let mut body = record.get(index(head)..)?;
    let mut columns = Vec::new();
    // Tables of rpm have five columns at most; the header of a lie would have millions.
    while !types.is_empty() && columns.len() < 16 {
        let (kind, rest) = varint(types)?;
        types = rest;
        let len = match kind {
            0 | 8 | 9 => 0,
            1..=4 => kind,
            5 => 6,
            6 | 7 => 8,
            10 | 11 => return None,
            n => n.checked_sub(12)?.div_euclid(2),
        };
        let bytes = body.get(..index(len))?;
        body = body.get(bytes.len()..)?;
        columns.push(Column { kind, bytes });
    }
    Some(columns)
}

#[cfg(test)]
mod tests {
    use super::varint;

    #[test]
    fn varints_of_one_two_and_nine_bytes() {
        assert_eq!(varint(&[0x7f, 9]), Some((127, [9].as_slice())));
        assert_eq!(varint(&[0x81, 0x00]), Some((128, [].as_slice())));
        assert_eq!(varint(&[0xff; 9]), Some((u64::MAX, [].as_slice())));
        assert_eq!(varint(&[0x80; 8]), None);
        assert_eq!(varint(&[]), None);
    }
}
