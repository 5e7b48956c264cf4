//! A guest's tree with edits drafted over it, and what was changed.

use crate::diff;
use crate::draft::{Draft, Moment};
use crate::edit::Edit;
use crate::finding::Finding;
use crate::labels::{self, Label, Policy};
use h2k_block::{Class, Error, Limits, Meter, Result};
use h2k_fs::{FileKind, FsRead, Node, Time, parts};
use h2k_guest::look::join;
use h2k_guest::{Place, Tree};
use schemars::JsonSchema;
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Bytes read at a time for a digest.
const PIECE: usize = 1 << 20;

/// What a file held at some moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Stamp {
    /// Its length in bytes.
    pub size: u64,
    /// SHA-256 of its content, in hexadecimal.
    pub sha256: String,
}

/// What happened to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ChangeKind {
    /// It was not there before.
    Created,
    /// It has other content.
    Modified,
    /// More follows what it held.
    Appended,
    /// It is gone.
    Removed,
    /// It has another name.
    Renamed,
    /// It is a link now.
    Linked,
    /// It has other permissions, owners or times.
    Attributes,
}

impl ChangeKind {
    /// As tables name it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Modified => "modified",
            Self::Appended => "appended",
            Self::Removed => "removed",
            Self::Renamed => "renamed",
            Self::Linked => "linked",
            Self::Attributes => "attributes",
        }
    }
}

/// One edit, as it was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Change {
    /// The fix that asked for it.
    pub fix: String,
    /// The file, free of links, as the guest sees it.
    pub path: String,
    /// The filesystem it lies on: `/dev/sda1`.
    pub on: String,
    /// What happened.
    pub kind: ChangeKind,
    /// Its new name, or where the link points.
    pub to: Option<String>,
    /// What it held before, of a file.
    pub before: Option<Stamp>,
    /// What it holds after, of a file.
    pub after: Option<Stamp>,
    /// The difference as `diff -u` shows it, of a text.
    pub diff: Option<String>,
}

/// The tree of a system with what fixes proposed made in memory.
#[derive(Debug)]
pub struct Drafted {
    tree: Tree,
    /// The filesystems, each once, and the device each lies on.
    drafts: Vec<(String, Arc<Draft>)>,
    /// The draft of each mount.
    of: Vec<usize>,
    changes: Vec<Change>,
    policy: Policy,
    /// New files whose label could not be told.
    unlabelled: Mutex<Vec<String>>,
}

/// A name, and the directory it is in.
struct Named {
    dir: Place,
    name: Vec<u8>,
}

impl Drafted {
    /// `tree` with no edits yet; what is made is stamped with `now`.
    #[must_use]
    pub fn new(tree: &Tree, now: Time, limits: &Limits) -> Self {
        let policy = Policy::read(tree, limits);
        let mut drafts: Vec<(String, Arc<Draft>)> = Vec::new();
        let mut of = Vec::new();
        for mount in tree.mounts() {
            // A filesystem that is mounted twice is one filesystem.
            let known = drafts
                .iter()
                .position(|(_, draft)| Arc::ptr_eq(draft.below(), &mount.fs));
            of.push(known.unwrap_or(drafts.len()));
            if known.is_none() {
                let draft = Draft::new(Arc::clone(&mount.fs), now);
                drafts.push((mount.source.clone(), Arc::new(draft)));
            }
        }
        let mut each = of.iter();
        let over = tree.over(|mount| -> Arc<dyn FsRead> {
            match each.next().and_then(|at| drafts.get(*at)) {
                Some((_, draft)) => draft.clone(),
                None => Arc::clone(&mount.fs),
            }
        });
        Self {
            tree: over,
            drafts,
            of,
            changes: Vec::new(),
            policy,
            unlabelled: Mutex::default(),
        }
    }

    /// New files that SELinux should have a label for, and that none could be told for.
    pub(crate) fn unlabelled(&self) -> Vec<String> {
        self.pending().clone()
    }

    fn pending(&self) -> MutexGuard<'_, Vec<String>> {
        self.unlabelled.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives something new its SELinux label.
    fn label(
        &self,
        dir: Place,
        name: &[u8],
        path: &[u8],
        node: Node,
        kind: FileKind,
        meter: &mut Meter,
    ) -> Result<()> {
        let draft = self.draft(dir)?;
        let bare = matches!(draft.facts().kind, "vfat" | "msdos" | "exfat" | "ntfs");
        let labels = match &self.policy {
            Policy::Off => return Ok(()),
            _ if bare => return Ok(()),
            Policy::On(labels) => Some(labels),
            Policy::Unreadable => None,
        };
        // The policy knows paths free of links, but for the last part.
        let (above, _) = path.split_at(path.iter().rposition(|b| *b == b'/').unwrap_or(0));
        let above = match above {
            b"" => Some(Vec::new()),
            above => self.tree.canonical(above, meter)?,
        };
        let above = above.unwrap_or_default();
        let full = join(if above == b"/" { b"" } else { &above }, name);
        match labels.map_or(Label::Unknown, |labels| labels.of(&full, kind)) {
            Label::Is(context) => {
                let value = [context.as_bytes(), b"\0"].concat();
                draft.set_xattr(node, labels::ATTRIBUTE, &value)
            }
            Label::None => Ok(()),
            Label::Unknown => {
                let shown = String::from_utf8_lossy(&full).into_owned();
                self.pending().push(shown);
                Ok(())
            }
        }
    }

