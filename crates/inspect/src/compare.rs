//! How much work it is to migrate a guest, compared with others.
//!
//! The score is the one that users of the original tool know: points for what makes a migration harder, at most 100.
//! Every point is told with its reason, and what is not known gives none and is told, too.

use crate::report::{Inspection, SystemFacts};
use h2k_guest::Unread;
use schemars::JsonSchema;
use serde::Serialize;

/// Guests side by side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Comparison {
    /// How many there are.
    pub vm_count: usize,
    /// One for each, in the order they were named.
    pub profiles: Vec<Profile>,
    /// Their names, the easiest first.
    pub recommended_order: Vec<String>,
    /// Those with fewer than 30 points.
    pub quick_wins: Vec<String>,
    /// Those with 60 points or more.
    pub high_complexity: Vec<String>,
}

/// One guest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Profile {
    /// What it is called here: the name of its first disk.
    pub name: String,
    /// Its disks.
    pub disks: Vec<String>,
    /// Size of all its disks, in bytes.
    pub size: u64,
    /// What it runs; the first system where there are several.
    pub os: ProfileOs,
    /// How many systems there are on its disks.
    pub systems: usize,
    /// Its filesystems.
    pub filesystem: ProfileFilesystems,
    /// How full they are.
    pub disk_usage: DiskUsage,
    /// What it starts.
    pub services: ProfileServices,
    /// How many filesystems are mounted.
    pub mounts: usize,
    /// Points, 0 to 100.
    pub complexity_score: u32,
    /// `low` below 30 points, `medium` below 60, else `high`.
    pub complexity: &'static str,
    /// What the points are for.
    pub reasons: Vec<Reason>,
    /// What could not be read, and therefore counts nothing.
    pub unread: Vec<Unread>,
}

/// What a guest runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct ProfileOs {
    /// `linux`, `windows` …; `null` where no system was found.
    #[serde(rename = "type")]
    pub type_: Option<String>,
    /// `debian`, `rhel` …
    pub distro: Option<String>,
    /// What it calls itself.
    pub product: Option<String>,
    /// Its version.
    pub version: Option<String>,
    /// Its architecture.
    pub arch: Option<String>,
}

/// The filesystems of a guest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct ProfileFilesystems {
    /// How many there are; subvolumes are not counted, swap is not.
    pub count: usize,
    /// Of which kinds, each once.
    pub types: Vec<String>,
    /// The kind of the root's.
    pub root: Option<String>,
    /// Whether any lies on a logical volume.
    pub lvm: bool,
}

/// How full filesystems are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct DiskUsage {
    /// Bytes of all filesystems.
    pub total: u64,
    /// Bytes in use.
    pub used: u64,
    /// Used of total, in percent; `null` where nothing could be opened.
    pub percent: Option<u64>,
}

/// The services of a guest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct ProfileServices {
    /// How many are installed.
    pub total: Option<usize>,
    /// How many are started by themselves.
    pub active: Option<usize>,
    /// How many had failed when the guest last ran, as its journal has it.
    pub failed: Option<usize>,
    /// What the last start took, as the journal has it.
    pub boot_time_seconds: Option<u64>,
}

/// Points, and what for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Reason {
    /// How many.
    pub points: u32,
    /// What for.
    pub why: String,
}

/// Puts guests side by side.
#[must_use]
pub fn compare(profiles: Vec<Profile>) -> Comparison {
    let mut order: Vec<&Profile> = profiles.iter().collect();
    order.sort_by(|a, b| (a.complexity_score, a.size, &a.name).cmp(&(b.complexity_score, b.size, &b.name)));
    let names = |wanted: &dyn Fn(&Profile) -> bool| -> Vec<String> {
        let wanted = order.iter().filter(|p| wanted(p));
        wanted.map(|p| p.name.clone()).collect()
    };
    Comparison {
        vm_count: profiles.len(),
        recommended_order: names(&|_| true),
        quick_wins: names(&|p| p.complexity_score < LOW),
        high_complexity: names(&|p| p.complexity_score >= HIGH),
        profiles,
    }
}

const LOW: u32 = 30;
const HIGH: u32 = 60;

