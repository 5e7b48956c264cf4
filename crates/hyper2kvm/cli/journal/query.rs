use super::{limits, none, when};
use crate::cli::guest::DiskArgs;
use crate::cli::{Context, Outcome, exit};
use crate::glob::Glob;
use crate::term::{List, shown};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use h2k_convert::{Failure, hex};
use h2k_guest::Look;
use h2k_journal::{Catalog, Entry, EntryHead, Found, Journal, Output, Query, text_logs, utc};
use h2k_systemd::TimeZone;
use regex_lite::{Regex, RegexBuilder};
use serde::Serialize;
use serde_json::{Value, json};

/// Show messages: by unit, severity, time, boot, field or pattern
///
/// Options mean what they mean to journalctl. Without any, everything is shown, oldest first.
///
/// A guest without a journal has its /var/log/messages or /var/log/syslog shown instead, rotated ones too, with a note
/// that says so. These have no fields: --grep, --lines and --reverse choose among their lines, nothing else does.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  hyper2kvm journal query -u sshd -b server.vmdk
  hyper2kvm journal query -p err -n 20 server.vmdk
  hyper2kvm journal query -S '2026-11-20 12:00' -U '2026-11-20 13:00' -o short-iso server.vmdk
  hyper2kvm journal query -g 'out of memory' --match _TRANSPORT=kernel server.vmdk

Boots:
  0 is the last boot, -1 the one before; 1 is the first, 2 the second; or its 32 hexadecimal digits.

Times:
  2026-11-20, 2026-11-20 12:22, 2026-11-20 12:22:00, @SECONDS, and counted from the last message: now, today,
  yesterday, -2h, -3d. They are UTC, or the guest's own with --local.

Patterns:
  Regular expressions without look-around and back-references. Letters match in any case where all are small.")]
pub(in crate::cli) struct Args {
    /// Only what concerns this unit, or units of this pattern; may be repeated
    #[arg(short, long, value_name = "UNIT")]
    unit: Vec<String>,
    /// Only messages this severe or worse, or a range: 0 to 7, emerg, alert, crit, err, warning, notice, info, debug
    #[arg(short, long, value_name = "PRIORITY[..PRIORITY]", value_parser = priorities)]
    priority: Option<(u8, u8)>,
    /// Only messages whose text has this pattern
    #[arg(short, long, value_name = "PATTERN")]
    grep: Option<String>,
    /// Only messages with this field; for one field any of its values, `+` begins another group
    #[arg(long = "match", value_name = "FIELD=VALUE")]
    matches: Vec<String>,
    /// Only messages of the kernel
    #[arg(short = 'k', long)]
    dmesg: bool,
    /// Only messages with this identifier; may be repeated
    #[arg(short = 't', long, value_name = "NAME")]
    identifier: Vec<String>,
    /// Begin at the message with this cursor
    #[arg(long, value_name = "CURSOR", value_parser = cursor, conflicts_with = "after_cursor")]
    cursor: Option<EntryHead>,
    /// Begin behind the message with this cursor
    #[arg(long, value_name = "CURSOR", value_parser = cursor)]
    after_cursor: Option<EntryHead>,
    /// Explain messages by the guest's catalog
    #[arg(short = 'x', long)]
    catalog: bool,
    #[command(flatten)]
    show: Show,
}

/// Which of the messages, and how they are written.
#[derive(Debug, clap::Args)]
struct Show {
    /// Only messages of this boot; the last one where none is named
    #[arg(short, long, value_name = "BOOT", num_args = 0..=1, require_equals = true, default_missing_value = "0")]
    boot: Option<String>,
    /// Only messages from then on
    #[arg(short = 'S', long, value_name = "TIME", allow_hyphen_values = true)]
    since: Option<String>,
    /// Only messages up to then
    #[arg(short = 'U', long, value_name = "TIME", allow_hyphen_values = true)]
    until: Option<String>,
    /// Only this many messages, the newest
    #[arg(short = 'n', long, value_name = "N")]
    lines: Option<usize>,
    /// Newest first
    #[arg(short, long)]
    reverse: bool,
    /// How to write them
    #[arg(short, long, value_name = "FORM", default_value = "short", value_parser = outputs())]
    output: Output,
    /// Show long values and those that are not text, too
    #[arg(long)]
    all: bool,
    /// Take and show times as the guest's clocks would, by its time zone
    #[arg(long)]
    local: bool,
    #[command(flatten)]
    disks: DiskArgs,
}

