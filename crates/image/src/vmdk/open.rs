//! From the file the user named to a disk: descriptor, extents, parent.

use super::descriptor::{self, Descriptor, ExtentKind, ExtentLine, NO_PARENT};
use super::disk::{Body, Disk};
use super::hosted::{self, Hosted};
use super::layout::SECTOR;
use super::{cowd, sesparse};
use crate::{FileInfo, Format, Image, Info, Opening, Value};
use h2k_block::{BlockRead, Class, Error, HostFile, Meter, Result};
use std::sync::Arc;

/// What the first bytes of a file say it is.
enum Beginning {
    Descriptor,
    Hosted,
    Cowd,
    SeSparse,
    Else,
}

fn beginning(file: &dyn BlockRead) -> Result<Beginning> {
    let mut head = [0_u8; 512];
    let n = usize::try_from(file.len()).unwrap_or(512).min(512);
    let (head, _) = head.split_at_mut(n);
    file.read_at(0, head)?;
    Ok(if hosted::sniff(head) {
        Beginning::Hosted
    } else if descriptor::sniff(head) {
        Beginning::Descriptor
    } else if cowd::sniff(head) {
        Beginning::Cowd
    } else if sesparse::sniff(head) {
        Beginning::SeSparse
    } else {
        Beginning::Else
    })
}

/// Whether `file` looks like a VMDK: a descriptor or an extent of any kind.
pub(crate) fn probe(file: &dyn BlockRead) -> Result<bool> {
    Ok(!matches!(beginning(file)?, Beginning::Else))
}

/// A disk's own files, opened, without its parent.
pub(super) struct Gathered {
    pub(super) descriptor: Descriptor,
    /// Length and body of each extent.
    pub(super) extents: Vec<(u64, Body)>,
    pub(super) info: Info,
}

/// Opens the image in `file`.
pub(crate) fn open(file: Arc<dyn HostFile>, opening: &mut Opening<'_>) -> Result<Image> {
    let mut meter = Meter::new(opening.options.limits);
    let Gathered {
        descriptor,
        extents,
        mut info,
    } = gather(file.clone(), opening, &mut meter)?;
    let parent = parent(&file, &descriptor, opening, &mut info)?;
    Ok(Image {
        disk: Arc::new(Disk::new(extents, parent)?),
        info,
    })
}

/// Reads the descriptor in or at `file` and opens every extent it lists.
pub(super) fn gather(file: Arc<dyn HostFile>, opening: &Opening<'_>, meter: &mut Meter) -> Result<Gathered> {
    match beginning(&*file)? {
        Beginning::Descriptor => {
            if file.len() > descriptor::LONGEST {
                return Err(Error::new(
                    Class::Limit,
                    format!("the descriptor is longer than {} bytes", descriptor::LONGEST),
                ));
            }
            let mut text = meter.buffer(file.len(), "descriptor")?;
            file.read_at(0, &mut text)?;
            let descriptor = Descriptor::parse(&text, 0, meter)?;
            assemble(file, descriptor, None, opening, meter)
        }
        Beginning::Hosted => {
            let hosted = hosted::open(file.clone(), 0, meter)?;
            let descriptor = embedded(&*file, &hosted, meter)?;
            assemble(file, descriptor, Some(hosted), opening, meter)
        }
        Beginning::Cowd | Beginning::SeSparse => Err(lone_extent()),
        Beginning::Else => Err(Error::corrupt(
            "header",
            0,
            "it is neither a descriptor nor an extent of a VMDK",
        )),
    }
}

fn lone_extent() -> Error {
    Error::new(
        Class::Invalid,
        "this is one extent of a disk, without the descriptor that says where it belongs",
    )
    .advise("open the small .vmdk file beside it that lists this file")
}

/// The descriptor inside a hosted sparse extent.
fn embedded(file: &dyn HostFile, hosted: &Hosted, meter: &mut Meter) -> Result<Descriptor> {
    let sectors = hosted.header.descriptor_size.get();
    let at = hosted.header.descriptor_offset.get();
    if at == 0 || sectors == 0 {
        return Err(lone_extent());
    }
    let range = at
        .checked_mul(SECTOR)
        .zip(sectors.checked_mul(SECTOR))
        .filter(|(at, len)| at.checked_add(*len).is_some_and(|end| end <= file.len()))
        .filter(|(_, len)| *len <= descriptor::LONGEST);
    let Some((at, len)) = range else {
        return Err(Error::corrupt(
            "sparse extent header",
            28,
            format!("a descriptor of {sectors} sectors at sector {at:#x} is not inside the file"),
        ));
    };
    let mut text = meter.buffer(len, "descriptor")?;
    file.read_at(at, &mut text)?;
    Descriptor::parse(&text, at, meter)
}

