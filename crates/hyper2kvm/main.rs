//! hyper2kvm: virtual disks from anywhere, made to boot on KVM.
//!
//! `cli` has one file a command: what was typed (clap), what is meant (a job of `h2k_convert`), and what the user is
//! told. `term` draws. Everything else lives in the libraries.

mod cli;
mod glob;
mod stop;
mod term;

fn main() -> std::process::ExitCode {
    cli::main()
}
