//! A time zone: when a place's clocks were, are and will be changed.
//!
//! Source: RFC 9636 (the Time Zone Information Format), with the rules for the future in its footer as in POSIX.

use h2k_block::{Error, Result};
use h2k_fs::Civil;
use h2k_guest::{Look, Source};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

const NAME: &str = "time zone file";
const DAY: i64 = 86400;
/// The largest compiled zone has some KiB.
const MOST: u64 = 1 << 16;
/// Zones that are kept once they have been read.
const KEPT: usize = 64;
/// A guest's own zone, in the form of those in `PLACES`.
const OWN: &str = "/etc/localtime";
/// Where a guest has its time zone data.
const PLACES: &str = "/usr/share/zoneinfo";

/// A place's clock at some time.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Kind {
    offset: i32,
    name: String,
}

/// A time zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeZone {
    /// From when on, seconds since 1970 UTC, and what holds then.
    changes: Vec<(i64, Kind)>,
    /// What held before.
    first: Kind,
    /// What holds after the last change.
    rule: Option<Rule>,
}

impl TimeZone {
    /// UTC, as a zone.
    #[must_use]
    pub fn utc() -> Self {
        Self {
            changes: Vec::new(),
            first: Kind {
                offset: 0,
                name: "UTC".to_owned(),
            },
            rule: None,
        }
    }

    /// The zone of a guest by its `/etc/localtime`; UTC where it has none.
    ///
    /// # Errors
    /// [`h2k_block::Class::Corrupt`] when that is no time zone file.
    pub fn of(look: &Look<'_>) -> Result<Self> {
        match look.bytes(OWN, MOST) {
            Some(bytes) => Self::parse(&bytes),
            None => Ok(Self::utc()),
        }
    }

    /// Reads a compiled time zone.
    ///
    /// # Errors
    /// [`h2k_block::Class::Corrupt`] when it is damaged.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let old = Counts::read(bytes, 0)?;
        if old.version == 0 {
            return old.block(bytes, HEADER, 4).map(|(zone, _)| zone);
        }
        // Later versions say everything again in 64 bits.
        let at = HEADER.saturating_add(old.len(4));
        let new = Counts::read(bytes, at)?;
        let (mut zone, end) = new.block(bytes, at.saturating_add(HEADER), 8)?;
        let footer = bytes.get(end..).unwrap_or_default();
        let mut lines = footer
            .strip_prefix(b"\n")
            .unwrap_or_default()
            .split(|b| *b == b'\n');
        let text = std::str::from_utf8(lines.next().unwrap_or_default()).unwrap_or_default();
        zone.rule = Rule::parse(text);
        Ok(zone)
    }

    /// How many seconds clocks are ahead of UTC, and what the time is called, at a moment in seconds since 1970 UTC.
    #[must_use]
    pub fn at(&self, utc: i64) -> (i32, String) {
        let kind = self.kind(utc);
        (kind.offset, kind.name.clone())
    }

    /// How many seconds clocks are ahead of UTC at a moment in seconds since 1970 UTC.
    #[must_use]
    pub fn ahead(&self, utc: i64) -> i64 {
        i64::from(self.kind(utc).offset)
    }

    fn kind(&self, utc: i64) -> &Kind {
        let behind = self.changes.partition_point(|(from, _)| *from <= utc);
        if behind == self.changes.len()
            && let Some(rule) = &self.rule
        {
            return rule.at(utc);
        }
        behind
            .checked_sub(1)
            .and_then(|n| self.changes.get(n))
            .map_or(&self.first, |(_, kind)| kind)
    }
}

/// The clocks of a guest: its own, and those of the places that it has time zone data of.
#[derive(Debug)]
pub struct Clocks<'a> {
    own: Rc<TimeZone>,
    look: Option<&'a Look<'a>>,
    places: RefCell<BTreeMap<String, Option<Rc<TimeZone>>>>,
}

impl<'a> Clocks<'a> {
    /// A clock that shows UTC; no other place is known.
    #[must_use]
    pub fn utc() -> Self {
        Self {
            own: Rc::new(TimeZone::utc()),
            look: None,
            places: RefCell::default(),
        }
    }

    /// Those of a guest. Where its own zone cannot be read its clocks show UTC, as the C library has it.
    #[must_use]
    pub fn of(look: &'a Look<'a>) -> Self {
        let own = TimeZone::of(look).unwrap_or_else(|error| {
            look.failed(Source::file(OWN.as_bytes()), &error);
            TimeZone::utc()
        });
        Self {
            own: Rc::new(own),
            look: Some(look),
            places: RefCell::default(),
        }
    }

    /// The guest's own zone.
    #[must_use]
    pub fn own(&self) -> &TimeZone {
        &self.own
    }

