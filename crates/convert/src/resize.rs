use crate::failure::About;
use crate::{Failure, Resize, Result, Source, in_place};
use h2k_block::{Access, Class, Error};
use h2k_image::{Format, qcow2};
use serde::Serialize;

/// Changes the size of the guest's disk in place.
#[derive(Clone, Debug)]
pub struct Resizing {
    /// The image.
    pub image: Source,
    /// The new size.
    pub size: Resize,
    /// Whether the new size may cut off content.
    pub shrink: bool,
}

/// What was changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ResizedReport {
    /// The image.
    pub filename: String,
    /// Its format.
    pub format: &'static str,
    /// Size of the guest's disk before, in bytes.
    pub old_size: u64,
    /// Size of the guest's disk now, in bytes.
    pub new_size: u64,
}

impl Resizing {
    /// Changes the size, all or nothing. New bytes read as zero.
    ///
    /// # Errors
    /// [`Class::Invalid`] when content would be cut off and nobody allowed it; [`Class::Unsupported`] for formats
    /// that are not resized in place; else what the image and the host say.
    pub fn run(&self) -> Result<ResizedReport> {
        let path = &self.image.path;
        let (format, old_size) = {
            // Opened and closed again: reading and writing at once would keep each other out.
            let opened = self.image.open_alone()?;
            (opened.info.format, opened.info.virtual_size)
        };
        let new_size = self.size.apply(old_size)?;
        if new_size < old_size && !self.shrink {
            return Err(Failure::cuts_off(old_size, new_size));
        }
        match format {
            Format::Raw => self.raw(new_size)?,
            Format::Qcow2 => self.qcow2(new_size)?,
            other => {
                let error = Error::unsupported(format!("{} images are not resized in place", other.name()));
                return Err(Failure::from(error).about(path).advise(format!(
                    "hyper2kvm convert --resize {new_size} {} NEW-IMAGE",
                    path.display()
                )));
            }
        }
        Ok(ResizedReport {
            filename: path.display().to_string(),
            format: format.name(),
            old_size,
            new_size,
        })
    }

    fn raw(&self, size: u64) -> Result<()> {
        let path = &self.image.path;
        if !path.metadata().is_ok_and(|m| m.is_file()) {
            let error = Error::new(
                Class::Unsupported,
                "only a regular file has a size that can be changed",
            );
            return Err(Failure::from(error).about(path));
        }
        let file = self.image.file(Access::Edit)?;
        file.set_len(size).about(path)?;
        file.flush().about(path)
    }

    fn qcow2(&self, size: u64) -> Result<()> {
        let path = &self.image.path;
        let file = self.image.file(Access::Edit)?;
        let shrink = if self.shrink {
            qcow2::Shrink::Discard
        } else {
            qcow2::Shrink::Careful
        };
        let edit = qcow2::resize(file.clone(), size, shrink, &self.image.limits).about(path)?;
        in_place::apply(&edit, &*file, path).about(path)
    }
}
