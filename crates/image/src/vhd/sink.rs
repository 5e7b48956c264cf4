//! Making fixed and dynamic VHD images.

use super::footer::{footer_checksum, header_checksum};
use super::geometry::{FULL, disk_size};
use super::layout::{
    DYNAMIC, DynamicHeader, FEATURES, FIXED, FOOTER_COOKIE, Footer, Geometry, HEADER_COOKIE, MAX_DISK,
    NO_OFFSET, SECTOR, USUAL_BLOCK, VERSION,
};
use crate::make::{Identity, TableWriter};
use h2k_block::{Batch, Body, Class, Error, HostFile, Result, Sink};
use std::sync::{Arc, Mutex, PoisonError};
use zerocopy::{FromZeros, IntoBytes};

/// Which VHD is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// Blocks are stored when something is in them.
    #[default]
    Dynamic,
    /// The disk's bytes and a footer. What Azure takes.
    Fixed,
}

/// How large the virtual disk is made for a source of some size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Size {
    /// As large as the source, in whole sectors; what `qemu-img -o force_size` does. Where no geometry has that size,
    /// the largest one is written, which tells every reader to look at Current Size.
    #[default]
    Exact,
    /// Rounded up to the next CHS geometry; what `qemu-img` does by default. For Virtual PC. A guest that keeps
    /// something at the very end of its disk (a GPT) will not find it there.
    Geometry,
    /// Rounded up to a multiple of so many bytes. Azure asks for 1 MiB.
    RoundUp(u64),
    /// Refused unless it is a multiple of so many bytes.
    MultipleOf(u64),
}

/// How a VHD is made.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Fixed or dynamic.
    pub kind: Kind,
    /// How large the virtual disk is.
    pub size: Size,
    /// Seconds since 2000-01-01 UTC to be written as the time of creation. 0 by default, so that the same source
    /// gives the same bytes.
    pub time_stamp: u32,
    /// The disk's UUID. `None` derives it from size and content.
    pub unique_id: Option<[u8; 16]>,
}

/// Bytes told apart as data or zero: below the block size, so that a batch stays small.
const GRAIN: u32 = 65536;
const HEADER_AT: u64 = 512;
const BAT_AT: u64 = 1536;
/// Block data is placed at multiples of this, so that host pages and guest pages meet.
const ALIGN: u64 = 4096;

/// Starts a container for `len` bytes in `file`.
pub(crate) fn create(file: Arc<dyn HostFile>, options: &Options, len: u64) -> Result<Box<dyn Sink>> {
    let (size, geometry) = sizes(options.size, len)?;
    let mut footer = Footer::new_zeroed();
    footer.cookie = FOOTER_COOKIE;
    footer.features = FEATURES.into();
    footer.file_format_version = VERSION.into();
    footer.time_stamp = options.time_stamp.into();
    // Not "qemu" or "vpc ": of those, readers believe the geometry and not the size.
    footer.creator_application = *b"h2k ";
    footer.creator_version = VERSION.into();
    footer.creator_host_os = *b"Wi2k";
    footer.original_size = size.into();
    footer.current_size = size.into();
    footer.disk_geometry = geometry;
    debug_assert_eq!(disk_size(&footer), size, "readers have to see this size");
    let common = Common {
        file,
        len,
        size,
        footer,
        given: options.unique_id,
        identity: Identity::default(),
    };
    match options.kind {
        Kind::Fixed => Fixed::create(common),
        Kind::Dynamic => Dynamic::create(common),
    }
}

/// The virtual disk's size and the geometry that goes with it.
fn sizes(wanted: Size, len: u64) -> Result<(u64, Geometry)> {
    let too_large = || {
        Error::unsupported(format!(
            "a disk of {len} bytes; VHD holds at most 2040 GiB ({MAX_DISK} bytes)"
        ))
        .advise("VHDX holds up to 64 TiB")
    };
    let step = match wanted {
        Size::Exact | Size::Geometry => SECTOR,
        Size::RoundUp(n) | Size::MultipleOf(n) if n > 0 && n.is_multiple_of(SECTOR) => n,
        Size::RoundUp(n) | Size::MultipleOf(n) => {
            let what = format!("a size in multiples of {n} bytes; only multiples of 512 can be asked for");
            return Err(Error::new(Class::Invalid, what));
        }
    };
    let mut size = len.checked_next_multiple_of(step).ok_or_else(too_large)?;
    if matches!(wanted, Size::MultipleOf(_)) && size != len {
        let what = format!("a disk of {len} bytes is not a multiple of {step} bytes");
        return Err(Error::new(Class::Invalid, what).advise(format!(
            "enlarge the disk to {size} bytes, or have its size rounded up"
        )));
    }
    let exact = Geometry::below(size / SECTOR);
    let mut geometry = if exact.bytes() == size { exact } else { FULL };
    if wanted == Size::Geometry
        && let Some(covering) = Geometry::covering(size / SECTOR)
    {
        (size, geometry) = (covering.bytes(), covering);
    }
    if size > MAX_DISK {
        return Err(too_large());
    }
    Ok((size, geometry))
}

/// What both kinds have.
struct Common {
    file: Arc<dyn HostFile>,
    /// What the caller asked for.
    len: u64,
    /// What the guest will see.
    size: u64,
    footer: Footer,
    given: Option<[u8; 16]>,
    identity: Identity,
}

impl Common {
    fn store(&self, batch: &Batch) -> Result<()> {
        if self.given.is_none() {
            self.identity.add(batch);
        }
        batch
            .runs()
            .try_for_each(|(host, bytes)| self.file.write_at(host, bytes))
    }

