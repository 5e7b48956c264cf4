//! What our own sinks make, judged by qemu-img and by our reader.

use crate::fill::{self, Feed};
use h2k_block::{BlockRead, BlockWrite, Class, HostFile};
use h2k_image::vhd::{Kind, Options, Size};
use h2k_image::{Format, Target};
use h2k_testkit::oracle;
use h2k_testkit::sparse::Sparse;
use std::sync::Arc;

fn target(kind: Kind, size: Size) -> Target {
    Target::Vhd(Options {
        kind,
        size,
        ..Options::default()
    })
}

fn made(from: &dyn BlockRead, target: &Target, feed: Feed) -> Arc<Sparse> {
    let file = Arc::new(Sparse::new("made.vhd"));
    fill::make(from, file.clone(), target, feed).unwrap();
    file
}

#[test]
fn qemu_img_finds_the_same_bytes() {
    let dir = fill::scratch();
    let (raw, vhd) = (dir.path().join("s.raw"), dir.path().join("t.vhd"));
    for kind in [Kind::Dynamic, Kind::Fixed] {
        // One sector, exactly a geometry, one that is none, and more than any geometry.
        for len in [512, 302 * 4 * 17 * 512, (41 << 20) + 512, 200 << 30] {
            let source = fill::noise(len, 2 << 20, len);
            let file = made(&source, &target(kind, Size::Exact), fill::ONE);
            source.save(&raw);
            file.save(&vhd);
            assert_eq!(fill::qemu_size(&vhd, "vpc"), len);
            if len < 1 << 30 {
                oracle::qemu_same(&vhd, "vpc", &raw, "raw");
            }
            let image = fill::open_path(&vhd, Format::Vhd).unwrap();
            assert!(image.info.warnings.is_empty(), "{:?}", image.info.warnings);
            fill::same(&source, &*image.disk);
            fill::borders(&*image.disk, &source, 2 << 20, 6);
        }
    }
}

#[test]
fn sizes_are_rounded_as_asked() {
    let mib = 1 << 20;
    for (size, len, expected) in [
        (Size::Exact, 0, 0),
        (Size::Exact, 1, 512),
        (Size::Geometry, 10 * mib, 302 * 4 * 17 * 512),
        (Size::Geometry, 302 * 4 * 17 * 512, 302 * 4 * 17 * 512),
        (Size::RoundUp(mib), 10 * mib + 1, 11 * mib),
        (Size::MultipleOf(mib), 10 * mib, 10 * mib),
    ] {
        for kind in [Kind::Dynamic, Kind::Fixed] {
            let source = Sparse::of("s", &vec![3; len as usize]);
            let file = made(&source, &target(kind, size), fill::ONE);
            assert_eq!(
                probe_len(&file),
                if kind == Kind::Fixed {
                    expected + 512
                } else {
                    file.len()
                }
            );
            let disk = fill::reopen(file, Format::Vhd).disk;
            assert_eq!(disk.len(), expected, "{size:?} {len}");
            let mut all = vec![9; expected as usize];
            disk.read_at(0, &mut all).unwrap();
            let (head, tail) = all.split_at(len as usize);
            assert!(head.iter().all(|b| *b == 3) && tail.iter().all(|b| *b == 0));
        }
    }
}

fn probe_len(file: &Arc<Sparse>) -> u64 {
    file.len()
}

fn refusal(size: Size, len: u64) -> Option<Class> {
    let mut none = |_: &str| panic!("one file");
    let file = Arc::new(Sparse::new("x"));
    let sink = h2k_image::create(file, &mut none, &target(Kind::Dynamic, size), len);
    sink.err().map(|e| e.class())
}

#[test]
fn what_vhd_cannot_hold_is_refused_clearly() {
    assert_eq!(refusal(Size::Exact, 2040 << 30), None);
    assert_eq!(refusal(Size::Exact, (2040 << 30) + 1), Some(Class::Unsupported));
    assert_eq!(
        refusal(Size::RoundUp(1 << 20), u64::MAX),
        Some(Class::Unsupported)
    );
    assert_eq!(
        refusal(Size::MultipleOf(1 << 20), (5 << 20) + 512),
        Some(Class::Invalid)
    );
    assert_eq!(refusal(Size::RoundUp(1000), 1000), Some(Class::Invalid));
    assert_eq!(refusal(Size::RoundUp(0), 1000), Some(Class::Invalid));
}

#[test]
fn the_largest_disk_is_made_in_no_time() {
    let source = Sparse::new("s");
    source.set_len(2040 << 30).unwrap();
    source.write_at((2040 << 30) - 4, b"last").unwrap();
    source.write_at(1 << 40, b"half").unwrap();
    let file = made(&source, &target(Kind::Dynamic, Size::Exact), fill::ONE);
    assert!(file.stored() < 6 << 20);
    fill::same(&source, &*fill::reopen(file, Format::Vhd).disk);
}

#[test]
fn the_bytes_do_not_depend_on_the_order_of_stores_or_the_size_of_batches() {
    let source = fill::noise(30 << 20, 2 << 20, 11);
    for kind in [Kind::Dynamic, Kind::Fixed] {
        let target = target(kind, Size::Exact);
        let one = made(&source, &target, fill::ONE);
        for feed in [Feed { grains: 1, ahead: 9 }, Feed { grains: 37, ahead: 4 }] {
            let other = made(&source, &target, feed);
            assert!(
                one.pages() == other.pages() && one.len() == other.len(),
                "{feed:?}"
            );
        }
    }
}

#[test]
fn identity_and_time_can_be_given() {
    let source = fill::noise(1 << 20, 65536, 1);
    let given = Target::Vhd(Options {
        time_stamp: 99,
        unique_id: Some([0xcd; 16]),
        ..Options::default()
    });
    let image = fill::reopen(made(&source, &given, fill::ONE), Format::Vhd);
    let fact = |key| {
        image
            .info
            .facts
            .iter()
            .find(|f| f.key == key)
            .unwrap()
            .value
            .clone()
    };
    assert_eq!(fact("unique-id"), "cdcdcdcd-cdcd-cdcd-cdcd-cdcdcdcdcdcd".into());
    assert_eq!(fact("time-stamp"), 99_u64.into());
}

#[test]
fn the_footer_is_written_after_everything_else_is_durable() {
    use h2k_testkit::faulty::{Asked, Recorder};
    for (kind, footers) in [(Kind::Dynamic, 2), (Kind::Fixed, 1)] {
        let file = Arc::new(Recorder::new(Vec::new()));
        let source = fill::noise(1 << 20, 65536, 4);
        fill::make(&source, file.clone(), &target(kind, Size::Exact), fill::ONE).unwrap();
        let asked = file.asked();
        let magic = |a: &Asked| matches!(a, Asked::Write(_, b) if b.starts_with(b"conectix"));
        assert_eq!(asked.iter().filter(|a| magic(a)).count(), footers);
        let first = asked.iter().position(magic).unwrap();
        assert_eq!(asked[first - 1], Asked::Flush);
        assert_eq!(asked.len() - first, footers + 1);
        assert_eq!(asked.last(), Some(&Asked::Flush));
    }
}
