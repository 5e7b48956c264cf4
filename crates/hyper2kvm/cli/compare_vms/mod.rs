mod html;

use super::save::save;
use super::source::SourceArgs;
use super::{Context, Outcome, exit};
use crate::term::{Align, Screen, Table, shown};
use h2k_convert::{Failure, GuestSource, human};
use h2k_inspect::{Comparison, Profile, Topic, Topics, compare};
use std::path::{Path, PathBuf};

/// Compare guests by how much work their migration is
///
/// Looks into every guest, counts points for what makes a migration harder (Windows, btrfs, LVM, full filesystems,
/// many or failing services, slow starts), and shows the guests side by side with the order in which to begin.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Points:
  Windows 30, Linux 10; btrfs 15, ZFS 20, LVM 10; 2 for each filesystem, at most 20; more than 80 % full 15;
  more than 100 services 10; 5 for each service that failed, at most 20; a start of more than 60 s 10; more than
  5 mounts 5; at most 100 together. Below 30 is low, below 60 medium, else high.

Examples:
  hyper2kvm compare-vms web.vmdk db.vmdk mail.qcow2
  hyper2kvm compare-vms web.vmdk db-os.vmdk,db-data.vmdk      a guest of two disks
  hyper2kvm compare-vms --format html --output guests.html *.vmdk")]
pub(super) struct Args {
    /// The guests, each by its disk, or by its disks with commas between
    #[arg(value_name = "VM", required = true)]
    vms: Vec<PathBuf>,
    /// How to write the comparison; --json means json
    #[arg(long, value_enum, default_value_t = Form::Table)]
    format: Form,
    /// Write to this file; without it, to standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    source: SourceArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    Table,
    Html,
    Json,
}

impl Args {
    pub(super) fn run(self, context: &Context) -> Outcome {
        let screen = &context.screen;
        let mut profiles = Vec::new();
        for vm in &self.vms {
            context.alive()?;
            profiles.push(self.profile(vm)?);
        }
        let comparison = compare(profiles);
        let json = screen.json || self.format == Form::Json;
        let text = match (json, self.format) {
            (true, _) => {
                let text = serde_json::to_string_pretty(&comparison);
                text.map_err(|e| Failure::invalid(e.to_string()))? + "\n"
            }
            (_, Form::Html) => html::page(&comparison),
            _ => table(&comparison, screen, self.output.is_none()),
        };
        match &self.output {
            Some(file) => save(true, [(file, &text)])?,
            None => screen.say(&text),
        }
        for profile in &comparison.profiles {
            for unread in &profile.unread {
                screen.warn(&shown(&format!("{}: {unread}", profile.name)));
            }
        }
        Ok(exit::DONE)
    }

    fn profile(&self, vm: &Path) -> Result<Profile, Failure> {
        let disks = disks(vm);
        let guest = GuestSource {
            disks: disks
                .iter()
                .map(|d| self.source.source(d.clone(), None))
                .collect(),
            ..GuestSource::default()
        }
        .open()?;
        let wanted = [
            Topic::Os,
            Topic::Mounts,
            Topic::Storage,
            Topic::Units,
            Topic::Services,
            Topic::Journal,
        ];
        let inspection = guest.inspect(&Topics::only(&wanted))?;
        let size = guest
            .guest
            .devices()
            .iter()
            .filter(|d| d.whole_disk)
            .map(|d| d.size)
            .fold(0, u64::saturating_add);
        let name = disks.first().and_then(|d| d.file_stem()).unwrap_or_default();
        let disks: Vec<String> = disks.iter().map(|d| d.display().to_string()).collect();
        Ok(Profile::new(&name.to_string_lossy(), &disks, size, &inspection))
    }
}

/// `a,b` are two disks, unless there is a file of that name.
fn disks(vm: &Path) -> Vec<PathBuf> {
    if vm.symlink_metadata().is_ok() {
        return vec![vm.to_owned()];
    }
    match vm.to_str() {
        Some(text) => text
            .split(',')
            .filter(|d| !d.is_empty())
            .map(PathBuf::from)
            .collect(),
        None => vec![vm.to_owned()],
    }
}

/// The cells of one guest, in the order of the headings.
fn cells(profile: &Profile) -> [String; 8] {
    let known = |text: Option<&str>| shown(text.unwrap_or("-"));
    let services = match (profile.services.active, profile.services.total) {
        (Some(active), Some(total)) => format!("{active}/{total}"),
        _ => "-".to_owned(),
    };
    let os = profile.os.distro.as_deref().or(profile.os.type_.as_deref());
    [
        shown(&profile.name),
        known(os),
        known(profile.os.version.as_deref()),
        known(profile.filesystem.root.as_deref()),
        human(profile.size),
        profile
            .disk_usage
            .percent
            .map_or_else(|| "-".to_owned(), |p| format!("{p} %")),
        services,
        format!("{} {}", profile.complexity_score, profile.complexity),
    ]
}

const HEADINGS: [(&str, Align); 8] = [
    ("VM", Align::Left),
    ("OS", Align::Left),
    ("VERSION", Align::Left),
    ("ROOT FS", Align::Left),
    ("DISK", Align::Right),
    ("USED", Align::Right),
    ("SERVICES", Align::Right),
    ("COMPLEXITY", Align::Left),
];

fn table(comparison: &Comparison, screen: &Screen, terminal: bool) -> String {
    let style = screen.out;
    let mut table = Table::new(&HEADINGS);
    for profile in &comparison.profiles {
        table.row(cells(profile));
    }
    let mut out = table.render(style, "", &|column, cell| match column {
        0 if terminal => style.bold(cell),
        _ => cell.to_owned(),
    });
    out.push('\n');
    for profile in &comparison.profiles {
        let why: Vec<String> = profile
            .reasons
            .iter()
            .map(|r| format!("{} {}", r.why, r.points))
            .collect();
        out.push_str(&format!("{}: {}\n", shown(&profile.name), shown(&why.join(", "))));
    }
    out.push_str(&format!(
        "\nbegin with: {}\n",
        shown(&comparison.recommended_order.join(", "))
    ));
    out
}
