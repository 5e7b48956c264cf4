//! The program that firmware starts when it knows no other. What the old machine's firmware remembered of boot loaders
//! stays behind; `EFI/BOOT/BOOTX64.EFI` is found without (UEFI Specification 2.10, 3.5.1.1).

use super::Fix;
use crate::edit::Edit;
use crate::finding::Finding;
use crate::view::View;
use h2k_block::Result;
use h2k_boot::Firmware;
use h2k_guest::Source;

/// What firmware calls architectures, the most likely first.
const ARCHITECTURES: [&str; 4] = ["x64", "aa64", "ia32", "riscv64"];

/// What a boot program may weigh; GRUB's largest have some MiB.
const MOST: u64 = 32 << 20;

/// Puts the guest's boot loader where firmware looks by itself.
pub(super) struct EfiFallback;

impl Fix for EfiFallback {
    fn id(&self) -> &'static str {
        "linux.efi-fallback"
    }

    fn about(&self) -> &'static str {
        "puts the boot loader where firmware finds it that knows nothing of the guest"
    }

    fn look(&self, view: &View<'_>) -> Result<Vec<Finding>> {
        let uefi = view
            .boot
            .firmware
            .as_ref()
            .is_some_and(|f| f.value == Firmware::Uefi);
        let Some(esp) = view.boot.esp.as_ref().filter(|_| uefi) else {
            return Ok(vec![Finding::leave("the guest does not boot by UEFI")]);
        };
        let mounts = view.look.tree().mounts();
        let Some(mount) = mounts.iter().find(|m| m.source == esp.device) else {
            let why = format!("the EFI system partition, {}, cannot be looked at", esp.device);
            return Ok(vec![Finding::warn(why)]);
        };
        let point = String::from_utf8_lossy(&mount.point).into_owned();
        let point = point.trim_end_matches('/');
        let efi = Dir::below(view, point, "EFI");
        let boot = Dir::below(view, &efi.path, "BOOT");
        let mut findings = Vec::new();
        let mut there = false;
        for architecture in ARCHITECTURES {
            let fallback = format!("BOOT{}.EFI", architecture.to_ascii_uppercase());
            if boot.has(&fallback) {
                there = true;
                continue;
            }
            if let Some(finding) = copy(view, &efi, &boot, architecture, &fallback) {
                findings.push(finding);
            }
        }
        if findings.is_empty() {
            findings.push(match there {
                true => Finding::leave("firmware finds a program to start by itself")
                    .read([Source::named(boot.path)]),
                false => Finding::blocked(format!(
                    "firmware that does not know the guest finds nothing to start on {}: there is no {}/BOOTX64.EFI, \
                     nor a boot loader to put there",
                    esp.device, boot.path
                ))
                .advise("add an entry to the new machine's firmware, or install a boot loader before the move"),
            });
        }
        Ok(findings)
    }
}

/// A directory of a filesystem that does not tell capitals from small letters.
struct Dir {
    path: String,
    names: Vec<String>,
}

impl Dir {
    /// The directory called `name` in another, under the name it has there.
    fn below(view: &View<'_>, parent: &str, name: &str) -> Self {
        let own = Self::at(view, parent.to_owned()).named(name);
        Self::at(
            view,
            format!("{parent}/{}", own.unwrap_or_else(|| name.to_owned())),
        )
    }

    fn at(view: &View<'_>, path: String) -> Self {
        let names = view.look.names(&path);
        let names = names
            .iter()
            .take(1024)
            .map(|n| String::from_utf8_lossy(n).into_owned());
        let names = names.collect();
        Self { path, names }
    }

    fn named(&self, name: &str) -> Option<String> {
        self.names.iter().find(|n| n.eq_ignore_ascii_case(name)).cloned()
    }

    fn has(&self, name: &str) -> bool {
        self.named(name).is_some()
    }

    fn path_of(&self, name: &str) -> Option<String> {
        self.named(name).map(|name| format!("{}/{name}", self.path))
    }
}

/// The edits that put a boot loader of this architecture into `boot`; `None` where there is none to put.
fn copy(view: &View<'_>, efi: &Dir, boot: &Dir, architecture: &str, fallback: &str) -> Option<Finding> {
    let name = |what: &str| format!("{what}{architecture}.efi");
    let vendors = efi.names.iter().filter(|n| {
        !n.eq_ignore_ascii_case("BOOT")
            && !n.eq_ignore_ascii_case("Microsoft")
            && !n.eq_ignore_ascii_case("Linux")
    });
    let vendors = vendors.map(|n| Dir::at(view, format!("{}/{n}", efi.path)));
    let programs = [name("shim"), name("grub"), name("systemd-boot")];
    let mut vendors: Vec<Dir> = vendors
        .filter(|dir| programs.iter().any(|p| dir.has(p)))
        .collect();
    let id = view.look.text("/etc/os-release").and_then(|t| t.assigned("ID"));
    let id = id.map_or_else(String::new, |id| match id.value.as_str() {
        "rhel" => "redhat".to_owned(),
        id => id.to_owned(),
    });
    // The system's own first, then those that start with Secure Boot, too; systemd-boot is there for whoever has no
    // other.
    vendors.sort_by_key(|dir| {
        let own = dir
            .path
            .rsplit('/')
            .next()
            .is_some_and(|n| n.eq_ignore_ascii_case(&id));
        let place = programs.iter().position(|p| dir.has(p));
        (!own, place)
    });
    let vendor = vendors.first()?;
    let main = programs.iter().find(|p| vendor.has(p))?;
    let mut wanted = vec![(main.clone(), fallback.to_owned())];
    let shim = *main == programs[0];
    if shim {
        wanted.push((name("grub"), name("grub")));
        wanted.push((name("mm"), name("mm")));
        // shim starts it, and it has firmware remember the entries that this file lists.
        if vendor.has(&format!("BOOT{}.CSV", architecture.to_ascii_uppercase())) {
            wanted.push((name("fb"), name("fb")));
        }
    }
    if *main != programs[2] {
        wanted.push(("grub.cfg".to_owned(), "grub.cfg".to_owned()));
    }
    let (mut edits, mut read, mut said) = (Vec::new(), Vec::new(), Vec::new());
    for (from, to) in wanted {
        let Some(path) = vendor.path_of(&from).filter(|_| !boot.has(&to)) else {
            continue;
        };
        let Some(bytes) = view.look.bytes(&path, MOST) else {
            if from == *main {
                return Some(Finding::blocked(format!(
                    "{path} cannot be read, to be firmware's own choice"
                )));
            }
            continue;
        };
        edits.push(Edit::write(format!("{}/{to}", boot.path), bytes));
        read.push(Source::file(path.as_bytes()));
        said.push(format!("{from} as {to}"));
    }
    let why = format!(
        "firmware that does not know the guest finds no {fallback}: {} gets, of {}, {}",
        boot.path,
        vendor.path,
        said.join(", ")
    );
    Some(Finding::change(why, edits).read(read))
}
