//! sudoers(5): rules, aliases, defaults, and the files they include.

use crate::users::{Sudo, SudoAlias, SudoRule};
use h2k_guest::look::join;
use h2k_guest::{Fact, Look, Source, Text};

const PLACES: [&str; 3] = ["/etc/sudoers", "/usr/etc/sudoers", "/usr/local/etc/sudoers"];

/// How deep files may include each other.
const DEEPEST: usize = 16;
/// How many files may be read.
const MOST: usize = 1000;

const ALIASES: &[(&str, &str)] = &[
    ("User_Alias", "user"),
    ("Runas_Alias", "runas"),
    ("Host_Alias", "host"),
    ("Cmnd_Alias", "command"),
    ("Cmd_Alias", "command"),
];

const TAGS: &[&str] = &[
    "EXEC",
    "NOEXEC",
    "FOLLOW",
    "NOFOLLOW",
    "INTERCEPT",
    "NOINTERCEPT",
    "LOG_INPUT",
    "NOLOG_INPUT",
    "LOG_OUTPUT",
    "NOLOG_OUTPUT",
    "MAIL",
    "NOMAIL",
    "PASSWD",
    "NOPASSWD",
    "SETENV",
    "NOSETENV",
];

const OPTIONS: &[&str] = &[
    "APPARMOR_PROFILE",
    "CHROOT",
    "CWD",
    "LIMITPRIVS",
    "NOTAFTER",
    "NOTBEFORE",
    "PRIVS",
    "ROLE",
    "TIMEOUT",
    "TYPE",
];

pub(super) fn look(files: &Look<'_>) -> Sudo {
    let mut reading = Reading {
        files,
        found: Sudo::default(),
        left: MOST,
    };
    if let Some(text) = files.first_text(PLACES) {
        reading.file(&text, 0);
    }
    reading.found
}

struct Reading<'a, 'b> {
    files: &'a Look<'b>,
    found: Sudo,
    left: usize,
}

impl Reading<'_, '_> {
    fn file(&mut self, text: &Text, depth: usize) {
        for (line, source) in logical(text) {
            let first = line.split([' ', '\t']).next().unwrap_or_default();
            match first {
                "@include" | "#include" | "@includedir" | "#includedir" => {
                    let path = line.get(first.len()..).unwrap_or_default().trim();
                    self.include(text, path, first.ends_with("dir"), depth);
                    continue;
                }
                _ if first.starts_with("Defaults") => {
                    self.found.defaults.push(Fact::new(line, source));
                    continue;
                }
                _ => {}
            }
            let alias = ALIASES.iter().find(|(word, _)| *word == first);
            let read = match alias {
                Some((word, kind)) => self.aliases(kind, line.get(word.len()..).unwrap_or_default(), &source),
                None => self.rules(&line, &source),
            };
            if read.is_none() {
                self.found.odd.push(Fact::new(line, source));
            }
        }
    }

    fn include(&mut self, from: &Text, path: &str, is_dir: bool, depth: usize) {
        let path = path.trim_matches('"').replace("\\ ", " ");
        if depth >= DEEPEST || path.is_empty() {
            return;
        }
        let path = if path.starts_with('/') {
            path.into_bytes()
        } else {
            let at = from.path().iter().rposition(|b| *b == b'/').unwrap_or(0);
            join(from.path().get(..at).unwrap_or_default(), path.as_bytes())
        };
        let paths = if is_dir {
            let names = self.files.names(&path).into_iter();
            // So that packages' leftovers and editors' copies do not count.
            let fits = |name: &Vec<u8>| !name.contains(&b'.') && !name.ends_with(b"~");
            names.filter(fits).map(|name| join(&path, &name)).collect()
        } else {
            vec![path]
        };
        for path in paths {
            let Some(left) = self.left.checked_sub(1) else {
                return;
            };
            self.left = left;
            if let Some(text) = self.files.text(path) {
                self.file(&text, depth.saturating_add(1));
            }
        }
    }