    /// The files, with every edit so far.
    #[must_use]
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// Every edit so far.
    #[must_use]
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// The filesystems that are changed, by the device each lies on.
    pub fn changed(&self) -> impl Iterator<Item = (&str, &Draft)> {
        let changed = self.drafts.iter().filter(|(_, draft)| draft.changed());
        changed.map(|(source, draft)| (source.as_str(), &**draft))
    }

    /// Makes the edits of a finding: all of them, or none.
    ///
    /// # Errors
    /// What the filesystems say.
    pub(crate) fn apply(&mut self, finding: &Finding, meter: &mut Meter) -> Result<()> {
        if finding.edits.is_empty() {
            return Ok(());
        }
        let before: Vec<Moment> = self.drafts.iter().map(|(_, draft)| draft.moment()).collect();
        let count = self.changes.len();
        let unlabelled = self.pending().len();
        for edit in &finding.edits {
            if let Err(e) = self.edit(&finding.fix, edit, meter) {
                for ((_, draft), moment) in self.drafts.iter().zip(before) {
                    draft.go_back(moment);
                }
                self.changes.truncate(count);
                self.pending().truncate(unlabelled);
                return Err(e.through(String::from_utf8_lossy(edit.path()).into_owned()));
            }
        }
        Ok(())
    }

    fn draft(&self, place: Place) -> Result<&Draft> {
        let at = self.of.get(place.mount).and_then(|at| self.drafts.get(*at));
        at.map(|(_, draft)| &**draft)
            .ok_or_else(|| Error::new(Class::Invalid, "a place that is not of this tree"))
    }

    fn edit(&mut self, fix: &str, edit: &Edit, meter: &mut Meter) -> Result<()> {
        let change = match edit {
            Edit::Write { path, content, mode } => self.written(path, content, *mode, meter)?,
            Edit::Append { path, bytes } => Some(self.appended(path, bytes, meter)?),
            Edit::Link { path, target } => self.linked(path, target, meter)?,
            Edit::Remove { path } => self.removed(path, meter)?,
            Edit::Rename { from, to } => Some(self.renamed(from, to, meter)?),
            Edit::Directory { path, mode } => {
                self.directory(path, *mode, meter)?;
                None
            }
            Edit::Attributes { path, attributes } => {
                let place = self.tree.find(path, meter)?;
                self.draft(place)?.set_attributes(place.node, attributes)?;
                Some(self.change(ChangeKind::Attributes, path, place, meter)?)
            }
        };
        if let Some(mut change) = change {
            fix.clone_into(&mut change.fix);
            self.changes.push(change);
        }
        Ok(())
    }

    /// A change of what `path` leads to.
    fn change(&self, kind: ChangeKind, path: &[u8], place: Place, meter: &mut Meter) -> Result<Change> {
        let shown = match kind {
            ChangeKind::Removed | ChangeKind::Renamed | ChangeKind::Linked => None,
            _ => self.tree.canonical(path, meter)?,
        };
        let shown = shown.as_deref().unwrap_or(path);
        Ok(Change {
            fix: String::new(),
            path: String::from_utf8_lossy(shown).into_owned(),
            on: self.tree.at(place)?.source.clone(),
            kind,
            to: None,
            before: None,
            after: None,
            diff: None,
        })
    }

    fn written(&self, path: &[u8], content: &[u8], mode: u16, meter: &mut Meter) -> Result<Option<Change>> {
        if let Some(place) = self.tree.lookup(path, true, meter)? {
            let before = self.tree.read_file(place, meter)?;
            if before == content {
                return Ok(None);
            }
            self.draft(place)?.replace(place.node, content)?;
            let mut change = self.change(ChangeKind::Modified, path, place, meter)?;
            change.before = Some(stamp(&before));
            change.after = Some(stamp(content));
            change.diff = diff::unified(&change.path, &before, content);
            return Ok(Some(change));
        }
        let Named { dir, name } = self.parent(path, meter)?;
        let draft = self.draft(dir)?;
        // A link that leads nowhere gives way: what it pointed to is not on these disks.
        if draft.lookup(dir.node, &name)?.is_some() {
            draft.remove(dir.node, &name)?;
        }
        let node = draft.create(dir.node, &name, mode)?;
        draft.replace(node, content)?;
        self.label(dir, &name, path, node, FileKind::File, meter)?;
        let mut change = self.change(ChangeKind::Created, path, dir, meter)?;
        change.after = Some(stamp(content));
        change.diff = diff::unified(&change.path, b"", content);
        Ok(Some(change))
    }

