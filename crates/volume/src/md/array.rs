//! From members to an array.

use super::superblock::Member;
use crate::map::{Geometry, Layout, Linear, Mirrored, Parity, Raid10, Segments, Stripe, Zones, shared};
use h2k_block::{Class, Error, Result};
use std::sync::Arc;

/// A `raid10` layout: near copies in the low byte, far copies in the next, then flags.
const OFFSET: u32 = 1 << 16;
/// `raid0` layouts as the superblock has them: the order of devices in zones of different width.
const ORIGINAL: u32 = 1;
const ALTERNATE: u32 = 2;

/// What members make together.
pub(crate) struct Array {
    pub(crate) geometry: Arc<dyn Geometry>,
    /// For each place in the array the member that takes it, as its place in the list given.
    pub(crate) places: Vec<Option<usize>>,
    /// `raid1`, `linear` ….
    pub(crate) level: String,
    /// What is missing or left out although the array can be read, and what is odd.
    pub(crate) remarks: Vec<String>,
}

/// What stands at each place: where data begins and how much there is room for.
#[derive(Clone, Copy)]
struct Device {
    start: u64,
    len: u64,
}

/// Puts the members of one set together. `names` are the devices' names, in the same order.
///
/// # Errors
/// NotFound with what is missing when too little is there, Unsupported for levels and states that are not read,
/// Corrupt for numbers that make no array.
pub(crate) fn array(members: &[Member], names: &[String]) -> Result<Array> {
    let Some(newest) = members.iter().max_by_key(|m| m.events) else {
        return Err(Error::new(Class::Invalid, "an array without members"));
    };
    let level = level_name(newest.level);
    if let Some(why) = newest.refused {
        return Err(Error::unsupported(format!(
            "the MD array ({level}) is not read: {why}"
        )));
    }
    let mut places: Vec<Option<usize>> = vec![None; newest.raid_disks];
    let mut remarks = Vec::new();
    for (i, member) in members.iter().enumerate() {
        let name = names.get(i).map_or("a member", String::as_str);
        // One event behind is what a crash in the middle of an update leaves.
        let stale = member.events.saturating_add(1) < newest.events;
        let place = member.place(&newest.roles);
        match place.and_then(|p| places.get_mut(p)) {
            _ if stale => remarks.push(format!(
                "{name} is left out: {} events, the array has {}",
                member.events, newest.events
            )),
            Some(_) if member.recovering => {
                remarks.push(format!("{name} is left out: it was being rebuilt"));
            }
            Some(slot) if slot.is_none() => *slot = Some(i),
            Some(_) => remarks.push(format!("{name} is left out: its place is taken")),
            None => remarks.push(format!("{name} is a spare or failed and is left out")),
        }
        if member.bad_blocks {
            remarks.push(format!("{name} has bad blocks recorded; they are not looked at"));
        }
    }
    let devices: Vec<Option<Device>> = places
        .iter()
        .map(|place| {
            place.and_then(|i| members.get(i)).map(|m| Device {
                start: m.data_start,
                len: m.data_len,
            })
        })
        .collect();
    let gone: Vec<usize> = (0..devices.len())
        .filter(|i| devices.get(*i).is_some_and(Option::is_none))
        .collect();
    let (geometry, survives) = geometry(newest, &devices, &gone)?;
    if !gone.is_empty() {
        let list: Vec<String> = gone.iter().map(ToString::to_string).collect();
        let what = format!("member {} of {} is missing", list.join(", "), newest.raid_disks);
        if !survives {
            return Err(Error::new(Class::NotFound, format!("{level}: {what}"))
                .advise("give all the disks of this guest together"));
        }
        remarks.push(format!("degraded: {what}"));
    }
    Ok(Array {
        geometry,
        places,
        level,
        remarks,
    })
}

fn level_name(level: i32) -> String {
    match level {
        -1 => "linear".to_owned(),
        -4 => "multipath".to_owned(),
        -5 => "faulty".to_owned(),
        -100 => "container".to_owned(),
        n => format!("raid{n}"),
    }
}

