//! What the kernel's root holds once an image is unpacked: names with their kind, links followed.

use std::cell::Cell;
use std::collections::HashMap;

/// The deepest and the longest path that is followed. Real images stay far below.
const DEPTH: usize = 40;
const LONGEST: usize = 1024;

/// How many links may lead on to links.
const LINKS: usize = 40;

/// How many names may be looked up on the way to others, all together. Real images need a few hundred thousand.
const LOOKUPS: u32 = 8_000_000;

/// How many names an image may have.
const NAMES: usize = 100_000;

/// What lies at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Node {
    /// Kind and permissions, as `st_mode`.
    pub(super) mode: u32,
    /// Of a link, where it leads.
    pub(super) target: Option<Vec<u8>>,
}

impl Node {
    fn is_dir(&self) -> bool {
        self.mode & 0o170_000 == 0o040_000
    }
}

/// The names of an image, by their paths free of links.
#[derive(Debug, Default)]
pub(super) struct Listing {
    nodes: HashMap<Vec<u8>, Node>,
    /// How many names were looked up.
    spent: Cell<u32>,
    /// Whether something was left out: too many names, or names no real image has.
    pub(super) cut: bool,
}

impl Listing {
    /// Notes an entry, as the kernel would make it: its directory's links followed, what was there replaced. Says where
    /// it came to lie.
    pub(super) fn add(&mut self, name: &[u8], node: Node) -> Option<Vec<u8>> {
        let (dir, last) = match name.iter().rposition(|b| *b == b'/') {
            Some(at) => (name.get(..at)?, name.get(at.saturating_add(1)..)?),
            None => (&[][..], name),
        };
        if last.is_empty() || last == b"." {
            return None;
        }
        let place = self
            .resolve(dir)
            .filter(|_| self.nodes.len() < NAMES && last != b"..");
        let Some(mut place) = place else {
            self.cut = true;
            return None;
        };
        push(&mut place, last);
        self.nodes.insert(place.clone(), node);
        Some(place)
    }

    pub(super) fn get(&self, place: &[u8]) -> Option<&Node> {
        self.nodes.get(place)
    }

    /// `path` free of links; what is not there yet keeps its name. `None` for links that lead in circles, and paths no
    /// real image has.
    pub(super) fn resolve(&self, path: &[u8]) -> Option<Vec<u8>> {
        let mut left: Vec<Vec<u8>> = parts(path)?;
        left.reverse();
        let mut links = 0_usize;
        let mut place: Vec<u8> = Vec::new();
        while let Some(part) = left.pop() {
            if part == b".." {
                let end = place.iter().rposition(|b| *b == b'/').unwrap_or(0);
                place.truncate(end);
                continue;
            }
            let before = place.len();
            push(&mut place, &part);
            self.spent.set(self.spent.get().saturating_add(1));
            if self.spent.get() > LOOKUPS {
                return None;
            }
            let Some(target) = self.nodes.get(&place).and_then(|n| n.target.as_ref()) else {
                continue;
            };
            links = links.saturating_add(1);
            place.truncate(before);
            if target.first() == Some(&b'/') {
                place.clear();
            }
            left.extend(parts(target)?.into_iter().rev());
            if links > LINKS || left.len() > DEPTH || place.len() > LONGEST {
                return None;
            }
        }
        Some(place)
    }

    /// The directories above `place` that are not there, the outermost first; `None` where one of them is a file.
    pub(super) fn missing(&self, place: &[u8]) -> Option<Vec<Vec<u8>>> {
        let ends = place.iter().enumerate().filter(|(_, b)| **b == b'/');
        let mut all = Vec::new();
        for (end, _) in ends {
            let dir = place.get(..end)?;
            match self.nodes.get(dir) {
                None => all.push(dir.to_vec()),
                Some(node) if node.is_dir() => {}
                Some(_) => return None,
            }
        }
        Some(all)
    }
}

fn push(place: &mut Vec<u8>, part: &[u8]) {
    if !place.is_empty() {
        place.push(b'/');
    }
    place.extend(part);
}

/// The parts of a path that mean something.
fn parts(path: &[u8]) -> Option<Vec<Vec<u8>>> {
    let parts: Vec<Vec<u8>> = path
        .split(|b| *b == b'/')
        .filter(|p| !p.is_empty() && *p != b".")
        .map(<[u8]>::to_vec)
        .collect();
    (parts.len() <= DEPTH && path.len() <= LONGEST).then_some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(all: &[(&str, Option<&str>)]) -> Listing {
        let mut listing = Listing::default();
        for (path, target) in all {
            let mode = match target {
                Some(_) => 0o120_777,
                None if path.ends_with(".ko") => 0o100_644,
                None => 0o040_755,
            };
            let target = target.map(|t| t.as_bytes().to_vec());
            listing.add(path.as_bytes(), Node { mode, target });
        }
        listing
    }

    #[test]
    fn links_are_followed_and_what_is_missing_keeps_its_name() {
        let all = listing(&[
            ("usr", None),
            ("usr/lib", None),
            ("lib", Some("usr/lib")),
            ("lib/modules", None),
            ("abs", Some("/usr/../lib")),
            ("one", Some("two")),
            ("two", Some("one")),
            ("usr/lib/a.ko", None),
        ]);
        for (path, place) in [
            ("lib/modules/6/x", Some("usr/lib/modules/6/x")),
            ("./abs/y", Some("usr/lib/y")),
            ("new/dir", Some("new/dir")),
            ("../../etc", Some("etc")),
            ("one/x", None),
        ] {
            let found = all.resolve(path.as_bytes());
            assert_eq!(found.as_deref(), place.map(str::as_bytes), "{path}");
        }
        assert!(all.get(b"usr/lib/modules").is_some() && all.get(b"lib/modules").is_none());
        let missing = all.missing(b"usr/lib/modules/6/kernel/x.ko").unwrap();
        assert_eq!(
            missing,
            [
                b"usr/lib/modules/6".to_vec(),
                b"usr/lib/modules/6/kernel".to_vec()
            ]
        );
        assert_eq!(all.missing(b"usr/lib/a.ko/x"), None, "a file is no directory");
    }
}
