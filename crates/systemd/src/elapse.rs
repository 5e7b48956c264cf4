//! When a calendar expression comes true next.

use crate::calendar::{Calendar, Part};
use crate::span::SECOND;

/// A day of the Gregorian calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Date {
    pub(crate) year: u64,
    pub(crate) month: u64,
    pub(crate) day: u64,
}

/// A time of the day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Clock {
    pub(crate) hour: u64,
    pub(crate) minute: u64,
    /// Seconds, in microseconds.
    pub(crate) micros: u64,
}

const MIDNIGHT: Clock = Clock {
    hour: 0,
    minute: 0,
    micros: 0,
};

/// The last year systemd reckons with.
const LAST: u64 = 2199;

const DAY: i64 = 86_400_000_000;

/// A local clock: how far it is ahead of UTC.
pub trait Zone {
    /// Microseconds that local time is ahead of UTC, at `utc` microseconds since 1970 UTC.
    fn ahead(&self, utc: i64) -> i64;
}

/// UTC itself.
#[derive(Clone, Copy, Debug)]
pub struct Utc;

impl Zone for Utc {
    fn ahead(&self, _: i64) -> i64 {
        0
    }
}

/// The day and time of `micros` since 1970 on a clock that shows it; before 1970 it is 1970.
pub(crate) fn civil(micros: i64) -> (Date, Clock) {
    let micros = micros.max(0);
    let days = u64::try_from(micros.checked_div(DAY).unwrap_or(0)).unwrap_or(0);
    let rest = u64::try_from(micros.checked_rem(DAY).unwrap_or(0)).unwrap_or(0);
    // Days since 0000-03-01, in eras of 400 years.
    let z = days.saturating_add(719_468);
    let era = z / 146_097;
    let of_era = z % 146_097;
    let year = of_era
        .saturating_sub(of_era / 1460)
        .saturating_add(of_era / 36_524)
        .saturating_sub(of_era / 146_096)
        / 365;
    let before = year
        .saturating_mul(365)
        .saturating_add(year / 4)
        .saturating_sub(year / 100);
    let of_year = of_era.saturating_sub(before);
    let month = of_year.saturating_mul(5).saturating_add(2) / 153;
    let day = of_year
        .saturating_sub(month.saturating_mul(153).saturating_add(2) / 5)
        .saturating_add(1);
    let (month, next) = if month < 10 {
        (month.saturating_add(3), 0)
    } else {
        (month.saturating_sub(9), 1)
    };
    let year = era.saturating_mul(400).saturating_add(year).saturating_add(next);
    let seconds = rest / SECOND;
    let (hour, minute) = (seconds / 3600, seconds / 60 % 60);
    let micros = (seconds % 60)
        .saturating_mul(SECOND)
        .saturating_add(rest % SECOND);
    (Date { year, month, day }, Clock { hour, minute, micros })
}

/// Microseconds since 1970 of a day and time, on a clock that shows them.
pub(crate) fn micros(date: Date, clock: Clock) -> i64 {
    let late = u64::from(date.month <= 2);
    let year = date.year.saturating_sub(late);
    let era = year / 400;
    let of_era = year % 400;
    let month = if date.month > 2 {
        date.month.saturating_sub(3)
    } else {
        date.month.saturating_add(9)
    };
    let of_year = month.saturating_mul(153).saturating_add(2) / 5;
    let of_year = of_year.saturating_add(date.day).saturating_sub(1);
    let days = era
        .saturating_mul(146_097)
        .saturating_add(of_era.saturating_mul(365))
        .saturating_add(of_era / 4)
        .saturating_sub(of_era / 100)
        .saturating_add(of_year);
    let days = i64::try_from(days).unwrap_or(i64::MAX).saturating_sub(719_468);
    let seconds = clock
        .hour
        .saturating_mul(60)
        .saturating_add(clock.minute)
        .saturating_mul(60);
    let rest = seconds.saturating_mul(SECOND).saturating_add(clock.micros);
    days.saturating_mul(DAY)
        .saturating_add(i64::try_from(rest).unwrap_or(i64::MAX))
}

