//! The devices of a filesystem, read by logical address.

use crate::block::Block;
use crate::chunk::{Chunk, Chunks, Place};
use crate::layout::Key;
use crate::superblock::Super;
use h2k_block::{BlockRead, Cache, Class, Error, Pool, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Memory that tree blocks may hold, in bytes.
const CACHE: u64 = 16 << 20;

/// One disk that was given.
pub(crate) struct Device {
    pub(crate) disk: Arc<dyn BlockRead>,
    pub(crate) devid: u64,
    pub(crate) uuid: [u8; 16],
    /// The device missed the last writes of the others.
    pub(crate) stale: bool,
}

/// What a tree block has to be, as its parent knows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expected {
    pub(crate) level: u8,
    pub(crate) generation: u64,
    /// The first key; `None` for a root.
    pub(crate) first: Option<Key>,
}

/// All devices of one filesystem.
pub(crate) struct Volume {
    pub(crate) devices: Vec<Device>,
    pub(crate) chunks: Chunks,
    pub(crate) sb: Super,
    /// What tree blocks may carry as filesystem id: its own and those of its seeds.
    pub(crate) ids: Vec<[u8; 16]>,
    pub(crate) scratch: Pool<Vec<u8>>,
    cache: Cache<Block>,
    repaired: AtomicU64,
}

impl Volume {
    pub(crate) fn new(devices: Vec<Device>, chunks: Chunks, sb: Super, ids: Vec<[u8; 16]>) -> Self {
        let cache = Cache::new(CACHE, sb.node.into());
        Self {
            devices,
            chunks,
            sb,
            ids,
            scratch: Pool::default(),
            cache,
            repaired: AtomicU64::new(0),
        }
    }

    /// How many blocks were taken from another copy because the first was damaged.
    pub(crate) fn repaired(&self) -> u64 {
        self.repaired.load(Ordering::Relaxed)
    }

    pub(crate) fn count_repair(&self) {
        self.repaired.fetch_add(1, Ordering::Relaxed);
    }

    /// The device a stripe is on. Numbers can repeat where a seed has one, so the UUID decides.
    pub(crate) fn device(&self, devid: u64, uuid: &[u8; 16]) -> Option<&Device> {
        let mut all = self.devices.iter();
        all.find(|d| d.devid == devid && d.uuid == *uuid)
    }

    fn chunk(&self, logical: u64) -> Result<&Chunk> {
        self.chunks
            .find(logical)
            .ok_or_else(|| Error::corrupt("chunk tree", logical, "no chunk holds this logical address"))
    }

    /// How many copies of the byte at `logical` the filesystem keeps, missing devices included.
    pub(crate) fn copies(&self, logical: u64) -> Result<u64> {
        Ok(self.chunk(logical)?.copies)
    }

    /// The copy to be tried as number `rank`: those on fresh devices first, then stale ones, then missing ones.
    fn ranked<'a>(
        &'a self,
        chunk: &'a Chunk,
        logical: u64,
        rank: u64,
    ) -> Option<(Place, Option<&'a Device>)> {
        let mut rank = rank;
        for class in 0..3_u8 {
            for copy in 0..chunk.copies {
                let place = chunk.place(logical, copy)?;
                let stripe = chunk.stripes.get(place.stripe)?;
                let device = self.device(stripe.devid, &stripe.uuid);
                let here = match device {
                    Some(d) if !d.stale => 0,
                    Some(_) => 1,
                    None => 2,
                };
                if here == class {
                    match rank.checked_sub(1) {
                        None => return Some((place, device)),
                        Some(less) => rank = less,
                    }
                }
            }
        }
        None
    }

    /// Where the best copy of `logical` lies verbatim: index of the device, byte, and bytes that follow.
    pub(crate) fn locate(&self, logical: u64) -> Option<(usize, u64, u64)> {
        let (place, device) = self.ranked(self.chunks.find(logical)?, logical, 0)?;
        let device = device?;
        let index = self.devices.iter().position(|d| d.uuid == device.uuid)?;
        Some((index, place.at, place.len))
    }

    /// Fills `buf` from `logical` with the copy that is tried as number `rank`. Nothing is verified here.
    pub(crate) fn read(&self, logical: u64, buf: &mut [u8], rank: u64) -> Result<()> {
        let mut at = logical;
        let mut rest = buf;
        while !rest.is_empty() {
            let chunk = self.chunk(at)?;
            let rank = rank.min(chunk.copies.saturating_sub(1));
            let Some((place, device)) = self.ranked(chunk, at, rank) else {
                return Err(Error::corrupt(
                    "chunk item",
                    chunk.logical,
                    "places bytes outside of any device",
                ));
            };
            let Some(device) = device else {
                return Err(missing(chunk, place, at));
            };
            let n = usize::try_from(place.len).unwrap_or(usize::MAX).min(rest.len());
            let (head, tail) = rest.split_at_mut(n);
            let count = u64::try_from(n).unwrap_or(u64::MAX);
            if place.at.saturating_add(count) > device.disk.len() {
                let what = format!(
                    "chunk {:#x} lies at {:#x} of device {}, which has {:#x} bytes",
                    chunk.logical,
                    place.at,
                    device.devid,
                    device.disk.len()
                );
                return Err(Error::corrupt("chunk item", at, what));
            }
            device
                .disk
                .read_at(place.at, head)
                .map_err(|e| e.at("device", place.at))?;
            at = at.saturating_add(count);
            rest = tail;
        }
        Ok(())
    }

    /// The tree block at `logical`, from the cache or from the first copy that is whole.
    pub(crate) fn block(&self, logical: u64, expected: Expected) -> Result<Arc<Block>> {
        let block = self
            .cache
            .get(logical, || self.load(logical, expected).map(Arc::new))?;
        block.is(&expected)?;
        Ok(block)
    }

    fn load(&self, logical: u64, expected: Expected) -> Result<Block> {
        let len = usize::try_from(self.sb.node).unwrap_or(0);
        let mut first_error = None;
        for rank in 0..self.copies(logical)? {
            let mut bytes = vec![0; len];
            let found = self
                .read(logical, &mut bytes, rank)
                .and_then(|()| Block::check(bytes.into(), logical, &self.sb, &self.ids))
                .and_then(|block| block.is(&expected).map(|()| block));
            match found {
                Ok(block) => {
                    if first_error.is_some_and(|e: Error| e.class() != Class::NotFound) {
                        self.count_repair();
                    }
                    return Ok(block);
                }
                Err(e) => {
                    first_error.get_or_insert(e);
                }
            }
        }
        Err(first_error.unwrap_or_else(|| Error::corrupt("chunk item", logical, "has no copies")))
    }
}

fn missing(chunk: &Chunk, place: Place, logical: u64) -> Error {
    let devid = chunk.stripes.get(place.stripe).map_or(0, |s| s.devid);
    let parity = matches!(chunk.profile, crate::chunk::Profile::Parity(_));
    let (class, more) = if parity {
        (Class::Unsupported, "; what it held is not computed from parity")
    } else {
        (Class::NotFound, "")
    };
    Error::new(
        class,
        format!("device {devid} of the filesystem is missing{more}"),
    )
    .at("chunk", logical)
    .advise("give all disks of the filesystem together")
}
