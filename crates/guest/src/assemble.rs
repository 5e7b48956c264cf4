//! A system's filesystems, put together as its fstab says.

use crate::device::Device;
use crate::fstab::{FstabLine, fstab};
use crate::guest::Guest;
use crate::roles;
use crate::spec::{self, Crypttab};
use crate::system::{System, SystemKind, Systems};
use crate::tree::Tree;
use crate::wish::mountable;
use h2k_block::{Class, Error, Meter, Result};
use h2k_fs::parts;

/// A line of an fstab that mounts nothing in the tree.
#[derive(Debug)]
pub struct LeftOut {
    /// What: `UUID=…`, `/dev/sdb1`.
    pub spec: Vec<u8>,
    /// Where it would be mounted.
    pub point: Vec<u8>,
    /// What `spec` means, as guestfish spells it, where that is known.
    pub device: Option<String>,
    /// Why it is not.
    pub why: Error,
    /// Whether that is as it should be: swap, a network, what the kernel makes up. Otherwise files are missing.
    pub expected: bool,
}

/// A tree, and how it came about.
#[derive(Debug)]
pub struct Assembled {
    /// The files.
    pub tree: Tree,
    /// The system whose root it is; `None` for a disk without one.
    pub system: Option<System>,
    /// What its fstab names and is not in the tree.
    pub left_out: Vec<LeftOut>,
    /// Where something is mounted that its fstab does not name, and what says so.
    pub unlisted: Vec<(Vec<u8>, String)>,
}

/// Filesystems that are not on any disk.
const MADE_UP: [&str; 20] = [
    "autofs",
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "debugfs",
    "devpts",
    "devtmpfs",
    "efivarfs",
    "hugetlbfs",
    "mqueue",
    "none",
    "overlay",
    "proc",
    "pstore",
    "ramfs",
    "securityfs",
    "sysfs",
    "tmpfs",
];

/// Filesystems of other machines.
const REMOTE: [&str; 12] = [
    "9p",
    "afs",
    "ceph",
    "cifs",
    "fuse.sshfs",
    "gfs2",
    "glusterfs",
    "nfs",
    "nfs4",
    "ocfs2",
    "smb3",
    "virtiofs",
];

impl Guest {
    /// The one tree this guest has: its only system put together, or, where there is no system, its only filesystem.
    ///
    /// # Errors
    /// [`Class::NotFound`] when there is nothing to look into, [`Class::Invalid`] when there are several answers; both
    /// name the choices. A device that needs a key comes first: what is on it decides.
    pub fn root(&self) -> Result<Assembled> {
        let systems = self.systems();
        match systems.found.as_slice() {
            [only] => self.assemble(only),
            [] => self.without_system(systems),
            several => {
                let names: Vec<String> = several.iter().map(ToString::to_string).collect();
                let first = several.first().map(System::source).unwrap_or_default();
                Err(Error::new(
                    Class::Invalid,
                    format!(
                        "there are {} operating systems here: {}",
                        several.len(),
                        names.join(", ")
                    ),
                )
                .advise(format!("choose one: --root {first}")))
            }
        }
    }

    /// A data disk, a filesystem on a bare disk, an installation medium: the only filesystem there is.
    fn without_system(&self, systems: Systems) -> Result<Assembled> {
        let mut unread = systems.unread;
        if let Some(at) = unread.iter().position(|(_, e)| e.class() == Class::Refused) {
            let (device, why) = unread.swap_remove(at);
            let advice = why.advice().unwrap_or_default().to_owned();
            return Err(Error::new(
                Class::Refused,
                format!("no operating system was found, and {device} is encrypted"),
            )
            .advise(advice));
        }
        let mut all: Vec<&Device> = Vec::new();
        for device in self.filesystems().filter(|d| !d.snapshot) {
            // One filesystem may lie on several devices.
            let again =
                |d: &&Device| d.kind == Some("btrfs") && d.kind == device.kind && d.uuid == device.uuid;
            if !all.iter().any(again) {
                all.push(device);
            }
        }
        // An installation medium is an ISO image that shows parts of itself as partitions, too.
        let bare: Vec<&Device> = all.iter().copied().filter(|d| d.whole_disk).collect();
        let disks = self.devices().iter().filter(|d| d.whole_disk).count();
        let device = match (all.as_slice(), bare.as_slice()) {
            ([only], _) => only,
            (_, [only]) if disks == 1 => only,
            ([], _) => return Err(nothing(self)),
            (several, _) => return Err(choose(several)),
        };
        let opened = self.open(device)?;
        Ok(Assembled {
            tree: Tree::new(device.name.clone(), opened.fs),
            system: None,
            left_out: Vec::new(),
            unlisted: Vec::new(),
        })
    }

