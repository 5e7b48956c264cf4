//! `inspect` and `compare-vms` as a user sees them.

use super::{larger, linux};
use crate::run::run;

#[test]
fn guests_are_compared_as_a_table_a_page_and_a_document() {
    let dir = linux();
    let table = run(dir.path(), &["compare-vms", "sda.img,sdb.img", "sdb.img"]).good();
    assert!(table.out.starts_with("VM "), "{table:?}");
    assert!(table.out.contains("begin with: "), "{table:?}");
    let page = run(
        dir.path(),
        &[
            "compare-vms",
            "--format",
            "html",
            "-o",
            "guests.html",
            "sda.img,sdb.img",
        ],
    );
    assert_eq!(page.good().out, "");
    let page = std::fs::read_to_string(dir.path().join("guests.html")).unwrap();
    assert!(page.starts_with("<!DOCTYPE html>") && page.ends_with("</html>\n"));
    let json = run(dir.path(), &["compare-vms", "--json", "sda.img,sdb.img"])
        .good()
        .json();
    let profile = &json["profiles"][0];
    assert_eq!(json["vm-count"], 1);
    assert_eq!(profile["os"]["type"], "linux");
    assert_eq!(profile["disks"].as_array().unwrap().len(), 2);
    let points: u64 = profile["reasons"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["points"].as_u64().unwrap())
        .sum();
    assert_eq!(
        profile["complexity-score"], points,
        "below 100 nothing is cut off"
    );
}

#[test]
fn one_topic_is_shown_in_full_and_others_are_not_looked_at() {
    let dir = linux();
    let disks = ["-a", "sda.img", "-a", "sdb.img"];
    let json = run(
        dir.path(),
        &[&["inspect", "--json", "--only", "mounts"], &disks[..]].concat(),
    );
    let json = json.good().json();
    assert_eq!(json["schema"], "hyper2kvm-inspect-1");
    let system = json["systems"][0].as_object().unwrap();
    let topics: Vec<&String> = system.keys().collect();
    assert_eq!(topics, ["root", "kind", "mounts"]);
    let text = run(
        dir.path(),
        &[&["inspect", "--only", "mounts", "--sources"], &disks[..]].concat(),
    );
    let text = text.good().out;
    assert!(text.contains("mounted (") && text.contains("SOURCE"), "{text}");
    let wrong = run(
        dir.path(),
        &[&["inspect", "--only", "weather"], &disks[..]].concat(),
    );
    assert_eq!(wrong.code, 2);
    assert!(wrong.err.contains("mounts"), "the topics there are: {wrong:?}");
}

/// What virt-inspector printed for these guests, line by line. It differs where ours is right:
/// * virt-inspector writes `(none)` for a URL or an architecture that rpm does not have; we write nothing.
/// * it leaves out the source package of rpm packages, which it has for Debian's.
#[test]
fn virt_inspector_s_users_find_what_they_know() {
    for name in ["debian", "fedora-btrfs", "windows"] {
        let dir = tempfile::tempdir().unwrap();
        let Some(image) = larger(name, dir.path()) else {
            return;
        };
        let recorded = h2k_testkit::corpus::shared().unwrap();
        let recorded = std::fs::read_to_string(recorded.join(format!("guests/{name}.inspect.xml"))).unwrap();
        let ours = run(dir.path(), &["inspect", "--xml", image.to_str().unwrap()])
            .good()
            .out;
        let rpm = recorded.contains("<package_format>rpm</package_format>");
        let theirs: Vec<&str> = recorded
            .lines()
            .filter(|l| !matches!(l.trim(), "<url>(none)</url>" | "<arch>(none)</arch>"))
            .collect();
        let ours: Vec<&str> = ours
            .lines()
            .filter(|l| !(rpm && l.trim().starts_with("<source_package>")))
            .collect();
        for (number, (their, our)) in theirs.iter().zip(&ours).enumerate() {
            assert_eq!(their, our, "{name}, line {number}");
        }
        assert_eq!(theirs.len(), ours.len(), "{name}");
        assert!(theirs.len() > 50, "{name}: next to nothing was compared");
    }
}
