//! The units of a guest, looked up by name.

use crate::Scope;
use crate::index::{self, Index, Item, Rank};
use crate::made;
use crate::name::Name;
use crate::preset::Presets;
use crate::specifier::Host;
use crate::syntax::{self, Parsed};
use h2k_guest::{Fact, Look, Source};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// Links from name to name that are followed; systemd has no more of them in a row.
pub(crate) const LINKS: usize = 16;

/// The units of one manager, from the files of a guest. Every file is read once.
#[derive(Debug)]
pub struct Units<'a> {
    pub(crate) look: &'a Look<'a>,
    pub(crate) index: Index,
    scope: Scope,
    presets: Presets,
    host: std::cell::OnceCell<Host>,
    files: RefCell<BTreeMap<String, Rc<Parsed>>>,
    pub(crate) aliases: std::cell::OnceCell<Vec<(Name, Name)>>,
}

/// Where a name leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Lead {
    /// A unit file: its path and the directory of the search path that has it.
    File(String, usize),
    /// Nowhere, on purpose.
    Masked(usize, String),
    /// A link to another name.
    Alias(Name, String),
    /// A link to a file outside the search path.
    Linked(String, usize),
    /// A link that leads nowhere, or to what it cannot stand for.
    Broken(String),
}

impl<'a> Units<'a> {
    /// The units that lie in `look`'s files. With `made`, those too that systemd's generators would make of fstab,
    /// crypttab, scripts in `/etc/init.d` and consoles that are configured.
    #[must_use]
    pub fn new(look: &'a Look<'a>, scope: Scope, made: bool) -> Self {
        let mut index = Index::read(look, scope);
        if made && scope == Scope::System {
            made::add(look, &mut index);
        }
        Self {
            look,
            index,
            scope,
            presets: Presets::read(look, scope),
            host: std::cell::OnceCell::new(),
            files: RefCell::default(),
            aliases: std::cell::OnceCell::new(),
        }
    }

    /// Whose units these are.
    #[must_use]
    pub fn scope(&self) -> Scope {
        self.scope
    }

    /// The names of all unit files, aliases and templates among them.
    #[must_use]
    pub fn names(&self) -> BTreeSet<Name> {
        self.index.names()
    }

    /// Whether presets want `name` enabled, and what says so.
    #[must_use]
    pub fn preset(&self, name: &Name) -> Fact<bool> {
        self.presets.ask(name)
    }

    /// Links in the distribution's own directories that have `name` started though nobody enabled it.
    pub(crate) fn vendor_wants(&self, name: &Name) -> Vec<Source> {
        let vendor = self.index.dirs.iter().filter(|dir| dir.rank == Rank::Vendor);
        let pulls = vendor.flat_map(|dir| dir.pulls.iter().map(move |pull| (dir, pull)));
        pulls
            .filter(|(_, pull)| pull.name == name.as_str())
            .map(|(dir, pull)| {
                let path = format!("{}/{}.{}/{}", dir.path, pull.unit, pull.how, pull.name);
                Source::file(path.as_bytes())
            })
            .collect()
    }

    /// What specifiers of the host stand for.
    pub(crate) fn host(&self) -> &Host {
        self.host.get_or_init(|| Host::read(self.look))
    }

    pub(crate) fn rank(&self, dir: usize) -> Rank {
        self.index.dirs.get(dir).map_or(Rank::Vendor, |dir| dir.rank)
    }

    /// Where `name` itself leads, templates not asked; `None` where no directory has it.
    pub(crate) fn lead(&self, name: &Name) -> Option<Lead> {
        let (dir, item) = self.index.find(name.as_str())?;
        let path = format!("{}/{name}", self.index.dirs.get(dir)?.path);
        match item {
            Item::Made(_) => Some(Lead::File(path, dir)),
            Item::File(place) => {
                let empty = self.look.asked(path.as_bytes(), |_| {
                    self.look.tree().stat(*place).map(|s| Some(s.len == 0))
                });
                Some(match empty? {
                    true => Lead::Masked(dir, path),
                    false => Lead::File(path, dir),
                })
            }
            Item::Link(target) => self.link(name, dir, &path, target),
        }
    }

