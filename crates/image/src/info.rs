use crate::Format;
use std::path::PathBuf;

/// What is known of an image without reading its content.
#[derive(Clone, Debug, PartialEq)]
pub struct Info {
    /// Name of the file that was opened.
    pub name: PathBuf,
    /// Its format.
    pub format: Format,
    /// The kind within the format, as its makers spell it ("streamOptimized", "dynamic").
    pub subformat: Option<String>,
    /// Size of the guest's disk in bytes.
    pub virtual_size: u64,
    /// Unit of allocation in bytes (cluster, grain, block), where the format has one.
    pub grain: Option<u64>,
    /// Every host file this image itself consists of, without its parents.
    pub files: Vec<FileInfo>,
    /// Internal snapshots.
    pub snapshots: Vec<Snapshot>,
    /// What the format says besides, in the words of its specification.
    pub facts: Vec<Fact>,
    /// What is odd but was read all the same, in sentences.
    pub warnings: Vec<String>,
    /// The image underneath, if there is one.
    pub parent: Option<Box<Info>>,
}

impl Info {
    /// An image of which nothing is known yet but its name, format and size.
    #[must_use]
    pub fn new(name: PathBuf, format: Format, virtual_size: u64) -> Self {
        Self {
            name,
            format,
            subformat: None,
            virtual_size,
            grain: None,
            files: Vec::new(),
            snapshots: Vec::new(),
            facts: Vec::new(),
            warnings: Vec::new(),
            parent: None,
        }
    }

    /// Adds a fact.
    pub fn fact(&mut self, key: &'static str, value: impl Into<Value>) {
        self.facts.push(Fact {
            key,
            value: value.into(),
        });
    }
}

/// One host file of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileInfo {
    /// Its name.
    pub name: PathBuf,
    /// Its length in bytes.
    pub len: u64,
    /// Bytes it occupies on the host, if the host tells.
    pub allocated: Option<u64>,
}

impl FileInfo {
    /// What `file` says of itself.
    #[must_use]
    pub fn of(file: &dyn h2k_block::HostFile) -> Self {
        Self {
            name: file.name().to_owned(),
            len: file.len(),
            allocated: file.allocated(),
        }
    }
}

/// An internal snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Its identifier, unique in the image.
    pub id: String,
    /// Its name.
    pub name: String,
    /// When it was taken, in seconds since 1970, UTC.
    pub seconds: i64,
    /// How long the guest had been running, in nanoseconds.
    pub clock_ns: u64,
    /// Size of the saved machine state in bytes; 0 for a snapshot of the disk alone.
    pub state_size: u64,
    /// Size of the guest's disk in the snapshot, in bytes.
    pub virtual_size: u64,
}

/// A fact a format states about an image.
#[derive(Clone, Debug, PartialEq)]
pub struct Fact {
    /// Its name, as it appears in JSON: lower case, words joined by hyphens.
    pub key: &'static str,
    /// What it is.
    pub value: Value,
}

/// The value of a [`Fact`].
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Yes or no.
    Flag(bool),
    /// Several values.
    List(Vec<Value>),
    /// A number.
    Number(u64),
    /// Text.
    Text(String),
}

impl From<bool> for Value {
    fn from(v: bool) -> Self {
        Self::Flag(v)
    }
}

impl From<u64> for Value {
    fn from(v: u64) -> Self {
        Self::Number(v)
    }
}

impl From<u32> for Value {
    fn from(v: u32) -> Self {
        Self::Number(v.into())
    }
}

impl From<String> for Value {
    fn from(v: String) -> Self {
        Self::Text(v)
    }
}

impl From<&str> for Value {
    fn from(v: &str) -> Self {
        Self::Text(v.to_owned())
    }
}

impl From<Vec<String>> for Value {
    fn from(v: Vec<String>) -> Self {
        Self::List(v.into_iter().map(Self::Text).collect())
    }
}
