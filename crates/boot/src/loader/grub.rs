//! GRUB 2: its script, its environment block, and the entries it takes from `loader/entries`.

use super::esp::Mounted;
use super::grubenv::GrubEnv;
use super::locate::Locate;
use super::script::{self, Script};
use super::{Entry, Found, Loader, LoaderKind, bls};
use h2k_guest::{Fact, Look, Text};

/// Variables that a running GRUB 2.12 has from the beginning, as far as its own files ask for them.
const START: [(&str, &str); 6] = [
    ("feature_menuentry_id", "y"),
    ("feature_timeout_style", "y"),
    ("feature_platform_search_hint", "y"),
    ("feature_default_font_path", "y"),
    ("feature_all_video_module", "y"),
    ("grub_cpu", "x86_64"),
];

/// Where a script lies on systems that boot by BIOS, and most that boot by UEFI.
const DIRS: [&str; 2] = ["/boot/grub2", "/boot/grub"];

pub(super) fn find(look: &Look<'_>, locate: &Locate<'_>, esp: Option<&Mounted>, platform: &str) -> Found {
    let mut dirs: Vec<String> = DIRS.iter().map(|d| (*d).to_owned()).collect();
    dirs.extend(esp.map(|e| e.vendor_dirs(look)).unwrap_or_default());
    let mut stubs = Vec::new();
    let mut env = GrubEnv::find(look, &dirs);
    let mut found = None;
    // Red Hat's older layout has the script on the EFI partition alone; newer ones have a stub there.
    for dir in &dirs {
        let Some(text) = look.text(format!("{dir}/grub.cfg")) else {
            continue;
        };
        let script = run(&text, &env, platform);
        let menu = !script.entries.is_empty() || script.bls.is_some();
        match menu && found.is_none() {
            true => found = Some((text, script)),
            false => stubs.push(text.source().to_string()),
        }
    }
    let Some((text, script)) = found else {
        return Found::default();
    };
    let defaults = look.text("/etc/default/grub");
    let mut entries = of_script(&script, locate);
    if script.bls.is_some() {
        entries.splice(0..0, bls::entries(look, locate, &env, &script));
    }
    let default = default(&script, &env);
    choose(&mut entries, &script, default.as_ref().map(|d| d.value.as_str()));
    let mut files = stubs;
    files.extend(env.path.take());
    files.extend(defaults.map(|t| t.source().to_string()));
    for dir in &dirs {
        let map = format!("{dir}/device.map");
        if look.is_file(&map) {
            files.push(map);
        }
    }
    let timeout = script.variables.get("timeout");
    Found {
        loaders: vec![Loader {
            kind: LoaderKind::Grub,
            config: text.source().to_string(),
            default,
            timeout: timeout.map(|(value, source)| Fact::new(value.clone(), source.clone())),
            files,
        }],
        entries: entries.into_iter().map(|(entry, _)| entry).collect(),
    }
}

fn run(text: &Text, env: &GrubEnv, platform: &str) -> Script {
    let mut start = START.to_vec();
    start.push(("grub_platform", platform));
    for (name, value) in &env.variables {
        start.push((name, &value.value));
    }
    script::read(text, &start)
}

/// What the script's variable `default` says, told where that was read: in the environment block, if it is from there.
fn default(script: &Script, env: &GrubEnv) -> Option<Fact<String>> {
    let (value, source) = script.variables.get("default")?;
    let from = ["next_entry", "saved_entry"].iter().find_map(|name| {
        let fact = env.fact(name)?;
        (fact.value == *value).then(|| fact.source.clone())
    });
    Some(Fact::new(value.clone(), from.unwrap_or_else(|| source.clone())))
}

/// The entry, and its place in the menu.
pub(super) type Placed = (Entry, Vec<usize>);

fn of_script(script: &Script, locate: &Locate<'_>) -> Vec<Placed> {
    let entries = script.entries.iter().map(|m| {
        let mut entry = Entry::titled(LoaderKind::Grub, m.title.clone(), m.source.clone());
        entry.id.clone_from(&m.id);
        entry.menus = m.menus.iter().map(|(title, _)| title.clone()).collect();
        entry.kernel.clone_from(&m.kernel);
        entry.initramfs.clone_from(&m.initramfs);
        entry.command_line = m.kernel.is_some().then(|| m.command_line.clone());
        entry.search.clone_from(&m.search);
        entry.device.clone_from(&m.root);
        (locate.resolve(entry), m.place.clone())
    });
    entries.collect()
}

/// Marks the entry that GRUB starts: by number, title or identifier, `>` leading into menus.
fn choose(entries: &mut [Placed], script: &Script, wanted: Option<&str>) {
    let parts: Vec<&str> = wanted.unwrap_or("0").split('>').collect();
    // Entries of loader/entries come first and are numbered like the others.
    let own = |id: &str| {
        entries
            .iter()
            .position(|(e, _)| e.id.as_deref() == Some(id) || e.title == id)
    };
    let blocks = entries.len().saturating_sub(script.entries.len());
    let by_path = || {
        entries
            .iter()
            .enumerate()
            .skip(blocks)
            .find_map(|(i, (entry, place))| {
                let menu = script.entries.get(i.checked_sub(blocks)?)?;
                let shift = |at: usize, level: usize| if level == 0 { at.saturating_add(blocks) } else { at };
                let fits = |level: usize, part: &str| {
                    let number = place.get(level).map(|at| shift(*at, level).to_string());
                    let (title, id) = match menu.menus.get(level) {
                        Some((title, id)) => (title.as_str(), id.as_deref()),
                        None => (entry.title.as_str(), entry.id.as_deref()),
                    };
                    number.as_deref() == Some(part) || title == part || id == Some(part)
                };
                // A menu without more stands for its first entry.
                let first = place.iter().skip(parts.len()).all(|at| *at == 0);
                let all = parts.iter().enumerate().all(|(level, part)| fits(level, part));
                (all && first && parts.len() <= place.len()).then_some(i)
            })
    };
    let block = match parts.as_slice() {
        [only] => only
            .parse::<usize>()
            .ok()
            .filter(|n| *n < blocks)
            .or_else(|| own(only)),
        _ => None,
    };
    let chosen = block.or_else(by_path).unwrap_or(0);
    if let Some((entry, _)) = entries.get_mut(chosen) {
        entry.default = true;
    }
}
