//! The persistent exception store of device mapper's snapshots.
//!
//! ```text
//! chunk 0   1          2 … n+1      n+2        …
//! ┌───────┬──────────┬────────────┬──────────┬──
//! │header │ area 0   │ data of    │ area 1   │      an area: pairs (chunk of the origin, chunk of the store),
//! │       │ of pairs │ area 0     │ of pairs │      n of them, ended by a pair whose second is zero
//! └───────┴──────────┴────────────┴──────────┴──
//! ```

use crate::bytes::{clipped, index, le32, le64, peek};
use crate::map::Cow;
use h2k_block::{BlockRead, Error, Meter, Result};
use std::collections::BTreeMap;

const MAGIC: u32 = 0x7041_6e53;

/// The map of a snapshot of `len` bytes out of its store.
pub(super) fn read(store: &dyn BlockRead, len: u64, meter: &mut Meter) -> Result<Cow> {
    let bad = |at: u64, what: String| Error::corrupt("snapshot store", at, what);
    let header = peek::<16>(store, 0)?.ok_or_else(|| bad(0, "shorter than its header".to_owned()))?;
    let field = |at| le32(&header, at).unwrap_or(0);
    if field(0) != MAGIC {
        return Err(bad(
            0,
            format!("magic {:#010x}, expected {MAGIC:#010x}", field(0)),
        ));
    }
    if field(4) == 0 {
        return Err(Error::unsupported(
            "the snapshot ran out of room and is invalid; its origin is not affected",
        ));
    }
    if field(8) != 1 {
        return Err(Error::unsupported(format!(
            "snapshot store of version {}, known is 1",
            field(8)
        )));
    }
    let sectors = field(12);
    // LVM makes chunks of 4 KiB to 512 KiB.
    if !sectors.is_power_of_two() || !(1..=1 << 16).contains(&sectors) {
        return Err(bad(12, format!("chunks of {sectors} sectors")));
    }
    let chunk = u64::from(sectors).saturating_mul(512);
    let pairs_per_area = chunk / 16;
    let mut exceptions = BTreeMap::new();
    // An area begins behind the data of the one before: offsets grow until the store ends.
    let mut area = 1_u64;
    loop {
        let at = area.saturating_mul(chunk);
        let bytes = clipped(store, at, index(chunk))?;
        if bytes.len() < index(chunk) {
            break;
        }
        meter.steps(pairs_per_area, "snapshot exception")?;
        for pair in bytes.as_chunks::<16>().0 {
            let (Some(old), Some(new)) = (le64(pair, 0), le64(pair, 8)) else {
                continue;
            };
            if new == 0 {
                return Ok(Cow {
                    exceptions,
                    chunk,
                    len,
                });
            }
            if new.checked_mul(chunk).is_none_or(|start| start >= store.len()) {
                return Err(bad(at, format!("chunk {new} lies past the end of the store")));
            }
            meter.bytes(48, "snapshot exception")?;
            exceptions.insert(old, new);
        }
        area = area.saturating_add(pairs_per_area).saturating_add(1);
    }
    Ok(Cow {
        exceptions,
        chunk,
        len,
    })
}
