//! nftables: files in the language of nft(8), with what they include.

use crate::firewall::{Chain, Firewall, Rule};
use crate::linux::network::glob;
use crate::linux::started::Started;
use h2k_guest::look::join;
use h2k_guest::{Look, Source, Text};
use std::collections::BTreeSet;

/// How deep files may include others; nft itself goes 16 deep.
const DEEPEST: usize = 16;
const FILES: usize = 1024;

/// A statement with where it begins: up to a line's end, a semicolon, a brace that opens or closes a block.
struct Said {
    text: String,
    end: End,
    source: Source,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Statement,
    Opens,
    Closes,
}

pub(super) fn look(look: &Look<'_>, started: &Started) -> Option<Firewall> {
    let enabled = started.state("nftables");
    let places = [
        "/etc/nftables.conf",
        "/etc/sysconfig/nftables.conf",
        "/etc/nftables.nft",
        "/var/lib/nftables/rules-save",
    ];
    let texts: Vec<Text> = places.iter().filter_map(|path| look.text(path)).collect();
    if texts.is_empty() {
        return None;
    }
    let mut found = Firewall::new("nftables");
    found.enabled = enabled;
    let mut seen = BTreeSet::new();
    for text in &texts {
        let mut all = Vec::new();
        read(look, text, DEEPEST, &mut seen, &mut all);
        rules(&all, &mut found);
    }
    Some(found)
}

fn read(look: &Look<'_>, text: &Text, deeper: usize, seen: &mut BTreeSet<Vec<u8>>, all: &mut Vec<Said>) {
    if !seen.insert(text.path().to_vec()) || seen.len() > FILES {
        return;
    }
    for said in statements(text) {
        let Some(pattern) = said
            .text
            .strip_prefix("include ")
            .filter(|_| said.end == End::Statement)
        else {
            all.push(said);
            continue;
        };
        let pattern = pattern.trim().trim_matches(['"', '\'']);
        for path in named(look, pattern) {
            if let Some(text) = look.text(&path).filter(|_| deeper > 0) {
                read(look, &text, deeper.saturating_sub(1), seen, all);
            }
        }
    }
}

fn named(look: &Look<'_>, pattern: &str) -> Vec<Vec<u8>> {
    // What is no path is looked for where nft was built to look.
    let whole = if pattern.starts_with('/') {
        pattern.to_owned()
    } else {
        format!("/etc/{}", pattern.trim_start_matches("./"))
    };
    let Some((dir, last)) = whole.rsplit_once('/').filter(|(_, last)| last.contains('*')) else {
        return vec![whole.into_bytes()];
    };
    let names = look.names(dir);
    let fits = names
        .iter()
        .filter(|n| glob::matches(last, &String::from_utf8_lossy(n)));
    fits.map(|name| join(dir.as_bytes(), name)).collect()
}

/// Quotes and comments keep what ends a statement elsewhere from ending it; so do braces behind anything but the head
/// of a block, which are sets.
fn statements(text: &Text) -> Vec<Said> {
    let mut all = Vec::new();
    let mut now = String::new();
    let mut begins: Option<Source> = None;
    let mut inner = 0_usize;
    for line in text.lines() {
        let mut quoted = false;
        let continued = line.text.ends_with('\\');
        let body = line.text.strip_suffix('\\').unwrap_or(line.text);
        for c in body.chars() {
            if c == '"' {
                quoted = !quoted;
            }
            let mut done = None;
            match c {
                '#' if !quoted => break,
                '{' if !quoted && inner == 0 && opens(now.trim()) => done = Some(End::Opens),
                '{' if !quoted => {
                    inner = inner.saturating_add(1);
                    now.push(c);
                }
                '}' if !quoted && inner > 0 => {
                    inner = inner.saturating_sub(1);
                    now.push(c);
                }
                '}' if !quoted => {
                    end(&mut all, &mut now, &mut begins, End::Statement);
                    begins.get_or_insert_with(|| line.source());
                    done = Some(End::Closes);
                }
                ';' if !quoted && inner == 0 => done = Some(End::Statement),
                c => {
                    if !c.is_whitespace() {
                        begins.get_or_insert_with(|| line.source());
                    }
                    now.push(c);
                }
            }
            if let Some(done) = done {
                end(&mut all, &mut now, &mut begins, done);
            }
        }
        if inner > 0 || continued {
            now.push(' ');
        } else {
            end(&mut all, &mut now, &mut begins, End::Statement);
        }
    }
    end(&mut all, &mut now, &mut begins, End::Statement);
    all
}

fn end(all: &mut Vec<Said>, now: &mut String, begins: &mut Option<Source>, end: End) {
    let source = begins.take();
    let text = now.split_whitespace().collect::<Vec<_>>().join(" ");
    now.clear();
    if let Some(source) = source
        && (end == End::Closes || !text.is_empty())
    {
        all.push(Said { text, end, source });
    }
}

/// Whether a brace behind these words begins a block.
fn opens(head: &str) -> bool {
    let mut words = head
        .split_whitespace()
        .skip_while(|w| matches!(*w, "add" | "create"));
    matches!(
        words.next(),
        Some(
            "table"
                | "chain"
                | "set"
                | "map"
                | "flowtable"
                | "counter"
                | "quota"
                | "limit"
                | "secmark"
                | "synproxy"
                | "ct"
        )
    ) && !head.contains(['=', '{'])
        && words.clone().count() <= 4
}

fn rules(all: &[Said], found: &mut Firewall) {
    let mut blocks: Vec<&str> = Vec::new();
    let mut table = String::new();
    for said in all {
        let words: Vec<&str> = said.text.split(' ').collect();
        match said.end {
            End::Opens => {
                let head: Vec<&str> = words
                    .iter()
                    .copied()
                    .skip_while(|w| matches!(*w, "add" | "create"))
                    .collect();
                let kind = head.first().copied().unwrap_or_default();
                let names = head.get(1..).unwrap_or_default().join(" ");
                match kind {
                    "table" if names.contains(' ') => table = names,
                    // Without a family it is of IPv4.
                    "table" => table = format!("ip {names}"),
                    "chain" => {
                        let (of, name) = names.rsplit_once(' ').unwrap_or((&table, &names));
                        found.chains.push(chain(of, name, &said.source));
                    }
                    _ => {}
                }
                blocks.push(kind);
            }
            End::Closes => {
                blocks.pop();
            }
            End::Statement => statement(said, &words, blocks.last().copied(), found),
        }
    }
}

fn chain(table: &str, name: &str, source: &Source) -> Chain {
    Chain {
        table: table.to_owned(),
        name: name.to_owned(),
        hook: None,
        policy: None,
        rules: Vec::new(),
        source: source.clone(),
    }
}

fn statement(said: &Said, words: &[&str], block: Option<&str>, found: &mut Firewall) {
    match (block, words.first().copied()) {
        (Some("chain"), Some(first)) => {
            let Some(chain) = found.chains.last_mut() else {
                return;
            };
            match first {
                "type" => chain.hook = Some(said.text.clone()),
                "policy" => chain.policy = words.get(1).map(|p| (*p).to_owned()),
                "comment" => {}
                _ => chain
                    .rules
                    .push(Rule::new(said.text.clone(), said.source.clone())),
            }
        }
        // `add rule inet filter input tcp dport 22 accept`, and `add chain …` with its hook in braces
        (None, Some("add" | "insert" | "create")) if words.get(1) == Some(&"rule") => {
            found
                .rules
                .push(Rule::new(said.text.clone(), said.source.clone()));
        }
        _ => {}
    }
}
