//! The canonical listing of a tree, as the corpus manifest has it (its `tools/listing.py` is the definition).
//!
//! One line an entry below the root, sorted by raw path bytes:
//!
//! ```text
//! path TAB type TAB mode TAB size TAB digest LF
//! ```
//!
//! [`of_fs`] makes it from our own readers, [`of_host`] from a directory of the host (a kernel mount), and
//! [`agrees`] compares with what the manifest recorded. `ERR:` digests name the cause in the words of whoever
//! failed (an errno there, a class here), so comparisons only see *that* a read failed: [`masked`].

use crate::corpus::{Case, Corpus};
use crate::hash::{hex, sha256};
use h2k_block::{Limits, Meter, Result};
use h2k_fs::{FileKind, FsRead, Node, walk};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;

/// Which columns and entries a listing has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Show permission bits; `false` writes `-` (FAT, NTFS, ISO views: modes are invented there).
    pub modes: bool,
    /// Show alternate data streams as `file:stream` of type `a`.
    pub streams: bool,
}

impl Options {
    /// Modes, no streams: Unix filesystems.
    pub const UNIX: Self = Self {
        modes: true,
        streams: false,
    };
    /// No modes, no streams: FAT, exFAT, plain ISO.
    pub const PLAIN: Self = Self {
        modes: false,
        streams: false,
    };
    /// No modes, streams: NTFS.
    pub const NTFS: Self = Self {
        modes: false,
        streams: true,
    };
}

/// A listing and its totals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// The lines.
    pub text: String,
    /// How many entries of each type letter.
    pub counts: BTreeMap<char, u64>,
    /// Bytes of all regular files.
    pub bytes: u64,
    /// Entries and directories that could not be read, with the reason.
    pub errors: Vec<String>,
}

impl Listing {
    /// SHA-256 of the text: the manifest's `listing_sha256`.
    #[must_use]
    pub fn sha256(&self) -> String {
        sha256(self.text.as_bytes())
    }
}

struct Line {
    path: Vec<u8>,
    letter: char,
    mode: Option<u16>,
    size: u64,
    digest: String,
}

#[derive(Default)]
struct Lines {
    all: Vec<Line>,
    errors: Vec<String>,
}

impl Lines {
    fn push(&mut self, path: &[u8], letter: char, mode: Option<u16>, size: u64, digest: String) {
        self.all.push(Line {
            path: path.to_vec(),
            letter,
            mode,
            size,
            digest,
        });
    }

    fn failed(&mut self, path: &[u8], why: impl std::fmt::Display) {
        self.errors.push(format!("{}: {why}", escape(path)));
    }

    fn finish(mut self) -> Listing {
        self.all.sort_by(|a, b| a.path.cmp(&b.path));
        let mut listing = Listing {
            text: String::new(),
            counts: BTreeMap::new(),
            bytes: 0,
            errors: self.errors,
        };
        for line in &self.all {
            let mode = line
                .mode
                .map_or_else(|| "-".to_owned(), |m| format!("{:04o}", m & 0o7777));
            let path = escape(&line.path);
            listing.text += &format!(
                "{path}\t{}\t{mode}\t{}\t{}\n",
                line.letter, line.size, line.digest
            );
            *listing.counts.entry(line.letter).or_default() += 1;
            if line.letter == 'f' {
                listing.bytes += line.size;
            }
        }
        listing
    }
}

/// Bytes up to 0x20, 0x7f, `%` and everything that is not UTF-8 as `%XX`; the rest as it is.
#[must_use]
pub fn escape(bytes: &[u8]) -> String {
    let mut out = String::new();
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\0'..=' ' | '\x7f' | '%' => out += &format!("%{:02X}", c as u32),
                _ => out.push(c),
            }
        }
        for b in chunk.invalid() {
            out += &format!("%{b:02X}");
        }
    }
    out
}

/// Lists and hashes the whole tree of `fs`. Damage becomes `ERR:` lines and [`Listing::errors`].
///
/// # Errors
/// [`h2k_block::Class::Limit`] when the tree is larger than the default [`Limits`].
pub fn of_fs(fs: &dyn FsRead, options: Options) -> Result<Listing> {
    of_fs_within(fs, options, Limits::default())
}

