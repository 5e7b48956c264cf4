//! sshd_config(5): `Keyword value` lines, `Include` of other files, `Match` blocks.

use crate::users::SshdSetting;
use h2k_guest::look::join;
use h2k_guest::{Look, Text};

const CONFIG: &str = "/etc/ssh/sshd_config";

/// What decides about logging in, as sshd_config(5) spells it.
const WANTED: &[&str] = &[
    "Port",
    "ListenAddress",
    "PermitRootLogin",
    "PasswordAuthentication",
    "PubkeyAuthentication",
    "KbdInteractiveAuthentication",
    "ChallengeResponseAuthentication",
    "AuthenticationMethods",
    "AuthorizedKeysFile",
    "AuthorizedKeysCommand",
    "PermitEmptyPasswords",
    "UsePAM",
    "AllowUsers",
    "AllowGroups",
    "DenyUsers",
    "DenyGroups",
    "TrustedUserCAKeys",
    "ForceCommand",
    "ChrootDirectory",
    "X11Forwarding",
    "HostKey",
];

/// Settings that add up.
const SEVERAL: &[&str] = &[
    "Port",
    "ListenAddress",
    "HostKey",
    "AllowUsers",
    "AllowGroups",
    "DenyUsers",
    "DenyGroups",
];

/// How deep files may include each other, as sshd has it.
const DEEPEST: usize = 16;
/// How many files may be read.
const MOST: usize = 1000;

pub(super) fn read(files: &Look<'_>) -> Vec<SshdSetting> {
    let mut reading = Reading {
        files,
        found: Vec::new(),
        left: MOST,
    };
    let text = files.first_text([CONFIG, "/usr/etc/ssh/sshd_config"]);
    if let Some(text) = text {
        reading.file(&text, None, 0);
    }
    reading.found
}

struct Reading<'a, 'b> {
    files: &'a Look<'b>,
    found: Vec<SshdSetting>,
    left: usize,
}

impl Reading<'_, '_> {
    fn file(&mut self, text: &Text, outer: Option<&str>, depth: usize) {
        // A `Match` ends with its file.
        let mut only_if = outer.map(str::to_owned);
        for line in text.spoken() {
            let (word, value) = keyword(line.text);
            match word.to_ascii_lowercase().as_str() {
                "match" if value.eq_ignore_ascii_case("all") => only_if = outer.map(str::to_owned),
                "match" => only_if = Some(value.to_owned()),
                "include" if depth < DEEPEST => {
                    for pattern in value.split_whitespace() {
                        for text in self.included(pattern) {
                            self.file(&text, only_if.as_deref(), depth.saturating_add(1));
                        }
                    }
                }
                lower => {
                    let Some(name) = WANTED.iter().find(|w| w.eq_ignore_ascii_case(lower)) else {
                        continue;
                    };
                    let again = |s: &SshdSetting| s.name == *name && s.only_if == only_if;
                    if !SEVERAL.contains(name) && self.found.iter().any(again) {
                        continue;
                    }
                    self.found.push(SshdSetting {
                        name: (*name).to_owned(),
                        value: value.to_owned(),
                        only_if: only_if.clone(),
                        source: line.source(),
                    });
                }
            }
        }
    }

    /// The files a pattern means; a `*` in its last part alone is looked for, as every distribution writes it.
    fn included(&mut self, pattern: &str) -> Vec<Text> {
        let pattern = pattern.trim_matches('"');
        let pattern = if pattern.starts_with('/') {
            pattern.to_owned()
        } else {
            format!("/etc/ssh/{pattern}")
        };
        let Some((dir, last)) = pattern.rsplit_once('/') else {
            return Vec::new();
        };
        let names = match last.split_once('*') {
            None => vec![last.as_bytes().to_vec()],
            Some((begin, end)) => {
                let fits = |name: &Vec<u8>| {
                    name.starts_with(begin.as_bytes())
                        && name.ends_with(end.as_bytes())
                        && name.len() >= begin.len().saturating_add(end.len())
                        && !name.starts_with(b".")
                };
                self.files.names(dir).into_iter().filter(fits).collect()
            }
        };
        let names: Vec<_> = names.into_iter().take(self.left).collect();
        self.left = self.left.saturating_sub(names.len());
        names
            .iter()
            .filter_map(|name| self.files.text(join(dir.as_bytes(), name)))
            .collect()
    }
}

/// `Keyword value`, `Keyword=value`; a comment may follow, quotes may be around.
fn keyword(line: &str) -> (&str, &str) {
    let (word, rest) = line
        .split_once(|c: char| c.is_whitespace() || c == '=')
        .unwrap_or((line, ""));
    let value = rest.trim_start_matches(|c: char| c.is_whitespace() || c == '=');
    let value = value.split(" #").next().unwrap_or_default().trim();
    (
        word,
        value
            .strip_prefix('"')
            .and_then(|v| v.strip_suffix('"'))
            .unwrap_or(value),
    )
}
