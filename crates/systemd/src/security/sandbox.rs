//! What a service's settings leave it.

use super::calls::{Calls, Filter};
use super::reach::{Addresses, Families, is_device};
use crate::syntax::{Escapes, words};
use crate::unit::{Unit, boolean};
use crate::units::Units;

/// Capabilities in the order of their numbers, without `CAP_`: capabilities(7).
const CAPABILITIES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

const NAMESPACES: [&str; 8] = ["cgroup", "ipc", "net", "mnt", "pid", "time", "user", "uts"];

/// Who a service runs as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum User {
    Root,
    /// Who owns what belongs to nobody.
    Nobody,
    Own,
}

/// What the settings of one service leave it.
#[derive(Debug)]
pub(super) struct Sandbox<'a> {
    units: &'a Units<'a>,
    unit: &'a Unit,
    /// Whether it may start before the filesystems are mounted.
    pub(super) early: bool,
    dynamic: bool,
    pub(super) user: User,
    pub(super) groups: bool,
    pub(super) remove_ipc: bool,
    pub(super) own_root: bool,
    pub(super) system: Option<String>,
    pub(super) home: Option<String>,
    pub(super) delegates: bool,
    pub(super) umask: u32,
    /// How many devices it may use; `None` where it may use all.
    pub(super) devices: Option<usize>,
    pub(super) addresses: u32,
    pub(super) architectures: u32,
    pub(super) ambient: u64,
    bounding: u64,
    /// Namespaces that may be made, a bit each.
    namespaces: u8,
    pub(super) families: Families,
    pub(super) calls: Filter<'a>,
}

impl<'a> Sandbox<'a> {
    pub(super) fn of(units: &'a Units<'a>, unit: &'a Unit, calls: &'a Calls) -> Self {
        let mut out = Self {
            units,
            unit,
            early: last(unit, "Unit", "DefaultDependencies", boolean) == Some(false),
            dynamic: false,
            user: User::Root,
            groups: false,
            remove_ipc: false,
            own_root: false,
            system: None,
            home: None,
            delegates: false,
            umask: 0o022,
            devices: None,
            addresses: 10,
            architectures: 10,
            ambient: 0,
            bounding: u64::MAX,
            namespaces: u8::MAX,
            families: Families::default(),
            calls: Filter::new(calls),
        };
        out.dynamic = out.on("DynamicUser");
        out.identity();
        out.files();
        out.privileges();
        out.network();
        out.devices = out.allowed_devices();
        out
    }

    /// Whether a switch is on, or implied by `DynamicUser=`: systemd.exec(5).
    pub(super) fn on(&self, key: &str) -> bool {
        let implied = ["NoNewPrivileges", "PrivateTmp", "RestrictSUIDSGID", "RemoveIPC"];
        (self.dynamic && implied.contains(&key)) || last(self.unit, OWN, key, boolean) == Some(true)
    }

    /// The last of `known` that a setting says; switches count as `yes` and `no`.
    pub(super) fn word(&self, key: &str, known: &[&str]) -> Option<String> {
        last(self.unit, OWN, key, |value| {
            let switch = boolean(value).map(|on| if on { "yes" } else { "no" });
            let word = if known.contains(&value) { value } else { switch? };
            known.contains(&word).then(|| word.to_owned())
        })
    }

