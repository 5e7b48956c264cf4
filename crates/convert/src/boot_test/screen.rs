//! What is on the screen of a machine in text mode, as it lies in the memory of its VGA card.
//!
//! IBM's VGA: from 0xb8000 on, 32 KiB of cells, each a character and its colours; a row of 80 after the other. What is
//! seen is a window of 25 rows in it, which a system moves down as it scrolls, and to the top again: all of it was seen,
//! and all of it is looked at.

/// What the monitor is told, to see that memory: words of four bytes, in hexadecimal.
pub(super) const LOOK: &str = "xp /8192wx 0xb8000";
/// Cells of a row.
const COLUMNS: usize = 80;
/// Rows in the memory.
const ROWS: usize = (32 << 10) / (2 * COLUMNS);

/// What was seen so far.
#[derive(Debug, Default)]
pub(super) struct Screen {
    rows: Vec<String>,
    /// Behind the row that was written last.
    end: usize,
}

impl Screen {
    /// Takes what the monitor answers. Says whether it is another screen than before.
    pub(super) fn take(&mut self, dump: &str) -> bool {
        let rows = rows(dump);
        let fresh = |(at, row): &(usize, &String)| match self.rows.get(*at) {
            Some(old) => old != *row,
            None => !row.is_empty(),
        };
        let last = rows.iter().enumerate().rfind(fresh).map(|(at, _)| at);
        self.end = last.map_or(self.end, |last| last.saturating_add(1));
        let other = last.is_some() || rows.len() != self.rows.len();
        self.rows = rows;
        other
    }

    /// All rows, the ones that scrolled away among them.
    pub(super) fn rows(&self) -> &[String] {
        &self.rows
    }

    /// The rows that say something, up to the one that was written last.
    pub(super) fn text(&self) -> Vec<String> {
        let rows = self.rows.iter().take(self.end);
        rows.filter(|row| !row.is_empty()).cloned().collect()
    }
}

/// All rows, from what the monitor answers; none where the card shows a picture.
fn rows(dump: &str) -> Vec<String> {
    let words = dump.lines().filter_map(|line| line.split_once(':'));
    let words = words.flat_map(|(_, words)| words.split_whitespace());
    let words = words.filter_map(|word| u32::from_str_radix(word.strip_prefix("0x")?, 16).ok());
    let cells: Vec<u8> = words
        .flat_map(|word| {
            let [first, _, second, _] = word.to_le_bytes();
            [first, second]
        })
        .take(ROWS.saturating_mul(COLUMNS))
        .collect();
    let text = |cell: &u8| matches!(cell, 0 | b' '..=b'~' | 0xb0..=0xdf);
    // Pictures leave anything there; texts are letters, and at most a frame around them.
    let strange = cells.iter().filter(|cell| !text(cell)).count();
    if strange > cells.len() / 50 {
        return Vec::new();
    }
    let rows = cells.chunks(COLUMNS).map(|row| {
        let row: String = row.iter().map(|cell| shown(*cell)).collect();
        row.trim_end().to_owned()
    });
    rows.collect()
}

fn shown(cell: u8) -> char {
    match cell {
        b' '..=b'~' => char::from(cell),
        _ => ' ',
    }
}

#[cfg(test)]
mod tests {
    use super::Screen;
    use std::fmt::Write;

    /// As QEMU prints memory.
    fn dump(cells: &[u8]) -> String {
        let mut text = String::new();
        for four in cells.chunks(8) {
            text.push_str("00000000000b8000:");
            for pair in four.chunks(2) {
                write!(text, " 0x07{:02x}07{:02x}", pair[1], pair[0]).unwrap();
            }
            text.push_str("\r\n");
        }
        text
    }

    #[test]
    fn rows_of_text_are_read() {
        let mut cells = vec![0; 80 * 50];
        cells[..15].copy_from_slice(b"error: no disk.");
        cells[80 * 30..80 * 30 + 13].copy_from_slice(b"grub rescue> ");
        let mut screen = Screen::default();
        assert!(screen.take(&dump(&cells)));
        assert_eq!(screen.text(), ["error: no disk.", "grub rescue>"]);
        assert!(!screen.take(&dump(&cells)));
    }

    #[test]
    fn what_was_written_last_is_last() {
        let mut cells = vec![0; 80 * 50];
        cells[80 * 40..80 * 40 + 5].copy_from_slice(b"first");
        let mut screen = Screen::default();
        screen.take(&dump(&cells));
        // It scrolled to the end of the memory, and goes on at its beginning.
        cells[80..86].copy_from_slice(b"second");
        assert!(screen.take(&dump(&cells)));
        assert_eq!(screen.text(), ["second"]);
        assert!(screen.rows().iter().any(|row| row == "first"));
    }

    #[test]
    fn a_picture_is_no_text() {
        let cells: Vec<u8> = (0..=255).cycle().step_by(7).take(80 * 25).collect();
        for dump in [dump(&cells), "no such command".into(), String::new()] {
            let mut screen = Screen::default();
            assert!(!screen.take(&dump));
            assert_eq!(screen.text(), [""; 0]);
        }
    }
}
