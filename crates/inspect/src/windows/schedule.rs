//! Scheduled tasks: an XML file each (MS-TSCH 2.5), listed once more in the registry.

use super::{SOFTWARE, hive};
use crate::report::Asking;
use crate::schedule::{NotUnderstood, Schedule, Task};
use h2k_guest::look::join;
use h2k_guest::registry::RegKey;
use h2k_guest::{Look, Source};
use roxmltree::{Document, Node, ParsingOptions};
use std::collections::BTreeSet;

/// What a task may weigh; those that there are weigh some KiB.
const TASK: u64 = 1 << 20;
/// Elements of a task.
const NODES: u32 = 20_000;
/// Folders in folders.
const DEPTH: usize = 16;
/// Tasks that are read.
const MOST: usize = 20_000;

pub(crate) fn look(asking: &Asking<'_>, look: &Look<'_>) -> Schedule {
    let mut found = Schedule::default();
    let Some(top) = asking.registry().path(look, "System32/Tasks") else {
        return found;
    };
    let mut todo = vec![(top, String::new(), 0_usize)];
    while let Some((dir, name, depth)) = todo.pop() {
        for entry in look.names(&dir) {
            let path = join(&dir, &entry);
            let name = format!("{name}\\{}", String::from_utf8_lossy(&entry));
            if look.is_dir(&path) {
                if depth < DEPTH {
                    todo.push((path, name, depth.saturating_add(1)));
                }
            } else if found.tasks.len() < MOST
                && let Some(bytes) = look.bytes(&path, TASK)
            {
                match task(&bytes, &name, Source::file(&path)) {
                    Ok(task) => found.tasks.push(task),
                    Err(why) => found.not_understood.push(NotUnderstood {
                        why,
                        source: Source::file(&path),
                    }),
                }
            }
        }
    }
    found.tasks.sort_by(|a, b| a.name.cmp(&b.name));
    if let Some(software) = hive(asking, look, SOFTWARE)
        && let Some(tree) = software.key(
            look,
            "Microsoft\\Windows NT\\CurrentVersion\\Schedule\\TaskCache\\Tree",
        )
    {
        registered(tree, &mut found);
    }
    found
}

/// Tasks that the registry knows and that have no file: hidden on purpose, or damaged.
fn registered(tree: RegKey<'_>, found: &mut Schedule) {
    let names = found.tasks.iter().filter_map(|task| task.name.as_ref());
    let known: BTreeSet<String> = names.map(|name| name.to_lowercase()).collect();
    let mut todo = vec![(tree, String::new(), 0_usize)];
    let mut left = MOST;
    while let Some((key, name, depth)) = todo.pop() {
        for below in key.subkeys() {
            let Some(fewer) = left.checked_sub(1) else {
                return;
            };
            left = fewer;
            let name = format!("{name}\\{}", below.name());
            // Folders have an identifier too, and the index 0.
            let index = below.number("Index").map_or(0, |f| f.value);
            if index != 0 && !known.contains(&name.to_lowercase()) {
                found.not_understood.push(NotUnderstood {
                    why: format!("the task {name} is registered and has no file"),
                    source: below.source(),
                });
            }
            if depth < DEPTH {
                todo.push((below, name, depth.saturating_add(1)));
            }
        }
    }
}

