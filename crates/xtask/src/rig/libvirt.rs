//! `cargo xtask rig libvirt`: what `migrate` made, defined and started by libvirt from the description beside it.

use crate::run::{Done, quietly, show};
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// The libvirt of this machine.
const VIRSH: [&str; 2] = ["--connect", "qemu:///system"];
/// How long a guest may take to come up: QEMU's own processor may have to do.
const LIMIT: Duration = Duration::from_secs(900);

/// What was asked for.
struct Asked<'a> {
    /// Whether QEMU's own processor is used, though there is a KVM: a nested one may hang.
    tcg: bool,
    dirs: Vec<&'a str>,
}

/// Starts the machines in these folders, each made by `migrate`, and waits for their login prompts. Nothing is written to
/// their disks.
pub fn libvirt(words: &[&str]) -> Done {
    let mut asked = Asked {
        tcg: !Path::new("/dev/kvm").exists(),
        dirs: Vec::new(),
    };
    for word in words {
        match *word {
            "--tcg" => asked.tcg = true,
            flag if flag.starts_with('-') => return Err(format!("rig libvirt has no flag {flag}")),
            dir => asked.dirs.push(dir),
        }
    }
    if asked.dirs.is_empty() {
        return Err("rig libvirt needs folders that migrate made".to_owned());
    }
    let mut bad = Vec::new();
    for dir in &asked.dirs {
        let begun = Instant::now();
        match one(Path::new(dir), asked.tcg) {
            Ok(said) => println!("| {dir} | comes up in {} s | {said} |", begun.elapsed().as_secs()),
            Err(why) => {
                println!("| {dir} | **does not come up** | {why} |");
                bad.push(*dir);
            }
        }
    }
    match bad.is_empty() {
        true => Ok(()),
        false => Err(format!("not as it should be: {}", bad.join(", "))),
    }
}

fn virsh(words: &[&str]) -> Result<String, String> {
    let done = Command::new("virsh").args(VIRSH).args(words).output();
    let done = done.map_err(|e| format!("virsh: {e}"))?;
    match done.status.success() {
        true => Ok(String::from_utf8_lossy(&done.stdout).trim().to_owned()),
        false => Err(String::from_utf8_lossy(&done.stderr).trim().to_owned()),
    }
}

/// A domain that is gone when this is.
struct Domain(String);

impl Drop for Domain {
    fn drop(&mut self) {
        for words in [
            &["destroy", self.0.as_str()][..],
            &["undefine", "--nvram", &self.0],
        ] {
            let _gone = quietly(Command::new("virsh").args(VIRSH).args(words));
        }
    }
}

fn one(dir: &Path, tcg: bool) -> Result<String, String> {
    let scratch = tempfile::tempdir().map_err(|e| e.to_string())?;
    let (name, text) = described(dir, tcg, scratch.path())?;
    let path = scratch.path().join("domain.xml");
    fs::write(&path, text).map_err(|e| e.to_string())?;
    virsh(&["define", "--validate", &path.to_string_lossy()])?;
    let domain = Domain(name);
    virsh(&["start", &domain.0])?;
    console(&virsh(&["ttyconsole", &domain.0])?)
}

/// The domain's name and its description, with what is this trial's own: a name, disks over those that were made, and
/// a processor that there is.
fn described(dir: &Path, tcg: bool, scratch: &Path) -> Result<(String, String), String> {
    let list = fs::read_dir(dir).map_err(|e| format!("{}: {e}", dir.display()))?;
    let mut paths = list.flatten().map(|entry| entry.path());
    let xml: PathBuf = paths
        .find(|path| path.extension().is_some_and(|e| e == "xml"))
        .ok_or_else(|| format!("{} holds no description of a machine", dir.display()))?;
    let mut text = fs::read_to_string(&xml).map_err(|e| format!("{}: {e}", xml.display()))?;
    let between = |text: &str, from: &str, to: &str| -> Option<String> {
        let (_, rest) = text.split_once(from)?;
        Some(rest.split_once(to)?.0.to_owned())
    };
    let old = between(&text, "<name>", "</name>").ok_or("a domain without a name")?;
    let name = format!("hyper2kvm-rig-{}", std::process::id());
    text = text.replace(&format!("<name>{old}</name>"), &format!("<name>{name}</name>"));
    let files: Vec<String> = text
        .split("<source file='")
        .skip(1)
        .filter_map(|rest| Some(rest.split_once('\'')?.0.to_owned()))
        .collect();
    for (number, file) in files.iter().enumerate() {
        let over = scratch.join(format!("{number}.qcow2"));
        show(
            Command::new("qemu-img")
                .args(["create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", file])
                .arg(&over),
        )?;
        text = text.replace(file, &over.to_string_lossy());
    }
    if tcg {
        text = text.replace("<domain type='kvm'>", "<domain type='qemu'>");
        for mode in ["host-model' check='partial'", "host-passthrough'"] {
            text = text.replace(&format!("<cpu mode='{mode}"), "<cpu mode='maximum'");
        }
    }
    Ok((name, text))
}

/// Waits for somebody to be asked for a name at the end of this terminal; the guest's last lines before that.
fn console(terminal: &str) -> Result<String, String> {
    let mut file = fs::File::open(terminal).map_err(|e| format!("{terminal}: {e}"))?;
    let (to, from) = mpsc::channel();
    // Ends with the domain, whose end closes the terminal.
    let _reader = std::thread::spawn(move || {
        let mut room = [0; 4096];
        while let Ok(length @ 1..) = file.read(&mut room) {
            if to.send(room.get(..length).unwrap_or_default().to_vec()).is_err() {
                break;
            }
        }
    });
    let begun = Instant::now();
    let mut said = String::new();
    while let Some(left) = LIMIT.checked_sub(begun.elapsed()) {
        let Ok(bytes) = from.recv_timeout(left) else { break };
        said.push_str(&String::from_utf8_lossy(&bytes));
        if said.trim_end().ends_with(" login:") {
            let lines = said.lines().map(str::trim).filter(|line| !line.is_empty());
            let told = lines.filter(|line| {
                ["guest:", "RIG-BOOT-OK", "RIG-NET"]
                    .iter()
                    .any(|w| line.starts_with(w))
                    || line.ends_with(" login:")
            });
            return Ok(told.collect::<Vec<_>>().join("; "));
        }
    }
    let last = said.lines().rev().find(|line| !line.trim().is_empty());
    Err(format!(
        "no login prompt; the last line: {}",
        last.unwrap_or("none")
    ))
}
