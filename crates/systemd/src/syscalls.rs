//! Sets of system calls that `SystemCallFilter` names.
//!
//! A set is what the systemd of the guest was built with, and lies in no file of it. The sets here are those of systemd
//! 252, as `systemd-analyze syscall-filter` lists them.

/// Sets and their members, a set in the line before them; a member that begins with `@` is a set.
const SETS: &str = include_str!("../data/syscalls-252.txt");

/// The version of systemd whose sets these are.
pub const SYSCALLS_OF: &str = "252";

/// A set of system calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SyscallSet {
    /// Its name: `@file-system`.
    pub name: &'static str,
    members: &'static str,
}

impl SyscallSet {
    /// What it names: system calls, and sets.
    pub fn members(&self) -> impl Iterator<Item = &'static str> {
        self.members.lines().map(str::trim)
    }
}

/// Every set, in systemd's order.
#[must_use]
pub fn syscall_sets() -> Vec<SyscallSet> {
    let mut out = Vec::new();
    let mut begin = 0_usize;
    let mut name: Option<(&'static str, usize)> = None;
    // A set begins with a line that no other set has as a member in its place: members are indented by a tab.
    for line in SETS.split_inclusive('\n') {
        let end = begin.saturating_add(line.len());
        if !line.starts_with('\t') {
            if let Some((name, from)) = name {
                out.push(SyscallSet {
                    name,
                    members: SETS.get(from..begin).unwrap_or_default(),
                });
            }
            name = Some((line.trim_end(), end));
        }
        begin = end;
    }
    if let Some((name, from)) = name {
        out.push(SyscallSet {
            name,
            members: SETS.get(from..).unwrap_or_default(),
        });
    }
    out
}

/// The system calls that `name` stands for: itself, or every call of a set and of the sets in it.
#[must_use]
pub fn syscalls(name: &str) -> Vec<&'static str> {
    let sets = syscall_sets();
    let mut out: Vec<&'static str> = Vec::new();
    let mut seen: Vec<&str> = Vec::new();
    let mut todo = vec![name];
    while let Some(name) = todo.pop() {
        if seen.contains(&name) {
            continue;
        }
        seen.push(name);
        for member in sets
            .iter()
            .filter(|s| s.name == name)
            .flat_map(SyscallSet::members)
        {
            let member = member.trim();
            if member.starts_with('@') {
                todo.push(member);
            } else {
                out.push(member);
            }
        }
    }
    out.sort_unstable();
    out.dedup();
    out
}
