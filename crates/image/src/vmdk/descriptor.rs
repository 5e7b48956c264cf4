//! The text that describes a disk: Virtual Disk Format 5.0, "The Descriptor File".

use super::layout::SECTOR;
use h2k_block::{Error, Meter, Result};

/// Longest descriptor that is read. One of 4096 extents with long names is a tenth of this.
pub(super) const LONGEST: u64 = 4 << 20;

/// Most extents a disk may have: 8 TiB in pieces of 2 GiB.
const MOST_EXTENTS: usize = 4096;

/// `parentCID` of a disk without a parent.
pub(super) const NO_PARENT: u32 = u32::MAX;

/// What a descriptor says.
#[derive(Clone, Debug, Default)]
pub(super) struct Descriptor {
    pub(super) create_type: String,
    pub(super) cid: u32,
    pub(super) parent_cid: u32,
    pub(super) parent_hint: Option<String>,
    pub(super) extents: Vec<ExtentLine>,
    /// Everything else: key and value, in order.
    pub(super) others: Vec<(String, String)>,
    pub(super) warnings: Vec<String>,
}

/// One line of the extent description.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ExtentLine {
    /// Length in bytes.
    pub(super) len: u64,
    pub(super) kind: ExtentKind,
    /// File name; empty for [`ExtentKind::Zero`].
    pub(super) name: String,
    /// First byte in the file, for flat extents.
    pub(super) offset: u64,
}

/// What an extent's file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ExtentKind {
    /// `FLAT` and `VMFS`: the bytes themselves.
    Flat,
    /// `SPARSE`: a hosted sparse extent.
    Sparse,
    /// `VMFSSPARSE`: a COWD extent.
    Cowd,
    /// `SESPARSE`
    SeSparse,
    /// `ZERO`: no file, all zero.
    Zero,
}

/// Whether `head`, the beginning of a file, is the beginning of a descriptor.
pub(super) fn sniff(head: &[u8]) -> bool {
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    for line in head.split(|b| *b == b'\n').take(16) {
        let plain: Vec<u8> = line
            .iter()
            .filter(|b| !b.is_ascii_whitespace())
            .map(u8::to_ascii_lowercase)
            .collect();
        if plain.starts_with(b"#diskdescriptorfile") {
            return true;
        }
        if !plain.is_empty() && !plain.starts_with(b"#") {
            return false;
        }
    }
    false
}

impl Descriptor {
    /// Reads `text`, which begins at byte `base` of its file and ends at its first NUL.
    ///
    /// # Errors
    /// Corrupt when lines contradict each other or cannot be read; unsupported for what is recognised but not read.
    pub(super) fn parse(text: &[u8], base: u64, meter: &mut Meter) -> Result<Self> {
        let text = text.split(|b| *b == 0).next().unwrap_or_default();
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        if !sniff(text) {
            return Err(Error::corrupt(
                "descriptor",
                base,
                "it does not begin with \"# Disk DescriptorFile\"",
            ));
        }
        let encoding = Encoding::of(text)?;
        let mut raw = Raw::default();
        let mut at = base;
        for line in text.split(|b| *b == b'\n') {
            meter.step("descriptor line")?;
            raw.line(line.trim_ascii(), &encoding)
                .map_err(|e| e.at("descriptor", at))?;
            at = at
                .saturating_add(u64::try_from(line.len()).unwrap_or(u64::MAX))
                .saturating_add(1);
        }
        raw.finish().map_err(|e| e.at("descriptor", base))
    }

    /// Bytes of the disk: the sum of its extents.
    pub(super) fn len(&self) -> Result<u64> {
        self.extents
            .iter()
            .try_fold(0_u64, |sum, e| sum.checked_add(e.len))
            .ok_or_else(|| Error::corrupt("descriptor", 0, "the extents together exceed 2^64 bytes"))
    }

    /// The value of `key`, one of the keys that are not needed to read the disk.
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        let found = self.others.iter().find(|(k, _)| k.eq_ignore_ascii_case(key));
        found.map(|(_, v)| v.as_str())
    }
}

/// Keys seen so far.
#[derive(Default)]
struct Raw {
    version: Option<String>,
    cid: Option<String>,
    parent_cid: Option<String>,
    create_type: Option<String>,
    parent_hint: Option<String>,
    rest: Descriptor,
}

