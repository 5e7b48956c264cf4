//! The header: an index of tags and the data they point into. All numbers are big-endian.
//!
//! ```text
//! 0      4      8                    8+16n
//! | n    | len  | n × (tag, type, offset, count) | len bytes of data |
//! ```

use crate::Package;
use crate::bytes::{be32, be64, index, text};
use crate::package::filled;
use h2k_block::{Error, Result};

/// What a tag's data is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TagType {
    /// Nothing, or a kind that is not text or number.
    Other,
    /// 32-bit numbers.
    Int32,
    /// 64-bit numbers.
    Int64,
    /// Text that ends in a zero byte; of several (translations) the first.
    Text,
}

/// One header of an rpm database.
#[derive(Clone, Copy, Debug)]
pub struct Header<'a> {
    index: &'a [u8],
    data: &'a [u8],
}

const NAME: &str = "rpm header";
const ENTRY: usize = 16;

mod tag {
    pub(super) const NAME: u32 = 1000;
    pub(super) const VERSION: u32 = 1001;
    pub(super) const RELEASE: u32 = 1002;
    pub(super) const EPOCH: u32 = 1003;
    pub(super) const SUMMARY: u32 = 1004;
    pub(super) const DESCRIPTION: u32 = 1005;
    pub(super) const BUILD_TIME: u32 = 1006;
    pub(super) const INSTALL_TIME: u32 = 1008;
    pub(super) const SIZE: u32 = 1009;
    pub(super) const VENDOR: u32 = 1011;
    pub(super) const LICENSE: u32 = 1014;
    pub(super) const PACKAGER: u32 = 1015;
    pub(super) const GROUP: u32 = 1016;
    pub(super) const URL: u32 = 1020;
    pub(super) const ARCH: u32 = 1022;
    pub(super) const SOURCE_RPM: u32 = 1044;
    pub(super) const LONG_SIZE: u32 = 5009;
}

impl<'a> Header<'a> {
    /// Takes a stored header apart.
    ///
    /// # Errors
    /// [`h2k_block::Class::Corrupt`] when its lengths do not fit its bytes.
    pub fn parse(blob: &'a [u8]) -> Result<Self> {
        let short = || Error::corrupt(NAME, 0, format!("ends after {} bytes", blob.len()));
        let count = be32(blob, 0).ok_or_else(short)?;
        let len = be32(blob, 4).ok_or_else(short)?;
        let rest = blob.get(8..).unwrap_or_default();
        let room = index(count).checked_mul(ENTRY).filter(|n| *n <= rest.len());
        let Some((index_bytes, data)) = room.map(|n| rest.split_at(n)) else {
            return Err(Error::corrupt(
                NAME,
                0,
                format!("has {count} tags, which do not fit into {} bytes", blob.len()),
            ));
        };
        let Some(data) = data.get(..index(len)) else {
            return Err(Error::corrupt(
                NAME,
                4,
                format!("has {len} bytes of data, {} are there", data.len()),
            ));
        };
        Ok(Self {
            index: index_bytes,
            data,
        })
    }

    /// The tags: number, type, offset of the data, how many elements.
    pub fn tags(&self) -> impl Iterator<Item = (u32, TagType, u32, u32)> {
        self.index.chunks_exact(ENTRY).filter_map(|entry| {
            let kind = match be32(entry, 4)? {
                4 => TagType::Int32,
                5 => TagType::Int64,
                6 | 8 | 9 => TagType::Text,
                _ => TagType::Other,
            };
            Some((be32(entry, 0)?, kind, be32(entry, 8)?, be32(entry, 12)?))
        })
    }

    /// The first text at `offset` of the data.
    #[must_use]
    pub fn text_at(&self, offset: u32) -> Option<&'a [u8]> {
        let rest = self.data.get(index(offset)..)?;
        let end = rest.iter().position(|b| *b == 0)?;
        rest.get(..end)
    }
}

