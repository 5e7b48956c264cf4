//! From what the user wants of a target to what its writer is given. A wish a format cannot fulfil is refused, never
//! dropped.

use crate::{Failure, Result};
use h2k_image::{Format, Target, qcow2, raw, vdi, vhd, vhdx, vmdk};

/// How the content of a target is compressed, and how hard; no level is the one this project measured to be worth
/// its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Deflate, the compression every reader knows.
    Zlib(Option<u32>),
    /// Zstandard: faster and smaller, for readers since QEMU 5.1.
    Zstd(Option<u32>),
}

/// What the host sets aside before the copy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Preallocation {
    /// Nothing: the target grows with its content.
    #[default]
    Off,
    /// The tables, not the content.
    Metadata,
    /// Every block, unwritten.
    Falloc,
    /// Every block, written with zeros.
    Full,
}

/// The image a target refers to for what it does not store itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// Its name as recorded in the target: relative to the target's directory, or absolute.
    pub name: String,
    /// Its format.
    pub format: Format,
}

/// A target to be made: what the user said of it. What is `None` is left to the format's default.
#[derive(Clone, Debug)]
pub struct Making {
    /// The format.
    pub format: Format,
    /// The kind within the format, by its own name: `streamOptimized`, `fixed`.
    pub subformat: Option<String>,
    /// Whether and how the content is compressed.
    pub compression: Option<Compression>,
    /// Unit of allocation in bytes (cluster, grain, block).
    pub cluster_size: Option<u64>,
    /// What the host sets aside.
    pub preallocation: Preallocation,
    /// The image underneath.
    pub backing: Option<Reference>,
    /// qcow2: whether QEMU may put off updating reference counts while the image is in use.
    pub lazy_refcounts: bool,
    /// VHDX: the sector size the guest sees, in bytes.
    pub sector_size: Option<u32>,
    /// VMDK: the controller the disk is meant for.
    pub adapter: Option<String>,
    /// VMDK: the virtual hardware version.
    pub hardware_version: Option<u32>,
}

impl Making {
    /// A target of `format` with the defaults of that format.
    #[must_use]
    pub fn new(format: Format) -> Self {
        Self {
            format,
            subformat: None,
            compression: None,
            cluster_size: None,
            preallocation: Preallocation::Off,
            backing: None,
            lazy_refcounts: false,
            sector_size: None,
            adapter: None,
            hardware_version: None,
        }
    }

    /// Every choice made: what the format's writer is given.
    ///
    /// # Errors
    /// [`h2k_block::Class::Invalid`] when the format has no such choice.
    pub fn target(&self) -> Result<Target> {
        match self.format {
            Format::Raw => self.raw(),
            Format::Qcow2 => self.qcow2(),
            Format::Vmdk => self.vmdk(),
            Format::Vhd => self.vhd(),
            Format::Vhdx => self.vhdx(),
            Format::Vdi => self.vdi(),
            other => Err(
                Failure::invalid(format!("{} images are read, not made", other.name()))
                    .advise("make a qcow2 image: --to qcow2"),
            ),
        }
    }

    /// The same target without compression: how much that saves is known only afterwards.
    pub(crate) fn uncompressed(&self) -> Self {
        Self {
            compression: None,
            ..self.clone()
        }
    }

    fn raw(&self) -> Result<Target> {
        self.only(&[Wish::Preallocation])?;
        let preallocation = match self.preallocation {
            Preallocation::Off => raw::Preallocation::Off,
            Preallocation::Metadata => {
                return Err(
                    Failure::invalid("a raw disk has no tables that could be preallocated")
                        .advise("use --preallocation falloc or full"),
                );
            }
            Preallocation::Falloc => raw::Preallocation::Falloc,
            Preallocation::Full => raw::Preallocation::Full,
        };
        Ok(Target::Raw(raw::Options { preallocation }))
    }

