//! Disk labels of other systems: recognised by name, not read.

use crate::bytes::{be16, be32, clipped, has, le32};
use h2k_block::{BlockRead, Result};

/// What kind of label `disk` carries, in words.
pub(crate) fn foreign(disk: &dyn BlockRead) -> Result<Option<&'static str>> {
    let head = clipped(disk, 0, 8192)?;
    // struct disklabel: d_magic, and d_magic2 at 132. In sector 1, or at byte 64 of sector 0 (Alpha), or in sector 0.
    for at in [512_usize, 64, 0, 128] {
        if bsd(&head, at) {
            return Ok(Some("a BSD disklabel"));
        }
    }
    if has(&head, 512, b"DBSD") || le32(&head, 512) == Some(0xc446_4c59) {
        return Ok(Some("a DragonFly BSD disklabel64"));
    }
    // struct sun_disklabel: the magic in the last but one half word, all half words XOR to zero.
    if let Some(sector) = head.get(..512)
        && be16(sector, 508) == Some(0xdabe)
        && sector
            .as_chunks::<2>()
            .0
            .iter()
            .fold(0, |sum, half| sum ^ u16::from_be_bytes(*half))
            == 0
    {
        return Ok(Some("a Sun disk label"));
    }
    // Solaris x86 VTOC in sector 1 of its partition: v_sanity at 12.
    if le32(&head, 512 + 12) == Some(0x600d_deee) {
        return Ok(Some("a Solaris x86 VTOC"));
    }
    // SGI volume header.
    if be32(&head, 0) == Some(0x0be5_a941) {
        return Ok(Some("an SGI volume header"));
    }
    Ok(None)
}

fn bsd(head: &[u8], at: usize) -> bool {
    const MAGIC: u32 = 0x8256_4557;
    let read = |extra: usize| {
        let at = at.saturating_add(extra);
        [le32(head, at), be32(head, at)]
    };
    let ([little, big], [little2, big2]) = (read(0), read(132));
    (little == Some(MAGIC) && little2 == Some(MAGIC)) || (big == Some(MAGIC) && big2 == Some(MAGIC))
}