/// Show errors and worse (priority 0 to 3)
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  hyper2kvm journal errors -b server.vmdk
  hyper2kvm journal errors --json server.vmdk")]
pub(in crate::cli) struct Errors {
    #[command(flatten)]
    show: Show,
}

/// Show warnings (priority 4)
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  hyper2kvm journal warnings -b server.vmdk
  hyper2kvm journal warnings -n 50 server.vmdk")]
pub(in crate::cli) struct Warnings {
    #[command(flatten)]
    show: Show,
}

/// Write messages in systemd's export format
///
/// What systemd-journal-remote and other programs read; it has all fields of all messages, whole.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  hyper2kvm journal export server.vmdk > server.export
  hyper2kvm journal export server.vmdk | /lib/systemd/systemd-journal-remote -o server.journal -")]
pub(in crate::cli) struct Export {
    #[command(flatten)]
    disks: DiskArgs,
}

/// Print the cursor of the last message
///
/// A cursor names the place of a message in any copy of its journal: query --after-cursor goes on behind it.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  hyper2kvm journal cursor server.vmdk
  hyper2kvm journal query --after-cursor \"$(hyper2kvm journal cursor monday.qcow2)\" tuesday.qcow2")]
pub(in crate::cli) struct Cursor {
    #[command(flatten)]
    disks: DiskArgs,
}

fn outputs() -> impl TypedValueParser<Value = Output> {
    PossibleValuesParser::new(Output::ALL.map(Output::word)).map(|word| {
        let found = Output::ALL.into_iter().find(|o| o.word() == word);
        found.unwrap_or_default()
    })
}

const PRIORITIES: [&str; 8] = [
    "emerg", "alert", "crit", "err", "warning", "notice", "info", "debug",
];

fn priorities(text: &str) -> Result<(u8, u8), String> {
    let one = |text: &str| -> Result<u8, String> {
        let named = (0..).zip(PRIORITIES).find(|(_, name)| *name == text);
        let number = text.parse().ok().filter(|n| *n < 8);
        named
            .map(|(n, _)| n)
            .or(number)
            .ok_or_else(|| format!("{text} is none of 0 to 7, {}", PRIORITIES.join(", ")))
    };
    match text.split_once("..") {
        None => Ok((0, one(text)?)),
        Some((a, b)) => {
            let (a, b) = (one(a)?, one(b)?);
            Ok((a.min(b), a.max(b)))
        }
    }
}

fn cursor(text: &str) -> Result<EntryHead, String> {
    EntryHead::from_cursor(text).ok_or_else(|| "it is no cursor, as `journal cursor` prints one".to_owned())
}

/// An entry as JSON.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Message {
    cursor: String,
    realtime_usec: u64,
    monotonic_usec: u64,
    boot: String,
    fields: Vec<Field>,
}

#[derive(Serialize)]
struct Field {
    name: String,
    value: Option<String>,
    bytes: Option<String>,
}

impl Message {
    fn of(entry: &Entry) -> Self {
        let fields = entry.fields.iter().map(|(name, value)| {
            let text = std::str::from_utf8(value).ok();
            Field {
                name: String::from_utf8_lossy(name).into_owned(),
                value: text.map(str::to_owned),
                bytes: text.is_none().then(|| hex(value)),
            }
        });
        Self {
            cursor: entry.head.cursor(),
            realtime_usec: entry.head.realtime,
            monotonic_usec: entry.head.monotonic,
            boot: entry.head.boot.to_string(),
            fields: fields.collect(),
        }
    }
}

impl Args {
    pub(super) fn run(self, context: &Context) -> Outcome {
        let pattern = self.grep.as_deref().map(pattern).transpose()?;
        let filtered = !(self.unit.is_empty() && self.matches.is_empty() && self.identifier.is_empty())
            || self.priority.is_some()
            || self.dmesg
            || self.cursor.is_some()
            || self.after_cursor.is_some();
        self.show.disks.journal(context, |found, look| {
            let journal = &found.journal;
            if journal.files().is_empty() && found.unreadable.is_empty() {
                if filtered || self.show.limited() {
                    return Err(none());
                }
                return self.show.texts(look, pattern.as_ref(), context);
            }
            let catalog = match self.catalog {
                true => Catalog::read(look, look.limits())?,
                false => Catalog::default(),
            };
            let query = self.query(journal)?;
            let wanted = |entry: &Entry| {
                pattern
                    .as_ref()
                    .is_none_or(|p| entry.text("MESSAGE").is_some_and(|text| p.is_match(&text)))
            };
            self.show.write(found, look, query, &wanted, &catalog, context)
        })
    }

