//! CHS geometry: the specification's appendix, and what a disk's size is when geometry and Current Size disagree.

use super::layout::{Footer, Geometry, SECTOR};

/// The largest geometry: 65535 × 16 × 255 sectors, about 127 GiB. It means "does not fit, look at Current Size".
pub(super) const FULL: Geometry = Geometry {
    cylinders: zerocopy::U16::MAX_VALUE,
    heads: 16,
    sectors_per_track: 255,
};

impl Geometry {
    /// Sectors that the geometry covers.
    pub(super) fn sectors(self) -> u64 {
        u64::from(self.cylinders.get())
            .saturating_mul(self.heads.into())
            .saturating_mul(self.sectors_per_track.into())
    }

    /// Bytes that the geometry covers.
    pub(super) fn bytes(self) -> u64 {
        self.sectors().saturating_mul(SECTOR)
    }

    /// The specification's appendix "CHS Calculation": never more than `sectors`, often less.
    pub(super) fn below(sectors: u64) -> Self {
        let sectors = sectors.min(FULL.sectors());
        let tracks = |per_track: u64| sectors.checked_div(per_track).unwrap_or(0);
        let (per_track, heads) = if sectors >= 65535 * 16 * 63 {
            (255, 16)
        } else {
            let heads = tracks(17).div_ceil(1024).max(4);
            if tracks(17) < heads.saturating_mul(1024) && heads <= 16 {
                (17, heads)
            } else if tracks(31) < 16 * 1024 {
                (31, 16)
            } else {
                (63, 16)
            }
        };
        let cylinders = tracks(per_track).checked_div(heads).unwrap_or(0);
        Self {
            cylinders: u16::try_from(cylinders).unwrap_or(u16::MAX).into(),
            heads: u8::try_from(heads).unwrap_or(16),
            sectors_per_track: u8::try_from(per_track).unwrap_or(255),
        }
    }

    /// The smallest geometry of the appendix that covers `sectors`, as qemu-img rounds up by default.
    pub(super) fn covering(sectors: u64) -> Option<Self> {
        // One more cylinder is at most 16 × 255 sectors away; larger disks have no geometry.
        let last = sectors.saturating_add(16 * 255);
        (sectors.max(1)..=last)
            .map(Self::below)
            .find(|found| found.sectors() >= sectors.max(1))
    }
}

/// The guest's disk size, decided as qemu-img does: "vpc " (Virtual PC) and "qemu" mean the geometry unless it is the
/// largest one; every other maker means Current Size.
pub(super) fn disk_size(footer: &Footer) -> u64 {
    let by_geometry = matches!(&footer.creator_application, b"vpc " | b"qemu");
    if by_geometry && footer.disk_geometry != FULL {
        footer.disk_geometry.bytes()
    } else {
        footer.current_size.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn geometries_are_those_of_qemu_img() {
        // Sizes asked, geometries written by qemu-img 10.0.2 create.
        for (size, expected) in [
            (512_u64, (1, 4, 17)),
            (1 << 20, (31, 4, 17)),
            (10 << 20, (302, 4, 17)),
            (100 << 20, (1004, 12, 17)),
            (1 << 30, (2081, 16, 63)),
        ] {
            let found = Geometry::covering(size.div_ceil(512)).unwrap();
            let found = (found.cylinders.get(), found.heads, found.sectors_per_track);
            assert_eq!(found, expected, "{size}");
        }
        assert_eq!(Geometry::covering(130 << 21), None);
        assert_eq!(Geometry::below(u64::MAX), FULL);
    }
}
