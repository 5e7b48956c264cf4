//! What all commands that fix guests have in common: which fixes, for which machine, and how findings are shown.

use super::guest::GuestArgs;
use crate::term::{Align, Style, Table, shown, size};
use h2k_block::{Access, BlockRead, FileDisk, Sharing};
use h2k_boot::Bus;
use h2k_convert::{Failure, FixReport, Fixing, ManifestCheck, SystemFixes};
use h2k_fix::configuration::{CloudInit, Configuration, FirstBoot};
use h2k_fix::{Change, FstabMode, NetworkLevel, Nic, Options, Outcome, Target};
use h2k_fs::Time;
use h2k_inspect::Verdict;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Which fixes, and for which machine.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = "Fixes")]
pub(super) struct FixArgs {
    /// Ask this fix although it is off by default; may be repeated
    ///
    /// A fix is named by its identifier, such as linux.fstab, or a family of them, such as linux. plan --list shows all.
    #[arg(long, value_name = "FIX", value_parser = id)]
    enable: Vec<String>,
    /// Do not ask this fix; may be repeated
    #[arg(long, value_name = "FIX", value_parser = id)]
    disable: Vec<String>,
    /// Ask this fix only, and those that are enabled; may be repeated
    #[arg(long, value_name = "FIX", value_parser = id)]
    only_fix: Vec<String>,
    /// Which names in fstab are changed: every one that hangs on the old machine, those by path alone, none
    #[arg(long, value_name = "MODE")]
    fstab_mode: Option<Fstab>,
    /// Leave the files of boot loaders as they are
    #[arg(long)]
    no_grub: bool,
    /// Leave initramfs images as they are
    #[arg(long)]
    no_regen_initramfs: bool,
    /// Keep VMware's tools from starting even where they harm nothing
    #[arg(long)]
    remove_vmware_tools: bool,
    /// How far network fixes go
    #[arg(long, value_name = "LEVEL")]
    network_fix_level: Option<Level>,
    /// Configure the guest as this file says: YAML or JSON with `configuration`, `cloud-init`, `first-boot` and `fix`
    ///
    /// configuration: hostname, users, services, network, firstboot. cloud-init: disable, nocloud. first-boot:
    /// regen_initramfs, guest_agent, remove_vmware_tools. fix: what the options here say, which count more. Keys that are
    /// not known are refused; docs/configuration.md has all of them with an example.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Attach the disks to this controller instead of the best one the guest knows
    #[arg(long, value_name = "BUS", value_parser = bus())]
    bus: Option<Bus>,
    /// The address of a network interface, and what the guest called it; may be repeated
    ///
    /// Interfaces keep their names when it is known which address had which name. A description of the machine tells;
    /// without one, and where the guest's own files do not tell either, say it here: --nic 00:50:56:aa:bb:cc=ens192
    #[arg(long, value_name = "MAC[=NAME]", value_parser = nic)]
    nic: Vec<Nic>,
}

/// What a file says of the guest's configuration.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
struct Said {
    configuration: Configuration,
    #[serde(alias = "cloud_init")]
    cloud_init: CloudInit,
    #[serde(alias = "first_boot")]
    first_boot: FirstBoot,
    fix: SaidFix,
}

/// What a file says of the fixes: the options of the command line, by the same names.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
struct SaidFix {
    only: Vec<String>,
    enable: Vec<String>,
    disable: Vec<String>,
    fstab_mode: Option<FstabMode>,
    no_grub: bool,
    regen_initramfs: Option<bool>,
    remove_vmware_tools: bool,
    network_fix_level: Option<NetworkLevel>,
}

/// A configuration is a page of text, with keys and scripts in it.
const CONFIG: u64 = 16 << 20;

impl Said {
    fn read(path: &Path) -> Result<Self, Failure> {
        let about = |e: h2k_block::Error| Failure::from(e).about(path);
        let file = FileDisk::open(path, Access::Read, Sharing::Force).map_err(about)?;
        let len = file.len().min(CONFIG);
        let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
        file.read_at(0, &mut bytes).map_err(about)?;
        let text = String::from_utf8(bytes)
            .map_err(|_| Failure::invalid(format!("{} is not UTF-8", path.display())))?;
        serde_saphyr::from_str(&text).map_err(|e| {
            Failure::invalid(format!("{} does not configure a guest: {e}", path.display()))
                .advise("docs/configuration.md has every key with an example")
        })
    }
}

