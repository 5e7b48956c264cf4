//! An OVA: a tar archive with an OVF descriptor and the files it names, read where they lie.
//!
//! ```text
//! app.ova   │ app.ovf │ app.mf │ app.cert │ app-disk1.vmdk │ …
//!               │         │                      └ Ova is a Host: a name is a window over the archive
//!               │         └ Manifest: digests, verified by reading
//!               └ crate::ovf::read
//! ```
//!
//! [`open_file`] puts together what OVF allows files to be, in an archive or in a directory: cut into chunks, compressed
//! as a whole, or both.
//!
//! Follows DSP0243 (OVF packages, manifests, chunks) and POSIX pax; GNU's long names and large sizes are read too.

mod content;
mod manifest;
mod tar;

pub use content::open_file;
pub use manifest::{Algorithm, Entry, Manifest};
pub use tar::Member;

use content::ReadOnly;
use h2k_block::{Access, Class, Error, Host, HostFile, Limits, Meter, Result, Window};
use std::path::{Component, Path};
use std::sync::Arc;

/// What a descriptor or a manifest may weigh.
const LARGEST_TEXT: u64 = 4 << 20;

/// An opened archive: a place where names are files.
pub struct Ova {
    file: Arc<dyn HostFile>,
    members: Vec<Member>,
    passed_over: Vec<String>,
}

impl Ova {
    /// Reads the headers of the archive in `file`; nothing of its content.
    ///
    /// # Errors
    /// [`Class::Corrupt`] for what is no tar archive, has a member past its end or two of one name;
    /// [`Class::Unsupported`] for sparse members and compressed archives; [`Class::Limit`].
    pub fn open(file: Arc<dyn HostFile>, limits: &Limits) -> Result<Self> {
        let name = file.name().display().to_string();
        let listed = tar::read(&*file, &mut Meter::new(*limits)).map_err(|e| e.through(name))?;
        Ok(Self {
            file,
            members: listed.members,
            passed_over: listed.passed_over,
        })
    }

    /// The files in it.
    #[must_use]
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// What is in it besides files with plain names: directories, links, names with slashes. None of it is ever used.
    #[must_use]
    pub fn passed_over(&self) -> &[String] {
        &self.passed_over
    }

    /// The descriptor: its name and its text.
    ///
    /// # Errors
    /// [`Class::Corrupt`] when there is none; [`Class::Unsupported`] when there are several; else as reading does.
    pub fn descriptor(&self, limits: &Limits) -> Result<(&str, Vec<u8>)> {
        let mut all = self.members.iter().filter(|m| m.ends_with(".ovf"));
        let who = || self.file.name().display().to_string();
        match (all.next(), all.next()) {
            (None, _) => Err(Error::corrupt("OVA", 0, "no .ovf in the archive").through(who())),
            (Some(one), Some(two)) => Err(Error::unsupported(format!(
                "an archive with several descriptors: {} and {}",
                one.name, two.name
            ))
            .through(who())),
            (Some(one), None) => Ok((&one.name, self.text(one, limits)?)),
        }
    }

    /// The manifest, where there is one.
    ///
    /// # Errors
    /// As [`Manifest::parse`] and reading do.
    pub fn manifest(&self, limits: &Limits) -> Result<Option<Manifest>> {
        let Some(member) = self.members.iter().find(|m| m.ends_with(".mf")) else {
            return Ok(None);
        };
        let text = self.text(member, limits)?;
        Manifest::parse(&text)
            .map(Some)
            .map_err(|e| e.through(member.name.clone()))
    }

    /// The certificate that signs the manifest, by name. It is not verified: that would need to know whom to trust.
    #[must_use]
    pub fn certificate(&self) -> Option<&str> {
        self.members
            .iter()
            .find(|m| m.ends_with(".cert"))
            .map(|m| m.name.as_str())
    }

    /// The path that members are relative to: for [`Host::open`].
    #[must_use]
    pub fn referrer(&self) -> std::path::PathBuf {
        self.file.name().join("x")
    }

    fn text(&self, member: &Member, limits: &Limits) -> Result<Vec<u8>> {
        if member.len > LARGEST_TEXT {
            return Err(Error::new(
                Class::Limit,
                format!(
                    "{} has {} bytes; at most {LARGEST_TEXT} are read",
                    member.name, member.len
                ),
            ));
        }
        let mut bytes = Meter::new(*limits).buffer(member.len, "a text in an archive")?;
        self.file.read_at(member.start, &mut bytes)?;
        Ok(bytes)
    }
}

impl Host for Ova {
    /// A member. `referrer` does not matter: an archive has one directory.
    fn open(&self, _referrer: &Path, name: &Path, access: Access) -> Result<Arc<dyn HostFile>> {
        let who = self.file.name().display().to_string();
        if access != Access::Read {
            return Err(Error::new(Class::ReadOnly, "files in an archive are only read").through(who));
        }
        let mut parts = name.components().filter(|part| *part != Component::CurDir);
        let plain = match (parts.next(), parts.next()) {
            (Some(Component::Normal(one)), None) => one.to_str(),
            _ => {
                return Err(Error::new(
                    Class::Refused,
                    format!(
                        "it names {}, which is no file of the archive itself",
                        name.display()
                    ),
                )
                .through(who));
            }
        };
        let found = self.members.iter().find(|m| Some(m.name.as_str()) == plain);
        let member = found.ok_or_else(|| {
            Error::new(
                Class::NotFound,
                format!("there is no {} in the archive", name.display()),
            )
            .through(who)
        })?;
        let window = Window::new(self.file.clone(), member.start, member.len);
        Ok(Arc::new(ReadOnly::new(
            Arc::new(window),
            self.file.name().join(&member.name),
        )))
    }
}
