//! An inspection in the form of `virt-inspector`, so that what reads that can read this.
//!
//! The elements and their order are those of virt-inspector(1). It has one place for each fact and none for where it
//! was read; what does not fit into it is left out.

use crate::os::Os;
use crate::packages::{InstalledPackage, Packages};
use crate::report::{Inspection, SystemFacts};
use crate::windows::{Application, Applications};
use h2k_guest::{Fact, FilesystemFacts};
use quick_xml::Writer;
use quick_xml::escape::partial_escape;
use quick_xml::events::{BytesDecl, BytesText, Event};
use std::io;

/// Writes elements. What cannot be in an XML document at all (control characters) is left out of texts.
struct Xml(Writer<Vec<u8>>);

type Done = io::Result<()>;

impl Xml {
    fn element(&mut self, name: &str, inner: impl FnOnce(&mut Self) -> Done) -> Done {
        self.with(name, &[], inner)
    }

    fn with(
        &mut self,
        name: &str,
        attributes: &[(&str, &str)],
        inner: impl FnOnce(&mut Self) -> Done,
    ) -> Done {
        let start = quick_xml::events::BytesStart::new(name);
        let clean: Vec<(&str, String)> = attributes.iter().map(|(k, v)| (*k, printable(v))).collect();
        let start = start.with_attributes(clean.iter().map(|(k, v)| (*k, v.as_str())));
        self.0.write_event(Event::Start(start))?;
        inner(self)?;
        let end = quick_xml::events::BytesEnd::new(name);
        self.0.write_event(Event::End(end))
    }

    fn text(&mut self, name: &str, text: &str) -> Done {
        self.text_with(name, &[], text)
    }

    fn text_with(&mut self, name: &str, attributes: &[(&str, &str)], text: &str) -> Done {
        self.with(name, attributes, |xml| {
            // Quotes need no escape between tags, and those who compare documents as text see none.
            let text = partial_escape(printable(text));
            xml.0.write_event(Event::Text(BytesText::from_escaped(text)))
        })
    }

    /// An element where there is something to say.
    fn known(&mut self, name: &str, text: Option<&str>) -> Done {
        match text.filter(|t| !t.is_empty()) {
            Some(text) => self.text(name, text),
            None => Ok(()),
        }
    }

    fn fact<T: ToString>(&mut self, name: &str, fact: Option<&Fact<T>>) -> Done {
        self.known(name, fact.map(|f| f.value.to_string()).as_deref())
    }
}

/// What XML 1.0 allows in a document.
fn printable(text: &str) -> String {
    let allowed = |c: &char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
    text.chars().filter(allowed).collect()
}

/// The document that `virt-inspector` would print.
#[must_use]
pub fn virt_inspector(inspection: &Inspection) -> String {
    let mut xml = Xml(Writer::new_with_indent(Vec::new(), b' ', 2));
    // Writing to memory does not fail.
    let _written = document(&mut xml, inspection);
    let mut text = String::from_utf8_lossy(&xml.0.into_inner()).into_owned();
    text.push('\n');
    text
}

fn document(xml: &mut Xml, inspection: &Inspection) -> Done {
    xml.0
        .write_event(Event::Decl(BytesDecl::new("1.0", None, None)))?;
    xml.element("operatingsystems", |xml| {
        for system in &inspection.systems {
            xml.element("operatingsystem", |xml| {
                operating_system(xml, system, &inspection.filesystems)
            })?;
        }
        Ok(())
    })
}

fn operating_system(xml: &mut Xml, system: &SystemFacts, filesystems: &[FilesystemFacts]) -> Done {
    xml.text("root", &system.root)?;
    let none = Os::default();
    let os = system.os.as_ref().map_or(&none, |s| &s.found);
    xml.text("name", &system.kind)?;
    xml.fact("arch", os.architecture.as_ref())?;
    xml.fact("distro", os.distro.as_ref())?;
    xml.fact("product_name", os.product_name.as_ref())?;
    xml.fact("product_variant", os.variant.as_ref())?;
    xml.fact("major_version", os.major_version.as_ref())?;
    xml.fact("minor_version", os.minor_version.as_ref())?;
    xml.fact("package_format", os.package_format.as_ref())?;
    xml.fact("package_management", os.package_management.as_ref())?;
    xml.fact("windows_systemroot", os.system_root.as_ref())?;
    xml.fact("windows_current_control_set", os.control_set.as_ref())?;
    xml.fact("hostname", os.hostname.as_ref())?;
    xml.fact("osinfo", os.osinfo.as_ref())?;
    let mounts = points(system);
    xml.element("mountpoints", |xml| {
        for (point, device) in &mounts {
            xml.text_with("mountpoint", &[("dev", device)], point)?;
        }
        Ok(())
    })?;
    let mut devices: Vec<&str> = mounts.iter().map(|(_, device)| *device).collect();
    devices.extend(swaps(system));
    devices.sort_unstable();
    devices.dedup();
    xml.element("filesystems", |xml| {
        for device in devices {
            let Some(fs) = filesystems.iter().find(|fs| fs.source == device) else {
                continue;
            };
            xml.with("filesystem", &[("dev", device)], |xml| {
                xml.known("type", Some(&fs.type_))?;
                xml.known("label", fs.label.as_deref())?;
                xml.known("uuid", fs.uuid.as_deref())
            })?;
        }
        Ok(())
    })?;
    drives(xml, system)?;
    let packages = system.packages.as_ref().map(|s| &s.found);
    let applications = system.applications.as_ref().map(|s| &s.found);
    if packages.is_none() && applications.is_none() {
        return Ok(());
    }
    xml.element("applications", |xml| {
        packages.map_or(Ok(()), |p| installed(xml, p))?;
        applications.map_or(Ok(()), |a| installed_on_windows(xml, a))
    })
}

