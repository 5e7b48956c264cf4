//! `os` of Windows.

use super::membership;
use super::osinfo;
use super::time::seconds;
use super::{SOFTWARE, SYSTEM, hive};
use crate::os::{Installed, Os};
use crate::report::Asking;
use h2k_guest::registry::{Hold, RegKey};
use h2k_guest::{Fact, Look, Source};

/// The first build of Windows 11, which calls itself "Windows 10" in the registry.
const ELEVEN: u64 = 22000;
/// How far into a program its second header may lie.
const HEAD: usize = 4096;

pub(crate) fn look(asking: &Asking<'_>, look: &Look<'_>) -> Os {
    let mut os = Os::default();
    if let Some(root) = asking.registry().root(look) {
        let path = String::from_utf8_lossy(root).into_owned();
        os.system_root = Some(Fact::new(path, Source::file(root)));
    }
    if let Some(system) = hive(asking, look, SYSTEM) {
        settings(&system, look, &mut os);
    }
    if let Some(software) = hive(asking, look, SOFTWARE) {
        let cryptography = software.key(look, "Microsoft\\Cryptography");
        os.machine_id = cryptography.and_then(|key| key.words("MachineGuid"));
        if let Some(version) = software.key(look, "Microsoft\\Windows NT\\CurrentVersion") {
            product(&version, &mut os);
        }
    }
    membership::look(asking, look, &mut os);
    os.architecture = architecture(asking, look).or(os.architecture);
    os.osinfo = osinfo::conclude(&os);
    os
}

/// What the SYSTEM hive says.
fn settings(system: &Hold, look: &Look<'_>, os: &mut Os) {
    let key = |path: &str| system.key(look, &format!("CurrentControlSet\\{path}"));
    if let Some(select) = system.key(look, "Select") {
        os.control_set = select
            .number("Current")
            .map(|f| f.map(|n| format!("ControlSet{n:03}")));
    }
    if let Some(tcpip) = key("Services\\Tcpip\\Parameters") {
        // The second is the name before DHCP had a say in it.
        os.hostnames.extend(tcpip.words("Hostname"));
        os.hostnames.extend(tcpip.words("NV Hostname"));
        os.domain = tcpip.words("Domain").or_else(|| tcpip.words("NV Domain"));
    }
    for path in [
        "Control\\ComputerName\\ComputerName",
        "Control\\ComputerName\\ActiveComputerName",
    ] {
        os.hostnames
            .extend(key(path).and_then(|k| k.words("ComputerName")));
    }
    os.hostname = os.hostnames.first().cloned();
    if let Some(options) = key("Control\\ProductOptions") {
        // `WinNT`, `ServerNT`, or `LanmanNT` on a domain controller.
        let kind = options.words("ProductType");
        os.variant = kind.map(|f| {
            f.map(|t| {
                if t.eq_ignore_ascii_case("WinNT") {
                    "Client"
                } else {
                    "Server"
                }
                .to_owned()
            })
        });
    }
    let environment = key("Control\\Session Manager\\Environment");
    let processor = environment.and_then(|e| e.words("PROCESSOR_ARCHITECTURE"));
    os.architecture = processor.map(|f| {
        f.map(|word| match word.to_ascii_uppercase().as_str() {
            "AMD64" => "x86_64".to_owned(),
            "X86" => "i386".to_owned(),
            "ARM64" => "aarch64".to_owned(),
            "IA64" => "ia64".to_owned(),
            _ => word.to_lowercase(),
        })
    });
}

