//! How a Linux guest keeps the time, and which language and keyboard it has.

use h2k_guest::Look;
use h2k_systemd::ctl;
use schemars::JsonSchema;
use serde::Serialize;

/// Time zone, clock, language, keyboard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct LocaleFacts {
    /// Time zone, hardware clock, what sets the clock.
    #[serde(flatten)]
    pub clock: ctl::TimeDate,
    /// Language and keyboard.
    #[serde(flatten)]
    pub locale: ctl::Locale,
}

pub(crate) fn look(look: &Look<'_>) -> LocaleFacts {
    LocaleFacts {
        clock: ctl::time_date(look),
        locale: ctl::locale(look),
    }
}
