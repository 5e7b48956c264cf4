//! How bad what a service is left with is, check by check.

use super::reach::{Family, OTHER_FAMILIES};
use super::sandbox::{Sandbox, User};

/// What a check asks.
#[derive(Debug)]
pub(super) enum Test {
    /// Whether a switch is on.
    Switch(&'static str),
    User,
    Groups,
    Ipc,
    Root,
    System,
    Home,
    Proc,
    ProcSubset,
    Ambient,
    Keyring,
    Delegate,
    Notify,
    UMask,
    Devices,
    Addresses,
    Architectures,
    /// Whether namespaces of this kind may be made.
    Namespace(&'static str),
    /// Whether sockets of any of these families may be made.
    Families(&'static [Family]),
    OtherFamilies,
    /// Whether any of these capabilities may be had.
    Capabilities(&'static [&'static str]),
    /// Whether any system call of this set may be made.
    Calls(&'static str),
}

impl Test {
    /// From 0 to the range of the check; `None` where it does not apply.
    pub(super) fn badness(&self, sandbox: &Sandbox<'_>) -> Option<u32> {
        let root = sandbox.user == User::Root;
        // What is mounted when early services start is not there to be protected.
        let late = |badness: u32| (!sandbox.early).then_some(badness);
        let flag = |bad: bool| Some(u32::from(bad));
        match self {
            Self::Switch("PrivateTmp") if sandbox.early => None,
            Self::Switch(key) => flag(!sandbox.on(key)),
            Self::User => Some(match sandbox.user {
                User::Root => 10,
                User::Nobody => 9,
                User::Own => 0,
            }),
            Self::Groups => (!root).then_some(u32::from(sandbox.groups)),
            Self::Ipc => (!root).then_some(u32::from(!sandbox.remove_ipc)),
            Self::Root => late(u32::from(!sandbox.own_root)),
            Self::System => late(match sandbox.system.as_deref() {
                Some("strict") => 0,
                Some("full") => 3,
                Some("yes") => 5,
                _ => 10,
            }),
            Self::Home => late(match sandbox.home.as_deref() {
                Some("yes") => 0,
                Some("tmpfs") => 1,
                Some("read-only") => 5,
                _ => 10,
            }),
            Self::Proc => Some(match sandbox.word("ProtectProc", &PROC).as_deref() {
                Some("invisible" | "ptraceable") => 0,
                Some("noaccess") => 1,
                _ => 3,
            }),
            Self::ProcSubset => flag(sandbox.word("ProcSubset", &["all", "pid"]).as_deref() != Some("pid")),
            Self::Ambient => flag(sandbox.ambient != 0),
            Self::Keyring => {
                let mode = sandbox.word("KeyringMode", &["inherit", "private", "shared"]);
                flag(mode.is_some_and(|m| m != "private"))
            }
            Self::Delegate => flag(sandbox.delegates),
            Self::Notify => {
                let access = sandbox.word("NotifyAccess", &["none", "all", "exec", "main"]);
                flag(access.as_deref() == Some("all"))
            }
            Self::UMask => Some(match sandbox.umask {
                mask if mask & 0o002 == 0 => 10,
                mask if mask & 0o004 == 0 => 5,
                mask if mask & 0o020 == 0 => 2,
                mask if mask & 0o040 == 0 => 1,
                _ => 0,
            }),
            Self::Devices => Some(match sandbox.devices {
                None => 10,
                Some(0) => 0,
                Some(_) => 5,
            }),
            Self::Addresses => Some(sandbox.addresses),
            Self::Architectures => Some(sandbox.architectures),
            Self::Namespace(name) => flag(sandbox.makes_namespace(name)),
            Self::Families(names) => flag(sandbox.families.any(names)),
            Self::OtherFamilies => flag(sandbox.families.any(OTHER_FAMILIES)),
            Self::Capabilities(names) => flag(sandbox.has_any_capability(names)),
            Self::Calls(set) => Some(sandbox.calls.badness(set)),
        }
    }
}

const PROC: [&str; 4] = ["noaccess", "invisible", "ptraceable", "default"];
