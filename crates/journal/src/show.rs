//! Entries as `journalctl -o` writes them.

use crate::entry::{Entry, is_printable};
use h2k_fs::Civil;
use std::fmt::Write;

/// How entries are written, by the names that `journalctl -o` has for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Output {
    /// One line a message, as syslog has it.
    #[default]
    Short,
    /// The same with weekday, year and time zone.
    ShortFull,
    /// The same with dates of ISO 8601.
    ShortIso,
    /// The same with microseconds.
    ShortIsoPrecise,
    /// As syslog has it, with microseconds.
    ShortPrecise,
    /// The same with the time since the boot began.
    ShortMonotonic,
    /// The same with seconds since 1970.
    ShortUnix,
    /// All fields of a message.
    Verbose,
    /// All fields, for systemd-journal-remote and other programs.
    Export,
    /// All fields, one JSON object a line.
    Json,
    /// The messages alone.
    Cat,
}

/// What a place's clocks show: offset to UTC in seconds and the zone's name, at a moment in seconds since 1970 UTC.
pub type Zone<'a> = dyn Fn(i64) -> (i32, String) + 'a;

/// Everywhere and always.
#[must_use]
pub fn utc(_: i64) -> (i32, String) {
    (0, "UTC".to_owned())
}

/// Values longer than this are left out of JSON, as `journalctl` does it without `--all`.
const LONG: usize = 4096;

impl Output {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Short,
        Self::ShortFull,
        Self::ShortIso,
        Self::ShortIsoPrecise,
        Self::ShortPrecise,
        Self::ShortMonotonic,
        Self::ShortUnix,
        Self::Verbose,
        Self::Export,
        Self::Json,
        Self::Cat,
    ];

    /// Its name.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Short => "short",
            Self::ShortFull => "short-full",
            Self::ShortIso => "short-iso",
            Self::ShortIsoPrecise => "short-iso-precise",
            Self::ShortPrecise => "short-precise",
            Self::ShortMonotonic => "short-monotonic",
            Self::ShortUnix => "short-unix",
            Self::Verbose => "verbose",
            Self::Export => "export",
            Self::Json => "json",
            Self::Cat => "cat",
        }
    }

    /// Whether a line between entries of different boots says so.
    #[must_use]
    pub fn tells_boots(self) -> bool {
        !matches!(self, Self::Export | Self::Json | Self::Cat)
    }

    /// The entry in this form, ending in a new line. `None` where it has nothing to show: the short forms need a
    /// message. `all` shows long values and what is not text as they are.
    #[must_use]
    pub fn write(self, entry: &Entry, zone: &Zone<'_>, all: bool) -> Option<Vec<u8>> {
        match self {
            Self::Verbose => Some(verbose(entry, zone, all)),
            Self::Export => {
                let cursor = format!("__CURSOR={}\n", entry.head.cursor());
                Some([cursor.into_bytes(), entry.export()].concat())
            }
            Self::Json => Some(json(entry, all)),
            Self::Cat => {
                let mut line = entry.get("MESSAGE")?.to_vec();
                line.push(b'\n');
                Some(line)
            }
            _ => self.short(entry, zone, all),
        }
    }

    fn short(self, entry: &Entry, zone: &Zone<'_>, all: bool) -> Option<Vec<u8>> {
        let message = entry.get("MESSAGE")?;
        let number = |name: &str| entry.text(name)?.parse::<u64>().ok();
        let real = number("_SOURCE_REALTIME_TIMESTAMP").unwrap_or(entry.head.realtime);
        let mut head = match self {
            Self::ShortMonotonic => {
                let at = number("_SOURCE_MONOTONIC_TIMESTAMP").unwrap_or(entry.head.monotonic);
                format!("[{:5}.{:06}]", at.div_euclid(MICRO), at.rem_euclid(MICRO))
            }
            Self::ShortUnix => format!("{}.{:06}", real.div_euclid(MICRO), real.rem_euclid(MICRO)),
            _ => self.time(real, zone),
        };
        if let Some(host) = entry.text("_HOSTNAME") {
            let _ = write!(head, " {host}");
        }
        let who = entry.text("SYSLOG_IDENTIFIER").or_else(|| entry.text("_COMM"));
        let _ = write!(head, " {}", who.as_deref().unwrap_or("unknown"));
        if let Some(pid) = entry.text("_PID").or_else(|| entry.text("SYSLOG_PID")) {
            let _ = write!(head, "[{pid}]");
        }
        head.push_str(": ");
        let mut out = head.clone().into_bytes();
        if all || is_printable(message, true) {
            // Under what journalctl thinks is the message: it does not count a sender nobody knows.
            let unknown = if who.is_none() { " unknown".len() } else { 0 };
            indented(&mut out, message, head.chars().count().saturating_sub(unknown));
        } else {
            out.extend(blob(message));
        }
        out.push(b'\n');
        Some(out)
    }

    fn time(self, at: u64, zone: &Zone<'_>) -> String {
        let (seconds, micro) = split(at);
        let (offset, name) = zone(seconds);
        let civil = Civil::of(seconds.saturating_add(i64::from(offset)));
        let clock = format!("{:02}:{:02}:{:02}", civil.hour, civil.minute, civil.second);
        let date = format!("{:04}-{:02}-{:02}", civil.year, civil.month, civil.day);
        match self {
            Self::ShortIso => format!("{date}T{clock}{}", sign(offset)),
            Self::ShortIsoPrecise => format!("{date}T{clock}.{micro:06}{}", sign(offset)),
            Self::ShortFull => format!("{} {date} {clock} {name}", civil.weekday()),
            Self::Verbose => format!("{} {date} {clock}.{micro:06} {name}", civil.weekday()),
            Self::ShortPrecise => {
                format!("{} {:02} {clock}.{micro:06}", civil.month_name(), civil.day)
            }
            _ => format!("{} {:02} {clock}", civil.month_name(), civil.day),
        }
    }
}

