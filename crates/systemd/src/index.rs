//! What lies in the directories systemd looks for units in.

use crate::name::Name;
use crate::{Scope, syntax};
use h2k_fs::FileKind;
use h2k_guest::{Look, Place};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

/// Whose word a directory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// `/etc`: the administrator's.
    Config,
    /// `/run`: gone with the next boot.
    Runtime,
    /// What generators would write.
    Generator,
    /// `/usr`: the distribution's.
    Vendor,
}

/// What a name in a directory of units is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Item {
    /// A regular file.
    File(Place),
    /// A file that a generator would write, and its text.
    Made(String),
    /// A symbolic link, and its target as stored.
    Link(String),
}

/// A link in a directory such as `multi-user.target.wants`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pull {
    /// The unit the directory belongs to: `multi-user.target`.
    pub unit: String,
    /// What it does: `wants`, `requires` or `upholds`.
    pub how: &'static str,
    /// The name of the link.
    pub name: String,
    /// Where it points, as stored.
    pub target: String,
}

/// One directory of the search path.
#[derive(Clone, Debug)]
pub(crate) struct Dir {
    pub(crate) path: String,
    pub(crate) rank: Rank,
    pub(crate) items: BTreeMap<String, Item>,
    pub(crate) pulls: Vec<Pull>,
    /// Directories `NAME.d`, by NAME.
    pub(crate) drop_ins: BTreeSet<String>,
}

impl Dir {
    pub(crate) fn new(path: &str, rank: Rank) -> Self {
        Self {
            path: path.to_owned(),
            rank,
            items: BTreeMap::new(),
            pulls: Vec::new(),
            drop_ins: BTreeSet::new(),
        }
    }

    fn read(look: &Look<'_>, path: &str, rank: Rank) -> Self {
        let mut dir = Self::new(path, rank);
        for (name, kind, place) in entries(look, path) {
            match kind {
                FileKind::Dir => dir.below(look, &name),
                FileKind::Link => {
                    let at = format!("{path}/{name}");
                    if let Some(target) = target(look, &at, place) {
                        dir.items.insert(name, Item::Link(target));
                    }
                }
                FileKind::File => {
                    dir.items.insert(name, Item::File(place));
                }
                _ => {}
            }
        }
        dir
    }

    /// Leaves out what is more than `left`, and says whether there was such.
    fn cut(&mut self, left: &mut usize) -> bool {
        let all = self
            .items
            .len()
            .saturating_add(self.pulls.len())
            .saturating_add(self.drop_ins.len());
        if all <= *left {
            *left = left.saturating_sub(all);
            return false;
        }
        let items = std::mem::take(&mut self.items);
        self.items = items.into_iter().take(*left).collect();
        *left = left.saturating_sub(self.items.len());
        self.pulls.truncate(*left);
        *left = left.saturating_sub(self.pulls.len());
        let drop_ins = std::mem::take(&mut self.drop_ins);
        self.drop_ins = drop_ins.into_iter().take(*left).collect();
        *left = left.saturating_sub(self.drop_ins.len());
        true
    }

    fn below(&mut self, look: &Look<'_>, name: &str) {
        if let Some(unit) = name.strip_suffix(".d") {
            self.drop_ins.insert(unit.to_owned());
            return;
        }
        for how in HOWS {
            let Some(unit) = name.strip_suffix(how).and_then(|n| n.strip_suffix('.')) else {
                continue;
            };
            let path = format!("{}/{name}", self.path);
            for (link, kind, place) in entries(look, &path) {
                if kind != FileKind::Link {
                    continue;
                }
                if let Some(target) = target(look, &format!("{path}/{link}"), place) {
                    self.pulls.push(Pull {
                        unit: unit.to_owned(),
                        how,
                        name: link,
                        target,
                    });
                }
            }
        }
    }
}

/// What directories of links are called after.
const HOWS: [&str; 3] = ["wants", "requires", "upholds"];

fn target(look: &Look<'_>, path: &str, place: Place) -> Option<String> {
    let target = look.asked(path.as_bytes(), |_| look.tree().target(place).map(Some))?;
    Some(String::from_utf8_lossy(&target).into_owned())
}

