//! Chunks: from logical addresses, which trees and files speak, to places on devices.

use crate::layout::{ChunkHead, StripeItem};
use h2k_block::{Error, Result};
use zerocopy::FromBytes;

const NAME: &str = "chunk item";

/// Bits of a chunk's type.
mod bit {
    pub(super) const GROUPS: u64 = 0x7;
    pub(super) const DATA: u64 = 0x1;
    pub(super) const RAID0: u64 = 1 << 3;
    pub(super) const RAID1: u64 = 1 << 4;
    pub(super) const DUP: u64 = 1 << 5;
    pub(super) const RAID10: u64 = 1 << 6;
    pub(super) const RAID5: u64 = 1 << 7;
    pub(super) const RAID6: u64 = 1 << 8;
    pub(super) const RAID1C3: u64 = 1 << 9;
    pub(super) const RAID1C4: u64 = 1 << 10;
    pub(super) const PROFILES: u64 = 0x7f8;
}

/// How a chunk is laid out over its stripes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Profile {
    /// One stripe, one copy.
    Single,
    /// Every stripe is a whole copy: DUP, RAID1, RAID1C3, RAID1C4.
    Mirrors,
    /// Pieces of `stripe_len` in turn: RAID0, and RAID10 with `sub_stripes` copies of each.
    Striped,
    /// As striped, with one (RAID5) or two (RAID6) parity pieces in every row, in a place that rotates.
    Parity(u64),
}

/// One stripe: where a chunk lies on a device.
#[derive(Clone, Debug)]
pub(crate) struct Stripe {
    pub(crate) devid: u64,
    pub(crate) uuid: [u8; 16],
    /// First byte on the device.
    pub(crate) at: u64,
}

/// A run of logical addresses and its stripes.
#[derive(Clone, Debug)]
pub(crate) struct Chunk {
    pub(crate) logical: u64,
    pub(crate) len: u64,
    pub(crate) stripe_len: u64,
    pub(crate) profile: Profile,
    /// Copies of each byte (RAID5 and RAID6: one, parity aside).
    pub(crate) copies: u64,
    /// Whether file contents are allocated here.
    pub(crate) data: bool,
    pub(crate) stripes: Box<[Stripe]>,
}

/// Where one copy of a byte lies and how far it goes on from there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Index of the stripe.
    pub(crate) stripe: usize,
    /// Byte on the device.
    pub(crate) at: u64,
    /// Bytes that follow there.
    pub(crate) len: u64,
}

impl Chunk {
    /// Takes a chunk item apart. `logical` is its key's offset, `at` is where errors point. Also says how many bytes
    /// of `bytes` belong to it.
    pub(crate) fn parse(logical: u64, bytes: &[u8], sector: u32, at: u64) -> Result<(Self, usize)> {
        let bad = |what: String| Error::corrupt(NAME, at, format!("chunk {logical:#x}: {what}"));
        let (head, rest) = ChunkHead::ref_from_prefix(bytes).map_err(|_| bad("is cut short".to_owned()))?;
        let count = usize::from(head.num_stripes.get());
        let (items, rest) = <[StripeItem]>::ref_from_prefix_with_elems(rest, count)
            .map_err(|_| bad(format!("has {count} stripes, more than its item holds")))?;
        let used = bytes.len().saturating_sub(rest.len());
        let (len, stripe_len, kind) = (head.length.get(), head.stripe_len.get(), head.kind.get());
        let unknown = kind & !(bit::GROUPS | bit::PROFILES);
        if unknown != 0 {
            let what = format!("chunk {logical:#x} has a type with bits {unknown:#x}, which are not read");
            return Err(Error::unsupported(what).at(NAME, at));
        }
        if kind & bit::GROUPS == 0 {
            return Err(bad(format!(
                "type {kind:#x} is neither data nor metadata nor system"
            )));
        }
        if len == 0 || logical.checked_add(len).is_none() {
            return Err(bad(format!("has {len:#x} bytes")));
        }
        let whole = u64::from(sector);
        if !logical.is_multiple_of(whole) || !len.is_multiple_of(whole) {
            return Err(bad(format!(
                "{len:#x} bytes do not begin and end at sectors of {sector}"
            )));
        }
        if !stripe_len.is_power_of_two() || !(whole..=1 << 30).contains(&stripe_len) {
            return Err(bad(format!(
                "has pieces of {stripe_len} bytes, a power of two was expected"
            )));
        }
        let stripes = u64::try_from(count).unwrap_or(u64::MAX);
        let sub = u64::from(head.sub_stripes.get());
        let (profile, least, copies) = match kind & bit::PROFILES {
            0 => (Profile::Single, 1, 1),
            bit::RAID0 => (Profile::Striped, 1, 1),
            bit::RAID10 => (Profile::Striped, 2, sub),
            bit::DUP | bit::RAID1 | bit::RAID1C3 | bit::RAID1C4 => (Profile::Mirrors, 1, stripes),
            bit::RAID5 => (Profile::Parity(1), 2, 1),
            bit::RAID6 => (Profile::Parity(2), 3, 1),
            more => return Err(bad(format!("profile bits {more:#x} exclude each other"))),
        };
        if stripes < least || (profile == Profile::Single && stripes != 1) {
            return Err(bad(format!(
                "has {count} stripes, which its profile {kind:#x} does not allow"
            )));
        }
        if copies == 0 || !stripes.is_multiple_of(copies) {
            return Err(bad(format!("has {count} stripes in groups of {sub}")));
        }
        let stripes = items.iter().map(|s| Stripe {
            devid: s.devid.get(),
            uuid: s.dev_uuid,
            at: s.offset.get(),
        });
        let chunk = Self {
            logical,
            len,
            stripe_len,
            profile,
            copies,
            data: kind & bit::DATA != 0,
            stripes: stripes.collect(),
        };
        Ok((chunk, used))
    }

