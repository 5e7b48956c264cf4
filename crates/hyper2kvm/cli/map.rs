use super::source::SourceArgs;
use super::{Context, Outcome, exit, value};
use crate::term::{Screen, Style, shown};
use h2k_convert::{Class, Failure, MapEntry, human};
use std::path::PathBuf;

/// Show which parts of the disk are stored where, and which are not
///
/// Each line is a run of the guest's disk that is stored in one way. DEPTH says which image of the chain answers: 0 is
/// the image itself, 1 its parent. FILE OFFSET is given where the guest's bytes lie as they are in a host file.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The image
    image: PathBuf,
    /// Read this internal snapshot instead of the current state
    #[arg(long, value_name = "NAME|ID")]
    snapshot: Option<String>,
    /// First byte to show
    #[arg(long, value_name = "SIZE", value_parser = value::bytes, default_value = "0", hide_default_value = true)]
    start: u64,
    /// How many bytes to show
    #[arg(long, value_name = "SIZE", value_parser = value::some_bytes)]
    length: Option<u64>,
    #[command(flatten)]
    source: SourceArgs,
}

impl Args {
    pub(super) fn run(self, context: &Context) -> Outcome {
        let opened = self.source.source(self.image.clone(), self.snapshot).open()?;
        let disk = opened.disk();
        let end = self
            .length
            .map_or(u64::MAX, |len| self.start.saturating_add(len))
            .min(disk.len());
        let screen = &context.screen;
        let mut lines = Lines::new(screen);
        lines.begin(&self.image, disk.len());
        let told = h2k_convert::map(&*disk, self.start..end, context.stop.flag(), &mut |entry| {
            lines.entry(entry);
            match screen.closed() {
                true => Err(h2k_block::Error::new(Class::Cancelled, "nobody reads any more")),
                false => Ok(()),
            }
        });
        let failure = told.map_err(|e| Failure::from(e).about(&self.image)).err();
        let failure = failure.filter(|_| !screen.closed());
        lines.end(failure.as_ref());
        match failure {
            // As JSON, the failure is part of the document already.
            Some(failure) if screen.json => Ok(exit::of(&failure, &context.stop, exit::FAILED)),
            Some(failure) => Err(failure),
            None => Ok(exit::DONE),
        }
    }
}

/// Writes the map while it is being read: a map can have millions of lines.
struct Lines<'a> {
    screen: &'a Screen,
    style: Style,
    first: bool,
    pending: String,
}

impl<'a> Lines<'a> {
    fn new(screen: &'a Screen) -> Self {
        Self {
            screen,
            style: screen.out,
            first: true,
            pending: String::new(),
        }
    }

    fn begin(&mut self, image: &std::path::Path, len: u64) {
        if self.screen.json {
            let name = serde_json::Value::from(image.display().to_string());
            self.pending = format!("{{\"filename\": {name}, \"virtual-size\": {len}, \"extents\": [");
        } else {
            let heading = format!(
                "{:>14}  {:>14}  {:>8}  {:>5}  {:<10}  {:>14}  FILE",
                "START", "LENGTH", "SIZE", "DEPTH", "STORED", "FILE OFFSET"
            );
            self.pending = format!("{}\n", self.style.dim(&heading));
        }
    }

    fn entry(&mut self, entry: &MapEntry) {
        if self.screen.json {
            let comma = if self.first { "\n  " } else { ",\n  " };
            self.pending.push_str(comma);
            self.pending
                .push_str(&serde_json::to_string(entry).unwrap_or_default());
        } else {
            self.line(entry);
        }
        self.first = false;
        if self.pending.len() > 1 << 16 {
            self.flush();
        }
    }

    fn line(&mut self, entry: &MapEntry) {
        let word = match (entry.data, entry.compressed, entry.present) {
            (true, true, _) => "compressed",
            (true, false, _) => "data",
            (false, _, true) => "zero",
            (false, _, false) => "hole",
        };
        let padded = format!("{word:<10}");
        let painted = if entry.data {
            self.style.cyan(&padded)
        } else {
            self.style.dim(&padded)
        };
        let offset = entry.offset.map_or_else(String::new, |o| format!("{o:#x}"));
        let line = format!(
            "{:>#14x}  {:>#14x}  {:>8}  {:>5}  {painted}  {offset:>14}  {}",
            entry.start,
            entry.length,
            human(entry.length),
            entry.depth,
            shown(entry.file.as_deref().unwrap_or_default())
        );
        self.pending.push_str(line.trim_end());
        self.pending.push('\n');
    }

    fn end(&mut self, failure: Option<&Failure>) {
        if self.screen.json {
            self.pending.push_str(if self.first { "]" } else { "\n]" });
            if let Some(error) = failure.and_then(|f| serde_json::to_string(&f.report()).ok()) {
                self.pending.push_str(&format!(", \"error\": {error}"));
            }
            self.pending.push_str("}\n");
        }
        self.flush();
    }

    fn flush(&mut self) {
        self.screen.say(&self.pending);
        self.pending.clear();
    }
}
