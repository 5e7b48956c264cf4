//! One message.

use std::fmt;

/// A number of 128 bits: of a machine, a boot, a file, a kind of message. Shown as 32 hexadecimal digits.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(pub [u8; 16]);

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Id {
    /// Reads 32 hexadecimal digits; `None` for anything else.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        if text.len() != 32 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        u128::from_str_radix(text, 16).ok().map(|n| Self(n.to_be_bytes()))
    }
}

/// When and where an entry was written: what orders it among others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryHead {
    /// Number in the order of writing, within [`seqnum_id`](Self::seqnum_id).
    pub seqnum: u64,
    /// What the numbers are counted in.
    pub seqnum_id: Id,
    /// Microseconds since 1970 UTC.
    pub realtime: u64,
    /// Microseconds since the boot began.
    pub monotonic: u64,
    /// The boot it belongs to.
    pub boot: Id,
    /// Exclusive or of the hashes of all its fields.
    pub xor_hash: u64,
}

impl EntryHead {
    /// The name of the entry's place, as `journalctl --show-cursor` prints it and `--cursor` takes it.
    #[must_use]
    pub fn cursor(&self) -> String {
        format!(
            "s={};i={:x};b={};m={:x};t={:x};x={:x}",
            self.seqnum_id, self.seqnum, self.boot, self.monotonic, self.realtime, self.xor_hash
        )
    }

    /// Reads what [`cursor`](Self::cursor) writes, the parts in any order; `None` where one is missing or odd.
    #[must_use]
    pub fn from_cursor(text: &str) -> Option<Self> {
        let part = |name: &str| {
            let parts = text.trim().split(';').filter_map(|part| part.split_once('='));
            let mut values = parts.filter(|(n, _)| *n == name).map(|(_, value)| value);
            values.next()
        };
        let number = |name: &str| u64::from_str_radix(part(name)?, 16).ok();
        let id = |name: &str| Id::parse(part(name)?.as_bytes());
        Some(Self {
            seqnum: number("i")?,
            seqnum_id: id("s")?,
            realtime: number("t")?,
            monotonic: number("m")?,
            boot: id("b")?,
            xor_hash: number("x")?,
        })
    }
}

/// One message with all its fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When and where.
    pub head: EntryHead,
    /// Which of the journal's files it was read from.
    pub file: usize,
    /// Where in that file, in bytes.
    pub offset: u64,
    /// Names and values in the order of the file. A name may occur more than once; a value may be any bytes.
    pub fields: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Entry {
    /// The first value of the field `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        let found = self.fields.iter().find(|(n, _)| n == name.as_bytes());
        found.map(|(_, value)| value.as_slice())
    }

    /// The first value of the field `name`, as text.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<String> {
        self.get(name)
            .map(|value| String::from_utf8_lossy(value).into_owned())
    }

    /// Severity as in syslog(3): 0 emergency to 7 debug.
    #[must_use]
    pub fn priority(&self) -> Option<u8> {
        match self.get("PRIORITY")? {
            [digit @ b'0'..=b'7'] => digit.checked_sub(b'0'),
            _ => None,
        }
    }

    /// The entry in systemd's export format, without a cursor: text as `NAME=value`, other bytes with their length.
    /// Ends in an empty line.
    #[must_use]
    pub fn export(&self) -> Vec<u8> {
        let head = &self.head;
        let mut out = format!(
            "__REALTIME_TIMESTAMP={}\n__MONOTONIC_TIMESTAMP={}\n_BOOT_ID={}\n",
            head.realtime, head.monotonic, head.boot
        )
        .into_bytes();
        for (name, value) in &self.fields {
            if name == b"_BOOT_ID" {
                continue;
            }
            out.extend_from_slice(name);
            if is_printable(value, false) {
                out.push(b'=');
            } else {
                out.push(b'\n');
                out.extend_from_slice(&crate::layout::wide(value.len()).to_le_bytes());
            }
            out.extend_from_slice(value);
            out.push(b'\n');
        }
        out.push(b'\n');
        out
    }
}

/// UTF-8 without control characters but the tabulator and, where that is allowed, the new line.
pub(crate) fn is_printable(value: &[u8], lines: bool) -> bool {
    let fine = |c: char| c == '\t' || (lines && c == '\n') || !c.is_control();
    std::str::from_utf8(value).is_ok_and(|text| text.chars().all(fine))
}
