use super::open::OpenHive;
use crate::{FindingReport, Result};
use h2k_block::{Error, Limits};
use h2k_fs::Time;
use h2k_hive::{Content, Differs, Hive, Key, Kind, Severity, State, Value};
use serde::Serialize;

/// A value.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ValueReport {
    /// Its name; empty for the default value.
    pub name: String,
    /// Its kind: `REG_SZ` and so on, or a number.
    #[serde(rename = "type")]
    pub type_: String,
    /// Length of its data in bytes.
    pub size: u64,
    /// Its data in hexadecimal.
    pub data: Option<String>,
    /// Of the text kinds: the text up to its first zero.
    pub text: Option<String>,
    /// Of `REG_MULTI_SZ`: the texts.
    pub texts: Option<Vec<String>>,
    /// Of the kinds that are numbers: the number.
    pub number: Option<u64>,
    /// Why the data is not told.
    pub error: Option<String>,
}

impl ValueReport {
    /// What is known of `value`.
    #[must_use]
    pub fn of(value: &Value<'_>) -> Self {
        let named = Self {
            name: value.name().to_string(),
            type_: value.kind().to_string(),
            size: u64::from(value.len()),
            ..Self::default()
        };
        let kind = value.kind();
        let told = || -> h2k_block::Result<Self> {
            Ok(Self {
                data: Some(crate::hex(&value.data()?)),
                text: match kind {
                    Kind::SZ | Kind::EXPAND_SZ | Kind::LINK => Some(value.text()?),
                    _ => None,
                },
                texts: match kind {
                    Kind::MULTI_SZ => Some(value.texts()?),
                    _ => None,
                },
                number: value.number()?,
                ..named.clone()
            })
        };
        told().unwrap_or_else(|e| Self {
            error: Some(e.to_string()),
            ..named
        })
    }

    fn of_content(name: &str, (kind, data): &Content) -> Self {
        Self {
            name: name.to_owned(),
            type_: kind.to_string(),
            size: u64::try_from(data.len()).unwrap_or(u64::MAX),
            data: Some(crate::hex(data)),
            ..Self::default()
        }
    }
}

/// A key, with its values and the names of its subkeys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct KeyReport {
    /// Its path in the hive; empty for the root.
    pub key: String,
    /// When it was last written, in seconds since 1970, UTC.
    pub written_sec: i64,
    /// Its class name.
    pub class: Option<String>,
    /// Its values, in the hive's order.
    pub values: Vec<ValueReport>,
    /// The names of its subkeys, in the hive's order.
    pub subkeys: Vec<String>,
    /// What of it is damaged, in sentences.
    pub errors: Vec<String>,
}

impl KeyReport {
    /// What is known of `key`, which lies at `path`.
    #[must_use]
    pub fn of(key: &Key<'_>, path: &str) -> Self {
        let mut errors = Vec::new();
        let mut tell = |e: Error| errors.push(e.to_string());
        let class = key.class().unwrap_or_else(|e| {
            tell(e);
            None
        });
        let mut values = Vec::new();
        for value in key.values() {
            match value {
                Ok(value) => values.push(ValueReport::of(&value)),
                Err(e) => tell(e),
            }
        }
        let mut subkeys = Vec::new();
        for subkey in key.subkeys() {
            match subkey {
                Ok(subkey) => subkeys.push(subkey.name().to_string()),
                Err(e) => tell(e),
            }
        }
        Self {
            key: path.to_owned(),
            written_sec: Time::of_filetime(key.written()).seconds,
            class,
            values,
            subkeys,
            errors,
        }
    }
}

