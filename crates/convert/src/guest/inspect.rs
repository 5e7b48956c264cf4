//! What a guest is.

use super::OpenGuest;
use crate::Result;
use h2k_block::Limits;
use h2k_guest::{Assembled, Source, System, Unread};
use h2k_inspect::{Diagnosis, Inspection, Topics, diagnose, inspect, inspect_trees};

impl OpenGuest {
    /// Asks for `topics` of every system there is, or of the one the user chose by its root.
    ///
    /// # Errors
    /// When the user's choice cannot be put together; what else cannot be read is part of the answer.
    pub fn inspect(&self, topics: &Topics) -> Result<Inspection> {
        let limits = Limits::default();
        match self.chosen()? {
            Some(chosen) => Ok(inspect_trees(&self.guest, &[chosen], topics, &limits)),
            None => Ok(inspect(&self.guest, topics, &limits)),
        }
    }

    /// Says of every system there is, or of the one the user chose, whether it would start on KVM.
    ///
    /// # Errors
    /// As [`inspect`](Self::inspect); and when there is no system.
    pub fn diagnose(&self) -> Result<Diagnosis> {
        let limits = Limits::default();
        if let Some(chosen) = self.chosen()? {
            return Ok(diagnose(&self.guest, &[chosen], &limits));
        }
        let systems = self.guest.systems();
        let (mut trees, mut unread) = (Vec::new(), Vec::new());
        for (device, error) in &systems.unread {
            unread.push(Unread::new(Source::named(device.clone()), error));
        }
        for system in systems.found {
            match self.guest.assemble(&system) {
                Ok(assembled) => trees.push((system, assembled)),
                Err(e) => unread.push(Unread::new(Source::named(system.source()), &e)),
            }
        }
        let mut diagnosis = diagnose(&self.guest, &trees, &limits);
        diagnosis.unread.extend(unread);
        Ok(diagnosis)
    }

    /// The system that the user chose, put together; `None` where everything is to be looked at.
    fn chosen(&self) -> Result<Option<(System, Assembled)>> {
        if self.mounts.is_empty() && self.root.is_none() {
            return Ok(None);
        }
        let mut assembled = self.tree()?;
        let system = assembled.system.take();
        let system = match system {
            Some(system) => system,
            // Put together by the user: what lies under the root says what it is.
            None => self.kind_of(&assembled).map_err(|e| self.about(e))?,
        };
        Ok(Some((system, assembled)))
    }

    fn kind_of(&self, assembled: &Assembled) -> h2k_block::Result<System> {
        let source = assembled.tree.mounts().first().map(|m| m.source.clone());
        self.guest.system_at(&source.unwrap_or_default())
    }
}
