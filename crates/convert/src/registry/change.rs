use super::open::HiveSource;
use crate::failure::About;
use crate::{Failure, Result, Where};
use h2k_block::{Error, Output};
use h2k_hive::{Imported, RegFile};
use serde::Serialize;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Does what registry text asks for to a hive.
#[derive(Clone, Debug)]
pub struct Changing {
    /// The hive.
    pub hive: HiveSource,
    /// What is to be done.
    pub wishes: RegFile,
    /// What the keys of the text have in front of the hive's own paths.
    pub prefix: String,
    /// Where the changed hive goes.
    pub into: Where,
    /// The time of the change: 100-nanosecond intervals since 1601, UTC.
    pub now: u64,
}

/// What was changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ChangedReport {
    /// The hive.
    pub filename: String,
    /// The file that has the changes: another one with `--output`.
    pub target: String,
    /// Whether anything was written.
    pub changed: bool,
    /// Keys that were not there before.
    pub keys_created: u64,
    /// Keys that were removed; those below them are not counted.
    pub keys_deleted: u64,
    /// Values that were added or changed.
    pub values_set: u64,
    /// Values that were removed.
    pub values_deleted: u64,
    /// Lines that asked for what was so already.
    pub unchanged: u64,
    /// Both sequence numbers of the hive now.
    pub sequence: u32,
    /// What is odd about the hive, in sentences.
    pub warnings: Vec<String>,
}

impl Changing {
    /// Makes the changes, all of them or none. The file is written anew beside the old one, made durable, and renamed.
    ///
    /// # Errors
    /// As [`HiveSource::open_to_change`], [`h2k_hive::Hive::edit`] and [`RegFile::apply`]; else what the host says.
    pub fn run(&self) -> Result<ChangedReport> {
        let path = &self.hive.path;
        let elsewhere = match &self.into {
            Where::InPlace => None,
            Where::Into { path, replace } => Some((path.clone(), *replace)),
        };
        let mut open = if elsewhere.is_some() {
            self.hive.open()?
        } else {
            self.hive.open_to_change()?
        };
        let warnings = open.warnings();
        let (done, changed) = {
            let mut edit = open.hive.edit(self.now).about(path)?;
            let done = self.wishes.apply(&mut edit, &self.prefix).about(path)?;
            let changed = edit.changed();
            edit.finish();
            (done, changed)
        };
        let Imported {
            keys_created,
            keys_deleted,
            values_set,
            values_deleted,
            unchanged,
        } = done;
        let target = match elsewhere {
            Some((target, replace)) => {
                save(&target, open.hive.bytes(), replace, None)?;
                target
            }
            None if changed => {
                let real =
                    std::fs::canonicalize(path).map_err(|e| Failure::from(Error::from(e)).about(path))?;
                save(&real, open.hive.bytes(), true, Some(&real))?;
                path.clone()
            }
            None => path.clone(),
        };
        Ok(ChangedReport {
            filename: open.filename.clone(),
            target: target.display().to_string(),
            changed,
            keys_created,
            keys_deleted,
            values_set,
            values_deleted,
            unchanged,
            sequence: open.facts().sequence.0,
            warnings,
        })
    }
}

/// Writes a whole file. One that takes the place of `old` gets its permissions and, where we may give it, its owner.
fn save(target: &Path, bytes: &[u8], replace: bool, old: Option<&Path>) -> Result<()> {
    let mut output = Output::new(replace);
    let file = output.create(target)?;
    // First of all: what a hive of secrets holds is never in a file that more people may read.
    if let Some(old) = old {
        let part: Option<PathBuf> = output.parts().next().map(|(part, _)| part.to_owned());
        if let (Some(part), Ok(there)) = (part, old.metadata()) {
            adopt(&part, &there).about(target)?;
        }
    }
    let len = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    file.set_len(len).about(target)?;
    file.write_at(0, bytes).about(target)?;
    output.commit().about(target)
}

fn adopt(part: &Path, there: &std::fs::Metadata) -> h2k_block::Result<()> {
    use rustix::fs::{Gid, Mode, Uid};
    let (uid, gid) = (Uid::from_raw(there.uid()), Gid::from_raw(there.gid()));
    // Only root may give files away; for everybody else the file is theirs afterwards, as with any editor.
    let _not_root = rustix::fs::chown(part, Some(uid), Some(gid));
    rustix::fs::chmod(part, Mode::from_raw_mode(there.mode() & 0o7777))?;
    Ok(())
}
