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
    /// Bochs growing image. Read only, as all below.
    Bochs,
    /// Compressed loop image.
    Cloop,
    /// Apple UDIF.
    Dmg,
    /// EnCase evidence file, E01.
    Ewf,
    /// Parallels expanding image.
    Parallels,
    /// QEMU copy-on-write, version 1; `qcow` in qemu-img.
    Qcow1,
}

impl Format {
    /// Every format there is: first those that are made, then those that are only read.
    pub const ALL: [Self; 12] = [
        Self::Raw,
        Self::Qcow2,
        Self::Vmdk,
        Self::Vhd,
        Self::Vhdx,
        Self::Vdi,
        Self::Bochs,
        Self::Cloop,
        Self::Dmg,
        Self::Ewf,
        Self::Parallels,
        Self::Qcow1,
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
            Self::Bochs => "bochs",
            Self::Cloop => "cloop",
            Self::Dmg => "dmg",
            Self::Ewf => "ewf",
            Self::Parallels => "parallels",
            Self::Qcow1 => "qcow",
        }
    }

    /// Whether images of this format can be made; every format can be read.
    #[must_use]
    pub fn is_made(self) -> bool {
        match self {
            Self::Raw | Self::Qcow2 | Self::Vmdk | Self::Vhd | Self::Vhdx | Self::Vdi => true,
            Self::Bochs | Self::Cloop | Self::Dmg | Self::Ewf | Self::Parallels | Self::Qcow1 => false,
        }
    }

    /// The format called `name`; qemu-img's spelling `vpc` and the usual file endings count too.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "raw" | "img" | "dd" | "bin" => Some(Self::Raw),
            "qcow2" | "qc2" => Some(Self::Qcow2),
            "vmdk" => Some(Self::Vmdk),
            "vhd" | "vpc" => Some(Self::Vhd),
            "vhdx" | "avhdx" => Some(Self::Vhdx),
            "vdi" => Some(Self::Vdi),
            "bochs" => Some(Self::Bochs),
            "cloop" => Some(Self::Cloop),
            "dmg" => Some(Self::Dmg),
            "ewf" | "e01" => Some(Self::Ewf),
            "parallels" | "hds" | "hdd" => Some(Self::Parallels),
            "qcow" => Some(Self::Qcow1),
            _ => None,
        }
    }
}

/// What `file` looks like from its own bytes. What nothing recognises is raw, unless it says itself that it is no
/// disk: archives, compressed files and descriptions of machines are refused.
///
/// Guest-writable bytes can imitate any format: use this only on a file the user named, never on a
/// parent or an extent.
///
/// # Errors
/// When the file cannot be read; [`Class::Unsupported`](h2k_block::Class::Unsupported) for what is no disk, by name.
pub fn probe(file: &dyn BlockRead) -> Result<Format> {
    if crate::qcow1::probe(file)? {
        // Before qcow2, which has the same magic.
        Ok(Format::Qcow1)
    } else if crate::qcow2::probe(file)? {
        Ok(Format::Qcow2)
    } else if crate::vmdk::probe(file)? {
        Ok(Format::Vmdk)
    } else if crate::vhdx::probe(file)? {
        Ok(Format::Vhdx)
    } else if crate::vdi::probe(file)? {
        Ok(Format::Vdi)
    } else if crate::parallels::probe(file)? {
        Ok(Format::Parallels)
    } else if crate::bochs::probe(file)? {
        Ok(Format::Bochs)
    } else if crate::cloop::probe(file)? {
        Ok(Format::Cloop)
    } else if crate::ewf::probe(file)? {
        Ok(Format::Ewf)
    } else if crate::vhd::probe(file)? {
        // Last: a fixed VHD and a UDIF are recognised by their end, which any raw disk could have.
        Ok(Format::Vhd)
    } else if crate::dmg::probe(file)? {
        Ok(Format::Dmg)
    } else {
        crate::stranger::refuse(file)?;
        Ok(Format::Raw)
    }
}
