use super::{Geometry, Run};
use crate::bytes::{index, wide};

/// Where parity lies, by Linux's names (md(4), and `lvmraid(7)` for the last ones).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    LeftAsymmetric,
    RightAsymmetric,
    LeftSymmetric,
    RightSymmetric,
    /// Parity on the first device.
    First,
    /// Parity on the last device: RAID 4, and RAID 5 on its way from or to it.
    Last,
    /// RAID 6 of other makers: the order of data of right-asymmetric.
    ZeroRestart,
    /// As left-asymmetric, one row on.
    NextRestart,
    /// As left-symmetric, Q before P.
    NextContinue,
}

/// RAID 4, 5 and 6. Device `i` of the array is target `i`.
#[derive(Debug)]
pub(crate) struct Parity {
    layout: Layout,
    /// Devices that take part in the rotation.
    devices: u64,
    /// 1 or 2 of them hold parity in each row.
    parities: u64,
    chunk: u64,
    starts: Vec<u64>,
    len: u64,
}

impl Parity {
    /// An array over devices of `device_len` bytes. `q_last` for RAID 6 made of a RAID 5 with all Q on an additional
    /// last device. `None` for numbers that make no array.
    pub(crate) fn new(
        starts: Vec<u64>,
        level: u32,
        layout: Layout,
        q_last: bool,
        chunk: u64,
        device_len: u64,
    ) -> Option<Self> {
        let all = wide(starts.len());
        let (devices, parities) = match (level, q_last) {
            (6, false) => (all, 2),
            (6, true) => (all.checked_sub(1)?, 1),
            _ => (all, 1),
        };
        let data = devices.checked_sub(parities).filter(|n| *n > 0)?;
        if chunk == 0 {
            return None;
        }
        let rows = device_len.checked_div(chunk)?;
        Some(Self {
            layout,
            devices,
            parities,
            chunk,
            starts,
            len: rows.checked_mul(data)?.checked_mul(chunk)?,
        })
    }

    /// The device of data chunk `column` in `row`, and the device of that row's P.
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "devices is at least two and larger than parities; rows and columns are small"
    )]
    fn device(&self, row: u64, column: u64) -> (u64, u64) {
        let n = self.devices;
        let last = n - 1;
        let left = |row: u64| last - row % n;
        // What lies behind P (and Q) in a row that is counted from the first device moves up.
        let shifted = |p: u64| {
            let d = if self.parities == 2 && p == last {
                column + 1
            } else if column >= p {
                column + self.parities
            } else {
                column
            };
            (d, p)
        };
        match self.layout {
            Layout::LeftAsymmetric => shifted(left(row)),
            Layout::RightAsymmetric | Layout::ZeroRestart => shifted(row % n),
            Layout::NextRestart => shifted(left(row + 1)),
            Layout::LeftSymmetric => ((left(row) + self.parities + column) % n, left(row)),
            Layout::RightSymmetric => ((row % n + self.parities + column) % n, row % n),
            Layout::NextContinue => ((left(row) + 1 + column) % n, left(row)),
            Layout::First => (column + self.parities, 0),
            Layout::Last => (column, n - self.parities),
        }
    }

    #[expect(
        clippy::arithmetic_side_effects,
        reason = "the constructor refused zero divisors; all values stay below the devices' sizes"
    )]
    fn locate(&self, offset: u64) -> (u64, u64, u64, u64) {
        let data = self.devices - self.parities;
        let number = offset / self.chunk;
        let (row, column) = (number / data, number % data);
        let (device, parity) = self.device(row, column);
        (device, parity, row * self.chunk, offset % self.chunk)
    }
}

impl Geometry for Parity {
    fn len(&self) -> u64 {
        self.len
    }

    fn place(&self, offset: u64, end: u64, _copy: usize) -> Run {
        let (device, _, row, within) = self.locate(offset);
        let target = index(device);
        let start = self.starts.get(target).copied().unwrap_or(0);
        let at = start.saturating_add(row).saturating_add(within);
        let room = self.chunk.saturating_sub(within);
        Run::on(target, at, room.min(end.saturating_sub(offset)))
    }

    /// The rest of the row without Q: its sum is what is missing.
    fn rebuild(&self, offset: u64, end: u64) -> Option<Vec<Run>> {
        let data = self.devices.checked_sub(self.parities)?;
        let (missing, parity, row, within) = self.locate(offset);
        let number = row.checked_div(self.chunk)?;
        let columns = (0..data).map(|column| self.device(number, column).0);
        let room = self.chunk.saturating_sub(within);
        let runs = columns
            .chain(std::iter::once(parity))
            .filter(|device| *device != missing)
            .map(|device| {
                let start = self.starts.get(index(device)).copied().unwrap_or(0);
                let at = start.saturating_add(row).saturating_add(within);
                Run::on(index(device), at, room.min(end.saturating_sub(offset)))
            });
        Some(runs.collect())
    }

    fn read_only(&self) -> Option<&'static str> {
        Some("an array with parity is read only: its parity would become wrong")
    }
}
