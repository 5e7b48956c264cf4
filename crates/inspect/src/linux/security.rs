//! SELinux, AppArmor, FIPS.

use super::cmdline::{self, values};
use super::started::Started;
use crate::report::Asking;
use crate::security::{AppArmor, Profile, Security, Selinux};
use h2k_guest::look::{join, lossy};
use h2k_guest::{Fact, Look, Source, Text};
use std::collections::{BTreeMap, BTreeSet};

/// How deep profiles may lie in folders; AppArmor itself goes into every one it is not told to leave.
const DEEPEST: usize = 8;

pub(crate) fn look(_: &Asking<'_>, look: &Look<'_>) -> Security {
    let words = cmdline::words(look);
    let about = [
        "selinux",
        "enforcing",
        "autorelabel",
        "security",
        "lsm",
        "apparmor",
        "fips",
    ];
    let mut seen = BTreeSet::new();
    let mut switches: Vec<Fact<String>> = Vec::new();
    for word in &words {
        let key = word.value.split('=').next().unwrap_or_default();
        if about.contains(&key) && seen.insert(&word.value) {
            switches.push(word.clone());
        }
    }
    Security {
        selinux: selinux(look, &words),
        apparmor: apparmor(look, &words),
        fips: fips(look, &words),
        kernel_switches: switches,
        group_policies: Vec::new(),
    }
}

fn fips(look: &Look<'_>, words: &[Fact<String>]) -> Option<Fact<bool>> {
    if let Some((value, word)) = values(words, "fips").next_back() {
        return Some(Fact::new(value == "1", word.source.clone()));
    }
    let text = look.text("/etc/system-fips");
    text.map(|text| Fact::new(true, text.source()))
}

fn selinux(look: &Look<'_>, words: &[Fact<String>]) -> Option<Selinux> {
    let config = look.first_text(["/etc/selinux/config", "/etc/sysconfig/selinux"])?;
    let lower = |fact: Fact<String>| fact.map(|v| v.to_ascii_lowercase());
    let configured = config.assigned("SELINUX").map(lower);
    let policy = config.assigned("SELINUXTYPE");
    let mut files = Vec::new();
    for name in look.names("/etc/selinux") {
        let dir = join(&join(b"/etc/selinux", &name), b"policy");
        let policies = look.names(&dir);
        let policies = policies.iter().filter(|file| file.starts_with(b"policy."));
        files.extend(policies.map(|file| Source::file(&join(&dir, file))));
    }
    let present = policy.as_ref().is_none_or(|policy| {
        let dir = format!("/etc/selinux/{}/policy/", policy.value);
        files.iter().any(|file| file.as_str().starts_with(&dir))
    });
    let effective = effective(configured.as_ref(), words, present, &config);
    let asked = values(words, "autorelabel").find(|(value, _)| *value == "1");
    let autorelabel = match asked {
        Some((_, word)) => Some(Fact::new(true, word.source.clone())),
        None => look
            .exists("/.autorelabel")
            .then(|| Fact::new(true, Source::file(b"/.autorelabel"))),
    };
    Some(Selinux {
        configured,
        effective,
        policy,
        policy_files: files,
        autorelabel,
    })
}

/// The kernel's words count for more than the file: selinux(8). Without a policy nothing is loaded.
fn effective(
    configured: Option<&Fact<String>>,
    words: &[Fact<String>],
    present: bool,
    config: &Text,
) -> Option<Fact<String>> {
    let fact = |mode: &str, source: &Source| Some(Fact::new(mode.to_owned(), source.clone()));
    if let Some((_, word)) = values(words, "selinux").find(|(value, _)| *value == "0") {
        return fact("disabled", &word.source);
    }
    let configured = configured?;
    if configured.value == "disabled" {
        return Some(configured.clone());
    }
    if !present {
        return fact("disabled", &config.source());
    }
    match values(words, "enforcing").next_back() {
        Some(("0", word)) => fact("permissive", &word.source),
        Some(("1", word)) => fact("enforcing", &word.source),
        _ => Some(configured.clone()),
    }
}

