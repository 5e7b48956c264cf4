use super::super::{Context, Outcome, exit};
use super::{TARGETS, Target, show};
use crate::term::{exact, shown};
use h2k_block::{Access, BlockRead, Class, Error, FileDisk, Limits, Meter, Sharing};
use h2k_convert::{ChangedReport, Changing, Failure, HiveSource, Where};
use h2k_fs::Time;
use h2k_hive::{Action, Kind, RegFile, Wish};
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

/// How a change is written.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Writing")]
struct Writing {
    /// Write the changed hive to this file, and leave the one that was named alone
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace the output file if it exists
    #[arg(long, requires = "output")]
    force: bool,
    /// Take a hive that was left in the middle of a write as it is, its logs as lost
    ///
    /// Without this, such a hive is changed only when its transaction logs lie beside it.
    #[arg(long)]
    without_logs: bool,
}

/// Shown in the help of commands that write.
const HOW: &str = "\
Writing:
  The changed hive is written beside the old one, made durable, and takes its name: an interruption leaves the
  one or the other. Transaction logs are replayed first; they stay where they are, and never apply again.";

impl Writing {
    fn run(
        &self,
        target: Target,
        wishes: RegFile,
        prefix: &str,
        context: &Context,
    ) -> Result<ChangedReport, Failure> {
        let into = match &self.output {
            Some(path) => Where::Into {
                path: path.clone(),
                replace: self.force,
            },
            None => Where::InPlace,
        };
        let job = Changing {
            hive: HiveSource {
                accept: self.without_logs,
                ..HiveSource::new(target.file)
            },
            wishes,
            prefix: prefix.to_owned(),
            into,
            now: now(),
        };
        let report = job.run()?;
        show::notes(&report.warnings, context);
        Ok(report)
    }
}

/// The time as Windows counts it.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = Time {
        seconds: i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        nanos: since.subsec_nanos(),
    };
    now.filetime()
}

fn told(report: &ChangedReport, context: &Context) -> u8 {
    let screen = &context.screen;
    if screen.json {
        screen.document(report);
    } else if !screen.quiet {
        let target = screen.out.bold(&report.target);
        if report.changed {
            let counts = [
                (report.keys_created, "keys created"),
                (report.keys_deleted, "keys deleted"),
                (report.values_set, "values set"),
                (report.values_deleted, "values deleted"),
            ];
            let counts = counts.iter().filter(|(n, _)| *n > 0);
            let counts: Vec<String> = counts.map(|(n, what)| format!("{} {what}", exact(*n))).collect();
            screen.say(&format!("{target}: {}\n", counts.join(", ")));
        } else {
            screen.say(&format!("{target}: nothing to change\n"));
        }
    }
    exit::DONE
}

fn one(key: &str, action: Action) -> Wish {
    Wish {
        line: 1,
        key: key.to_owned(),
        action,
    }
}

fn spelled(name: &str) -> String {
    if name == "@" {
        String::new()
    } else {
        name.to_owned()
    }
}

/// Set a value, or create a key
///
/// Keys that are not there are created, with the security of the key above them. Without a name only the key is.
#[derive(Debug, clap::Args)]
#[command(after_long_help = format!("\
Types:
  sz, expand_sz, link    text
  multi_sz               texts, one argument each
  dword, dword_big_endian, qword
                         a number, in decimal or with 0x in hexadecimal
  binary, none, a number bytes in hexadecimal, such as 00ff10

Examples:
  hyper2kvm reg set 'SYSTEM:CurrentControlSet\\Services\\viostor' Start 0 --type dword
  hyper2kvm reg set 'SOFTWARE:Microsoft\\X' Path 'C:\\Program Files\\X'

{HOW}

