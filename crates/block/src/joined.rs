use crate::{BlockRead, Class, Error, Extent, Kind, RawSpan, Result};
use std::sync::Arc;

/// One piece of a [`Joined`] disk.
pub struct Part {
    /// Where the bytes come from; `None` reads as zero.
    pub disk: Option<Arc<dyn BlockRead>>,
    /// First byte taken from `disk`.
    pub offset: u64,
    /// How many bytes this part covers.
    pub len: u64,
}

struct Placed {
    start: u64,
    part: Part,
}

/// Several disks laid end to end: a split VMDK, the linear segments of a logical volume.
pub struct Joined {
    parts: Vec<Placed>,
    len: u64,
}

impl Joined {
    /// Joins `parts` in order. Empty parts are dropped.
    ///
    /// # Errors
    /// [`Class::OutOfBounds`] when a part asks for bytes its disk does not have, or the sum overflows.
    pub fn new(parts: Vec<Part>) -> Result<Self> {
        let mut placed = Vec::with_capacity(parts.len());
        let mut start = 0_u64;
        for part in parts {
            let Some(end) = start.checked_add(part.len) else {
                return Err(Error::new(
                    Class::OutOfBounds,
                    "the parts together exceed 2^64 bytes",
                ));
            };
            let room = part.disk.as_ref().map(|d| d.len());
            let need = part.offset.checked_add(part.len);
            if let Some(room) = room
                && need.is_none_or(|need| need > room)
            {
                return Err(Error::new(
                    Class::OutOfBounds,
                    format!(
                        "a part needs bytes {:#x}+{:#x}, its file has {room:#x}",
                        part.offset, part.len
                    ),
                ));
            }
            if part.len > 0 {
                placed.push(Placed { start, part });
            }
            start = end;
        }
        Ok(Self {
            parts: placed,
            len: start,
        })
    }

    /// The part that holds `offset`, with the offset inside it and the bytes left in it.
    fn find(&self, offset: u64) -> Result<(&Part, u64, u64)> {
        let after = self.parts.partition_point(|p| p.start <= offset);
        let placed = after.checked_sub(1).and_then(|i| self.parts.get(i));
        let placed =
            placed.ok_or_else(|| Error::new(Class::OutOfBounds, "no part here").at("joined disk", offset))?;
        let within = offset.saturating_sub(placed.start);
        Ok((&placed.part, within, placed.part.len.saturating_sub(within)))
    }
}

impl BlockRead for Joined {
    fn len(&self) -> u64 {
        self.len
    }

    fn fetch(&self, mut offset: u64, mut buf: &mut [u8]) -> Result<()> {
        while !buf.is_empty() {
            let (part, within, room) = self.find(offset)?;
            let n = usize::try_from(room).unwrap_or(usize::MAX).min(buf.len());
            let (head, rest) = buf.split_at_mut(n);
            match &part.disk {
                Some(disk) => disk.read_at(part.offset.saturating_add(within), head)?,
                None => head.fill(0),
            }
            offset = offset.saturating_add(u64::try_from(n).unwrap_or(u64::MAX));
            buf = rest;
        }
        Ok(())
    }

    fn map(&self, offset: u64, end: u64) -> Result<Extent> {
        let (part, within, room) = self.find(offset)?;
        let len = end.saturating_sub(offset).min(room);
        let Some(disk) = &part.disk else {
            return Ok(Extent::new(offset, len, Kind::Zero));
        };
        let at = part.offset.saturating_add(within);
        let below = disk.extent_at(at, at.saturating_add(len))?;
        Ok(Extent {
            start: offset,
            ..below
        })
    }

    fn raw_at(&self, offset: u64, end: u64) -> Result<Option<RawSpan>> {
        let (part, within, room) = self.find(offset)?;
        let len = end.saturating_sub(offset).min(room);
        let at = part.offset.saturating_add(within);
        part.disk
            .as_ref()
            .map_or(Ok(None), |disk| disk.raw_at(at, at.saturating_add(len)))
    }

    fn grain(&self) -> u32 {
        self.parts
            .iter()
            .filter_map(|p| p.part.disk.as_ref())
            .map(|d| d.grain())
            .max()
            .unwrap_or(65536)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemDisk;

    fn disk(bytes: &[u8]) -> Option<Arc<dyn BlockRead>> {
        Some(Arc::new(MemDisk::new(bytes.to_vec())))
    }

    #[test]
    fn a_read_across_parts_joins_them() {
        let joined = Joined::new(vec![
            Part {
                disk: disk(&[1, 2, 3, 4]),
                offset: 1,
                len: 2,
            },
            Part {
                disk: None,
                offset: 0,
                len: 2,
            },
            Part {
                disk: disk(&[9, 9, 7]),
                offset: 2,
                len: 1,
            },
        ])
        .unwrap();
        let mut all = [0xff; 5];
        joined.read_at(0, &mut all).unwrap();
        assert_eq!(all, [2, 3, 0, 0, 7]);
        assert_eq!(joined.extent_at(1, 5).unwrap().len, 1);
        assert_eq!(joined.extent_at(2, 5).unwrap(), Extent::new(2, 2, Kind::Zero));
    }

    #[test]
    fn a_part_longer_than_its_disk_is_refused() {
        let parts = vec![Part {
            disk: disk(&[1, 2]),
            offset: 1,
            len: 2,
        }];
        assert_eq!(
            Joined::new(parts).err().map(|e| e.class()),
            Some(Class::OutOfBounds)
        );
    }
}
