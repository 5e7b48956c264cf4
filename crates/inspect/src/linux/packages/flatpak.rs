//! Flatpak: a directory for each application and runtime, and in it one for each architecture and branch. The version
//! stands in what the application tells software centres.

use crate::packages::InstalledPackage;
use h2k_guest::{Look, Source};

const HOME: &str = "/var/lib/flatpak";

pub(super) fn look(files: &Look<'_>) -> Vec<InstalledPackage> {
    let mut found = Vec::new();
    for kind in ["app", "runtime"] {
        let home = format!("{HOME}/{kind}");
        for id in texts(files, &home) {
            for arch in texts(files, &format!("{home}/{id}")) {
                // A link to the branch that counts.
                if arch == "current" {
                    continue;
                }
                for branch in texts(files, &format!("{home}/{id}/{arch}")) {
                    let active = format!("{home}/{id}/{arch}/{branch}/active");
                    let metadata = format!("{active}/metadata");
                    if !files.exists(&metadata) {
                        continue;
                    }
                    let version = version(files, &active, &id).unwrap_or_default();
                    let source = Source::file(metadata.as_bytes());
                    let mut package = super::plain("flatpak", &id, &version, &source);
                    package.arch = Some(arch.clone());
                    package.release = Some(branch);
                    package.group = Some(kind.to_owned());
                    found.push(package);
                }
            }
        }
    }
    found
}

fn texts(files: &Look<'_>, dir: &str) -> Vec<String> {
    let names = files.names(dir).into_iter();
    names.filter_map(|name| String::from_utf8(name).ok()).collect()
}

/// `<release version="…">`, the newest first.
fn version(files: &Look<'_>, active: &str, id: &str) -> Option<String> {
    let places = [
        format!("{active}/files/share/metainfo/{id}.metainfo.xml"),
        format!("{active}/files/share/metainfo/{id}.appdata.xml"),
        format!("{active}/files/share/appdata/{id}.appdata.xml"),
    ];
    let text = files.first_text(places)?;
    let (_, rest) = text.as_str().split_once("<release ")?;
    let (tag, _) = rest.split_once('>')?;
    let (_, value) = tag.split_once("version=")?;
    let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    value.split(quote).nth(1).map(str::to_owned)
}
