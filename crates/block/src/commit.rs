//! Edits reach a disk all together or not at all: a redo log, written once, for every format and filesystem.
//!
//! Log: 24 bytes of head (magic, body length, CRC-32C of the body), then records of offset, length, bytes.

use crate::{BlockWrite, Error, HostFile, Limits, Meter, Overlay, Result};

const MAGIC: [u8; 8] = *b"h2k-redo";
const HEAD: u64 = 24;

/// Writes `edits` to `disk`. If this stops half-way, [`recover`] with the same log finishes the work.
///
/// # Errors
/// Whatever the disk or the log says.
pub fn commit(edits: &Overlay, disk: &dyn BlockWrite, log: &dyn HostFile) -> Result<()> {
    let mut body = Vec::new();
    edits.each(&mut |offset, bytes| {
        body.extend_from_slice(&offset.to_le_bytes());
        body.extend_from_slice(&u64::try_from(bytes.len()).unwrap_or(0).to_le_bytes());
        body.extend_from_slice(bytes);
        Ok(())
    })?;
    let len = u64::try_from(body.len()).unwrap_or(u64::MAX);
    log.set_len(HEAD.saturating_add(len))?;
    log.write_at(HEAD, &body)?;
    log.flush()?;
    // The point of no return is one small write.
    let mut head = MAGIC.to_vec();
    head.extend_from_slice(&len.to_le_bytes());
    head.extend_from_slice(&u64::from(crc32c::crc32c(&body)).to_le_bytes());
    log.write_at(0, &head)?;
    log.flush()?;
    redo(&body, disk)?;
    forget(log)
}

/// Finishes an interrupted commit, if `log` holds a whole one. Says whether it did.
///
/// # Errors
/// Whatever the disk or the log says.
pub fn recover(disk: &dyn BlockWrite, log: &dyn HostFile, limits: Limits) -> Result<bool> {
    if log.len() < HEAD {
        return Ok(false);
    }
    let mut head = [0_u8; 24];
    log.read_at(0, &mut head)?;
    let (words, _) = head.as_chunks::<8>();
    let [magic, len, sum] = words else {
        return Ok(false);
    };
    let len = u64::from_le_bytes(*len);
    if *magic != MAGIC || len > log.len().saturating_sub(HEAD) {
        return Ok(false);
    }
    let mut body = Meter::new(limits).buffer(len, "redo log")?;
    log.read_at(HEAD, &mut body)?;
    if u64::from(crc32c::crc32c(&body)) != u64::from_le_bytes(*sum) {
        return Ok(false);
    }
    redo(&body, disk)?;
    forget(log)?;
    Ok(true)
}

fn redo(mut body: &[u8], disk: &dyn BlockWrite) -> Result<()> {
    let short = || Error::corrupt("redo log", HEAD, "a record runs past the log");
    while let Some((at, rest)) = body.split_first_chunk::<8>() {
        let (len, rest) = rest.split_first_chunk::<8>().ok_or_else(short)?;
        let n = usize::try_from(u64::from_le_bytes(*len)).map_err(|_| short())?;
        disk.write_at(u64::from_le_bytes(*at), rest.get(..n).ok_or_else(short)?)?;
        body = rest.get(n..).unwrap_or_default();
    }
    disk.flush()
}

fn forget(log: &dyn HostFile) -> Result<()> {
    log.write_at(0, &[0; 8])?;
    log.flush()
}
