use crate::{Format, Info, chain, format};
use h2k_block::{Access, BlockRead, Class, Error, Host, HostFile, Identity, Limits, Result};
use std::path::Path;
use std::sync::Arc;

/// An opened image: the guest's disk, and what was found on the way.
pub struct Image {
    /// The guest's disk, parents included.
    pub disk: Arc<dyn BlockRead>,
    /// What is known of the image and its parents.
    pub info: Info,
}

/// What the caller knows or wants.
#[derive(Clone, Debug, Default)]
pub struct OpenOptions {
    /// The format, if the user named it; it is believed.
    pub format: Option<Format>,
    /// Read this internal snapshot (by name or by identifier) instead of the current state.
    pub snapshot: Option<String>,
    /// Open this image alone: what it does not store reads as zero, and parents are named but not opened.
    pub alone: bool,
    /// The format of a parent whose child does not record one. A recorded format is believed over this.
    pub parent_format: Option<Format>,
    /// Only what is said of the image is wanted: one that is encrypted opens, and its disk refuses to be read.
    pub describe: bool,
    /// What opening may cost.
    pub limits: Limits,
}

/// The state of one opening: what the user said, where names become files, which files are open already.
/// Formats use it to open their siblings and parents.
pub struct Opening<'a> {
    host: &'a dyn Host,
    /// What the user said. Only the first image of a chain has a format or a snapshot here.
    pub options: OpenOptions,
    chain: Vec<(Option<Identity>, std::path::PathBuf)>,
}

/// Opens the image in `file`. Its parents and siblings are opened through `host`.
///
/// # Errors
/// [`Class::Corrupt`], [`Class::Unsupported`] and [`Class::Refused`] as the formats and the host say, with the
/// name of the image that failed among the layers.
pub fn open(file: Arc<dyn HostFile>, host: &dyn Host, options: &OpenOptions) -> Result<Image> {
    let mut opening = Opening::new(host, options.clone());
    let format = match options.format {
        Some(format) => format,
        None => format::probe(&*file)?,
    };
    opening.image(file, format)
}

impl<'a> Opening<'a> {
    /// An opening that has opened nothing yet.
    pub(crate) fn new(host: &'a dyn Host, options: OpenOptions) -> Self {
        Self {
            host,
            options,
            chain: Vec::new(),
        }
    }
}

impl Opening<'_> {
    fn image(&mut self, file: Arc<dyn HostFile>, format: Format) -> Result<Image> {
        let name = file.name().to_owned();
        self.enter(&*file)?;
        let opened = match format {
            Format::Raw => crate::raw::open(file, self),
            Format::Qcow2 => crate::qcow2::open(file, self),
            Format::Vmdk => crate::vmdk::open(file, self),
            Format::Vhd => crate::vhd::open(file, self),
            Format::Vhdx => crate::vhdx::open(file, self),
            Format::Vdi => crate::vdi::open(file, self),
            Format::Bochs => crate::bochs::open(file, self),
            Format::Cloop => crate::cloop::open(file, self),
            Format::Dmg => crate::dmg::open(file, self),
            Format::Ewf => crate::ewf::open(file, self),
            Format::Parallels => crate::parallels::open(file, self),
            Format::Qcow1 => crate::qcow1::open(file, self),
        };
        self.chain.pop();
        opened.map_err(|e| e.through(name.display().to_string()))
    }

    /// Opens the parent called `name` in `referrer`. The child must know the parent's format: guests can
    /// write anything into a raw parent, so nothing is ever guessed from its content.
    ///
    /// # Errors
    /// As [`open`]; [`Class::Corrupt`] for a chain that contains itself, [`Class::Limit`] for one that is too deep.
    pub fn parent(&mut self, referrer: &dyn HostFile, name: &str, format: Format) -> Result<Image> {
        let file = self.sibling(referrer, name)?;
        let options = std::mem::take(&mut self.options);
        self.options = OpenOptions {
            parent_format: options.parent_format,
            describe: options.describe,
            limits: options.limits,
            ..OpenOptions::default()
        };
        let opened = self.image(file, format);
        self.options = options;
        opened
    }

    /// Opens the file called `name` in `referrer`: an extent, a data file, a parent.
    ///
    /// # Errors
    /// [`Class::Refused`] for protocols and for places the user has not allowed; else as the host says.
    pub fn sibling(&self, referrer: &dyn HostFile, name: &str) -> Result<Arc<dyn HostFile>> {
        let path = chain::local_path(name)?;
        self.host.open(referrer.name(), Path::new(path), Access::Read)
    }

    /// Whether the image being opened is the one the user named, not a parent.
    pub(crate) fn is_first(&self) -> bool {
        self.chain.len() == 1
    }

    fn enter(&mut self, file: &dyn HostFile) -> Result<()> {
        let me = (file.identity(), file.name().to_owned());
        let seen = |other: &(Option<Identity>, std::path::PathBuf)| match (other.0, me.0) {
            (Some(a), Some(b)) => a == b,
            _ => other.1 == me.1,
        };
        if self.chain.iter().any(seen) {
            return Err(Error::new(
                Class::Corrupt,
                format!("the chain of parents contains {} twice", me.1.display()),
            ));
        }
        if self.chain.len() >= usize::from(self.options.limits.depth) {
            return Err(Error::new(
                Class::Limit,
                format!(
                    "the chain of parents is more than {} images deep",
                    self.options.limits.depth
                ),
            ));
        }
        self.chain.push(me);
        Ok(())
    }
}
