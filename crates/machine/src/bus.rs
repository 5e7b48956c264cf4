//! Controllers of the source, and which bus of the target does instead.

/// What a drive hangs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Controller {
    /// IDE.
    Ide,
    /// AHCI.
    Sata,
    /// BusLogic, parallel SCSI.
    BusLogic,
    /// LSI Logic 53C1030, parallel SCSI: driver mptspi.
    LsiLogic,
    /// LSI 53C895A, parallel SCSI, as QEMU has it: driver sym53c8xx.
    Lsi53c895a,
    /// LSI Logic SAS 1068.
    LsiSas,
    /// VMware's paravirtual SCSI.
    PvScsi,
    /// virtio-scsi.
    VirtioScsi,
    /// virtio-blk: every disk a device of its own.
    VirtioBlk,
    /// NVM Express.
    Nvme,
    /// USB storage.
    Usb,
    /// Hyper-V's storvsc.
    HyperV,
    /// Xen's block front-end.
    Xen,
    /// The floppy controller.
    Floppy,
    /// SCSI of a model that nobody names, or that is not known here.
    Scsi,
    /// SD cards.
    Sd,
    /// Nothing is said.
    Unsaid,
}

impl Controller {
    /// What QEMU offers to a guest that shall keep the driver it has; `None` where QEMU has no such device, so that the
    /// guest must be given another driver first.
    #[must_use]
    pub fn twin(self) -> Option<Bus> {
        match self {
            Self::Ide => Some(Bus::Ide),
            // NVMe: libvirt has no emulated NVMe disks in the versions this writes for.
            Self::Sata => Some(Bus::Sata),
            Self::LsiSas => Some(Bus::LsiSas),
            Self::PvScsi => Some(Bus::PvScsi),
            Self::VirtioScsi => Some(Bus::VirtioScsi),
            Self::VirtioBlk => Some(Bus::VirtioBlk),
            Self::Usb => Some(Bus::Usb),
            Self::Lsi53c895a => Some(Bus::Lsi53c895a),
            Self::BusLogic
            | Self::LsiLogic
            | Self::Nvme
            | Self::HyperV
            | Self::Xen
            | Self::Floppy
            | Self::Scsi
            | Self::Sd
            | Self::Unsaid => None,
        }
    }

    /// The name used in messages and reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ide => "ide",
            Self::Sata => "sata",
            Self::BusLogic => "buslogic",
            Self::LsiLogic => "lsilogic",
            Self::Lsi53c895a => "lsi53c895a",
            Self::LsiSas => "lsisas1068",
            Self::PvScsi => "pvscsi",
            Self::VirtioScsi => "virtio-scsi",
            Self::VirtioBlk => "virtio-blk",
            Self::Nvme => "nvme",
            Self::Usb => "usb",
            Self::HyperV => "hyper-v",
            Self::Xen => "xen",
            Self::Floppy => "floppy",
            Self::Scsi => "scsi",
            Self::Sd => "sd",
            Self::Unsaid => "unsaid",
        }
    }
}

/// What a drive of the target hangs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Bus {
    /// virtio-blk.
    VirtioBlk,
    /// virtio-scsi.
    VirtioScsi,
    /// AHCI.
    Sata,
    /// IDE, on the older board only.
    Ide,
    /// USB storage.
    Usb,
    /// The twin of VMware's paravirtual SCSI.
    PvScsi,
    /// The twin of LSI Logic SAS.
    LsiSas,
    /// QEMU's own parallel SCSI.
    Lsi53c895a,
}

impl Bus {
    /// Every bus there is.
    pub const ALL: [Self; 8] = [
        Self::VirtioBlk,
        Self::VirtioScsi,
        Self::Sata,
        Self::Ide,
        Self::Usb,
        Self::PvScsi,
        Self::LsiSas,
        Self::Lsi53c895a,
    ];

    /// What the guest sees.
    #[must_use]
    pub fn controller(self) -> Controller {
        match self {
            Self::VirtioBlk => Controller::VirtioBlk,
            Self::VirtioScsi => Controller::VirtioScsi,
            Self::Sata => Controller::Sata,
            Self::Ide => Controller::Ide,
            Self::Usb => Controller::Usb,
            Self::PvScsi => Controller::PvScsi,
            Self::LsiSas => Controller::LsiSas,
            Self::Lsi53c895a => Controller::Lsi53c895a,
        }
    }

    /// libvirt's word for the bus of a disk.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::VirtioBlk => "virtio",
            Self::Sata => "sata",
            Self::Ide => "ide",
            Self::Usb => "usb",
            Self::VirtioScsi | Self::PvScsi | Self::LsiSas | Self::Lsi53c895a => "scsi",
        }
    }

    /// libvirt's model of the SCSI controller; `None` for what is no SCSI.
    pub(crate) fn scsi_model(self) -> Option<&'static str> {
        match self {
            Self::VirtioScsi => Some("virtio-scsi"),
            Self::PvScsi => Some("vmpvscsi"),
            Self::LsiSas => Some("lsisas1068"),
            Self::Lsi53c895a => Some("lsilogic"),
            Self::VirtioBlk | Self::Sata | Self::Ide | Self::Usb => None,
        }
    }

    /// How many drives one controller takes; `None` where drives are devices of their own.
    pub(crate) fn room(self) -> Option<u32> {
        match self {
            Self::VirtioBlk | Self::Usb => None,
            Self::Sata => Some(6),
            Self::Ide => Some(4),
            Self::VirtioScsi | Self::PvScsi | Self::LsiSas | Self::Lsi53c895a => Some(7),
        }
    }

    /// The letters in front of the name of a disk: `vda`, `sda`, `hda`.
    pub(crate) fn prefix(self) -> &'static str {
        match self {
            Self::VirtioBlk => "vd",
            Self::Ide => "hd",
            _ => "sd",
        }
    }
}
