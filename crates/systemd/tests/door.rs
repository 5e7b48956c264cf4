//! The door hostile unit files come through: the same functions serve the mutation tests and the fuzz target.

use h2k_block::Limits;
use h2k_fs::MemFs;
use h2k_guest::{Look, Tree};
use h2k_systemd::syntax::{Escapes, parse, words};
use h2k_systemd::{Calendar, Calls, Clocks, Lists, Name, Scope, Units, name, security, span, verify};
use std::sync::Arc;

/// What hostile input may cost here.
const LIMITS: Limits = Limits {
    bytes: 1 << 20,
    steps: 20_000,
    depth: 16,
};

/// Reads a unit setting by setting. Says how many calendar expressions and how many spans of time were understood.
pub fn texts(bytes: &[u8]) -> (usize, usize) {
    let (mut calendars, mut spans) = (0, 0);
    let text = String::from_utf8_lossy(bytes);
    for setting in parse("/x", &text).settings {
        let _ = words(&setting.value, Escapes::Keep);
        let _ = words(&setting.value, Escapes::Take);
        let _ = name::unescape_path(&setting.value).map(|p| name::escape_path(&p));
        let _ = Name::parse(&setting.value).map(|n| n.template());
        if setting.key.starts_with("OnCal")
            && let Some(calendar) = Calendar::parse(&setting.value)
        {
            calendars += 1;
            assert_eq!(
                Calendar::parse(&calendar.to_string()),
                Some(calendar.clone()),
                "{calendar}"
            );
            let _ = calendar.next(1_795_273_200_000_000, &Clocks::utc());
        }
        if setting.key.starts_with("OnBoot") && span::parse(&setting.value).map(span::human).is_some() {
            spans += 1;
        }
    }
    (calendars, spans)
}

/// The units of a guest whose content the caller gives, in this order.
pub const UNITS: [&str; 6] = [
    "a.service",
    "b@.service",
    "c.socket",
    "default.target",
    "t.timer",
    "x-y.mount",
];

/// Asks everything of a guest with these [`UNITS`] and this table of mounts. Says how many problems its check found, and
/// how many of its services are exposed.
pub fn guest<'a>(units: impl IntoIterator<Item = &'a [u8]>, fstab: &[u8]) -> (usize, usize) {
    let mut fs = MemFs::new();
    for (unit, content) in UNITS.iter().zip(units) {
        fs.file(&format!("/usr/lib/systemd/system/{unit}"), content)
            .unwrap();
    }
    fs.link("/etc/systemd/system/c.service", "c.service").unwrap();
    fs.link("/etc/systemd/system/d.service", "c.service").unwrap();
    fs.link("/etc/systemd/system/default.target.wants/t.timer", "../t.timer")
        .unwrap();
    fs.file("/etc/fstab", fstab).unwrap();
    let tree = Tree::new("/dev/sda1", Arc::new(fs));
    let look = Look::new(&tree, &LIMITS);
    let units = Units::new(&look, Scope::System, true);
    let lists = Lists::new(&units);
    let _ = (
        lists.unit_files(),
        lists.timers(0, &Clocks::of(&look)),
        lists.sockets(),
        lists.mounts(),
    );
    let calls = Calls::new();
    let names = units.names();
    let judged = names
        .iter()
        .filter_map(|name| security(&units, &units.unit(name), &calls));
    let exposed = judged.filter(|found| found.exposure > 0).count();
    (verify(&units, lists.graph()).len(), exposed)
}

/// A guest whose units are the parts of `bytes` between zeros, the last one its table of mounts; and each of them by
/// itself.
#[allow(dead_code)]
pub fn knock(bytes: &[u8]) {
    let parts: Vec<&[u8]> = bytes.split(|b| *b == 0).take(UNITS.len() + 1).collect();
    for part in &parts {
        texts(part);
    }
    let fstab = parts.get(UNITS.len()).copied().unwrap_or_default();
    guest(parts, fstab);
}
