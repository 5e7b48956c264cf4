//! Making an empty disk.

use crate::convert::beside;
use crate::free::free;
use crate::image::FileReport;
use crate::uniform::Uniform;
use crate::{Failure, Making, Result, Source, Unwatched, local};
use h2k_block::Output;
use h2k_image::Format;
use serde::Serialize;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

/// An empty disk to be made.
#[derive(Clone, Debug)]
pub struct Create {
    /// The file.
    pub target: PathBuf,
    /// How it is made.
    pub making: Making,
    /// Size of the guest's disk in bytes; `None` takes that of the parent.
    pub size: Option<u64>,
    /// The image that shows through where the new one stores nothing. `making` says how it is named there.
    pub parent: Option<Source>,
    /// Whether an existing file may be replaced.
    pub replace: bool,
}

/// What was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct CreatedReport {
    /// The file.
    pub filename: String,
    /// Its format.
    pub format: &'static str,
    /// Size of the guest's disk in bytes.
    pub virtual_size: u64,
    /// The file's length, and what it occupies.
    pub file: FileReport,
}

impl Create {
    /// Makes the disk. It appears whole under its name, or not at all.
    ///
    /// # Errors
    /// What the host says; [`h2k_block::Class::Invalid`] when nobody says how large the disk is.
    pub fn run(&self, stop: &AtomicBool) -> Result<CreatedReport> {
        local(&self.target)?;
        let target = self.making.target()?;
        let parent = self.parent.as_ref().map(Source::open).transpose()?;
        let needed: Vec<_> = parent.iter().map(|p| &p.info).collect();
        let path = free(&self.target, self.replace, &needed)?;
        let size = self.size.or_else(|| parent.map(|p| p.info.virtual_size));
        let Some(size) = size else {
            return Err(
                Failure::invalid("a new disk needs a size").advise("say it after the name: disk.qcow2 20G")
            );
        };
        // Disks are made of sectors; only a raw file can end inside one.
        let size = match target.format() {
            Format::Raw => size,
            _ => size.next_multiple_of(512),
        };
        let made = || -> h2k_block::Result<CreatedReport> {
            let mut output = Output::new(self.replace);
            let file = output.create(&path)?;
            let mut another = |ending: &str| output.create(&beside(&path, ending));
            let sink = h2k_image::create(file.clone(), &mut another, &target, size)?;
            h2k_copy::copy(
                &Uniform::empty(size),
                sink,
                &h2k_copy::Options::default(),
                stop,
                &Unwatched,
            )?;
            let filename = path.display().to_string();
            let report = CreatedReport {
                file: FileReport {
                    filename: filename.clone(),
                    length: file.len(),
                    actual_size: file.allocated(),
                },
                filename,
                format: target.format().name(),
                virtual_size: size,
            };
            output.commit()?;
            Ok(report)
        };
        made().map_err(|e| Failure::from(e).about(&self.target))
    }
}
