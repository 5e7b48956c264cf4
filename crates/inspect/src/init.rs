//! The init system, and what it starts.

use crate::report::Asking;
use h2k_guest::look::{join, lossy};
use h2k_guest::{Fact, Look, Source};
use h2k_systemd::{Name, Scope, Units};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;

/// The init system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Init {
    /// `systemd`, `upstart`, `openrc`, `runit`, `s6`, `dinit`, `busybox`, `sysvinit`; absent where none is known.
    pub kind: Option<Fact<String>>,
    /// The default target of systemd, the default runlevel of the others.
    pub default: Option<Fact<String>>,
    /// What is started, by name.
    pub services: Vec<Started>,
}

/// A service that the init system starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Started {
    /// Its name.
    pub name: String,
    /// The runlevels, targets or directories that start it; none where it is started always.
    pub levels: Vec<String>,
    /// What says so.
    pub source: Source,
}

/// Services of one system. Real ones have some hundred.
const MOST: usize = 10_000;

pub(crate) fn look(_: &Asking<'_>, files: &Look<'_>) -> Init {
    let kind = kind(files);
    let (default, services) = match kind.as_ref().map(|k| k.value.as_str()) {
        Some("systemd") => systemd(files),
        Some("upstart") => (inittab(files), upstart(files)),
        Some("openrc") => (openrc_default(files), openrc(files)),
        Some("runit") => (
            None,
            directories(
                files,
                &["/var/service", "/etc/service", "/etc/runit/runsvdir/default"],
            ),
        ),
        Some("s6") => (
            None,
            directories(
                files,
                &[
                    "/etc/s6/adminsv/default/contents.d",
                    "/etc/s6-rc/source/default/contents.d",
                    "/run/service",
                ],
            ),
        ),
        Some("dinit") => (None, directories(files, &["/etc/dinit.d/boot.d"])),
        Some(_) => (inittab(files), sysv(files)),
        None => (None, Vec::new()),
    };
    Init {
        kind,
        default,
        services,
    }
}

/// What `/sbin/init` is, by where it leads and by what lies beside it.
fn kind(files: &Look<'_>) -> Option<Fact<String>> {
    let fact = |word: &str, source: &[u8]| Some(Fact::new(word.to_owned(), Source::file(source)));
    let init = files.canonical("/sbin/init");
    let said = init.as_deref().map(lossy).unwrap_or_default();
    let ends = |ending: &str| said.ends_with(ending);
    let word = match () {
        () if ends("/systemd") => "systemd",
        () if ends("/busybox") || ends("/bbinit") => "busybox",
        () if ends("/openrc-init") => "openrc",
        () if ends("/runit-init") || ends("/runit") => "runit",
        () if ends("/s6-linux-init") || said.contains("/s6-linux-init/") => "s6",
        () if ends("/dinit") => "dinit",
        () => "",
    };
    // OpenRC is started by another init, which busybox and sysvinit are used as.
    let openrc = files.is_dir("/etc/runlevels") && files.exists("/sbin/openrc");
    if openrc && matches!(word, "" | "busybox") {
        return fact("openrc", b"/sbin/openrc");
    }
    if !word.is_empty() {
        return fact(word, b"/sbin/init");
    }
    for (path, word) in [
        ("/usr/lib/systemd/systemd", "systemd"),
        ("/lib/systemd/systemd", "systemd"),
        ("/etc/runit/2", "runit"),
        ("/sbin/initctl", "upstart"),
        ("/etc/inittab", "sysvinit"),
        ("/etc/init.d", "sysvinit"),
    ] {
        // An initctl comes with sysvinit too; upstart has jobs.
        let jobs = word != "upstart"
            || files
                .names("/etc/init")
                .iter()
                .any(|name| name.ends_with(b".conf"));
        if files.exists(path) && jobs && (init.is_some() || path != "/etc/init.d") {
            return fact(word, path.as_bytes());
        }
    }
    None
}

fn systemd(files: &Look<'_>) -> (Option<Fact<String>>, Vec<Started>) {
    let units = Units::new(files, Scope::System, true);
    let default = units.default_target();
    let start = default
        .as_ref()
        .map(|t| t.value.clone())
        .into_iter()
        .collect::<Vec<Name>>();
    let graph = h2k_systemd::Graph::from(&units, &start);
    let started = start.first().map(|name| graph.started(name)).unwrap_or_default();
    let services = started
        .iter()
        .filter(|name| name.kind() == h2k_systemd::Kind::Service);
    let services = services.filter_map(|name| {
        let mut by: Vec<_> = graph.dependents(name);
        by.retain(|(from, edge)| edge.dep.starts() && started.contains(*from));
        let source = by.first().map(|(_, edge)| edge.source.clone())?;
        Some(Started {
            name: name.to_string(),
            levels: by.iter().map(|(from, _)| from.to_string()).collect(),
            source,
        })
    });
    (
        default.map(|t| t.map(|name| name.to_string())),
        services.collect(),
    )
}

