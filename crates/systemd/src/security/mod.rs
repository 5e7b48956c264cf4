//! How much a service could do to the rest of the system: what `systemd-analyze security --offline` computes.
//!
//! ```text
//! Unit ─▶ Sandbox (what its settings leave it) ─▶ 81 checks: weight × badness ÷ range ─▶ exposure 0.0 … 10.0
//! ```
//!
//! Sources: systemd.exec(5), systemd.resource-control(5) and systemd-analyze(1). What they leave open was asked of
//! `systemd-analyze security --offline=true --root=…` of systemd 252, which the tests still do. System calls are
//! those of x86-64.

mod calls;
mod judge;
mod reach;
mod sandbox;
mod table;

use crate::name::Kind;
use crate::unit::{Load, Unit};
use crate::units::Units;
pub use calls::Calls;
use sandbox::Sandbox;
use schemars::JsonSchema;
use serde::Serialize;
use table::ROWS;

/// How exposed a service is, in systemd's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// 0.0
    Perfect,
    /// Below 1.0
    Safe,
    /// Below 5.0
    Ok,
    /// Below 7.5
    Medium,
    /// Below 9.0
    Exposed,
    /// Below 10.0
    Unsafe,
    /// 10.0
    Dangerous,
}

impl Level {
    /// Of an exposure in tenths.
    #[must_use]
    pub fn of(tenths: u32) -> Self {
        match tenths {
            0 => Self::Perfect,
            1..10 => Self::Safe,
            10..50 => Self::Ok,
            50..75 => Self::Medium,
            75..90 => Self::Exposed,
            90..100 => Self::Unsafe,
            _ => Self::Dangerous,
        }
    }

    /// As `systemd-analyze` writes it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Perfect => "PERFECT",
            Self::Safe => "SAFE",
            Self::Ok => "OK",
            Self::Medium => "MEDIUM",
            Self::Exposed => "EXPOSED",
            Self::Unsafe => "UNSAFE",
            Self::Dangerous => "DANGEROUS",
        }
    }
}

/// What one check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Check {
    /// As `systemd-analyze --security-policy` calls it: `PrivateNetwork`.
    pub id: &'static str,
    /// The setting it is about: `PrivateNetwork=`.
    pub name: &'static str,
    /// What the setting keeps from the service, or leaves to it.
    pub about: &'static str,
    /// Whether the setting keeps it; absent where the check does not apply.
    pub set: Option<bool>,
    /// How bad it is, up to `range`; absent where the check does not apply.
    pub badness: Option<u32>,
    /// The worst badness there is.
    pub range: u32,
    /// How much the check counts.
    pub weight: u32,
    /// What it adds to the exposure, in tenths, rounded up.
    #[serde(serialize_with = "tenths")]
    #[schemars(with = "f64")]
    pub exposure: u32,
}

/// How exposed one service is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Exposure {
    /// The service.
    pub unit: String,
    /// From 0 to 100: tenths of what `systemd-analyze` shows. As a document, from 0.0 to 10.0.
    #[serde(serialize_with = "tenths")]
    #[schemars(with = "f64")]
    pub exposure: u32,
    /// The same as a word.
    pub level: Level,
    /// Every check.
    pub checks: Vec<Check>,
}

fn tenths<S: serde::Serializer>(value: &u32, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_f64(f64::from(*value) / 10.0)
}

/// How exposed the service `unit` is; `None` where it is no service, or one that systemd would not load.
#[must_use]
pub fn security(units: &Units<'_>, unit: &Unit, calls: &Calls) -> Option<Exposure> {
    if unit.name.kind() != Kind::Service || unit.load != Load::Loaded {
        return None;
    }
    let sandbox = Sandbox::of(units, unit, calls);
    let found: Vec<Option<u32>> = ROWS.iter().map(|row| row.test.badness(&sandbox)).collect();
    let part = |weight: u32, badness: u32, range: u32| {
        let whole = u64::from(weight).saturating_mul(u64::from(badness));
        whole.checked_div(u64::from(range)).unwrap_or(0)
    };
    let (mut sum, mut weights) = (0_u64, 0_u64);
    for (row, badness) in ROWS.iter().zip(&found) {
        if let Some(badness) = badness {
            sum = sum.saturating_add(part(row.weight, *badness, row.range));
            weights = weights.saturating_add(u64::from(row.weight));
        }
    }
    let share = |part: u64| {
        let share = part.saturating_mul(100).div_ceil(weights.max(1));
        u32::try_from(share).unwrap_or(100)
    };
    let checks = ROWS.iter().zip(found).map(|(row, badness)| Check {
        id: row.id,
        name: row.name,
        about: row.about,
        set: badness.map(|b| b == 0),
        badness,
        range: row.range,
        weight: row.weight,
        exposure: share(part(row.weight, badness.unwrap_or(0), row.range)),
    });
    Some(Exposure {
        unit: unit.name.to_string(),
        exposure: share(sum),
        level: Level::of(share(sum)),
        checks: checks.collect(),
    })
}
