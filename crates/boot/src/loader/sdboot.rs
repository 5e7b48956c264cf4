//! systemd-boot: `loader/loader.conf`, `loader/entries`, and unified kernel images in `EFI/Linux`.

use super::bls::{self, Block};
use super::esp::Mounted;
use super::locate::Locate;
use super::uki::Uki;
use super::{Entry, Found, Loader, LoaderKind};
use h2k_guest::{Fact, Look, Source};
use h2k_packages::version;

pub(super) fn find(look: &Look<'_>, locate: &Locate<'_>, esp: Option<&Mounted>) -> Found {
    let Some(esp) = esp else {
        return Found::default();
    };
    let config = format!("{}/loader/loader.conf", esp.point);
    let text = look.text(&config);
    if text.is_none() && esp.facts.systemd_boot.is_none() {
        return Found::default();
    }
    let locate = locate.on_esp(esp);
    // Beside the EFI partition, an extended boot partition may have entries.
    let mut blocks: Vec<Block> = Vec::new();
    for root in [esp.point.as_str(), "/boot"] {
        for text in look.texts_in(format!("{root}/loader/entries"), ".conf") {
            let block = bls::read(&text, LoaderKind::SystemdBoot);
            if !blocks.iter().any(|b| b.name == block.name) {
                blocks.push(Block {
                    entry: locate.resolve(block.entry.clone()),
                    ..block
                });
            }
        }
        if esp.point == "/boot" {
            break;
        }
    }
    blocks.extend(unified(look, esp));
    blocks.sort_by(|a, b| {
        let keyed = |b: &Block| b.sort_key.is_empty();
        (a.exhausted, keyed(a), &a.sort_key, &a.machine)
            .cmp(&(b.exhausted, keyed(b), &b.sort_key, &b.machine))
            .then_with(|| version::rpm(&b.version, &a.version))
            .then_with(|| version::rpm(&b.name, &a.name))
    });
    let value = |key: &str| {
        text.as_ref()?.spoken().find_map(|line| {
            let (k, v) = line.text.split_once([' ', '\t'])?;
            (k == key).then(|| line.fact(v.trim().to_owned()))
        })
    };
    let default: Option<Fact<String>> = value("default");
    let wanted = default.as_ref().map(|d| d.value.trim_end_matches(".conf"));
    let chosen = wanted.and_then(|glob| {
        blocks
            .iter()
            .position(|b| fits(glob, &b.name) || fits(glob, &format!("{}.efi", b.name)))
    });
    if let Some(block) = blocks.get_mut(chosen.unwrap_or(0)) {
        block.entry.default = true;
    }
    Found {
        loaders: vec![Loader {
            kind: LoaderKind::SystemdBoot,
            config,
            default,
            timeout: value("timeout"),
            files: esp.facts.systemd_boot.iter().cloned().collect(),
        }],
        entries: blocks.into_iter().map(|b| b.entry).collect(),
    }
}

/// Unified kernel images, which are entries by themselves.
fn unified(look: &Look<'_>, esp: &Mounted) -> Vec<Block> {
    let dir = format!("{}/EFI/Linux", esp.point);
    let names = look.names(&dir);
    let names = names.iter().filter_map(|n| std::str::from_utf8(n).ok());
    let names = names
        .filter(|n| n.to_ascii_lowercase().ends_with(".efi"))
        .take(64);
    let blocks = names.filter_map(|name| {
        let path = format!("{dir}/{name}");
        let uki = Uki::of_file(look, &path)?;
        let stem = name.get(..name.len().saturating_sub(4)).unwrap_or(name);
        let (stem, tries) = stem.split_once('+').unwrap_or((stem, ""));
        let source = Source::file(path.as_bytes());
        let title = uki.title().unwrap_or_else(|| stem.to_owned());
        let mut entry = Entry::titled(LoaderKind::SystemdBoot, title, source);
        entry.id = Some(stem.to_owned());
        entry.kernel = Some(format!("/EFI/Linux/{name}"));
        entry.kernel_path = Some(path);
        entry.command_line = Some(uki.command_line.clone().unwrap_or_default());
        Some(Block {
            name: stem.to_owned(),
            exhausted: tries == "0" || tries.starts_with("0-"),
            version: uki.uname.clone().unwrap_or_default(),
            sort_key: uki.release("ID").unwrap_or_default(),
            machine: String::new(),
            entry: entry.marked(),
        })
    });
    blocks.collect()
}

/// A pattern with `*` and `?`, as glob(7) has them.
fn fits(glob: &str, name: &str) -> bool {
    let (mut glob, mut name) = (glob.as_bytes(), name.as_bytes());
    // Where to go on when what follows the last `*` does not fit.
    let mut again: Option<(&[u8], &[u8])> = None;
    loop {
        match (glob.split_first(), name.split_first()) {
            (Some((b'*', rest)), _) => {
                again = Some((rest, name));
                glob = rest;
            }
            (Some((g, after)), Some((n, rest))) if *g == b'?' || g.eq_ignore_ascii_case(n) => {
                (glob, name) = (after, rest);
            }
            (None, None) => return true,
            _ => match again.and_then(|(glob, name)| Some((glob, name.split_first()?.1))) {
                Some((after, rest)) => {
                    again = Some((after, rest));
                    (glob, name) = (after, rest);
                }
                None => return false,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn globs_fit_as_in_a_shell() {
        for (glob, name, fit) in [
            ("*", "", true),
            ("arch-*", "arch-lts", true),
            ("arch-*.conf", "arch-lts", false),
            ("a?c*e", "abcde", true),
            ("*-x-*-y", "a-x-b-x-c-y", true),
            ("arch", "arch-lts", false),
        ] {
            assert_eq!(fits(glob, name), fit, "{glob} {name}");
        }
    }
}
