//! Making dynamic and static VDI images.

use super::layout::{
    DYNAMIC, HEADER_SIZE, Header, SIGNATURE, SIGNATURE_AT, STATIC, UNALLOCATED, USUAL_BLOCK, VERSION,
};
use crate::guid::Guid;
use crate::make::{Identity, TableWriter};
use h2k_block::{Batch, Body, Error, HostFile, Result, Sink};
use std::sync::{Arc, Mutex, PoisonError};
use zerocopy::{FromZeros, IntoBytes};

/// Which VDI is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// Blocks are stored when something is in them.
    #[default]
    Dynamic,
    /// Every block has its place.
    Static,
}

/// How a VDI is made.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Dynamic or static.
    pub kind: Kind,
    /// The disk's UUID. `None` derives it from size and content, so that the same source gives the same bytes.
    pub uuid: Option<[u8; 16]>,
}

const BLOCK: u64 = 1 << 20;
const _: () = assert!(USUAL_BLOCK == 1 << 20);
/// Bytes told apart as data or zero.
const GRAIN: u32 = 65536;
const MAP_AT: u64 = 512;

/// Starts a container for `len` bytes in `file`.
pub(crate) fn create(file: Arc<dyn HostFile>, options: &Options, len: u64) -> Result<Box<dyn Sink>> {
    let too_large = || {
        Error::unsupported(format!(
            "a disk of {len} bytes; VDI has no room for its block map"
        ))
    };
    let size = len.checked_next_multiple_of(512).ok_or_else(too_large)?;
    let blocks = size.div_ceil(BLOCK);
    // Offsets of map and data are 32 bits wide, and so is the number of a block.
    let map_len = blocks.saturating_mul(4);
    let data = MAP_AT.saturating_add(map_len).next_multiple_of(BLOCK);
    let blocks = u32::try_from(blocks).map_err(|_| too_large())?;
    let data_offset = u32::try_from(data).map_err(|_| too_large())?;
    let fixed = options.kind == Kind::Static;
    let stored = if fixed {
        u64::from(blocks).saturating_mul(BLOCK)
    } else {
        0
    };
    file.set_len(data.saturating_add(stored))?;
    let mut map = TableWriter::new(file.clone(), MAP_AT, 0xff);
    for block in 0..blocks {
        let entry = if fixed { block } else { UNALLOCATED };
        map.put(u64::from(block).saturating_mul(4), &entry.to_le_bytes())?;
    }
    map.flush()?;
    Ok(Box::new(VdiSink {
        len,
        size,
        blocks,
        data_offset,
        fixed,
        uuid: options.uuid,
        identity: Identity::default(),
        state: Mutex::new(State {
            count: if fixed { blocks } else { 0 },
            block: None,
            map: TableWriter::new(file.clone(), MAP_AT, 0xff),
        }),
        file,
    }))
}

struct VdiSink {
    file: Arc<dyn HostFile>,
    /// What the caller asked for.
    len: u64,
    /// What the guest will see.
    size: u64,
    blocks: u32,
    data_offset: u32,
    fixed: bool,
    uuid: Option<[u8; 16]>,
    identity: Identity,
    state: Mutex<State>,
}

struct State {
    /// Data blocks given out.
    count: u32,
    /// The block given out last, and where it is. Batches ascend, so no other is needed.
    block: Option<(u64, u64)>,
    map: TableWriter,
}

impl VdiSink {
    fn host(&self, data_block: u64) -> u64 {
        u64::from(self.data_offset).saturating_add(data_block.saturating_mul(BLOCK))
    }

    fn add(&self, state: &mut State, block: u64) -> Result<u64> {
        let number = state.count;
        state.count = number.saturating_add(1);
        state.map.put(block.saturating_mul(4), &number.to_le_bytes())?;
        let host = self.host(number.into());
        self.file.set_len(host.saturating_add(BLOCK))?;
        state.block = Some((block, host));
        Ok(host)
    }
}

impl Sink for VdiSink {
    fn len(&self) -> u64 {
        self.len
    }

    fn grain(&self) -> u32 {
        GRAIN
    }

    fn place(&self, batch: &mut Batch) -> Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        for piece in batch.pieces.iter_mut().filter(|p| p.body == Body::Plain) {
            let block = piece.start / BLOCK;
            let host = match state.block {
                _ if self.fixed => self.host(block),
                Some((last, host)) if last == block => host,
                _ => self.add(&mut state, block)?,
            };
            piece.host = host.saturating_add(piece.start % BLOCK);
        }
        Ok(())
    }

    fn store(&self, batch: &Batch) -> Result<()> {
        if self.uuid.is_none() {
            self.identity.add(batch);
        }
        batch
            .runs()
            .try_for_each(|(host, bytes)| self.file.write_at(host, bytes))
    }

    fn finish(self: Box<Self>) -> Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.map.flush()?;
        let mut header = Header::new_zeroed();
        let maker = b"<<< hyper2kvm Virtual Disk Image >>>\n";
        for (to, from) in header.file_info.iter_mut().zip(maker) {
            *to = *from;
        }
        header.version = VERSION.into();
        header.header_size = HEADER_SIZE.into();
        header.image_type = if self.fixed { STATIC } else { DYNAMIC }.into();
        header.blocks_offset = u32::try_from(MAP_AT).unwrap_or(0).into();
        header.data_offset = self.data_offset.into();
        let [.., sector_size] = &mut header.legacy_geometry;
        *sector_size = 512.into();
        header.disk_size = self.size.into();
        header.block_size = USUAL_BLOCK.into();
        header.blocks = self.blocks.into();
        header.blocks_allocated = state.count.into();
        header.uuid_create = match self.uuid {
            Some(given) => Guid(given),
            None => self.identity.guid(self.size, 1),
        };
        header.uuid_modify = self.identity.guid(self.size, 2);
        self.file.write_at(0, header.as_bytes())?;
        self.file.flush()?;
        self.file.write_at(SIGNATURE_AT, &SIGNATURE.to_le_bytes())?;
        self.file.flush()
    }
}
