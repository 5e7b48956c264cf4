//! What a fix is shown.

use crate::options::{Options, Target};
use h2k_boot::Boot;
use h2k_guest::{Crypttab, Device, Guest, Look, System};

/// A guest as fixes see it: its files with everything proposed so far, how it boots, and what it is to become.
#[derive(Clone, Copy)]
pub struct View<'a> {
    /// Its devices.
    pub guest: &'a Guest,
    /// The system that is fixed.
    pub system: &'a System,
    /// Its files, edits of earlier fixes included.
    pub look: &'a Look<'a>,
    /// How it boots, as it was found.
    pub boot: &'a Boot,
    /// Names of opened LUKS devices.
    pub crypttab: &'a Crypttab,
    /// The machine it will be in.
    pub target: &'a Target,
    /// What the user wants.
    pub options: &'a Options,
}

impl View<'_> {
    /// The device that a file of the guest calls `spec`.
    ///
    /// # Errors
    /// [`h2k_block::Class::NotFound`] when it is not on these disks.
    pub fn resolve(&self, spec: &[u8]) -> h2k_block::Result<&Device> {
        self.guest.resolve(spec, self.crypttab)
    }
}
