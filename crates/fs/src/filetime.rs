//! Times as Windows keeps them: 100-nanosecond intervals since 1601 UTC. Source: MS-DTYP 2.3.3, FILETIME.

use crate::Time;

/// From 1601 to 1970, in seconds.
const EPOCH: i64 = 11_644_473_600;
/// Intervals in a second.
const SECOND: u64 = 10_000_000;

impl Time {
    /// The moment that a FILETIME means.
    #[must_use]
    pub fn of_filetime(intervals: u64) -> Self {
        let seconds = i64::try_from(intervals / SECOND).unwrap_or(i64::MAX);
        let rest = u32::try_from(intervals % SECOND).unwrap_or(0);
        Self {
            seconds: seconds.saturating_sub(EPOCH),
            nanos: rest.saturating_mul(100),
        }
    }

    /// The FILETIME of this moment; of one before 1601, 0.
    #[must_use]
    pub fn filetime(&self) -> u64 {
        let seconds = u64::try_from(self.seconds.saturating_add(EPOCH));
        let whole = seconds.map(|s| s.saturating_mul(SECOND));
        whole.map_or(0, |w| w.saturating_add(u64::from(self.nanos / 100)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_times_count_from_1601() {
        // python3 -c "import datetime as d; print(int((d.datetime(2024,2,29,12)-d.datetime(1601,1,1)).total_seconds()))"
        let noon = 13_353_681_600 * SECOND + 5;
        let time = Time {
            seconds: 1_709_208_000,
            nanos: 500,
        };
        assert_eq!((Time::of_filetime(noon), time.filetime()), (time, noon));
        assert_eq!(Time::of_filetime(0).seconds, -EPOCH);
        assert_eq!(Time::of_filetime(u64::MAX).filetime(), u64::MAX);
        let before = Time {
            seconds: -EPOCH - 1,
            nanos: 0,
        };
        assert_eq!(before.filetime(), 0);
    }
}
