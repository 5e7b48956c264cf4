//! cron, anacron and at: crontab(5) of Vixie's, cronie's, BusyBox's and dcron's; anacrontab(5); at(1).

use crate::report::Asking;
use crate::schedule::{NotUnderstood, Schedule, Task};
use h2k_guest::look::{join, lossy};
use h2k_guest::{Line, Look, Source, Text};

/// Where users' tables lie; the name of a file is the user's.
const SPOOLS: [&str; 4] = [
    "/var/spool/cron/crontabs",
    "/var/spool/cron/tabs",
    "/var/spool/cron",
    "/etc/crontabs",
];

/// Folders of scripts, and when they are run.
const FOLDERS: [(&str, &str); 9] = [
    ("/etc/cron.hourly", "hourly"),
    ("/etc/cron.daily", "daily"),
    ("/etc/cron.weekly", "weekly"),
    ("/etc/cron.monthly", "monthly"),
    ("/etc/cron.yearly", "yearly"),
    ("/etc/periodic/15min", "every 15 minutes"),
    ("/etc/periodic/hourly", "hourly"),
    ("/etc/periodic/daily", "daily"),
    ("/etc/periodic/weekly", "weekly"),
];

pub(crate) fn look(_: &Asking<'_>, look: &Look<'_>) -> Schedule {
    let mut found = Schedule::default();
    if let Some(text) = look.text("/etc/crontab") {
        crontab(&text, None, &mut found);
    }
    for name in look.names("/etc/cron.d") {
        // cron of Debian runs none with a dot in its name, cronie none that a package manager left behind.
        let left = name.starts_with(b".") || name.ends_with(b"~") || name.contains(&b'.');
        let Some(text) = look.text(join(b"/etc/cron.d", &name)).filter(|_| !left) else {
            continue;
        };
        crontab(&text, None, &mut found);
    }
    for dir in SPOOLS {
        for name in look.names(dir) {
            let path = join(dir.as_bytes(), &name);
            if name.starts_with(b".")
                || name.starts_with(b"tmp.")
                || name == b"cron.update"
                || !look.is_file(&path)
            {
                continue;
            }
            if let Some(table) = look.text(&path) {
                crontab(&table, Some(&lossy(&name)), &mut found);
            }
        }
    }
    if let Some(text) = look.text("/etc/anacrontab") {
        anacrontab(&text, &mut found);
    }
    for (dir, when) in FOLDERS {
        scripts(look, dir, when, &mut found);
    }
    at_jobs(look, &mut found);
    found
}

fn unsure(line: &Line<'_>, why: impl Into<String>, found: &mut Schedule) {
    found.not_understood.push(NotUnderstood {
        why: why.into(),
        source: line.source(),
    });
}

/// A table; `user` is whose it is, and where it is nobody's, the lines say it.
pub(super) fn crontab(table: &Text, user: Option<&str>, found: &mut Schedule) {
    for line in table.spoken() {
        if is_setting(line.text) {
            continue;
        }
        let fields = if line.text.starts_with('@') { 1 } else { 5 };
        // A leading hyphen of SUSE means: do not log. It is no part of the minute.
        let said = line
            .text
            .strip_prefix('-')
            .filter(|_| user.is_none())
            .unwrap_or(line.text);
        let Some((when, rest)) = taken(said, fields) else {
            unsure(&line, "there are fewer fields than a time has", found);
            continue;
        };
        if let Err(why) = time(&when) {
            unsure(&line, why, found);
            continue;
        }
        let (whose, command) = match user {
            Some(user) => (user.to_owned(), rest),
            None => match taken(rest, 1) {
                Some((whose, command)) => (whose, command),
                None => {
                    unsure(&line, "no user is named", found);
                    continue;
                }
            },
        };
        if command.is_empty() {
            unsure(&line, "there is nothing to run", found);
            continue;
        }
        found.tasks.push(Task {
            kind: "cron".to_owned(),
            name: None,
            when,
            user: Some(whose),
            command: command.to_owned(),
            enabled: true,
            source: line.source(),
        });
    }
}

