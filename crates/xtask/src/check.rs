//! What a change has to pass.

use crate::run::{Done, cargo, have, quietly, root, show, watch};
use crate::{bench, fuzz, tools};
use std::process::Command;
use std::time::{Duration, Instant};

/// How a step ended.
enum Verdict {
    Passed,
    Failed(String),
    /// Not done, and why: said loudly at the end.
    Skipped(String),
}

struct Step {
    name: &'static str,
    verdict: Verdict,
    took: Duration,
}

/// Steps done so far, and the closing lines of every test binary that ran.
#[derive(Default)]
struct Account {
    steps: Vec<Step>,
    results: Vec<String>,
}

impl Account {
    fn step(&mut self, name: &'static str, work: impl FnOnce(&mut Vec<String>) -> Verdict) {
        println!("\n=== {name}");
        let begun = Instant::now();
        let verdict = work(&mut self.results);
        self.steps.push(Step {
            name,
            verdict,
            took: begun.elapsed(),
        });
    }

    /// Says what happened. The test runner's own closing lines come last.
    fn close(self) -> Done {
        println!("\n=== summary");
        let mut failed = Vec::new();
        for step in &self.steps {
            let (word, why) = match &step.verdict {
                Verdict::Passed => ("ok", ""),
                Verdict::Failed(why) => ("FAILED", why.as_str()),
                Verdict::Skipped(why) => ("NOT RUN", why.as_str()),
            };
            println!("{word:>8}  {:>5} s  {:<34} {why}", step.took.as_secs(), step.name);
            if let Verdict::Failed(why) = &step.verdict {
                failed.push(format!("{}: {why}", step.name));
            }
        }
        println!();
        for line in &self.results {
            println!("{line}");
        }
        if failed.is_empty() {
            Ok(())
        } else {
            Err(failed.join("; "))
        }
    }
}

/// Everything. What cannot run here is named in the summary.
pub fn test() -> Done {
    let mut account = Account::default();
    account.step("tools", |_| verdict(tools::setup()));
    quick(&mut account);
    account.step("tests, every codec", |results| {
        tests(
            cargo().args(["test", "--workspace", "--all-features", "--no-fail-fast"]),
            results,
        )
    });
    // Untimed and next to no data: the harness must not rot between full runs.
    account.step("benchmark, tiny", |_| verdict(bench::bench(&["--tiny"])));
    account.step("lints, without C", |_| {
        clippy(&["--workspace", "--exclude", "xtask", "--no-default-features"])
    });
    account.step("tests, without any C compiler", |results| match without_c() {
        Ok(mut command) => tests(&mut command, results),
        Err(why) => Verdict::Failed(why),
    });
    account.step("fuzz targets compile", |_| match fuzz::check() {
        Ok(()) => Verdict::Passed,
        Err(why) => Verdict::Failed(why),
    });
    account.step("dependencies (cargo-deny)", |_| {
        if have_deny() {
            verdict(deny_offline())
        } else {
            Verdict::Skipped(
                "cargo-deny is not installed: `cargo xtask deny` installs and runs it".to_owned(),
            )
        }
    });
    account.close()
}

/// The developer's check before a commit.
pub fn ready() -> Done {
    let mut account = Account::default();
    quick(&mut account);
    account.step("tests", |results| {
        tests(cargo().args(["test", "--workspace"]), results)
    });
    account.close()
}

/// Installs cargo-deny where it is missing (some minutes), and runs it.
pub fn deny() -> Done {
    if !have_deny() {
        show(cargo().args(["install", "--locked", "cargo-deny"]))?;
    }
    deny_check()
}

fn have_deny() -> bool {
    quietly(cargo().args(["deny", "--version"]))
}

/// All checks, also against the advisory database, which has to be fetched.
fn deny_check() -> Done {
    deny_offline()?;
    // A machine that cannot reach the database says so.
    show(cargo().args(["deny", "--workspace", "--all-features", "check", "advisories"]))
        .map_err(|e| format!("{e} (advisories; the other checks passed)"))
}

/// What needs nothing but the sources at hand.
fn deny_offline() -> Done {
    show(cargo().args([
        "deny",
        "--workspace",
        "--all-features",
        "check",
        "bans",
        "licenses",
        "sources",
    ]))
}

