//! Dependencies that go with the kind of a unit.
//!
//! Sources: "Automatic dependencies" in systemd.service(5), systemd.socket(5), systemd.target(5), systemd.mount(5),
//! systemd.automount(5), systemd.swap(5), systemd.timer(5), systemd.path(5), systemd.slice(5), systemd.exec(5).

use crate::graph::{Dep, has_defaults};
use crate::name::{Kind, Name};
use crate::unit::{Load, Unit};
use crate::units::Units;
use h2k_guest::Source;

/// Takes a dependency, the unit, and what says so, where that is not the kind alone.
type Add<'a> = &'a mut dyn FnMut(Dep, Option<Name>, Option<Source>);

/// Tells `add` every dependency of that sort.
pub(crate) fn add(units: &Units<'_>, unit: &Unit, add: Add<'_>) {
    if unit.load != Load::Loaded {
        return;
    }
    triggers(units, unit, add);
    slice(units, unit, add);
    match unit.name.kind() {
        Kind::Mount => mount(unit, add),
        Kind::Automount if has_defaults(unit) => {
            both(add, &[Dep::Before, Dep::Conflicts], "umount.target");
            both(add, &[Dep::Before], "local-fs.target");
            both(add, &[Dep::After], "local-fs-pre.target");
        }
        Kind::Swap if has_defaults(unit) => {
            both(add, &[Dep::Before], "swap.target");
            both(add, &[Dep::Before, Dep::Conflicts], "umount.target");
        }
        Kind::Service => service(units, unit, add),
        Kind::Socket if has_defaults(unit) => basic(add, Some("sockets.target")),
        Kind::Path if has_defaults(unit) => basic(add, Some("paths.target")),
        Kind::Timer if has_defaults(unit) => {
            basic(add, Some("timers.target"));
            if !unit.all("Timer", "OnCalendar").is_empty() {
                both(add, &[Dep::After], "time-sync.target");
                both(add, &[Dep::After], "time-set.target");
            }
        }
        Kind::Target if has_defaults(unit) => both(add, &[Dep::Before, Dep::Conflicts], "shutdown.target"),
        Kind::Slice if has_defaults(unit) && !matches!(unit.name.as_str(), "-.slice" | "system.slice") => {
            both(add, &[Dep::Before, Dep::Conflicts], "shutdown.target");
        }
        _ => {}
    }
}

fn both(add: Add<'_>, deps: &[Dep], name: &str) {
    for dep in deps {
        add(*dep, Name::parse(name), None);
    }
}

/// What is part of the system that is up.
fn basic(add: Add<'_>, group: Option<&str>) {
    both(add, &[Dep::Requires, Dep::After], "sysinit.target");
    both(add, &[Dep::Before, Dep::Conflicts], "shutdown.target");
    if let Some(group) = group {
        both(add, &[Dep::Before], group);
    }
}

fn service(units: &Units<'_>, unit: &Unit, add: Add<'_>) {
    if has_defaults(unit) {
        basic(add, None);
        both(add, &[Dep::After], "basic.target");
    }
    let kind = unit.last("Service", "Type").map(|s| s.value.as_str());
    let bus = unit.last("Service", "BusName");
    if kind == Some("dbus") || (kind.is_none() && bus.is_some()) {
        both(add, &[Dep::Requires, Dep::After], "dbus.socket");
    }
    for setting in unit.all("Service", "Sockets") {
        for socket in units.named(unit, setting) {
            add(Dep::Wants, Some(socket.clone()), Some(setting.source.clone()));
            add(Dep::After, Some(socket), Some(setting.source.clone()));
        }
    }
    // Output goes to the journal, unless it goes where the input comes from, or somewhere else.
    let value = |key: &str| unit.last("Service", key).map(|s| s.value.as_str());
    let to_journal = |value: &str| {
        ["journal", "kmsg", "syslog"]
            .iter()
            .any(|to| value.starts_with(to))
    };
    let input = value("StandardInput").is_some_and(|v| v != "null");
    let output = value("StandardOutput").filter(|v| *v != "inherit");
    let journal = output.map_or(!input, to_journal) || value("StandardError").is_some_and(to_journal);
    if journal {
        both(add, &[Dep::After], "systemd-journald.socket");
    }
    let kept = ["StateDirectory", "CacheDirectory", "LogsDirectory"];
    if kept.iter().any(|key| !unit.all("Service", key).is_empty()) {
        both(add, &[Dep::After], "systemd-remount-fs.service");
    }
    if unit.switch("Service", "PrivateTmp", false) {
        both(add, &[Dep::After], "systemd-tmpfiles-setup.service");
    }
}

