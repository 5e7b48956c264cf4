/// Seconds since 1970 as `2026-11-20 12:22:00 UTC`.
pub(crate) fn utc(seconds: i64) -> String {
    const DAY: i64 = 86400;
    let day = seconds.div_euclid(DAY);
    let second = seconds.rem_euclid(DAY);
    let (year, month, date) = civil(day);
    let (h, m, s) = (
        second.div_euclid(3600),
        second.rem_euclid(3600).div_euclid(60),
        second.rem_euclid(60),
    );
    format!("{year:04}-{month:02}-{date:02} {h:02}:{m:02}:{s:02} UTC")
}

/// The Gregorian date of a day counted from 1970-01-01, by counting in eras of 400 years that begin on the 1st of
/// March, so that the leap day is the last of its year.
#[expect(
    clippy::arithmetic_side_effects,
    reason = "days come from 64-bit seconds, so every term stays far below 2^63, and all divisors are constants"
)]
fn civil(day: i64) -> (i64, i64, i64) {
    const ERA: i64 = 146_097;
    let shifted = day + 719_468; // days from 0000-03-01
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
    (year + era * 400, month, date)
}

#[cfg(test)]
mod tests {
    use super::utc;

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(utc(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(utc(951_782_400), "2000-02-29 00:00:00 UTC");
        assert_eq!(utc(1_795_177_320), "2026-11-20 12:22:00 UTC");
        assert_eq!(utc(-1), "1969-12-31 23:59:59 UTC");
    }
}
