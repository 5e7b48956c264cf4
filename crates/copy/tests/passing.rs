use crate::model::{Recording, Source, Told, lock};
use h2k_block::{BlockRead, Kind};
use h2k_copy::{Blind, Digest, DigestKind, Event, Options, Report, Watch};
use h2k_testkit::rng::Rng;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

fn pass(source: &Source, len: u64, grain: u32, encodes: bool, options: &Options) -> (Told, Report) {
    let (sink, told) = Recording::new(len, grain, encodes);
    let stop = AtomicBool::new(false);
    let report = h2k_copy::copy(source, Box::new(sink), options, &stop, &Blind).unwrap();
    let told = lock(&told).clone();
    (told, report)
}

/// What a reader of a copy has to see: `None` where a hole covers a whole grain.
fn expected(source: &Source, len: u64, grain: u64) -> Vec<Option<u8>> {
    let mut holes = vec![true; len as usize];
    let mut at = 0;
    for (run, kind) in &source.runs {
        if *kind != Kind::Hole {
            holes[at..at + *run as usize].fill(false);
        }
        at += *run as usize;
    }
    let mut shown: Vec<Option<u8>> = source.bytes.iter().copied().map(Some).collect();
    shown.resize(len as usize, Some(0));
    for (shown, holes) in shown.chunks_mut(grain as usize).zip(holes.chunks(grain as usize)) {
        if holes.iter().all(|hole| *hole) {
            shown.fill(None);
        }
    }
    shown
}

#[test]
fn any_disk_arrives_whole_whatever_the_number_of_workers() {
    let mut rng = Rng::new(1);
    for round in 0..28 {
        let source = Source::random(&mut rng);
        let grain = 512 << rng.below(13);
        let longer = [0, 0, 1, 700_000, 3_000_000][rng.below(5) as usize];
        let len = source.len() + longer;
        let encodes = rng.below(2) == 0;
        let mut first: Option<(Told, Option<Digest>)> = None;
        for workers in [1, 2, 3, 8] {
            let options = Options {
                workers,
                digest: [
                    None,
                    Some(DigestKind::Blake3),
                    Some(DigestKind::Sha256),
                    Some(DigestKind::Sparse),
                ][round % 4],
                ..Options::default()
            };
            let (told, report) = pass(&source, len, grain, encodes, &options);
            assert!(told.finished);
            assert!(
                told.longest <= u64::from(grain).max(1 << 20),
                "{} bytes at once",
                told.longest
            );
            assert_eq!(report.data + report.found_zero + report.skipped, len);
            match &first {
                None => {
                    assert!(
                        told.bytes == expected(&source, len, u64::from(grain)),
                        "round {round}"
                    );
                    first = Some((told, report.digest));
                }
                Some((alone, digest)) => {
                    assert!(told == *alone, "round {round}, {workers} workers");
                    assert_eq!(report.digest, *digest);
                }
            }
        }
    }
}

#[test]
fn only_what_has_to_be_read_is_read() {
    let mut rng = Rng::new(2);
    let mib = 1 << 20;
    let source = Source::new(
        vec![
            (3 * mib, Kind::Hole),
            (mib / 2, Kind::Data),
            (mib, Kind::Zero),
            (mib / 2, Kind::Data),
            (9 * mib, Kind::Hole),
        ],
        &mut rng,
    );
    let (told, report) = pass(&source, source.len(), 65536, false, &Options::default());
    assert_eq!(source.read.load(Ordering::Relaxed), mib);
    assert_eq!(report.data + report.found_zero, mib);
    assert_eq!(report.skipped, 13 * mib);
    // A stretch before, two windows with data, a stretch after.
    assert_eq!(told.batches, 4);
}

