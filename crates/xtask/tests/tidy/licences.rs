//! Licences of everything that is linked, without any tool but cargo. `cargo xtask deny` asks more questions.

use super::edges::{metadata, root};
use std::collections::BTreeSet;

/// The strings of a list in `deny.toml`.
fn list(key: &str) -> Vec<String> {
    let text = std::fs::read_to_string(root().join("deny.toml")).unwrap();
    let start = text.find(&format!("\n{key} = [")).unwrap();
    let body = text[start..]
        .split_once('[')
        .unwrap()
        .1
        .split_once("\n]")
        .unwrap()
        .0
        .to_owned();
    let quoted = body
        .lines()
        .filter_map(|line| line.split('#').next())
        .flat_map(|line| {
            line.split('"')
                .skip(1)
                .step_by(2)
                .map(str::to_owned)
                .collect::<Vec<_>>()
        });
    quoted.collect()
}

/// Whether an SPDX expression can be satisfied with `allowed` licences. Enough of the grammar for what registries
/// hold: OR, AND, parentheses, WITH, and the old spelling with a slash.
fn satisfied(expression: &str, allowed: &[String]) -> bool {
    let spaced = expression
        .replace('/', " OR ")
        .replace('(', " ( ")
        .replace(')', " ) ")
        .replace(" WITH ", "+WITH+");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let (ok, rest) = any(&words, allowed);
    assert!(
        rest.is_empty(),
        "cannot read the licence expression {expression:?}"
    );
    ok
}

fn any<'a>(words: &'a [&'a str], allowed: &[String]) -> (bool, &'a [&'a str]) {
    let (mut ok, mut rest) = all(words, allowed);
    while let Some(("OR", more)) = rest.split_first().map(|(w, r)| (*w, r)) {
        let (other, after) = all(more, allowed);
        ok |= other;
        rest = after;
    }
    (ok, rest)
}

fn all<'a>(words: &'a [&'a str], allowed: &[String]) -> (bool, &'a [&'a str]) {
    let (mut ok, mut rest) = one(words, allowed);
    while let Some(("AND", more)) = rest.split_first().map(|(w, r)| (*w, r)) {
        let (other, after) = one(more, allowed);
        ok &= other;
        rest = after;
    }
    (ok, rest)
}

fn one<'a>(words: &'a [&'a str], allowed: &[String]) -> (bool, &'a [&'a str]) {
    match words.split_first() {
        Some((&"(", inner)) => {
            let (ok, rest) = any(inner, allowed);
            assert_eq!(rest.first(), Some(&")"));
            (ok, &rest[1..])
        }
        Some((word, rest)) => {
            let name = word.replace("+WITH+", " WITH ");
            (allowed.contains(&name), rest)
        }
        None => panic!("a licence expression ends too early"),
    }
}

#[test]
fn everything_linked_is_permissively_licensed_and_nothing_banned() {
    let allowed = list("allow");
    let banned = list("deny");
    assert!(allowed.iter().any(|l| l == "MIT") && banned.iter().any(|b| b == "nt-hive"));
    let metadata = metadata(&["--filter-platform", "x86_64-unknown-linux-gnu", "--all-features"]);
    for package in metadata["packages"].as_array().unwrap() {
        let name = package["name"].as_str().unwrap();
        let licence = package["license"].as_str().unwrap_or_default();
        assert!(satisfied(licence, &allowed), "{name} is licensed {licence:?}");
        assert!(!banned.iter().any(|b| b == name), "{name} is banned in deny.toml");
    }
}

#[test]
fn licence_expressions_are_read_as_they_are_meant() {
    let allowed = ["MIT", "Zlib", "Apache-2.0 WITH LLVM-exception"].map(str::to_owned);
    for (expression, want) in [
        ("MIT", true),
        ("GPL-2.0-or-later", false),
        ("GPL-2.0-or-later OR MIT", true),
        ("GPL-2.0-or-later/MIT", true),
        ("MIT AND GPL-2.0-only", false),
        ("(GPL-3.0-only OR Zlib) AND MIT", true),
        ("Apache-2.0 WITH LLVM-exception OR GPL-3.0-only", true),
    ] {
        assert_eq!(satisfied(expression, &allowed), want, "{expression}");
    }
}

#[test]
fn every_dependency_has_a_row_that_says_why() {
    let text = std::fs::read_to_string(root().join("docs/dependencies.md")).unwrap();
    let rows: BTreeSet<&str> = text
        .lines()
        .filter_map(|l| l.strip_prefix("| `")?.split('`').next())
        .collect();
    let metadata = metadata(&["--no-deps"]);
    let mut missing = BTreeSet::new();
    for package in metadata["packages"].as_array().unwrap() {
        for dependency in package["dependencies"].as_array().unwrap() {
            let name = dependency["name"].as_str().unwrap();
            if dependency["path"].is_null() && !rows.contains(name) {
                missing.insert(name.to_owned());
            }
        }
    }
    assert!(
        missing.is_empty(),
        "docs/dependencies.md has no row for {missing:?}"
    );
}
