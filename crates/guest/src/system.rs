//! The operating systems of a guest.

use crate::device::Device;
use crate::guest::{Guest, trimmed};
use crate::open::Subvolume;
use crate::probe;
use crate::wish::{mountable, split_mountable};
use h2k_block::{Class, Error, Result};
use h2k_fs::FsRead;
use std::fmt;

/// Which kind of operating system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SystemKind {
    /// FreeDOS and other DOS.
    Dos,
    /// FreeBSD.
    FreeBsd,
    /// GNU/Hurd.
    Hurd,
    /// Linux, of any distribution.
    Linux,
    /// MINIX 3.
    Minix,
    /// NetBSD.
    NetBsd,
    /// OpenBSD.
    OpenBsd,
    /// Windows, from NT on.
    Windows,
}

impl SystemKind {
    /// One word in lower case, as libguestfs spells it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Dos => "dos",
            Self::FreeBsd => "freebsd",
            Self::Hurd => "hurd",
            Self::Linux => "linux",
            Self::Minix => "minix",
            Self::NetBsd => "netbsd",
            Self::OpenBsd => "openbsd",
            Self::Windows => "windows",
        }
    }
}

/// An operating system, by the filesystem that is its root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct System {
    /// The device its root lies on.
    pub device: String,
    /// The subvolume that is its root, if not what is shown without options.
    pub subvolume: Option<Vec<u8>>,
    /// The directory that is its root, where the filesystem's own root is not: a deployment of OSTree,
    /// `ostree/deploy/fedora/deploy/HASH.0`.
    pub deployment: Option<Vec<u8>>,
    /// What it is.
    pub kind: SystemKind,
    /// What it calls itself, where that is known: `Debian GNU/Linux 12 (bookworm)`.
    pub name: Option<String>,
}

impl System {
    fn of(device: String, subvolume: Option<Vec<u8>>, found: probe::Found) -> Self {
        Self {
            device,
            subvolume,
            deployment: found.deployment,
            kind: found.kind,
            name: found.name,
        }
    }

    /// Its root as guestfish spells it: `/dev/sda2`, `btrfsvol:/dev/sda2/root`.
    #[must_use]
    pub fn source(&self) -> String {
        mountable(&self.device, self.subvolume.as_deref())
    }
}

impl fmt::Display for System {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name.as_deref().unwrap_or(self.kind.word());
        write!(f, "{} ({name})", self.source())
    }
}

/// The systems of a guest, and what could not be looked into.
#[derive(Debug, Default)]
pub struct Systems {
    /// In the order of their devices.
    pub found: Vec<System>,
    /// Devices that should hold files but cannot be read, and why.
    pub unread: Vec<(String, Error)>,
}

impl Guest {
    /// Looks for the root of an operating system on every filesystem. A snapshot is none, be it of LVM or btrfs, except
    /// when btrfs shows it by default; neither is what lies inside another system, such as the root of a container.
    #[must_use]
    pub fn systems(&self) -> Systems {
        let mut systems = Systems::default();
        let mut seen: Vec<&str> = Vec::new();
        for device in self.devices() {
            if device.locked {
                systems.unread.push((device.name.clone(), locked(device)));
                continue;
            }
            if !device.holds_files || device.kind.is_none() || device.snapshot {
                continue;
            }
            // The second device of a filesystem that lies on several shows nothing new.
            if device.kind == Some("btrfs")
                && let Some(uuid) = device.uuid.as_deref()
            {
                if seen.contains(&uuid) {
                    continue;
                }
                seen.push(uuid);
            }
            match self.systems_on(device) {
                Ok(found) => systems.found.extend(found),
                Err(e) => systems.unread.push((device.name.clone(), e)),
            }
        }
        systems
    }

