//! Ctrl-C and its kin: the first asks the work to stop and clean up, the second ends the process at once.

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::flag;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Whether somebody asked us to stop, and how.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stop {
    flag: Arc<AtomicBool>,
    signal: Arc<AtomicUsize>,
}

impl Stop {
    /// Listens from now on.
    pub(crate) fn listen() -> std::io::Result<Self> {
        let stop = Self::default();
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            if signal == SIGHUP && ignored(signal) {
                continue; // nohup: the terminal may go, the work stays
            }
            // In this order: the first signal finds the flag down and raises it, the next one finds it up.
            flag::register_conditional_shutdown(signal, signal.saturating_add(128), stop.flag.clone())?;
            flag::register_usize(signal, stop.signal.clone(), usize::try_from(signal).unwrap_or(0))?;
            flag::register(signal, stop.flag.clone())?;
        }
        // A file size limit is to be an error of the write, which cleans up, and not a death.
        flag::register(SIGXFSZ, Arc::default())?;
        Ok(stop)
    }

    /// What the jobs look at.
    pub(crate) fn flag(&self) -> &AtomicBool {
        &self.flag
    }

    /// The exit code of a process that was asked to stop: 128 and the signal's number.
    pub(crate) fn code(&self) -> u8 {
        u8::try_from(self.signal.load(Ordering::Acquire).saturating_add(128)).unwrap_or(130)
    }
}

/// Whether `signal` was being ignored when this process started.
fn ignored(signal: i32) -> bool {
    #[expect(clippy::disallowed_methods, reason = "procfs, not an image")]
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    let bit = u32::try_from(signal.saturating_sub(1)).unwrap_or(0);
    mask.is_some_and(|mask| mask.checked_shr(bit).unwrap_or(0) & 1 == 1)
}
