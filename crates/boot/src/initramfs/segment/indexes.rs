//! The indexes of modules in an image, and with more modules in them.
//!
//! The indexes of the guest's own directory will not do: they name files as they lie there, packed, and modules that
//! the image does not have.

use super::need::{Module, Source};
use super::{Image, Step, image_error};
use crate::kmod::{Entries, Index};
use h2k_block::{Limits, Meter, Result};
use h2k_guest::Look;
use h2k_guest::look::join;
use std::collections::BTreeSet;

/// What an index may cost: far more than the largest that distributions ship needs.
const INDEX: Limits = Limits {
    bytes: 256 << 20,
    steps: 8_000_000,
    depth: 64,
};

/// One of the two forms of `modules.dep` or `modules.alias`.
#[derive(Clone, Debug, Default)]
struct Pair {
    /// `.bin`, which kmod and udev read.
    binary: Option<Entries>,
    /// The text, which busybox reads.
    text: Option<Entries>,
}

impl Pair {
    /// What there is already: what the binary form says, and of the text what that one does not know.
    fn base(&self) -> Entries {
        let mut all = self.binary.clone().unwrap_or_default();
        for (key, values) in self.text.iter().flat_map(Entries::iter) {
            for value in values
                .iter()
                .filter(|_| self.binary.as_ref().is_none_or(|b| b.get(key).is_empty()))
            {
                all.add(key, value.priority, &value.text);
            }
        }
        all
    }

    /// Whether a text has to be written: where there is one, and where nothing is.
    fn wants_text(&self) -> bool {
        self.text.is_some() || self.binary.is_none()
    }
}

/// The indexes of an image.
pub(super) struct Indexes {
    /// The directory of modules in the image, as modprobe calls it.
    dir: String,
    dep: Pair,
    alias: Pair,
    softdep: Option<String>,
    /// Modules that lie in the image, where it has no index and its script loads them by their files.
    loose: BTreeSet<String>,
}

impl Indexes {
    pub(super) fn read(image: &Image, release: &str, loose: bool) -> Step<Self> {
        let dir = format!("lib/modules/{release}");
        let mut indexes = Self {
            dep: pair(image, &dir, "modules.dep", &Entries::of_dependencies)?,
            alias: pair(image, &dir, "modules.alias", &Entries::of_aliases)?,
            softdep: None,
            loose: BTreeSet::new(),
            dir,
        };
        let softdep = image.kept(&format!("{}/modules.softdep", indexes.dir))?;
        indexes.softdep = softdep.map(|t| String::from_utf8_lossy(t).into_owned());
        if loose {
            indexes.dir = "lib".to_owned();
            indexes.loose.extend(image.contents.modules.keys().cloned());
        }
        Ok(indexes)
    }

    /// Whether a module is found by everybody who asks for it.
    pub(super) fn has(&self, name: &str) -> bool {
        let forms = [&self.dep.binary, &self.dep.text];
        let mut there = forms.into_iter().flatten().peekable();
        if there.peek().is_none() {
            return self.loose.contains(name);
        }
        there.all(|entries| !entries.get(name).is_empty())
    }

    /// Where a module goes.
    pub(super) fn path_of(&self, module: &Module) -> String {
        let below = module.below.as_str();
        // Scripts that load files by name have them all in one directory.
        let below = match self.dir.as_str() {
            "lib" => below.rsplit('/').next().unwrap_or(below),
            _ => below,
        };
        format!("{}/{below}", self.dir)
    }

    /// The indexes with the modules of these names, which come from `source`: paths and contents.
    pub(super) fn merged(
        &self,
        look: &Look<'_>,
        source: &Source<'_>,
        names: &[&str],
    ) -> Step<Vec<(String, Vec<u8>)>> {
        let mut dep = self.dep.base();
        let told: Vec<(String, String)> = names
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), self.line(&dep, source, names, name)?)))
            .collect();
        for (name, line) in &told {
            dep.put(name, line);
        }
        let mut alias = self.alias.base();
        for (pattern, values) in aliases(look, source).iter() {
            for value in values.iter().filter(|v| names.contains(&v.text.as_str())) {
                alias.add(pattern, value.priority, &value.text);
            }
        }
        let mut all = Vec::new();
        let mut say = |name: &str, content: Vec<u8>| all.push((format!("{}/{name}", self.dir), content));
        say("modules.dep.bin", dep.to_bytes().map_err(|e| image_error(&e))?);
        say(
            "modules.alias.bin",
            alias.to_bytes().map_err(|e| image_error(&e))?,
        );
        if self.dep.wants_text() {
            say("modules.dep", dep.to_dependencies().into_bytes());
        }
        if self.alias.wants_text() {
            say("modules.alias", alias.to_aliases().into_bytes());
        }
        let softdeps: String = names
            .iter()
            .filter_map(|n| source.softdeps.get(*n))
            .cloned()
            .collect();
        if !softdeps.is_empty() {
            let old = self.softdep.clone().unwrap_or_default();
            say("modules.softdep", format!("{old}{softdeps}").into_bytes());
        }
        Ok(all)
    }

    /// The line of `modules.dep` for a module that is added: what it needs has the image's own paths where it is there.
    fn line(&self, dep: &Entries, source: &Source<'_>, names: &[&str], name: &str) -> Option<String> {
        let mut line = format!("{}:", source.below(name)?);
        for need in &source.modules.files.get(name)?.needs {
            let there = dep.get(need).first().and_then(|v| v.text.split(':').next());
            let path = match there {
                Some(path) if !names.contains(&need.as_str()) => Some(path.to_owned()),
                _ => source.below(need).filter(|_| names.contains(&need.as_str())),
            };
            if let Some(path) = path {
                line.push(' ');
                line.push_str(&path);
            }
        }
        Some(line)
    }
}

fn pair(image: &Image, dir: &str, name: &str, text: &dyn Fn(&str) -> Entries) -> Step<Pair> {
    let plain = image.kept(&format!("{dir}/{name}"))?;
    let binary = image.kept(&format!("{dir}/{name}.bin"))?;
    // depmod leaves an empty file where it has nothing to say.
    let binary = binary.filter(|bytes| !bytes.is_empty());
    let binary = binary.map(|bytes| opened(bytes.to_vec())).transpose();
    Ok(Pair {
        binary: binary.map_err(|e| image_error(&e.through(format!("{name}.bin"))))?,
        text: plain.map(|bytes| text(&String::from_utf8_lossy(bytes))),
    })
}

fn opened(bytes: Vec<u8>) -> Result<Entries> {
    let mut meter = Meter::new(INDEX);
    Entries::of(&Index::open(bytes)?, &mut meter)
}

/// Which module serves which device, of all that the guest has. Of a damaged index, its text.
fn aliases(look: &Look<'_>, source: &Source<'_>) -> Entries {
    let path = |name: &[u8]| join(&source.modules.dir, name);
    let binary = path(b"modules.alias.bin");
    match look.bytes(&binary, 64 << 20).map(opened) {
        Some(Ok(entries)) => return entries,
        Some(Err(e)) => look.failed(h2k_guest::Source::file(&binary), &e),
        None => {}
    }
    let text = look.text(path(b"modules.alias"));
    text.map(|t| Entries::of_aliases(t.as_str())).unwrap_or_default()
}