/// As [`of_fs`], with limits of the caller's choice.
///
/// # Errors
/// As [`of_fs`].
pub fn of_fs_within(fs: &dyn FsRead, options: Options, limits: Limits) -> Result<Listing> {
    let mut lines = Lines::default();
    let mut unlisted = Vec::new();
    let mut meter = Meter::new(limits);
    walk(
        fs,
        fs.root(),
        &mut meter,
        &mut |visit| {
            match visit.stat {
                // The root has no line of its own, but a tree without one is no empty tree.
                Err(e) if visit.path.is_empty() => lines.failed(b"", e),
                Ok(stat) if visit.path.is_empty() => {
                    if stat.kind != FileKind::Dir {
                        lines.failed(b"", "the root is not a directory");
                    }
                }
                stat => entry(fs, options, visit.path, visit.node, stat, &mut lines),
            }
            ControlFlow::Continue(())
        },
        &mut |path, why| unlisted.push((path.to_vec(), why)),
    )?;
    for (path, why) in unlisted {
        lines.failed(&path, why);
    }
    Ok(lines.finish())
}

fn entry(
    fs: &dyn FsRead,
    options: Options,
    path: &[u8],
    node: Node,
    stat: Result<h2k_fs::Stat>,
    lines: &mut Lines,
) {
    let stat = match stat {
        Ok(stat) => stat,
        Err(e) => {
            lines.push(path, '?', None, 0, format!("ERR:{}", e.class().word()));
            return lines.failed(path, e);
        }
    };
    let mode = stat.mode.filter(|_| options.modes);
    match stat.kind {
        FileKind::File => {
            let digest = content(fs, node, path, lines);
            lines.push(path, 'f', mode, stat.len, digest);
        }
        FileKind::Dir => lines.push(path, 'd', mode, 0, "-".to_owned()),
        FileKind::Link => match fs.target(node) {
            Ok(to) => lines.push(path, 'l', mode, to.len() as u64, escape(&to)),
            Err(e) => {
                lines.push(path, 'l', mode, 0, format!("ERR:{}", e.class().word()));
                lines.failed(path, e);
            }
        },
        FileKind::CharDevice | FileKind::BlockDevice => {
            let (major, minor) = stat.device.unwrap_or_default();
            lines.push(path, stat.kind.letter(), mode, 0, format!("{major}:{minor}"));
        }
        other => lines.push(path, other.letter(), mode, 0, "-".to_owned()),
    }
    if options.streams && matches!(stat.kind, FileKind::File | FileKind::Dir) {
        let mut streams = Vec::new();
        let shown = fs.streams(node, &mut |e| {
            streams.push((e.name.to_vec(), e.node));
            ControlFlow::Continue(())
        });
        if let Err(e) = shown {
            lines.failed(path, e);
        }
        for (name, stream) in streams {
            let full = [path, b":", &name].concat();
            let size = fs.stat(stream).map_or(0, |s| s.len);
            let digest = content(fs, stream, &full, lines);
            lines.push(&full, 'a', None, size, digest);
        }
    }
}

fn content(fs: &dyn FsRead, file: Node, path: &[u8], lines: &mut Lines) -> String {
    let mut hash = Sha256::new();
    let mut piece = vec![0; 1 << 20];
    let mut at = 0;
    loop {
        match fs.read_at(file, at, &mut piece) {
            Ok(0) => return hex(&hash.finalize()),
            Ok(n) => {
                hash.update(&piece[..n]);
                at += n as u64;
            }
            Err(e) => {
                let digest = format!("ERR:{}", e.class().word());
                lines.failed(path, e);
                return digest;
            }
        }
    }
}

/// Lists and hashes a directory of the host, usually a mount made for the purpose. Never follows a link and never
/// leaves the mount.
#[must_use]
pub fn of_host(root: &Path, options: Options) -> Listing {
    host(root, options, false)
}