    /// Puts a system's filesystems together. What cannot be mounted is listed with the reason; only a root that cannot
    /// be opened ends the attempt.
    ///
    /// # Errors
    /// As [`Guest::open_subvolume`].
    pub fn assemble(&self, system: &System) -> Result<Assembled> {
        let root = self.device(&system.device)?;
        let fs = self.open_subvolume(root, system.subvolume.as_deref())?;
        let tree = match &system.deployment {
            Some(path) => roles::deployed(system, fs, path, &mut self.meter())?,
            None => Tree::new(system.source(), fs),
        };
        // What a deployment shows besides itself was mounted with it.
        let shown = tree
            .mounts()
            .iter()
            .skip(1)
            .map(|m| (m.point.clone(), "the deployment of OSTree".to_owned()));
        let mut assembled = Assembled {
            unlisted: shown.collect(),
            tree,
            system: Some(system.clone()),
            left_out: Vec::new(),
        };
        if matches!(system.kind, SystemKind::Windows | SystemKind::Dos) {
            return Ok(assembled);
        }
        let mut meter = self.meter();
        let mut read = |path: &str| -> Result<Vec<u8>> {
            match assembled.tree.lookup(path.as_bytes(), true, &mut meter)? {
                Some(file) => assembled.tree.read_file(file, &mut meter),
                None => Ok(Vec::new()),
            }
        };
        let lines = match read("/etc/fstab") {
            Ok(text) => fstab(&text),
            Err(why) => {
                assembled.left_out.push(LeftOut {
                    spec: b"/etc/fstab".to_vec(),
                    point: Vec::new(),
                    device: None,
                    why,
                    expected: false,
                });
                return Ok(assembled);
            }
        };
        // Without it, names of encrypted devices are not known, and the lines that use them say so.
        let crypttab = Crypttab::read(&read("/etc/crypttab").unwrap_or_default());
        let mut meter = self.meter();
        for line in ordered(lines) {
            let mut device = None;
            let added = self.add(&line, &crypttab, &mut assembled.tree, &mut device, &mut meter);
            if let Err((why, expected)) = added {
                assembled.left_out.push(LeftOut {
                    spec: line.spec,
                    point: line.point,
                    device,
                    why,
                    expected,
                });
            }
        }
        if system.kind == SystemKind::Linux {
            self.add_by_role(system, &mut assembled, &mut self.meter());
        }
        Ok(assembled)
    }