impl Raw {
    fn line(&mut self, line: &[u8], encoding: &Encoding) -> Result<()> {
        if line.is_empty() || line.starts_with(b"#") {
            return Ok(());
        }
        if let Some(extent) = extent_line(line, encoding)? {
            if self.rest.extents.len() >= MOST_EXTENTS {
                return Err(Error::new(
                    h2k_block::Class::Limit,
                    format!("the descriptor lists more than {MOST_EXTENTS} extents"),
                ));
            }
            self.rest.extents.push(extent);
            return Ok(());
        }
        let Some(cut) = line.iter().position(|b| *b == b'=') else {
            self.rest.warnings.push(format!(
                "a line of the descriptor was not understood: {:?}",
                String::from_utf8_lossy(line)
            ));
            return Ok(());
        };
        let (key, value) = line.split_at(cut);
        let key = String::from_utf8_lossy(key.trim_ascii()).into_owned();
        let value = unquote(value.get(1..).unwrap_or_default());
        let slot = match key.to_ascii_lowercase().as_str() {
            "version" => &mut self.version,
            "cid" => &mut self.cid,
            "parentcid" => &mut self.parent_cid,
            "createtype" => &mut self.create_type,
            "parentfilenamehint" => &mut self.parent_hint,
            _ => {
                let value = String::from_utf8_lossy(value).into_owned();
                self.rest.others.push((key, value));
                return Ok(());
            }
        };
        let value = encoding.text(value)?;
        match slot {
            Some(before) if *before != value => Err(Error::new(
                h2k_block::Class::Corrupt,
                format!("{key} is given twice, as {before:?} and as {value:?}"),
            )),
            _ => {
                *slot = Some(value);
                Ok(())
            }
        }
    }

    fn finish(self) -> Result<Descriptor> {
        let corrupt = |what: String| Error::new(h2k_block::Class::Corrupt, what);
        let version = self.version.unwrap_or_default();
        if !matches!(version.as_str(), "1" | "2" | "3") {
            return Err(Error::unsupported(format!(
                "the descriptor has version {version:?}; versions 1 to 3 are known"
            )));
        }
        let id = |key: &str, text: Option<String>, absent: u32| match text {
            None => Ok(absent),
            Some(text) => u32::from_str_radix(&text, 16)
                .map_err(|_| corrupt(format!("{key} is {text:?}, not eight hexadecimal digits"))),
        };
        let create_type = self
            .create_type
            .ok_or_else(|| corrupt("it has no createType".to_owned()))?;
        Ok(Descriptor {
            create_type,
            cid: id("CID", self.cid, 0)?,
            parent_cid: id("parentCID", self.parent_cid, NO_PARENT)?,
            parent_hint: self.parent_hint.filter(|h| !h.is_empty()),
            ..self.rest
        })
    }
}

/// `ACCESS SECTORS TYPE "NAME" [OFFSET …]`, or `None` when the line is something else.
fn extent_line(line: &[u8], encoding: &Encoding) -> Result<Option<ExtentLine>> {
    let (access, rest) = word(line);
    let access = access.to_ascii_uppercase();
    let known: [&[u8]; 3] = [b"RW", b"RDONLY", b"NOACCESS"];
    let (size, rest) = word(rest);
    let size = std::str::from_utf8(size).ok().and_then(|s| s.parse::<u64>().ok());
    if !known.contains(&access.as_slice()) {
        // A line that is an extent but for its first word must not be passed over: the disk would be shorter.
        return match size {
            Some(_) if !line.contains(&b'=') => {
                Err(broken(line, "it begins with none of RW, RDONLY, NOACCESS"))
            }
            _ => Ok(None),
        };
    }
    let Some(sectors) = size else {
        return Err(broken(line, "its size is not a number of sectors"));
    };
    if access == b"NOACCESS" {
        return Err(Error::unsupported(
            "an extent is marked NOACCESS: its content is not part of what may be read",
        ));
    }
    let (kind, rest) = word(rest);
    let kind = match kind.to_ascii_uppercase().as_slice() {
        b"FLAT" | b"VMFS" => ExtentKind::Flat,
        b"SPARSE" => ExtentKind::Sparse,
        b"VMFSSPARSE" => ExtentKind::Cowd,
        b"SESPARSE" => ExtentKind::SeSparse,
        b"ZERO" => ExtentKind::Zero,
        b"VMFSRDM" | b"VMFSRAW" => return Err(raw_device(&String::from_utf8_lossy(kind))),
        _ => {
            return Err(Error::unsupported(format!(
                "extent type {:?} is not known",
                String::from_utf8_lossy(kind)
            )));
        }
    };
    let len = sectors
        .checked_mul(SECTOR)
        .ok_or_else(|| broken(line, "its size exceeds 2^64 bytes"))?;
    let (name, rest) = quoted(rest).ok_or_else(|| broken(line, "its file name has no closing quote"))?;
    let name = encoding.text(name)?;
    if kind != ExtentKind::Zero && name.is_empty() {
        return Err(broken(line, "it names no file"));
    }
    if kind == ExtentKind::Flat && is_device(&name) {
        return Err(raw_device(&name));
    }
    let (offset, _) = word(rest);
    let offset = if offset.is_empty() {
        0
    } else {
        std::str::from_utf8(offset)
            .ok()
            .and_then(|s| s.parse::<u64>().ok())
            .and_then(|o| o.checked_mul(SECTOR))
            .ok_or_else(|| broken(line, "its offset is not a number of sectors"))?
    };
    if offset != 0 && kind != ExtentKind::Flat {
        return Err(Error::unsupported(
            "an offset is given for an extent that is not flat",
        ));
    }
    Ok(Some(ExtentLine {
        len,
        kind,
        name,
        offset,
    }))
}