/// Mount points with what the table mounts there, the shortest first. A directory that is missing, and that systemd
/// would make, is one all the same.
fn points(system: &SystemFacts) -> Vec<(&str, &str)> {
    let Some(mounts) = system.mounts.as_ref().map(|s| &s.found) else {
        return Vec::new();
    };
    let mounted = mounts
        .mounted
        .iter()
        .map(|m| (m.mount_point.as_str(), m.device.as_str()));
    let missing = mounts.left_out.iter().filter(|l| l.mount_point.starts_with('/'));
    let missing = missing.filter_map(|l| Some((l.mount_point.as_str(), l.device.as_deref()?)));
    let mut all: Vec<(&str, &str)> = mounted.chain(missing).collect();
    all.sort_by_key(|(point, device)| (point.len(), *point, *device));
    all.dedup();
    all
}

/// Devices the mount table swaps to.
fn swaps(system: &SystemFacts) -> impl Iterator<Item = &str> {
    let storage = system.storage.as_ref().map(|s| &s.found);
    let swap = storage.into_iter().flat_map(|s| &s.swap);
    swap.filter(|s| s.spec.is_some())
        .filter_map(|s| s.device.as_deref())
}

fn drives(xml: &mut Xml, system: &SystemFacts) -> Done {
    let drives = system.drives.as_ref().map(|s| s.found.drives.as_slice());
    let mut mapped: Vec<(&str, &str)> = drives
        .unwrap_or_default()
        .iter()
        .filter_map(|d| Some((d.letter.as_str(), d.device.as_deref()?)))
        .collect();
    mapped.sort_unstable();
    if mapped.is_empty() {
        return Ok(());
    }
    xml.element("drive_mappings", |xml| {
        for (letter, device) in mapped {
            xml.text_with("drive_mapping", &[("name", letter)], device)?;
        }
        Ok(())
    })
}

/// Packages that are there, by name, as virt-inspector sorts them; rpm's keys among them, as it has them.
fn installed(xml: &mut Xml, packages: &Packages) -> Done {
    let there = packages.packages.iter().filter(|p| p.state == "installed");
    let mut there: Vec<&InstalledPackage> = there.collect();
    there.sort_by(|a, b| a.name.cmp(&b.name));
    for package in there {
        xml.element("application", |xml| {
            xml.text("name", &package.name)?;
            let epoch = package.epoch.filter(|e| *e > 0).map(|e| e.to_string());
            xml.known("epoch", epoch.as_deref())?;
            xml.known("version", Some(&package.version))?;
            xml.known("release", package.release.as_deref())?;
            xml.known("arch", package.arch.as_deref())?;
            xml.known("url", package.url.as_deref())?;
            xml.known("source_package", package.source_package.as_deref())?;
            xml.known("summary", package.summary.as_deref())?;
            xml.known("description", package.description.as_deref())
        })?;
    }
    Ok(())
}

fn installed_on_windows(xml: &mut Xml, applications: &Applications) -> Done {
    let mut sorted: Vec<&Application> = applications.applications.iter().collect();
    sorted.sort_by(|a, b| a.name.cmp(&b.name));
    for application in sorted {
        xml.element("application", |xml| {
            xml.text("name", &application.name)?;
            xml.known("display_name", Some(&application.display_name))?;
            xml.known("version", application.version.as_deref())?;
            xml.known("install_path", application.install_location.as_deref())?;
            xml.known("publisher", application.publisher.as_deref())?;
            xml.known("url", application.url.as_deref())?;
            xml.known("description", application.comments.as_deref())?;
            xml.known("class", application.class.as_deref())
        })?;
    }
    Ok(())
}
