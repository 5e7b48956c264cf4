//! A volume group as its metadata describes it, in types.

use super::text::{Section, Value, parse};
use crate::bytes::index;
use h2k_block::{Error, Meter, Result};
use std::collections::BTreeMap;

/// A volume group.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    pub(crate) name: String,
    pub(crate) id: String,
    pub(crate) seqno: u64,
    /// Bytes.
    pub(crate) extent_size: u64,
    /// Not empty when the group belongs to a certain machine.
    pub(crate) system_id: String,
    pub(crate) exported: bool,
    /// A lock manager guards the group: it is shared between machines.
    pub(crate) shared: bool,
    pub(super) pvs: Vec<Member>,
    pub(super) lvs: Vec<Logical>,
}

/// A physical volume as the group knows it.
#[derive(Debug, Clone)]
pub(super) struct Member {
    /// `pv0`: how segments refer to it.
    pub(super) name: String,
    pub(super) id: String,
    /// First byte of the first extent.
    pub(super) start: u64,
    /// Extents.
    pub(super) count: u64,
    /// Where LVM last saw it; a hint for people.
    pub(super) device: String,
}

/// A logical volume, visible or not.
#[derive(Debug, Clone)]
pub(super) struct Logical {
    pub(super) name: String,
    pub(super) id: String,
    pub(super) visible: bool,
    /// Not to be activated unless asked for: thin snapshots, mostly.
    pub(super) skip: bool,
    pub(super) segments: Vec<Segment>,
}

/// One segment: a run of extents of one type.
#[derive(Debug, Clone)]
pub(super) struct Segment {
    /// First extent of the logical volume.
    pub(super) start: u64,
    /// Extents.
    pub(super) count: u64,
    /// `striped`, `raid1`, `thin` …, with flags behind a plus sign as LVM writes them.
    pub(super) kind: String,
    pub(super) detail: Detail,
}

/// A piece of something: a name, and the first extent of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Area {
    pub(super) name: String,
    pub(super) extent: u64,
}

/// What a segment consists of, by its type.
#[derive(Debug, Clone)]
pub(super) enum Detail {
    /// Linear is striped over one.
    Striped {
        areas: Vec<Area>,
        /// Bytes that stay together; zero for one stripe.
        chunk: u64,
    },
    Mirror {
        areas: Vec<Area>,
    },
    /// Device mapper's RAID: pairs of metadata and image volumes, in the order of the array.
    Raid {
        /// Names of the metadata volumes; empty for raid0.
        metas: Vec<String>,
        images: Vec<String>,
        chunk: u64,
        /// Copies of a raid10, where given.
        copies: Option<u64>,
        /// A layout change is under way, or space was set aside for one.
        reshape: bool,
    },
    /// Ties a copy-on-write store to its origin. The volume it stands in has no name of its own.
    Snapshot {
        origin: String,
        store: String,
        merging: bool,
    },
    ThinPool {
        data: String,
        metadata: String,
    },
    Thin {
        pool: String,
        /// Read where the thin volume has nothing of its own.
        external_origin: Option<String>,
    },
    Zero,
    /// Anything else, including `error`.
    Other,
}

impl Group {
    /// Physical volumes that are not among `present`, in words.
    pub(crate) fn missing<T>(&self, present: &BTreeMap<String, T>) -> Vec<String> {
        self.pvs
            .iter()
            .filter(|pv| !present.contains_key(&pv.id))
            .map(|pv| format!("physical volume {} (last seen as {})", pv.id, pv.device))
            .collect()
    }

    /// What LVM would want to be asked about before it activates the group.
    pub(crate) fn remarks(&self) -> Vec<String> {
        let mut remarks = Vec::new();
        if self.exported {
            remarks.push("the group was exported; it is read all the same".to_owned());
        }
        if self.shared {
            remarks.push(
                "the group is shared between machines under locks; it is read as it was left".to_owned(),
            );
        }
        if !self.system_id.is_empty() {
            remarks.push(format!(
                "the group belongs to the machine {:?}; it is read all the same",
                self.system_id
            ));
        }
        remarks
    }
}

