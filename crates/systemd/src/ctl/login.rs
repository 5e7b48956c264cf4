//! `loginctl` offline: there are no sessions on a machine that is switched off, there is who was logged in and when.
//!
//! Sources: utmp(5) for the records of `wtmp` and `btmp`, which have the same layout on all architectures with glibc
//! and Linux; lastlog(5). Both in the byte order of the machine, which is little-endian here.

use h2k_block::{BlockRead, Error, Kind, Meter, Result};
use h2k_fs::{Files, whole};
use h2k_guest::Look;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Bytes of one record of `wtmp` and `btmp`.
pub const LOGIN_RECORD: usize = 384;
/// Bytes of one user's record in `lastlog`.
const LAST: u64 = 292;

/// What a record of `wtmp` tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginKind {
    /// The system was started.
    Boot,
    /// The runlevel changed; to 0 or 6 means that it was shut down.
    RunLevel(u8),
    /// The clock was set.
    Clock,
    /// init, getty or login waits for somebody.
    Waiting,
    /// Somebody logged in; in `btmp`, somebody tried.
    User,
    /// A session ended.
    Dead,
    /// Nothing, or what nobody knows.
    Other(i16),
}

/// A record of `wtmp` or `btmp`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginRecord {
    /// What happened.
    pub kind: LoginKind,
    /// The process that logged it.
    pub pid: i32,
    /// The terminal without `/dev/`.
    pub line: String,
    /// Who.
    pub user: String,
    /// From where: a host name or address, or the kernel's version.
    pub host: String,
    /// The address it was from.
    pub address: Option<IpAddr>,
    /// When, microseconds since 1970 UTC.
    pub time: u64,
}

/// How a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionEnd {
    /// The user logged out.
    Logout,
    /// The machine was shut down.
    Shutdown,
    /// The machine was started again without having been shut down.
    Crash,
    /// Nothing says that it ended.
    Open,
    /// Somebody else's session began on the same terminal.
    Replaced,
}

/// Somebody was logged in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Who.
    pub user: String,
    /// The terminal without `/dev/`.
    pub line: String,
    /// From where.
    pub host: String,
    /// The process that held the session.
    pub pid: i32,
    /// From when, microseconds since 1970 UTC.
    pub login: u64,
    /// Until when, where that is known.
    pub logout: Option<u64>,
    /// How it ended.
    pub end: SessionEnd,
}

/// When a user logged in last, by `lastlog`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastLogin {
    /// The user's number.
    pub uid: u32,
    /// The terminal without `/dev/`.
    pub line: String,
    /// From where.
    pub host: String,
    /// When, seconds since 1970 UTC.
    pub time: u32,
}

/// The records of `path` (`/var/log/wtmp`, `/var/log/btmp`), in the order of the file; `None` where there is no such
/// file.
///
/// # Errors
/// [`h2k_block::Class::Unsupported`] where there is a `wtmp.db` of wtmpdb instead; else as [`records`].
pub fn login_records(look: &Look<'_>, path: &str) -> Result<Option<Vec<LoginRecord>>> {
    let mut meter = Meter::new(*look.limits());
    if let Some(file) = Files::open(look, path.as_bytes())? {
        let bytes = whole(&*file, &mut meter, "login records")?;
        return records(&bytes, &mut meter).map(Some);
    }
    for database in ["/var/lib/wtmpdb/wtmp.db", "/var/log/wtmp.db"] {
        if path.ends_with("wtmp") && look.is_file(database) {
            let what = format!("{database}: the database of wtmpdb (SQLite) is not read");
            return Err(Error::unsupported(what));
        }
    }
    Ok(None)
}

/// The records in `bytes`. One that was cut off at the end is left out.
///
/// # Errors
/// [`h2k_block::Class::Limit`] when there are more than `meter` has left for.
pub fn records(bytes: &[u8], meter: &mut Meter) -> Result<Vec<LoginRecord>> {
    let mut all = Vec::new();
    for raw in bytes.chunks_exact(LOGIN_RECORD) {
        meter.step("login record")?;
        let number = |at: usize| i32::from_le_bytes(field(raw, at));
        let kind = i16::from_le_bytes(field(raw, 0));
        let pid = number(4);
        let kind = match kind {
            1 => LoginKind::RunLevel(pid.to_le_bytes().first().copied().unwrap_or_default()),
            2 => LoginKind::Boot,
            3 | 4 => LoginKind::Clock,
            5 | 6 => LoginKind::Waiting,
            7 => LoginKind::User,
            8 => LoginKind::Dead,
            other => LoginKind::Other(other),
        };
        let seconds = u64::from(u32::from_le_bytes(field(raw, 340)));
        let micro = u64::from(u32::from_le_bytes(field(raw, 344))).min(999_999);
        let address: [u8; 16] = field(raw, 348);
        all.push(LoginRecord {
            kind,
            pid,
            line: text(raw, 8, 32),
            user: text(raw, 44, 32),
            host: text(raw, 76, 256),
            address: ip(address),
            time: seconds.saturating_mul(1_000_000).saturating_add(micro),
        });
    }
    Ok(all)
}

