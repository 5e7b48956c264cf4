use super::bitmap;
use super::disk::{Disk, Parts};
use super::header::Header;
use super::layout::{
    AUTOCLEAR_BITMAPS, AUTOCLEAR_RAW_DATA_FILE, COMPATIBLE_LAZY_REFCOUNTS, EXTENSION_BITMAPS,
    EXTENSION_ENCRYPTION, EncryptionPointer, MAGIC,
};
use super::snapshot::{self, Saved};
use super::tables::Tables;
use crate::codec::Coding;
use crate::sealed::Sealed;
use crate::{FileInfo, Format, Image, Info, Opening};
use h2k_block::{BlockRead, Class, Error, HostFile, Meter, Result};
use std::sync::Arc;
use zerocopy::{FromZeros, IntoBytes};

/// Whether `file` looks like this format. Every version counts, so that an unknown one is refused and not taken for raw.
pub(crate) fn probe(file: &dyn BlockRead) -> Result<bool> {
    if file.len() < 8 {
        return Ok(false);
    }
    let mut magic = [0; 4];
    file.read_at(0, &mut magic)?;
    Ok(magic == MAGIC)
}

/// Opens the image in `file`.
pub(crate) fn open(file: Arc<dyn HostFile>, opening: &mut Opening<'_>) -> Result<Image> {
    let mut meter = Meter::new(opening.options.limits);
    let header = Header::read(&*file, &mut meter)?;
    let method = encryption(&*file, &header);
    if let Some(method) = method.as_deref().filter(|_| !opening.options.describe) {
        return Err(encrypted(method));
    }
    let mut info = Info::new(file.name().to_owned(), Format::Qcow2, header.size);
    describe(&mut info, &header);
    info.files.push(FileInfo::of(&*file));

    let wanted = opening.options.snapshot.take();
    let saved = match (snapshot::list(&*file, &header, &mut meter), &wanted) {
        (Ok((saved, _)), _) => saved,
        (Err(e), Some(_)) => return Err(e),
        (Err(e), None) => {
            info.warnings
                .push(format!("the list of snapshots cannot be read: {e}"));
            Vec::new()
        }
    };
    let (l1, len) = match &wanted {
        Some(wanted) => chosen(&*file, &header, &saved, wanted)?,
        None => (header.l1, header.size),
    };
    info.virtual_size = len;
    info.snapshots = saved.into_iter().map(|s| s.about).collect();
    list_bitmaps(&*file, &header, &mut info, &mut meter);

    let data = data_file(&file, &header, &mut info, opening)?;
    let backing = backing(&file, &header, &mut info, opening)?;
    if let Some(method) = method {
        info.fact("encrypted", method.as_str());
        return Ok(Image {
            disk: Arc::new(Sealed::new(len, move || encrypted(&method))),
            info,
        });
    }
    let tables = Tables::new(file, header.dialect(), l1, data.len());
    let disk = Disk::new(Parts {
        tables,
        geometry: header.geometry,
        len,
        data,
        backing,
        coding: header.coding,
    });
    Ok(Image {
        disk: Arc::new(disk),
        info,
    })
}

fn chosen(
    file: &dyn BlockRead,
    header: &Header,
    saved: &[Saved],
    wanted: &str,
) -> Result<(super::header::Table, u64)> {
    let saved = snapshot::choose(saved, wanted)?;
    header
        .check_l1(file, saved.l1, saved.about.virtual_size)
        .map_err(|e| e.through(format!("snapshot {}", saved.about.id)))?;
    Ok((saved.l1, saved.about.virtual_size))
}

/// The name of the method the clusters are encrypted with.
fn encryption(file: &dyn BlockRead, header: &Header) -> Option<String> {
    match header.crypt_method {
        0 => None,
        1 => Some("AES (the old encryption of qcow2 itself)".to_owned()),
        2 => Some(format!("LUKS{}", luks_version(file, header))),
        other => Some(format!("an unknown method ({other})")),
    }
}

fn encrypted(method: &str) -> Error {
    Error::unsupported(format!(
        "the image is encrypted with {method}; encrypted images are not read"
    ))
    .at("header", 32)
    .advise("decrypt it first, with its passphrase: qemu-img convert --object secret,… --image-opts …")
}

fn luks_version(file: &dyn BlockRead, header: &Header) -> String {
    let mut pointer = EncryptionPointer::new_zeroed();
    let mut head = [0; 8];
    let found = header
        .extension(EXTENSION_ENCRYPTION)
        .filter(|span| span.len == 16)
        .is_some_and(|span| {
            file.read_at(span.offset, pointer.as_mut_bytes()).is_ok()
                && file.read_at(pointer.offset.get(), &mut head).is_ok()
        });
    match head {
        [b'L', b'U', b'K', b'S', 0xba, 0xbe, high, low] if found => {
            format!(" version {}", u16::from_be_bytes([high, low]))
        }
        _ => String::new(),
    }
}

