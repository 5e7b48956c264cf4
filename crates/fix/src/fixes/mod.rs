//! The fixes, in the order they are asked.

mod agents;
mod caches;
mod cloud;
mod cmdline;
mod configuration;
mod console;
mod efi;
mod first_boot;
mod initramfs;
mod kernel;
mod names;
mod network;
mod parameters;
mod patch;
mod report;
mod text;
mod x11;

pub use report::clock;

use crate::finding::Finding;
use crate::view::View;
use cmdline::Kind;
use h2k_block::Result;
use h2k_guest::SystemKind;

/// Looks at a guest and says what should change.
pub trait Fix: Send + Sync {
    /// Its name, for options and reports: `linux.fstab`.
    fn id(&self) -> &'static str;

    /// What it is for, in one line.
    fn about(&self) -> &'static str;

    /// Whether it is asked unless the user says otherwise.
    fn by_default(&self) -> bool {
        true
    }

    /// The systems it knows.
    fn kind(&self) -> SystemKind {
        SystemKind::Linux
    }

    /// Looks. Whatever is already as it should be is left: asked again after its edits were made, it proposes none.
    ///
    /// # Errors
    /// What kept it from looking; the proposal tells it as blocked.
    fn look(&self, view: &View<'_>) -> Result<Vec<Finding>>;
}

/// Adding a fix is adding a line. The order matters where one sees what another did.
static FIXES: &[&dyn Fix] = &[
    &names::Fstab,
    &names::Crypttab,
    &names::Units,
    &names::Parameters(Kind::GrubDefault),
    &names::Parameters(Kind::GrubCfg),
    &names::Parameters(Kind::Bls),
    &names::Parameters(Kind::GrubEnv),
    &names::Parameters(Kind::KernelCmdline),
    &names::Parameters(Kind::GrubLegacy),
    &names::Parameters(Kind::Extlinux),
    &names::Resume,
    &console::Console,
    &console::Serial,
    &parameters::BootParameters,
    &kernel::DefaultKernel,
    &names::Mdadm,
    &names::LvmFilter,
    &names::DeviceMap,
    &names::Lilo,
    &efi::EfiFallback,
    &x11::X11,
    &caches::Caches,
    &configuration::NetworkFiles,
    &network::Names,
    &agents::Agents,
    &cloud::CloudInit,
    &configuration::Hostname,
    &configuration::Users,
    &configuration::Services,
    &first_boot::FirstBoot,
    &report::Clock,
    &report::Integrity,
    &report::Twins,
    &names::Uki,
    &initramfs::Initramfs,
    &initramfs::Persist,
];

/// All of them, in the order they are asked.
#[must_use]
pub fn all() -> &'static [&'static dyn Fix] {
    FIXES
}

/// The fix called `id`.
#[must_use]
pub fn by_id(id: &str) -> Option<&'static dyn Fix> {
    FIXES.iter().find(|fix| fix.id() == id).copied()
}
