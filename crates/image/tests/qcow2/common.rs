//! What the tests of this folder share: scratch images made by qemu-img, and ways to look at them.

use h2k_block::{
    Access, Batch, BlockRead, Body, DirHost, FileDisk, HostFile, Kind, Piece, Sharing, Sink, extents, is_zero,
};
use h2k_image::{Image, OpenOptions, Target, create, open, qcow2};
use h2k_testkit::{oracle, rng::Rng};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A directory that goes away with the test.
pub struct Scratch(tempfile::TempDir);

impl Scratch {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A raw file of noise, runs of one byte, zeros and holes, in pieces of about `piece` bytes.
    pub fn raw(&self, name: &str, seed: u64, len: usize, piece: usize) -> PathBuf {
        let path = self.path(name);
        h2k_testkit::corpus::sparse_write(&path, &patchwork(seed, len, piece));
        path
    }
}

/// Noise, runs of one byte and zeros, in pieces of about `piece` bytes.
pub fn patchwork(seed: u64, len: usize, piece: usize) -> Vec<u8> {
    let mut rng = Rng::new(seed);
    let mut bytes = vec![0; len];
    let mut at = 0;
    while at < len {
        let end = (at + piece / 2 + rng.below(piece as u64) as usize).min(len);
        match rng.below(4) {
            0 => rng.fill(&mut bytes[at..end]),
            1 => bytes[at..end].fill(rng.word() as u8),
            2 => {
                // Compressible, and different in every place.
                for (i, b) in bytes[at..end].iter_mut().enumerate() {
                    *b = ((at + i) >> 3) as u8;
                }
            }
            _ => {}
        }
        at = end;
    }
    bytes
}

pub fn host_file(path: &Path) -> Arc<dyn HostFile> {
    Arc::new(FileDisk::open(path, Access::Read, Sharing::Careful).unwrap())
}

pub fn try_open(path: &Path, options: &OpenOptions) -> h2k_block::Result<Image> {
    let host = DirHost::beside(path, Sharing::Careful);
    open(host_file(path), &host, options)
}

pub fn opened(path: &Path) -> Image {
    try_open(path, &OpenOptions::default()).unwrap()
}

/// Runs qemu-img with words separated by spaces; `{}` stands for paths, in order.
pub fn qemu_img(words: &str, paths: &[&Path]) -> String {
    oracle::ok("qemu-img", &fill(words, paths))
}

/// Runs qemu-io commands on an image.
pub fn qemu_io(image: &Path, format: &str, commands: &[String]) {
    let mut args = vec!["-f".to_owned(), format.to_owned()];
    for command in commands {
        args.extend(["-c".to_owned(), command.clone()]);
    }
    args.push(image.to_str().unwrap().to_owned());
    let said = oracle::ok("qemu-io", &args);
    assert!(!said.contains("failed"), "qemu-io {commands:?}: {said}");
}

fn fill(words: &str, paths: &[&Path]) -> Vec<String> {
    let mut paths = paths.iter();
    words
        .split_whitespace()
        .map(|w| match w {
            "{}" => paths.next().unwrap().to_str().unwrap().to_owned(),
            w => w.to_owned(),
        })
        .collect()
}

/// The guest's bytes as qemu-img sees them. `source` is what comes before the output file.
pub fn by_qemu(scratch: &Scratch, source: &str, paths: &[&Path]) -> Vec<u8> {
    let out = scratch.path("by-qemu.raw");
    let mut all = paths.to_vec();
    all.push(&out);
    qemu_img(&format!("convert {source} -O raw {{}}"), &all);
    let bytes = std::fs::read(&out).unwrap();
    std::fs::remove_file(out).unwrap();
    bytes
}

/// Reads `disk` around every border of `unit` bytes and compares with `model`; then its map and its raw spans.
pub fn same_everywhere(disk: &dyn BlockRead, model: &[u8], unit: usize) {
    let len = model.len();
    assert_eq!(disk.len(), len as u64);
    let mut all = vec![0xa5; len];
    disk.read_at(0, &mut all).unwrap();
    assert!(all == model, "differs first at {:?}", differs(&all, model));
    // Around each border: before, on and after, short and long. Small units have many borders; a few hundred do.
    let borders = len / unit + 2;
    let stride = (borders / 200).max(1);
    let mut buf = vec![0; 2 * unit + 2];
    for border in (0..borders).step_by(stride) {
        let border = border * unit;
        for start in [border.saturating_sub(1), border, border + 1] {
            for n in [1, 2, unit - 1, unit, 2 * unit + 1] {
                let Some(want) = model.get(start..start + n) else {
                    continue;
                };
                disk.read_at(start as u64, &mut buf[..n]).unwrap();
                assert!(buf[..n] == *want, "read of {n} bytes at {start:#x}");
            }
        }
    }
    map_tells_the_truth(disk, model);
}

