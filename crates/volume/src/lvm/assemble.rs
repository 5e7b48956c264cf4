//! From a group's description to devices: every logical volume after those it is made of.

use super::group::{Area, Detail, Group, Logical, Segment};
use super::snapshot;
use crate::bytes::wide;
use crate::map::{Geometry, Linear, Mirrored, Nothing, Origin, Segments, Stripe, Striped, shared};
use crate::node::{Below, Node, Nodes};
use h2k_block::{Class, Error, Result};
use std::collections::BTreeMap;
use std::sync::Arc;

/// One visible logical volume.
pub(crate) struct Outcome {
    pub(crate) name: String,
    pub(crate) id: String,
    /// `linear`, or LVM's name of the segment type.
    pub(crate) kind: String,
    /// Not to be looked at unless asked for.
    pub(crate) skip: bool,
    /// Its node, or why it cannot be had.
    pub(crate) node: Result<usize>,
    /// What is missing or out of step although the volume can be read.
    pub(crate) degraded: Vec<String>,
}

/// What became of a logical volume, for those that refer to it.
#[derive(Clone)]
enum State {
    Built { node: usize, losses: Losses },
    Failed { class: Class, why: String },
}

/// What a volume lacks, in words.
#[derive(Clone, Default)]
pub(super) struct Losses {
    /// What it cannot be read without.
    pub(super) missing: Vec<String>,
    /// What others make up for.
    pub(super) degraded: Vec<String>,
}

impl Losses {
    fn add(&mut self, other: Losses) {
        self.missing.extend(other.missing);
        self.degraded.extend(other.degraded);
    }

    fn tidy(mut self) -> Self {
        for list in [&mut self.missing, &mut self.degraded] {
            list.sort();
            list.dedup();
        }
        self
    }
}

/// Builds every logical volume of `group`. `present` gives the node of a physical volume by its UUID.
pub(crate) fn assemble(
    group: &Group,
    present: &BTreeMap<String, usize>,
    nodes: &mut Nodes,
) -> Result<Vec<Outcome>> {
    let mut builder = Builder {
        group,
        present,
        nodes,
        lvs: group.lvs.iter().map(|lv| (lv.name.as_str(), lv)).collect(),
        snapshots: BTreeMap::new(),
        states: BTreeMap::new(),
    };
    for lv in &group.lvs {
        for segment in &lv.segments {
            if let Detail::Snapshot {
                origin,
                store,
                merging,
            } = &segment.detail
            {
                let snapshot = Ties {
                    origin,
                    merging: *merging,
                    segment,
                };
                builder.snapshots.insert(store.as_str(), snapshot);
            }
        }
    }
    for lv in builder.order() {
        let state = match builder.build(lv) {
            Ok((node, losses)) => State::Built {
                node,
                losses: losses.tidy(),
            },
            Err(e) if e.class() == Class::Limit => return Err(e),
            Err(e) => State::Failed {
                class: e.class(),
                why: e.to_string(),
            },
        };
        builder.states.insert(&lv.name, state);
    }
    builder.outcomes()
}

/// The ties of a snapshot: its store is what the user sees under the snapshot's name.
struct Ties<'a> {
    origin: &'a str,
    merging: bool,
    segment: &'a Segment,
}

pub(super) struct Builder<'a> {
    group: &'a Group,
    present: &'a BTreeMap<String, usize>,
    pub(super) nodes: &'a mut Nodes,
    lvs: BTreeMap<&'a str, &'a Logical>,
    /// By the name of the store.
    snapshots: BTreeMap<&'a str, Ties<'a>>,
    states: BTreeMap<&'a str, State>,
}

/// The targets of one volume while its segments are being put together.
#[derive(Default)]
pub(super) struct Targets {
    list: Vec<Below>,
    places: BTreeMap<String, usize>,
}

impl Targets {
    pub(super) fn place(&mut self, name: &str, below: Below) -> usize {
        let next = self.list.len();
        let place = *self.places.entry(name.to_owned()).or_insert(next);
        if place == next {
            self.list.push(below);
        }
        place
    }
}

