//! DOS dates and times: local time without a zone, in steps of two seconds.

use h2k_fs::{Civil, Time};

/// Days from 1970-01-01 to a day of the proleptic Gregorian calendar, which need not exist (31 February is 3 March).
fn days(year: i64, month: i64, day: i64) -> i64 {
    // Years begin in March here, so that the leap day is the last day of its year.
    let shifted = month.saturating_add(9).rem_euclid(12);
    let year = year.saturating_sub(i64::from(shifted >= 10));
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = shifted
        .saturating_mul(153)
        .saturating_add(2)
        .div_euclid(5)
        .saturating_add(day)
        .saturating_sub(1);
    era.saturating_mul(146_097)
        .saturating_add(of_era.saturating_mul(365))
        .saturating_add(of_era / 4)
        .saturating_sub(of_era / 100)
        .saturating_add(of_year)
        .saturating_sub(719_468)
}

/// `date` and `time` as directory entries have them, with `tenth` hundredths of a second (0 to 199) on top. A date of
/// zero, which is none, gives the epoch.
pub(crate) fn stamp(date: u16, time: u16, tenth: u8) -> Time {
    if date == 0 {
        return Time::default();
    }
    let field = |value: u16, shift: u32, mask: u16| i64::from((value >> shift) & mask);
    let day = days(
        field(date, 9, 0x7f).saturating_add(1980),
        field(date, 5, 0xf).clamp(1, 12),
        field(date, 0, 0x1f).max(1),
    );
    let tenth = u32::from(tenth.min(199));
    let seconds = day
        .saturating_mul(86_400)
        .saturating_add(field(time, 11, 0x1f).min(23).saturating_mul(3600))
        .saturating_add(field(time, 5, 0x3f).min(59).saturating_mul(60))
        .saturating_add(field(time, 0, 0x1f).min(29).saturating_mul(2))
        .saturating_add(i64::from(tenth / 100));
    Time {
        seconds,
        nanos: (tenth % 100).saturating_mul(10_000_000),
    }
}

/// A moment as directory entries have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dos {
    pub(crate) date: u16,
    pub(crate) time: u16,
    /// Hundredths of a second on top, 0 to 199.
    pub(crate) tenth: u8,
}

/// What [`stamp`] reads as `time`; what lies before 1980 or after 2107 becomes the first or the last moment there is.
pub(crate) fn dos(time: Time) -> Dos {
    let civil = Civil::of(time.seconds);
    let Ok(year @ 0..=127) = u16::try_from(civil.year.saturating_sub(1980)) else {
        let (date, time, tenth) = if civil.year < 1980 {
            (1 << 5 | 1, 0, 0)
        } else {
            (127 << 9 | 12 << 5 | 31, 23 << 11 | 59 << 5 | 29, 199)
        };
        return Dos { date, time, tenth };
    };
    let nanos = u8::try_from(time.nanos / 10_000_000).unwrap_or(0).min(99);
    Dos {
        date: year << 9 | u16::from(civil.month) << 5 | u16::from(civil.day),
        time: u16::from(civil.hour) << 11 | u16::from(civil.minute) << 5 | u16::from(civil.second / 2),
        tenth: (civil.second % 2).saturating_mul(100).saturating_add(nanos),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_what_is_read() {
        for seconds in [315_532_800, 951_868_799, 1_790_000_001, 4_354_819_199] {
            let time = Time {
                seconds,
                nanos: 340_000_000,
            };
            let Dos { date, time: t, tenth } = dos(time);
            assert_eq!(stamp(date, t, tenth), time);
            assert_eq!(stamp(date, t, 0).seconds, seconds / 2 * 2);
        }
        let at = |seconds| {
            let d = dos(Time { seconds, nanos: 0 });
            stamp(d.date, d.time, d.tenth).seconds
        };
        assert_eq!((at(0), at(-5)), (315_532_800, 315_532_800));
        assert_eq!(at(4_354_819_200), 4_354_819_199);
        assert_eq!(at(i64::MAX), 4_354_819_199);
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        let at = |y: u16, m: u16, d: u16, time: u16, tenth| stamp((y - 1980) << 9 | m << 5 | d, time, tenth);
        let secs = |y, m, d| at(y, m, d, 0, 0).seconds;
        assert_eq!(secs(1980, 1, 1), 315_532_800);
        assert_eq!(secs(2000, 2, 29), 951_782_400);
        assert_eq!(secs(2000, 3, 1), 951_868_800);
        assert_eq!(secs(2107, 12, 31), 4_354_732_800);
        // 23:59:58, and 1.99 seconds on top.
        let last = at(2024, 12, 31, 23 << 11 | 59 << 5 | 29, 199);
        assert_eq!((last.seconds, last.nanos), (1_735_689_599, 990_000_000));
        assert_eq!(stamp(0, 0x1234, 5), Time::default());
    }
}