    fn qcow2(&self) -> Result<Target> {
        self.only(&[
            Wish::Backing,
            Wish::ClusterSize,
            Wish::Compression,
            Wish::LazyRefcounts,
            Wish::Preallocation,
        ])?;
        let usual = qcow2::Options::default();
        Ok(Target::Qcow2(qcow2::Options {
            cluster_size: self.unit()?.unwrap_or(usual.cluster_size),
            compression: match self.compression {
                None => qcow2::Compression::None,
                Some(Compression::Zlib(None)) => qcow2::Compression::ZLIB,
                Some(Compression::Zlib(Some(level))) => qcow2::Compression::Zlib { level },
                Some(Compression::Zstd(None)) => qcow2::Compression::ZSTD,
                Some(Compression::Zstd(Some(level))) => qcow2::Compression::Zstd { level },
            },
            backing: self.backing.as_ref().map(|backing| qcow2::Backing {
                name: backing.name.clone(),
                format: backing.format,
            }),
            lazy_refcounts: self.lazy_refcounts,
            preallocation: match self.preallocation {
                Preallocation::Off => qcow2::Preallocation::Off,
                Preallocation::Metadata => qcow2::Preallocation::Metadata,
                Preallocation::Falloc => qcow2::Preallocation::Falloc,
                Preallocation::Full => qcow2::Preallocation::Full,
            },
        }))
    }

    fn vmdk(&self) -> Result<Target> {
        self.only(&[
            Wish::Adapter,
            Wish::Compression,
            Wish::HardwareVersion,
            Wish::Subformat,
        ])?;
        let usual = vmdk::Options::default();
        let kind = match self.subformat.as_deref() {
            None if self.compression.is_some() => vmdk::Kind::StreamOptimized,
            None => usual.kind,
            Some(name) => vmdk::Kind::from_name(name)
                .ok_or_else(|| self.unknown("subformat", name, &vmdk::Kind::ALL.map(vmdk::Kind::name)))?,
        };
        let level = match self.compression {
            None => usual.level,
            Some(_) if kind != vmdk::Kind::StreamOptimized => {
                return Err(
                    Failure::invalid(format!("{} VMDKs are not compressed", kind.name()))
                        .advise("use --subformat streamOptimized"),
                );
            }
            Some(Compression::Zlib(level)) => level.unwrap_or(usual.level),
            Some(Compression::Zstd(_)) => {
                return Err(
                    Failure::invalid("VMDKs know no compression but zlib").advise("use --compress zlib")
                );
            }
        };
        let adapter = match self.adapter.as_deref() {
            None => usual.adapter,
            Some(name) => vmdk::Adapter::from_name(name)
                .ok_or_else(|| self.unknown("adapter", name, &vmdk::Adapter::ALL.map(vmdk::Adapter::name)))?,
        };
        Ok(Target::Vmdk(vmdk::Options {
            kind,
            adapter,
            hardware_version: self.hardware_version.unwrap_or(usual.hardware_version),
            level,
            ..usual
        }))
    }

    fn vhd(&self) -> Result<Target> {
        self.only(&[Wish::Subformat])?;
        let usual = vhd::Options::default();
        let (kind, size) = match self.subformat.as_deref().map(str::to_ascii_lowercase).as_deref() {
            None => (usual.kind, usual.size),
            Some("dynamic") => (vhd::Kind::Dynamic, usual.size),
            Some("fixed") => (vhd::Kind::Fixed, usual.size),
            // "The virtual size of a disk must be a multiple of 1 MiB", and the VHD fixed.
            Some("azure") => (vhd::Kind::Fixed, vhd::Size::RoundUp(1 << 20)),
            Some("virtualpc") => (usual.kind, vhd::Size::Geometry),
            Some(name) => {
                return Err(self.unknown("subformat", name, &["dynamic", "fixed", "azure", "virtualpc"]));
            }
        };
        Ok(Target::Vhd(vhd::Options { kind, size, ..usual }))
    }

