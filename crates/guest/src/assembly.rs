//! Every system of a guest, put together.

use crate::assemble::Assembled;
use crate::guest::Guest;
use crate::look::{Source, Unread};
use crate::system::System;
use h2k_block::Error;

/// The systems of a guest with their files, and what could not be looked into.
#[derive(Debug, Default)]
pub struct Assembly {
    /// In the order of their devices.
    pub systems: Vec<(System, Assembled)>,
    /// Systems whose root cannot be opened, and why.
    pub failed: Vec<(System, Error)>,
    /// Devices that should hold files but cannot be read, and why.
    pub devices: Vec<(String, Error)>,
}

impl Assembly {
    /// What could not be looked into: devices, then systems by their roots.
    pub fn unread(&self) -> impl Iterator<Item = Unread> {
        let devices = self
            .devices
            .iter()
            .map(|(name, e)| Unread::new(Source::named(name.clone()), e));
        let systems = self
            .failed
            .iter()
            .map(|(system, e)| Unread::new(Source::named(system.source()), e));
        devices.chain(systems)
    }
}

/// One system alone, which somebody chose.
impl From<(System, Assembled)> for Assembly {
    fn from(only: (System, Assembled)) -> Self {
        Self {
            systems: vec![only],
            ..Self::default()
        }
    }
}

impl Guest {
    /// Finds the systems and puts each together. What stands in the way of one is told and keeps no other back.
    #[must_use]
    pub fn assemble_all(&self) -> Assembly {
        let found = self.systems();
        let mut all = Assembly {
            devices: found.unread,
            ..Assembly::default()
        };
        for system in found.found {
            match self.assemble(&system) {
                Ok(assembled) => all.systems.push((system, assembled)),
                Err(e) => all.failed.push((system, e)),
            }
        }
        all
    }
}
