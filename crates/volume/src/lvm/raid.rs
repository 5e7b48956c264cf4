//! Segments that are device mapper RAID (`lvmraid(7)`): images in the order of the array, each a logical volume.

use super::assemble::{Builder, Losses, Targets, corrupt};
use super::dmraid;
use super::group::{Detail, Segment};
use crate::bytes::wide;
use crate::map::{Geometry, Layout, Mirrored, Parity, Raid10, Stripe, Zones, shared};
use h2k_block::{Error, Result};
use std::sync::Arc;

impl Builder<'_> {
    /// The geometry of a RAID segment; what is missing goes to `losses`.
    pub(super) fn raid(
        &self,
        segment: &Segment,
        len: u64,
        targets: &mut Targets,
        losses: &mut Losses,
    ) -> Result<Arc<dyn Geometry>> {
        let Detail::Raid {
            metas,
            images,
            chunk,
            copies,
            reshape,
        } = &segment.detail
        else {
            return Err(corrupt("a RAID segment without its parts".to_owned()));
        };
        let kind = segment.kind.as_str();
        if *reshape {
            return Err(Error::unsupported(format!(
                "the layout of this {kind} is being changed"
            )));
        }
        let superblocks = self.superblocks(metas)?;
        let stale = dmraid::stale(&superblocks);
        let mut stripes = Vec::new();
        let mut lost: Vec<(usize, Vec<String>)> = Vec::new();
        for (i, image) in images.iter().enumerate() {
            let (node, own) = self.logical(image)?;
            let mut gone = own.missing;
            losses.degraded.extend(own.degraded);
            if stale.get(i).copied().unwrap_or(false) {
                gone.push(format!("{image}, which is out of step"));
            }
            let below = gone.is_empty().then_some(node);
            let name = gone.first().unwrap_or(image).clone();
            let target = targets.place(image, (below, name));
            stripes.push(Stripe { target, start: 0 });
            if !gone.is_empty() {
                lost.push((i, gone));
            }
        }
        // The maps below count images; one named twice, or another segment before this one, would shift them.
        if stripes.iter().enumerate().any(|(i, s)| s.target != i) {
            return Err(corrupt(format!(
                "{kind} names an image twice or is not alone in its volume"
            )));
        }
        let gone = |i: usize| lost.iter().any(|(l, _)| *l == i);
        let width = wide(images.len());
        let wrong = || corrupt(format!("{kind} over {width} images with chunks of {chunk} bytes"));
        let piece = |data: u64| len.checked_div(data).filter(|_| data > 0).ok_or_else(wrong);
        let starts = || vec![0_u64; images.len()];
        let (geometry, survives): (Option<Arc<dyn Geometry>>, bool) = match kind {
            "raid1" => {
                let legs = stripes.iter().enumerate().filter(|(i, _)| !gone(*i));
                let mut legs: Vec<Stripe> = legs.map(|(_, s)| *s).collect();
                let survives = !legs.is_empty();
                if !survives {
                    legs.clone_from(&stripes);
                }
                (Mirrored::new(legs, len).map(shared), survives)
            }
            "raid0" | "raid0_meta" => {
                let each = piece(width)?;
                let devices = vec![(0, each); images.len()];
                let zones = Zones::new(&devices, *chunk, false);
                (zones.map(shared), lost.is_empty())
            }
            "raid10" | "raid10_near" => {
                let copies = copies.unwrap_or(2);
                let each = len
                    .checked_mul(copies)
                    .and_then(|n| n.checked_div(width))
                    .ok_or_else(wrong)?;
                let raid = Raid10::new(starts(), copies, 1, false, *chunk, each);
                let survives = raid.as_ref().is_some_and(|r| r.survives(&|i| gone(i)));
                (raid.map(shared), survives)
            }
            _ => {
                let Some((level, layout, q_last)) = parity(kind) else {
                    return Err(Error::unsupported(format!(
                        "LVM2 segments of type {kind:?} are not read"
                    )));
                };
                let parities = if level == 6 { 2 } else { 1 };
                if !lost.is_empty() && !dmraid::in_sync(&superblocks) {
                    return Err(Error::unsupported(format!(
                        "{kind} lacks an image and its parity was not in step: what is missing cannot be made up for"
                    )));
                }
                let each = piece(width.saturating_sub(parities))?;
                let parity = Parity::new(starts(), level, layout, q_last, *chunk, each);
                (parity.map(shared), lost.len() <= 1)
            }
        };
        let geometry = geometry.ok_or_else(wrong)?;
        if geometry.len() != len {
            return Err(corrupt(format!(
                "{kind} over {width} images holds {} bytes, the segment has {len}",
                geometry.len()
            )));
        }
        let list = if survives {
            &mut losses.degraded
        } else {
            &mut losses.missing
        };
        list.extend(lost.into_iter().flat_map(|(_, gone)| gone));
        Ok(geometry)
    }

    /// What the array itself says of its images.
    fn superblocks(&self, metas: &[String]) -> Result<Vec<Option<dmraid::Superblock>>> {
        let mut superblocks = Vec::new();
        for meta in metas {
            let (node, own) = self.logical(meta)?;
            let disk = self.nodes.disk(node).filter(|_| own.missing.is_empty());
            superblocks.push(match disk {
                Some(disk) => dmraid::read(disk.as_ref())?,
                None => None,
            });
        }
        Ok(superblocks)
    }
}

/// Level and layout by LVM's name (`lvmraid(7)`).
fn parity(kind: &str) -> Option<(u32, Layout, bool)> {
    Some(match kind {
        "raid4" => (4, Layout::First, false),
        "raid5_n" => (5, Layout::Last, false),
        "raid5" | "raid5_ls" => (5, Layout::LeftSymmetric, false),
        "raid5_la" => (5, Layout::LeftAsymmetric, false),
        "raid5_ra" => (5, Layout::RightAsymmetric, false),
        "raid5_rs" => (5, Layout::RightSymmetric, false),
        "raid6" | "raid6_zr" => (6, Layout::ZeroRestart, false),
        "raid6_nr" => (6, Layout::NextRestart, false),
        "raid6_nc" => (6, Layout::NextContinue, false),
        "raid6_la_6" => (6, Layout::LeftAsymmetric, true),
        "raid6_ra_6" => (6, Layout::RightAsymmetric, true),
        "raid6_ls_6" => (6, Layout::LeftSymmetric, true),
        "raid6_rs_6" => (6, Layout::RightSymmetric, true),
        "raid6_n_6" => (6, Layout::Last, true),
        _ => return None,
    })
}
