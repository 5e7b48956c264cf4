//! Which guest, which files: what all commands that look into guests have in common.

use super::source::SourceArgs;
use super::{Context, Outcome, exit};
use crate::term::{List, Screen, shown, shown_bytes};
use h2k_block::{Class, Error, Meter};
use h2k_convert::{Failure, GuestSource, Key, LeftOutReport, OpenGuest, text};
use h2k_guest::{Assembled, Place, Tree};
use std::cell::RefCell;
use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// Shown in the help of the commands that read files.
pub(super) const PATHS: &str = "\
Paths:
  DISK:/PATH names a file in the guest on that disk. Where the disk holds one operating system, its filesystems
  are put together as its /etc/fstab says; where it holds none and one filesystem, that is the root. Otherwise
  say --root or --mount. With -a, paths are given without a disk: -a one.img -a two.img /PATH.
  Symbolic links are followed inside the guest, and never lead out of it.";

/// Which guest.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = "Guest")]
pub(super) struct GuestArgs {
    /// Look at this disk; repeat it for a guest with several, in their order
    ///
    /// The first disk is /dev/sda, the next one /dev/sdb. Paths are then given without a disk in front.
    #[arg(short = 'a', long = "add", value_name = "DISK")]
    add: Vec<PathBuf>,
    /// Mount this device there instead of finding out; may be repeated
    ///
    /// In guestfish's order: /dev/sda2:/ or /dev/VG/LV:/home or /dev/sda2:/:subvol=root. Without a mount point it is
    /// the root.
    #[arg(short, long, value_name = "DEVICE[:POINT[:OPTIONS]]", conflicts_with = "root")]
    mount: Vec<String>,
    /// Look into the system with its root on this device, where there are several
    #[arg(long, value_name = "DEVICE")]
    root: Option<String>,
    /// Where the passphrase or key of an encrypted device is; may be repeated
    ///
    /// DEVICE is a name such as /dev/sda2, the UUID of a LUKS header, or all. The key itself is never part of the
    /// command line, where every user could see it: it comes from a file, an environment variable or an open file
    /// descriptor.
    #[arg(long, value_name = "DEVICE:file:PATH|env:NAME|fd:N", value_parser = clap::builder::OsStringValueParser::new())]
    key: Vec<OsString>,
    #[command(flatten)]
    source: SourceArgs,
}

/// A guest of which no paths are asked.
#[derive(clap::Args, Debug)]
pub(super) struct DiskArgs {
    /// The disks of one guest, in their order
    #[arg(value_name = "DISK", required_unless_present = "add")]
    disks: Vec<PathBuf>,
    #[command(flatten)]
    guest: GuestArgs,
}

impl DiskArgs {
    pub(super) fn open(&self) -> Result<OpenGuest, Failure> {
        self.guest.open_disks(&self.disks)
    }

    /// The guest's files, put together. What is odd is told as notes.
    pub(super) fn assembled(&self, screen: &Screen) -> Result<Assembled, Failure> {
        let guest = self.open()?;
        let assembled = guest.tree()?;
        note(screen, &warnings(&guest, &assembled));
        Ok(assembled)
    }
}

/// Paths in a guest, none of them empty, each beginning with a slash.
pub(super) type Paths = Vec<Vec<u8>>;

impl GuestArgs {
    /// Opens the guest that `args` (or `-a`) name. Answers with the paths in them; `/` where there are none.
    fn open(&self, args: &[OsString]) -> Result<(OpenGuest, Paths), Failure> {
        let (disks, mut paths) = self.split(args)?;
        if paths.is_empty() {
            paths.push(b"/".to_vec());
        }
        Ok((self.open_all(disks)?, paths))
    }