    /// The footer, complete.
    fn footer(&self, kind: u32, data_offset: u64) -> Footer {
        let mut footer = self.footer;
        footer.disk_type = kind.into();
        footer.data_offset = data_offset.into();
        footer.unique_id = self
            .given
            .unwrap_or_else(|| self.identity.guid(self.size, u64::from(kind)).0);
        footer.checksum = footer_checksum(&footer).into();
        footer
    }
}

struct Fixed(Common);

impl Fixed {
    fn create(common: Common) -> Result<Box<dyn Sink>> {
        common.file.set_len(common.size.saturating_add(SECTOR))?;
        Ok(Box::new(Self(common)))
    }
}

impl Sink for Fixed {
    fn len(&self) -> u64 {
        self.0.len
    }

    fn grain(&self) -> u32 {
        GRAIN
    }

    fn place(&self, batch: &mut Batch) -> Result<()> {
        for piece in &mut batch.pieces {
            piece.host = piece.start;
        }
        Ok(())
    }

    fn store(&self, batch: &Batch) -> Result<()> {
        self.0.store(batch)
    }

    fn finish(self: Box<Self>) -> Result<()> {
        let file = &self.0.file;
        file.flush()?;
        let footer = self.0.footer(FIXED, NO_OFFSET);
        file.write_at(self.0.size, footer.as_bytes())?;
        file.flush()
    }
}

struct Dynamic {
    common: Common,
    bitmap_len: u64,
    blocks: u64,
    state: Mutex<State>,
}

struct State {
    /// First byte after the last block.
    next: u64,
    /// The block given out last, and where its data is. Batches ascend, so no other is needed.
    block: Option<(u64, u64)>,
    bat: TableWriter,
}

const BLOCK: u64 = 2 << 20;
const _: () = assert!(BLOCK.is_multiple_of(65536) && USUAL_BLOCK == 2 << 20);

impl Dynamic {
    fn create(common: Common) -> Result<Box<dyn Sink>> {
        let blocks = common.size.div_ceil(BLOCK);
        let bat_len = blocks.saturating_mul(4).next_multiple_of(SECTOR);
        let data = BAT_AT.saturating_add(bat_len);
        common.file.set_len(data)?;
        // No block is stored yet: every entry is all ones.
        let ones = [0xff; 65536];
        let mut at = BAT_AT;
        while at < data {
            let n = usize::try_from(data.saturating_sub(at)).map_or(ones.len(), |n| n.min(ones.len()));
            common.file.write_at(at, ones.get(..n).unwrap_or_default())?;
            at = at.saturating_add(u64::try_from(n).unwrap_or(u64::MAX));
        }
        Ok(Box::new(Self {
            bitmap_len: (BLOCK / SECTOR).div_ceil(8).next_multiple_of(SECTOR),
            blocks,
            state: Mutex::new(State {
                next: data,
                block: None,
                bat: TableWriter::new(common.file.clone(), BAT_AT, 0xff),
            }),
            common,
        }))
    }

    /// Sets a block aside: its entry, and its bitmap with every sector marked as written.
    fn add(&self, state: &mut State, block: u64) -> Result<u64> {
        let host = state.next.saturating_add(self.bitmap_len).next_multiple_of(ALIGN);
        let bitmap = host.saturating_sub(self.bitmap_len);
        state.next = host.saturating_add(BLOCK);
        self.common.file.set_len(state.next)?;
        let sector = u32::try_from(bitmap / SECTOR)
            .map_err(|_| Error::unsupported("the file grew beyond 2 TiB, which VHD cannot address"))?;
        state.bat.put(block.saturating_mul(4), &sector.to_be_bytes())?;
        let ones = [0xff; 512];
        self.common.file.write_at(bitmap, &ones)?;
        Ok(host)
    }
}

impl Sink for Dynamic {
    fn len(&self) -> u64 {
        self.common.len
    }

    fn grain(&self) -> u32 {
        GRAIN
    }

    fn place(&self, batch: &mut Batch) -> Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        for piece in batch.pieces.iter_mut().filter(|p| p.body == Body::Plain) {
            let block = piece.start / BLOCK;
            let host = match state.block {
                Some((last, host)) if last == block => host,
                _ => self.add(&mut state, block)?,
            };
            state.block = Some((block, host));
            piece.host = host.saturating_add(piece.start % BLOCK);
        }
        Ok(())
    }

    fn store(&self, batch: &Batch) -> Result<()> {
        self.common.store(batch)
    }

    fn finish(self: Box<Self>) -> Result<()> {
        let file = &self.common.file;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.bat.flush()?;
        let mut header = DynamicHeader::new_zeroed();
        header.cookie = HEADER_COOKIE;
        header.data_offset = NO_OFFSET.into();
        header.table_offset = BAT_AT.into();
        header.header_version = VERSION.into();
        header.max_table_entries = u32::try_from(self.blocks).unwrap_or(u32::MAX).into();
        header.block_size = USUAL_BLOCK.into();
        header.checksum = header_checksum(&header).into();
        file.write_at(HEADER_AT, header.as_bytes())?;
        let end = state.next;
        file.set_len(end.saturating_add(SECTOR))?;
        file.flush()?;
        let footer = self.common.footer(DYNAMIC, HEADER_AT);
        file.write_at(end, footer.as_bytes())?;
        file.write_at(0, footer.as_bytes())?;
        file.flush()
    }
}
