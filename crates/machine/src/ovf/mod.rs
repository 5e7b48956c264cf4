//! An OVF descriptor as a source.
//!
//! ```text
//! Envelope
//!   References      File id, href, size, compression, chunkSize
//!   DiskSection     Disk diskId, fileRef, capacity, units, format
//!   DeploymentOptionSection   Configuration id, default
//!   VirtualSystem             (or several, in a VirtualSystemCollection)
//!     OperatingSystemSection
//!     VirtualHardwareSection  System, Item (StorageItem, EthernetPortItem), and what VMware adds
//!     Machine                 what VirtualBox adds
//! ```
//!
//! Follows DMTF DSP0243 1.1.1 and 2.1.1, CIM's resource allocation setting data, and what VMware's and VirtualBox' exports
//! show. Elements are told by their local names.

mod files;
mod hardware;
mod units;
mod vendor;

use crate::Machine;
use crate::number::{decimal, said, yes};
use crate::xml::{self, Element};
use files::Disks;
use h2k_block::{Error, Limits, Result};

/// Which machine of a package, in which of its configurations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The `ovf:id` of the virtual system; needed where there are several.
    pub system: Option<String>,
    /// The `ovf:id` of the configuration; without, the one the package calls its default, or its first.
    pub configuration: Option<String>,
}

/// Reads a descriptor.
///
/// # Errors
/// [`Class::Corrupt`](h2k_block::Class::Corrupt) for what is no OVF, or refers to what is not there;
/// [`Class::Unsupported`](h2k_block::Class::Unsupported) for version 0.9, for several systems of which none was chosen, and
/// for disks that are differences to others; [`Class::Invalid`](h2k_block::Class::Invalid) for a system or configuration that
/// does not exist; [`Class::Limit`](h2k_block::Class::Limit).
pub fn read(bytes: &[u8], options: &Options, limits: &Limits) -> Result<Machine> {
    let root = xml::decode(bytes, limits)?;
    version(&root)?;
    let system = choose(&root, options.system.as_deref())?;
    let mut machine = Machine {
        name: name(system),
        ..Machine::default()
    };
    let configuration = configuration(&root, options.configuration.as_deref(), &mut machine)?;
    let disks = Disks::read(&root, &mut machine)?;
    about(system, &mut machine);
    let mut sections = system.all("VirtualHardwareSection");
    let Some(section) = sections.next() else {
        return Err(Error::corrupt(
            "VirtualSystem",
            system.at,
            "no VirtualHardwareSection",
        ));
    };
    if sections.next().is_some() {
        machine.note(
            "VirtualHardwareSection",
            "there are several; the first one counts",
        );
    }
    hardware::read(section, configuration.as_deref(), &disks, &mut machine)?;
    vendor::vmware(system, section, &mut machine);
    if let Some(box_machine) = system.child("Machine") {
        vendor::virtualbox(box_machine, &mut machine);
    }
    for left in [
        "ProductSection",
        "InstallSection",
        "BootDeviceSection",
        "ApplianceSection",
    ] {
        let holds = |s: &Element| left != "ProductSection" || s.child("Property").is_some();
        if system.all(left).any(holds) {
            machine.note(left, "not carried over");
        }
    }
    Ok(machine)
}

fn version(root: &Element) -> Result<()> {
    if root.name != "Envelope" {
        return Err(Error::corrupt(
            "OVF",
            root.at,
            format!("the outermost element is <{}>, expected <Envelope>", root.name),
        ));
    }
    let known = |space: &str| {
        let space = space.trim_end_matches('/');
        space.ends_with("schemas.dmtf.org/ovf/envelope/1")
            || space.ends_with("schemas.dmtf.org/ovf/envelope/2")
    };
    if root.spaces().any(known) {
        return Ok(());
    }
    let old = root
        .spaces()
        .any(|s| s.contains("vmware.com/schema/ovf/1/envelope"));
    Err(if old {
        Error::unsupported("an OVF of version 0.9, from before the standard")
            .advise("export it again as OVF 1.0 or later, or name its disks")
    } else {
        Error::unsupported("an envelope of an unknown version: only OVF 1 and 2 of DMTF are read")
    }
    .at("Envelope", root.at))
}

