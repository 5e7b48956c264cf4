//! `users`: the tables of users and groups, and everything that opens an account.

mod accounts;
mod sshd;
mod sshkey;
mod sudoers;

use crate::report::Asking;
use crate::users::Users;
use h2k_guest::{Fact, Look};

pub(crate) fn look(_: &Asking<'_>, files: &Look<'_>) -> Users {
    let users = accounts::users(files);
    let groups = accounts::groups(files, &users);
    let config = sshd::read(files);
    let authorized_keys = sshkey::authorized(files, &users, &config);
    Users {
        groups,
        authorized_keys,
        host_keys: sshkey::host_keys(files),
        sshd: config,
        sudo: sudoers::look(files),
        doas: doas(files),
        polkit_administrators: polkit(files),
        users,
    }
}

fn doas(files: &Look<'_>) -> Vec<Fact<String>> {
    let mut texts = files.texts_in("/etc/doas.d", ".conf");
    texts.extend(files.first_text(["/etc/doas.conf", "/usr/local/etc/doas.conf"]));
    let lines = texts.iter().flat_map(h2k_guest::Text::spoken);
    lines.map(|line| line.fact(line.text.to_owned())).collect()
}

/// polkit's rules are programs; the lists of administrators in them are written as `["unix-group:wheel"]`. Before there
/// were programs, `AdminIdentities=` said the same.
fn polkit(files: &Look<'_>) -> Vec<Fact<String>> {
    let mut found: Vec<Fact<String>> = Vec::new();
    for dir in ["/etc/polkit-1/rules.d", "/usr/share/polkit-1/rules.d"] {
        for text in files.texts_in(dir, ".rules") {
            if !text.as_str().contains("addAdminRule") {
                continue;
            }
            for line in text.lines() {
                let comment = line.text.trim_start().starts_with("//");
                let quoted = line.text.split('"').skip(1).step_by(2);
                let named =
                    quoted.filter(|word| word.starts_with("unix-group:") || word.starts_with("unix-user:"));
                if !comment {
                    found.extend(named.map(|word| line.fact(word.to_owned())));
                }
            }
        }
    }
    for dir in [
        "/etc/polkit-1/localauthority.conf.d",
        "/etc/polkit-1/admin.conf.d",
    ] {
        for text in files.texts_in(dir, ".conf") {
            let said = text
                .assigned("AdminIdentities")
                .or_else(|| text.assigned("AdminIdentities "));
            if let Some(said) = said {
                let words = said.value.split(';').filter(|w| !w.is_empty());
                found.extend(words.map(|w| Fact::new(w.trim().to_owned(), said.source.clone())));
            }
        }
    }
    found
}