    /// `NAME = member, member : NAME = …`
    fn aliases(&mut self, kind: &str, line: &str, source: &Source) -> Option<()> {
        let mut cursor = Cursor(line);
        loop {
            let name = cursor.word(|c| c == '=' || c.is_whitespace())?;
            cursor.expect('=')?;
            let mut members = Vec::new();
            loop {
                // Commands have arguments, other members are single words.
                members.push(if kind == "command" {
                    cursor.command()?
                } else {
                    cursor.member()?
                });
                if !cursor.take(',') {
                    break;
                }
            }
            self.found.aliases.push(SudoAlias {
                kind: kind.to_owned(),
                name,
                members,
                source: source.clone(),
            });
            if !cursor.take(':') {
                return cursor.end();
            }
        }
    }

    /// `who hosts = commands : hosts = commands`
    fn rules(&mut self, line: &str, source: &Source) -> Option<()> {
        let mut cursor = Cursor(line);
        let who = cursor.members()?;
        let mut rules: Vec<SudoRule> = Vec::new();
        loop {
            let hosts = cursor.members()?;
            cursor.expect('=')?;
            let mut rule = SudoRule {
                who: who.clone(),
                hosts,
                run_as_users: Vec::new(),
                run_as_groups: Vec::new(),
                tags: Vec::new(),
                commands: Vec::new(),
                source: source.clone(),
            };
            loop {
                // What stands before a command holds for those behind it, too.
                let mut next = SudoRule {
                    commands: Vec::new(),
                    ..rule.clone()
                };
                cursor.before_command(&mut next)?;
                let command = cursor.command()?;
                let same = (&next.run_as_users, &next.run_as_groups, &next.tags)
                    == (&rule.run_as_users, &rule.run_as_groups, &rule.tags);
                if !same && !rule.commands.is_empty() {
                    rules.push(std::mem::replace(&mut rule, next));
                } else if !same {
                    rule = next;
                }
                rule.commands.push(command);
                if !cursor.take(',') {
                    break;
                }
            }
            rules.push(rule);
            if !cursor.take(':') {
                cursor.end()?;
                self.found.rules.extend(rules);
                return Some(());
            }
        }
    }
}

/// Lines as sudo sees them: continued ones joined, comments left out, with the place where each begins.
fn logical(text: &Text) -> Vec<(String, Source)> {
    let mut all = Vec::new();
    let mut open: Option<(String, Source)> = None;
    for line in text.lines() {
        let (mut whole, source) = open.take().unwrap_or_else(|| (String::new(), line.source()));
        let part = line.text.trim_start();
        let directive =
            whole.is_empty() && (part.starts_with("#include ") || part.starts_with("#includedir "));
        let said = if directive { part } else { without_comment(part) };
        match said.strip_suffix('\\').filter(|_| said.len() == part.len()) {
            Some(said) => {
                whole.push_str(said);
                whole.push(' ');
                open = Some((whole, source));
            }
            None => {
                whole.push_str(said);
                let line = whole.trim();
                if !line.is_empty() {
                    all.push((line.to_owned(), source));
                }
            }
        }
    }
    all.extend(
        open.map(|(line, source)| (line.trim().to_owned(), source))
            .filter(|(line, _)| !line.is_empty()),
    );
    all
}

/// A `#` begins a comment, except before the digits of a number and inside quotes.
fn without_comment(line: &str) -> &str {
    let (mut quoted, mut escaped) = (false, false);
    for (at, c) in line.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => quoted = !quoted,
            '#' if !quoted => {
                let rest = line.get(at..).unwrap_or_default();
                let number = rest.get(1..).is_some_and(|r| {
                    r.trim_start_matches('-')
                        .starts_with(|c: char| c.is_ascii_digit())
                });
                if !number {
                    return line.get(..at).unwrap_or_default().trim_end();
                }
            }
            _ => {}
        }
    }
    line
}

/// The rest of a line.
struct Cursor<'a>(&'a str);