    fn systems_on(&self, device: &Device) -> Result<Vec<System>> {
        let opened = self.open(device)?;
        let look = |fs: &dyn FsRead, subvolume: Option<Vec<u8>>| -> Result<Option<System>> {
            let found = probe::look(fs).map_err(|e| e.through(device.name.clone()))?;
            Ok(found.map(|found| System::of(device.name.clone(), subvolume, found)))
        };
        let Some(subvolumes) = &opened.subvolumes else {
            return Ok(look(&*opened.fs, None)?.into_iter().collect());
        };
        let all = subvolumes.list().map_err(|e| e.through(device.name.clone()))?;
        // What the administrator made the default is the system, where it is one; else every subvolume may be.
        let default = all.iter().find(|s| s.default);
        if let Some(system) = look(
            &*opened.fs,
            default.map(|s| s.path.clone()).filter(|p| !p.is_empty()),
        )? {
            return Ok(vec![system]);
        }
        let on = |chosen: Vec<&Subvolume>| -> Result<Vec<System>> {
            let mut found: Vec<System> = Vec::new();
            for subvolume in chosen {
                if found
                    .iter()
                    .any(|s| lies_in(&subvolume.path, s.subvolume.as_deref()))
                {
                    continue;
                }
                let fs = subvolumes
                    .open(subvolume.id)
                    .map_err(|e| e.through(device.name.clone()))?;
                found.extend(look(&*fs, Some(subvolume.path.clone()))?);
            }
            Ok(found)
        };
        let mut originals: Vec<&Subvolume> = all.iter().filter(|s| !s.snapshot).collect();
        originals.sort_by(|a, b| a.path.cmp(&b.path));
        let found = on(originals)?;
        if !found.is_empty() {
            return Ok(found);
        }
        // A system that was rolled back runs on a snapshot, which is then where the system was: high up.
        let writable = || all.iter().filter(|s| s.snapshot && !s.read_only);
        let depth = |s: &Subvolume| h2k_fs::parts(&s.path).count();
        let top = writable().map(depth).min();
        on(writable().filter(|s| Some(depth(s)) == top).collect())
    }

    /// The system whose root is `source`: a device, or `btrfsvol:/dev/sda2/root`. It need not be one that
    /// [`systems`](Self::systems) finds; a filesystem without a system has its root all the same.
    ///
    /// # Errors
    /// [`Class::NotFound`] when there is no such device or subvolume; [`Class::Invalid`] when no system has its
    /// root there.
    pub fn system_at(&self, source: &str) -> Result<System> {
        let (device, subvolume) = if source.starts_with("btrfsvol:") {
            let (device, path) = split_mountable(source, self)?;
            (device, Some(path))
        } else {
            (self.device(source)?.name.clone(), None)
        };
        let wanted = subvolume.as_deref().map(trimmed);
        let same = |s: &System| s.device == device && (wanted.is_none() || s.subvolume.as_deref() == wanted);
        let holder = self.device(&device)?;
        let mut found = self.systems_on(holder)?.into_iter().filter(same);
        if let (Some(system), None) = (found.next(), found.next()) {
            return Ok(system);
        }
        let fs = self.open_subvolume(holder, subvolume.as_deref())?;
        let found = probe::look(&*fs)?.ok_or_else(|| {
            Error::new(
                Class::Invalid,
                format!("no operating system has its root on {source}"),
            )
            .advise(format!("to look into the filesystem alone: --mount {source}:/"))
        })?;
        Ok(System::of(device, subvolume, found))
    }
}

/// Whether a subvolume lies inside another one.
fn lies_in(path: &[u8], outer: Option<&[u8]>) -> bool {
    let rest = outer.and_then(|outer| path.strip_prefix(outer));
    rest.is_some_and(|rest| rest.starts_with(b"/"))
}

fn locked(device: &Device) -> Error {
    Error::new(Class::Refused, "it is encrypted, and no key was given").advise(format!(
        "give its passphrase: --key {}:file:PATH (or :env:VARIABLE, :fd:NUMBER)",
        device.name
    ))
}