/// The package a header describes; `None` where it has no name or no version.
#[must_use]
pub fn package(header: &Header<'_>) -> Option<Package> {
    let mut package = Package::default();
    let (mut named, mut versioned) = (false, false);
    let mut long_size = None;
    for (tag, kind, offset, count) in header.tags() {
        if count == 0 {
            continue;
        }
        match kind {
            TagType::Text => {
                let Some(value) = header.text_at(offset) else {
                    continue;
                };
                // Most of a header is lists of files: their text is not looked at.
                match tag {
                    tag::NAME => (package.name, named) = (text(value), !value.is_empty()),
                    tag::VERSION => (package.version, versioned) = (text(value), true),
                    tag::RELEASE => package.release = filled(&text(value)),
                    tag::SUMMARY => package.summary = filled(&text(value)),
                    tag::DESCRIPTION => {
                        package.description = Some(text(value)).filter(|t| filled(t).is_some())
                    }
                    tag::VENDOR => package.vendor = filled(&text(value)),
                    tag::LICENSE => package.license = filled(&text(value)),
                    tag::PACKAGER => package.maintainer = filled(&text(value)),
                    tag::GROUP => package.group = filled(&text(value)),
                    tag::URL => package.url = filled(&text(value)),
                    tag::ARCH => package.arch = filled(&text(value)),
                    tag::SOURCE_RPM => package.source = filled(&text(value)),
                    _ => {}
                }
            }
            TagType::Int32 => {
                let Some(value) = be32(header.data, index(offset)) else {
                    continue;
                };
                match tag {
                    tag::EPOCH => package.epoch = Some(value),
                    tag::SIZE => package.size = Some(value.into()),
                    tag::INSTALL_TIME => package.installed = Some(value.into()),
                    tag::BUILD_TIME => package.built = Some(value.into()),
                    _ => {}
                }
            }
            TagType::Int64 if tag == tag::LONG_SIZE => long_size = be64(header.data, index(offset)),
            _ => {}
        }
    }
    // Packages over 4 GiB have the long tag only.
    package.size = long_size.or(package.size);
    package.key = package.name == "gpg-pubkey";
    (named && versioned).then_some(package)
}

#[cfg(test)]
mod tests {
    use super::*;
    use h2k_block::Class;

    fn header(tags: &[(u32, u32, u32, u32)], data: &[u8]) -> Vec<u8> {
        let mut blob = u32::try_from(tags.len()).unwrap().to_be_bytes().to_vec();
        blob.extend(u32::try_from(data.len()).unwrap().to_be_bytes());
        for (tag, kind, offset, count) in tags {
            for n in [tag, kind, offset, count] {
                blob.extend(n.to_be_bytes());
            }
        }
        blob.extend(data);
        blob
    }

    #[test]
    fn a_package_larger_than_four_gigabytes_has_its_long_size() {
        let mut data = b"big\x001\x00".to_vec();
        data.resize(8, 0);
        data.extend(5_000_000_000_u64.to_be_bytes());
        let blob = header(&[(1000, 6, 0, 1), (1001, 6, 4, 1), (5009, 5, 8, 1)], &data);
        let package = package(&Header::parse(&blob).unwrap()).unwrap();
        assert_eq!(
            (package.name.as_str(), package.size),
            ("big", Some(5_000_000_000))
        );
    }

    #[test]
    fn a_text_without_an_end_and_a_number_past_the_end_are_left_out() {
        let blob = header(
            &[(1000, 6, 0, 1), (1001, 6, 2, 1), (1002, 6, 4, 1), (1003, 4, 5, 1)],
            b"a\x001\x00xyz",
        );
        let package = package(&Header::parse(&blob).unwrap()).unwrap();
        assert_eq!((package.release, package.epoch), (None, None));
    }

    #[test]
    fn lengths_that_do_not_fit_are_named() {
        let mut blob = header(&[(1000, 6, 0, 1)], b"a\x00");
        blob[3] = 9;
        let e = Header::parse(&blob).unwrap_err();
        assert_eq!((e.class(), e.place().unwrap().offset), (Class::Corrupt, 0));
        let mut blob = header(&[], b"abc");
        blob[7] = 4;
        assert_eq!(Header::parse(&blob).unwrap_err().place().unwrap().offset, 4);
    }
}
