//! Running a program and saying what it cost.
//!
//! The kernel tells the peak memory of children only as the largest of all of them, so every run gets a parent of
//! its own: this program again, as `xtask bench-child`, which starts one command and writes down what it cost.

use super::scratch::Scratch;
use crate::run::Done;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use std::fmt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// This program, also after a build has put another in its place.
pub(super) const MYSELF: &str = "/proc/self/exe";

/// What one run cost.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cost {
    /// By the clock on the wall.
    pub(super) wall: Duration,
    /// User and system time of all its threads.
    pub(super) cpu: Duration,
    /// Peak resident memory, bytes.
    pub(super) peak: u64,
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:7.3} s wall {:7.3} s cpu {:4} MiB",
            self.wall.as_secs_f64(),
            self.cpu.as_secs_f64(),
            self.peak >> 20
        )
    }
}

/// Runs `command` (a program and its arguments), which has to succeed.
pub(super) fn run(command: &[String], scratch: &Scratch) -> Result<Cost, String> {
    let told = scratch.path("cost");
    let status = Command::new(MYSELF)
        .arg("bench-child")
        .arg(&told)
        .args(command)
        .stdin(Stdio::null())
        .status()
        .map_err(|e| e.to_string())?;
    if !status.success() {
        return Err(format!("{} ended with {status}", command.join(" ")));
    }
    let text = std::fs::read_to_string(&told).map_err(|e| e.to_string())?;
    let mut numbers = text
        .split_whitespace()
        .map(|word| word.parse::<u64>().unwrap_or(0));
    let mut next = || numbers.next().unwrap_or(0);
    Ok(Cost {
        wall: Duration::from_nanos(next()),
        cpu: Duration::from_micros(next()),
        peak: next() << 10,
    })
}

/// `xtask bench-child FILE COMMAND…`: runs one command, writes nanoseconds, processor microseconds and peak KiB.
pub(crate) fn shim(words: &[&str]) -> Done {
    let [told, program, args @ ..] = words else {
        return Err("bench-child needs a file and a command".to_owned());
    };
    let begun = Instant::now();
    let status = Command::new(program)
        .args(args)
        .env("LC_ALL", "C")
        // What it says was looked at before; a terminal would be slower than the work.
        .stdout(Stdio::null())
        .status()
        .map_err(|e| format!("{program}: {e}"))?;
    let wall = begun.elapsed();
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).map_err(|e| e.to_string())?;
    let cpu = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    let text = format!("{} {cpu} {}\n", wall.as_nanos(), usage.max_rss());
    std::fs::write(told, text).map_err(|e| e.to_string())?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("{program} ended with {status}"))
    }
}
