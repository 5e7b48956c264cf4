//! zisofs: files kept as blocks of zlib behind a table of pointers. (Described in mkisofs' and zisofs-tools'
//! documentation of the ZF entry.)

use super::susp::Zisofs;
use flate2::{Decompress, FlushDecompress, Status};
use h2k_block::{Error, Result};

const NAME: &str = "zisofs block";
const MAGIC: [u8; 8] = [0x37, 0xe4, 0x53, 0x96, 0xc9, 0xdb, 0xd6, 0x07];

/// Reads bytes of the stored file.
pub(crate) type Stored<'a> = &'a dyn Fn(u64, &mut [u8]) -> Result<()>;

/// Whether the stored file begins as the record promises.
fn check(zisofs: Zisofs, stored: Stored<'_>, at: u64) -> Result<()> {
    let mut head = [0; 16];
    stored(0, &mut head)?;
    let (magic, rest) = head.split_first_chunk::<8>().unwrap_or((&MAGIC, &[]));
    let size = rest.first_chunk::<4>().map(|b| u32::from_le_bytes(*b));
    let agrees = *magic == MAGIC
        && size == Some(zisofs.size)
        && rest.get(4).map(|n| u32::from(*n).saturating_mul(4)) == Some(zisofs.header)
        && rest.get(5) == Some(&zisofs.block_bits);
    if agrees {
        return Ok(());
    }
    Err(Error::corrupt(
        "zisofs header",
        at,
        "does not agree with the directory",
    ))
}

/// The `n`th block of the content of a file stored in `len` bytes, whose extent begins at `at`.
pub(crate) fn block(zisofs: Zisofs, len: u64, stored: Stored<'_>, at: u64, n: u32) -> Result<Vec<u8>> {
    check(zisofs, stored, at)?;
    let size = 1_u64 << zisofs.block_bits;
    let from = u64::from(n).saturating_mul(size);
    let want = u64::from(zisofs.size).saturating_sub(from).min(size);
    let want = usize::try_from(want).unwrap_or(0);
    let mut pointers = [0; 8];
    let table = u64::from(zisofs.header).saturating_add(u64::from(n).saturating_mul(4));
    stored(table, &mut pointers)?;
    let [a, b, c, d, e, f, g, h] = pointers;
    let (start, end) = (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]));
    let bad = |what: String| Error::corrupt(NAME, at.saturating_add(start.into()), what);
    let room = end.checked_sub(start).filter(|_| u64::from(end) <= len);
    // Incompressible data grows by less than this.
    let room = room.filter(|r| u64::from(*r) <= size.saturating_mul(2));
    let Some(room) = room else {
        return Err(bad(format!("block {n} lies at {start}..{end} of {len} bytes")));
    };
    if room == 0 {
        return Ok(vec![0; want]);
    }
    let mut packed = vec![0; usize::try_from(room).unwrap_or(0)];
    stored(start.into(), &mut packed)?;
    let mut out = vec![0; want];
    let mut inflate = Decompress::new(true);
    let status = inflate.decompress(&packed, &mut out, FlushDecompress::Finish);
    let got = inflate.total_out();
    // A block may be longer than what the file needs of it.
    let whole = matches!(status, Ok(Status::StreamEnd | Status::BufError | Status::Ok));
    if whole && usize::try_from(got) == Ok(want) {
        return Ok(out);
    }
    Err(bad(format!("block {n} unpacks to {got} bytes of {want}")))
}
