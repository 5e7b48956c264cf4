use super::guest::DiskArgs;
use super::{Context, Outcome, exit};
use crate::term::{Align, Table, shown};
use h2k_convert::{FilesystemsReport, human};
use h2k_guest::FilesystemFacts;

/// Show how full the filesystems of a guest are
///
/// As df would say it inside the guest, for every filesystem that can be opened, mounted there or not.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  hyper2kvm df server.vmdk
  hyper2kvm df --inodes -a first.qcow2 -a second.qcow2")]
pub(super) struct Args {
    /// Show inodes instead of bytes
    #[arg(short, long)]
    inodes: bool,
    /// Print exact numbers of bytes
    #[arg(short, long)]
    bytes: bool,
    #[command(flatten)]
    disks: DiskArgs,
}

impl Args {
    pub(super) fn run(self, context: &Context) -> Outcome {
        let guest = self.disks.open()?;
        let mut report = guest.filesystems();
        // One filesystem is as full as it is whichever of its subvolumes one asks.
        report = one_each(report);
        let screen = &context.screen;
        if screen.json {
            screen.document(&report);
            return Ok(exit::DONE);
        }
        screen.say(
            &self
                .table(&report)
                .render(screen.out, "", &|column, cell| match column {
                    0 => screen.out.bold(cell),
                    _ => cell.to_owned(),
                }),
        );
        for problem in &report.problems {
            screen.warn(&shown(&problem.line()));
        }
        Ok(exit::DONE)
    }

    fn table(&self, report: &FilesystemsReport) -> Table {
        let all = ["SIZE", "USED", "FREE", "USE%"];
        let nodes = ["INODES", "IUSED", "IFREE", "IUSE%"];
        let [a, b, c, d] = if self.inodes { nodes } else { all };
        let mut table = Table::new(&[
            ("DEVICE", Align::Left),
            ("TYPE", Align::Left),
            (a, Align::Right),
            (b, Align::Right),
            (c, Align::Right),
            (d, Align::Right),
            ("MOUNTED ON", Align::Left),
        ]);
        for fs in &report.filesystems {
            let [total, used, free, share] = self.numbers(fs);
            let points = shown(&fs.mount_points.join(" "));
            table.row([
                shown(&fs.source),
                shown(&fs.type_),
                total,
                used,
                free,
                share,
                points,
            ]);
        }
        table
    }

    fn numbers(&self, fs: &FilesystemFacts) -> [String; 4] {
        let (total, free) = if self.inodes {
            (fs.nodes, fs.nodes_free)
        } else {
            (Some(fs.size), fs.free)
        };
        let (Some(total), Some(free)) = (total, free) else {
            return ["-"; 4].map(str::to_owned);
        };
        let used = total.saturating_sub(free);
        let shown = |n: u64| match self.inodes || self.bytes {
            true => n.to_string(),
            false => human(n),
        };
        // Rounded up, as df does: 1 % is not nothing.
        let share = u128::from(used)
            .saturating_mul(100)
            .div_ceil(u128::from(total.max(1)));
        [shown(total), shown(used), shown(free), format!("{share}%")]
    }
}

fn one_each(mut report: FilesystemsReport) -> FilesystemsReport {
    let mut kept: Vec<FilesystemFacts> = Vec::new();
    for fs in report.filesystems {
        if fs.used.is_none() {
            continue;
        }
        match kept.iter_mut().find(|k| k.device == fs.device) {
            Some(first) => first.mount_points.extend(fs.mount_points),
            None => kept.push(fs),
        }
    }
    report.filesystems = kept;
    report
}
