//! Reading: chunks out of the sorted list.

use super::table::{self, Entry, Kind};
use crate::codec::{Coding, Decoder};
use crate::packed::{Chunk, Chunks, Held, MAX_CHUNK, Packed};
use crate::raw::RawDisk;
use crate::{FileInfo, Format, Image, Info, Opening};
use h2k_block::{BlockRead, Error, HostFile, Meter, Result};
use std::sync::Arc;
use zerocopy::{BE, FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout, U32, U64, Unaligned};

/// The trailer ("koly").
#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct Trailer {
    signature: [u8; 4],
    version: U32<BE>,
    header_size: U32<BE>,
    flags: U32<BE>,
    running_data_fork_offset: U64<BE>,
    data_fork_offset: U64<BE>,
    data_fork_length: U64<BE>,
    resource_fork_offset: U64<BE>,
    resource_fork_length: U64<BE>,
    segment_number: U32<BE>,
    segment_count: U32<BE>,
    segment_id: [u8; 16],
    data_checksum: [u8; 136],
    plist_offset: U64<BE>,
    plist_length: U64<BE>,
    reserved: [u8; 120],
    master_checksum: [u8; 136],
    image_variant: U32<BE>,
    sector_count: U64<BE>,
    reserved2: [u8; 12],
}
const _: () = assert!(size_of::<Trailer>() == 512);

impl Trailer {
    /// Whether everything it names lies in front of it.
    pub(super) fn fits(&self, at: u64) -> bool {
        let inside = |offset: u64, len: u64| offset.checked_add(len).is_some_and(|end| end <= at);
        self.version.get() == 4
            && self.header_size.get() == 512
            && inside(self.plist_offset.get(), self.plist_length.get())
            && inside(self.data_fork_offset.get(), self.data_fork_length.get())
    }
}

/// The trailer and where it is, if the file ends in one.
pub(super) fn trailer(file: &dyn BlockRead) -> Result<Option<(Trailer, u64)>> {
    let Some(at) = file.len().checked_sub(512) else {
        return Ok(None);
    };
    let mut trailer = Trailer::new_zeroed();
    file.read_at(at, trailer.as_mut_bytes())?;
    Ok((trailer.signature == *b"koly").then_some((trailer, at)))
}

/// Opens the image in `file`.
pub(crate) fn open(file: Arc<dyn HostFile>, opening: &mut Opening<'_>) -> Result<Image> {
    let Some((trailer, at)) = trailer(&*file)? else {
        return Err(Error::corrupt(
            "trailer",
            file.len().saturating_sub(512),
            "no signature \"koly\"",
        ));
    };
    let plist_len = trailer.plist_length.get();
    if plist_len == 0 {
        return Err(
            Error::unsupported("block tables in a resource fork and not in a property list")
                .at("trailer", at),
        );
    }
    if trailer.segment_count.get() > 1 {
        return Err(
            Error::unsupported(format!("an image in {} segments", trailer.segment_count.get()))
                .at("trailer", at),
        );
    }
    if !trailer.fits(at) {
        let what = "its property list or data fork lies outside the file, or its version is not 4";
        return Err(Error::corrupt("trailer", at, what));
    }
    let mut meter = Meter::new(opening.options.limits);
    let mut plist = meter.buffer(plist_len, "property list")?;
    let plist_at = trailer.plist_offset.get();
    file.read_at(plist_at, &mut plist)?;
    // Decoded tables are three quarters of their text at most, chunks a little more than their bytes.
    meter.bytes(plist_len.saturating_mul(2), "block tables")?;
    let entries = table::entries(&plist, plist_at, trailer.data_fork_offset.get(), &mut meter)?;
    drop(plist);
    let ends = entries.iter().map(|e| e.start.saturating_add(e.len));
    let size = ends.max().unwrap_or(0);
    let said = trailer.sector_count.get().saturating_mul(512);
    let mut info = Info::new(file.name().to_owned(), Format::Dmg, size);
    info.files.push(FileInfo::of(&*file));
    info.subformat = Some("UDIF".to_owned());
    if said != size {
        info.warnings.push(format!(
            "the trailer says {said} bytes, the block tables end at {size}; the tables count"
        ));
    }
    let unknown = entries.iter().find(|e| matches!(e.kind, Kind::Unknown(_)));
    if let Some(unknown) = unknown {
        return Err(
            Error::unsupported(format!("chunks compressed with {}", unknown.kind.name()))
                .at("block table", plist_at)
                .advise("on a Mac, hdiutil convert -format UDZO makes an image that can be read"),
        );
    }
    let usual = entries
        .iter()
        .filter(|e| e.kind == Kind::Zlib)
        .map(|e| e.len)
        .max()
        .unwrap_or(65536);
    if usual > MAX_CHUNK {
        return Err(Error::unsupported(format!(
            "a compressed chunk of {usual} bytes; at most {MAX_CHUNK} are unpacked"
        ))
        .at("block table", plist_at));
    }
    let view: Arc<dyn BlockRead> = Arc::new(RawDisk(file.clone()));
    let map = Map {
        entries,
        file,
        size,
        decoder: Decoder::default(),
    };
    Ok(Image {
        disk: Arc::new(Packed::new(map, view, None, usual)),
        info,
    })
}