/// An address whose last twelve bytes are zero is one of four bytes.
fn ip(raw: [u8; 16]) -> Option<IpAddr> {
    let [a, b, c, d, rest @ ..] = raw;
    match (a | b | c | d, rest.iter().all(|byte| *byte == 0)) {
        (0, true) => None,
        (_, true) => Some(Ipv4Addr::new(a, b, c, d).into()),
        _ => Some(Ipv6Addr::from(raw).into()),
    }
}

fn field<const N: usize>(raw: &[u8], at: usize) -> [u8; N] {
    let bytes = raw.get(at..).and_then(|rest| rest.first_chunk::<N>());
    bytes.copied().unwrap_or([0; N])
}

fn text(raw: &[u8], at: usize, len: usize) -> String {
    let field = raw.get(at..at.saturating_add(len)).unwrap_or_default();
    let field = field.split(|b| *b == 0).next().unwrap_or_default();
    String::from_utf8_lossy(field).into_owned()
}

/// The sessions that `records` of a `wtmp` tell, in the order they began.
#[must_use]
pub fn sessions(records: &[LoginRecord]) -> Vec<Session> {
    let mut all: Vec<Session> = Vec::new();
    let mut open: Vec<usize> = Vec::new();
    for record in records {
        let end = match record.kind {
            LoginKind::Boot => SessionEnd::Crash,
            LoginKind::RunLevel(b'0' | b'6') => SessionEnd::Shutdown,
            LoginKind::User if !record.user.is_empty() => SessionEnd::Replaced,
            LoginKind::Dead => SessionEnd::Logout,
            _ => continue,
        };
        let everybody = matches!(end, SessionEnd::Crash | SessionEnd::Shutdown);
        open.retain(|n| {
            let Some(session) = all.get_mut(*n) else {
                return false;
            };
            if everybody || session.line == record.line {
                session.end = end;
                session.logout = Some(record.time);
                return false;
            }
            true
        });
        if end == SessionEnd::Replaced {
            open.push(all.len());
            all.push(Session {
                user: record.user.clone(),
                line: record.line.clone(),
                host: record.host.clone(),
                pid: record.pid,
                login: record.time,
                logout: None,
                end: SessionEnd::Open,
            });
        }
    }
    all
}

/// Who logged in last and when, by `/var/log/lastlog`; users that never did are left out. `None` where there is no
/// such file. The file is as long as the largest user number makes it, and nearly all of it is a hole.
///
/// # Errors
/// [`h2k_block::Class::Unsupported`] where there is a `lastlog2.db` instead; else as reading.
pub fn last_logins(look: &Look<'_>) -> Result<Option<Vec<LastLogin>>> {
    let mut meter = Meter::new(*look.limits());
    let tree = look.tree();
    if let Some(place) = tree.lookup(LASTLOG, true, &mut meter)? {
        let len = tree.stat(place)?.len;
        let skip = |at: u64| -> Result<u64> {
            let run = tree.extent_at(place, at, len)?.run;
            let hole = run.kind != Kind::Data;
            Ok(if hole {
                run.start.saturating_add(run.len)
            } else {
                at
            })
        };
        let file = Files::open(look, LASTLOG)?;
        return file.map(|file| lastlog(&*file, &skip, &mut meter)).transpose();
    }
    let database = "/var/lib/lastlog/lastlog2.db";
    if look.is_file(database) {
        let what = format!("{database}: the database of lastlog2 (SQLite) is not read");
        return Err(Error::unsupported(what));
    }
    Ok(None)
}

const LASTLOG: &[u8] = b"/var/log/lastlog";
/// Records read at once.
const PIECE: u64 = 512;

/// `skip` tells from a place in the file the next one at which something may be stored.
fn lastlog(
    disk: &dyn BlockRead,
    skip: &dyn Fn(u64) -> Result<u64>,
    meter: &mut Meter,
) -> Result<Vec<LastLogin>> {
    let count = disk.len().div_euclid(LAST);
    let mut all = Vec::new();
    let mut uid = 0;
    while uid < count {
        meter.step("piece of a lastlog")?;
        let next = skip(uid.saturating_mul(LAST))?.div_euclid(LAST);
        if next > uid {
            uid = next;
            continue;
        }
        let n = PIECE.min(count.saturating_sub(uid));
        let mut raw = meter.buffer(n.saturating_mul(LAST), "lastlog")?;
        disk.read_at(uid.saturating_mul(LAST), &mut raw)?;
        for (record, uid) in raw.chunks_exact(292).zip(uid..) {
            let time = u32::from_le_bytes(field(record, 0));
            let (Ok(uid), true) = (u32::try_from(uid), time != 0) else {
                continue;
            };
            all.push(LastLogin {
                uid,
                line: text(record, 4, 32),
                host: text(record, 36, 256),
                time,
            });
        }
        uid = uid.saturating_add(n);
    }
    Ok(all)
}
