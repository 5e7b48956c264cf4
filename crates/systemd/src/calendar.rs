//! Calendar expressions: `Mon..Fri *-*-* 02:00`.
//!
//! Source: systemd.time(7), "Calendar events". What it leaves open was asked of `systemd-analyze calendar`.

use crate::span::SECOND;
use std::fmt;

/// One part of a list: a value, a range, a value with repetitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Part {
    pub(crate) start: u64,
    pub(crate) stop: Option<u64>,
    /// 0 for none.
    pub(crate) step: u64,
}

/// A calendar expression. An empty list stands for every value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Calendar {
    /// Bit 0 is Monday; none set stands for every day.
    pub(crate) weekdays: u8,
    pub(crate) years: Vec<Part>,
    pub(crate) months: Vec<Part>,
    pub(crate) days: Vec<Part>,
    /// Whether days count from the end of the month.
    pub(crate) from_end: bool,
    pub(crate) hours: Vec<Part>,
    pub(crate) minutes: Vec<Part>,
    /// In microseconds.
    pub(crate) seconds: Vec<Part>,
    /// The zone named at the end: `UTC`, `Europe/Paris`.
    pub(crate) zone: Option<String>,
}

const WEEKDAYS: [(&str, &str); 7] = [
    ("Monday", "Mon"),
    ("Tuesday", "Tue"),
    ("Wednesday", "Wed"),
    ("Thursday", "Thu"),
    ("Friday", "Fri"),
    ("Saturday", "Sat"),
    ("Sunday", "Sun"),
];

const WORDS: [(&str, &str); 12] = [
    ("minutely", "*-*-* *:*:00"),
    ("hourly", "*-*-* *:00:00"),
    ("daily", "*-*-* 00:00:00"),
    ("monthly", "*-*-01 00:00:00"),
    ("annually", "*-01-01 00:00:00"),
    ("yearly", "*-01-01 00:00:00"),
    ("anually", "*-01-01 00:00:00"),
    ("weekly", "Mon *-*-* 00:00:00"),
    ("quarterly", "*-01,04,07,10-01 00:00:00"),
    ("semiannually", "*-01,07-01 00:00:00"),
    ("biannually", "*-01,07-01 00:00:00"),
    ("bi-annually", "*-01,07-01 00:00:00"),
];

/// Parts of one list. More are refused: nobody writes them.
const MOST: usize = 240;

/// Longest expression. Real ones have some dozen characters.
const LONGEST: usize = 4096;

