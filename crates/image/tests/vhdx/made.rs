//! What our own sink makes, judged by qemu-img and by our reader.

use crate::fill::{self, Feed};
use h2k_block::{BlockRead, BlockWrite, Class, HostFile, Kind};
use h2k_image::{Format, Target, vhdx};
use h2k_testkit::oracle;
use h2k_testkit::sparse::Sparse;
use std::sync::Arc;

fn target(block: Option<u32>, sector: u32) -> Target {
    Target::Vhdx(vhdx::Options {
        block_size: block,
        logical_sector_size: sector,
        disk_id: None,
    })
}

fn made(from: &dyn BlockRead, target: &Target, feed: Feed) -> Arc<Sparse> {
    let file = Arc::new(Sparse::new("made.vhdx"));
    fill::make(from, file.clone(), target, feed).unwrap();
    file
}

#[test]
fn qemu_img_finds_the_same_bytes_and_nothing_wrong() {
    let dir = fill::scratch();
    let (raw, vhdx) = (dir.path().join("s.raw"), dir.path().join("t.vhdx"));
    for (len, block) in [
        (512, None),
        (4096, Some(1 << 20)),
        ((40 << 20) + 512, Some(1 << 20)),
        ((70 << 20) + 4096, None),
        (300 << 20, Some(256 << 20)),
        // One chunk of 4096 blocks and a little.
        ((4 << 30) + (3 << 20) + 512, Some(1 << 20)),
    ] {
        let source = fill::noise(len, u64::from(block.unwrap_or(8 << 20)), len);
        let file = made(&source, &target(block, 512), fill::ONE);
        source.save(&raw);
        file.save(&vhdx);
        oracle::qemu_check(&vhdx, "vhdx");
        oracle::qemu_same(&vhdx, "vhdx", &raw, "raw");
        let image = fill::open_path(&vhdx, Format::Vhdx).unwrap();
        assert!(image.info.warnings.is_empty());
        fill::same(&source, &*image.disk);
        fill::borders(&*image.disk, &source, u64::from(block.unwrap_or(8 << 20)), 6);
    }
}

#[test]
fn sectors_of_4096_bytes_come_back() {
    let source = fill::noise((9 << 20) + 4096, 1 << 20, 3);
    let file = made(&source, &target(Some(1 << 20), 4096), fill::ONE);
    let image = fill::reopen(file, Format::Vhdx);
    let fact = image
        .info
        .facts
        .iter()
        .find(|f| f.key == "logical-sector-size")
        .unwrap();
    assert_eq!(fact.value, 4096_u64.into());
    fill::same(&source, &*image.disk);
}

#[test]
fn odd_sizes_are_rounded_up_to_whole_sectors_of_zeros() {
    for (len, sector, rounded) in [(0, 512, 0), (1, 512, 512), (1000, 512, 1024), (513, 4096, 4096)] {
        let source = Sparse::of("s", &vec![0xee; len]);
        let file = made(&source, &target(None, sector), fill::ONE);
        let image = fill::reopen(file, Format::Vhdx);
        assert_eq!(image.disk.len(), rounded);
        let mut all = vec![1; rounded as usize];
        image.disk.read_at(0, &mut all).unwrap();
        assert!(all.iter().take(len).all(|b| *b == 0xee) && all.iter().skip(len).all(|b| *b == 0));
    }
}

#[test]
fn the_bytes_do_not_depend_on_the_order_of_stores_or_the_size_of_batches() {
    let source = fill::noise(50 << 20, 1 << 20, 11);
    let one = made(&source, &target(Some(2 << 20), 512), fill::ONE);
    for feed in [
        Feed { grains: 1, ahead: 9 },
        Feed { grains: 64, ahead: 4 },
        Feed { grains: 7, ahead: 30 },
    ] {
        let other = made(&source, &target(Some(2 << 20), 512), feed);
        assert!(
            one.pages() == other.pages() && one.len() == other.len(),
            "{feed:?}"
        );
    }
}

