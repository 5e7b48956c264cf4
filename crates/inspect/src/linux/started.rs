//! Whether a service is started, as far as links tell.

use h2k_guest::look::{join, lossy};
use h2k_guest::{Fact, Look, Source};
use std::collections::BTreeMap;

/// Where systemd looks for units, the first first.
pub(crate) const UNIT_DIRS: [&str; 5] = [
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
];

/// What links start: of systemd, of the runlevels of System V, of OpenRC.
#[derive(Debug, Default)]
pub(crate) struct Started {
    wanted: BTreeMap<String, Source>,
    there: BTreeMap<String, Source>,
    masked: BTreeMap<String, Source>,
}

impl Started {
    pub(crate) fn new(look: &Look<'_>) -> Self {
        let mut all = Self::default();
        for dir in UNIT_DIRS {
            all.units(look, dir);
        }
        for dir in ["/etc/init.d", "/etc/rc.d/init.d"] {
            for name in look.names(dir) {
                let source = Source::file(&join(dir.as_bytes(), &name));
                all.there.entry(lossy(&name)).or_insert(source);
            }
        }
        for level in 2..=5 {
            for dir in [format!("/etc/rc{level}.d"), format!("/etc/rc.d/rc{level}.d")] {
                for name in look.names(&dir) {
                    // S20name
                    let short = name.strip_prefix(b"S").and_then(|n| n.get(2..));
                    all.want(short.unwrap_or_default(), &join(dir.as_bytes(), &name));
                }
            }
        }
        for level in look.names("/etc/runlevels") {
            let dir = join(b"/etc/runlevels", &level);
            for name in look.names(&dir) {
                all.want(&name, &join(&dir, &name));
            }
        }
        all
    }

    fn units(&mut self, look: &Look<'_>, dir: &str) {
        for name in look.names(dir) {
            let path = join(dir.as_bytes(), &name);
            if name.ends_with(b".wants") || name.ends_with(b".requires") {
                for unit in look.names(&path) {
                    self.want(&unit, &join(&path, &unit));
                }
            } else if dir == "/etc/systemd/system" && look.target(&path).as_deref() == Some(b"/dev/null") {
                self.masked.insert(lossy(&name), Source::file(&path));
            } else {
                self.there
                    .entry(lossy(&name))
                    .or_insert_with(|| Source::file(&path));
            }
        }
    }

    fn want(&mut self, name: &[u8], link: &[u8]) {
        if !name.is_empty() {
            self.wanted
                .entry(lossy(name))
                .or_insert_with(|| Source::file(link));
        }
    }

    /// Whether the unit or init script `name` is started; `None` where there is none of that name. A name without
    /// ending means the service of systemd too.
    pub(crate) fn state(&self, name: &str) -> Option<Fact<bool>> {
        let service = format!("{name}.service");
        let names = if name.contains('.') {
            vec![name]
        } else {
            vec![&service, name]
        };
        for name in names {
            let found = |of: &BTreeMap<String, Source>, value| {
                of.get(name).map(|source| Fact::new(value, source.clone()))
            };
            let state = found(&self.masked, false)
                .or_else(|| found(&self.wanted, true))
                .or_else(|| found(&self.there, false));
            if state.is_some() {
                return state;
            }
        }
        None
    }
}
