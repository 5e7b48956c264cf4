use h2k_block::{Class, Error, Result};

/// How the container is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Which kind of VMDK.
    pub kind: Kind,
    /// The controller the disk is meant for. It also decides the geometry.
    pub adapter: Adapter,
    /// `ddb.virtualHWVersion`. The default, 4, is accepted by every VMware product.
    pub hardware_version: u32,
    /// How hard grains of a stream are compressed: 1 (fast) to 9 (small). The default, 5, makes files as small as
    /// zlib does at its usual 6.
    pub level: u32,
    /// The content identifier. `None` derives one from name and size, so that equal runs make equal bytes.
    pub cid: Option<u32>,
    /// `ddb.toolsVersion`; left out when `None`.
    pub tools_version: Option<u32>,
    /// The file name written into the extent line. `None` takes the name the file will have
    /// ([`h2k_block::Output::final_name`]).
    pub name: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            kind: Kind::MonolithicSparse,
            adapter: Adapter::LsiLogic,
            hardware_version: 4,
            level: 5,
            cid: None,
            tools_version: None,
            name: None,
        }
    }
}

/// Which kind of VMDK is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// One file, grains where there is data. What Workstation makes.
    MonolithicSparse,
    /// One file, compressed grains, written from front to back. What OVF packages hold and ESXi imports.
    StreamOptimized,
    /// A descriptor, and a second file that holds the disk's bytes.
    MonolithicFlat,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 3] = [
        Self::MonolithicSparse,
        Self::StreamOptimized,
        Self::MonolithicFlat,
    ];

    /// The `createType`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::MonolithicSparse => "monolithicSparse",
            Self::StreamOptimized => "streamOptimized",
            Self::MonolithicFlat => "monolithicFlat",
        }
    }

    /// The kind called `name`, in any case.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|k| k.name().eq_ignore_ascii_case(name))
    }
}

/// The controller a disk is meant for: `ddb.adapterType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Adapter {
    /// BusLogic parallel SCSI.
    BusLogic,
    /// IDE; also written for SATA disks.
    Ide,
    /// An ESX server disk whose controller is not known.
    LegacyEsx,
    /// LSI Logic parallel SCSI.
    LsiLogic,
    /// LSI Logic SAS.
    LsiSas,
    /// VMware paravirtual SCSI.
    Pvscsi,
}

impl Adapter {
    /// Every adapter.
    pub const ALL: [Self; 6] = [
        Self::BusLogic,
        Self::Ide,
        Self::LegacyEsx,
        Self::LsiLogic,
        Self::LsiSas,
        Self::Pvscsi,
    ];

    /// The word in the descriptor.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::BusLogic => "buslogic",
            Self::Ide => "ide",
            Self::LegacyEsx => "legacyESX",
            Self::LsiLogic => "lsilogic",
            Self::LsiSas => "lsisas1068",
            Self::Pvscsi => "pvscsi",
        }
    }

    /// The adapter called `name`, in any case; the spellings of OVF and VMX files count too.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "lsilogicsas" | "lsisas" => Some(Self::LsiSas),
            "virtualscsi" => Some(Self::Pvscsi),
            "sata" | "ahci" => Some(Self::Ide),
            _ => Self::ALL
                .into_iter()
                .find(|a| a.name().eq_ignore_ascii_case(name)),
        }
    }
}

/// Cylinders, heads and sectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Geometry {
    pub(super) cylinders: u64,
    pub(super) heads: u64,
    pub(super) sectors: u64,
}

impl Geometry {
    /// The geometry VMware gives a disk of `capacity` sectors: ATA's for IDE, that of BusLogic and LSI Logic
    /// firmware (which depends on the size) for SCSI.
    pub(super) fn of(adapter: Adapter, capacity: u64) -> Self {
        const GIB: u64 = 1 << 21;
        let (heads, sectors, most) = match adapter {
            Adapter::Ide => (16_u64, 63, 16383),
            _ if capacity < GIB => (64, 32, u64::MAX),
            _ if capacity < 2 * GIB => (128, 32, u64::MAX),
            _ => (255, 63, u64::MAX),
        };
        let cylinder = heads.saturating_mul(sectors);
        Self {
            cylinders: capacity.checked_div(cylinder).unwrap_or(0).clamp(1, most),
            heads,
            sectors,
        }
    }
}

