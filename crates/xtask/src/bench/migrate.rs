//! `cargo xtask bench migrate`: how long a whole migration takes and how much memory it needs, against virt-v2v where
//! that is installed.

use super::child::{self, Cost};
use super::pairs::{Pairs, Side};
use super::{machine, scratch};
use crate::run::{Done, cargo, have, root, show};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Runs of ours; virt-v2v boots a machine for its own.
const RUNS: usize = 5;
/// What is aimed at: so many times faster, and so much less memory.
const FASTER: f64 = 20.0;
const SMALLER: f64 = 10.0;

/// Measures migrations of `images`, and writes `docs/performance-migrate.md`. `--binary FILE` before them measures that.
pub(crate) fn migrate(words: &[&str]) -> Done {
    let (ours, images) = match words {
        ["--binary", binary, images @ ..] => (PathBuf::from(binary), images),
        images => {
            show(cargo().args(["build", "--release", "--bin", "hyper2kvm"]))?;
            (root().join("target/release/hyper2kvm"), images)
        }
    };
    if images.is_empty() {
        return Err("name images of guests, such as ../shared/rig builds".to_owned());
    }
    let load = load()?;
    let scratch = scratch::Scratch::new(6 << 30)?;
    let theirs = have("virt-v2v");
    let mut rows = Vec::new();
    for image in images {
        let from = Path::new(image);
        let name = from
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        println!("\n--- {name}");
        let image = &scratch.path(&format!("{name}.raw"));
        show(
            Command::new("cp")
                .args(["--sparse=always", "--"])
                .args([from, image]),
        )?;
        let out = scratch.path("out");
        let migrate = [
            &ours,
            Path::new("migrate"),
            Path::new("--quiet"),
            Path::new("--allow-partial"),
            Path::new("-o"),
            &out,
            image,
        ];
        let once = || run(&migrate, &out, &scratch);
        // Once unmeasured: the page cache has the image.
        once()?;
        let mut stages = String::new();
        let whole = Pairs::run(RUNS, &[Side::Ours], &mut |_, _| {
            let cost = once()?;
            stages = shares(&out)?;
            Ok(cost)
        })?;
        let other = match theirs {
            true => Some(incumbent(image, &name, &out, &scratch)),
            false => None,
        };
        let seconds = whole.our_seconds();
        let (their, ratio) = match other {
            None => ("not installed".to_owned(), "—".to_owned()),
            Some(Err(why)) => (format!("fails: {why}"), "—".to_owned()),
            Some(Ok(cost)) => {
                let times = cost.wall.as_secs_f64() / seconds;
                let size = (cost.peak >> 20) as f64 / whole.peak() as f64;
                let verdict = match times >= FASTER && size >= SMALLER {
                    true => "",
                    false => " (not within the aim)",
                };
                (
                    format!(
                        "{:.1} s, {:.0} s of processor, {} MiB",
                        cost.wall.as_secs_f64(),
                        cost.cpu.as_secs_f64(),
                        cost.peak >> 20
                    ),
                    format!("{times:.0}× the time, {size:.1}× the memory{verdict}"),
                )
            }
        };
        rows.push(format!(
            "| {name} | {seconds:.2} s | {:.0} ms | {} MiB | {stages} | {their} | {ratio} |",
            whole.our_cpu_ms(),
            whole.peak(),
        ));
        scratch::remove(image);
    }
    let page = page(&rows, &machine::look(&ours)?, &load);
    println!("\n{page}");
    let path = root().join("docs/performance-migrate.md");
    std::fs::write(&path, page).map_err(|e| format!("{}: {e}", path.display()))
}

/// One run, into a directory that was not there.
fn run(words: &[&Path], out: &Path, scratch: &scratch::Scratch) -> Result<Cost, String> {
    let _absent = std::fs::remove_dir_all(out);
    let words: Vec<String> = words.iter().map(|w| w.display().to_string()).collect();
    child::run(&words, scratch)
}

/// virt-v2v over the same image, once.
fn incumbent(image: &Path, name: &str, out: &Path, scratch: &scratch::Scratch) -> Result<Cost, String> {
    let _absent = std::fs::remove_dir_all(out);
    std::fs::create_dir(out).map_err(|e| e.to_string())?;
    let out = out.display().to_string();
    let image = image.display().to_string();
    let words = [
        "env",
        "LIBGUESTFS_BACKEND=direct",
        "virt-v2v",
        "--quiet",
        "-i",
        "disk",
        &image,
        "-o",
        "local",
        "-os",
        &out,
        "-of",
        "qcow2",
        "-on",
        name,
    ];
    let cost = child::run(&words.map(str::to_owned), scratch)?;
    println!("virt-v2v  {cost}");
    Ok(cost)
}

/// What the stages of the run took of it, as its report says.
fn shares(out: &Path) -> Result<String, String> {
    let path = out.join("report.json");
    let text = std::fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    let report: Value = serde_json::from_str(&text).map_err(|e| format!("{}: {e}", path.display()))?;
    let total = report["times"]["total-ms"].as_f64().unwrap_or(0.0).max(1.0);
    let share = |ms: &Value| format!("{:.0} %", ms.as_f64().unwrap_or(0.0) * 100.0 / total);
    let fixes = &report["fixes"]["times"];
    Ok(format!(
        "open {}, look {}, write {}, judge {}, copy {}",
        share(&fixes["open-ms"]),
        share(&fixes["look-ms"]),
        share(&fixes["write-ms"]),
        share(&fixes["judge-ms"]),
        share(&report["times"]["copy-ms"]),
    ))
}

/// What else the machine was doing when the measurements began.
fn load() -> Result<String, String> {
    let text = std::fs::read_to_string("/proc/loadavg").map_err(|e| e.to_string())?;
    Ok(text.split_whitespace().next().unwrap_or_default().to_owned())
}

fn page(rows: &[String], machine: &machine::Machine, load: &str) -> String {
    format!(
        "# What a migration costs\n\n\
         Written by `cargo xtask bench migrate IMAGE...`, with images that `../shared/rig` built. `hyper2kvm migrate \
         -o DIR IMAGE`, which reads the target again and compares it, medians of {RUNS} runs, image and target in \
         memory. virt-v2v runs once over the same image right after, `-i disk -o local -of qcow2`; its memory is that \
         of its largest process. The aim is to be {FASTER} times as fast, in a tenth of the memory.\n\n\
         {} When the runs began, the load of the machine was {load}.\n\n\
         | guest | by the clock | processor | peak memory | stages of the last run | virt-v2v | virt-v2v takes |\n\
         |---|---|---|---|---|---|---|\n{}\n",
        machine.sentence(),
        rows.join("\n")
    )
}
