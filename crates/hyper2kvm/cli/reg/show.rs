//! Keys and values for people.

use super::Context;
use crate::term::{Style, exact, shown, utc};
use h2k_convert::{KeyReport, ValueReport};

/// Bytes of binary data shown; JSON and `get` have them all.
const SHOWN: usize = 24;

/// What is odd about a hive.
pub(super) fn notes(warnings: &[String], context: &Context) {
    let screen = &context.screen;
    for warning in warnings {
        screen.note(&format!("{} {}", screen.err.dim("note:"), shown(warning)));
    }
}

/// A key with its values, and its subkeys by name.
pub(super) fn key(report: &KeyReport, style: Style) -> String {
    let path = if report.key.is_empty() { "\\" } else { &report.key };
    let mut out = format!(
        "{}  {}\n",
        style.bold(&shown(path)),
        style.dim(&utc(report.written_sec))
    );
    if let Some(class) = &report.class {
        out.push_str(&format!("  {} {}\n", style.dim("class"), shown(class)));
    }
    let width = report
        .values
        .iter()
        .map(|v| name(&v.name).chars().count())
        .max()
        .unwrap_or(0)
        .min(40);
    for value in &report.values {
        let name = name(&value.name);
        let pad = " ".repeat(width.saturating_sub(name.chars().count()));
        out.push_str(&format!(
            "  {name}{pad}  {:<13}  {}\n",
            style.dim(&value.type_),
            content(value, style)
        ));
    }
    for subkey in &report.subkeys {
        out.push_str(&format!("  {}\\\n", shown(subkey)));
    }
    for error in &report.errors {
        out.push_str(&format!("  {} {}\n", style.red("error:"), shown(error)));
    }
    out
}

/// The name of a value.
pub(super) fn name(name: &str) -> String {
    if name.is_empty() {
        "@".to_owned()
    } else {
        shown(name)
    }
}

/// The data of a value on one line.
pub(super) fn content(value: &ValueReport, style: Style) -> String {
    if let Some(error) = &value.error {
        return format!("{} {}", style.red("error:"), shown(error));
    }
    if let Some(number) = value.number {
        return format!("{number:#x} ({number})");
    }
    if let Some(text) = &value.text {
        return shown(text);
    }
    if let Some(texts) = &value.texts {
        return texts
            .iter()
            .map(|text| shown(text))
            .collect::<Vec<_>>()
            .join(&style.dim(" | "));
    }
    let data = value.data.as_deref().unwrap_or_default();
    match data.get(..SHOWN.saturating_mul(2)) {
        Some(head) if head.len() < data.len() => {
            format!("{head}… {}", style.dim(&format!("{} bytes", exact(value.size))))
        }
        _ => data.to_owned(),
    }
}

/// The data of a value and nothing else.
pub(super) fn bare(value: &ValueReport) -> String {
    if let Some(number) = value.number {
        return format!("{number}\n");
    }
    if let Some(text) = &value.text {
        return format!("{text}\n");
    }
    if let Some(texts) = &value.texts {
        return texts.iter().map(|text| format!("{text}\n")).collect();
    }
    format!("{}\n", value.data.as_deref().unwrap_or_default())
}
