//! The rows that read files out of filesystems: this program in its own process, against a mount.

use super::child::{self, Cost};
use super::pairs::{Pairs, Side};
use super::scratch::{self, Scratch};
use super::tree::{self, Facts};
use crate::run::{have, quietly};
use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};

/// What is done to a filesystem.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    /// Name every file.
    List,
    /// SHA-256 of every file.
    Hash,
    /// Name what is in the root.
    Top,
}

/// What a row asks of itself.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wanted {
    /// So many times as fast as the other side.
    Times(f64),
    /// At most so many milliseconds of processor time.
    CpuMs(f64),
}

/// One image and what is done to it.
pub(super) struct Filesystem {
    /// What `mount -t` calls it.
    mount: &'static str,
    /// Makes it in a file whose path follows.
    mkfs: &'static [&'static str],
    /// Bytes of the image; `None` for one that holds the files.
    len: Option<u64>,
    rows: &'static [(&'static str, Work, Wanted, &'static str)],
}

/// The image that holds the files: this, or enough for little data.
const LEN: u64 = 5 << 30;
const SMALL: u64 = 512 << 20;

/// What the profiles of all hashing rows show.
const HASHING: &str = "SHA-256, with the processor's instructions for it, takes 65 to 76 % of the processor time, copying \
     pages out of the image 9 to 15 %; a file of 8 MiB or more is hashed by one core alone";

const HALF: Wanted = Wanted::Times(0.5);

pub(super) const FILESYSTEMS: [Filesystem; 5] = [
    Filesystem {
        mount: "ext4",
        mkfs: &["mkfs.ext4", "-q", "-F"],
        len: None,
        rows: &[
            ("list ext4", Work::List, HALF, ""),
            ("hash ext4", Work::Hash, HALF, HASHING),
        ],
    },
    Filesystem {
        mount: "xfs",
        mkfs: &["mkfs.xfs", "-q", "-f"],
        len: None,
        rows: &[
            ("list xfs", Work::List, HALF, ""),
            ("hash xfs", Work::Hash, HALF, HASHING),
        ],
    },
    Filesystem {
        mount: "btrfs",
        mkfs: &["mkfs.btrfs", "-q", "-f"],
        len: None,
        rows: &[
            ("list btrfs", Work::List, HALF, ""),
            ("hash btrfs", Work::Hash, HALF, HASHING),
        ],
    },
    Filesystem {
        mount: "ntfs-3g",
        mkfs: &["mkntfs", "-Q", "-F", "-q"],
        len: None,
        rows: &[
            ("list NTFS", Work::List, Wanted::Times(3.0), ""),
            ("hash NTFS", Work::Hash, Wanted::Times(3.0), HASHING),
        ],
    },
    Filesystem {
        mount: "ext4",
        // Nothing is written that could be left for later: the file stays sparse.
        mkfs: &[
            "mkfs.ext4",
            "-q",
            "-F",
            "-E",
            "lazy_itable_init=1,lazy_journal_init=1,nodiscard",
            "-J",
            "size=64",
        ],
        len: Some(16 << 40),
        rows: &[("ls / of 16 TiB ext4", Work::Top, Wanted::CpuMs(50.0), "")],
    },
];

/// A row, measured.
pub(super) struct Reading {
    pub(super) name: &'static str,
    pub(super) wanted: Wanted,
    pub(super) other: &'static str,
    pub(super) facts: Facts,
    pub(super) pairs: Pairs,
    /// Our command, as it may be typed.
    pub(super) ours: String,
    /// What bounds it.
    pub(super) why: &'static str,
}

/// How the rows are run.
pub(super) struct Setting<'a> {
    pub(super) ours: &'a Path,
    pub(super) scratch: &'a Scratch,
    /// Bytes of files.
    pub(super) data: u64,
    pub(super) pairs: usize,
    pub(super) sides: &'a [Side],
    pub(super) wants: &'a dyn Fn(&str) -> bool,
}

/// Measures every row that is wanted. What this machine does not let us measure is said, and is no error.
pub(super) fn measure(setting: &Setting<'_>) -> Result<(Vec<Reading>, Vec<String>), String> {
    let mut readings = Vec::new();
    let mut skipped = Vec::new();
    let can_hash = quietly(Command::new(setting.ours).args(["checksum", "--help"]));
    if !can_hash {
        skipped.push("hashing: this build has no command for it".to_owned());
    }
    for filesystem in &FILESYSTEMS {
        let mut rows: Vec<_> = filesystem
            .rows
            .iter()
            .filter(|row| (setting.wants)(row.0))
            .collect();
        if !can_hash {
            rows.retain(|row| row.1 != Work::Hash);
        }
        if rows.is_empty() {
            continue;
        }
        if let Some(why) = impossible(filesystem) {
            let names: Vec<_> = rows.iter().map(|row| row.0).collect();
            skipped.push(format!("{}: {why}", names.join(", ")));
            continue;
        }
        let image = setting.scratch.path("image");
        let facts = make(filesystem, &image, setting.data)?;
        for (name, work, wanted, why) in rows {
            println!("\n--- {name}");
            let pairs = pairs(filesystem, *work, &image, setting)?;
            readings.push(Reading {
                name,
                wanted: *wanted,
                other: filesystem.mount,
                facts,
                pairs,
                ours: our_words(*work, Path::new("hyper2kvm"), Path::new("IMAGE")).join(" "),
                why,
            });
        }
        scratch::remove(&image);
    }
    for line in &skipped {
        println!("not measured: {line}");
    }
    Ok((readings, skipped))
}

