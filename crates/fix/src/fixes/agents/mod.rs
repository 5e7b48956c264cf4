//! Agents of the old hypervisor: kept from starting, never taken out. Their packages stay whole, and a package manager
//! takes them out later.

mod known;
mod leftovers;

use super::Fix;
use super::text;
use crate::edit::Edit;
use crate::finding::Finding;
use crate::view::View;
use h2k_block::Result;
use h2k_guest::Source;
use h2k_guest::look::join;
use h2k_systemd::{Name, Scope, State, Units};
use known::{AGENTS, Agent, Policy};

const CONFIG: &str = "/etc/systemd/system";

/// Keeps agents of other hypervisors from starting.
pub(super) struct Agents;

impl Fix for Agents {
    fn id(&self) -> &'static str {
        "linux.agents"
    }

    fn about(&self) -> &'static str {
        "keeps the agents of other hypervisors from starting, and undoes what they changed"
    }

    fn look(&self, view: &View<'_>) -> Result<Vec<Finding>> {
        let units = Units::new(view.look, Scope::System, false);
        let systemd = has_systemd(view);
        let all = AGENTS.iter();
        let mut findings: Vec<Finding> = all
            .filter_map(|agent| asked(view, agent, &units, systemd))
            .collect();
        findings.extend(leftovers::look(view));
        if findings.is_empty() {
            findings.push(Finding::leave("no agent of another hypervisor is there"));
        }
        Ok(findings)
    }
}

/// Whether systemd is there to start units.
pub(super) fn has_systemd(view: &View<'_>) -> bool {
    ["/usr/lib/systemd/systemd", "/lib/systemd/systemd"]
        .iter()
        .any(|path| view.look.exists(path))
}

/// What starts an agent, and what of it is stopped.
#[derive(Default)]
struct Stopped {
    edits: Vec<Edit>,
    /// Units and scripts that edits stop.
    stopped: Vec<String>,
    /// Units that start on their own hypervisor only.
    harmless: Vec<String>,
    /// What is there and does not start.
    idle: Vec<String>,
    evidence: Vec<Source>,
}

fn asked(view: &View<'_>, agent: &Agent, units: &Units<'_>, systemd: bool) -> Option<Finding> {
    let there = agent.files.is_empty() || agent.files.iter().any(|path| view.look.exists(path));
    if !there {
        return None;
    }
    let anyway = agent.vmware && view.options.remove_vmware_tools;
    let mut found = Stopped::default();
    for unit in agent.units {
        self::unit(view, agent, units, unit, anyway, &mut found);
    }
    for script in agent.scripts {
        self::script(view, script, systemd, &mut found);
    }
    let Stopped {
        edits,
        stopped,
        harmless,
        idle,
        evidence,
    } = found;
    let name = agent.name;
    let finding = if !edits.is_empty() {
        let why = format!(
            "{name} ({}) does not start any more: {}",
            stopped.join(", "),
            agent.why
        );
        Finding::change(why, edits)
    } else if agent.policy == Policy::Never && !stopped.is_empty() {
        let why = format!("{name} ({}) stays as it is: {}", stopped.join(", "), agent.why);
        Finding::leave(why)
    } else if !harmless.is_empty() {
        let why = format!(
            "{name} ({}) starts on its own hypervisor only, and harms nothing elsewhere",
            harmless.join(", ")
        );
        Finding::leave(why)
    } else if !idle.is_empty() {
        Finding::leave(format!(
            "{name} ({}) is kept from starting already",
            idle.join(", ")
        ))
    } else if agent.files.is_empty() {
        return None;
    } else {
        Finding::leave(format!("{name}: nothing starts it"))
    };
    Some(finding.read(evidence))
}

