//! A libvirt domain for KVM.
//!
//! Follows libvirt's "Domain XML format", and no more of it than libvirt 9 knows. What libvirt chooses well by itself (PCI
//! addresses and bridges) is left to it; what a guest notices is said.

use crate::{
    Bus, Chipset, Clock, Controller, Drive, DriveKind, Firmware, Graphics, Guest, Network, Nic, Processor,
};
use crate::{Source, Target, Tpm, Video};

/// The domain that runs `target`: the same text for the same target.
#[must_use]
pub fn domain_xml(target: &Target) -> String {
    let mut xml = Text::default();
    xml.inside("domain", &[("type", "kvm")], |xml| {
        let machine = &target.machine;
        xml.text("name", &[], &machine.name);
        if let Some(uuid) = machine.uuid {
            xml.text("uuid", &[], &uuid.to_string());
        }
        if let Some(title) = &machine.title {
            xml.text("title", &[], title);
        }
        if let Some(description) = &machine.description {
            xml.text("description", &[], description);
        }
        if let Some(id) = &machine.os.libosinfo {
            metadata(xml, id);
        }
        let mib = machine.memory.unwrap_or(0) >> 20;
        xml.text("memory", &[("unit", "MiB")], &mib.to_string());
        xml.text("vcpu", &[], &machine.cpu.count.unwrap_or(1).to_string());
        system(xml, target);
        features(xml, target);
        processor(xml, target);
        clock(xml, target);
        for (event, action) in [
            ("on_poweroff", "destroy"),
            ("on_reboot", "restart"),
            ("on_crash", "restart"),
        ] {
            xml.text(event, &[], action);
        }
        xml.inside("devices", &[], |xml| devices(xml, target));
    });
    xml.out
}

fn metadata(xml: &mut Text, id: &str) {
    let space = ("xmlns:libosinfo", "http://libosinfo.org/xmlns/libvirt/domain/1.0");
    xml.inside("metadata", &[], |xml| {
        xml.inside("libosinfo:libosinfo", &[space], |xml| {
            xml.leaf("libosinfo:os", &[("id", id)]);
        });
    });
}

fn system(xml: &mut Text, target: &Target) {
    let machine = &target.machine;
    let board = match machine.chipset {
        Some(Chipset::Pc) => "pc",
        _ => "q35",
    };
    let kind = |xml: &mut Text| {
        xml.text(
            "type",
            &[("arch", machine.arch.name()), ("machine", board)],
            "hvm",
        )
    };
    match machine.firmware {
        Some(Firmware::Uefi { secure_boot }) => xml.inside("os", &[("firmware", "efi")], |xml| {
            kind(xml);
            xml.inside("firmware", &[], |xml| {
                // Without Microsoft's keys in it a firmware enforces nothing; with them it needs a build that can. Some
                // hosts have no build that cannot, so that is not asked for.
                let enabled = if secure_boot { "yes" } else { "no" };
                xml.leaf("feature", &[("enabled", enabled), ("name", "enrolled-keys")]);
                if secure_boot {
                    xml.leaf("feature", &[("enabled", "yes"), ("name", "secure-boot")]);
                }
            });
            if secure_boot {
                xml.leaf("loader", &[("secure", "yes")]);
            }
        }),
        _ => xml.inside("os", &[], kind),
    }
}

fn features(xml: &mut Text, target: &Target) {
    xml.inside("features", &[], |xml| {
        xml.leaf("acpi", &[]);
        xml.leaf("apic", &[]);
        if target.guest == Guest::Windows {
            xml.inside("hyperv", &[("mode", "custom")], |xml| {
                for name in ["relaxed", "vapic"] {
                    xml.leaf(name, &[("state", "on")]);
                }
                xml.leaf("spinlocks", &[("state", "on"), ("retries", "8191")]);
                for name in ["vpindex", "runtime", "synic", "stimer", "reset", "frequencies"] {
                    xml.leaf(name, &[("state", "on")]);
                }
            });
        }
        xml.leaf("vmport", &[("state", "off")]);
        if target.machine.firmware == Some(Firmware::Uefi { secure_boot: true }) {
            xml.leaf("smm", &[("state", "on")]);
        }
    });
}

