use super::Style;

/// To which side a column's cells are pushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Right,
}

/// Rows under a heading, every column as wide as its widest cell.
pub(crate) struct Table {
    columns: Vec<(String, Align)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(columns: &[(&str, Align)]) -> Self {
        Self::named(
            columns
                .iter()
                .map(|(name, align)| ((*name).to_owned(), *align))
                .collect(),
        )
    }

    /// With headings that are known only now.
    pub(crate) fn named(columns: Vec<(String, Align)>) -> Self {
        Self {
            columns,
            rows: Vec::new(),
        }
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// The lines, each after `indent`. `paint` colours a cell, given its column and text.
    pub(crate) fn render(&self, style: Style, indent: &str, paint: &dyn Fn(usize, &str) -> String) -> String {
        let widths: Vec<usize> = (0..self.columns.len())
            .map(|i| {
                let cells = self.rows.iter().filter_map(|row| row.get(i)).map(|c| width(c));
                let heading = self.columns.get(i).map_or(0, |(h, _)| width(h));
                cells.max().unwrap_or(0).max(heading)
            })
            .collect();
        let line = |cells: &mut dyn Iterator<Item = (String, String)>| {
            let mut out = indent.to_owned();
            for (i, (plain, painted)) in cells.enumerate() {
                let room = widths.get(i).copied().unwrap_or(0).saturating_sub(width(&plain));
                if i > 0 {
                    out.push_str("  ");
                }
                match self.columns.get(i).map(|c| c.1) {
                    Some(Align::Right) => {
                        out.push_str(&" ".repeat(room));
                        out.push_str(&painted);
                    }
                    _ => {
                        out.push_str(&painted);
                        out.push_str(&" ".repeat(room));
                    }
                }
            }
            out.truncate(out.trim_end().len());
            out.push('\n');
            out
        };
        let mut headings = self.columns.iter().map(|(h, _)| (h.clone(), style.dim(h)));
        let mut out = line(&mut headings);
        for row in &self.rows {
            let mut cells = row.iter().enumerate().map(|(i, c)| (c.clone(), paint(i, c)));
            out.push_str(&line(&mut cells));
        }
        out
    }
}

fn width(text: &str) -> usize {
    text.chars().count()
}
