//! Everywhere a guest keeps what its kernels are told: the words, where they stand in their files, and changing them
//! with every other byte in its place.

mod parse;

use super::patch::{Patch, listed, part};
use crate::edit::Edit;
use crate::finding::Finding;
use crate::view::View;
use h2k_boot::LoaderKind;
use h2k_guest::Source;
use std::collections::{BTreeMap, HashSet};
use std::ops::Range;

/// What a file may weigh. The largest scripts of GRUB have some hundred KiB.
const MOST: u64 = 4 << 20;

/// The length of GRUB's environment block.
const BLOCK: usize = 1024;

/// A kind of file with command lines in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    /// What `grub-mkconfig` makes `grub.cfg` from.
    GrubDefault,
    /// Scripts of GRUB 2.
    GrubCfg,
    /// Entries of the Boot Loader Specification.
    Bls,
    /// GRUB's environment block.
    GrubEnv,
    /// What `kernel-install` and mkinitcpio give to new entries.
    KernelCmdline,
    /// `menu.lst` and `grub.conf` of GRUB 0.97.
    GrubLegacy,
    /// SYSLINUX and EXTLINUX.
    Extlinux,
}

impl Kind {
    pub(super) const ALL: [Self; 7] = [
        Self::GrubDefault,
        Self::GrubCfg,
        Self::Bls,
        Self::GrubEnv,
        Self::KernelCmdline,
        Self::GrubLegacy,
        Self::Extlinux,
    ];

    /// As people call it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::GrubDefault => "GRUB's defaults",
            Self::GrubCfg => "script of GRUB 2",
            Self::Bls => "entry in loader/entries",
            Self::GrubEnv => "environment block of GRUB",
            Self::KernelCmdline => "/etc/kernel/cmdline",
            Self::GrubLegacy => "menu of GRUB 0.97",
            Self::Extlinux => "configuration of SYSLINUX",
        }
    }

    fn paths(self, view: &View<'_>) -> Vec<String> {
        let fixed = |paths: &[&str]| paths.iter().map(|p| (*p).to_owned()).collect::<Vec<_>>();
        match self {
            Self::GrubDefault => {
                let mut paths = fixed(&[
                    "/etc/default/grub",
                    "/etc/sysconfig/grub",
                    "/etc/sysconfig/bootloader",
                ]);
                paths.extend(listed(view, "/etc/default/grub.d", ".cfg"));
                paths
            }
            Self::GrubCfg => {
                let mut paths = fixed(&[
                    "/boot/grub2/grub.cfg",
                    "/boot/grub/grub.cfg",
                    "/boot/grub2/custom.cfg",
                ]);
                paths.extend(fixed(&["/boot/grub/custom.cfg", "/etc/grub.d/40_custom"]));
                paths.extend(vendors(view).iter().map(|dir| format!("{dir}/grub.cfg")));
                paths
            }
            Self::Bls => {
                let dirs = ["/boot", "/boot/efi", "/efi"];
                let dirs = dirs.iter().map(|dir| format!("{dir}/loader/entries"));
                dirs.flat_map(|dir| listed(view, &dir, ".conf")).collect()
            }
            Self::GrubEnv => {
                let mut paths = fixed(&["/boot/grub2/grubenv", "/boot/grub/grubenv"]);
                paths.extend(vendors(view).iter().map(|dir| format!("{dir}/grubenv")));
                paths
            }
            Self::KernelCmdline => {
                let mut paths = fixed(&["/etc/kernel/cmdline", "/etc/cmdline"]);
                paths.extend(listed(view, "/etc/cmdline.d", ".conf"));
                paths
            }
            Self::GrubLegacy => fixed(&["/boot/grub/menu.lst", "/boot/grub/grub.conf", "/etc/grub.conf"]),
            Self::Extlinux => {
                let dirs = [
                    "/boot",
                    "/boot/extlinux",
                    "/boot/syslinux",
                    "/boot/efi/EFI/syslinux",
                ];
                let files = ["extlinux.conf", "syslinux.cfg"];
                let mut paths: Vec<String> = dirs
                    .iter()
                    .flat_map(|dir| files.map(|file| format!("{dir}/{file}")))
                    .collect();
                paths.push("/etc/update-extlinux.conf".to_owned());
                paths
            }
        }
    }
}

/// The directories of distributions on the EFI system partition.
fn vendors(view: &View<'_>) -> Vec<String> {
    let mut all = Vec::new();
    for dir in ["/boot/efi/EFI", "/efi/EFI", "/boot/EFI"] {
        for name in view.look.names(dir).iter().take(256) {
            all.push(format!("{dir}/{}", String::from_utf8_lossy(name)));
        }
    }
    all
}

