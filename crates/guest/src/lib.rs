//! From volumes to the tree of files a guest sees.
//!
//! ```text
//!  /dev/vg/root ──▶ xfs   ──▶ /        ┐
//!  /dev/sda1    ──▶ ext4  ──▶ /boot    ├─▶ Tree: one root, links followed inside it
//!  /dev/vg/home ──▶ btrfs ──▶ /home    ┘
//! ```
//!
//! * [`Guest`] knows the devices of a guest and opens the filesystems on them, each when it is first asked for.
//! * [`Guest::systems`] finds the operating systems; [`Guest::assemble`] reads a system's `fstab` and puts its
//!   filesystems together; [`Guest::assemble_all`] does both for every system, [`Guest::root`] where there is exactly one
//!   answer.
//! * [`Guest::mount`] puts together what the user says instead.
//! * [`Look`] reads files to learn from them, and tells where each [`Fact`] was read and what could not be.
//! * [`registry`] opens the hives of a Windows guest and asks them for facts.
//! * [`Tree`] is the result: several filesystems under one root, asked by path or by [`Place`].
//! * [`open_writer`] opens one filesystem for writing into an overlay; [`Device::check`] checks the structure of one.
//!
//! Nothing else is written: a journal is replayed in memory. A path is resolved inside the tree and nowhere else; there is
//! no outside that a link could lead to. Names are bytes.
//!
//! Non-goals: images (disks are handed in), the host's files, changing a guest.

mod assemble;
mod assembly;
pub mod calls;
mod checker;
mod content;
mod device;
mod fstab;
mod guest;
pub mod look;
mod open;
mod plug;
mod probe;
pub mod registry;
mod roles;
mod spec;
mod system;
mod tree;
mod walk;
mod windows;
mod wish;
mod writer;

pub use assemble::{Assembled, LeftOut};
pub use assembly::Assembly;
pub use checker::can_check;
pub use content::FilesystemFacts;
pub use device::Device;
pub use fstab::{FstabLine, fstab};
pub use guest::Guest;
pub use look::{Fact, Line, Look, Source, Text, Unread};
pub use open::{Opened, Subvolume, Subvolumes, can_open};
pub use plug::{Plug, Wire};
pub use spec::Crypttab;
pub use system::{System, SystemKind, Systems};
pub use tree::{Entry, Mount, Place, Tree};
pub use walk::{Names, Next, Visit, Walk};
pub use windows::windows_root;
pub use wish::Wish;
pub use writer::{can_write, open_writer};