    /// Every line of a setting, empty ones among them, specifiers replaced.
    fn lines(&self, key: &'static str) -> impl Iterator<Item = String> + use<'a> {
        let (unit, units) = (self.unit, self.units);
        let all = unit
            .settings
            .iter()
            .filter(move |s| s.section == OWN && s.key == key);
        all.map(move |s| {
            units
                .expanded(&unit.name, &s.value)
                .unwrap_or_else(|| s.value.clone())
        })
    }

    /// Whether what an empty line does not take back leaves anything.
    fn any(&self, key: &'static str) -> bool {
        self.lines(key).last().is_some_and(|value| !value.is_empty())
    }

    fn identity(&mut self) {
        let name = self.lines("User").last().unwrap_or_default();
        self.user = match name.as_str() {
            "" if self.dynamic => User::Own,
            "" | "root" | "0" => User::Root,
            "nobody" => User::Nobody,
            _ => User::Own,
        };
        self.groups = self.any("SupplementaryGroups");
        self.remove_ipc = self.on("RemoveIPC");
    }

    fn files(&mut self) {
        let elsewhere = |path: String| path.trim_end_matches('/').starts_with('/');
        let mut roots = ["RootDirectory", "RootImage"].map(|key| self.lines(key).last());
        self.own_root = roots.iter_mut().any(|path| path.take().is_some_and(elsewhere));
        self.system = self.word("ProtectSystem", &["yes", "no", "full", "strict"]);
        self.home = self.word("ProtectHome", &["yes", "no", "read-only", "tmpfs"]);
        if self.dynamic {
            self.system = Some("strict".to_owned());
            if self.home.as_deref().is_none_or(|home| home == "no") {
                self.home = Some("read-only".to_owned());
            }
        }
        let octal = |text: &str| u32::from_str_radix(text, 8).ok().filter(|mask| *mask <= 0o7777);
        self.umask = last(self.unit, OWN, "UMask", octal).unwrap_or(self.umask);
        let delegate = self.lines("Delegate").last();
        self.delegates = delegate.is_some_and(|value| boolean(&value) != Some(false));
    }

    fn privileges(&mut self) {
        for value in self.lines("CapabilityBoundingSet") {
            self.bounding = capabilities(self.bounding, u64::MAX, &value);
        }
        for value in self.lines("AmbientCapabilities") {
            self.ambient = capabilities(self.ambient, 0, &value);
        }
        let dropped: [(&str, &[&str]); 4] = [
            ("PrivateDevices", &["MKNOD", "SYS_RAWIO"]),
            ("ProtectKernelModules", &["SYS_MODULE"]),
            ("ProtectKernelLogs", &["SYSLOG"]),
            ("ProtectClock", &["SYS_TIME", "WAKE_ALARM"]),
        ];
        let dropped = dropped.iter().filter(|(key, _)| self.on(key));
        self.bounding &= !dropped.fold(0, |all, (_, names)| all | mask(names));
        let mut allowed: Option<u8> = None;
        for value in self.lines("RestrictNamespaces") {
            allowed = match boolean(&value) {
                _ if value.is_empty() => None,
                Some(all) => Some(if all { 0 } else { u8::MAX }),
                None => namespaces(allowed, &value),
            };
        }
        self.namespaces = allowed.unwrap_or(u8::MAX);
        for value in self.lines("SystemCallFilter") {
            self.calls.add(&value);
        }
        let mut architectures: Vec<String> = Vec::new();
        for value in self.lines("SystemCallArchitectures") {
            if value.is_empty() {
                architectures.clear();
            }
            let all = words(&value, Escapes::Keep).unwrap_or_default();
            architectures.extend(all.into_iter().filter(|a| ARCHITECTURES.contains(&a.as_str())));
        }
        self.architectures = match architectures.iter().all(|a| a == "native") {
            _ if architectures.is_empty() => 10,
            true => 0,
            false => 8,
        };
    }

    fn network(&mut self) {
        for value in self.lines("RestrictAddressFamilies") {
            self.families.add(&value);
        }
        let listed = |key| {
            let mut all = Addresses::default();
            self.lines(key).for_each(|value| all.add(&value));
            all
        };
        // A program of the service's own filters what it may talk to.
        let filtered = ["IPIngressFilterPath", "IPEgressFilterPath"]
            .into_iter()
            .any(|key| self.lines(key).last().is_some_and(|path| path.starts_with('/')));
        self.addresses = match filtered {
            true => 0,
            false => listed("IPAddressDeny").badness(&listed("IPAddressAllow")),
        };
    }

    fn allowed_devices(&self) -> Option<usize> {
        let policy = self.word("DevicePolicy", &["auto", "closed", "strict"]);
        let open = policy.is_none_or(|policy| policy == "auto");
        if open && !self.on("PrivateDevices") {
            return None;
        }
        let mut count = 0_usize;
        for value in self.lines("DeviceAllow") {
            match value.is_empty() {
                true => count = 0,
                false => count = count.saturating_add(usize::from(is_device(&value))),
            }
        }
        // What these need is added to what is listed.
        let more = [
            self.on("ProtectClock"),
            self.any("RootImage"),
            self.any("MountImages"),
        ];
        Some(
            more.iter()
                .fold(count, |n, one| n.saturating_add(usize::from(*one))),
        )
    }

    pub(super) fn makes_namespace(&self, name: &str) -> bool {
        self.namespaces & namespace(name).unwrap_or(0) != 0
    }

    pub(super) fn has_any_capability(&self, names: &[&str]) -> bool {
        self.bounding & mask(names) != 0
    }
}

/// Only services are asked about.
const OWN: &str = "Service";

/// Names of architectures: systemd.exec(5), `SystemCallArchitectures=`, and the list in systemd.unit(5),
/// `ConditionArchitecture=`.
const ARCHITECTURES: [&str; 21] = [
    "native",
    "x86",
    "x86-64",
    "x32",
    "arm",
    "arm64",
    "loongarch64",
    "mips",
    "mips64",
    "mips64-n32",
    "mips-le",
    "mips64-le",
    "mips64-le-n32",
    "parisc",
    "parisc64",
    "ppc",
    "ppc64",
    "ppc64-le",
    "riscv64",
    "s390",
    "s390x",
];

/// The last value that means something; systemd keeps it where a later one does not.
fn last<T>(unit: &Unit, section: &str, key: &str, meaning: impl Fn(&str) -> Option<T>) -> Option<T> {
    let all = unit
        .settings
        .iter()
        .rev()
        .filter(|s| s.section == section && s.key == key);
    all.filter_map(|s| meaning(&s.value)).next()
}

/// A list that begins with `~` names what is taken away.
fn inverted(value: &str) -> (bool, Vec<String>) {
    let rest = value.strip_prefix('~');
    let all = words(rest.unwrap_or(value), Escapes::Keep).unwrap_or_default();
    (rest.is_some(), all)
}

/// `set` after another line of a setting that lists capabilities; `initial` is what holds where none is said.
fn capabilities(set: u64, initial: u64, value: &str) -> u64 {
    let (inverted, names) = inverted(value);
    let named = names.iter().fold(0, |all, name| all | capability(name));
    match (named == 0 || set == initial, inverted) {
        (true, true) => !named,
        (true, false) => named,
        (false, true) => set & !named,
        (false, false) => set | named,
    }
}

/// The bit of a capability by its name or number.
fn capability(name: &str) -> u64 {
    let number = name.parse::<usize>().ok().filter(|n| *n < CAPABILITIES.len());
    let short = name.get(..4).filter(|start| start.eq_ignore_ascii_case("CAP_"));
    let short = short.and_then(|_| name.get(4..));
    let named = || {
        CAPABILITIES
            .iter()
            .position(|c| short.is_some_and(|s| c.eq_ignore_ascii_case(s)))
    };
    let place = number.or_else(named).and_then(|n| u32::try_from(n).ok());
    place.and_then(|n| 1_u64.checked_shl(n)).unwrap_or(0)
}

fn mask(names: &[&str]) -> u64 {
    let bits = names.iter().map(|name| capability(&format!("CAP_{name}")));
    bits.fold(0, |all, bit| all | bit)
}

fn namespace(name: &str) -> Option<u8> {
    let place = NAMESPACES.iter().position(|n| *n == name)?;
    1_u8.checked_shl(u32::try_from(place).ok()?)
}

/// What may be made after another line; one that cannot be understood changes nothing.
fn namespaces(allowed: Option<u8>, value: &str) -> Option<u8> {
    let (inverted, names) = inverted(value);
    let bits: Option<Vec<u8>> = names.iter().map(|name| namespace(name)).collect();
    let Some(bits) = bits else { return allowed };
    let named = bits.iter().fold(0, |all, bit| all | bit);
    Some(match (allowed, inverted) {
        (None, true) => !named,
        (None, false) => named,
        (Some(set), true) => set & !named,
        (Some(set), false) => set | named,
    })
}
