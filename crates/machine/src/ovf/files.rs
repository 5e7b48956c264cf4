//! `References` and `DiskSection`: what `HostResource` of a drive leads to.

use super::units;
use crate::number::decimal;
use crate::xml::Element;
use crate::{File, Machine, Source};
use h2k_block::{Error, Result};
use std::collections::BTreeMap;

/// A disk of the package.
struct Disk {
    file: Option<String>,
    format: Option<String>,
    capacity: Option<u64>,
    parent: bool,
    at: u64,
}

/// Files by their identifiers, disks by theirs.
pub(super) struct Disks {
    files: BTreeMap<String, Source>,
    disks: BTreeMap<String, Disk>,
}

impl Disks {
    pub(super) fn read(root: &Element, machine: &mut Machine) -> Result<Self> {
        let mut made = Self {
            files: BTreeMap::new(),
            disks: BTreeMap::new(),
        };
        let references = root.child("References");
        for element in references.into_iter().flat_map(|r| r.all("File")) {
            let id = identifier(element, "id")?;
            let file = file(element, &id, machine)?;
            if made.files.insert(id.clone(), file).is_some() {
                return Err(Error::corrupt(
                    "File",
                    element.at,
                    format!("a second file {id:?}"),
                ));
            }
        }
        // OVF 2 may share disks among machines, in a section of its own.
        let sections = root
            .children
            .iter()
            .filter(|s| s.name == "DiskSection" || s.name == "SharedDiskSection");
        for element in sections.flat_map(|s| s.children.iter()) {
            if element.name != "Disk" && element.name != "SharedDisk" {
                continue;
            }
            let id = identifier(element, "diskId")?;
            let disk = disk(element, &id, machine);
            if made.disks.insert(id.clone(), disk).is_some() {
                return Err(Error::corrupt(
                    "Disk",
                    element.at,
                    format!("a second disk {id:?}"),
                ));
            }
        }
        Ok(made)
    }

    /// What `resource` leads to, and how large it is.
    pub(super) fn source(&self, resource: &str, at: u64) -> Result<(Source, Option<u64>)> {
        let missing = || {
            Error::corrupt(
                "HostResource",
                at,
                format!("{:?} leads to nothing", clip(resource)),
            )
        };
        let path = resource
            .strip_prefix("ovf:")
            .unwrap_or(resource)
            .trim_start_matches('/');
        let (kind, id) = path.split_once('/').ok_or_else(missing)?;
        match kind {
            "file" => Ok((self.files.get(id).cloned().ok_or_else(missing)?, None)),
            "disk" => {
                let disk = self.disks.get(id).ok_or_else(missing)?;
                if disk.parent {
                    return Err(Error::unsupported(format!(
                        "disk {id:?} is a difference to another disk of the package"
                    ))
                    .at("Disk", disk.at));
                }
                let source = match &disk.file {
                    // Made empty when the machine is.
                    None => Source::Empty,
                    Some(file) => self.files.get(file).cloned().ok_or_else(|| {
                        Error::corrupt("Disk", disk.at, format!("no file is called {:?}", clip(file)))
                    })?,
                };
                let source = match source {
                    Source::File(file) => Source::File(File {
                        format: disk.format.clone(),
                        ..file
                    }),
                    other => other,
                };
                Ok((source, disk.capacity))
            }
            _ => Err(missing()),
        }
    }
}

fn identifier(element: &Element, name: &str) -> Result<String> {
    element
        .said(name)
        .ok_or_else(|| Error::corrupt("OVF", element.at, format!("<{}> without {name}", element.name)))
}

fn file(element: &Element, id: &str, machine: &mut Machine) -> Result<Source> {
    let href = identifier(element, "href")?;
    let compression = element
        .said("compression")
        .unwrap_or_default()
        .to_ascii_lowercase();
    let unknown = !matches!(compression.as_str(), "" | "identity" | "gzip");
    if unknown || has_scheme(&href) {
        let why = match unknown {
            true => format!("compressed with {compression}, which is not read"),
            false => format!("{href} is no local file: fetch it first"),
        };
        machine.note(format!("File {id}"), why.clone());
        return Ok(Source::Elsewhere(why));
    }
    let number = |name: &str| match element.said(name) {
        None => Ok(None),
        Some(text) => decimal::<u64>(&text).map(Some).ok_or_else(|| {
            Error::corrupt(
                "File",
                element.at,
                format!("{name} is {:?}, expected a number", clip(&text)),
            )
        }),
    };
    let chunk = number("chunkSize")?;
    if chunk == Some(0) {
        return Err(Error::corrupt("File", element.at, "chunks of 0 bytes"));
    }
    Ok(Source::File(File {
        name: decoded(&href).unwrap_or(href),
        format: None,
        gzip: compression == "gzip",
        chunk,
        size: number("size")?,
    }))
}

fn disk(element: &Element, id: &str, machine: &mut Machine) -> Disk {
    let unit = element.said("capacityAllocationUnits");
    let factor = unit.as_deref().map_or(Some(1), units::bytes);
    let count = element.attribute("capacity").and_then(decimal::<u64>);
    let capacity = count.zip(factor).and_then(|(n, f)| n.checked_mul(f));
    if capacity.is_none() && element.said("capacity").is_some() {
        machine.note(
            format!("Disk {id}"),
            "its capacity is no number of bytes, and is taken from the image",
        );
    }
    Disk {
        file: element.said("fileRef"),
        format: element.said("format").as_deref().and_then(format),
        capacity,
        parent: element.said("parentRef").is_some(),
        at: element.at,
    }
}

/// The format that an address stands for. The addresses differ among makers; the names of the formats in them do not.
fn format(address: &str) -> Option<String> {
    let address = address.to_ascii_lowercase();
    let known = ["vmdk", "vhdx", "vhd", "qcow2", "vdi"];
    let found = known.into_iter().find(|name| address.contains(name));
    // Microsoft's page of the VHD specification has a number only.
    let found = found.or_else(|| address.contains("bb676673").then_some("vhd"));
    found.map(str::to_owned)
}

fn has_scheme(href: &str) -> bool {
    href.split_once(':').is_some_and(|(scheme, _)| {
        scheme.len() > 1
            && scheme
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
            && !scheme.contains('/')
            && href.contains("://")
    })
}

/// `href` without percent signs: it is an address, and names have blanks.
fn decoded(href: &str) -> Option<String> {
    let mut out = Vec::with_capacity(href.len());
    let mut rest = href.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let code = after.get(..2).filter(|_| *first == b'%');
        let byte = code.and_then(|two| u8::from_str_radix(std::str::from_utf8(two).ok()?, 16).ok());
        let hex = code.is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit));
        match byte.filter(|b| hex && *b != 0) {
            Some(byte) => {
                out.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                out.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8(out).ok()
}

fn clip(text: &str) -> String {
    text.chars().take(60).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_become_names() {
        for (href, want) in [
            ("my%20disk.vmdk", Some("my disk.vmdk")),
            ("100%.vmdk", Some("100%.vmdk")),
            ("a%00b", Some("a%00b")),
            ("caf%C3%A9", Some("café")),
            ("caf%E9", None),
            ("%+1", Some("%+1")),
        ] {
            assert_eq!(decoded(href).as_deref(), want, "{href}");
        }
        assert!(
            has_scheme("https://example.org/a.vmdk") && !has_scheme("a:b.vmdk") && !has_scheme("dir/a.vmdk")
        );
    }
}
