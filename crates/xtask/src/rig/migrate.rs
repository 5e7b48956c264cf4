//! `cargo xtask rig migrate`: guests that do not come up on virtio, migrated, and booted there.

use super::described::describe;
use super::judge;
use super::vary::VARIANTS;
use super::verdict::{answer, came_up, fact, outcome, reason, strayed};
use crate::bench::machine;
use crate::run::{Done, cargo, root, show};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::Instant;

/// How long a guest that is not expected to come up is waited for, in seconds: its initramfs gives up before.
const BEFORE: &str = "300";
/// The bytes of a MiB.
const MIB: u64 = 1 << 20;
/// What a guest's name ends with that is migrated from its packed disk and its description.
const DESCRIBED: &str = ".vmx";

/// What was asked for.
struct Asked<'a> {
    dir: &'a Path,
    /// The controller; without, what the migration chooses.
    bus: Option<&'a str>,
    binary: Option<&'a Path>,
    scratch: Option<&'a Path>,
    jobs: usize,
    names: Vec<&'a str>,
}

/// One guest's line of the table.
#[derive(Default)]
struct Line {
    name: String,
    before: String,
    migrated: String,
    after: String,
    good: bool,
}

/// A guest, ready to be booted.
struct Guest {
    /// Its disk.
    disk: PathBuf,
    /// What is migrated: the disk, or the description that names it.
    source: PathBuf,
    meta: PathBuf,
    facts: String,
}

/// A migration that ended well.
struct Moved {
    disk: PathBuf,
    /// The controller it is attached to.
    bus: String,
    said: String,
    /// The filesystems that could not be written, and why.
    left: Vec<String>,
}

/// Boots, migrates and boots the guests of the rig in `dir` and those that `vary` makes of them, or those named.
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
    let all = asked.guests()?;
    let (waiting, done) = (Mutex::new(all.iter().enumerate()), Mutex::new(Vec::new()));
    let work = || -> Done {
        loop {
            let next = waiting.lock().map_err(|e| e.to_string())?.next();
            let Some((at, name)) = next else {
                return Ok(());
            };
            let line = one(&asked, &judge, &ours, name).unwrap_or_else(|why| Line {
                name: name.clone(),
                migrated: format!("not tried: {why}"),
                ..Line::default()
            });
            println!("{}", line.row());
            done.lock().map_err(|e| e.to_string())?.push((at, line));
        }
    };
    std::thread::scope(|scope| -> Done {
        let workers: Vec<_> = (0..asked.jobs).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| {
            let ended = worker.join();
            ended.unwrap_or_else(|_| Err("a worker ended early".to_owned()))
        })
    })?;
    let mut lines = done.into_inner().map_err(|e| e.to_string())?;
    lines.sort_by_key(|(at, _)| *at);
    println!("\n{}\n", machine::look(&ours)?.sentence());
    println!("| guest | before, on {} | migration | after |", asked.wanted());
    println!("|---|---|---|---|");
    for (_, line) in &lines {
        println!("{}", line.row());
    }
    let bad: Vec<&str> = lines
        .iter()
        .filter(|(_, line)| !line.good)
        .map(|(_, line)| line.name.as_str())
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
            bus: None,
            binary: None,
            scratch: None,
            jobs: 1,
            names: Vec::new(),
        };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
            match *word {
                "--bus" => asked.bus = Some(value()?),
                "--binary" => asked.binary = Some(Path::new(value()?)),
                "--scratch" => asked.scratch = Some(Path::new(value()?)),
                "--jobs" => {
                    asked.jobs = value()?.parse().map_err(|_| "--jobs needs a number".to_owned())?;
                }
                flag if flag.starts_with('-') => return Err(format!("rig migrate has no flag {flag}")),
                name => asked.names.push(name),
            }
        }
        Ok(asked)
    }

    /// Where the rig put its images: each with its description beside it.
    fn images(&self) -> PathBuf {
        let below = self.dir.join("images");
        match below.is_dir() {
            true => below,
            false => self.dir.to_owned(),
        }
    }

    /// What can be asked for, or of that what was: images as they are, with their descriptions, and their variants.
    fn guests(&self) -> Result<Vec<String>, String> {
        let dir = self.images();
        let list = fs::read_dir(&dir).map_err(|e| format!("{}: {e}", dir.display()))?;
        let mut images: Vec<String> = list
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|e| e == "raw"))
            .filter(|path| path.with_extension("meta").exists())
            .filter_map(|path| Some(path.file_stem()?.to_string_lossy().into_owned()))
            .collect();
        images.sort();
        let variants = VARIANTS
            .iter()
            .filter(|variant| images.iter().any(|name| name == variant.of))
            .map(|variant| variant.name.to_owned());
        let described = images.iter().map(|name| format!("{name}{DESCRIBED}"));
        let mut all: Vec<String> = images.iter().cloned().chain(described).chain(variants).collect();
        all.retain(|name| self.names.is_empty() || self.names.contains(&name.as_str()));
        match all.is_empty() || all.len() < self.names.len() {
            true => Err(format!("{} holds no such guest", dir.display())),
            false => Ok(all),
        }
    }

    /// Makes the guest called `name`, where it is not there already.
    fn guest(&self, name: &str, scratch: &Path) -> Result<Guest, String> {
        let plain = name.strip_suffix(DESCRIBED).unwrap_or(name);
        let disk = match VARIANTS.iter().find(|variant| variant.name == plain) {
            Some(variant) => variant.make(&self.images(), scratch)?,
            None => self.images().join(plain).with_extension("raw"),
        };
        let meta = disk.with_extension("meta");
        let facts = fs::read_to_string(&meta).map_err(|e| format!("{}: {e}", meta.display()))?;
        let (disk, source) = match plain == name {
            true => (disk.clone(), disk),
            false => {
                let source = describe(&disk, &facts, scratch)?;
                (source.with_extension("vmdk"), source)
            }
        };
        Ok(Guest {
            disk,
            source,
            meta,
            facts,
        })
    }

    /// The controller a guest is taken to.
    fn wanted(&self) -> &'a str {
        self.bus.unwrap_or("virtio-blk")
    }
}

