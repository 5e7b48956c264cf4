//! Scripts of GRUB 2, as far as it takes to know its menu: assignments, conditions on variables, menu entries with the
//! kernels they start. Follows the GNU GRUB Manual, "Writing full configuration files directly".
//!
//! What a condition asks of the machine (`-f`, `test`, a command) is not known here; its first branch is taken, as in
//! the files that distributions make, where the other one is for a failure.

use h2k_guest::look::Line;
use h2k_guest::{Source, Text};
use std::collections::BTreeMap;

/// What is read of a hostile script: lines, entries, characters of a variable.
const ENTRIES: usize = 4096;
const VALUE: usize = 4096;
const DEPTH: usize = 64;

/// One entry of the menu.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MenuEntry {
    /// What a person reads.
    pub title: String,
    /// `--id`.
    pub id: Option<String>,
    /// The menus it is in, with their titles and identifiers, the outermost first.
    pub menus: Vec<(String, Option<String>)>,
    /// Its place: the number in each menu, the outermost first.
    pub place: Vec<usize>,
    /// The kernel, as written.
    pub kernel: Option<String>,
    /// What the kernel is told.
    pub command_line: String,
    /// The initramfs images.
    pub initramfs: Vec<String>,
    /// `search --fs-uuid`.
    pub search: Option<String>,
    /// `set root=`.
    pub root: Option<String>,
    /// Another loader that it starts.
    pub chain: Option<String>,
    /// Where it begins.
    pub source: Source,
}

/// What a script makes of the menu.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Script {
    /// Its entries, in order.
    pub entries: Vec<MenuEntry>,
    /// Its variables, and where they were last set.
    pub variables: BTreeMap<String, (String, Source)>,
    /// Whether it takes entries from `loader/entries` (`blscfg`), and where it says so.
    pub bls: Option<Source>,
    /// Other scripts that it reads outside of entries.
    pub reads: Vec<String>,
}

/// What is open while lines go by.
enum Frame {
    /// `if`: whether this branch is taken, and whether one was before.
    If { taken: bool, done: bool },
    /// A menu, with its title, identifier and number, and the number the next entry in it has.
    Menu {
        title: String,
        id: Option<String>,
        at: usize,
        next: usize,
    },
    /// An entry.
    Entry,
    /// A loop, a function, a block: its body is passed over, or not.
    Other { taken: bool },
}

/// Reads a script. `start` are the variables it begins with.
#[must_use]
pub fn read(text: &Text, start: &[(&str, &str)]) -> Script {
    let mut reader = Reader::default();
    for (name, value) in start {
        reader.set(name, value, text.source());
    }
    for line in text.lines() {
        for command in commands(line.text, &reader.script.variables) {
            reader.command(&command, &line);
        }
    }
    reader.script
}

#[derive(Default)]
struct Reader {
    script: Script,
    frames: Vec<Frame>,
    /// Frames that were not kept because there are too many.
    deep: usize,
    top: usize,
}

impl Reader {
    fn taken(&self) -> bool {
        self.deep == 0
            && self.frames.iter().all(|f| match f {
                Frame::If { taken, .. } | Frame::Other { taken } => *taken,
                Frame::Menu { .. } | Frame::Entry => true,
            })
    }

    fn in_entry(&self) -> bool {
        self.frames.iter().any(|f| matches!(f, Frame::Entry))
    }

    fn set(&mut self, name: &str, value: &str, source: Source) {
        if self.script.variables.len() < ENTRIES || self.script.variables.contains_key(name) {
            let value: String = value.chars().take(VALUE).collect();
            self.script.variables.insert(name.to_owned(), (value, source));
        }
    }

    fn push(&mut self, frame: Frame) {
        match self.frames.len() < DEPTH && self.deep == 0 {
            true => self.frames.push(frame),
            false => self.deep = self.deep.saturating_add(1),
        }
    }

    fn pop(&mut self) {
        match self.deep.checked_sub(1) {
            Some(less) => self.deep = less,
            None => drop(self.frames.pop()),
        }
    }

    /// One command. What words mean that open and close things is clear also where nothing is taken.
    fn command(&mut self, words: &[String], line: &Line<'_>) {
        let Some((first, rest)) = words.split_first() else {
            return;
        };
        match first.as_str() {
            "if" => {
                let holds = condition(rest).unwrap_or(true);
                self.push(Frame::If {
                    taken: holds,
                    done: holds,
                });
            }
            "elif" => {
                let holds = condition(rest).unwrap_or(true);
                if let Some(Frame::If { taken, done }) = self.frames.last_mut().filter(|_| self.deep == 0) {
                    *taken = !*done && holds;
                    *done |= holds;
                }
            }
            "else" => {
                if let Some(Frame::If { taken, done }) = self.frames.last_mut().filter(|_| self.deep == 0) {
                    *taken = !*done;
                    *done = true;
                }
                self.command(rest, line);
            }
            "then" | "do" => self.command(rest, line),
            "fi" | "done" | "}" => self.pop(),
            "for" | "while" | "until" => self.push(Frame::Other { taken: false }),
            "function" => self.push(Frame::Other { taken: false }),
            "menuentry" => self.entry(rest, line),
            "submenu" => self.menu(rest),
            "{" => self.push(Frame::Other { taken: true }),
            _ if self.taken() => {
                self.plain(first, rest, line);
                if words.last().is_some_and(|w| w == "{") {
                    self.push(Frame::Other { taken: true });
                }
            }
            _ if words.last().is_some_and(|w| w == "{") => self.push(Frame::Other { taken: false }),
            _ => {}
        }
    }

