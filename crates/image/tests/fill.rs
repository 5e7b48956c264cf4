//! Drives a sink the way the copier does, without the copier: any unit, stores in any order.
#![allow(dead_code)]

use h2k_block::{Batch, BlockRead, Body, HostFile, Kind, Piece, Result, Sink, is_zero};
use h2k_image::{Image, OpenOptions, Target, create, open};
use h2k_testkit::rng::Rng;
use std::sync::Arc;

/// In which order and in which units a sink is fed.
#[derive(Clone, Copy, Debug)]
pub struct Feed {
    /// Grains in a batch.
    pub grains: u64,
    /// Batches whose stores are shuffled among each other; 1 is one worker.
    pub ahead: usize,
}

pub const ONE: Feed = Feed { grains: 16, ahead: 1 };

/// Copies `from` into `sink` and finishes it.
pub fn fill(from: &dyn BlockRead, sink: Box<dyn Sink>, feed: Feed) -> Result<()> {
    let grain = u64::from(sink.grain());
    // A container counts in sectors, so it may be a little longer.
    assert!(grain.is_power_of_two() && sink.len() >= from.len() && sink.len() - from.len() < 512);
    let mut rng = Rng::new(7);
    let mut waiting: Vec<Batch> = Vec::new();
    let mut at = 0;
    while at < from.len() {
        let extent = from.extent_at(at, from.len())?;
        let mut batch = Batch {
            start: at,
            ..Batch::default()
        };
        let whole = extent.end() - extent.end() % grain;
        if extent.kind != Kind::Data && (whole > at || extent.end() == from.len()) {
            let end = if extent.end() == from.len() {
                extent.end()
            } else {
                whole
            };
            let body = if extent.kind == Kind::Hole {
                Body::Hole
            } else {
                Body::Zero
            };
            push(&mut batch, end - at, body);
        } else {
            let end = (at + grain * feed.grains).min(from.len());
            batch.guest.stretch((end - at) as usize);
            from.read_at(at, &mut batch.guest)?;
            let guest = std::mem::take(&mut batch.guest);
            for grain in guest.chunks(grain as usize) {
                let body = if is_zero(grain) { Body::Zero } else { Body::Plain };
                push(&mut batch, grain.len() as u64, body);
            }
            batch.guest = guest;
        }
        at += batch.len;
        sink.encode(&mut batch)?;
        sink.place(&mut batch)?;
        waiting.push(batch);
        if waiting.len() >= feed.ahead {
            sink.store(&waiting.swap_remove(rng.below(waiting.len() as u64) as usize))?;
        }
    }
    while !waiting.is_empty() {
        sink.store(&waiting.swap_remove(rng.below(waiting.len() as u64) as usize))?;
    }
    sink.finish()
}

fn push(batch: &mut Batch, len: u64, body: Body) {
    let start = batch.start + batch.len;
    batch.pieces.push(Piece {
        start,
        len,
        body,
        host: u64::MAX,
    });
    batch.len += len;
}

/// Makes a container of `from` in `file`.
pub fn make(from: &dyn BlockRead, file: Arc<dyn HostFile>, target: &Target, feed: Feed) -> Result<()> {
    let mut none = |_: &str| panic!("this container is one file");
    fill(from, create(file, &mut none, target, from.len())?, feed)
}

/// Opens the image in `file` as `format`, with nothing beside it.
pub fn reopen(file: Arc<dyn HostFile>, format: h2k_image::Format) -> Image {
    let options = OpenOptions {
        format: Some(format),
        ..OpenOptions::default()
    };
    open(file, &h2k_block::NoHost, &options).unwrap()
}

/// Asserts that two disks read the same, walking the map of the first.
pub fn same(a: &dyn BlockRead, b: &dyn BlockRead) {
    assert_eq!(a.len(), b.len());
    let mut at = 0;
    let (mut x, mut y) = (vec![0; 1 << 20], vec![0; 1 << 20]);
    while at < a.len() {
        let (ea, eb) = (
            a.extent_at(at, a.len()).unwrap(),
            b.extent_at(at, a.len()).unwrap(),
        );
        let empty = ea.kind != Kind::Data && eb.kind != Kind::Data;
        let step = ea.len.min(eb.len);
        if empty {
            at += step;
            continue;
        }
        let n = (a.len() - at).min(1 << 20).min(step) as usize;
        a.read_at(at, &mut x[..n]).unwrap();
        b.read_at(at, &mut y[..n]).unwrap();
        if let Some(i) = (0..n).find(|i| x[*i] != y[*i]) {
            panic!("byte {:#x}: {:#04x} and {:#04x}", at + i as u64, x[i], y[i]);
        }
        at += n as u64;
    }
}