/// `id:3:initdefault:`, and upstart's `DEFAULT_RUNLEVEL`.
fn inittab(files: &Look<'_>) -> Option<Fact<String>> {
    let table = files.text("/etc/inittab");
    let found = table.iter().flat_map(|t| t.spoken()).find_map(|line| {
        let mut fields = line.text.split(':').skip(1);
        let (level, action) = (fields.next()?, fields.next()?);
        (action == "initdefault").then(|| line.fact(level.to_owned()))
    });
    found.or_else(|| {
        let text = files.text("/etc/init/rc-sysinit.conf")?;
        let mut lines = text.spoken();
        lines.find_map(|line| Some(line.fact(line.text.strip_prefix("env DEFAULT_RUNLEVEL=")?.to_owned())))
    })
}

/// Adds a level to a service.
fn add(all: &mut BTreeMap<String, Started>, name: String, level: Option<&str>, source: Source) {
    if all.len() >= MOST && !all.contains_key(&name) {
        return;
    }
    let service = all.entry(name.clone()).or_insert(Started {
        name,
        levels: Vec::new(),
        source,
    });
    service.levels.extend(level.map(str::to_owned));
}

/// Links `S??name` in `/etc/rc?.d` and its kin.
fn sysv(files: &Look<'_>) -> Vec<Started> {
    let mut all = BTreeMap::new();
    for level in ["S", "sysinit", "0", "1", "2", "3", "4", "5", "6"] {
        let dirs = [
            format!("/etc/rc{level}.d"),
            format!("/etc/rc.d/rc{level}.d"),
            format!("/etc/init.d/rc{level}.d"),
        ];
        let dir = dirs.into_iter().find(|dir| files.is_dir(dir)).unwrap_or_default();
        for link in files.names(&dir) {
            let script = link
                .strip_prefix(b"S")
                .and_then(|rest| rest.get(2..))
                .filter(|n| !n.is_empty());
            if let Some(script) = script {
                add(
                    &mut all,
                    lossy(script),
                    Some(level),
                    Source::file(&join(dir.as_bytes(), &link)),
                );
            }
        }
    }
    if all.is_empty() {
        // Busybox runs what its table names, and the scripts of one directory in the order of their names.
        if let Some(table) = files.text("/etc/inittab") {
            for line in table.spoken() {
                let fields: Vec<&str> = line.text.splitn(4, ':').collect();
                if let [_, level, action, command] = fields.as_slice()
                    && matches!(
                        *action,
                        "respawn" | "once" | "wait" | "sysinit" | "boot" | "bootwait"
                    )
                {
                    add(
                        &mut all,
                        (*command).to_owned(),
                        Some(level).filter(|l| !l.is_empty()).copied(),
                        line.source(),
                    );
                }
            }
        }
        for script in files.names("/etc/init.d") {
            if script.starts_with(b"S") {
                let path = join(b"/etc/init.d", &script);
                add(&mut all, lossy(&script), None, Source::file(&path));
            }
        }
    }
    all.into_values().collect()
}

/// Jobs with `start on`, unless an override says `manual`; and scripts in `/etc/rc?.d`, which upstart runs too.
fn upstart(files: &Look<'_>) -> Vec<Started> {
    let mut all = BTreeMap::new();
    for job in files.texts_in("/etc/init", ".conf") {
        let path = lossy(job.path());
        let Some(stem) = path
            .strip_prefix("/etc/init/")
            .and_then(|n| n.strip_suffix(".conf"))
        else {
            continue;
        };
        let over = files.text(format!("/etc/init/{stem}.override"));
        let lines = job.spoken().chain(over.iter().flat_map(|t| t.spoken()));
        let mut start = None;
        for line in lines {
            match line.text.strip_prefix("start on") {
                Some(event) => start = Some((event.trim().to_owned(), line.source())),
                None if line.text == "manual" => start = None,
                None => {}
            }
        }
        if let Some((event, source)) = start {
            add(&mut all, stem.to_owned(), Some(&event), source);
        }
    }
    for service in sysv(files) {
        all.entry(service.name.clone()).or_insert(service);
    }
    all.into_values().collect()
}

fn openrc_default(files: &Look<'_>) -> Option<Fact<String>> {
    let known = files.is_dir("/etc/runlevels/default");
    known.then(|| Fact::new("default".to_owned(), Source::file(b"/etc/runlevels/default")))
}

fn openrc(files: &Look<'_>) -> Vec<Started> {
    let mut all = BTreeMap::new();
    for level in files.names("/etc/runlevels") {
        let dir = join(b"/etc/runlevels", &level);
        for service in files.names(&dir) {
            add(
                &mut all,
                lossy(&service),
                Some(&lossy(&level)),
                Source::file(&join(&dir, &service)),
            );
        }
    }
    all.into_values().collect()
}

/// Every name in the first of these directories that there is, but those that begin with a dot, and those with a file
/// `down`, which runit does not start.
fn directories(files: &Look<'_>, dirs: &[&str]) -> Vec<Started> {
    let Some(dir) = dirs.iter().find(|dir| files.is_dir(dir)) else {
        return Vec::new();
    };
    let names = files
        .names(dir)
        .into_iter()
        .filter(|name| !name.starts_with(b"."));
    names
        .map(|name| (lossy(&name), join(dir.as_bytes(), &name)))
        .filter(|(_, path)| !files.exists(join(path, b"down")))
        .take(MOST)
        .map(|(name, path)| Started {
            name,
            levels: Vec::new(),
            source: Source::file(&path),
        })
        .collect()
}
