//! Checking the structure of an image.

use super::disk::BlockMap;
use super::layout::{DIFFERENCING, FIXED, SECTOR};
use super::{footer, geometry};
use crate::check::{Check, Severity};
use crate::raw::RawDisk;
use crate::spans::{Spans, User};
use h2k_block::{Error, HostFile, Limits, Meter, Result};
use std::sync::Arc;

/// Looks at every footer, header and entry: damaged copies, blocks outside the file, blocks used twice.
pub(crate) fn audit(file: &Arc<dyn HostFile>, limits: &Limits, check: &mut Check) -> Result<()> {
    let mut meter = Meter::new(*limits);
    let mut warnings = Vec::new();
    let found = footer::find(&**file, &mut warnings)?;
    footer::check(&found)?;
    let size = geometry::disk_size(&found.footer);
    let kind = found.footer.disk_type.get();
    if kind == FIXED {
        for warning in warnings {
            check.note(Severity::Warning, "footer", found.offset, || warning);
        }
        if size.min(found.footer.current_size.get()) > found.body {
            let what = format!(
                "a fixed disk of {size} bytes, but only {} lie before it",
                found.body
            );
            return Err(Error::corrupt("footer", found.offset, what));
        }
        check.image_end = Some(file.len());
        return Ok(());
    }
    if !footer::copy_is_sound(&**file)? {
        warnings.push("the copy of the footer at the head of the file is damaged".to_owned());
    }
    let header = footer::dynamic(&**file, &found, &mut warnings)?;
    for warning in warnings {
        check.note(Severity::Warning, "footer", found.offset, || warning);
    }
    let raw = Arc::new(RawDisk(file.clone()));
    let map = BlockMap::new(&**file, raw, &found, &header, size, kind == DIFFERENCING)?;
    let blocks = size.div_ceil(map.block_size);
    let mut spans = Spans::default();
    spans.claim(0, SECTOR, User::Named("footer copy"), &mut meter)?;
    spans.claim(
        found.footer.data_offset.get(),
        1024,
        User::Named("dynamic header"),
        &mut meter,
    )?;
    spans.claim(map.bat, blocks.saturating_mul(4), User::Named("BAT"), &mut meter)?;
    if found.body < file.len() {
        spans.claim(found.body, SECTOR, User::Named("footer"), &mut meter)?;
    }
    let mut cursor = map.pages.cursor("BAT");
    let mut stored = 0_u64;
    let each = map.bitmap_len.saturating_add(map.block_size);
    for block in 0..blocks {
        meter.step("block")?;
        let start = block.saturating_mul(map.block_size);
        match map.block(&mut cursor, block, map.block_size.min(size.saturating_sub(start))) {
            Ok(Some(bitmap)) => {
                stored = stored.saturating_add(1);
                // The last block of a disk may be cut where the disk ends.
                let len = each.min(found.body.saturating_sub(bitmap));
                spans.claim(bitmap, len, User::Block(block), &mut meter)?;
            }
            Ok(None) => {}
            Err(e) => check.error(e)?,
        }
    }
    spans.settle(check);
    check.allocated = Some(stored);
    check.total = Some(blocks);
    Ok(())
}
