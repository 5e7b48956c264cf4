//! The published JSON Schema is that of this program, and what it prints obeys it.

use super::{larger, linux};
use crate::run::run;
use std::path::Path;

#[test]
fn the_published_schema_is_that_of_this_program() {
    let dir = tempfile::tempdir().unwrap();
    let printed = run(dir.path(), &["inspect", "--schema"]).good().out;
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schema/hyper2kvm-inspect-1.json");
    assert!(
        std::fs::read_to_string(&shipped).unwrap_or_default() == printed,
        "run: cargo run -- inspect --schema > docs/schema/hyper2kvm-inspect-1.json"
    );
}

/// Judged by Debian's python3-jsonschema.
#[test]
fn what_is_printed_obeys_the_schema() {
    let dir = linux();
    let schema = run(dir.path(), &["inspect", "--schema"]).good().out;
    std::fs::write(dir.path().join("schema.json"), schema).unwrap();
    let mut documents = vec![
        run(
            dir.path(),
            &["inspect", "--json", "-a", "sda.img", "-a", "sdb.img"],
        )
        .good()
        .out,
    ];
    for name in ["fedora-btrfs", "windows"] {
        if let Some(image) = larger(name, dir.path()) {
            documents.push(
                run(dir.path(), &["inspect", "--json", image.to_str().unwrap()])
                    .good()
                    .out,
            );
        }
    }
    for (number, document) in documents.iter().enumerate() {
        let file = dir.path().join(format!("{number}.json"));
        std::fs::write(&file, document).unwrap();
        let judge = "import json, sys, jsonschema; jsonschema.validate(json.load(open(sys.argv[1])), json.load(open(sys.argv[2])))";
        h2k_testkit::oracle::ok(
            "/usr/bin/python3",
            &["-c".into(), judge.into(), file, dir.path().join("schema.json")],
        );
    }
}
