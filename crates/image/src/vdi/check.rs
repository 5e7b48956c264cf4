//! Checking the structure of an image.

use super::disk::{BlockMap, header};
use crate::check::{Check, Severity};
use crate::layered::Stored;
use crate::raw::RawDisk;
use crate::spans::{Spans, User};
use h2k_block::{HostFile, Limits, Meter, Result};
use std::sync::Arc;

/// Looks at every entry of the map: blocks outside the file, blocks used twice, a wrong count.
pub(crate) fn audit(file: &Arc<dyn HostFile>, limits: &Limits, check: &mut Check) -> Result<()> {
    let mut meter = Meter::new(*limits);
    let header = header(&**file)?;
    let map = BlockMap::new(&**file, Arc::new(RawDisk(file.clone())), &header)?;
    let blocks = map.size.div_ceil(map.block_size);
    let mut spans = Spans::default();
    spans.claim(0, 512, User::Named("header"), &mut meter)?;
    spans.claim(
        map.map,
        blocks.saturating_mul(4),
        User::Named("block map"),
        &mut meter,
    )?;
    let mut cursor = map.pages.cursor("block map");
    let mut stored = 0_u64;
    for block in 0..blocks {
        meter.step("block")?;
        let start = block.saturating_mul(map.block_size);
        match map.block(
            &mut cursor,
            block,
            map.block_size.min(map.size.saturating_sub(start)),
        ) {
            Ok(Stored::Here(host)) => {
                stored = stored.saturating_add(1);
                spans.claim(host, map.block_size, User::Block(block), &mut meter)?;
            }
            Ok(Stored::Hole | Stored::Zero) => {}
            Err(e) => check.error(e)?,
        }
    }
    let said = header.blocks_allocated.get();
    if u64::from(said) != stored {
        check.note(Severity::Warning, "header", 0x184, || {
            format!("it counts {said} allocated blocks, the block map {stored}")
        });
    }
    spans.settle(check);
    check.allocated = Some(stored);
    check.total = Some(blocks);
    Ok(())
}