    fn vdi(&self) -> Result<Target> {
        self.only(&[Wish::Subformat])?;
        let kind = match self.subformat.as_deref().map(str::to_ascii_lowercase).as_deref() {
            None | Some("dynamic") => vdi::Kind::Dynamic,
            Some("static") => vdi::Kind::Static,
            Some(name) => return Err(self.unknown("subformat", name, &["dynamic", "static"])),
        };
        Ok(Target::Vdi(vdi::Options {
            kind,
            ..vdi::Options::default()
        }))
    }

    fn unknown(&self, what: &str, name: &str, known: &[&str]) -> Failure {
        Failure::invalid(format!(
            "{name} is not a{} {what} of {} images; there are {}",
            if what.starts_with('a') { "n" } else { "" },
            self.format.name(),
            known.join(", ")
        ))
    }

    fn vhdx(&self) -> Result<Target> {
        self.only(&[Wish::ClusterSize, Wish::SectorSize])?;
        let usual = vhdx::Options::default();
        Ok(Target::Vhdx(vhdx::Options {
            block_size: self.unit()?,
            logical_sector_size: self.sector_size.unwrap_or(usual.logical_sector_size),
            ..usual
        }))
    }

    fn unit(&self) -> Result<Option<u32>> {
        let narrow =
            |size| u32::try_from(size).map_err(|_| Failure::invalid("no unit of allocation is that large"));
        self.cluster_size.map(narrow).transpose()
    }

    /// Refuses every wish that is not among those the format has.
    fn only(&self, has: &[Wish]) -> Result<()> {
        let wished = [
            (self.adapter.is_some(), Wish::Adapter),
            (self.backing.is_some(), Wish::Backing),
            (self.cluster_size.is_some(), Wish::ClusterSize),
            (self.compression.is_some(), Wish::Compression),
            (self.hardware_version.is_some(), Wish::HardwareVersion),
            (self.lazy_refcounts, Wish::LazyRefcounts),
            (self.preallocation != Preallocation::Off, Wish::Preallocation),
            (self.sector_size.is_some(), Wish::SectorSize),
            (self.subformat.is_some(), Wish::Subformat),
        ];
        match wished
            .iter()
            .find(|(wished, wish)| *wished && !has.contains(wish))
        {
            Some((_, wish)) => Err(Failure::invalid(format!(
                "{} images have no {}",
                self.format.name(),
                wish.words()
            ))),
            None => Ok(()),
        }
    }
}

/// Something a user can want of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    Adapter,
    Backing,
    ClusterSize,
    Compression,
    HardwareVersion,
    LazyRefcounts,
    Preallocation,
    SectorSize,
    Subformat,
}

impl Wish {
    fn words(self) -> &'static str {
        match self {
            Self::Adapter => "adapter type",
            Self::Backing => "reference to a parent that this program could write",
            Self::ClusterSize => "unit of allocation that could be chosen",
            Self::Compression => "compression that could be chosen",
            Self::HardwareVersion => "hardware version",
            Self::LazyRefcounts => "reference counts",
            Self::Preallocation => "preallocation",
            Self::SectorSize => "sector size of their own",
            Self::Subformat => "subformats to choose from",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use h2k_block::Class;

    #[test]
    fn a_wish_the_format_cannot_fulfil_is_refused_by_name() {
        let raw = Making {
            compression: Some(Compression::Zstd(None)),
            ..Making::new(Format::Raw)
        };
        let failure = raw.target().unwrap_err();
        assert_eq!(failure.class(), Class::Invalid);
        assert_eq!(
            failure.headline(),
            "raw images have no compression that could be chosen"
        );
    }

    #[test]
    fn wishes_reach_the_writer() {
        let making = Making {
            compression: Some(Compression::Zstd(Some(7))),
            cluster_size: Some(4096),
            lazy_refcounts: true,
            ..Making::new(Format::Qcow2)
        };
        let Ok(Target::Qcow2(options)) = making.target() else {
            panic!("not a qcow2 target");
        };
        assert_eq!(options.cluster_size, 4096);
        assert_eq!(options.compression, qcow2::Compression::Zstd { level: 7 });
        assert!(options.lazy_refcounts);
    }
}
