//! Logs that are kept as text: what syslog daemons write where there is no journal.

use h2k_block::{Error, Limits, Meter, Result};
use h2k_fs::{Files, whole};
use std::io::Read;

/// The files everything is written to, by the daemons of the families: Red Hat and SUSE, Debian and Alpine.
const LOGS: [&str; 2] = ["/var/log/messages", "/var/log/syslog"];
/// How many rotated files there may be of one log.
const ROTATED: u32 = 99;

/// One log file of text.
#[derive(Debug)]
pub struct TextLog {
    /// Where it is.
    pub path: String,
    /// Its lines, without their ends. What they mean is left to the reader: nothing in them is marked up.
    pub lines: Vec<Vec<u8>>,
}

/// Reads the text logs of `files`, the oldest first: `messages.2.gz`, `messages.1`, `messages`. Those that cannot be
/// read are told by path and reason.
pub fn text_logs(files: &dyn Files, limits: &Limits) -> (Vec<TextLog>, Vec<(String, Error)>) {
    let (mut logs, mut unreadable) = (Vec::new(), Vec::new());
    let mut meter = Meter::new(*limits);
    for log in LOGS {
        let names = (1..=ROTATED)
            .rev()
            .flat_map(|n| [format!("{log}.{n}.gz"), format!("{log}.{n}")]);
        let dated = dated(files, log, &mut meter).unwrap_or_default();
        for path in dated.into_iter().chain(names).chain([log.to_owned()]) {
            match read(files, &path, &mut meter) {
                Ok(Some(bytes)) => logs.push(TextLog {
                    lines: lines(&bytes),
                    path,
                }),
                Ok(None) => {}
                Err(e) => unreadable.push((path, e)),
            }
        }
    }
    (logs, unreadable)
}

/// `messages-20261101.gz`: what logrotate makes with `dateext`, oldest first.
fn dated(files: &dyn Files, log: &str, meter: &mut Meter) -> Result<Vec<String>> {
    let (dir, name) = log.rsplit_once('/').unwrap_or(("", log));
    let names = files.names(dir.as_bytes(), meter)?.unwrap_or_default();
    let paths = names.into_iter().filter_map(|found| {
        let found = String::from_utf8(found).ok()?;
        let date = found.strip_prefix(name)?.strip_prefix('-')?;
        let digits = date.strip_suffix(".gz").unwrap_or(date);
        let date = digits.len() >= 8 && digits.bytes().all(|b| b.is_ascii_digit() || b == b'-');
        date.then(|| format!("{dir}/{found}"))
    });
    Ok(paths.collect())
}

fn read(files: &dyn Files, path: &str, meter: &mut Meter) -> Result<Option<Vec<u8>>> {
    let Some(file) = files.open(path.as_bytes())? else {
        return Ok(None);
    };
    let raw = whole(&*file, meter, "text log")?;
    if !raw.starts_with(&[0x1f, 0x8b]) {
        return Ok(Some(raw));
    }
    let mut stream = flate2::read::MultiGzDecoder::new(raw.as_slice());
    let mut all = Vec::new();
    let mut piece = vec![0; 1 << 14];
    loop {
        let n = stream
            .read(&mut piece)
            .map_err(|e| Error::corrupt("gzip", 0, e.to_string()))?;
        if n == 0 {
            return Ok(Some(all));
        }
        meter.bytes(crate::layout::wide(n), "text log")?;
        all.extend_from_slice(piece.get(..n).unwrap_or_default());
    }
}

fn lines(bytes: &[u8]) -> Vec<Vec<u8>> {
    let body = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    if body.is_empty() {
        return Vec::new();
    }
    body.split(|b| *b == b'\n').map(<[u8]>::to_vec).collect()
}
