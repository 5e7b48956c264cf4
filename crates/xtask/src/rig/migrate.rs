//! `cargo xtask rig migrate`: guests that do not come up on virtio, migrated, and booted there.

use super::judge;
use crate::run::{Done, cargo, root, show};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// How long a guest that is not expected to come up is waited for, in seconds: its initramfs gives up before.
const BEFORE: &str = "300";
/// The bytes of a MiB.
const MIB: u64 = 1 << 20;

/// What was asked for.
struct Asked<'a> {
    dir: &'a Path,
    bus: &'a str,
    binary: Option<&'a Path>,
    names: Vec<&'a str>,
}

/// One guest's line of the table.
struct Line {
    name: String,
    before: String,
    migrated: String,
    after: String,
    good: bool,
}

/// Boots, migrates and boots the guests in `dir`, or those of them that are named.
pub fn migrate(dir: &str, words: &[&str]) -> Done {
    let asked = Asked::of(dir, words)?;
    let judge = judge()?;
    let ours = match asked.binary {
        Some(binary) => binary.to_owned(),
        None => {
            show(cargo().args(["build", "--release", "--bin", "hyper2kvm"]))?;
            root().join("target/release/hyper2kvm")
        }
    };
    let mut lines = Vec::new();
    for image in asked.images()? {
        let line = one(&asked, &judge, &ours, &image)?;
        println!("{}", line.row());
        lines.push(line);
    }
    println!(
        "\n| guest | before, on {0} | migration | after, on {0} |",
        asked.bus
    );
    println!("|---|---|---|---|");
    for line in &lines {
        println!("{}", line.row());
    }
    let bad: Vec<&str> = lines
        .iter()
        .filter(|l| !l.good)
        .map(|l| l.name.as_str())
        .collect();
    match bad.is_empty() {
        true => Ok(()),
        false => Err(format!("not as it should be: {}", bad.join(", "))),
    }
}

impl<'a> Asked<'a> {
    fn of(dir: &'a str, words: &'a [&'a str]) -> Result<Self, String> {
        let mut asked = Self {
            dir: Path::new(dir),
            bus: "virtio-blk",
            binary: None,
            names: Vec::new(),
        };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
            match *word {
                "--bus" => asked.bus = value()?,
                "--binary" => asked.binary = Some(Path::new(value()?)),
                flag if flag.starts_with('-') => return Err(format!("rig migrate has no flag {flag}")),
                name => asked.names.push(name),
            }
        }
        Ok(asked)
    }

    /// The images, by name; each has its description beside it.
    fn images(&self) -> Result<Vec<PathBuf>, String> {
        let below = self.dir.join("images");
        let dir = if below.is_dir() {
            below
        } else {
            self.dir.to_owned()
        };
        let list = fs::read_dir(&dir).map_err(|e| format!("{}: {e}", dir.display()))?;
        let mut images: Vec<PathBuf> = list
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|e| e == "raw"))
            .filter(|path| path.with_extension("meta").exists())
            .filter(|path| self.names.is_empty() || self.names.contains(&name(path).as_str()))
            .collect();
        images.sort();
        match images.is_empty() {
            true => Err(format!("{} holds no such guest", dir.display())),
            false => Ok(images),
        }
    }
}

impl Line {
    fn row(&self) -> String {
        format!(
            "| {} | {} | {} | {} |",
            self.name, self.before, self.migrated, self.after
        )
    }
}

