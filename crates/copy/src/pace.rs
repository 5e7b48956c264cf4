use crate::{Event, Watch};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often progress is told, at most.
const TELL: Duration = Duration::from_millis(200);

/// The longest sleep: how long a cancelled copy under a bandwidth limit may linger.
const NAP: Duration = Duration::from_millis(50);

/// A bucket of tokens, one for each byte that may be read. It fills at `rate` and holds nothing in reserve:
/// what was not used is gone. Debts are allowed: a read is paid for after it was made, by waiting.
#[derive(Debug)]
pub(crate) struct Bucket {
    /// Bytes a second.
    rate: u64,
    /// When everything read so far is paid for.
    paid: Duration,
}

impl Bucket {
    /// A bucket that gives `rate` bytes a second, from time 0.
    pub(crate) fn new(rate: u64) -> Self {
        Self {
            rate,
            paid: Duration::ZERO,
        }
    }

    /// Pays for `bytes` read, at the time `now`; says until when to wait.
    pub(crate) fn take(&mut self, now: Duration, bytes: u64) -> Duration {
        let nanos = u128::from(bytes)
            .saturating_mul(1_000_000_000)
            .div_ceil(u128::from(self.rate.max(1)));
        let cost = Duration::from_nanos_u128(nanos.min(Duration::MAX.as_nanos()));
        self.paid = self.paid.max(now).saturating_add(cost);
        self.paid
    }
}

/// The clock of one pass: bandwidth and progress.
pub(crate) struct Pace<'a> {
    began: Instant,
    bucket: Option<Mutex<Bucket>>,
    watch: &'a dyn Watch,
    total: u64,
    done: AtomicU64,
    moved: AtomicU64,
    told: Mutex<Duration>,
}

impl<'a> Pace<'a> {
    /// Starts the clock.
    pub(crate) fn new(total: u64, bytes_per_second: Option<u64>, watch: &'a dyn Watch) -> Self {
        Self {
            began: Instant::now(),
            bucket: bytes_per_second.map(|rate| Mutex::new(Bucket::new(rate))),
            watch,
            total,
            done: AtomicU64::new(0),
            moved: AtomicU64::new(0),
            told: Mutex::new(Duration::ZERO),
        }
    }

    /// `bytes` were read: waits until that is within the limit, or until one of `flags` is set.
    pub(crate) fn read(&self, bytes: u64, flags: [&AtomicBool; 2]) {
        self.moved.fetch_add(bytes, Ordering::Relaxed);
        let Some(bucket) = &self.bucket else { return };
        let until = bucket
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take(self.began.elapsed(), bytes);
        while let Some(left) = until.checked_sub(self.began.elapsed())
            && !left.is_zero()
            && !flags.iter().any(|flag| flag.load(Ordering::Relaxed))
        {
            std::thread::sleep(left.min(NAP));
        }
    }

    /// `bytes` of the disk are dealt with: tells the watch, if it was not told a moment ago.
    pub(crate) fn dealt(&self, bytes: u64) {
        self.done.fetch_add(bytes, Ordering::Relaxed);
        // Whoever comes while another one tells goes on with its work.
        if let Ok(mut told) = self.told.try_lock() {
            let now = self.began.elapsed();
            if now.saturating_sub(*told) >= TELL {
                *told = now;
                self.tell();
            }
        }
    }

    /// Tells how far it has come.
    pub(crate) fn tell(&self) {
        self.watch.event(&Event::Progress {
            done: self.done.load(Ordering::Relaxed),
            total: self.total,
            moved: self.moved.load(Ordering::Relaxed),
        });
    }

    /// Since the beginning.
    pub(crate) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn reads_are_paid_for_one_after_the_other() {
        let mut bucket = Bucket::new(1000);
        assert_eq!(bucket.take(Duration::ZERO, 500), SECOND / 2);
        assert_eq!(bucket.take(Duration::ZERO, 500), SECOND);
        assert_eq!(bucket.take(SECOND / 4, 1000), SECOND * 2);
    }

    #[test]
    fn what_was_not_used_is_gone() {
        let mut bucket = Bucket::new(1000);
        assert_eq!(bucket.take(SECOND * 10, 1000), SECOND * 11);
    }

    #[test]
    fn a_limit_is_never_exceeded_whatever_the_sizes() {
        let mut bucket = Bucket::new(3);
        let mut sum = 0;
        for bytes in [1, 7, 0, 65536, 2, 1 << 40] {
            sum += bytes;
            let until = bucket.take(Duration::ZERO, bytes);
            assert!(until.as_nanos() * 3 >= u128::from(sum) * 1_000_000_000);
        }
    }
}
