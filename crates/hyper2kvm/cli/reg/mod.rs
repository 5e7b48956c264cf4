//! The registry: hive files of the host, and hives inside a guest.

mod change;
mod look;
mod show;

use super::guest::{GuestArgs, named};
use super::{Context, Outcome};
use h2k_convert::{Failure, HiveSource, OpenHive, Sharing, hive_in, is_hive};
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

/// Read, change, compare and check the registry of Windows guests
///
/// A key is named by a hive file and the path inside it, SYSTEM:Select, or by a disk and the path as Windows has it,
/// web01.vmdk:HKLM\SYSTEM\Select. Transaction logs beside a hive are replayed before anything is read.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    Query(look::Query),
    Get(look::Get),
    Set(change::Set),
    Delete(change::Delete),
    Export(look::Export),
    Import(change::Import),
    Diff(look::Diff),
    Check(look::Check),
}

impl Command {
    pub(super) fn run(self, context: &Context) -> Outcome {
        match self {
            Self::Query(args) => args.run(context),
            Self::Get(args) => args.run(context),
            Self::Set(args) => args.run(context),
            Self::Delete(args) => args.run(context),
            Self::Export(args) => args.run(context),
            Self::Import(args) => args.run(context),
            Self::Diff(args) => args.run(context),
            Self::Check(args) => args.run(context),
        }
    }

    /// The exit code of a failure that is no wrong usage.
    pub(super) fn trouble(&self) -> u8 {
        match self {
            Self::Diff(_) => super::exit::NOT_COMPARED,
            _ => super::exit::FAILED,
        }
    }
}

/// Shown in the help of every command.
const TARGETS: &str = "\
Targets:
  HIVE[:KEY] is a hive file and a key in it: SYSTEM:ControlSet001\\Services. Without a key it is the root.
  DISK:HKLM\\SYSTEM\\KEY is a key in the guest on that disk; HKLM\\SOFTWARE, HKLM\\SAM, HKLM\\SECURITY,
  HKU\\.DEFAULT and HKU\\USER are known too. A guest's registry is read, and not written.
  Names are found in any case. CurrentControlSet is the control set that Select\\Current names.";

/// A key in a hive.
struct Target {
    file: PathBuf,
    key: String,
    /// Whether the file is a hive, and no disk.
    hive: bool,
}

impl Target {
    fn of(arg: &OsStr, sharing: Sharing) -> Result<Self, Failure> {
        let (file, key) = named(arg);
        let Ok(key) = std::str::from_utf8(key) else {
            return Err(Failure::invalid("the path of a key has to be UTF-8"));
        };
        let hive = is_hive(&file, sharing)?;
        Ok(Self {
            file,
            key: key.to_owned(),
            hive,
        })
    }

    /// For commands that write.
    fn writable(arg: &OsStr) -> Result<Self, Failure> {
        let target = Self::of(arg, Sharing::Careful)?;
        if target.hive {
            return Ok(target);
        }
        let what = "a guest's registry is not written yet: writing into its filesystem is not supported";
        let name = target.file.display();
        Err(Failure::from(h2k_block::Error::unsupported(what))
            .about(&target.file)
            .advise(format!(
                "copy the hive out of the guest, change the copy: hyper2kvm cat {name}:/Windows/System32/config/SYSTEM > SYSTEM"
            )))
    }
}

/// Where a hive is, for commands that read.
#[derive(clap::Args, Debug)]
struct Reading {
    #[command(flatten)]
    guest: GuestArgs,
}

impl Reading {
    /// Opens the hive that `arg` names. Answers with it and the path of the key inside it.
    fn open(&self, arg: &OsString, context: &Context) -> Result<(OpenHive, String), Failure> {
        let sharing = self.guest.sharing();
        let target = Target::of(arg, sharing)?;
        let (open, key) = if target.hive {
            let source = HiveSource {
                sharing,
                ..HiveSource::new(target.file)
            };
            (source.open()?, target.key)
        } else {
            let guest = self.guest.open_disks(&[target.file])?;
            hive_in(&guest, &target.key)?
        };
        show::notes(&open.warnings(), context);
        Ok((open, key))
    }
}