struct Map {
    /// In guest order, without overlaps.
    entries: Vec<Entry>,
    file: Arc<dyn HostFile>,
    size: u64,
    decoder: Decoder,
}

impl Map {
    fn inside(&self, entry: &Entry, len: u64) -> Result<()> {
        if entry
            .host
            .checked_add(len)
            .is_some_and(|end| end <= self.file.len())
        {
            return Ok(());
        }
        Err(Error::corrupt(
            "chunk",
            entry.host,
            format!(
                "{len} bytes for the disk's byte {:#x}, the file has {:#x}",
                entry.start,
                self.file.len()
            ),
        ))
    }
}

impl Chunks for Map {
    fn len(&self) -> u64 {
        self.size
    }

    fn at(&self, offset: u64) -> Result<Chunk> {
        let after = self.entries.partition_point(|e| e.start <= offset);
        let index = after.saturating_sub(1);
        let found = self.entries.get(index).filter(|_| after > 0);
        let found = found.filter(|e| offset < e.start.saturating_add(e.len));
        let Some(entry) = found else {
            // Between chunks there is nothing.
            let next = self.entries.get(after).map_or(self.size, |e| e.start);
            return Ok(Chunk {
                key: u64::MAX,
                start: offset,
                len: next.saturating_sub(offset),
                held: Held::Hole,
            });
        };
        let held = match entry.kind {
            Kind::Zero => Held::Zero,
            Kind::Raw => {
                self.inside(entry, entry.len)?;
                Held::Here(entry.host)
            }
            Kind::Zlib | Kind::Unknown(_) => Held::Packed,
        };
        Ok(Chunk {
            key: u64::try_from(index).unwrap_or(u64::MAX),
            start: entry.start,
            len: entry.len,
            held,
        })
    }

    fn unpack(&self, chunk: &Chunk, out: &mut [u8]) -> Result<()> {
        let index = usize::try_from(chunk.key).unwrap_or(usize::MAX);
        let Some(entry) = self.entries.get(index) else {
            return Err(Error::corrupt("chunk", chunk.start, "no such chunk"));
        };
        self.inside(entry, entry.packed)?;
        let bad = |what: String| Error::corrupt("chunk", entry.host, what);
        // Deflate never makes a chunk twice as long.
        if entry.packed > entry.len.saturating_mul(2).saturating_add(1024) {
            return Err(bad(format!("{} packed bytes for {}", entry.packed, entry.len)));
        }
        let mut packed = vec![0; usize::try_from(entry.packed).unwrap_or(0)];
        self.file.read_at(entry.host, &mut packed)?;
        match self.decoder.decode(Coding::Zlib, &packed, out) {
            Ok(n) if n == out.len() => Ok(()),
            Ok(n) => Err(bad(format!("it holds {n} bytes, not {}", out.len()))),
            Err(_) => Err(bad("its zlib stream cannot be decoded".to_owned())),
        }
    }
}