fn processor(xml: &mut Text, target: &Target) {
    let mode = match &target.processor {
        Processor::HostModel => ("mode", "host-model"),
        Processor::HostPassthrough => ("mode", "host-passthrough"),
        Processor::Named(_) => ("mode", "custom"),
    };
    let check = match &target.processor {
        Processor::HostModel | Processor::Named(_) => ("check", "partial"),
        Processor::HostPassthrough => ("check", "none"),
    };
    xml.inside("cpu", &[mode, check], |xml| {
        if let Processor::Named(model) = &target.processor {
            xml.text("model", &[("fallback", "forbid")], model);
        }
        if let Some(t) = target.machine.cpu.topology {
            let [sockets, cores, threads] = [t.sockets, t.cores, t.threads].map(|n| n.to_string());
            xml.leaf(
                "topology",
                &[
                    ("sockets", &sockets),
                    ("dies", "1"),
                    ("cores", &cores),
                    ("threads", &threads),
                ],
            );
        }
    });
}

fn clock(xml: &mut Text, target: &Target) {
    let offset = match target.machine.clock {
        Some(Clock::Localtime) => "localtime",
        _ => "utc",
    };
    xml.inside("clock", &[("offset", offset)], |xml| {
        xml.leaf("timer", &[("name", "rtc"), ("tickpolicy", "catchup")]);
        xml.leaf("timer", &[("name", "pit"), ("tickpolicy", "delay")]);
        xml.leaf("timer", &[("name", "hpet"), ("present", "no")]);
        if target.guest == Guest::Windows {
            xml.leaf("timer", &[("name", "hypervclock"), ("present", "yes")]);
        }
    });
}

fn devices(xml: &mut Text, target: &Target) {
    let machine = &target.machine;
    let mut names = Names::default();
    for drive in &machine.drives {
        self::drive(xml, drive, &mut names);
    }
    controllers(xml, target);
    for nic in &machine.nics {
        network_card(xml, nic);
    }
    xml.inside("serial", &[("type", "pty")], |xml| {
        xml.inside("target", &[("type", "isa-serial"), ("port", "0")], |xml| {
            xml.leaf("model", &[("name", "isa-serial")]);
        });
    });
    xml.inside("console", &[("type", "pty")], |xml| {
        xml.leaf("target", &[("type", "serial"), ("port", "0")]);
    });
    if target.virtio {
        xml.inside("channel", &[("type", "unix")], |xml| {
            xml.leaf(
                "target",
                &[("type", "virtio"), ("name", "org.qemu.guest_agent.0")],
            );
        });
    }
    if target.graphics != Graphics::None && target.video != Video::None {
        xml.leaf("input", &[("type", "tablet"), ("bus", "usb")]);
    }
    if machine.tpm.is_some() {
        xml.inside("tpm", &[("model", "tpm-crb")], |xml| {
            let version = if machine.tpm == Some(Tpm::V1) {
                "1.2"
            } else {
                "2.0"
            };
            xml.leaf("backend", &[("type", "emulator"), ("version", version)]);
        });
    }
    screen(xml, target);
    if machine.sound {
        let model = if machine.chipset == Some(Chipset::Pc) {
            "ich6"
        } else {
            "ich9"
        };
        xml.leaf("sound", &[("model", model)]);
    }
    let balloon = if target.virtio { "virtio" } else { "none" };
    xml.leaf("memballoon", &[("model", balloon)]);
    if target.virtio {
        xml.inside("rng", &[("model", "virtio")], |xml| {
            xml.text("backend", &[("model", "random")], "/dev/urandom");
        });
    }
}