/// As [`of_host`], but goes into directories of another device too: the subvolumes of btrfs.
#[must_use]
pub fn of_host_across(root: &Path, options: Options) -> Listing {
    host(root, options, true)
}

fn host(root: &Path, options: Options, across: bool) -> Listing {
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::{FileTypeExt, MetadataExt};
    let mut lines = Lines::default();
    let device = root.symlink_metadata().map(|m| m.dev()).ok();
    let mut todo = vec![(root.to_owned(), Vec::new())];
    while let Some((dir, below)) = todo.pop() {
        let names = match std::fs::read_dir(&dir) {
            Ok(names) => names,
            Err(e) => {
                lines.failed(&below, e);
                continue;
            }
        };
        for name in names {
            let Ok(name) = name.map(|n| n.file_name()) else {
                lines.failed(&below, "reading names failed");
                break;
            };
            let mut path = below.clone();
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend_from_slice(name.as_bytes());
            let full = dir.join(&name);
            let meta = match full.symlink_metadata() {
                Ok(meta) => meta,
                Err(e) => {
                    lines.push(&path, '?', None, 0, format!("ERR:{:?}", e.kind()));
                    lines.failed(&path, e);
                    continue;
                }
            };
            let mode = options.modes.then_some((meta.mode() & 0o7777) as u16);
            let kind = meta.file_type();
            let failed = |e: &std::io::Error| format!("ERR:{:?}", e.kind()).replace(' ', "");
            if kind.is_file() {
                let digest = host_content(&full).unwrap_or_else(|e| {
                    lines.failed(&path, &e);
                    failed(&e)
                });
                lines.push(&path, 'f', mode, meta.len(), digest);
            } else if kind.is_dir() {
                lines.push(&path, 'd', mode, 0, "-".to_owned());
                if across || Some(meta.dev()) == device {
                    todo.push((full, path));
                }
            } else if kind.is_symlink() {
                match std::fs::read_link(&full) {
                    Ok(to) => {
                        let to = to.as_os_str().as_bytes();
                        lines.push(&path, 'l', mode, to.len() as u64, escape(to));
                    }
                    Err(e) => {
                        lines.push(&path, 'l', mode, 0, failed(&e));
                        lines.failed(&path, e);
                    }
                }
            } else if kind.is_char_device() || kind.is_block_device() {
                let letter = if kind.is_char_device() { 'c' } else { 'b' };
                let (major, minor) = (rustix::fs::major(meta.rdev()), rustix::fs::minor(meta.rdev()));
                lines.push(&path, letter, mode, 0, format!("{major}:{minor}"));
            } else {
                let letter = if kind.is_fifo() { 'p' } else { 's' };
                lines.push(&path, letter, mode, 0, "-".to_owned());
            }
        }
    }
    lines.finish()
}

fn host_content(path: &Path) -> std::io::Result<String> {
    use std::io::Read;
    let mut file = std::fs::File::open(path)?;
    let mut hash = Sha256::new();
    let mut piece = vec![0; 1 << 20];
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(hex(&hash.finalize())),
            n => hash.update(&piece[..n]),
        }
    }
}

/// The text with every `ERR:<word>` reduced to `ERR`.
#[must_use]
pub fn masked(text: &str) -> String {
    text.lines()
        .map(|line| match line.rsplit_once("\tERR:") {
            Some((head, _)) => format!("{head}\tERR\n"),
            None => format!("{line}\n"),
        })
        .collect()
}

/// The first lines in which two listings differ, `-` from `theirs` and `+` from `ours`; `None` when they agree
/// (words after `ERR:` aside).
#[must_use]
pub fn differences(theirs: &str, ours: &str) -> Option<String> {
    let (theirs, ours) = (masked(theirs), masked(ours));
    if theirs == ours {
        return None;
    }
    let a: std::collections::BTreeSet<&str> = theirs.lines().collect();
    let b: std::collections::BTreeSet<&str> = ours.lines().collect();
    let mut out = format!("{} lines theirs, {} lines ours\n", a.len(), b.len());
    for line in a.difference(&b).take(8) {
        out += &format!("- {line}\n");
    }
    for line in b.difference(&a).take(8) {
        out += &format!("+ {line}\n");
    }
    Some(out)
}