/// `NAME = value`: what is before the sign is a name or quoted.
fn is_setting(line: &str) -> bool {
    let Some((name, _)) = line.split_once('=') else {
        return false;
    };
    let name = name.trim();
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let quoted = name.len() > 1 && name.starts_with(['"', '\'']) && name.ends_with(['"', '\'']);
    quoted || !name.is_empty() && name.chars().all(plain) && !name.starts_with(|c: char| c.is_ascii_digit())
}

/// The first `n` fields with single spaces, and what follows; `None` when there are fewer, or nothing follows.
fn taken(text: &str, n: usize) -> Option<(String, &str)> {
    let mut rest = text.trim_start();
    let mut fields = Vec::new();
    for _ in 0..n {
        let end = rest.find(char::is_whitespace)?;
        let (field, after) = rest.split_at_checked(end)?;
        fields.push(field);
        rest = after.trim_start();
    }
    Some((fields.join(" "), rest))
}

/// Whether cron would take it: each field within its range.
fn time(when: &str) -> Result<(), String> {
    if let Some(word) = when.strip_prefix('@') {
        let known = [
            "reboot", "yearly", "annually", "monthly", "weekly", "daily", "midnight", "hourly",
        ];
        let every = word.bytes().next().is_some_and(|b| b.is_ascii_digit());
        return (known.contains(&word) || every)
            .then_some(())
            .ok_or_else(|| format!("@{word} is no time that cron knows"));
    }
    let months = [
        "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
    ];
    let days = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
    let fields: [(&str, u32, u32, &[&str]); 5] = [
        ("minute", 0, 59, &[]),
        ("hour", 0, 23, &[]),
        ("day", 1, 31, &[]),
        ("month", 1, 12, &months),
        ("day of the week", 0, 7, &days),
    ];
    for (field, (name, low, high, words)) in when.split(' ').zip(fields) {
        let value = |text: &str| match text.parse::<u32>() {
            Ok(number) => (low..=high).contains(&number),
            Err(_) => words.contains(&text.to_ascii_lowercase().as_str()),
        };
        let part = |part: &str| {
            let (range, step) = match part.split_once('/') {
                Some((range, step)) => (range, step.parse::<u32>().is_ok_and(|s| s > 0)),
                None => (part, true),
            };
            // `~` between two is a random one of cronie and OpenBSD.
            let right = match range.split_once(['-', '~']) {
                Some((from, to)) => {
                    let open = range.contains('~');
                    (value(from) || open && from.is_empty()) && (value(to) || open && to.is_empty())
                }
                None => range == "*" || value(range),
            };
            right && step
        };
        if !field.split(',').all(part) {
            return Err(format!("{field} is no {name}"));
        }
    }
    Ok(())
}

/// `period delay identifier command`.
fn anacrontab(table: &Text, found: &mut Schedule) {
    for line in table.spoken() {
        if is_setting(line.text) {
            continue;
        }
        let parts = taken(line.text, 3).filter(|(_, command)| !command.is_empty());
        let Some((fields, command)) = parts else {
            unsure(
                &line,
                "anacron wants a period, a delay, a name and a command",
                found,
            );
            continue;
        };
        let mut fields = fields.split(' ');
        let (period, delay, name) = (fields.next(), fields.next(), fields.next());
        let period = period.unwrap_or_default();
        let every = match period.strip_prefix('@') {
            Some(word) => word.to_owned(),
            None if period.parse::<u32>().is_ok() => format!("every {period} days"),
            None => {
                unsure(&line, format!("{period} is no number of days"), found);
                continue;
            }
        };
        found.tasks.push(Task {
            kind: "anacron".to_owned(),
            name: name.map(str::to_owned),
            when: format!("{every}, {} minutes after the start", delay.unwrap_or("0")),
            user: Some("root".to_owned()),
            command: command.to_owned(),
            enabled: true,
            source: line.source(),
        });
    }
}