/// Which names in fstab are changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Fstab {
    /// Every name that hangs on the old machine (the default)
    StabilizeAll,
    /// Names by path alone
    BypathOnly,
    /// None
    Noop,
}

/// How far network fixes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Level {
    /// Names are tied to MAC addresses, in files of our own
    Conservative,
    /// Conditions on drivers and addresses of the old machine are changed, too (the default)
    Moderate,
    /// Where an address changed, configuration is changed to the new one
    Aggressive,
}

fn id(text: &str) -> Result<String, String> {
    let known = |fix: &&dyn h2k_fix::Fix| {
        fix.id() == text
            || fix
                .id()
                .strip_prefix(text)
                .is_some_and(|rest| rest.starts_with('.'))
    };
    if h2k_fix::all().iter().any(known) {
        return Ok(text.to_owned());
    }
    let names: Vec<&str> = h2k_fix::all().iter().map(|fix| fix.id()).collect();
    Err(format!("there is no such fix; there are: {}", names.join(" ")))
}

fn bus() -> impl clap::builder::TypedValueParser<Value = Bus> {
    use clap::builder::TypedValueParser;
    clap::builder::PossibleValuesParser::new(Bus::ALL.map(Bus::word)).map(|word| {
        let found = Bus::ALL.into_iter().find(|bus| bus.word() == word);
        found.unwrap_or(Bus::VirtioBlk)
    })
}

fn nic(text: &str) -> Result<Nic, String> {
    let (mac, name) = match text.split_once('=') {
        Some((mac, name)) => (mac, Some(name.to_owned())),
        None => (text, None),
    };
    let parts: Vec<&str> = mac.split([':', '-']).collect();
    let octet = |part: &&str| part.len() == 2 && part.chars().all(|c| c.is_ascii_hexdigit());
    if parts.len() != 6 || !parts.iter().all(octet) {
        return Err("an address looks like 52:54:00:12:34:56".to_owned());
    }
    // As the kernel allows them: no slash, no space, at most 15 bytes.
    let fits = |name: &String| {
        (1..16).contains(&name.len()) && !name.contains(['/', ' ', ':']) && name != "." && name != ".."
    };
    if name.as_ref().is_some_and(|name| !fits(name)) {
        return Err("a name of an interface has 1 to 15 characters, and neither slash nor space".to_owned());
    }
    Ok(Nic {
        mac: parts.join(":").to_ascii_lowercase(),
        name,
    })
}

impl FixArgs {
    /// What is meant, for the guest on `disks`.
    pub(super) fn fixing(&self, guest: &GuestArgs, disks: &[PathBuf]) -> Result<Fixing, Failure> {
        let said = match &self.config {
            Some(path) => Said::read(path)?,
            None => Said::default(),
        };
        let wish = said.fix;
        for name in wish.only.iter().chain(&wish.enable).chain(&wish.disable) {
            id(name).map_err(Failure::invalid)?;
        }
        let mut disable = [self.disable.clone(), wish.disable].concat();
        if self.no_regen_initramfs || wish.regen_initramfs == Some(false) {
            disable.push("linux.initramfs".to_owned());
        }
        Ok(Fixing {
            guest: guest.source_of(disks)?,
            target: Target {
                bus: self.bus,
                nics: self.nic.clone(),
                from: None,
            },
            options: Options {
                only: match self.only_fix.is_empty() {
                    true => wish.only,
                    false => self.only_fix.clone(),
                },
                enable: [self.enable.clone(), wish.enable].concat(),
                disable,
                fstab: match self.fstab_mode {
                    Some(Fstab::StabilizeAll) => FstabMode::StabilizeAll,
                    Some(Fstab::BypathOnly) => FstabMode::BypathOnly,
                    Some(Fstab::Noop) => FstabMode::Noop,
                    None => wish.fstab_mode.unwrap_or_default(),
                },
                no_grub: self.no_grub || wish.no_grub,
                configuration: said.configuration,
                cloud_init: said.cloud_init,
                // What is removed at the first start is kept from starting until then.
                remove_vmware_tools: self.remove_vmware_tools
                    || wish.remove_vmware_tools
                    || said.first_boot.remove_vmware_tools,
                first_boot: said.first_boot,
                network: match self.network_fix_level {
                    Some(Level::Conservative) => NetworkLevel::Conservative,
                    Some(Level::Moderate) => NetworkLevel::Moderate,
                    Some(Level::Aggressive) => NetworkLevel::Aggressive,
                    None => wish.network_fix_level.unwrap_or_default(),
                },
                now: now(),
            },
        })
    }
}

