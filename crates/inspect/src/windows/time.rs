//! Times as Windows keeps them.

use h2k_fs::Time;

/// Seconds since 1970 of a FILETIME; `None` for 0 and for "never".
pub(crate) fn seconds(filetime: u64) -> Option<i64> {
    let is_moment = filetime != 0 && filetime < 0x7fff_ffff_ffff_ffff;
    is_moment.then(|| Time::of_filetime(filetime).seconds)
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