fn describe(info: &mut Info, header: &Header) {
    info.grain = Some(header.geometry.cluster());
    info.fact("compat", if header.version == 2 { "0.10" } else { "1.1" });
    let coding = if header.coding == Coding::Zstd {
        "zstd"
    } else {
        "zlib"
    };
    info.fact("compression-type", coding);
    info.fact(
        "lazy-refcounts",
        header.compatible & COMPATIBLE_LAZY_REFCOUNTS != 0,
    );
    info.fact("refcount-bits", 1_u32.wrapping_shl(header.refcount_order));
    info.fact("extended-l2", header.geometry.extended());
    info.fact("dirty", header.dirty());
    info.fact("corrupt", header.corrupt());
    if header.dirty() {
        info.warnings.push(
            "the image was not closed properly: its reference counts may be stale, which does not matter for \
             reading; a check with repair sets them right"
                .to_owned(),
        );
    }
    if header.corrupt() {
        info.warnings.push(
            "the image is marked corrupt by somebody who found damage in it: what is read may be wrong"
                .to_owned(),
        );
    }
}

fn list_bitmaps(file: &dyn BlockRead, header: &Header, info: &mut Info, meter: &mut Meter) {
    if header.extension(EXTENSION_BITMAPS).is_none() {
        return;
    }
    if header.autoclear & AUTOCLEAR_BITMAPS == 0 {
        info.warnings.push(
            "the image has bitmaps, but was written by somebody who did not keep them: they mean nothing"
                .to_owned(),
        );
        return;
    }
    match bitmap::list(file, header, meter) {
        Ok(directory) => {
            let names = directory.bitmaps.iter().map(|b| {
                let granularity = 1_u64.checked_shl(b.granularity_bits.into()).unwrap_or(0);
                let stale = if b.in_use { ", not saved properly" } else { "" };
                format!("{} (granularity {granularity}{stale})", b.name)
            });
            info.fact("bitmaps", names.collect::<Vec<_>>());
        }
        Err(e) => info.warnings.push(format!("the bitmaps cannot be listed: {e}")),
    }
}

/// The file that holds the clusters.
fn data_file(
    file: &Arc<dyn HostFile>,
    header: &Header,
    info: &mut Info,
    opening: &Opening<'_>,
) -> Result<Arc<dyn HostFile>> {
    let raw = header.autoclear & AUTOCLEAR_RAW_DATA_FILE != 0;
    if !header.external() {
        if raw {
            info.warnings.push(
                "the image says that its external data file is raw, but it has no external data file"
                    .to_owned(),
            );
        }
        return Ok(file.clone());
    }
    let Some(name) = header.data_file_name(&**file)? else {
        return Err(Error::unsupported(
            "the image keeps its clusters in an external data file and does not name it",
        )
        .advise("record the name: qemu-img amend -f qcow2 -o data_file=NAME IMAGE"));
    };
    info.fact("data-file", name.clone());
    info.fact("data-file-raw", raw);
    let data = opening
        .sibling(&**file, &name)
        .map_err(|e| e.through("external data file"))?;
    info.files.push(FileInfo::of(&*data));
    if raw && header.backing.is_some() {
        info.warnings.push(
            "the external data file claims to be a whole raw disk, yet there is a backing file under it"
                .to_owned(),
        );
    }
    Ok(data)
}

fn backing(
    file: &Arc<dyn HostFile>,
    header: &Header,
    info: &mut Info,
    opening: &mut Opening<'_>,
) -> Result<Option<Arc<dyn BlockRead>>> {
    let Some(name) = header.backing_name(&**file)? else {
        return Ok(None);
    };
    let recorded = header.backing_format(&**file)?;
    info.fact("backing-file", name.clone());
    if let Some(recorded) = &recorded {
        info.fact("backing-format", recorded.clone());
    }
    if opening.options.alone {
        return Ok(None);
    }
    let format = match recorded {
        Some(word) => Format::from_name(&word).ok_or_else(|| {
            Error::unsupported(format!(
                "the format of the backing file is recorded as {word:?}, which is not read"
            ))
        })?,
        None => opening.options.parent_format.ok_or_else(|| {
            Error::new(
                Class::Refused,
                format!("it has a backing file ({name:?}) and does not record its format"),
            )
            .advise(
                "a guest can make its disk look like any format, so the format is not guessed: say --backing-format, \
                 or record it with qemu-img rebase -u -F FORMAT -b NAME IMAGE",
            )
        })?,
    };
    let image = opening.parent(&**file, &name, format)?;
    info.parent = Some(Box::new(image.info));
    Ok(Some(image.disk))
}
