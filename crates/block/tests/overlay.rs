//! The overlay against a model: a vector of bytes.

use h2k_block::{BlockRead, BlockWrite, Class, Kind, MemDisk, Overlay, extents};
use proptest::prelude::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

#[derive(Clone, Debug)]
enum Op {
    Write(usize, usize, u8),
    Zero(usize, usize),
    Read(usize, usize),
}

/// Offsets and lengths that like page borders.
fn place(len: usize) -> impl Strategy<Value = (usize, usize)> {
    let border = (0..=len / 4096).prop_flat_map(|page| (page * 4096).saturating_sub(3)..page * 4096 + 4);
    let at = prop_oneof![0..len, border];
    let count = prop_oneof![0..40_usize, 4090..4100_usize, 0..20_000_usize];
    (at, count).prop_map(move |(at, count)| (at.min(len), count.min(len - at.min(len))))
}

fn ops(len: usize) -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        (place(len), any::<u8>()).prop_map(|((at, n), byte)| Op::Write(at, n, byte)),
        place(len).prop_map(|(at, n)| Op::Zero(at, n)),
        place(len).prop_map(|(at, n)| Op::Read(at, n)),
    ];
    prop::collection::vec(op, 1..40)
}

fn below(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i % 251) as u8 + 1).collect()
}

fn check(len: usize, ops: &[Op]) {
    let source = Arc::new(MemDisk::new(below(len)));
    check_one(len, ops, &source, &Overlay::new(source.clone()));
    // The same with a page or none in memory, the others in a file.
    for held in [0, 4096] {
        let file = Arc::new(MemDisk::new(Vec::new()));
        let overlay = Overlay::spilling(source.clone(), held, file);
        check_one(len, ops, &source, &overlay);
        assert!(overlay.held_pages() <= held / 4096);
    }
}

fn check_one(len: usize, ops: &[Op], source: &Arc<MemDisk>, overlay: &Overlay) {
    let mut model = below(len);
    for op in ops {
        match *op {
            Op::Write(at, n, byte) => {
                let bytes: Vec<u8> = (0..n).map(|i| byte.wrapping_add(i as u8)).collect();
                overlay.write_at(at as u64, &bytes).unwrap();
                model[at..at + n].copy_from_slice(&bytes);
            }
            Op::Zero(at, n) => {
                overlay.store_zeros(at as u64..(at + n) as u64).unwrap();
                model[at..at + n].fill(0);
            }
            Op::Read(at, n) => {
                let mut got = vec![0xee; n];
                overlay.read_at(at as u64, &mut got).unwrap();
                assert_eq!(got, model[at..at + n]);
            }
        }
    }
    let mut all = vec![0xee; len];
    overlay.read_at(0, &mut all).unwrap();
    assert!(all == model, "the whole disk");
    assert_eq!(source.to_vec(), below(len), "the source stays as it was");

    // The map covers the disk without gaps, and what it calls zero is zero.
    let mut end = 0;
    for extent in extents(overlay, 0..len as u64) {
        let extent = extent.unwrap();
        assert_eq!(extent.start, end);
        end = extent.end();
        let piece = &model[extent.start as usize..end as usize];
        assert!(
            extent.kind == Kind::Data || piece.iter().all(|b| *b == 0),
            "{extent:?}"
        );
    }
    assert_eq!(end, len as u64);

    // Replaying the edits on a copy gives the model, by either door.
    let copy = MemDisk::new(below(len));
    let mut last = 0;
    let mut pages = 0;
    overlay
        .each(&mut |at, bytes| {
            assert!(at >= last && !bytes.is_empty() && bytes.len() <= 4096);
            last = at + bytes.len() as u64;
            pages += 1;
            copy.write_at(at, bytes)
        })
        .unwrap();
    assert!(copy.to_vec() == model, "by pages");
    assert_eq!(overlay.dirty_pages(), pages);
    let (disk, log) = (MemDisk::new(below(len)), MemDisk::default());
    h2k_block::commit(overlay, &disk, &log).unwrap();
    assert!(disk.to_vec() == model, "by commit");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_overlay_reads_like_a_vector_that_was_edited(
        (len, ops) in prop_oneof![Just(1), Just(511), Just(4096), Just(40_000), Just(65_536)]
            .prop_flat_map(|len: usize| (Just(len), ops(len)))
    ) {
        check(len, &ops);
    }
}