    /// The number that the next entry has in the menu that is open.
    fn number(&mut self) -> usize {
        let menus = self.frames.iter_mut().rev();
        let next = menus.into_iter().find_map(|f| match f {
            Frame::Menu { next, .. } => Some(next),
            _ => None,
        });
        let next = next.unwrap_or(&mut self.top);
        let number = *next;
        *next = next.saturating_add(1);
        number
    }

    fn entry(&mut self, words: &[String], line: &Line<'_>) {
        if !self.taken() || self.in_entry() || self.script.entries.len() >= ENTRIES {
            self.push(Frame::Other { taken: false });
            return;
        }
        let (title, id) = titled(words);
        let (mut menus, mut place) = (Vec::new(), Vec::new());
        for frame in &self.frames {
            if let Frame::Menu { title, id, at, .. } = frame {
                menus.push((title.clone(), id.clone()));
                place.push(*at);
            }
        }
        place.push(self.number());
        let root = self.script.variables.get("root").map(|(v, _)| v.clone());
        self.script.entries.push(MenuEntry {
            title,
            id,
            menus,
            place,
            kernel: None,
            command_line: String::new(),
            initramfs: Vec::new(),
            search: None,
            root,
            chain: None,
            source: line.source(),
        });
        self.push(Frame::Entry);
    }

    fn menu(&mut self, words: &[String]) {
        if !self.taken() {
            self.push(Frame::Other { taken: false });
            return;
        }
        let (title, id) = titled(words);
        let at = self.number();
        self.push(Frame::Menu {
            title,
            id,
            at,
            next: 0,
        });
    }

    fn plain(&mut self, first: &str, rest: &[String], line: &Line<'_>) {
        let inside = self.in_entry();
        let assigned = match first {
            "set" => rest.first().and_then(|w| w.split_once('=')),
            _ => first.split_once('=').filter(|_| rest.is_empty()),
        };
        if let Some((name, value)) = assigned {
            if inside && name == "root" {
                if let Some(entry) = self.script.entries.last_mut() {
                    entry.root = Some(value.to_owned());
                }
            } else if !inside {
                self.set(name, value, line.source());
            }
            return;
        }
        let Some(entry) = self.script.entries.last_mut().filter(|_| inside) else {
            match first {
                "blscfg" => self.script.bls = Some(line.source()),
                "configfile" | "source" | "." if self.script.reads.len() < 64 => {
                    self.script.reads.extend(rest.first().cloned());
                }
                "search" | "search.fs_uuid" => {
                    if let Some(uuid) = searched(first, rest) {
                        self.set("search", &uuid, line.source());
                    }
                }
                _ => {}
            }
            return;
        };
        match first {
            "linux" | "linux16" | "linuxefi" | "kernel" => {
                if let Some((kernel, words)) = rest.split_first() {
                    entry.kernel = Some(kernel.clone());
                    entry.command_line = words.join(" ");
                }
            }
            "initrd" | "initrd16" | "initrdefi" => entry.initramfs = rest.to_vec(),
            // Xen: the kernel is its first module, the initramfs the second.
            "module" | "module2" => {
                let words: Vec<&String> = rest.iter().filter(|w| !w.starts_with("--")).collect();
                if let Some((file, words)) = words.split_first() {
                    if entry.kernel.is_none() {
                        entry.kernel = Some((*file).clone());
                        entry.command_line = words.iter().map(|w| w.as_str()).collect::<Vec<_>>().join(" ");
                    } else {
                        entry.initramfs.push((*file).clone());
                    }
                }
            }
            "chainloader" => entry.chain = rest.last().cloned(),
            "search" | "search.fs_uuid" => {
                entry.search = searched(first, rest).or_else(|| entry.search.take())
            }
            _ => {}
        }
    }
}

/// Title and `--id` of a menu or entry. `$menuentry_id_option` comes before the identifier in files that GRUB makes.
fn titled(words: &[String]) -> (String, Option<String>) {
    let mut title = None;
    let mut id = None;
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--id" => id = words.next().cloned(),
            "--class" | "--users" | "--hotkey" => drop(words.next()),
            "{" => break,
            w if w.starts_with("--") => {
                if let Some(value) = w.strip_prefix("--id=") {
                    id = Some(value.to_owned());
                }
            }
            _ if title.is_none() => title = Some(word.clone()),
            _ => {}
        }
    }
    (title.unwrap_or_default(), id)
}

