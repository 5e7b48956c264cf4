use super::super::check::findings;
use super::super::save::save;
use super::super::{Context, Outcome, exit};
use super::{Reading, TARGETS, show};
use crate::term::{exact, shown};
use h2k_block::{Class, Error};
use h2k_convert::{Failure, HiveDiffReport, KeyReport, OpenHive, ValueReport};
use h2k_hive::{Form, Key, Visit};
use serde::Serialize;
use std::ffi::OsString;
use std::ops::ControlFlow;
use std::path::PathBuf;

/// Show a key: its values and the names of its subkeys
#[derive(Debug, clap::Args)]
#[command(after_long_help = format!("\
Examples:
  hyper2kvm reg query SYSTEM:Select
  hyper2kvm reg query -r 'NTUSER.DAT:Software\\Microsoft\\Windows\\CurrentVersion\\Run'
  hyper2kvm reg query 'web01.vmdk:HKLM\\SYSTEM\\CurrentControlSet\\Services\\disk'

{TARGETS}"))]
pub(in super::super) struct Query {
    /// The key
    #[arg(value_name = "TARGET")]
    target: OsString,
    /// Show every key below it too
    #[arg(short, long)]
    recursive: bool,
    #[command(flatten)]
    reading: Reading,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct QueryReport {
    filename: String,
    keys: Vec<KeyReport>,
    errors: Vec<String>,
    warnings: Vec<String>,
}

impl Query {
    pub(super) fn run(self, context: &Context) -> Outcome {
        let (open, path) = self.reading.open(&self.target, context)?;
        let (key, path) = open.key(&path)?;
        let screen = &context.screen;
        let mut report = QueryReport {
            filename: open.filename.clone(),
            keys: Vec::new(),
            errors: Vec::new(),
            warnings: open.warnings(),
        };
        let mut stopped = Ok(());
        let mut first = true;
        let mut tell = |key: KeyReport| {
            if screen.json {
                report.keys.push(key);
            } else {
                let gap = if first { "" } else { "\n" };
                screen.say(&format!("{gap}{}", show::key(&key, screen.out)));
            }
            first = false;
        };
        if self.recursive {
            let walked = open.hive.walk(key, &mut |visit| {
                match visit {
                    Visit::Key(above, key) => tell(KeyReport::of(&key, &joined(&path, above, &key))),
                    Visit::Broken(_, e) => report.errors.push(e.to_string()),
                }
                stopped = context.alive();
                if stopped.is_ok() {
                    ControlFlow::Continue(())
                } else {
                    ControlFlow::Break(())
                }
            });
            walked.map_err(|e| open.about(e))?;
        } else {
            tell(KeyReport::of(&key, &path));
        }
        if let Err(e) = stopped {
            return context.ended(Err(e.into()));
        }
        if screen.json {
            screen.document(&report);
        }
        for error in &report.errors {
            screen.warn(&shown(error));
        }
        let whole = report.errors.is_empty() && report.keys.iter().all(|key| key.errors.is_empty());
        Ok(if whole { exit::DONE } else { exit::FAILED })
    }
}

/// The path of a key that a walk from `start` met.
fn joined(start: &str, above: &[Key<'_>], key: &Key<'_>) -> String {
    let below = above.iter().skip(1).chain((!above.is_empty()).then_some(key));
    let names = below.map(|key| key.name().to_string());
    let all = (!start.is_empty())
        .then(|| start.to_owned())
        .into_iter()
        .chain(names);
    all.collect::<Vec<_>>().join("\\")
}

/// Print the data of a value
///
/// Text is printed as text, one line for each of several; numbers in decimal; everything else in hexadecimal.
#[derive(Debug, clap::Args)]
#[command(after_long_help = format!("\
Examples:
  hyper2kvm reg get SYSTEM:Select Current
  hyper2kvm reg get 'web01.vmdk:HKLM\\SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion' ProductName
  hyper2kvm reg get --raw SAM:SAM\\Domains\\Account F > f.bin

{TARGETS}"))]
pub(in super::super) struct Get {
    /// The key
    #[arg(value_name = "TARGET")]
    target: OsString,
    /// The value; @ for the default value
    name: String,
    /// Write the data as it is stored
    #[arg(long, conflicts_with = "json")]
    raw: bool,
    #[command(flatten)]
    reading: Reading,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct GetReport {
    filename: String,
    key: String,
    value: ValueReport,
    warnings: Vec<String>,
}

impl Get {
    pub(super) fn run(self, context: &Context) -> Outcome {
        let (open, path) = self.reading.open(&self.target, context)?;
        let (key, path) = open.key(&path)?;
        let name = if self.name == "@" { "" } else { &self.name };
        let found = key.value(name).map_err(|e| open.about(e))?;
        let Some(value) = found else {
            let what = format!("{}: the key {path} has no value {}", open.filename, self.name);
            return Err(Failure::from(Error::new(Class::NotFound, what.clone())).headed(what));
        };
        let data = value.data().map_err(|e| open.about(e))?;
        let screen = &context.screen;
        let report = ValueReport::of(&value);
        if screen.json {
            screen.document(&GetReport {
                filename: open.filename.clone(),
                key: path,
                value: report,
                warnings: open.warnings(),
            });
        } else if self.raw {
            screen.raw(&data);
        } else {
            screen.say(&show::bare(&report));
        }
        Ok(exit::DONE)
    }
}

/// Write a key with everything below it as registry text, as regedit does
///
/// Without --output the text goes to standard output in UTF-8; a file is UTF-16 with a byte order mark, as regedit
/// writes and reads it.
#[derive(Debug, clap::Args)]
#[command(after_long_help = format!("\
Examples:
  hyper2kvm reg export SYSTEM:Select
  hyper2kvm reg export -o tcpip.reg --prefix 'HKEY_LOCAL_MACHINE\\SYSTEM' 'SYSTEM:ControlSet001\\Services\\Tcpip'

{TARGETS}"))]
pub(in super::super) struct Export {
    /// The key
    #[arg(value_name = "TARGET")]
    target: OsString,
    /// Write the text to this file
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace the output file if it exists
    #[arg(long, requires = "output")]
    force: bool,
    /// What to put in front of the hive's own paths, such as HKEY_LOCAL_MACHINE\SYSTEM
    #[arg(long, value_name = "KEY")]
    prefix: Option<String>,
    /// Write the form of Windows 9x and NT 4: REGEDIT4, a file of it in Windows-1252
    #[arg(long)]
    regedit4: bool,
    #[command(flatten)]
    reading: Reading,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct ExportReport {
    filename: String,
    output: Option<String>,
    keys: u64,
    values: u64,
    text: Option<String>,
    errors: Vec<String>,
    warnings: Vec<String>,
}

impl Export {
    pub(super) fn run(self, context: &Context) -> Outcome {
        let (open, path) = self.reading.open(&self.target, context)?;
        let (key, path) = open.key(&path)?;
        let form = if self.regedit4 {
            Form::Regedit4
        } else {
            Form::Version5
        };
        let prefix = self.prefix.unwrap_or_else(|| open.prefix.clone());
        let full = format!("{}\\{path}", prefix.trim_end_matches('\\'));
        let out = open
            .hive
            .export(key, full.trim_end_matches('\\'), form)
            .map_err(|e| open.about(e))?;
        let screen = &context.screen;
        if let Some(path) = &self.output {
            save(self.force, [(path, out.bytes())])?;
        } else if !screen.json {
            screen.say(&out.text.replace("\r\n", "\n"));
        }
        let errors: Vec<String> = out.missing.iter().map(ToString::to_string).collect();
        for error in &errors {
            screen.warn(&shown(error));
        }
        let code = if errors.is_empty() {
            exit::DONE
        } else {
            exit::FAILED
        };
        if screen.json {
            screen.document(&ExportReport {
                filename: open.filename.clone(),
                output: self.output.as_ref().map(|path| path.display().to_string()),
                keys: out.keys,
                values: out.values,
                text: self.output.is_none().then_some(out.text),
                errors,
                warnings: open.warnings(),
            });
        }
        Ok(code)
    }
}

/// Compare two keys with everything below them
///
/// Names, kinds, data and classes are compared; times and security are not.
#[derive(Debug, clap::Args)]
#[command(after_long_help = format!("\
Exit status:
  0  equal
  1  different
  2  could not be compared, or wrong usage

Examples:
  hyper2kvm reg diff SYSTEM.before SYSTEM
  hyper2kvm reg diff 'old.vmdk:HKLM\\SYSTEM\\Select' 'new.vmdk:HKLM\\SYSTEM\\Select'

{TARGETS}"))]
pub(in super::super) struct Diff {
    /// One key
    a: OsString,
    /// The other one
    b: OsString,
    #[command(flatten)]
    reading: Reading,
}

impl Diff {
    pub(super) fn run(self, context: &Context) -> Outcome {
        let (a, a_path) = self.reading.open(&self.a, context)?;
        let (b, b_path) = self.reading.open(&self.b, context)?;
        let (a_key, b_key) = (a.key(&a_path)?.0, b.key(&b_path)?.0);
        let report = HiveDiffReport::new((&a, a_key), (&b, b_key))?;
        let screen = &context.screen;
        if screen.json {
            screen.document(&report);
        } else if report.equal {
            screen.note(&screen.out.green("equal"));
        } else if !screen.quiet {
            for difference in &report.differences {
                let key = if difference.key.is_empty() {
                    "\\"
                } else {
                    &difference.key
                };
                let key = shown(key);
                let line = |sign: &str, value: &Option<ValueReport>| {
                    if let Some(value) = value {
                        let (name, data) = (show::name(&value.name), show::content(value, screen.out));
                        screen.say(&format!(
                            "{sign} {key}  {name}  {}  {data}\n",
                            screen.out.dim(&value.type_)
                        ));
                    }
                };
                let (minus, plus) = (screen.out.red("-"), screen.out.green("+"));
                match difference.change {
                    "key-added" => screen.say(&format!("{plus} {}\n", screen.out.bold(&key))),
                    "key-removed" => screen.say(&format!("{minus} {}\n", screen.out.bold(&key))),
                    "class-changed" => {
                        let class = |class: &Option<String>| shown(class.as_deref().unwrap_or("none"));
                        let (a, b) = (class(&difference.a_class), class(&difference.b_class));
                        screen.say(&format!("{minus} {key}  class {a}\n{plus} {key}  class {b}\n"));
                    }
                    _ => {
                        line(&minus, &difference.a);
                        line(&plus, &difference.b);
                    }
                }
            }
        }
        Ok(if report.equal { exit::DONE } else { exit::DIFFERENT })
    }
}

/// Check the structure of a hive
///
/// Every cell has to be reachable once or free; sizes, counts, the order of names, their hashes, and the reference
/// counts of security items have to be right.
#[derive(Debug, clap::Args)]
#[command(after_long_help = format!("\
Exit status:
  0  clean
  1  could not be checked
  2  wrong usage
  3  cells are leaked, nothing else
  4  damaged, or left in the middle of a write

{TARGETS}"))]
pub(in super::super) struct Check {
    /// The hive
    #[arg(value_name = "TARGET")]
    target: OsString,
    #[command(flatten)]
    reading: Reading,
}

impl Check {
    pub(super) fn run(self, context: &Context) -> Outcome {
        let (open, _) = self.reading.open(&self.target, context)?;
        let report = OpenHive::check(&open)?;
        let screen = &context.screen;
        if screen.json {
            screen.document(&report);
        } else {
            let total = [report.errors, report.leaks, report.warnings];
            let mut out = findings(&report.findings, total, screen.out);
            let verdict = if report.clean {
                screen.out.green("clean")
            } else {
                screen.out.red(&format!(
                    "{} errors, {} leaked cells",
                    exact(report.errors),
                    exact(report.leaks)
                ))
            };
            if !report.clean || !screen.quiet {
                out.push_str(&format!(
                    "{}: {verdict}, {} keys, {} values\n",
                    screen.out.bold(&report.filename),
                    exact(report.keys),
                    exact(report.values)
                ));
            }
            screen.say(&out);
        }
        Ok(match (report.errors, report.leaks) {
            (0, 0) => exit::DONE,
            (0, _) => exit::LEAKS,
            _ => exit::DAMAGED,
        })
    }
}
