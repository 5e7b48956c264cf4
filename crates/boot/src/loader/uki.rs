//! Unified kernel images: programs for UEFI whose sections are a kernel, an initramfs and a command line (UAPI group,
//! "Unified Kernel Image"; "PE Format" of Microsoft).

use crate::bytes::{index, le16, le32, text, wide};
use h2k_block::{BlockRead, Error, Result};
use h2k_guest::Look;
use h2k_guest::{Source, Text};

/// More sections than any program has.
const SECTIONS: u16 = 96;

/// What a section of text may weigh.
const TEXT: u64 = 64 << 10;

/// A section of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// Its name: `.linux`.
    pub name: String,
    /// Where its content begins in the file.
    pub offset: u64,
    /// How many bytes of the file belong to it.
    pub length: u64,
}

/// A unified kernel image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uki {
    /// Its sections.
    pub sections: Vec<Section>,
    /// `.uname`: the kernel's release.
    pub uname: Option<String>,
    /// `.cmdline`.
    pub command_line: Option<String>,
    /// `.osrel`: the text of an os-release file.
    pub os_release: Option<String>,
    /// Which machine it is for.
    pub architecture: Option<&'static str>,
    /// Whether it is signed: then it cannot be changed.
    pub signed: bool,
}

impl Uki {
    /// Reads the program on `disk`.
    ///
    /// # Errors
    /// [`h2k_block::Class::Corrupt`] when it is no program, or none with a `.linux` section.
    pub fn read(disk: &dyn BlockRead) -> Result<Self> {
        let part = |at: u64, len: u64| -> Result<Vec<u8>> {
            let left = disk.len().saturating_sub(at);
            let n = usize::try_from(len.min(left)).unwrap_or(0);
            let mut bytes = vec![0; n];
            disk.read_at(at, &mut bytes)?;
            Ok(bytes)
        };
        let dos = part(0, 64)?;
        let magic = dos.starts_with(b"MZ");
        let pe = le32(&dos, 0x3c)
            .filter(|_| magic)
            .ok_or_else(|| bad(0, "it does not begin with MZ"))?;
        let head = part(u64::from(pe), 24)?;
        if !head.starts_with(b"PE\0\0") {
            return Err(bad(u64::from(pe), "there is no PE signature"));
        }
        let number = |at| le16(&head, at).ok_or_else(|| bad(u64::from(pe), "its head is cut off"));
        let (machine, count, optional) = (number(4)?, number(6)?, number(20)?);
        if count > SECTIONS {
            return Err(bad(
                u64::from(pe),
                &format!("it has {count} sections, more than {SECTIONS}"),
            ));
        }
        let options_at = u64::from(pe).saturating_add(24);
        let options = part(options_at, u64::from(optional))?;
        let table_at = options_at.saturating_add(u64::from(optional));
        let table = part(table_at, u64::from(count).saturating_mul(40))?;
        let sections: Vec<Section> = table.chunks_exact(40).filter_map(section).collect();
        let content = |name: &str| -> Option<String> {
            let found = sections.iter().find(|s| s.name == name)?;
            let bytes = part(found.offset, found.length.min(TEXT)).ok()?;
            Some(text(&bytes).trim().to_owned()).filter(|t| !t.is_empty())
        };
        let uki = Self {
            uname: content(".uname"),
            command_line: content(".cmdline"),
            os_release: content(".osrel"),
            architecture: match machine {
                0x8664 => Some("x86_64"),
                0x014c => Some("i386"),
                0xaa64 => Some("aarch64"),
                _ => None,
            },
            signed: certificates(&options),
            sections,
        };
        match uki.section(".linux") {
            Some(_) => Ok(uki),
            None => Err(bad(table_at, "it has no section .linux")),
        }
    }

    pub(super) fn of_file(look: &Look<'_>, path: &str) -> Option<Self> {
        let file = look.file(path)?;
        match Self::read(&file) {
            Ok(uki) => Some(uki),
            Err(e) => {
                look.failed(Source::file(path.as_bytes()), &e);
                None
            }
        }
    }

    /// The section of that name.
    #[must_use]
    pub fn section(&self, name: &str) -> Option<&Section> {
        self.sections.iter().find(|s| s.name == name)
    }

    /// A value of its os-release.
    pub(super) fn release(&self, key: &str) -> Option<String> {
        let text = Text::new(b".osrel", self.os_release.as_deref()?.as_bytes());
        text.assigned(key).map(|f| f.value)
    }

    pub(super) fn title(&self) -> Option<String> {
        self.release("PRETTY_NAME").or_else(|| self.release("NAME"))
    }
}

fn section(row: &[u8]) -> Option<Section> {
    let name = text(row.get(..8)?);
    let virtual_size = le32(row, 8)?;
    let raw = le32(row, 16)?;
    // What the file has beyond is padding; what memory has beyond is zero.
    let length = if virtual_size == 0 {
        raw
    } else {
        virtual_size.min(raw)
    };
    let offset = u64::from(le32(row, 20)?);
    Some(Section {
        name,
        offset,
        length: u64::from(length),
    })
}

/// Whether the fifth data directory (certificates) is used.
fn certificates(options: &[u8]) -> bool {
    let at = match le16(options, 0) {
        Some(0x010b) => 96_usize,
        Some(0x020b) => 112,
        _ => return false,
    };
    let size = le32(options, at.saturating_add(4 * 8 + 4)).map_or(0, index);
    size > 0
}

fn bad(at: u64, what: &str) -> Error {
    Error::corrupt("PE program", at, what)
}

/// A section as a disk of its own.
pub(crate) struct Window<'a> {
    pub(crate) disk: &'a dyn BlockRead,
    pub(crate) section: &'a Section,
}

impl BlockRead for Window<'_> {
    fn len(&self) -> u64 {
        let left = self.disk.len().saturating_sub(self.section.offset);
        self.section.length.min(left)
    }

    fn fetch(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        let at = self.section.offset.checked_add(offset);
        let at = at.ok_or_else(|| bad(wide(0), "a section lies beyond all files"))?;
        self.disk.read_at(at, buf)
    }
}
