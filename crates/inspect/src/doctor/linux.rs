//! A Linux system: drivers, names of disks, what waits for devices.

use super::{DRIVER, Finding, Level, Patient, cpu, loader, network};
use h2k_boot::initramfs::Initramfs;
use h2k_boot::kernel::ImageFormat;
use h2k_boot::naming::{self, Naming};
use h2k_boot::{Boot, Bus, Entry, Kernel, LeftoverKind, Reach, Rung, ladder};
use h2k_guest::look::Line;
use h2k_guest::{Look, Source, fstab};

pub(super) fn check(patient: &Patient<'_>, look: &Look<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let Some(boot) = patient.facts.boot.as_ref().map(|s| &s.found) else {
        return findings;
    };
    loader::check(patient, boot, &mut findings);
    if boot.kernels.is_empty() {
        findings.push(
            Finding::new("kernel", Level::Stop, "there is no kernel")
                .advise("/boot may lie on a disk that was not named"),
        );
    }
    if boot.kernels.iter().all(|k| k.xen_only.is_some()) && !boot.kernels.is_empty() {
        findings.push(
            Finding::new("kernel", Level::Stop, "all kernels run under Xen alone").advise(
                "install a kernel for real machines before the move: kernel, kernel-PAE, kernel-default",
            ),
        );
    }
    for kernel in &boot.kernels {
        of_kernel(boot, kernel, &mut findings);
    }
    root(patient, boot, &mut findings);
    tables(patient, look, &mut findings);
    network::check(patient, &mut findings);
    findings.extend(cpu::check(patient));
    findings
}

/// Buses and what is left in images, for one kernel. What another kernel than the default one lacks stops nothing.
fn of_kernel(boot: &Boot, kernel: &Kernel, findings: &mut Vec<Finding>) {
    let name = kernel.name();
    if let Some(source) = &kernel.xen_only {
        let level = if kernel.default { Level::Stop } else { Level::Warn };
        findings.push(
            Finding::new("kernel", level, format!("{} runs under Xen alone", kernel.path))
                .of(name)
                .read([source.clone()]),
        );
    }
    let entry = boot.entry_of(kernel);
    let told = entry.and_then(|e| e.command_line.as_deref()).unwrap_or_default();
    for rung in ladder(kernel, told) {
        findings.push(driver(kernel, &rung).of(name).on(rung.bus));
    }
    for image in &kernel.initramfs {
        leftovers(image, name, findings);
    }
}

fn driver(kernel: &Kernel, rung: &Rung) -> Finding {
    let missing = rung.missing.join(", ");
    let images: Vec<&str> = kernel.initramfs.iter().map(|i| i.path.as_str()).collect();
    let bus = rung.bus.word();
    let (level, why) = match rung.reach {
        Reach::Ready => (
            Level::Ok,
            format!("the drivers of {bus} are there before the root is"),
        ),
        Reach::NotInInitramfs if images.is_empty() => (
            Level::Stop,
            format!("{missing}: modules, and there is no initramfs to load them from"),
        ),
        Reach::NotInInitramfs => (
            Level::Stop,
            format!("{missing}: among the modules, and not in {}", images.join(", ")),
        ),
        Reach::Blocked => (
            Level::Stop,
            format!("{missing}: kept from being loaded, as far as the initramfs has them"),
        ),
        Reach::NotInKernel => (Level::Stop, format!("{missing}: this kernel has no such driver")),
        _ => (
            Level::Unknown,
            format!("{missing}: it cannot be told whether they are there"),
        ),
    };
    let finding = Finding::new(DRIVER, level, why).read(rung.sources.iter().cloned());
    let generator = kernel.initramfs.iter().find_map(|i| i.generator.as_ref());
    match (rung.reach, generator) {
        (Reach::NotInInitramfs, Some(generator)) if rung.bus.is_virtio() => {
            let behind = kernel.format != ImageFormat::Uki
                && kernel.initramfs.last().is_some_and(Initramfs::can_be_added_to);
            let how = match behind {
                true => "the modules can be put behind the initramfs as it is",
                false => "add the modules to the initramfs",
            };
            finding.advise(format!("{how}; {} made it", generator.value.word()))
        }
        _ => finding,
    }
}

