//! Reading: blocks through the map.

use super::layout::{
    DIFFERENCING, DISCARDED, DYNAMIC, Header, SHORTEST, SIGNATURE, STATIC, UNALLOCATED, UNDO, VERSION,
};
use crate::layered::{Layered, Run, Runs, Stored};
use crate::pages::{Cursor, Pages};
use crate::raw::RawDisk;
use crate::{FileInfo, Format, Image, Info, Opening};
use h2k_block::{BlockRead, Error, HostFile, Result};
use std::sync::Arc;
use zerocopy::{FromZeros, IntoBytes};

/// Opens the image in `file`.
pub(crate) fn open(file: Arc<dyn HostFile>, _opening: &mut Opening<'_>) -> Result<Image> {
    let header = header(&*file)?;
    let raw: Arc<dyn BlockRead> = Arc::new(RawDisk(file.clone()));
    let map = BlockMap::new(&*file, raw.clone(), &header)?;
    let mut info = Info::new(file.name().to_owned(), Format::Vdi, map.size);
    info.files.push(FileInfo::of(&*file));
    info.grain = Some(map.block_size);
    let kind = if header.image_type.get() == STATIC {
        "static"
    } else {
        "dynamic"
    };
    info.subformat = Some(kind.to_owned());
    info.fact("uuid", header.uuid_create.to_string());
    info.fact("blocks-allocated", header.blocks_allocated.get());
    if map.size != header.disk_size.get() {
        info.warnings.push(format!(
            "the disk has {} bytes, which are not whole sectors; it is rounded up",
            header.disk_size.get()
        ));
    }
    Ok(Image {
        disk: Arc::new(Layered::new(map, raw, None)),
        info,
    })
}

/// Reads and checks the header.
pub(super) fn header(file: &dyn BlockRead) -> Result<Header> {
    let bad = |what: String| Error::corrupt("header", 0, what);
    let mut header = Header::new_zeroed();
    if file.len() < 512 {
        return Err(bad(format!("the file has only {} bytes", file.len())));
    }
    file.read_at(0, header.as_mut_bytes())?;
    if header.signature.get() != SIGNATURE {
        return Err(bad(format!(
            "signature {:#010x}, expected {SIGNATURE:#010x}",
            header.signature.get()
        )));
    }
    let version = header.version.get();
    if version != VERSION {
        return Err(Error::unsupported(format!(
            "version {}.{} of the format; version 1.1 is the only one known",
            version >> 16,
            version & 0xffff
        ))
        .at("header", 0x44));
    }
    if header.header_size.get() < SHORTEST {
        return Err(bad(format!(
            "a header of {} bytes, version 1.1 has at least {SHORTEST}",
            header.header_size.get()
        )));
    }
    let refused = |what: &str| {
        Err(Error::unsupported(format!(
            "{what}, which names its parent by UUID only, is not read"
        ))
        .at("header", 0x4c)
        .advise("make a full clone with VBoxManage clonemedium, or merge the snapshots in VirtualBox first"))
    };
    match header.image_type.get() {
        DYNAMIC | STATIC => {}
        UNDO => return refused("an undo image"),
        DIFFERENCING => return refused("a differencing image (a snapshot)"),
        other => return Err(Error::unsupported(format!("image type {other}")).at("header", 0x4c)),
    }
    // VirtualBox marks the base of a chain in no way, but a child's own links are never nil.
    if !header.uuid_linkage.is_nil() || !header.uuid_parent_modify.is_nil() {
        return refused("an image with a parent");
    }
    if header.block_extra.get() != 0 {
        return Err(Error::unsupported(format!(
            "{} extra bytes before each block",
            header.block_extra.get()
        ))
        .at("header", 0x17c));
    }
    Ok(header)
}

/// The block map.
pub(super) struct BlockMap {
    pub(super) pages: Pages,
    pub(super) size: u64,
    pub(super) block_size: u64,
    pub(super) map: u64,
    data: u64,
    file_len: u64,
}

impl BlockMap {
    pub(super) fn new(file: &dyn HostFile, raw: Arc<dyn BlockRead>, header: &Header) -> Result<Self> {
        let bad = |what: String| Error::corrupt("header", 0, what);
        let block_size = u64::from(header.block_size.get());
        if !block_size.is_power_of_two() || block_size < 512 {
            return Err(bad(format!(
                "blocks of {block_size} bytes; the block size is a power of two of at least 512"
            )));
        }
        let said = header.disk_size.get();
        let size = said.checked_next_multiple_of(512);
        let size = size.ok_or_else(|| bad(format!("a disk of {said} bytes")))?;
        let (needed, blocks) = (size.div_ceil(block_size), u64::from(header.blocks.get()));
        if blocks < needed {
            return Err(bad(format!(
                "a disk of {size} bytes has {needed} blocks, the block map has {blocks} entries"
            )));
        }
        let map = u64::from(header.blocks_offset.get());
        let end = map.saturating_add(needed.saturating_mul(4));
        if map < 384 || !map.is_multiple_of(4) || end > file.len() {
            return Err(bad(format!(
                "the block map at {map:#x} with {needed} entries is not inside the file, which has {:#x} bytes",
                file.len()
            )));
        }
        Ok(Self {
            pages: Pages::new(raw),
            size,
            block_size,
            map,
            data: header.data_offset.get().into(),
            file_len: file.len(),
        })
    }

    /// Where block `block` is; `needed` of its bytes have to be in the file.
    pub(super) fn block(&self, cursor: &mut Cursor<'_>, block: u64, needed: u64) -> Result<Stored> {
        let at = self.map.saturating_add(block.saturating_mul(4));
        match u32::from_le_bytes(cursor.word(at)?) {
            UNALLOCATED => Ok(Stored::Hole),
            DISCARDED => Ok(Stored::Zero),
            entry => {
                let host = u64::from(entry)
                    .saturating_mul(self.block_size)
                    .saturating_add(self.data);
                if host.saturating_add(needed) > self.file_len {
                    return Err(Error::corrupt(
                        "block map",
                        at,
                        format!(
                            "block {block} is data block {entry} at {host:#x}, the file has {:#x} bytes",
                            self.file_len
                        ),
                    ));
                }
                Ok(Stored::Here(host))
            }
        }
    }
}

impl Runs for BlockMap {
    fn len(&self) -> u64 {
        self.size
    }

    fn grain(&self) -> u32 {
        u32::try_from(self.block_size.clamp(4096, 1 << 20)).unwrap_or(1 << 20)
    }

    fn run(&self, offset: u64, end: u64) -> Result<Run> {
        let size = self.block_size;
        let mut cursor = self.pages.cursor("block map");
        let mut block = offset.checked_div(size).unwrap_or(0);
        let within = offset.checked_rem(size).unwrap_or(0);
        let to = size.min(within.saturating_add(end.saturating_sub(offset)));
        let first = match self.block(&mut cursor, block, to)? {
            Stored::Here(host) => Stored::Here(host.saturating_add(within)),
            other => other,
        };
        let mut len = to.saturating_sub(within);
        while offset.saturating_add(len) < end {
            block = block.saturating_add(1);
            let needed = end.saturating_sub(offset).saturating_sub(len).min(size);
            let expected = match first {
                Stored::Here(host) => Stored::Here(host.saturating_add(len)),
                other => other,
            };
            // What is wrong with a later block is said when somebody asks for it.
            if !self
                .block(&mut cursor, block, needed)
                .is_ok_and(|next| next == expected)
            {
                break;
            }
            len = len.saturating_add(needed);
        }
        Ok(Run { len, stored: first })
    }
}
