//! GRUB 0.97: `menu.lst` and `grub.conf`.

use super::locate::{Locate, choose};
use super::{Entry, Found, Loader, LoaderKind};
use h2k_guest::Look;

const PLACES: [&str; 4] = [
    "/boot/grub/grub.conf",
    "/boot/grub/menu.lst",
    "/etc/grub.conf",
    "/boot/grub/menu.conf",
];

pub(super) fn find(look: &Look<'_>, locate: &Locate<'_>) -> Found {
    let Some(text) = look.first_text(PLACES) else {
        return Found::default();
    };
    let mut entries: Vec<Entry> = Vec::new();
    let (mut default, mut timeout) = (None, None);
    for line in text.spoken() {
        let (key, value) = line.text.split_once([' ', '\t', '=']).unwrap_or((line.text, ""));
        let value = value.trim();
        let room = entries.len() < 4096;
        match (key, entries.last_mut()) {
            ("default", None) => default = Some(line.fact(value.to_owned())),
            ("timeout", None) => timeout = Some(line.fact(value.to_owned())),
            ("title", _) if room => {
                entries.push(Entry::titled(LoaderKind::GrubLegacy, value, line.source()));
            }
            ("root" | "rootnoverify", Some(entry)) => {
                entry.device = Some(value.trim_matches(['(', ')']).to_owned());
            }
            ("uuid", Some(entry)) => entry.search = Some(value.to_owned()),
            ("kernel" | "module", Some(entry)) => {
                let mut words = value.split_whitespace().filter(|w| !w.starts_with("--"));
                let file = words.next().map(str::to_owned);
                // Xen is the kernel of GRUB then, the kernel its first module, the initramfs the second.
                let xen = entry.kernel.as_deref().is_some_and(|k| k.contains("/xen"));
                if key == "kernel" || (xen && entry.initramfs.is_empty()) {
                    entry.kernel = file;
                    entry.command_line = Some(words.collect::<Vec<_>>().join(" "));
                } else {
                    entry.initramfs.extend(file);
                }
            }
            ("initrd", Some(entry)) => {
                entry
                    .initramfs
                    .extend(value.split_whitespace().map(str::to_owned));
            }
            _ => {}
        }
    }
    entries = entries.into_iter().map(|e| locate.resolve(e)).collect();
    // `default saved` keeps the number in a file of its own.
    let saved = default.as_ref().is_some_and(|d| d.value == "saved");
    let saved = saved.then(|| look.text("/boot/grub/default")).flatten();
    let number = saved
        .as_ref()
        .and_then(|t| t.lines().next().map(|l| l.fact(l.text.trim().to_owned())));
    let default = number.or(default);
    choose(
        &mut entries,
        LoaderKind::GrubLegacy,
        default.as_ref().map(|d| d.value.as_str()),
    );
    let map = "/boot/grub/device.map";
    Found {
        loaders: vec![Loader {
            kind: LoaderKind::GrubLegacy,
            config: text.source().to_string(),
            default,
            timeout,
            files: look.is_file(map).then(|| map.to_owned()).into_iter().collect(),
        }],
        entries,
    }
}
