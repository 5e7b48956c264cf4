//! Looking at disks together until nothing new appears.

use crate::disk::Disk;
use crate::identify::identify;
use crate::lvm;
use crate::md;
use crate::name::partition_name;
use crate::node::{Node, Nodes};
use crate::table::{self, Role};
use crate::volumes::{Kind, Problem, Volume, Volumes};
use h2k_block::{Class, Error, Limits, Result};
use std::collections::BTreeMap;
use std::sync::Arc;

mod arrays;
#[cfg(feature = "crypt")]
mod crypt;
mod groups;

/// Arrays on volume groups on encrypted partitions on arrays: people stop earlier.
const MAX_LAYERS: usize = 12;

/// Finds the volumes of a guest's disks, looked at together.
///
/// Damage of one structure never hides the others: it becomes a [`Problem`].
///
/// # Errors
/// [`Class::Limit`] when the disks describe more devices than `limits` allow.
pub fn scan(disks: &[Disk], limits: &Limits) -> Result<Volumes> {
    look(disks, Scan::new(disks, limits))
}

/// Looks again, with the keys of LUKS devices that were opened.
#[cfg(feature = "crypt")]
pub(crate) fn rescan(
    disks: &[Disk],
    limits: &Limits,
    opened: BTreeMap<String, Arc<crate::luks::Keyed>>,
) -> Result<Volumes> {
    let mut scan = Scan::new(disks, limits);
    scan.opened = opened;
    look(disks, scan)
}

fn look(disks: &[Disk], mut scan: Scan) -> Result<Volumes> {
    for (i, disk) in disks.iter().enumerate() {
        scan.add(
            Node::Disk(i),
            format!("/dev/{}", disk.name),
            Kind::Whole,
            Vec::new(),
        )?;
    }
    // What is complete comes first, so that a part found later is not missed; what stays incomplete comes last.
    loop {
        scan.examine_new()?;
        let grown = scan.arrays(false)?
            || scan.volume_groups(false)?
            || scan.arrays(true)?
            || scan.volume_groups(true)?;
        if !grown {
            break;
        }
    }
    Ok(Volumes {
        list: scan.volumes,
        problems: scan.problems,
        nodes: scan.nodes.into_list(),
        disks: disks.to_vec(),
        #[cfg(feature = "crypt")]
        limits: scan.limits,
        #[cfg(feature = "crypt")]
        opened: scan.opened,
    })
}

/// The state of a scan.
struct Scan {
    sector_sizes: Vec<Option<u32>>,
    limits: Limits,
    nodes: Nodes,
    volumes: Vec<Volume>,
    problems: Vec<Problem>,
    /// The first volume that was not looked at yet.
    next: usize,
    pvs: Vec<groups::Pv>,
    /// Groups by their id, newest description; `true` once assembled.
    groups: BTreeMap<String, (lvm::Group, bool)>,
    /// Members of MD arrays by array.
    sets: BTreeMap<md::SetId, arrays::Set>,
    /// Keys of LUKS devices, by device.
    #[cfg(feature = "crypt")]
    opened: BTreeMap<String, Arc<crate::luks::Keyed>>,
}

impl Scan {
    fn new(disks: &[Disk], limits: &Limits) -> Self {
        Self {
            sector_sizes: disks.iter().map(|d| d.sector_size).collect(),
            limits: *limits,
            nodes: Nodes::new(disks.iter().map(|d| Arc::clone(&d.bytes)).collect(), *limits),
            volumes: Vec::new(),
            problems: Vec::new(),
            next: 0,
            pvs: Vec::new(),
            groups: BTreeMap::new(),
            sets: BTreeMap::new(),
            #[cfg(feature = "crypt")]
            opened: BTreeMap::new(),
        }
    }

    /// Adds a node and the volume that shows it.
    fn add(&mut self, node: Node, device: String, kind: Kind, below: Vec<usize>) -> Result<usize> {
        let node = self.nodes.add(node)?;
        self.show(node, device, kind, below)
    }