impl Calendar {
    /// The expression `text`; `None` where it is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.is_empty() || text.len() > LONGEST {
            return None;
        }
        let (text, zone) = zone(text);
        let lower = text.to_ascii_lowercase();
        let word = WORDS.iter().find(|(word, _)| *word == lower);
        let word = word.or_else(|| (lower == "semi-annually").then_some(&WORDS[9]));
        let mut out = Self::plain(word.map_or(text, |(_, meaning)| meaning))?;
        out.zone = out.zone.or(zone);
        out = out.normal();
        out.check().then_some(out)
    }

    fn plain(text: &str) -> Option<Self> {
        let mut out = Self::default();
        let mut rest = out.days_of_week(text)?.trim_start();
        if let Some(date) = rest.split(' ').next().filter(|word| is_date(word)) {
            rest = rest.strip_prefix(date)?.trim_start();
            if let Some(stamp) = date.strip_prefix('@') {
                return (rest.is_empty() && out.weekdays == 0)
                    .then(|| Self::at(stamp))
                    .flatten();
            }
            out.date(date)?;
        }
        out.time(rest)?;
        Some(out)
    }

    /// `@1234`: seconds since 1970 UTC.
    fn at(stamp: &str) -> Option<Self> {
        let seconds: i64 = stamp.parse().ok().filter(|s| *s >= 0)?;
        let (date, time) = crate::elapse::civil(seconds.checked_mul(1_000_000)?);
        let one = |start: u64| {
            vec![Part {
                start,
                stop: None,
                step: 0,
            }]
        };
        Some(Self {
            years: one(date.year),
            months: one(date.month),
            days: one(date.day),
            hours: one(time.hour),
            minutes: one(time.minute),
            seconds: one(time.micros),
            zone: Some("UTC".to_owned()),
            ..Self::default()
        })
    }

    /// Takes weekdays off the beginning.
    fn days_of_week<'t>(&mut self, text: &'t str) -> Option<&'t str> {
        let Some(word) = text
            .split(' ')
            .next()
            .filter(|w| w.starts_with(|c: char| c.is_ascii_alphabetic()))
        else {
            return Some(text);
        };
        for item in word.trim_end_matches(',').split(',') {
            let ends = item.split_once("..").or_else(|| item.split_once('-'));
            let (from, to) = ends.unwrap_or((item, item));
            let (mut from, to) = (weekday(from)?, weekday(to)?);
            if ends.is_some() && from > to {
                return None;
            }
            while from <= to {
                self.weekdays |= 1_u8.checked_shl(from)?;
                from = from.saturating_add(1);
            }
        }
        if self.weekdays == 127 {
            self.weekdays = 0;
        }
        text.strip_prefix(word)
    }

    fn date(&mut self, text: &str) -> Option<()> {
        let (head, last, from_end) = match text.rsplit_once('~') {
            Some((head, last)) => (head, last, true),
            None => {
                let (head, last) = text.rsplit_once('-')?;
                (head, last, false)
            }
        };
        self.days = list(last, 1)?;
        self.from_end = from_end && !self.days.is_empty();
        match head.split_once('-') {
            Some((year, month)) => {
                self.years = list(year, 1)?;
                self.months = list(month, 1)?;
                for part in &mut self.years {
                    part.start = century(part.start);
                    part.stop = part.stop.map(century);
                }
            }
            None => self.months = list(head, 1)?,
        }
        Some(())
    }

    fn time(&mut self, text: &str) -> Option<()> {
        let midnight = || {
            vec![Part {
                start: 0,
                stop: None,
                step: 0,
            }]
        };
        if text.is_empty() {
            self.hours = midnight();
            self.minutes = midnight();
            self.seconds = midnight();
            return Some(());
        }
        let mut fields = text.split(':');
        self.hours = list(fields.next()?, 1)?;
        self.minutes = list(fields.next()?, 1)?;
        self.seconds = match fields.next() {
            None => midnight(),
            Some("*") => vec![Part {
                start: 0,
                stop: None,
                step: SECOND,
            }],
            Some(seconds) => list(seconds, SECOND)?,
        };
        fields.next().is_none().then_some(())
    }

    fn check(&self) -> bool {
        let fits = |parts: &[Part], from: u64, to: u64| {
            parts.iter().all(|p| {
                let stop = p.stop.unwrap_or(p.start);
                let again = p.start.saturating_add(p.step) <= to;
                p.start >= from && stop <= to && p.start <= stop && again
            })
        };
        let days = match self.from_end {
            true => self.days.iter().all(|p| {
                let stop = p.stop.unwrap_or(p.start);
                // Repetitions go up to the last day, which is number 1.
                let again = p.step == 0 || p.stop.is_some() || p.start > p.step;
                p.start >= 1 && p.start <= stop && stop <= 28 && again
            }),
            false => fits(&self.days, 1, 31),
        };
        fits(&self.years, 1970, 2199)
            && fits(&self.months, 1, 12)
            && days
            && fits(&self.hours, 0, 23)
            && fits(&self.minutes, 0, 59)
            && fits(&self.seconds, 0, SECOND.saturating_mul(60).saturating_sub(1))
    }

    fn normal(mut self) -> Self {
        for parts in [
            &mut self.years,
            &mut self.months,
            &mut self.days,
            &mut self.hours,
            &mut self.minutes,
            &mut self.seconds,
        ] {
            for part in parts.iter_mut() {
                if let Some(stop) = part.stop
                    && part.step > 0
                {
                    let length = stop.saturating_sub(part.start);
                    let stop = stop.saturating_sub(length.checked_rem(part.step).unwrap_or(0));
                    part.stop = (stop > part.start).then_some(stop);
                    if part.stop.is_none() {
                        part.step = 0;
                    }
                }
            }
            parts.sort();
            parts.dedup();
        }
        self
    }
}

/// Takes a zone off the end.
fn zone(text: &str) -> (&str, Option<String>) {
    let Some((head, last)) = text.rsplit_once(' ') else {
        return (text, None);
    };
    if last.eq_ignore_ascii_case("UTC") {
        return (head.trim_end(), Some("UTC".to_owned()));
    }
    let name = |c: char| c.is_ascii_alphanumeric() || "/_+-".contains(c);
    let begins = last.starts_with(|c: char| c.is_ascii_alphabetic());
    let word = begins && last.chars().all(name) && weekday(last).is_none();
    // A list of weekdays alone has no blank in front of it.
    match word && !last.contains("..") {
        true => (head.trim_end(), Some(last.to_owned())),
        false => (text, None),
    }
}

fn is_date(word: &str) -> bool {
    word.contains(['-', '~', '@'])
}

fn weekday(text: &str) -> Option<u32> {
    let mut all = WEEKDAYS.iter().zip(0_u32..);
    let found =
        all.find(|((long, short), _)| text.eq_ignore_ascii_case(long) || text.eq_ignore_ascii_case(short));
    found.map(|(_, i)| i)
}

