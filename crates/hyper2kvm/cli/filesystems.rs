use super::guest::DiskArgs;
use super::{Context, Outcome, exit};
use crate::term::{Align, Table, shown};
use h2k_convert::{FilesystemsReport, human};

/// Show the filesystems on disks: type, label, UUID, size, and where the guest mounts them
///
/// The first column is what --mount takes. Mount points are those of the guest's own /etc/fstab.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  hyper2kvm filesystems server.vmdk
  hyper2kvm filesystems --json -a first.qcow2 -a second.qcow2")]
pub(super) struct Args {
    #[command(flatten)]
    disks: DiskArgs,
}

impl Args {
    pub(super) fn run(self, context: &Context) -> Outcome {
        let guest = self.disks.open()?;
        let report = guest.filesystems();
        let screen = &context.screen;
        if screen.json {
            screen.document(&report);
            return Ok(exit::DONE);
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
        Ok(exit::DONE)
    }
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