/// Why this machine cannot do it, if so.
fn impossible(filesystem: &Filesystem) -> Option<String> {
    let mkfs = filesystem.mkfs.first().copied().unwrap_or_default();
    if !have(mkfs) {
        return Some(format!("{mkfs} is not installed"));
    }
    if !rustix::process::geteuid().is_root() {
        return Some("mounting needs root".to_owned());
    }
    if !Path::new("/dev/loop-control").exists() {
        return Some("this host has no loop devices".to_owned());
    }
    None
}

/// Makes the image and fills it.
fn make(filesystem: &Filesystem, image: &Path, data: u64) -> Result<Facts, String> {
    let full = if data * 5 / 3 > SMALL { LEN } else { SMALL };
    let len = filesystem.len.unwrap_or(full);
    let file = File::create_new(image).map_err(|e| e.to_string())?;
    file.set_len(len).map_err(|e| e.to_string())?;
    drop(file);
    let (program, words) = filesystem.mkfs.split_first().ok_or("no mkfs")?;
    let mut command = Command::new(program);
    if !quietly(command.args(words).arg(image)) {
        return Err(format!("{program} failed"));
    }
    if filesystem.len.is_some() {
        return Ok(Facts::default());
    }
    let mount = h2k_testkit::mount::mount(image, filesystem.mount, "rw")?;
    let facts = tree::fill(mount.path(), data)?;
    Ok(Facts { image: len, ..facts })
}

fn pairs(filesystem: &Filesystem, work: Work, image: &Path, setting: &Setting<'_>) -> Result<Pairs, String> {
    let ours = our_words(work, setting.ours, image);
    let theirs = their_words(work, filesystem.mount, Path::new(child::MYSELF), image);
    if work == Work::Hash && setting.sides.len() == 2 {
        // The same digests, or the times mean nothing.
        let (a, b) = (digests(&ours)?, digests(&theirs)?);
        if a != b || a.is_empty() {
            return Err(format!(
                "{} digests of ours are not the {} of the mounted files",
                a.len(),
                b.len()
            ));
        }
    }
    Pairs::run(setting.pairs, setting.sides, &mut |side,
                                                   _|
     -> Result<Cost, String> {
        let words = if side == Side::Ours { &ours } else { &theirs };
        child::run(words, setting.scratch)
    })
}

/// Our command: the image is one filesystem, mounted as the root.
fn our_words(work: Work, ours: &Path, image: &Path) -> Vec<String> {
    let words: &[&str] = match work {
        Work::List => &["ls", "-R", "-A"],
        Work::Hash => &["checksum", "-r"],
        Work::Top => &["ls"],
    };
    let mut all = vec![ours.display().to_string()];
    all.extend(words.iter().map(|word| (*word).to_owned()));
    all.extend(["--mount".to_owned(), "/dev/sda:/".to_owned()]);
    all.push(format!("{}:/", image.display()));
    all
}

fn their_words(work: Work, mount: &str, me: &Path, image: &Path) -> Vec<String> {
    let work = match work {
        Work::List => "list",
        Work::Hash => "hash",
        Work::Top => "top",
    };
    let path = |path: &Path| path.display().to_string();
    vec![
        path(me),
        "bench-mounted".to_owned(),
        mount.to_owned(),
        path(image),
        work.to_owned(),
    ]
}

/// The digests a command prints, each at the beginning of a line, sorted.
fn digests(words: &[String]) -> Result<Vec<String>, String> {
    let (program, args) = words.split_first().ok_or("no command")?;
    let out = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|e| format!("{program}: {e}"))?;
    if !out.status.success() {
        return Err(format!("{} ended with {}", words.join(" "), out.status));
    }
    let text = String::from_utf8_lossy(&out.stdout);
    let digest = |line: &str| {
        // A name that had to be escaped has a backslash before its digest.
        let word = line.split_whitespace().next()?.trim_start_matches('\\');
        (word.len() == 64 && word.bytes().all(|b| b.is_ascii_hexdigit())).then(|| word.to_owned())
    };
    let mut all: Vec<String> = text.lines().filter_map(digest).collect();
    all.sort_unstable();
    Ok(all)
}
