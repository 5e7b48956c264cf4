//! The doors hostile descriptions come through: the same functions serve the mutation tests and the fuzz target.

use h2k_block::{Access, Host, Limits, MemDisk};
use h2k_machine::ova::{Manifest, Ova};
use h2k_machine::{Bus, Decisions, Kind, Machine, Placed, Target, domain_xml, libvirt, ovf, vmx};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// What hostile input may cost here.
pub const LIMITS: Limits = Limits {
    bytes: 16 << 20,
    steps: 50_000,
    depth: 32,
};

/// Reads `bytes` as everything. Errors are the expected answer.
pub fn knock(bytes: &[u8]) {
    let _ = Kind::of(&MemDisk::new(bytes.to_vec()));
    knock_ovf(bytes);
    knock_vmx(bytes);
    knock_domain(bytes);
    knock_manifest(bytes);
    knock_ova(bytes);
}

pub fn knock_ovf(bytes: &[u8]) -> bool {
    let read = ovf::read(bytes, &ovf::Options::default(), &LIMITS);
    whole(read)
}

pub fn knock_vmx(bytes: &[u8]) -> bool {
    whole(vmx::read(bytes, &LIMITS))
}

pub fn knock_domain(bytes: &[u8]) -> bool {
    whole(libvirt::read(bytes, &LIMITS))
}

pub fn knock_manifest(bytes: &[u8]) -> bool {
    Manifest::parse(bytes).is_ok()
}

/// Opens an archive, and every member of it.
pub fn knock_ova(bytes: &[u8]) -> bool {
    let len = bytes.len() as u64;
    let Ok(ova) = Ova::open(Arc::new(MemDisk::named("a.ova", bytes.to_vec())), &LIMITS) else {
        return false;
    };
    for member in ova.members() {
        assert!(!member.name.is_empty() && !member.name.contains('/') && member.name != "..");
        assert!(member.start + member.len <= len);
        let file = ova
            .open(&ova.referrer(), Path::new(&member.name), Access::Read)
            .unwrap();
        assert_eq!(file.len(), member.len);
    }
    let described = ova.descriptor(&LIMITS).is_ok_and(|(_, text)| knock_ovf(&text));
    let agreed = match ova.manifest(&LIMITS) {
        Ok(Some(manifest)) => manifest
            .verify(&ova, &ova.referrer(), &AtomicBool::new(false))
            .is_ok(),
        Ok(None) => true,
        Err(_) => false,
    };
    described && agreed
}

/// Whatever was read can be written, or is refused; what is written can be read.
fn whole(read: h2k_block::Result<Machine>) -> bool {
    let Ok(machine) = read else { return false };
    let decisions = Decisions {
        drives: vec![Placed::disk("/a.qcow2", "qcow2", Bus::VirtioBlk)],
        ..Decisions::default()
    };
    if let Ok(target) = Target::new(&machine, &decisions) {
        let xml = domain_xml(&target);
        let again =
            libvirt::read(xml.as_bytes(), &Limits::default()).unwrap_or_else(|e| panic!("{e}\n{xml}"));
        let want = Machine {
            notes: Vec::new(),
            ..target.machine().clone()
        };
        assert_eq!(again, want, "{xml}");
    }
    true
}
