//! The fuzz targets: they live in a workspace of their own, because they need a nightly toolchain to run.

use crate::run::{Done, cargo, quietly, root, show};
use std::process::Command;

/// Type-checks every target. Needs neither nightly nor cargo-fuzz nor a C++ compiler: libFuzzer is only linked
/// when a target is built to run.
pub fn check() -> Done {
    let fuzz = root().join("fuzz");
    let mut command = cargo();
    command.args(["check", "--quiet", "--all-targets", "--manifest-path"]);
    command.arg(fuzz.join("Cargo.toml"));
    command.arg("--target-dir").arg(root().join("target/fuzz-check"));
    // Named so that libfuzzer-sys does not compile its own.
    command.env("CUSTOM_LIBFUZZER_PATH", fuzz.join("not-linked.a"));
    show(&mut command)?;
    if cargo_fuzz() {
        return show(nightly().args(["fuzz", "build"]));
    }
    println!(
        "fuzz: the targets type-check; they were NOT linked, because cargo-fuzz or nightly is not installed"
    );
    Ok(())
}

/// Fills `fuzz/corpus/<target>/` from the fixtures.
pub fn seed() -> Done {
    Err("no fixtures yet".to_owned())
}

/// Fuzzes one target for some seconds.
pub fn run(target: &str, seconds: &str) -> Done {
    if !cargo_fuzz() {
        return Err(
            "fuzzing needs a nightly toolchain and cargo-fuzz: rustup toolchain install nightly; cargo install cargo-fuzz"
                .to_owned(),
        );
    }
    let mut command = nightly();
    command.args(["fuzz", "run", target, "--"]);
    command.arg(format!("-max_total_time={seconds}"));
    // The limits a door promises: no input may take ten seconds or a gigabyte.
    command.args(["-timeout=10", "-rss_limit_mb=1024"]);
    show(&mut command)
}

fn cargo_fuzz() -> bool {
    quietly(nightly().args(["fuzz", "--version"]))
}

fn nightly() -> Command {
    let mut command = Command::new("cargo");
    // The toolchain that runs us is fixed in the environment; `+nightly` has to win.
    command
        .arg("+nightly")
        .env_remove("CARGO")
        .env_remove("RUSTUP_TOOLCHAIN");
    command.current_dir(root());
    command
}
