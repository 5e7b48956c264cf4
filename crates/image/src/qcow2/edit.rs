use super::bitmap;
use super::check::judge;
use super::geometry::Geometry;
use super::header::Header;
use super::layout::EXTENSION_BITMAPS;
use super::refcount::read_padded;
use h2k_block::{BlockRead, BlockWrite, Error, HostFile, Meter, Overlay, Result};
use std::sync::Arc;

/// A change to an existing image, kept apart from it until somebody commits it.
///
/// [`Edit::commit`] changes the file in place, all or nothing. To leave the file as it is, copy
/// [`Edit::bytes`] (the changed image, byte for byte) into a new one.
pub struct Edit {
    overlay: Arc<Overlay>,
}

impl Edit {
    /// The changed file: its bytes, [`Edit::len`] of them.
    #[must_use]
    pub fn bytes(&self) -> Arc<dyn BlockRead> {
        self.overlay.clone()
    }

    /// The same, as an overlay of the file whose edits somebody else commits, together with those of other files.
    #[must_use]
    pub fn edits(&self) -> &Overlay {
        &self.overlay
    }

    /// Length of the changed file in bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.overlay.len()
    }

    /// Whether the changed file has no bytes at all: never, an image has a header.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether committing would change nothing.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.overlay.dirty_pages() == 0
    }

    /// Changes `file`, which must be the file the edit was made from, open for [`h2k_block::Access::Edit`]. `log` is
    /// a fresh file beside it; if this is interrupted, [`h2k_block::recover`] with the same log finishes the work, and
    /// until the log is whole the image is as it was. The caller removes the log afterwards.
    ///
    /// # Errors
    /// [`h2k_block::Class::ReadOnly`] when the file is open for reading; else whatever the host says.
    pub fn commit(&self, file: &dyn HostFile, log: &dyn HostFile) -> Result<()> {
        // Bytes past the old end belong to nobody until the log is redone, so growing comes first.
        if file.len() < self.len() {
            file.set_len(self.len())?;
        }
        h2k_block::commit(&self.overlay, file, log)
    }
}

/// An edit in the making.
pub(super) struct Draft {
    file: Arc<dyn HostFile>,
    overlay: Arc<Overlay>,
}

impl Draft {
    /// Nothing is changed yet.
    pub(super) fn new(file: Arc<dyn HostFile>) -> Self {
        let len = file.len();
        Self {
            overlay: Arc::new(overlay(&file, len)),
            file,
        }
    }

    /// The file as changed so far.
    pub(super) fn file(&self) -> &Overlay {
        &self.overlay
    }

    /// Makes the file at least `len` bytes long; what is new is zero.
    pub(super) fn extend(&mut self, len: u64) -> Result<()> {
        if len <= self.overlay.len() {
            return Ok(());
        }
        let longer = overlay(&self.file, len);
        self.overlay.each(&mut |at, bytes| longer.write_at(at, bytes))?;
        self.overlay = Arc::new(longer);
        Ok(())
    }

    /// Writes bytes that the file has or that [`Draft::extend`] made.
    pub(super) fn write(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        self.overlay.write_at(offset, bytes)
    }

    /// Makes the file `clusters` clusters longer and says where they are.
    pub(super) fn append(&mut self, geometry: Geometry, clusters: u64) -> Result<u64> {
        let too_large = || Error::unsupported("the file would be larger than 2^64 bytes");
        let offset = geometry.ceil(self.overlay.len()).ok_or_else(too_large)?;
        let more = clusters.checked_mul(geometry.cluster()).ok_or_else(too_large)?;
        self.extend(offset.checked_add(more).ok_or_else(too_large)?)?;
        Ok(offset)
    }

    /// The number at `offset`, as the draft has it.
    pub(super) fn word(&self, offset: u64) -> Result<u64> {
        let mut bytes = [0; 8];
        self.overlay.read_at(offset, &mut bytes)?;
        Ok(u64::from_be_bytes(bytes))
    }

    /// Writes a number, if it is another one.
    pub(super) fn set(&self, offset: u64, word: u64) -> Result<()> {
        if self.word(offset)? == word {
            return Ok(());
        }
        self.write(offset, &word.to_be_bytes())
    }

    pub(super) fn finish(self) -> Edit {
        Edit {
            overlay: self.overlay,
        }
    }
}

/// Refuses an image whose guest's disk cannot be `changed` (resized, written) in place, or is not sound.
pub(super) fn changeable(
    file: &dyn BlockRead,
    header: &Header,
    changed: &str,
    meter: &mut Meter,
) -> Result<()> {
    let no = |what: &str| Err(Error::unsupported(format!("{what} is not {changed} in place")));
    if header.corrupt() {
        return Err(Error::corrupt("header", 72, "the image is marked corrupt")
            .advise("repair it first: hyper2kvm check --repair all"));
    }
    if header.crypt_method != 0 {
        return no("an encrypted image");
    }
    if header.external() {
        return no("an image with an external data file");
    }
    if header.extension(EXTENSION_BITMAPS).is_some() && !bitmap::list(file, header, meter)?.bitmaps.is_empty()
    {
        return no("an image with bitmaps")
            .map_err(|e: Error| e.advise("remove the bitmaps first: qemu-img bitmap --remove IMAGE NAME"));
    }
    let (check, _) = judge(file, header, meter.clone())?;
    if check.errors > 0 {
        let first = check.findings.first().map_or("", |f| f.what.as_str());
        return Err(Error::corrupt(
            "image",
            0,
            format!("has {} errors (the first: {first})", check.errors),
        )
        .advise("repair it first: hyper2kvm check --repair all"));
    }
    Ok(())
}

fn overlay(file: &Arc<dyn HostFile>, len: u64) -> Overlay {
    Overlay::new(Arc::new(Grown {
        file: file.clone(),
        len,
    }))
}

/// A file that goes on in zeros.
struct Grown {
    file: Arc<dyn HostFile>,
    len: u64,
}

impl BlockRead for Grown {
    fn len(&self) -> u64 {
        self.len
    }

    fn fetch(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        let bytes = read_padded(&*self.file, offset, buf.len())?;
        if bytes.len() != buf.len() {
            return Err(Error::corrupt("file", offset, "ends before"));
        }
        buf.copy_from_slice(&bytes);
        Ok(())
    }
}