/// A disk of `len` bytes with noise in some places: at both ends, around every multiple of `border`, and a few
/// long runs; sparse in between.
pub fn noise(len: u64, border: u64, seed: u64) -> h2k_testkit::sparse::Sparse {
    use h2k_block::BlockWrite;
    let disk = h2k_testkit::sparse::Sparse::new("noise");
    disk.set_len(len).unwrap();
    let mut rng = Rng::new(seed);
    let mut put = |at: u64, n: u64| {
        let end = (at + n).min(len);
        if at < end {
            let mut bytes = vec![0; (end - at) as usize];
            rng.fill(&mut bytes);
            disk.write_at(at, &bytes).unwrap();
        }
    };
    put(0, 700);
    put(len.saturating_sub(300), 300);
    let step = border * (len / border / 40).max(1);
    let mut at = border;
    while at < len {
        put(at - 100, 200);
        at += step;
    }
    put(len / 3, (3 * border / 2).min(6 << 20) + 1000);
    disk
}

/// Reads that end on, start on and cross every multiple of `border` (up to `most` of them, from both ends of the
/// disk), compared with the same reads of `truth`.
pub fn borders(disk: &dyn BlockRead, truth: &dyn BlockRead, border: u64, most: u64) {
    assert_eq!(disk.len(), truth.len());
    let count = disk.len().div_ceil(border);
    let near: Vec<u64> = (0..=count)
        .filter(|n| *n <= most || *n + most >= count)
        .map(|n| (n * border).min(disk.len()))
        .collect();
    let check = |from: u64, to: u64| {
        let (from, to) = (from.min(disk.len()), to.min(disk.len()));
        let (mut x, mut y) = (vec![1; (to - from) as usize], vec![2; (to - from) as usize]);
        disk.read_at(from, &mut x).unwrap();
        truth.read_at(from, &mut y).unwrap();
        assert!(x == y, "a read of {from:#x}..{to:#x} differs");
    };
    for at in near {
        for (before, after) in [
            (1, 0),
            (0, 1),
            (1, 1),
            (513, 0),
            (0, 513),
            (511, 513),
            (4096, 65536),
        ] {
            check(at.saturating_sub(before), at + after);
        }
        // Whole units, as far as they fit into a test's memory.
        let half = (border / 2).min(3 << 20);
        check(at.saturating_sub(half + 1), at + half + 1);
        if border <= 4 << 20 {
            check(at.saturating_sub(7), at + border + 7);
        }
    }
}

/// A scratch directory, in memory where the machine has such a place: sparse files of gigabytes are read there.
pub fn scratch() -> tempfile::TempDir {
    let memory = std::path::Path::new("/dev/shm");
    let made = if memory.is_dir() {
        tempfile::tempdir_in(memory)
    } else {
        tempfile::tempdir()
    };
    made.unwrap()
}

/// `qemu-img convert` of a raw file into `to`.
pub fn qemu_convert(raw: &std::path::Path, to: &std::path::Path, format: &str, options: &str) {
    let mut args = vec!["convert", "-f", "raw", "-O", format];
    if !options.is_empty() {
        args.extend(["-o", options]);
    }
    args.extend([raw.to_str().unwrap(), to.to_str().unwrap()]);
    h2k_testkit::oracle::ok("qemu-img", &args);
}

/// The virtual size that qemu-img finds.
pub fn qemu_size(image: &std::path::Path, format: &str) -> u64 {
    let args = ["info", "--output=json", "-f", format, image.to_str().unwrap()];
    let json: serde_json::Value = serde_json::from_str(&h2k_testkit::oracle::ok("qemu-img", &args)).unwrap();
    json["virtual-size"].as_u64().unwrap()
}

/// Opens the image at `path`, whose format is found by its content, with the files beside it.
pub fn open_path(path: &std::path::Path, expected: h2k_image::Format) -> h2k_block::Result<Image> {
    use h2k_block::{Access, DirHost, FileDisk, Sharing};
    let file = Arc::new(FileDisk::open(path, Access::Read, Sharing::Careful)?);
    assert_eq!(h2k_image::probe(&*file)?, expected, "{}", path.display());
    open(
        file,
        &DirHost::beside(path, Sharing::Careful),
        &OpenOptions::default(),
    )
}

/// Sparse files under plain names, for chains in memory.
#[derive(Default)]
pub struct Files(std::collections::BTreeMap<std::path::PathBuf, Arc<h2k_testkit::sparse::Sparse>>);

impl Files {
    pub fn with(files: Vec<h2k_testkit::sparse::Sparse>) -> Self {
        Self(
            files
                .into_iter()
                .map(|f| (f.name().to_owned(), Arc::new(f)))
                .collect(),
        )
    }

    pub fn file(&self, name: &str) -> Arc<h2k_testkit::sparse::Sparse> {
        self.0[std::path::Path::new(name)].clone()
    }

    pub fn open(&self, name: &str) -> Result<Image> {
        open(self.file(name), self, &OpenOptions::default())
    }
}

impl h2k_block::Host for Files {
    fn open(
        &self,
        _referrer: &std::path::Path,
        name: &std::path::Path,
        _access: h2k_block::Access,
    ) -> Result<Arc<dyn HostFile>> {
        use h2k_block::{Class, Error};
        let name = name.strip_prefix("./").unwrap_or(name);
        if name.starts_with("..") || name.is_absolute() {
            return Err(Error::new(Class::Refused, "outside"));
        }
        let found = self
            .0
            .get(name)
            .ok_or_else(|| Error::new(Class::NotFound, "none"))?;
        Ok(found.clone())
    }
}
