use crate::{Format, qcow2, raw, vdi, vhd, vhdx, vmdk};
use h2k_block::{Error, HostFile, Result, Sink};
use std::sync::Arc;

/// A container to be made: the format and all its options, every default filled in.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Target {
    /// A raw file.
    Raw(raw::Options),
    /// A qcow2 image.
    Qcow2(qcow2::Options),
    /// A VMDK.
    Vmdk(vmdk::Options),
    /// A VHD.
    Vhd(vhd::Options),
    /// A VHDX.
    Vhdx(vhdx::Options),
    /// A VDI.
    Vdi(vdi::Options),
    /// A format that is only read: [`create`] refuses it by name.
    ReadOnly(Format),
}

impl Target {
    /// The format, with the options qemu-img would choose.
    #[must_use]
    pub fn of(format: Format) -> Self {
        match format {
            Format::Raw => Self::Raw(raw::Options::default()),
            Format::Qcow2 => Self::Qcow2(qcow2::Options::default()),
            Format::Vmdk => Self::Vmdk(vmdk::Options::default()),
            Format::Vhd => Self::Vhd(vhd::Options::default()),
            Format::Vhdx => Self::Vhdx(vhdx::Options::default()),
            Format::Vdi => Self::Vdi(vdi::Options::default()),
            Format::Bochs | Format::Cloop | Format::Dmg | Format::Ewf | Format::Parallels | Format::Qcow1 => {
                Self::ReadOnly(format)
            }
        }
    }

    /// The format.
    #[must_use]
    pub fn format(&self) -> Format {
        match self {
            Self::Raw(_) => Format::Raw,
            Self::Qcow2(_) => Format::Qcow2,
            Self::Vmdk(_) => Format::Vmdk,
            Self::Vhd(_) => Format::Vhd,
            Self::Vhdx(_) => Format::Vhdx,
            Self::Vdi(_) => Format::Vdi,
            Self::ReadOnly(format) => *format,
        }
    }
}

/// Starts a container for a guest disk of `len` bytes in `file`, which is empty. Formats that need a second
/// file (monolithicFlat) ask `another` for it by its ending, for example `-flat.vmdk`.
///
/// # Errors
/// [`h2k_block::Class::Unsupported`] when the format cannot hold a disk of this size; else as the host says.
pub fn create(
    file: Arc<dyn HostFile>,
    another: &mut dyn FnMut(&str) -> Result<Arc<dyn HostFile>>,
    target: &Target,
    len: u64,
) -> Result<Box<dyn Sink>> {
    match target {
        Target::Raw(options) => raw::create(file, options, len),
        Target::Qcow2(options) => qcow2::create(file, options, len),
        Target::Vmdk(options) => vmdk::create(file, another, options, len),
        Target::Vhd(options) => vhd::create(file, options, len),
        Target::Vhdx(options) => vhdx::create(file, options, len),
        Target::Vdi(options) => vdi::create(file, options, len),
        Target::ReadOnly(format) => Err(Error::unsupported(format!(
            "{} images are read, not made",
            format.name()
        ))),
    }
    .map_err(|e: Error| e.through(target.format().name()))
}
