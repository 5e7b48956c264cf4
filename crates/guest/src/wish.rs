//! What the user wants mounted where, in guestfish's way.

use crate::guest::Guest;
use crate::tree::Tree;
use h2k_block::{Class, Error, Result};
use h2k_fs::parts;

/// One `--mount DEVICE[:POINT[:OPTIONS]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// The device.
    pub device: String,
    /// The subvolume, if not what is shown without options.
    pub subvolume: Option<Vec<u8>>,
    /// Where.
    pub point: Vec<u8>,
}

const PREFIX: &str = "btrfsvol:";

fn invalid(what: impl Into<String>) -> Error {
    Error::new(Class::Invalid, what)
}

impl Wish {
    /// Reads `DEVICE[:POINT[:OPTIONS]]`; the device may be `btrfsvol:/dev/sda2/root`, as guestfish prints it.
    ///
    /// # Errors
    /// [`Class::Invalid`] for options other than `ro`, `subvol=` and `subvolid=`, and for what is no device.
    pub fn parse(text: &str, guest: &Guest) -> Result<Self> {
        let (rest, is_subvolume) = match text.strip_prefix(PREFIX) {
            Some(rest) => (rest, true),
            None => (text, false),
        };
        let mut fields = rest.splitn(3, ':');
        let named = fields.next().unwrap_or_default();
        let point = fields.next().filter(|p| !p.is_empty()).unwrap_or("/");
        let options = fields.next().unwrap_or_default();
        if !point.starts_with('/') {
            return Err(
                invalid(format!("{point:?} is no mount point: it has to begin with /"))
                    .advise("say it in guestfish's order: --mount /dev/sda2:/home"),
            );
        }
        let (device, mut subvolume) = if is_subvolume {
            let (device, path) = split_mountable(named, guest)?;
            (device, Some(path))
        } else {
            (guest.device(named)?.name.clone(), None)
        };
        for option in options.split(',').filter(|o| !o.is_empty()) {
            match option.split_once('=') {
                None if matches!(option, "ro" | "defaults") => {}
                Some(("subvol", path)) => {
                    subvolume = Some(crate::guest::trimmed(path.as_bytes()).to_vec());
                }
                Some(("subvolid", id)) => {
                    let id = id.parse();
                    let id = id.map_err(|_| invalid(format!("{option} does not name a number")))?;
                    subvolume = Some(guest.subvolume_path(guest.device(&device)?, id)?);
                }
                _ => {
                    return Err(
                        invalid(format!("{option:?} is not a mount option that is known here"))
                            .advise("known are: ro subvol=PATH subvolid=NUMBER"),
                    );
                }
            }
        }
        Ok(Self {
            device,
            subvolume,
            point: point.as_bytes().to_vec(),
        })
    }

    /// What is to be mounted, as guestfish spells it.
    #[must_use]
    pub fn source(&self) -> String {
        mountable(&self.device, self.subvolume.as_deref())
    }
}

/// `/dev/sda2`, or `btrfsvol:/dev/sda2/root`.
pub(crate) fn mountable(device: &str, subvolume: Option<&[u8]>) -> String {
    match subvolume {
        Some(path) => format!("{PREFIX}{device}/{}", String::from_utf8_lossy(path)),
        None => device.to_owned(),
    }
}

/// Takes `/dev/sda2/root` apart: the longest beginning that is a device, and the subvolume.
pub(crate) fn split_mountable(text: &str, guest: &Guest) -> Result<(String, Vec<u8>)> {
    let text = text.strip_prefix(PREFIX).unwrap_or(text);
    for (at, _) in text.rmatch_indices('/') {
        let (device, path) = text.split_at_checked(at).unwrap_or((text, ""));
        if let Ok(device) = guest.device(device) {
            return Ok((
                device.name.clone(),
                crate::guest::trimmed(path.as_bytes()).to_vec(),
            ));
        }
    }
    guest.device(text)?;
    Err(invalid(format!("{text} names no subvolume")).advise("btrfsvol:/dev/sda2/PATH"))
}

impl Guest {
    /// Puts together what the user says: the shortest mount points first, whatever the order given.
    ///
    /// # Errors
    /// [`Class::Invalid`] when nothing is mounted at `/`; else as [`Guest::open_subvolume`] and [`Tree::mount`].
    pub fn mount(&self, wishes: &[Wish]) -> Result<Tree> {
        let mut ordered: Vec<&Wish> = wishes.iter().collect();
        // A stable sort: of two on one mount point, the later one hides the earlier.
        ordered.sort_by_key(|w| parts(&w.point).count());
        let mut meter = self.meter();
        let mut tree: Option<Tree> = None;
        for wish in ordered {
            let fs = self.open_subvolume(self.device(&wish.device)?, wish.subvolume.as_deref())?;
            tree = Some(match tree {
                None if parts(&wish.point).next().is_none() => Tree::new(wish.source(), fs),
                None => break,
                Some(mut tree) => {
                    let mounted = tree.mount(&wish.point, wish.source(), fs, &mut meter);
                    mounted.map_err(|e| e.through(format!("mounting {}", wish.source())))?;
                    tree
                }
            });
        }
        tree.ok_or_else(|| {
            invalid("nothing is mounted at /, so there is no root to look in")
                .advise("mount one there: --mount DEVICE:/")
        })
    }
}