#[test]
fn different_contents_have_different_identities_and_a_given_one_is_kept() {
    let id = |source: &Sparse, given| {
        let target = Target::Vhdx(vhdx::Options {
            disk_id: given,
            ..vhdx::Options::default()
        });
        let image = fill::reopen(made(source, &target, fill::ONE), Format::Vhdx);
        let fact = image
            .info
            .facts
            .iter()
            .find(|f| f.key == "virtual-disk-id")
            .unwrap();
        fact.value.clone()
    };
    let (a, b) = (fill::noise(1 << 20, 65536, 1), fill::noise(1 << 20, 65536, 2));
    assert_eq!(id(&a, None), id(&a, None));
    assert_ne!(id(&a, None), id(&b, None));
    assert_eq!(
        id(&a, Some([0xab; 16])),
        "abababab-abab-abab-abab-abababababab".into()
    );
}

#[test]
fn a_sparse_disk_of_16_tib_is_made_and_mapped_without_reading_it() {
    let source = Sparse::new("huge");
    source.set_len(16 << 40).unwrap();
    source.write_at(5 << 40, b"five").unwrap();
    source.write_at((16 << 40) - 4, b"last").unwrap();
    for block in [None, Some(1 << 20)] {
        let file = made(&source, &target(block, 512), fill::ONE);
        assert!(file.stored() < 2 << 20, "{} bytes stored", file.stored());
        let disk = fill::reopen(file, Format::Vhdx).disk;
        fill::same(&source, &*disk);
        let first = disk.extent_at(0, disk.len()).unwrap();
        assert_eq!(first.kind, Kind::Hole);
        assert!(first.end() > 4 << 40);
    }
}

#[test]
fn too_large_disks_and_senseless_options_are_refused() {
    let create = |target: &Target, len| {
        let mut none = |_: &str| panic!("one file");
        let file = Arc::new(Sparse::new("x"));
        h2k_image::create(file, &mut none, target, len)
            .err()
            .map(|e| e.class())
    };
    assert_eq!(
        create(&target(None, 512), (64 << 40) + 1),
        Some(Class::Unsupported)
    );
    assert_eq!(create(&target(None, 512), 64 << 40), None);
    assert_eq!(create(&target(None, 2048), 1), Some(Class::Invalid));
    assert_eq!(create(&target(Some(3 << 20), 512), 1), Some(Class::Invalid));
    assert_eq!(create(&target(Some(1 << 19), 512), 1), Some(Class::Invalid));
}

#[test]
fn an_unfinished_image_is_not_taken_for_one() {
    use h2k_block::Sink;
    let file = Arc::new(Sparse::new("x"));
    let mut none = |_: &str| panic!("one file");
    let sink: Box<dyn Sink> =
        h2k_image::create(file.clone(), &mut none, &target(None, 512), 1 << 20).unwrap();
    drop(sink);
    assert_eq!(h2k_image::probe(&*file).unwrap(), Format::Raw);
}

#[test]
fn the_signature_is_written_after_everything_else_is_durable() {
    use h2k_testkit::faulty::{Asked, Recorder};
    let file = Arc::new(Recorder::new(Vec::new()));
    let source = fill::noise(1 << 20, 65536, 4);
    fill::make(&source, file.clone(), &target(Some(1 << 20), 512), fill::ONE).unwrap();
    let asked = file.asked();
    let Some([Asked::Flush, Asked::Write(0, magic), Asked::Flush]) = asked.last_chunk::<3>() else {
        panic!("{:?}", asked.last_chunk::<3>());
    };
    assert_eq!(magic, b"vhdxfile");
    let earlier = &asked[..asked.len() - 2];
    assert!(
        !earlier
            .iter()
            .any(|a| matches!(a, Asked::Write(0, b) if b.starts_with(b"vhdx")))
    );
}
