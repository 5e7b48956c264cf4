//! Unified kernel images, as small as can be.

/// A program with the sections of a unified kernel image.
#[must_use]
pub fn uki(sections: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out = vec![0; 64];
    out[..2].copy_from_slice(b"MZ");
    out[0x3c] = 64;
    out.extend(b"PE\0\0");
    out.extend(0x8664_u16.to_le_bytes());
    out.extend(u16::try_from(sections.len()).unwrap().to_le_bytes());
    out.extend([0; 16]);
    let mut at = out.len() + 40 * sections.len();
    for (name, content) in sections {
        let len = u32::try_from(content.len()).unwrap().to_le_bytes();
        let mut row = [0; 40];
        row[..name.len()].copy_from_slice(name.as_bytes());
        row[8..12].copy_from_slice(&len);
        row[16..20].copy_from_slice(&len);
        row[20..24].copy_from_slice(&u32::try_from(at).unwrap().to_le_bytes());
        at += content.len();
        out.extend(row);
    }
    for (_, content) in sections {
        out.extend(*content);
    }
    out
}
