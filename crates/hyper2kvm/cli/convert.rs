use super::digest::Kind;
use super::making::{MakingArgs, PaceArgs, ToArgs};
use super::source::SourceArgs;
use super::{Context, Outcome, exit, value};
use crate::term::{Fields, Screen, shown, size};
use h2k_convert::{Chain, Convert, ConvertReport, Failure, Format, Plan, Resize, human};
use std::path::PathBuf;

/// Convert a disk image to another format
///
/// The source's format is guessed from its content, the target's from its extension. Parents are flattened into the
/// target. The target is written as TARGET.part and gets its name when it is whole and safe on the disk: whatever
/// happens, TARGET never names half a disk.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  hyper2kvm convert web01.vmdk web01.qcow2
  hyper2kvm convert --compress zstd --verify web01.vhdx web01.qcow2
  hyper2kvm convert --from raw /dev/vg0/web01 web01.qcow2
  hyper2kvm convert --dry-run web01-000002.vmdk web01.qcow2")]
pub(super) struct Args {
    /// The image to read; never modified
    source: PathBuf,
    /// The file to make
    target: PathBuf,
    /// Read this internal snapshot instead of the current state
    #[arg(long, value_name = "NAME|ID", help_heading = "Source")]
    snapshot: Option<String>,
    #[command(flatten)]
    opening: SourceArgs,
    #[command(flatten)]
    to: ToArgs,
    #[command(flatten)]
    making: MakingArgs,
    /// Copy the source's parents into the target (the default)
    #[arg(long, conflicts_with = "backing", help_heading = "Target")]
    flatten: bool,
    /// Let the target refer to the source's parent instead of holding its content (qcow2)
    ///
    /// NAME is recorded as it is and has to lead, from the target's directory, to an image that holds what the source's
    /// parent holds: usually that parent, converted before. Its size is compared, with --verify its content too.
    /// Without NAME the source's own parent is recorded.
    #[arg(
        long,
        value_name = "NAME",
        num_args = 0..=1,
        require_equals = true,
        conflicts_with = "digest",
        help_heading = "Target"
    )]
    backing: Option<Option<String>>,
    /// Format of --backing=NAME, where it is not the format of the source's parent
    #[arg(long, value_name = "FORMAT", value_parser = value::format(), requires = "backing", help_heading = "Target")]
    backing_to: Option<Format>,
    /// Make the disk this large, or with + so much larger; new space reads as zero
    #[arg(long, value_name = "[+]SIZE", value_parser = value::resize, help_heading = "Target")]
    resize: Option<Resize>,
    /// Let --resize cut off the end of the disk with everything in it
    #[arg(long, requires = "resize", help_heading = "Target")]
    shrink: bool,
    /// Replace the target if it exists
    #[arg(long, help_heading = "Target")]
    force: bool,
    /// Say what would be done, write nothing
    #[arg(short = 'n', long, help_heading = "Work")]
    dry_run: bool,
    /// Read the finished target again and compare it with what was copied
    #[arg(long, help_heading = "Work")]
    verify: bool,
    /// Digest the content in the same pass
    #[arg(long, value_name = "KIND", help_heading = "Work")]
    digest: Option<Kind>,
    #[command(flatten)]
    pace: PaceArgs,
}

impl Args {
    pub(super) fn run(self, context: &Context) -> Outcome {
        let dry = self.dry_run;
        let job = self.meant()?;
        let screen = &context.screen;
        if dry {
            let plan = job.plan(context.stop.flag())?;
            match screen.json {
                true => screen.document(&plan),
                false => screen.say(&plan_text(&plan, screen)),
            }
            return Ok(exit::DONE);
        }
        let report = context.watched(|stop, progress| job.run(stop, progress))?;
        if screen.json {
            screen.document(&report);
        } else if !screen.quiet {
            screen.say(&report_text(&report, screen));
        } else if let Some(digest) = &report.digest {
            screen.say(&format!("{}  {}\n", digest.value, report.target));
        }
        Ok(exit::DONE)
    }

    fn meant(self) -> Result<Convert, Failure> {
        h2k_convert::local(&self.target)?;
        Ok(Convert {
            making: self.making.making(self.to.format(&self.target)?),
            source: self.opening.source(self.source, self.snapshot),
            target: self.target,
            // --flatten only says aloud what is meant anyway.
            chain: match self.backing {
                None => Chain::Flatten,
                Some(name) => Chain::Keep {
                    name,
                    format: self.backing_to,
                },
            },
            resize: self.resize,
            shrink: self.shrink,
            workers: self.pace.workers,
            digest: self.digest.map(Into::into),
            verify: self.verify,
            bandwidth: self.pace.bandwidth,
            replace: self.force,
        })
    }
}

fn plan_text(plan: &Plan, screen: &Screen) -> String {
    let style = screen.out;
    let mut out = format!("{}\n", style.bold("nothing was written; this would be done:"));
    let mut fields = Fields::default();
    let chain: Vec<String> = plan
        .source
        .chain()
        .map(|i| format!("{} ({}, {})", shown(&i.filename), i.format, human(i.virtual_size)))
        .collect();
    fields.add("read", chain.join("\non top of "));
    fields.add("to read", size(plan.bytes_to_read));
    fields.add("to leave out", size(plan.bytes_to_skip));
    fields.add(
        "write",
        format!(
            "{} ({}, {})",
            plan.target,
            plan.target_format,
            human(plan.virtual_size)
        ),
    );
    if let Some(backing) = &plan.target_backing {
        fields.add("on top of", shown(backing));
    }
    fields.add("takes", format!("at most {}", size(plan.required)));
    if plan.replaces {
        fields.add("replaces", style.yellow("the file that is there now"));
    }
    out.push_str(&fields.render(style, "  "));
    out
}

fn report_text(report: &ConvertReport, screen: &Screen) -> String {
    let style = screen.out;
    let mut out = format!(
        "{} {} {}\n",
        style.bold(&report.source),
        style.dim("->"),
        style.bold(&report.target)
    );
    let mut fields = Fields::default();
    let seconds = format!(
        "{}.{:02} s",
        report.elapsed_ms / 1000,
        report.elapsed_ms % 1000 / 10
    );
    // What took no time has no speed.
    let rate = u128::from(report.bytes_copied)
        .saturating_mul(1000)
        .checked_div(u128::from(report.elapsed_ms))
        .filter(|_| report.elapsed_ms >= 10)
        .and_then(|rate| u64::try_from(rate).ok())
        .map_or_else(String::new, |rate| format!(", {}/s", human(rate)));
    fields.add(
        "copied",
        format!("{} in {seconds}{rate}", human(report.bytes_copied)),
    );
    let zero = report.bytes_skipped.saturating_add(report.bytes_found_zero);
    let what = match report.target_backing {
        Some(_) => "that is zero, or the parent's",
        None => "of zeros",
    };
    fields.add("left out", format!("{} {what}", human(zero)));
    let file = &report.target_file;
    let taken = file.actual_size.unwrap_or(file.length);
    fields.add(
        "target",
        format!(
            "{}, {} virtual, {} on disk",
            report.target_format,
            human(report.virtual_size),
            human(taken)
        ),
    );
    if let Some(backing) = &report.target_backing {
        fields.add("on top of", shown(backing));
    }
    if let Some(digest) = &report.digest {
        fields.add(digest.kind, &digest.value);
    }
    if report.verified {
        fields.add("verified", style.green("read again, same content"));
    }
    out.push_str(&fields.render(style, "  "));
    out
}
