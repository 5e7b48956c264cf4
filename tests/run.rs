//! Runs the binary.

use serde_json::Value;
use std::ffi::OsStr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// When edits of guests are made, so that the same edits give the same bytes.
const NOW: &str = "1800000000";

/// What a run ended with.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    /// Its standard output as the one JSON document it has to be.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("not one JSON document ({e}): {self:?}"))
    }

    /// The same run, once it is sure that it succeeded.
    pub fn good(self) -> Self {
        assert_eq!(self.code, 0, "{self:?}");
        self
    }
}

fn command<S: AsRef<OsStr>>(dir: &Path, args: &[S]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hyper2kvm"));
    command
        .args(args)
        .current_dir(dir)
        .env("LC_ALL", "C.UTF-8")
        .env("SOURCE_DATE_EPOCH", NOW)
        .env_remove("NO_COLOR")
        .stdin(Stdio::null());
    command
}

/// Runs `hyper2kvm` in `dir` to its end.
pub fn run<S: AsRef<OsStr>>(dir: &Path, args: &[S]) -> Ran {
    ended(command(dir, args).output().unwrap())
}

/// Runs `hyper2kvm` in `dir`, which has to succeed, and says how many bytes of memory it had at most.
pub fn peak<S: AsRef<OsStr> + std::fmt::Debug>(dir: &Path, args: &[S]) -> u64 {
    let mut child = command(dir, args).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut most = 0;
    // The kernel keeps the peak as long as the process lives; the last look finds all but the last moment's.
    let ended = loop {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let kib = text.lines().find_map(|line| {
            let kib = line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?;
            kib.parse::<u64>().ok()
        });
        most = kib.map_or(most, |kib| most.max(kib << 10));
        if let Some(ended) = child.try_wait().unwrap() {
            break ended;
        }
        std::thread::sleep(std::time::Duration::from_millis(2));
    };
    assert!(ended.success(), "{args:?}");
    assert!(most > 0, "{args:?} was over before anybody could look");
    most
}

/// Runs `hyper2kvm` in `dir`; its standard output as bytes, once it is sure that it succeeded.
pub fn bytes<S: AsRef<OsStr> + std::fmt::Debug>(dir: &Path, args: &[S]) -> Vec<u8> {
    let out = command(dir, args).output().unwrap();
    assert!(
        out.status.success(),
        "{args:?}: {}",
        String::from_utf8_lossy(&out.stderr)
    );
    out.stdout
}

/// Runs `hyper2kvm` in `dir` where no file may grow beyond `bytes`.
pub fn limited(dir: &Path, bytes: u64, args: &[&str]) -> Ran {
    let line = format!("ulimit -f {}; exec \"$@\"", bytes / 1024);
    let mut command = Command::new("bash");
    command
        .args(["-c", &line, "bash", env!("CARGO_BIN_EXE_hyper2kvm")])
        .args(args)
        .current_dir(dir);
    ended(command.output().unwrap())
}

/// The system calls that change a file or its name; those that a kind of machine does not have are marked.
const CHANGES: &str = "ftruncate,pwrite64,write,fdatasync,fsync,?chown,?fchownat,?chmod,?fchmodat,?fchmodat2,\
    ?rename,?renameat,renameat2,?link,linkat,?unlink,unlinkat";

/// The system calls that change something when `hyper2kvm` runs in `dir`, each with how many of its kind were made up
/// to then; `None` where nobody may trace a process.
pub fn changes(dir: &Path, args: &[&str]) -> Option<Vec<(String, usize)>> {
    let log = tempfile::NamedTempFile::new().unwrap();
    let trace = format!("trace={CHANGES}");
    let ran = strace(dir, &["-o", log.path().to_str().unwrap(), "-e", &trace], args);
    if ran.code != 0 && ran.err.contains("ptrace") {
        println!("skipped: {}", ran.err.lines().next().unwrap_or_default());
        return None;
    }
    ran.good();
    let mut calls: Vec<(String, usize)> = Vec::new();
    for line in std::fs::read_to_string(log.path()).unwrap().lines() {
        if let Some((call, _)) = line.split_once('(') {
            let name = call.split_whitespace().last().unwrap().to_owned();
            let nth = calls.iter().filter(|(other, _)| *other == name).count() + 1;
            calls.push((name, nth));
        }
    }
    Some(calls)
}

/// Runs `hyper2kvm` in `dir`, and does to one of those calls what `what` says, in strace's words: kills the process
/// just before it, or lets it fail.
pub fn struck(dir: &Path, (name, nth): &(String, usize), what: &str, args: &[&str]) -> Ran {
    let inject = format!("inject={name}:{what}:when={nth}");
    strace(dir, &["-o", "/dev/null", "-e", &inject], args)
}

fn strace(dir: &Path, options: &[&str], args: &[&str]) -> Ran {
    let mut command = Command::new("strace");
    command
        .arg("-f")
        .args(options)
        .arg(env!("CARGO_BIN_EXE_hyper2kvm"))
        .args(args)
        .current_dir(dir)
        .env("LC_ALL", "C.UTF-8")
        .env("SOURCE_DATE_EPOCH", NOW)
        .stdin(Stdio::null());
    ended(command.output().unwrap())
}

fn ended(out: std::process::Output) -> Ran {
    use std::os::unix::process::ExitStatusExt;
    Ran {
        code: out
            .status
            .code()
            .unwrap_or_else(|| -out.status.signal().unwrap_or(0)),
        out: String::from_utf8(out.stdout).unwrap(),
        err: String::from_utf8(out.stderr).unwrap(),
    }
}

/// Starts `hyper2kvm` in `dir` and does not wait. Signals mean what they usually do, even where whoever runs the tests
/// ignores some (nohup, a shell's background job): programs inherit that.
pub fn start<S: AsRef<OsStr>>(dir: &Path, args: &[S]) -> Child {
    Command::new("env")
        .args(["--default-signal=HUP,INT,TERM", env!("CARGO_BIN_EXE_hyper2kvm")])
        .args(args)
        .current_dir(dir)
        .env("LC_ALL", "C.UTF-8")
        .env("SOURCE_DATE_EPOCH", NOW)
        .env_remove("NO_COLOR")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The names in `dir`, sorted.
pub fn names(dir: &Path) -> Vec<String> {
    let mut all: Vec<String> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    all.sort();
    all
}

/// A raw disk of `len` bytes with `data` bytes of noise (from `seed`) in the middle and a little at both ends.
pub fn raw_disk(path: &Path, len: u64, data: usize, seed: u64) {
    use std::os::unix::fs::FileExt;
    let file = std::fs::File::create(path).unwrap();
    file.set_len(len).unwrap();
    let mut rng = h2k_testkit::rng::Rng::new(seed);
    let noise: Vec<u8> = (0..data).map(|_| rng.below(256) as u8).collect();
    file.write_all_at(&noise, (len / 2).saturating_sub(data as u64 / 2))
        .unwrap();
    file.write_all_at(b"first", 0).unwrap();
    file.write_all_at(b"last", len - 4).unwrap();
}

/// Every field name of a JSON document, however deep.
pub fn fields(value: &serde_json::Value, found: &mut std::collections::BTreeSet<String>) {
    match value {
        serde_json::Value::Object(map) => {
            for (key, value) in map {
                found.insert(key.clone());
                // Facts are the formats' own; their documents list them.
                if key != "facts" {
                    fields(value, found);
                }
            }
        }
        serde_json::Value::Array(all) => all.iter().for_each(|value| fields(value, found)),
        _ => {}
    }
}
