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

/// Where the partition in the fixtures' disk begins: what lies there is a filesystem by itself.
const PARTITION: usize = 1 << 20;
/// What one seed may weigh: enough for the headers and tables of every format, small enough to be mutated quickly.
const SEED: usize = 5 << 20;

/// Fills `fuzz/corpus/<target>/` from the fixtures.
pub fn seed() -> Done {
    let corpus = root().join("fuzz/corpus");
    let mut count = 0;
    let mut plant = |target: &str, name: &str, bytes: &[u8]| {
        let dir = corpus.join(target);
        let done = std::fs::create_dir_all(&dir)
            .and_then(|()| std::fs::write(dir.join(name), &bytes[..bytes.len().min(SEED)]));
        count += 1;
        done.map_err(|e| format!("{}: {e}", dir.display()))
    };
    for fixture in h2k_testkit::fixture::fixtures() {
        let format = fixture.says("format").unwrap_or_default().to_owned();
        for file in &fixture.files {
            let bytes = fixture.bytes(file);
            plant(&format, &format!("fixture-{file}"), &bytes)?;
            if format == "raw" && bytes.len() > PARTITION {
                plant("volume", &format!("fixture-{file}"), &bytes[..2 * PARTITION])?;
                plant("ext4", &format!("fixture-{file}"), &bytes[PARTITION..])?;
            }
        }
    }
    println!("{count} seeds below {}", corpus.display());
    Ok(())
}

/// Fuzzes one target for some seconds, from its seeds.
pub fn run(target: &str, seconds: &str) -> Done {
    if !cargo_fuzz() {
        return Err(
            "fuzzing needs a nightly toolchain and cargo-fuzz: rustup toolchain install nightly; cargo install cargo-fuzz"
                .to_owned(),
        );
    }
    seed()?;
    let mut command = nightly();
    command.args(["fuzz", "run", target, "--"]);
    command.arg(format!("-max_total_time={seconds}"));
    command.arg(format!("-max_len={SEED}"));
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
