//! The hives of the repository, with what hivex read of them: `fixtures/hives/regf`.

use crate::dump::dump;
use crate::oracle::{agreed, sound};
use h2k_block::Limits;
use h2k_hive::{Hive, State};
use std::path::Path;

/// One of the files, unpacked.
pub fn bytes(name: &str) -> Vec<u8> {
    let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/hives/regf");
    h2k_testkit::corpus::unzstd(&std::fs::read(home.join(format!("{name}.zst"))).unwrap())
}

/// A hive and its logs.
pub fn set(name: &str) -> (Vec<u8>, Vec<Vec<u8>>) {
    let logs: &[&str] = match name {
        "dirty-new" => &["LOG1", "LOG2"],
        "dirty-old" => &["LOG1"],
        _ => &[],
    };
    let logs = logs.iter().map(|log| bytes(&format!("{name}.{log}")));
    (bytes(name), logs.collect())
}

/// Versions 1.3 to 1.6, each with its kind of list.
pub const VERSIONS: [&str; 4] = ["by-hand-1.3", "by-hand-1.4", "by-hand-1.5", "by-hand-1.6"];

fn recorded(name: &str) -> String {
    String::from_utf8(bytes(&format!("{name}.dump"))).unwrap()
}

#[test]
fn hives_laid_down_byte_by_byte_read_as_hivex_read_them() {
    for (name, minor) in VERSIONS.into_iter().zip(3..) {
        let hive = sound(&bytes(name));
        assert_eq!(hive.facts().version, (1, minor));
        assert_eq!(hive.facts().file_name, "fixture");
        assert_eq!(dump(&hive).text, recorded(name), "{name}");
        agreed(&hive);
        let class = |path: &str| hive.find(path).unwrap().unwrap().class().unwrap();
        assert_eq!(class("GRÖßE").as_deref(), Some("Klasse ß"), "{name}");
        assert_eq!(class("😀\\below").as_deref(), Some("second"), "{name}");
        assert_eq!(class("empty"), None, "{name}");
        let security = |path: &str| hive.find(path).unwrap().unwrap().security().unwrap().unwrap();
        assert_eq!(security("ключ"), security("😀"), "{name}");
        assert_ne!(security("ключ"), security("empty"), "{name}");
        assert_eq!(hive.check().unwrap().securities, 2, "{name}");
        assert_eq!(hive.resolve("currentControlSet\\x").unwrap(), "ControlSet001\\x");
    }
}

#[test]
fn a_hive_that_hivex_filled_reads_as_hivex_reads_it() {
    let hive = Hive::open(bytes("merged"), &[], &Limits::default()).unwrap();
    assert_eq!(dump(&hive).text, recorded("merged"));
    // hivex makes hashes as C's toupper would, which leaves everything beyond ASCII alone; the names are found all the same.
    let checked = hive.check().unwrap();
    assert_eq!(
        (checked.errors, checked.leaks, checked.warnings),
        (2, 0, 0),
        "{checked:#?}"
    );
    assert!(
        checked
            .findings
            .iter()
            .all(|f| f.message.contains("beside the name"))
    );
    assert!(hive.find("GRÖßE").unwrap().is_some() && hive.find("ключ").unwrap().is_some());
}

#[test]
fn logs_of_both_formats_give_what_regipy_made_of_them() {
    for (name, entries) in [("dirty-new", 2), ("dirty-old", 1)] {
        let (hive, mut logs) = set(name);
        let open = |logs: &[Vec<u8>]| {
            let logs: Vec<&[u8]> = logs.iter().map(Vec::as_slice).collect();
            Hive::open(hive.clone(), &logs, &Limits::default()).unwrap()
        };
        assert_eq!(open(&[]).facts().state, State::Dirty, "{name}");
        assert_ne!(dump(&open(&[])).text, recorded(name), "{name}");
        let replayed = open(&logs);
        assert_eq!(replayed.facts().state, State::Recovered(entries), "{name}");
        assert_eq!(dump(&replayed).text, recorded(name), "{name}");
        logs.reverse();
        assert_eq!(open(&logs).bytes(), replayed.bytes(), "{name}");
    }
}