fn drive(xml: &mut Text, drive: &Drive, names: &mut Names) {
    let Some(bus) = bus_of(drive.controller) else {
        return;
    };
    let kind = if matches!(drive.source, Source::Device(_)) {
        "block"
    } else {
        "file"
    };
    let device = if drive.kind == DriveKind::Cdrom {
        "cdrom"
    } else {
        "disk"
    };
    xml.inside("disk", &[("type", kind), ("device", device)], |xml| {
        let format = match &drive.source {
            Source::File(file) => file.format.as_deref().unwrap_or("raw"),
            _ => "raw",
        };
        let mut driver = vec![("name", "qemu"), ("type", format)];
        if drive.kind == DriveKind::Disk {
            driver.push(("discard", "unmap"));
        }
        xml.leaf("driver", &driver);
        match &drive.source {
            Source::File(file) => xml.leaf("source", &[("file", &file.name)]),
            Source::Device(path) => xml.leaf("source", &[("dev", path)]),
            Source::Empty | Source::Elsewhere(_) => {}
        }
        xml.leaf("target", &[("dev", &names.next(bus)), ("bus", bus.word())]);
        if let Some(serial) = &drive.serial {
            xml.text("serial", &[], serial);
        }
        if drive.kind == DriveKind::Cdrom || drive.read_only {
            xml.leaf("readonly", &[]);
        }
        if let Some(turn) = drive.boot {
            xml.leaf("boot", &[("order", &turn.to_string())]);
        }
        if let Some(slot) = drive.slot {
            let (channel, target, unit) = match bus {
                Bus::Ide => (slot.unit >> 1, 0, slot.unit & 1),
                // QEMU's 53C895A has one target with units; the others have targets with one unit.
                Bus::Lsi53c895a | Bus::Sata => (0, 0, slot.unit),
                _ => (0, slot.unit, 0),
            };
            let [controller, channel, target, unit] =
                [slot.controller, channel, target, unit].map(|n| n.to_string());
            xml.leaf(
                "address",
                &[
                    ("type", "drive"),
                    ("controller", &controller),
                    ("bus", &channel),
                    ("target", &target),
                    ("unit", &unit),
                ],
            );
        }
    });
}

/// SCSI controllers have models; and the tablet wants USB.
fn controllers(xml: &mut Text, target: &Target) {
    let usb = match target.machine.chipset {
        Some(Chipset::Pc) => "piix3-uhci",
        _ => "qemu-xhci",
    };
    xml.leaf("controller", &[("type", "usb"), ("index", "0"), ("model", usb)]);
    let mut done = Vec::new();
    for drive in &target.machine.drives {
        let (Some(bus), Some(slot)) = (bus_of(drive.controller), drive.slot) else {
            continue;
        };
        if let Some(model) = bus.scsi_model()
            && !done.contains(&slot.controller)
        {
            done.push(slot.controller);
            let index = slot.controller.to_string();
            xml.leaf(
                "controller",
                &[("type", "scsi"), ("index", &index), ("model", model)],
            );
        }
    }
}

fn network_card(xml: &mut Text, nic: &Nic) {
    let (kind, key, name) = match &nic.network {
        Network::Bridge(name) => ("bridge", "bridge", name.as_str()),
        Network::Named(name) => ("network", "network", name.as_str()),
        Network::User | Network::Unsaid | Network::Other(_) => ("user", "", ""),
    };
    xml.inside("interface", &[("type", kind)], |xml| {
        if let Some(mac) = nic.mac {
            xml.leaf("mac", &[("address", &mac.to_string())]);
        }
        if !key.is_empty() {
            xml.leaf("source", &[(key, name)]);
        }
        if let Some(model) = nic.model.name() {
            xml.leaf("model", &[("type", model)]);
        }
        if !nic.connected {
            xml.leaf("link", &[("state", "down")]);
        }
        if let Some(turn) = nic.boot {
            xml.leaf("boot", &[("order", &turn.to_string())]);
        }
    });
}

