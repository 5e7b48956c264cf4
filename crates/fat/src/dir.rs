//! Directories: short entries, and the pieces of long names before them.

use crate::layout::{DELETED, ENTRY, LAST_LONG, Long, PIECE, Short, attr};
use crate::oem;
use h2k_fs::wtf8;
use zerocopy::FromBytes;

/// One name of a directory.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    /// Byte of the volume where its short entry lies.
    pub(crate) at: u64,
    pub(crate) short: Short,
    /// The long name, where there is a valid one.
    pub(crate) long: Option<Vec<u16>>,
}

/// What a run of entries becomes.
pub(crate) enum Step {
    /// No name yet: free, a piece, `.` or `..`.
    Nothing,
    Name(Found),
    Label([u8; 11]),
    /// No entry was ever written from here on.
    End,
}

/// Puts entries together, one after the other.
#[derive(Default)]
pub(crate) struct Reader {
    units: Vec<u16>,
    /// Pieces still to come and the checksum they share.
    expected: u8,
    checksum: u8,
}

impl Reader {
    /// Takes the entry that lies at byte `at`.
    pub(crate) fn step(&mut self, at: u64, bytes: &[u8; ENTRY]) -> Step {
        let Ok(short) = Short::read_from_bytes(bytes) else {
            return Step::Nothing;
        };
        let [first, ..] = short.name;
        if first == 0 {
            return Step::End;
        }
        if first == DELETED {
            *self = Self::default();
            return Step::Nothing;
        }
        if short.attributes & attr::LONG_MASK == attr::LONG {
            if let Ok(long) = Long::read_from_bytes(bytes) {
                self.piece(&long);
            }
            return Step::Nothing;
        }
        let pieces = std::mem::take(self);
        if short.attributes & attr::VOLUME != 0 {
            return if short.attributes & attr::DIRECTORY == 0 {
                Step::Label(short.name)
            } else {
                Step::Nothing
            };
        }
        if short.name == *b".          " || short.name == *b"..         " {
            return Step::Nothing;
        }
        let long = pieces.finish(&short.name);
        Step::Name(Found { at, short, long })
    }

    /// Pieces come last first: the one with [`LAST_LONG`] begins a name, then numbers go down to 1.
    fn piece(&mut self, long: &Long) {
        let number = long.order & !LAST_LONG;
        let begins = long.order & LAST_LONG != 0;
        if long.kind != 0 || number == 0 || number > 20 {
            *self = Self::default();
            return;
        }
        if begins {
            self.units = vec![0xffff; usize::from(number).saturating_mul(PIECE)];
            self.checksum = long.checksum;
        } else if number != self.expected || long.checksum != self.checksum {
            *self = Self::default();
            return;
        }
        self.expected = number.saturating_sub(1);
        let from = usize::from(self.expected).saturating_mul(PIECE);
        let stored = long.name_1.iter().chain(&long.name_2).chain(&long.name_3);
        for (to, unit) in self.units.iter_mut().skip(from).zip(stored) {
            *to = unit.get();
        }
    }

    /// The long name, if all of its pieces came and they belong to this short name.
    fn finish(self, short: &[u8; 11]) -> Option<Vec<u16>> {
        if self.expected != 0 || self.units.is_empty() || self.checksum != checksum(short) {
            return None;
        }
        let name: Vec<u16> = self.units.into_iter().take_while(|u| *u != 0).collect();
        let sane = !name.is_empty()
            && name.len() <= 255
            && !name.contains(&u16::from(b'/'))
            && !matches!(name.as_slice(), [0x2e] | [0x2e, 0x2e]);
        sane.then_some(name)
    }
}

/// The checksum of a short name that the pieces of its long name carry (section 7.2).
pub(crate) fn checksum(name: &[u8; 11]) -> u8 {
    name.iter()
        .fold(0, |sum: u8, byte| sum.rotate_right(1).wrapping_add(*byte))
}

impl Found {
    /// The name to show, as bytes.
    pub(crate) fn name(&self) -> Vec<u8> {
        match &self.long {
            // A unit 0xffff after the end is padding; before it, it is a unit.
            Some(units) => wtf8::encode(units.iter().copied()),
            None => self.short_name(true).into_bytes(),
        }
    }

    /// The short name with its dot; `nt` applies the lower-case bits of Windows NT.
    pub(crate) fn short_name(&self, nt: bool) -> String {
        let mut bytes = self.short.name;
        if let Some(first) = bytes.first_mut()
            && *first == 0x05
        {
            // 0xe5 means deleted, so a name that begins with that letter is stored like this.
            *first = DELETED;
        }
        let (base, extension) = bytes.split_at(8);
        let show = |part: &[u8], lower: bool| -> String {
            let end = part
                .iter()
                .rposition(|b| *b != b' ')
                .map_or(0, |i| i.saturating_add(1));
            let shown = part.iter().take(end).take_while(|b| **b != 0);
            shown
                .map(|b| match *b {
                    // No name may hold these; Windows never writes them.
                    0..0x20 | b'/' => '_',
                    b if lower && nt => oem::lower(b),
                    b => oem::character(b),
                })
                .collect()
        };
        let mut name = show(base, self.short.case & 0x08 != 0);
        let extension = show(extension, self.short.case & 0x10 != 0);
        if !extension.is_empty() {
            name.push('.');
            name.push_str(&extension);
        }
        if name.is_empty() || name == "." || name == ".." {
            name = "_".to_owned();
        }
        name
    }

