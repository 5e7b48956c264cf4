use super::open::OpenHive;
use crate::{Failure, OpenGuest, Result};
use h2k_block::{Class, Error, Limits, Meter};
use h2k_guest::Tree;
use h2k_hive::Hive;

/// The parts of a guest's registry that lie in files of their own: name, file below the system root.
pub const HIVES: [(&str, &str); 8] = [
    ("HKLM\\SYSTEM", "System32/config/SYSTEM"),
    ("HKLM\\SOFTWARE", "System32/config/SOFTWARE"),
    ("HKLM\\SAM", "System32/config/SAM"),
    ("HKLM\\SECURITY", "System32/config/SECURITY"),
    ("HKLM\\COMPONENTS", "System32/config/COMPONENTS"),
    ("HKLM\\DRIVERS", "System32/config/DRIVERS"),
    ("HKLM\\BCD00000000", "../Boot/BCD"),
    ("HKU\\.DEFAULT", "System32/config/DEFAULT"),
];

/// Where Windows lies.
const SYSTEM_ROOTS: [&str; 2] = ["/Windows", "/WINNT"];
/// Where users' hives lie.
const PROFILES: [&str; 2] = ["/Users", "/Documents and Settings"];

/// Opens the hive that holds `key` (`HKLM\SYSTEM\Select`) in a guest. Answers with it and the path inside it.
///
/// # Errors
/// [`Class::Invalid`] when `key` names no hive; [`Class::NotFound`] when the guest has none of that name; else as
/// [`OpenGuest::tree`] and [`Hive::open`].
pub fn hive_in(guest: &OpenGuest, key: &str) -> Result<(OpenHive, String)> {
    let assembled = guest.tree()?;
    let (prefix, files, rest) = file_of(key)?;
    let meter = &mut Meter::new(Limits::default());
    let tree = &assembled.tree;
    for file in &files {
        let found = tree
            .lookup(file.as_bytes(), true, meter)
            .map_err(|e| guest.about(e))?;
        let Some(place) = found else { continue };
        let read = |e: Error| guest.about(e.through(file.clone()));
        let bytes = tree.read_file(place, meter).map_err(read)?;
        let logs = logs_of(tree, file, meter).map_err(read)?;
        let refs: Vec<&[u8]> = logs.iter().map(Vec::as_slice).collect();
        let hive = Hive::open(bytes, &refs, &Limits::default()).map_err(read)?;
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
fn file_of(key: &str) -> Result<(String, Vec<String>, String)> {
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
        Some((_, file)) => SYSTEM_ROOTS
            .iter()
            .map(|root| match file.strip_prefix("..") {
                Some(file) => file.to_owned(),
                None => format!("{root}/{file}"),
            })
            .collect(),
        None if short == "HKU" && !second.contains('/') => PROFILES
            .iter()
            .map(|dir| format!("{dir}/{second}/NTUSER.DAT"))
            .collect(),
        None => return Err(invalid()),
    };
    Ok((format!("{long}\\{second}"), files, rest))
}

/// The transaction logs beside a hive of a guest.
fn logs_of(tree: &Tree, file: &str, meter: &mut Meter) -> h2k_block::Result<Vec<Vec<u8>>> {
    let mut logs = Vec::new();
    for suffix in [".LOG", ".LOG1", ".LOG2"] {
        if let Some(place) = tree.lookup(format!("{file}{suffix}").as_bytes(), true, meter)? {
            logs.push(tree.read_file(place, meter)?);
        }
    }
    Ok(logs)
}