/// Style, lints and documentation.
fn quick(account: &mut Account) {
    account.step("style", |_| {
        if component("fmt", "rustfmt") {
            verdict(show(cargo().args(["fmt", "--all", "--check"])))
        } else {
            Verdict::Skipped("cargo fmt is not part of this toolchain".to_owned())
        }
    });
    account.step("lints", |_| clippy(&["--workspace", "--all-features"]));
    account.step("documentation", |_| {
        let mut doc = cargo();
        doc.args(["doc", "--workspace", "--no-deps", "--all-features", "--quiet"]);
        doc.env("RUSTDOCFLAGS", "--deny warnings");
        verdict(show(&mut doc))
    });
}

fn clippy(what: &[&str]) -> Verdict {
    if !component("clippy", "clippy") {
        return Verdict::Skipped("cargo clippy is not part of this toolchain".to_owned());
    }
    let mut command = cargo();
    command.args(["clippy", "--quiet", "--all-targets"]).args(what);
    command.args(["--", "--deny", "warnings"]);
    verdict(show(&mut command))
}

/// `cargo test` of the packages that are built otherwise without C, with C compilers that cannot compile. The program
/// is one of them: everything that ships is built.
fn without_c() -> Result<Command, String> {
    let mut command = cargo();
    command.args(["test", "--no-default-features", "--no-fail-fast"]);
    for package in with_c()? {
        command.args(["--package", &package]);
    }
    for compiler in ["CC", "CXX", "HOST_CC", "HOST_CXX", "TARGET_CC", "TARGET_CXX"] {
        command.env(compiler, "/bin/false");
    }
    Ok(command)
}

/// The packages that C code can be a part of: those with a feature `fast`.
fn with_c() -> Result<Vec<String>, String> {
    let mut command = cargo();
    command.args(["metadata", "--format-version", "1", "--no-deps", "--locked"]);
    let told = command.output().map_err(|e| format!("cargo metadata: {e}"))?;
    let told: serde_json::Value =
        serde_json::from_slice(&told.stdout).map_err(|e| format!("cargo metadata: {e}"))?;
    let packages = told["packages"].as_array().into_iter().flatten();
    let with = packages.filter(|package| package["features"]["fast"].is_array());
    let names: Vec<String> = with
        .filter_map(|package| package["name"].as_str().map(str::to_owned))
        .collect();
    match names.is_empty() {
        true => Err("cargo metadata names no package with a feature fast".to_owned()),
        false => Ok(names),
    }
}

/// Runs tests and keeps their closing lines, led by the name of what ran.
fn tests(command: &mut Command, results: &mut Vec<String>) -> Verdict {
    let mut running = String::new();
    let done = watch(command, &mut |line| {
        let line = line.trim();
        if let Some(rest) = line.strip_prefix("Running ") {
            running = rest.split(" (").next().unwrap_or(rest).to_owned();
            if let Some((_, binary)) = rest.rsplit_once('/') {
                let binary = binary.trim_end_matches(')');
                let package = binary.rsplit_once('-').map_or(binary, |(package, _)| package);
                running = format!("{package}: {running}");
            }
        } else if let Some(rest) = line.strip_prefix("Doc-tests ") {
            running = format!("{rest}: doc-tests");
        } else if line.starts_with("test result:") && !line.contains(" 0 passed; 0 failed; 0 ignored") {
            results.push(format!("{line}  [{running}]"));
        }
    });
    verdict(done)
}

fn verdict(done: Done) -> Verdict {
    match done {
        Ok(()) => Verdict::Passed,
        Err(why) => Verdict::Failed(why),
    }
}

/// Whether `cargo <verb>` works here; asks rustup for the component where it does not.
fn component(verb: &str, component: &str) -> bool {
    let works = || quietly(cargo().args([verb, "--version"]));
    works() || {
        if have("rustup") {
            // From the repository, so that a toolchain chosen for it is the one that gets the component.
            let mut rustup = Command::new("rustup");
            rustup.args(["component", "add", component]).current_dir(root());
            // When this fails, `works` says so.
            let _done = show(&mut rustup);
        }
        works()
    }
}