fn screen(xml: &mut Text, target: &Target) {
    let graphics = match target.graphics {
        Graphics::Vnc => Some("vnc"),
        Graphics::Spice => Some("spice"),
        Graphics::None => None,
    };
    if let Some(graphics) = graphics {
        xml.inside("graphics", &[("type", graphics), ("autoport", "yes")], |xml| {
            xml.leaf("listen", &[("type", "address"), ("address", "127.0.0.1")]);
        });
    }
    let model = match target.video {
        Video::Vga => "vga",
        Video::Virtio => "virtio",
        Video::Qxl => "qxl",
        Video::None => "none",
    };
    xml.inside("video", &[], |xml| xml.leaf("model", &[("type", model)]));
}

fn bus_of(controller: Controller) -> Option<Bus> {
    Bus::ALL.into_iter().find(|bus| bus.controller() == controller)
}

/// Names for disks: `vda`, `vdb`, … `vdaa`, each series on its own.
#[derive(Default)]
struct Names(Vec<(&'static str, u32)>);

impl Names {
    fn next(&mut self, bus: Bus) -> String {
        let prefix = bus.prefix();
        if !self.0.iter().any(|(p, _)| *p == prefix) {
            self.0.push((prefix, 0));
        }
        let mut number = 0;
        for (_, next) in self.0.iter_mut().filter(|(p, _)| *p == prefix) {
            number = *next;
            *next = next.saturating_add(1);
        }
        let mut letters = Vec::new();
        loop {
            let digit = u8::try_from(number.checked_rem(26).unwrap_or(0)).unwrap_or(0);
            letters.push(char::from(b'a'.saturating_add(digit)));
            number = number.checked_div(26).unwrap_or(0);
            match number.checked_sub(1) {
                Some(more) => number = more,
                None => break,
            }
        }
        prefix.chars().chain(letters.into_iter().rev()).collect()
    }
}

/// Elements, indented, escaped.
#[derive(Default)]
struct Text {
    out: String,
    depth: usize,
}

impl Text {
    fn inside(&mut self, name: &str, attributes: &[(&str, &str)], inner: impl FnOnce(&mut Self)) {
        self.start(name, attributes);
        self.out.push_str(">\n");
        self.depth = self.depth.saturating_add(1);
        inner(self);
        self.depth = self.depth.saturating_sub(1);
        self.indent();
        self.end(name);
    }

    fn text(&mut self, name: &str, attributes: &[(&str, &str)], text: &str) {
        self.start(name, attributes);
        self.out.push('>');
        self.escaped(text);
        self.end(name);
    }

    fn leaf(&mut self, name: &str, attributes: &[(&str, &str)]) {
        self.start(name, attributes);
        self.out.push_str("/>\n");
    }

    fn start(&mut self, name: &str, attributes: &[(&str, &str)]) {
        self.indent();
        self.out.push('<');
        self.out.push_str(name);
        for (key, value) in attributes {
            self.out.push(' ');
            self.out.push_str(key);
            self.out.push_str("='");
            self.escaped(value);
            self.out.push('\'');
        }
    }

    fn end(&mut self, name: &str) {
        self.out.push_str("</");
        self.out.push_str(name);
        self.out.push_str(">\n");
    }

    fn indent(&mut self) {
        for _ in 0..self.depth {
            self.out.push_str("  ");
        }
    }

    /// Blanks that a reader would turn into others in attributes are written as numbers.
    fn escaped(&mut self, text: &str) {
        for sign in text.chars() {
            match sign {
                '&' => self.out.push_str("&amp;"),
                '<' => self.out.push_str("&lt;"),
                '>' => self.out.push_str("&gt;"),
                '\'' => self.out.push_str("&apos;"),
                '"' => self.out.push_str("&quot;"),
                '\t' => self.out.push_str("&#9;"),
                '\n' => self.out.push_str("&#10;"),
                '\r' => self.out.push_str("&#13;"),
                plain => self.out.push(plain),
            }
        }
    }
}
