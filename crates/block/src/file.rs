use crate::host::{Access, HostFile, Identity};
use crate::lock::{self, Sharing};
use crate::{BlockRead, BlockWrite, Class, Error, Extent, Kind, RawSpan, Result};
use rustix::fs::{FallocateFlags, FileType, Mode, OFlags, SeekFrom};
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// A host file or block device. Positional I/O only: no cursor to race on.
#[derive(Debug)]
pub struct FileDisk {
    file: Arc<File>,
    name: PathBuf,
    len: AtomicU64,
    writable: bool,
    /// The run of data found last. To find where data ends, some hosts walk all of it: asking again for every block
    /// of a dense image would cost the square of its size. "Data" stays a safe answer whatever happens to the file.
    data: Mutex<Range<u64>>,
    /// The size of a block device, which no call can change.
    device: Option<u64>,
    /// Whether locks were taken.
    locked: bool,
}

impl Drop for FileDisk {
    fn drop(&mut self) {
        if self.locked {
            lock::release(&self.file);
        }
    }
}

impl FileDisk {
    /// Opens the file that the user named, with the locks QEMU would take.
    ///
    /// # Errors
    /// [`Class::NotFound`], [`Class::Busy`] when somebody writes to it, [`Class::Unsupported`] for
    /// directories, pipes and sockets, [`Class::Exists`] when a file to be created is there already.
    pub fn open(path: &Path, access: Access, sharing: Sharing) -> Result<Self> {
        let mut how = flags(access);
        if access == Access::Edit && is_block_device(path) {
            // On a block device: refuse one that is mounted, or part of something that is.
            how |= OFlags::EXCL;
        }
        let file =
            rustix::fs::open(path, how, Mode::from_raw_mode(0o644)).map_err(|e| opening(path, e.into()))?;
        Self::adopt(File::from(file), path, access, sharing)
    }

    /// Makes an empty file in `dir` that has no name: nobody else can open it, and it is gone when it is dropped,
    /// however the process ends.
    ///
    /// # Errors
    /// What the host says.
    pub fn nameless(dir: &Path) -> Result<Self> {
        let mode = Mode::from_raw_mode(0o600);
        let how = flags(Access::Edit);
        let file = match rustix::fs::open(dir, how | OFlags::TMPFILE, mode) {
            Ok(file) => file,
            // A host without such files: one that loses its name at once.
            Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::ISDIR) => {
                static COUNT: AtomicU64 = AtomicU64::new(0);
                let number = COUNT.fetch_add(1, Ordering::Relaxed);
                let name = dir.join(format!(".h2k-spill-{}-{number}", std::process::id()));
                let file = rustix::fs::open(&name, flags(Access::Create), mode)
                    .map_err(|e| opening(&name, e.into()))?;
                rustix::fs::unlink(&name).map_err(|e| opening(&name, e.into()))?;
                file
            }
            Err(e) => return Err(opening(dir, e.into())),
        };
        Self::adopt(File::from(file), dir, Access::Edit, Sharing::Force)
    }

    /// Takes an open file: checks what it is, locks it, and takes its length once.
    pub(crate) fn adopt(file: File, path: &Path, access: Access, sharing: Sharing) -> Result<Self> {
        let stat = rustix::fs::fstat(&file).map_err(|e| opening(path, e.into()))?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        let len = match kind {
            FileType::RegularFile => u64::try_from(stat.st_size).unwrap_or(0),
            // The size of a block device is where its end is.
            FileType::BlockDevice => {
                rustix::fs::seek(&file, SeekFrom::End(0)).map_err(|e| opening(path, e.into()))?
            }
            FileType::Directory => return Err(unfit(path, "is a directory, not a disk image")),
            _ => return Err(unfit(path, "is neither a regular file nor a block device")),
        };
        let writable = access != Access::Read;
        lock::take(&file, writable, sharing).map_err(|e| e.through(path.display().to_string()))?;
        Ok(Self {
            file: Arc::new(file),
            name: path.to_owned(),
            len: len.into(),
            writable,
            data: Mutex::new(0..0),
            device: (kind == FileType::BlockDevice).then_some(len),
            locked: sharing != Sharing::Force,
        })
    }

    /// What makes the open file the same file under another name.
    pub(crate) fn same_as(&self, path: &Path) -> bool {
        let there = rustix::fs::lstat(path).map(|stat| Identity {
            device: stat.st_dev,
            inode: stat.st_ino,
        });
        there.is_ok_and(|there| self.identity() == Some(there))
    }

    /// Whether `offset .. offset+len` is inside the file as it was opened or last made.
    fn inside(&self, offset: u64, len: u64) -> Result<()> {
        match offset.checked_add(len) {
            Some(end) if end <= self.len() => Ok(()),
            _ => Err(Error::new(
                Class::OutOfBounds,
                format!("{len} bytes to be changed, {} are there", self.len()),
            )
            .at("file", offset)
            .through(self.who())),
        }
    }

    fn editable(&self) -> Result<&File> {
        if self.writable {
            Ok(&self.file)
        } else {
            Err(Error::new(Class::ReadOnly, "the file was opened for reading").through(self.who()))
        }
    }

    fn who(&self) -> String {
        self.name.display().to_string()
    }

    fn failed(&self, e: std::io::Error, structure: &'static str, offset: u64) -> Error {
        Error::from(e).at(structure, offset).through(self.who())
    }

    /// What a short read means: the file is not what it was when it was opened.
    fn shrunk(&self, offset: u64, asked: usize) -> Error {
        let now = self.file.metadata().map_or(0, |m| m.len());
        let was = self.len();
        Error::new(
            Class::Io,
            format!("{asked} bytes asked, but the file ends at {now:#x}; it had {was:#x} bytes when opened"),
        )
        .at("file", offset)
        .through(self.who())
        .advise("something changed the file while it was being read; stop that and start again")
    }
}

