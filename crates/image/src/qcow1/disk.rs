//! Reading: clusters through two levels of tables.

use crate::codec::{Coding, Decoder};
use crate::packed::{Chunk, Chunks, Held, Packed};
use crate::pages::Pages;
use crate::raw::RawDisk;
use crate::sealed::Sealed;
use crate::{FileInfo, Format, Image, Info, Opening};
use h2k_block::{BlockRead, Class, Error, HostFile, Result};
use std::sync::Arc;
use zerocopy::{BE, FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout, U16, U32, U64, Unaligned};

#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct Header {
    magic: [u8; 4],
    version: U32<BE>,
    backing_file_offset: U64<BE>,
    backing_file_size: U32<BE>,
    mtime: U32<BE>,
    size: U64<BE>,
    cluster_bits: u8,
    l2_bits: u8,
    padding: U16<BE>,
    crypt_method: U32<BE>,
    l1_table_offset: U64<BE>,
}
const _: () = assert!(size_of::<Header>() == 48);

const COMPRESSED: u64 = 1 << 63;

/// Opens the image in `file`.
pub(crate) fn open(file: Arc<dyn HostFile>, opening: &mut Opening<'_>) -> Result<Image> {
    let bad = |what: String| Error::corrupt("header", 0, what);
    let mut header = Header::new_zeroed();
    if file.len() < 48 {
        return Err(bad(format!("the file has only {} bytes", file.len())));
    }
    file.read_at(0, header.as_mut_bytes())?;
    if header.magic != *b"QFI\xfb" || header.version.get() != 1 {
        return Err(bad("no magic \"QFI\" with version 1".to_owned()));
    }
    let method = header.crypt_method.get();
    if method != 0 && !opening.options.describe {
        return Err(encrypted(method));
    }
    let (cluster_bits, l2_bits) = (header.cluster_bits, header.l2_bits);
    // The limits QEMU has always had.
    if !(9..=16).contains(&cluster_bits) || !(6..=13).contains(&l2_bits) {
        return Err(bad(format!(
            "clusters of 2^{cluster_bits} bytes and L2 tables of 2^{l2_bits} entries; allowed are 9 to 16 and 6 to 13"
        )));
    }
    let size = header.size.get();
    let shift = u32::from(cluster_bits).saturating_add(l2_bits.into());
    let l1_entries = size.div_ceil(1_u64.checked_shl(shift).unwrap_or(1));
    let l1 = header.l1_table_offset.get();
    let end = l1.checked_add(l1_entries.saturating_mul(8));
    if !l1.is_multiple_of(8) || end.is_none_or(|end| end > file.len()) {
        return Err(bad(format!(
            "the L1 table at {l1:#x} with {l1_entries} entries is not inside the file, which has {:#x} bytes",
            file.len()
        )));
    }
    let mut info = Info::new(file.name().to_owned(), Format::Qcow1, size);
    info.files.push(FileInfo::of(&*file));
    info.grain = Some(1 << cluster_bits);
    let parent = backing(&*file, &header, opening, &mut info)?;
    if method != 0 {
        info.fact("encrypted", if method == 1 { "AES" } else { "an unknown method" });
        return Ok(Image {
            disk: Arc::new(Sealed::new(size, move || encrypted(method))),
            info,
        });
    }
    let view: Arc<dyn BlockRead> = Arc::new(RawDisk(file.clone()));
    let map = Map {
        pages: Pages::new(view.clone()),
        file,
        size,
        cluster_bits: cluster_bits.into(),
        l2_bits: l2_bits.into(),
        l1,
        decoder: Decoder::default(),
    };
    Ok(Image {
        disk: Arc::new(Packed::new(map, view, parent, 1 << cluster_bits)),
        info,
    })
}

fn backing(
    file: &dyn HostFile,
    header: &Header,
    opening: &mut Opening<'_>,
    info: &mut Info,
) -> Result<Option<Arc<dyn BlockRead>>> {
    let (offset, len) = (header.backing_file_offset.get(), header.backing_file_size.get());
    if offset == 0 || len == 0 {
        return Ok(None);
    }
    let end = offset.checked_add(len.into());
    if len > 1023 || end.is_none_or(|end| end > file.len()) {
        let what = format!("a backing file name of {len} bytes at {offset:#x}");
        return Err(Error::corrupt("header", 8, what));
    }
    let mut raw = vec![0; usize::try_from(len).unwrap_or(0)];
    file.read_at(offset, &mut raw)?;
    let name = String::from_utf8_lossy(&raw).into_owned();
    info.fact("backing-file", name.as_str());
    if opening.options.alone {
        return Ok(None);
    }
    let format = opening.options.parent_format.ok_or_else(|| {
        let what = format!("it has a backing file ({name:?}), and version 1 cannot record its format");
        Error::new(Class::Refused, what).advise("say --backing-format")
    })?;
    let image = opening.parent(file, &name, format)?;
    info.parent = Some(Box::new(image.info));
    Ok(Some(image.disk))
}