    /// Opens the guest and puts its files together. What is odd is told as notes.
    pub(super) fn files<'a>(&self, args: &[OsString], screen: &'a Screen) -> Result<GuestFiles<'a>, Failure> {
        let (guest, paths) = self.open(args)?;
        let assembled = guest.tree()?;
        let warnings = warnings(&guest, &assembled);
        note(screen, &warnings);
        Ok(GuestFiles {
            guest,
            tree: assembled.tree,
            paths,
            warnings: warnings.into(),
            troubles: Troubles::new(screen),
        })
    }

    /// The disks alone, for commands that take no paths.
    pub(super) fn open_disks(&self, disks: &[PathBuf]) -> Result<OpenGuest, Failure> {
        self.open_all(self.add.iter().chain(disks).cloned())
    }

    /// What the user said of the guest on `disks`.
    pub(super) fn source_of(&self, disks: &[PathBuf]) -> Result<GuestSource, Failure> {
        self.said(self.add.iter().chain(disks).cloned())
    }

    fn open_all(&self, disks: impl IntoIterator<Item = PathBuf>) -> Result<OpenGuest, Failure> {
        self.said(disks)?.open()
    }

    fn said(&self, disks: impl IntoIterator<Item = PathBuf>) -> Result<GuestSource, Failure> {
        let disks = disks.into_iter().map(|d| self.source.source(d, None)).collect();
        let keys: Result<Vec<Key>, Failure> = self.key.iter().map(|k| key(k)).collect();
        Ok(GuestSource {
            disks,
            keys: keys?,
            mounts: self.mount.clone(),
            root: self.root.clone(),
            ..GuestSource::default()
        })
    }

    /// Whether `-a` names a guest.
    pub(super) fn is_named(&self) -> bool {
        !self.add.is_empty()
    }

    /// How files are opened.
    pub(super) fn sharing(&self) -> h2k_convert::Sharing {
        self.source.access.source(PathBuf::new()).sharing
    }

    fn split(&self, args: &[OsString]) -> Result<(Vec<PathBuf>, Paths), Failure> {
        for disk in &self.add {
            let path = disk.as_os_str().as_bytes().windows(2).any(|w| w == b":/");
            if path && disk.symlink_metadata().is_err() {
                let shown = disk.display();
                return Err(
                    Failure::invalid(format!("-a names a disk, and {shown} is a path on one"))
                        .advise("name the path without -a; ls shows names that begin with a dot with -A"),
                );
            }
        }
        let mut disks = self.add.clone();
        let mut paths = Vec::new();
        for arg in args {
            let bytes = arg.as_bytes();
            let path = match (bytes.strip_prefix(b":"), disks.first()) {
                (Some(path), Some(_)) => path,
                (Some(_), None) => {
                    return Err(
                        Failure::invalid(format!("no disk is named before {}", arg.display()))
                            .advise("write DISK:/PATH, or name the disks with -a"),
                    );
                }
                (None, Some(_)) if !self.add.is_empty() => bytes,
                (None, known) => {
                    let (disk, path) = named(arg);
                    match known {
                        Some(first) if *first != disk => {
                            return Err(another(first, &disk));
                        }
                        Some(_) => {}
                        None => disks.push(disk),
                    }
                    path
                }
            };
            let mut full = Vec::with_capacity(path.len().saturating_add(1));
            if path.first() != Some(&b'/') {
                full.push(b'/');
            }
            full.extend_from_slice(path);
            paths.push(full);
        }
        Ok((disks, paths))
    }
}

fn another(first: &Path, second: &Path) -> Failure {
    let (first, second) = (first.display(), second.display());
    Failure::invalid(format!(
        "{first} and {second} are two guests, and one is looked into at a time"
    ))
    .advise(format!(
        "run it once for each; disks of one guest are named -a {first} -a {second}"
    ))
}

/// Takes `DISK:/PATH` apart. A file that is there is a disk, colons in its name or not.
pub(super) fn named(arg: &OsStr) -> (PathBuf, &[u8]) {
    let bytes = arg.as_bytes();
    let there = |name: &[u8]| Path::new(OsStr::from_bytes(name)).symlink_metadata().is_ok();
    if there(bytes) {
        return (PathBuf::from(arg), b"");
    }
    let colons = || {
        bytes
            .iter()
            .enumerate()
            .filter(|(_, b)| **b == b':')
            .map(|(i, _)| i)
    };
    let cut = colons().find(|at| bytes.get(..*at).is_some_and(there));
    // Nothing of that name: the error is to name what was most likely meant.
    let cut = cut
        .or_else(|| bytes.windows(2).position(|w| w == b":/"))
        .or_else(|| colons().next());
    let (disk, path) = bytes.split_at(cut.unwrap_or(bytes.len()));
    let disk = PathBuf::from(OsString::from_vec(disk.to_vec()));
    (disk, path.strip_prefix(b":").unwrap_or_default())
}

/// Larger than any key file cryptsetup takes.
const KEY: usize = 8 << 20;

