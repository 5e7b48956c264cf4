//! Whose manager.

use crate::index::Rank;

/// Whose manager is asked: the system's, or that of every user.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// Units of the system.
    #[default]
    System,
    /// Units of users' managers, as far as they are for all users.
    User,
}

impl Scope {
    /// Where units are looked for, the strongest first. Source: systemd.unit(5), "Unit file load path".
    pub(crate) fn search_path(self) -> &'static [(&'static str, Rank)] {
        match self {
            Self::System => &[
                ("/etc/systemd/system.control", Rank::Config),
                ("/run/systemd/system.control", Rank::Runtime),
                ("/run/systemd/transient", Rank::Runtime),
                ("/run/systemd/generator.early", Rank::Runtime),
                (Self::CONFIG, Rank::Config),
                ("/etc/systemd/system.attached", Rank::Config),
                ("/run/systemd/system", Rank::Runtime),
                ("/run/systemd/system.attached", Rank::Runtime),
                (Self::GENERATED, Rank::Generator),
                ("/usr/local/lib/systemd/system", Rank::Vendor),
                ("/lib/systemd/system", Rank::Vendor),
                ("/usr/lib/systemd/system", Rank::Vendor),
                (Self::GENERATED_LATE, Rank::Generator),
            ],
            Self::User => &[
                ("/etc/systemd/user", Rank::Config),
                ("/run/systemd/user", Rank::Runtime),
                ("/usr/local/share/systemd/user", Rank::Vendor),
                ("/usr/share/systemd/user", Rank::Vendor),
                ("/usr/local/lib/systemd/user", Rank::Vendor),
                ("/usr/lib/systemd/user", Rank::Vendor),
            ],
        }
    }

    /// Where generators write units that the vendor's do not replace.
    pub(crate) const GENERATED: &'static str = "/run/systemd/generator";
    /// Where generators write units that the vendor's replace.
    pub(crate) const GENERATED_LATE: &'static str = "/run/systemd/generator.late";
    const CONFIG: &'static str = "/etc/systemd/system";

    /// The administrator's directory, where units are enabled.
    #[must_use]
    pub fn config(self) -> &'static str {
        match self {
            Self::System => Self::CONFIG,
            Self::User => "/etc/systemd/user",
        }
    }

    /// Where presets are looked for, the strongest first.
    pub(crate) fn presets(self) -> &'static [&'static str] {
        match self {
            Self::System => &[
                "/etc/systemd/system-preset",
                "/run/systemd/system-preset",
                "/usr/local/lib/systemd/system-preset",
                "/usr/lib/systemd/system-preset",
                "/lib/systemd/system-preset",
            ],
            Self::User => &[
                "/etc/systemd/user-preset",
                "/run/systemd/user-preset",
                "/usr/local/lib/systemd/user-preset",
                "/usr/lib/systemd/user-preset",
            ],
        }
    }
}