struct Map {
    pages: Pages,
    file: Arc<dyn HostFile>,
    size: u64,
    cluster_bits: u32,
    l2_bits: u32,
    l1: u64,
    decoder: Decoder,
}

impl Map {
    fn cluster(&self) -> u64 {
        1_u64.checked_shl(self.cluster_bits).unwrap_or(1)
    }

    /// The L2 entry of cluster `nth`, and where it is; `Err` with the number of the next cluster that may be there
    /// when the whole L2 table is missing.
    fn entry(&self, nth: u64) -> Result<std::result::Result<(u64, u64), u64>> {
        let index = nth.checked_shr(self.l2_bits).unwrap_or(0);
        let at = self.l1.saturating_add(index.saturating_mul(8));
        let l2 = u64::from_be_bytes(self.pages.cursor("L1 table").word(at)?);
        if l2 == 0 {
            let next = index.saturating_add(1);
            return Ok(Err(next.checked_shl(self.l2_bits).unwrap_or(u64::MAX)));
        }
        if !l2.is_multiple_of(8) {
            return Err(Error::corrupt(
                "L1 table",
                at,
                format!("the L2 table lies at {l2:#x}"),
            ));
        }
        let mask = 1_u64.checked_shl(self.l2_bits).unwrap_or(1).saturating_sub(1);
        let at = l2.saturating_add((nth & mask).saturating_mul(8));
        Ok(Ok((
            u64::from_be_bytes(self.pages.cursor("L2 table").word(at)?),
            at,
        )))
    }

    fn past(&self, at: u64, what: u64) -> Error {
        let what = format!(
            "a cluster at {what:#x}, the file has {:#x} bytes",
            self.file.len()
        );
        Error::corrupt("L2 table", at, what)
    }
}

impl Chunks for Map {
    fn len(&self) -> u64 {
        self.size
    }

    fn at(&self, offset: u64) -> Result<Chunk> {
        let nth = offset.checked_shr(self.cluster_bits).unwrap_or(0);
        let start = nth.saturating_mul(self.cluster());
        let len = self.cluster().min(self.size.saturating_sub(start));
        let chunk = |len, held| Chunk {
            key: nth,
            start,
            len,
            held,
        };
        match self.entry(nth)? {
            Err(next) => {
                let end = next.saturating_mul(self.cluster()).min(self.size);
                Ok(chunk(end.saturating_sub(start), Held::Hole))
            }
            Ok((0, _)) => Ok(chunk(len, Held::Hole)),
            Ok((entry, _)) if entry & COMPRESSED != 0 => Ok(chunk(len, Held::Packed)),
            Ok((entry, at)) => {
                if entry.saturating_add(len) > self.file.len() {
                    return Err(self.past(at, entry));
                }
                Ok(chunk(len, Held::Here(entry)))
            }
        }
    }

    fn unpack(&self, chunk: &Chunk, out: &mut [u8]) -> Result<()> {
        let Ok((entry, at)) = self.entry(chunk.key)? else {
            return Err(Error::corrupt(
                "L1 table",
                self.l1,
                "the table changed while it was read",
            ));
        };
        // Below bit 63: the length in the upper `cluster_bits` bits, the offset in the rest.
        let shift = 63_u32.saturating_sub(self.cluster_bits);
        let mask = 1_u64.checked_shl(shift).unwrap_or(0).saturating_sub(1);
        let start = entry & mask;
        let len = (entry & !COMPRESSED).checked_shr(shift).unwrap_or(0);
        if len == 0 || start.saturating_add(len) > self.file.len() {
            return Err(self.past(at, start));
        }
        let mut packed = vec![0; usize::try_from(len).unwrap_or(0)];
        self.file.read_at(start, &mut packed)?;
        // The last cluster of a disk is packed whole although the disk ends inside it.
        let whole = usize::try_from(self.cluster()).unwrap_or(usize::MAX);
        let mut rest = Vec::new();
        let target = if out.len() == whole {
            &mut *out
        } else {
            rest.resize(whole, 0);
            &mut rest
        };
        match self.decoder.decode(Coding::Deflate, &packed, target) {
            Ok(n) if n == whole => {}
            Ok(n) => {
                let what = format!("the compressed cluster at {start:#x} holds {n} bytes, not {whole}");
                return Err(Error::corrupt("L2 table", at, what));
            }
            Err(_) => {
                let what = format!("the compressed cluster at {start:#x} cannot be decoded");
                return Err(Error::corrupt("L2 table", at, what));
            }
        }
        if let Some(head) = rest.get(..out.len()) {
            out.copy_from_slice(head);
        }
        Ok(())
    }
}

fn encrypted(method: u32) -> Error {
    let what = match method {
        1 => "the image is encrypted with AES".to_owned(),
        other => format!("encryption method {other}"),
    };
    Error::unsupported(what)
        .at("header", 36)
        .advise("decrypt it first, with its passphrase: qemu-img convert --object secret,… --image-opts …")
}
