//! `environment`: pam_env's tables, environment.d(5), and what profiles of shells assign.

use crate::environment::{Environment, Variable};
use crate::report::Asking;
use h2k_guest::{Look, Text};

pub(crate) fn look(_: &Asking<'_>, files: &Look<'_>) -> Environment {
    let mut all = Environment::default();
    let tables = files.text("/etc/environment").into_iter();
    // A file of one name hides those in the directories behind.
    let mut seen = Vec::new();
    let mut units = Vec::new();
    for dir in [
        "/etc/environment.d",
        "/usr/local/lib/environment.d",
        "/usr/lib/environment.d",
    ] {
        for text in files.texts_in(dir, ".conf") {
            let name = text
                .path()
                .rsplit(|b| *b == b'/')
                .next()
                .unwrap_or_default()
                .to_vec();
            if !seen.contains(&name) {
                seen.push(name.clone());
                units.push((name, text));
            }
        }
    }
    units.sort_by(|a, b| a.0.cmp(&b.0));
    for text in tables.chain(units.into_iter().map(|(_, text)| text)) {
        take(&text, false, &mut all);
    }
    let profile = files.first_text(["/etc/profile", "/usr/etc/profile"]).into_iter();
    let bash = files.first_text(["/etc/bash.bashrc", "/etc/bashrc"]);
    for text in profile.chain(files.texts_in("/etc/profile.d", ".sh")).chain(bash) {
        take(&text, true, &mut all);
    }
    all
}

fn take(text: &Text, in_script: bool, all: &mut Environment) {
    for (name, value) in text.assignments() {
        if !is_name(name) {
            continue;
        }
        // `A=b; export A`
        let plain = value.value.strip_suffix(';').filter(|_| in_script);
        all.variables.push(Variable {
            name: name.to_owned(),
            value: plain.unwrap_or(&value.value).to_owned(),
            in_script,
            source: value.source.clone(),
        });
    }
}

fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    let first = bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
    first && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
}
