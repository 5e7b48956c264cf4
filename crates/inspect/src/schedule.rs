//! What runs by the clock.

use h2k_guest::Source;
use schemars::JsonSchema;
use serde::Serialize;

/// What runs by the clock. Timers of systemd are units.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Schedule {
    /// In the order of their files.
    pub tasks: Vec<Task>,
    /// Lines that are no task and should be: nothing is guessed of them.
    pub not_understood: Vec<NotUnderstood>,
}

/// Something that is run again and again, or once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Task {
    /// What keeps it: `cron`, `anacron`, `at`, `periodic`, `windows`.
    pub kind: String,
    /// Its name, where it has one: the script, the job of anacron, the path of a task of Windows.
    pub name: Option<String>,
    /// When, as it is written: `25 6 * * *`, `@daily`, `every 7 days`, a date.
    pub when: String,
    /// As whom it runs.
    pub user: Option<String>,
    /// What is run.
    pub command: String,
    /// Whether it is turned on.
    pub enabled: bool,
    /// Where it was read.
    pub source: Source,
}

/// A line that is no task and should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct NotUnderstood {
    /// What is wrong with it.
    pub why: String,
    /// Where it is.
    pub source: Source,
}
