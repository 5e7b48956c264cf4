//! Names: short ones nobody may have, and the sequences of pieces that long ones are stored in.

use crate::layout::{ENTRY, LAST_LONG, Long, Short};
use zerocopy::FromBytes;

/// Characters no short name has (section 6.1).
const NEVER: &[u8] = b"\"*./:<>?\\|\x7f";

/// What is wrong with a short name.
pub(super) fn wrong(short: &Short) -> Option<&'static str> {
    let [first, rest @ ..] = &short.name;
    if *first == b' ' {
        return Some("a short name that begins with a space");
    }
    let never = |byte: &u8| *byte < 0x20 || NEVER.contains(byte);
    // 0x05 stands for 0xe5, which would mean that the entry is free.
    if rest.iter().any(never) || (*first != 0x05 && never(first)) {
        return Some("a short name with characters that none may have");
    }
    None
}

/// The pieces of a long name as they come: the last one first, numbered down to 1, all with one checksum.
#[derive(Default)]
pub(super) struct Pieces {
    /// The one that came last: where it lies, its number, its checksum.
    last: Option<(u64, u8, u8)>,
}

impl Pieces {
    /// Takes the piece at byte `at`; says what is wrong with it.
    pub(super) fn take(&mut self, at: u64, bytes: &[u8; ENTRY]) -> Option<&'static str> {
        let Ok(long) = Long::read_from_bytes(bytes) else {
            return Some("is too short");
        };
        let number = long.order & !LAST_LONG;
        let before = self.last.replace((at, number, long.checksum));
        if long.kind != 0 || long.cluster.get() != 0 {
            return Some("a piece of a name with a kind or a cluster");
        }
        if number == 0 || number > 20 {
            self.last = None;
            return Some("a piece of a name with a number that none has");
        }
        match before {
            _ if long.order & LAST_LONG != 0 => before.map(|_| "a name begins where another has not ended"),
            Some((_, above, checksum)) if above.checked_sub(1) == Some(number) => {
                (checksum != long.checksum).then_some("pieces of one name with different checksums")
            }
            _ => Some("a piece of a name that does not follow the one before"),
        }
    }

    /// Ends the name before an entry whose short name has this checksum; says what is wrong with it, and where.
    pub(super) fn end(&mut self, sum: u8) -> Option<(u64, &'static str)> {
        let (at, number, checksum) = self.last.take()?;
        if number != 1 {
            return Some((at, "a name whose first pieces are missing"));
        }
        (checksum != sum).then_some((at, "a name whose checksum is not that of its entry"))
    }

    /// Ends the name where no entry follows.
    pub(super) fn drop_all(&mut self) -> Option<(u64, &'static str)> {
        let (at, ..) = self.last.take()?;
        Some((at, "pieces of a name without an entry"))
    }
}