impl Profile {
    /// The profile of a guest that was inspected, by `name`, on `disks` of `size` bytes together.
    #[must_use]
    pub fn new(name: &str, disks: &[String], size: u64, inspection: &Inspection) -> Self {
        let system = inspection.systems.first();
        let mut profile = Self {
            name: name.to_owned(),
            disks: disks.to_vec(),
            size,
            os: system.map(os).unwrap_or_default(),
            systems: inspection.systems.len(),
            filesystem: filesystems(inspection),
            disk_usage: usage(inspection),
            services: system.map(services).unwrap_or_default(),
            mounts: system
                .and_then(|s| s.mounts.as_ref())
                .map_or(0, |m| m.found.mounted.len()),
            unread: inspection.unread.clone(),
            ..Self::default()
        };
        profile.score();
        profile
    }

    /// Counts the points.
    fn score(&mut self) {
        let mut reasons = Vec::new();
        let mut add = |points: u32, why: String| {
            if points > 0 {
                reasons.push(Reason { points, why });
            }
        };
        match self.os.type_.as_deref() {
            Some("windows") => add(30, "Windows".to_owned()),
            Some("linux") => add(10, "Linux".to_owned()),
            _ => {}
        }
        let has = |kind: &str| self.filesystem.types.iter().any(|t| t == kind);
        if has("btrfs") {
            add(15, "btrfs".to_owned());
        }
        if has("zfs_member") || has("zfs") {
            add(20, "ZFS".to_owned());
        }
        if self.filesystem.lvm {
            add(10, "LVM".to_owned());
        }
        let count = self.filesystem.count;
        add(capped(count, 2, 20), counted(count, "filesystem"));
        if let Some(percent) = self.disk_usage.percent.filter(|p| *p > 80) {
            add(15, format!("{percent} % full"));
        }
        if let Some(total) = self.services.total.filter(|n| *n > 100) {
            add(10, format!("{total} services"));
        }
        if let Some(failed) = self.services.failed {
            add(
                capped(failed, 5, 20),
                format!("{} failed", counted(failed, "service")),
            );
        }
        if let Some(seconds) = self.services.boot_time_seconds.filter(|s| *s > 60) {
            add(10, format!("starting took {seconds} s"));
        }
        if self.mounts > 5 {
            add(5, format!("{} mounts", self.mounts));
        }
        let points: u32 = reasons.iter().map(|r| r.points).fold(0, u32::saturating_add);
        self.complexity_score = points.min(100);
        self.complexity = match self.complexity_score {
            ..LOW => "low",
            LOW..HIGH => "medium",
            HIGH.. => "high",
        };
        self.reasons = reasons;
    }
}

fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

/// `each` points for every one of `count`, `most` at most.
fn capped(count: usize, each: u32, most: u32) -> u32 {
    u32::try_from(count)
        .unwrap_or(u32::MAX)
        .saturating_mul(each)
        .min(most)
}

fn os(system: &SystemFacts) -> ProfileOs {
    let os = system.os.as_ref().map(|s| &s.found);
    let word = |fact: Option<&h2k_guest::Fact<String>>| fact.map(|f| f.value.clone());
    ProfileOs {
        type_: Some(system.kind.clone()),
        distro: word(os.and_then(|o| o.distro.as_ref())),
        product: word(os.and_then(|o| o.product_name.as_ref())),
        version: word(os.and_then(|o| numbered(o.release.as_ref()).or(o.version.as_ref()))),
        arch: word(os.and_then(|o| o.architecture.as_ref())),
    }
}

/// A release that is a number, such as Debian's `12.5`; others are sentences.
fn numbered(release: Option<&h2k_guest::Fact<String>>) -> Option<&h2k_guest::Fact<String>> {
    release.filter(|r| r.value.starts_with(|c: char| c.is_ascii_digit()))
}

