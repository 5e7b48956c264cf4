//! Environment variables for everybody.

use h2k_guest::Source;
use schemars::JsonSchema;
use serde::Serialize;

/// What is put into the environment of every user.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Environment {
    /// Assignments, in the order in which their files are read; of one variable several may stand here.
    pub variables: Vec<Variable>,
}

/// An assignment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Variable {
    /// The name.
    pub name: String,
    /// The value as written: what a shell would put in for `$PATH` is not.
    pub value: String,
    /// Whether it stands in a script, where it may depend on a condition. Otherwise it holds.
    pub in_script: bool,
    /// The line, or the value of the registry.
    pub source: Source,
}
