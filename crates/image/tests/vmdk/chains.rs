use super::build::{self, Grain, Hosted};
use super::{content, open_mem};
use h2k_block::{Class, Kind, MemHost};
use h2k_image::{Image, OpenOptions, open};

const LEN: usize = 40 * 4096;
const BASE: u32 = 0x0172_e8a4;

fn base() -> (Vec<u8>, Vec<u8>) {
    let mut flat = vec![0; LEN];
    h2k_testkit::rng::Rng::new(11).fill(&mut flat);
    let text = build::descriptor(
        "vmfs",
        BASE,
        None,
        &[format!("RW {} VMFS \"base-flat.vmdk\"", LEN / 512)],
    );
    (text.into_bytes(), flat)
}

fn with_base() -> (MemHost, Vec<u8>) {
    let host = MemHost::default();
    let (text, flat) = base();
    host.put("base.vmdk", text);
    host.put("base-flat.vmdk", flat.clone());
    (host, flat)
}

/// Puts a child of the base under the name "image"; `hint` and `parent_cid` as they are to be written in it.
fn child(host: &MemHost, kind: &str, parent_cid: u32, hint: &str, grains: &[Grain]) {
    let sectors = LEN / 512;
    match kind {
        "monolithicSparse" => {
            let line = format!("RW {sectors} SPARSE \"image\"");
            let hosted = Hosted {
                descriptor: Some(build::descriptor(kind, 0x51, Some((parent_cid, hint)), &[line])),
                ..Hosted::small(LEN)
            };
            host.put("image", hosted.sparse(grains));
        }
        "vmfsSparse" => {
            let line = format!("RW {sectors} VMFSSPARSE \"image-delta.vmdk\"");
            host.put(
                "image",
                build::descriptor(kind, 0x51, Some((parent_cid, hint)), &[line]).into(),
            );
            host.put("image-delta.vmdk", build::cowd(sectors as u32, 8, grains));
        }
        _ => {
            let line = format!("RW {sectors} SESPARSE \"image-sesparse.vmdk\"");
            host.put(
                "image",
                build::descriptor(kind, 0x51, Some((parent_cid, hint)), &[line]).into(),
            );
            host.put("image-sesparse.vmdk", build::sesparse(sectors as u64, 0, grains));
        }
    }
}

const KINDS: [&str; 3] = ["monolithicSparse", "vmfsSparse", "seSparse"];

fn delta(kind: &str, seed: u64) -> Vec<Grain> {
    let grains = build::grains(seed, LEN / 4096, 4096);
    if kind == "vmfsSparse" {
        build::without_zeros(grains)
    } else {
        grains
    }
}

#[test]
fn a_hole_shows_the_parent_and_a_zero_does_not() {
    for kind in KINDS {
        let (host, flat) = with_base();
        let grains = delta(kind, 21);
        child(&host, kind, BASE, "base.vmdk", &grains);
        let image = open_mem(&host, "image").unwrap();
        assert!(
            content(&image) == build::model(&grains, 4096, LEN, &flat),
            "{kind}"
        );
        let parent = image.info.parent.as_ref().unwrap();
        assert_eq!(parent.subformat.as_deref(), Some("vmfs"));
        for (i, grain) in grains.iter().enumerate() {
            let at = i as u64 * 4096;
            let e = image.disk.extent_at(at, at + 4096).unwrap();
            let expected = match grain {
                Grain::Hole => (Kind::Data, 1),
                Grain::Zero | Grain::Unmapped => (Kind::Zero, 0),
                Grain::Data(_) => (Kind::Data, 0),
            };
            assert_eq!((e.kind, e.depth), expected, "{kind} grain {i}");
        }
    }
}

#[test]
fn reads_across_the_border_of_child_and_parent_are_right() {
    for kind in KINDS {
        let (host, flat) = with_base();
        let grains = delta(kind, 22);
        child(&host, kind, BASE, "base.vmdk", &grains);
        let disk = open_mem(&host, "image").unwrap().disk;
        let model = build::model(&grains, 4096, LEN, &flat);
        for border in (4096..LEN).step_by(4096) {
            for (a, b) in [
                (border - 1, border + 1),
                (border - 1, border),
                (border, border + 1),
                (border.saturating_sub(4097), border + 4097),
            ] {
                let (a, b) = (a.min(border), b.min(LEN));
                let mut buf = vec![0; b - a];
                disk.read_at(a as u64, &mut buf).unwrap();
                assert!(buf == model[a..b], "{kind} {a}..{b}");
            }
        }
    }
}

#[test]
fn a_chain_of_three_reads_through() {
    let (host, flat) = with_base();
    let middle = delta("vmfsSparse", 31);
    let sectors = LEN / 512;
    let line = format!("RW {sectors} VMFSSPARSE \"m-delta\"");
    host.put(
        "m",
        build::descriptor("vmfsSparse", 0x77, Some((BASE, "base.vmdk")), &[line]).into(),
    );
    host.put("m-delta", build::cowd(sectors as u32, 8, &middle));
    let top = delta("seSparse", 32);
    child(&host, "seSparse", 0x77, "m", &top);
    let below = build::model(&middle, 4096, LEN, &flat);
    let image = open_mem(&host, "image").unwrap();
    assert!(content(&image) == build::model(&top, 4096, LEN, &below));
    let depths: Vec<u16> = h2k_block::extents(&*image.disk, 0..LEN as u64)
        .map(|e| e.unwrap().depth)
        .collect();
    assert_eq!(depths.iter().max(), Some(&2));
}

