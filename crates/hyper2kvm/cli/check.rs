use super::source::SourceArgs;
use super::{Context, Outcome, exit};
use crate::term::{Style, exact, shown};
use h2k_convert::{CheckReport, Checking, FindingReport, Repair, Where};
use std::path::PathBuf;

/// Check the structure of an image, and repair it
///
/// Every format is checked for what has to be right to read it; qcow2 images for their reference counts too. What the
/// guest stored is not judged. A repair goes into a new file, or into the image itself with a redo log, so that an
/// interruption cannot leave it half repaired.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Exit status:
  0  clean, or clean after the repair
  1  could not be checked
  2  wrong usage
  3  clusters are leaked, nothing else
  4  damaged

Examples:
  hyper2kvm check web01.qcow2
  hyper2kvm check --repair all -o repaired.qcow2 web01.qcow2
  hyper2kvm check --repair leaks --in-place web01.qcow2")]
pub(super) struct Args {
    /// The image
    image: PathBuf,
    /// What to repair (qcow2)
    #[arg(long, value_name = "WHAT", requires = "place", help_heading = "Repair")]
    repair: Option<What>,
    /// Repair the image itself
    #[arg(long, group = "place", requires = "repair", help_heading = "Repair")]
    in_place: bool,
    /// Write the repaired image to this file
    #[arg(
        short,
        long,
        value_name = "FILE",
        group = "place",
        requires = "repair",
        help_heading = "Repair"
    )]
    output: Option<PathBuf>,
    /// Replace the output file if it exists
    #[arg(long, requires = "output", help_heading = "Repair")]
    force: bool,
    #[command(flatten)]
    source: SourceArgs,
}

/// What to repair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum What {
    /// Free clusters that nothing uses; touch nothing else
    Leaks,
    /// Rebuild reference counts, set flags right, remove entries that point nowhere
    All,
}

impl Args {
    pub(super) fn run(self, context: &Context) -> Outcome {
        let report = self.meant().run(context.stop.flag())?;
        let screen = &context.screen;
        if screen.json {
            screen.document(&report);
        } else {
            screen.say(&text(&report, screen.out, screen.quiet));
        }
        Ok(match report.left() {
            (0, 0) => exit::DONE,
            (0, _) => exit::LEAKS,
            _ => exit::DAMAGED,
        })
    }

    fn meant(self) -> Checking {
        let into = match self.output {
            Some(path) => Where::Into {
                path,
                replace: self.force,
            },
            None => Where::InPlace,
        };
        let how = self.repair.map(|what| match what {
            What::Leaks => Repair::Leaks,
            What::All => Repair::All,
        });
        Checking {
            image: self.source.source(self.image, None),
            repair: how.map(|how| (how, into)),
        }
    }
}

/// Findings shown to people; JSON has more of them.
const SHOWN: usize = 20;

fn text(report: &CheckReport, style: Style, quiet: bool) -> String {
    let total = [report.errors, report.leaks, report.warnings];
    let mut out = findings(&report.findings, total, style);
    let name = style.bold(&report.filename);
    if report.clean && !quiet {
        out.push_str(&format!("{name}: {}{}\n", style.green("clean"), usage(report)));
    } else if !report.clean {
        out.push_str(&format!(
            "{name}: {}{}\n",
            counts(report.errors, report.leaks, "cluster", style),
            usage(report)
        ));
    }
    if let Some(repaired) = &report.repaired {
        let listed = u64::try_from(repaired.findings.len()).unwrap_or(u64::MAX);
        out.push_str(&findings(&repaired.findings, [listed, 0, 0], style));
        let name = style.bold(&repaired.filename);
        let left = match (repaired.errors, repaired.leaks) {
            (0, 0) => style.green("clean after the repair"),
            (errors, leaks) => format!(
                "{} left after the repair",
                counts(errors, leaks, "cluster", style)
            ),
        };
        out.push_str(&format!("{name}: {left}\n"));
    }
    out
}

/// The first findings, and how many of `total` (errors, leaks, warnings) are not shown.
pub(super) fn findings(all: &[FindingReport], total: [u64; 3], style: Style) -> String {
    let mut out = String::new();
    for finding in all.iter().take(SHOWN) {
        let word = match finding.severity {
            "error" => style.red("error"),
            "leak" => style.yellow("leak"),
            other => style.dim(other),
        };
        out.push_str(&format!(
            "{word}: {} at {:#x}: {}\n",
            finding.structure,
            finding.offset,
            shown(&finding.message)
        ));
    }
    let total = total.into_iter().fold(0, u64::saturating_add);
    let hidden = total.saturating_sub(u64::try_from(all.len().min(SHOWN)).unwrap_or(0));
    if hidden > 0 {
        out.push_str(&style.dim(&format!("and {} more\n", exact(hidden))));
    }
    out
}

/// What the format calls its units of allocation.
fn units(format: &str) -> &'static str {
    match format {
        "qcow2" => "clusters",
        "vmdk" => "grains",
        "vhd" | "vhdx" | "vdi" => "blocks",
        _ => "units",
    }
}

/// How many errors and leaked `units` there are.
pub(super) fn counts(errors: u64, leaks: u64, unit: &str, style: Style) -> String {
    let leak = format!("leaked {unit}");
    let plural = |n: u64, one: &str| format!("{} {one}{}", exact(n), if n == 1 { "" } else { "s" });
    match (errors, leaks) {
        (0, leaks) => style.yellow(&plural(leaks, &leak)),
        (errors, 0) => style.red(&plural(errors, "error")),
        (errors, leaks) => format!(
            "{}, {}",
            style.red(&plural(errors, "error")),
            style.yellow(&plural(leaks, &leak))
        ),
    }
}

fn usage(report: &CheckReport) -> String {
    match (report.allocated_clusters, report.total_clusters) {
        (Some(used), Some(total)) if total > 0 => {
            let percent = used.saturating_mul(100).checked_div(total).unwrap_or(0);
            let coded = report.compressed_clusters.filter(|n| *n > 0);
            let coded = coded.map_or_else(String::new, |n| format!(", {} compressed", exact(n)));
            format!(
                ", {} of {} {} in use ({percent}%){coded}",
                exact(used),
                exact(total),
                units(report.format)
            )
        }
        _ => String::new(),
    }
}