/// Reads the key that `DEVICE:file:PATH`, `DEVICE:env:NAME` or `DEVICE:fd:N` points to.
fn key(arg: &OsStr) -> Result<Key, Failure> {
    let shape = || {
        Failure::invalid("--key takes DEVICE:file:PATH, DEVICE:env:NAME or DEVICE:fd:N")
            .advise("for example --key /dev/sda2:file:passphrase.txt")
    };
    let bytes = arg.as_bytes();
    // The device may be the plain text of another: it has no colon in its name either.
    let mut fields = bytes.splitn(3, |b| *b == b':');
    let (device, how, what) = match (fields.next(), fields.next(), fields.next()) {
        (Some(device), Some(how), Some(what)) if !device.is_empty() && !what.is_empty() => {
            (device, how, what)
        }
        _ => return Err(shape()),
    };
    let what = OsStr::from_bytes(what);
    let secret = match how {
        b"file" => read_key(Path::new(what))?,
        b"env" => match std::env::var_os(what) {
            Some(value) => value.into_vec(),
            None => {
                return Err(Failure::invalid(format!(
                    "there is no environment variable {}",
                    what.display()
                )));
            }
        },
        b"fd" => {
            let number: u32 = what.to_str().and_then(|n| n.parse().ok()).ok_or_else(shape)?;
            read_key(Path::new(&format!("/proc/self/fd/{number}")))?
        }
        _ => return Err(shape()),
    };
    if secret.is_empty() {
        return Err(Failure::invalid(format!(
            "the key from {} is empty",
            what.display()
        )));
    }
    Ok(Key::new(String::from_utf8_lossy(device).into_owned(), secret))
}

fn read_key(path: &Path) -> Result<Vec<u8>, Failure> {
    let told = |e: std::io::Error| Failure::from(Error::from(e)).about(path);
    #[expect(
        clippy::disallowed_methods,
        reason = "a key may come through a pipe; it is no image"
    )]
    let file = std::fs::File::open(path).map_err(told)?;
    // Allocated once: a vector that grew would leave copies of the key behind.
    let mut secret = Vec::with_capacity(KEY.saturating_add(64));
    let most = u64::try_from(KEY).unwrap_or(u64::MAX);
    file.take(most.saturating_add(1))
        .read_to_end(&mut secret)
        .map_err(told)?;
    if secret.len() > KEY {
        return Err(Failure::invalid(format!(
            "{} is too large for a key: more than 8 MiB",
            path.display()
        )));
    }
    Ok(secret)
}

/// What went wrong with single files while the rest went on.
pub(super) struct Troubles<'a> {
    screen: &'a Screen,
    all: RefCell<Vec<String>>,
}

impl<'a> Troubles<'a> {
    fn new(screen: &'a Screen) -> Self {
        Self {
            screen,
            all: RefCell::default(),
        }
    }

    /// Tells of one.
    pub(super) fn add(&self, path: &[u8], why: &Error) {
        let line = format!("{}: {}", shown_bytes(path), shown(&why.to_string()));
        self.screen.warn(&line);
        // As JSON they come in one document: the first thousand tell what is going on.
        let mut all = self.all.borrow_mut();
        if all.len() < 1000 {
            all.push(line);
        }
    }

    /// For the JSON document.
    pub(super) fn json(&self) -> (&'static str, serde_json::Value) {
        ("errors", serde_json::Value::from(self.all.borrow().clone()))
    }

    /// The exit code: bad when there was any.
    pub(super) fn code(&self) -> u8 {
        if self.all.borrow().is_empty() {
            exit::DONE
        } else {
            exit::FAILED
        }
    }
}

/// A guest whose files were put together, and the paths asked for in it.
pub(super) struct GuestFiles<'a> {
    guest: OpenGuest,
    pub(super) tree: Tree,
    pub(super) paths: Paths,
    /// What is odd about the guest, for the JSON document.
    pub(super) warnings: serde_json::Value,
    pub(super) troubles: Troubles<'a>,
}