fn filesystems(inspection: &Inspection) -> ProfileFilesystems {
    let whole = inspection
        .filesystems
        .iter()
        .filter(|fs| fs.source == fs.device && fs.type_ != "swap");
    let mut types: Vec<String> = whole.clone().map(|fs| fs.type_.clone()).collect();
    types.sort();
    types.dedup();
    let root = inspection.systems.first().and_then(|system| {
        let fs = inspection.filesystems.iter().find(|fs| fs.source == system.root);
        fs.map(|fs| fs.type_.clone())
    });
    ProfileFilesystems {
        count: whole.count(),
        types,
        root,
        lvm: inspection.systems.iter().any(|system| {
            let storage = system.storage.as_ref();
            storage.is_some_and(|s| !s.found.volume_groups.is_empty())
        }),
    }
}

fn usage(inspection: &Inspection) -> DiskUsage {
    let opened = inspection
        .filesystems
        .iter()
        .filter(|fs| fs.source == fs.device && fs.used.is_some());
    let total = opened.clone().map(|fs| fs.size).fold(0, u64::saturating_add);
    let used = opened.filter_map(|fs| fs.used).fold(0, u64::saturating_add);
    let percent = u128::from(used)
        .saturating_mul(100)
        .checked_div(u128::from(total));
    DiskUsage {
        total,
        used,
        percent: percent.and_then(|p| u64::try_from(p).ok()),
    }
}

fn services(system: &SystemFacts) -> ProfileServices {
    let mut services = ProfileServices::default();
    if let Some(windows) = system.services.as_ref().map(|s| &s.found) {
        let started = |s: &&crate::windows::Service| s.start.starts_with("automatic");
        services.total = Some(windows.services.len());
        services.active = Some(windows.services.iter().filter(started).count());
    }
    if let Some(units) = system.units.as_ref().map(|s| &s.found) {
        let service = |name: &str| name.ends_with(".service") && !name.ends_with("@.service");
        services.total = Some(units.files.iter().filter(|f| service(&f.unit)).count());
        services.active = Some(units.started_at_boot.iter().filter(|u| service(u)).count());
    }
    let last = system.journal.as_ref().and_then(|s| s.found.last_boot.as_ref());
    if let Some(last) = last {
        services.failed = Some(last.failed_units.len());
        services.boot_time_seconds = last.startup.as_ref().map(|s| s.total_usec / 1_000_000);
    }
    services
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(kind: &str, types: &[&str], count: usize) -> Profile {
        Profile {
            os: ProfileOs {
                type_: Some(kind.to_owned()),
                ..ProfileOs::default()
            },
            filesystem: ProfileFilesystems {
                count,
                types: types.iter().map(|t| (*t).to_owned()).collect(),
                ..ProfileFilesystems::default()
            },
            ..Profile::default()
        }
    }

    #[test]
    fn points_are_those_of_the_table() {
        let scored = |mut p: Profile| {
            p.score();
            (p.complexity_score, p.complexity)
        };
        assert_eq!(scored(profile("linux", &["ext4"], 1)), (12, "low"));
        assert_eq!(scored(profile("windows", &["ntfs"], 2)), (34, "medium"));
        assert_eq!(scored(profile("linux", &["btrfs", "ext4"], 30)), (45, "medium"));
        let mut worst = profile("windows", &["btrfs", "zfs_member"], 10);
        worst.filesystem.lvm = true;
        worst.disk_usage.percent = Some(81);
        worst.services = ProfileServices {
            total: Some(101),
            active: None,
            failed: Some(9),
            boot_time_seconds: Some(61),
        };
        worst.mounts = 6;
        assert_eq!(scored(worst), (100, "high"));
        let mut edge = profile("linux", &["ext4"], 1);
        edge.disk_usage.percent = Some(80);
        edge.services.total = Some(100);
        edge.services.boot_time_seconds = Some(60);
        edge.mounts = 5;
        assert_eq!(scored(edge), (12, "low"));
    }

    #[test]
    fn the_easiest_comes_first() {
        let mut all = vec![profile("windows", &[], 0), profile("linux", &[], 0)];
        for (profile, name) in all.iter_mut().zip(["w", "l"]) {
            profile.name = name.to_owned();
            profile.score();
        }
        let comparison = compare(all);
        assert_eq!(comparison.recommended_order, ["l", "w"]);
        assert_eq!(comparison.quick_wins, ["l"]);
        assert!(comparison.high_complexity.is_empty());
    }
}
