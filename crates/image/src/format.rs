use h2k_block::{BlockRead, Result};

/// A container format, by the name qemu-img gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Format {
    /// The disk's bytes and nothing else.
    Raw,
    /// QEMU copy-on-write, versions 2 and 3.
    Qcow2,
    /// VMware virtual disk, all subformats.
    Vmdk,
    /// Microsoft Virtual PC / Hyper-V generation 1; `vpc` in qemu-img.
    Vhd,
    /// Hyper-V virtual hard disk version 2.
    Vhdx,
    /// VirtualBox disk image.
    Vdi,
}

impl Format {
    /// Every format there is.
    pub const ALL: [Self; 6] = [
        Self::Raw,
        Self::Qcow2,
        Self::Vmdk,
        Self::Vhd,
        Self::Vhdx,
        Self::Vdi,
    ];

    /// The name used on the command line and in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Qcow2 => "qcow2",
            Self::Vmdk => "vmdk",
            Self::Vhd => "vhd",
            Self::Vhdx => "vhdx",
            Self::Vdi => "vdi",
        }
    }

    /// The format called `name`; qemu-img's spelling `vpc` and the usual file endings count too.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "raw" | "img" | "dd" | "bin" => Some(Self::Raw),
            "qcow2" | "qcow" | "qc2" => Some(Self::Qcow2),
            "vmdk" => Some(Self::Vmdk),
            "vhd" | "vpc" => Some(Self::Vhd),
            "vhdx" | "avhdx" => Some(Self::Vhdx),
            "vdi" => Some(Self::Vdi),
            _ => None,
        }
    }
}

/// What `file` looks like from its own bytes. What nothing recognises is raw.
///
/// Guest-writable bytes can imitate any format: use this only on a file the user named, never on a
/// parent or an extent.
///
/// # Errors
/// When the file cannot be read.
pub fn probe(file: &dyn BlockRead) -> Result<Format> {
    if crate::qcow2::probe(file)? {
        Ok(Format::Qcow2)
    } else if crate::vmdk::probe(file)? {
        Ok(Format::Vmdk)
    } else if crate::vhdx::probe(file)? {
        Ok(Format::Vhdx)
    } else if crate::vdi::probe(file)? {
        Ok(Format::Vdi)
    } else if crate::vhd::probe(file)? {
        // Last: a fixed VHD is recognised by its end, which any raw disk could have.
        Ok(Format::Vhd)
    } else {
        Ok(Format::Raw)
    }
}