fn unit(view: &View<'_>, agent: &Agent, units: &Units<'_>, unit: &str, anyway: bool, found: &mut Stopped) {
    let Some(name) = Name::parse(unit) else { return };
    let Some(state) = units.state(&name) else { return };
    match state.value {
        // What an alias stands for is a unit of its own.
        State::Alias | State::Bad => return,
        State::Masked => {
            found.idle.push(unit.to_owned());
            found.evidence.push(state.source);
            return;
        }
        _ => {}
    }
    found.evidence.push(state.source);
    let said = units.unit(&name);
    let conditional = said.all("Unit", "ConditionVirtualization").iter().any(|setting| {
        !matches!(
            setting.value.trim_start_matches('|'),
            "yes" | "vm" | "true" | "1" | "kvm" | "qemu"
        )
    });
    if agent.policy == Policy::UnlessConditional && conditional && !anyway {
        found.harmless.push(unit.to_owned());
        return;
    }
    found.stopped.push(unit.to_owned());
    if agent.policy != Policy::Never {
        found.edits.extend(mask(view, unit));
    }
}

/// A link to nothing in the administrator's directory. A unit that itself lies there loses the links that start it.
pub(super) fn mask(view: &View<'_>, unit: &str) -> Vec<Edit> {
    let path = format!("{CONFIG}/{unit}");
    if view.look.target(&path).is_none() && view.look.is_file(&path) {
        return unlinked(view, unit);
    }
    text::link(view, &path, "/dev/null").into_iter().collect()
}

/// The links of the administrator's directory that start a unit, removed.
pub(super) fn unlinked(view: &View<'_>, unit: &str) -> Vec<Edit> {
    let mut edits = Vec::new();
    for dir in view.look.names(CONFIG) {
        let pulls = [&b".wants"[..], b".requires", b".upholds"];
        if !pulls.iter().any(|ending| dir.ends_with(ending)) {
            continue;
        }
        let path = join(&join(CONFIG.as_bytes(), &dir), unit.as_bytes());
        if view.look.stat_itself(&path).is_some() {
            edits.push(Edit::Remove { path });
        }
    }
    edits
}

/// A script of System V: masked where systemd makes a unit of it, without its links elsewhere.
fn script(view: &View<'_>, script: &str, systemd: bool, found: &mut Stopped) {
    let path = ["/etc/init.d", "/etc/rc.d/init.d"]
        .map(|dir| format!("{dir}/{script}"))
        .into_iter()
        .find(|path| view.look.exists(path));
    let job = format!("/etc/init/{script}.conf");
    let mut edits = Vec::new();
    if let Some(path) = &path {
        found.evidence.push(Source::file(path.as_bytes()));
        let unit = format!("{script}.service");
        if found.stopped.contains(&unit) || found.harmless.contains(&unit) {
            return; // The unit of that name counts instead of the script.
        }
        edits.extend(if systemd {
            mask(view, &unit)
        } else {
            started(view, script)
        });
    }
    if view.look.is_file(&job) && !systemd {
        found.evidence.push(Source::file(job.as_bytes()));
        edits.extend(text::write(
            view,
            &format!("/etc/init/{script}.override"),
            "manual\n",
            0o644,
        ));
    }
    if edits.is_empty() {
        if path.is_some() {
            found.idle.push(script.to_owned());
        }
        return;
    }
    found.stopped.push(script.to_owned());
    found.edits.extend(edits);
}

/// The links that start a script, removed.
fn started(view: &View<'_>, script: &str) -> Vec<Edit> {
    let mut edits = Vec::new();
    for level in 2..=5 {
        for dir in [format!("/etc/rc{level}.d"), format!("/etc/rc.d/rc{level}.d")] {
            for name in view.look.names(&dir) {
                let short = name.strip_prefix(b"S").and_then(|rest| rest.get(2..));
                if short == Some(script.as_bytes()) {
                    let path = join(dir.as_bytes(), &name);
                    // One of the two directories is often a link to the other.
                    let canonical = view
                        .look
                        .canonical(&dir)
                        .map(|dir| join(&dir, &name))
                        .unwrap_or(path);
                    let edit = Edit::Remove { path: canonical };
                    if !edits.contains(&edit) {
                        edits.push(edit);
                    }
                }
            }
        }
    }
    for level in view.look.names("/etc/runlevels") {
        let path = join(&join(b"/etc/runlevels", &level), script.as_bytes());
        if view.look.stat_itself(&path).is_some() {
            edits.push(Edit::Remove { path });
        }
    }
    edits
}
