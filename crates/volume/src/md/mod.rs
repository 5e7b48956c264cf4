//! Linux MD (software RAID), from the superblocks of its members.
//!
//! ```text
//! 0.90 and 1.0   ┌──────────────── data ────────────────┬────────────┐
//!                └──────────────────────────────────────┴ superblock ┘
//! 1.1            ┌ superblock ┬────┬────────── data ─────────────────┐
//! 1.2            ┌ 4 KiB ┬ superblock ┬────┬─────── data ────────────┐
//! ```
//!
//! Every member describes the whole array; the superblock with the highest event count is believed, and members it
//! does not list or that fell behind are left out. Sources: `md(4)` and `mdadm(8)`, "RAID superblock formats" of the
//! Linux RAID wiki; arrays made by mdadm and read by the kernel, which the tests compare with.

mod array;
mod layout;
mod superblock;

pub(crate) use array::{Array, array};
pub(crate) use superblock::{Member, SetId, read};