    /// Whether `wanted` (upper case, no dots at its end) is this entry's long or short name.
    pub(crate) fn is(&self, wanted: &[u16]) -> bool {
        let same = |units: &mut dyn Iterator<Item = u16>| units.map(oem::up).eq(wanted.iter().copied());
        self.long
            .as_ref()
            .is_some_and(|long| same(&mut trimmed(long).iter().copied()))
            || same(&mut self.short_name(false).encode_utf16())
    }
}

/// The first cluster of an entry, 0 for none; FAT12 and FAT16 have no upper half.
pub(crate) fn cluster(short: &Short, fat32: bool) -> u32 {
    let high = if fat32 {
        u32::from(short.cluster_high.get())
    } else {
        0
    };
    high << 16 | u32::from(short.cluster_low.get())
}

/// Without the dots at its end, which Windows does not count.
pub(crate) fn trimmed(units: &[u16]) -> &[u16] {
    let end = units.iter().rposition(|u| *u != u16::from(b'.'));
    end.and_then(|i| units.get(..=i)).unwrap_or(units)
}

#[cfg(test)]
mod tests {
    use super::*;
    use zerocopy::IntoBytes;

    fn entry(name: &[u8; 11], case: u8) -> Short {
        let mut short = Short::read_from_bytes(&[0; ENTRY]).unwrap();
        short.name = *name;
        short.case = case;
        short
    }

    fn shown(name: &[u8; 11], case: u8) -> String {
        let mut bytes = [0; ENTRY];
        bytes.copy_from_slice(entry(name, case).as_bytes());
        match Reader::default().step(0, &bytes) {
            Step::Name(found) => String::from_utf8(found.name()).unwrap(),
            _ => String::new(),
        }
    }

    #[test]
    fn short_names_are_shown_as_linux_shows_them() {
        assert_eq!(shown(b"README  TXT", 0), "README.TXT");
        assert_eq!(shown(b"README  TXT", 0x08), "readme.TXT");
        assert_eq!(shown(b"README  TXT", 0x18), "readme.txt");
        assert_eq!(shown(b"NOEXT      ", 0), "NOEXT");
        assert_eq!(shown(b"A B     C D", 0), "A B.C D");
        assert_eq!(shown(b"\x05AB        ", 0), "σAB");
        assert_eq!(shown(b"\x80\x81      \x84  ", 0x18), "çü.ä");
        assert_eq!(shown(b".          ", 0), "");
        assert_eq!(shown(b"A/B\x01       ", 0), "A_B_");
    }

    #[test]
    fn a_long_name_counts_only_whole_and_with_the_right_checksum() {
        let short = entry(b"ALONGN~1TXT", 0);
        let units: Vec<u16> = "A long näme.txt".encode_utf16().collect();
        let piece = |number: u8, last: bool, sum: u8| {
            let mut long = Long::read_from_bytes(&[0; ENTRY]).unwrap();
            long.order = number | if last { LAST_LONG } else { 0 };
            long.attributes = attr::LONG;
            long.checksum = sum;
            let from = usize::from(number - 1) * PIECE;
            let slots = long
                .name_1
                .iter_mut()
                .chain(&mut long.name_2)
                .chain(&mut long.name_3);
            for (i, slot) in slots.enumerate() {
                let unit = match units.len().checked_sub(from + i) {
                    Some(0) => 0,
                    None => 0xffff,
                    Some(_) => units[from + i],
                };
                slot.set(unit);
            }
            let mut bytes = [0; ENTRY];
            bytes.copy_from_slice(long.as_bytes());
            bytes
        };
        let mut last = [0; ENTRY];
        last.copy_from_slice(short.as_bytes());
        let name = |pieces: &[[u8; ENTRY]]| {
            let mut reader = Reader::default();
            for bytes in pieces {
                assert!(matches!(reader.step(0, bytes), Step::Nothing));
            }
            match reader.step(0, &last) {
                Step::Name(found) => String::from_utf8(found.name()).unwrap(),
                _ => String::new(),
            }
        };
        let sum = checksum(&short.name);
        assert_eq!(
            name(&[piece(2, true, sum), piece(1, false, sum)]),
            "A long näme.txt"
        );
        assert_eq!(name(&[piece(2, true, sum)]), "ALONGN~1.TXT");
        assert_eq!(name(&[piece(1, false, sum)]), "ALONGN~1.TXT");
        assert_eq!(name(&[piece(2, true, 7), piece(1, false, 7)]), "ALONGN~1.TXT");
        assert_eq!(name(&[piece(2, true, sum), piece(1, false, 7)]), "ALONGN~1.TXT");
    }
}