impl GuestFiles<'_> {
    /// What an error about the file at `path` ends the command with.
    pub(super) fn about(&self, path: &[u8], e: Error) -> Failure {
        self.guest.about(e.through(text(path)))
    }

    /// What the paths lead to. All are looked up before anything is done with one.
    pub(super) fn places(&self, meter: &mut Meter) -> Result<Vec<(&[u8], Place)>, Failure> {
        let mut places = Vec::new();
        for path in &self.paths {
            let place = self.tree.find(path, meter).map_err(|e| self.about(path, e))?;
            places.push((path.as_slice(), place));
        }
        Ok(places)
    }

    /// Ends a list that was written as it went, with `more` and what was odd.
    pub(super) fn finish(
        &self,
        context: &Context,
        list: List<'_>,
        outcome: h2k_block::Result<()>,
        more: &[(&'static str, serde_json::Value)],
    ) -> Outcome {
        let outcome = outcome.map(|()| self.troubles.code());
        let mut more = more.to_vec();
        more.extend([("warnings", self.warnings.clone()), self.troubles.json()]);
        context.finish(list, outcome.map_err(|e| self.guest.about(e)), &more)
    }
}

fn note(screen: &Screen, warnings: &[String]) {
    for warning in warnings {
        screen.note(&format!("{} {}", screen.err.dim("note:"), shown(warning)));
    }
}

/// What is odd about a guest but did not stop us, in sentences.
fn warnings(guest: &OpenGuest, assembled: &Assembled) -> Vec<String> {
    let mut all: Vec<String> = guest
        .problems()
        .into_iter()
        .map(|p| format!("{}: {}", p.device, p.message))
        .collect();
    for left in LeftOutReport::of(assembled) {
        let place = if left.mount_point.is_empty() {
            "/"
        } else {
            &left.mount_point
        };
        all.push(format!(
            "{} is not mounted on {place}: {}",
            left.source, left.message
        ));
    }
    for mount in assembled.tree.mounts() {
        let facts = mount.fs.facts();
        all.extend(
            facts
                .warnings
                .into_iter()
                .map(|w| format!("{}: {w}", mount.source)),
        );
    }
    all
}

impl Context {
    /// Whether to go on: not when asked to stop, and not when nobody reads any more.
    pub(super) fn alive(&self) -> h2k_block::Result<()> {
        if self.stop.flag().load(std::sync::atomic::Ordering::Acquire) {
            return Err(Error::new(Class::Cancelled, "stopped"));
        }
        if self.screen.closed() {
            return Err(Error::new(Class::Cancelled, "nobody reads any more"));
        }
        Ok(())
    }

    /// Ends a list that was written as it went. As JSON, a failure is part of the document.
    pub(super) fn finish(
        &self,
        list: List<'_>,
        outcome: Result<u8, Failure>,
        more: &[(&'static str, serde_json::Value)],
    ) -> Result<u8, Failure> {
        let mut more = more.to_vec();
        let outcome = self.ended(outcome);
        let outcome = match outcome {
            Err(failure) if self.screen.json => {
                more.push((
                    "error",
                    serde_json::to_value(failure.report()).unwrap_or_default(),
                ));
                Ok(exit::of(&failure, &self.stop, exit::FAILED))
            }
            other => other,
        };
        list.end(&more);
        outcome
    }

    /// What a command ends with that wrote as it went: whoever stops reading has had enough.
    pub(super) fn ended(&self, outcome: Result<u8, Failure>) -> Result<u8, Failure> {
        match outcome {
            Err(e) if e.class() == Class::Cancelled && self.screen.closed() => Ok(exit::DONE),
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_and_a_path_are_told_apart_also_where_names_have_colons() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["d.img", "odd:name.img"] {
            std::fs::File::create(dir.path().join(name)).unwrap();
        }
        let base = dir.path().display();
        for (arg, disk, path) in [
            (format!("{base}/d.img:/etc/a:b"), "d.img", "/etc/a:b"),
            (format!("{base}/d.img:"), "d.img", ""),
            (format!("{base}/d.img"), "d.img", ""),
            (format!("{base}/odd:name.img"), "odd:name.img", ""),
            (format!("{base}/odd:name.img:etc"), "odd:name.img", "etc"),
            (format!("{base}/none:x.img:/etc"), "none:x.img", "/etc"),
            (format!("{base}/none.img"), "none.img", ""),
        ] {
            let arg = OsString::from(arg);
            let (found, rest) = named(&arg);
            assert_eq!(
                (found, rest),
                (dir.path().join(disk), path.as_bytes()),
                "{}",
                arg.display()
            );
        }
    }
}
