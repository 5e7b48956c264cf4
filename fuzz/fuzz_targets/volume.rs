//! A disk with a partition table, LVM2, MD or LUKS on it, whatever the bytes are.
#![no_main]
#![allow(dead_code, unused_imports)]

#[path = "../../crates/volume/tests/common.rs"]
mod common;
#[path = "../../crates/volume/tests/door.rs"]
mod door;
#[path = "../../crates/volume/tests/tables.rs"]
mod tables;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| door::knock(vec![bytes.to_vec()]));
