//! When a calendar expression comes true next.

use crate::calendar::{Calendar, Part};
use crate::span::SECOND;
use crate::zone::{Clocks, TimeZone};
use h2k_fs::Civil;

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

/// In seconds.
const DAY: i64 = 86_400;
/// Microseconds of a second.
const MICRO: i64 = 1_000_000;

/// The day and time of `micros` since 1970 on a clock that shows it; before 1970 it is 1970.
pub(crate) fn civil(micros: i64) -> (Date, Clock) {
    let micros = micros.max(0);
    let shown = Civil::of(micros.div_euclid(MICRO));
    let rest = u64::try_from(micros.rem_euclid(MICRO)).unwrap_or(0);
    let date = Date {
        year: u64::try_from(shown.year).unwrap_or(0),
        month: u64::from(shown.month),
        day: u64::from(shown.day),
    };
    let clock = Clock {
        hour: u64::from(shown.hour),
        minute: u64::from(shown.minute),
        micros: u64::from(shown.second)
            .saturating_mul(SECOND)
            .saturating_add(rest),
    };
    (date, clock)
}

/// Seconds since 1970 of a day and time, on a clock that shows them, and microseconds besides; `None` where there is no
/// such day.
fn seconds(date: Date, clock: Clock) -> Option<(i64, i64)> {
    let shown = Civil {
        year: i64::try_from(date.year).ok()?,
        month: u8::try_from(date.month).ok()?,
        day: u8::try_from(date.day).ok()?,
        hour: u8::try_from(clock.hour).ok()?,
        minute: u8::try_from(clock.minute).ok()?,
        second: u8::try_from(clock.micros / SECOND).ok()?,
    };
    Some((shown.seconds()?, i64::try_from(clock.micros % SECOND).ok()?))
}

/// When a clock of `zone` shows these seconds since 1970, `rest` microseconds further, the first time after `after`.
/// Where clocks are put back that may be twice, where they are put forward never.
fn first_shown(zone: &TimeZone, (shown, rest): (i64, i64), after: i64) -> Option<i64> {
    let around = [
        shown.saturating_sub(DAY),
        shown.saturating_add(DAY),
        after.div_euclid(MICRO),
    ];
    let moments = around.iter().map(|near| shown.saturating_sub(zone.ahead(*near)));
    let real = moments.filter(|utc| utc.saturating_add(zone.ahead(*utc)) == shown);
    let micros = real.map(|utc| utc.saturating_mul(MICRO).saturating_add(rest));
    micros.filter(|utc| *utc > after).min()
}

fn month_days(date: Date) -> u64 {
    let there = |day: &u64| seconds(Date { day: *day, ..date }, MIDNIGHT).is_some();
    (29..=31).rev().find(there).unwrap_or(28)
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
    /// When it comes true next after `after` (microseconds since 1970 UTC), on the guest's own clocks or those of the
    /// place that it names. `None` when never again, or where the guest has no data of that place.
    #[must_use]
    pub fn next(&self, after: i64, clocks: &Clocks<'_>) -> Option<i64> {
        let zone = clocks.zone(self.zone())?;
        let ahead = zone.ahead(after.div_euclid(MICRO)).saturating_mul(MICRO);
        let mut local = after.saturating_add(ahead).saturating_add(1);
        // Where clocks are put forward, what they never show is passed over.
        for _ in 0..64 {
            let (date, clock) = civil(local);
            let (date, clock) = self.matching(date, clock)?;
            let (shown, rest) = seconds(date, clock)?;
            if let Some(utc) = first_shown(&zone, (shown, rest), after) {
                return Some(utc);
            }
            local = shown.saturating_mul(MICRO).saturating_add(rest).saturating_add(1);
        }
        None
    }

    /// The time zone that it names: `UTC`, `Europe/Paris`.
    #[must_use]
    pub fn zone(&self) -> Option<&str> {
        self.zone.as_deref()
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
        let days = seconds(date, MIDNIGHT).map_or(0, |(seconds, _)| seconds.div_euclid(DAY));
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