impl Options {
    /// The text of the descriptor for a disk of `capacity` sectors whose extent line has type `extent` and names
    /// `name`.
    pub(super) fn descriptor(&self, capacity: u64, extent: &str, name: &str, offset: &str) -> Result<String> {
        if name.is_empty() || name.chars().any(|c| c == '"' || c.is_control()) {
            return Err(Error::new(
                Class::Invalid,
                format!("the file name {name:?} cannot be written into a descriptor"),
            )
            .advise("choose a name without quotes and control characters"));
        }
        // Words that differ from disk to disk and are the same in every run.
        let seed = format!("{} {capacity} {name}", self.kind.name());
        let word = |n: u32| crc32c::crc32c_append(n, seed.as_bytes());
        let cid = match self.cid {
            // These two mean "no parent" and "no content yet".
            Some(cid @ (u32::MAX | 0xffff_fffe)) => {
                return Err(Error::new(
                    Class::Invalid,
                    format!("{cid:08x} cannot be the CID of a disk"),
                ));
            }
            Some(cid) => cid,
            None => (0..4)
                .map(word)
                .find(|cid| *cid < 0xffff_fffe && *cid != 0)
                .unwrap_or(1),
        };
        let Geometry {
            cylinders,
            heads,
            sectors,
        } = Geometry::of(self.adapter, capacity);
        let tools = self
            .tools_version
            .map(|v| format!("ddb.toolsVersion = \"{v}\"\n"))
            .unwrap_or_default();
        Ok(format!(
            "# Disk DescriptorFile\n\
             version=1\n\
             encoding=\"UTF-8\"\n\
             CID={cid:08x}\n\
             parentCID=ffffffff\n\
             createType=\"{kind}\"\n\
             \n\
             # Extent description\n\
             RW {capacity} {extent} \"{name}\"{offset}\n\
             \n\
             # The Disk Data Base \n\
             #DDB\n\
             \n\
             ddb.adapterType = \"{adapter}\"\n\
             ddb.encoding = \"UTF-8\"\n\
             ddb.geometry.cylinders = \"{cylinders}\"\n\
             ddb.geometry.heads = \"{heads}\"\n\
             ddb.geometry.sectors = \"{sectors}\"\n\
             ddb.longContentID = \"{a:08x}{b:08x}{c:08x}{cid:08x}\"\n\
             {tools}\
             ddb.virtualHWVersion = \"{hardware}\"\n",
            kind = self.kind.name(),
            adapter = self.adapter.name(),
            hardware = self.hardware_version,
            a = word(5),
            b = word(6),
            c = word(7),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sizes and geometries that VMware's own tools wrote.
    #[test]
    fn geometry_is_what_vmware_writes() {
        for (adapter, capacity, cylinders, heads, sectors) in [
            (Adapter::Ide, 20480, 20, 16, 63),
            (Adapter::Ide, 16_777_216, 16383, 16, 63),
            (Adapter::LsiLogic, 4096, 2, 64, 32),
            (Adapter::LsiLogic, 33_554_432, 2088, 255, 63),
            (Adapter::LsiLogic, 125_829_120, 7832, 255, 63),
            (Adapter::Ide, 0, 1, 16, 63),
        ] {
            let expected = Geometry {
                cylinders,
                heads,
                sectors,
            };
            assert_eq!(
                Geometry::of(adapter, capacity),
                expected,
                "{adapter:?} {capacity}"
            );
        }
    }

    #[test]
    fn names_that_would_break_the_descriptor_are_refused() {
        for name in ["", "a\"b.vmdk", "a\nRW 1 FLAT \"b", "a\0b"] {
            let made = Options::default().descriptor(8, "SPARSE", name, "");
            assert_eq!(made.unwrap_err().class(), Class::Invalid, "{name:?}");
        }
    }
}
