use crate::model::{Recording, Source, lock};
use h2k_block::{Access, BlockRead, Class, Extent, FileDisk, Kind, Result, Sharing};
use h2k_copy::{Blind, DigestKind, Event, Options, Watch};
use h2k_testkit::rng::Rng;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

const MIB: u64 = 1 << 20;

/// 12 windows, each with one read in it.
fn source() -> Source {
    let window = [(65536, Kind::Data), (MIB - 65536, Kind::Zero)];
    Source::new(window.repeat(12), &mut Rng::new(30))
}

fn options(workers: usize) -> Options {
    Options {
        workers,
        digest: Some(DigestKind::Sha256),
        ..Options::default()
    }
}

#[test]
fn a_source_that_fails_is_named_with_the_range() {
    for workers in [1, 2, 3, 8] {
        for reads in 0..12 {
            let mut source = source();
            source.reads = Some(AtomicU64::new(reads));
            let (sink, told) = Recording::new(source.len(), 65536, true);
            let stop = AtomicBool::new(false);
            let e = h2k_copy::copy(&source, Box::new(sink), &options(workers), &stop, &Blind).unwrap_err();
            assert_eq!(e.class(), Class::Corrupt);
            assert_eq!(e.sentence(), "the source failed, as this test asked");
            let text = e.to_string();
            assert!(text.starts_with("copying bytes 0x"), "{text}");
            if workers == 1 {
                let (start, end) = (reads * MIB, (reads + 1) * MIB);
                assert!(
                    text.contains(&format!("bytes {start:#x}..{end:#x} of the disk")),
                    "{text}"
                );
            }
            assert!(!lock(&told).finished);
        }
    }
}

#[test]
fn a_sink_that_fails_at_any_call_ends_the_copy() {
    for workers in [1, 2, 5] {
        // 12 windows pass three doors each, then the container is finished.
        for calls in (0..=36).step_by(workers) {
            let source = source();
            let (mut sink, told) = Recording::new(source.len(), 65536, true);
            sink.calls = Some(AtomicU64::new(calls));
            let stop = AtomicBool::new(false);
            let e = h2k_copy::copy(&source, Box::new(sink), &options(workers), &stop, &Blind).unwrap_err();
            assert_eq!(e.class(), Class::NoSpace);
            let layer = if calls == 36 {
                "finishing the target"
            } else {
                "copying bytes 0x"
            };
            assert!(e.to_string().starts_with(layer), "{calls}: {e}");
            assert!(!lock(&told).finished);
        }
    }
}

#[test]
fn a_map_that_fails_is_an_error() {
    struct Mapless;
    impl BlockRead for Mapless {
        fn len(&self) -> u64 {
            5 * MIB
        }
        fn fetch(&self, _: u64, buf: &mut [u8]) -> Result<()> {
            buf.fill(1);
            Ok(())
        }
        fn map(&self, offset: u64, _: u64) -> Result<Extent> {
            match offset {
                0 => Ok(Extent::new(0, 3 * MIB, Kind::Data)),
                _ => Err(h2k_block::Error::corrupt("L2 table", 77, "it points nowhere")),
            }
        }
    }
    for workers in [1, 4] {
        let (sink, _) = Recording::new(5 * MIB, 65536, false);
        let stop = AtomicBool::new(false);
        let e = h2k_copy::copy(&Mapless, Box::new(sink), &options(workers), &stop, &Blind).unwrap_err();
        assert_eq!(
            e.to_string(),
            "copying the disk: L2 table at 0x4d: it points nowhere"
        );
    }
}

#[test]
fn a_request_to_stop_is_obeyed_between_windows() {
    /// Stops as soon as something was read.
    struct Stopping<'a>(Source, &'a AtomicBool);
    impl BlockRead for Stopping<'_> {
        fn len(&self) -> u64 {
            self.0.len()
        }
        fn fetch(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
            self.1.store(true, Ordering::Relaxed);
            self.0.fetch(offset, buf)
        }
    }
    for workers in [1, 2, 8] {
        let stop = AtomicBool::new(false);
        let source = Stopping(source(), &stop);
        let (sink, told) = Recording::new(source.len(), 65536, false);
        let e = h2k_copy::copy(&source, Box::new(sink), &options(workers), &stop, &Blind).unwrap_err();
        assert_eq!(e.class(), Class::Cancelled);
        assert!(source.0.read.load(Ordering::Relaxed) <= workers as u64 * MIB);
        assert!(!lock(&told).finished);
        let e = h2k_copy::compare(&source, &source, &options(workers), &stop, &Blind).unwrap_err();
        assert_eq!(e.class(), Class::Cancelled);
    }
}

#[test]
fn a_request_to_stop_ends_the_wait_for_bandwidth() {
    /// Asks to stop with the first event, which comes while the other workers wait for years.
    struct Impatient<'a>(&'a AtomicBool);
    impl Watch for Impatient<'_> {
        fn event(&self, _: &Event) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let stop = AtomicBool::new(false);
    let options = Options {
        workers: 3,
        bytes_per_second: Some(1),
        ..Options::default()
    };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            Impatient(&stop).event(&Event::Progress {
                done: 0,
                total: 0,
                moved: 0,
            })
        });
        let (sink, _) = Recording::new(12 * MIB, 65536, false);
        let e = h2k_copy::copy(&source(), Box::new(sink), &options, &stop, &Blind).unwrap_err();
        assert_eq!(e.class(), Class::Cancelled);
    });
}

#[test]
fn a_worker_that_panics_takes_the_others_home() {
    struct Trap(Source);
    impl BlockRead for Trap {
        fn len(&self) -> u64 {
            self.0.len()
        }
        fn fetch(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
            assert!(offset < 5 * MIB, "this test asked for a panic");
            self.0.fetch(offset, buf)
        }
    }
    for workers in [1, 2, 8] {
        let (sink, told) = Recording::new(12 * MIB, 65536, false);
        let trap = Trap(source());
        let stop = AtomicBool::new(false);
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            h2k_copy::copy(&trap, Box::new(sink), &options(workers), &stop, &Blind)
        }));
        assert!(outcome.is_err());
        assert!(!lock(&told).finished);
    }
}

#[test]
fn a_file_that_shrinks_meanwhile_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("web01.img");
    let mut bytes = vec![0; 12 << 20];
    Rng::new(32).fill(&mut bytes);
    h2k_testkit::corpus::sparse_write(&path, &bytes);
    let disk = FileDisk::open(&path, Access::Read, Sharing::Force).unwrap();
    // Somebody else shortens it after it was opened, before most of it was read.
    std::fs::OpenOptions::new()
        .write(true)
        .open(&path)
        .unwrap()
        .set_len(5 << 20)
        .unwrap();
    let (sink, told) = Recording::new(disk.len(), 65536, false);
    let stop = AtomicBool::new(false);
    let e = h2k_copy::copy(&disk, Box::new(sink), &options(2), &stop, &Blind).unwrap_err();
    assert_eq!(e.class(), Class::Io);
    let text = e.to_string();
    assert!(text.contains("web01.img"), "{text}");
    assert!(
        text.contains("copying bytes 0x500000..0x600000 of the disk"),
        "{text}"
    );
    assert!(text.contains("the file ends at 0x500000"), "{text}");
    assert!(!lock(&told).finished);
}
