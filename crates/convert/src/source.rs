use crate::failure::About;
use crate::named::Named;
use crate::{Failure, Result};
use h2k_block::{Access, BlockRead, Class, DirHost, Error, FileDisk, HostFile, Limits, Sharing};
use h2k_image::{Format, Image, Info, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// An image to be read: what the user said of it.
#[derive(Clone, Debug)]
pub struct Source {
    /// The file.
    pub path: PathBuf,
    /// Its format; `None` looks at the content.
    pub format: Option<Format>,
    /// The internal snapshot to read instead of the current state, by name or identifier.
    pub snapshot: Option<String>,
    /// The format of a parent whose child does not record one.
    pub parent_format: Option<Format>,
    /// Directories, besides the image's own, that parents and extents may lie in.
    pub allow: Vec<PathBuf>,
    /// Whether a disk in use may be read all the same.
    pub sharing: Sharing,
    /// What opening may cost.
    pub limits: Limits,
}

impl Source {
    /// The image at `path`, with every choice left to its default.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            format: None,
            snapshot: None,
            parent_format: None,
            allow: Vec::new(),
            sharing: Sharing::Careful,
            limits: Limits::default(),
        }
    }

    /// Opens the image with its parents.
    ///
    /// # Errors
    /// What the host and the formats say; [`Class::Refused`] for references to other than local files.
    pub fn open(&self) -> Result<Opened> {
        self.opened(false, false)
    }

    /// Opens the image without its parents: what it does not store itself reads as zero.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_alone(&self) -> Result<Opened> {
        self.opened(true, false)
    }

    /// Opens as much of the image as can be described: one that is encrypted, whose disk then refuses to be read,
    /// and one whose parents do not open, without them.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn describe(&self) -> Result<Opened> {
        self.opened(false, true).or_else(|_| self.opened(true, true))
    }

    fn opened(&self, alone: bool, describe: bool) -> Result<Opened> {
        let file = self.file(Access::Read)?;
        let options = OpenOptions {
            format: self.format,
            snapshot: self.snapshot.clone(),
            alone,
            parent_format: self.parent_format,
            describe,
            limits: self.limits,
        };
        let Image { disk, info } =
            h2k_image::open(file, &self.host(), &options).map_err(|e| self.unopened(e))?;
        Ok(Opened {
            disk: Arc::new(Named::new(disk, self.path.clone())),
            info,
        })
    }

    /// Opens the host file itself.
    pub(crate) fn file(&self, access: Access) -> Result<Arc<dyn HostFile>> {
        local(&self.path)?;
        check_recovered(&self.path).map_err(|e| {
            Failure::from(e)
                .about(&self.path)
                .headed(recover_first(&self.path))
        })?;
        let file = FileDisk::open(&self.path, access, self.sharing).about(&self.path)?;
        Ok(Arc::new(file))
    }

    /// Where names inside the image become files.
    pub(crate) fn host(&self) -> DirHost {
        let mut host = DirHost::beside(&self.path, self.sharing);
        for dir in &self.allow {
            host.allow(dir.clone());
        }
        host
    }

    /// An image whose own file is there but which did not open: the class alone would blame the wrong file.
    pub(crate) fn unopened(&self, error: Error) -> Failure {
        let name = self.path.display();
        let headline = match error.class() {
            Class::NotFound => Some(format!("{name} needs something that does not exist")),
            Class::Busy => Some(format!("{name}, or a file it needs, is in use")),
            _ => None,
        };
        let error = match error.class() {
            Class::NotFound => error.advise(
                "put the missing file beside the image under the name it is called by, or allow its directory with --allow-dir",
            ),
            _ => error,
        };
        let failure = Failure::from(error).about(&self.path);
        match headline {
            Some(headline) => failure.headed(headline),
            None => failure,
        }
    }
}

/// An opened image that knows its name.
#[derive(Clone)]
pub struct Opened {
    pub(crate) disk: Arc<Named>,
    /// What was found on the way.
    pub info: Info,
}

impl std::fmt::Debug for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opened")
            .field("info", &self.info)
            .finish_non_exhaustive()
    }
}

impl Opened {
    /// The guest's disk, parents included.
    #[must_use]
    pub fn disk(&self) -> Arc<dyn BlockRead> {
        self.disk.clone()
    }
}

/// The redo log of a change made to `image` in place: it lies beside the image while the change is under way.
#[must_use]
pub fn redo_log_of(image: &Path) -> PathBuf {
    let mut name = image.as_os_str().to_owned();
    name.push(".h2k-redo");
    PathBuf::from(name)
}

/// Refuses an image whose change in place was interrupted.
pub(crate) fn check_recovered(image: &Path) -> h2k_block::Result<()> {
    let log = redo_log_of(image);
    if log.symlink_metadata().is_err() {
        return Ok(());
    }
    Err(Error::new(
        Class::Busy,
        format!(
            "a change of this image was interrupted; what is left to do lies in {}",
            log.display()
        ),
    )
    .advise(format!("hyper2kvm recover {}", image.display())))
}

fn recover_first(image: &Path) -> String {
    format!("{} has to be recovered first", image.display())
}

/// Refuses what is not the name of a local file: `-`, and what looks like a network protocol.
///
/// # Errors
/// [`Class::Invalid`] and [`Class::Refused`].
pub fn local(path: &Path) -> Result<()> {
    let name = path.to_string_lossy();
    if name == "-" {
        return Err(Failure::invalid(
            "images are read and written at any position, so - (a pipe) cannot be one",
        )
        .advise("name a file; a pipe can be stored in one first: cat > disk.raw"));
    }
    // A file that is there is a file, whatever its name looks like.
    if path.symlink_metadata().is_ok() {
        return Ok(());
    }
    let head = name.split('/').next().unwrap_or_default();
    match head.split_once(':') {
        Some((protocol, _))
            if !protocol.is_empty() && protocol.chars().all(|c| c.is_ascii_alphanumeric() || c == '+') =>
        {
            let error = Error::new(
                Class::Refused,
                format!("{protocol}: is not a local file, and only local files are opened"),
            )
            .advise("fetch the image first; a file whose name has a colon in it can be named ./like:this");
            Err(Failure::from(error).headed(format!("{name} is not opened")))
        }
        _ => Ok(()),
    }
}