pub fn map_tells_the_truth(disk: &dyn BlockRead, model: &[u8]) {
    let mut at = 0;
    for extent in extents(disk, 0..disk.len()) {
        let extent = extent.unwrap();
        assert_eq!(extent.start, at);
        at = extent.end();
        let bytes = &model[extent.start as usize..extent.end() as usize];
        if extent.kind != Kind::Data {
            assert!(is_zero(bytes), "{extent:?} is not zero");
        }
    }
    assert_eq!(at, disk.len());
    let mut at = 0;
    while at < disk.len() {
        // Odd strides, so that spans are asked for in the middle of clusters too.
        if let Some(span) = disk.raw_at(at, disk.len()).unwrap() {
            let n = span.len.min(disk.len() - at).min(1 << 20) as usize;
            assert!(n > 0);
            let mut bytes = vec![0; n];
            span.file.read_at(span.offset, &mut bytes).unwrap();
            assert!(
                bytes == model[at as usize..at as usize + n],
                "raw span at {at:#x}"
            );
            at += (n as u64 / 2).max(1);
        }
        at += 3 * 1024 + 1;
    }
}

pub fn differs(a: &[u8], b: &[u8]) -> Option<usize> {
    a.iter().zip(b).position(|(a, b)| a != b)
}

/// What a model says of a grain that holds only zeros.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Empty {
    Hole,
    Zero,
    /// Now this, now that, and sometimes plain bytes that happen to be zero.
    Mixed,
}

/// Fills `sink` with `model` as the copier does: batches of a few grains, encoded and stored in an order that
/// `seed` shuffles, placed in ascending order.
pub fn pour(sink: Box<dyn Sink>, model: &[u8], empty: Empty, seed: u64) {
    let grain = sink.grain() as usize;
    assert_eq!(sink.len(), model.len() as u64);
    let mut rng = Rng::new(seed);
    let mut choice = Rng::new(99);
    let mut batches = Vec::new();
    let mut start = 0;
    while start < model.len() {
        let len = (grain * 5).min(model.len() - start);
        let mut batch = Batch {
            start: start as u64,
            len: len as u64,
            guest: model[start..start + len].into(),
            ..Batch::default()
        };
        for at in (start..start + len).step_by(grain) {
            let n = grain.min(start + len - at);
            let body = match empty {
                _ if !is_zero(&model[at..at + n]) => Body::Plain,
                Empty::Hole => Body::Hole,
                Empty::Zero => Body::Zero,
                Empty::Mixed => [Body::Hole, Body::Zero, Body::Plain][choice.below(3) as usize],
            };
            // Neighbours that are empty in the same way are one piece.
            if let Some(last) = batch.pieces.last_mut()
                && last.body == body
                && body != Body::Plain
            {
                last.len += n as u64;
                continue;
            }
            batch.pieces.push(Piece {
                start: at as u64,
                len: n as u64,
                body,
                host: 0,
            });
        }
        batches.push(batch);
        start += len;
    }
    let mut order: Vec<usize> = (0..batches.len()).collect();
    shuffle(&mut rng, &mut order);
    for i in &order {
        sink.encode(&mut batches[*i]).unwrap();
    }
    for batch in &mut batches {
        sink.place(batch).unwrap();
    }
    shuffle(&mut rng, &mut order);
    for i in &order {
        sink.store(&batches[*i]).unwrap();
    }
    sink.finish().unwrap();
}

fn shuffle(rng: &mut Rng, order: &mut [usize]) {
    for i in (1..order.len()).rev() {
        order.swap(i, rng.below(i as u64 + 1) as usize);
    }
}

/// Starts an image at `path`. Without locks: a tool that another test is about to start holds them for a moment too.
pub fn started(path: &Path, options: &qcow2::Options, len: u64) -> h2k_block::Result<Box<dyn Sink>> {
    let file = Arc::new(FileDisk::open(path, Access::Create, Sharing::Force)?);
    create(
        file,
        &mut |_| panic!("qcow2 is one file"),
        &Target::Qcow2(options.clone()),
        len,
    )
}