impl BlockRead for FileDisk {
    fn len(&self) -> u64 {
        self.len.load(Ordering::Acquire)
    }

    fn fetch(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        let asked = buf.len();
        self.file.read_exact_at(buf, offset).map_err(|e| match e.kind() {
            std::io::ErrorKind::UnexpectedEof => self.shrunk(offset, asked),
            _ => self.failed(e, "file", offset),
        })
    }

    fn map(&self, offset: u64, end: u64) -> Result<Extent> {
        let whole = Extent::new(offset, end.saturating_sub(offset), Kind::Data);
        let known = || self.data.lock().unwrap_or_else(PoisonError::into_inner);
        let data_until = |until: u64| Extent {
            len: until.min(end).saturating_sub(offset),
            ..whole
        };
        {
            let data = known();
            if data.contains(&offset) {
                return Ok(data_until(data.end));
            }
        }
        // A file system that cannot tell answers "all data"; so do we when it answers with an error.
        match rustix::fs::seek(&*self.file, SeekFrom::Data(offset)) {
            Ok(data) if data > offset => Ok(Extent::new(
                offset,
                data.min(end).saturating_sub(offset),
                Kind::Hole,
            )),
            Ok(_) => match rustix::fs::seek(&*self.file, SeekFrom::Hole(offset)) {
                Ok(hole) if hole > offset => {
                    *known() = offset..hole;
                    Ok(data_until(hole))
                }
                _ => Ok(whole),
            },
            // No data up to the end of the file, or the file shrank: the read will tell.
            Err(rustix::io::Errno::NXIO) if self.file.metadata().is_ok_and(|m| m.len() >= end) => {
                Ok(Extent {
                    kind: Kind::Hole,
                    ..whole
                })
            }
            Err(_) => Ok(whole),
        }
    }
}

impl BlockWrite for FileDisk {
    fn store(&self, offset: u64, buf: &[u8]) -> Result<()> {
        self.editable()?
            .write_all_at(buf, offset)
            .map_err(|e| self.failed(e, "file", offset))
    }

    fn flush(&self) -> Result<()> {
        self.editable()?
            .sync_data()
            .map_err(|e| self.failed(e, "file", 0))
    }

    fn store_zeros(&self, range: Range<u64>) -> Result<()> {
        let len = range.end.saturating_sub(range.start);
        if len == 0 {
            return Ok(());
        }
        self.inside(range.start, len)?;
        *self.data.lock().unwrap_or_else(PoisonError::into_inner) = 0..0;
        let punch = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        if rustix::fs::fallocate(self.editable()?, punch, range.start, len).is_ok() {
            return Ok(());
        }
        let mut at = range.start;
        while at < range.end {
            let piece = crate::zeros(range.end.saturating_sub(at));
            self.write_at(at, piece)?;
            at = at.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
        }
        Ok(())
    }
}