    /// The zone that `name` names, the guest's own where that is `None`. `None` where the guest has no data of it.
    #[must_use]
    pub fn zone(&self, name: Option<&str>) -> Option<Rc<TimeZone>> {
        let Some(name) = name else {
            return Some(Rc::clone(&self.own));
        };
        if let Some(known) = self.places.borrow().get(name) {
            return known.clone();
        }
        let zone = self.read(name).map(Rc::new);
        let mut places = self.places.borrow_mut();
        if places.len() < KEPT {
            places.insert(name.to_owned(), zone.clone());
        }
        zone
    }

    fn read(&self, name: &str) -> Option<TimeZone> {
        if name == "UTC" {
            return Some(TimeZone::utc());
        }
        // A name leads nowhere but below the directory.
        if name.is_empty() || name.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return None;
        }
        let look = self.look?;
        let path = format!("{PLACES}/{name}");
        TimeZone::parse(&look.bytes(&path, MOST)?)
            .inspect_err(|error| look.failed(Source::file(path.as_bytes()), error))
            .ok()
    }
}

const HEADER: usize = 44;

/// How much there is of everything in a block.
struct Counts {
    version: u8,
    isutc: usize,
    isstd: usize,
    leaps: usize,
    times: usize,
    types: usize,
    chars: usize,
}

impl Counts {
    fn read(bytes: &[u8], at: usize) -> Result<Self> {
        let head = bytes.get(at..at.saturating_add(HEADER)).unwrap_or_default();
        if !head.starts_with(b"TZif") {
            let found = head.get(..4).unwrap_or(head);
            let what = format!("magic is {found:02x?}, expected \"TZif\"");
            return Err(Error::corrupt(NAME, offset(at), what));
        }
        let count = |at: usize| {
            let field = head.get(at..).and_then(|rest| rest.first_chunk::<4>());
            let n = field.map_or(0, |raw| u32::from_be_bytes(*raw));
            usize::try_from(n).unwrap_or(usize::MAX)
        };
        Ok(Self {
            version: head.get(4).copied().unwrap_or_default(),
            isutc: count(20),
            isstd: count(24),
            leaps: count(28),
            times: count(32),
            types: count(36),
            chars: count(40),
        })
    }

    /// Bytes of the block, its times `width` bytes wide.
    fn len(&self, width: usize) -> usize {
        let parts = [
            self.times.saturating_mul(width.saturating_add(1)),
            self.types.saturating_mul(6),
            self.chars,
            self.leaps.saturating_mul(width.saturating_add(4)),
            self.isstd,
            self.isutc,
        ];
        parts.into_iter().fold(0, usize::saturating_add)
    }

    /// The block at `at`, and where it ends.
    fn block(&self, bytes: &[u8], at: usize, width: usize) -> Result<(TimeZone, usize)> {
        let end = at.saturating_add(self.len(width));
        let bad = |what: String| Error::corrupt(NAME, offset(at), what);
        let Some(body) = bytes.get(at..end) else {
            let there = bytes.len();
            return Err(bad(format!(
                "the block ends at {end}, the file has {there} bytes"
            )));
        };
        let (times, body) = body
            .split_at_checked(self.times.saturating_mul(width))
            .unwrap_or_default();
        let (indices, body) = body.split_at_checked(self.times).unwrap_or_default();
        let (types, body) = body
            .split_at_checked(self.types.saturating_mul(6))
            .unwrap_or_default();
        let chars = body.get(..self.chars).unwrap_or_default();
        let kind = |n: usize| -> Result<Kind> {
            let raw = types.chunks_exact(6).nth(n);
            let raw: Option<[u8; 6]> = raw.and_then(|raw| raw.try_into().ok());
            let Some([a, b, c, d, _, name]) = raw else {
                return Err(bad(format!("type {n} is named, there are {}", self.types)));
            };
            let name = chars.get(usize::from(name)..).unwrap_or_default();
            let name = name.split(|b| *b == 0).next().unwrap_or_default();
            Ok(Kind {
                offset: i32::from_be_bytes([a, b, c, d]),
                name: String::from_utf8_lossy(name).into_owned(),
            })
        };
        let mut changes = Vec::new();
        for (time, index) in times.chunks_exact(width).zip(indices) {
            let time = match (time.try_into(), time.try_into()) {
                (Ok(raw), _) => i64::from_be_bytes(raw),
                (_, Ok(raw)) => i64::from(i32::from_be_bytes(raw)),
                _ => continue,
            };
            if changes.last().is_some_and(|(last, _)| time <= *last) {
                return Err(bad(format!("the changes are not in order at {time}")));
            }
            changes.push((time, kind(usize::from(*index))?));
        }
        let zone = TimeZone {
            changes,
            first: kind(0)?,
            rule: None,
        };
        Ok((zone, end))
    }
}

fn offset(at: usize) -> u64 {
    u64::try_from(at).unwrap_or(u64::MAX)
}

/// `CET-1CEST,M3.5.0,M10.5.0/3`: what holds for good.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    standard: Kind,
    summer: Option<(Kind, Day, Day)>,
}

/// A day of each year, and seconds after its midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Day {
    date: Date,
    time: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Date {
    /// Month, week (5 is the last), weekday (0 is Sunday).
    Week(u8, u8, u8),
    /// From 1; there is no 29th of February.
    Julian(i64),
    /// From 0.
    Count(i64),
}