    /// First logical address after the chunk.
    pub(crate) fn end(&self) -> u64 {
        self.logical.saturating_add(self.len)
    }

    fn count(&self) -> u64 {
        u64::try_from(self.stripes.len()).unwrap_or(u64::MAX)
    }

    /// How many bytes each stripe covers on its device.
    pub(crate) fn on_device(&self) -> u64 {
        let (count, copies) = (self.count(), self.copies);
        let data = match self.profile {
            Profile::Single | Profile::Mirrors => return self.len,
            Profile::Striped => count.checked_div(copies),
            Profile::Parity(parity) => count.checked_sub(parity),
        };
        // Rounded up where a chunk does not end with a whole row.
        data.filter(|d| *d > 0).map_or(self.len, |d| self.len.div_ceil(d))
    }

    /// Where copy number `copy` of `logical` lies. `None` when the address is not in the chunk, there is no such
    /// copy, or the place overflows.
    pub(crate) fn place(&self, logical: u64, copy: u64) -> Option<Place> {
        let within = logical.checked_sub(self.logical).filter(|w| *w < self.len)?;
        let left = self.len.checked_sub(within)?;
        if copy >= self.copies {
            return None;
        }
        let (stripe, offset, len) = match self.profile {
            Profile::Single | Profile::Mirrors => (copy, within, left),
            Profile::Striped => {
                let groups = self.count().checked_div(self.copies)?;
                let (piece, inside) = self.piece(within)?;
                let stripe = piece
                    .checked_rem(groups)?
                    .checked_mul(self.copies)?
                    .checked_add(copy)?;
                let row = piece.checked_div(groups)?;
                self.at_row(stripe, row, inside, left)?
            }
            Profile::Parity(parity) => {
                let data = self.count().checked_sub(parity)?;
                let (piece, inside) = self.piece(within)?;
                let row = piece.checked_div(data)?;
                let turned = row
                    .checked_rem(self.count())?
                    .checked_add(piece.checked_rem(data)?)?;
                self.at_row(turned.checked_rem(self.count())?, row, inside, left)?
            }
        };
        let stripe = usize::try_from(stripe).ok()?;
        let at = self.stripes.get(stripe)?.at.checked_add(offset)?;
        at.checked_add(len)?;
        Some(Place { stripe, at, len })
    }

    /// Number of the piece that holds byte `within` of the chunk, and the byte within the piece.
    fn piece(&self, within: u64) -> Option<(u64, u64)> {
        Some((
            within.checked_div(self.stripe_len)?,
            within.checked_rem(self.stripe_len)?,
        ))
    }

    fn at_row(&self, stripe: u64, row: u64, inside: u64, left: u64) -> Option<(u64, u64, u64)> {
        let offset = row.checked_mul(self.stripe_len)?.checked_add(inside)?;
        Some((stripe, offset, self.stripe_len.checked_sub(inside)?.min(left)))
    }

    /// Which logical address lies at byte `offset` of a stripe, and for how long; `None` where parity may lie.
    pub(crate) fn logical_at(&self, stripe: usize, offset: u64) -> Option<(u64, u64)> {
        match self.profile {
            Profile::Single | Profile::Mirrors => {
                let left = self.len.checked_sub(offset).filter(|l| *l > 0)?;
                Some((self.logical.checked_add(offset)?, left))
            }
            Profile::Striped => {
                let groups = self.count().checked_div(self.copies)?;
                let (row, inside) = self.piece(offset)?;
                let group = u64::try_from(stripe).ok()?.checked_div(self.copies)?;
                let piece = row.checked_mul(groups)?.checked_add(group)?;
                let within = piece.checked_mul(self.stripe_len)?.checked_add(inside)?;
                let left = self.len.checked_sub(within).filter(|l| *l > 0)?;
                let here = self.stripe_len.checked_sub(inside)?;
                Some((self.logical.checked_add(within)?, left.min(here)))
            }
            Profile::Parity(_) => None,
        }
    }
}

/// All chunks, by logical address.
#[derive(Clone, Debug, Default)]
pub(crate) struct Chunks(Vec<Chunk>);

impl Chunks {
    /// Sorts `chunks` and makes sure that none overlaps another.
    pub(crate) fn new(mut chunks: Vec<Chunk>) -> Result<Self> {
        chunks.sort_by_key(|c| c.logical);
        for pair in chunks.windows(2) {
            if let [a, b] = pair
                && a.end() > b.logical
            {
                let what = format!(
                    "chunk {:#x} with {:#x} bytes overlaps chunk {:#x}",
                    a.logical, a.len, b.logical
                );
                return Err(Error::corrupt(NAME, b.logical, what));
            }
        }
        Ok(Self(chunks))
    }

    /// The chunk that holds `logical`.
    pub(crate) fn find(&self, logical: u64) -> Option<&Chunk> {
        let after = self.0.partition_point(|c| c.logical <= logical);
        after
            .checked_sub(1)
            .and_then(|i| self.0.get(i))
            .filter(|c| logical < c.end())
    }

    pub(crate) fn iter(&self) -> std::slice::Iter<'_, Chunk> {
        self.0.iter()
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
mod tests;
