use super::check::{counts, findings};
use super::guest::DiskArgs;
use super::{Context, Outcome, exit};
use crate::term::{Align, Screen, Table, shown};
use h2k_convert::{FilesystemsReport, StructureReport, human};

/// Show the filesystems on disks: type, label, UUID, size, and where the guest mounts them
///
/// The first column is what --mount takes. Mount points are those of the guest's own /etc/fstab.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Exit status with --check:
  0  every filesystem is clean
  1  one could not be checked
  2  wrong usage
  3  space is leaked, nothing else
  4  one is damaged

Examples:
  hyper2kvm filesystems server.vmdk
  hyper2kvm filesystems --check server.vmdk
  hyper2kvm filesystems --json -a first.qcow2 -a second.qcow2")]
pub(super) struct Args {
    /// Check the structure of every filesystem (ext2, ext3, ext4, FAT), as its own fsck would; nothing is changed
    #[arg(long)]
    check: bool,
    #[command(flatten)]
    disks: DiskArgs,
}

impl Args {
    pub(super) fn run(self, context: &Context) -> Outcome {
        let guest = self.disks.open()?;
        let mut report = guest.filesystems();
        report.checks = self.check.then(|| guest.check_filesystems());
        let screen = &context.screen;
        let code = report.checks.as_deref().map_or(exit::DONE, code);
        if screen.json {
            screen.document(&report);
            return Ok(code);
        }
        let table = table(&report);
        screen.say(&table.render(screen.out, "", &|column, cell| match column {
            0 => screen.out.bold(cell),
            3 => screen.out.dim(cell),
            _ => cell.to_owned(),
        }));
        for problem in &report.problems {
            screen.warn(&shown(&problem.line()));
        }
        for fs in &report.filesystems {
            for warning in &fs.warnings {
                let note = format!("{}: {warning}", fs.source);
                screen.note(&format!("{} {}", screen.err.dim("note:"), shown(&note)));
            }
        }
        for check in report.checks.iter().flatten() {
            tell(check, screen);
        }
        Ok(code)
    }
}

/// The worst of all checks.
fn code(checks: &[StructureReport]) -> u8 {
    let any = |is: fn(&StructureReport) -> bool| checks.iter().any(is);
    if any(|c| c.errors > 0) {
        exit::DAMAGED
    } else if any(|c| c.clean.is_none()) {
        exit::FAILED
    } else if any(|c| c.leaks > 0) {
        exit::LEAKS
    } else {
        exit::DONE
    }
}

fn tell(check: &StructureReport, screen: &Screen) {
    let style = screen.out;
    if let Some(why) = &check.unchecked {
        return screen.warn(&shown(why));
    }
    let mut out = findings(
        &check.findings,
        [check.errors, check.leaks, check.warnings],
        style,
    );
    let judged = match check.clean {
        Some(true) => style.green("clean"),
        _ => counts(check.errors, check.leaks, "place", style),
    };
    out.push_str(&format!("{}: {judged}\n", style.bold(&shown(&check.device))));
    screen.say(&out);
}

fn table(report: &FilesystemsReport) -> Table {
    let mut table = Table::new(&[
        ("DEVICE", Align::Left),
        ("TYPE", Align::Left),
        ("LABEL", Align::Left),
        ("UUID", Align::Left),
        ("SIZE", Align::Right),
        ("USED", Align::Right),
        ("MOUNTED ON", Align::Left),
    ]);
    for fs in &report.filesystems {
        table.row([
            shown(&fs.source),
            shown(&fs.type_),
            shown(fs.label.as_deref().unwrap_or_default()),
            fs.uuid.clone().unwrap_or_default(),
            human(fs.size),
            fs.used.map_or_else(|| "-".to_owned(), human),
            shown(&fs.mount_points.join(" ")),
        ]);
    }
    table
}
