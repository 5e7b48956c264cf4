//! The machine a boot test starts, as QEMU's command line.

use h2k_boot::{Bus, Firmware};
use std::path::{Path, PathBuf};

/// Where distributions put UEFI for QEMU: the code, and the variables of a machine that was never started.
const UEFI: [(&str, &str); 6] = [
    (
        "/usr/share/OVMF/OVMF_CODE_4M.fd",
        "/usr/share/OVMF/OVMF_VARS_4M.fd",
    ),
    ("/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd"),
    (
        "/usr/share/edk2/ovmf/OVMF_CODE.fd",
        "/usr/share/edk2/ovmf/OVMF_VARS.fd",
    ),
    (
        "/usr/share/edk2/x64/OVMF_CODE.4m.fd",
        "/usr/share/edk2/x64/OVMF_VARS.4m.fd",
    ),
    (
        "/usr/share/qemu/ovmf-x86_64-code.bin",
        "/usr/share/qemu/ovmf-x86_64-vars.bin",
    ),
    (
        "/usr/share/qemu/edk2-x86_64-code.fd",
        "/usr/share/qemu/edk2-i386-vars.fd",
    ),
];

/// Where Red Hat keeps QEMU, out of the PATH.
const LIBEXEC: &str = "/usr/libexec/qemu-kvm";

/// What is started.
#[derive(Debug)]
pub(crate) struct Trial {
    /// Its disks with their formats, in order.
    pub(crate) disks: Vec<(PathBuf, &'static str)>,
    /// The controller they are attached to.
    pub(crate) bus: Bus,
    /// What starts it.
    pub(crate) firmware: Firmware,
    /// The addresses of its interfaces.
    pub(crate) macs: Vec<String>,
    /// A folder that is made for what it writes, and removed.
    pub(crate) scratch: PathBuf,
    /// What the picture of its screen is called, without the ending.
    pub(crate) picture: PathBuf,
}

/// The program, where it is installed.
pub(super) fn program() -> Option<PathBuf> {
    found("qemu-system-x86_64").or_else(|| Some(PathBuf::from(LIBEXEC)).filter(|path| path.is_file()))
}

/// What starts it so that it ends when this process does, however that ends; where it is installed (util-linux).
pub(super) fn leash() -> Option<PathBuf> {
    found("setpriv")
}

fn found(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|dir| dir.join(name))
        .find(|program| program.is_file())
}

impl Trial {
    /// QEMU's words for it, or why there are none.
    pub(super) fn words(&self, accelerator: &str) -> Result<Vec<String>, String> {
        // QEMU's own processor is no faster for being two, and slower where the host is busy.
        let (cpu, cpus) = match accelerator {
            "kvm" => ("host", "2"),
            _ => ("max", "1"),
        };
        let board = if self.bus == Bus::Ide { "pc" } else { "q35" };
        let mut words: Vec<String> = [
            "-nodefaults",
            "-no-user-config",
            "-display",
            "none",
            // The monitor; what the guest says goes where QEMU complains.
            "-qmp",
            "stdio",
            "-serial",
            "file:/proc/self/fd/2",
        ]
        .map(str::to_owned)
        .to_vec();
        let mut say = |flag: &str, value: String| words.extend([flag.to_owned(), value]);
        say("-name", "hyper2kvm-boot-test".to_owned());
        // What the firmware says goes to the serial port, too.
        say("-machine", format!("{board},accel={accelerator},graphics=off"));
        say("-cpu", cpu.to_owned());
        say("-smp", cpus.to_owned());
        say("-m", "2048".to_owned());
        say("-device", "VGA".to_owned());
        if self.firmware == Firmware::Uefi {
            let found = UEFI
                .iter()
                .find(|(code, vars)| Path::new(code).is_file() && Path::new(vars).is_file());
            let (code, vars) = found.ok_or("no UEFI firmware for QEMU is installed (OVMF)")?;
            say(
                "-drive",
                format!("if=pflash,unit=0,format=raw,readonly=on,file={code}"),
            );
            say(
                "-drive",
                format!("if=pflash,unit=1,format=raw,snapshot=on,file={vars}"),
            );
        }
        if let Some(controller) = controller(self.bus) {
            say("-device", controller.to_owned());
        }
        for (number, (path, format)) in self.disks.iter().enumerate() {
            let path = path
                .to_str()
                .ok_or("a path that is not UTF-8 cannot be told to QEMU")?;
            // In QEMU's options a comma is written twice.
            let path = path.replace(',', ",,");
            say(
                "-drive",
                format!("if=none,id=disk{number},format={format},cache=unsafe,snapshot=on,file={path}"),
            );
            let device = device(self.bus, number).ok_or("QEMU has no such controller")?;
            let order = number.saturating_add(1);
            say(
                "-device",
                format!("{device},drive=disk{number},bootindex={order}"),
            );
        }
        let nic = if self.bus.is_virtio() {
            "virtio-net-pci"
        } else {
            "e1000e"
        };
        for (number, mac) in self.macs.iter().enumerate() {
            // A network with nobody else in it: neither this host nor what is beyond can be reached.
            say("-netdev", format!("user,id=net{number},restrict=on"));
            say("-device", format!("{nic},netdev=net{number},mac={mac},romfile="));
        }
        Ok(words)
    }
}

/// The controller, where the board has none of the kind.
fn controller(bus: Bus) -> Option<&'static str> {
    Some(match bus {
        Bus::VirtioScsi => "virtio-scsi-pci,id=scsi0",
        Bus::Pvscsi => "pvscsi,id=scsi0",
        Bus::LsiSas => "mptsas1068,id=scsi0",
        Bus::Lsi => "lsi53c895a,id=scsi0",
        _ => return None,
    })
}

/// The disk of this number.
fn device(bus: Bus, number: usize) -> Option<String> {
    Some(match bus {
        Bus::VirtioBlk => "virtio-blk-pci".to_owned(),
        Bus::Sata => format!("ide-hd,bus=ide.{number}"),
        Bus::Ide => format!("ide-hd,bus=ide.{},unit={}", number / 2, number % 2),
        Bus::Nvme => format!("nvme,serial=disk{number}"),
        // Linux takes a disk behind an LSI SAS by its world-wide name only.
        Bus::LsiSas => format!("scsi-hd,bus=scsi0.0,wwn=0x5000c5000000{number:04x}"),
        Bus::VirtioScsi | Bus::Pvscsi | Bus::Lsi => "scsi-hd,bus=scsi0.0".to_owned(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::Trial;
    use h2k_boot::{Bus, Firmware};

    #[test]
    fn nothing_is_written_and_nobody_is_reached() {
        for bus in Bus::ALL {
            let trial = Trial {
                disks: vec![("a,b.qcow2".into(), "qcow2"), ("c.raw".into(), "raw")],
                bus,
                firmware: Firmware::Bios,
                macs: vec!["52:54:00:12:34:56".to_owned()],
                scratch: "/tmp".into(),
                picture: "/tmp/a".into(),
            };
            let words = trial.words("tcg").unwrap();
            for word in words
                .iter()
                .filter(|w| w.split(',').any(|p| p.starts_with("file=")))
            {
                assert!(word.contains("snapshot=on"), "{word}");
            }
            for word in words.iter().filter(|w| w.starts_with("user,")) {
                assert!(word.contains("restrict=on"), "{word}");
            }
            assert!(words.iter().any(|w| w.ends_with("file=a,,b.qcow2")));
        }
    }
}
