//! A file's set of entries: the file, its stream, its name.

use super::layout::{DIRECTORY, File, NO_CHAIN, Piece, Stream, entry};
use crate::layout::ENTRY;
use crate::time::stamp;
use h2k_block::{Error, Result};
use h2k_fs::Time;
use zerocopy::FromBytes;

const NAME: &str = "directory entry set";

/// A file or directory.
#[derive(Clone, Debug)]
pub(crate) struct Set {
    pub(crate) file: File,
    pub(crate) stream: Stream,
    pub(crate) name: Vec<u16>,
    /// Whether the checksum of the set agrees.
    pub(crate) whole: bool,
}

impl Set {
    /// Reads the entries of a set that lies at byte `at`.
    ///
    /// # Errors
    /// When they are not a file, its stream and its name.
    pub(crate) fn parse(at: u64, bytes: &[u8]) -> Result<Self> {
        let bad = |what: &str| Error::corrupt(NAME, at, what);
        let (entries, _) = bytes.as_chunks::<ENTRY>();
        let [first, second, rest @ ..] = entries else {
            return Err(bad("has no stream"));
        };
        let file = File::read_from_bytes(first).map_err(|_| bad("is too short"))?;
        let stream = Stream::read_from_bytes(second).map_err(|_| bad("is too short"))?;
        if file.kind != entry::FILE || stream.kind != entry::STREAM {
            return Err(bad("does not begin with a file and its stream"));
        }
        let mut name = Vec::new();
        for bytes in rest {
            match Piece::read_from_bytes(bytes) {
                Ok(piece) if piece.kind == entry::NAME => name.extend(piece.units.iter().map(|u| u.get())),
                _ => break,
            }
        }
        let len = match usize::from(stream.name_len) {
            // Drivers exist that made names of 256 units, whose length does not fit; Linux goes by the units.
            0 => name.iter().position(|u| *u == 0).unwrap_or(name.len()).min(255),
            len => len,
        };
        if len == 0 || name.len() < len {
            return Err(bad("has no name, or not all of it"));
        }
        name.truncate(len);
        // No name may hold these; whoever made this volume did not know.
        for unit in &mut name {
            if *unit == 0 || *unit == u16::from(b'/') {
                *unit = u16::from(b'_');
            }
        }
        if let [0x2e] | [0x2e, 0x2e] = name.as_slice() {
            name.fill(u16::from(b'_'));
        }
        let whole = checksum(bytes) == file.checksum.get();
        Ok(Self {
            file,
            stream,
            name,
            whole,
        })
    }

    pub(crate) fn is_dir(&self) -> bool {
        self.file.attributes.get() & DIRECTORY != 0
    }

    /// Whether the clusters follow one another, without the FAT.
    pub(crate) fn contiguous(&self) -> bool {
        self.stream.flags & NO_CHAIN != 0
    }

    pub(crate) fn modified(&self) -> Time {
        moment(
            self.file.modified.get(),
            self.file.modified_tenth,
            self.file.modified_zone,
        )
    }

    pub(crate) fn created(&self) -> Time {
        moment(
            self.file.created.get(),
            self.file.created_tenth,
            self.file.created_zone,
        )
    }

    pub(crate) fn accessed(&self) -> Time {
        moment(self.file.accessed.get(), 0, self.file.accessed_zone)
    }
}

/// A timestamp (section 7.4.8), in UTC where the volume says how far from it that was: bit 7 of `zone`, and the rest
/// in signed quarters of an hour.
fn moment(value: u32, tenth: u8, zone: u8) -> Time {
    let [a, b, c, d] = value.to_le_bytes();
    let mut time = stamp(u16::from_le_bytes([c, d]), u16::from_le_bytes([a, b]), tenth);
    if zone & 0x80 != 0 {
        let quarters = i64::from(zone & 0x7f);
        let quarters = if quarters >= 64 {
            quarters.saturating_sub(128)
        } else {
            quarters
        };
        time.seconds = time.seconds.saturating_sub(quarters.saturating_mul(900));
    }
    time
}

/// The checksum of a set (section 6.3.3): everything but the two bytes that hold it.
pub(crate) fn checksum(bytes: &[u8]) -> u16 {
    let summed = bytes.iter().enumerate().filter(|(i, _)| !matches!(i, 2 | 3));
    summed.fold(0, |sum: u16, (_, byte)| {
        sum.rotate_right(1).wrapping_add((*byte).into())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_quarters_of_an_hour_from_utc() {
        // 2021-07-09 13:14:16
        let value = (41_u32 << 9 | 7 << 5 | 9) << 16 | 13 << 11 | 14 << 5 | 8;
        let seconds = |zone| moment(value, 0, zone).seconds;
        assert_eq!(seconds(0x80), 1_625_836_456);
        assert_eq!(seconds(0), 1_625_836_456, "no zone is taken as UTC");
        assert_eq!(seconds(0x80 | 8), 1_625_836_456 - 7200);
        assert_eq!(seconds(0x80 | (128 - 20)), 1_625_836_456 + 5 * 3600);
        assert_eq!(moment(value, 150, 0x80).nanos, 500_000_000);
    }
}
