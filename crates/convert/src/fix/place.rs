//! Where the fixes of a guest go when it is not migrated: into the disk itself, or into an image over it.

use super::{FixReport, Fixed, Fixing, clear};
use crate::convert::backing::path_from;
use crate::delta::Delta;
use crate::failure::About;
use crate::target::Reference;
use crate::{Chain, Convert, ConvertReport, Failure, Making, Result, Source, Watch, in_place};
use h2k_block::{Access, BlockRead, Class, Error, Extent, HostFile, Kind, Limits, Output, Sharing};
use h2k_image::qcow2::{Edit, overwrite};
use h2k_image::{Format, Info};
use serde::Serialize;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Where the fixes go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Into {
    /// Into the disks, all together or not at all.
    InPlace,
    /// Into a new qcow2 image for each disk, in their order, which refers to the disk for the rest.
    Over(Vec<PathBuf>),
}

/// Makes the fixes of a guest without copying it.
#[derive(Debug)]
pub struct FixOnly {
    /// The guest and its fixes.
    pub fixing: Fixing,
    /// Where they go.
    pub into: Into,
    /// Whether to go on where something stands in the way, and leave that as it is.
    pub allow_partial: bool,
    /// Whether existing files may be replaced.
    pub replace: bool,
}

/// What was done.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct FixedReport {
    /// Everything that was found, changed and judged.
    pub fixes: FixReport,
    /// Whether the disks themselves were written.
    pub in_place: bool,
    /// The images that were made over the disks.
    pub disks: Vec<ConvertReport>,
}

impl FixOnly {
    /// Makes the fixes.
    ///
    /// # Errors
    /// As [`Fixing::run`]; [`Class::Refused`] when the guest cannot be fixed whole; [`Class::Unsupported`] for disks
    /// that are not written in place; what the host says.
    pub fn run(self, stop: &AtomicBool, watch: &dyn Watch) -> Result<FixedReport> {
        match &self.into {
            Into::InPlace => in_place_of(self.fixing, self.allow_partial, stop),
            Into::Over(targets) => {
                let targets = targets.clone();
                self.over(&targets, stop, watch)
            }
        }
    }

    fn over(self, targets: &[PathBuf], stop: &AtomicBool, watch: &dyn Watch) -> Result<FixedReport> {
        let fixed = self.fixing.run(stop)?;
        let disks = fixed.guest.images.len();
        if targets.len() != disks {
            return Err(Failure::invalid(format!(
                "there are {disks} disks and {} images to make over them",
                targets.len()
            ))
            .advise("say --overlay once for each disk, in their order"));
        }
        clear(&fixed.report, self.allow_partial)?;
        let images = &fixed.guest.images;
        let needed: Vec<&Info> = images.iter().map(|(_, opened)| &opened.info).collect();
        let mut output = Output::new(self.replace);
        let mut made = Vec::new();
        for (number, ((source, opened), target)) in images.iter().zip(targets).enumerate() {
            if fixed.guest.disks.get(number) != Some(&source.path) {
                let why = "the disk is part of an archive, which an image cannot refer to";
                let error = Error::unsupported(why).advise("migrate copies it out of there");
                return Err(Failure::from(error).about(&source.path));
            }
            let job = job(source, target.clone(), self.replace);
            let reference = Reference {
                name: path_from(target, &source.path)?,
                format: opened.info.format,
            };
            let disk = fixed.edits_of(number)?;
            let ready = job.ready_for(opened.clone(), disk, Some(reference), &needed)?;
            let report = job.fill(&ready, &mut output, stop, watch);
            made.push(report.map_err(|e| job.failed(e, Some(&ready)))?);
        }
        if let Some(first) = targets.first() {
            output.commit().about(first)?;
        }
        Ok(FixedReport {
            fixes: fixed.report,
            in_place: false,
            disks: made,
        })
    }
}

fn job(source: &Source, target: PathBuf, replace: bool) -> Convert {
    Convert {
        source: source.clone(),
        target,
        making: Making::new(Format::Qcow2),
        chain: Chain::Flatten,
        resize: None,
        shrink: false,
        workers: 0,
        digest: None,
        verify: false,
        bandwidth: None,
        replace,
    }
}

