//! Times as Windows keeps them.

/// Between 1601 and 1970, in seconds.
const EPOCH: i64 = 11_644_473_600;

/// Seconds since 1970 of a FILETIME (100-nanosecond intervals since 1601, UTC); `None` for 0 and for "never".
pub(crate) fn seconds(filetime: u64) -> Option<i64> {
    if filetime == 0 || filetime >= 0x7fff_ffff_ffff_ffff {
        return None;
    }
    let seconds = i64::try_from(filetime / 10_000_000).ok()?;
    seconds.checked_sub(EPOCH)
}

#[cfg(test)]
mod tests {
    use super::seconds;

    #[test]
    fn file_times_count_from_1601() {
        // python3 -c "import datetime as d; print(int((d.datetime(2024,2,29,12)-d.datetime(1601,1,1)).total_seconds()))"
        assert_eq!(seconds(13_353_681_600 * 10_000_000), Some(1_709_208_000));
        assert_eq!(seconds(0), None);
        assert_eq!(seconds(i64::MAX.unsigned_abs()), None);
        assert_eq!(seconds(10_000_000), Some(1 - 11_644_473_600));
    }
}