/// The words that one kernel is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CommandLine {
    /// The line they begin in, from 1.
    pub(super) number: usize,
    /// What the line is called, where it has a name: `GRUB_CMDLINE_LINUX`.
    pub(super) name: String,
    /// Where the words are.
    words: Vec<Range<usize>>,
    /// Where another word would go.
    end: usize,
    /// Where the value begins that a shell reads without quotes: a second word needs them.
    bare: Option<usize>,
}

/// What is to happen to the words of a command line; numbers count the words from 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// Another word is in its place.
    Replace(usize, Vec<u8>),
    /// The word is gone, and the white space before it.
    Remove(usize),
    /// One more word.
    Append(&'static str),
}

/// What is to happen to a command line with these words.
pub(super) type Rule<'r> = dyn FnMut(&CommandLine, &[&[u8]]) -> Vec<Change> + 'r;

/// The same of a line of a file, with what is said of it.
pub(super) type Teller<'r> = dyn FnMut(&Home, &CommandLine, &[&[u8]]) -> Vec<Told> + 'r;

/// A file with command lines in it.
#[derive(Debug)]
pub(super) struct Home {
    pub(super) path: String,
    pub(super) kind: Kind,
    pub(super) lines: Vec<CommandLine>,
    bytes: Vec<u8>,
}

/// The files of a kind that are there; each once, whatever links lead to it. None where the user wants boot loaders
/// left as they are.
pub(super) fn homes(view: &View<'_>, kind: Kind) -> Vec<Home> {
    if view.options.no_grub {
        return Vec::new();
    }
    let mut seen: Vec<Vec<u8>> = Vec::new();
    let mut all = Vec::new();
    for path in kind.paths(view) {
        let Some(real) = view.look.canonical(&path).filter(|real| !seen.contains(real)) else {
            continue;
        };
        let Some(bytes) = view.look.bytes(&path, MOST) else {
            continue;
        };
        seen.push(real);
        let lines = parse::lines_of(kind, &path, &bytes);
        all.push(Home {
            path,
            kind,
            lines,
            bytes,
        });
    }
    all
}

/// All files of all kinds.
pub(super) fn all_homes(view: &View<'_>) -> Vec<Home> {
    Kind::ALL.iter().flat_map(|kind| homes(view, *kind)).collect()
}

impl Home {
    /// What the file holds.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The words of a command line.
    pub(super) fn words<'a>(&'a self, line: &'a CommandLine) -> impl Iterator<Item = &'a [u8]> {
        line.words.iter().map(|word| part(&self.bytes, word))
    }

    /// The edit that does to each command line what `rule` says of it; `None` where it says nothing, an error in words
    /// where it cannot be done.
    pub(super) fn edit(&self, rule: &mut Rule<'_>) -> Result<Option<Edit>, String> {
        let mut patch = Patch::new(&self.bytes);
        for line in &self.lines {
            let words: Vec<&[u8]> = self.words(line).collect();
            let changes = rule(line, &words);
            apply(&mut patch, &self.bytes, line, &changes);
        }
        if !patch.changed() {
            return Ok(None);
        }
        self.written(patch.done())
            .map(|content| Some(Edit::write(self.path.clone(), content)))
    }

    /// The content as the file's kind wants it.
    pub(super) fn written(&self, content: Vec<u8>) -> Result<Vec<u8>, String> {
        if self.kind != Kind::GrubEnv {
            return Ok(content);
        }
        block(&self.bytes, content)
    }
}

/// An environment block of the length it has to have: what pads it gives way or grows.
fn block(before: &[u8], mut content: Vec<u8>) -> Result<Vec<u8>, String> {
    if before.len() != BLOCK {
        return Err(format!("it has {} bytes, and GRUB wants {BLOCK}", before.len()));
    }
    while content.len() > BLOCK && content.last() == Some(&b'#') {
        content.pop();
    }
    if content.len() > BLOCK {
        return Err(format!("what it has to say does not fit into {BLOCK} bytes"));
    }
    content.resize(BLOCK, b'#');
    Ok(content)
}

