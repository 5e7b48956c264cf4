//! Drivers of KVM in initramfs images: in those that are there, and in those the guest makes later.

use super::Fix;
use crate::edit::Edit;
use crate::finding::Finding;
use crate::view::View;
use h2k_block::Result;
use h2k_boot::initramfs::segment::{self, ALSO, Addition, Outcome};
use h2k_boot::persist::persist;
use h2k_boot::{Bus, Kernel};
use h2k_guest::Source;

/// Puts drivers behind initramfs images.
pub(super) struct Initramfs;

impl Fix for Initramfs {
    fn id(&self) -> &'static str {
        "linux.initramfs"
    }

    fn about(&self) -> &'static str {
        "puts virtio drivers, and indexes that name them, behind each initramfs that lacks them"
    }

    fn look(&self, view: &View<'_>) -> Result<Vec<Finding>> {
        if view.boot.kernels.is_empty() {
            return Ok(vec![
                Finding::blocked("there is no kernel, so nothing can be started")
                    .advise("install a kernel in the guest before it is migrated"),
            ]);
        }
        let findings = view.boot.kernels.iter().flat_map(|kernel| one(view, kernel));
        Ok(findings.collect())
    }
}

fn one(view: &View<'_>, kernel: &Kernel) -> Vec<Finding> {
    let entry = view.boot.entry_of(kernel);
    let name = kernel.name();
    let source = Source::file(kernel.path.as_bytes());
    if entry.is_some_and(|entry| entry.rescue) {
        let why = format!("{name} is for rescue, and its initramfs has every driver the guest has");
        return vec![Finding::leave(why).read([source])];
    }
    let wanted: &[Bus] = match &view.target.bus {
        Some(bus) => std::slice::from_ref(bus),
        None => &[Bus::VirtioBlk, Bus::VirtioScsi],
    };
    let stable = |device: &str| {
        let found = view.resolve(device.as_bytes()).ok()?;
        found.uuid.as_ref().map(|uuid| format!("UUID={uuid}"))
    };
    let options = segment::Options {
        buses: wanted,
        also: &ALSO,
        command_line: entry.and_then(|e| e.command_line.as_deref()).unwrap_or_default(),
        network_files: &[],
        stable: &stable,
        mtime: u32::try_from(view.options.now.seconds).unwrap_or(0),
    };
    match segment::plan(view.look, kernel, &options) {
        Outcome::Capable => {
            let why = format!("{name} finds its root on virtio as it is");
            vec![Finding::leave(why).read([source])]
        }
        Outcome::Append(addition) => {
            let mut findings = vec![appended(name, &addition)];
            findings.extend(
                addition
                    .left
                    .iter()
                    .map(|left| Finding::warn(format!("{}: {}", left.what, left.why))),
            );
            findings
        }
        Outcome::Cannot(refusal) => {
            let why = format!("{name} gets no virtio drivers: {refusal}");
            let finding = Finding::warn(why).read([source]).advise(
                "the disks are attached to a controller that the guest drives as it is, if there is one; \
                 make an initramfs with virtio drivers inside the guest to change that",
            );
            vec![finding]
        }
    }
}

fn appended(kernel: &str, addition: &Addition) -> Finding {
    let names: Vec<&str> = addition.modules.iter().map(|m| m.name.as_str()).collect();
    let what = match names.as_slice() {
        [] => "what ties it to the old machine is replaced".to_owned(),
        names => format!("{} are added, with indexes that name them", names.join(", ")),
    };
    let edit = Edit::Append {
        path: addition.path.clone().into_bytes(),
        bytes: addition.bytes.clone(),
    };
    Finding::change(
        format!(
            "the initramfs of {kernel} does not find its root on virtio: {what}; cutting it back to {} bytes undoes that",
            addition.old_length
        ),
        vec![edit],
    )
    .read([Source::file(addition.path.as_bytes())])
}

/// Tells the guest's own tools about the drivers.
pub(super) struct Persist;

impl Fix for Persist {
    fn id(&self) -> &'static str {
        "linux.initramfs-tools"
    }

    fn about(&self) -> &'static str {
        "tells what makes initramfs images in the guest to put virtio drivers in, also after an update"
    }

    fn look(&self, view: &View<'_>) -> Result<Vec<Finding>> {
        let texts = persist(view.look, &view.boot.kernels);
        if texts.is_empty() {
            let why =
                "what makes initramfs images in this guest puts virtio drivers in, or there is no such tool";
            return Ok(vec![Finding::leave(why)]);
        }
        let findings = texts.into_iter().map(|text| {
            let why = format!(
                "{} is told to put virtio drivers into every initramfs it makes",
                text.reader.value
            );
            Finding::change(why, vec![Edit::write(text.path, text.text)]).read([text.reader.source])
        });
        Ok(findings.collect())
    }
}
