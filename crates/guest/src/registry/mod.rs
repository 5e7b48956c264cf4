//! The registry of a Windows guest: hives found below the system's root, opened once, asked by many.
//!
//! A [`Registry`] opens each hive when it is first asked for, its transaction logs replayed in memory, and keeps it; a
//! [`Hold`] is a hive that somebody asks, a [`RegKey`] a key of it. What cannot be read is remembered by the [`Look`]
//! of who asked, under the key's full name.
//!
//! A hive is held once, as its own bytes. Hives that together weigh more than `KEPT` are let go when the next one is
//! opened, the one that was asked least recently first.

mod key;

pub use key::{RegKey, RegValue};

use crate::look::{Look, Source, TreeFile, join};
use crate::tree::Tree;
use crate::windows::needed_root;
use h2k_block::{BlockRead, Limits, Meter, Result};
use h2k_hive::Hive;
use std::cell::RefCell;
use std::rc::Rc;

/// The parts of a guest's registry that lie in files of their own: name, file below the system root. What begins with
/// `../` lies beside it, or on a filesystem of its own that Windows gives no letter.
pub const HIVES: [(&str, &str); 8] = [
    ("HKLM\\SYSTEM", "System32/config/SYSTEM"),
    ("HKLM\\SOFTWARE", "System32/config/SOFTWARE"),
    ("HKLM\\SAM", "System32/config/SAM"),
    ("HKLM\\SECURITY", "System32/config/SECURITY"),
    ("HKLM\\COMPONENTS", "System32/config/COMPONENTS"),
    ("HKLM\\DRIVERS", "System32/config/DRIVERS"),
    ("HKLM\\BCD00000000", "../Boot/BCD"),
    ("HKU\\.DEFAULT", "System32/config/DEFAULT"),
];

/// Bytes of hives that are kept for the next question.
const KEPT: usize = 112 << 20;

/// A hive by its name; `None` where there is no such file.
type Kept = (String, Result<Option<Rc<Hive>>>);

/// The hives of one Windows.
#[derive(Debug)]
pub struct Registry<'a> {
    tree: &'a Tree,
    limits: Limits,
    root: Result<Vec<u8>>,
    /// Hives that were asked for, the least recently asked first; errors too, so that nothing is tried twice.
    kept: RefCell<Vec<Kept>>,
}

/// A hive that somebody asks: it stays open for as long as this lives.
#[derive(Clone, Debug)]
pub struct Hold {
    hive: Rc<Hive>,
    name: String,
}

impl<'a> Registry<'a> {
    /// The registry of the Windows whose root filesystem is the first of `tree`. Nothing is opened yet.
    #[must_use]
    pub fn new(tree: &'a Tree, limits: &Limits) -> Self {
        let root = tree
            .at(tree.root())
            .and_then(|mount| needed_root(&*mount.fs, limits));
        Self {
            tree,
            limits: *limits,
            root,
            kept: RefCell::default(),
        }
    }

    /// The directory Windows lies in: `/Windows`; what keeps it from being found is remembered by `look`.
    #[must_use]
    pub fn root(&self, look: &Look<'_>) -> Option<&[u8]> {
        match &self.root {
            Ok(root) => Some(root),
            Err(e) => {
                look.failed(Source::named("the directory Windows lies in"), e);
                None
            }
        }
    }

    /// The path of `below` the system's root, or with `../` of what is beside it, whether or not it is there.
    #[must_use]
    pub fn path(&self, look: &Look<'_>, below: &str) -> Option<Vec<u8>> {
        Some(beneath(self.root(look)?, below))
    }

    /// The hive that is called `name` in [`HIVES`], if the guest has it; what keeps it from being opened is remembered
    /// by `look`.
    #[must_use]
    pub fn ask(&self, look: &Look<'_>, name: &str) -> Option<Hold> {
        self.root(look)?;
        let mut kept = self.kept.borrow_mut();
        let known = kept.iter().position(|(n, _)| n == name);
        let entry = match known {
            Some(at) => kept.remove(at),
            None => (name.to_owned(), self.opened(name)),
        };
        let hold = match &entry.1 {
            Ok(hive) => hive.as_ref().map(|hive| Hold {
                hive: Rc::clone(hive),
                name: name.to_owned(),
            }),
            Err(e) => {
                look.failed(Source::named(name), e);
                None
            }
        };
        kept.push(entry);
        while kept.len() > 1 && weight(&kept) > KEPT {
            drop(kept.remove(0));
        }
        hold
    }

