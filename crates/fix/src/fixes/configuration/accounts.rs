//! The four files of accounts, each as lines of fields: passwd(5), shadow(5), group(5), gshadow(5).

/// One of the four files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Table {
    lines: Vec<String>,
}

impl Table {
    /// The file with this content; lines that mean nothing are kept.
    pub(super) fn new(text: &str) -> Self {
        Self {
            lines: text.lines().map(str::to_owned).collect(),
        }
    }

    /// As it is written.
    pub(super) fn text(&self) -> String {
        let mut out = self.lines.join("\n");
        if !out.is_empty() {
            out.push('\n');
        }
        out
    }

    /// The fields of the entry called `name`.
    pub(super) fn get(&self, name: &str) -> Option<Vec<&str>> {
        self.entries().find(|fields| fields.first() == Some(&name))
    }

    /// Every entry's fields.
    pub(super) fn entries(&self) -> impl Iterator<Item = Vec<&str>> {
        self.lines
            .iter()
            .filter(|line| !line.starts_with(['#', '+', '-']) && !line.trim().is_empty())
            .map(|line| line.split(':').collect())
    }

    /// Which entry has this number in its third field.
    pub(super) fn numbered(&self, id: u32) -> Option<&str> {
        let found = self.entries().find(|fields| number(fields, 2) == Some(id))?;
        found.first().copied()
    }

    /// Puts an entry at the end; before a line of NIS, which takes in all that follow.
    pub(super) fn add(&mut self, fields: &[&str]) {
        let line = fields.join(":");
        let nis = self.lines.iter().position(|line| line.starts_with('+'));
        self.lines.insert(nis.unwrap_or(self.lines.len()), line);
    }

    /// Sets a field of the entry called `name`; missing fields in between are empty.
    pub(super) fn set(&mut self, name: &str, at: usize, value: &str) {
        for line in &mut self.lines {
            let mut fields: Vec<&str> = line.split(':').collect();
            if fields.first() != Some(&name) {
                continue;
            }
            while fields.len() <= at {
                fields.push("");
            }
            if let Some(field) = fields.get_mut(at) {
                *field = value;
            }
            *line = fields.join(":");
            return;
        }
    }

    /// Puts a name into the last field of a group: its members.
    pub(super) fn join(&mut self, group: &str, member: &str) {
        let Some(fields) = self.get(group) else { return };
        let members = fields.get(3).copied().unwrap_or_default();
        if members.split(',').any(|known| known == member) {
            return;
        }
        let all = if members.is_empty() {
            member.to_owned()
        } else {
            format!("{members},{member}")
        };
        self.set(group, 3, &all);
    }
}

/// A number in a field.
pub(super) fn number(fields: &[&str], at: usize) -> Option<u32> {
    fields.get(at)?.parse().ok()
}
