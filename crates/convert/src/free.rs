//! Whether a target may be made: nothing is lost by it that nobody gave up.

use crate::failure::About;
use crate::{Failure, Result, local, same};
use h2k_block::{Access, Class, Error, FileDisk, Sharing};
use h2k_image::Info;
use std::path::{Path, PathBuf};

/// The path under which `target` is made. `needed` are the images it must not replace.
pub(crate) fn free(target: &Path, replace: bool, needed: &[&Info]) -> Result<PathBuf> {
    local(target)?;
    let Ok(there) = target.metadata() else {
        let dir = target.parent().filter(|dir| !dir.as_os_str().is_empty());
        return match dir {
            Some(dir) if !dir.is_dir() => {
                let error = Error::new(Class::NotFound, "the directory the target should be in");
                Err(Failure::from(error).about(dir))
            }
            _ => Ok(target.to_owned()),
        };
    };
    let refuse = |class, why: String| Failure::from(Error::new(class, why)).about(target);
    if let Some(file) = needed.iter().find_map(|info| same::among(target, info)) {
        let why = if file == *target {
            format!(
                "{} is read and cannot be replaced at the same time",
                target.display()
            )
        } else {
            format!(
                "{} is {}, which is read and cannot be replaced at the same time",
                target.display(),
                file.display()
            )
        };
        return Err(refuse(Class::Invalid, why).advise("give the target another name"));
    }
    if !there.is_file() {
        return Err(refuse(
            Class::Unsupported,
            "a target is a regular file, made anew; this is something else".to_owned(),
        )
        .headed(format!("{} is not a regular file", target.display()))
        .advise("make a file first, then copy that to the device"));
    }
    if !replace {
        return Err(
            refuse(Class::Exists, "nobody said that it may be replaced".to_owned())
                .advise("choose another name, or say --force to replace it"),
        );
    }
    // Replacing a file that a virtual machine has open would leave it running on a file without a name.
    FileDisk::open(target, Access::Read, Sharing::Careful).about(target)?;
    // A symbolic link stays one: what it leads to is replaced.
    target.canonicalize().map_err(Error::from).about(target)
}