/// run-parts runs what may be executed; of Debian only names without a dot.
fn scripts(look: &Look<'_>, dir: &str, when: &str, found: &mut Schedule) {
    for name in look.names(dir) {
        let path = join(dir.as_bytes(), &name);
        let Some(stat) = look.stat(&path) else { continue };
        if name.starts_with(b".") || stat.kind != h2k_fs::FileKind::File {
            continue;
        }
        let runs = stat.mode.is_none_or(|mode| mode & 0o111 != 0);
        let ours = !name.contains(&b'.') || dir.starts_with("/etc/periodic");
        found.tasks.push(Task {
            kind: if dir.starts_with("/etc/periodic") {
                "periodic"
            } else {
                "cron"
            }
            .to_owned(),
            name: Some(lossy(&name)),
            when: when.to_owned(),
            user: Some("root".to_owned()),
            command: lossy(&path),
            enabled: runs && ours,
            source: Source::file(&path),
        });
    }
}

/// A file a job: its name tells queue, number and minutes since 1970; the body begins with the environment.
fn at_jobs(look: &Look<'_>, found: &mut Schedule) {
    for dir in ["/var/spool/cron/atjobs", "/var/spool/at", "/var/spool/atjobs"] {
        for name in look.names(dir) {
            let named = lossy(&name);
            // a0001b01e3c5f8, or = in place of the queue while it runs
            let digits = named.get(1..).filter(|d| d.len() == 13);
            let digits = digits.filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()));
            let minutes = digits
                .and_then(|d| d.get(5..))
                .and_then(|m| u64::from_str_radix(m, 16).ok());
            let Some(minutes) = minutes else { continue };
            let path = join(dir.as_bytes(), &name);
            let Some(job) = look.text(&path) else { continue };
            let (mut user, mut command) = (None, Vec::new());
            for line in job.lines() {
                if let Some(rest) = line.text.strip_prefix("# atrun uid=") {
                    user = rest.split_whitespace().next().map(|uid| format!("uid {uid}"));
                }
            }
            // The environment ends with a change of the directory, in braces.
            let mut past = false;
            for line in job.spoken() {
                if past {
                    command.push(line.text);
                }
                past |= line.text == "}";
            }
            found.tasks.push(Task {
                kind: "at".to_owned(),
                name: Some(named),
                when: format!("once, {} seconds after 1970 began", minutes.saturating_mul(60)),
                user,
                command: command.join("\n"),
                enabled: true,
                source: Source::file(&path),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_what_cron_takes() {
        for right in [
            "25 6 * * *",
            "*/5 0-23/2 1,15 jan-mar sun",
            "0 0 * * 7",
            "@daily",
            "0~30 4 * * *",
        ] {
            assert_eq!(time(right), Ok(()), "{right}");
        }
        for wrong in [
            "60 * * * *",
            "* 24 * * *",
            "* * 0 * *",
            "* * * foo *",
            "*/0 * * * *",
            "@often",
            "1- * * * *",
        ] {
            assert!(time(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn tables_of_the_system_name_a_user_and_those_of_users_do_not() {
        let text = Text::new(
            b"/etc/crontab",
            b"SHELL=/bin/sh\n17 *  * * *\troot  cd / && run\n* * * * root\nbad line\n",
        );
        let mut found = Schedule::default();
        crontab(&text, None, &mut found);
        assert_eq!(found.tasks.len(), 1);
        assert_eq!(found.tasks[0].when, "17 * * * *");
        assert_eq!(found.tasks[0].user.as_deref(), Some("root"));
        assert_eq!(found.tasks[0].command, "cd / && run");
        assert_eq!(found.not_understood.len(), 2);
        let mut found = Schedule::default();
        crontab(&Text::new(b"/c", b"@reboot a=b run\n"), Some("ann"), &mut found);
        assert_eq!(found.tasks[0].command, "a=b run");
    }
}