/// Compares `ours` with what the manifest recorded for `case` under `fs`. Panics with the difference.
pub fn agrees(corpus: &Corpus, case: &Case, ours: &Listing) {
    agrees_with(corpus, case, &case.oracle["fs"], ours);
}

/// As [`agrees`], for facts that lie elsewhere in the manifest (`views` of an ISO, `partition_fs`).
pub fn agrees_with(corpus: &Corpus, case: &Case, facts: &serde_json::Value, ours: &Listing) {
    let recorded = facts["listing_sha256"]
        .as_str()
        .unwrap_or_else(|| panic!("{}: the manifest has no listing", case.path));
    if recorded == ours.sha256() {
        return;
    }
    // Not byte for byte the same: allowed only for the words after `ERR:`, and only the full listing can tell.
    let theirs = corpus.listing(case);
    let found = match &theirs {
        Some(theirs) => differences(theirs, &ours.text),
        None => Some("the full listing was not recorded\n".to_owned()),
    };
    if let Some(found) = found {
        let head: String = ours.text.lines().take(12).map(|l| format!("  {l}\n")).collect();
        panic!(
            "{}: listing {} expected {recorded}\n{found}ours begins\n{head}errors: {:#?}",
            case.path,
            ours.sha256(),
            ours.errors.iter().take(8).collect::<Vec<_>>()
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_of_the_host_sorts_by_path_bytes_and_escapes() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("a")).unwrap();
        std::fs::write(dir.path().join("a/x y"), b"").unwrap();
        std::fs::write(dir.path().join("a.txt"), b"abc").unwrap();
        std::os::unix::fs::symlink("t%", dir.path().join("b")).unwrap();
        let listing = of_host(dir.path(), Options::PLAIN);
        let empty = sha256(b"");
        let abc = sha256(b"abc");
        assert_eq!(
            listing.text,
            format!("a\td\t-\t0\t-\na.txt\tf\t-\t3\t{abc}\na/x%20y\tf\t-\t0\t{empty}\nb\tl\t-\t2\tt%25\n")
        );
        assert_eq!((listing.bytes, listing.counts[&'f']), (3, 2));
    }

    #[test]
    fn our_listing_of_a_tree_is_the_host_listing_of_its_twin() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("d/e")).unwrap();
        std::fs::write(dir.path().join("d/f"), vec![7; 3_000_000]).unwrap();
        std::os::unix::fs::symlink("../d/f", dir.path().join("l")).unwrap();
        let mut fs = h2k_fs::MemFs::new();
        fs.dir("d/e").unwrap();
        let file = fs.file("d/f", vec![7; 3_000_000]).unwrap();
        fs.link("l", "../d/f").unwrap();
        let twin = of_fs(&fs, Options::PLAIN).unwrap();
        assert_eq!(twin, of_host(dir.path(), Options::PLAIN));
        fs.stream(file, b"s", "x").unwrap();
        fs.set_mode(file, 0o4755).unwrap();
        let full = of_fs(
            &fs,
            Options {
                modes: true,
                streams: true,
            },
        )
        .unwrap();
        assert!(full.text.contains("d/f\tf\t4755\t3000000\t"));
        assert!(full.text.contains(&format!("d/f:s\ta\t-\t1\t{}\n", sha256(b"x"))));
    }

    #[test]
    fn bytes_that_are_no_text_are_escaped_one_by_one() {
        assert_eq!(escape(b"a\xff\xc3\xa9\xe2\x82 \x7f%"), "a%FFé%E2%82%20%7F%25");
    }

    #[test]
    fn the_words_of_an_error_do_not_count_as_a_difference() {
        assert_eq!(
            differences("a\tf\t0644\t1\tERR:EIO\n", "a\tf\t0644\t1\tERR:corrupt\n"),
            None
        );
        assert!(differences("a\tf\t0644\t1\tERR:EIO\n", "a\tf\t0644\t1\t00\n").is_some());
    }
}
