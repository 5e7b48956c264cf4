//! Checking the structure of an image.

use super::disk::{Block, load};
use super::header::{self, Regions};
use super::layout::MIB;
use crate::check::{Check, Severity};
use crate::layered::Stored;
use crate::spans::{Spans, User};
use h2k_block::{HostFile, Limits, Meter, Result};
use std::sync::Arc;

/// Looks at every header, region table and entry: damaged copies, blocks outside the file, blocks used twice, missing
/// sector bitmaps. A log that was not applied is replayed first.
pub(crate) fn audit(file: &Arc<dyn HostFile>, limits: &Limits, check: &mut Check) -> Result<()> {
    let mut meter = Meter::new(*limits);
    let mut warnings = Vec::new();
    let loaded = load(file, &mut meter, &mut warnings)?;
    header::second_table(&*loaded.view, &mut warnings)?;
    for warning in warnings {
        check.note(Severity::Warning, "header section", 0, || warning);
    }
    let mut spans = Spans::default();
    spans.claim(0, MIB, User::Named("header section"), &mut meter)?;
    let Regions { bat, metadata } = &loaded.regions;
    let header = &loaded.current.header;
    for (name, start, end) in [
        ("BAT region", bat.start, bat.end),
        ("metadata region", metadata.start, metadata.end),
        (
            "log",
            header.log_offset.get(),
            header
                .log_offset
                .get()
                .saturating_add(header.log_length.get().into()),
        ),
    ] {
        spans.claim(start, end.saturating_sub(start), User::Named(name), &mut meter)?;
    }
    let map = &loaded.map;
    let (size, blocks) = (map.metadata.block_size, map.metadata.blocks());
    let mut cursor = map.pages.cursor("BAT");
    let mut stored = 0_u64;
    let mut block = 0;
    while block < blocks {
        meter.step("block")?;
        let start = block.saturating_mul(size);
        let needed = size.min(map.metadata.disk_size.saturating_sub(start));
        match map.block(&mut cursor, block, needed) {
            Ok(Block::Simple(Stored::Here(host))) => {
                stored = stored.saturating_add(1);
                spans.claim(host, size, User::Block(block), &mut meter)?;
            }
            Ok(Block::Mixed(host)) => {
                stored = stored.saturating_add(1);
                spans.claim(host, size, User::Block(block), &mut meter)?;
                if let Err(e) = map.mixed(&mut cursor, block, host, 0, needed) {
                    check.error(e)?;
                }
            }
            Ok(Block::Simple(Stored::Hole)) => {
                let blank = map.blank(&mut cursor, block)?;
                block = block.saturating_add(blank.saturating_sub(1));
            }
            Ok(Block::Simple(Stored::Zero)) => {}
            Err(e) => check.error(e)?,
        }
        block = block.saturating_add(1);
    }
    spans.settle(check);
    check.allocated = Some(stored);
    check.total = Some(blocks);
    Ok(())
}
