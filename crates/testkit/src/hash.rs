//! The digests the corpus manifest uses (its `tools/diskhash.py` is the definition).

use h2k_block::{BlockRead, Result, is_zero};
use sha2::{Digest, Sha256};

/// Lower-case hexadecimal.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// SHA-256 of some bytes.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// SHA-256 of all bytes of a disk.
pub fn disk_sha256(disk: &dyn BlockRead) -> Result<String> {
    let mut hash = Sha256::new();
    walk(disk, 1 << 20, &mut |_, block| hash.update(block))?;
    Ok(hex(&hash.finalize()))
}

/// SHA-256 over the 64 KiB blocks that hold a non-zero byte, each led by its offset as 8 little-endian bytes.
/// Skips holes without reading them.
pub fn nz64k(disk: &dyn BlockRead) -> Result<String> {
    let mut hash = Sha256::new();
    let mut at = 0;
    let mut block = vec![0; 65536];
    while at < disk.len() {
        let extent = disk.extent_at(at, disk.len())?;
        if extent.kind != h2k_block::Kind::Data {
            let next = extent.end() - extent.end() % 65536;
            if next > at {
                at = next;
                continue;
            }
        }
        let n = (disk.len() - at).min(65536) as usize;
        disk.read_at(at, &mut block[..n])?;
        if !is_zero(&block[..n]) {
            hash.update(at.to_le_bytes());
            hash.update(&block[..n]);
        }
        at += 65536;
    }
    Ok(hex(&hash.finalize()))
}

fn walk(disk: &dyn BlockRead, step: usize, each: &mut dyn FnMut(u64, &[u8])) -> Result<()> {
    let mut buf = vec![0; step];
    let mut at = 0;
    while at < disk.len() {
        let n = (disk.len() - at).min(step as u64) as usize;
        disk.read_at(at, &mut buf[..n])?;
        each(at, &buf[..n]);
        at += n as u64;
    }
    Ok(())
}