    fn appended(&self, path: &[u8], bytes: &[u8], meter: &mut Meter) -> Result<Change> {
        let place = self.tree.find(path, meter)?;
        let before = self.digest(place, meter)?;
        self.draft(place)?.append(place.node, bytes)?;
        let mut change = self.change(ChangeKind::Appended, path, place, meter)?;
        change.before = Some(before);
        change.after = Some(self.digest(place, meter)?);
        Ok(change)
    }

    fn linked(&self, path: &[u8], target: &[u8], meter: &mut Meter) -> Result<Option<Change>> {
        let Named { dir, name } = self.parent(path, meter)?;
        let draft = self.draft(dir)?;
        if let Some(place) = self.tree.lookup(path, false, meter)? {
            if self.tree.stat(place)?.kind == FileKind::Link && self.tree.target(place)? == target {
                return Ok(None);
            }
            draft.remove(dir.node, &name)?;
        }
        let node = draft.symlink(dir.node, &name, target)?;
        self.label(dir, &name, path, node, FileKind::Link, meter)?;
        let mut change = self.change(ChangeKind::Linked, path, dir, meter)?;
        change.to = Some(String::from_utf8_lossy(target).into_owned());
        Ok(Some(change))
    }

    fn removed(&self, path: &[u8], meter: &mut Meter) -> Result<Option<Change>> {
        let Some(place) = self.tree.lookup(path, false, meter)? else {
            return Ok(None);
        };
        let file = self.tree.stat(place)?.kind == FileKind::File;
        let before = if file {
            Some(self.digest(place, meter)?)
        } else {
            None
        };
        let Named { dir, name } = self.parent(path, meter)?;
        let mut change = self.change(ChangeKind::Removed, path, dir, meter)?;
        change.before = before;
        self.draft(dir)?.remove(dir.node, &name)?;
        Ok(Some(change))
    }

    fn renamed(&self, from: &[u8], to: &[u8], meter: &mut Meter) -> Result<Change> {
        let old = self.parent(from, meter)?;
        let new = self.parent(to, meter)?;
        if self.of.get(old.dir.mount) != self.of.get(new.dir.mount) {
            return Err(Error::unsupported(
                "files are not moved from one filesystem to another",
            ));
        }
        let draft = self.draft(old.dir)?;
        draft.rename(old.dir.node, &old.name, new.dir.node, &new.name)?;
        let mut change = self.change(ChangeKind::Renamed, from, old.dir, meter)?;
        change.to = Some(String::from_utf8_lossy(to).into_owned());
        Ok(change)
    }

    /// The directory that `path` leads to, made where it is missing.
    fn directory(&self, path: &[u8], mode: u16, meter: &mut Meter) -> Result<Place> {
        let mut here = self.tree.root();
        let mut so_far = Vec::new();
        for part in parts(path) {
            so_far.push(b'/');
            so_far.extend_from_slice(part);
            here = match self.tree.lookup(&so_far, true, meter)? {
                Some(place) => place,
                None => {
                    let node = self.draft(here)?.mkdir(here.node, part, mode)?;
                    self.label(here, part, &so_far, node, FileKind::Dir, meter)?;
                    Place { node, ..here }
                }
            };
        }
        if self.tree.stat(here)?.kind != FileKind::Dir {
            return Err(Error::new(
                Class::Invalid,
                "a file is where a directory is needed",
            ));
        }
        Ok(here)
    }

    fn parent(&self, path: &[u8], meter: &mut Meter) -> Result<Named> {
        let mut names: Vec<&[u8]> = parts(path).collect();
        let name = names.pop().filter(|name| *name != b"..");
        let name = name.ok_or_else(|| Error::new(Class::Invalid, "the path names no file"))?;
        let dir = self.directory(&names.join(&b'/'), 0o755, meter)?;
        Ok(Named {
            dir,
            name: name.to_vec(),
        })
    }

    fn digest(&self, file: Place, meter: &mut Meter) -> Result<Stamp> {
        let size = self.tree.stat(file)?.len;
        let mut hash = Sha256::new();
        let mut piece = vec![0; PIECE];
        let mut at = 0_u64;
        while at < size {
            meter.step("piece of a file")?;
            let n = self.tree.read_at(file, at, &mut piece)?;
            hash.update(piece.get(..n).unwrap_or_default());
            if n == 0 {
                break;
            }
            at = at.saturating_add(u64::try_from(n).unwrap_or(u64::MAX));
        }
        Ok(Stamp {
            size,
            sha256: hex(&hash.finalize()),
        })
    }
}

fn stamp(content: &[u8]) -> Stamp {
    Stamp {
        size: u64::try_from(content.len()).unwrap_or(u64::MAX),
        sha256: hex(&Sha256::digest(content)),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