    fn query(&self, journal: &Journal<'_>) -> Result<Query, Failure> {
        let mut query = Query::all();
        if let Some((first, last)) = self.priority {
            query = query.priorities(first, last);
        }
        if self.dmesg {
            query = query.with("_TRANSPORT", "kernel");
        }
        for name in &self.identifier {
            query = query.with("SYSLOG_IDENTIFIER", name);
        }
        if !self.unit.is_empty() {
            let mut units = Vec::new();
            for unit in &self.unit {
                units.extend(named(unit, journal));
            }
            // A pattern that no unit has chooses nothing.
            if units.is_empty() {
                units.push(self.unit.concat());
            }
            query = query.units(&units);
        }
        let mut groups = vec![Query::all()];
        for text in &self.matches {
            if text == "+" {
                groups.push(Query::all());
                continue;
            }
            let Some((field, value)) = text.split_once('=').filter(|(field, _)| !field.is_empty()) else {
                return Err(Failure::invalid(format!("{text} is no FIELD=VALUE")));
            };
            if let Some(group) = groups.last_mut() {
                *group = std::mem::take(group).with(field, value);
            }
        }
        if !self.matches.is_empty() {
            query = query.any(groups);
        }
        if let Some(head) = self.cursor {
            query = query.from(head, true);
        }
        if let Some(head) = self.after_cursor {
            query = query.from(head, false);
        }
        Ok(query)
    }
}

/// The units that a name or pattern means.
fn named(unit: &str, journal: &Journal<'_>) -> Vec<String> {
    let whole = match unit.rsplit_once('.') {
        Some((_, kind)) if SUFFIXES.contains(&kind) => unit.to_owned(),
        _ => format!("{unit}.service"),
    };
    if !unit.contains(['*', '?', '[']) {
        return vec![whole];
    }
    let glob = Glob::new(unit.as_bytes().to_vec(), false);
    let mut all: Vec<String> = ["_SYSTEMD_UNIT", "UNIT", "OBJECT_SYSTEMD_UNIT", "COREDUMP_UNIT"]
        .into_iter()
        .flat_map(|field| journal.values(field))
        .filter(|value| glob.matches(value) || glob.matches(value.strip_suffix(b".service").unwrap_or(value)))
        .map(|value| String::from_utf8_lossy(&value).into_owned())
        .collect();
    all.sort();
    all.dedup();
    all
}

const SUFFIXES: [&str; 11] = [
    "service",
    "socket",
    "device",
    "mount",
    "automount",
    "swap",
    "target",
    "path",
    "timer",
    "slice",
    "scope",
];

fn pattern(text: &str) -> Result<Regex, Failure> {
    let small = !text.chars().any(char::is_uppercase);
    let built = RegexBuilder::new(text).case_insensitive(small).build();
    built.map_err(|e| Failure::invalid(format!("{text} is no pattern: {e}")))
}

impl Show {
    fn limited(&self) -> bool {
        self.boot.is_some() || self.since.is_some() || self.until.is_some()
    }

