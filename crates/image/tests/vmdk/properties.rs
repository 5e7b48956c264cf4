//! Any arrangement of grains, in any kind of extent, over any parent, reads as a plain model says.

use super::build::{self, Grain, Hosted};
use super::{content, open_mem};
use crate::fill::{self, Feed};
use h2k_block::{HostFile, Kind, MemDisk, MemHost, extents};
use h2k_image::vmdk::{self, Options};
use h2k_image::{Target, create};
use proptest::prelude::*;
use std::sync::Arc;

const BYTES: usize = 4096;

fn grain() -> impl Strategy<Value = Grain> {
    prop_oneof![
        3 => Just(Grain::Hole),
        1 => Just(Grain::Zero),
        1 => Just(Grain::Unmapped),
        3 => any::<u64>().prop_map(|seed| {
            let mut data = vec![0; BYTES];
            h2k_testkit::rng::Rng::new(seed).fill(&mut data[..(seed % BYTES as u64) as usize]);
            Grain::Data(data)
        }),
    ]
}

#[derive(Clone, Copy, Debug)]
enum Extent {
    Hosted,
    Stream,
    Cowd,
    SeSparse,
}

/// Puts a disk "image" of `grains` over the parent of CID 9 there; answers with the grains as they can be said.
fn put(host: &MemHost, kind: Extent, grains: Vec<Grain>, len: usize) -> Vec<Grain> {
    let sectors = len / 512;
    let parent = Some((9, "parent"));
    let (word, name) = match kind {
        Extent::Hosted | Extent::Stream => ("SPARSE", "image"),
        Extent::Cowd => ("VMFSSPARSE", "extent"),
        Extent::SeSparse => ("SESPARSE", "extent"),
    };
    let text = build::descriptor("custom", 1, parent, &[format!("RW {sectors} {word} \"{name}\"")]);
    let hosted = Hosted {
        descriptor: Some(text.clone()),
        ..Hosted::small(len)
    };
    let grains = match kind {
        Extent::Hosted | Extent::SeSparse => grains,
        Extent::Stream | Extent::Cowd => build::without_zeros(grains),
    };
    match kind {
        Extent::Hosted => host.put("image", hosted.sparse(&grains)),
        Extent::Stream => host.put("image", hosted.stream(&grains, true)),
        Extent::Cowd => {
            host.put("image", text.into());
            host.put("extent", build::cowd(sectors as u32, 8, &grains))
        }
        Extent::SeSparse => {
            host.put("image", text.into());
            host.put("extent", build::sesparse(sectors as u64, 0, &grains))
        }
    };
    grains
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_arrangement_reads_as_the_model(
        kind in prop::sample::select(vec![Extent::Hosted, Extent::Stream, Extent::Cowd, Extent::SeSparse]),
        grains in prop::collection::vec(grain(), 1..50),
        cut in 0_usize..8,
        below in 0_usize..60 * BYTES / 512,
        reads in prop::collection::vec((any::<u32>(), any::<u16>()), 1..40),
    ) {
        let len = grains.len() * BYTES - cut * 512;
        let host = MemHost::default();
        let mut flat = vec![0; below * 512];
        h2k_testkit::rng::Rng::new(3).fill(&mut flat);
        let line = format!("RW {below} FLAT \"flat\"");
        host.put("parent", build::descriptor("monolithicFlat", 9, None, &[line]).into());
        host.put("flat", flat.clone());
        let grains = put(&host, kind, grains, len);
        let model = build::model(&grains, BYTES, len, &flat);
        let image = open_mem(&host, "image").unwrap();
        prop_assert!(content(&image) == model);
        for (at, n) in reads {
            let at = at as usize % len;
            let n = (n as usize).min(len - at);
            let mut buf = vec![0xaa; n];
            image.disk.read_at(at as u64, &mut buf).unwrap();
            prop_assert!(buf == model[at..at + n], "{at}+{n}");
        }
        let mut end = 0;
        for extent in extents(&*image.disk, 0..len as u64) {
            let extent = extent.unwrap();
            prop_assert_eq!(extent.start, end);
            end = extent.end();
            let bytes = &model[extent.start as usize..end as usize];
            prop_assert!(extent.kind == Kind::Data || bytes.iter().all(|b| *b == 0));
        }
        prop_assert_eq!(end, len as u64);
    }

}

proptest! {
    // Each case moves megabytes.
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_content_is_written_and_read_back(
        kind in prop::sample::select(vmdk::Kind::ALL.to_vec()),
        pieces in prop::collection::vec((0_u64..70 << 20, 1_usize..200_000, any::<u8>()), 0..12),
        len in 0_u64..70 << 20,
        grains in 1_u64..40,
        ahead in 1_usize..9,
    ) {
        let source = h2k_testkit::sparse::Sparse::new("source");
        source.set_len(len).unwrap();
        for (at, n, byte) in pieces {
            let (at, end) = (at.min(len), (at + n as u64).min(len));
            if at < end {
                source.edit(at..end, |b| b.fill(byte));
            }
        }
        let host = MemHost::default();
        let file = host.put("disk.vmdk", Vec::new());
        let mut another = |ending: &str| -> h2k_block::Result<Arc<dyn HostFile>> {
            Ok(host.put(format!("disk{ending}"), Vec::new()))
        };
        let options = Options { kind, level: 1, ..Options::default() };
        let sink = create(file, &mut another, &Target::Vmdk(options), len).unwrap();
        fill::fill(&source, sink, Feed { grains, ahead }).unwrap();
        let image = open_mem(&host, "disk.vmdk").unwrap();
        let mut whole = source.dense().to_vec();
        whole.resize(len.next_multiple_of(512) as usize, 0);
        fill::same(&*image.disk, &MemDisk::new(whole));
    }
}