{TARGETS}"))]
pub(in super::super) struct Set {
    /// The key
    #[arg(value_name = "TARGET")]
    target: OsString,
    /// The value; @ for the default value
    name: Option<String>,
    /// Its data
    data: Vec<String>,
    /// What kind of data it is
    #[arg(short = 't', long = "type", value_name = "TYPE", default_value = "sz", value_parser = kind)]
    kind: Kind,
    #[command(flatten)]
    writing: Writing,
}

fn kind(text: &str) -> Result<Kind, String> {
    Kind::named(text)
        .ok_or_else(|| format!("{text:?} is no type of the registry; say sz, dword, binary or another"))
}

impl Set {
    pub(super) fn run(self, context: &Context) -> Outcome {
        let target = Target::writable(&self.target)?;
        let mut wishes = vec![one(&target.key, Action::Create)];
        if let Some(name) = &self.name {
            let data = bytes(self.kind, &self.data)?;
            wishes = vec![one(&target.key, Action::Set(spelled(name), self.kind, data))];
        }
        let report = self.writing.run(target, RegFile { wishes }, "", context)?;
        Ok(told(&report, context))
    }
}

/// The data that the arguments of `set` stand for.
fn bytes(kind: Kind, args: &[String]) -> Result<Vec<u8>, Failure> {
    let text = |text: &str| {
        text.encode_utf16()
            .chain([0])
            .flat_map(u16::to_le_bytes)
            .collect::<Vec<u8>>()
    };
    if kind == Kind::MULTI_SZ {
        if args.iter().any(String::is_empty) {
            return Err(Failure::invalid(
                "a text of a multi_sz cannot be empty: an empty one ends the list",
            ));
        }
        let mut data: Vec<u8> = args.iter().flat_map(|arg| text(arg)).collect();
        data.extend([0, 0]);
        return Ok(data);
    }
    let one = match args {
        [] => "",
        [one] => one,
        _ => {
            return Err(Failure::invalid(format!(
                "{} arguments as data, one is possible for {kind}",
                args.len()
            )));
        }
    };
    let number = || {
        let parsed = match one.strip_prefix("0x").or_else(|| one.strip_prefix("0X")) {
            Some(digits) => u64::from_str_radix(digits, 16),
            None => one.parse(),
        };
        parsed.map_err(|_| Failure::invalid(format!("{one:?} is no number")))
    };
    let short = || {
        let large = |_| Failure::invalid(format!("{one} does not fit into 32 bits"));
        number().and_then(|n| u32::try_from(n).map_err(large))
    };
    match kind {
        Kind::SZ | Kind::EXPAND_SZ => Ok(text(one)),
        // The target of a link has no zero at its end.
        Kind::LINK => Ok(one.encode_utf16().flat_map(u16::to_le_bytes).collect()),
        Kind::DWORD => Ok(short()?.to_le_bytes().to_vec()),
        Kind::DWORD_BE => Ok(short()?.to_be_bytes().to_vec()),
        Kind::QWORD => Ok(number()?.to_le_bytes().to_vec()),
        _ => {
            let digits: Vec<u32> = one
                .chars()
                .filter(|c| !matches!(c, ' ' | ','))
                .map_while(|c| c.to_digit(16))
                .collect();
            let wanted = one.chars().filter(|c| !matches!(c, ' ' | ',')).count();
            let (pairs, half) = digits.as_chunks::<2>();
            if digits.len() != wanted || !half.is_empty() {
                return Err(Failure::invalid(format!("{one:?} is not bytes in hexadecimal")));
            }
            let byte = |[high, low]: &[u32; 2]| u8::try_from(high << 4 | low).unwrap_or(0);
            Ok(pairs.iter().map(byte).collect())
        }
    }
}

/// Delete a value, or a key with everything below it
#[derive(Debug, clap::Args)]
#[command(after_long_help = format!("\
Examples:
  hyper2kvm reg delete 'SYSTEM:ControlSet001\\Services\\vmci'
  hyper2kvm reg delete 'SOFTWARE:Microsoft\\Windows\\CurrentVersion\\Run' 'VMware User Process'