/// All virtual systems, those in collections too.
fn systems<'a>(element: &'a Element, found: &mut Vec<&'a Element>) {
    for child in &element.children {
        match child.name.as_str() {
            "VirtualSystem" => found.push(child),
            // As deep as the XML reader goes.
            "VirtualSystemCollection" => systems(child, found),
            _ => {}
        }
    }
}

fn choose<'a>(root: &'a Element, wanted: Option<&str>) -> Result<&'a Element> {
    let mut found = Vec::new();
    systems(root, &mut found);
    let ids = || {
        let ids = found.iter().take(20).filter_map(|s| s.attribute("id"));
        ids.collect::<Vec<_>>().join(", ")
    };
    match (wanted, found.as_slice()) {
        (_, []) => Err(Error::corrupt("Envelope", root.at, "no VirtualSystem")),
        (None, [only]) => Ok(only),
        (None, [_, ..]) => Err(Error::unsupported(format!(
            "a package of {} machines at once: {}",
            found.len(),
            ids()
        ))
        .advise("say which one")),
        (Some(id), all) => all
            .iter()
            .find(|s| s.attribute("id") == Some(id))
            .copied()
            .ok_or_else(|| {
                Error::new(
                    h2k_block::Class::Invalid,
                    format!("no machine is called {id:?}; there are: {}", ids()),
                )
            }),
    }
}

fn name(system: &Element) -> String {
    let identifier = || {
        let vssd = system.path(&["VirtualHardwareSection", "System"])?;
        vssd.text_of("VirtualSystemIdentifier").and_then(said)
    };
    let named = system.text_of("Name").and_then(said);
    named
        .or_else(identifier)
        .or_else(|| system.said("id"))
        .unwrap_or_default()
}

/// The configuration whose items count; `None` where the package has none.
fn configuration(root: &Element, wanted: Option<&str>, machine: &mut Machine) -> Result<Option<String>> {
    let section = root.child("DeploymentOptionSection");
    let all: Vec<&Element> = section.into_iter().flat_map(|s| s.all("Configuration")).collect();
    let ids: Vec<String> = all.iter().filter_map(|c| c.said("id")).collect();
    if let Some(wanted) = wanted {
        if ids.iter().any(|id| id == wanted) {
            return Ok(Some(wanted.to_owned()));
        }
        return Err(Error::new(
            h2k_block::Class::Invalid,
            format!(
                "no configuration is called {wanted:?}; there are: {}",
                ids.join(", ")
            ),
        ));
    }
    let default = all.iter().find(|c| c.attribute("default").is_some_and(yes));
    let chosen = default
        .and_then(|c| c.said("id"))
        .or_else(|| ids.first().cloned());
    if let Some(chosen) = &chosen
        && ids.len() > 1
    {
        machine.note(
            "DeploymentOptionSection",
            format!("configuration {chosen:?} of {}", ids.join(", ")),
        );
    }
    Ok(chosen)
}

/// What is said of the machine and its system in words.
fn about(system: &Element, machine: &mut Machine) {
    machine.title = system
        .path(&["ProductSection", "Product"])
        .and_then(|e| said(e.text()));
    machine.description = system
        .path(&["AnnotationSection", "Annotation"])
        .and_then(|e| said(e.text()));
    let Some(os) = system.child("OperatingSystemSection") else {
        return;
    };
    machine.os.cim = os.attribute("id").and_then(decimal);
    machine.os.vmware = os.said("osType");
    machine.os.virtualbox = os.text_of("OSType").map(str::to_owned);
    machine.os.text = os.text_of("Description").map(str::to_owned);
}
