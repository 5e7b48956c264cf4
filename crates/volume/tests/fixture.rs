//! Disks that the Linux kernel assembled and read: `fixtures/volumes/<case>/`, made by the scripts in `make/` there.
//! The kernel these tests run on need not have device mapper or MD: the answers were recorded.

use crate::common::mem;
use h2k_block::BlockRead;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// One case: disks by name, and what the kernel read from each volume.
pub struct Fixture {
    pub disks: Vec<(String, Arc<dyn BlockRead>)>,
    /// Device, bytes, SHA-256.
    pub volumes: Vec<(String, u64, String)>,
}

fn folder(case: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .parent()
        .unwrap();
    root.join("fixtures/volumes").join(case)
}

/// Loads a case; once for all tests, since unpacking takes a while.
pub fn load(case: &'static str) -> Arc<Fixture> {
    static LOADED: Mutex<BTreeMap<&str, Arc<Fixture>>> = Mutex::new(BTreeMap::new());
    let mut loaded = LOADED.lock().unwrap();
    Arc::clone(loaded.entry(case).or_insert_with(|| Arc::new(read(case))))
}

fn read(case: &str) -> Fixture {
    let text = std::fs::read_to_string(folder(case).join("facts.toml")).unwrap();
    let mut disks = Vec::new();
    let mut volumes = Vec::new();
    for line in text.lines() {
        let Some((key, value)) = line.split_once(" = ") else {
            continue;
        };
        let value = value.trim_matches('"');
        if key == "disks" {
            for name in value.split(' ') {
                disks.push((name.to_owned(), mem(unpack(case, name))));
            }
        } else if key.starts_with('"') {
            let (len, sha256) = value.split_once(' ').unwrap();
            volumes.push((
                key.trim_matches('"').to_owned(),
                len.parse().unwrap(),
                sha256.to_owned(),
            ));
        }
    }
    Fixture { disks, volumes }
}

/// One file of a case.
pub fn unpack(case: &str, name: &str) -> Vec<u8> {
    let packed = std::fs::read(folder(case).join(format!("{name}.zst"))).unwrap();
    h2k_testkit::corpus::unzstd(&packed)
}

impl Fixture {
    /// The disks but those named.
    pub fn without(&self, absent: &[&str]) -> Vec<Arc<dyn BlockRead>> {
        let there = self
            .disks
            .iter()
            .filter(|(name, _)| !absent.contains(&name.as_str()));
        there.map(|(_, disk)| Arc::clone(disk)).collect()
    }
}