impl Rule {
    fn parse(text: &str) -> Option<Self> {
        let mut text = Cursor(text);
        let standard = Kind {
            name: text.name()?,
            offset: text.time()?.checked_neg()?.try_into().ok()?,
        };
        if text.0.is_empty() {
            return Some(Self {
                standard,
                summer: None,
            });
        }
        let name = text.name()?;
        let offset = match text.0.starts_with(',') {
            true => standard.offset.checked_add(3600)?,
            false => text.time()?.checked_neg()?.try_into().ok()?,
        };
        let (begin, end) = (text.day()?, text.day()?);
        text.0.is_empty().then_some(Self {
            standard,
            summer: Some((Kind { name, offset }, begin, end)),
        })
    }

    fn at(&self, utc: i64) -> &Kind {
        let Some((summer, begin, end)) = &self.summer else {
            return &self.standard;
        };
        let year = Civil::of(utc.saturating_add(i64::from(self.standard.offset))).year;
        // A day begins by the clock that held until then.
        let begin = begin.of(year).saturating_sub(i64::from(self.standard.offset));
        let end = end.of(year).saturating_sub(i64::from(summer.offset));
        let is = match begin <= end {
            true => (begin..end).contains(&utc),
            false => !(end..begin).contains(&utc),
        };
        if is { summer } else { &self.standard }
    }
}

impl Day {
    /// Seconds since 1970 by the local clock.
    fn of(&self, year: i64) -> i64 {
        let midnight = |month: u8, day: u8| {
            let civil = Civil {
                year,
                month,
                day,
                ..Civil::of(0)
            };
            civil.seconds()
        };
        let new_year = midnight(1, 1).unwrap_or_default();
        let leap = midnight(2, 29).is_some();
        let days = |n: i64| new_year.saturating_add(n.saturating_mul(DAY));
        let day = match self.date {
            Date::Count(n) => days(n),
            Date::Julian(n) if leap && n >= 60 => days(n),
            Date::Julian(n) => days(n.saturating_sub(1)),
            Date::Week(month, week, weekday) => {
                let first = midnight(month, 1).unwrap_or_default();
                // 1970-01-01 was a Thursday.
                let begins = first.div_euclid(DAY).saturating_add(4).rem_euclid(7);
                let ahead = i64::from(weekday).saturating_sub(begins).rem_euclid(7);
                let day = ahead.saturating_add(i64::from(week).saturating_sub(1).saturating_mul(7));
                let mut at = first.saturating_add(day.saturating_mul(DAY));
                if Civil::of(at).month != month {
                    at = at.saturating_sub(DAY.saturating_mul(7));
                }
                at
            }
        };
        day.saturating_add(self.time)
    }
}

struct Cursor<'a>(&'a str);

impl Cursor<'_> {
    /// The longest part whose bytes `fit`.
    fn take(&mut self, fit: impl Fn(u8) -> bool) -> &str {
        let end = self.0.bytes().position(|b| !fit(b)).unwrap_or(self.0.len());
        let (part, rest) = self.0.split_at_checked(end).unwrap_or((self.0, ""));
        self.0 = rest;
        part
    }

    fn eat(&mut self, c: char) -> bool {
        let rest = self.0.strip_prefix(c);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    fn name(&mut self) -> Option<String> {
        if self.eat('<') {
            let name = self.take(|b| b != b'>').to_owned();
            return self.eat('>').then_some(name);
        }
        let name = self.take(|b| b.is_ascii_alphabetic()).to_owned();
        (!name.is_empty()).then_some(name)
    }

    fn number(&mut self) -> Option<i64> {
        let number = self.take(|b| b.is_ascii_digit()).parse().ok()?;
        (0..=9999).contains(&number).then_some(number)
    }

    /// `[+-]hh[:mm[:ss]]` in seconds.
    fn time(&mut self) -> Option<i64> {
        let minus = self.eat('-');
        if !minus {
            self.eat('+');
        }
        let mut sum = self.number()?.checked_mul(3600)?;
        for unit in [60, 1] {
            if self.eat(':') {
                sum = sum.checked_add(self.number()?.checked_mul(unit)?)?;
            }
        }
        Some(if minus { sum.checked_neg()? } else { sum })
    }

    fn day(&mut self) -> Option<Day> {
        if !self.eat(',') {
            return None;
        }
        let date = if self.eat('M') {
            let mut part = || {
                let n = self.number()?;
                self.eat('.');
                u8::try_from(n).ok()
            };
            let (month, week, day) = (part()?, part()?, part()?);
            if !(1..=12).contains(&month) || !(1..=5).contains(&week) || day > 6 {
                return None;
            }
            Date::Week(month, week, day)
        } else if self.eat('J') {
            Date::Julian(self.number()?)
        } else {
            Date::Count(self.number()?)
        };
        let time = if self.eat('/') { self.time()? } else { 7200 };
        Some(Day { date, time })
    }
}
