use super::fixing::{self, FixArgs};
use super::guest::GuestArgs;
use super::machine::MachineArgs;
use super::making::{MakingArgs, PaceArgs};
use super::{Context, Outcome, exit, value};
use crate::term::{Fields, Screen, shown};
use h2k_convert::{BootResult, Failure, Format, Migrate, MigrateReport, ProvedBy, human};
use std::path::PathBuf;
use std::time::Duration;

/// Take a guest to KVM: fix what keeps it from booting there, copy it once, describe it
///
/// Inspects the guest, makes the fixes in memory over its disks, judges the result, and copies each disk once into the
/// directory, with report.json, which says what was found, changed and judged. The sources are only read. What is made
/// appears whole or not at all. Where something cannot be fixed, nothing is written, unless --allow-partial says to go
/// on without it.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  hyper2kvm migrate server.vmdk --to kvm -o out/
  hyper2kvm migrate server.ova -o out/
  hyper2kvm migrate web01/web01.vmx -o out/ --bridge br0
  hyper2kvm migrate -a first.vmdk -a second.vmdk -o out/ --name web01
  hyper2kvm migrate --compress zstd --prove server.vmdk -o out/")]
pub(super) struct Args {
    /// The disks of one guest, in their order; or the description of a machine: OVA, OVF, VMX, libvirt domain
    #[arg(value_name = "DISK", required_unless_present = "add")]
    disks: Vec<PathBuf>,
    /// The directory to put everything into; made where it is missing
    #[arg(short, long, value_name = "DIR", help_heading = "Target")]
    output: PathBuf,
    /// What the guest is to run on
    #[arg(long, value_name = "PLATFORM", default_value = "kvm", help_heading = "Target")]
    to: Platform,
    /// Format of the disks
    #[arg(long, value_name = "FORMAT", default_value = "qcow2", value_parser = value::made(), help_heading = "Target")]
    format: Format,
    /// The machine's name; the old one's, or the first disk's, when not given
    #[arg(long, value_name = "NAME", help_heading = "Target")]
    name: Option<String>,
    /// Replace files that exist
    #[arg(long, help_heading = "Target")]
    force: bool,
    /// Go on where something cannot be fixed, and leave that as it is
    #[arg(long, help_heading = "Fixes")]
    allow_partial: bool,
    /// Do not read the finished disks again to compare them with what was copied
    #[arg(long, help_heading = "Work")]
    no_verify: bool,
    /// Compare the finished disks with the sources, which are read once more for it, wherever no fix wrote
    ///
    /// Without it each byte of a source is read once, and the finished disk is compared with the digest of what was
    /// copied then: the source, and over it the bytes that fixes wrote.
    #[arg(long, help_heading = "Work")]
    prove: bool,
    /// Start the finished machine in QEMU, where that is installed, and report whether a login prompt appears
    ///
    /// Nothing is written to the disks, and the machine reaches no network. What it says on its serial console decides,
    /// or on its screen, as long as that is in text mode; a guest that says nothing on either cannot be judged. The
    /// exit code tells the outcome, and boot-test.png beside the report shows the screen at the end. What was made stays
    /// in any case.
    #[arg(long, help_heading = "Work")]
    boot_test: bool,
    /// How many seconds the machine may take to come up, with each accelerator
    #[arg(long, value_name = "SECONDS", default_value = "600", requires = "boot_test",
          value_parser = clap::value_parser!(u64).range(1..=86400), help_heading = "Work")]
    boot_timeout: u64,
    #[command(flatten)]
    pace: PaceArgs,
    #[command(flatten)]
    machine: MachineArgs,
    #[command(flatten)]
    making: MakingArgs,
    #[command(flatten)]
    fixes: FixArgs,
    #[command(flatten)]
    guest: GuestArgs,
}

/// What a guest can be taken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Platform {
    /// KVM, as libvirt runs it
    Kvm,
}

impl Args {
    pub(super) fn run(self, context: &Context) -> Outcome {
        let screen = &context.screen;
        let job = self.meant()?;
        let report = context.watched(|stop, progress| job.run(stop, progress))?;
        if screen.json {
            screen.document(&report);
        } else if !screen.quiet {
            screen.say(&text(&report, screen));
        }
        Ok(match report.boot_test.map(|test| test.result) {
            None | Some(BootResult::Booted) => exit::DONE,
            Some(BootResult::Failed) => exit::DID_NOT_BOOT,
            Some(_) => exit::BOOT_UNTOLD,
        })
    }

    fn meant(self) -> Result<Migrate, Failure> {
        let fixing = self.fixes.fixing(&self.guest, &self.disks)?;
        // Fixes and descriptions know one platform; a second one adds its own arm here.
        let Platform::Kvm = self.to;
        Ok(Migrate {
            name: self.name,
            making: self.making.making(self.format),
            decisions: self.machine.decisions(),
            into: self.output,
            allow_partial: self.allow_partial,
            verify: !self.no_verify,
            prove: self.prove,
            workers: self.pace.workers,
            bandwidth: self.pace.bandwidth,
            replace: self.force,
            boot_test: self.boot_test.then(|| Duration::from_secs(self.boot_timeout)),
            fixing,
        })
    }
}

fn text(report: &MigrateReport, screen: &Screen) -> String {
    let style = screen.out;
    let mut out = fixing::text(&report.fixes, style, fixing::Shows::default());
    out.push('\n');
    let mut fields = Fields::default();
    for disk in &report.disks {
        let taken = disk.target_file.actual_size.unwrap_or(disk.target_file.length);
        fields.add(
            "disk",
            format!(
                "{} ({}, {} virtual, {} on disk{})",
                shown(&disk.target),
                disk.target_format,
                human(disk.virtual_size),
                human(taken),
                if disk.verified { ", verified" } else { "" }
            ),
        );
    }
    for proof in &report.proofs {
        fields.add(
            "proved",
            format!(
                "{} differs from its source in the {} that fixes wrote{}",
                shown(&proof.target),
                human(proof.edited),
                match proof.by {
                    ProvedBy::Comparison => ", compared with it",
                    _ => "",
                }
            ),
        );
    }
    fields.add("domain", shown(&report.domain));
    for note in &report.notes {
        fields.add("note", shown(note));
    }
    if let Some(bus) = report.bus {
        fields.add("controller", bus.word());
    }
    let seconds = |ms: u64| format!("{}.{:02} s", ms / 1000, ms % 1000 / 10);
    if let Some(test) = &report.boot_test {
        let mut said = test.result.word().to_owned();
        if let Some(accelerator) = test.accelerator {
            said = format!("{said} after {} ({accelerator})", seconds(test.took_ms));
        }
        if let Some(reason) = &test.reason {
            said = format!("{said}: {}", shown(reason));
        }
        if let Some(file) = &test.screen {
            said = format!("{said}; {} shows its screen", shown(file));
        }
        fields.add("boot test", said);
    }
    fields.add(
        "took",
        format!(
            "{}: {} to look and fix, {} to copy",
            seconds(report.times.total_ms),
            seconds(report.times.fix_ms),
            seconds(report.times.copy_ms)
        ),
    );
    out.push_str(&fields.render(style, "  "));
    out
}
