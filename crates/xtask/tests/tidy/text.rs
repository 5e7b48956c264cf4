//! What the files say.

use super::edges::root;
use std::process::Command;

/// A story is shorter than this; a catalogue (tables of facts) may be longer and is named here.
const LONGEST: usize = 900;
const CATALOGUES: [&str; 0] = [];

/// Every tracked text file: name and content.
fn files() -> Vec<(String, String)> {
    let out = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output();
    let out = out.expect("git is needed to list what belongs to the repository");
    assert!(out.status.success(), "this is no git checkout");
    let names = String::from_utf8(out.stdout).unwrap();
    let names = names.split('\0').filter(|name| !name.is_empty());
    names
        .filter_map(|name| {
            let bytes = std::fs::read(root().join(name)).ok()?;
            Some((name.to_owned(), String::from_utf8(bytes).ok()?))
        })
        .collect()
}

fn rust() -> impl Iterator<Item = (String, String)> {
    files().into_iter().filter(|(name, _)| name.ends_with(".rs"))
}

/// Rust that ships: no tests, no sheds.
fn shipped() -> impl Iterator<Item = (String, String)> {
    rust().filter(|(name, _)| {
        name.starts_with("crates/")
            && name.contains("/src/")
            && !name.starts_with("crates/testkit")
            && !name.starts_with("crates/xtask")
    })
}

#[test]
fn files_are_short_enough_to_be_read() {
    let long: Vec<_> = rust()
        .map(|(name, text)| (text.lines().count(), name))
        .filter(|(lines, name)| *lines > LONGEST && !CATALOGUES.contains(&name.as_str()))
        .collect();
    assert!(long.is_empty(), "over {LONGEST} lines: {long:?}");
}

/// `fetch` is for implementors: callers use `read_at`, which has checked the range. (`map` is the same, but
/// its name belongs to iterators too; only the extents of a disk come from it, and `extent_at` clips them.)
#[test]
fn only_block_calls_the_unchecked_read() {
    // A file with a `fetch` of its own, of other arguments, may call that one.
    let another = |text: &str| {
        let mut defined = text.match_indices("fn fetch(").map(|(at, _)| &text[at..]);
        defined.any(|rest| {
            !rest.starts_with("fn fetch(&self, ") || !rest[..90.min(rest.len())].contains(": &mut [u8]")
        })
    };
    let calls: Vec<_> = shipped()
        .filter(|(name, text)| name != "crates/block/src/disk.rs" && !another(text))
        .flat_map(|(name, text)| {
            let hits = text
                .lines()
                .enumerate()
                .filter(|(_, line)| line.contains(".fetch("));
            hits.map(|(i, line)| format!("{name}:{}: {}", i + 1, line.trim()))
                .collect::<Vec<_>>()
        })
        .collect();
    assert!(calls.is_empty(), "call read_at instead: {calls:#?}");
}

#[test]
fn nothing_is_left_for_later_in_what_ships() {
    for (name, text) in shipped() {
        for mark in [
            "todo!",
            "unimplemented!",
            concat!("FIX", "ME"),
            concat!("XX", "X"),
        ] {
            assert!(!text.contains(mark), "{name} has {mark}");
        }
    }
}

/// Tests, docs and code must not know the machine they were written on.
#[test]
fn the_text_knows_no_machine() {
    let strangers = [
        concat!("/wo", "rk/"),
        concat!("/ro", "ot/"),
        concat!("/home/", "runner"),
        concat!("artifact", "ory"),
        concat!("index.crates", ".io"),
    ];
    let mut found = Vec::new();
    for (name, text) in files() {
        for (i, line) in text.lines().enumerate() {
            // A guest has a home of root too; what it holds is not a path of this machine.
            let line = line.replace("/root/.ssh", "");
            if strangers.iter().any(|s| line.contains(s)) {
                found.push(format!("{name}:{}", i + 1));
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn a_test_that_is_not_run_names_the_command_that_runs_it() {
    let mark = concat!("#[ign", "ore");
    for (name, text) in rust() {
        for line in text.lines().filter(|line| line.trim_start().starts_with(mark)) {
            assert!(line.contains("cargo "), "{name}: {line}");
        }
    }
}

/// A table whose rows are structures of the specification: whether they are read (and written), and what proves it.
#[test]
fn every_format_document_has_a_coverage_table() {
    for (name, text) in files() {
        if !name.starts_with("docs/formats/") {
            continue;
        }
        let rows: Vec<_> = text.lines().filter(|line| line.starts_with('|')).collect();
        let says = |line: &str, word: &str| line.to_lowercase().contains(word);
        let head = rows
            .iter()
            .find(|row| says(row, "read") && (says(row, "proof") || says(row, "proved")));
        assert!(
            head.is_some(),
            "{name}: no table with the columns \"read\" and \"proof\""
        );
        assert!(rows.len() > 4, "{name}: the table says nothing");
    }
}
