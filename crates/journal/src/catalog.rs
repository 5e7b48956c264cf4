//! What messages mean: the catalog that a guest's systemd and other programs bring along.

use crate::entry::{Entry, Id};
use crate::layout::{index, le64, take, wide};
use h2k_block::{Error, Limits, Meter, Result};
use h2k_fs::{Files, join, whole};
use std::collections::HashMap;

/// What `journalctl --update-catalog` makes of all sources.
const DATABASE: &str = "/var/lib/systemd/catalog/database";
/// Where the sources are, in any number of files.
const SOURCES: &str = "/usr/lib/systemd/catalog";
const NAME: &str = "catalog database";
const MAGIC: &[u8; 8] = b"RHHHKSLP";
/// Number, language, offset of the text.
const ITEM: u64 = 56;

/// Explanations by the number of the message, in English (or whatever language has no name in the catalog).
#[derive(Debug, Default)]
pub struct Catalog {
    texts: HashMap<Id, String>,
}

impl Catalog {
    /// Reads the compiled catalog of a guest; where there is none, the sources.
    ///
    /// # Errors
    /// [`h2k_block::Class::Corrupt`] when the database is damaged; else as reading.
    pub fn read(files: &dyn Files, limits: &Limits) -> Result<Self> {
        let mut meter = Meter::new(*limits);
        if let Some(file) = files.open(DATABASE.as_bytes())? {
            return Self::database(&whole(&*file, &mut meter, NAME)?, &mut meter);
        }
        let mut catalog = Self::default();
        let names = files.names(SOURCES.as_bytes(), &mut meter)?.unwrap_or_default();
        for name in names {
            // `systemd.de.catalog` is a translation.
            let plain = name.strip_suffix(b".catalog").is_some_and(|n| !n.contains(&b'.'));
            let path = join(SOURCES.as_bytes(), &name);
            if let (true, Some(file)) = (plain, files.open(&path)?) {
                catalog.add(&String::from_utf8_lossy(&whole(&*file, &mut meter, "catalog")?));
            }
        }
        Ok(catalog)
    }

    /// Reads a compiled catalog.
    ///
    /// # Errors
    /// [`h2k_block::Class::Corrupt`] when it is damaged, [`h2k_block::Class::Limit`] when it is too large.
    pub fn database(bytes: &[u8], meter: &mut Meter) -> Result<Self> {
        if !bytes.starts_with(MAGIC) {
            let found = bytes.get(..8).unwrap_or(bytes);
            return Err(Error::corrupt(
                NAME,
                0,
                format!("magic is {found:02x?}, expected \"RHHHKSLP\""),
            ));
        }
        let (head, count, size) = (le64(bytes, 16), le64(bytes, 24), le64(bytes, 32));
        let fits = count
            .checked_mul(size)
            .and_then(|items| items.checked_add(head))
            .filter(|end| *end <= wide(bytes.len()) && size >= ITEM);
        let Some(strings) = fits else {
            return Err(Error::corrupt(
                NAME,
                16,
                format!("{count} items of {size} bytes behind {head} bytes are more than the file has"),
            ));
        };
        let strings = bytes.get(index(strings)..).unwrap_or_default();
        let items = bytes.get(index(head)..).unwrap_or_default();
        let mut texts = HashMap::new();
        for item in items.chunks_exact(index(size)).take(index(count)) {
            meter.step("item of a catalog")?;
            let plain = item.get(16) == Some(&0);
            let (Some(id), true) = (take(item, 0), plain) else {
                continue;
            };
            let text = strings.get(index(le64(item, 48))..).unwrap_or_default();
            let text = text.split(|b| *b == 0).next().unwrap_or_default();
            meter.bytes(wide(text.len()), NAME)?;
            texts.insert(Id(id), String::from_utf8_lossy(text).into_owned());
        }
        Ok(Self { texts })
    }

    /// Adds a source: paragraphs that begin with `-- NUMBER`.
    pub fn add(&mut self, source: &str) {
        let mut now: Option<(Id, String)> = None;
        for line in source.lines().filter(|line| !line.starts_with('#')) {
            let head = line.strip_prefix("-- ").map(|rest| {
                let mut words = rest.split_whitespace();
                (words.next().and_then(|id| Id::parse(id.as_bytes())), words.next())
            });
            match (head, &mut now) {
                (Some((Some(id), language)), _) => {
                    self.keep(now.take());
                    now = language.is_none().then(|| (id, String::new()));
                }
                (_, Some((_, text))) => {
                    text.push_str(line);
                    text.push('\n');
                }
                (_, None) => {}
            }
        }
        self.keep(now);
    }

    fn keep(&mut self, done: Option<(Id, String)>) {
        if let Some((id, text)) = done {
            let text = text.trim_end().to_owned() + "\n";
            self.texts.entry(id).or_insert(text);
        }
    }

    /// How many messages are explained.
    #[must_use]
    pub fn len(&self) -> usize {
        self.texts.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    /// The explanation of `entry`, `@FIELD@` replaced by what the entry has; `None` where there is none.
    #[must_use]
    pub fn explain(&self, entry: &Entry) -> Option<String> {
        let text = self.texts.get(&Id::parse(entry.get("MESSAGE_ID")?)?)?;
        let mut out = String::with_capacity(text.len());
        let mut rest = text.as_str();
        while let Some((before, after)) = rest.split_once('@') {
            out.push_str(before);
            let field = after.split_once('@').filter(|(name, _)| {
                !name.is_empty()
                    && name
                        .bytes()
                        .all(|b| b == b'_' || b.is_ascii_uppercase() || b.is_ascii_digit())
            });
            rest = match field {
                Some((name, behind)) => {
                    out.push_str(&entry.text(name).unwrap_or_default());
                    behind
                }
                None => {
                    out.push('@');
                    after
                }
            };
        }
        out.push_str(rest);
        Some(out)
    }
}
