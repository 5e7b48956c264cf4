//! The commands. One file each: what can be typed, what is meant by it, what the user is told.

mod cat;
mod check;
mod checksum;
mod compare;
mod compare_vms;
mod completions;
mod convert;
mod copy_out;
mod create;
mod df;
mod digest;
mod doctor;
mod du;
mod exit;
mod filesystems;
mod find;
mod fix;
mod fixing;
mod guest;
mod info;
mod inspect;
mod journal;
mod ls;
mod machine;
mod making;
mod man;
mod map;
mod measure;
mod migrate;
mod partitions;
mod plan;
mod recover;
mod reg;
mod resize;
mod save;
mod snapshot;
mod source;
mod stat;
mod systemd;
mod tar_out;
mod tree;
mod value;

use crate::stop::Stop;
use crate::term::{Colour, Progress, Screen};
use clap::{CommandFactory, Parser, Subcommand};
use h2k_convert::Failure;
use std::process::ExitCode;
use std::sync::atomic::AtomicBool;

/// Takes virtual disks from VMware, Hyper-V and VirtualBox to KVM
///
/// hyper2kvm reads, checks, compares and converts virtual disks: raw, qcow2, VMDK, VHD, VHDX and VDI, with their
/// parents and snapshots, and looks into the guests on them: volumes, files, the registry. It needs no root, no other
/// program and no kernel module. A source is never modified; a target appears under its name when it is whole, or not
/// at all.
#[derive(Debug, Parser)]
#[command(
    name = "hyper2kvm",
    version,
    arg_required_else_help = true,
    subcommand_required = true,
    disable_help_subcommand = true,
    max_term_width = 100,
    after_long_help = exit::TABLE
)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// What every command understands.
#[derive(Debug, clap::Args)]
struct Global {
    /// Tell the result as one JSON document on standard output
    #[arg(long, global = true, help_heading = "Output")]
    json: bool,
    /// Show results and errors only: no progress, no remarks
    #[arg(short, long, global = true, help_heading = "Output")]
    quiet: bool,
    /// When to use colours
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        default_value = "auto",
        hide_default_value = true,
        help_heading = "Output"
    )]
    color: Colour,
}

#[derive(Debug, Subcommand)]
enum Command {
    Convert(convert::Args),
    Info(info::Args),
    Map(map::Args),
    Check(check::Args),
    Compare(compare::Args),
    Digest(digest::Args),
    Create(create::Args),
    Resize(resize::Args),
    #[command(subcommand)]
    Snapshot(snapshot::Command),
    Measure(measure::Args),
    Recover(recover::Args),
    Partitions(partitions::Args),
    Filesystems(filesystems::Args),
    Inspect(inspect::Args),
    CompareVms(compare_vms::Args),
    Doctor(doctor::Args),
    Plan(plan::Args),
    Fix(fix::Args),
    Migrate(Box<migrate::Args>),
    Ls(ls::Args),
    Cat(cat::Args),
    Stat(stat::Args),
    Find(find::Args),
    Tree(tree::Args),
    Df(df::Args),
    Du(du::Args),
    Checksum(checksum::Args),
    CopyOut(copy_out::Args),
    TarOut(tar_out::Args),
    #[command(subcommand)]
    Journal(journal::Command),
    #[command(subcommand)]
    Systemd(systemd::Command),
    #[command(subcommand)]
    Reg(reg::Command),
    Completions(completions::Args),
    Man(man::Args),
}

/// What a command may use of the outside.
struct Context {
    screen: Screen,
    stop: Stop,
}

impl Context {
    /// Does a long job: progress is drawn until it ends, and Ctrl-C stops it.
    fn watched<T>(
        &self,
        job: impl FnOnce(&AtomicBool, &Progress) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let progress = Progress::new(&self.screen);
        job(self.stop.flag(), &progress)
    }
}

/// What a command ends with: its exit code, or a failure.
type Outcome = Result<u8, Failure>;

/// Parses the command line and does what it says.
pub(crate) fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(e) => return misused(&e),
    };
    let screen = Screen::new(cli.global.json, cli.global.quiet, cli.global.color);
    let stop = match Stop::listen() {
        Ok(stop) => stop,
        Err(e) => {
            screen.fail(&h2k_block::Error::from(e).through("listening for signals").into());
            return ExitCode::from(exit::FAILED);
        }
    };
    let context = Context { screen, stop };
    let trouble = match &cli.command {
        Command::Compare(_) => exit::NOT_COMPARED,
        Command::Reg(command) => command.trouble(),
        _ => exit::FAILED,
    };
    let outcome = cli.command.run(&context);
    ExitCode::from(outcome.unwrap_or_else(|failure| {
        context.screen.fail(&failure);
        exit::of(&failure, &context.stop, trouble)
    }))
}

impl Command {
    fn run(self, context: &Context) -> Outcome {
        match self {
            Self::Convert(args) => args.run(context),
            Self::Info(args) => args.run(context),
            Self::Map(args) => args.run(context),
            Self::Check(args) => args.run(context),
            Self::Compare(args) => args.run(context),
            Self::Digest(args) => args.run(context),
            Self::Create(args) => args.run(context),
            Self::Resize(args) => args.run(context),
            Self::Measure(args) => args.run(context),
            Self::Recover(args) => args.run(context),
            Self::Partitions(args) => args.run(context),
            Self::Filesystems(args) => args.run(context),
            Self::Inspect(args) => args.run(context),
            Self::CompareVms(args) => args.run(context),
            Self::Doctor(args) => args.run(context),
            Self::Plan(args) => args.run(context),
            Self::Fix(args) => args.run(context),
            Self::Migrate(args) => args.run(context),
            Self::Ls(args) => args.run(context),
            Self::Cat(args) => args.run(context),
            Self::Stat(args) => args.run(context),
            Self::Find(args) => args.run(context),
            Self::Tree(args) => args.run(context),
            Self::Df(args) => args.run(context),
            Self::Du(args) => args.run(context),
            Self::Checksum(args) => args.run(context),
            Self::CopyOut(args) => args.run(context),
            Self::TarOut(args) => args.run(context),
            Self::Journal(command) => command.run(context),
            Self::Systemd(command) => command.run(context),
            Self::Reg(command) => command.run(context),
            Self::Snapshot(command) => command.run(context),
            Self::Completions(args) => args.run(context),
            Self::Man(args) => args.run(context),
        }
    }
}

/// The whole tree of commands, as data.
fn commands() -> clap::Command {
    Cli::command()
}

/// A command line that means nothing: clap's own words, or the same as JSON where JSON was asked for.
fn misused(error: &clap::Error) -> ExitCode {
    let json = std::env::args_os().any(|arg| arg == "--json");
    if json && error.use_stderr() {
        let text = error.render().to_string();
        let sentence = text.lines().next().unwrap_or_default();
        let screen = Screen::new(true, false, Colour::Never);
        screen.fail(&Failure::invalid(sentence.trim_start_matches("error: ")));
        return ExitCode::from(exit::USAGE);
    }
    // Nothing to do about a terminal that is gone.
    let _gone = error.print();
    ExitCode::from(if error.use_stderr() {
        exit::USAGE
    } else {
        exit::DONE
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_tree_of_commands_contradicts_itself_nowhere() {
        super::commands().debug_assert();
    }
}