/// The moment edits are stamped with: `SOURCE_DATE_EPOCH` where it is set, so that the same edits give the same bytes.
fn now() -> Time {
    let set = std::env::var("SOURCE_DATE_EPOCH")
        .ok()
        .and_then(|text| text.parse().ok());
    let clock = || {
        let since = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        i64::try_from(since.as_secs()).unwrap_or(0)
    };
    Time {
        seconds: set.unwrap_or_else(clock),
        nanos: 0,
    }
}

/// Every fix there is.
pub(super) fn list(style: Style) -> String {
    let mut table = Table::new(&[
        ("FIX", Align::Left),
        ("DEFAULT", Align::Left),
        ("WHAT IT DOES", Align::Left),
    ]);
    for fix in h2k_fix::all() {
        let on = if fix.by_default() { "on" } else { "off" };
        table.row([fix.id().to_owned(), on.to_owned(), fix.about().to_owned()]);
    }
    table.render(style, "", &|_, cell| cell.to_owned())
}

/// How much is shown of what was found.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Shows {
    /// Also what is left as it is, and where each finding was read.
    pub(super) all: bool,
    /// Also how texts change.
    pub(super) diffs: bool,
}

/// What was found of every system, and what was judged of the result.
pub(super) fn text(report: &FixReport, style: Style, shows: Shows) -> String {
    let manifest = report
        .manifest
        .iter()
        .filter_map(|check| manifest(check, style, shows));
    let texts = report.systems.iter().map(|system| one(system, style, shows));
    let mut all: Vec<String> = manifest.chain(texts).collect();
    if report.systems.is_empty() {
        all.extend(report.obstacles().iter().map(|why| format!("{}\n", shown(why))));
    }
    for disk in report.edits.iter().filter(|d| d.bytes > 0) {
        let places = match disk.ranges.len() {
            1 => "one place".to_owned(),
            n => format!("{n} places"),
        };
        all.push(format!(
            "{}: {} in {places}\n",
            shown(&disk.filename),
            size(disk.bytes)
        ));
    }
    all.join("\n")
}

/// What became of a manifest, as a finding of no system.
fn manifest(check: &ManifestCheck, style: Style, shows: Shows) -> Option<String> {
    let (word, why, advice) = match check {
        ManifestCheck::Differs { why, advice } => (style.red("blocked"), why.clone(), advice.as_deref()),
        ManifestCheck::Agreed { files, bytes } if shows.all => {
            let why = format!("{files} files ({}) are what the manifest says", size(*bytes));
            (style.dim("leave  "), why, None)
        }
        _ => return None,
    };
    let mut text = format!(
        "  {word}  {}\n           {}\n",
        style.bold("manifest"),
        shown(&why)
    );
    if let Some(advice) = advice {
        text.push_str(&format!("           {} {}\n", style.dim("help:"), shown(advice)));
    }
    Some(text)
}

