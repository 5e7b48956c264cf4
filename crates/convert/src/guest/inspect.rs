//! What a guest is.

use super::OpenGuest;
use crate::Result;
use h2k_block::Limits;
use h2k_guest::{Assembled, Assembly, System};
use h2k_inspect::{Diagnosis, Inspection, Topics, diagnose, inspect_trees};

impl OpenGuest {
    /// Asks for `topics` of every system there is, or of the one the user chose by its root.
    ///
    /// # Errors
    /// When the user's choice cannot be put together; what else cannot be read is part of the answer.
    pub fn inspect(&self, topics: &Topics) -> Result<Inspection> {
        let trees = self.assembly()?;
        Ok(inspect_trees(&self.guest, &trees, topics, &Limits::default()))
    }

    /// Says of every system there is, or of the one the user chose, whether it would start on KVM.
    ///
    /// # Errors
    /// As [`inspect`](Self::inspect); and when there is no system.
    pub fn diagnose(&self) -> Result<Diagnosis> {
        Ok(diagnose(&self.guest, &self.assembly()?, &Limits::default()))
    }

    /// Every system there is, or the one the user chose, put together.
    pub(crate) fn assembly(&self) -> Result<Assembly> {
        if !self.is_chosen() {
            return Ok(self.guest.assemble_all());
        }
        let mut assembled = self.tree()?;
        let system = match assembled.system.take() {
            Some(system) => system,
            // Put together by the user: what lies under the root says what it is.
            None => self.kind_of(&assembled).map_err(|e| self.about(e))?,
        };
        Ok((system, assembled).into())
    }

    fn kind_of(&self, assembled: &Assembled) -> h2k_block::Result<System> {
        let source = assembled.tree.mounts().first().map(|m| m.source.clone());
        self.guest.system_at(&source.unwrap_or_default())
    }
}
