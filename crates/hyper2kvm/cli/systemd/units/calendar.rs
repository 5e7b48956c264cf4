//! Calendar expressions.

use super::lists::{now, on};
use crate::cli::guest::GuestArgs;
use crate::cli::{Context, Outcome, exit};
use crate::term::{Fields, shown};
use h2k_block::Limits;
use h2k_convert::Failure;
use h2k_guest::Look;
use h2k_systemd::{Calendar, Clocks};
use serde_json::json;

/// Explain calendar expressions: how systemd writes them, and when they come true next
///
/// In UTC; with --add, on the clocks of the guest, and with its time zone data for expressions that name a place. Times
/// of such an expression are shown on that place's clocks.
#[derive(Debug, clap::Args)]
#[command(
    after_long_help = "Examples:\n  hyper2kvm systemd analyze calendar 'Mon..Fri 9:00' daily\n  hyper2kvm systemd analyze calendar -a server.vmdk 'Mon 9:00 Europe/Berlin'"
)]
pub(in crate::cli) struct Expressions {
    /// The expressions
    #[arg(value_name = "EXPRESSION", required = true)]
    expressions: Vec<String>,
    /// Reckon from this second since 1970 instead of now
    #[arg(long, value_name = "SECONDS")]
    base: Option<i64>,
    /// How many times to show
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u16).range(1..=1000))]
    iterations: u16,
    #[command(flatten)]
    guest: GuestArgs,
}

impl Expressions {
    pub(in crate::cli) fn run(self, context: &Context) -> Outcome {
        if !self.guest.is_named() {
            return self.explain(context, &Clocks::utc());
        }
        let files = self.guest.files(&[], &context.screen)?;
        let look = Look::new(&files.tree, &Limits::default());
        let outcome = self.explain(context, &Clocks::of(&look));
        context.screen.unread(&look.take_unread());
        outcome
    }

    fn explain(&self, context: &Context, clocks: &Clocks<'_>) -> Outcome {
        let base = self.base.map_or_else(now, |s| s.saturating_mul(1_000_000));
        let screen = &context.screen;
        let mut reports = Vec::new();
        for text in &self.expressions {
            let Some(calendar) = Calendar::parse(text) else {
                return Err(
                    Failure::invalid(format!("{} is no calendar expression", shown(text)))
                        .advise("see \"Calendar events\" in systemd.time(7)"),
                );
            };
            let Some(zone) = clocks.zone(calendar.zone()) else {
                let name = calendar.zone().unwrap_or_default();
                let advice = match self.guest.is_named() {
                    true => "hyper2kvm systemd timedate list-timezones names those that it has",
                    false => "name a guest that has its time zone data with --add DISK",
                };
                let what = format!("there is no data of the time zone {}", shown(name));
                return Err(Failure::invalid(what).advise(advice));
            };
            let mut at = base;
            let times: Vec<i64> = std::iter::from_fn(|| {
                at = calendar.next(at, clocks)?;
                Some(at)
            })
            .take(usize::from(self.iterations))
            .collect();
            if screen.json {
                reports.push(json!({"expression": text, "normal": calendar.to_string(), "next-usec": times}));
                continue;
            }
            let mut fields = Fields::default();
            fields.add("expression", shown(text));
            fields.add("normal", calendar.to_string());
            let next: Vec<String> = times.iter().map(|t| on(&zone, *t)).collect();
            let never = || "never".to_owned();
            fields.add(
                "next",
                Some(next.join("\n"))
                    .filter(|n| !n.is_empty())
                    .unwrap_or_else(never),
            );
            screen.say(&(fields.render(screen.out, "") + "\n"));
        }
        if screen.json {
            screen.document(&json!({ "calendars": reports }));
        }
        Ok(exit::DONE)
    }
}
