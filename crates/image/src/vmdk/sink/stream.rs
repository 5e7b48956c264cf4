use super::super::layout::{
    COMPRESSION_DEFLATE, FLAG_COMPRESSED, FLAG_LINE_ENDS, FLAG_MARKERS, GD_AT_END, MARKER_EOS, MARKER_FOOTER,
    MARKER_GD, MARKER_GT, Marker, MetadataMarker, SECTOR,
};
use super::{GRAIN, GRAIN_BYTES, OpenTable, REACH, TABLE, grow, header, sector_number, tables};
use crate::codec::{Coding, Encoder};
use h2k_block::{Batch, Body, HostFile, Result, Sink};
use std::sync::{Arc, Mutex, PoisonError};
use zerocopy::IntoBytes;

/// streamOptimized, as ESXi exports it: version 3, each table behind its grains, directory and footer at the end.
/// Tables without grains are left out.
pub(super) struct StreamSink {
    file: Arc<dyn HostFile>,
    descriptor: String,
    /// In sectors.
    capacity: u64,
    encoder: Encoder,
    state: Mutex<State>,
}

struct State {
    /// The next free sector.
    next: u64,
    table: OpenTable,
    /// Sector of each table; 0 where there is none. 4 bytes for 32 MiB of the disk.
    directory: Vec<u32>,
}

impl StreamSink {
    pub(super) fn new(
        file: Arc<dyn HostFile>,
        descriptor: String,
        level: u32,
        capacity: u64,
    ) -> Result<Self> {
        let encoder = Encoder::new(Coding::Zlib, level)?;
        grow(&*file, GRAIN)?;
        Ok(Self {
            file,
            descriptor,
            capacity,
            encoder,
            state: Mutex::new(State {
                next: GRAIN,
                table: OpenTable::new(),
                directory: Vec::new(),
            }),
        })
    }

    /// Writes the table that is open, if anything is in it, behind its grains.
    fn write_table(&self, state: &mut State) -> Result<()> {
        if !state.table.used {
            return Ok(());
        }
        let number = usize::try_from(state.table.number).unwrap_or(usize::MAX);
        state.directory.resize(number, 0);
        state.directory.push(sector_number(state.next.saturating_add(1))?);
        let mut bytes = metadata(TABLE, MARKER_GT).as_bytes().to_vec();
        bytes.extend_from_slice(&state.table.entries);
        self.append(state, &bytes)
    }

    /// Writes whole sectors at the end.
    fn append(&self, state: &mut State, bytes: &[u8]) -> Result<()> {
        let at = state.next.saturating_mul(SECTOR);
        let sectors = u64::try_from(bytes.len()).unwrap_or(u64::MAX).div_ceil(SECTOR);
        state.next = state.next.saturating_add(sectors);
        grow(&*self.file, state.next)?;
        self.file.write_at(at, bytes)
    }
}

/// A marker in front of `sectors` of metadata.
fn metadata(sectors: u64, kind: u32) -> MetadataMarker {
    MetadataMarker {
        marker: Marker {
            val: sectors.into(),
            size: 0.into(),
        },
        kind: kind.into(),
        pad: [0; 496],
    }
}

impl Sink for StreamSink {
    fn len(&self) -> u64 {
        self.capacity.saturating_mul(SECTOR)
    }

    fn grain(&self) -> u32 {
        u32::try_from(GRAIN_BYTES).unwrap_or(1 << 16)
    }

    fn encode(&self, batch: &mut Batch) -> Result<()> {
        let Batch {
            start,
            guest,
            coded,
            pieces,
            ..
        } = batch;
        for piece in pieces.iter_mut().filter(|p| p.body == Body::Plain) {
            let from = usize::try_from(piece.start.saturating_sub(*start)).unwrap_or(usize::MAX);
            let len = usize::try_from(piece.len).unwrap_or(usize::MAX);
            let src = guest.get(from..).and_then(|g| g.get(..len)).unwrap_or_default();
            let at = coded.len();
            coded.extend_from_slice(&[0; size_of::<Marker>()]);
            if piece.len == GRAIN_BYTES {
                self.append_zlib(src, coded);
            } else {
                // The last grain of the disk; a grain is always stored whole.
                let mut whole = src.to_vec();
                whole.resize(usize::try_from(GRAIN_BYTES).unwrap_or(1 << 16), 0);
                self.append_zlib(&whole, coded);
            }
            let size = coded.len().saturating_sub(at).saturating_sub(size_of::<Marker>());
            let marker = Marker {
                val: (piece.start / SECTOR).into(),
                size: u32::try_from(size).unwrap_or(u32::MAX).into(),
            };
            if let Some(front) = coded.get_mut(at..).and_then(|c| c.get_mut(..size_of::<Marker>())) {
                front.copy_from_slice(marker.as_bytes());
            }
            let len = coded.len().saturating_sub(at).next_multiple_of(512);
            coded.resize(at.saturating_add(len), 0);
            piece.body = Body::Coded { at, len };
        }
        Ok(())
    }