#[test]
fn a_sea_of_holes_is_a_handful_of_batches() {
    struct Sea;
    impl BlockRead for Sea {
        fn len(&self) -> u64 {
            16 << 40
        }
        fn fetch(&self, _: u64, _: &mut [u8]) -> h2k_block::Result<()> {
            panic!("nobody reads the sea")
        }
        fn map(&self, offset: u64, end: u64) -> h2k_block::Result<h2k_block::Extent> {
            // Formats answer for one table at a time.
            let len = (end - offset).min((512 << 20) - offset % (512 << 20));
            Ok(h2k_block::Extent::new(offset, len, Kind::Hole))
        }
    }
    struct Shore(std::sync::Arc<Mutex<u64>>);
    impl h2k_block::Sink for Shore {
        fn len(&self) -> u64 {
            16 << 40
        }
        fn grain(&self) -> u32 {
            65536
        }
        fn place(&self, _: &mut h2k_block::Batch) -> h2k_block::Result<()> {
            *self.0.lock().unwrap() += 1;
            Ok(())
        }
        fn store(&self, batch: &h2k_block::Batch) -> h2k_block::Result<()> {
            assert!(batch.guest.is_empty());
            Ok(())
        }
        fn finish(self: Box<Self>) -> h2k_block::Result<()> {
            Ok(())
        }
    }
    let batches = std::sync::Arc::<Mutex<u64>>::default();
    let options = Options {
        workers: 3,
        digest: Some(DigestKind::Sparse),
        ..Options::default()
    };
    let stop = AtomicBool::new(false);
    let report = h2k_copy::copy(&Sea, Box::new(Shore(batches.clone())), &options, &stop, &Blind).unwrap();
    assert_eq!(report.skipped, 16 << 40);
    assert_eq!(*batches.lock().unwrap(), 1);
}

#[test]
fn a_grain_that_is_partly_a_hole_is_read_whole() {
    // The disk that `--backing` gives: the map of the child, the bytes of the whole chain.
    let mut rng = Rng::new(3);
    let mut source = Source::new(
        vec![(4096, Kind::Hole), (4096, Kind::Data), (8192, Kind::Hole)],
        &mut rng,
    );
    source.bytes.fill(7);
    let (told, _) = pass(&source, source.len(), 8192, false, &Options::default());
    assert!(told.bytes[..8192].iter().all(|b| *b == Some(7)));
    assert!(told.bytes[8192..].iter().all(Option::is_none));
}

#[test]
fn a_target_that_is_shorter_is_refused() {
    let source = Source::new(vec![(4096, Kind::Data)], &mut Rng::new(4));
    let (sink, _) = Recording::new(4095, 512, false);
    let stop = AtomicBool::new(false);
    let e = h2k_copy::copy(&source, Box::new(sink), &Options::default(), &stop, &Blind).unwrap_err();
    assert_eq!(e.class(), h2k_block::Class::Invalid);
}

#[test]
fn progress_ascends_and_ends_at_the_end() {
    #[derive(Default)]
    struct Log(Mutex<Vec<(u64, u64, u64)>>);
    impl Watch for Log {
        fn event(&self, event: &Event) {
            if let Event::Progress { done, total, moved } = event {
                self.0.lock().unwrap().push((*done, *total, *moved));
            }
        }
    }
    let mib = 1 << 20;
    let source = Source::new(vec![(5 * mib, Kind::Data), (mib, Kind::Hole)], &mut Rng::new(5));
    let (sink, _) = Recording::new(6 * mib, 65536, false);
    let options = Options {
        // Slow enough for an event on the way: five windows, 50 ms apart.
        bytes_per_second: Some(20 * mib),
        ..Options::default()
    };
    let log = Log::default();
    h2k_copy::copy(&source, Box::new(sink), &options, &AtomicBool::new(false), &log).unwrap();
    let events = log.0.into_inner().unwrap();
    assert!(events.is_sorted());
    assert_eq!(*events.last().unwrap(), (6 * mib, 6 * mib, 5 * mib));
}

#[test]
fn no_rate_at_all_is_refused() {
    let source = Source::new(vec![(4096, Kind::Data)], &mut Rng::new(6));
    let options = Options {
        bytes_per_second: Some(0),
        ..Options::default()
    };
    let e = h2k_copy::digest(&source, &options, &AtomicBool::new(false), &Blind).unwrap_err();
    assert_eq!(e.class(), h2k_block::Class::Invalid);
}
