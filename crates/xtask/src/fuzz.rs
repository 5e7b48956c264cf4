//! The fuzz targets: they live in a workspace of their own, because they need a nightly toolchain to run.

use crate::run::{Done, cargo, quietly, root, show};
use h2k_block::{BlockRead, MemDisk};
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
            let name = format!("fixture-{file}");
            seeds.plant(&format, &name, &bytes)?;
            if format == "raw" {
                for target in ["volume", "guest"] {
                    seeds.plant(target, &name, &bytes)?;
                }
                if let Some(partition) = bytes.get(PARTITION..).filter(|rest| !rest.is_empty()) {
                    for target in ["ext4", "ext4_write"] {
                        seeds.plant(target, &name, partition)?;
                    }
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
    for (target, name, text) in TEXTS {
        seeds.plant_as_is(target, name, text.as_bytes())?;
    }
    if let Some(corpus) = h2k_testkit::corpus::corpus() {
        let scratch = tempfile::tempdir().map_err(|e| e.to_string())?;
        for (below, target) in BELOW {
            let mut cases: Vec<_> = corpus.below(below).collect();
            // Small ones first: a fuzzer gets through more of them.
            cases.sort_by_key(|case| case.unpacked_size);
            for case in cases.into_iter().take(PER_TARGET) {
                let name = case.path.replace('/', "-");
                if takes(target) == Takes::Pages || case.format.ends_with(" in qcow2") {
                    seeds.plant_disk(target, &name, &*corpus.disk(case, scratch.path()))?;
                } else {
                    seeds.plant(target, &name, &corpus.bytes(case))?;
                }
            }
        }
    }
    println!("{} seeds below fuzz/corpus", seeds.count);
    Ok(())
}

/// Folders of fixtures whose files are seeds.
const STORES: [(&str, &str); 8] = [
    ("guests/linux", "guest"),
    ("hives/regf", "hive"),
    ("journal/systemd", "journal"),
    ("packages/apk", "packages"),
    ("packages/rpm", "packages"),
    ("volumes/btrfs", "btrfs"),
    ("volumes/lvm", "volume"),
    ("volumes/md", "volume"),
];

/// Seeds for what reads text: one of every kind of line.
const TEXTS: [(&str, &str, &str); 3] = [
    (
        "reg",
        "version-5",
        "Windows Registry Editor Version 5.00\r\n\r\n; a comment\r\n[HKEY_LOCAL_MACHINE\\SOFTWARE\\a\\b]\r\n\
         @=\"default\"\r\n\"text\"=\"with \\\"quotes\\\" and \\\\\"\r\n\"number\"=dword:00000001\r\n\
         \"bytes\"=hex:01,02,\\\r\n  03,04\r\n\"expand\"=hex(2):41,00,00,00\r\n\"list\"=hex(7):41,00,00,00,00,00\r\n\
         \"long\"=hex(b):01,00,00,00,00,00,00,00\r\n\"gone\"=-\r\n\r\n[-HKEY_LOCAL_MACHINE\\SOFTWARE\\a]\r\n",
    ),
    (
        "reg",
        "version-4",
        "REGEDIT4\n\n[HKEY_LOCAL_MACHINE\\SYSTEM\\a]\n\"expand\"=hex(2):41,00\n\"n\"=dword:ffffffff\n",
    ),
    (
        "guest",
        "fstab",
        "# a comment\n/dev/sda1 / ext4 defaults 0 1\nUUID=1234-ABCD /boot/efi vfat umask=0077 0 1\n\
         LABEL=\"home\" /home/with\\040space xfs noauto,subvol=@home 0 0\n/dev/mapper/luks-1 /srv auto nofail\n\
         luks-1 /dev/sda3 none luks,discard\nPARTUUID=00000000-01 none swap sw 0 0\ntmpfs /tmp tmpfs size=1g\n\
         /usr /boot/b none bind\n",
    ),
];

/// How a target takes its input.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Takes {
    /// The beginning of a file.
    File,
    /// The pages of a large and mostly empty disk, as `Sparse::unpack` takes them.
    Pages,
    /// A byte that counts the pages of the hive, the hive, and a log.
    Hive,
}

fn takes(target: &str) -> Takes {
    match target {
        "btrfs" | "exfat" | "ext4" | "ext4_write" | "fat" | "fat_write" | "guest" | "iso" | "ntfs"
        | "squashfs" | "udf" | "xfs" => Takes::Pages,
        "hive" => Takes::Hive,
        _ => Takes::File,
    }
}

/// Which part of the corpus seeds which target.
const BELOW: [(&str, &str); 35] = [
    ("fs/btrfs", "btrfs"),
    ("fs/ext", "ext4"),
    ("fs/ext", "ext4_write"),
    ("fs/fat", "fat"),
    ("fs/fat", "fat_write"),
    ("fs/iso9660", "iso"),
    ("fs/ntfs", "ntfs"),
    ("fs/other/exfat", "exfat"),
    ("fs/other/squashfs", "squashfs"),
    ("fs/other/udf", "udf"),
    ("fs/xfs", "xfs"),
    ("corrupt/btrfs", "btrfs"),
    ("corrupt/exfat", "exfat"),
    ("corrupt/ext", "ext4"),
    ("corrupt/ext", "ext4_write"),
    ("corrupt/fat", "fat"),
    ("corrupt/fat", "fat_write"),
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
    ("volumes/apm", "volume"),
    ("volumes/gpt", "guest"),
    ("volumes/gpt", "volume"),
    ("volumes/lvm", "guest"),
    ("volumes/lvm", "volume"),
    ("volumes/mbr", "volume"),
];

#[derive(Default)]
struct Seeds {
    count: usize,
}

impl Seeds {
    /// Keeps the beginning of `bytes` as a seed of `target`, in the shape that it takes.
    fn plant(&mut self, target: &str, name: &str, bytes: &[u8]) -> Done {
        match takes(target) {
            Takes::File => self.plant_as_is(target, name, bytes),
            Takes::Pages => self.plant_disk(target, name, &MemDisk::new(bytes.to_vec())),
            Takes::Hive => {
                let pages = u8::try_from((bytes.len() / 4096).saturating_sub(1)).unwrap_or(u8::MAX);
                self.plant_as_is(target, name, &[&[pages], bytes].concat())
            }
        }
    }

    /// The same for a disk that may be too large for memory.
    fn plant_disk(&mut self, target: &str, name: &str, disk: &dyn BlockRead) -> Done {
        if takes(target) == Takes::Pages {
            return self.plant_as_is(target, name, &Sparse::pack(disk, SEED / 2));
        }
        let kept = disk.len().min(SEED as u64);
        let mut bytes = vec![0; usize::try_from(kept).unwrap_or(0)];
        disk.read_at(0, &mut bytes).map_err(|e| format!("{name}: {e}"))?;
        self.plant_as_is(target, name, &bytes)
    }

    /// Keeps the beginning of `bytes`, if there is such a target.
    fn plant_as_is(&mut self, target: &str, name: &str, bytes: &[u8]) -> Done {
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
