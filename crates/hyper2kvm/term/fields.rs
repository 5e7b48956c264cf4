use super::Style;

/// Labels and values, the values in one column.
#[derive(Default)]
pub(crate) struct Fields(Vec<(String, String)>);

impl Fields {
    /// Adds a line. A value of several lines goes on below itself.
    pub(crate) fn add(&mut self, label: impl Into<String>, value: impl Into<String>) {
        self.0.push((label.into(), value.into()));
    }

    /// The lines, each after `indent`.
    pub(crate) fn render(&self, style: Style, indent: &str) -> String {
        let width = self.0.iter().map(|(l, _)| l.chars().count()).max().unwrap_or(0);
        let mut out = String::new();
        for (label, value) in &self.0 {
            let pad = " ".repeat(width.saturating_sub(label.chars().count()));
            for (i, line) in value.lines().enumerate() {
                out.push_str(indent);
                if i == 0 {
                    out.push_str(&style.dim(label));
                    out.push_str(&pad);
                } else {
                    out.push_str(&" ".repeat(width));
                }
                out.push_str("  ");
                out.push_str(line);
                out.push('\n');
            }
        }
        out
    }
}
