//! How a guest boots: its kernels, what their initramfs images hold, its boot loaders and their entries.
//!
//! ```text
//!  partition tables ──▶ Firmware, Esp ─┐
//!  grub.cfg, loader/entries … ──▶ Entry ─┼─▶ Boot ──▶ Kernel ──▶ Driver, Initramfs ──▶ ladder: Rung for each Bus
//!  /boot, /lib/modules ────────────────┘
//! ```
//!
//! * [`read`] answers with [`Boot`]: everything, each fact with where it was read.
//! * [`initramfs::walk`] and [`initramfs::cpio::Reader`] go through images without unpacking them as a whole;
//!   [`kmod::Index`] reads what `depmod` writes.
//! * [`ladder()`] says on which disk controllers a kernel would find its root, as it is.
//! * [`initramfs::segment::plan`] says what to put behind an image so that it finds its root on virtio, and
//!   [`persist::persist`] what the guest's own tools have to be told so that their next image has the drivers, too.
//!
//! Everything is read from the files of a [`h2k_guest::Tree`] by a [`h2k_guest::Look`]; nothing is run.
//!
//! Non-goals: writing to guests, for what is to be changed is handed back as bytes; rating what was found, which depends on more than booting.

mod bytes;
mod firmware;
pub mod initramfs;
pub mod kernel;
pub mod kmod;
mod ladder;
mod loader;
pub mod naming;
pub mod persist;

pub use firmware::{BootCode, Firmware};
pub use initramfs::{Compression, Generator, Initramfs, Leftover, LeftoverKind};
pub use kernel::{Driver, Family, Kernel, Presence};
pub use ladder::{Bus, Reach, Rung, ladder};
pub use loader::{Entry, Esp, GrubEnv, Loader, LoaderKind, MenuEntry, Script, Section, Uki, grub_script};

use h2k_guest::{Fact, Guest, Look, Tree, Unread};
use schemars::JsonSchema;
use serde::Serialize;

/// How a system boots.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Boot {
    /// Which firmware it was installed for.
    pub firmware: Option<Fact<Firmware>>,
    /// Code in the first sectors of disks.
    pub boot_code: Vec<BootCode>,
    /// The EFI system partition.
    pub esp: Option<Esp>,
    /// Boot loaders, the one that is most likely in use first.
    pub loaders: Vec<Loader>,
    /// What they can start.
    pub entries: Vec<Entry>,
    /// Kernels of Linux, the default one first.
    pub kernels: Vec<Kernel>,
}

impl Boot {
    /// What is started when nobody chooses.
    #[must_use]
    pub fn default_entry(&self) -> Option<&Entry> {
        self.entries.iter().find(|e| e.default)
    }

    /// The entry that starts a kernel; the default one of several.
    #[must_use]
    pub fn entry_of(&self, kernel: &Kernel) -> Option<&Entry> {
        let all = || {
            self.entries
                .iter()
                .filter(|e| e.kernel_path.as_ref() == Some(&kernel.path))
        };
        all()
            .find(|e| e.default)
            .or_else(|| all().find(|e| !e.rescue))
            .or_else(|| all().next())
    }
}

/// Reads how the Linux system boots whose files `look` shows, on the disks of `guest`. What could not be read is
/// remembered by `look`, or handed back where it lies on an EFI partition that the guest's table does not mount.
#[must_use]
pub fn read(look: &Look<'_>, guest: &Guest) -> (Boot, Vec<Unread>) {
    match loader::mounted(look.tree(), guest) {
        Some((Some(whole), device, point, listed)) => {
            let inner = Look::new(&whole, look.limits());
            let boot = system(
                &inner,
                guest,
                Some(loader::Mounted::look(&inner, device, point, listed)),
            );
            (boot, inner.take_unread())
        }
        Some((None, device, point, listed)) => {
            let esp = loader::Mounted::look(look, device, point, listed);
            (system(look, guest, Some(esp)), Vec::new())
        }
        None => (system(look, guest, None), Vec::new()),
    }
}

/// `tree` with the EFI system partition in it, at the place where [`read`] finds its files; `None` where it is there
/// already, or where there is none.
#[must_use]
pub fn with_esp(tree: &Tree, guest: &Guest) -> Option<Tree> {
    loader::mounted(tree, guest).and_then(|(whole, ..)| whole)
}

/// Reads what is needed before a system's own files are: firmware, boot code, the EFI system partition; and where the
/// boot loader of Windows is. What could not be read of other devices than `look` shows is handed back.
#[must_use]
pub fn read_firmware(look: &Look<'_>, guest: &Guest) -> (Boot, Vec<Unread>) {
    let (esp, unread) = loader::alone(guest, look.limits());
    let disks = firmware::find(guest.devices(), esp.as_ref());
    let boot = Boot {
        firmware: disks.firmware,
        boot_code: disks.code,
        loaders: loader::windows(look, guest, esp.as_ref()),
        esp,
        ..Boot::default()
    };
    (boot, unread)
}

fn system(look: &Look<'_>, guest: &Guest, esp: Option<loader::Mounted>) -> Boot {
    let disks = firmware::find(guest.devices(), esp.as_ref().map(|e| &e.facts));
    let efi = disks.firmware.as_ref().is_some_and(|f| f.value == Firmware::Uefi);
    let found = loader::find(look, esp.as_ref(), if efi { "efi" } else { "pc" });
    let images = loader::Images::new(look, &found.entries);
    let kernels = kernel::find(look, &found.entries, &images);
    Boot {
        firmware: disks.firmware,
        boot_code: disks.code,
        esp: esp.map(|e| e.facts),
        loaders: found.loaders,
        entries: found.entries,
        kernels,
    }
}
