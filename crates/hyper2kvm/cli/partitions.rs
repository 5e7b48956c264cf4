use super::guest::DiskArgs;
use super::{Context, Outcome, exit};
use crate::term::{Align, Screen, Table, shown};
use h2k_convert::{DeviceReport, PartitionsReport, human};

/// Show the partitions of disks, and the volumes that LVM, MD and LUKS make of them
///
/// Devices are named in guestfish's way: /dev/sda is the first disk given, /dev/sda1 its first partition, /dev/VG/LV a
/// logical volume. Each is shown below what it lies on.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  hyper2kvm partitions server.vmdk
  hyper2kvm partitions -a first.qcow2 -a second.qcow2 --key /dev/sda3:file:passphrase.txt")]
pub(super) struct Args {
    #[command(flatten)]
    disks: DiskArgs,
}

impl Args {
    pub(super) fn run(self, context: &Context) -> Outcome {
        let guest = self.disks.open()?;
        let report = guest.devices();
        let screen = &context.screen;
        if screen.json {
            screen.document(&report);
        } else {
            screen.say(&text(&report, screen));
            for problem in &report.problems {
                screen.warn(&shown(&problem.line()));
            }
        }
        Ok(exit::DONE)
    }
}

fn text(report: &PartitionsReport, screen: &Screen) -> String {
    let mut table = Table::new(&[
        ("DEVICE", Align::Left),
        ("SIZE", Align::Right),
        ("START", Align::Right),
        ("TYPE", Align::Left),
        ("HOLDS", Align::Left),
        ("LABEL", Align::Left),
        ("UUID", Align::Left),
        ("NAME", Align::Left),
        ("FLAGS", Align::Left),
    ]);
    // Each below the first device it lies on; lists are in an order in which that is always known before.
    let mut todo: Vec<(usize, &DeviceReport)> = Vec::new();
    let on = |parent: Option<&str>| -> Vec<&DeviceReport> {
        let all = report.devices.iter();
        all.filter(|d| d.below.first().map(String::as_str) == parent)
            .collect()
    };
    todo.extend(on(None).into_iter().rev().map(|d| (0, d)));
    while let Some((depth, device)) = todo.pop() {
        table.row(row(depth, device));
        let below = on(Some(&device.device));
        todo.extend(below.into_iter().rev().map(|d| (depth.saturating_add(1), d)));
    }
    table.render(screen.out, "", &|column, cell| match column {
        0 => screen.out.bold(cell),
        6 => screen.out.dim(cell),
        _ => cell.to_owned(),
    })
}

fn row(depth: usize, device: &DeviceReport) -> [String; 9] {
    let partition = device.partition.as_ref();
    let what = match (
        partition,
        &device.logical_volume,
        &device.raid,
        &device.luks,
        &device.table,
    ) {
        (Some(p), ..) => p.type_name.clone().unwrap_or_else(|| p.type_.clone()),
        (_, Some(lv), ..) => format!("{} volume", lv.layout),
        (_, _, Some(raid), ..) => format!("{} ({} of {})", raid.level, raid.present, raid.members),
        (.., Some(table)) => format!("disk, {}", table.scheme),
        _ => match device.kind {
            "crypt" => "opened LUKS".to_owned(),
            kind => kind.to_owned(),
        },
    };
    let holds = device.holds.as_ref();
    let holding = holds.map_or("", |h| h.type_).to_owned();
    let holding = match &device.luks {
        Some(luks) if luks.unlocked => format!("{holding} {} (open)", luks.version),
        Some(luks) => format!("{holding} {} (locked)", luks.version),
        None => holding,
    };
    let name = match (&device.filename, partition.and_then(|p| p.name.clone())) {
        (Some(file), _) => file.clone(),
        (None, name) => name.unwrap_or_default(),
    };
    [
        format!("{}{}", "  ".repeat(depth), shown(&device.device)),
        human(device.size),
        partition.map(|p| human(p.start)).unwrap_or_default(),
        shown(&what),
        holding,
        shown(&holds.and_then(|h| h.label.clone()).unwrap_or_default()),
        holds.and_then(|h| h.uuid.clone()).unwrap_or_default(),
        shown(&name),
        partition.map(|p| p.flags.join(",")).unwrap_or_default(),
    ]
}