/// What `search` looks for, if it is a UUID.
fn searched(command: &str, words: &[String]) -> Option<String> {
    let by_uuid = command == "search.fs_uuid" || words.iter().any(|w| w == "--fs-uuid" || w == "-u");
    let mut plain = words.iter().filter(|w| !w.starts_with('-'));
    by_uuid.then(|| plain.next_back().cloned()).flatten()
}

/// Whether a condition on strings holds; `None` for what only a machine can say.
fn condition(words: &[String]) -> Option<bool> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let inner = match words.as_slice() {
        ["[", inner @ .., "]"] | ["test", inner @ ..] => inner,
        ["true"] => return Some(true),
        ["false"] => return Some(false),
        _ => return None,
    };
    match inner {
        [] => Some(false),
        ["!", rest @ ..] => {
            let mut again = vec!["[".to_owned()];
            again.extend(rest.iter().map(|w| (*w).to_owned()));
            again.push("]".to_owned());
            (rest.len() < inner.len())
                .then(|| condition(&again))
                .flatten()
                .map(|holds| !holds)
        }
        ["-n", word] => Some(!word.is_empty()),
        ["-z", word] => Some(word.is_empty()),
        [word] => Some(!word.is_empty()),
        [a, "=" | "==", b] => Some(a == b),
        [a, "!=", b] => Some(a != b),
        _ => None,
    }
}

/// A line as commands: words with quotes taken off and variables filled in; `;` ends a command, `#` the line.
fn commands(line: &str, variables: &BTreeMap<String, (String, Source)>) -> Vec<Vec<String>> {
    let mut all = Vec::new();
    let mut words: Vec<String> = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = line.chars().peekable();
    let mut budget = 16 * VALUE;
    let mut fill = |chars: &mut std::iter::Peekable<std::str::Chars<'_>>, word: &mut String| {
        let mut name = String::new();
        let braced = chars.next_if_eq(&'{').is_some();
        while let Some(c) = chars.next_if(|c| {
            c.is_ascii_alphanumeric() || *c == '_' || (braced && *c != '}') || (*c == '?' && name.is_empty())
        }) {
            name.push(c);
        }
        if braced {
            chars.next_if_eq(&'}');
        }
        if let Some((value, _)) = variables.get(&name).filter(|(v, _)| v.len() <= budget) {
            budget = budget.saturating_sub(value.len());
            word.push_str(value);
        }
        // What a variable was that nobody set is empty.
        name.is_empty()
    };
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' | '\r' => words.extend(word.take()),
            '#' if word.is_none() => break,
            ';' => {
                words.extend(word.take());
                all.push(std::mem::take(&mut words));
            }
            '\'' => {
                let word = word.get_or_insert_default();
                word.extend(chars.by_ref().take_while(|c| *c != '\''));
            }
            '"' => {
                let word = word.get_or_insert_default();
                while let Some(c) = chars.next() {
                    match c {
                        '"' => break,
                        '\\' => match chars.next() {
                            Some(c @ ('"' | '\\' | '$')) => word.push(c),
                            Some(c) => word.extend(['\\', c]),
                            None => {}
                        },
                        '$' => {
                            if fill(&mut chars, word) {
                                word.push('$');
                            }
                        }
                        c => word.push(c),
                    }
                }
            }
            '\\' => word.get_or_insert_default().extend(chars.next()),
            '$' => {
                let mut filled = word.take().unwrap_or_default();
                let plain = fill(&mut chars, &mut filled);
                if plain {
                    filled.push('$');
                }
                // An unquoted variable may stand for several words, or for none.
                let mut parts = filled.split(' ').filter(|p| !p.is_empty()).map(str::to_owned);
                let mut last = parts.next();
                for next in parts {
                    words.extend(last.replace(next));
                }
                word = last;
            }
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    all.push(words);
    all.retain(|words| !words.is_empty());
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_and_filled_in_as_grub_does() {
        let mut variables = BTreeMap::new();
        for (name, value) in [("a", "one two"), ("menuentry_id_option", "--id")] {
            variables.insert(name.to_owned(), (value.to_owned(), Source::named("x")));
        }
        for (line, expected) in [
            (
                "menuentry 'Debian GNU/Linux' $menuentry_id_option 'x-1' {",
                vec![vec!["menuentry", "Debian GNU/Linux", "--id", "x-1", "{"]],
            ),
            (
                "if [ x$a = \"x${a}\" ]; then set b=\"$a\"; fi # no",
                vec![
                    vec!["if", "[", "xone", "two", "=", "xone two", "]"],
                    vec!["then", "set", "b=one two"],
                    vec!["fi"],
                ],
            ),
            (
                "linux /vmlinuz ro ${gone}  quiet\\ x",
                vec![vec!["linux", "/vmlinuz", "ro", "quiet x"]],
            ),
            ("set root='hd0,msdos1'", vec![vec!["set", "root=hd0,msdos1"]]),
            ("  # all of it", vec![]),
        ] {
            assert_eq!(commands(line, &variables), expected, "{line}");
        }
    }
}
