//! The room from outside.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    unreachable_pub
)]

mod boot;
#[path = "../../boot/tests/common.rs"]
#[allow(dead_code)]
mod boot_files;
mod common;
mod damage;
mod doctor;
mod door;
mod guards;
mod hives;
mod init;
mod inside;
mod mounts;
mod network;
mod os;
mod packages;
mod registry;
mod sam;
mod settings;
mod text_door;
mod texts;
mod users;
mod windows;
mod windows_damage;
mod windows_disks;
mod windows_door;
mod windows_text;
