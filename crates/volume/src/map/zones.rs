use super::{Geometry, Run, Spot};
use crate::bytes::{index, wide};

/// RAID 0 over devices of different sizes: stripes over all of them as far as the smallest reaches, then over those
/// that are larger, and so on.
#[derive(Debug)]
pub(crate) struct Zones {
    zones: Vec<Zone>,
    chunk: u64,
    /// Where the array's bytes begin on each device.
    starts: Vec<u64>,
    /// Linux before 3.14 chose the device by the chunk's number in the array, not in its zone.
    original: bool,
    len: u64,
}

#[derive(Debug)]
struct Zone {
    /// First byte of the array, and of each device, that belongs to the zone.
    start: u64,
    device_start: u64,
    /// Places of the devices in the array.
    devices: Vec<usize>,
}

impl Zones {
    /// `devices` are start and usable length, in the order of the array. `None` for numbers that make no array.
    pub(crate) fn new(devices: &[(u64, u64)], chunk: u64, original: bool) -> Option<Self> {
        if chunk == 0 || devices.is_empty() {
            return None;
        }
        let usable: Vec<u64> = devices
            .iter()
            .map(|(_, len)| len.checked_div(chunk).and_then(|n| n.checked_mul(chunk)))
            .collect::<Option<_>>()?;
        let mut zones = Vec::new();
        let (mut start, mut device_start) = (0_u64, 0_u64);
        // Each round ends with the smallest device left, so there are at most as many as devices.
        while let Some(limit) = usable.iter().copied().filter(|len| *len > device_start).min() {
            let members: Vec<usize> = usable
                .iter()
                .enumerate()
                .filter(|(_, len)| **len > device_start)
                .map(|(i, _)| i)
                .collect();
            let depth = limit.saturating_sub(device_start);
            let size = depth.checked_mul(wide(members.len()))?;
            zones.push(Zone {
                start,
                device_start,
                devices: members,
            });
            start = start.checked_add(size)?;
            device_start = limit;
        }
        Some(Self {
            zones,
            chunk,
            starts: devices.iter().map(|(start, _)| *start).collect(),
            original,
            len: start,
        })
    }
}

impl Geometry for Zones {
    fn len(&self) -> u64 {
        self.len
    }

    #[expect(
        clippy::arithmetic_side_effects,
        reason = "chunk and zones are not empty; all values stay below the devices' sizes"
    )]
    fn place(&self, offset: u64, end: u64, _copy: usize) -> Run {
        let after = self.zones.partition_point(|z| z.start <= offset);
        let Some(zone) = after.checked_sub(1).and_then(|i| self.zones.get(i)) else {
            return Run {
                spot: Spot::Zero,
                len: end - offset,
            };
        };
        let relative = offset - zone.start;
        let width = wide(zone.devices.len()).max(1);
        let chosen = if self.original { offset } else { relative };
        let device = zone
            .devices
            .get(index(chosen / self.chunk % width))
            .copied()
            .unwrap_or(0);
        let row = relative / (self.chunk * width);
        let within = relative % self.chunk;
        let at = zone.device_start + row * self.chunk + within;
        let start = self.starts.get(device).copied().unwrap_or(0);
        Run::on(device, start + at, (self.chunk - within).min(end - offset))
    }
}