impl HostFile for FileDisk {
    fn set_len(&self, len: u64) -> Result<()> {
        if let Some(size) = self.device {
            // What is asked for is a part of the device. Its bytes stay what they were.
            self.editable()?;
            if len > size {
                let what = format!("{len} bytes asked, the device has {size}");
                return Err(Error::new(Class::NoSpace, what).through(self.who()));
            }
            self.len.store(len, Ordering::Release);
            return Ok(());
        }
        // The smaller of the two truths is published first, so nobody reads past the end.
        if len < self.len() {
            self.len.store(len, Ordering::Release);
        }
        self.editable()?
            .set_len(len)
            .map_err(|e| self.failed(e, "file", len))?;
        self.len.store(len, Ordering::Release);
        Ok(())
    }

    fn name(&self) -> &Path {
        &self.name
    }

    fn identity(&self) -> Option<Identity> {
        let stat = rustix::fs::fstat(&*self.file).ok()?;
        Some(Identity {
            device: stat.st_dev,
            inode: stat.st_ino,
        })
    }

    fn allocated(&self) -> Option<u64> {
        let stat = rustix::fs::fstat(&*self.file).ok()?;
        u64::try_from(stat.st_blocks).ok()?.checked_mul(512)
    }

    fn reserve(&self, range: Range<u64>) -> Result<()> {
        let len = range.end.saturating_sub(range.start);
        if len == 0 {
            return Ok(());
        }
        rustix::fs::fallocate(self.editable()?, FallocateFlags::empty(), range.start, len).map_err(|e| {
            match e {
                rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS => {
                    Error::unsupported("the file system of the target cannot set blocks aside")
                        .through(self.who())
                        .advise("choose another preallocation, or another place")
                }
                e => self.failed(e.into(), "file", range.start),
            }
        })?;
        self.len.fetch_max(range.end, Ordering::AcqRel);
        Ok(())
    }

    fn take_from(&self, offset: u64, from: &RawSpan) -> Result<u64> {
        let Some(source) = from.file.descriptor() else {
            return Ok(0);
        };
        // The kernel would grow the file.
        self.inside(offset, from.len)?;
        let (mut src, mut dst, mut left) = (from.offset, offset, from.len);
        while left > 0 {
            let ask = usize::try_from(left).unwrap_or(usize::MAX >> 1);
            let n = match rustix::fs::copy_file_range(
                source,
                Some(&mut src),
                self.editable()?,
                Some(&mut dst),
                ask,
            ) {
                Ok(0) | Err(_) => break,
                Ok(n) => u64::try_from(n).unwrap_or(0),
            };
            left = left.saturating_sub(n);
        }
        Ok(from.len.saturating_sub(left))
    }

    fn descriptor(&self) -> Option<&File> {
        Some(&self.file)
    }
}

fn is_block_device(path: &Path) -> bool {
    rustix::fs::stat(path).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::BlockDevice)
}

pub(crate) fn flags(access: Access) -> OFlags {
    // NONBLOCK: opening a pipe somebody left in the way must not hang. Regular files ignore it.
    let common = OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    common
        | match access {
            Access::Read => OFlags::RDONLY,
            Access::Edit => OFlags::RDWR,
            Access::Create => OFlags::RDWR | OFlags::CREATE | OFlags::EXCL,
        }
}

pub(crate) fn opening(path: &Path, e: std::io::Error) -> Error {
    let kind = e.kind();
    let error = Error::from(e).through(path.display().to_string());
    match kind {
        std::io::ErrorKind::AlreadyExists => Error::new(Class::Exists, "the file exists already")
            .through(path.display().to_string())
            .advise("choose another name, or say --force to replace it"),
        std::io::ErrorKind::PermissionDenied => {
            error.advise("the file has to be readable (and a target writable) for the user who runs this")
        }
        _ => error,
    }
}

fn unfit(path: &Path, why: &str) -> Error {
    Error::unsupported(format!("it {why}")).through(path.display().to_string())
}