fn mount(unit: &Unit, add: Add<'_>) {
    if !has_defaults(unit) || unit.name.as_str() == "-.mount" {
        return;
    }
    let value = |key: &str| unit.last("Mount", key).map_or("", |s| s.value.as_str());
    let options: Vec<&str> = value("Options").split(',').collect();
    let network = options.contains(&"_netdev")
        || matches!(
            value("Type"),
            "nfs" | "nfs4" | "cifs" | "smb3" | "ceph" | "glusterfs" | "gfs2" | "ocfs2" | "afs"
        );
    if network {
        both(add, &[Dep::After], "remote-fs-pre.target");
        both(add, &[Dep::After], "network.target");
        both(add, &[Dep::Wants, Dep::After], "network-online.target");
    } else {
        both(add, &[Dep::After], "local-fs-pre.target");
    }
    let group = if network {
        "remote-fs.target"
    } else {
        "local-fs.target"
    };
    if !options.contains(&"nofail") {
        both(add, &[Dep::Before], group);
    }
    both(add, &[Dep::Before, Dep::Conflicts], "umount.target");
}

/// What a timer, a path, a socket or an automount starts.
fn triggers(units: &Units<'_>, unit: &Unit, add: Add<'_>) {
    let kind = unit.name.kind();
    let said = match kind {
        Kind::Timer | Kind::Path => unit.last(unit.own(), "Unit"),
        Kind::Socket => unit.last("Socket", "Service"),
        Kind::Automount => None,
        _ => return,
    };
    let named = said.and_then(|setting| units.named(unit, setting).into_iter().next());
    let accept = kind == Kind::Socket && unit.switch("Socket", "Accept", false);
    let to = match kind {
        Kind::Automount => unit.name.sibling(Kind::Mount),
        // A service for each connection: none of them is there yet.
        Kind::Socket if accept => return,
        _ => named.or_else(|| unit.name.sibling(Kind::Service)),
    };
    let source = said.map(|s| s.source.clone());
    add(Dep::Before, to.clone(), source.clone());
    add(Dep::Triggers, to, source);
}

/// The slice whose resources a unit shares.
fn slice(units: &Units<'_>, unit: &Unit, add: Add<'_>) {
    let kind = unit.name.kind();
    if kind == Kind::Slice {
        if let Some(parent) = parent(&unit.name) {
            add(Dep::Requires, Some(parent.clone()), None);
            add(Dep::After, Some(parent), None);
        }
        return;
    }
    if !matches!(kind, Kind::Service | Kind::Socket | Kind::Mount | Kind::Swap) {
        return;
    }
    let said = unit.last(unit.own(), "Slice");
    let named = said.and_then(|setting| units.named(unit, setting).into_iter().next());
    let default = || {
        let text = match unit.name.is_instance() {
            true => format!("system-{}.slice", unit.name.prefix().replace('-', "\\x2d")),
            false => "system.slice".to_owned(),
        };
        Name::parse(&text)
    };
    let slice = named.or_else(|| {
        let user = units.scope() == crate::Scope::User;
        if user { Name::parse("app.slice") } else { default() }
    });
    let source = said.map(|s| s.source.clone());
    add(Dep::Requires, slice.clone(), source.clone());
    add(Dep::After, slice, source);
}

/// `a-b.slice` lies in `a.slice`, and that in `-.slice`.
fn parent(slice: &Name) -> Option<Name> {
    match slice.stem() {
        "-" => None,
        stem => match stem.rsplit_once('-') {
            Some((less, _)) if !less.is_empty() => Name::parse(&format!("{less}.slice")),
            _ => Name::parse("-.slice"),
        },
    }
}