#[test]
fn a_parent_whose_content_changed_is_refused_with_advice() {
    for kind in KINDS {
        let (host, _) = with_base();
        child(&host, kind, BASE + 1, "base.vmdk", &delta(kind, 21));
        let e = open_mem(&host, "image").err().unwrap();
        assert_eq!(e.class(), Class::Corrupt);
        assert!(
            e.to_string().contains("0172e8a4") && e.to_string().contains("0172e8a5"),
            "{e}"
        );
        assert!(e.advice().unwrap().contains("parentCID"));
    }
}

#[test]
fn a_hint_from_another_machine_finds_the_parent_beside_the_image() {
    for hint in [
        "/vmfs/volumes/4f2a/web01/base.vmdk",
        r"C:\VMs\web01\base.vmdk",
        r"..\web01\base.vmdk",
        "elsewhere/base.vmdk",
    ] {
        let (host, flat) = with_base();
        let grains = delta("vmfsSparse", 21);
        child(&host, "vmfsSparse", BASE, hint, &grains);
        let image = open_mem(&host, "image").unwrap_or_else(|e| panic!("{hint}: {e}"));
        assert!(
            content(&image) == build::model(&grains, 4096, LEN, &flat),
            "{hint}"
        );
        assert!(
            image.info.warnings.iter().any(|w| w.contains("beside the image")),
            "{hint}"
        );
        // The name alone does not make it the parent.
        child(&host, "vmfsSparse", BASE + 1, hint, &grains);
        assert_eq!(open_mem(&host, "image").err().unwrap().class(), Class::Corrupt);
    }
}

#[test]
fn a_missing_parent_is_named() {
    for (hint, class) in [
        ("gone.vmdk", Class::NotFound),
        ("/vmfs/volumes/x/gone.vmdk", Class::NotFound),
        ("nbd://host/gone.vmdk", Class::Refused),
    ] {
        let (host, _) = with_base();
        child(&host, "vmfsSparse", BASE, hint, &[]);
        let e = open_mem(&host, "image").err().unwrap();
        assert_eq!(e.class(), class, "{e}");
        assert!(e.to_string().contains("gone.vmdk"), "{e}");
    }
}

#[test]
fn a_parent_that_is_never_named_is_an_error() {
    let (host, _) = with_base();
    child(&host, "vmfsSparse", BASE, "", &[]);
    let e = open_mem(&host, "image").err().unwrap();
    assert_eq!(e.class(), Class::Corrupt);
    assert!(e.to_string().contains("parentFileNameHint"), "{e}");
}

#[test]
fn a_chain_that_contains_itself_ends() {
    let host = MemHost::default();
    child(&host, "vmfsSparse", 0x51, "image", &[]);
    assert_eq!(open_mem(&host, "image").err().unwrap().class(), Class::Corrupt);
}

fn open_alone(host: &MemHost) -> Image {
    let options = OpenOptions {
        alone: true,
        ..OpenOptions::default()
    };
    open(host.get("image").unwrap(), host, &options).unwrap()
}

#[test]
fn alone_a_child_shows_only_what_it_stores() {
    let host = MemHost::default();
    let grains = delta("vmfsSparse", 21);
    child(&host, "vmfsSparse", BASE, "not-there.vmdk", &grains);
    let image = open_alone(&host);
    assert!(content(&image) == build::model(&grains, 4096, LEN, &[]));
    assert!(image.info.parent.is_none());
    let fact = image
        .info
        .facts
        .iter()
        .find(|f| f.key == "parent-file-name-hint")
        .unwrap();
    assert_eq!(fact.value, "not-there.vmdk".into());
}

#[test]
fn beyond_the_end_of_a_shorter_parent_is_zero() {
    let host = MemHost::default();
    let short = LEN / 2 - 512;
    let mut flat = vec![0; short];
    h2k_testkit::rng::Rng::new(12).fill(&mut flat);
    let line = format!("RW {} VMFS \"base-flat.vmdk\"", short / 512);
    host.put("base.vmdk", build::descriptor("vmfs", BASE, None, &[line]).into());
    host.put("base-flat.vmdk", flat.clone());
    let grains = delta("seSparse", 23);
    child(&host, "seSparse", BASE, "base.vmdk", &grains);
    let image = open_mem(&host, "image").unwrap();
    assert!(content(&image) == build::model(&grains, 4096, LEN, &flat));
    let walked: u64 = h2k_block::extents(&*image.disk, 0..LEN as u64)
        .map(|e| e.unwrap().len)
        .sum();
    assert_eq!(walked, LEN as u64);
}

#[test]
fn bytes_of_the_parent_can_be_cloned_through_the_child() {
    let (host, flat) = with_base();
    let grains = vec![Grain::Hole; LEN / 4096];
    child(&host, "seSparse", BASE, "base.vmdk", &grains);
    let disk = open_mem(&host, "image").unwrap().disk;
    let span = disk.raw_at(4096, 8192).unwrap().unwrap();
    let mut raw = vec![0; span.len as usize];
    span.file.read_at(span.offset, &mut raw).unwrap();
    assert!(span.len == 4096 && raw == flat[4096..8192]);
}

#[test]
fn a_native_snapshot_is_refused_by_name() {
    let (host, _) = with_base();
    child(&host, "vmfsSparse", BASE, "base.vmdk", &[]);
    let mut text = host.get("image").unwrap().to_vec();
    text.extend(b"isNativeSnapshot=\"yes\"\n");
    host.put("image", text);
    let e = open_mem(&host, "image").err().unwrap();
    assert_eq!(e.class(), Class::Unsupported);
    assert!(e.to_string().contains("native snapshot"), "{e}");
}