fn one(system: &SystemFixes, style: Style, shows: Shows) -> String {
    let name = system.name.as_deref().unwrap_or(system.kind);
    let mut text = format!(
        "{}\n\n",
        style.bold(&format!("{}  {}", shown(&system.root), shown(name)))
    );
    for finding in &system.findings {
        if finding.outcome == Outcome::Leave && !shows.all {
            continue;
        }
        let word = format!("{:7}", finding.outcome.word());
        let word = match finding.outcome {
            Outcome::Blocked => style.red(&word),
            Outcome::Change => style.green(&word),
            Outcome::Warn => style.yellow(&word),
            _ => style.dim(&word),
        };
        text.push_str(&format!(
            "  {word}  {}\n           {}\n",
            style.bold(&finding.fix),
            shown(&finding.why)
        ));
        if shows.all && !finding.evidence.is_empty() {
            let evidence: Vec<&str> = finding.evidence.iter().map(|s| s.as_str()).collect();
            text.push_str(&format!(
                "           {} {}\n",
                style.dim("read in"),
                shown(&evidence.join(" "))
            ));
        }
        if let Some(advice) = &finding.advice {
            text.push_str(&format!("           {} {}\n", style.dim("help:"), shown(advice)));
        }
    }
    let left = system
        .findings
        .iter()
        .filter(|f| f.outcome == Outcome::Leave)
        .count();
    if left > 0 && !shows.all {
        let what = format!("{left} findings leave things as they are; plan --all shows them");
        text.push_str(&format!("  {}\n", style.dim(&what)));
    }
    if !system.changes.is_empty() {
        text.push('\n');
    }
    for change in &system.changes {
        text.push_str(&change_text(change, style, shows.diffs));
    }
    text.push_str(&format!("\n  {}\n", judged(system)));
    if system.validation.after != Verdict::Boots {
        for stop in system.validation.stops.iter().chain(&system.validation.unknowns) {
            text.push_str(&format!("  {}: {}\n", shown(&stop.check), shown(&stop.why)));
        }
    }
    text
}

fn change_text(change: &Change, style: Style, diffs: bool) -> String {
    let sizes = match (&change.before, &change.after) {
        (Some(before), Some(after)) => format!("  {} -> {} bytes", before.size, after.size),
        (None, Some(after)) => format!("  {} bytes", after.size),
        (Some(before), None) => format!("  {} bytes", before.size),
        (None, None) => String::new(),
    };
    let to = change
        .to
        .as_ref()
        .map_or_else(String::new, |to| format!(" -> {}", shown(to)));
    let mut text = format!(
        "  {} {}{to}{}  {}\n",
        change.kind.word(),
        style.bold(&shown(&change.path)),
        style.dim(&sizes),
        style.dim(&format!("({}, on {})", change.fix, shown(&change.on)))
    );
    if let Some(diff) = change.diff.as_ref().filter(|_| diffs) {
        for line in diff.lines() {
            let line = shown(line);
            let line = match line.chars().next() {
                Some('+') => style.green(&line),
                Some('-') => style.red(&line),
                Some('@') => style.dim(&line),
                _ => line,
            };
            text.push_str(&format!("    {line}\n"));
        }
    }
    text
}

fn judged(system: &SystemFixes) -> String {
    let validation = &system.validation;
    let buses: Vec<&str> = validation.buses.iter().map(|b| b.word()).collect();
    let buses = buses.join(", ");
    match (validation.before, validation.after) {
        (Verdict::Boots, Verdict::Boots) => format!("boots on KVM before and after: {buses}"),
        (_, Verdict::Boots) => format!("does not boot on virtio as it is; boots when this is done: {buses}"),
        (_, Verdict::BootsEmulated) => {
            format!(
                "does not boot on virtio, also when this is done; boots on controllers QEMU emulates: {buses}"
            )
        }
        (_, Verdict::WillNotBoot) => "does not boot on KVM, also when this is done".to_owned(),
        _ => "whether it boots when this is done cannot be told".to_owned(),
    }
}

/// The exit code: nothing to do, changes, blocked.
pub(super) fn code(report: &FixReport) -> u8 {
    use super::exit;
    if !report.obstacles().is_empty() || report.outcome == Outcome::Blocked {
        return exit::BLOCKED;
    }
    match report.outcome {
        Outcome::Change => exit::CHANGES,
        _ => exit::DONE,
    }
}
