mod outline;
mod summary;

use super::guest::GuestArgs;
use super::{Context, Outcome, exit};
use crate::term::{Screen, shown};
use h2k_convert::Failure;
use h2k_inspect::{Inspection, Topic, Topics};
use outline::Outline;
use serde_json::Value;
use std::path::PathBuf;

/// Say what is on disks: the systems, and everything known of each
///
/// Looks at all disks of a guest together, finds the operating systems, and reads their files: product and version,
/// mounts, boot loader and kernels, packages or applications, services, users, network, and more. Nothing of the guest
/// is run, and nothing is guessed: every fact says where it was read, and what could not be read says why.
///
/// Without --only and --sources a summary is shown; with them, all there is of the topics. --json has everything in
/// either case.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  hyper2kvm inspect server.vmdk
  hyper2kvm inspect --only network,users --sources server.vmdk
  hyper2kvm inspect --json -a first.qcow2 -a second.qcow2
  hyper2kvm inspect --xml server.qcow2      what virt-inspector would print
  hyper2kvm inspect --schema                the JSON Schema of --json")]
pub(super) struct Args {
    /// The disks of one guest, in their order
    #[arg(value_name = "DISK", required_unless_present_any = ["add", "schema"])]
    disks: Vec<PathBuf>,
    /// Look at these topics only, and show all of them; separated by commas, may be repeated
    #[arg(long, value_name = "TOPIC", value_delimiter = ',', value_parser = topic_parser())]
    only: Vec<Topic>,
    /// Tell where each fact was read
    #[arg(long)]
    sources: bool,
    /// Print what virt-inspector would, in its own form of XML
    #[arg(long, conflicts_with_all = ["only", "sources"])]
    xml: bool,
    /// Print the JSON Schema that the output of --json obeys
    #[arg(long, exclusive = true)]
    schema: bool,
    #[command(flatten)]
    guest: GuestArgs,
}

fn topic_parser() -> impl clap::builder::TypedValueParser<Value = Topic> {
    use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
    let all = Topic::ALL
        .iter()
        .map(|t| PossibleValue::new(t.word()).help(t.about()));
    PossibleValuesParser::new(all).try_map(|word| word.parse::<Topic>())
}

impl Args {
    pub(super) fn run(self, context: &Context) -> Outcome {
        let screen = &context.screen;
        if self.schema {
            screen.document(&h2k_inspect::schema());
            return Ok(exit::DONE);
        }
        let guest = self.guest.open_disks(&self.disks)?;
        if self.xml {
            let inspection = guest.inspect(&Topics::only(&VIRT_INSPECTOR))?;
            screen.say(&h2k_inspect::virt_inspector(&inspection));
            tell(&inspection, screen);
            return Ok(exit::DONE);
        }
        let inspection = guest.inspect(&Topics::only(&self.only))?;
        if screen.json {
            screen.document(&inspection);
            return Ok(exit::DONE);
        }
        let outline = Outline {
            style: screen.out,
            sources: self.sources,
        };
        let summed = self.only.is_empty() && !self.sources;
        let text = match summed {
            true => summary::text(&inspection, screen.out),
            false => text(&inspection, &outline)?,
        };
        screen.say(&text);
        tell(&inspection, screen);
        Ok(exit::DONE)
    }
}

/// What virt-inspector tells of a guest.
const VIRT_INSPECTOR: [Topic; 6] = [
    Topic::Os,
    Topic::Mounts,
    Topic::Drives,
    Topic::Storage,
    Topic::Packages,
    Topic::Applications,
];

/// Warns of what could not be looked into.
fn tell(inspection: &Inspection, screen: &Screen) {
    screen.unread(&inspection.unread);
}

/// Every topic there is, in full.
fn text(inspection: &Inspection, outline: &Outline) -> Result<String, Failure> {
    let style = outline.style;
    let mut out = String::new();
    for system in &inspection.systems {
        let value = serde_json::to_value(system).map_err(|e| Failure::invalid(e.to_string()))?;
        if !out.is_empty() {
            out.push('\n');
        }
        out.push_str(&format!("{} {}\n", style.bold(&shown(&system.root)), system.kind));
        for (name, section) in value.as_object().into_iter().flatten() {
            if let Value::Object(section) = section {
                let body = outline.section(section);
                let body = if body.is_empty() { "  nothing\n" } else { &body };
                out.push_str(&format!("\n{}\n{body}", style.bold(name)));
            }
        }
    }
    Ok(out)
}