#[test]
fn readers_see_each_page_old_or_new_while_it_is_written() {
    let len = 16 * 4096;
    let overlay = Overlay::new(Arc::new(MemDisk::new(vec![0; len])));
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut buf = vec![0; len];
                while !done.load(Ordering::Acquire) {
                    overlay.read_at(0, &mut buf).unwrap();
                    for page in buf.chunks(4096) {
                        assert!(page.iter().all(|b| *b == page[0]), "a torn page");
                    }
                }
            });
        }
        for round in 0..400_usize {
            let page = (round * 7) % 16;
            overlay
                .write_at(page as u64 * 4096, &vec![(round % 250) as u8 + 1; 4096])
                .unwrap();
        }
        done.store(true, Ordering::Release);
    });
}

#[test]
fn a_hole_below_stays_a_hole_beside_an_edit() {
    struct Holes;
    impl BlockRead for Holes {
        fn len(&self) -> u64 {
            1 << 20
        }
        fn fetch(&self, _: u64, buf: &mut [u8]) -> h2k_block::Result<()> {
            buf.fill(0);
            Ok(())
        }
        fn map(&self, at: u64, end: u64) -> h2k_block::Result<h2k_block::Extent> {
            Ok(h2k_block::Extent::new(at, end - at, Kind::Hole))
        }
    }
    let overlay = Overlay::new(Arc::new(Holes));
    overlay.write_at(8192, &[1; 8192]).unwrap();
    overlay.store_zeros(32_768..65_536).unwrap();
    let map: Vec<_> = extents(&overlay, 0..1 << 20)
        .map(|e| e.map(|e| (e.start, e.len, e.kind)).unwrap())
        .collect();
    assert_eq!(
        map,
        [
            (0, 8192, Kind::Hole),
            (8192, 8192, Kind::Data),
            (16_384, 16_384, Kind::Hole),
            (32_768, 32_768, Kind::Zero),
            (65_536, (1 << 20) - 65_536, Kind::Hole),
        ]
    );
}

#[test]
fn a_write_beyond_the_limit_changes_nothing() {
    let overlay = Overlay::with_limit(Arc::new(MemDisk::new(vec![7; 40_960])), 3 * 4096);
    overlay.write_at(0, &[1; 8192]).unwrap();
    let e = overlay.write_at(4096, &[2; 16_384]).unwrap_err();
    assert_eq!(e.class(), Class::Limit);
    let mut all = vec![0; 40_960];
    overlay.read_at(0, &mut all).unwrap();
    assert!(all[..8192].iter().all(|b| *b == 1) && all[8192..].iter().all(|b| *b == 7));
    overlay.store_zeros(0..40_960).unwrap();
    overlay.write_at(4096, &[2; 8192]).unwrap();
}

#[test]
fn pages_beyond_the_limit_go_to_a_file_and_their_places_are_used_again() {
    let file = Arc::new(MemDisk::new(vec![0xcc; 10]));
    let overlay = Overlay::spilling(Arc::new(MemDisk::new(below(1 << 22))), 8 * 4096, file.clone());
    for round in 0..20_u8 {
        overlay.write_at(100, &[round; 400_000]).unwrap();
        let mut got = [0; 2];
        overlay.read_at(300_000, &mut got).unwrap();
        assert_eq!(got, [round; 2]);
        overlay.store_zeros(0..1 << 21).unwrap();
    }
    // A hundred pages and what the file grows by.
    assert!(file.len() < 400 * 4096, "{} bytes were spilled", file.len());
    assert_eq!(overlay.held_pages(), 0);
}
