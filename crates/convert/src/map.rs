use h2k_block::{BlockRead, Class, Error, Extent, Kind, Result, extents};
use serde::Serialize;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

/// A run of the guest's disk that is stored in one way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct MapEntry {
    /// First guest byte.
    pub start: u64,
    /// Guest bytes covered.
    pub length: u64,
    /// Which image of the chain answers: 0 is the one that was named, 1 its parent.
    pub depth: u16,
    /// Whether some image of the chain says anything about these bytes; where none does, they read as zero.
    pub present: bool,
    /// Whether the bytes are known to be zero without reading them.
    pub zero: bool,
    /// Whether bytes are stored that have to be read.
    pub data: bool,
    /// Whether they are stored compressed.
    pub compressed: bool,
    /// Where the bytes lie verbatim in `file`; absent where they do not.
    pub offset: Option<u64>,
    /// The host file of `offset`.
    pub file: Option<String>,
}

impl MapEntry {
    fn of(extent: Extent) -> Self {
        Self {
            start: extent.start,
            length: extent.len,
            depth: extent.depth,
            present: extent.kind != Kind::Hole,
            zero: extent.kind != Kind::Data,
            data: extent.kind == Kind::Data,
            compressed: extent.compressed,
            offset: None,
            file: None,
        }
    }

    /// Grows by `next` if both are one run; says whether it did.
    fn join(&mut self, next: &Self) -> bool {
        let touches = self.start.checked_add(self.length) == Some(next.start);
        let offsets = match (self.offset, next.offset) {
            (None, None) => true,
            (Some(a), Some(b)) => a.checked_add(self.length) == Some(b),
            _ => false,
        };
        let alike = self.depth == next.depth
            && self.present == next.present
            && self.data == next.data
            && self.compressed == next.compressed
            && self.file == next.file;
        if touches && offsets && alike {
            self.length = self.length.saturating_add(next.length);
        }
        touches && offsets && alike
    }
}

/// Shows the map of `range` of `disk`, run by run, in order; neighbours that are stored alike are one run.
///
/// # Errors
/// What the disk says, what `show` returns, or [`Class::Cancelled`].
pub fn map(
    disk: &dyn BlockRead,
    range: Range<u64>,
    stop: &AtomicBool,
    show: &mut dyn FnMut(&MapEntry) -> Result<()>,
) -> Result<()> {
    let mut pending: Option<MapEntry> = None;
    let mut add = |next: MapEntry| {
        if pending.as_mut().is_some_and(|run| run.join(&next)) {
            return Ok(());
        }
        pending.replace(next).map_or(Ok(()), |done| show(&done))
    };
    for extent in extents(disk, range) {
        if stop.load(Ordering::Relaxed) {
            return Err(Error::new(Class::Cancelled, "stopped while reading the map"));
        }
        placed(disk, extent?, &mut add)?;
    }
    pending.map_or(Ok(()), |last| show(&last))
}

/// Splits an extent where the host file's bytes stop following each other.
fn placed(disk: &dyn BlockRead, extent: Extent, add: &mut dyn FnMut(MapEntry) -> Result<()>) -> Result<()> {
    if extent.kind != Kind::Data || extent.compressed {
        return add(MapEntry::of(extent));
    }
    let mut at = extent.start;
    while at < extent.end() {
        let left = extent.end().saturating_sub(at);
        let (len, offset, file) = match disk.raw_at(at, extent.end())? {
            Some(span) if span.len > 0 => (
                span.len.min(left),
                Some(span.offset),
                Some(span.file.name().display().to_string()),
            ),
            _ => (left, None, None),
        };
        add(MapEntry {
            start: at,
            length: len,
            offset,
            file,
            ..MapEntry::of(extent)
        })?;
        at = at.saturating_add(len);
    }
    Ok(())
}
