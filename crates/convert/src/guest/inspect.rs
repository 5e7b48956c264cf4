//! What a guest is.

use super::OpenGuest;
use crate::Result;
use h2k_block::Limits;
use h2k_guest::{Assembled, System};
use h2k_inspect::{Inspection, Topics, inspect, inspect_trees};

impl OpenGuest {
    /// Asks for `topics` of every system there is, or of the one the user chose by its root.
    ///
    /// # Errors
    /// When the user's choice cannot be put together; what else cannot be read is part of the answer.
    pub fn inspect(&self, topics: &Topics) -> Result<Inspection> {
        let limits = Limits::default();
        if self.mounts.is_empty() && self.root.is_none() {
            return Ok(inspect(&self.guest, topics, &limits));
        }
        let mut assembled = self.tree()?;
        let system = assembled.system.take();
        let system = match system {
            Some(system) => system,
            // Put together by the user: what lies under the root says what it is.
            None => self.kind_of(&assembled).map_err(|e| self.about(e))?,
        };
        Ok(inspect_trees(
            &self.guest,
            &[(system, assembled)],
            topics,
            &limits,
        ))
    }

    fn kind_of(&self, assembled: &Assembled) -> h2k_block::Result<System> {
        let source = assembled.tree.mounts().first().map(|m| m.source.clone());
        self.guest.system_at(&source.unwrap_or_default())
    }
}
