//! The volume: its `$MFT`, found through itself, and the caches.

use crate::attribute::{Attribute, Body};
use crate::boot::Geometry;
use crate::layout::{kind, record as numbers};
use crate::names::UpCase;
use crate::record::{self, File, Raw};
use crate::stream;
use h2k_block::{BlockRead, Cache, Error, Limits, Meter, Result};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

/// Memory for files taken apart, counting each as two records.
const FILES: u64 = 8 << 20;
/// Memory for blocks of `$MFT` and of indexes.
const BLOCKS: u64 = 8 << 20;
/// Bytes of `$MFT` read together: neighbours are wanted together.
const STRIDE: u64 = 32 << 10;
/// Records that `$MFTMirr` has for certain: `$MFT`, itself, `$LogFile` and `$Volume`.
const MIRRORED: u64 = 4;
/// Memory for decompressed units.
const UNITS: u64 = 8 << 20;

/// See the module.
pub(crate) struct Volume {
    pub(crate) disk: Arc<dyn BlockRead>,
    pub(crate) geometry: Geometry,
    pub(crate) limits: Limits,
    mft: Attribute,
    files: Cache<File>,
    strides: Cache<[u8]>,
    pub(crate) blocks: Cache<[u8]>,
    pub(crate) units: Cache<[u8]>,
    upcase: OnceLock<UpCase>,
    /// Whether a record came from `$MFTMirr`, other than the first.
    mirrored: AtomicBool,
}

impl Volume {
    /// Finds `$MFT` on `disk`; its mirror takes over when its first record is damaged.
    pub(crate) fn new(
        disk: Arc<dyn BlockRead>,
        geometry: Geometry,
        limits: Limits,
        warn: &mut dyn FnMut(String),
    ) -> Result<Self> {
        let first = match at(&*disk, &geometry, geometry.mft, numbers::MFT) {
            Ok(first) => first,
            Err(e) => {
                let mirror = if geometry.mirror == 0 {
                    None
                } else {
                    at(&*disk, &geometry, geometry.mirror, numbers::MFT).ok()
                };
                let Some(mirror) = mirror else { return Err(e) };
                warn(format!(
                    "the first record of $MFT is damaged ({e}); $MFTMirr was used"
                ));
                mirror
            }
        };
        let data = |a: &&Attribute| a.kind == kind::DATA && a.name.is_empty();
        let mft = first.attributes.iter().find(data).cloned();
        let mft = mft.filter(|a| matches!(a.body, Body::Runs { lowest: 0, .. }));
        let mft = mft.ok_or_else(|| Error::corrupt("MFT record", 0, "$MFT has no clusters"))?;
        let each = u64::from(geometry.record).saturating_mul(2);
        let unit = u64::from(geometry.cluster)
            .saturating_mul(16)
            .clamp(4096, 1 << 20);
        let mut volume = Self {
            disk,
            geometry,
            limits,
            mft,
            files: Cache::new(FILES, each),
            strides: Cache::new(BLOCKS, STRIDE),
            blocks: Cache::new(BLOCKS, 4096),
            units: Cache::new(UNITS, unit),
            upcase: OnceLock::new(),
            mirrored: AtomicBool::new(false),
        };
        volume.rest_of_mft(first)?;
        Ok(volume)
    }

    /// Follows the attribute list of `$MFT`: each record it names lies in the part that is known already.
    fn rest_of_mft(&mut self, first: Raw) -> Result<()> {
        let Some(list) = first.attributes.iter().find(|a| a.kind == kind::ATTRIBUTE_LIST) else {
            return Ok(());
        };
        let bad = |what: String| Error::corrupt("attribute list", 0, format!("$MFT: {what}"));
        let mut meter = Meter::new(self.limits);
        let list = self.small(list, 1 << 20, &mut meter)?;
        for other in record::extensions(&list, numbers::MFT).map_err(bad)? {
            meter.step("extension record")?;
            let raw = self.record(other)?;
            let more = raw
                .attributes
                .into_iter()
                .filter(|a| a.kind == kind::DATA && a.name.is_empty());
            for part in more {
                let both = vec![self.mft.clone(), part];
                let mut joined = crate::attribute::join(both).map_err(bad)?;
                self.mft = joined.swap_remove(0);
            }
        }
        Ok(())
    }

