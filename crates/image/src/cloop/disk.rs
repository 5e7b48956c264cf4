//! Reading: every block is a zlib stream.

use crate::codec::{Coding, Decoder};
use crate::packed::{Chunk, Chunks, Held, MAX_CHUNK, Packed};
use crate::pages::Pages;
use crate::raw::RawDisk;
use crate::{FileInfo, Format, Image, Info, Opening};
use h2k_block::{BlockRead, Error, HostFile, Result};
use std::sync::Arc;

pub(super) const MAGIC: &[u8; 24] = b"#!/bin/sh\n#V2.0 Format\nm";
const HEADER: u64 = 128;
const OFFSETS: u64 = 136;

/// Opens the image in `file`.
pub(crate) fn open(file: Arc<dyn HostFile>, _opening: &mut Opening<'_>) -> Result<Image> {
    let bad = |what: String| Error::corrupt("header", HEADER, what);
    if file.len() < OFFSETS {
        return Err(bad(format!("the file has only {} bytes", file.len())));
    }
    if !super::probe(&*file)? {
        return Err(Error::corrupt("header", 0, "no script of version 2.0"));
    }
    let mut raw = [0; 8];
    file.read_at(HEADER, &mut raw)?;
    let [s0, s1, s2, s3, n0, n1, n2, n3] = raw;
    let block = u64::from(u32::from_be_bytes([s0, s1, s2, s3]));
    let blocks = u64::from(u32::from_be_bytes([n0, n1, n2, n3]));
    if block == 0 || !block.is_multiple_of(512) || block > MAX_CHUNK {
        return Err(bad(format!(
            "blocks of {block} bytes; they are multiples of 512 up to {MAX_CHUNK}"
        )));
    }
    let data = OFFSETS.saturating_add(blocks.saturating_add(1).saturating_mul(8));
    if data > file.len() {
        return Err(bad(format!(
            "offsets of {blocks} blocks end at {data:#x}, the file has {:#x} bytes",
            file.len()
        )));
    }
    let size = block.saturating_mul(blocks);
    let view: Arc<dyn BlockRead> = Arc::new(RawDisk(file.clone()));
    let mut info = Info::new(file.name().to_owned(), Format::Cloop, size);
    info.files.push(FileInfo::of(&*file));
    info.grain = Some(block);
    let map = Map {
        pages: Pages::new(view.clone()),
        file,
        size,
        block,
        decoder: Decoder::default(),
    };
    Ok(Image {
        disk: Arc::new(Packed::new(map, view, None, block)),
        info,
    })
}

struct Map {
    pages: Pages,
    file: Arc<dyn HostFile>,
    size: u64,
    block: u64,
    decoder: Decoder,
}

impl Chunks for Map {
    fn len(&self) -> u64 {
        self.size
    }

    fn at(&self, offset: u64) -> Result<Chunk> {
        let key = offset.checked_div(self.block).unwrap_or(0);
        Ok(Chunk {
            key,
            start: key.saturating_mul(self.block),
            len: self.block,
            held: Held::Packed,
        })
    }

    fn unpack(&self, chunk: &Chunk, out: &mut [u8]) -> Result<()> {
        let at = OFFSETS.saturating_add(chunk.key.saturating_mul(8));
        let mut cursor = self.pages.cursor("block offsets");
        let start = u64::from_be_bytes(cursor.word(at)?);
        let end = u64::from_be_bytes(cursor.word(at.saturating_add(8))?);
        let bad = |what: String| Error::corrupt("block offsets", at, format!("block {}: {what}", chunk.key));
        let len = end.checked_sub(start).filter(|_| end <= self.file.len());
        // Deflate never makes a block twice as long.
        let len = len.filter(|len| *len > 0 && *len <= self.block.saturating_mul(2).saturating_add(1024));
        let len = len.and_then(|len| usize::try_from(len).ok());
        let Some(len) = len else {
            return Err(bad(format!(
                "it lies from {start:#x} to {end:#x} in a file of {:#x} bytes",
                self.file.len()
            )));
        };
        let mut packed = vec![0; len];
        self.file.read_at(start, &mut packed)?;
        match self.decoder.decode(Coding::Zlib, &packed, out) {
            Ok(n) if n == out.len() => Ok(()),
            Ok(n) => Err(bad(format!("it holds {n} bytes, not {}", out.len()))),
            Err(_) => Err(bad("its zlib stream cannot be decoded".to_owned())),
        }
    }
}
