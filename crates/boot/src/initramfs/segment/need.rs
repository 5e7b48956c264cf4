//! The modules a kernel has in the guest's files, and which of them something needs.

use crate::initramfs::codec::{self, Compression};
use crate::initramfs::source::Stream;
use crate::kernel::Modules;
use h2k_block::{BlockRead, Error, Result};
use h2k_guest::Look;
use h2k_guest::look::join;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

/// What a module may weigh, unpacked. The largest that distributions ship, graphics drivers, have 30 MiB.
const MODULE: u64 = 64 << 20;

/// How deep one module's wish for another may lead.
const DEPTH: usize = 32;

/// The modules of a kernel as the guest has them.
pub(super) struct Source<'a> {
    pub(super) modules: &'a Modules,
    /// What else shall be loaded before a module, though it does not need it.
    before: BTreeMap<String, Vec<String>>,
    /// Lines of `modules.softdep`, by module.
    pub(super) softdeps: BTreeMap<String, String>,
}

/// A module to be added.
pub(super) struct Module {
    pub(super) name: String,
    /// Its file in the guest.
    pub(super) from: String,
    /// Where it lies below the directory of modules, once unpacked.
    pub(super) below: String,
    pub(super) content: Vec<u8>,
}

impl<'a> Source<'a> {
    /// `None` where nothing says which modules need which.
    pub(super) fn read(look: &Look<'_>, modules: &'a Modules) -> Option<Self> {
        let listed = modules.listed.as_ref()?;
        if !listed.as_str().ends_with("/modules.dep") {
            return None;
        }
        let (mut before, mut softdeps) = (BTreeMap::new(), BTreeMap::new());
        let text = look.text(join(&modules.dir, b"modules.softdep"));
        for line in text.iter().flat_map(|t| t.spoken()) {
            let mut words = line.text.split_whitespace();
            let (Some("softdep"), Some(name)) = (words.next(), words.next()) else {
                continue;
            };
            let name = name.replace('-', "_");
            let wishes = words
                .skip_while(|w| *w != "pre:")
                .skip(1)
                .take_while(|w| !w.ends_with(':'));
            let wishes: &mut Vec<String> = {
                let wishes: Vec<String> = wishes.map(|w| w.replace('-', "_")).collect();
                let all: &mut Vec<String> = before.entry(name.clone()).or_default();
                all.extend(wishes);
                all
            };
            wishes.truncate(64);
            let lines: &mut String = softdeps.entry(name).or_default();
            lines.push_str(line.text);
            lines.push('\n');
        }
        Some(Self {
            modules,
            before,
            softdeps,
        })
    }

    /// Whether there is such a module, as a file and not built in.
    pub(super) fn is_there(&self, name: &str) -> bool {
        self.modules.files.contains_key(name) && !self.modules.builtin.contains_key(name)
    }

    /// What has to be loaded for `names`, each module behind those it needs, without what is built in.
    pub(super) fn closure(&self, names: &[&str]) -> Vec<String> {
        let (mut all, mut seen) = (Vec::new(), BTreeSet::new());
        for name in names {
            self.follow(name, DEPTH, &mut all, &mut seen);
        }
        all
    }

    fn follow(&self, name: &str, depth: usize, all: &mut Vec<String>, seen: &mut BTreeSet<String>) {
        let Some(depth) = depth
            .checked_sub(1)
            .filter(|_| self.is_there(name) && !seen.contains(name))
        else {
            return;
        };
        let needs = self.modules.closure(name);
        for need in needs.unwrap_or_default() {
            if !seen.insert(need.clone()) {
                continue;
            }
            for wish in self.before.get(&need).into_iter().flatten() {
                self.follow(wish, depth, all, seen);
            }
            all.push(need);
        }
    }

    /// Reads and unpacks a module. Its bytes stay as its distribution signed them.
    pub(super) fn module(&self, look: &Look<'_>, name: &str) -> std::result::Result<Module, String> {
        let missing = || format!("the guest has no module {name}, which modules.dep names");
        let from = self.modules.path(name).ok_or_else(missing)?;
        let file = look.file(&from).ok_or_else(missing)?;
        let content = unpacked(&file).map_err(|e| format!("{from}: {e}"))?;
        let below = self.below(name).ok_or_else(missing)?;
        Ok(Module {
            name: name.to_owned(),
            from,
            below,
            content,
        })
    }

    /// Where the module lies below the directory of modules, once unpacked.
    pub(super) fn below(&self, name: &str) -> Option<String> {
        let path = self.modules.files.get(name)?.path.as_str();
        let dir = String::from_utf8_lossy(&self.modules.dir);
        // Old tools list whole paths.
        let path = match path.split_once(dir.trim_start_matches("/usr")) {
            Some((_, rest)) if path.starts_with('/') => rest.trim_start_matches('/'),
            _ => path,
        };
        let ends = [".gz", ".xz", ".zst"];
        let path = ends.iter().find_map(|end| path.strip_suffix(end)).unwrap_or(path);
        let odd = path.starts_with('/') || path.split('/').any(|p| p == "..");
        (!odd).then(|| path.to_owned())
    }
}

/// The plain content of a module's file.
fn unpacked(file: &dyn BlockRead) -> Result<Vec<u8>> {
    let mut head = [0; 8];
    let n = usize::try_from(file.len()).unwrap_or(usize::MAX).min(head.len());
    file.read_at(0, head.get_mut(..n).unwrap_or_default())?;
    let method = match Compression::of(&head) {
        None | Some(Compression::None) => Compression::None,
        Some(method) => method,
    };
    let mut stream = Stream::new(file);
    let mut content = Vec::new();
    let outcome = codec::open(method, &mut stream)?
        .take(MODULE.saturating_add(1))
        .read_to_end(&mut content);
    if let Some(error) = stream.take_error() {
        return Err(error);
    }
    outcome.map_err(|e| codec::damaged(method, &e))?;
    if crate::bytes::wide(content.len()) > MODULE {
        let what = "a module has more than 64 MiB";
        return Err(Error::new(h2k_block::Class::Limit, what));
    }
    if !content.starts_with(b"\x7fELF") {
        return Err(Error::corrupt("module", 0, "it is no ELF file"));
    }
    Ok(content)
}