/// Two digits stand for a year of 1970 to 2069.
fn century(year: u64) -> u64 {
    match year {
        0..=69 => year.saturating_add(2000),
        70..=99 => year.saturating_add(1900),
        _ => year,
    }
}

/// A list of values in units of `unit`; more than one unit allows fractions.
fn list(text: &str, unit: u64) -> Option<Vec<Part>> {
    if text == "*" {
        return Some(Vec::new());
    }
    let mut out = Vec::new();
    for item in text.split(',') {
        let (range, step) = match item.split_once('/') {
            Some((range, step)) => (range, Some(number(step, unit)?)),
            None => (item, None),
        };
        let (start, stop) = match range.split_once("..") {
            Some((start, stop)) => (number(start, unit)?, Some(number(stop, unit)?)),
            None => (number(range, unit)?, None),
        };
        // Oddly, a range of seconds may not be one second long, unless its step is given.
        let short = unit > 1 && stop == Some(start) && step.is_none();
        let turned = stop.is_some_and(|stop| stop < start);
        if step == Some(0) || short || turned || out.len() >= MOST {
            return None;
        }
        out.push(Part {
            start,
            stop,
            step: step.unwrap_or(if stop.is_some() { unit } else { 0 }),
        });
    }
    Some(out)
}

fn number(text: &str, unit: u64) -> Option<u64> {
    let (whole, fraction) = match text.split_once('.') {
        Some((whole, fraction)) if unit > 1 => (whole, fraction),
        Some(_) => return None,
        None => (text, ""),
    };
    let digits = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || whole.len() > 9 || !digits(whole) || !digits(fraction) {
        return None;
    }
    let mut out = whole.parse::<u64>().ok()?.checked_mul(unit)?;
    let mut part = unit;
    for (digit, i) in fraction.chars().zip(0_usize..) {
        let digit = u64::from(digit.to_digit(10)?);
        part /= 10;
        // Behind the microseconds the next digit decides which way to round.
        out = out.saturating_add(digit.saturating_mul(part));
        if i == 6 && digit >= 5 {
            out = out.saturating_add(1);
        }
    }
    Some(out)
}

impl fmt::Display for Calendar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.weekdays != 0 {
            weekdays(self.weekdays, f)?;
            f.write_str(" ")?;
        }
        show(&self.years, 4, 1, f)?;
        f.write_str("-")?;
        show(&self.months, 2, 1, f)?;
        f.write_str(if self.from_end { "~" } else { "-" })?;
        show(&self.days, 2, 1, f)?;
        f.write_str(" ")?;
        show(&self.hours, 2, 1, f)?;
        f.write_str(":")?;
        show(&self.minutes, 2, 1, f)?;
        f.write_str(":")?;
        show(&self.seconds, 2, SECOND, f)?;
        match &self.zone {
            Some(zone) => write!(f, " {zone}"),
            None => Ok(()),
        }
    }
}

fn weekdays(set: u8, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for day in 0..7_usize {
        let shift = u32::try_from(day).unwrap_or(0);
        if set.checked_shr(shift).unwrap_or(0) & 1 == 0 {
            continue;
        }
        match runs.last_mut() {
            Some((_, last)) if last.saturating_add(1) == day => *last = day,
            _ => runs.push((day, day)),
        }
    }
    let short = |day: usize| WEEKDAYS.get(day).map_or("", |(_, short)| *short);
    for (i, (from, to)) in runs.into_iter().enumerate() {
        if i > 0 {
            f.write_str(",")?;
        }
        f.write_str(short(from))?;
        match to.saturating_sub(from) {
            0 => {}
            1 => write!(f, ",{}", short(to))?,
            _ => write!(f, "..{}", short(to))?,
        }
    }
    Ok(())
}

fn show(parts: &[Part], width: usize, unit: u64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let every = matches!(parts, [Part { start: 0, stop: None, step }] if unit > 1 && *step == unit);
    if parts.is_empty() || every {
        return f.write_str("*");
    }
    let value = |n: u64, width: usize, f: &mut fmt::Formatter<'_>| {
        let (whole, rest) = (n.checked_div(unit).unwrap_or(0), n.checked_rem(unit).unwrap_or(0));
        write!(f, "{whole:0width$}")?;
        if rest > 0 { write!(f, ".{rest:06}") } else { Ok(()) }
    };
    for (i, part) in parts.iter().enumerate() {
        if i > 0 {
            f.write_str(",")?;
        }
        value(part.start, width, f)?;
        if let Some(stop) = part.stop {
            f.write_str("..")?;
            value(stop, width, f)?;
        }
        if part.step > 0 && !(part.stop.is_some() && part.step == unit) {
            f.write_str("/")?;
            value(part.step, 0, f)?;
        }
    }
    Ok(())
}
