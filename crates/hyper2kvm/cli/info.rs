use super::source::SourceArgs;
use super::{Context, Outcome, exit};
use crate::term::{Align, Fields, Style, Table, exact, shown, size, utc};
use h2k_convert::{Class, Failure, ImageReport, SnapshotReport, Source, human};
use h2k_image::Value;
use serde::Serialize;
use std::path::PathBuf;

/// Show what an image is: format, sizes, parents, snapshots
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The image
    image: PathBuf,
    #[command(flatten)]
    source: SourceArgs,
}

/// The image, and why its content cannot be read, if it cannot.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Report {
    #[serde(flatten)]
    image: ImageReport,
    chain_error: Option<h2k_convert::ErrorReport>,
}

impl Args {
    pub(super) fn run(self, context: &Context) -> Outcome {
        let source = self.source.source(self.image, None);
        let (image, broken) = look(&source)?;
        let screen = &context.screen;
        if screen.json {
            screen.document(&Report {
                image,
                chain_error: broken.as_ref().map(Failure::report),
            });
        } else {
            screen.say(&text(&image, screen.out));
            if let Some(broken) = &broken {
                screen.warn(&format!("this image cannot be converted as it is: {broken}"));
                if let Some(advice) = broken.error().advice() {
                    screen.note(&format!("  {} {advice}", screen.err.green("try:")));
                }
            }
        }
        Ok(exit::DONE)
    }
}

/// Opens the chain; where a parent is missing or the content is encrypted, what can be described, and the reason.
fn look(source: &Source) -> Result<(ImageReport, Option<Failure>), Failure> {
    match source.open() {
        Ok(opened) => Ok((ImageReport::of(&opened.info), None)),
        Err(broken) => match broken.class() {
            Class::Busy => Err(broken),
            _ => match source.describe() {
                Ok(known) => Ok((ImageReport::of(&known.info), Some(broken))),
                Err(_) => Err(broken),
            },
        },
    }
}

fn text(image: &ImageReport, style: Style) -> String {
    let mut out = String::new();
    for (depth, image) in image.chain().enumerate() {
        let indent = "  ".repeat(depth);
        if depth > 0 {
            out.push_str(&format!("\n{indent}{} ", style.dim("on top of")));
        }
        out.push_str(&format!("{}\n", style.bold(&image.filename)));
        out.push_str(&one(image, style, &format!("{indent}  ")));
    }
    out
}

fn one(image: &ImageReport, style: Style, indent: &str) -> String {
    let mut fields = Fields::default();
    let format = match &image.subformat {
        Some(sub) => format!("{} {}", image.format, shown(sub)),
        None => image.format.to_owned(),
    };
    fields.add("format", format);
    fields.add("virtual size", size(image.virtual_size));
    let length = image
        .files
        .iter()
        .fold(0_u64, |sum, f| sum.saturating_add(f.length));
    fields.add(
        "on disk",
        match image.actual_size {
            Some(actual) if human(actual) != human(length) => {
                format!("{} of a file {} long", human(actual), human(length))
            }
            Some(actual) => human(actual),
            None => format!("{} long", human(length)),
        },
    );
    if let Some(grain) = image.cluster_size {
        fields.add("cluster size", human(grain));
    }
    if image.files.len() > 1 {
        let names: Vec<String> = image
            .files
            .iter()
            .map(|f| format!("{}  {}", shown(&f.filename), human(f.length)))
            .collect();
        fields.add("files", names.join("\n"));
    }
    for (key, value) in &image.facts.0 {
        // What is not so fills the screen and says nothing; JSON has it.
        if *value == Value::Flag(false) {
            continue;
        }
        fields.add(key.replace('-', " "), plain(value));
    }
    let mut out = fields.render(style, indent);
    if !image.snapshots.is_empty() {
        out.push_str(&format!("{indent}{}\n", style.dim("snapshots")));
        out.push_str(&snapshots(&image.snapshots, style, &format!("{indent}  ")));
    }
    for warning in &image.warnings {
        out.push_str(&format!(
            "{indent}{} {}\n",
            style.yellow("warning:"),
            shown(warning)
        ));
    }
    out
}

/// The table of internal snapshots.
pub(super) fn snapshots(all: &[SnapshotReport], style: Style, indent: &str) -> String {
    let mut table = Table::new(&[
        ("ID", Align::Left),
        ("NAME", Align::Left),
        ("TAKEN", Align::Left),
        ("VM STATE", Align::Right),
        ("VM CLOCK", Align::Right),
        ("DISK", Align::Right),
    ]);
    for s in all {
        table.row([
            shown(&s.id),
            shown(&s.name),
            utc(s.date_sec),
            if s.vm_state_size == 0 {
                "-".to_owned()
            } else {
                human(s.vm_state_size)
            },
            clock(s.vm_clock_nsec),
            human(s.virtual_size),
        ]);
    }
    table.render(style, indent, &|column, cell| {
        if column == 1 {
            style.bold(cell)
        } else {
            cell.to_owned()
        }
    })
}

fn clock(ns: u64) -> String {
    let ms = ns.wrapping_div(1_000_000);
    let (s, ms) = (ms.wrapping_div(1000), ms.wrapping_rem(1000));
    let (h, m, s) = (
        s.wrapping_div(3600),
        s.wrapping_div(60).wrapping_rem(60),
        s.wrapping_rem(60),
    );
    format!("{h:02}:{m:02}:{s:02}.{ms:03}")
}

fn plain(value: &Value) -> String {
    match value {
        Value::Flag(true) => "yes".to_owned(),
        Value::Flag(false) => "no".to_owned(),
        Value::List(list) => list.iter().map(flat).collect::<Vec<_>>().join("\n"),
        other => flat(other),
    }
}

/// One value on one line.
fn flat(value: &Value) -> String {
    match value {
        Value::Flag(flag) => flag.to_string(),
        Value::List(list) => format!("{} values", list.len()),
        Value::Number(n) => exact(*n),
        Value::Text(text) => shown(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_counts_hours_beyond_a_day() {
        assert_eq!(clock(90_061_000_000_000), "25:01:01.000");
    }
}