    fn link(&self, name: &Name, dir: usize, path: &str, target: &str) -> Option<Lead> {
        let broken = || Some(Lead::Broken(path.to_owned()));
        let base = self.index.dirs.get(dir)?.path.as_str();
        let full = joined(base, target);
        if full == "/dev/null" {
            return Some(Lead::Masked(dir, path.to_owned()));
        }
        let (parent, last) = full.rsplit_once('/')?;
        let known = self.index.has(parent);
        if known && last == name.as_str() {
            return broken();
        }
        if known || (last != name.as_str() && self.look.exists(&full)) {
            let Some(other) = Name::parse(last).filter(|other| may_stand_for(name, other)) else {
                return broken();
            };
            // The instance of a template, under its own name.
            if name.template().as_ref() == Some(&other) {
                // The very file the link names counts, and not what the search path has under its name.
                if self.look.target(&full).as_deref() == Some(b"/dev/null") {
                    return Some(Lead::Masked(usize::MAX, full));
                }
                return match self.look.exists(&full) {
                    true => Some(Lead::File(full, self.index.find(other.as_str())?.0)),
                    false => broken(),
                };
            }
            if known && self.index.find(other.as_str()).is_none() {
                return broken();
            }
            return Some(Lead::Alias(other, path.to_owned()));
        }
        let Some(there) = self.look.canonical(&full) else {
            return broken();
        };
        if there == b"/dev/null" || self.look.stat(&there).is_some_and(|s| s.len == 0) {
            // What masks lies in no directory of the search path, and so not below /run.
            return Some(Lead::Masked(usize::MAX, path.to_owned()));
        }
        Some(Lead::Linked(full, dir))
    }

    /// The name a name stands for in the end: aliases followed. `None` where they go round in circles or leave the
    /// kind of unit.
    pub(crate) fn resolved(&self, name: &Name) -> Option<(Name, Option<Lead>)> {
        let mut name = name.clone();
        for _ in 0..LINKS {
            let lead = self.lead(&name).or_else(|| self.instance_lead(&name));
            let Some(Lead::Alias(other, _)) = lead else {
                return Some((name, lead));
            };
            if other.kind() != name.kind() {
                return None;
            }
            // The alias of an instance is an instance, whether its link says so or its template's.
            name = match (other.is_template(), name.instance().filter(|i| !i.is_empty())) {
                (true, Some(instance)) => other.with_instance(instance)?,
                _ => other,
            };
        }
        None
    }

    fn instance_lead(&self, name: &Name) -> Option<Lead> {
        self.lead(&name.template()?)
    }

    /// What the unit file at `path` says.
    pub(crate) fn parsed(&self, path: &str) -> Rc<Parsed> {
        if let Some(known) = self.files.borrow().get(path) {
            return known.clone();
        }
        let parsed = Rc::new(
            self.text(path)
                .map_or_else(Parsed::default, |text| syntax::parse(path, &text)),
        );
        self.files.borrow_mut().insert(path.to_owned(), parsed.clone());
        parsed
    }

    /// The text of the unit file at `path`, also where a generator would write it.
    #[must_use]
    pub fn text(&self, path: &str) -> Option<String> {
        if let Some((dir, name)) = path.rsplit_once('/')
            && let Some(dir) = self.index.dirs.iter().find(|d| d.path == dir)
        {
            match dir.items.get(name)? {
                Item::Made(text) => return Some(text.clone()),
                Item::File(place) => return index::text(self.look, path, *place),
                Item::Link(_) => {}
            }
        }
        let place = self.look.place(path)?;
        index::text(self.look, path, place)
    }

    /// The system's default target: what `default.target` stands for, and what says so.
    #[must_use]
    pub fn default_target(&self) -> Option<Fact<Name>> {
        let name = Name::parse("default.target")?;
        let (dir, _) = self.index.find(name.as_str())?;
        let path = format!("{}/{name}", self.index.dirs.get(dir)?.path);
        let (target, lead) = self.resolved(&name)?;
        lead?;
        Some(Fact::new(target, h2k_guest::Source::file(path.as_bytes())))
    }
}

/// Whether a link `name` to `other` is an alias. Source: systemd.unit(5), "Alias=".
fn may_stand_for(name: &Name, other: &Name) -> bool {
    let instances = match (name.instance(), other.instance()) {
        (None, None) => true,
        (Some(""), Some(i)) => i.is_empty(),
        (Some(i), Some(j)) => j.is_empty() || i == j,
        _ => false,
    };
    name.kind() == other.kind() && instances
}

/// `path` as a link in `dir` means it, without `.`, `..` and doubled slashes.
pub(crate) fn joined(dir: &str, path: &str) -> String {
    let whole = match path.starts_with('/') {
        true => path.to_owned(),
        false => format!("{dir}/{path}"),
    };
    let mut parts: Vec<&str> = Vec::new();
    for part in whole.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}
