//! Entries of their own file each, after the UAPI group's Boot Loader Specification, type 1.

use super::grub::Placed;
use super::grubenv::GrubEnv;
use super::locate::Locate;
use super::script::Script;
use super::{Entry, LoaderKind};
use h2k_guest::{Look, Text};
use h2k_packages::version;
use std::cmp::Ordering;

/// What a file of `loader/entries` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Block {
    /// The file's name without `.conf`, and without a count of attempts.
    pub(super) name: String,
    /// Whether its attempts are used up: `+0`.
    pub(super) exhausted: bool,
    pub(super) version: String,
    pub(super) sort_key: String,
    pub(super) machine: String,
    pub(super) entry: Entry,
}

pub(super) fn read(text: &Text, loader: LoaderKind) -> Block {
    let path = String::from_utf8_lossy(text.path());
    let file = path.rsplit('/').next().unwrap_or(&path);
    let name = file.strip_suffix(".conf").unwrap_or(file);
    let (name, tries) = name.split_once('+').unwrap_or((name, ""));
    let mut block = Block {
        name: name.to_owned(),
        exhausted: tries == "0" || tries.starts_with("0-"),
        version: String::new(),
        sort_key: String::new(),
        machine: String::new(),
        entry: Entry::titled(loader, name, text.source()),
    };
    let entry = &mut block.entry;
    entry.id = Some(name.to_owned());
    let mut options = Vec::new();
    for line in text.spoken() {
        let (key, value) = line.text.split_once([' ', '\t']).unwrap_or((line.text, ""));
        let value = value.trim().to_owned();
        match key {
            "title" => entry.title = value,
            "version" => block.version = value,
            "sort-key" => block.sort_key = value,
            "machine-id" => block.machine = value,
            "linux" | "efi" | "uki" => entry.kernel = Some(value),
            // GRUB takes several in a line.
            "initrd" => entry
                .initramfs
                .extend(value.split_whitespace().map(str::to_owned)),
            "options" => options.push(value),
            _ => {}
        }
    }
    entry.command_line = entry.kernel.is_some().then(|| options.join(" "));
    block
}

/// The entries as GRUB lists them: by the version in the file's name, the newest first.
pub(super) fn entries(look: &Look<'_>, locate: &Locate<'_>, env: &GrubEnv, script: &Script) -> Vec<Placed> {
    let dirs = [
        "/boot/loader/entries",
        "/boot/efi/loader/entries",
        "/efi/loader/entries",
    ];
    let texts = dirs
        .iter()
        .map(|dir| look.texts_in(dir, ".conf"))
        .find(|t| !t.is_empty());
    let mut blocks: Vec<Block> = texts
        .unwrap_or_default()
        .iter()
        .map(|text| read(text, LoaderKind::Grub))
        .collect();
    blocks.sort_by(|a, b| by_name(&b.name, &a.name));
    let lookup = |name: &str| {
        let set = script.variables.get(name).map(|(value, _)| value.clone());
        env.get(name).map(str::to_owned).or(set).unwrap_or_default()
    };
    let filled = blocks.into_iter().enumerate().map(|(at, block)| {
        let mut entry = block.entry;
        entry.command_line = entry.command_line.map(|line| fill(&line, &lookup));
        entry.kernel = entry.kernel.map(|k| fill(&k, &lookup));
        let files = entry.initramfs.iter().map(|i| fill(i, &lookup));
        entry.initramfs = files.filter(|i| !i.is_empty()).collect();
        (locate.resolve(entry), vec![at])
    });
    filled.collect()
}

/// Names are compared as RPM compares versions: rescue kernels (`…-0-rescue`) come last by that.
fn by_name(a: &str, b: &str) -> Ordering {
    version::rpm(a, b)
}

/// Fills in `$kernelopts` and its like.
fn fill(text: &str, lookup: &dyn Fn(&str) -> String) -> String {
    let words = text.split_whitespace().map(|word| match word.strip_prefix('$') {
        Some(name) => lookup(name.trim_start_matches('{').trim_end_matches('}')),
        None => word.to_owned(),
    });
    let words: Vec<String> = words.filter(|w| !w.is_empty()).collect();
    words.join(" ")
}