const MICRO: u64 = 1_000_000;

fn split(at: u64) -> (i64, u64) {
    let seconds = i64::try_from(at.div_euclid(MICRO)).unwrap_or(i64::MAX);
    (seconds, at.rem_euclid(MICRO))
}

/// `+0100`.
fn sign(offset: i32) -> String {
    let minutes = offset.unsigned_abs().div_euclid(60);
    let sign = if offset < 0 { '-' } else { '+' };
    format!("{sign}{:02}{:02}", minutes.div_euclid(60), minutes.rem_euclid(60))
}

/// Lines behind the first begin under it; the end of the last is no line.
fn indented(out: &mut Vec<u8>, text: &[u8], by: usize) {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    for (n, line) in text.split(|b| *b == b'\n').enumerate() {
        if n > 0 {
            out.push(b'\n');
            out.extend(std::iter::repeat_n(b' ', by));
        }
        out.extend_from_slice(line);
    }
}

/// `[11B blob data]`, `[2.9K blob data]`.
fn blob(value: &[u8]) -> Vec<u8> {
    let bytes = crate::layout::wide(value.len());
    let units = [("T", 40_u32), ("G", 30), ("M", 20), ("K", 10)];
    let unit = units.into_iter().find(|(_, bits)| bytes >> bits > 0);
    let size = match unit {
        None => format!("{bytes}B"),
        Some((unit, bits)) => {
            let tenth = (bytes.saturating_mul(10) >> bits).rem_euclid(10);
            format!("{}.{tenth}{unit}", bytes >> bits)
        }
    };
    format!("[{size} blob data]").into_bytes()
}

fn verbose(entry: &Entry, zone: &Zone<'_>, all: bool) -> Vec<u8> {
    // When it was sent, as in the short forms.
    let sent = entry
        .text("_SOURCE_REALTIME_TIMESTAMP")
        .and_then(|t| t.parse().ok());
    let time = Output::Verbose.time(sent.unwrap_or(entry.head.realtime), zone);
    let mut out = format!("{time} [{}]\n", entry.head.cursor()).into_bytes();
    for (name, value) in &entry.fields {
        let indent = name.len().saturating_add(5);
        out.extend_from_slice(b"    ");
        out.extend_from_slice(name);
        out.push(b'=');
        if all || is_printable(value, true) {
            indented(&mut out, value, indent);
        } else {
            out.extend(blob(value));
        }
        out.push(b'\n');
    }
    out
}

/// One line; names that occur more than once have a list, and what is not text is a list of numbers.
fn json(entry: &Entry, all: bool) -> Vec<u8> {
    let head = &entry.head;
    let mut out = format!(
        "{{\"__CURSOR\":\"{}\",\"__REALTIME_TIMESTAMP\":\"{}\",\"__MONOTONIC_TIMESTAMP\":\"{}\",\"_BOOT_ID\":\"{}\"",
        head.cursor(),
        head.realtime,
        head.monotonic,
        head.boot
    );
    let mut names: Vec<&[u8]> = Vec::new();
    for (name, _) in &entry.fields {
        if name != b"_BOOT_ID" && !names.contains(&name.as_slice()) {
            names.push(name);
        }
    }
    for name in names {
        let values = entry.fields.iter().filter(|(n, _)| n == name);
        let values: Vec<String> = values.map(|(_, value)| json_value(name, value, all)).collect();
        out.push(',');
        quoted(&mut out, &String::from_utf8_lossy(name));
        out.push(':');
        match values.as_slice() {
            [one] => out.push_str(one),
            many => {
                let _ = write!(out, "[{}]", many.join(","));
            }
        }
    }
    out.push_str("}\n");
    out.into_bytes()
}

fn json_value(name: &[u8], value: &[u8], all: bool) -> String {
    let whole = name.len().saturating_add(1).saturating_add(value.len());
    if !all && whole >= LONG {
        return "null".to_owned();
    }
    match std::str::from_utf8(value) {
        Ok(text) if is_printable(value, true) => {
            let mut out = String::with_capacity(value.len().saturating_add(2));
            quoted(&mut out, text);
            out
        }
        _ => {
            let numbers: Vec<String> = value.iter().map(u8::to_string).collect();
            format!("[{}]", numbers.join(","))
        }
    }
}

fn quoted(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}
