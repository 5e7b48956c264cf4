use crate::bytes::{array, index, le16, le32, units, wide};
use crate::hive::Hive;
use crate::layout::{NOWHERE, db, vk};
use crate::name::Name;
use h2k_block::{Meter, Result};
use std::borrow::Cow;
use std::fmt;

/// What the data of a value is meant to be. Windows does not enforce it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Kind(pub u32);

impl Kind {
    /// `REG_NONE`
    pub const NONE: Self = Self(0);
    /// `REG_SZ`: UTF-16 text, usually with a zero at its end.
    pub const SZ: Self = Self(1);
    /// `REG_EXPAND_SZ`: text with `%VARIABLES%`.
    pub const EXPAND_SZ: Self = Self(2);
    /// `REG_BINARY`
    pub const BINARY: Self = Self(3);
    /// `REG_DWORD`: 32 bits, little-endian.
    pub const DWORD: Self = Self(4);
    /// `REG_DWORD_BIG_ENDIAN`
    pub const DWORD_BE: Self = Self(5);
    /// `REG_LINK`: the target of a link between keys.
    pub const LINK: Self = Self(6);
    /// `REG_MULTI_SZ`: texts, each with a zero at its end, and one more zero.
    pub const MULTI_SZ: Self = Self(7);
    /// `REG_QWORD`: 64 bits, little-endian.
    pub const QWORD: Self = Self(11);

    /// Names in the order of their numbers.
    const NAMES: [&'static str; 12] = [
        "REG_NONE",
        "REG_SZ",
        "REG_EXPAND_SZ",
        "REG_BINARY",
        "REG_DWORD",
        "REG_DWORD_BIG_ENDIAN",
        "REG_LINK",
        "REG_MULTI_SZ",
        "REG_RESOURCE_LIST",
        "REG_FULL_RESOURCE_DESCRIPTOR",
        "REG_RESOURCE_REQUIREMENTS_LIST",
        "REG_QWORD",
    ];

    /// The kind called `name`, with or without `REG_`, in any case, or by its number.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let known = Self::NAMES.iter().position(|known| {
            known.eq_ignore_ascii_case(name)
                || known
                    .strip_prefix("REG_")
                    .is_some_and(|short| short.eq_ignore_ascii_case(name))
        });
        match known {
            Some(n) => u32::try_from(n).ok().map(Self),
            None => match name.strip_prefix("0x") {
                Some(digits) => u32::from_str_radix(digits, 16).ok().map(Self),
                None => name.parse().ok().map(Self),
            },
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Self::NAMES.get(index(self.0)) {
            Some(name) => f.write_str(name),
            None => write!(f, "{:#x}", self.0),
        }
    }
}

/// A value: a view over its record.
#[derive(Clone, Copy, Debug)]
pub struct Value<'h> {
    hive: &'h Hive,
    at: u32,
    record: &'h [u8],
    name: Name<'h>,
}

impl<'h> Value<'h> {
    pub(crate) fn at(hive: &'h Hive, at: u32) -> Result<Self> {
        let (record, name) = hive.named(at, &vk::RECORD)?;
        Ok(Self {
            hive,
            at,
            record,
            name,
        })
    }