/// Puts the disk together from its descriptor; `own` is the extent that holds the descriptor, if one does.
fn assemble(
    file: Arc<dyn HostFile>,
    descriptor: Descriptor,
    mut own: Option<Hosted>,
    opening: &Opening<'_>,
    meter: &mut Meter,
) -> Result<Gathered> {
    recognised(&descriptor)?;
    let mut info = Info::new(file.name().to_owned(), Format::Vmdk, descriptor.len()?);
    info.subformat = Some(descriptor.create_type.clone());
    info.warnings.clone_from(&descriptor.warnings);
    info.files.push(FileInfo::of(&*file));
    facts(&mut info, &descriptor);

    let mut extents = Vec::with_capacity(descriptor.extents.len());
    let mut tables = 0_u64;
    if let Some(hosted) = own.take() {
        let [line] = descriptor.extents.as_slice() else {
            return Err(Error::unsupported(format!(
                "a descriptor inside an extent lists {} extents; exactly one was expected",
                descriptor.extents.len()
            )));
        };
        if line.kind != ExtentKind::Sparse {
            return Err(Error::corrupt(
                "descriptor",
                0,
                "it is inside a sparse extent and lists another kind",
            ));
        }
        let capacity = hosted.sparse.shape.capacity;
        if capacity != line.len {
            info.warnings.push(format!(
                "the descriptor says {} bytes, the extent's header {capacity}; the header is believed",
                line.len
            ));
            info.virtual_size = capacity;
        }
        info.warnings.extend(hosted.warnings);
        info.grain = Some(hosted.sparse.shape.grain);
        extents.push((capacity, Body::Sparse(hosted.sparse)));
    } else {
        for line in &descriptor.extents {
            let body = extent(&file, line, tables, opening, &mut info, meter)
                .map_err(|e| e.at("extent", info_offset(&extents)))?;
            if let Body::Sparse(sparse) = &body {
                tables = tables.saturating_add(sparse.shape.tables());
                info.grain = Some(info.grain.unwrap_or(0).max(sparse.shape.grain));
            }
            extents.push((line.len, body));
        }
    }
    Ok(Gathered {
        descriptor,
        extents,
        info,
    })
}

/// First byte of the disk behind `extents`.
fn info_offset(extents: &[(u64, Body)]) -> u64 {
    extents.iter().fold(0, |sum, (len, _)| sum.saturating_add(*len))
}

/// Refuses by name what is recognised and not read.
fn recognised(descriptor: &Descriptor) -> Result<()> {
    const KNOWN: [&str; 15] = [
        "2gbmaxextentflat",
        "2gbmaxextentsparse",
        "custom",
        "monolithicflat",
        "monolithicsparse",
        "sesparse",
        "streamoptimized",
        "twogbmaxextentflat",
        "twogbmaxextentsparse",
        "vmfs",
        "vmfseagerzeroedthick",
        "vmfspreallocated",
        "vmfssparse",
        "vmfsthin",
        "vmfsthick",
    ];
    const DEVICES: [&str; 9] = [
        "fulldevice",
        "partitioneddevice",
        "vmfspassthroughrawdevicemap",
        "vmfsraw",
        "vmfsrawdevicemap",
        "vmfsrdm",
        "vmfsrdmp",
        "vmfsrawdevicemapping",
        "vmfspassthroughrawdevicemapping",
    ];
    let lower = descriptor.create_type.to_ascii_lowercase();
    if DEVICES.contains(&lower.as_str()) {
        return Err(descriptor::raw_device(&descriptor.create_type));
    }
    if !KNOWN.contains(&lower.as_str()) {
        return Err(Error::unsupported(format!(
            "createType {:?} is not known",
            descriptor.create_type
        )));
    }
    let encrypted = descriptor.get("encryptionKeys").is_some()
        || descriptor.get("keyID").is_some()
        || descriptor
            .get("ddb.iofilters")
            .is_some_and(|f| f.to_ascii_lowercase().contains("crypt"));
    if encrypted {
        return Err(Error::unsupported("the disk is encrypted by VMware").advise(
            "decrypt the virtual machine in VMware first (VM storage policy without encryption, or Access Control)",
        ));
    }
    if descriptor.parent_cid != NO_PARENT
        && descriptor
            .get("isNativeSnapshot")
            .is_some_and(|v| v.eq_ignore_ascii_case("yes"))
    {
        return Err(Error::unsupported(
            "the disk is a native snapshot: its parent is kept by the storage array, not in files",
        ));
    }
    Ok(())
}

fn facts(info: &mut Info, descriptor: &Descriptor) {
    info.fact(CID, format!("{:08x}", descriptor.cid));
    info.fact("parent-cid", format!("{:08x}", descriptor.parent_cid));
    if let Some(hint) = &descriptor.parent_hint {
        info.fact("parent-file-name-hint", hint.as_str());
    }
    info.fact("extents", u64::try_from(descriptor.extents.len()).unwrap_or(0));
    for (key, name) in [
        ("ddb.adapterType", "adapter-type"),
        ("ddb.virtualHWVersion", "virtual-hardware-version"),
        ("ddb.geometry.cylinders", "cylinders"),
        ("ddb.geometry.heads", "heads"),
        ("ddb.geometry.sectors", "sectors"),
        ("ddb.uuid", "uuid"),
        ("ddb.longContentID", "long-content-id"),
        ("ddb.thinProvisioned", "thin-provisioned"),
        ("ddb.toolsVersion", "tools-version"),
        ("changeTrackPath", "change-track-path"),
    ] {
        if let Some(value) = descriptor.get(key) {
            info.fact(name, value);
        }
    }
}

