//! MD arrays in a scan: members are collected as they are met, arrays assembled when they are complete.

use super::Scan;
use crate::md;
use crate::node::Node;
use crate::table;
use crate::volumes::{Kind, Raid, Volume};
use h2k_block::{BlockRead, Class, Error, Result};

/// The members of one array that were met.
#[derive(Default)]
pub(super) struct Set {
    members: Vec<md::Member>,
    /// The volume each lies on.
    volumes: Vec<usize>,
    done: bool,
}

impl Scan {
    /// Whether what looks like a member at the end of a disk is the superblock of its last partition: version 0.90
    /// does not say where it begins.
    pub(super) fn belongs_to_a_partition(&mut self, i: usize, volume: &Volume) -> Result<bool> {
        let version = volume_version(self.volumes.get(i));
        if !matches!(volume.kind, Kind::Whole) || version != Some("0.90.0") {
            return Ok(false);
        }
        let Some(table) = table::read(volume.disk.as_ref(), None, &self.limits)? else {
            return Ok(false);
        };
        let place = |len: u64| (len & !0xffff).checked_sub(0x1_0000);
        let here = place(volume.disk.len());
        let inside = table.partitions.iter().any(|p| {
            let len = p.len.min(volume.disk.len().saturating_sub(p.start));
            place(len).map(|at| at.saturating_add(p.start)) == here
        });
        if inside && let Some(slot) = self.volumes.get_mut(i) {
            slot.identity = None;
        }
        Ok(inside)
    }

    /// Remembers a member.
    pub(super) fn member(&mut self, i: usize, disk: &dyn BlockRead) -> Result<()> {
        let Some(member) = md::read(disk)? else {
            return Ok(());
        };
        let set = self.sets.entry(member.set).or_default();
        if set.done {
            let device = self.device(i);
            let what = "a member of an array that is complete without it";
            self.problem(&device, Error::new(Class::Corrupt, what));
            return Ok(());
        }
        set.members.push(member);
        set.volumes.push(i);
        Ok(())
    }

    /// Assembles arrays: those all of whose members are there, or the rest too. Whether anything came of it.
    pub(super) fn arrays(&mut self, incomplete: bool) -> Result<bool> {
        let mut grown = false;
        // Arrays of version 0.90 ask for a number; they get it before others count down from 127.
        let ids: Vec<md::SetId> = self.sets.keys().copied().collect();
        for id in ids {
            let Some(set) = self.sets.get(&id) else {
                continue;
            };
            if set.done {
                continue;
            }
            let (members, volumes) = (set.members.clone(), set.volumes.clone());
            let names: Vec<String> = volumes.iter().map(|v| self.device(*v)).collect();
            let array = md::array(&members, &names);
            let whole = array.as_ref().is_ok_and(|a| a.places.iter().all(Option::is_some));
            if !whole && !incomplete {
                continue;
            }
            if let Some(set) = self.sets.get_mut(&id) {
                set.done = true;
            }
            let Some(first) = members.first() else {
                continue;
            };
            let device = self.array_name(first);
            match array {
                Ok(array) => self.add_array(&array, first, &device, &volumes)?,
                Err(e) if e.class() == Class::Limit => return Err(e),
                Err(e) => {
                    let named = if names.is_empty() {
                        String::new()
                    } else {
                        names.join(" ")
                    };
                    self.problem(
                        &device,
                        e.through(format!("MD array {} on {named}", first.uuid())),
                    );
                }
            }
            grown = true;
            if incomplete {
                break;
            }
        }
        Ok(grown)
    }

    fn add_array(
        &mut self,
        array: &md::Array,
        first: &md::Member,
        device: &str,
        volumes: &[usize],
    ) -> Result<()> {
        for remark in &array.remarks {
            self.problem(device, Error::new(Class::NotFound, remark.clone()));
        }
        let mut below = Vec::new();
        let mut targets = Vec::new();
        for (place, member) in array.places.iter().enumerate() {
            let volume = member.and_then(|m| volumes.get(m)).copied();
            let node = volume.and_then(|v| self.volumes.get(v)).map(|v| v.node);
            let name = match volume {
                Some(volume) => self.device(volume),
                None => format!("member {place} of {device}"),
            };
            below.extend(volume);
            targets.push((node, name));
        }
        let present = below.len();
        below.sort_unstable();
        let node = Node::Mapped {
            geometry: std::sync::Arc::clone(&array.geometry),
            targets,
        };
        let kind = Kind::Raid(Raid {
            level: array.level.clone(),
            version: first.version,
            uuid: first.uuid(),
            name: first.name.clone(),
            members: array.places.len(),
            present,
        });
        let volume = self.add(node, device.to_owned(), kind, below)?;
        // `mdadm` links arrays by their name, without the host they were made on where it does not matter.
        let short = first.name.rsplit(':').next().unwrap_or_default();
        if let Some(slot) = self.volumes.get_mut(volume) {
            for name in [short, first.name.as_str()] {
                let alias = format!("/dev/md/{name}");
                if !name.is_empty() && !slot.aliases.contains(&alias) {
                    slot.aliases.push(alias);
                }
            }
        }
        Ok(())
    }

    /// `/dev/md0` where an array of version 0.90 asks for that number, else down from `/dev/md127`.
    fn array_name(&self, member: &md::Member) -> String {
        let taken = |name: &str| {
            self.volumes.iter().any(|v| v.device == name) || self.problems.iter().any(|p| p.device == name)
        };
        let asked = member
            .minor
            .filter(|n| *n < 512)
            .map(|n| format!("/dev/md{n}"))
            .filter(|name| !taken(name));
        asked
            .or_else(|| {
                (0..=127_u32)
                    .rev()
                    .map(|n| format!("/dev/md{n}"))
                    .find(|name| !taken(name))
            })
            .unwrap_or_else(|| format!("/dev/md/{}", member.uuid()))
    }
}

fn volume_version(volume: Option<&Volume>) -> Option<&str> {
    volume?.identity.as_ref()?.version.as_deref()
}