fn month_days(date: Date) -> u64 {
    let leap =
        date.year.is_multiple_of(4) && (!date.year.is_multiple_of(100) || date.year.is_multiple_of(400));
    match date.month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// The first value of `parts` that is not less than `from`.
fn first(parts: &[Part], from: u64, end: Option<u64>) -> Option<u64> {
    if parts.is_empty() {
        return Some(from);
    }
    let values = parts.iter().filter_map(|part| {
        let (mut start, mut stop) = (part.start, part.stop);
        // Counted from the end of the month, which has `end` days.
        if let Some(end) = end {
            start = end.saturating_add(1).checked_sub(start)?;
            stop = stop.and_then(|s| end.saturating_add(1).checked_sub(s));
            if let Some(other) = stop
                && other < start
            {
                (start, stop) = (other, Some(start));
            }
        }
        if from <= start {
            return Some(start);
        }
        let steps = from
            .saturating_sub(start)
            .div_ceil(Some(part.step).filter(|s| *s > 0)?);
        let value = start.saturating_add(steps.saturating_mul(part.step));
        (value <= stop.unwrap_or(u64::MAX)).then_some(value)
    });
    values.min()
}

impl Calendar {
    /// When it comes true next after `after` (microseconds since 1970 UTC), where clocks show `zone`. `None` when never
    /// again. An expression that names UTC is asked of UTC's clock.
    #[must_use]
    pub fn next(&self, after: i64, zone: &dyn Zone) -> Option<i64> {
        let zone: &dyn Zone = if self.zone.as_deref() == Some("UTC") {
            &Utc
        } else {
            zone
        };
        let mut local = after.saturating_add(zone.ahead(after)).saturating_add(1);
        // Where clocks are put forward, what they never show is passed over.
        for _ in 0..64 {
            let (date, clock) = civil(local);
            let (date, clock) = self.matching(date, clock)?;
            let shown = micros(date, clock);
            for guess in [shown, after] {
                let utc = shown.saturating_sub(zone.ahead(shown.saturating_sub(zone.ahead(guess))));
                if utc > after && utc.saturating_add(zone.ahead(utc)) == shown {
                    return Some(utc);
                }
            }
            local = shown.saturating_add(1);
        }
        None
    }

    /// The first day and time that match, not before these.
    fn matching(&self, date: Date, clock: Clock) -> Option<(Date, Clock)> {
        let mut date = date;
        let mut clock = Some(clock);
        let mut year = date.year;
        loop {
            let found = first(&self.years, year, None).filter(|y| *y <= LAST)?;
            if found != date.year {
                date = Date {
                    year: found,
                    month: 1,
                    day: 1,
                };
                clock = Some(MIDNIGHT);
            }
            while let Some(month) = first(&self.months, date.month, None).filter(|m| *m <= 12) {
                if month != date.month {
                    date = Date {
                        month,
                        day: 1,
                        ..date
                    };
                    clock = Some(MIDNIGHT);
                }
                if let Some(found) = self.in_month(&mut date, &mut clock) {
                    return Some((date, found));
                }
                date = Date {
                    month: month.saturating_add(1),
                    day: 1,
                    ..date
                };
                clock = Some(MIDNIGHT);
            }
            year = date.year.saturating_add(1);
            date = Date {
                year,
                month: 1,
                day: 1,
            };
            clock = Some(MIDNIGHT);
            if year > LAST {
                return None;
            }
        }
    }

    fn in_month(&self, date: &mut Date, clock: &mut Option<Clock>) -> Option<Clock> {
        let end = month_days(*date);
        loop {
            let day = first(&self.days, date.day, self.from_end.then_some(end)).filter(|d| *d <= end)?;
            if day != date.day {
                date.day = day;
                *clock = Some(MIDNIGHT);
            }
            if self.on(*date)
                && let Some(found) = self.time_from(clock.unwrap_or(MIDNIGHT))
            {
                return Some(found);
            }
            date.day = day.saturating_add(1);
            *clock = Some(MIDNIGHT);
        }
    }

    /// Whether the weekday of `date` is one of ours.
    fn on(&self, date: Date) -> bool {
        let days = micros(date, MIDNIGHT).checked_div(DAY).unwrap_or(0);
        // 1970 began on a Thursday.
        let weekday = days.saturating_add(3).rem_euclid(7);
        let bit = 1_u8.checked_shl(u32::try_from(weekday).unwrap_or(0)).unwrap_or(0);
        self.weekdays == 0 || self.weekdays & bit != 0
    }

    fn time_from(&self, from: Clock) -> Option<Clock> {
        let mut hour = from.hour;
        loop {
            let found = first(&self.hours, hour, None).filter(|h| *h < 24)?;
            let mut minute = if found == from.hour { from.minute } else { 0 };
            while let Some(m) = first(&self.minutes, minute, None).filter(|m| *m < 60) {
                let same = found == from.hour && m == from.minute;
                let micros = if same { from.micros } else { 0 };
                let whole = SECOND.saturating_mul(60);
                if let Some(micros) = first(&self.seconds, micros, None).filter(|s| *s < whole) {
                    return Some(Clock {
                        hour: found,
                        minute: m,
                        micros,
                    });
                }
                minute = m.saturating_add(1);
            }
            hour = found.saturating_add(1);
        }
    }
}
