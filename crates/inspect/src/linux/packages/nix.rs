//! NixOS: what the system's profile puts into everybody's path. A profile is a directory of links into the store, whose
//! names are `HASH-NAME-VERSION`; what is in the store besides are dependencies and what older generations had.

use crate::packages::InstalledPackage;
use h2k_guest::look::join;
use h2k_guest::{Look, Source};
use std::collections::BTreeSet;

const PROFILES: [&str; 2] = ["/nix/var/nix/profiles/system/sw", "/nix/var/nix/profiles/default"];

pub(super) fn look(files: &Look<'_>) -> Vec<InstalledPackage> {
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    for profile in PROFILES {
        for dir in ["bin", "sbin"] {
            let dir = format!("{profile}/{dir}");
            for name in files.names(&dir) {
                let link = join(dir.as_bytes(), &name);
                let Some(item) = files.target(&link).and_then(|target| stored(&target)) else {
                    continue;
                };
                let (name, version) = split(&item);
                if seen.insert(item.clone()) {
                    found.push(super::plain("nix", name, version, &Source::file(&link)));
                }
            }
        }
    }
    found.sort_by(|a, b| (&a.name, &a.version).cmp(&(&b.name, &b.version)));
    found
}

/// `NAME-VERSION` of `/nix/store/HASH-NAME-VERSION/bin/x`.
fn stored(target: &[u8]) -> Option<String> {
    let rest = target.strip_prefix(b"/nix/store/")?;
    let item = rest.split(|b| *b == b'/').next()?;
    let (hash, name) = (item.get(..32)?, item.get(33..)?);
    let right = hash.iter().all(u8::is_ascii_alphanumeric) && item.get(32) == Some(&b'-');
    right.then(|| String::from_utf8_lossy(name).into_owned())
}

/// The version begins after the first hyphen that no letter follows; an output (`-bin`, `-man`) is no part of it.
fn split(item: &str) -> (&str, &str) {
    let hyphens = item.match_indices('-');
    let mut starts = hyphens.filter_map(|(at, _)| Some((at, item.get(at.checked_add(1)?..)?)));
    let found = starts.find(|(_, rest)| rest.starts_with(|c: char| c.is_ascii_digit()));
    let Some((at, version)) = found else {
        return (item, "");
    };
    let outputs = ["-bin", "-man", "-doc", "-info", "-dev", "-lib", "-out"];
    let version = outputs
        .iter()
        .find_map(|o| version.strip_suffix(o))
        .unwrap_or(version);
    (item.get(..at).unwrap_or(item), version)
}

#[cfg(test)]
mod tests {
    use super::{split, stored};

    #[test]
    fn names_of_the_store_come_apart() {
        let target = b"/nix/store/0123456789abcdfghijklmnpqrsvwxyz-coreutils-full-9.0-bin/bin/ls";
        assert_eq!(stored(target).as_deref(), Some("coreutils-full-9.0-bin"));
        assert_eq!(stored(b"/nix/store/short"), None);
        assert_eq!(split("coreutils-full-9.0-bin"), ("coreutils-full", "9.0"));
        assert_eq!(split("system-path"), ("system-path", ""));
        assert_eq!(
            split("python3.10-requests-2.28.1"),
            ("python3.10-requests", "2.28.1")
        );
    }
}