fn broken(line: &[u8], why: &str) -> Error {
    Error::new(
        h2k_block::Class::Corrupt,
        format!(
            "the extent line {:?} cannot be used: {why}",
            String::from_utf8_lossy(line)
        ),
    )
}

/// Names VMware gives to disks of the host: `\\.\PhysicalDrive0`, `/dev/sda`.
fn is_device(name: &str) -> bool {
    name.starts_with("/dev/") || name.starts_with(r"\\.\") || name.starts_with(r"\\?\")
}

pub(super) fn raw_device(what: &str) -> Error {
    Error::unsupported(format!(
        "the disk is a raw device ({what}), not a file: its content is not here"
    ))
    .advise("read the device itself, or let ESXi clone the disk to a file (vmkfstools -i)")
}

fn word(text: &[u8]) -> (&[u8], &[u8]) {
    let text = text.trim_ascii_start();
    let end = text
        .iter()
        .position(u8::is_ascii_whitespace)
        .unwrap_or(text.len());
    text.split_at(end)
}

/// A name in double quotes, or a bare word.
fn quoted(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let text = text.trim_ascii_start();
    let Some(inner) = text.strip_prefix(b"\"") else {
        return Some(word(text));
    };
    let end = inner.iter().position(|b| *b == b'"')?;
    let (name, rest) = inner.split_at(end);
    Some((name, rest.get(1..).unwrap_or_default()))
}

fn unquote(value: &[u8]) -> &[u8] {
    let value = value.trim_ascii();
    value
        .strip_prefix(b"\"")
        .and_then(|v| v.strip_suffix(b"\""))
        .unwrap_or(value)
}

/// How names are written.
enum Encoding {
    Utf8,
    Windows1252,
    Other(String),
}

impl Encoding {
    fn of(text: &[u8]) -> Result<Self> {
        for line in text.split(|b| *b == b'\n') {
            let Some(cut) = line.iter().position(|b| *b == b'=') else {
                continue;
            };
            let (key, value) = line.split_at(cut);
            if !key.trim_ascii().eq_ignore_ascii_case(b"encoding") {
                continue;
            }
            let name = String::from_utf8_lossy(unquote(value.get(1..).unwrap_or_default())).into_owned();
            return Ok(match name.to_ascii_lowercase().as_str() {
                "utf-8" | "us-ascii" => Self::Utf8,
                "windows-1252" | "iso-8859-1" => Self::Windows1252,
                _ => Self::Other(name),
            });
        }
        Ok(Self::Utf8)
    }

    fn text(&self, bytes: &[u8]) -> Result<String> {
        if bytes.is_ascii() {
            return Ok(String::from_utf8_lossy(bytes).into_owned());
        }
        match self {
            Self::Utf8 => std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| {
                Error::new(
                    h2k_block::Class::Corrupt,
                    format!("{:?} is not valid UTF-8", String::from_utf8_lossy(bytes)),
                )
            }),
            Self::Windows1252 => Ok(bytes.iter().map(|b| windows_1252(*b)).collect()),
            Self::Other(name) => Err(Error::unsupported(format!(
                "a name in the descriptor is written in {name:?}, which is not known"
            ))
            .advise("give the files ASCII names and write those into the descriptor")),
        }
    }
}

/// Windows code page 1252 differs from Unicode's first 256 only here; 0 is where it has nothing.
const WINDOWS_1252: [u16; 32] = [
    0x20ac, 0, 0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021, 0x02c6, 0x2030, 0x0160, 0x2039, 0x0152, 0,
    0x017d, 0, 0, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014, 0x02dc, 0x2122, 0x0161, 0x203a,
    0x0153, 0, 0x017e, 0x0178,
];

