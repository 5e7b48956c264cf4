//! Start-up as people look at it: spans of time, and a drawing.

use crate::facts::Startup;
use crate::units::{UnitLog, UnitState, Units};
use std::fmt::Write;

/// Microseconds as systemd writes them: `1min 2.003s`, `4.500s`, `12ms`.
#[must_use]
pub fn span(microseconds: u64) -> String {
    let milli = microseconds.div_euclid(1000);
    let (minutes, rest) = (milli.div_euclid(60_000), milli.rem_euclid(60_000));
    let seconds = format!("{}.{:03}s", rest.div_euclid(1000), rest.rem_euclid(1000));
    match (minutes, milli) {
        (0, 0) if microseconds > 0 => format!("{microseconds}us"),
        (0, 0..1000) => format!("{milli}ms"),
        (0, _) => seconds,
        (1..60, _) => format!("{minutes}min {seconds}"),
        _ => format!(
            "{}h {}min {seconds}",
            minutes.div_euclid(60),
            minutes.rem_euclid(60)
        ),
    }
}

/// Pixels a second, a unit's height, and the margin.
const SECOND: u64 = 100;
const ROW: u64 = 20;
const EDGE: u64 = 20;
/// More seconds than this are drawn closer together.
const WIDE: u64 = 120;

impl Units {
    /// The units of the system that were started, drawn as bars over the time since the boot began: an SVG document.
    /// Red are those that had failed in the end. `startup` adds the line at which start-up was complete.
    #[must_use]
    pub fn svg(&self, startup: Option<&Startup>) -> String {
        let mut bars: Vec<(&UnitLog, u64, u64)> = self
            .units
            .iter()
            .filter(|u| !u.user)
            .filter_map(|u| {
                let end = u.started?;
                Some((u, u.starting.unwrap_or(end).min(end), end))
            })
            .collect();
        bars.sort_by_key(|(u, begin, end)| (*begin, *end, u.unit.as_str()));
        let done = startup.map(|s| s.told.1.monotonic);
        // Units that are started days later have no place in this drawing.
        let stop = done.map_or(u64::MAX, |at| at.saturating_add(60_000_000));
        bars.retain(|(_, begin, _)| *begin <= stop);
        let last = bars
            .iter()
            .map(|bar| bar.2.min(stop))
            .chain(done)
            .max()
            .unwrap_or(0);
        let seconds = last.div_euclid(1_000_000).saturating_add(1);
        let scale = |at: u64| {
            let wide = SECOND.saturating_mul(WIDE.min(seconds));
            let pixel = u128::from(at.min(last))
                .saturating_mul(u128::from(wide))
                .div_euclid(u128::from(seconds).saturating_mul(1_000_000).max(1));
            EDGE.saturating_add(u64::try_from(pixel).unwrap_or(u64::MAX))
        };
        let rows = u64::try_from(bars.len()).unwrap_or(u64::MAX);
        let height = rows.saturating_mul(ROW).saturating_add(EDGE.saturating_mul(3));
        let width = scale(last).saturating_add(500);
        let mut out = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
        );
        let step = seconds.div_ceil(20).max(1);
        let mut second = 0;
        while second <= seconds {
            let x = scale(second.saturating_mul(1_000_000));
            let _ = writeln!(
                out,
                "<line x1=\"{x}\" y1=\"{EDGE}\" x2=\"{x}\" y2=\"{height}\" stroke=\"#ddd\"/>\n<text x=\"{x}\" y=\"14\">{second}s</text>"
            );
            second = second.saturating_add(step);
        }
        for ((unit, begin, end), row) in bars.into_iter().zip(0_u64..) {
            let y = row.saturating_mul(ROW).saturating_add(EDGE);
            let (from, to) = (scale(begin), scale(end));
            let colour = if unit.state == UnitState::Failed {
                "#d33"
            } else {
                "#7a9"
            };
            let took = unit.took().map(|t| format!(" ({})", span(t))).unwrap_or_default();
            let _ = writeln!(
                out,
                "<rect x=\"{from}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"{colour}\"/>\n<text x=\"{}\" y=\"{}\">{}{took}</text>",
                y.saturating_add(2),
                to.saturating_sub(from).max(2),
                ROW.saturating_sub(4),
                to.saturating_add(6).max(from.saturating_add(8)),
                y.saturating_add(14),
                escaped(&unit.unit),
            );
        }
        if let Some(at) = done {
            let x = scale(at);
            let _ = writeln!(
                out,
                "<line x1=\"{x}\" y1=\"{EDGE}\" x2=\"{x}\" y2=\"{height}\" stroke=\"#36c\"/>\n<text x=\"{x}\" y=\"{}\" fill=\"#36c\">start-up complete</text>",
                height.saturating_sub(6)
            );
        }
        out.push_str("</svg>\n");
        out
    }
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::span;

    #[test]
    fn spans_are_written_as_systemd_writes_them() {
        let all = [12, 12_000, 4_500_000, 62_003_000, 3_600_000_000].map(span);
        assert_eq!(all, ["12us", "12ms", "4.500s", "1min 2.003s", "1h 0min 0.000s"]);
    }
}
