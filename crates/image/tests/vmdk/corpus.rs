use super::open_path;
use h2k_block::Class;
use h2k_testkit::{corpus, hash};

/// Images whose facts the manifest knows: size and both digests have to be those of the independent tools.
#[test]
fn every_image_of_the_corpus_reads_as_others_read_it() {
    let Some(corpus) = corpus::corpus() else { return };
    let mut seen = 0;
    for case in corpus.below("images/vmdk/") {
        let disk = &case.oracle["disk"];
        let Some(size) = disk["virtual_size"].as_u64() else {
            continue;
        };
        let dir = tempfile::tempdir().unwrap();
        let mut path = corpus.unpack(case, dir.path());
        if let Some(sectors) = disk["capacity_sectors"].as_u64() {
            // The manifest read this extent through a descriptor written for the purpose, which lists it as
            // often as it takes to fill the size.
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            path = dir.path().join("for-the-purpose.vmdk");
            let line = format!("RW {sectors} SESPARSE \"{name}\"\n");
            let lines = line.repeat(disk["extents"].as_u64().unwrap() as usize);
            let head = "# Disk DescriptorFile\nversion=1\nCID=00000001\nparentCID=ffffffff\ncreateType=\"seSparse\"\n";
            std::fs::write(&path, format!("{head}{lines}")).unwrap();
        }
        let image = open_path(&path).unwrap_or_else(|e| panic!("{}: {e}", case.path));
        assert_eq!(image.info.virtual_size, size, "{}", case.path);
        assert_eq!(image.disk.len(), size, "{}", case.path);
        assert_eq!(
            hash::nz64k(&*image.disk).unwrap(),
            disk["content_nz64k"].as_str().unwrap(),
            "{}",
            case.path
        );
        if size <= 64 << 20 {
            assert_eq!(
                hash::disk_sha256(&*image.disk).unwrap(),
                disk["content_sha256"].as_str().unwrap(),
                "{}",
                case.path
            );
        }
        if let Some(kind) = disk["create-type"].as_str() {
            assert_eq!(image.info.subformat.as_deref(), Some(kind), "{}", case.path);
        }
        assert_eq!(image.info.warnings, Vec::<String>::new(), "{}", case.path);
        seen += 1;
    }
    assert!(seen >= 20, "only {seen} images");
}

#[test]
fn a_missing_extent_is_named() {
    let Some(corpus) = corpus::corpus() else { return };
    for (name, missing) in [
        (
            "images/vmdk/vmdkrs-vmfs_thick/vmfs_thick-000001.vmdk.zst",
            "vmfs_thick-000001-delta.vmdk",
        ),
        ("images/vmdk/descriptor-only/ms3-win.vmdk.zst", "disk-s001.vmdk"),
    ] {
        let case = corpus.below(name).next().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let error = open_path(&corpus.unpack(case, dir.path())).err().unwrap();
        assert_eq!(error.class(), Class::NotFound, "{error}");
        assert!(error.to_string().contains(missing), "{error}");
        assert!(error.advice().unwrap().contains("beside its descriptor"));
    }
}

#[test]
fn corrupt_images_end_in_a_typed_error() {
    let Some(corpus) = corpus::corpus() else { return };
    let mut seen = 0;
    for case in corpus.below("corrupt/vmdk/") {
        let dir = tempfile::tempdir().unwrap();
        let error = open_path(&corpus.unpack(case, dir.path())).err().unwrap();
        println!("{}: {error}", case.path);
        assert_eq!(error.class(), Class::Corrupt, "{}: {error}", case.path);
        seen += 1;
    }
    assert!(seen >= 2);
}
