//! What a file that describes a machine is, by its content.

use h2k_block::{BlockRead, Result};

/// Descriptions of machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A tar archive with an OVF descriptor in it.
    Ova,
    /// An OVF descriptor.
    Ovf,
    /// A VMware configuration.
    Vmx,
    /// A libvirt domain.
    Domain,
}

/// How much of a file is looked at.
const HEAD: u64 = 64 << 10;

impl Kind {
    /// What `file` is; `None` for everything that is no description of a machine, as disk images are.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn of(file: &dyn BlockRead) -> Result<Option<Self>> {
        let mut head = vec![0; usize::try_from(file.len().min(HEAD)).unwrap_or(0)];
        file.read_at(0, &mut head)?;
        Ok(Self::of_head(&head))
    }

    fn of_head(head: &[u8]) -> Option<Self> {
        // A disk that boots is a disk, whatever else it looks like.
        if head.get(510..512) == Some(b"\x55\xaa") {
            return None;
        }
        if head.get(257..262) == Some(b"ustar") {
            return Some(Self::Ova);
        }
        let text = head
            .strip_prefix(b"\xef\xbb\xbf")
            .unwrap_or(head)
            .trim_ascii_start();
        if text.starts_with(b"<") {
            return match root(text)? {
                b"Envelope" => Some(Self::Ovf),
                b"domain" => Some(Self::Domain),
                _ => None,
            };
        }
        crate::vmx::begins(text).then_some(Self::Vmx)
    }

    /// The name used in messages and reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ova => "ova",
            Self::Ovf => "ovf",
            Self::Vmx => "vmx",
            Self::Domain => "libvirt",
        }
    }
}

/// The local name of the first element.
fn root(mut text: &[u8]) -> Option<&[u8]> {
    loop {
        let at = text.iter().position(|b| *b == b'<')?;
        text = text.get(at.checked_add(1)?..)?;
        let skip: &[u8] = if text.starts_with(b"!--") {
            b"-->"
        } else if text.starts_with(b"?") {
            b"?>"
        } else {
            let stop = |b: &u8| b.is_ascii_whitespace() || matches!(b, b'>' | b'/');
            let name = text.split(stop).next()?;
            return name.rsplit(|b| *b == b':').next();
        };
        let end = text.windows(skip.len()).position(|w| w == skip)?;
        text = text.get(end.checked_add(skip.len())?..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_tells_and_not_the_name() {
        for (head, want) in [
            (
                &b"<?xml version='1.0'?>\n<!-- <domain> -->\n<ovf:Envelope x='1'>"[..],
                Some(Kind::Ovf),
            ),
            (b"\xef\xbb\xbf\n<domain type='kvm'>", Some(Kind::Domain)),
            (b"<domain>", Some(Kind::Domain)),
            (b"<network>", None),
            (b"<!-- never closed", None),
            (b"#!/usr/bin/vmware\n.encoding = \"UTF-8\"\n", Some(Kind::Vmx)),
            (b"config.version = \"8\"\n", Some(Kind::Vmx)),
            (b"# Disk DescriptorFile\nversion=1\nCID=1\n", None),
            (b"", None),
        ] {
            assert_eq!(Kind::of_head(head), want, "{:?}", String::from_utf8_lossy(head));
        }
    }
}
