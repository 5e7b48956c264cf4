use crate::bytes::{array, field, index, le16, le32, le64, units, wide};
use crate::key::Key;
use crate::layout::{BLOCK, FARTHEST, NOWHERE, Named, base, bin};
use crate::log::{self, State};
use crate::name::Name;
use crate::sums;
use h2k_block::{BlockRead, Class, Error, Limits, Meter, Result};

/// A hive in memory: its own bytes, and what is known about them.
///
/// Keys and values are views over the bytes. Damage is found where it lies, when somebody looks there: a hive with a
/// broken list still gives everything else. [`Hive::check`] looks everywhere.
#[derive(Clone, Debug)]
pub struct Hive {
    /// Base block, hive bins, and whatever follows them in the file.
    pub(crate) bytes: Vec<u8>,
    /// First byte after the hive bins.
    pub(crate) end: usize,
    pub(crate) minor: u32,
    pub(crate) limits: Limits,
    pub(crate) state: State,
    /// The highest sequence number and the latest time any log showed: what is written next goes beyond them.
    pub(crate) beyond: (u32, u64),
    pub(crate) warnings: Vec<String>,
}

/// What the base block says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Major and minor version of the writer: 1.3 to 1.6.
    pub version: (u32, u32),
    /// Primary and secondary sequence number; they differ while a write is under way.
    pub sequence: (u32, u32),
    /// When it was last written: 100-nanosecond intervals since 1601, UTC. Windows 8.1 and later leave it alone.
    pub written: u64,
    /// The end of the file's path, kept for debugging.
    pub file_name: String,
    /// Length of the hive bins in bytes.
    pub bins: u64,
    /// Whether it could be read as it was.
    pub state: State,
    /// What is odd but was read all the same.
    pub warnings: Vec<String>,
}

impl Hive {
    /// Opens a hive from the bytes of its file and those of its transaction logs, in any order. When the hive was left
    /// in the middle of a write, the logs are replayed before anything is read; nothing is written.
    ///
    /// # Errors
    /// [`Class::Corrupt`] when this is no hive or its base block means nothing; [`Class::Unsupported`] for versions
    /// before 1.3 (Windows NT 3); [`Class::Limit`] when it is larger than `limits` allow.
    pub fn open(bytes: Vec<u8>, logs: &[&[u8]], limits: &Limits) -> Result<Self> {
        let mut meter = Meter::new(*limits);
        meter.bytes(wide(bytes.len()), "hive")?;
        let mut bytes = bytes;
        recognise(&bytes)?;
        let recovery = log::recover(&mut bytes, logs, &mut meter)?;
        let bad = |at: usize, what: String| Error::corrupt("base block", wide(at), what);
        let need = |at: usize| le32(&bytes, at).ok_or_else(|| bad(at, "the file ends inside it".to_owned()));
        let (major, minor) = (need(base::MAJOR)?, need(base::MINOR)?);
        if major != 1 || !(3..=6).contains(&minor) {
            let what = format!("version {major}.{minor}, expected 1.3 to 1.6");
            return Err(if major == 1 && minor < 3 && sums::sound(&bytes) {
                Error::unsupported(format!("hives of version {major}.{minor} (Windows NT 3)"))
                    .at("base block", wide(base::MINOR))
            } else {
                bad(base::MAJOR, what)
            });
        }
        let format = need(base::FORMAT)?;
        if format != 1 {
            return Err(bad(base::FORMAT, format!("file format {format}, expected 1")));
        }
        let mut warnings = recovery.warnings;
        let said = index(need(base::BINS)?);
        if said == 0 || !said.is_multiple_of(BLOCK) || said > FARTHEST {
            let what = format!("hive bins of {said:#x} bytes, expected a multiple of 4096");
            return Err(bad(base::BINS, what));
        }
        let end = said.saturating_add(BLOCK);
        if end > bytes.len() {
            warnings.push(format!(
                "the file has {:#x} bytes, the hive bins end at {end:#x}",
                bytes.len()
            ));
        }
        let mut hive = Self {
            end: end.min(bytes.len()),
            bytes,
            minor,
            limits: *limits,
            state: recovery.state,
            beyond: recovery.beyond,
            warnings,
        };
        if let Err(e) = hive.bins(&mut |_, _| {}) {
            hive.warnings.push(e.to_string());
        }
        Ok(hive)
    }

    /// The same, from disks: a file of the host, or one inside a guest.
    ///
    /// # Errors
    /// As [`Hive::open`], and whatever stands between the caller and the bytes.
    pub fn read(disk: &dyn BlockRead, logs: &[&dyn BlockRead], limits: &Limits) -> Result<Self> {
        let whole = |disk: &dyn BlockRead| {
            let mut bytes = Meter::new(*limits).buffer(disk.len(), "hive")?;
            disk.read_at(0, &mut bytes)?;
            Ok::<_, Error>(bytes)
        };
        let logs = logs.iter().map(|log| whole(*log)).collect::<Result<Vec<_>>>()?;
        let logs: Vec<&[u8]> = logs.iter().map(Vec::as_slice).collect();
        Self::open(whole(disk)?, &logs, limits)
    }

