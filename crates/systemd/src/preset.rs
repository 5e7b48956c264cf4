//! Presets: what a distribution or an administrator wants to be enabled.
//!
//! Source: systemd.preset(5).

use crate::Scope;
use crate::glob::matches;
use crate::name::Name;
use h2k_guest::{Fact, Look, Source};
use std::collections::BTreeMap;

/// One line of a preset file.
#[derive(Clone, Debug)]
struct Rule {
    enable: bool,
    pattern: String,
    instances: Vec<String>,
    source: Source,
}

/// All presets, in the order in which they are asked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Presets {
    rules: Vec<Rule>,
}

impl Presets {
    pub(crate) fn read(look: &Look<'_>, scope: Scope) -> Self {
        let mut files: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
        for dir in scope.presets() {
            for name in look.names(dir) {
                if name.ends_with(b".preset") {
                    let path = h2k_guest::look::join(dir.as_bytes(), &name);
                    files.entry(name).or_insert(path);
                }
            }
        }
        let mut rules = Vec::new();
        for path in files.values() {
            let Some(text) = look.text(path) else { continue };
            for line in text.spoken() {
                let Some((verb, rest)) = line.text.split_once([' ', '\t']) else {
                    continue;
                };
                let mut words = rest.split_ascii_whitespace();
                // Only what is enabled can name instances: after `disable` the rest of the line is the pattern.
                let (enable, pattern) = match verb {
                    "enable" => (true, words.next()),
                    "disable" => (false, Some(rest.trim())),
                    _ => continue,
                };
                if let Some(pattern) = pattern {
                    rules.push(Rule {
                        enable,
                        pattern: pattern.to_owned(),
                        instances: words.filter(|_| enable).map(str::to_owned).collect(),
                        source: line.source(),
                    });
                }
            }
        }
        Self { rules }
    }

    /// Whether `name` is to be enabled, and which line says so; what no line speaks of is to be enabled.
    pub(crate) fn ask(&self, name: &Name) -> Fact<bool> {
        let rule = self.rules.iter().find(|rule| rule.speaks_of(name));
        match rule {
            Some(rule) => Fact::new(rule.enable, rule.source.clone()),
            None => Fact::new(true, Source::named("no preset speaks of it")),
        }
    }
}

impl Rule {
    fn speaks_of(&self, name: &Name) -> bool {
        if !self.instances.is_empty() {
            if name.is_template() {
                return matches(&self.pattern, name.as_str());
            }
            if let (Some(template), Some(instance)) = (name.template(), name.instance()) {
                let named = self.instances.iter().any(|i| i == instance);
                if named && matches(&self.pattern, template.as_str()) {
                    return true;
                }
            }
        }
        matches(&self.pattern, name.as_str())
    }
}
