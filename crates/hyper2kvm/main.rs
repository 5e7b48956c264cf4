//! hyper2kvm: virtual disks from anywhere, made to boot on KVM.

fn main() {}
