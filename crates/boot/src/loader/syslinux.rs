//! SYSLINUX and EXTLINUX.

use super::locate::{Locate, choose};
use super::{Entry, Found, Loader, LoaderKind};
use h2k_guest::{Fact, Look};

/// Where its configuration is looked for.
const PLACES: [&str; 8] = [
    "/boot/extlinux/extlinux.conf",
    "/boot/syslinux/syslinux.cfg",
    "/boot/extlinux.conf",
    "/boot/syslinux.cfg",
    "/extlinux.conf",
    "/syslinux.cfg",
    "/extlinux/extlinux.conf",
    "/syslinux/syslinux.cfg",
];

pub(super) fn find(look: &Look<'_>, locate: &Locate<'_>) -> Found {
    let Some(text) = look.first_text(PLACES) else {
        return Found::default();
    };
    let mut entries: Vec<Entry> = Vec::new();
    let mut default: Option<Fact<String>> = None;
    let mut timeout = None;
    for line in text.spoken() {
        let (key, value) = line.text.split_once([' ', '\t']).unwrap_or((line.text, ""));
        let value = value.trim();
        let key = key.to_ascii_uppercase();
        let room = entries.len() < 4096;
        let current = entries.last_mut();
        match (key.as_str(), current) {
            ("DEFAULT", None) => default = Some(line.fact(value.to_owned())),
            ("ONTIMEOUT", _) => default = Some(line.fact(value.to_owned())),
            ("TIMEOUT", None) => timeout = Some(line.fact(value.to_owned())),
            ("LABEL", _) if room => {
                let mut entry = Entry::titled(LoaderKind::Syslinux, value, line.source());
                entry.id = Some(value.to_owned());
                entries.push(entry);
            }
            ("KERNEL" | "LINUX", Some(entry)) => {
                entry.kernel = Some(value.to_owned());
                entry.command_line.get_or_insert_default();
            }
            ("INITRD", Some(entry)) => {
                entry
                    .initramfs
                    .extend(value.split(',').map(|i| i.trim().to_owned()));
            }
            ("APPEND", Some(entry)) => {
                let words = value.split_whitespace();
                let (files, rest): (Vec<&str>, Vec<&str>) = words.partition(|w| w.starts_with("initrd="));
                let files = files
                    .iter()
                    .flat_map(|w| w.trim_start_matches("initrd=").split(','));
                entry.initramfs.extend(files.map(str::to_owned));
                entry.command_line = Some(rest.join(" "));
            }
            ("MENU", Some(entry)) => {
                let (word, rest) = value.split_once(' ').unwrap_or((value, ""));
                match word.to_ascii_uppercase().as_str() {
                    "LABEL" => entry.title = rest.trim().replace('^', ""),
                    "DEFAULT" => default = entry.id.clone().map(|id| line.fact(id)),
                    _ => {}
                }
            }
            _ => {}
        }
    }
    // Names are relative to the directory of the configuration.
    let path = text.source().to_string();
    let dir = path.rsplit_once('/').map_or("", |(dir, _)| dir).to_owned();
    let beside = |name: &str| {
        let relative = name.strip_prefix("./").unwrap_or(name);
        let full = format!("{dir}/{relative}");
        let parent = relative.strip_prefix("../").and_then(|rest| {
            let up = dir.rsplit_once('/').map(|(up, _)| up)?;
            Some(format!("{up}/{rest}"))
        });
        parent.into_iter().chain([full]).find(|p| look.is_file(p))
    };
    entries = entries
        .into_iter()
        .map(|entry| {
            let mut entry = locate.resolve(entry);
            if let Some(name) = &entry.kernel {
                entry.kernel_path = beside(name).or(entry.kernel_path);
            }
            let files = entry
                .initramfs
                .iter()
                .filter_map(|name| beside(name).or_else(|| locate.path(name)));
            entry.initramfs_paths = files.collect();
            entry
        })
        .collect();
    choose(
        &mut entries,
        LoaderKind::Syslinux,
        default.as_ref().map(|d| d.value.as_str()),
    );
    Found {
        loaders: vec![Loader {
            kind: LoaderKind::Syslinux,
            config: path,
            default,
            timeout,
            files: Vec::new(),
        }],
        entries,
    }
}
