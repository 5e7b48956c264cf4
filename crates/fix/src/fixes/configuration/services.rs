//! Which units start.

use crate::edit::Edit;
use crate::finding::Finding;
use crate::fixes::text::link;
use crate::fixes::{Fix, agents};
use crate::view::View;
use h2k_block::Result;
use h2k_systemd::{Load, Name, Scope, State, Units};
use std::collections::BTreeSet;

/// Enables, disables and masks units.
pub(in crate::fixes) struct Services;

const CONFIG: &str = "/etc/systemd/system";
/// Units enabled on behalf of one.
const ALSO: usize = 64;

impl Fix for Services {
    fn id(&self) -> &'static str {
        "linux.services"
    }

    fn about(&self) -> &'static str {
        "enables, disables and masks the units that are configured"
    }

    fn look(&self, view: &View<'_>) -> Result<Vec<Finding>> {
        let wish = &view.options.configuration.services;
        let mut findings = Vec::new();
        for unit in &wish.enable {
            findings.extend(enabled(view, unit));
        }
        for (list, masks) in [(&wish.disable, false), (&wish.mask, true)] {
            for unit in list {
                findings.push(stopped(view, unit, masks));
            }
        }
        if findings.is_empty() {
            findings.push(Finding::leave("no services are configured"));
        }
        Ok(findings)
    }
}

/// The name of a unit; a service where no ending is given.
fn parsed(unit: &str) -> std::result::Result<Name, Box<Finding>> {
    let whole = Name::parse(unit).or_else(|| Name::parse(&format!("{unit}.service")));
    whole.ok_or_else(|| Box::new(Finding::blocked(format!("{unit:?} cannot be the name of a unit"))))
}

/// Has a unit started as its own `[Install]` says, and those it names beside it.
pub(super) fn enabled(view: &View<'_>, unit: &str) -> Vec<Finding> {
    let units = Units::new(view.look, Scope::System, false);
    let first = match parsed(unit) {
        Ok(name) => name,
        Err(finding) => return vec![*finding],
    };
    let mut findings = Vec::new();
    let mut seen = BTreeSet::new();
    let mut todo = vec![first];
    while let Some(name) = todo.pop() {
        if seen.len() >= ALSO || !seen.insert(name.to_string()) {
            continue;
        }
        findings.push(one(view, &units, &name, &mut todo));
    }
    findings
}

fn one(view: &View<'_>, units: &Units<'_>, name: &Name, todo: &mut Vec<Name>) -> Finding {
    let Some(state) = units.state(name) else {
        return Finding::blocked(format!("{name} cannot be enabled: there is no such unit"));
    };
    let source = [state.source];
    match state.value {
        State::Masked | State::MaskedRuntime | State::Bad => {
            let why = format!("{name} cannot be enabled: it is {}", state.value.word());
            return Finding::blocked(why).read(source);
        }
        State::Static | State::Generated => {
            let why = format!(
                "{name} cannot be enabled: it is {}, and others start it",
                state.value.word()
            );
            return Finding::warn(why).read(source);
        }
        _ => {}
    }
    let said = units.unit(name);
    let Some(fragment) = said.fragment.as_ref().filter(|_| said.load == Load::Loaded) else {
        return Finding::blocked(format!("{name} cannot be enabled: it has no file")).read(source);
    };
    let install = units.install(name, fragment);
    // A template by itself is enabled as the instance it names.
    let own = match (name.is_template(), &install.default_instance) {
        (false, _) => name.clone(),
        (true, Some(instance)) => match name.with_instance(instance) {
            Some(own) => own,
            None => return Finding::blocked(format!("{name} names no instance that can be")).read(source),
        },
        (true, None) => {
            let why = format!("{name} cannot be enabled without an instance");
            return Finding::blocked(why).read(source);
        }
    };
    let mut edits = Vec::new();
    for (list, ending) in [
        (&install.wanted_by, "wants"),
        (&install.required_by, "requires"),
        (&install.upheld_by, "upholds"),
    ] {
        for by in list {
            let Some(by) = Name::parse(by) else {
                let why =
                    format!("{name} cannot be enabled: it is for {by:?}, which is only known when it runs");
                return Finding::blocked(why).read(source);
            };
            edits.extend(link(view, &format!("{CONFIG}/{by}.{ending}/{own}"), fragment));
        }
    }
    for alias in &install.alias {
        let Some(alias) = Name::parse(alias) else {
            let why = format!("{name} cannot be enabled: its alias {alias:?} is no name of a unit");
            return Finding::blocked(why).read(source);
        };
        let path = format!("{CONFIG}/{alias}");
        if alias == *name || (view.look.is_file(&path) && view.look.target(&path).is_none()) {
            continue;
        }
        edits.extend(link(view, &path, fragment));
    }
    todo.extend(install.also.iter().filter_map(|also| Name::parse(also)));
    if edits.is_empty() {
        return Finding::leave(format!("{name} is enabled already")).read(source);
    }
    Finding::change(format!("{name} is enabled, as its [Install] says"), edits).read(source)
}

fn stopped(view: &View<'_>, unit: &str, masks: bool) -> Finding {
    let name = match parsed(unit) {
        Ok(name) => name,
        Err(finding) => return *finding,
    };
    let units = Units::new(view.look, Scope::System, false);
    let what = if masks { "masked" } else { "disabled" };
    let state = units.state(&name);
    let mut edits: Vec<Edit> = Vec::new();
    if masks {
        let own = format!("{CONFIG}/{name}");
        if view.look.is_file(&own) && view.look.target(&own).is_none() {
            let why = format!("{name} cannot be masked: {own} is a file of the administrator's");
            return Finding::blocked(why).advise("disable it instead");
        }
        edits.extend(agents::mask(view, name.as_str()));
    } else {
        let Some(state) = &state else {
            return Finding::warn(format!("{name} cannot be disabled: there is no such unit"));
        };
        edits.extend(agents::unlinked(view, name.as_str()));
        if !matches!(state.value, State::Masked | State::Alias) {
            let said = units.unit(&name);
            let install = said.fragment.as_ref().map(|path| units.install(&name, path));
            for alias in install.iter().flat_map(|install| &install.alias) {
                let path = format!("{CONFIG}/{alias}");
                let own = view.look.target(&path).is_some_and(|target| {
                    target.rsplit(|b| *b == b'/').next() == Some(name.as_str().as_bytes())
                });
                if own {
                    edits.push(Edit::Remove {
                        path: path.into_bytes(),
                    });
                }
            }
        }
    }
    let finding = if edits.is_empty() {
        Finding::leave(format!("{name} is {what} already"))
    } else {
        Finding::change(format!("{name} is {what}"), edits)
    };
    finding.read(state.map(|state| state.source))
}