/// The map of an array, and whether it can be read without the members at `gone`.
fn geometry(m: &Member, devices: &[Option<Device>], gone: &[usize]) -> Result<(Arc<dyn Geometry>, bool)> {
    let wrong = || {
        Error::corrupt(
            "MD superblock",
            0,
            format!(
                "{} over {} members with chunks of {} bytes, layout {:#x}, {} bytes of each",
                level_name(m.level),
                m.raid_disks,
                m.chunk,
                m.layout,
                m.size
            ),
        )
    };
    let starts: Vec<u64> = devices.iter().map(|d| d.map_or(0, |d| d.start)).collect();
    let missing = |i: usize| gone.contains(&i);
    match m.level {
        // Without one of them the sizes of the others say nothing of where each begins.
        -1 | 0 if !gone.is_empty() => Ok((
            shared(Linear {
                stripe: Stripe { target: 0, start: 0 },
                len: 0,
            }),
            false,
        )),
        -1 => {
            let parts = devices.iter().enumerate().filter_map(|(target, d)| {
                d.map(|d| {
                    // A chunk size of a linear array is what the members' sizes were rounded to.
                    let rest = d.len.checked_rem(m.chunk).unwrap_or(0);
                    shared(Linear {
                        stripe: Stripe {
                            target,
                            start: d.start,
                        },
                        len: d.len.saturating_sub(rest),
                    })
                })
            });
            let all = Segments::new(parts.collect()).ok_or_else(wrong)?;
            Ok((shared(all), true))
        }
        0 => {
            let pairs: Vec<(u64, u64)> = devices.iter().flatten().map(|d| (d.start, d.len)).collect();
            let original = match m.layout {
                ORIGINAL => true,
                ALTERNATE => false,
                // Made before the layouts were told apart: it only matters between members of different sizes.
                0 => {
                    let rows: Vec<u64> = pairs
                        .iter()
                        .filter_map(|(_, len)| len.checked_div(m.chunk))
                        .collect();
                    if rows.windows(2).any(|w| matches!(w, [a, b] if a != b)) {
                        return Err(Error::unsupported(
                            "raid0 over members of different sizes that does not say which of two layouts it has",
                        ));
                    }
                    false
                }
                other => return Err(Error::unsupported(format!("raid0 of unknown layout {other}"))),
            };
            let zones = Zones::new(&pairs, m.chunk, original).ok_or_else(wrong)?;
            Ok((shared(zones), true))
        }
        1 => {
            let legs: Vec<Stripe> = devices
                .iter()
                .enumerate()
                .filter_map(|(target, d)| {
                    d.map(|d| Stripe {
                        target,
                        start: d.start,
                    })
                })
                .collect();
            let survives = !legs.is_empty();
            let mirrored = Mirrored::new(legs, m.size);
            mirrored.map_or_else(|| Err(wrong()), |g| Ok((shared(g), survives)))
        }
        10 => {
            if m.layout & !(OFFSET | 0xffff) != 0 {
                return Err(Error::unsupported(format!(
                    "raid10 of unknown layout {:#x}",
                    m.layout
                )));
            }
            let (near, far) = (u64::from(m.layout & 0xff), u64::from(m.layout >> 8 & 0xff));
            let offset = m.layout & OFFSET != 0;
            let raid = Raid10::new(starts, near, far, offset, m.chunk, m.size).ok_or_else(wrong)?;
            let survives = raid.survives(&missing);
            Ok((shared(raid), survives))
        }
        4..=6 => {
            let level = u32::try_from(m.level).unwrap_or(0);
            let Some((layout, q_last)) = parity(level, m.layout) else {
                return Err(Error::unsupported(format!(
                    "raid{level} of unknown layout {}",
                    m.layout
                )));
            };
            let parity = Parity::new(starts, level, layout, q_last, m.chunk, m.size).ok_or_else(wrong)?;
            if level == 6 && gone.len() == 2 {
                return Err(Error::unsupported(
                    "raid6 with two members missing: only one is made up for",
                ));
            }
            if !gone.is_empty() && !m.clean {
                return Err(Error::unsupported(format!(
                    "raid{level} lacks a member and was not stopped in order: what is missing cannot be made up for"
                )));
            }
            Ok((shared(parity), gone.len() <= 1))
        }
        level => Err(Error::unsupported(format!(
            "MD arrays of level {} are not read",
            level_name(level)
        ))),
    }
}

/// Parity layouts by number. RAID 4 has none.
fn parity(level: u32, layout: u32) -> Option<(Layout, bool)> {
    if level == 4 {
        return Some((Layout::Last, false));
    }
    Some(match (level, layout) {
        (_, 0) => (Layout::LeftAsymmetric, false),
        (_, 1) => (Layout::RightAsymmetric, false),
        (_, 2) => (Layout::LeftSymmetric, false),
        (_, 3) => (Layout::RightSymmetric, false),
        (_, 4) => (Layout::First, false),
        (_, 5) => (Layout::Last, false),
        (6, 8) => (Layout::ZeroRestart, false),
        (6, 9) => (Layout::NextRestart, false),
        (6, 10) => (Layout::NextContinue, false),
        (6, 16) => (Layout::LeftAsymmetric, true),
        (6, 17) => (Layout::RightAsymmetric, true),
        (6, 18) => (Layout::LeftSymmetric, true),
        (6, 19) => (Layout::RightSymmetric, true),
        (6, 20) => (Layout::First, true),
        _ => return None,
    })
}
