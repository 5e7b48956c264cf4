use super::guest::GuestArgs;
use super::{Context, Outcome, exit};
use crate::term::{Align, Style, Table, shown};
use h2k_convert::Failure;
use h2k_inspect::{Diagnosis, Finding, Level, SystemDiagnosis, Verdict};
use std::path::PathBuf;

/// Say whether a guest would boot on KVM as it is
///
/// For each kernel and each kind of disk controller: whether the drivers are there before the root is, and whether the
/// root, the file systems of fstab, swap and encrypted devices would be found by the names they are called. Besides: the
/// boot loader and what it starts, the EFI fallback loader, names of network interfaces, consoles, the processor.
/// Nothing is run and nothing is changed; each finding says where it was read.
///
/// Exits with 0 when every system boots on virtio as it is, with 3 when one needs a controller that QEMU emulates, with
/// 4 when one does not boot, with 1 when it cannot be told.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  hyper2kvm doctor server.vmdk
  hyper2kvm doctor --all -a first.qcow2 -a second.qcow2
  hyper2kvm doctor --json server.vmdk")]
pub(super) struct Args {
    /// The disks of one guest, in their order
    #[arg(value_name = "DISK", required_unless_present = "add")]
    disks: Vec<PathBuf>,
    /// Show every check, also of kernels that are not started by themselves
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    guest: GuestArgs,
}

impl Args {
    pub(super) fn run(self, context: &Context) -> Outcome {
        let guest = self.guest.open_disks(&self.disks)?;
        let diagnosis = guest.diagnose()?;
        if diagnosis.systems.is_empty() && diagnosis.unread.is_empty() {
            return Err(Failure::invalid("there is no operating system on these disks")
                .advise("filesystems shows what is there"));
        }
        let code = code(&diagnosis);
        let screen = &context.screen;
        if screen.json {
            screen.document(&diagnosis);
            return Ok(code);
        }
        let texts: Vec<String> = diagnosis
            .systems
            .iter()
            .map(|s| self.text(s, screen.out))
            .collect();
        screen.say(&texts.join("\n"));
        screen.unread(diagnosis.systems.iter().flat_map(|s| &s.unread));
        screen.unread(&diagnosis.unread);
        Ok(code)
    }

    fn text(&self, system: &SystemDiagnosis, style: Style) -> String {
        let mut table = Table::new(&[
            ("CHECK", Align::Left),
            ("KERNEL", Align::Left),
            ("BUS", Align::Left),
            ("VERDICT", Align::Left),
            ("WHY", Align::Left),
            ("EVIDENCE", Align::Left),
        ]);
        for finding in system.findings.iter().filter(|f| self.shows(system, f)) {
            let evidence: Vec<&str> = finding.evidence.iter().map(|s| s.as_str()).collect();
            table.row([
                shown(&finding.check),
                shown(finding.kernel.as_deref().unwrap_or("-")),
                finding.bus.map_or("-", |b| b.word()).to_owned(),
                finding.level.word().to_owned(),
                shown(&finding.why),
                shown(&evidence.join(" ")),
            ]);
        }
        let name = system.name.as_deref().unwrap_or(&system.kind);
        let title = style.bold(&format!("{}  {}", shown(&system.root), shown(name)));
        let body = table.render(style, "  ", &|column, cell| match (column, cell) {
            (3, "stop") => style.bold(cell),
            _ => cell.to_owned(),
        });
        let mut text = format!("{title}\n  {}\n\n{body}", sentence(system));
        for advice in self.advice(system) {
            text.push_str(&format!("  {} {}\n", style.dim("help:"), shown(advice)));
        }
        text
    }

    /// What decides for the kernel that is started; the rest on request.
    fn shows(&self, system: &SystemDiagnosis, finding: &Finding) -> bool {
        self.all || finding.kernel.is_none() || finding.kernel == system.kernel
    }

    fn advice<'a>(&self, system: &'a SystemDiagnosis) -> Vec<&'a str> {
        let mut all: Vec<&str> = Vec::new();
        for finding in system
            .findings
            .iter()
            .filter(|f| f.level >= Level::Warn && self.shows(system, f))
        {
            if let Some(advice) = finding.advice.as_deref().filter(|a| !all.contains(a)) {
                all.push(advice);
            }
        }
        all
    }
}

fn sentence(system: &SystemDiagnosis) -> String {
    let buses: Vec<&str> = system.buses.iter().map(|b| b.word()).collect();
    match system.verdict {
        Verdict::Boots => format!("boots on KVM as it is: {}", buses.join(", ")),
        Verdict::BootsEmulated => format!(
            "does not boot on virtio as it is; it boots on a disk controller that QEMU emulates: {}",
            buses.join(", ")
        ),
        Verdict::WillNotBoot => "does not boot on KVM as it is".to_owned(),
        _ => "whether it boots on virtio cannot be told".to_owned(),
    }
}

/// The worst of the systems: nobody knows here which one is to be started.
fn code(diagnosis: &Diagnosis) -> u8 {
    let codes = diagnosis.systems.iter().map(|s| match s.verdict {
        Verdict::Boots => exit::DONE,
        Verdict::BootsEmulated => exit::EMULATED,
        Verdict::WillNotBoot => exit::WILL_NOT_BOOT,
        _ => exit::FAILED,
    });
    let codes: Vec<u8> = codes.collect();
    // What cannot be told hides what could be worse.
    match codes.is_empty() || codes.contains(&exit::FAILED) {
        true => exit::FAILED,
        false => codes.into_iter().max().unwrap_or(exit::FAILED),
    }
}