    /// Whether a hive whose file begins with `head` (512 bytes at least) was left between writes: its transaction logs
    /// are of no use to a reader.
    #[must_use]
    pub fn is_settled(head: &[u8]) -> bool {
        let sequences = (le32(head, base::PRIMARY), le32(head, base::SECONDARY));
        sums::sound(head) && sequences.0.is_some() && sequences.0 == sequences.1
    }

    /// What the base block says.
    #[must_use]
    pub fn facts(&self) -> Facts {
        let get = |at| le32(&self.bytes, at).unwrap_or(0);
        let name = self.bytes.get(base::NAME..).unwrap_or_default();
        let name = units(name.get(..base::NAME_LEN).unwrap_or(name)).take_while(|unit| *unit != 0);
        Facts {
            version: (get(base::MAJOR), self.minor),
            sequence: (get(base::PRIMARY), get(base::SECONDARY)),
            written: le64(&self.bytes, base::WRITTEN).unwrap_or(0),
            file_name: String::from_utf16_lossy(&name.collect::<Vec<_>>()),
            bins: wide(self.end.saturating_sub(BLOCK)),
            state: self.state,
            warnings: self.warnings.clone(),
        }
    }

    /// The bytes as they are now: replayed, and edited. What was not touched is as it was.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Gives the bytes away.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// The root key.
    ///
    /// # Errors
    /// [`Class::Corrupt`] when the base block points at something else.
    pub fn root(&self) -> Result<Key<'_>> {
        self.key(self.root_offset())
    }

    /// The key whose node lies in the cell at `at`, as [`Key::id`] gave it.
    ///
    /// # Errors
    /// [`Class::Corrupt`] when no key node lies there.
    pub fn key(&self, at: u32) -> Result<Key<'_>> {
        Key::at(self, at)
    }

    /// The key at `path`: names below the root with backslashes between them, in any case. The empty path is the root.
    ///
    /// # Errors
    /// [`Class::Corrupt`] when a key on the way is damaged. A key that is not there is `None`.
    pub fn find(&self, path: &str) -> Result<Option<Key<'_>>> {
        let mut key = self.root()?;
        for name in parts(path) {
            match key.subkey(name)? {
                Some(next) => key = next,
                None => return Ok(None),
            }
        }
        Ok(Some(key))
    }

    /// The control set that `CurrentControlSet` stands for: `ControlSet001` where `Select\Current` is 1. `None` in
    /// hives that have no `Select`.
    ///
    /// # Errors
    /// [`Class::Corrupt`] when the key is damaged.
    pub fn control_set(&self) -> Result<Option<String>> {
        let Some(select) = self.find("Select")? else {
            return Ok(None);
        };
        let Some(current) = select.value("Current")? else {
            return Ok(None);
        };
        Ok(current.number()?.map(|n| format!("ControlSet{n:03}")))
    }

    /// `path` with `CurrentControlSet` at its beginning replaced by what [`Hive::control_set`] says, unless a key of
    /// that name is there.
    ///
    /// # Errors
    /// [`Class::Corrupt`] when a key on the way is damaged.
    pub fn resolve(&self, path: &str) -> Result<String> {
        let mut names: Vec<&str> = parts(path).collect();
        let Some(first) = names.first_mut() else {
            return Ok(String::new());
        };
        let set = if crate::name::fold(first.encode_utf16(), "CurrentControlSet".encode_utf16()).is_eq()
            && self.root()?.subkey(first)?.is_none()
        {
            self.control_set()?
        } else {
            None
        };
        if let Some(set) = &set {
            *first = set;
        }
        Ok(names.join("\\"))
    }

    pub(crate) fn root_offset(&self) -> u32 {
        le32(&self.bytes, base::ROOT).unwrap_or(NOWHERE)
    }

    /// The content of the allocated cell at `at`, which holds a `what`.
    pub(crate) fn cell(&self, at: u32, what: &'static str) -> Result<&[u8]> {
        let (size, content) = self.any_cell(at, what)?;
        if size >= 0 {
            return Err(self.bad(
                at,
                what,
                format!("a free cell of {size} bytes, expected an allocated one"),
            ));
        }
        Ok(content)
    }

    /// The `structure` with this signature at `at`.
    pub(crate) fn record(&self, at: u32, structure: &'static str, signature: [u8; 2]) -> Result<&[u8]> {
        let record = self.cell(at, structure)?;
        let found: [u8; 2] = array(record, 0).unwrap_or_default();
        if found != signature {
            let [a, b] = signature.map(char::from);
            return Err(self.bad(at, structure, format!("{found:02x?}, expected \"{a}{b}\"")));
        }
        Ok(record)
    }

    /// The record at `at`, and its name.
    pub(crate) fn named(&self, at: u32, kind: &Named) -> Result<(&[u8], Name<'_>)> {
        let record = self.record(at, kind.structure, kind.signature)?;
        let name = record.get(kind.name..).and_then(|room| {
            let len = usize::from(le16(record, kind.name_len)?);
            room.get(..len)
        });
        let Some(name) = name else {
            let found = format!("a name that runs past the cell of {} bytes", record.len());
            return Err(self.bad(at, kind.structure, found));
        };
        let latin = le16(record, kind.flags).unwrap_or(0) & kind.latin != 0;
        Ok((record, Name::new(name, latin)))
    }

    /// The signed size and the content of the cell at `at`.
    pub(crate) fn any_cell(&self, at: u32, what: &'static str) -> Result<(i32, &[u8])> {
        let start = BLOCK.saturating_add(index(at));
        let outside = || {
            let len = self.end.saturating_sub(BLOCK);
            self.bad(
                at,
                what,
                format!("a cell outside the hive bins, which have {len:#x} bytes"),
            )
        };
        let room = self.bytes.get(start..self.end).ok_or_else(outside)?;
        let size = i32::from_le_bytes(array(room, 0).ok_or_else(outside)?);
        let len = index(size.unsigned_abs());
        if !at.is_multiple_of(8) || len < 8 || !len.is_multiple_of(8) || len > room.len() {
            let what_is = format!(
                "a cell of {len:#x} bytes, expected a multiple of 8 up to {:#x}",
                room.len()
            );
            return Err(self.bad(at, what, what_is));
        }
        Ok((size, room.get(4..len).unwrap_or_default()))
    }

    /// An error about the structure in the cell at `at`; its place is the position in the file.
    #[allow(clippy::unused_self)]
    pub(crate) fn bad(&self, at: u32, what: &'static str, found: String) -> Error {
        Error::corrupt(what, u64::from(at).saturating_add(wide(BLOCK)), found)
    }

    /// Shows position (from the first bin) and size of every hive bin. Ends with the first that is wrong.
    pub(crate) fn bins(&self, show: &mut dyn FnMut(usize, usize)) -> Result<()> {
        let mut at = BLOCK;
        while at < self.end {
            let offset = at.saturating_sub(BLOCK);
            let here = self.bytes.get(at..self.end).unwrap_or_default();
            let bad = |what: String| Err(Error::corrupt("hive bin", wide(at), what));
            if array(here, 0) != Some(bin::SIGNATURE) {
                return bad(format!(
                    "{:02x?}, expected \"hbin\"",
                    here.get(..4).unwrap_or_default()
                ));
            }
            let said = le32(here, bin::OFFSET).unwrap_or(NOWHERE);
            if said != field(offset) {
                return bad(format!("it says to lie at {said:#x}, expected {offset:#x}"));
            }
            let size = index(le32(here, bin::SIZE).unwrap_or(0));
            if size == 0 || !size.is_multiple_of(BLOCK) || size > here.len() {
                return bad(format!(
                    "{size:#x} bytes, expected a multiple of 4096 up to {:#x}",
                    here.len()
                ));
            }
            show(offset, size);
            at = at.saturating_add(size);
        }
        Ok(())
    }
}

