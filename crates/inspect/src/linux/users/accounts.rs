//! passwd(5), shadow(5), group(5), master.passwd(5).

use crate::users::{Group, Password, User};
use h2k_guest::look::Line;
use h2k_guest::{Look, Source};
use std::collections::BTreeMap;

pub(super) fn users(files: &Look<'_>) -> Vec<User> {
    let passwords = passwords(files);
    let (first, last) = people(files);
    let Some(text) = files.text("/etc/passwd") else {
        return Vec::new();
    };
    let each = text.spoken().filter_map(|line| {
        let fields: Vec<&str> = line.text.split(':').collect();
        let field = |n: usize| fields.get(n).copied().unwrap_or_default();
        // Lines that begin with a sign include another directory (nsswitch's compat).
        if field(0).is_empty() || field(0).starts_with(['+', '-']) {
            return None;
        }
        let uid: u32 = field(2).parse().ok()?;
        let shell = field(6);
        let password = passwords.get(field(0)).cloned().or_else(|| {
            // Without a shadow file the word stands here; `x` and `*` say that it stands elsewhere.
            (!matches!(field(1), "x" | "*")).then(|| password(field(1), line.source()))
        });
        Some(User {
            name: field(0).to_owned(),
            uid,
            gid: field(3).parse().ok()?,
            full_name: field(4)
                .split(',')
                .next()
                .filter(|name| !name.is_empty())
                .map(str::to_owned),
            home: field(5).to_owned(),
            shell: shell.to_owned(),
            person: (first..=last).contains(&uid),
            no_login: ["nologin", "false", "sync", "shutdown", "halt"]
                .contains(&shell.rsplit('/').next().unwrap_or_default()),
            password,
            source: line.source(),
        })
    });
    each.collect()
}

/// The numbers that people have: `UID_MIN` and `UID_MAX`.
fn people(files: &Look<'_>) -> (u32, u32) {
    let text = files.first_text(["/etc/login.defs", "/usr/etc/login.defs"]);
    let number = |key: &str| -> Option<u32> {
        text.as_ref()?.spoken().find_map(|line| {
            let mut words = line.text.split_whitespace();
            (words.next() == Some(key)).then(|| words.next()?.parse().ok())?
        })
    };
    (
        number("UID_MIN").unwrap_or(1000),
        number("UID_MAX").unwrap_or(60_000),
    )
}

fn passwords(files: &Look<'_>) -> BTreeMap<String, Password> {
    let mut found = BTreeMap::new();
    if let Some(text) = files.text("/etc/shadow") {
        for line in text.spoken() {
            let mut fields = line.text.split(':');
            let (Some(name), Some(word)) = (fields.next(), fields.next()) else {
                continue;
            };
            let mut number = || fields.next().and_then(|f| f.parse().ok());
            let entry = Password {
                changed: number(),
                minimum: number(),
                maximum: number(),
                warning: number(),
                inactive: number(),
                expires: number(),
                ..password(word, line.source())
            };
            found.insert(name.to_owned(), entry);
        }
    } else if let Some(text) = files.text("/etc/master.passwd") {
        for line in text.spoken() {
            let fields: Vec<&str> = line.text.split(':').collect();
            if let [name, word, ..] = fields.as_slice() {
                found.insert((*name).to_owned(), password(word, line.source()));
            }
        }
    }
    found
}

/// What the second field says. The hash stays where it is.
fn password(word: &str, source: Source) -> Password {
    let hash = word.trim_start_matches(['!', '*']);
    let hash = hash
        .strip_prefix("LOCKED*")
        .or_else(|| hash.strip_prefix("LK*"))
        .unwrap_or(hash);
    let scheme = scheme(hash);
    let locked = hash.len() < word.len();
    let state = match (word.is_empty(), scheme.is_some(), locked) {
        (true, ..) => "empty",
        (_, true, true) => "locked",
        (_, true, false) => "set",
        (_, false, _) => "none",
    };
    Password {
        state: state.to_owned(),
        scheme: scheme.map(str::to_owned),
        changed: None,
        minimum: None,
        maximum: None,
        warning: None,
        inactive: None,
        expires: None,
        source,
    }
}

/// crypt(5): what the first characters say.
fn scheme(hash: &str) -> Option<&'static str> {
    let known = [
        ("$y$", "yescrypt"),
        ("$gy$", "gost-yescrypt"),
        ("$7$", "scrypt"),
        ("$6$", "sha512"),
        ("$5$", "sha256"),
        ("$2", "bcrypt"),
        ("$1$", "md5"),
        ("$sha1", "sha1"),
        ("$md5", "sun-md5"),
        ("$3$", "nt"),
        ("_", "bsdi-des"),
    ];
    let found = known.iter().find(|(begins, _)| hash.starts_with(begins));
    let traditional = hash.len() == 13
        && hash
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"./".contains(&b));
    let unknown = hash.starts_with('$').then_some("unknown");
    found
        .map(|(_, word)| *word)
        .or(traditional.then_some("des"))
        .or(unknown)
}

pub(super) fn groups(files: &Look<'_>, users: &[User]) -> Vec<Group> {
    let Some(text) = files.text("/etc/group") else {
        return Vec::new();
    };
    let mut first: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    for user in users {
        first.entry(user.gid).or_default().push(user.name.clone());
    }
    text.spoken().filter_map(|line| group(line, &mut first)).collect()
}

fn group(line: Line<'_>, first: &mut BTreeMap<u32, Vec<String>>) -> Option<Group> {
    let mut fields = line.text.split(':');
    let name = fields
        .next()
        .filter(|name| !name.is_empty() && !name.starts_with(['+', '-']))?;
    let gid: u32 = fields.nth(1)?.parse().ok()?;
    let members = fields.next().unwrap_or_default().split(',');
    Some(Group {
        name: name.to_owned(),
        gid,
        members: members
            .map(str::trim)
            .filter(|m| !m.is_empty())
            .map(str::to_owned)
            .collect(),
        // Of two groups with one number the first gets them: the lists together are no longer than the file.
        first_of: first.remove(&gid).unwrap_or_default(),
        source: line.source(),
    })
}

#[cfg(test)]
mod tests {
    use super::password;
    use h2k_guest::Source;

    #[test]
    fn the_second_field_tells_state_and_scheme() {
        let said = |word: &str| {
            let found = password(word, Source::named("x"));
            (found.state, found.scheme.unwrap_or_default())
        };
        for (word, state, scheme) in [
            ("", "empty", ""),
            ("*", "none", ""),
            ("!", "none", ""),
            ("!*", "none", ""),
            ("!!", "none", ""),
            ("$y$j9T$abc$def", "set", "yescrypt"),
            ("!$6$salt$hash", "locked", "sha512"),
            ("*LK*$5$salt$hash", "locked", "sha256"),
            ("abJnggxhB/yWI", "set", "des"),
            ("$2b$12$abc", "set", "bcrypt"),
            ("$new$abc", "set", "unknown"),
        ] {
            assert_eq!(said(word), (state.to_owned(), scheme.to_owned()), "{word}");
        }
    }
}