fn bad(what: impl Into<String>) -> Error {
    Error::corrupt("LVM2 metadata text", 0, what)
}

fn missing(section: &str, key: &str) -> Error {
    bad(format!("{section} has no {key}"))
}

/// The sequence number of a text, found without parsing all of it; zero when there is none.
pub(super) fn sequence_number(text: &[u8]) -> u64 {
    let key = b"seqno = ";
    let Some(at) = text.windows(key.len()).position(|w| w == key) else {
        return 0;
    };
    let digits = text.get(at.saturating_add(key.len())..).unwrap_or_default();
    digits
        .iter()
        .take_while(|c| c.is_ascii_digit())
        .fold(0_u64, |n, c| {
            n.saturating_mul(10)
                .saturating_add(u64::from(c.saturating_sub(b'0')))
        })
}

/// Turns a text into a group. The group's name is whatever section comes first.
pub(super) fn read(text: &[u8], meter: &mut Meter) -> Result<Group> {
    let document = parse(text, meter)?;
    let (name, vg) = document
        .root()
        .sections()
        .next()
        .ok_or_else(|| bad("no volume group in it"))?;
    let sectors = vg
        .number("extent_size")
        .ok_or_else(|| missing(name, "extent_size"))?;
    let extent_size = sectors
        .checked_mul(512)
        .filter(|n| *n > 0)
        .ok_or_else(|| bad(format!("{name} has extents of {sectors} sectors")))?;
    let mut group = Group {
        name: checked_name(name)?,
        id: vg.text("id").ok_or_else(|| missing(name, "id"))?.to_owned(),
        seqno: vg.number("seqno").unwrap_or(0),
        extent_size,
        system_id: vg.text("system_id").unwrap_or_default().to_owned(),
        exported: vg.has_flag("status", "EXPORTED"),
        shared: vg.has_flag("status", "CLUSTERED") || vg.text("lock_type").is_some_and(|t| t != "none"),
        pvs: Vec::new(),
        lvs: Vec::new(),
    };
    if let Some(list) = vg.section("physical_volumes") {
        for (name, pv) in list.sections() {
            meter.step("LVM2 physical volume")?;
            group.pvs.push(member(name, pv)?);
        }
    }
    if let Some(list) = vg.section("logical_volumes") {
        for (name, lv) in list.sections() {
            meter.step("LVM2 logical volume")?;
            group.lvs.push(logical(name, lv, meter)?);
        }
    }
    Ok(group)
}

/// LVM's own rule for names; it also keeps them out of each other's paths.
fn checked_name(name: &str) -> Result<String> {
    let fine = name
        .bytes()
        .all(|c| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'.' | b'-' | b'+'));
    if !fine || name.is_empty() || name.starts_with('-') || matches!(name, "." | "..") || name.len() > 127 {
        return Err(bad(format!("{name:?} is no name LVM allows")));
    }
    Ok(name.to_owned())
}

fn member(name: &str, pv: Section<'_>) -> Result<Member> {
    let number = |key| pv.number(key).ok_or_else(|| missing(name, key));
    let start = number("pe_start")?
        .checked_mul(512)
        .ok_or_else(|| bad(format!("{name}: pe_start is out of range")))?;
    Ok(Member {
        name: name.to_owned(),
        id: pv.text("id").ok_or_else(|| missing(name, "id"))?.to_owned(),
        start,
        count: number("pe_count")?,
        device: pv.text("device").unwrap_or_default().to_owned(),
    })
}

