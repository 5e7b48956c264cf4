//! Who may see whom.

use serde_json::Value;
use std::path::PathBuf;
use std::process::Command;

/// Room, level, and the rooms it may see. A new edge is a conversation, and a line here.
const ROOMS: [(&str, u8, &[&str]); 23] = [
    ("h2k-block", 0, &[]),
    ("h2k-fs", 1, &["h2k-block"]),
    ("h2k-image", 1, &["h2k-block"]),
    ("h2k-machine", 1, &["h2k-block"]),
    ("h2k-volume", 1, &["h2k-block"]),
    ("h2k-hive", 2, &["h2k-block"]),
    ("h2k-btrfs", 2, &["h2k-block", "h2k-fs"]),
    ("h2k-ext4", 2, &["h2k-block", "h2k-fs"]),
    ("h2k-fat", 2, &["h2k-block", "h2k-fs"]),
    ("h2k-iso", 2, &["h2k-block", "h2k-fs"]),
    ("h2k-journal", 2, &["h2k-block", "h2k-fs"]),
    ("h2k-ntfs", 2, &["h2k-block", "h2k-fs"]),
    ("h2k-squashfs", 2, &["h2k-block", "h2k-fs"]),
    ("h2k-packages", 2, &["h2k-block", "h2k-fs"]),
    ("h2k-xfs", 2, &["h2k-block", "h2k-fs"]),
    (
        "h2k-guest",
        3,
        &[
            "h2k-block",
            "h2k-fs",
            "h2k-volume",
            "h2k-hive",
            "h2k-btrfs",
            "h2k-ext4",
            "h2k-fat",
            "h2k-iso",
            "h2k-journal",
            "h2k-ntfs",
            "h2k-squashfs",
            "h2k-packages",
            "h2k-xfs",
        ],
    ),
    (
        "h2k-boot",
        4,
        &["h2k-block", "h2k-fs", "h2k-volume", "h2k-packages", "h2k-guest"],
    ),
    (
        "h2k-systemd",
        4,
        &["h2k-block", "h2k-fs", "h2k-guest", "h2k-journal"],
    ),
    (
        "h2k-inspect",
        5,
        &[
            "h2k-block",
            "h2k-fs",
            "h2k-volume",
            "h2k-hive",
            "h2k-journal",
            "h2k-packages",
            "h2k-guest",
            "h2k-boot",
            "h2k-systemd",
        ],
    ),
    ("h2k-copy", 3, &["h2k-block"]),
    (
        "h2k-fix",
        6,
        &[
            "h2k-block",
            "h2k-fs",
            "h2k-volume",
            "h2k-guest",
            "h2k-boot",
            "h2k-systemd",
            "h2k-inspect",
        ],
    ),
    ("h2k-convert", 7, EVERY_ROOM),
    ("hyper2kvm", PRODUCT, EVERY_ROOM),
];

/// The level of the product.
const PRODUCT: u8 = 8;

/// Instead of a list: every room of a lower level.
const EVERY_ROOM: &[&str] = &["*"];

/// Never shipped; may see anything.
const SHEDS: [&str; 2] = ["h2k-testkit", "xtask"];

/// Executors, terminals and networks belong to the product.
const PRODUCT_ONLY: [&str; 10] = [
    "anyhow",
    "async-std",
    "axum",
    "clap",
    "hyper",
    "indicatif",
    "reqwest",
    "tokio",
    "tracing-subscriber",
    "ureq",
];

pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .unwrap()
        .to_owned()
}

pub fn metadata(more: &[&str]) -> Value {
    let out = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked"])
        .args(more)
        .current_dir(root())
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    serde_json::from_slice(&out.stdout).unwrap()
}

/// Package, its dependencies as (name, kind), for every member of the workspace.
fn members() -> Vec<(String, Vec<(String, String)>)> {
    let metadata = metadata(&["--no-deps"]);
    let packages = metadata["packages"].as_array().unwrap();
    packages
        .iter()
        .map(|package| {
            let dependencies = package["dependencies"].as_array().unwrap();
            let dependencies = dependencies.iter().map(|d| {
                let kind = d["kind"].as_str().unwrap_or("normal");
                (d["name"].as_str().unwrap().to_owned(), kind.to_owned())
            });
            (
                package["name"].as_str().unwrap().to_owned(),
                dependencies.collect(),
            )
        })
        .collect()
}

#[test]
fn a_room_sees_what_lies_beneath_it_and_never_what_stands_beside_it() {
    let mut wrong = Vec::new();
    for (package, dependencies) in members() {
        if SHEDS.contains(&package.as_str()) {
            continue;
        }
        let Some((_, level, may)) = ROOMS.iter().find(|(name, ..)| *name == package) else {
            wrong.push(format!("{package} is not in the table of rooms"));
            continue;
        };
        for (seen, kind) in dependencies {
            let ours = seen.starts_with("h2k-");
            let shed = SHEDS.contains(&seen.as_str()) && kind == "dev";
            let beneath = ROOMS.iter().any(|(name, l, _)| *name == seen && l < level);
            let named = *may == EVERY_ROOM || may.contains(&seen.as_str());
            if ours && !shed && !(beneath && named) {
                wrong.push(format!("{package} sees {seen} ({kind})"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn executors_and_terminals_stay_in_the_product() {
    for (package, dependencies) in members() {
        let level = ROOMS
            .iter()
            .find(|(name, ..)| *name == package)
            .map(|(_, level, _)| *level);
        for (seen, kind) in dependencies {
            let banned = PRODUCT_ONLY.contains(&seen.as_str()) && kind == "normal";
            assert!(
                !banned || level.is_none_or(|l| l >= PRODUCT),
                "{package} links {seen}"
            );
        }
    }
}

#[test]
fn every_member_lives_under_the_lints_and_names_its_licence() {
    let metadata = metadata(&["--no-deps"]);
    for package in metadata["packages"].as_array().unwrap() {
        let name = package["name"].as_str().unwrap();
        assert_eq!(package["license"], "MIT OR Apache-2.0", "{name}");
        assert!(
            package["rust_version"].is_string(),
            "{name} states no rust-version"
        );
        let manifest = std::fs::read_to_string(package["manifest_path"].as_str().unwrap()).unwrap();
        let strict = manifest.contains("[lints]\nworkspace = true");
        let shed = SHEDS.contains(&name) && manifest.contains("unsafe_code = \"forbid\"");
        assert!(strict || shed, "{name} does not inherit the workspace's lints");
    }
}
