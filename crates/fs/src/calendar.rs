//! Days and months.

use std::fmt;

/// A moment as a calendar and a clock show it. Displayed as `2026-11-20 12:22:00`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Civil {
    /// Year of the Gregorian calendar, also before it began.
    pub year: i64,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 59.
    pub second: u8,
}

const DAY: i64 = 86400;
/// Days in 400 years.
const ERA: i64 = 146_097;
/// Days from the 1st of March of the year 0 to 1970.
const SHIFT: i64 = 719_468;
/// Beyond this many days (some 200 million years) nothing is a date.
const FAR: i64 = 1 << 36;

impl Civil {
    /// What a clock shows `seconds` after 1970-01-01 00:00; for a place other than Greenwich, add its offset first.
    #[must_use]
    pub fn of(seconds: i64) -> Self {
        let (year, month, day) = date(seconds.div_euclid(DAY));
        let second = seconds.rem_euclid(DAY);
        Self {
            year,
            month,
            day,
            hour: small(second.div_euclid(3600)),
            minute: small(second.rem_euclid(3600).div_euclid(60)),
            second: small(second.rem_euclid(60)),
        }
    }

    /// Seconds since 1970-01-01 00:00; `None` where there is no such date or time.
    #[must_use]
    pub fn seconds(&self) -> Option<i64> {
        let days = days(self.year, self.month, self.day)?;
        let clock = i64::from(self.hour)
            .saturating_mul(3600)
            .saturating_add(i64::from(self.minute).saturating_mul(60))
            .saturating_add(i64::from(self.second));
        let seconds = days.saturating_mul(DAY).saturating_add(clock);
        (Self::of(seconds) == *self).then_some(seconds)
    }

    /// Day of the week as English has it, in three letters.
    #[must_use]
    pub fn weekday(&self) -> &'static str {
        const NAMES: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
        let day = days(self.year, self.month, self.day).unwrap_or_default();
        name(&NAMES, day.rem_euclid(7))
    }

    /// The month as English has it, in three letters.
    #[must_use]
    pub fn month_name(&self) -> &'static str {
        const NAMES: [&str; 12] = [
            "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
        ];
        name(&NAMES, i64::from(self.month).saturating_sub(1))
    }
}

impl fmt::Display for Civil {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            year,
            month,
            day,
            hour,
            minute,
            second,
        } = self;
        write!(
            f,
            "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}"
        )
    }
}

fn name(names: &[&'static str], n: i64) -> &'static str {
    usize::try_from(n)
        .ok()
        .and_then(|n| names.get(n))
        .copied()
        .unwrap_or("?")
}

fn small(n: i64) -> u8 {
    u8::try_from(n).unwrap_or_default()
}

/// The Gregorian date of a day counted from 1970-01-01, by counting in eras of 400 years that begin on the 1st of
/// March, so that the leap day is the last of its year.
#[expect(
    clippy::arithmetic_side_effects,
    reason = "days come from 64-bit seconds, so every term stays far below 2^63, and all divisors are constants"
)]
fn date(day: i64) -> (i64, u8, u8) {
    let shifted = day + SHIFT;
    let era = shifted.div_euclid(ERA);
    let of_era = shifted.rem_euclid(ERA);
    let year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153; // 0 is March
    let date = of_year - (153 * month + 2) / 5 + 1;
    let (year, month) = if month < 10 {
        (year, month + 3)
    } else {
        (year + 1, month - 9)
    };
    (year + era * 400, small(month), small(date))
}

/// The other way round; what is no date comes out as another one.
fn days(year: i64, month: u8, day: u8) -> Option<i64> {
    if !(1..=12).contains(&month) || year.unsigned_abs() > FAR.unsigned_abs() / 400 {
        return None;
    }
    let month = i64::from(month);
    let (year, of_march) = if month > 2 {
        (year, month.saturating_sub(3))
    } else {
        (year.saturating_sub(1), month.saturating_add(9))
    };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = of_march
        .saturating_mul(153)
        .saturating_add(2)
        .div_euclid(5)
        .saturating_add(i64::from(day))
        .saturating_sub(1);
    let leaps = of_era.div_euclid(4).saturating_sub(of_era.div_euclid(100));
    let day = of_era
        .saturating_mul(365)
        .saturating_add(leaps)
        .saturating_add(of_year);
    Some(era.saturating_mul(ERA).saturating_add(day).saturating_sub(SHIFT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(Civil::of(0).to_string(), "1970-01-01 00:00:00");
        assert_eq!(Civil::of(951_782_400).to_string(), "2000-02-29 00:00:00");
        assert_eq!(Civil::of(1_795_177_320).to_string(), "2026-11-20 12:22:00");
        assert_eq!(Civil::of(-1).to_string(), "1969-12-31 23:59:59");
        let now = Civil::of(1_795_177_320);
        assert_eq!((now.weekday(), now.month_name()), ("Fri", "Nov"));
    }

    #[test]
    fn a_date_leads_back_to_its_seconds() {
        let mut at: i64 = -70_000_000_000;
        while at < 300_000_000_000 {
            assert_eq!(Civil::of(at).seconds(), Some(at));
            at += 7_654_321;
        }
        let none = Civil {
            month: 2,
            day: 30,
            ..Civil::of(0)
        };
        assert_eq!(none.seconds(), None);
        assert_eq!(
            Civil {
                month: 13,
                ..Civil::of(0)
            }
            .seconds(),
            None
        );
        assert_eq!(
            Civil {
                hour: 24,
                ..Civil::of(0)
            }
            .seconds(),
            None
        );
    }
}
