//! What is mounted where.

use crate::report::Asking;
use h2k_guest::look::lossy;
use h2k_guest::{Fact, FstabLine, Look, Source, Text, fstab};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;

/// The mount table, as far as it could be put together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Mounts {
    /// What is mounted, the root first.
    pub mounted: Vec<MountPoint>,
    /// What the table names besides.
    pub left_out: Vec<NotMounted>,
    /// Lines of the table that are wrong, or that may mean something else on another machine.
    pub problems: Vec<Fact<String>>,
}

/// A filesystem in its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct MountPoint {
    /// Where.
    pub mount_point: String,
    /// What, as guestfish spells it.
    pub device: String,
    /// Which filesystem: `ext4`, `xfs` …
    pub filesystem: String,
    /// The filesystem's UUID.
    pub uuid: Option<String>,
    /// How the table names it: `UUID=…`, `/dev/sda1`.
    pub spec: Option<String>,
    /// Options it is mounted with, as the table has them.
    pub options: Vec<String>,
    /// The table's fifth field: whether dump(8) saves it.
    pub dump: Option<u32>,
    /// The table's sixth field: when it is checked at start; 0 is never.
    pub pass: Option<u32>,
    /// What says so.
    pub source: Source,
}

/// A line of the mount table that mounts nothing here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct NotMounted {
    /// What it names.
    pub spec: String,
    /// Where it would be mounted.
    pub mount_point: String,
    /// What `spec` means, as guestfish spells it, where that is known.
    pub device: Option<String>,
    /// Why it is not.
    pub why: String,
    /// Whether that is as it should be: swap, a network, what the kernel makes up. Otherwise files are missing.
    pub expected: bool,
    /// Its options, as the table has them.
    pub options: Vec<String>,
    /// What says so.
    pub source: Source,
}

pub(crate) fn look(asking: &Asking<'_>, look: &Look<'_>) -> Mounts {
    let table = look.text("/etc/fstab");
    let lines: Vec<TableLine> = table.iter().flat_map(lines).collect();
    let mut by_point: BTreeMap<Vec<u8>, &TableLine> = BTreeMap::new();
    for line in &lines {
        by_point.entry(plain(&line.entry.point)).or_insert(line);
    }
    let tree = &asking.assembled.tree;
    let unlisted = |point: &[u8]| {
        let mut all = asking.assembled.unlisted.iter();
        all.find(|(at, _)| at == point)
            .map(|(_, why)| Source::named(why.clone()))
    };
    let mounted = tree.mounts().iter().map(|mount| {
        let facts = mount.fs.facts();
        let root = mount.point == b"/";
        let line = by_point.get(&plain(&mount.point));
        let fallback = || match root {
            true => Source::named(format!("the files on {}", asking.system.source())),
            false => Source::named("/etc/fstab"),
        };
        MountPoint {
            mount_point: lossy(&mount.point),
            device: mount.source.clone(),
            filesystem: facts.kind.to_owned(),
            uuid: facts.uuid,
            spec: line.map(|l| lossy(&l.entry.spec)),
            options: line.map(|l| l.options()).unwrap_or_default(),
            dump: line.and_then(|l| l.dump),
            pass: line.and_then(|l| l.pass),
            source: unlisted(&mount.point)
                .or_else(|| line.map(|l| l.source.clone()))
                .unwrap_or_else(fallback),
        }
    });
    let mut by_both: BTreeMap<(&[u8], &[u8]), Vec<&TableLine>> = BTreeMap::new();
    for line in lines.iter().rev() {
        let key = (line.entry.spec.as_slice(), line.entry.point.as_slice());
        by_both.entry(key).or_default().push(line);
    }
    let left_out = asking.assembled.left_out.iter().map(|left| {
        // Lines that say the same are told in their order.
        let same = by_both.get_mut(&(left.spec.as_slice(), left.point.as_slice()));
        let line = same.and_then(|all| {
            if all.len() > 1 {
                all.pop()
            } else {
                all.last().copied()
            }
        });
        NotMounted {
            spec: lossy(&left.spec),
            mount_point: lossy(&left.point),
            device: left.device.clone(),
            why: left.why.to_string(),
            expected: left.expected,
            options: line.map(TableLine::options).unwrap_or_default(),
            source: line.map_or_else(|| Source::named("/etc/fstab"), |l| l.source.clone()),
        }
    });
    Mounts {
        mounted: mounted.collect(),
        left_out: left_out.collect(),
        problems: table.iter().flat_map(problems).collect(),
    }
}

