//! What is kept of an image while it is walked through: names that matter and small files.

use super::cpio::Entry;
use super::listing::{Listing, Node};
use super::walk::{Content, Segment, walk};
use crate::bytes::shown;
use crate::kernel::{dependencies, module_name};
use crate::kmod::Index;
use h2k_block::{BlockRead, Error, Meter, Result};
use h2k_guest::Text;
use std::collections::{BTreeMap, BTreeSet};

/// What a kept file may weigh; indexes of modules are larger than configuration.
const SMALL: u64 = 64 << 10;
const INDEX: u64 = 4 << 20;

/// What all kept files may weigh together.
const ALL: u64 = 16 << 20;

/// How many names are kept.
const NAMES: usize = 100_000;

/// Contents of an image, as far as they are kept.
#[derive(Debug, Default)]
pub(super) struct Contents {
    pub(super) segments: Vec<Segment>,
    /// Modules, by name, and the path of the last file of that name.
    pub(super) modules: BTreeMap<String, String>,
    /// Releases that modules lie under.
    pub(super) releases: BTreeSet<String>,
    /// Small files, by path; a later one replaces an earlier one, as when the kernel unpacks them.
    pub(super) files: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Links, by path, and where they lead.
    pub(super) links: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Paths that tell who made the image.
    pub(super) marks: BTreeSet<String>,
    /// Every name, where the image is to be added to. Paths of files are then free of links.
    pub(super) listing: Option<Listing>,
    /// Files that were not kept although they matter, for they are too large.
    pub(super) skipped: BTreeSet<Vec<u8>>,
    /// What the kept files weigh.
    kept: u64,
}

/// Directories whose files say how the image looks for its root, without `usr/` in front.
const KEPT: [&str; 14] = [
    "conf/",
    "etc/cmdline.d/",
    "etc/crypttab",
    "etc/fstab",
    "etc/lvm/",
    "etc/mdadm",
    "etc/modprobe.d/",
    "etc/modules-load.d/",
    "etc/initrd-release",
    "etc/multipath",
    "lib/modprobe.d/",
    "lib/initrd-release",
    "lib/dracut/build-parameter.txt",
    "cryptroot/crypttab",
];

/// Files in the root of images that tell who made them, or what they load.
const ROOT: [&str; 7] = [
    "init",
    "config",
    "buildconfig",
    "linuxrc",
    "run_all.sh",
    "init_functions",
    "early_cpio",
];

impl Contents {
    /// Nothing yet, to be told every name.
    pub(super) fn listing() -> Self {
        Self {
            listing: Some(Listing::default()),
            ..Self::default()
        }
    }

    /// Walks through the image on `disk`, which comes behind what is there already. What could be read before damage is
    /// there all the same.
    pub(super) fn read(&mut self, disk: &dyn BlockRead, meter: &mut Meter) -> Result<()> {
        let mut segments = Vec::new();
        let outcome = walk(disk, meter, &mut segments, &mut |_, entry, content, meter| {
            self.take(entry, content, meter)
        });
        self.segments = segments;
        outcome
    }

    fn take(&mut self, entry: &Entry, content: &mut dyn Content, meter: &mut Meter) -> Result<()> {
        let path = entry.path();
        if let Ok(name) = std::str::from_utf8(path) {
            self.name(name);
        }
        let mut target = None;
        if entry.is_link() {
            let matters = wanted(path).is_some() || path == b"sbin/init" || path == b"usr/sbin/init";
            if matters || self.listing.is_some() {
                target = Some(content.read(4096, meter)?);
            }
            if let Some(target) = target.clone().filter(|_| matters && self.links.len() < NAMES) {
                self.links.insert(path.to_vec(), target);
            }
        }
        let place = match &mut self.listing {
            Some(listing) => {
                let mode = entry.mode;
                let Some(place) = listing.add(path, Node { mode, target }) else {
                    return Ok(());
                };
                place
            }
            None => path.to_vec(),
        };
        if entry.is_link() {
            self.files.remove(&place);
        }
        if entry.is_dir() || entry.is_link() || self.files.len() > NAMES {
            return Ok(());
        }
        let mut most = wanted(&place);
        if self.listing.is_some() {
            most = most.or_else(|| wanted_to_add(&place));
        }
        // Of several names of one file, the last one brings the content.
        let Some(most) = most.filter(|_| entry.size > 0 || entry.nlink < 2) else {
            return Ok(());
        };
        // A file that is read in part would be read wrong; the head of a program says what it is.
        let program = place == b"init" || place == b"linuxrc";
        self.skipped.remove(&place);
        if entry.size > most || self.kept.saturating_add(entry.size.min(most)) > ALL {
            if self.skipped.len() < NAMES {
                self.skipped.insert(place.clone());
            }
            if !program || self.kept.saturating_add(most) > ALL {
                self.files.remove(&place);
                return Ok(());
            }
        }
        let bytes = content.read(most, meter)?;
        self.kept = self.kept.saturating_add(crate::bytes::wide(bytes.len()));
        self.files.insert(place, bytes);
        Ok(())
    }