{HOW}

{TARGETS}"))]
pub(in super::super) struct Delete {
    /// The key
    #[arg(value_name = "TARGET")]
    target: OsString,
    /// The value; @ for the default value. Without a name, the whole key is deleted
    name: Option<String>,
    #[command(flatten)]
    writing: Writing,
}

impl Delete {
    pub(super) fn run(self, context: &Context) -> Outcome {
        let target = Target::writable(&self.target)?;
        // What is not there is said before anything is written.
        let source = HiveSource {
            accept: self.writing.without_logs,
            ..HiveSource::new(target.file.clone())
        };
        {
            let open = source.open()?;
            let (key, path) = open.key(&target.key)?;
            if let Some(name) = &self.name
                && key.value(&spelled(name)).map_err(|e| open.about(e))?.is_none()
            {
                let what = format!("{}: the key {path} has no value {name}", open.filename);
                return Err(Failure::from(Error::new(Class::NotFound, what.clone())).headed(what));
            }
        }
        let action = match &self.name {
            Some(name) => Action::Unset(spelled(name)),
            None => Action::Delete,
        };
        let wishes = vec![one(&target.key, action)];
        let report = self.writing.run(target, RegFile { wishes }, "", context)?;
        Ok(told(&report, context))
    }
}

/// Do what a file of registry text asks for
///
/// Text of regedit is understood, of version 5.00 and REGEDIT4, in UTF-16, UTF-8 or Windows-1252. All of it is done,
/// or nothing.
#[derive(Debug, clap::Args)]
#[command(after_long_help = format!("\
Examples:
  hyper2kvm reg import SYSTEM drivers.reg --prefix 'HKEY_LOCAL_MACHINE\\SYSTEM'
  hyper2kvm reg import -o SYSTEM.new SYSTEM drivers.reg --prefix 'HKLM\\SYSTEM'

{HOW}

{TARGETS}"))]
pub(in super::super) struct Import {
    /// The hive
    #[arg(value_name = "TARGET")]
    target: OsString,
    /// The file of registry text
    text: PathBuf,
    /// What the keys in the text have in front of the hive's own paths, such as HKEY_LOCAL_MACHINE\SYSTEM
    #[arg(long, value_name = "KEY", default_value = "", hide_default_value = true)]
    prefix: String,
    #[command(flatten)]
    writing: Writing,
}

impl Import {
    pub(super) fn run(self, context: &Context) -> Outcome {
        let target = Target::writable(&self.target)?;
        if !target.key.is_empty() {
            return Err(
                Failure::invalid("import changes a hive, and takes no key behind its name")
                    .advise("say with --prefix where the keys of the text begin"),
            );
        }
        let limits = Limits::default();
        let about = |e: Error| Failure::from(e).about(&self.text);
        let file = FileDisk::open(&self.text, Access::Read, Sharing::Careful).map_err(about)?;
        let mut bytes = Meter::new(limits)
            .buffer(file.len(), "registry text")
            .map_err(about)?;
        file.read_at(0, &mut bytes).map_err(about)?;
        let wishes = RegFile::parse(&bytes, &limits).map_err(|e| {
            let headline = format!(
                "{} is no registry text: {}",
                self.text.display(),
                shown(e.sentence())
            );
            about(e).headed(headline)
        })?;
        if self.prefix.is_empty()
            && let Some(wish) = wishes
                .wishes
                .iter()
                .find(|wish| wish.key.to_ascii_uppercase().starts_with("HKEY_"))
        {
            return Err(Failure::invalid(format!(
                "line {}: the key {} would be created below the hive's root",
                wish.line, wish.key
            ))
            .advise("say what the hive's root is called: --prefix 'HKEY_LOCAL_MACHINE\\SYSTEM'"));
        }
        let report = self.writing.run(target, wishes, &self.prefix, context)?;
        Ok(told(&report, context))
    }
}
