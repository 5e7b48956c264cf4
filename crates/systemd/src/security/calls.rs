//! `SystemCallFilter=`: which calls it leaves.

use crate::syscalls::{syscall_sets, syscalls};
use std::collections::BTreeMap;

/// The sets that checks ask about.
const ASKED: [&str; 11] = [
    "@clock",
    "@cpu-emulation",
    "@debug",
    "@module",
    "@mount",
    "@obsolete",
    "@privileged",
    "@raw-io",
    "@reboot",
    "@resources",
    "@swap",
];

/// Calls of these sets that x86-64 does not have: nobody has to filter them, nobody gains by them.
const NOT_HERE: &[&str] = &[
    "bdflush",
    "break",
    "chown32",
    "clock_adjtime64",
    "clock_settime64",
    "fchown32",
    "ftime",
    "gtty",
    "idle",
    "lchown32",
    "lock",
    "mpx",
    "nice",
    "pciconfig_iobase",
    "pciconfig_read",
    "pciconfig_write",
    "prof",
    "profil",
    "rtas",
    "s390_pci_mmio_read",
    "s390_pci_mmio_write",
    "s390_runtime_instr",
    "setfsuid32",
    "setgroups32",
    "setresuid32",
    "setreuid32",
    "setuid32",
    "sgetmask",
    "ssetmask",
    "stime",
    "stty",
    "subpage_prot",
    "switch_endian",
    "sys_debug_setcontext",
    "ulimit",
    "umount",
    "vm86",
    "vm86old",
];

/// The system calls that checks ask about, a bit each, and what names of calls and sets stand for.
#[derive(Debug)]
pub struct Calls {
    names: BTreeMap<&'static str, u128>,
}

impl Default for Calls {
    fn default() -> Self {
        Self::new()
    }
}

impl Calls {
    /// Of systemd's own sets.
    #[must_use]
    pub fn new() -> Self {
        let mut names: BTreeMap<&str, u128> = BTreeMap::new();
        let mut bit = 1_u128;
        for call in ASKED.iter().flat_map(|set| syscalls(set)) {
            if !NOT_HERE.contains(&call) && !names.contains_key(call) {
                names.insert(call, bit);
                bit = bit.wrapping_shl(1);
            }
        }
        let masks: Vec<(&str, u128)> = syscall_sets()
            .iter()
            .map(|set| {
                let calls = syscalls(set.name);
                let bits = calls.iter().filter_map(|call| names.get(call));
                (set.name, bits.fold(0, |all, bit| all | bit))
            })
            .collect();
        names.extend(masks);
        Self { names }
    }

    fn of(&self, name: &str) -> u128 {
        self.names.get(name).copied().unwrap_or(0)
    }
}

/// What a filter says.
#[derive(Debug)]
pub(super) struct Filter<'a> {
    known: &'a Calls,
    /// Whether calls that are not listed are refused; `None` where nothing is filtered.
    lists_allowed: Option<bool>,
    /// Calls that are listed, without an error of their own.
    listed: u128,
    /// Calls that are listed with an error to return.
    failing: u128,
}

impl<'a> Filter<'a> {
    pub(super) fn new(known: &'a Calls) -> Self {
        Self {
            known,
            lists_allowed: None,
            listed: 0,
            failing: 0,
        }
    }

    /// Another line of the setting.
    pub(super) fn add(&mut self, value: &str) {
        if value.is_empty() {
            *self = Self::new(self.known);
            return;
        }
        let (inverted, words) = match value.strip_prefix('~') {
            Some(rest) => (true, rest),
            None => (false, value),
        };
        let allowed = *self.lists_allowed.get_or_insert(!inverted);
        for word in words.split_ascii_whitespace() {
            let (name, error) = match word.split_once(':') {
                Some((_, error)) if !is_error(error) => continue,
                Some((name, _)) => (name, true),
                None => (word, false),
            };
            let calls = self.known.of(name);
            let lists = inverted != allowed;
            match (lists, error) {
                // A call that is listed already stays as it is.
                (true, true) => self.failing |= calls & !self.listed,
                (true, false) => {
                    self.listed |= calls;
                    self.failing &= !calls;
                }
                // In a list of what is refused, an error only says how.
                (false, true) if !allowed => {}
                (false, _) => {
                    self.listed &= !calls;
                    self.failing &= !calls;
                }
            }
        }
    }

    /// How bad it is that calls of `set` may be made.
    pub(super) fn badness(&self, set: &str) -> u32 {
        let calls = self.known.of(set);
        match self.lists_allowed {
            None => 10,
            Some(true) if self.listed & calls != 0 => 9,
            Some(false) if calls & !(self.listed | self.failing) != 0 => 10,
            Some(_) => 0,
        }
    }
}

/// `kill`, a number or the name of one: errno(3).
fn is_error(text: &str) -> bool {
    let name = text.len() > 1
        && text.starts_with('E')
        && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
    let number = text.parse::<u32>().is_ok_and(|n| n <= 4095);
    text == "kill" || name || number
}
