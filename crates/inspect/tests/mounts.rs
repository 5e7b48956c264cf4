//! What is mounted where, by the lines of the table.

use crate::common::{asked, system};
use h2k_inspect::Topic;
use serde_json::{Value, json};

#[test]
fn lines_of_the_mount_table_are_sources_and_their_faults_are_told() {
    let table = "# c\n/dev/sda1 / ext4 errors=remount-ro,noatime 0 1\nUUID=12-34 /data xfs nofail 0 2\n/dev/sda1 none swap sw 0 0\n\
        alone\n/dev/disk/by-path/pci-0 /data ext4 defaults x 0\nLABEL=a relative ext4 defaults\n";
    let mounts = asked(system(&[("/etc/fstab", table)]), Topic::Mounts);
    let root = &mounts["mounted"][0];
    assert_eq!(
        (&root["source"], &root["pass"], &root["dump"]),
        (&json!("/etc/fstab:2"), &json!(1), &json!(0))
    );
    assert_eq!(root["options"], json!(["errors=remount-ro", "noatime"]));
    assert_eq!(root["spec"], "/dev/sda1");
    let left = mounts["left-out"].as_array().unwrap();
    let lines: Vec<_> = left.iter().map(|l| l["source"].as_str().unwrap()).collect();
    assert!(
        lines.contains(&"/etc/fstab:3") && lines.contains(&"/etc/fstab:4"),
        "{lines:?}"
    );
    let problems = mounts["problems"].as_array().unwrap();
    let said: Vec<_> = problems
        .iter()
        .map(|p: &Value| {
            format!(
                "{} {}",
                p["source"].as_str().unwrap(),
                p["value"].as_str().unwrap()
            )
        })
        .collect();
    for (line, word) in [
        (2, "order"),
        (4, "order"),
        (5, "fewer than two"),
        (6, "is no number: x"),
        (6, "place of a disk"),
        (6, "line 3 has /data"),
        (7, "no path"),
    ] {
        assert!(
            said.iter()
                .any(|s| s.starts_with(&format!("/etc/fstab:{line} ")) && s.contains(word)),
            "{line} {word}: {said:#?}"
        );
    }
    assert_eq!(said.len(), 7, "{said:#?}");
}