/// Text in UTF-16 with a byte order mark, or UTF-8.
fn decoded(bytes: &[u8]) -> String {
    let units = |bytes: &[u8], read: fn([u8; 2]) -> u16| {
        let (pairs, _) = bytes.as_chunks::<2>();
        let units: Vec<u16> = pairs.iter().map(|pair| read(*pair)).collect();
        String::from_utf16_lossy(&units)
    };
    match bytes {
        [0xff, 0xfe, rest @ ..] => units(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => units(rest, u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8_lossy(rest).into_owned(),
        [_, 0, ..] => units(bytes, u16::from_le_bytes),
        _ => String::from_utf8_lossy(bytes).into_owned(),
    }
}

fn task(bytes: &[u8], name: &str, source: Source) -> Result<Task, String> {
    let text = decoded(bytes);
    let options = ParsingOptions {
        nodes_limit: NODES,
        ..ParsingOptions::default()
    };
    let document = Document::parse_with_options(&text, options).map_err(|e| e.to_string())?;
    let root = document.root_element();
    if root.tag_name().name() != "Task" {
        return Err(format!(
            "its first element is {}, expected Task",
            root.tag_name().name()
        ));
    }
    let principal = child(root, "Principals").and_then(|p| child(p, "Principal"));
    let user = principal.and_then(|p| said(p, "UserId").or_else(|| said(p, "GroupId")));
    let enabled = child(root, "Settings").and_then(|s| said(s, "Enabled"));
    let list = |name: &str, one: fn(Node<'_, '_>) -> String, between: &str| {
        let parts = child(root, name)
            .into_iter()
            .flat_map(|n| n.children().filter(Node::is_element).map(one));
        parts.collect::<Vec<_>>().join(between)
    };
    Ok(Task {
        kind: "windows".to_owned(),
        name: Some(name.to_owned()),
        when: list("Triggers", trigger, "; "),
        user,
        command: list("Actions", action, "; "),
        enabled: enabled.as_deref() != Some("false"),
        source,
    })
}

fn child<'a, 'i>(node: Node<'a, 'i>, name: &str) -> Option<Node<'a, 'i>> {
    node.children().find(|n| n.tag_name().name() == name)
}

/// What an element says, if it says something.
fn said(node: Node<'_, '_>, name: &str) -> Option<String> {
    let text = child(node, name)?.text()?.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// `Exec` with its arguments; the class of what is called otherwise.
fn action(node: Node<'_, '_>) -> String {
    let parts = ["Command", "Arguments"]
        .iter()
        .filter_map(|name| said(node, name));
    let command = parts.collect::<Vec<_>>().join(" ");
    if !command.is_empty() {
        return command;
    }
    let kind = node.tag_name().name();
    match said(node, "ClassId") {
        Some(class) => format!("{kind} {class}"),
        None => kind.to_owned(),
    }
}

/// `CalendarTrigger 2024-01-01T03:00:00 ScheduleByDay DaysInterval=1`: the kind, when it begins, and what follows as
/// written.
fn trigger(node: Node<'_, '_>) -> String {
    let mut text = node.tag_name().name().to_owned();
    let mut add = |part: &str| {
        text.push(' ');
        text.push_str(part);
    };
    if said(node, "Enabled").as_deref() == Some("false") {
        add("(disabled)");
    }
    if let Some(start) = said(node, "StartBoundary") {
        add(&start);
    }
    let more = node.children().filter(|n| {
        n.is_element() && !matches!(n.tag_name().name(), "Enabled" | "StartBoundary" | "Subscription")
    });
    for part in more {
        add(part.tag_name().name());
        for leaf in part.descendants().filter(Node::is_element) {
            let value = leaf.text().map(str::trim).filter(|t| !t.is_empty());
            match value {
                Some(value) if leaf == part => add(value),
                Some(value) => add(&format!("{}={value}", leaf.tag_name().name())),
                None if leaf != part && !leaf.has_children() => add(leaf.tag_name().name()),
                None => {}
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::task;
    use h2k_guest::Source;

    const XML: &str = "<?xml version=\"1.0\" encoding=\"UTF-16\"?>\r\n\
        <Task version=\"1.2\" xmlns=\"http://schemas.microsoft.com/windows/2004/02/mit/task\">\
        <Triggers><CalendarTrigger><StartBoundary>2024-01-01T03:00:00</StartBoundary><Enabled>true</Enabled>\
        <ScheduleByDay><DaysInterval>2</DaysInterval></ScheduleByDay></CalendarTrigger><LogonTrigger/></Triggers>\
        <Principals><Principal id=\"Author\"><UserId>S-1-5-18</UserId></Principal></Principals>\
        <Settings><Enabled>false</Enabled></Settings>\
        <Actions><Exec><Command>C:\\b.exe</Command><Arguments>/x &amp; /y</Arguments></Exec>\
        <ComHandler><ClassId>{A}</ClassId></ComHandler></Actions></Task>";

    #[test]
    fn a_task_says_when_what_and_as_whom() {
        let mut bytes = vec![0xff, 0xfe];
        bytes.extend(XML.encode_utf16().flat_map(u16::to_le_bytes));
        let found = task(&bytes, "\\Backup", Source::named("x")).unwrap();
        assert_eq!(
            found.when,
            "CalendarTrigger 2024-01-01T03:00:00 ScheduleByDay DaysInterval=2; LogonTrigger"
        );
        assert_eq!(found.command, "C:\\b.exe /x & /y; ComHandler {A}");
        assert_eq!((found.user.as_deref(), found.enabled), (Some("S-1-5-18"), false));
        assert_eq!(
            task(XML.as_bytes(), "", Source::named("x")).unwrap().command,
            found.command
        );
    }

    #[test]
    fn what_is_no_task_is_told() {
        let of = |text: &str| task(text.as_bytes(), "", Source::named("x")).unwrap_err();
        assert!(of("<Other/>").contains("expected Task"));
        assert!(!of("<Task>").is_empty());
        assert!(!of("<!DOCTYPE a [<!ENTITY b \"c\">]><Task>&b;</Task>").is_empty());
    }
}