    /// Writes the entries that `query` and `wanted` choose.
    fn write(
        &self,
        found: &Found<'_>,
        look: &Look<'_>,
        mut query: Query,
        wanted: &dyn Fn(&Entry) -> bool,
        catalog: &Catalog,
        context: &Context,
    ) -> Outcome {
        let journal = &found.journal;
        let zone = match self.local {
            true => Some(TimeZone::of(look)?),
            false => None,
        };
        let clock = |at: i64| zone.as_ref().map_or_else(|| utc(at), |zone| zone.at(at));
        if let Some(boot) = self.boot.as_deref().filter(|boot| *boot != "all") {
            query = query.boot(when::boot(boot, &journal.boots())?);
        }
        let last = || {
            journal
                .latest(&Query::all())
                .next()
                .map_or(0, |e| e.head.realtime)
        };
        if let Some(since) = &self.since {
            query = query.since(when::moment(since, last(), &clock)?);
        }
        if let Some(until) = &self.until {
            query = query.until(when::moment(until, last(), &clock)?);
        }
        let mut list = List::new(&context.screen, "entries");
        let mut before = None;
        let mut one = |entry: &Entry| {
            if context.screen.json {
                list.item(&Message::of(entry));
                return;
            }
            if let Some(text) = self.output.write(entry, &clock, self.all) {
                let other = before.is_some_and(|boot| boot != entry.head.boot);
                if other && self.output.tells_boots() && !context.screen.quiet {
                    list.text(format!("-- Boot {} --\n", entry.head.boot).as_bytes());
                }
                before = Some(entry.head.boot);
                list.text(&context.screen.name_lines(&text));
                if let Some(why) = catalog.explain(entry).filter(|_| self.output.tells_boots()) {
                    let lines: String = why.lines().map(|line| format!("-- {line}\n")).collect();
                    list.text(&context.screen.name_lines(lines.as_bytes()));
                }
            }
        };
        let mut entries = match (self.lines, self.reverse) {
            (None, false) => journal.entries(&query),
            _ => journal.latest(&query),
        };
        let mut outcome = Ok(());
        let mut kept = Vec::new();
        let most = self.lines.unwrap_or(usize::MAX);
        let mut count = 0_usize;
        while count < most {
            if let Err(e) = context.alive() {
                outcome = Err(e);
                break;
            }
            let Some(entry) = entries.next() else { break };
            if !wanted(&entry) {
                continue;
            }
            count = count.saturating_add(1);
            // The newest ones were asked for, to be read in the order they were written.
            if self.lines.is_some() && !self.reverse {
                kept.push(entry);
            } else {
                one(&entry);
            }
        }
        kept.iter().rev().for_each(one);
        let warnings = entries.warnings().to_vec();
        for warning in &warnings {
            context.screen.warn(&shown(warning));
        }
        let more = [("warnings", Value::from(warnings))];
        context.finish(list, outcome.map(|()| exit::DONE).map_err(Failure::from), &more)
    }

    /// Logs of text, where there is no journal.
    fn texts(&self, look: &Look<'_>, pattern: Option<&Regex>, context: &Context) -> Outcome {
        let screen = &context.screen;
        let (logs, unreadable) = text_logs(look, &limits());
        for (path, error) in &unreadable {
            screen.warn(&shown(&format!("{path}: {error}")));
        }
        if logs.is_empty() {
            return Err(none());
        }
        let paths: Vec<&str> = logs.iter().map(|log| log.path.as_str()).collect();
        screen.note(&format!(
            "{} there is no journal; these are the lines of {}",
            screen.err.dim("note:"),
            shown(&paths.join(", "))
        ));
        let lines = logs
            .iter()
            .flat_map(|log| log.lines.iter().map(|line| (&log.path, line)));
        let fits = |line: &[u8]| pattern.is_none_or(|p| p.is_match(&String::from_utf8_lossy(line)));
        let mut lines: Vec<_> = lines.filter(|(_, line)| fits(line)).collect();
        let most = self.lines.unwrap_or(usize::MAX);
        lines.drain(..lines.len().saturating_sub(most));
        if self.reverse {
            lines.reverse();
        }
        let mut list = List::new(screen, "lines");
        for (path, line) in lines {
            if screen.json {
                list.item(&json!({ "file": path, "line": String::from_utf8_lossy(line) }));
            } else {
                list.text(&screen.name_lines(line));
                list.text(b"\n");
            }
        }
        context.finish(
            list,
            Ok(exit::DONE),
            &[("warnings", Value::from(Vec::<String>::new()))],
        )
    }

    fn run(self, query: Query, context: &Context) -> Outcome {
        self.disks.journal(context, |found, look| {
            if found.journal.files().is_empty() {
                return Err(none());
            }
            self.write(found, look, query, &|_| true, &Catalog::default(), context)
        })
    }
}

impl Errors {
    pub(super) fn run(self, context: &Context) -> Outcome {
        self.show.run(Query::all().severe(3), context)
    }
}

impl Warnings {
    pub(super) fn run(self, context: &Context) -> Outcome {
        self.show.run(Query::all().priorities(4, 4), context)
    }
}

impl Export {
    pub(super) fn run(self, context: &Context) -> Outcome {
        let show = Show {
            boot: None,
            since: None,
            until: None,
            lines: None,
            reverse: false,
            output: Output::Export,
            all: true,
            local: false,
            disks: self.disks,
        };
        show.run(Query::all(), context)
    }
}

impl Cursor {
    pub(super) fn run(self, context: &Context) -> Outcome {
        self.disks.journal(context, |found, _| {
            let last = found.journal.latest(&Query::all()).next().ok_or_else(none)?;
            let cursor = last.head.cursor();
            if context.screen.json {
                context.screen.document(&json!({ "cursor": cursor }));
            } else {
                context.screen.say(&format!("{cursor}\n"));
            }
            Ok(exit::DONE)
        })
    }
}
