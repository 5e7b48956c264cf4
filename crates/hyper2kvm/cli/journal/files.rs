use super::none;
use crate::cli::guest::DiskArgs;
use crate::cli::{Context, Outcome, exit};
use crate::term::{shown, size};
use h2k_guest::Look;
use serde::Serialize;

/// Show how much room the journal takes
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  hyper2kvm journal disk-usage server.vmdk
  hyper2kvm journal disk-usage --json server.vmdk")]
pub(in crate::cli) struct DiskUsage {
    #[command(flatten)]
    disks: DiskArgs,
}

/// Check every object, hash and link of the journal's files
///
/// Seals (forward secure sealing) are counted and not verified: the key for that is not in the guest. The last objects
/// of a file that was being written when the machine stopped may be missing, which is told as such.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  hyper2kvm journal verify server.vmdk
  hyper2kvm journal verify --json server.vmdk

Exit code: 0 when all is well, 4 when a file is damaged.")]
pub(in crate::cli) struct Verify {
    #[command(flatten)]
    disks: DiskArgs,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct UsageReport {
    files: Vec<FileUsage>,
    disk_usage: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct FileUsage {
    file: String,
    length: u64,
    allocated: u64,
    entries: u64,
    machine: String,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct VerifyReport {
    files: Vec<FileReport>,
    wrong: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct FileReport {
    file: String,
    objects: u64,
    entries: u64,
    tags: u64,
    wrong: u64,
    problems: Vec<String>,
}

impl DiskUsage {
    pub(super) fn run(self, context: &Context) -> Outcome {
        self.disks.journal(context, |found, look| {
            if found.journal.files().is_empty() {
                return Err(none());
            }
            let report = usage(&found.journal, look);
            let screen = &context.screen;
            if screen.json {
                screen.document(&report);
                return Ok(exit::DONE);
            }
            screen.say(&format!(
                "{} journal files take up {}\n",
                report.files.len(),
                size(report.disk_usage)
            ));
            Ok(exit::DONE)
        })
    }
}

fn usage(journal: &h2k_journal::Journal<'_>, look: &Look<'_>) -> UsageReport {
    let files = journal.files().iter().map(|file| {
        let stat = look.stat(file.name());
        FileUsage {
            file: file.name().to_owned(),
            length: stat.map_or(0, |s| s.len),
            allocated: stat.map_or(0, |s| s.allocated),
            entries: file.header().entries,
            machine: file.header().machine_id.to_string(),
        }
    });
    let files: Vec<FileUsage> = files.collect();
    UsageReport {
        disk_usage: files.iter().fold(0, |sum, f| sum.saturating_add(f.allocated)),
        files,
    }
}

impl Verify {
    pub(super) fn run(self, context: &Context) -> Outcome {
        self.disks.journal(context, |found, _| {
            if found.journal.files().is_empty() && found.unreadable.is_empty() {
                return Err(none());
            }
            let mut files = Vec::new();
            for (path, error) in &found.unreadable {
                files.push(FileReport {
                    file: path.clone(),
                    objects: 0,
                    entries: 0,
                    tags: 0,
                    wrong: 1,
                    problems: vec![error.to_string()],
                });
            }
            for file in found.journal.files() {
                context.alive()?;
                let report = file.verify()?;
                files.push(FileReport {
                    file: file.name().to_owned(),
                    objects: report.objects,
                    entries: report.entries,
                    tags: report.tags,
                    wrong: report.wrong,
                    problems: report.problems,
                });
            }
            let wrong = files.iter().fold(0_u64, |sum, f| sum.saturating_add(f.wrong));
            let report = VerifyReport { files, wrong };
            let screen = &context.screen;
            if screen.json {
                screen.document(&report);
            } else {
                for file in &report.files {
                    let word = if file.wrong == 0 { "PASS" } else { "FAIL" };
                    screen.say(&format!(
                        "{word}: {} ({} entries in {} objects)\n",
                        shown(&file.file),
                        file.entries,
                        file.objects
                    ));
                    for problem in &file.problems {
                        screen.say(&format!("  {}\n", shown(problem)));
                    }
                }
            }
            Ok(if wrong == 0 { exit::DONE } else { exit::DAMAGED })
        })
    }
}