/// The names of a path.
pub(crate) fn parts(path: &str) -> impl Iterator<Item = &str> {
    path.split('\\').filter(|name| !name.is_empty())
}

/// Refuses what is no primary file of a hive.
fn recognise(bytes: &[u8]) -> Result<()> {
    let found: [u8; 4] = array(bytes, 0).unwrap_or_default();
    let no = |at: usize, what: String| Err(Error::corrupt("base block", wide(at), what));
    if found != base::SIGNATURE {
        return no(
            0,
            format!("{found:02x?}, expected \"regf\": this is no registry hive"),
        );
    }
    if bytes.len() < BLOCK {
        return no(
            0,
            format!("the file has {} bytes, expected at least 4096", bytes.len()),
        );
    }
    let kind = le32(bytes, base::TYPE).unwrap_or(0);
    let log = le16(bytes, base::TYPE.saturating_add(2)) == Some(0) && matches!(kind, 1 | 2 | 6);
    if log
        && bytes
            .get(base::KEPT..)
            .is_some_and(|rest| rest.starts_with(b"DIRT") || rest.starts_with(b"HvLE"))
    {
        return Err(
            Error::new(Class::Invalid, "this is a transaction log, and no hive")
                .at("base block", wide(base::TYPE))
                .advise("name the hive it belongs to; logs beside it are found"),
        );
    }
    Ok(())
}
