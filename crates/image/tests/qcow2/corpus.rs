use super::common::try_open;
use h2k_block::Class;
use h2k_image::{Fact, Format, OpenOptions, Value};
use h2k_testkit::{corpus, hash};

/// Options with what the oracle was told on its command line.
fn options() -> OpenOptions {
    OpenOptions {
        format: Some(Format::Qcow2),
        parent_format: Some(Format::Qcow2),
        ..OpenOptions::default()
    }
}

#[test]
fn every_image_of_the_corpus_reads_as_its_oracle_says() {
    let Some(corpus) = corpus::corpus() else {
        return;
    };
    let mut seen = 0;
    for case in corpus.below("images/qcow2/") {
        if !case.format.starts_with("qcow2 v") || case.oracle["disk"]["encrypt"].is_string() {
            continue;
        }
        let dir = tempfile::tempdir().unwrap();
        let path = corpus.unpack(case, dir.path());
        let disk = &case.oracle["disk"];
        let image = try_open(&path, &options()).unwrap_or_else(|e| panic!("{}: {e}", case.path));
        assert_eq!(
            image.disk.len(),
            disk["virtual_size"].as_u64().unwrap(),
            "{}",
            case.path
        );
        assert_eq!(image.info.grain, disk["cluster_size"].as_u64(), "{}", case.path);
        let fact = |key| {
            image
                .info
                .facts
                .iter()
                .find(|f: &&Fact| f.key == key)
                .map(|f| &f.value)
        };
        for key in ["compat", "compression-type"] {
            let text = disk[key].as_str().unwrap().to_owned();
            assert_eq!(fact(key), Some(&Value::Text(text)), "{}", case.path);
        }
        assert_eq!(
            fact("refcount-bits"),
            disk["refcount-bits"].as_u64().map(Value::Number).as_ref()
        );
        if let Some(backing) = disk["backing"].as_str() {
            assert_eq!(fact("backing-file"), Some(&Value::Text(backing.to_owned())));
        }
        let digest = hash::nz64k(&*image.disk).unwrap();
        assert_eq!(digest, disk["content_nz64k"].as_str().unwrap(), "{}", case.path);
        if image.disk.len() <= 128 << 20 {
            let digest = hash::disk_sha256(&*image.disk).unwrap();
            assert_eq!(digest, disk["content_sha256"].as_str().unwrap(), "{}", case.path);
        }
        for (i, snapshot) in disk["snapshots"].as_array().into_iter().flatten().enumerate() {
            let about = &image.info.snapshots[i];
            assert_eq!(about.id, snapshot["id"].as_str().unwrap());
            assert_eq!(about.name, snapshot["name"].as_str().unwrap());
            for wanted in [&about.id, &about.name] {
                let options = OpenOptions {
                    snapshot: Some(wanted.clone()),
                    ..options()
                };
                let image = try_open(&path, &options).unwrap();
                let content = &disk["snapshot_content"][&about.id];
                assert_eq!(image.disk.len(), content["size"].as_u64().unwrap());
                assert_eq!(
                    hash::nz64k(&*image.disk).unwrap(),
                    content["nz64k"].as_str().unwrap()
                );
            }
        }
        seen += 1;
    }
    assert_eq!(seen, 21);
}

#[test]
fn large_disks_that_the_corpus_keeps_in_qcow2_read_as_their_oracle_says() {
    let Some(corpus) = corpus::corpus() else {
        return;
    };
    let mut seen = 0;
    for case in &corpus.cases {
        let (Some(size), Some(digest)) = (
            case.oracle["content"]["size"].as_u64(),
            case.oracle["content"]["nz64k"].as_str(),
        ) else {
            continue;
        };
        if !case.format.contains("in qcow2") || case.unpacked_size > 4 << 20 {
            continue;
        }
        let dir = tempfile::tempdir().unwrap();
        let path = corpus.unpack(case, dir.path());
        let image = try_open(&path, &options()).unwrap_or_else(|e| panic!("{}: {e}", case.path));
        assert_eq!(image.disk.len(), size, "{}", case.path);
        assert_eq!(hash::nz64k(&*image.disk).unwrap(), digest, "{}", case.path);
        seen += 1;
    }
    assert!(seen > 100, "{seen}");
}

#[test]
fn encrypted_images_and_version_1_are_refused_by_name() {
    let Some(corpus) = corpus::corpus() else {
        return;
    };
    for (path, format, word) in [
        ("images/qcow2/scalibr-encrypted-legacy-aes.qcow2.zst", None, "AES"),
        (
            "images/qcow2/sleuthkit-image-qcow1.qcow.zst",
            Some(Format::Qcow2),
            "qcow version 1",
        ),
    ] {
        let case = corpus.cases.iter().find(|c| c.path == path).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let path = corpus.unpack(case, dir.path());
        let options = OpenOptions {
            format,
            ..OpenOptions::default()
        };
        let error = try_open(&path, &options).err().unwrap();
        assert_eq!(error.class(), Class::Unsupported);
        assert!(error.to_string().contains(word), "{error}");
    }
}