/// Writes the fixes into the disks that have any. The locks of a writer are taken before anything is looked at.
fn in_place_of(mut fixing: Fixing, allow_partial: bool, stop: &AtomicBool) -> Result<FixedReport> {
    let mut files: Vec<Arc<dyn HostFile>> = Vec::new();
    for source in &mut fixing.guest.disks {
        files.push(source.file(Access::Edit)?);
        // Ours now: reading through a second door asks for no lock of its own.
        source.sharing = Sharing::Force;
    }
    let fixed = fixing.run(stop)?;
    if fixed.guest.machine.is_some() {
        let why = "the disks of a described machine are not written in place";
        return Err(Error::unsupported(why).advise("name the disk itself").into());
    }
    clear(&fixed.report, allow_partial)?;
    let mut changes = Vec::new();
    for (number, file) in files.iter().enumerate().filter(|(n, _)| fixed.is_edited(*n)) {
        let (Some((source, _)), Some(over)) = (fixed.guest.images.get(number), fixed.overlay(number)) else {
            continue;
        };
        let image = fixed.change_of(number, file).about(&source.path)?;
        changes.push((over, image, file, &source.path));
    }
    let mut targets = Vec::new();
    for (over, image, file, path) in &changes {
        if let Some(edit) = image {
            in_place::make_room(edit, &***file).about(path)?;
        }
        targets.push(in_place::Target {
            over: image.as_ref().map_or(&**over, Edit::edits),
            file: &***file,
            path,
        });
    }
    if let Some(first) = targets.first() {
        in_place::commit(&targets).about(first.path)?;
    }
    Ok(FixedReport {
        fixes: fixed.report,
        in_place: true,
        disks: Vec::new(),
    })
}

/// The edits of an overlay and nothing else: what lies below shows as a hole.
struct EditsOnly {
    len: u64,
    /// Sorted, apart from each other.
    ranges: Vec<(u64, u64)>,
}

impl BlockRead for EditsOnly {
    fn len(&self) -> u64 {
        self.len
    }

    fn fetch(&self, _offset: u64, _buf: &mut [u8]) -> h2k_block::Result<()> {
        Err(Error::new(Class::Invalid, "edits alone are mapped, not read"))
    }

    fn map(&self, offset: u64, end: u64) -> h2k_block::Result<Extent> {
        let (edited, until) = super::edited_at(&self.ranges, offset);
        let kind = if edited { Kind::Data } else { Kind::Hole };
        Ok(Extent::new(offset, end.min(until).saturating_sub(offset), kind))
    }
}

impl Fixed {
    /// How the file of a disk changes, where the disk is not the file itself.
    fn change_of(&self, number: usize, file: &Arc<dyn HostFile>) -> h2k_block::Result<Option<Edit>> {
        let missing = || Error::new(Class::Invalid, "there is no such disk");
        let (source, opened) = self.guest.images.get(number).ok_or_else(missing)?;
        let edits = self.report.edits.get(number).ok_or_else(missing)?;
        let other = "make an image over it with --overlay, or a new disk with migrate";
        if source.snapshot.is_some() {
            return Err(Error::unsupported("internal snapshots are not written").advise(other));
        }
        match opened.info.format {
            Format::Raw => Ok(None),
            Format::Qcow2 => {
                let disk = self.disk(number)?;
                overwrite(file.clone(), &*disk, &edits.ranges, &Limits::default()).map(Some)
            }
            format => {
                let what = format!("{} images are not written in place", format.name());
                Err(Error::unsupported(what).advise(other))
            }
        }
    }

    fn is_edited(&self, number: usize) -> bool {
        self.report.edits.get(number).is_some_and(|e| e.bytes > 0)
    }

    /// A disk that has only what was edited, and shows the whole disk where a unit has to be filled up.
    fn edits_of(&self, number: usize) -> Result<Arc<dyn BlockRead>> {
        let missing = || Error::new(Class::Invalid, "a disk without an overlay");
        let whole = self.disk(number)?;
        let edits = self.report.edits.get(number).ok_or_else(missing)?;
        let own = EditsOnly {
            len: whole.len(),
            ranges: edits.ranges.clone(),
        };
        Ok(Arc::new(Delta {
            own: Arc::new(own),
            whole,
        }))
    }
}
