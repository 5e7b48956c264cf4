use super::{Geometry, Run, Spot};
use crate::bytes::{index, wide};

/// Linux's RAID 10 (md(4), "RAID10"): `near` copies side by side, `far` copies in sections of the devices or, with
/// `offset`, in the rows right below. Device `i` of the array is target `i`.
#[derive(Debug)]
pub(crate) struct Raid10 {
    devices: u64,
    near: u64,
    far: u64,
    offset: bool,
    chunk: u64,
    /// Where the array's bytes begin on each device.
    starts: Vec<u64>,
    /// Bytes from one far copy to the next.
    stride: u64,
    len: u64,
}

impl Raid10 {
    /// An array over `starts.len()` devices of `device_len` bytes. `None` for numbers that make no array.
    pub(crate) fn new(
        starts: Vec<u64>,
        near: u64,
        far: u64,
        offset: bool,
        chunk: u64,
        device_len: u64,
    ) -> Option<Self> {
        let devices = wide(starts.len());
        let copies = near.checked_mul(far)?;
        if copies == 0 || copies > devices || chunk == 0 {
            return None;
        }
        // Chunks of one copy, as many as fit; then what they use on each device, rounded up to whole rows.
        let rows = device_len.checked_div(chunk)?.checked_div(far)?;
        let chunks = rows.checked_mul(devices)?.checked_div(near)?;
        let used = chunks.checked_mul(copies)?.div_ceil(devices);
        let stride = if offset {
            chunk
        } else {
            used.checked_div(far)?.checked_mul(chunk)?
        };
        Some(Self {
            devices,
            near,
            far,
            offset,
            chunk,
            starts,
            stride,
            len: chunks.checked_mul(chunk)?,
        })
    }

    /// Whether every byte has a copy when the devices that `missing` names are not there.
    pub(crate) fn survives(&self, missing: &dyn Fn(usize) -> bool) -> bool {
        // The pattern of devices repeats after as many chunks as there are devices.
        (0..self.devices).all(|number| {
            let offset = number.saturating_mul(self.chunk);
            (0..self.copies(offset)).any(|copy| match self.place(offset, u64::MAX, copy).spot {
                Spot::On { target, .. } => !missing(target),
                Spot::Zero => true,
            })
        })
    }
}

impl Geometry for Raid10 {
    fn len(&self) -> u64 {
        self.len
    }

    fn copies(&self, _offset: u64) -> usize {
        index(self.near.saturating_mul(self.far))
    }

    #[expect(
        clippy::arithmetic_side_effects,
        reason = "the constructor refused zero divisors; all values stay below the devices' sizes"
    )]
    fn place(&self, offset: u64, end: u64, copy: usize) -> Run {
        let (near_copy, far_copy) = (wide(copy) % self.near, wide(copy) / self.near);
        let within = offset % self.chunk;
        let slot = offset / self.chunk * self.near + near_copy;
        let (row, column) = (slot / self.devices, slot % self.devices);
        let row = if self.offset { row * self.far } else { row };
        let device = (column + far_copy * self.near) % self.devices;
        let at = row * self.chunk + within + far_copy * self.stride;
        let target = index(device);
        let start = self.starts.get(target).copied().unwrap_or(0);
        Run::on(target, start + at, (self.chunk - within).min(end - offset))
    }
}