    /// Where its record lies.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.at
    }

    /// Its name; empty for the default value.
    #[must_use]
    pub fn name(&self) -> Name<'h> {
        self.name
    }

    /// What its data is meant to be.
    #[must_use]
    pub fn kind(&self) -> Kind {
        Kind(le32(self.record, vk::TYPE).unwrap_or(0))
    }

    /// Whether it says that a value below does not exist (layered registries).
    #[must_use]
    pub fn is_tombstone(&self) -> bool {
        le16(self.record, vk::FLAGS).unwrap_or(0) & vk::TOMBSTONE != 0
    }

    /// Length of its data in bytes, as its record says.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.size_field() & !vk::RESIDENT
    }

    /// Whether it has no data.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The data as stored.
    ///
    /// # Errors
    /// `Corrupt` when it does not lie where the record says, or is shorter; `Limit` when it is larger than the limits
    /// the hive was opened with.
    pub fn data(&self) -> Result<Cow<'h, [u8]>> {
        let len = index(self.len());
        if self.size_field() & vk::RESIDENT != 0 {
            let room = self.record.get(vk::DATA..vk::TYPE).unwrap_or_default();
            return match room.get(..len) {
                Some(data) => Ok(Cow::Borrowed(data)),
                None => {
                    let found = format!("{len} bytes in place of the offset, expected at most 4");
                    Err(self.hive.bad(self.at, "key value", found))
                }
            };
        }
        let at = self.data_offset();
        if len == 0 {
            return Ok(Cow::Borrowed(&[]));
        }
        let cell = self.hive.cell(at, "value data")?;
        let big = self.hive.minor >= db::SINCE && len > db::SEGMENT;
        if big && array(cell, 0) == Some(db::SIGNATURE) {
            return self.segments(at, cell, len).map(Cow::Owned);
        }
        match cell.get(..len) {
            Some(data) => Ok(Cow::Borrowed(data)),
            None => {
                let found = format!("{} bytes, the value has {len}", cell.len());
                Err(self.hive.bad(at, "value data", found))
            }
        }
    }

    /// Its data as text: up to the first zero. Units that are no UTF-16 become U+FFFD. Meant for the three text kinds.
    ///
    /// # Errors
    /// As [`Value::data`].
    pub fn text(&self) -> Result<String> {
        let data = self.data()?;
        let text = units(&data).take_while(|unit| *unit != 0);
        Ok(String::from_utf16_lossy(&text.collect::<Vec<_>>()))
    }

    /// Its data as a list of texts: up to the empty one, or the end.
    ///
    /// # Errors
    /// As [`Value::data`].
    pub fn texts(&self) -> Result<Vec<String>> {
        let data = self.data()?;
        let all: Vec<u16> = units(&data).collect();
        let texts = all.split(|unit| *unit == 0).take_while(|text| !text.is_empty());
        Ok(texts.map(String::from_utf16_lossy).collect())
    }

    /// Its number, for the kinds that are numbers and have the length of one.
    ///
    /// # Errors
    /// As [`Value::data`].
    pub fn number(&self) -> Result<Option<u64>> {
        let data = self.data()?;
        Ok(match (self.kind(), &*data) {
            (Kind::DWORD, [a, b, c, d]) => Some(u64::from(u32::from_le_bytes([*a, *b, *c, *d]))),
            (Kind::DWORD_BE, [a, b, c, d]) => Some(u64::from(u32::from_be_bytes([*a, *b, *c, *d]))),
            (Kind::QWORD, data) => data.try_into().ok().map(u64::from_le_bytes),
            _ => None,
        })
    }

    pub(crate) fn size_field(&self) -> u32 {
        le32(self.record, vk::SIZE).unwrap_or(0)
    }

    pub(crate) fn data_offset(&self) -> u32 {
        le32(self.record, vk::DATA).unwrap_or(NOWHERE)
    }

    /// Joins the segments of big data.
    fn segments(&self, at: u32, cell: &[u8], len: usize) -> Result<Vec<u8>> {
        let (list, count) = segment_list(self.hive, at, cell)?;
        if len > self.hive.bytes.len() || count < len.div_ceil(db::SEGMENT) {
            let found = format!("{count} segments for {len} bytes");
            return Err(self.hive.bad(at, "big data", found));
        }
        Meter::new(self.hive.limits).bytes(wide(len), "big data")?;
        let mut data = Vec::with_capacity(len);
        for i in 0..count {
            let want = len.saturating_sub(data.len()).min(db::SEGMENT);
            if want == 0 {
                break;
            }
            let segment = le32(list, i.saturating_mul(4)).unwrap_or(NOWHERE);
            let cell = self.hive.cell(segment, "data segment")?;
            let Some(piece) = cell.get(..want) else {
                let found = format!("{} bytes, expected {want}", cell.len());
                return Err(self.hive.bad(segment, "data segment", found));
            };
            data.extend_from_slice(piece);
        }
        Ok(data)
    }
}

/// The list of segments of the big data record `cell` at `at`, and how many it has.
pub(crate) fn segment_list<'h>(hive: &'h Hive, at: u32, cell: &[u8]) -> Result<(&'h [u8], usize)> {
    let count = usize::from(le16(cell, db::SEGMENTS).unwrap_or(0));
    let offset = le32(cell, db::LIST).unwrap_or(NOWHERE);
    let list = hive.cell(offset, "list of segments")?;
    match list.get(..count.saturating_mul(4)) {
        Some(list) => Ok((list, count)),
        None => {
            let found = format!("{count} segments, their list has {} bytes", list.len());
            Err(hive.bad(at, "big data", found))
        }
    }
}

/// The values of a key. An error in one does not end the others.
#[derive(Clone, Debug)]
pub struct Values<'h> {
    hive: &'h Hive,
    at: u32,
    /// Elements not seen yet; `None` before the list was opened.
    list: Option<&'h [u8]>,
    left: u32,
}

impl<'h> Values<'h> {
    pub(crate) fn new(hive: &'h Hive, at: u32, count: u32) -> Self {
        Self {
            hive,
            at,
            list: None,
            left: count,
        }
    }
}

impl<'h> Iterator for Values<'h> {
    type Item = Result<Value<'h>>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left.checked_sub(1)?;
        let list = match self.list {
            Some(list) => list,
            None => match self.hive.cell(self.at, "key values list") {
                Ok(list) => list,
                Err(e) => {
                    self.left = 0;
                    return Some(Err(e));
                }
            },
        };
        let Some((element, rest)) = list.split_first_chunk::<4>() else {
            let found = format!("{} more values than the cell has room for", self.left);
            self.left = 0;
            return Some(Err(self.hive.bad(self.at, "key values list", found)));
        };
        self.list = Some(rest);
        self.left = self.left.saturating_sub(1);
        Some(Value::at(self.hive, u32::from_le_bytes(*element)))
    }
}