/// Devices of the old machine that an image waits for.
fn leftovers(image: &Initramfs, kernel: &str, findings: &mut Vec<Finding>) {
    for leftover in &image.leftovers {
        let stops = match leftover.kind {
            LeftoverKind::Awaited | LeftoverKind::Parameter | LeftoverKind::Crypttab => Level::Stop,
            _ => Level::Warn,
        };
        let device = leftover.device.as_str();
        let what = match leftover.kind {
            LeftoverKind::Resume => "resumes from",
            LeftoverKind::Awaited => "waits for",
            LeftoverKind::LvmDevices | LeftoverKind::Multipath => "knows disks by",
            _ => "names",
        };
        let say = |level: Level| {
            Finding::new("initramfs", level, format!("{} {what} {device}", image.path))
                .of(kernel)
                .read([leftover.source.clone()])
        };
        spread(device, stops, &say, findings);
    }
}

/// One finding for each bus where a name does not stay; none where it stays on all.
fn spread(device: &str, level: Level, say: &dyn Fn(Level) -> Finding, findings: &mut Vec<Finding>) {
    match naming::of(device) {
        Naming::Content | Naming::None => {}
        Naming::Place => findings.push(say(level)),
        Naming::Order(_) => {
            let lost = Bus::ALL.iter().filter(|bus| !naming::stays(device, **bus));
            for bus in lost {
                let mut finding = say(level).on(*bus);
                finding.why.push_str(&format!(
                    ", and disks on {} are called {}…",
                    bus.word(),
                    naming::order(*bus)
                ));
                findings.push(finding);
            }
        }
    }
}

/// Whether the root that the kernel is told is the root.
fn root(patient: &Patient<'_>, boot: &Boot, findings: &mut Vec<Finding>) {
    let Some(entry) = boot.default_entry() else {
        return;
    };
    let kernel = boot
        .kernels
        .iter()
        .find(|k| k.default)
        .map(|k| k.name().to_owned());
    let of = |finding: Finding| match &kernel {
        Some(kernel) => finding.of(kernel),
        None => finding,
    };
    let Some(spec) = entry.parameter("root").or_else(|| entry.parameter("real_root")) else {
        let hidden = boot
            .kernels
            .iter()
            .flat_map(|k| &k.initramfs)
            .flat_map(|i| &i.leftovers);
        let hidden = hidden.filter(|l| l.kind == LeftoverKind::Parameter && l.text.starts_with("root="));
        if hidden.count() == 0 {
            let why = "the kernel is not told its root: the initramfs has to know it";
            findings.push(of(
                Finding::new("root", Level::Warn, why).read([entry.source.clone()])
            ));
        }
        return;
    };
    let before = findings.len();
    let say = |level: Level| {
        of(Finding::new("root", level, format!("the root is called {spec}"))
            .advise("call it by its UUID")
            .read([entry.source.clone()]))
    };
    spread(spec, Level::Stop, &say, findings);
    found(patient, entry, spec, &of, findings);
    if findings.len() == before {
        let why = format!("the root, {spec}, is found on any bus");
        findings.push(of(
            Finding::new("root", Level::Ok, why).read([entry.source.clone()])
        ));
    }
    if let Some(spec) = entry.parameter("resume") {
        let say = |level: Level| {
            of(Finding::new(
                "resume",
                level,
                format!("the kernel is told to resume from {spec}"),
            )
            .read([entry.source.clone()]))
        };
        spread(spec, Level::Warn, &say, findings);
        if naming::of(spec) == Naming::Content && patient.resolve(spec).is_err() {
            let why = format!(
                "the kernel is told to resume from {spec}, which is not there: some systems wait for it"
            );
            findings.push(of(
                Finding::new("resume", Level::Warn, why).read([entry.source.clone()])
            ));
        }
    }
}

/// Whether the root's name leads to the device the root is on.
fn found(
    patient: &Patient<'_>,
    entry: &Entry,
    spec: &str,
    of: &dyn Fn(Finding) -> Finding,
    findings: &mut Vec<Finding>,
) {
    if naming::of(spec) == Naming::None {
        let local = !["nfs", "iscsi", "/dev/nfs", "zfs", "live", "overlay"]
            .iter()
            .any(|n| spec.starts_with(n));
        if local {
            let why = format!("the kernel is told the root {spec}: not a disk that is known");
            findings.push(of(
                Finding::new("root", Level::Unknown, why).read([entry.source.clone()])
            ));
        }
        return;
    }
    match patient.resolve(spec) {
        Ok(device)
            if device.name == patient.system.device
                || device.uuid.is_some() && same_content(patient, device) => {}
        Ok(device) => {
            let why = format!(
                "the kernel is told the root {spec}, which is {} and not {}",
                device.name, patient.system.device
            );
            findings.push(of(
                Finding::new("root", Level::Warn, why).read([entry.source.clone()])
            ));
        }
        Err(_) => {
            let why = format!("the kernel is told the root {spec}, which is not on these disks");
            findings.push(of(Finding::new("root", Level::Stop, why)
                .advise("if the guest has more disks, name them all")
                .read([entry.source.clone()])));
        }
    }
}

