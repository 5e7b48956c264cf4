//! What boots a guest (initramfs images, indexes of modules, scripts, kernels), whatever the bytes are.
#![no_main]

#[path = "../../crates/boot/tests/door.rs"]
mod door;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    door::knock(bytes);
});
