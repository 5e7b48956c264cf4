//! Spans of time: `1h 30min`.
//!
//! Source: systemd.time(7), "Parsing time spans".

/// Microseconds in a second.
pub(crate) const SECOND: u64 = 1_000_000;

/// Names of a unit of time, and its length in microseconds. Months and years are those of systemd: 30.44 and 365.25
/// days.
const UNITS: [(&[&str], u64); 9] = [
    (&["years", "year", "y"], 31_557_600 * SECOND),
    (&["months", "month", "M"], 2_629_800 * SECOND),
    (&["weeks", "week", "w"], 604_800 * SECOND),
    (&["days", "day", "d"], 86_400 * SECOND),
    (&["hours", "hour", "hr", "h"], 3600 * SECOND),
    (&["minutes", "minute", "min", "m"], 60 * SECOND),
    (&["seconds", "second", "sec", "s"], SECOND),
    (&["msec", "ms"], 1000),
    (&["usec", "us", "µs", "μs"], 1),
];

/// As systemd writes them, the largest first.
const SHORT: [&str; 9] = ["y", "month", "w", "d", "h", "min", "s", "ms", "us"];

/// The microseconds of a span; a number alone counts seconds, `infinity` is [`u64::MAX`]. `None` for what is none.
#[must_use]
pub fn parse(text: &str) -> Option<u64> {
    let mut rest = text.trim();
    if rest == "infinity" {
        return Some(u64::MAX);
    }
    let mut total = 0_u64;
    let mut any = false;
    while !rest.is_empty() {
        let digits = rest.trim_start_matches(|c: char| c.is_ascii_digit());
        let whole = rest.strip_suffix(digits)?;
        let (fraction, after) = match digits.strip_prefix('.') {
            Some(tail) => {
                let after = tail.trim_start_matches(|c: char| c.is_ascii_digit());
                let fraction = tail.strip_suffix(after)?;
                if fraction.is_empty() {
                    return None;
                }
                (fraction, after)
            }
            None => ("", digits),
        };
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let after = after.trim_start();
        let end = after.find(|c: char| !c.is_alphabetic()).unwrap_or(after.len());
        let (word, tail) = after.split_at_checked(end)?;
        let unit = match word {
            "" => SECOND,
            word => UNITS.iter().find(|(names, _)| names.contains(&word))?.1,
        };
        let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
        total = total.checked_add(whole.checked_mul(unit)?)?;
        let mut part = unit;
        for digit in fraction.chars() {
            part /= 10;
            total = total.checked_add(u64::from(digit.to_digit(10)?).checked_mul(part)?)?;
        }
        any = true;
        rest = tail.trim_start();
    }
    (any && total != u64::MAX).then_some(total)
}

/// As `systemd-analyze timespan` writes it: `1h 30min`.
#[must_use]
pub fn human(span: u64) -> String {
    match span {
        u64::MAX => return "infinity".to_owned(),
        0 => return "0".to_owned(),
        _ => {}
    }
    let mut left = span;
    let mut out = Vec::new();
    for ((_, unit), short) in UNITS.iter().zip(SHORT) {
        let n = left.checked_div(*unit).unwrap_or(0);
        // What is less than a minute is written with a fraction.
        let rest = left.checked_rem(*unit).unwrap_or(0);
        let digits = match *unit {
            SECOND => 6,
            1000 => 3,
            _ => 0,
        };
        if n > 0 && digits > 0 && rest > 0 {
            out.push(format!("{n}.{rest:0digits$}{short}"));
            break;
        }
        if n > 0 {
            out.push(format!("{n}{short}"));
            left = rest;
        }
    }
    out.join(" ")
}