/// Several devices of one filesystem, or an encrypted device and its plain text, are one root.
fn same_content(patient: &Patient<'_>, device: &h2k_guest::Device) -> bool {
    let root = patient
        .guest
        .devices()
        .iter()
        .find(|d| d.name == patient.system.device);
    root.is_some_and(|root| root.uuid == device.uuid || root.plain_of.as_ref() == Some(&device.name))
}

/// fstab and crypttab: what is waited for while the system starts.
fn tables(patient: &Patient<'_>, look: &Look<'_>, findings: &mut Vec<Finding>) {
    let mut fine = 0_usize;
    let before = findings.len();
    for line in look.text("/etc/fstab").iter().flat_map(|t| t.spoken()) {
        let Some(mount) = fstab(line.text.as_bytes()).into_iter().next() else {
            continue;
        };
        let spec = String::from_utf8_lossy(&mount.spec).into_owned();
        let optional = mount.has("nofail") || mount.has("noauto");
        let swap = mount.kind == b"swap";
        if optional || naming::of(&spec) == Naming::None {
            continue;
        }
        fine = fine.saturating_add(1);
        let point = String::from_utf8_lossy(&mount.point).into_owned();
        // The root is mounted by the time this is read: its line is for mounting it once more.
        let (level, effect) = match point.as_str() {
            _ if swap => (Level::Warn, "the guest waits, and goes on without swap"),
            "/" => (Level::Warn, "the root stays as the initramfs mounted it"),
            _ => (Level::Stop, "the guest waits, and ends in emergency mode"),
        };
        let what = if swap { "swap" } else { point.as_str() };
        let say = |level: Level| {
            Finding::new(
                "fstab",
                level,
                format!("{what} is on {spec}: where it is not found, {effect}"),
            )
            .advise("call it by its UUID")
            .read([line.source()])
        };
        spread(&spec, level, &say, findings);
        let gone = patient.resolve(&spec).is_err();
        if gone {
            let why = format!("{what} is on {spec}, which is not on these disks: {effect}");
            findings.push(
                Finding::new("fstab", level, why)
                    .advise("if the guest has more disks, name them all; otherwise nofail lets it start")
                    .read([line.source()]),
            );
        }
    }
    if fine > 0 && findings.len() == before {
        let why = "all devices that /etc/fstab asks for are found on any bus";
        findings.push(Finding::new("fstab", Level::Ok, why).read([Source::file(b"/etc/fstab")]));
    }
    for line in look.text("/etc/crypttab").iter().flat_map(|t| t.spoken()) {
        crypttab(patient, &line, findings);
    }
}

fn crypttab(patient: &Patient<'_>, line: &Line<'_>, findings: &mut Vec<Finding>) {
    let mut fields = line.text.split_whitespace();
    let (Some(name), Some(spec), _, options) = (fields.next(), fields.next(), fields.next(), fields.next())
    else {
        return;
    };
    let optional = options.is_some_and(|o| o.split(',').any(|o| o == "nofail" || o == "noauto"));
    if optional || naming::of(spec) == Naming::None {
        return;
    }
    let say = |level: Level| {
        Finding::new("crypttab", level, format!("{name} is the plain text of {spec}"))
            .advise("call it by the UUID of its LUKS header")
            .read([line.source()])
    };
    spread(spec, Level::Stop, &say, findings);
    if patient.resolve(spec).is_err() {
        let why = format!("{name} is the plain text of {spec}, which is not on these disks");
        findings.push(Finding::new("crypttab", Level::Stop, why).read([line.source()]));
    }
    if options.is_some_and(|o| o.contains("tpm2-device")) {
        let why = format!(
            "{name} is opened by a TPM, whose keys stay with the old machine: a passphrase is asked for"
        );
        findings.push(Finding::new("crypttab", Level::Warn, why).read([line.source()]));
    }
}
