//! A guest as VMware's tools export it: its disk packed as streamOptimized VMDK, and the description of its machine.

use super::tool;
use super::verdict::fact;
use crate::run::show;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Makes `out/NAME.vmdk` and `out/NAME.vmx` of `image`, whose description as the rig writes it is `facts`. Only the
/// latter says which address the network card has.
pub(super) fn describe(image: &Path, facts: &str, out: &Path) -> Result<PathBuf, String> {
    let name = image.file_stem().unwrap_or_default();
    let disk = out.join(name).with_extension("vmdk");
    show(Command::new(tool("raw2stream.py")?).arg(image).arg(&disk))?;
    let fact = |name: &str| fact(facts, name).unwrap_or_default();
    let (controller, kind) = match fact("V_BUS") {
        "mptsas" => ("scsi0", Some("lsisas1068")),
        "lsi" => ("scsi0", Some("lsilogic")),
        "pvscsi" => ("scsi0", Some("pvscsi")),
        "ahci" => ("sata0", None),
        _ => ("nvme0", None),
    };
    // Where the rig's machine has its cards, as `lib.sh` says.
    let slot = match fact("V_NIC") {
        "e1000" => "33",
        _ => "192",
    };
    let firmware = match fact("V_FIRMWARE") {
        "uefi" => "efi",
        _ => "bios",
    };
    let name = name.to_string_lossy();
    let disk_name = format!("{name}.vmdk");
    let (present, device, file) = (
        format!("{controller}.present"),
        format!("{controller}.virtualDev"),
        format!("{controller}:0.fileName"),
    );
    let drive = format!("{controller}:0.present");
    let mut lines = vec![
        ("config.version", "8"),
        ("virtualHW.version", "19"),
        ("displayName", name.as_ref()),
        ("guestOS", "debian12-64"),
        ("firmware", firmware),
        ("memSize", "1024"),
        ("numvcpus", "2"),
        (&present, "TRUE"),
        (&drive, "TRUE"),
        (&file, &disk_name),
        ("ethernet0.present", "TRUE"),
        ("ethernet0.virtualDev", fact("V_NIC")),
        ("ethernet0.networkName", "VM Network"),
        ("ethernet0.addressType", "static"),
        ("ethernet0.address", fact("V_MAC")),
        ("ethernet0.pciSlotNumber", slot),
    ];
    if let Some(kind) = kind {
        lines.push((&device, kind));
    }
    let text: String = lines
        .iter()
        .map(|(key, value)| format!("{key} = \"{value}\"\n"))
        .collect();
    let path = disk.with_extension("vmx");
    fs::write(&path, text).map_err(|e| format!("{}: {e}", path.display()))?;
    Ok(path)
}