/// Opens the file of one extent line.
fn extent(
    referrer: &Arc<dyn HostFile>,
    line: &ExtentLine,
    first_table: u64,
    opening: &Opening<'_>,
    info: &mut Info,
    meter: &mut Meter,
) -> Result<Body> {
    if line.kind == ExtentKind::Zero {
        return Ok(Body::Zero);
    }
    let file = opening
        .sibling(&**referrer, &line.name)
        .map_err(|e| match e.class() {
            Class::NotFound => {
                e.advise("all extents of a disk have to lie beside its descriptor: copy the missing one too")
            }
            _ => e,
        })?;
    info.files.push(FileInfo::of(&*file));
    let who = file.name().display().to_string();
    let mut warnings = Vec::new();
    let sparse = match line.kind {
        ExtentKind::Flat | ExtentKind::Zero => {
            let end = line.offset.checked_add(line.len);
            if end.is_none_or(|end| end > file.len()) {
                return Err(Error::new(
                    Class::Corrupt,
                    format!(
                        "the descriptor needs bytes {:#x}+{:#x} of it, the file has {:#x}",
                        line.offset,
                        line.len,
                        file.len()
                    ),
                )
                .through(who)
                .advise("the file was probably cut short: compare its length with the original's"));
            }
            return Ok(Body::Flat(file, line.offset));
        }
        ExtentKind::Sparse => hosted::open(file, first_table, meter).map(|hosted| {
            warnings = hosted.warnings;
            hosted.sparse
        }),
        ExtentKind::Cowd => cowd::open(file, first_table, meter, &mut warnings),
        ExtentKind::SeSparse => sesparse::open(file, first_table, meter),
    }
    .map_err(|e| e.through(who.clone()))?;
    info.warnings
        .extend(warnings.into_iter().map(|w| format!("{who}: {w}")));
    if sparse.shape.capacity < line.len {
        return Err(Error::new(
            Class::Corrupt,
            format!(
                "the descriptor says {} bytes, the extent holds {}",
                line.len, sparse.shape.capacity
            ),
        )
        .through(who));
    }
    Ok(Body::Sparse(sparse))
}

const CID: &str = "cid";

/// Opens the parent and makes sure that it is the one the child was made over.
fn parent(
    file: &Arc<dyn HostFile>,
    descriptor: &Descriptor,
    opening: &mut Opening<'_>,
    info: &mut Info,
) -> Result<Option<Arc<dyn BlockRead>>> {
    if descriptor.parent_cid == NO_PARENT || opening.options.alone {
        return Ok(None);
    }
    let Some(hint) = &descriptor.parent_hint else {
        return Err(Error::corrupt(
            "descriptor",
            0,
            format!(
                "it has a parent (parentCID={:08x}) and no parentFileNameHint says which",
                descriptor.parent_cid
            ),
        ));
    };
    let name = parent_name(file, hint, opening)?;
    if name != *hint {
        info.warnings.push(format!(
            "the parent {hint:?} was not found there; {name:?} beside the image is used"
        ));
    }
    let image = opening.parent(&**file, &name, Format::Vmdk)?;
    let found = image.info.facts.iter().find_map(|f| match &f.value {
        Value::Text(text) if f.key == CID => u32::from_str_radix(text, 16).ok(),
        _ => None,
    });
    if found != Some(descriptor.parent_cid) {
        return Err(Error::new(
            Class::Corrupt,
            format!(
                "the content of the parent {name:?} has changed since this image was made over it: its CID is {}, \
                 parentCID is {:08x}",
                found.map_or_else(|| "unknown".to_owned(), |cid| format!("{cid:08x}")),
                descriptor.parent_cid
            ),
        )
        .advise(
            "find the parent as it was; only if you know that its content did not change, copy its CID into \
             parentCID of the child's descriptor",
        ));
    }
    info.parent = Some(Box::new(image.info));
    Ok(Some(image.disk))
}

/// The name to open: the hint, or its last part beside the image. A hint holds the path on the machine that
/// made it, and VMware too looks beside the image when there is nothing at that path. A wrong file of the
/// right name does not pass: its CID differs.
fn parent_name(file: &Arc<dyn HostFile>, hint: &str, opening: &Opening<'_>) -> Result<String> {
    let first = match opening.sibling(&**file, hint) {
        Ok(_) => return Ok(hint.to_owned()),
        Err(e) => e,
    };
    let last = hint.rsplit(['/', '\\']).next().unwrap_or_default();
    let elsewhere =
        last != hint && !last.is_empty() && matches!(first.class(), Class::NotFound | Class::Refused);
    if elsewhere && opening.sibling(&**file, last).is_ok() {
        return Ok(last.to_owned());
    }
    Err(first
        .through(format!("parent {hint:?}"))
        .advise("put the parent beside the image, or allow its directory"))
}
