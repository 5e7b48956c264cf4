//! `cargo xtask bench inspect`: how long a whole inspection takes and how much memory it needs, guest by guest, against
//! virt-inspector where that is installed.

use super::child::{self, Cost};
use super::pairs::{Pairs, Side};
use super::{machine, scratch};
use crate::run::{Done, cargo, have, root, show};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What one inspection may take.
const MILLISECONDS: f64 = 300.0;
const MEBIBYTES: u64 = 128;
/// Runs of ours; virt-inspector boots a machine for each of its own.
const RUNS: usize = 9;
const THEIR_RUNS: usize = 3;

/// Measures the guests beside the checkout and `images`, and writes `docs/performance-inspect.md`.
pub(crate) fn inspect(images: &[&str]) -> Done {
    show(cargo().args(["build", "--release", "--bin", "hyper2kvm"]))?;
    let ours = root().join("target/release/hyper2kvm");
    let scratch = scratch::Scratch::new(4 << 30)?;
    let guests = guests(images, &scratch)?;
    if guests.is_empty() {
        return Err("there are no guests: name images, or put ../shared/guests there".to_owned());
    }
    let theirs = have("virt-inspector");
    let mut rows = Vec::new();
    let mut slow = Vec::new();
    for (name, image) in &guests {
        println!("\n--- {name}");
        let path = image.display().to_string();
        let words = |program: &Path, rest: &[&str]| -> Vec<String> {
            let rest = rest.iter().map(|w| (*w).to_owned());
            [program.display().to_string()]
                .into_iter()
                .chain(rest)
                .chain([path.clone()])
                .collect()
        };
        let inspect = words(&ours, &["inspect", "--json"]);
        // Once unmeasured: the page cache has the image.
        child::run(&inspect, &scratch)?;
        let whole = run(RUNS, &inspect, &scratch)?;
        let xml = run(RUNS, &words(&ours, &["inspect", "--xml"]), &scratch)?;
        let other = match theirs {
            true => Some(run(
                THEIR_RUNS,
                &words(Path::new("virt-inspector"), &["-a"]),
                &scratch,
            )?),
            false => None,
        };
        let ms = whole.our_seconds() * 1000.0;
        let verdict = if ms < MILLISECONDS && whole.peak() < MEBIBYTES {
            "yes"
        } else {
            slow.push(name.clone());
            "**no**"
        };
        let ratio = other.map_or_else(
            || "not installed".to_owned(),
            |o| format!("{:.0}× by `--xml`", o.our_seconds() / xml.our_seconds()),
        );
        rows.push(format!(
            "| {name} | {ms:.0} ms | {:.0} ms | {} MiB | {:.0} ms | {verdict} | {ratio} |",
            whole.our_cpu_ms(),
            whole.peak(),
            xml.our_seconds() * 1000.0,
        ));
    }
    let page = page(&rows, &machine::look(&ours)?);
    println!("\n{page}");
    let path = root().join("docs/performance-inspect.md");
    std::fs::write(&path, page).map_err(|e| format!("{}: {e}", path.display()))?;
    match slow.is_empty() {
        true => println!("every guest within {MILLISECONDS} ms and {MEBIBYTES} MiB"),
        false => println!(
            "not within {MILLISECONDS} ms and {MEBIBYTES} MiB: {}",
            slow.join(", ")
        ),
    }
    Ok(())
}

fn run(times: usize, words: &[String], scratch: &scratch::Scratch) -> Result<Pairs, String> {
    Pairs::run(times, &[Side::Ours], &mut |_, _| -> Result<Cost, String> {
        child::run(words, scratch)
    })
}

/// Name and image of each guest: those beside the checkout, unpacked, and those that were named.
fn guests(images: &[&str], scratch: &scratch::Scratch) -> Result<Vec<(String, PathBuf)>, String> {
    let mut all = Vec::new();
    for name in ["debian", "fedora-btrfs", "windows"] {
        let packed = root().join(format!("../shared/guests/{name}.img.zst"));
        if !packed.exists() {
            println!("not measured: {name} is not beside the checkout");
            continue;
        }
        let image = scratch.path(&format!("{name}.img"));
        show(
            Command::new("zstd")
                .args(["-dqf"])
                .arg(&packed)
                .arg("-o")
                .arg(&image),
        )?;
        all.push((name.to_owned(), image));
    }
    for image in images {
        let path = Path::new(image);
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let copy = scratch.path(&format!("{name}.raw"));
        show(
            Command::new("cp")
                .args(["--sparse=always", "--"])
                .args([path, &copy]),
        )?;
        all.push((name.into_owned(), copy));
    }
    Ok(all)
}

fn page(rows: &[String], machine: &machine::Machine) -> String {
    format!(
        "# What an inspection costs\n\n\
         Written by `cargo xtask bench inspect IMAGE...`, with images that `../shared/rig` built. Every topic of \
         `inspect --json`, medians of {RUNS} runs, image in memory; the aim is less than {MILLISECONDS} ms and \
         {MEBIBYTES} MiB.\n\n\
         {}\n\n\
         | guest | by the clock | processor | peak memory | `--xml` | within the aim | virt-inspector takes |\n\
         |---|---|---|---|---|---|---|\n{}\n",
        machine.sentence(),
        rows.join("\n")
    )
}
