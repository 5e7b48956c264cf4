//! What systemd's tools would say of a guest that is switched off.

mod hostname;
mod locale;
mod login;
mod timedate;
mod units;

use super::guest::DiskArgs;
use super::{Context, Outcome, exit};
use crate::term::{Fields, shown};
use h2k_block::Limits;
use h2k_guest::{Fact, Look};
use serde::Serialize;

/// Say what systemctl, timedatectl, hostnamectl and their kin would say of a guest, without running it
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    #[command(flatten)]
    Units(units::Command),
    #[command(subcommand)]
    Timedate(timedate::Command),
    #[command(subcommand)]
    Hostname(hostname::Command),
    #[command(subcommand)]
    Locale(locale::Command),
    #[command(subcommand)]
    Login(login::Command),
}

impl Command {
    pub(super) fn run(self, context: &Context) -> Outcome {
        match self {
            Self::Units(command) => command.run(context),
            Self::Timedate(command) => command.run(context),
            Self::Hostname(command) => command.run(context),
            Self::Locale(command) => command.run(context),
            Self::Login(command) => command.run(context),
        }
    }
}

impl DiskArgs {
    /// Does `work` with the files of the guest. What could not be read is told as warnings.
    fn look(&self, context: &Context, work: impl FnOnce(&Look<'_>) -> Outcome) -> Outcome {
        let assembled = self.assembled(&context.screen)?;
        let look = Look::new(&assembled.tree, &Limits::default());
        let outcome = work(&look);
        context.screen.unread(&look.take_unread());
        outcome
    }
}

/// Tells `report` as JSON, or `text`.
fn say(context: &Context, report: &impl Serialize, text: impl FnOnce() -> String) -> Outcome {
    let screen = &context.screen;
    match screen.json {
        true => screen.document(report),
        false => screen.say(&text()),
    }
    Ok(exit::DONE)
}

/// Tells `report` as JSON, or `lines` of names and values as text.
fn tell(context: &Context, report: &impl Serialize, lines: &[(&str, Option<String>)]) -> Outcome {
    say(context, report, || {
        let mut fields = Fields::default();
        for (name, value) in lines {
            fields.add(*name, value.as_deref().map_or_else(|| "-".to_owned(), shown));
        }
        fields.render(context.screen.out, "")
    })
}

/// `NAME=value` lines, as the tools' own `show` prints them; what is not set is left out.
fn show(context: &Context, report: &impl Serialize, lines: &[(&str, Option<String>)]) -> Outcome {
    let set = lines
        .iter()
        .filter_map(|(name, value)| Some(format!("{name}={}\n", shown(value.as_ref()?))));
    say(context, report, || set.collect())
}

/// A list of names, one a line; as JSON in the field `name`.
fn list(context: &Context, name: &str, all: &[String]) -> Outcome {
    say(context, &serde_json::json!({ name: all }), || {
        all.iter().map(|one| shown(one) + "\n").collect()
    })
}

fn value(fact: Option<&Fact<String>>) -> Option<String> {
    fact.map(|fact| fact.value.clone())
}

fn yes(flag: bool) -> String {
    (if flag { "yes" } else { "no" }).to_owned()
}
