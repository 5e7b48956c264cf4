//! GUIDs as Microsoft stores them, and deterministic ones.

use std::fmt;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Sixteen bytes; the first three fields little-endian, as in VHDX and VDI.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(transparent)]
pub(crate) struct Guid(pub(crate) [u8; 16]);

impl Guid {
    /// The GUID whose text begins with the 32-bit, two 16-bit and one 64-bit number.
    #[allow(
        clippy::as_conversions,
        clippy::arithmetic_side_effects,
        reason = "shifts and byte takes in a constant expression, where no trait function may be called"
    )]
    pub(crate) const fn of(a: u32, b: u16, c: u16, d: u64) -> Self {
        let [a0, a1, a2, a3] = a.to_le_bytes();
        let [b0, b1] = b.to_le_bytes();
        let [c0, c1] = c.to_le_bytes();
        let [d0, d1, d2, d3, d4, d5, d6, d7] = d.to_be_bytes();
        Self([a0, a1, a2, a3, b0, b1, c0, c1, d0, d1, d2, d3, d4, d5, d6, d7])
    }

    /// Whether all bytes are zero.
    pub(crate) fn is_nil(self) -> bool {
        self == Self::default()
    }

    /// A version 4 GUID made from two numbers; the same numbers give the same GUID.
    pub(crate) fn from_seed(high: u64, low: u64) -> Self {
        let mut bytes = [0; 16];
        let (head, tail) = bytes.split_at_mut(8);
        head.copy_from_slice(&mix(high ^ mix(low)).to_le_bytes());
        tail.copy_from_slice(&mix(low ^ mix(high.rotate_left(32))).to_le_bytes());
        let [.., c1, d0, _, _, _, _, _, _, _] = &mut bytes;
        *c1 = (*c1 & 0x0f) | 0x40;
        *d0 = (*d0 & 0x3f) | 0x80;
        Self(bytes)
    }
}

/// The finishing step of SplitMix64: every bit of the answer depends on every bit of `z`.
pub(crate) fn mix(z: u64) -> u64 {
    let z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a0, a1, a2, a3, b0, b1, c0, c1, d0, d1, node @ ..] = self.0;
        let a = u32::from_le_bytes([a0, a1, a2, a3]);
        let b = u16::from_le_bytes([b0, b1]);
        let c = u16::from_le_bytes([c0, c1]);
        write!(f, "{a:08x}-{b:04x}-{c:04x}-{d0:02x}{d1:02x}-")?;
        node.iter().try_for_each(|n| write!(f, "{n:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guid_is_written_as_microsoft_writes_it() {
        let bat = Guid::of(0x2dc2_7766, 0xf623, 0x4200, 0x9d64_115e_9bfd_4a08);
        assert_eq!(bat.to_string(), "2dc27766-f623-4200-9d64-115e9bfd4a08");
        assert_eq!(bat.0[..4], [0x66, 0x77, 0xc2, 0x2d]);
    }

    #[test]
    fn the_same_seed_gives_the_same_version_4_guid() {
        let g = Guid::from_seed(1, 2);
        assert_eq!(g, Guid::from_seed(1, 2));
        assert_ne!(g, Guid::from_seed(2, 1));
        assert_eq!((g.0[7] >> 4, g.0[8] >> 6), (4, 2));
    }
}
