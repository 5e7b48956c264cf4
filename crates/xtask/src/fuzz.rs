//! The fuzz targets: they live in a workspace of their own, because they need a nightly toolchain to run.

use crate::run::{Done, cargo, quietly, root, show};
use h2k_block::MemDisk;
use h2k_testkit::sparse::Sparse;
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
/// How many files of the corpus seed one target: a start, which the fuzzer's own finds soon outnumber.
const PER_TARGET: usize = 24;

/// Fills `fuzz/corpus/<target>/` from the fixtures and, where there is one, the corpus beside the checkout.
pub fn seed() -> Done {
    let mut seeds = Seeds::default();
    for fixture in h2k_testkit::fixture::fixtures() {
        let format = fixture.says("format").unwrap_or_default().to_owned();
        for file in &fixture.files {
            let bytes = fixture.bytes(file);
            seeds.plant(&format, &format!("fixture-{file}"), &bytes)?;
            if format == "raw" {
                seeds.plant("volume", &format!("fixture-{file}"), &bytes)?;
                if let Some(partition) = bytes.get(PARTITION..).filter(|rest| !rest.is_empty()) {
                    let packed = Sparse::pack(&MemDisk::new(partition.to_vec()), SEED);
                    seeds.plant("ext4", &format!("fixture-{file}"), &packed)?;
                }
            }
        }
    }
    for (folder, target) in STORES {
        let dir = root().join("fixtures").join(folder);
        for entry in std::fs::read_dir(&dir).map_err(|e| format!("{}: {e}", dir.display()))? {
            let path = entry.map_err(|e| e.to_string())?.path();
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            let bytes = std::fs::read(&path).map_err(|e| format!("{}: {e}", path.display()))?;
            match name.strip_suffix(".zst") {
                Some(name) => seeds.plant(target, name, &h2k_testkit::corpus::unzstd(&bytes))?,
                None => seeds.plant(target, &name, &bytes)?,
            }
        }
    }
    if let Some(corpus) = h2k_testkit::corpus::corpus() {
        let scratch = tempfile::tempdir().map_err(|e| e.to_string())?;
        for (below, target) in BELOW {
            let small = |case: &&h2k_testkit::corpus::Case| case.unpacked_size <= 16 * SEED as u64;
            for case in corpus.below(below).filter(small).take(PER_TARGET) {
                let name = case.path.replace('/', "-");
                if PACKED.contains(&target) {
                    let disk = corpus.disk(case, scratch.path());
                    seeds.plant(target, &name, &Sparse::pack(&*disk, SEED / 2))?;
                } else {
                    seeds.plant(target, &name, &corpus.bytes(case))?;
                }
            }
        }
    }
    println!("{} seeds below fuzz/corpus", seeds.count);
    Ok(())
}

/// Folders of fixtures whose files are seeds as they are.
const STORES: [(&str, &str); 3] = [
    ("journal/systemd", "journal"),
    ("packages/apk", "packages"),
    ("packages/rpm", "packages"),
];

/// Targets whose input is a large and mostly empty disk: the fuzzer is given its pages, as `Sparse::unpack` takes them.
const PACKED: [&str; 4] = ["btrfs", "ext4", "ntfs", "xfs"];

/// Which part of the corpus seeds which target.
const BELOW: [(&str, &str); 24] = [
    ("fs/btrfs", "btrfs"),
    ("fs/ext", "ext4"),
    ("fs/fat", "fat"),
    ("fs/iso9660", "iso"),
    ("fs/ntfs", "ntfs"),
    ("fs/xfs", "xfs"),
    ("corrupt/btrfs", "btrfs"),
    ("corrupt/exfat", "fat"),
    ("corrupt/ext", "ext4"),
    ("corrupt/fat", "fat"),
    ("corrupt/hives", "hive"),
    ("corrupt/iso9660", "iso"),
    ("corrupt/ntfs", "ntfs"),
    ("corrupt/vhd", "vhd"),
    ("corrupt/vmdk", "vmdk"),
    ("hives", "hive"),
    ("images/qcow2", "qcow2"),
    ("images/raw", "raw"),
    ("images/vdi", "vdi"),
    ("images/vhd/", "vhd"),
    ("images/vhdx", "vhdx"),
    ("images/vmdk", "vmdk"),
    ("volumes/gpt", "volume"),
    ("volumes/mbr", "volume"),
];

#[derive(Default)]
struct Seeds {
    count: usize,
}

impl Seeds {
    /// Keeps the beginning of `bytes` as a seed of `target`, if there is such a target.
    fn plant(&mut self, target: &str, name: &str, bytes: &[u8]) -> Done {
        let fuzz = root().join("fuzz");
        if !fuzz.join("fuzz_targets").join(format!("{target}.rs")).is_file() {
            return Ok(());
        }
        let dir = fuzz.join("corpus").join(target);
        let kept = bytes.get(..SEED).unwrap_or(bytes);
        std::fs::create_dir_all(&dir)
            .and_then(|()| std::fs::write(dir.join(name), kept))
            .map_err(|e| format!("{}: {e}", dir.display()))?;
        self.count += 1;
        Ok(())
    }
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