    /// Learns from a name alone.
    fn name(&mut self, path: &str) {
        let plain = path.strip_prefix("usr/").unwrap_or(path);
        if let Some(module) = module_name(path) {
            if let Some(release) = plain
                .strip_prefix("lib/modules/")
                .and_then(|p| p.split('/').next())
                && self.releases.len() < 64
            {
                self.releases.insert(release.to_owned());
            }
            if self.modules.len() < NAMES {
                self.modules.insert(module, path.to_owned());
            }
            return;
        }
        const MARKS: [&str; 12] = [
            "lib/dracut",
            "scripts/functions",
            "conf/initramfs.conf",
            "sbin/nlplug-findfs",
            "etc/booster.init.yaml",
            "etc/initrd.defaults",
            "bin/dracut-initqueue",
            "squashfs-root.img",
            "erofs-root.img",
            "hooks",
            "init_functions",
            "etc/mkinitfs",
        ];
        let mark = MARKS.iter().any(|mark| {
            plain
                .strip_prefix(mark)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        });
        // Each waits for one device.
        let waits = plain.contains("initqueue/finished/devexists-")
            || (plain.contains("systemd/system/") && plain.contains(".device"));
        if (mark || waits) && self.marks.len() < 4096 {
            self.marks.insert(plain.to_owned());
        }
    }

    /// The small file at `path`, with or without `usr/` in front.
    pub(super) fn file(&self, path: &str) -> Option<Text> {
        let merged = format!("usr/{path}");
        let found = [path, merged.as_str()].into_iter().find_map(|p| {
            let bytes = self.files.get(p.as_bytes())?;
            Some((p.to_owned(), bytes))
        });
        found.map(|(path, bytes)| Text::new(path.as_bytes(), bytes))
    }

    /// The small files whose path begins with `start`, with or without `usr/` in front.
    pub(super) fn files_in(&self, start: &str) -> impl Iterator<Item = Text> {
        let start = start.to_owned();
        self.files.iter().filter_map(move |(path, bytes)| {
            let plain = path.strip_prefix(b"usr/").unwrap_or(path);
            plain
                .starts_with(start.as_bytes())
                .then(|| Text::new(path, bytes))
        })
    }

    /// Modules that no index names, so that nothing loads them by itself; and which indexes there are.
    pub(super) fn unindexed(&self, failed: &mut dyn FnMut(&str, &Error)) -> (Vec<String>, Vec<String>) {
        let mut named: BTreeSet<String> = BTreeSet::new();
        let mut indexes = Vec::new();
        for (path, bytes) in &self.files {
            if path.ends_with(b"/modules.dep") {
                indexes.push(shown(path));
                named.extend(dependencies(&Text::new(path, bytes)).into_keys());
            } else if path.ends_with(b"/modules.dep.bin") && !bytes.is_empty() {
                match Index::open(bytes.clone()) {
                    Ok(index) => {
                        indexes.push(shown(path));
                        let missing = self.modules.keys().filter(|m| !named.contains(*m));
                        let found: Vec<String> = missing
                            .filter(|m| index.get(m).is_ok_and(|v| !v.is_empty()))
                            .cloned()
                            .collect();
                        named.extend(found);
                    }
                    Err(e) => failed(&shown(path), &e),
                }
            }
        }
        let mut missing: Vec<String> = self.modules.keys().cloned().collect();
        if !indexes.is_empty() {
            missing.retain(|m| !named.contains(m));
        }
        (missing, indexes)
    }
}

/// How much more is kept of an image that is to be added to: whole indexes, and what waits for devices.
fn wanted_to_add(path: &[u8]) -> Option<u64> {
    let path = std::str::from_utf8(path).ok()?;
    let plain = path.strip_prefix("usr/").unwrap_or(path);
    if plain.starts_with("lib/modules/") {
        let index = ["/modules.alias", "/modules.alias.bin", "/modules.softdep"];
        return index.iter().any(|i| plain.ends_with(i)).then_some(INDEX);
    }
    let waits = plain.contains("/hooks/initqueue/finished/devexists-");
    let more = ["lib/dracut/modules.txt", "etc/systemd/system/"];
    (waits || more.iter().any(|start| plain.starts_with(start))).then_some(SMALL)
}

/// How much of a file is kept, if it is.
fn wanted(path: &[u8]) -> Option<u64> {
    let path = std::str::from_utf8(path).ok()?;
    let plain = path.strip_prefix("usr/").unwrap_or(path);
    if plain.starts_with("lib/modules/") {
        let file = plain.rsplit('/').next()?;
        let index = [
            "modules.dep",
            "modules.dep.bin",
            "modules.builtin",
            "modules.alias",
            "modules.alias.bin",
        ];
        return match file {
            // Only whether they are there matters.
            "modules.alias" | "modules.alias.bin" => None,
            _ => index.contains(&file).then_some(INDEX),
        };
    }
    let kept = KEPT.iter().any(|start| plain.starts_with(start)) || ROOT.contains(&plain);
    kept.then_some(SMALL)
}
