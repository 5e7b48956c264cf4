//! Dates: seven bytes in records, seventeen digits in descriptors.

use h2k_fs::Time;

/// Seconds since 1970 of a moment of the Gregorian calendar, `quarters` of an hour east of UTC.
pub(crate) fn seconds(date: [i64; 3], clock: [i64; 3], quarters: i64) -> i64 {
    let [year, month, day] = date;
    let [hour, minute, second] = clock;
    // Years begin in March here, so that the leap day is the last day of its year.
    let shifted = month.saturating_add(9).rem_euclid(12);
    let year = year.saturating_sub(i64::from(shifted >= 10));
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = shifted.saturating_mul(153).saturating_add(2).div_euclid(5);
    let days = era
        .saturating_mul(146_097)
        .saturating_add(of_era.saturating_mul(365))
        .saturating_add(of_era / 4)
        .saturating_sub(of_era / 100)
        .saturating_add(of_year)
        .saturating_add(day)
        .saturating_sub(719_469);
    days.saturating_mul(86_400)
        .saturating_add(hour.saturating_mul(3600))
        .saturating_add(minute.saturating_mul(60))
        .saturating_add(second)
        .saturating_sub(quarters.saturating_mul(900))
}

/// The date of a record (9.1.5); none where all is zero.
pub(crate) fn short(bytes: [u8; 7]) -> Option<Time> {
    if bytes == [0; 7] {
        return None;
    }
    let [year, month, day, hour, minute, second, zone] = bytes;
    let date = [i64::from(year).saturating_add(1900), month.into(), day.into()];
    Some(Time {
        seconds: seconds(
            date,
            [hour, minute, second].map(i64::from),
            i8::from_le_bytes([zone]).into(),
        ),
        nanos: 0,
    })
}

/// The date of a descriptor (8.4.26.1), which Rock Ridge uses too; none where the digits are none or all zero.
pub(crate) fn long(bytes: &[u8; 17]) -> Option<Time> {
    let (digits, zone) = bytes.split_at(16);
    if digits.iter().all(|b| *b == b'0') || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = |from: usize, len: usize| -> i64 {
        let part = digits.iter().skip(from).take(len);
        part.fold(0_i64, |n, b| {
            n.saturating_mul(10)
                .saturating_add(i64::from(b.saturating_sub(b'0')))
        })
    };
    let zone = zone.first().map_or(0, |z| i64::from(i8::from_le_bytes([*z])));
    Some(Time {
        seconds: seconds(
            [number(0, 4), number(4, 2), number(6, 2)],
            [number(8, 2), number(10, 2), number(12, 2)],
            zone,
        ),
        nanos: u32::try_from(number(14, 2))
            .unwrap_or(0)
            .saturating_mul(10_000_000),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_count() {
        let utc = short([121, 7, 9, 13, 14, 16, 0]).unwrap();
        assert_eq!(utc.seconds, 1_625_836_456);
        // Two hours east: eight quarters.
        assert_eq!(short([121, 7, 9, 15, 14, 16, 8]), Some(utc));
        assert_eq!(short([121, 7, 9, 8, 14, 16, 0u8.wrapping_sub(20)]), Some(utc));
        let full = long(b"2021070913141650\0").unwrap();
        assert_eq!((full.seconds, full.nanos), (1_625_836_456, 500_000_000));
        assert_eq!(long(b"0000000000000000\0"), None);
        assert_eq!(short([0; 7]), None);
    }
}
