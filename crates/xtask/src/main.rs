//! The chores of this repository, in Rust: no shell scripts to keep portable.
#![allow(clippy::disallowed_methods, clippy::print_stdout, clippy::print_stderr)]

mod bench;
mod check;
mod fixtures;
mod fuzz;
mod guest;
mod rig;
mod run;
mod tools;

use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask COMMAND

  setup            install the independent tools the tests compare against (Debian packages, Python packages)
  test             everything a change has to pass: setup, style, lints, tests, the build without C, docs, fuzz targets
  ready            the quick check before a commit: style, lints, tests, docs
  bench [--quick | --tiny] [--pairs N] [--row NAME] [--ours-only]
                   measure conversions against qemu-img, and reading files against the kernel's mounts (as root),
                   and write docs/performance.md (needs 8 GiB of memory; --quick: little data, one pair, the
                   tables only; --tiny: next to no data and no optimisation, to see that all of it works)
  bench inspect IMAGE...
                   measure whole inspections of the guests in ../shared/guests and of these images, and write
                   docs/performance-inspect.md
  bench migrate [--binary FILE] IMAGE...
                   measure migrations of these images, and virt-v2v where it is installed, and write
                   docs/performance-migrate.md
  fixtures         make the images missing below fixtures/, with other programs (see their .toml files)
  deny             licences, bans, duplicates and advisories of every dependency (installs cargo-deny)
  fuzz check       do the fuzz targets compile?
  fuzz seed        fill the fuzz corpora from fixtures
  fuzz run TARGET SECONDS
                   fuzz one target (needs a nightly toolchain and cargo-fuzz)
  guest DIR        make a small Debian as VMware leaves one in DIR, from Debian's packages: a VMX and its VMDK, which the
                   tests migrate and boot (some 60 MB to download; no root needed, where there are user namespaces)
  rig capture DIR IMAGE...
                   boot copies of guests that ../shared/rig built, ask them about themselves, and keep copies and
                   answers in DIR: `H2K_RIG=DIR cargo test rig` compares them with `inspect` (as root, minutes)
  rig vary DIR [NAME...]
                   make more guests of those in DIR, in DIR/variants: other initramfs generators, other compressors,
                   another filesystem below the root (as root, with Debian's packages from the network)
  rig migrate DIR [--bus BUS] [--binary FILE] [--scratch DIR] [--jobs N] [NAME...]
                   boot the guests that ../shared/rig built in DIR on virtio, migrate them, boot what came out, and
                   compare names and addresses; prints a table (minutes a guest where there is no KVM). NAME.vmx is
                   the guest from a streamOptimized VMDK and its VMX; a name of `rig vary` is made, tried and dropped
  rig libvirt [--tcg] DIR...
                   let libvirt define and start the machines that `migrate` made in these folders, and wait for their
                   login prompts; needs a running libvirtd and its network, as root. --tcg: without KVM
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["setup"] => tools::setup(),
        ["test"] => check::test(),
        ["ready"] => check::ready(),
        ["bench", "inspect", images @ ..] => bench::inspect(images),
        ["bench", "migrate", images @ ..] => bench::migrate(images),
        ["bench", flags @ ..] => bench::bench(flags),
        ["bench-child", words @ ..] => bench::shim(words),
        ["bench-mounted", words @ ..] => bench::mounted(words),
        ["fixtures"] => fixtures::make(),
        ["deny"] => check::deny(),
        ["fuzz", "check"] => fuzz::check(),
        ["fuzz", "seed"] => fuzz::seed(),
        ["fuzz", "run", target, seconds] => fuzz::run(target, seconds),
        ["guest", dir] => guest::make(dir),
        ["rig", "capture", out, images @ ..] => rig::capture(out, images),
        ["rig", "vary", dir, names @ ..] => rig::vary(dir, names),
        ["rig", "migrate", dir, rest @ ..] => rig::migrate(dir, rest),
        ["rig", "libvirt", words @ ..] => rig::libvirt(words),
        ["help" | "--help" | "-h"] => {
            print!("{USAGE}");
            Ok(())
        }
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("xtask: {why}");
            ExitCode::FAILURE
        }
    }
}
