//! Moments and boots, as journalctl's options name them.

use h2k_convert::Failure;
use h2k_fs::Civil;
use h2k_journal::{Boot, Id, Zone};

const MICRO: u64 = 1_000_000;

/// Microseconds since 1970 UTC of what `--since` and `--until` take. `last` is the time of the journal's last entry:
/// what is relative is counted from there, for a guest that is switched off has no now.
pub(super) fn moment(text: &str, last: u64, zone: &Zone<'_>) -> Result<u64, Failure> {
    let text = text.trim();
    let wrong = || {
        Failure::invalid(format!("{text} is no time"))
            .advise("write 2026-11-20, 2026-11-20 12:22:00, @1795177320, today, yesterday, now, -2h or -3d")
    };
    if let Some(unix) = text.strip_prefix('@') {
        return number(unix).ok_or_else(wrong);
    }
    if let Some(back) = text.strip_prefix('-') {
        return span(back).map(|span| last.saturating_sub(span)).ok_or_else(wrong);
    }
    let seconds = i64::try_from(last.div_euclid(MICRO)).unwrap_or(i64::MAX);
    let here = seconds.saturating_add(i64::from(zone(seconds).0));
    let midnight = here.saturating_sub(here.rem_euclid(86400));
    let (local, micro) = match text {
        "now" => return Ok(last),
        "today" => (midnight, 0),
        "yesterday" => (midnight.saturating_sub(86400), 0),
        _ => date(text).ok_or_else(wrong)?,
    };
    // The offset of a moment near the one that is meant; within the hour of a change of clocks either is right.
    let utc = local.saturating_sub(i64::from(zone(local).0));
    let utc = local.saturating_sub(i64::from(zone(utc).0));
    let seconds = u64::try_from(utc).map_err(|_| wrong())?;
    Ok(seconds.saturating_mul(MICRO).saturating_add(micro))
}

/// `2026-11-20[( |T)12:22[:00[.5]]]`, as if in Greenwich: seconds and microseconds.
fn date(text: &str) -> Option<(i64, u64)> {
    let text = text.strip_suffix(" UTC").unwrap_or(text);
    let (date, clock) = text.split_once([' ', 'T']).unwrap_or((text, "00:00"));
    let mut parts = date.split('-');
    let civil = Civil {
        year: parts.next()?.parse().ok()?,
        month: parts.next()?.parse().ok()?,
        day: parts.next()?.parse().ok()?,
        hour: 0,
        minute: 0,
        second: 0,
    };
    if parts.next().is_some() {
        return None;
    }
    let mut parts = clock.split(':');
    let (hour, minute) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    let (second, micro) = match parts.next() {
        None => (0, 0),
        Some(second) => {
            let all = number(second)?;
            (u8::try_from(all.div_euclid(MICRO)).ok()?, all.rem_euclid(MICRO))
        }
    };
    let civil = Civil {
        hour,
        minute,
        second,
        ..civil
    };
    Some((civil.seconds()?, micro))
}

/// Seconds with or without a fraction, as microseconds.
fn number(text: &str) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    if part.len() > 6 || !part.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let micro: u64 = format!("{part:0<6}").parse().ok()?;
    whole.parse::<u64>().ok()?.checked_mul(MICRO)?.checked_add(micro)
}

/// `2h`, `1d12h`, `90` (seconds).
fn span(text: &str) -> Option<u64> {
    let mut rest = text.trim();
    let mut sum: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (count, after) = rest.split_at_checked(digits)?;
        let letters = after.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, after) = after.split_at_checked(letters)?;
        let unit: u64 = match unit {
            "" | "s" | "sec" | "second" | "seconds" => 1,
            "m" | "min" | "minute" | "minutes" => 60,
            "h" | "hour" | "hours" => 3600,
            "d" | "day" | "days" => 86400,
            "w" | "week" | "weeks" => 604_800,
            _ => return None,
        };
        let seconds = count.parse::<u64>().ok()?.checked_mul(unit)?;
        sum = sum.checked_add(seconds.checked_mul(MICRO)?)?;
        rest = after.trim_start();
    }
    Some(sum)
}

/// The boot that `-b` names: a number, or a distance. `0` and `-1` count back from the last, `1` and `2` forward from
/// the first.
pub(super) fn boot(text: &str, boots: &[Boot]) -> Result<Id, Failure> {
    if let Some(id) = Id::parse(text.as_bytes()) {
        return Ok(id);
    }
    let known = boots.len();
    let missing = || {
        Failure::from(h2k_block::Error::new(
            h2k_block::Class::NotFound,
            format!("the journal has no boot {text}: it knows {known}"),
        ))
        .advise("hyper2kvm journal boots lists them")
    };
    let count: isize = text.parse().map_err(|_| {
        Failure::invalid(format!("{text} is no boot")).advise(
            "write a boot's 32 digits, 0 for the last, -1 for the one before, 1 for the first, or all",
        )
    })?;
    let at = match count {
        1.. => usize::try_from(count).ok().and_then(|n| n.checked_sub(1)),
        _ => known.checked_sub(count.unsigned_abs().saturating_add(1)),
    };
    at.and_then(|at| boots.get(at))
        .map(|boot| boot.id)
        .ok_or_else(missing)
}

#[cfg(test)]
mod tests {
    use super::*;
    use h2k_journal::utc;

    #[test]
    fn moments_are_those_of_journalctl() {
        let last = 1_795_177_320 * MICRO;
        let plus = |_: i64| (3600, "CET".to_owned());
        let at = |text: &str| moment(text, last, &utc).unwrap().div_euclid(MICRO);
        assert_eq!(at("@5"), 5);
        assert_eq!(moment("@5.25", last, &utc).unwrap(), 5_250_000);
        assert_eq!(at("2026-11-20 12:22:00"), 1_795_177_320);
        assert_eq!(at("2026-11-20T12:22"), 1_795_177_320);
        assert_eq!(at("2026-11-20"), 1_795_132_800);
        assert_eq!(at("today"), 1_795_132_800);
        assert_eq!(at("yesterday"), 1_795_132_800 - 86400);
        assert_eq!(at("-1h30min"), 1_795_177_320 - 5400);
        assert_eq!(moment("2026-11-20 13:22:00", last, &plus).unwrap(), last);
        for wrong in [
            "",
            "2026",
            "2026-13-01",
            "2026-11-20 25:00",
            "-5parsec",
            "soon",
            "@x",
        ] {
            assert!(moment(wrong, last, &utc).is_err(), "{wrong}");
        }
    }

    #[test]
    fn boots_count_from_either_end() {
        let boots = [1, 2, 3].map(|n| Boot {
            id: Id([n; 16]),
            first: 0,
            last: 0,
            entries: 0,
        });
        let named = |text: &str| boot(text, &boots).map(|id| id.0[0]).ok();
        assert_eq!(
            ["0", "-1", "-2", "-3"].map(named),
            [Some(3), Some(2), Some(1), None]
        );
        assert_eq!(["1", "3", "4", "x"].map(named), [Some(1), Some(3), None, None]);
        assert_eq!(named(&"07".repeat(16)), Some(7));
    }
}
