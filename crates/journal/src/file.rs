//! One journal file: its objects by offset.

use crate::codec::Coding;
use crate::entry::{Entry, EntryHead, Id};
use crate::hash::{lookup3, sip24};
use crate::layout::{Header, Status, index, le32, le64, object, take, wide};
use h2k_block::{BlockRead, Cache, Class, Error, Limits, Meter, Result};
use std::sync::Arc;

/// Bytes read at once; objects are small and lie close to those they belong with.
const PAGE: u64 = 16 << 10;

/// One opened journal file. Shared: any number of readers.
pub struct File<'a> {
    disk: Arc<dyn BlockRead + 'a>,
    name: String,
    pub(crate) header: Header,
    pub(crate) limits: Limits,
    pages: Cache<[u8]>,
    warnings: Vec<String>,
}

/// The common part of every object.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Object {
    pub(crate) at: u64,
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) size: u64,
}

impl Object {
    pub(crate) fn bad(&self, what: String) -> Error {
        Error::corrupt(object::name(self.kind), self.at, what)
    }

    /// First byte behind the object and its padding.
    pub(crate) fn end(&self) -> u64 {
        self.at.saturating_add(self.size).next_multiple_of(8)
    }
}

impl<'a> File<'a> {
    /// Opens the journal in `disk`. `name` is for messages; `limits` is what each later call may cost.
    ///
    /// # Errors
    /// [`h2k_block::Class::Corrupt`] when the header is damaged, [`h2k_block::Class::Unsupported`] for features that
    /// are not known.
    pub fn open(disk: Arc<dyn BlockRead + 'a>, name: impl Into<String>, limits: &Limits) -> Result<Self> {
        let header = Header::read(&*disk)?;
        let mut warnings = Vec::new();
        match header.status {
            Status::Online => {
                warnings.push("the file was open for writing: its end may be missing".to_owned())
            }
            Status::Unknown(state) => warnings.push(format!("the file's state is {state}, expected 0 to 2")),
            _ => {}
        }
        let said = header.header_size.saturating_add(header.arena_size);
        if said > disk.len() {
            let there = disk.len();
            warnings.push(format!(
                "the file is cut short: {there} bytes of {said} are there"
            ));
        }
        let budget = limits.bytes.div_euclid(16).min(8 << 20);
        Ok(Self {
            disk,
            name: name.into(),
            header,
            limits: *limits,
            pages: Cache::new(budget, PAGE),
            warnings,
        })
    }

    /// The name it was opened under.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the file says of itself.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// What was odd about the file as a whole.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Bytes that objects may lie in.
    pub(crate) fn end(&self) -> u64 {
        self.disk.len()
    }

    /// Fills `buf` from `at`.
    pub(crate) fn read(&self, at: u64, buf: &mut [u8]) -> Result<()> {
        // What is longer than a few pages is not worth keeping.
        if wide(buf.len()) > PAGE.saturating_mul(2) {
            return self.disk.read_at(at, buf);
        }
        let end = at.saturating_add(wide(buf.len()));
        if end > self.end() {
            return self.disk.read_at(at, buf);
        }
        let mut done = 0;
        while let Some(rest) = buf.get_mut(done..).filter(|rest| !rest.is_empty()) {
            let here = at.saturating_add(wide(done));
            let number = here.div_euclid(PAGE);
            let start = number.saturating_mul(PAGE);
            let page = self.pages.get(number, || -> Result<Arc<[u8]>> {
                let mut page = vec![0; index(PAGE.min(self.end().saturating_sub(start)))];
                self.disk.read_at(start, &mut page)?;
                Ok(page.into())
            })?;
            let from = page.get(index(here.saturating_sub(start))..).unwrap_or_default();
            let n = from.len().min(rest.len());
            if n == 0 {
                return self.disk.read_at(here, rest);
            }
            for (to, byte) in rest.iter_mut().zip(from) {
                *to = *byte;
            }
            done = done.saturating_add(n);
        }
        Ok(())
    }

    /// The object at `at`, its place and size checked.
    pub(crate) fn any_object(&self, at: u64) -> Result<Object> {
        let bad = |what: String| Error::corrupt("object", at, what);
        if at < self.header.header_size || !at.is_multiple_of(8) || at.saturating_add(16) > self.end() {
            return Err(bad(format!(
                "lies outside of {:#x} to {:#x}, or askew",
                self.header.header_size,
                self.end()
            )));
        }
        let mut head = [0; 16];
        self.read(at, &mut head)?;
        let object = Object {
            at,
            kind: head.first().copied().unwrap_or_default(),
            flags: head.get(1).copied().unwrap_or_default(),
            size: le64(&head, 8),
        };
        let least = object::fixed(object.kind, self.header.compact());
        if object.size < least || at.saturating_add(object.size) > self.end() {
            return Err(object.bad(format!(
                "is {} bytes long, expected {least} or more and an end before {:#x}",
                object.size,
                self.end()
            )));
        }
        Ok(object)
    }