    /// Adds the volume that shows a node.
    fn show(&mut self, node: usize, device: String, kind: Kind, below: Vec<usize>) -> Result<usize> {
        let Some(disk) = self.nodes.disk(node) else {
            return Err(Error::new(
                Class::Invalid,
                "a node that was just made is not there",
            ));
        };
        self.volumes.push(Volume {
            device,
            aliases: Vec::new(),
            disk,
            kind,
            below,
            table: None,
            identity: None,
            #[cfg(feature = "crypt")]
            encryption: None,
            node,
        });
        Ok(self.volumes.len().saturating_sub(1))
    }

    fn problem(&mut self, device: &str, error: Error) {
        self.problems.push(Problem {
            device: device.to_owned(),
            error,
        });
    }

    /// How many layers of assembled devices lie under a volume.
    fn layers(&self, mut i: usize) -> usize {
        let mut layers = 0_usize;
        // Each step goes to an earlier volume, so this ends.
        while let Some(below) = self.volumes.get(i).and_then(|v| v.below.iter().max()) {
            layers = layers.saturating_add(1);
            i = *below;
        }
        layers
    }

    fn examine_new(&mut self) -> Result<()> {
        while self.next < self.volumes.len() {
            let i = self.next;
            self.next = i.saturating_add(1);
            self.examine(i)?;
        }
        Ok(())
    }

    /// Looks at what a volume holds. Trouble with the content becomes a problem; only limits end the scan.
    fn examine(&mut self, i: usize) -> Result<()> {
        let Some(volume) = self.volumes.get(i).cloned() else {
            return Ok(());
        };
        if matches!(&volume.kind, Kind::Partition(p) if p.role == Role::Extended) {
            return Ok(());
        }
        if self.layers(i) > MAX_LAYERS {
            let error = Error::new(
                Class::Limit,
                format!("more than {MAX_LAYERS} layers of devices on top of each other"),
            );
            self.problem(&volume.device, error);
            return Ok(());
        }
        match self.contents(i, &volume) {
            Ok(()) => Ok(()),
            Err(e) if matches!(e.class(), Class::Limit | Class::Cancelled) => Err(e),
            Err(e) => {
                self.problem(&volume.device, e);
                Ok(())
            }
        }
    }

    fn contents(&mut self, i: usize, volume: &Volume) -> Result<()> {
        let disk = volume.disk.as_ref();
        let identity = identify(disk)?;
        let kind = identity.as_ref().map_or("", |found| found.kind);
        if let Some(slot) = self.volumes.get_mut(i) {
            slot.identity.clone_from(&identity);
        }
        match kind {
            "LVM2_member" => return self.physical_volume(i, disk),
            "linux_raid_member" if !self.belongs_to_a_partition(i, volume)? => return self.member(i, disk),
            #[cfg(feature = "crypt")]
            "crypto_LUKS" => return self.encrypted(i, disk),
            #[cfg(not(feature = "crypt"))]
            "crypto_LUKS" => return Ok(()),
            _ => {}
        }
        let table = match &volume.kind {
            Kind::Whole | Kind::Raid(_) => self.table(i, volume)?,
            _ => None,
        };
        if identity.is_none()
            && table.is_none()
            && let Some(what) = table::foreign(disk)?
        {
            let error = Error::unsupported(format!("{what} is recognised; what it divides is not read"));
            self.problem(&volume.device, error);
        }
        if let Some(slot) = self.volumes.get_mut(i) {
            slot.table = table;
        }
        Ok(())
    }

    /// Reads a partition table and adds its partitions.
    fn table(&mut self, i: usize, volume: &Volume) -> Result<Option<table::Table>> {
        let sector_size = match self.nodes.node(volume.node) {
            Some(Node::Disk(disk)) => self.sector_sizes.get(*disk).copied().flatten(),
            _ => None,
        };
        let Some(table) = table::read(volume.disk.as_ref(), sector_size, &self.limits)? else {
            return Ok(None);
        };
        for warning in &table.warnings {
            self.problem(&volume.device, Error::new(Class::Corrupt, warning.clone()));
        }
        for partition in &table.partitions {
            let window = Node::Window {
                below: volume.node,
                start: partition.start,
                len: partition.len,
            };
            let device = partition_name(&volume.device, partition.number);
            self.add(window, device, Kind::Partition(partition.clone()), vec![i])?;
        }
        Ok(Some(table))
    }

    fn device(&self, i: usize) -> String {
        self.volumes.get(i).map(|v| v.device.clone()).unwrap_or_default()
    }
}