/// Names, kinds and places of what lies in a directory. A name that is not UTF-8 can be no unit.
fn entries(look: &Look<'_>, path: &str) -> Vec<(String, FileKind, Place)> {
    let tree = look.tree();
    let read = look.asked(path.as_bytes(), |meter| {
        let Some(dir) = tree.lookup(path.as_bytes(), true, meter)? else {
            return Ok(None);
        };
        if tree.stat(dir)?.kind != FileKind::Dir {
            return Ok(None);
        }
        let mut all = Vec::new();
        let mut over = None;
        tree.list(dir, &mut |entry| {
            let len = u64::try_from(entry.name.len()).unwrap_or(u64::MAX);
            let paid = meter
                .step("directory entry")
                .and_then(|()| meter.bytes(len, "directory entry"));
            if let Err(e) = paid {
                over = Some(e);
                return ControlFlow::Break(());
            }
            if let Ok(name) = std::str::from_utf8(entry.name) {
                all.push((name.to_owned(), entry.kind, entry.place));
            }
            ControlFlow::Continue(())
        })?;
        if let Some(e) = over {
            return Err(e);
        }
        let mut known = Vec::with_capacity(all.len());
        for (name, kind, place) in all {
            let kind = match kind {
                Some(kind) => kind,
                None => tree.stat(place)?.kind,
            };
            known.push((name, kind, place));
        }
        known.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(Some(known))
    });
    read.unwrap_or_default()
}

/// Units, links and directories of one manager. Real systems have some thousand.
const MOST: usize = 10_000;

/// Everything in the search path, the strongest directory first.
#[derive(Debug)]
pub(crate) struct Index {
    pub(crate) dirs: Vec<Dir>,
}

impl Index {
    pub(crate) fn read(look: &Look<'_>, scope: Scope) -> Self {
        let merged = look
            .canonical("/lib")
            .is_none_or(|lib| lib.as_slice() == b"/usr/lib");
        // Where /lib is a link to /usr/lib its units are there already; links may name them either way.
        let twice = |path: &str| merged && path.starts_with("/lib/");
        let dir = |(path, rank): &(&str, Rank)| match twice(path) {
            true => Dir::new(path, *rank),
            false => Dir::read(look, path, *rank),
        };
        let mut dirs: Vec<Dir> = scope.search_path().iter().map(dir).collect();
        let mut left = MOST;
        for dir in &mut dirs {
            if dir.cut(&mut left) {
                let what = format!("there are more than {MOST} units and links");
                let error = h2k_block::Error::new(h2k_block::Class::Limit, what);
                look.failed(h2k_guest::Source::file(dir.path.as_bytes()), &error);
            }
        }
        Self { dirs }
    }

    /// Directories that lie in the search path.
    pub(crate) fn has(&self, path: &str) -> bool {
        self.dirs.iter().any(|dir| dir.path == path)
    }

    /// The first directory that has `name`, and its place in the order.
    pub(crate) fn find(&self, name: &str) -> Option<(usize, &Item)> {
        let mut dirs = self.dirs.iter().enumerate();
        dirs.find_map(|(i, dir)| Some((i, dir.items.get(name)?)))
    }

    /// Names of units that there are, each once.
    pub(crate) fn names(&self) -> BTreeSet<Name> {
        let all = self.dirs.iter().flat_map(|dir| dir.items.keys());
        all.filter_map(|name| Name::parse(name)).collect()
    }

    /// The drop-ins of the directories called after `names`, which are in the order of their strength: the files to
    /// read, in the order in which they are read.
    pub(crate) fn drop_ins(&self, look: &Look<'_>, names: &[String]) -> Vec<String> {
        let mut chosen: BTreeMap<String, Option<String>> = BTreeMap::new();
        for name in names {
            for dir in self.dirs.iter().filter(|dir| dir.drop_ins.contains(name)) {
                let path = format!("{}/{name}.d", dir.path);
                for (file, kind, _) in entries(look, &path) {
                    if !file.ends_with(".conf") || chosen.contains_key(&file) {
                        continue;
                    }
                    let at = format!("{path}/{file}");
                    let masked = match kind {
                        FileKind::Link => {
                            look.target(&at).as_deref() == Some(b"/dev/null")
                                || look.stat(&at).is_none_or(|s| s.len == 0)
                        }
                        FileKind::File => look.stat(&at).is_none_or(|s| s.len == 0),
                        _ => continue,
                    };
                    chosen.insert(file, (!masked).then_some(at));
                }
            }
        }
        chosen.into_values().flatten().collect()
    }
}

/// The text of the unit file at a place.
pub(crate) fn text(look: &Look<'_>, path: &str, place: Place) -> Option<String> {
    let bytes = look.asked(path.as_bytes(), |meter| {
        let tree = look.tree();
        let len = tree.stat(place)?.len;
        if len > syntax::LARGEST {
            let what = format!("it has {len} bytes, which is too large for a unit file");
            return Err(h2k_block::Error::new(h2k_block::Class::Limit, what));
        }
        tree.read_file(place, meter).map(Some)
    })?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}
