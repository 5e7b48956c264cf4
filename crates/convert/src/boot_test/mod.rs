//! Starting a machine that was made, to see it come up: the only place of this program that runs another.
//!
//! QEMU gets the disks with `snapshot`, so that nothing is written to them, and a network that leads nowhere: a copy of
//! a server must not meet the server. What the serial console says decides. See `docs/decisions/008-boot-test.md`.

mod console;
mod machine;

pub(crate) use machine::Trial;

use console::{Console, Sign};
use serde::Serialize;
use std::io::Read;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How a start ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum BootResult {
    /// A login prompt appeared.
    Booted,
    /// It ended in a way that is known.
    Failed,
    /// Nothing settled it in time: a guest whose console is not the serial port ends so, too.
    TimedOut,
    /// It was not started.
    NotTried,
}

impl BootResult {
    /// As reports call it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Booted => "booted",
            Self::Failed => "failed",
            Self::TimedOut => "timed-out",
            Self::NotTried => "not-tried",
        }
    }
}

/// What was seen when the machine was started.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct BootTest {
    /// How it ended.
    pub result: BootResult,
    /// Why, where that is known.
    pub reason: Option<String>,
    /// `kvm`, or `tcg`, which is QEMU's own and much slower.
    pub accelerator: Option<&'static str>,
    /// How long it took, milliseconds.
    pub took_ms: u64,
    /// The last lines of the serial console.
    pub console: Vec<String>,
}

/// How long KVM may say nothing before QEMU's own processor is asked instead: a nested KVM may hang where it should run.
const SILENCE: Duration = Duration::from_secs(60);
/// How often the console is looked at.
const PAUSE: Duration = Duration::from_millis(100);

impl BootTest {
    fn not_tried(why: impl Into<String>) -> Self {
        Self {
            result: BootResult::NotTried,
            reason: Some(why.into()),
            accelerator: None,
            took_ms: 0,
            console: Vec::new(),
        }
    }
}

/// Starts the machine and watches it for at most `limit`, with each accelerator there is until one answers.
pub(crate) fn run(trial: &Trial, limit: Duration, stop: &AtomicBool) -> BootTest {
    let Some(qemu) = machine::program() else {
        return BootTest::not_tried("qemu-system-x86_64 is not installed");
    };
    let kvm = rustix::fs::access(
        "/dev/kvm",
        rustix::fs::Access::READ_OK | rustix::fs::Access::WRITE_OK,
    );
    if kvm.is_ok() {
        let seen = attempt(&qemu, trial, "kvm", limit, stop);
        let silent = seen.result == BootResult::TimedOut && seen.took_ms < millis(limit);
        let broken = seen.result == BootResult::Failed && seen.console.is_empty();
        if !silent && !broken {
            return seen;
        }
    }
    attempt(&qemu, trial, "tcg", limit, stop)
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// A child that does not outlive this.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _reaped = self.0.wait();
    }
}

fn attempt(
    qemu: &PathBuf,
    trial: &Trial,
    accelerator: &'static str,
    limit: Duration,
    stop: &AtomicBool,
) -> BootTest {
    let words = match trial.words(accelerator) {
        Ok(words) => words,
        Err(why) => return BootTest::not_tried(why),
    };
    #[expect(
        clippy::disallowed_methods,
        reason = "the boot test is asked for by name, and is nothing but this"
    )]
    let mut command = std::process::Command::new(qemu);
    command
        .args(words)
        // Where QEMU puts what the guest writes, which is gone with it.
        .env("TMPDIR", &trial.scratch)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let begun = Instant::now();
    let mut child = match command.spawn() {
        Ok(child) => Running(child),
        Err(e) => return BootTest::not_tried(format!("{}: {e}", qemu.display())),
    };
    let mut console = Console::default();
    let mut complaint = Console::default();
    let mut heard = begun;
    let (result, reason) = loop {
        if take(child.0.stdout.as_mut(), &mut console) {
            heard = Instant::now();
        }
        take(child.0.stderr.as_mut(), &mut complaint);
        match console.sign() {
            Some(Sign::Login) => break (BootResult::Booted, None),
            Some(Sign::Failed(why)) => break (BootResult::Failed, Some(why.to_owned())),
            None => {}
        }
        if stop.load(Ordering::Relaxed) {
            break (BootResult::TimedOut, Some("stopped".to_owned()));
        }
        if let Ok(Some(status)) = child.0.try_wait() {
            take(child.0.stderr.as_mut(), &mut complaint);
            let last = complaint.tail().pop().unwrap_or_else(|| status.to_string());
            break (BootResult::Failed, Some(format!("QEMU ended: {last}")));
        }
        let silent = accelerator == "kvm" && heard.elapsed() > SILENCE;
        if silent || begun.elapsed() > limit {
            break (
                BootResult::TimedOut,
                Some("neither a login prompt nor a known failure on the serial console".to_owned()),
            );
        }
        std::thread::sleep(PAUSE);
    };
    BootTest {
        result,
        reason,
        accelerator: Some(accelerator),
        took_ms: millis(begun.elapsed()),
        console: console.tail(),
    }
}

/// Takes what a pipe holds, without waiting for more. Says whether there was anything.
fn take(pipe: Option<&mut (impl Read + AsFd)>, console: &mut Console) -> bool {
    let Some(pipe) = pipe else { return false };
    if rustix::io::ioctl_fionbio(pipe.as_fd(), true).is_err() {
        return false;
    }
    let mut room = [0; 4096];
    let mut any = false;
    while let Ok(length @ 1..) = pipe.read(&mut room) {
        console.take(room.get(..length).unwrap_or_default());
        any = true;
    }
    any
}
