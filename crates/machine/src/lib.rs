//! What a virtual machine is besides its disks: memory, processors, firmware, controllers, network cards.
//!
//! ```text
//! OVF text ─┐                                                       ┌─▶ what the guest's fixes need (old names, MACs)
//! VMX text ─┼─▶ Machine ──┬── Target::new(machine, decisions) ──▶ Target ──▶ domain_xml: a libvirt domain for KVM
//! domain   ─┘             └── notes: what was said and is not carried over
//! ```
//!
//! * [`ovf`], [`vmx`], [`libvirt`]: readers, from text to a [`Machine`]. [`Kind::of`] tells them apart by content.
//! * [`ova`]: an OVA as a place where files are, without unpacking it; manifests verified; chunks and gzip.
//! * [`Target`] and [`domain_xml`]: the machine as KVM shall see it, and the domain that says so.
//!
//! A machine names its disks; it opens none of them. Names become files through a [`Host`](h2k_block::Host), at the
//! caller's.
//!
//! Non-goals: defining domains in libvirt, starting anything, disk formats.

pub mod libvirt;
pub mod ova;
pub mod ovf;
pub mod vmx;

mod bus;
mod decide;
mod kind;
mod machine;
mod number;
mod target;
mod write;
mod xml;

pub use bus::{Bus, Controller};
pub use decide::{Attach, Decisions, Guest, MacPolicy, Placed};
pub use kind::Kind;
pub use machine::{
    Arch, Chipset, Clock, Cpu, Drive, DriveKind, File, Firmware, Mac, Machine, Network, Nic, NicModel, Note,
    OsHints, Slot, Source, Topology, Tpm, Uuid,
};
pub use target::{Graphics, Processor, Target, Video};
pub use write::domain_xml;
