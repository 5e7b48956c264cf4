use crate::cli::guest::DiskArgs;
use crate::cli::{Context, Outcome, exit};
use crate::term::{Align, Table, shown, utc};
use h2k_convert::Failure;
use h2k_guest::Look;
use h2k_systemd::ctl::{LoginKind, Session, SessionEnd, last_logins, login_records, sessions};
use serde::Serialize;

/// Show who was logged in and when, from wtmp, btmp and lastlog
///
/// A guest that is switched off has no sessions: what loginctl would list is what there was. Times are UTC.
#[derive(Debug, clap::Subcommand)]
pub(in crate::cli) enum Command {
    /// List the sessions there were, oldest first
    #[command(after_long_help = "Examples:\n  hyper2kvm systemd login list-sessions server.vmdk")]
    ListSessions(DiskArgs),
    /// List users with their last login, and how often logging in failed
    #[command(after_long_help = "Examples:\n  hyper2kvm systemd login list-users server.vmdk")]
    ListUsers(DiskArgs),
    /// Show one session by its number in the list
    ShowSession(One),
}

#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:\n  hyper2kvm systemd login show-session 3 server.vmdk")]
pub(in crate::cli) struct One {
    /// Its number in list-sessions
    #[arg(value_name = "NUMBER")]
    number: usize,
    #[command(flatten)]
    disks: DiskArgs,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct SessionReport {
    number: usize,
    user: String,
    line: String,
    host: String,
    pid: i32,
    login_usec: u64,
    logout_usec: Option<u64>,
    end: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct SessionsReport {
    sessions: Vec<SessionReport>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct UserReport {
    user: String,
    uid: Option<u32>,
    last_login_sec: Option<u64>,
    line: Option<String>,
    host: Option<String>,
    sessions: usize,
    failed: usize,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct UsersReport {
    users: Vec<UserReport>,
}

impl SessionReport {
    fn new(number: usize, session: Session) -> Self {
        Self {
            number,
            user: session.user,
            line: session.line,
            host: session.host,
            pid: session.pid,
            login_usec: session.login,
            logout_usec: session.logout,
            end: match session.end {
                SessionEnd::Logout => "logout",
                SessionEnd::Shutdown => "shutdown",
                SessionEnd::Crash => "crash",
                SessionEnd::Open => "open",
                SessionEnd::Replaced => "replaced",
            },
        }
    }
}

fn all(look: &Look<'_>) -> Result<Vec<SessionReport>, Failure> {
    let records = login_records(look, "/var/log/wtmp")?.unwrap_or_default();
    let reports = (1..).zip(sessions(&records));
    Ok(reports
        .map(|(n, session)| SessionReport::new(n, session))
        .collect())
}

impl Command {
    pub(super) fn run(self, context: &Context) -> Outcome {
        match self {
            Self::ListSessions(disks) => disks.look(context, |look| {
                let sessions = all(look)?;
                table(context, SessionsReport { sessions })
            }),
            Self::ShowSession(one) => one.disks.look(context, |look| {
                let mut sessions = all(look)?;
                let count = sessions.len();
                sessions.retain(|s| s.number == one.number);
                if sessions.is_empty() {
                    let what = format!("there is no session {}: {count} are known", one.number);
                    return Err(h2k_block::Error::new(h2k_block::Class::NotFound, what).into());
                }
                table(context, SessionsReport { sessions })
            }),
            Self::ListUsers(disks) => disks.look(context, |look| users(look, context)),
        }
    }
}

fn when(micro: u64) -> String {
    utc(i64::try_from(micro.div_euclid(1_000_000)).unwrap_or(i64::MAX))
}

fn table(context: &Context, report: SessionsReport) -> Outcome {
    let screen = &context.screen;
    if screen.json {
        screen.document(&report);
        return Ok(exit::DONE);
    }
    let mut table = Table::new(&[
        ("SESSION", Align::Right),
        ("USER", Align::Left),
        ("TTY", Align::Left),
        ("FROM", Align::Left),
        ("LOGIN", Align::Left),
        ("LOGOUT", Align::Left),
        ("END", Align::Left),
    ]);
    for session in &report.sessions {
        table.row([
            session.number.to_string(),
            shown(&session.user),
            shown(&session.line),
            shown(&session.host),
            when(session.login_usec),
            session.logout_usec.map_or_else(|| "-".to_owned(), when),
            session.end.to_owned(),
        ]);
    }
    screen.say(&table.render(screen.out, "", &|_, cell| cell.to_owned()));
    Ok(exit::DONE)
}

fn users(look: &Look<'_>, context: &Context) -> Outcome {
    let known = names(look);
    let mut users: Vec<UserReport> = Vec::new();
    fn user(users: &mut Vec<UserReport>, name: String, uid: Option<u32>) -> Option<&mut UserReport> {
        let at = users.iter().position(|u| u.user == name);
        let at = at.unwrap_or_else(|| {
            users.push(UserReport {
                user: name,
                uid,
                last_login_sec: None,
                line: None,
                host: None,
                sessions: 0,
                failed: 0,
            });
            users.len().saturating_sub(1)
        });
        users.get_mut(at)
    }
    let uid = |name: &str| known.iter().find(|(n, _)| n == name).map(|(_, uid)| *uid);
    for login in last_logins(look)?.unwrap_or_default() {
        let name = known.iter().find(|(_, uid)| *uid == login.uid);
        let name = name.map_or_else(|| login.uid.to_string(), |(name, _)| name.clone());
        if let Some(user) = user(&mut users, name, Some(login.uid)) {
            user.last_login_sec = Some(login.time.into());
            user.line = Some(login.line);
            user.host = Some(login.host);
        }
    }
    for session in all(look)? {
        let number = uid(&session.user);
        if let Some(user) = user(&mut users, session.user, number) {
            user.sessions = user.sessions.saturating_add(1);
            let login = session.login_usec.div_euclid(1_000_000);
            if user.last_login_sec.is_none_or(|last| last < login) {
                user.last_login_sec = Some(login);
                user.line = Some(session.line);
                user.host = Some(session.host);
            }
        }
    }
    let failed = login_records(look, "/var/log/btmp")?.unwrap_or_default();
    for record in failed
        .into_iter()
        .filter(|r| r.kind != LoginKind::Dead && !r.user.is_empty())
    {
        let number = uid(&record.user);
        if let Some(user) = user(&mut users, record.user, number) {
            user.failed = user.failed.saturating_add(1);
        }
    }
    let report = UsersReport { users };
    let screen = &context.screen;
    if screen.json {
        screen.document(&report);
        return Ok(exit::DONE);
    }
    let mut table = Table::new(&[
        ("UID", Align::Right),
        ("USER", Align::Left),
        ("LAST LOGIN", Align::Left),
        ("TTY", Align::Left),
        ("FROM", Align::Left),
        ("SESSIONS", Align::Right),
        ("FAILED", Align::Right),
    ]);
    for user in &report.users {
        let last = user.last_login_sec.and_then(|s| i64::try_from(s).ok());
        table.row([
            user.uid.map_or_else(|| "-".to_owned(), |uid| uid.to_string()),
            shown(&user.user),
            last.map_or_else(|| "-".to_owned(), utc),
            shown(user.line.as_deref().unwrap_or("-")),
            shown(user.host.as_deref().unwrap_or("-")),
            user.sessions.to_string(),
            user.failed.to_string(),
        ]);
    }
    screen.say(&table.render(screen.out, "", &|_, cell| cell.to_owned()));
    Ok(exit::DONE)
}

/// Names and numbers of the guest's users.
fn names(look: &Look<'_>) -> Vec<(String, u32)> {
    let Some(text) = look.text("/etc/passwd") else {
        return Vec::new();
    };
    let users = text.spoken().filter_map(|line| {
        let mut fields = line.text.split(':');
        let name = fields.next()?.to_owned();
        Some((name, fields.nth(1)?.parse().ok()?))
    });
    users.collect()
}
