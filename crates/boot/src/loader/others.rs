//! LILO and zipl: what they start was written to their own maps when they were installed; the configuration tells what
//! that should be.

use super::locate::{Locate, choose};
use super::{Entry, Found, Loader, LoaderKind};
use h2k_guest::Look;

pub(super) fn find(look: &Look<'_>, locate: &Locate<'_>) -> Found {
    let mut found = Found::default();
    for (kind, path) in [
        (LoaderKind::Lilo, "/etc/lilo.conf"),
        (LoaderKind::Zipl, "/etc/zipl.conf"),
    ] {
        let Some(text) = look.text(path) else { continue };
        let mut entries: Vec<Entry> = Vec::new();
        let (mut default, mut timeout) = (None, None);
        for line in text.spoken() {
            let (key, value) = line.text.split_once('=').unwrap_or((line.text, ""));
            let value = value.trim().trim_matches('"').to_owned();
            let room = entries.len() < 4096;
            match (key.trim(), entries.last_mut()) {
                ("default", _) => default = Some(line.fact(value)),
                ("timeout", _) => timeout = Some(line.fact(value)),
                ("image", _) if room => {
                    let mut entry = Entry::titled(kind, value.clone(), line.source());
                    entry.kernel = Some(value);
                    entry.command_line = Some(String::new());
                    entries.push(entry);
                }
                ("label", Some(entry)) => {
                    entry.title.clone_from(&value);
                    entry.id = Some(value);
                }
                ("initrd" | "ramdisk", Some(entry)) => entry.initramfs.push(value),
                ("root", Some(entry)) => {
                    let rest = entry.command_line.take().unwrap_or_default();
                    entry.command_line = Some(format!("root={value} {rest}").trim().to_owned());
                }
                ("append" | "parameters", Some(entry)) => {
                    let before = entry.command_line.take().unwrap_or_default();
                    entry.command_line = Some(format!("{before} {value}").trim().to_owned());
                }
                _ => {}
            }
        }
        entries = entries.into_iter().map(|e| locate.resolve(e)).collect();
        choose(
            &mut entries,
            kind,
            default
                .as_ref()
                .map(|d: &h2k_guest::Fact<String>| d.value.as_str()),
        );
        found.loaders.push(Loader {
            kind,
            config: path.to_owned(),
            default,
            timeout,
            files: Vec::new(),
        });
        found.entries.extend(entries);
    }
    found
}