    fn place(&self, batch: &mut Batch) -> Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let state = &mut *state;
        for piece in &mut batch.pieces {
            let Body::Coded { len, .. } = piece.body else {
                continue;
            };
            let number = piece.start / REACH;
            if number != state.table.number {
                self.write_table(state)?;
                state.table.turn(number);
            }
            state.table.set(piece.start, sector_number(state.next)?);
            piece.host = state.next.saturating_mul(SECTOR);
            let sectors = u64::try_from(len).unwrap_or(u64::MAX).div_ceil(SECTOR);
            state.next = state.next.saturating_add(sectors);
        }
        grow(&*self.file, state.next)
    }

    fn store(&self, batch: &Batch) -> Result<()> {
        for (host, bytes) in batch.runs() {
            self.file.write_at(host, bytes)?;
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let state = &mut *state;
        self.write_table(state)?;
        let count = usize::try_from(tables(self.capacity)).unwrap_or(usize::MAX);
        state.directory.resize(count, 0);
        let mut bytes: Vec<u8> = state.directory.iter().flat_map(|e| e.to_le_bytes()).collect();
        // Even a disk without sectors has a directory of one.
        bytes.resize(bytes.len().max(1).next_multiple_of(512), 0);
        let sectors = u64::try_from(bytes.len()).unwrap_or(u64::MAX) / SECTOR;
        self.append(state, metadata(sectors, MARKER_GD).as_bytes())?;
        let directory = state.next;
        self.append(state, &bytes)?;

        let flags = FLAG_LINE_ENDS | FLAG_COMPRESSED | FLAG_MARKERS;
        let mut header = header(3, flags, self.capacity);
        header.compress_algorithm = COMPRESSION_DEFLATE.into();
        header.over_head = GRAIN.into();
        header.gd_offset = directory.into();
        self.append(state, metadata(1, MARKER_FOOTER).as_bytes())?;
        self.append(state, header.as_bytes())?;
        self.append(state, metadata(0, MARKER_EOS).as_bytes())?;

        self.file.write_at(SECTOR, self.descriptor.as_bytes())?;
        self.file.set_len(state.next.saturating_mul(SECTOR))?;
        self.file.flush()?;
        header.gd_offset = GD_AT_END.into();
        self.file.write_at(0, header.as_bytes())?;
        self.file.flush()
    }
}

impl StreamSink {
    /// Appends `grain` as a zlib stream: deflated, or stored where that does not make it smaller.
    fn append_zlib(&self, grain: &[u8], out: &mut Vec<u8>) {
        if self.encoder.encode(grain, out).is_some() {
            return;
        }
        // RFC 1950: deflate with a window of 32 KiB, fastest; RFC 1951, 3.2.4: blocks without compression.
        out.extend_from_slice(&[0x78, 0x01]);
        let mut blocks = grain.chunks(65535).peekable();
        while let Some(block) = blocks.next() {
            let len = u16::try_from(block.len()).unwrap_or(u16::MAX);
            out.push(u8::from(blocks.peek().is_none()));
            out.extend_from_slice(&len.to_le_bytes());
            out.extend_from_slice(&(!len).to_le_bytes());
            out.extend_from_slice(block);
        }
        out.extend_from_slice(&adler32(grain).to_be_bytes());
    }
}

/// The checksum at the end of a zlib stream (RFC 1950).
fn adler32(bytes: &[u8]) -> u32 {
    const BASE: u32 = 65521;
    let (mut a, mut b) = (1_u32, 0_u32);
    // So many sums fit in 32 bits before the remainder has to be taken.
    for piece in bytes.chunks(5552) {
        for byte in piece {
            a = a.wrapping_add(u32::from(*byte));
            b = b.wrapping_add(a);
        }
        a %= BASE;
        b %= BASE;
    }
    b << 16 | a
}

#[cfg(test)]
mod tests {
    use super::*;
    use h2k_block::MemDisk;

    #[test]
    fn adler32_is_that_of_the_rfc() {
        assert_eq!(adler32(b""), 1);
        assert_eq!(adler32(b"Wikipedia"), 0x11e6_0398);
    }

    #[test]
    fn what_deflate_would_make_larger_is_stored_and_decodes() {
        let sink = StreamSink::new(Arc::new(MemDisk::default()), String::new(), 6, 128).unwrap();
        let mut noise = vec![0; 1 << 16];
        let mut x = 1_u32;
        for byte in &mut noise {
            x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *byte = x.to_be_bytes()[0];
        }
        let mut out = Vec::new();
        sink.append_zlib(&noise, &mut out);
        assert_eq!(out.len(), noise.len() + 2 + 2 * 5 + 4);
        let mut back = vec![0; 1 << 16];
        let n = crate::codec::Decoder::default().decode(Coding::Zlib, &out, &mut back);
        assert_eq!(n, Ok(1 << 16));
        assert!(back == noise);
    }
}
