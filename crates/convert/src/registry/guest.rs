use super::open::OpenHive;
use crate::{Failure, OpenGuest, Result};
use h2k_block::{Class, Error, Limits, Meter};
use h2k_guest::registry::open_hive;
use h2k_guest::windows_root;

pub use h2k_guest::registry::HIVES;

/// Where users' hives lie.
const PROFILES: [&str; 2] = ["/Users", "/Documents and Settings"];

/// Opens the hive that holds `key` (`HKLM\SYSTEM\Select`) in a guest. Answers with it and the path inside it.
///
/// # Errors
/// [`Class::Invalid`] when `key` names no hive; [`Class::NotFound`] when the guest has none of that name; else as
/// [`OpenGuest::tree`] and [`open_hive`].
pub fn hive_in(guest: &OpenGuest, key: &str) -> Result<(OpenHive, String)> {
    let assembled = guest.tree()?;
    let limits = Limits::default();
    let meter = &mut Meter::new(limits);
    let tree = &assembled.tree;
    let fs = &*tree.at(tree.root()).map_err(|e| guest.about(e))?.fs;
    let root = windows_root(fs, meter).map_err(|e| guest.about(e))?;
    let root = root.map_or_else(
        || "/Windows".to_owned(),
        |root| String::from_utf8_lossy(&root).into_owned(),
    );
    let (prefix, files, rest) = file_of(key, &root)?;
    for file in &files {
        let read = |e: Error| guest.about(e.through(file.clone()));
        let Some(hive) = open_hive(tree, file.as_bytes(), &limits).map_err(read)? else {
            continue;
        };
        let disk = guest
            .disks
            .first()
            .map(|d| d.display().to_string())
            .unwrap_or_default();
        let open = OpenHive {
            filename: format!("{disk}:{file}"),
            hive,
            logs: Vec::new(),
            prefix,
            _file: None,
        };
        return Ok((open, rest));
    }
    let what = format!("no hive for {prefix} was found at {}", files.join(" or "));
    Err(Failure::from(Error::new(Class::NotFound, what.clone())).headed(what))
}

/// What a key is called in full up to its hive, the files that may be the hive, and the path inside it.
fn file_of(key: &str, system_root: &str) -> Result<(String, Vec<String>, String)> {
    let names: Vec<&str> = key.split('\\').filter(|name| !name.is_empty()).collect();
    let invalid = || {
        let known: Vec<&str> = HIVES.iter().map(|(name, _)| *name).collect();
        Failure::invalid(format!("{key:?} names no hive of a guest"))
            .advise(format!("begin with one of {}, or HKU\\USER", known.join(", ")))
    };
    let (Some(root), Some(second)) = (names.first(), names.get(1)) else {
        return Err(invalid());
    };
    let (short, long) = match root.to_ascii_uppercase().as_str() {
        "HKLM" | "HKEY_LOCAL_MACHINE" => ("HKLM", "HKEY_LOCAL_MACHINE"),
        "HKU" | "HKEY_USERS" => ("HKU", "HKEY_USERS"),
        _ => return Err(invalid()),
    };
    let rest = names.get(2..).unwrap_or_default().join("\\");
    let wanted = format!("{short}\\{second}");
    let known = HIVES.iter().find(|(name, _)| name.eq_ignore_ascii_case(&wanted));
    let files = match known {
        Some((_, file)) => vec![match file.strip_prefix("..") {
            Some(file) => file.to_owned(),
            None => format!("{system_root}/{file}"),
        }],
        None if short == "HKU" && !second.contains('/') => PROFILES
            .iter()
            .map(|dir| format!("{dir}/{second}/NTUSER.DAT"))
            .collect(),
        None => return Err(invalid()),
    };
    Ok((format!("{long}\\{second}"), files, rest))
}