fn name(path: &Path) -> String {
    path.file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

fn one(asked: &Asked<'_>, judge: &Path, ours: &Path, image: &Path) -> Result<Line, String> {
    let meta = image.with_extension("meta");
    let facts = fs::read_to_string(&meta).map_err(|e| format!("{}: {e}", meta.display()))?;
    let mut line = Line {
        name: name(image),
        before: String::new(),
        migrated: String::new(),
        after: String::new(),
        good: false,
    };
    let machine = ["--machine", "virtio", "--disk-bus", asked.bus];
    let boot = |disk: &Path, more: &[&str]| -> Result<Value, String> {
        let mut command = Command::new(judge);
        command.arg(disk).args(machine).arg("--json").args(more);
        answer(command.arg("--meta").arg(&meta))
    };
    let before = boot(image, &["--timeout", BEFORE])?;
    line.before = outcome(&before);
    let stayed_down = before["state"] != "ok";

    let out = tempfile::Builder::new()
        .prefix("hyper2kvm-rig-")
        .tempdir_in(image.parent().unwrap_or(image))
        .map_err(|e| e.to_string())?;
    let told = |name: &str| fact(&facts, name).unwrap_or_default();
    let begun = Instant::now();
    let done = Command::new(ours)
        .args([
            "migrate",
            "--quiet",
            "--verify",
            "--prove",
            "--allow-partial",
            "-o",
        ])
        .arg(out.path())
        .args(["--bus", asked.bus])
        // What the description of the old machine says, and a disk alone does not always.
        .args(["--nic", &format!("{}={}", told("V_MAC"), told("V_IFACE"))])
        .arg(image)
        .output()
        .map_err(|e| format!("{}: {e}", ours.display()))?;
    let took = begun.elapsed();
    if !done.status.success() {
        let why = String::from_utf8_lossy(&done.stderr);
        line.migrated = format!("failed: {}", why.lines().next().unwrap_or_default());
        return Ok(line);
    }
    let path = out.path().join("report.json");
    let text = fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    let report: Value = serde_json::from_str(&text).map_err(|e| format!("{}: {e}", path.display()))?;
    let systems = report["fixes"]["systems"].as_array();
    let edits: usize = systems
        .into_iter()
        .flatten()
        .filter_map(|system| Some(system["changes"].as_array()?.len()))
        .sum();
    let left = report["fixes"]["refused"].as_array().map_or(0, Vec::len);
    line.migrated = format!(
        "{edits} edits{}, {:.1} s, {} MiB read, {} MiB written",
        match left {
            0 => String::new(),
            n => format!(" ({n} filesystems could not be written)"),
        },
        took.as_secs_f64(),
        report["bytes-read"].as_u64().unwrap_or(0) / MIB,
        report["bytes-written"].as_u64().unwrap_or(0) / MIB,
    );

    let address = fact(&facts, "V_IP").unwrap_or("dhcp");
    let disk = out.path().join(format!("{}.qcow2", line.name));
    let after = boot(&disk, &["--expect-clean", "--expect-ip", address])?;
    let strayed = strayed(&after, &facts);
    line.good = stayed_down && after["state"] == "ok" && strayed.is_empty();
    line.after = match strayed.is_empty() {
        true if after["state"] == "ok" => format!("{}: same host, interface, MAC, address", outcome(&after)),
        true => outcome(&after),
        false => format!("{}, but not {}", outcome(&after), strayed.join(", ")),
    };
    Ok(line)
}

/// The judge's answer, which it prints whatever it says.
fn answer(command: &mut Command) -> Result<Value, String> {
    let done = command.output().map_err(|e| format!("boot-check: {e}"))?;
    let text = String::from_utf8_lossy(&done.stdout);
    serde_json::from_str(&text).map_err(|_| format!("boot-check: {}", String::from_utf8_lossy(&done.stderr)))
}

fn outcome(said: &Value) -> String {
    let seconds = |field: &str| said[field].as_f64().unwrap_or(0.0);
    match said["state"] == "ok" {
        true => format!(
            "boots in {:.0} s ({})",
            seconds("boot_s"),
            said["accel"].as_str().unwrap_or("?")
        ),
        false => format!(
            "**does not boot**, after {:.0} s: {}",
            seconds("total_s"),
            said["reason"]
                .as_str()
                .unwrap_or("no reason given")
                .replace('|', "/")
        ),
    }
}

/// A fact of the guest's description, `NAME=VALUE`.
fn fact<'a>(facts: &'a str, name: &str) -> Option<&'a str> {
    facts
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
}

/// What is not called as it was.
fn strayed(said: &Value, facts: &str) -> Vec<String> {
    let net = said["net"].as_str().unwrap_or_default();
    let boot = said["boot"].as_str().unwrap_or_default();
    let has = |text: &str, word: &str| text.split_whitespace().any(|w| w == word);
    let mut strayed = Vec::new();
    let mut ask = |text: &str, word: String| {
        if !has(text, &word) {
            strayed.push(word);
        }
    };
    ask(
        boot,
        format!("host=rig-{}", fact(facts, "V_NAME").unwrap_or_default()),
    );
    ask(net, format!("if={}", fact(facts, "V_IFACE").unwrap_or_default()));
    ask(net, format!("mac={}", fact(facts, "V_MAC").unwrap_or_default()));
    match fact(facts, "V_IP") {
        Some("dhcp") | None => {
            if !net.contains(" ip=1") {
                ask(net, "ip=…".to_owned());
            }
        }
        Some(address) => ask(net, format!("ip={address}/24")),
    }
    strayed
}
