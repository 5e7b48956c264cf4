//! What is known of an image, as a report.

use h2k_image::{Fact, FileInfo, Info, Snapshot, Value};
use serde::Serialize;

/// An image and everything below it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ImageReport {
    /// The file.
    pub filename: String,
    /// Its format.
    pub format: &'static str,
    /// The kind within the format.
    pub subformat: Option<String>,
    /// Size of the guest's disk in bytes.
    pub virtual_size: u64,
    /// Bytes the image's own files occupy on the host, if the host tells.
    pub actual_size: Option<u64>,
    /// Unit of allocation in bytes.
    pub cluster_size: Option<u64>,
    /// The host files this image consists of, without its parents.
    pub files: Vec<FileReport>,
    /// Internal snapshots.
    pub snapshots: Vec<SnapshotReport>,
    /// What the format says besides.
    pub facts: Tables,
    /// What is odd.
    pub warnings: Vec<String>,
    /// The image underneath.
    pub parent: Option<Box<ImageReport>>,
}

/// One host file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct FileReport {
    /// Its name.
    pub filename: String,
    /// Its length in bytes.
    pub length: u64,
    /// Bytes it occupies on the host, if the host tells.
    pub actual_size: Option<u64>,
}

/// An internal snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct SnapshotReport {
    /// Its identifier.
    pub id: String,
    /// Its name.
    pub name: String,
    /// When it was taken, in seconds since 1970, UTC.
    pub date_sec: i64,
    /// How long the guest had been running, in nanoseconds.
    pub vm_clock_nsec: u64,
    /// Size of the saved machine state in bytes.
    pub vm_state_size: u64,
    /// Size of the guest's disk then, in bytes.
    pub virtual_size: u64,
}

/// The facts of a format, in its own order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tables(pub Vec<(&'static str, Value)>);

struct Plain<'a>(&'a Value);

impl Serialize for Plain<'_> {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Flag(flag) => to.serialize_bool(*flag),
            Value::List(list) => to.collect_seq(list.iter().map(Plain)),
            Value::Number(number) => to.serialize_u64(*number),
            Value::Text(text) => to.serialize_str(text),
        }
    }
}

impl Serialize for Tables {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(self.0.iter().map(|(key, value)| (key, Plain(value))))
    }
}

impl ImageReport {
    /// The report of `info` and of its parents.
    #[must_use]
    pub fn of(info: &Info) -> Self {
        // Chains are bounded by the limits of the opening; built from the far end, without recursion.
        let mut chain = vec![info];
        while let Some(parent) = chain.last().and_then(|i| i.parent.as_deref()) {
            chain.push(parent);
        }
        let mut below = None;
        for image in chain.into_iter().rev() {
            below = Some(Box::new(Self::one(image, below)));
        }
        below.map_or_else(|| Self::one(info, None), |all| *all)
    }

    fn one(info: &Info, parent: Option<Box<Self>>) -> Self {
        let sizes = info.files.iter().map(|f| f.allocated);
        Self {
            filename: info.name.display().to_string(),
            format: info.format.name(),
            subformat: info.subformat.clone(),
            virtual_size: info.virtual_size,
            actual_size: sizes
                .reduce(|a, b| a.zip(b).map(|(a, b)| a.saturating_add(b)))
                .flatten(),
            cluster_size: info.grain,
            files: info.files.iter().map(FileReport::from).collect(),
            snapshots: info.snapshots.iter().map(SnapshotReport::from).collect(),
            facts: Tables(
                info.facts
                    .iter()
                    .map(|Fact { key, value }| (*key, value.clone()))
                    .collect(),
            ),
            warnings: info.warnings.clone(),
            parent,
        }
    }

    /// This image and its parents, in order.
    pub fn chain(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |image| image.parent.as_deref())
    }
}

impl From<&FileInfo> for FileReport {
    fn from(file: &FileInfo) -> Self {
        Self {
            filename: file.name.display().to_string(),
            length: file.len,
            actual_size: file.allocated,
        }
    }
}

impl From<&Snapshot> for SnapshotReport {
    fn from(snapshot: &Snapshot) -> Self {
        Self {
            id: snapshot.id.clone(),
            name: snapshot.name.clone(),
            date_sec: snapshot.seconds,
            vm_clock_nsec: snapshot.clock_ns,
            vm_state_size: snapshot.state_size,
            virtual_size: snapshot.virtual_size,
        }
    }
}
