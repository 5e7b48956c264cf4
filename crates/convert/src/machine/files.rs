//! The files a description names, and where they come from.

use super::{MachineDisk, ManifestCheck, ManifestWish, elsewhere, named};
use crate::Source;
use crate::source::check_recovered;
use h2k_block::{Access, Class, Error, FileDisk, Host, HostFile, Limits, Result};
use h2k_image::{Format, OpenOptions};
use h2k_machine::ova::{Manifest, Ova, open_file};
use h2k_machine::{Drive, File, Kind, Machine, libvirt, ovf, vmx};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// What makes files without names.
pub type Spill<'a> = &'a dyn Fn() -> Result<Arc<dyn HostFile>>;

/// What a description may weigh.
const LARGEST: u64 = 4 << 20;

/// A description and where its names lead.
pub(super) struct Files<'a> {
    kind: Kind,
    source: &'a Source,
    /// The description's text.
    text: Vec<u8>,
    /// The manifest, where there is one.
    manifest: Option<Manifest>,
    certificate: Option<String>,
    host: Box<dyn Host>,
    referrer: PathBuf,
}

impl<'a> Files<'a> {
    pub(super) fn open(kind: Kind, source: &'a Source) -> Result<Self> {
        let file: Arc<dyn HostFile> = Arc::new(FileDisk::open(&source.path, Access::Read, source.sharing)?);
        if kind == Kind::Ova {
            let ova = Ova::open(file, &source.limits)?;
            let (_, text) = ova.descriptor(&source.limits)?;
            return Ok(Self {
                kind,
                source,
                text,
                manifest: ova.manifest(&source.limits)?,
                certificate: ova.certificate().map(str::to_owned),
                referrer: ova.referrer(),
                host: Box::new(ova),
            });
        }
        let host = source.host();
        let referrer = source.path.clone();
        let mut manifest = None;
        if kind == Kind::Ovf {
            let beside = PathBuf::from(referrer.with_extension("mf").file_name().unwrap_or_default());
            manifest = match host.open(&referrer, &beside, Access::Read) {
                Ok(file) => Some(
                    Manifest::parse(&text(&*file)?).map_err(|e| e.through(beside.display().to_string()))?,
                ),
                Err(e) if e.class() == Class::NotFound => None,
                Err(e) => return Err(e),
            };
        }
        Ok(Self {
            kind,
            source,
            text: text(&*file)?,
            manifest,
            certificate: None,
            host: Box::new(host),
            referrer,
        })
    }

    /// What the description says.
    pub(super) fn machine(&self, package: &ovf::Options) -> Result<Machine> {
        let limits: &Limits = &self.source.limits;
        let mut machine = match self.kind {
            Kind::Ova | Kind::Ovf => ovf::read(&self.text, package, limits),
            Kind::Vmx => vmx::read(&self.text, limits),
            Kind::Domain => libvirt::read(&self.text, limits),
        }?;
        if machine.name.is_empty() {
            machine.name = self
                .source
                .path
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
        }
        Ok(machine)
    }

    /// Compares every file the manifest names with it.
    pub(super) fn check(
        &self,
        wish: ManifestWish,
        machine: &mut Machine,
        stop: &AtomicBool,
    ) -> Result<ManifestCheck> {
        if let Some(certificate) = &self.certificate {
            machine.note(certificate.clone(), "the signature is not verified");
        }
        let Some(manifest) = &self.manifest else {
            return Ok(ManifestCheck::Absent);
        };
        if wish == ManifestWish::Skip {
            return Ok(ManifestCheck::Skipped);
        }
        let bytes = match manifest.verify(&*self.host, &self.referrer, stop) {
            Err(e) if e.class() == Class::Corrupt && wish == ManifestWish::Tell => {
                return Ok(ManifestCheck::Differs {
                    why: e.to_string(),
                    advice: e.advice().map(str::to_owned),
                });
            }
            read => read?,
        };
        for drive in machine.drives.clone() {
            if let h2k_machine::Source::File(file) = &drive.source
                && file.chunk.is_none()
                && !manifest.names(&file.name)
            {
                machine.note(file.name.clone(), "the manifest says nothing of this file");
            }
        }
        Ok(ManifestCheck::Agreed {
            files: manifest.entries.len(),
            bytes,
        })
    }

    /// Opens the disk in a drive.
    pub(super) fn disk(
        &self,
        index: usize,
        drive: &Drive,
        spill: Spill<'_>,
        stop: &AtomicBool,
    ) -> Result<MachineDisk> {
        let (file, format, name) = match &drive.source {
            h2k_machine::Source::File(said) => {
                let file = open_file(&*self.host, &self.referrer, said, &mut || spill(), stop)?;
                let name = file.name().to_owned();
                (file, self.format(said)?, name)
            }
            h2k_machine::Source::Empty => {
                let size = drive
                    .capacity
                    .ok_or_else(|| elsewhere("it is empty, and nobody says how large it is"))?;
                let file = spill()?;
                file.set_len(size)?;
                let name = PathBuf::from(format!("{} (empty disk {index})", self.source.path.display()));
                (file, Some(Format::Raw), name)
            }
            h2k_machine::Source::Device(path) => return Err(elsewhere(&format!("block device {path}"))),
            h2k_machine::Source::Elsewhere(what) => return Err(elsewhere(what)),
        };
        let on_host = if self.kind != Kind::Ova && name.exists() {
            check_recovered(&name)?;
            name.clone()
        } else {
            self.source.path.clone()
        };
        let options = OpenOptions {
            format,
            limits: self.source.limits,
            parent_format: self.source.parent_format,
            ..OpenOptions::default()
        };
        let image = h2k_image::open(file, &*self.host, &options)?;
        let source = Source {
            path: on_host,
            format: Some(image.info.format),
            ..self.source.clone()
        };
        Ok(MachineDisk {
            drive: index,
            opened: named(image, name.clone()),
            source,
            name,
        })
    }

    /// The format a description gives to a file. A domain that gives none means raw, and a guest could have written anything
    /// into a raw disk, so nothing is guessed there.
    fn format(&self, file: &File) -> Result<Option<Format>> {
        match &file.format {
            Some(word) => Format::from_name(word)
                .map(Some)
                .ok_or_else(|| Error::unsupported(format!("{} is said to be of format {word:?}", file.name))),
            None if self.kind == Kind::Domain => Ok(Some(Format::Raw)),
            None => Ok(None),
        }
    }
}

/// All of a small file.
fn text(file: &dyn HostFile) -> Result<Vec<u8>> {
    let len = usize::try_from(file.len()).ok().filter(|_| file.len() <= LARGEST);
    let len = len.ok_or_else(|| {
        Error::new(
            Class::Limit,
            format!(
                "a description of {} bytes; at most {LARGEST} are read",
                file.len()
            ),
        )
    })?;
    let mut bytes = vec![0; len];
    file.read_at(0, &mut bytes)?;
    Ok(bytes)
}
