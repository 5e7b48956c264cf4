//! Looking at disks together until nothing new appears.

use crate::disk::Disk;
use crate::identify::identify;
use crate::name::partition_name;
use crate::node::{self, Node};
use crate::table::{self, Role};
use crate::volumes::{Kind, Problem, Volume, Volumes};
use h2k_block::{BlockRead, Class, Error, Limits, Meter, Result};
use std::sync::Arc;

/// Finds the volumes of a guest's disks, looked at together.
///
/// Damage of one structure never hides the others: it becomes a [`Problem`].
///
/// # Errors
/// [`Class::Limit`] when the disks describe more devices than `limits` allow.
pub fn scan(disks: &[Disk], limits: &Limits) -> Result<Volumes> {
    let mut scan = Scan::new(disks, limits);
    for (i, disk) in disks.iter().enumerate() {
        scan.add(
            Node::Disk(i),
            format!("/dev/{}", disk.name),
            Kind::Whole,
            Vec::new(),
        )?;
    }
    let mut next = 0_usize;
    while next < scan.volumes.len() {
        scan.examine(next)?;
        next = next.saturating_add(1);
    }
    Ok(Volumes {
        list: scan.volumes,
        problems: scan.problems,
        nodes: scan.nodes,
        disks: disks.to_vec(),
    })
}

/// The state of a scan.
struct Scan {
    disks: Vec<Arc<dyn BlockRead>>,
    sector_sizes: Vec<Option<u32>>,
    limits: Limits,
    meter: Meter,
    nodes: Vec<Node>,
    built: Vec<Arc<dyn BlockRead>>,
    volumes: Vec<Volume>,
    problems: Vec<Problem>,
}

impl Scan {
    fn new(disks: &[Disk], limits: &Limits) -> Self {
        Self {
            disks: disks.iter().map(|d| Arc::clone(&d.bytes)).collect(),
            sector_sizes: disks.iter().map(|d| d.sector_size).collect(),
            limits: *limits,
            meter: Meter::new(*limits),
            nodes: Vec::new(),
            built: Vec::new(),
            volumes: Vec::new(),
            problems: Vec::new(),
        }
    }

    /// Adds a node and makes it readable.
    fn node(&mut self, node: Node) -> Result<usize> {
        self.meter.step("device")?;
        let disk = node::read(&node, &self.disks, &self.built)?;
        self.nodes.push(node);
        self.built.push(disk);
        Ok(self.nodes.len().saturating_sub(1))
    }

    /// Adds a node and the volume that shows it.
    fn add(&mut self, node: Node, device: String, kind: Kind, below: Vec<usize>) -> Result<usize> {
        let node = self.node(node)?;
        let Some(disk) = self.built.get(node).map(Arc::clone) else {
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

    /// Looks at what a volume holds. Trouble with the content becomes a problem; only limits end the scan.
    fn examine(&mut self, i: usize) -> Result<()> {
        let Some(volume) = self.volumes.get(i).cloned() else {
            return Ok(());
        };
        if matches!(&volume.kind, Kind::Partition(p) if p.role == Role::Extended) {
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
        let identity = identify(volume.disk.as_ref())?;
        let table = match &volume.kind {
            Kind::Whole => self.table(i, volume)?,
            Kind::Partition(_) => None,
        };
        if identity.is_none()
            && table.is_none()
            && let Some(what) = table::foreign(volume.disk.as_ref())?
        {
            let error = Error::unsupported(format!("{what} is recognised; what it divides is not read"));
            self.problem(&volume.device, error);
        }
        if let Some(slot) = self.volumes.get_mut(i) {
            slot.identity = identity;
            slot.table = table;
        }
        Ok(())
    }

    /// Reads a partition table and adds its partitions.
    fn table(&mut self, i: usize, volume: &Volume) -> Result<Option<table::Table>> {
        let sector_size = match self.nodes.get(volume.node) {
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
}