impl Cursor<'_> {
    fn skip(&mut self) {
        self.0 = self.0.trim_start();
    }

    fn take(&mut self, c: char) -> bool {
        self.skip();
        let rest = self.0.strip_prefix(c);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    fn expect(&mut self, c: char) -> Option<()> {
        self.take(c).then_some(())
    }

    fn end(&mut self) -> Option<()> {
        self.skip();
        self.0.is_empty().then_some(())
    }

    /// What stands before one of `stops`; quotes hold it together and are taken off, and so are backslashes.
    fn word(&mut self, stops: impl Fn(char) -> bool) -> Option<String> {
        self.skip();
        let mut out = String::new();
        let mut quoted = false;
        let mut end = self.0.len();
        let mut chars = self.0.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => quoted = !quoted,
                '\\' => out.extend(chars.next().map(|(_, c)| c)),
                c if !quoted && stops(c) => {
                    end = at;
                    break;
                }
                c => out.push(c),
            }
        }
        self.0 = self.0.get(end..).unwrap_or_default();
        (!out.is_empty()).then_some(out)
    }

    /// A user, group or machine, with the `!` before it.
    fn member(&mut self) -> Option<String> {
        let mut not = String::new();
        while self.take('!') {
            not.push('!');
        }
        // An address may have colons, and then no alias follows: `:` ends a word only before a blank.
        let word = self.word(|c| c.is_whitespace() || matches!(c, ',' | '=' | '(' | ')' | ':'))?;
        Some(format!("{not}{word}"))
    }

    fn members(&mut self) -> Option<Vec<String>> {
        let mut all = vec![self.member()?];
        while self.take(',') {
            all.push(self.member()?);
        }
        Some(all)
    }

    /// `(users : groups)`, options and tags.
    fn before_command(&mut self, rule: &mut SudoRule) -> Option<()> {
        if self.take('(') {
            let list = |cursor: &mut Self| {
                let mut all = Vec::new();
                cursor.skip();
                while !cursor.0.starts_with([':', ')']) {
                    all.push(cursor.member()?);
                    if !cursor.take(',') {
                        break;
                    }
                    cursor.skip();
                }
                Some(all)
            };
            rule.run_as_users = list(self)?;
            rule.run_as_groups = if self.take(':') { list(self)? } else { Vec::new() };
            self.expect(')')?;
        }
        loop {
            self.skip();
            let name: String = self
                .0
                .chars()
                .take_while(|c| c.is_ascii_uppercase() || *c == '_')
                .collect();
            let rest = self.0.get(name.len()..).unwrap_or_default().trim_start();
            if let Some(rest) = rest.strip_prefix(':').filter(|_| TAGS.contains(&name.as_str())) {
                self.0 = rest;
                let plain = |tag: &str| {
                    tag.strip_prefix("NO")
                        .filter(|t| TAGS.contains(t))
                        .map_or(tag.to_owned(), str::to_owned)
                };
                // `PASSWD` takes `NOPASSWD` back.
                rule.tags.retain(|tag| plain(tag) != plain(&name));
                rule.tags.push(name);
            } else if let Some(rest) = rest
                .strip_prefix('=')
                .filter(|_| OPTIONS.contains(&name.as_str()))
            {
                self.0 = rest;
                let value = self.word(|c| c.is_whitespace() || c == ',')?;
                rule.tags.push(format!("{name}={value}"));
            } else {
                return Some(());
            }
        }
    }

    /// A command with its arguments, to the comma or colon that ends it.
    fn command(&mut self) -> Option<String> {
        self.skip();
        let mut out = String::new();
        // The colon of a digest ends nothing.
        for digest in ["sha224:", "sha256:", "sha384:", "sha512:"] {
            if let Some(rest) = self.0.strip_prefix(digest) {
                self.0 = rest;
                out = format!("{digest}{} ", self.word(|c| c.is_whitespace() || c == ',')?);
            }
        }
        self.skip();
        let mut end = self.0.len();
        let mut chars = self.0.char_indices();
        let mut quoted = false;
        while let Some((at, c)) = chars.next() {
            match c {
                '\\' => match chars.next() {
                    Some((_, c @ (',' | ':' | '=' | '\\' | '#' | '"'))) => out.push(c),
                    Some((_, c)) => out.extend(['\\', c]),
                    None => {}
                },
                '"' => {
                    quoted = !quoted;
                    out.push(c);
                }
                ',' | ':' if !quoted => {
                    end = at;
                    break;
                }
                c => out.push(c),
            }
        }
        self.0 = self.0.get(end..).unwrap_or_default();
        let out = out.trim();
        (!out.is_empty()).then(|| out.to_owned())
    }
}