    /// Mounts what one line says; or says why not, and whether that is as it should be. `known` becomes what its first
    /// field means, once that is clear.
    fn add(
        &self,
        line: &FstabLine,
        crypttab: &Crypttab,
        tree: &mut Tree,
        known: &mut Option<String>,
        meter: &mut Meter,
    ) -> std::result::Result<(), (Error, bool)> {
        let optional = line.has("nofail") || line.has("noauto");
        let wrong = |e: Error| {
            let absent = e.class() == Class::NotFound;
            (e, optional && absent)
        };
        if parts(&line.point).next().is_none() {
            return Ok(()); // The root is there.
        }
        if line.has("bind") || line.has("rbind") {
            return tree.bind(&line.spec, &line.point, meter).map_err(wrong);
        }
        if let Some(why) = expected(line) {
            return Err((Error::new(Class::Unsupported, why), true));
        }
        let device = spec::resolve(self, &line.spec, crypttab).map_err(wrong)?;
        *known = Some(device.name.clone());
        if device.kind == Some("swap") {
            return Err((Error::new(Class::Unsupported, "swap space holds no files"), true));
        }
        if tree.mounts().iter().any(|m| same_path(&m.point, &line.point)) {
            let error = Error::new(Class::Exists, "an earlier line mounts something there");
            return Err((error, line.has("noauto")));
        }
        let subvolume = match (line.option("subvol"), line.option("subvolid")) {
            (Some(path), _) => Some(crate::guest::trimmed(path).to_vec()),
            (None, Some(id)) => {
                let id = std::str::from_utf8(id).ok().and_then(|id| id.parse().ok());
                let id = id.ok_or_else(|| {
                    (
                        Error::new(Class::Invalid, "subvolid= does not name a number"),
                        false,
                    )
                })?;
                // 0 has always meant the top level.
                let id = if id == 0 { 5 } else { id };
                Some(self.subvolume_path(device, id).map_err(wrong)?)
            }
            (None, None) => None,
        };
        // Other filesystems ignore subvol=; so do we.
        let has_subvolumes = device.kind == Some("btrfs") || subvolume.is_none();
        let subvolume = subvolume.filter(|_| has_subvolumes);
        let source = mountable(&device.name, subvolume.as_deref());
        *known = Some(source.clone());
        let fs = self.open_subvolume(device, subvolume.as_deref()).map_err(wrong)?;
        tree.mount(&line.point, source, fs, meter).map_err(wrong)
    }
}

/// Why a line mounts nothing from these disks, where that is as it should be.
fn expected(line: &FstabLine) -> Option<String> {
    let kind = String::from_utf8_lossy(&line.kind).into_owned();
    if kind == "swap" || line.point.first() != Some(&b'/') {
        return Some("swap space holds no files".to_owned());
    }
    let network = REMOTE.contains(&kind.as_str()) || line.has("_netdev") && !line.spec.starts_with(b"/dev/");
    if network {
        return Some(format!("{kind}: the files are on another machine"));
    }
    if MADE_UP.contains(&kind.as_str()) {
        return Some(format!("{kind}: the kernel makes these files up"));
    }
    let removable = [
        &b"/dev/cdrom"[..],
        b"/dev/fd",
        b"/dev/floppy",
        b"/dev/sr",
        b"/dev/dvd",
    ];
    if line.has("noauto") && removable.iter().any(|r| line.spec.starts_with(r)) {
        return Some("a drive for removable media".to_owned());
    }
    None
}

/// Outer mount points first, so that none hides what it lies on; the order of the file otherwise. Binds come after what
/// they may show.
fn ordered(mut lines: Vec<FstabLine>) -> Vec<FstabLine> {
    lines.sort_by_key(|line| (line.has("bind") || line.has("rbind"), parts(&line.point).count()));
    lines
}

fn same_path(a: &[u8], b: &[u8]) -> bool {
    parts(a).eq(parts(b))
}

fn nothing(guest: &Guest) -> Error {
    let kinds: Vec<String> = guest
        .devices()
        .iter()
        .filter_map(|d| d.kind.map(|kind| format!("{} ({kind})", d.name)))
        .collect();
    let error = Error::new(Class::NotFound, "there is no filesystem on these disks");
    if kinds.is_empty() {
        return error.advise("partitions shows what is there");
    }
    error.advise(format!("recognised are: {}", kinds.join(", ")))
}

fn choose(several: &[&Device]) -> Error {
    let names: Vec<String> = several
        .iter()
        .map(|d| format!("{} ({})", d.name, d.kind.unwrap_or("unknown")))
        .collect();
    let first = several.first().map_or("", |d| d.name.as_str());
    Error::new(
        Class::NotFound,
        format!(
            "no operating system was found on the filesystems: {}",
            names.join(", ")
        ),
    )
    .advise(format!("say what to look into: --mount {first}:/"))
}
