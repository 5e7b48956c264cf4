//! Extended attributes.

use crate::metadata::Metadata;
use h2k_block::{Error, Meter, Result};
use h2k_fs::EachXattr;

const NAME: &str = "extended attribute";

/// Shows the attributes of set `index`; the table begins at byte `table`.
pub(crate) fn list(
    metadata: &Metadata,
    table: u64,
    index: u32,
    meter: &mut Meter,
    each: &mut EachXattr<'_>,
) -> Result<()> {
    let mut head = [0; 16];
    if table.saturating_add(16) > metadata.disk.len() {
        return Err(Error::corrupt(NAME, table, "the table lies behind the end"));
    }
    metadata.disk.read_at(table, &mut head)?;
    let (values, rest) = head.split_first_chunk::<8>().unwrap_or((&[0; 8], &[]));
    let values = u64::from_le_bytes(*values);
    let sets = rest.first_chunk::<4>().map_or(0, |b| u32::from_le_bytes(*b));
    if index >= sets {
        return Err(Error::corrupt(NAME, table, format!("set {index} of {sets}")));
    }
    let entry: [u8; 16] = metadata.entry(table.saturating_add(16), index.into())?;
    let [a, b, c, d, e, f, g, h, i, j, k, l, ..] = entry;
    let place = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
    let at = |reference: u64| {
        let offset = u16::try_from(reference & 0xffff).unwrap_or(0);
        metadata.cursor(values.saturating_add(reference >> 16), offset)
    };
    let mut cursor = at(place);
    for _ in 0..u32::from_le_bytes([i, j, k, l]) {
        meter.step(NAME)?;
        let (kind, len) = (cursor.u16()?, cursor.u16()?);
        let prefix: &[u8] = match kind & 0xff {
            0 => b"user.",
            1 => b"trusted.",
            2 => b"security.",
            other => {
                return Err(Error::corrupt(NAME, table, format!("a name of the kind {other}")));
            }
        };
        let mut tail = vec![0; meter.bytes(len.into(), NAME)?];
        cursor.fill(&mut tail)?;
        let name = [prefix, &tail].concat();
        let len = cursor.u32()?;
        let mut value = vec![0; meter.bytes(len.into(), NAME)?];
        if kind & 0x100 != 0 {
            // The value is kept with another file, and only its place here.
            let mut there = at(cursor.u64()?);
            let len = there.u32()?;
            value = vec![0; meter.bytes(len.into(), NAME)?];
            there.fill(&mut value)?;
        } else {
            cursor.fill(&mut value)?;
        }
        if each(&name, &value).is_break() {
            return Ok(());
        }
    }
    Ok(())
}