/// A line of the table that says enough to be one.
struct TableLine {
    entry: FstabLine,
    dump: Option<u32>,
    pass: Option<u32>,
    source: Source,
}

impl TableLine {
    fn options(&self) -> Vec<String> {
        self.entry.options.iter().map(|o| lossy(o)).collect()
    }
}

fn lines(table: &Text) -> impl Iterator<Item = TableLine> {
    table.lines().filter_map(|line| {
        let entry = fstab(line.text.as_bytes()).pop()?;
        let number = |at| line.text.split_whitespace().nth(at)?.parse().ok();
        Some(TableLine {
            entry,
            dump: number(4),
            pass: number(5),
            source: line.source(),
        })
    })
}

/// A mount point without slashes at its end.
fn plain(point: &[u8]) -> Vec<u8> {
    let end = point
        .iter()
        .rposition(|b| *b != b'/')
        .map_or(0, |at| at.saturating_add(1));
    point.get(..end).unwrap_or_default().to_vec()
}

/// What somebody should look at before the guest moves.
fn problems(table: &Text) -> Vec<Fact<String>> {
    let mut found = Vec::new();
    let mut points: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
    for line in table.spoken() {
        let mut say = |what: String| found.push(line.fact(what));
        let words: Vec<&str> = line.text.split_whitespace().collect();
        let Some(entry) = fstab(line.text.as_bytes()).pop() else {
            say("there are fewer than two fields: it mounts nothing".to_owned());
            continue;
        };
        if words.len() < 4 {
            say(format!(
                "there are {} fields, and fstab(5) wants at least four",
                words.len()
            ));
        }
        for (at, name) in [
            (4, "the fifth field (dump)"),
            (5, "the sixth field (the order of checks)"),
        ] {
            if let Some(word) = words.get(at).filter(|w| w.parse::<u32>().is_err()) {
                say(format!("{name} is no number: {word}"));
            }
        }
        let spec = lossy(&entry.spec);
        if let Some(why) = moves(&spec) {
            say(format!("{spec} {why}"));
        }
        let point = plain(&entry.point);
        let nowhere = entry.kind == b"swap" || entry.point == b"none" || entry.point == b"swap";
        if nowhere {
            continue;
        }
        if entry.point.first() != Some(&b'/') {
            say(format!("{} is no path from the root", lossy(&entry.point)));
        } else if let Some(first) = points.get(&point) {
            say(format!("line {first} has {} already", lossy(&entry.point)));
        }
        points.entry(point).or_insert(line.number);
    }
    found
}

/// Why a name of a device may mean another one, or none, on other hardware.
fn moves(spec: &str) -> Option<&'static str> {
    if spec.starts_with("/dev/disk/by-path/") {
        return Some("is the place of a disk in the machine, which another machine has not");
    }
    if let Some(id) = spec.strip_prefix("/dev/disk/by-id/") {
        let kept = ["dm-", "md-", "lvm-"].iter().any(|own| id.starts_with(own));
        return (!kept).then_some("has the serial number of a disk, which changes with the disk");
    }
    let name = spec.strip_prefix("/dev/")?;
    let buses = ["sd", "hd", "vd", "xvd", "nvme", "mmcblk", "cciss/", "ubd"];
    let letters = |bus: &str| {
        name.strip_prefix(bus)
            .is_some_and(|r| r.starts_with(|c: char| c.is_ascii_alphanumeric()))
    };
    buses
        .iter()
        .any(|bus| letters(bus))
        .then_some("names a disk by its bus and its order, which change with the machine")
}