/// The machine with that controller which the judge boots. Its virtio machine has virtio's controllers only.
fn machine(bus: &str) -> Vec<&str> {
    match bus {
        "sata" => vec!["--machine", "vmware", "--disk-bus", "ahci", "--nic", "e1000e"],
        bus => vec!["--machine", "virtio", "--disk-bus", bus],
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

fn one(asked: &Asked<'_>, judge: &Path, ours: &Path, name: &str) -> Result<Line, String> {
    let images = asked.images();
    let scratch = tempfile::Builder::new()
        .prefix("hyper2kvm-rig-")
        .tempdir_in(asked.scratch.unwrap_or(&images))
        .map_err(|e| e.to_string())?;
    let guest = asked.guest(name, scratch.path())?;
    let mut line = Line {
        name: name.to_owned(),
        ..Line::default()
    };
    let boot = |disk: &Path, bus: &str, more: &[&str]| -> Result<Value, String> {
        let mut command = Command::new(judge);
        command.arg(disk).args(machine(bus)).arg("--json").args(more);
        answer(command.arg("--meta").arg(&guest.meta))
    };
    let before = boot(&guest.disk, asked.wanted(), &["--timeout", BEFORE])?;
    // Where that was expected, the cause is enough, without the console's line.
    line.before = match outcome(&before) {
        said if said.contains("root device") => said.split(": ").take(2).collect::<Vec<_>>().join(": "),
        said => said,
    };
    let moved = match moved(asked, ours, &guest, &scratch.path().join("out"))? {
        Ok(moved) => moved,
        Err(why) => {
            line.migrated = format!("failed: {why}");
            return Ok(line);
        }
    };
    line.migrated = moved.said;

    let address = fact(&guest.facts, "V_IP").unwrap_or("dhcp");
    let mut expected = vec!["--expect-ip", address];
    // The machine with SATA says that it is VMware's, and the guest's tools for that find that it is not.
    if moved.bus != "sata" {
        expected.push("--expect-clean");
    }
    let after = boot(&moved.disk, &moved.bus, &expected)?;
    let strayed = strayed(&after, &guest.facts);
    let well = after["state"] == "ok" && strayed.is_empty();
    // What could not be written was said; how the guest does without is told, and nothing is promised.
    line.good = !moved.left.is_empty() || well && (!came_up(&before) || asked.bus == Some("sata"));
    let names = match strayed.is_empty() {
        _ if !came_up(&after) => String::new(),
        _ if well => ": same host, interface, MAC, address".to_owned(),
        true => format!(", but {}", reason(&after)),
        false => format!(", but not {}", strayed.join(", ")),
    };
    line.after = format!("on {}, {}{names}", moved.bus, outcome(&after));
    Ok(line)
}

/// Migrates the guest into `out`; in part, where it cannot be done whole. A refusal is its first line.
fn moved(asked: &Asked<'_>, ours: &Path, guest: &Guest, out: &Path) -> Result<Result<Moved, String>, String> {
    let told = |name: &str| fact(&guest.facts, name).unwrap_or_default();
    let run = |more: &[&str]| {
        let begun = Instant::now();
        let mut command = Command::new(ours);
        command.args(["migrate", "--quiet", "--prove", "-o"]);
        command.arg(out).args(more);
        if let Some(bus) = asked.bus {
            command.args(["--bus", bus]);
        }
        if guest.source == guest.disk {
            // What the description of the old machine says, and a disk alone does not always.
            command.args(["--nic", &format!("{}={}", told("V_MAC"), told("V_IFACE"))]);
        }
        let done = command.arg(&guest.source).output();
        done.map(|done| (done, begun.elapsed()))
            .map_err(|e| format!("{}: {e}", ours.display()))
    };
    let (mut done, mut took) = run(&[])?;
    let mut left = Vec::new();
    if !done.status.success() {
        let why = String::from_utf8_lossy(&done.stderr).into_owned();
        left.extend(
            why.lines()
                .filter_map(|line| line.trim_start().strip_prefix("filesystem: "))
                .map(str::to_owned),
        );
        if left.is_empty() {
            return Ok(Err(why.lines().next().unwrap_or_default().to_owned()));
        }
        (done, took) = run(&["--allow-partial"])?;
        if !done.status.success() {
            let why = String::from_utf8_lossy(&done.stderr);
            return Ok(Err(why.lines().next().unwrap_or_default().to_owned()));
        }
    }
    let path = out.join("report.json");
    let text = fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    let report: Value = serde_json::from_str(&text).map_err(|e| format!("{}: {e}", path.display()))?;
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let refused = list(&report["fixes"]["refused"]);
    let systems = list(&report["fixes"]["systems"]);
    let changes = systems.iter().flat_map(|system| list(&system["changes"]));
    let edits = changes
        .filter(|change| refused.iter().all(|volume| volume["device"] != change["on"]))
        .count();
    let blocked = match left.is_empty() {
        true => String::new(),
        false => format!("refused ({}); with `--allow-partial` ", left.join("; ")),
    };
    Ok(Ok(Moved {
        said: format!(
            "{blocked}{edits} edits, {:.1} s, {} MiB read, {} MiB written",
            took.as_secs_f64(),
            report["bytes-read"].as_u64().unwrap_or(0) / MIB,
            report["bytes-written"].as_u64().unwrap_or(0) / MIB,
        ),
        disk: report["disks"][0]["target"]
            .as_str()
            .ok_or("the report names no disk")?
            .into(),
        bus: report["bus"]
            .as_str()
            .ok_or("the report names no bus")?
            .to_owned(),
        left,
    }))
}
