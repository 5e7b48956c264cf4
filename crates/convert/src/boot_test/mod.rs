//! Starting a machine that was made, to see it come up: the only place of this program that runs another.
//!
//! QEMU gets the disks with `snapshot`, so that nothing is written to them, and a network that leads nowhere: a copy of
//! a server must not meet the server. What the serial console says decides, and what is on the screen, where that is in
//! text mode. See `docs/decisions/008-boot-test.md`.

mod console;
mod machine;
mod monitor;
mod running;
mod screen;

pub(crate) use machine::Trial;

use console::Sign;
use running::Running;
use serde::Serialize;
use std::path::Path;
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
    /// Nothing settled it in time: a guest that says nothing on the serial port and draws its screen ends so, too.
    TimedOut,
    /// This was stopped before anything settled it.
    Stopped,
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
            Self::Stopped => "stopped",
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
    /// The last lines of the screen, where that was in text mode.
    pub screen_text: Vec<String>,
    /// The file with a picture of the screen at the end, PNG or PPM.
    pub screen: Option<String>,
}

/// How long KVM may say nothing before QEMU's own processor is asked instead: a nested KVM may hang where it should run.
const SILENCE: Duration = Duration::from_secs(60);
/// How often the console is looked at.
const PAUSE: Duration = Duration::from_millis(100);
/// How often the screen is looked at.
const GLANCE: Duration = Duration::from_secs(2);

impl BootTest {
    fn not_tried(why: impl Into<String>) -> Self {
        Self {
            result: BootResult::NotTried,
            reason: Some(why.into()),
            accelerator: None,
            took_ms: 0,
            console: Vec::new(),
            screen_text: Vec::new(),
            screen: None,
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
        let (seen, broken) = attempt(&qemu, trial, "kvm", limit, stop);
        if !broken {
            return seen;
        }
    }
    attempt(&qemu, trial, "tcg", limit, stop).0
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// What is seen with this accelerator; and whether that is about the accelerator, and not about the guest.
fn attempt(
    qemu: &Path,
    trial: &Trial,
    accelerator: &'static str,
    limit: Duration,
    stop: &AtomicBool,
) -> (BootTest, bool) {
    let words = match trial.words(accelerator) {
        Ok(words) => words,
        Err(why) => return (BootTest::not_tried(why), false),
    };
    let begun = Instant::now();
    let mut running = match Running::start(qemu, &words, &trial.scratch) {
        Ok(running) => running,
        Err(e) => {
            let why = format!("{}: {e}", qemu.display());
            return (BootTest::not_tried(why), false);
        }
    };
    let mut broken = false;
    let mut heard = begun;
    let mut glance = begun;
    let (result, reason) = loop {
        if running.listen() {
            heard = Instant::now();
        }
        let mut sign = running.console.sign();
        if sign.is_none() && glance.elapsed() > GLANCE {
            if running.look() {
                heard = Instant::now();
            }
            sign = console::seen(running.screen.rows());
            glance = Instant::now();
        }
        match sign {
            Some(Sign::Login) => break (BootResult::Booted, None),
            Some(Sign::Failed(why)) => break (BootResult::Failed, Some(why.to_owned())),
            None => {}
        }
        if stop.load(Ordering::Relaxed) {
            break (BootResult::Stopped, None);
        }
        if let Some(status) = running.ended() {
            // A machine that switches itself off does not make QEMU fail.
            broken = !status.success();
            let last = running.console.tail().pop();
            let last = last.unwrap_or_else(|| status.to_string());
            break (BootResult::Failed, Some(format!("QEMU ended: {last}")));
        }
        let silent = accelerator == "kvm" && heard.elapsed() > SILENCE;
        broken = silent;
        if silent || begun.elapsed() > limit {
            let why = "neither a login prompt nor a known failure on the serial console or the screen";
            break (BootResult::TimedOut, Some(why.to_owned()));
        }
        std::thread::sleep(PAUSE);
    };
    let took_ms = millis(begun.elapsed());
    let screen = match result {
        BootResult::Stopped => None,
        _ => running.picture(&trial.picture),
    };
    let seen = BootTest {
        result,
        reason,
        accelerator: Some(accelerator),
        took_ms,
        console: running.console.tail(),
        screen_text: console::tail(running.screen.text()),
        screen: screen.map(|path| path.display().to_string()),
    };
    (seen, broken)
}
