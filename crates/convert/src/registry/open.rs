use crate::failure::About;
use crate::{Failure, Result, local};
use h2k_block::{Access, BlockRead, Class, Error, FileDisk, HostFile, Limits, Sharing};
use h2k_hive::{Facts, Hive, Key, State};
use std::path::{Path, PathBuf};

/// A hive file: what the user said of it.
#[derive(Clone, Debug)]
pub struct HiveSource {
    /// The file. Its transaction logs are looked for beside it: its name with `.LOG`, `.LOG1` and `.LOG2`, in any case.
    pub path: PathBuf,
    /// Whether a hive that was left in the middle of a write, and whose logs are lost, is taken as it is.
    pub accept: bool,
    /// Whether a file in use may be read all the same.
    pub sharing: Sharing,
    /// What opening may cost.
    pub limits: Limits,
}

/// A hive, and where it came from.
#[derive(Debug)]
pub struct OpenHive {
    /// What it is called in messages.
    pub filename: String,
    /// The hive, its logs replayed.
    pub hive: Hive,
    /// The logs that were there.
    pub logs: Vec<PathBuf>,
    /// What its keys have in front in registry text; empty for a file of the host.
    pub prefix: String,
    /// The file, locked for as long as this lives; `None` inside a guest.
    pub(crate) _file: Option<FileDisk>,
}

/// Whether the file at `path` begins as a hive does.
///
/// # Errors
/// What the host says when the file cannot be opened or read.
pub fn is_hive(path: &Path, sharing: Sharing) -> Result<bool> {
    local(path)?;
    let file = FileDisk::open(path, Access::Read, sharing).about(path)?;
    let mut head = [0; 4];
    if file.len() < 4 {
        return Ok(false);
    }
    file.read_at(0, &mut head).about(path)?;
    Ok(head == *b"regf")
}

impl HiveSource {
    /// The hive at `path`, with every choice left to its default.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            accept: false,
            sharing: Sharing::Careful,
            limits: Limits::default(),
        }
    }

    /// Opens the hive for reading.
    ///
    /// # Errors
    /// What the host says, and [`Hive::open`].
    pub fn open(&self) -> Result<OpenHive> {
        self.opened(Access::Read, &self.path)
    }

    /// Opens the hive with the intention to change it: nobody else may have it open.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_to_change(&self) -> Result<OpenHive> {
        // A link stays a link: what is replaced is the file it leads to.
        let path =
            std::fs::canonicalize(&self.path).map_err(|e| Failure::from(Error::from(e)).about(&self.path))?;
        self.opened(Access::Edit, &path)
    }

    fn opened(&self, access: Access, path: &Path) -> Result<OpenHive> {
        local(path)?;
        let file = FileDisk::open(path, access, self.sharing).about(path)?;
        if access == Access::Edit && !is_still(&file, path) {
            // Another run gave its name to a new file between our opening this one and locking it.
            return Err(Error::new(Class::Busy, "another run is changing this hive")).about(path);
        }
        let mut names = logs_of(path)?;
        names.sort();
        let mut logs = Vec::with_capacity(names.len());
        for name in &names {
            logs.push(FileDisk::open(name, Access::Read, self.sharing).about(name)?);
        }
        let refs: Vec<&dyn BlockRead> = logs.iter().map(|log| -> &dyn BlockRead { log }).collect();
        let mut hive = Hive::read(&file, &refs, &self.limits).about(path)?;
        if self.accept {
            hive.accept();
        }
        Ok(OpenHive {
            filename: self.path.display().to_string(),
            hive,
            logs: names,
            prefix: String::new(),
            _file: Some(file),
        })
    }
}

impl OpenHive {
    /// What the base block says.
    #[must_use]
    pub fn facts(&self) -> Facts {
        self.hive.facts()
    }

    /// What is odd about it, in sentences.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let facts = self.facts();
        let mut all = facts.warnings;
        if let State::Recovered(n) = facts.state
            && n > 0
        {
            all.push(format!(
                "left in the middle of a write; {n} entries of its transaction logs were replayed in memory"
            ));
        }
        all
    }

    /// The key at `path`, with `CurrentControlSet` resolved, and its path as the hive has it.
    ///
    /// # Errors
    /// [`Class::NotFound`] when it is not there; [`Class::Corrupt`] when a key on the way is damaged.
    pub fn key(&self, path: &str) -> Result<(Key<'_>, String)> {
        let path = self.hive.resolve(path).map_err(|e| self.about(e))?;
        let found = || -> h2k_block::Result<_> {
            let mut key = self.hive.root()?;
            let mut spelled = Vec::new();
            for name in path.split('\\').filter(|name| !name.is_empty()) {
                let Some(below) = key.subkey(name)? else {
                    return Ok(None);
                };
                spelled.push(below.name().to_string());
                key = below;
            }
            Ok(Some((key, spelled.join("\\"))))
        };
        found().map_err(|e| self.about(e))?.ok_or_else(|| {
            let what = format!("{} has no key {path}", self.filename);
            Failure::from(Error::new(Class::NotFound, what.clone())).headed(what)
        })
    }

    /// An error of this hive.
    #[must_use]
    pub fn about(&self, error: Error) -> Failure {
        let failure = Failure::from(error);
        match failure.class() {
            Class::NotFound => failure,
            _ => failure.about(Path::new(&self.filename)),
        }
    }
}

/// Whether the open file is the one that has the name.
fn is_still(file: &FileDisk, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let there = path.metadata().map(|there| (there.dev(), there.ino())).ok();
    file.identity().map(|own| (own.device, own.inode)) == there
}

/// The transaction logs beside a hive.
fn logs_of(path: &Path) -> Result<Vec<PathBuf>> {
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
        return Ok(Vec::new());
    };
    let dir = match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    };
    let entries = std::fs::read_dir(dir).map_err(|e| Failure::from(Error::from(e)).about(dir))?;
    let mut found = Vec::new();
    for entry in entries.flatten() {
        let other = entry.file_name();
        let Some(tail) = other
            .to_str()
            .and_then(|other| other.split_at_checked(name.len()))
        else {
            continue;
        };
        let suffix = tail.1.to_ascii_lowercase();
        if tail.0.eq_ignore_ascii_case(name) && matches!(suffix.as_str(), ".log" | ".log1" | ".log2") {
            found.push(entry.path());
        }
    }
    Ok(found)
}