/// What `CurrentVersion` of the SOFTWARE hive says.
fn product(version: &RegKey<'_>, os: &mut Os) {
    let build = version
        .number("CurrentBuildNumber")
        .or_else(|| version.number("CurrentBuild"));
    os.variant = version.words("InstallationType").or(os.variant.take());
    os.edition = version.words("EditionID");
    os.product_name = version
        .words("ProductName")
        .map(|name| named(name, build.as_ref(), os));
    os.distro = Some(Fact::new("windows".to_owned(), version.source()));
    numbers(version, os);
    // The name of a release; before there were such, the service pack.
    os.release = ["DisplayVersion", "ReleaseId", "CSDVersion"]
        .into_iter()
        .find_map(|name| version.words(name));
    os.build = build.map(|build| match version.number("UBR") {
        Some(revision) => {
            let both = format!(
                "{} and {}",
                build.source,
                revision.source.as_str().rsplit('\\').next().unwrap_or("UBR")
            );
            Fact::new(format!("{}.{}", build.value, revision.value), Source::named(both))
        }
        None => build.map(|n| n.to_string()),
    });
    os.registered_owner = version.words("RegisteredOwner");
    os.registered_organization = version.words("RegisteredOrganization");
    os.product_id = version.words("ProductId");
    let time = version
        .number("InstallTime")
        .and_then(|f| Some(Fact::new(seconds(f.value)?, f.source)));
    let date = version.number("InstallDate").filter(|f| f.value != 0);
    let date = date.and_then(|f| Some(Fact::new(i64::try_from(f.value).ok()?, f.source)));
    os.installed = time
        .into_iter()
        .chain(date)
        .map(|seconds| Installed {
            seconds,
            what: "recorded by the system".to_owned(),
        })
        .collect();
}

/// The product's name. Windows 11 has kept the name of Windows 10 in the registry; servers of the same builds have
/// names of their own.
fn named(name: Fact<String>, build: Option<&Fact<u64>>, os: &Os) -> Fact<String> {
    let client = os
        .variant
        .as_ref()
        .is_none_or(|v| v.value.eq_ignore_ascii_case("Client"));
    match build {
        Some(build) if client && build.value >= ELEVEN && name.value.contains("Windows 10") => Fact::new(
            name.value.replace("Windows 10", "Windows 11"),
            Source::named(format!("{}, with the build in {}", name.source, build.source)),
        ),
        _ => name,
    }
}

/// Major and minor version: numbers of their own since Windows 10, where the text has stayed `6.3`.
fn numbers(version: &RegKey<'_>, os: &mut Os) {
    let number = |name: &str| {
        let fact = version.number(name)?;
        Some(Fact::new(u32::try_from(fact.value).ok()?, fact.source))
    };
    let (mut major, mut minor) = (
        number("CurrentMajorVersionNumber"),
        number("CurrentMinorVersionNumber"),
    );
    if major.is_none()
        && let Some(text) = version.words("CurrentVersion")
        && let Some((first, second)) = text.value.split_once('.')
        && let (Ok(first), Ok(second)) = (first.parse(), second.parse())
    {
        major = Some(Fact::new(first, text.source.clone()));
        minor = Some(Fact::new(second, text.source));
    }
    os.version = major.as_ref().map(|major| {
        let minor = minor.as_ref().map_or(0, |f| f.value);
        Fact::new(format!("{}.{minor}", major.value), major.source.clone())
    });
    (os.major_version, os.minor_version) = (major, minor);
}

/// The processor that the system's own programs are made for.
fn architecture(asking: &Asking<'_>, look: &Look<'_>) -> Option<Fact<String>> {
    ["System32/cmd.exe", "System32/ntoskrnl.exe"]
        .iter()
        .find_map(|program| {
            let path = asking.registry().path(look, program)?;
            let head = look.head(&path, HEAD)?;
            Some(Fact::new(machine(&head)?.to_owned(), Source::file(&path)))
        })
}

/// The machine a PE header names, in libguestfs' words (Microsoft, "PE Format", "Machine Types").
fn machine(head: &[u8]) -> Option<&'static str> {
    let at = u32::from_le_bytes(*head.strip_prefix(b"MZ")?.get(58..)?.first_chunk()?);
    let header = head.get(usize::try_from(at).ok()?..)?.strip_prefix(b"PE\0\0")?;
    Some(match u16::from_le_bytes(*header.first_chunk()?) {
        0x014c => "i386",
        0x8664 => "x86_64",
        0xaa64 => "aarch64",
        0x01c0 | 0x01c4 => "arm",
        0x0200 => "ia64",
        _ => return None,
    })
}
