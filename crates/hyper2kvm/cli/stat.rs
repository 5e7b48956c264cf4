use super::guest::{GuestArgs, PATHS};
use super::ls::mode;
use super::{Context, Outcome, exit};
use crate::term::{Fields, Screen, exact, shown, shown_bytes, utc};
use h2k_block::{Limits, Meter, Result};
use h2k_convert::{FileEntry, kind_word, odd, text};
use h2k_fs::{FileKind, Stat, Time};
use h2k_guest::Tree;
use serde::Serialize;
use std::ffi::OsString;

/// Show everything known of files in a guest: times, owner, links, extended attributes, the device it lies on
///
/// A link is shown itself, as in stat; --follow shows what it leads to.
#[derive(Debug, clap::Args)]
#[command(after_long_help = format!("\
Examples:
  hyper2kvm stat server.vmdk:/etc/shadow
  hyper2kvm stat --json server.qcow2:/bin

{PATHS}"))]
pub(super) struct Args {
    /// The files
    #[arg(value_name = "DISK:PATH", required = true)]
    paths: Vec<OsString>,
    /// Show what a link leads to
    #[arg(short = 'L', long)]
    follow: bool,
    #[command(flatten)]
    guest: GuestArgs,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Xattr {
    name: String,
    name_bytes: Option<String>,
    value: Option<String>,
    value_bytes: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct One {
    #[serde(flatten)]
    entry: FileEntry,
    source: String,
    real_path: String,
    real_path_bytes: Option<String>,
    changed_sec: i64,
    changed_nsec: u32,
    accessed_sec: i64,
    accessed_nsec: u32,
    created_sec: Option<i64>,
    created_nsec: Option<u32>,
    xattrs: Vec<Xattr>,
}

#[derive(Serialize)]
struct Report {
    files: Vec<One>,
    warnings: serde_json::Value,
}

impl Args {
    pub(super) fn run(self, context: &Context) -> Outcome {
        let files = self.guest.files(&self.paths, &context.screen)?;
        let meter = &mut Meter::new(Limits::default());
        let mut all = Vec::new();
        for path in &files.paths {
            let one = self.one(&files.tree, path, meter);
            all.push(one.map_err(|e| files.about(path, e))?);
        }
        if context.screen.json {
            context.screen.document(&Report {
                files: all.into_iter().map(|(one, _)| one).collect(),
                warnings: files.warnings,
            });
        } else {
            for (one, stat) in &all {
                context.screen.say(&plain(one, stat, &context.screen));
            }
        }
        Ok(exit::DONE)
    }

    fn one(&self, tree: &Tree, path: &[u8], meter: &mut Meter) -> Result<(One, Stat)> {
        let place = if self.follow {
            tree.find(path, meter)?
        } else {
            tree.find_itself(path, meter)?
        };
        let stat = tree.stat(place)?;
        let real = real_path(tree, path, &stat, meter)?;
        let all = tree.xattrs(place, meter)?;
        let xattrs = all.into_iter().map(|(name, value)| Xattr {
            name: text(&name),
            name_bytes: odd(&name),
            value_bytes: odd(&value),
            value: String::from_utf8(value).ok(),
        });
        let one = One {
            entry: FileEntry::new(path, place, &Ok(stat), tree),
            source: tree.at(place)?.source.clone(),
            real_path: text(&real),
            real_path_bytes: odd(&real),
            changed_sec: stat.changed.seconds,
            changed_nsec: stat.changed.nanos,
            accessed_sec: stat.accessed.seconds,
            accessed_nsec: stat.accessed.nanos,
            created_sec: stat.created.map(|t| t.seconds),
            created_nsec: stat.created.map(|t| t.nanos),
            xattrs: xattrs.collect(),
        };
        Ok((one, stat))
    }
}

/// The path without links; of a link, its directory's and its own name.
fn real_path(tree: &Tree, path: &[u8], stat: &Stat, meter: &mut Meter) -> Result<Vec<u8>> {
    if stat.kind != FileKind::Link {
        return Ok(tree.canonical(path, meter)?.unwrap_or_else(|| path.to_vec()));
    }
    let end = path
        .iter()
        .rposition(|b| *b != b'/')
        .map_or(0, |i| i.saturating_add(1));
    let trimmed = path.get(..end).unwrap_or_default();
    let cut = trimmed.iter().rposition(|b| *b == b'/').unwrap_or(0);
    let (dir, name) = trimmed.split_at(cut);
    let dir = tree.canonical(dir, meter)?.unwrap_or_else(|| dir.to_vec());
    Ok(super::ls::joined(&dir, name.strip_prefix(b"/").unwrap_or(name)))
}

fn plain(one: &One, stat: &Stat, screen: &Screen) -> String {
    let mut fields = Fields::default();
    let entry = &one.entry;
    fields.add("type", kind_word(stat.kind));
    if let Some(target) = &entry.target {
        fields.add("target", shown(target));
    }
    if one.real_path != entry.name {
        fields.add("real path", shown(&one.real_path));
    }
    fields.add("size", exact(stat.len));
    fields.add("allocated", exact(stat.allocated));
    if let Some(octal) = &entry.mode {
        fields.add("mode", format!("{octal} {}", mode(stat)));
    }
    if let (Some(uid), Some(gid)) = (stat.uid, stat.gid) {
        fields.add("owner", format!("{uid}:{gid}"));
    }
    if let Some(device) = &entry.device {
        fields.add("device", device.clone());
    }
    fields.add("links", stat.links.to_string());
    fields.add("inode", stat.inode.to_string());
    fields.add("lies on", shown(&one.source));
    fields.add("modified", precise(stat.modified));
    fields.add("changed", precise(stat.changed));
    fields.add("accessed", precise(stat.accessed));
    if let Some(created) = stat.created {
        fields.add("created", precise(created));
    }
    for x in &one.xattrs {
        let value = match (&x.value, &x.value_bytes) {
            (Some(value), _) => shown(value),
            (None, Some(bytes)) => format!("0x{bytes}"),
            (None, None) => String::new(),
        };
        fields.add("xattr", format!("{}={value}", shown(&x.name)));
    }
    let name = match &entry.name_bytes {
        Some(_) => shown_bytes(&unhexed(entry)),
        None => entry.name.clone(),
    };
    format!("{}\n{}", screen.out.bold(&name), fields.render(screen.out, "  "))
}

/// The bytes behind a name that is not text.
fn unhexed(entry: &FileEntry) -> Vec<u8> {
    let hexed = entry.name_bytes.as_deref().unwrap_or_default().as_bytes();
    let byte = |pair: &[u8]| {
        std::str::from_utf8(pair)
            .ok()
            .and_then(|p| u8::from_str_radix(p, 16).ok())
    };
    hexed.chunks(2).filter_map(byte).collect()
}

fn precise(time: Time) -> String {
    let whole = utc(time.seconds);
    let whole = whole.trim_end_matches(" UTC");
    format!("{whole}.{:09} UTC", time.nanos)
}

#[cfg(test)]
mod tests {
    use super::*;
    use h2k_convert::hex;

    #[test]
    fn bytes_come_back_from_hexadecimal() {
        let entry = FileEntry {
            name_bytes: Some(hex(b"\xff\x00a")),
            ..FileEntry::default()
        };
        assert_eq!(unhexed(&entry), b"\xff\x00a");
    }

    #[test]
    fn times_are_shown_to_the_nanosecond() {
        let time = Time { seconds: 0, nanos: 5 };
        assert_eq!(precise(time), "1970-01-01 00:00:00.000000005 UTC");
    }
}