fn logical(name: &str, lv: Section<'_>, meter: &mut Meter) -> Result<Logical> {
    let mut segments = Vec::new();
    for (key, section) in lv.sections().filter(|(key, _)| key.starts_with("segment")) {
        meter.step("LVM2 segment")?;
        let number = |what| section.number(what).ok_or_else(|| missing(key, what));
        let kind = section
            .text("type")
            .ok_or_else(|| missing(key, "type"))?
            .to_owned();
        let detail = detail(&kind, section).map_err(|e| e.through(format!("{name} {key}")))?;
        segments.push(Segment {
            start: number("start_extent")?,
            count: number("extent_count")?,
            kind,
            detail,
        });
    }
    segments.sort_by_key(|s| s.start);
    Ok(Logical {
        name: checked_name(name)?,
        id: lv.text("id").unwrap_or_default().to_owned(),
        visible: lv.has_flag("status", "VISIBLE"),
        skip: lv.has_flag("flags", "ACTIVATION_SKIP"),
        segments,
    })
}

/// `["pv0", 0, "pv1", 512]`.
fn areas(list: &[Value]) -> Result<Vec<Area>> {
    let (pairs, rest) = list.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(bad("an area without its extent"));
    }
    pairs
        .iter()
        .map(|pair| match pair {
            [Value::Text(name), Value::Number(n)] => Ok(Area {
                name: name.clone(),
                extent: u64::try_from(*n).map_err(|_| bad("a negative extent"))?,
            }),
            other => Err(bad(format!("{other:?} is no area"))),
        })
        .collect()
}

fn names(list: &[Value]) -> Result<Vec<String>> {
    list.iter()
        .map(|v| match v {
            Value::Text(name) => Ok(name.clone()),
            other => Err(bad(format!("{other:?} is no name"))),
        })
        .collect()
}

fn detail(kind: &str, s: Section<'_>) -> Result<Detail> {
    let text = |key: &str| {
        s.text(key)
            .map(ToOwned::to_owned)
            .ok_or_else(|| missing(kind, key))
    };
    let sectors = |key: &str| s.number(key).unwrap_or(0).saturating_mul(512);
    Ok(match kind {
        "striped" | "linear" => Detail::Striped {
            areas: areas(s.list("stripes"))?,
            chunk: sectors("stripe_size"),
        },
        "mirror" => Detail::Mirror {
            areas: areas(s.list("mirrors"))?,
        },
        "snapshot" => {
            let merging = s.text("merging_store");
            Detail::Snapshot {
                origin: text("origin")?,
                store: match merging {
                    Some(store) => store.to_owned(),
                    None => text("cow_store")?,
                },
                merging: merging.is_some(),
            }
        }
        "thin-pool" => Detail::ThinPool {
            data: text("pool")?,
            metadata: text("metadata")?,
        },
        "thin" => Detail::Thin {
            pool: text("thin_pool")?,
            external_origin: s.text("external_origin").map(ToOwned::to_owned),
        },
        "zero" => Detail::Zero,
        raid if raid.starts_with("raid") => raid_detail(s)?,
        _ => Detail::Other,
    })
}

fn raid_detail(s: Section<'_>) -> Result<Detail> {
    let plain = names(s.list("raid0_lvs"))?;
    let (metas, images) = if plain.is_empty() {
        let (pairs, rest) = {
            let all = names(s.list("raids"))?;
            let (pairs, rest) = all.as_chunks::<2>();
            (pairs.to_vec(), rest.len())
        };
        if rest > 0 {
            return Err(bad("a RAID image without its metadata volume"));
        }
        pairs.into_iter().map(|[meta, image]| (meta, image)).unzip()
    } else {
        (Vec::new(), plain)
    };
    if let Some(count) = s.number("device_count")
        && index(count) != images.len()
    {
        return Err(bad(format!("{count} devices announced, {} named", images.len())));
    }
    let reshape = ["data_offset", "reshape_len", "delta_disks"]
        .iter()
        .any(|key| s.value(key).is_some_and(|v| *v != Value::Number(0)));

    Ok(Detail::Raid {
        metas,
        images,
        chunk: s.number("stripe_size").unwrap_or(0).saturating_mul(512),
        copies: s.number("data_copies"),
        reshape,
    })
}