/// What a structural check says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct HiveCheckReport {
    /// The hive.
    pub filename: String,
    /// Neither errors nor leaks.
    pub clean: bool,
    /// `clean`, `recovered` (its logs were replayed) or `dirty`.
    pub state: &'static str,
    /// Version of the format.
    pub version: String,
    /// Keys, values and security items.
    pub keys: u64,
    /// Values.
    pub values: u64,
    /// Security items.
    pub securities: u64,
    /// Hive bins.
    pub bins: u64,
    /// Bytes in allocated cells.
    pub used: u64,
    /// Bytes in free cells.
    pub free: u64,
    /// How many things are wrong.
    pub errors: u64,
    /// How many cells are allocated and used by nothing.
    pub leaks: u64,
    /// How many things are odd and harmless.
    pub warnings: u64,
    /// The first thousand findings.
    pub findings: Vec<FindingReport>,
}

impl OpenHive {
    /// Checks the structure of the hive.
    ///
    /// # Errors
    /// As [`Hive::check`].
    pub fn check(&self) -> Result<HiveCheckReport> {
        let checked = self.hive.check().map_err(|e| self.about(e))?;
        let facts = self.facts();
        let findings = checked.findings.iter().take(1000).map(|finding| FindingReport {
            severity: match finding.severity {
                Severity::Error => "error",
                Severity::Leak => "leak",
                Severity::Warning => "warning",
            },
            structure: finding.structure,
            offset: finding.offset,
            message: finding.message.clone(),
        });
        Ok(HiveCheckReport {
            filename: self.filename.clone(),
            clean: checked.clean(),
            state: match facts.state {
                State::Clean => "clean",
                State::Recovered(_) => "recovered",
                _ => "dirty",
            },
            version: format!("{}.{}", facts.version.0, facts.version.1),
            keys: checked.keys,
            values: checked.values,
            securities: checked.securities,
            bins: checked.bins,
            used: checked.used,
            free: checked.free,
            errors: checked.errors,
            leaks: checked.leaks,
            warnings: checked.warnings,
            findings: findings.collect(),
        })
    }
}

/// One difference between two hives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct DifferenceReport {
    /// The key, below those that were compared.
    pub key: String,
    /// `key-added`, `key-removed`, `class-changed`, `value-added`, `value-removed`, `value-changed`.
    pub change: &'static str,
    /// The value in the first hive.
    pub a: Option<ValueReport>,
    /// The value in the second hive.
    pub b: Option<ValueReport>,
    /// The class name in the first hive.
    pub a_class: Option<String>,
    /// The class name in the second hive.
    pub b_class: Option<String>,
}

/// What makes one hive of the other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct HiveDiffReport {
    /// Whether there is no difference.
    pub equal: bool,
    /// The first hive.
    pub a: String,
    /// The second hive.
    pub b: String,
    /// The differences, by key.
    pub differences: Vec<DifferenceReport>,
}

impl HiveDiffReport {
    /// Compares two keys with everything below them.
    ///
    /// # Errors
    /// As [`Hive::diff`].
    pub fn new(a: (&OpenHive, Key<'_>), b: (&OpenHive, Key<'_>)) -> Result<Self> {
        let found = Hive::diff(a.1, b.1, &Limits::default()).map_err(|e| a.0.about(e))?;
        let differences: Vec<_> = found
            .into_iter()
            .map(|difference| {
                let mut report = DifferenceReport {
                    key: difference.key,
                    change: "class-changed",
                    a: None,
                    b: None,
                    a_class: None,
                    b_class: None,
                };
                match difference.what {
                    Differs::KeyAdded => report.change = "key-added",
                    Differs::KeyRemoved => report.change = "key-removed",
                    Differs::Class(a, b) => (report.a_class, report.b_class) = (a, b),
                    Differs::Value(name, a, b) => {
                        report.change = match (&a, &b) {
                            (None, _) => "value-added",
                            (_, None) => "value-removed",
                            _ => "value-changed",
                        };
                        report.a = a.map(|a| ValueReport::of_content(&name, &a));
                        report.b = b.map(|b| ValueReport::of_content(&name, &b));
                    }
                }
                report
            })
            .collect();
        Ok(Self {
            equal: differences.is_empty(),
            a: a.0.filename.clone(),
            b: b.0.filename.clone(),
            differences,
        })
    }
}
