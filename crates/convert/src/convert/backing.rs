//! Keeping a chain: the target holds what the source itself holds, and names the parent.

use super::Convert;
use crate::delta::Delta;
use crate::target::Reference;
use crate::{Failure, Opened, Result, Source};
use h2k_block::BlockRead;
use h2k_image::{Format, Info};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// What a target that refers to a parent is made from.
pub(super) struct Kept {
    /// What the source adds to its parent.
    pub(super) delta: Arc<dyn BlockRead>,
    /// How the target names the parent.
    pub(super) reference: Reference,
    /// The parent the user named, where it is not the source's own.
    pub(super) parent: Option<Info>,
}

/// Finds out what the target will refer to, and that it is there.
pub(super) fn keep(
    job: &Convert,
    source: &Opened,
    name: Option<&str>,
    format: Option<Format>,
    stop: &AtomicBool,
) -> Result<Kept> {
    let Some(own) = &source.info.parent else {
        let path = job.source.path.display();
        return Err(Failure::invalid(format!(
            "{path} has no parent, so there is nothing the target could refer to"
        ))
        .advise("leave --backing out"));
    };
    let format = format.unwrap_or(own.format);
    let (name, parent) = match name {
        None => (path_from(&job.target, &own.name)?, None),
        Some(name) => (name.to_owned(), Some(named(job, own, name, format, stop)?)),
    };
    let alone = job.source.open_alone()?;
    Ok(Kept {
        delta: Arc::new(Delta {
            own: alone.disk(),
            whole: source.disk(),
        }),
        reference: Reference { name, format },
        parent,
    })
}

/// Opens the parent the user named. It has to hold what the source's own parent holds: its size is always compared,
/// its content when the result is to be verified.
fn named(job: &Convert, own: &Info, name: &str, format: Format, stop: &AtomicBool) -> Result<Info> {
    let path = directory(&job.target).join(name);
    let mut source = Source {
        path,
        format: Some(format),
        snapshot: None,
        ..job.source.clone()
    };
    source.allow.push(directory(&own.name).to_owned());
    let other = source.open()?;
    let differs = |what: &str| {
        Failure::invalid(format!(
            "{} {what} the source's parent {}, so the target would show something else",
            source.path.display(),
            own.name.display()
        ))
        .advise("convert the parent first, and name the result")
    };
    if other.info.virtual_size != own.virtual_size {
        return Err(differs("has another size than"));
    }
    if job.verify {
        let theirs = Source {
            path: own.name.clone(),
            format: Some(own.format),
            ..source.clone()
        }
        .open()?;
        let options = h2k_copy::Options {
            workers: job.workers,
            ..h2k_copy::Options::default()
        };
        let found = h2k_copy::compare(&*theirs.disk, &*other.disk, &options, stop, &h2k_copy::Blind)?;
        if found.is_some() {
            return Err(differs("differs from"));
        }
    }
    Ok(other.info)
}

/// How a file beside `target` names `parent`: relative where the parent lies in the same directory or below.
pub(crate) fn path_from(target: &Path, parent: &Path) -> Result<String> {
    let resolve = |path: &Path| -> std::io::Result<PathBuf> {
        let name = path.file_name().unwrap_or_default();
        Ok(directory(path).canonicalize()?.join(name))
    };
    let (Ok(target), Ok(parent)) = (resolve(target), resolve(parent)) else {
        return Err(Failure::invalid(format!(
            "nobody knows where {} lies",
            parent.display()
        )));
    };
    let near = parent.strip_prefix(directory(&target)).unwrap_or(&parent);
    match near.to_str() {
        Some(name) => Ok(name.to_owned()),
        None => Err(Failure::invalid(format!(
            "the name {} is not UTF-8 and cannot be recorded",
            near.display()
        ))),
    }
}

fn directory(file: &Path) -> &Path {
    match file.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parent_is_named_from_where_the_target_will_lie() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        std::fs::create_dir_all(root.join("a/b")).unwrap();
        let name = |target: &str, parent: &str| path_from(&root.join(target), &root.join(parent)).unwrap();
        assert_eq!(name("a/t.qcow2", "a/p.raw"), "p.raw");
        assert_eq!(name("a/t.qcow2", "a/b/p.raw"), "b/p.raw");
        assert_eq!(
            name("a/b/t.qcow2", "a/p.raw"),
            root.join("a/p.raw").to_str().unwrap()
        );
    }
}