fn apply(patch: &mut Patch<'_>, bytes: &[u8], line: &CommandLine, changes: &[Change]) {
    let longer = changes.iter().any(|c| matches!(c, Change::Append(_)));
    let quotes = line.bare.filter(|_| longer);
    if let Some(start) = quotes {
        patch.replace(start..start, "\"");
    }
    // Of two changes of one word the removal counts, or else the first.
    let mut of_word: BTreeMap<usize, &Change> = BTreeMap::new();
    for change in changes {
        match change {
            Change::Remove(at) => {
                of_word.insert(*at, change);
            }
            Change::Replace(at, _) => {
                of_word.entry(*at).or_insert(change);
            }
            Change::Append(_) => {}
        }
    }
    let mut kept: Option<&Range<usize>> = None;
    let mut left = line.words.len();
    for (at, word) in line.words.iter().enumerate() {
        let change = of_word.get(&at);
        if let Some(Change::Remove(_)) = change {
            left = left.saturating_sub(1);
            let cut = match kept {
                Some(_) => {
                    let before = at.checked_sub(1).and_then(|i| line.words.get(i));
                    before.map_or(word.start, |w| w.end)..word.end
                }
                None => {
                    let next = line.words.get(at.saturating_add(1));
                    word.start..next.map_or(word.end, |w| w.start)
                }
            };
            patch.replace(cut, Vec::new());
            continue;
        }
        if let Some(Change::Replace(_, with)) = change {
            patch.replace(word.clone(), with.clone());
        }
        kept = Some(word);
    }
    let before = line.end.checked_sub(1).and_then(|at| bytes.get(at));
    let apart = before.is_some_and(|b| b.is_ascii_whitespace() || matches!(b, b'"' | b'\'' | b'='));
    for change in changes {
        if let Change::Append(word) = change {
            let mut text = Vec::new();
            if left > 0 || !apart {
                text.push(b' ');
            }
            left = left.saturating_add(1);
            text.extend_from_slice(word.as_bytes());
            patch.replace(line.end..line.end, text);
        }
    }
    if quotes.is_some() {
        patch.replace(line.end..line.end, "\"");
    }
}

/// A word as `key=value`: the key, and where in the word the value is, quotes left out.
pub(super) fn value(word: &[u8]) -> Option<(&[u8], Range<usize>)> {
    let quote = |b: &u8| matches!(*b, b'"' | b'\'');
    let begin = word.iter().position(|b| !quote(b))?;
    let equals = word.iter().position(|b| *b == b'=').filter(|at| *at > begin)?;
    let key = word.get(begin..equals)?;
    let mut start = equals.saturating_add(1);
    let mut end = word.len();
    while word.get(start..end).and_then(<[u8]>::first).is_some_and(quote) {
        start = start.saturating_add(1);
    }
    // `\"` ends a value that stands in quotes inside of quotes.
    while word
        .get(start..end)
        .and_then(<[u8]>::last)
        .is_some_and(|b| quote(b) || *b == b'\\')
    {
        end = end.saturating_sub(1);
    }
    Some((key, start..end))
}

/// `word` with something else in the place of a part of it.
pub(super) fn with(word: &[u8], range: &Range<usize>, new: &[u8]) -> Vec<u8> {
    let mut patch = Patch::new(word);
    patch.replace(range.clone(), new);
    patch.done()
}

/// Whether the entry started by default is told `key=value`.
pub(super) fn told_by_default(view: &View<'_>, key: &str, value: &str) -> bool {
    let entry = view.boot.default_entry();
    entry.is_some_and(|e| e.loader != LoaderKind::WindowsBootManager && e.parameter(key) == Some(value))
}

/// A change of a word, and what is said of it.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) change: Change,
    pub(super) what: String,
}

/// Goes through every command line of the guest; one finding for each file where `rule` wants a change.
pub(super) fn sweep(view: &View<'_>, rule: &mut Teller<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for home in all_homes(view) {
        let mut said: Vec<String> = Vec::new();
        let mut known: HashSet<String> = HashSet::new();
        let mut read = Vec::new();
        let edit = home.edit(&mut |line, words| {
            let told = rule(&home, line, words);
            if !told.is_empty() {
                read.push(Source::line(home.path.as_bytes(), line.number));
            }
            let changes = told.into_iter().map(|told| {
                if known.insert(told.what.clone()) {
                    said.push(told.what);
                }
                told.change
            });
            changes.collect()
        });
        let why = format!("in {}, {}", home.path, said.join("; "));
        match edit {
            Ok(None) => {}
            Ok(Some(edit)) => findings.push(Finding::change(why, vec![edit]).read(read)),
            Err(e) => findings.push(Finding::warn(format!("{why}: that cannot be done, for {e}")).read(read)),
        }
    }
    findings
}