fn apparmor(look: &Look<'_>, words: &[Fact<String>]) -> Option<AppArmor> {
    if !look.is_dir("/etc/apparmor.d") {
        return None;
    }
    let off = values(words, "apparmor")
        .find(|(value, _)| *value == "0")
        .or_else(|| values(words, "security").find(|(value, _)| *value != "apparmor"));
    let enabled = match off {
        Some((_, word)) => Some(Fact::new(false, word.source.clone())),
        None => Started::new(look).state("apparmor"),
    };
    // A link of a profile's name in these folders is how aa-disable and aa-complain tell.
    let mut forced = BTreeMap::new();
    for (dir, mode) in [("force-complain", "complain"), ("disable", "disable")] {
        for name in look.names(join(b"/etc/apparmor.d", dir.as_bytes())) {
            forced.insert(name, mode);
        }
    }
    let mut profiles = Vec::new();
    read_dir(look, b"/etc/apparmor.d", DEEPEST, &forced, &mut profiles);
    Some(AppArmor { enabled, profiles })
}

fn read_dir(
    look: &Look<'_>,
    dir: &[u8],
    deeper: usize,
    forced: &BTreeMap<Vec<u8>, &str>,
    profiles: &mut Vec<Profile>,
) {
    // Not profiles, but what profiles include.
    let parts = [
        "abi",
        "abstractions",
        "tunables",
        "local",
        "disable",
        "force-complain",
        "cache",
    ];
    for name in look.names(dir) {
        let path = join(dir, &name);
        let hidden = name.starts_with(b".") || name.ends_with(b"~") || lossy(&name).contains(".dpkg-");
        let part = parts.iter().any(|p| p.as_bytes() == name.as_slice());
        if hidden || name == b"README" {
            continue;
        }
        if look.is_dir(&path) {
            if !part && deeper > 0 {
                read_dir(look, &path, deeper.saturating_sub(1), forced, profiles);
            }
        } else if let Some(file) = look.text(&path) {
            read_profiles(&file, forced.get(&name).copied(), profiles);
        }
    }
}

/// The profiles that a file begins: apparmor.d(5). Profiles in profiles are parts of them.
fn read_profiles(file: &Text, forced: Option<&str>, profiles: &mut Vec<Profile>) {
    let mut depth = 0_usize;
    for line in file.spoken() {
        let said = line.text.split(" #").next().unwrap_or_default().trim();
        if depth == 0 && said.ends_with('{') {
            let head = said.trim_end_matches('{').trim();
            let named = head.strip_prefix("profile ");
            let hat = head.starts_with("hat ") || head.starts_with('^');
            let name = named.unwrap_or(head);
            if named.is_some() || (name.starts_with(['/', '@', '"']) && !hat) {
                profiles.push(Profile {
                    name: first_word(name),
                    mode: forced.unwrap_or_else(|| mode(head)).to_owned(),
                    source: line.source(),
                });
            }
        }
        // Patterns have braces too, in pairs.
        let opened = said.matches('{').count();
        let closed = said.matches('}').count();
        depth = depth.saturating_add(opened).saturating_sub(closed);
    }
}

fn first_word(name: &str) -> String {
    match name.strip_prefix('"') {
        Some(quoted) => quoted.split('"').next().unwrap_or_default().to_owned(),
        None => name.split_whitespace().next().unwrap_or_default().to_owned(),
    }
}

fn mode(head: &str) -> &'static str {
    let flags = head
        .split_once("flags")
        .and_then(|(_, rest)| rest.split_once('('));
    let flags = flags.map_or("", |(_, rest)| rest.split(')').next().unwrap_or_default());
    let mut said = flags.split([',', ' ']).map(str::trim);
    let known = [
        "enforce",
        "complain",
        "kill",
        "default_allow",
        "unconfined",
        "prompt",
    ];
    said.find_map(|flag| known.into_iter().find(|k| *k == flag))
        .unwrap_or("enforce")
}