    /// The object at `at`, which has to be of the type `kind`.
    pub(crate) fn object(&self, at: u64, kind: u8) -> Result<Object> {
        let found = self.any_object(at)?;
        if found.kind != kind {
            return Err(found.bad(format!(
                "type is {}, expected a {}",
                found.kind,
                object::name(kind)
            )));
        }
        Ok(found)
    }

    /// The fixed part of an object.
    pub(crate) fn fixed(&self, object: &Object) -> Result<[u8; 72]> {
        let mut raw = [0; 72];
        let len = object::fixed(object.kind, self.header.compact());
        self.read(object.at, raw.get_mut(..index(len)).unwrap_or_default())?;
        Ok(raw)
    }

    /// What lies behind the fixed part.
    pub(crate) fn behind(&self, object: &Object, meter: &mut Meter) -> Result<Vec<u8>> {
        let fixed = object::fixed(object.kind, self.header.compact());
        let len = object.size.saturating_sub(fixed);
        let mut raw = meter.buffer(len, object::name(object.kind))?;
        self.read(object.at.saturating_add(fixed), &mut raw)?;
        Ok(raw)
    }

    /// The payload of a DATA object, decompressed: `FIELD=value`.
    pub(crate) fn payload(&self, object: &Object, meter: &mut Meter) -> Result<Vec<u8>> {
        let raw = self.behind(object, meter)?;
        match Coding::from_flags(object.flags)? {
            None => Ok(raw),
            Some(coding) => coding
                .decode(&raw, meter)
                .map_err(|e| e.at(object::name(object.kind), object.at)),
        }
    }

    /// The hash that the file's tables are ordered by.
    pub(crate) fn hash(&self, payload: &[u8]) -> u64 {
        if self.header.keyed() {
            sip24(&self.header.file_id.0, payload)
        } else {
            lookup3(payload)
        }
    }

    /// When and where the entry at `at` was written.
    ///
    /// # Errors
    /// [`h2k_block::Class::Corrupt`] when there is no entry.
    pub fn head(&self, at: u64) -> Result<EntryHead> {
        let object = self.object(at, object::ENTRY)?;
        let raw = self.fixed(&object)?;
        Ok(EntryHead {
            seqnum: le64(&raw, 16),
            seqnum_id: self.header.seqnum_id,
            realtime: le64(&raw, 24),
            monotonic: le64(&raw, 32),
            boot: Id(take(&raw, 40).unwrap_or_default()),
            xor_hash: le64(&raw, 56),
        })
    }

    /// The offsets of the DATA of an ENTRY.
    pub(crate) fn items(&self, entry: &Object, meter: &mut Meter) -> Result<Vec<u64>> {
        let raw = self.behind(entry, meter)?;
        let offsets = if self.header.compact() {
            raw.chunks_exact(4).map(|item| u64::from(le32(item, 0))).collect()
        } else {
            raw.chunks_exact(16).map(|item| le64(item, 0)).collect()
        };
        Ok(offsets)
    }

    /// The whole entry at `at`. Fields that cannot be read are left out and told to `warn`.
    ///
    /// # Errors
    /// [`h2k_block::Class::Corrupt`] when there is no entry; [`h2k_block::Class::Limit`] when it is too large.
    pub fn entry(&self, at: u64, warn: &mut dyn FnMut(String)) -> Result<Entry> {
        let mut meter = Meter::new(self.limits);
        let head = self.head(at)?;
        let object = self.object(at, object::ENTRY)?;
        let mut fields = Vec::new();
        for item in self.items(&object, &mut meter)? {
            meter.step("field of an entry")?;
            let payload = self
                .object(item, object::DATA)
                .and_then(|data| self.payload(&data, &mut meter));
            let payload = match payload {
                Ok(payload) => payload,
                Err(e) if e.class() == Class::Limit => return Err(e),
                Err(e) => {
                    warn(format!("entry at {at:#x}: {e}"));
                    continue;
                }
            };
            match payload.iter().position(|b| *b == b'=') {
                Some(end) => {
                    let (name, value) = payload.split_at(end);
                    fields.push((name.to_vec(), value.get(1..).unwrap_or_default().to_vec()));
                }
                None => warn(format!("entry at {at:#x}: the data at {item:#x} has no name")),
            }
        }
        Ok(Entry {
            head,
            file: 0,
            offset: at,
            fields,
        })
    }
}
