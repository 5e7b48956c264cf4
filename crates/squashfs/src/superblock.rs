//! The superblock.

use crate::codec::Method;
use h2k_block::{BlockRead, Error, Result};
use zerocopy::byteorder::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

pub(crate) const NAME: &str = "superblock";

/// As it is stored, at byte 0.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct Superblock {
    pub(crate) magic: [u8; 4],
    pub(crate) inodes: U32,
    pub(crate) made: U32,
    pub(crate) block: U32,
    pub(crate) fragments: U32,
    pub(crate) method: U16,
    pub(crate) block_log: U16,
    pub(crate) flags: U16,
    pub(crate) ids: U16,
    pub(crate) major: U16,
    pub(crate) minor: U16,
    pub(crate) root: U64,
    pub(crate) used: U64,
    pub(crate) id_table: U64,
    pub(crate) xattr_table: U64,
    pub(crate) inode_table: U64,
    pub(crate) directory_table: U64,
    pub(crate) fragment_table: U64,
    pub(crate) export_table: U64,
}

const _: () = assert!(size_of::<Superblock>() == 96);

/// Reads and checks it; answers with the method blocks are compressed by too.
pub(crate) fn read(disk: &dyn BlockRead) -> Result<(Superblock, Method)> {
    let bad = |what: String| Error::corrupt(NAME, 0, what);
    let mut bytes = [0; 96];
    if disk.len() < 96 {
        return Err(bad(format!("the image has {} bytes", disk.len())));
    }
    disk.read_at(0, &mut bytes)?;
    let sb = Superblock::read_from_bytes(&bytes).map_err(|_| bad("is too short".to_owned()))?;
    match &sb.magic {
        b"hsqs" => {}
        b"sqsh" => {
            let what = "a big-endian image, as versions 1 to 3 had them, is not read";
            return Err(Error::unsupported(what).at(NAME, 0));
        }
        other => return Err(bad(format!("{other:?} is not its magic number"))),
    }
    if (sb.major.get(), sb.minor.get()) != (4, 0) {
        let what = format!(
            "version {}.{} is not read, 4.0 is",
            sb.major.get(),
            sb.minor.get()
        );
        return Err(Error::unsupported(what).at(NAME, 0));
    }
    let block = sb.block.get();
    if !(4096..=1 << 20).contains(&block) || !block.is_power_of_two() {
        return Err(bad(format!(
            "blocks of {block} bytes, 4 KiB to 1 MiB are allowed"
        )));
    }
    if u32::from(sb.block_log.get()) != block.trailing_zeros() {
        return Err(bad(format!(
            "blocks of {block} bytes and of 2^{}",
            sb.block_log.get()
        )));
    }
    let method = Method::of(sb.method.get())?;
    Ok((sb, method))
}
