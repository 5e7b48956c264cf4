//! LVM2 groups in a scan: physical volumes are collected as they are met, groups assembled when they are complete.

use super::Scan;
use crate::lvm;
use crate::name::mapper_name;
use crate::volumes::{Kind, LogicalVolume};
use h2k_block::{BlockRead, Class, Error, Result};
use std::collections::BTreeMap;

/// A physical volume that belongs to a volume of the list.
pub(super) struct Pv {
    volume: usize,
    found: lvm::PhysicalVolume,
}

impl Scan {
    /// Remembers a physical volume, and the group it describes if that is the newest description.
    pub(super) fn physical_volume(&mut self, i: usize, disk: &dyn BlockRead) -> Result<()> {
        let device = self.device(i);
        let found = lvm::read(disk, self.nodes.meter())?;
        for warning in &found.warnings {
            self.problem(&device, Error::new(Class::Corrupt, warning.clone()));
        }
        if let Some(twin) = self.pvs.iter().find(|pv| pv.found.uuid == found.uuid) {
            let other = self.device(twin.volume);
            let what = format!(
                "the same physical volume {} as on {other}, which is used",
                found.uuid
            );
            self.problem(&device, Error::new(Class::Corrupt, what));
            return Ok(());
        }
        let text = found.text.clone();
        self.pvs.push(Pv { volume: i, found });
        let Some(text) = text else {
            return Ok(());
        };
        let group = lvm::group(&text, self.nodes.meter())?;
        match self.groups.get(&group.id) {
            Some((known, done)) if *done || known.seqno >= group.seqno => {}
            _ => {
                self.groups.insert(group.id.clone(), (group, false));
            }
        }
        Ok(())
    }

    /// Assembles groups: those all of whose physical volumes are there, or the rest too. Whether anything came of it.
    pub(super) fn volume_groups(&mut self, incomplete: bool) -> Result<bool> {
        let mut grown = false;
        let ids: Vec<String> = self.groups.keys().cloned().collect();
        for id in ids {
            let present: BTreeMap<String, usize> = self
                .pvs
                .iter()
                .map(|pv| (pv.found.uuid.clone(), pv.volume))
                .collect();
            let Some((group, done)) = self.groups.get_mut(&id) else {
                continue;
            };
            if *done || (!incomplete && !group.missing(&present).is_empty()) {
                continue;
            }
            *done = true;
            let group = group.clone();
            self.assemble(&group, &present)?;
            grown = true;
            if incomplete {
                // What came of this one may complete another.
                break;
            }
        }
        Ok(grown)
    }

    fn assemble(&mut self, group: &lvm::Group, present: &BTreeMap<String, usize>) -> Result<()> {
        let label = format!("/dev/{}", group.name);
        for missing in group.missing(present) {
            let error = Error::new(Class::NotFound, format!("{missing} is missing"))
                .advise("give all the disks of this guest together");
            self.problem(&label, error);
        }
        for remark in group.remarks() {
            self.problem(&label, Error::new(Class::Corrupt, remark));
        }
        // Two groups of one name cannot share a folder: the second goes by its id.
        let twin = self
            .volumes
            .iter()
            .any(|v| matches!(&v.kind, Kind::LogicalVolume(lv) if lv.group == group.name && lv.group_id != group.id));
        let folder = if twin {
            let what = format!(
                "there are two groups of this name; the one with id {} goes by it",
                group.id
            );
            self.problem(&label, Error::new(Class::Corrupt, what));
            group.id.clone()
        } else {
            group.name.clone()
        };
        let by_node: BTreeMap<String, usize> = present
            .iter()
            .filter_map(|(id, volume)| Some((id.clone(), self.volumes.get(*volume)?.node)))
            .collect();
        let by_volume: BTreeMap<usize, usize> = present
            .values()
            .filter_map(|volume| Some((self.volumes.get(*volume)?.node, *volume)))
            .collect();
        for outcome in lvm::assemble(group, &by_node, &mut self.nodes)? {
            let device = format!("/dev/{folder}/{}", outcome.name);
            match outcome.node {
                Ok(node) => {
                    if !outcome.degraded.is_empty() {
                        let what = format!("degraded: {}", outcome.degraded.join(", "));
                        self.problem(&device, Error::new(Class::NotFound, what));
                    }
                    let below = self.nodes.lies_on(node, &by_volume);
                    let kind = Kind::LogicalVolume(LogicalVolume {
                        group: group.name.clone(),
                        group_id: group.id.clone(),
                        name: outcome.name.clone(),
                        uuid: outcome.id,
                        layout: outcome.kind,
                        skip_activation: outcome.skip,
                    });
                    let volume = self.show(node, device, kind, below)?;
                    if let Some(slot) = self.volumes.get_mut(volume) {
                        let mapper = mapper_name(&folder, &outcome.name);
                        slot.aliases.push(format!("/dev/mapper/{mapper}"));
                    }
                }
                Err(error) => self.problem(&device, error),
            }
        }
        Ok(())
    }
}
