//! What a kernel's file says of itself, after the kernel's `Documentation/arch/x86/boot.rst` and
//! `Documentation/arch/arm64/booting.rst`.

use crate::bytes::{index, le16, le32, text};
use schemars::JsonSchema;
use serde::Serialize;

/// How many bytes of the file have to be known: the version may lie 64 KiB behind the boot sector.
pub const HEAD: usize = 0x200 + 0x1_0000 + 0x200;

/// What kind of file a kernel is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ImageFormat {
    /// x86, with the boot protocol's header.
    BzImage,
    /// arm64, not compressed.
    Arm64Image,
    /// A program for UEFI that unpacks a kernel (`EFI_ZBOOT`).
    EfiZboot,
    /// A unified kernel image: kernel, initramfs and command line in one program for UEFI.
    Uki,
    /// Packed with gzip, as arm64 and others have it.
    Gzip,
    /// An ELF file: `vmlinux`.
    Elf,
    /// None of these.
    Unknown,
}

/// What the head of a kernel's file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelImage {
    /// Which kind of file.
    pub format: ImageFormat,
    /// The whole version line, where the header has one: `6.1.0-18-amd64 (debian-kernel@…) #1 SMP …`.
    pub banner: Option<String>,
    /// `x86_64`, `i386`, `aarch64`, where the header says so.
    pub architecture: Option<&'static str>,
}

impl KernelImage {
    /// Reads the first bytes of a kernel's file: [`HEAD`] of them, or all there are.
    #[must_use]
    pub fn read(head: &[u8]) -> Self {
        let plain = |format, architecture| Self {
            format,
            banner: None,
            architecture,
        };
        if head.get(0x202..0x206) == Some(b"HdrS") {
            return Self {
                format: ImageFormat::BzImage,
                banner: banner(head),
                architecture: Some(if is_64_bit(head) { "x86_64" } else { "i386" }),
            };
        }
        if head.get(0x38..0x3c) == Some(b"ARM\x64") {
            return plain(ImageFormat::Arm64Image, Some("aarch64"));
        }
        if head.starts_with(b"MZ") && head.get(4..8) == Some(b"zimg") {
            return plain(ImageFormat::EfiZboot, machine(head));
        }
        if head.starts_with(&[0x1f, 0x8b]) {
            return plain(ImageFormat::Gzip, None);
        }
        if head.starts_with(b"\x7fELF") {
            return plain(ImageFormat::Elf, None);
        }
        plain(ImageFormat::Unknown, None)
    }

    /// The release, which names the directory of modules: the first word of the banner.
    #[must_use]
    pub fn release(&self) -> Option<&str> {
        self.banner.as_deref()?.split_whitespace().next()
    }
}

/// `kernel_version` of the header: where the version lies, counted from the end of the boot sector.
fn banner(head: &[u8]) -> Option<String> {
    let at = le16(head, 0x20e).filter(|at| *at != 0)?;
    let at = usize::from(at).checked_add(0x200)?;
    let line = head.get(at..)?;
    let line = line.get(..line.len().min(512))?;
    // Without its NUL it is something else.
    line.contains(&0)
        .then(|| text(line).trim().to_owned())
        .filter(|line| !line.is_empty() && !line.contains(char::is_control))
}

/// `XLF_KERNEL_64` of `xloadflags`, which protocol 2.12 has; before, 64-bit kernels cannot be told from the header.
fn is_64_bit(head: &[u8]) -> bool {
    let protocol = le16(head, 0x206).unwrap_or(0);
    if protocol >= 0x020c {
        return le16(head, 0x236).is_some_and(|flags| flags & 1 != 0);
    }
    true
}

/// The machine field of a PE header.
fn machine(head: &[u8]) -> Option<&'static str> {
    let pe = index(le32(head, 0x3c)?);
    match le16(head, pe.checked_add(4)?)? {
        0x8664 => Some("x86_64"),
        0x014c => Some("i386"),
        0xaa64 => Some("aarch64"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_release_comes_from_the_header() {
        let mut head = vec![0; 0x4000];
        head[0x202..0x206].copy_from_slice(b"HdrS");
        head[0x206..0x208].copy_from_slice(&0x020f_u16.to_le_bytes());
        head[0x20e..0x210].copy_from_slice(&0x3000_u16.to_le_bytes());
        head[0x236] = 1;
        let line = b"6.1.0-18-amd64 (debian-kernel@lists) #1 SMP\0";
        head[0x3200..0x3200 + line.len()].copy_from_slice(line);
        let image = KernelImage::read(&head);
        assert_eq!(image.format, ImageFormat::BzImage);
        assert_eq!(image.release(), Some("6.1.0-18-amd64"));
        assert_eq!(image.architecture, Some("x86_64"));
        // A version that lies outside of the file.
        let image = KernelImage::read(&head[..0x3000]);
        assert_eq!((image.format, image.release()), (ImageFormat::BzImage, None));
    }
}