    fn opened(&self, name: &str) -> Result<Option<Rc<Hive>>> {
        let file = HIVES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        let (Some((_, file)), Ok(root)) = (file, &self.root) else {
            return Ok(None);
        };
        Ok(open_hive(self.tree, &beneath(root, file), &self.limits)?.map(Rc::new))
    }

    /// The hive in the file at `path`, called `name`. It is not kept.
    #[must_use]
    pub fn ask_file(&self, look: &Look<'_>, path: &[u8], name: &str) -> Option<Hold> {
        Hold::open(look, self.tree, path, name)
    }
}

impl Hold {
    /// The hive in a file of `tree`, called `name`; what keeps it from being opened is remembered by `look`.
    #[must_use]
    pub fn open(look: &Look<'_>, tree: &Tree, path: &[u8], name: &str) -> Option<Self> {
        match open_hive(tree, path, look.limits()) {
            Ok(hive) => hive.map(|hive| Self {
                hive: Rc::new(hive),
                name: name.to_owned(),
            }),
            Err(e) => {
                look.failed(Source::file(path), &e);
                None
            }
        }
    }

    /// A hive from elsewhere, called `name`.
    #[must_use]
    pub fn of(hive: Hive, name: &str) -> Self {
        Self {
            hive: Rc::new(hive),
            name: name.to_owned(),
        }
    }

    /// The hive itself.
    #[must_use]
    pub fn hive(&self) -> &Hive {
        &self.hive
    }

    /// The key at `path`: `Select`, `CurrentControlSet\Services`. The empty path is the root.
    #[must_use]
    pub fn key<'h>(&'h self, look: &'h Look<'h>, path: &str) -> Option<RegKey<'h>> {
        let resolved = look.asked(self.name.as_bytes(), |_| self.hive.resolve(path).map(Some))?;
        let root = look.asked(self.name.as_bytes(), |_| self.hive.root().map(Some))?;
        RegKey::new(root, self.name.clone(), look).subkey(&resolved)
    }
}

/// Opens the hive in a file of `tree`, its transaction logs replayed in memory where it needs them. `None` where there
/// is no such file.
///
/// # Errors
/// As [`Hive::open`], and what the filesystem says.
pub fn open_hive(tree: &Tree, path: &[u8], limits: &Limits) -> Result<Option<Hive>> {
    let meter = &mut Meter::new(*limits);
    let Some(file) = TreeFile::open(tree, path, meter)? else {
        return Ok(None);
    };
    let mut logs = Vec::new();
    // Logs weigh up to half of what the hive does, and after a clean shutdown say nothing.
    let mut head = [0; 512];
    if file.len() < 512 || file.read_at(0, &mut head).is_err() || !Hive::is_settled(&head) {
        for suffix in [".LOG", ".LOG1", ".LOG2"] {
            let name = [path, suffix.as_bytes()].concat();
            logs.extend(TreeFile::open(tree, &name, meter)?);
        }
    }
    let logs: Vec<&dyn BlockRead> = logs.iter().map(|log| -> &dyn BlockRead { log }).collect();
    Hive::read(&file, &logs, limits).map(Some)
}

/// How many bytes of hives are kept.
fn weight(kept: &[Kept]) -> usize {
    let hives = kept.iter().filter_map(|(_, hive)| hive.as_ref().ok()?.as_ref());
    hives
        .map(|hive| hive.bytes().len())
        .fold(0, usize::saturating_add)
}

/// The path of `below` from the directory `root`; `../` goes to what is beside it.
fn beneath(root: &[u8], below: &str) -> Vec<u8> {
    match below.strip_prefix("../") {
        Some(beside) => {
            let parent = root.iter().rposition(|b| *b == b'/').unwrap_or(0);
            join(root.get(..parent).unwrap_or_default(), beside.as_bytes())
        }
        None => join(root, below.as_bytes()),
    }
}