    /// Record `number`, taken apart but not joined; from `$MFTMirr` where that has it and `$MFT` does not.
    pub(crate) fn record(&self, number: u64) -> Result<Raw> {
        let e = match self.own_record(number) {
            Err(e) if number < MIRRORED && self.geometry.mirror != 0 => e,
            other => return other,
        };
        let skip = number.saturating_mul(self.geometry.record.into());
        let place = self.geometry.mirror.saturating_add(skip);
        let Ok(mirror) = at(&*self.disk, &self.geometry, place, number) else {
            return Err(e);
        };
        self.mirrored.fetch_or(number != numbers::MFT, Ordering::Relaxed);
        Ok(mirror)
    }

    /// Whether one of `$LogFile`, `$Volume` and the mirror itself had to be taken from the mirror.
    pub(crate) fn used_mirror(&self) -> bool {
        self.mirrored.load(Ordering::Relaxed)
    }

    fn own_record(&self, number: u64) -> Result<Raw> {
        let size = u64::from(self.geometry.record);
        let at = number
            .checked_mul(size)
            .filter(|at| at.checked_add(size).is_some_and(|e| e <= self.mft.len()));
        let Some(at) = at else {
            return Err(Error::corrupt(
                "MFT record",
                0,
                format!("there is no record {number}"),
            ));
        };
        let base = at.saturating_sub(at.checked_rem(STRIDE).unwrap_or(0));
        let len = STRIDE.max(size).min(self.mft.len().saturating_sub(base));
        let stride = self.strides.get(base, || {
            let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
            stream::read(self, &self.mft, base, &mut bytes)?;
            Ok::<_, Error>(Arc::from(bytes))
        });
        let from = usize::try_from(at.saturating_sub(base)).unwrap_or(0);
        let n = usize::try_from(size).unwrap_or(0);
        let bytes = match stride {
            Ok(stride) => stride
                .get(from..)
                .and_then(|b| b.get(..n))
                .unwrap_or_default()
                .to_vec(),
            // A neighbour that cannot be read does not hide this one.
            Err(_) => {
                let mut bytes = vec![0; n];
                stream::read(self, &self.mft, at, &mut bytes)?;
                bytes
            }
        };
        record::parse(bytes, number, at, self.geometry.clusters)
    }

    /// File `number` with all its attributes.
    pub(crate) fn file(&self, number: u64) -> Result<Arc<File>> {
        self.files
            .get(number, || record::read(self, number).map(Arc::new))
    }

    /// All of an attribute that may have at most `most` bytes.
    pub(crate) fn small(&self, attribute: &Attribute, most: u64, meter: &mut Meter) -> Result<Vec<u8>> {
        let len = attribute.len();
        if len > most {
            let what = format!(
                "attribute {:#x} has {len} bytes, at most {most} are sensible",
                attribute.kind
            );
            return Err(Error::corrupt("attribute", 0, what));
        }
        let mut bytes = meter.buffer(len, "attribute")?;
        stream::read(self, attribute, 0, &mut bytes)?;
        Ok(bytes)
    }

    /// The table that makes names equal.
    pub(crate) fn upcase(&self) -> Result<&UpCase> {
        if let Some(table) = self.upcase.get() {
            return Ok(table);
        }
        let file = self.file(numbers::UPCASE)?;
        let data = file
            .find(kind::DATA, &[])
            .ok_or_else(|| Error::corrupt("$UpCase", file.at, "has no data"))?;
        let bytes = self
            .small(data, 128 << 10, &mut Meter::new(self.limits))
            .map_err(|e| e.at("$UpCase", file.at))?;
        Ok(self.upcase.get_or_init(|| UpCase::new(&bytes)))
    }
}

/// Record `number` at byte `at`: the first one where the boot sector says `$MFT` begins, or one of its mirror.
fn at(disk: &dyn BlockRead, geometry: &Geometry, at: u64, number: u64) -> Result<Raw> {
    let mut bytes = vec![0; usize::try_from(geometry.record).unwrap_or(0)];
    disk.read_at(at, &mut bytes).map_err(|e| e.at("MFT record", at))?;
    record::parse(bytes, number, at, geometry.clusters)
}