fn windows_1252(byte: u8) -> char {
    let special = usize::from(byte)
        .checked_sub(0x80)
        .and_then(|i| WINDOWS_1252.get(i))
        .filter(|c| **c != 0)
        .and_then(|c| char::from_u32(u32::from(*c)));
    special.unwrap_or(char::from(byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use h2k_block::{Class, Limits};

    fn parse(text: &[u8]) -> Result<Descriptor> {
        Descriptor::parse(text, 0, &mut Meter::new(Limits::default()))
    }

    const HEAD: &str =
        "# Disk DescriptorFile\nversion=1\nCID=f879aea6\nparentCID=ffffffff\ncreateType=\"custom\"\n";

    #[test]
    fn odd_spacing_line_ends_and_case_do_not_matter() {
        let text = "\u{feff}\r\n#  Disk  DescriptorFile\r\n Version = 1 \r\ncid=  F879AEA6\r\nPARENTCID=ffffffff\r\n\
                    createType = \"monolithicFlat\"  \r\n\r\n\trw\t 20480   Flat \"a = b.vmdk\"\t 63 \r\n\
                    RDONLY 8 ZERO\r\nddb.adapterType = \"lsilogic\"\r\n\0RW 1 FLAT \"ignored\"";
        let d = parse(text.as_bytes()).unwrap();
        assert_eq!((d.cid, d.parent_cid), (0xf879_aea6, NO_PARENT));
        assert_eq!(d.create_type, "monolithicFlat");
        assert_eq!(
            d.extents,
            [
                ExtentLine {
                    len: 20480 * 512,
                    kind: ExtentKind::Flat,
                    name: "a = b.vmdk".to_owned(),
                    offset: 63 * 512
                },
                ExtentLine {
                    len: 8 * 512,
                    kind: ExtentKind::Zero,
                    name: String::new(),
                    offset: 0
                },
            ]
        );
        assert_eq!(d.get("ddb.adaptertype"), Some("lsilogic"));
    }

    #[test]
    fn names_are_read_in_the_encoding_the_descriptor_names() {
        let with = |encoding: &str, name: &[u8]| {
            let mut text = format!("{HEAD}encoding=\"{encoding}\"\nRW 1 FLAT \"").into_bytes();
            text.extend_from_slice(name);
            text.extend_from_slice(b"\"\n");
            parse(&text).map(|d| d.extents[0].name.clone())
        };
        assert_eq!(with("UTF-8", "Gerät.vmdk".as_bytes()).unwrap(), "Gerät.vmdk");
        assert_eq!(
            with("windows-1252", b"Ger\xe4t \x80.vmdk").unwrap(),
            "Gerät €.vmdk"
        );
        assert_eq!(with("GBK", b"plain.vmdk").unwrap(), "plain.vmdk");
        assert_eq!(
            with("GBK", b"\xc4\xe3.vmdk").unwrap_err().class(),
            Class::Unsupported
        );
        assert_eq!(with("UTF-8", b"\xc4.vmdk").unwrap_err().class(), Class::Corrupt);
    }

    #[test]
    fn a_line_that_would_make_the_disk_shorter_is_not_passed_over() {
        for (line, class) in [
            ("RX 100 SPARSE \"a\"", Class::Corrupt),
            ("RW ten SPARSE \"a\"", Class::Corrupt),
            ("RW 100 SPARSE \"a", Class::Corrupt),
            ("RW 100 SPARSE", Class::Corrupt),
            ("RW 100 FLAT \"a\" x", Class::Corrupt),
            ("RW 36028797018963968 FLAT \"a\"", Class::Corrupt),
            ("RW 100 SPARSE \"a\" 5", Class::Unsupported),
            ("RW 100 HOLOGRAM \"a\"", Class::Unsupported),
            ("NOACCESS 100 FLAT \"a\"", Class::Unsupported),
            ("RW 100 VMFSRDM \"a-rdm.vmdk\"", Class::Unsupported),
            ("RW 100 FLAT \"\\\\.\\PhysicalDrive0\" 0", Class::Unsupported),
            ("RW 100 FLAT \"/dev/sda\" 0", Class::Unsupported),
            ("CID=12345678", Class::Corrupt),
        ] {
            let found = parse(format!("{HEAD}{line}\n").as_bytes()).map_err(|e| e.class());
            assert_eq!(found.err(), Some(class), "{line}");
        }
    }

    #[test]
    fn only_text_that_says_so_is_a_descriptor() {
        assert!(sniff(b"# Disk DescriptorFile\nversion=1"));
        assert!(sniff(b"# made by hand\n\n#Disk DescriptorFile\n"));
        assert!(!sniff(b"version=1\n# Disk DescriptorFile\n"));
        assert!(!sniff(b"#!/bin/sh\necho \"# Disk DescriptorFile\"\n"));
        assert!(!sniff(b""));
    }
}
