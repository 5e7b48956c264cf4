//! A whole machine from one hypervisor to KVM: fixed in overlays, every disk copied once, described for libvirt.
//!
//! Nothing has its name before all of it is whole: the disks, the description, and last of all the report.

mod boot;
mod domain;
mod proof;
mod report;

pub use proof::{Proof, ProvedBy};
pub use report::{MigrateReport, MigrateTimes};

use crate::failure::About;
use crate::fix::clear;
use crate::{Convert, Failure, Fixed, Fixing, Making, ManifestWish, Phase, Result, Watch};
use h2k_block::{Error, HostFile, Output};
use h2k_image::Info;
use h2k_machine::Decisions;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Instant;

/// A migration: what is meant, every choice made.
#[derive(Debug)]
pub struct Migrate {
    /// The guest and its fixes.
    pub fixing: Fixing,
    /// What was decided of the target machine; drives, firmware and name follow from the rest.
    pub decisions: Decisions,
    /// The directory everything is put into; made where it is missing.
    pub into: PathBuf,
    /// The name of the machine, and what its files are called by; as the description of the old machine has it when not
    /// given, else as its first disk is called.
    pub name: Option<String>,
    /// How the disks are made.
    pub making: Making,
    /// Whether to go on where something stands in the way, and leave that as it is.
    pub allow_partial: bool,
    /// Whether to read the finished disks again and compare.
    pub verify: bool,
    /// Whether to read sources and finished disks once more, and prove that they differ where fixes wrote and nowhere
    /// else.
    pub prove: bool,
    /// Worker threads; 0 means one for each processor.
    pub workers: usize,
    /// At most so many bytes of source data read in a second.
    pub bandwidth: Option<u64>,
    /// Whether existing files may be replaced.
    pub replace: bool,
    /// How long the machine may take to come up, where it is to be started once it is made.
    pub boot_test: Option<std::time::Duration>,
}

impl Migrate {
    /// Migrates. What it makes appears whole, or not at all; the sources are only read.
    ///
    /// # Errors
    /// As [`Fixing::run`]; [`Refused`](crate::Class::Refused) when the guest cannot be fixed whole; what the host says;
    /// [`Cancelled`](crate::Class::Cancelled) when `stop` was set.
    pub fn run(mut self, stop: &AtomicBool, watch: &dyn Watch) -> Result<MigrateReport> {
        let begun = Instant::now();
        let made = directory(&self.into)?;
        let mut fixing = std::mem::take(&mut self.fixing);
        fixing.guest.manifest = ManifestWish::Demand;
        fixing.guest.spill.get_or_insert_with(|| self.into.clone());
        watch.phase(Phase::Look);
        let done = fixing.run(stop).and_then(|fixed| {
            clear(&fixed.report, self.allow_partial)?;
            self.copy(&fixed, begun, stop, watch)
        });
        if done.is_err() && made {
            // It was made for this and is empty again; where it is not, it is not ours to remove.
            let _not_empty = std::fs::remove_dir(&self.into);
        }
        done.map_err(|failure| failure.leaving("the source was not modified"))
    }

    fn name_for(&self, fixed: &Fixed) -> Result<String> {
        if let Some(name) = &self.name {
            file_name(name)?;
            return Ok(name.clone());
        }
        let described = fixed.guest.machine.as_ref().map(|open| open.machine.name.clone());
        let first = fixed.guest.disks.first().and_then(|disk| disk.file_stem());
        let name = described
            .filter(|name| !name.is_empty())
            .or_else(|| first.map(|stem| stem.to_string_lossy().into_owned()))
            .unwrap_or_default();
        // Nobody typed it: what would be a path, or a nuisance in one, is spelled otherwise.
        let safe = |c: char| {
            if c.is_alphanumeric() || ".-_+".contains(c) {
                c
            } else {
                '-'
            }
        };
        let name: String = name.trim_start_matches('.').chars().map(safe).take(64).collect();
        file_name(&name)?;
        Ok(name)
    }

    fn copy(
        &self,
        fixed: &Fixed,
        begun: Instant,
        stop: &AtomicBool,
        watch: &dyn Watch,
    ) -> Result<MigrateReport> {
        let images = &fixed.guest.images;
        let needed: Vec<&Info> = images.iter().map(|(_, opened)| &opened.info).collect();
        let mut output = Output::new(self.replace);
        // The one made first gets its name last: where the report is, everything is.
        let path = self.into.join("report.json");
        let path = crate::free::free(&path, self.replace, &needed)?;
        self.picture_is_free(&needed)?;
        let file = output.create(&path).about(&path)?;
        let name = self.name_for(fixed)?;
        let mut report = MigrateReport::new(&name, fixed);
        for (number, (source, opened)) in images.iter().enumerate() {
            let job = Convert {
                source: source.clone(),
                target: self
                    .into
                    .join(disk_name(&name, number, images.len(), &self.making)),
                making: self.making.clone(),
                chain: crate::Chain::Flatten,
                resize: None,
                shrink: false,
                workers: self.workers,
                digest: None,
                verify: self.verify,
                bandwidth: self.bandwidth,
                replace: self.replace,
            };
            let ready = job.ready_for(opened.clone(), fixed.disk(number)?, None, &needed)?;
            let copied = job.fill(&ready, &mut output, stop, watch).map_err(|e| {
                job.failed(e, Some(&ready))
                    .leaving("nothing was left of the target")
            })?;
            if self.prove {
                watch.phase(Phase::Compare);
                let proof = proof::prove(fixed, number, &output, &job, stop, watch)?;
                report.proofs.push(proof);
            } else if self.verify {
                report.proofs.push(proof::verified(fixed, number, &job));
            }
            report.disks.push(copied);
        }
        let domain = domain::describe(self, &name, fixed, &report.images())?;
        let xml = self.into.join(format!("{name}.xml"));
        let xml = crate::free::free(&xml, self.replace, &needed)?;
        store(&*output.create(&xml).about(&xml)?, &domain.xml).about(&xml)?;
        report.domain = xml.display().to_string();
        report.notes = domain.notes;
        report.finish(fixed, begun);
        let text = report.text()?;
        store(&*file, &text).about(&path)?;
        output.commit().about(&self.into)?;
        if self.boot_test.is_some() {
            watch.phase(Phase::Boot);
        }
        self.boot(&mut report, fixed, &path, stop)?;
        Ok(report)
    }
}

fn store(file: &dyn HostFile, text: &str) -> h2k_block::Result<()> {
    file.set_len(u64::try_from(text.len()).unwrap_or(u64::MAX))?;
    file.write_at(0, text.as_bytes())
}

/// What the file of a disk is called.
fn disk_name(name: &str, number: usize, count: usize, making: &Making) -> String {
    let ending = making.format.name();
    match count {
        1 => format!("{name}.{ending}"),
        _ => format!("{name}-{}.{ending}", number.saturating_add(1)),
    }
}

/// Refuses a name that would be a path.
fn file_name(name: &str) -> Result<()> {
    let fits = !name.is_empty()
        && !name.starts_with('.')
        && name.len() <= 200
        && !name.contains(|c: char| c == '/' || c.is_control());
    if fits {
        return Ok(());
    }
    Err(
        Failure::invalid(format!("{name:?} cannot be the name of a machine's files"))
            .advise("say --name; letters, digits, dots and dashes are safe"),
    )
}

/// Makes the directory, where there is none. Says whether it did.
fn directory(path: &Path) -> Result<bool> {
    if path.is_dir() {
        return Ok(false);
    }
    std::fs::create_dir(path).map_err(|e| Failure::from(Error::from(e)).about(path))?;
    Ok(true)
}