impl<'a> Builder<'a> {
    /// The names of the logical volumes that `lv` is made of.
    fn needs(lv: &Logical) -> Vec<&str> {
        let mut names = Vec::new();
        for segment in &lv.segments {
            match &segment.detail {
                Detail::Striped { areas, .. } | Detail::Mirror { areas } => {
                    names.extend(areas.iter().map(|a| a.name.as_str()));
                }
                Detail::Raid { metas, images, .. } => {
                    names.extend(metas.iter().chain(images).map(String::as_str));
                }
                Detail::ThinPool { data, metadata } => names.extend([data.as_str(), metadata.as_str()]),
                Detail::Thin {
                    pool,
                    external_origin,
                    ..
                } => names.extend(std::iter::once(pool.as_str()).chain(external_origin.as_deref())),
                Detail::Snapshot { .. } | Detail::Zero | Detail::Other => {}
            }
        }
        names
    }

    /// Everything after what it is made of (Kahn's order). What goes round in a circle is left out, and
    /// [`outcomes`](Self::outcomes) says so.
    fn order(&self) -> Vec<&'a Logical> {
        let mut waiting: BTreeMap<&str, usize> = BTreeMap::new();
        let mut users: BTreeMap<&str, Vec<&'a Logical>> = BTreeMap::new();
        for lv in self.lvs.values() {
            let mut needs = Self::needs(lv);
            if let Some(ties) = self.snapshots.get(lv.name.as_str()) {
                needs.push(ties.origin);
            }
            let inside: Vec<&str> = needs
                .into_iter()
                .filter_map(|n| self.lvs.get(n).map(|lv| lv.name.as_str()))
                .collect();
            waiting.insert(&lv.name, inside.len());
            for need in inside {
                users.entry(need).or_default().push(lv);
            }
        }
        let mut ready: Vec<&'a Logical> = self
            .lvs
            .values()
            .filter(|lv| waiting.get(lv.name.as_str()) == Some(&0))
            .copied()
            .collect();
        let mut order = Vec::new();
        while let Some(lv) = ready.pop() {
            order.push(lv);
            for user in users.remove(lv.name.as_str()).unwrap_or_default() {
                if let Some(count) = waiting.get_mut(user.name.as_str()) {
                    *count = count.saturating_sub(1);
                    if *count == 0 {
                        ready.push(user);
                    }
                }
            }
        }
        order
    }

    /// The node of a logical volume, and what it lacks.
    fn build(&mut self, lv: &'a Logical) -> Result<(usize, Losses)> {
        let mut targets = Targets::default();
        let mut parts: Vec<Arc<dyn Geometry>> = Vec::new();
        let mut losses = Losses::default();
        let mut next = 0_u64;
        for segment in &lv.segments {
            if segment.start != next {
                return Err(corrupt(format!(
                    "{} has a segment at extent {}, expected at {next}",
                    lv.name, segment.start
                )));
            }
            next = next
                .checked_add(segment.count)
                .ok_or_else(|| corrupt(format!("{} is larger than can be", lv.name)))?;
            parts.push(self.segment(segment, &mut targets, &mut losses)?);
        }
        let single = (parts.len() == 1)
            .then(|| parts.first().map(Arc::clone))
            .flatten();
        let geometry = match single {
            Some(one) => one,
            None => Arc::new(
                Segments::new(parts).ok_or_else(|| corrupt(format!("{} is larger than can be", lv.name)))?,
            ),
        };
        let is_origin = self.snapshots.values().any(|ties| ties.origin == lv.name);
        let geometry = if is_origin {
            shared(Origin(geometry))
        } else {
            geometry
        };
        let node = self.nodes.add(Node::Mapped {
            geometry,
            targets: targets.list,
        })?;
        match self.snapshots.get(lv.name.as_str()) {
            Some(ties) => self.snapshot(ties.origin, ties.merging, ties.segment, node, losses),
            None => Ok((node, losses)),
        }
    }

    /// The view through a snapshot's store.
    fn snapshot(
        &mut self,
        origin: &str,
        merging: bool,
        segment: &Segment,
        store: usize,
        mut losses: Losses,
    ) -> Result<(usize, Losses)> {
        if merging {
            return Err(Error::unsupported(format!(
                "the snapshot is being merged into {origin}: both are only partly there"
            )));
        }
        let (below, lost) = self.logical(origin)?;
        losses.add(lost);
        if !losses.missing.is_empty() {
            return Ok((store, losses));
        }
        let (Some(origin_disk), Some(store_disk)) = (self.nodes.disk(below), self.nodes.disk(store)) else {
            return Err(corrupt("a snapshot without its devices".to_owned()));
        };
        let len = self.extents(segment.count)?;
        let geometry = snapshot::read(
            store_disk.as_ref(),
            len.min(origin_disk.len()),
            self.nodes.meter(),
        )?;
        let targets = vec![
            (Some(below), format!("the origin {origin}")),
            (Some(store), "the snapshot's store".to_owned()),
        ];
        let node = self.nodes.add(Node::Mapped {
            geometry: Arc::new(geometry),
            targets,
        })?;
        Ok((node, losses))
    }

    /// What another logical volume became.
    pub(super) fn logical(&self, name: &str) -> Result<(usize, Losses)> {
        match self.states.get(name) {
            Some(State::Built { node, losses }) => Ok((*node, losses.clone())),
            Some(State::Failed { class, why }) => {
                Err(Error::new(*class, why.clone()).through(format!("logical volume {name}")))
            }
            None => Err(corrupt(format!("there is no logical volume {name}"))),
        }
    }

    /// `count` extents in bytes.
    fn extents(&self, count: u64) -> Result<u64> {
        count
            .checked_mul(self.group.extent_size)
            .ok_or_else(|| corrupt(format!("{count} extents are larger than can be")))
    }

    /// A piece of `count` extents of a physical or logical volume as a stripe.
    fn area(&self, area: &Area, count: u64, targets: &mut Targets, losses: &mut Losses) -> Result<Stripe> {
        let from = self.extents(area.extent)?;
        let Some(pv) = self.group.pvs.iter().find(|pv| pv.name == area.name) else {
            let (node, lost) = self.logical(&area.name)?;
            losses.add(lost);
            let target = targets.place(&area.name, (Some(node), area.name.clone()));
            return Ok(Stripe { target, start: from });
        };
        if area.extent.checked_add(count).is_none_or(|end| end > pv.count) {
            return Err(corrupt(format!(
                "extents {}+{count} of {}, which has {}",
                area.extent, pv.name, pv.count
            )));
        }
        let node = self.present.get(&pv.id).copied();
        let name = if node.is_some() {
            format!("physical volume {}", pv.id)
        } else {
            format!("physical volume {} (last seen as {})", pv.id, pv.device)
        };
        if node.is_none() {
            losses.missing.push(name.clone());
        }
        let start = pv
            .start
            .checked_add(from)
            .ok_or_else(|| corrupt(format!("extent {} of {} is out of range", area.extent, pv.name)))?;
        let target = targets.place(&area.name, (node, name));
        Ok(Stripe { target, start })
    }

    fn segment(
        &self,
        segment: &Segment,
        targets: &mut Targets,
        losses: &mut Losses,
    ) -> Result<Arc<dyn Geometry>> {
        let len = self.extents(segment.count)?;
        match &segment.detail {
            Detail::Striped { areas, chunk } => {
                let width = wide(areas.len());
                let each = segment.count.checked_div(width).unwrap_or(0);
                if width == 0 || each.checked_mul(width) != Some(segment.count) {
                    return Err(corrupt(format!("{} extents over {width} stripes", segment.count)));
                }
                let stripes: Vec<Stripe> = areas
                    .iter()
                    .map(|a| self.area(a, each, targets, losses))
                    .collect::<Result<_>>()?;
                match stripes.as_slice() {
                    [stripe] => Ok(Arc::new(Linear { stripe: *stripe, len })),
                    _ => {
                        let piece = self.extents(each)?;
                        let fits = *chunk > 0 && piece.checked_rem(*chunk) == Some(0);
                        let striped = Striped::new(stripes, *chunk, len).filter(|_| fits);
                        striped.map_or_else(
                            || Err(corrupt(format!("stripes of {chunk} bytes in pieces of {piece}"))),
                            |s| Ok(shared(s)),
                        )
                    }
                }
            }
            Detail::Mirror { areas } => {
                let mut legs = Vec::new();
                let mut lost = Losses::default();
                for area in areas {
                    let mut own = Losses::default();
                    let leg = self.area(area, segment.count, targets, &mut own)?;
                    // Which legs are in step only the mirror's log knows; the first never was out of it, and LVM
                    // takes a leg that failed out of the group.
                    if own.missing.is_empty() {
                        legs.push(leg);
                    }
                    lost.add(own);
                }
                losses.degraded.append(&mut lost.degraded);
                if legs.is_empty() {
                    losses.missing.append(&mut lost.missing);
                } else {
                    losses.degraded.append(&mut lost.missing);
                }
                let mirrored = Mirrored::new(legs, len);
                match mirrored {
                    Some(mirrored) => Ok(Arc::new(mirrored)),
                    None => Ok(Arc::new(Nothing(len))),
                }
            }
            Detail::Raid { .. } => self.raid(segment, len, targets, losses),
            Detail::Zero => Ok(Arc::new(Nothing(len))),
            Detail::Snapshot { .. } => Ok(Arc::new(Nothing(0))),
            Detail::ThinPool { .. } => Err(Error::unsupported(
                "a thin pool is no volume of its own; its thin volumes are",
            )),
            Detail::Thin { .. } => Err(Error::unsupported("LVM2 thin volumes are not read")),
            Detail::Other => Err(Error::unsupported(format!(
                "LVM2 segments of type {:?} are not read",
                segment.kind
            ))),
        }
    }

    fn outcomes(mut self) -> Result<Vec<Outcome>> {
        let states = std::mem::take(&mut self.states);
        let circle = || corrupt("the volume is made of itself".to_owned());
        // A snapshot goes by the name of its store; what ties it to its origin carries the mark of visibility.
        let snapshots = std::mem::take(&mut self.snapshots);
        let shown = |lv: &&Logical| {
            (lv.visible || snapshots.contains_key(lv.name.as_str()))
                && !lv
                    .segments
                    .iter()
                    .any(|s| matches!(s.detail, Detail::Snapshot { .. }))
        };
        let outcomes = self.group.lvs.iter().filter(shown).map(|lv| {
            let mut degraded = Vec::new();
            let node = match states.get(lv.name.as_str()) {
                Some(State::Built { node, losses }) if losses.missing.is_empty() => {
                    degraded.clone_from(&losses.degraded);
                    Ok(*node)
                }
                Some(State::Built { losses, .. }) => Err(Error::new(
                    Class::NotFound,
                    format!("missing: {}", losses.missing.join(", ")),
                )
                .advise("give all the disks of this guest together")),
                Some(State::Failed { class, why }) => Err(Error::new(*class, why.clone())),
                None => Err(circle()),
            };
            Outcome {
                name: lv.name.clone(),
                id: lv.id.clone(),
                kind: if snapshots.contains_key(lv.name.as_str()) {
                    "snapshot".to_owned()
                } else {
                    kind(lv)
                },
                skip: lv.skip,
                node,
                degraded,
            }
        });
        Ok(outcomes.collect())
    }
}

/// How people call the type of a volume.
fn kind(lv: &Logical) -> String {
    match lv.segments.first() {
        Some(Segment {
            detail: Detail::Striped { areas, .. },
            ..
        }) if areas.len() == 1 => "linear".to_owned(),
        Some(segment) => segment.kind.clone(),
        None => "empty".to_owned(),
    }
}

pub(super) fn corrupt(what: String) -> Error {
    Error::corrupt("LVM2 metadata text", 0, what)
}
