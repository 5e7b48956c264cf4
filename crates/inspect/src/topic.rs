//! What can be asked for.

use std::fmt;
use std::str::FromStr;

macro_rules! topics {
    ($($name:ident $word:literal $what:literal,)*) => {
        /// A topic: what `--only` names, and a field of the report of a system.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Topic {
            $(#[doc = $what] $name,)*
        }

        impl Topic {
            /// Every topic, in the order of the report.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Its name.
            #[must_use]
            pub fn word(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)*
                }
            }

            /// What it is about.
            #[must_use]
            pub fn about(self) -> &'static str {
                match self {
                    $(Self::$name => $what,)*
                }
            }
        }
    };
}

topics! {
    Os "os" "Product, version, architecture, names, identifiers.",
    Mounts "mounts" "What is mounted where, and what of its table is not.",
    Drives "drives" "Drive letters of Windows, and what they stand for.",
    Storage "storage" "Swap, encrypted volumes, volume groups, arrays; BitLocker, hibernation.",
    Boot "boot" "Firmware, boot loader and its entries, kernels, initramfs images, drivers in them.",
    Init "init" "The init system, its default target, what it starts.",
    Units "units" "Units of systemd with their states, timers, sockets, mounts.",
    Services "services" "Services of Windows.",
    Drivers "drivers" "Drivers of Windows.",
    Packages "packages" "Packages, by the package manager's own database.",
    Applications "applications" "Applications that Windows has installed, antivirus among them.",
    Users "users" "Users, groups, keys that open them, who may become whom.",
    Network "network" "Interfaces as configured, addresses, routes, name servers.",
    Firewall "firewall" "Firewalls and their rules.",
    Security "security" "SELinux, AppArmor; group policy.",
    Locale "locale" "Time zone, clock, language, keyboard.",
    Schedule "schedule" "What runs by the clock: cron, at, scheduled tasks.",
    Environment "environment" "Environment variables for everybody.",
    Agents "agents" "Tools of hypervisors and clouds.",
    Cloud "cloud" "What cloud-init is told and did.",
    Containers "containers" "Engines of containers and what they hold.",
    Updates "updates" "Reboots and installations that wait.",
    Journal "journal" "Boots, errors, units that failed in the last boot, what starting took.",
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for Topic {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().find(|t| t.word() == s);
        found.copied().ok_or_else(|| {
            let all: Vec<&str> = Self::ALL.iter().map(|t| t.word()).collect();
            format!("there is no topic {s}; there are: {}", all.join(" "))
        })
    }
}

/// Which topics are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topics(Vec<Topic>);

impl Topics {
    /// Every topic.
    #[must_use]
    pub fn all() -> Self {
        Self(Topic::ALL.to_vec())
    }

    /// These; all of them when none is named.
    #[must_use]
    pub fn only(topics: &[Topic]) -> Self {
        if topics.is_empty() {
            return Self::all();
        }
        Self(topics.to_vec())
    }

    /// Whether `topic` is wanted.
    #[must_use]
    pub fn wants(&self, topic: Topic) -> bool {
        self.0.contains(&topic)
    }
}
