//! `localectl` offline: keyboards.

use h2k_guest::look::join;
use h2k_guest::{Fact, Look, Text};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeSet;

/// How a guest's keyboard is laid out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Keyboard {
    /// The console's map.
    pub vc_keymap: Option<Fact<String>>,
    /// Another one to switch to.
    pub vc_keymap_toggle: Option<Fact<String>>,
    /// Layout of the graphical environment.
    pub x11_layout: Option<Fact<String>>,
    /// Model of the keyboard.
    pub x11_model: Option<Fact<String>>,
    /// Variant of the layout.
    pub x11_variant: Option<Fact<String>>,
    /// Options of the layout.
    pub x11_options: Option<Fact<String>>,
}

impl Keyboard {
    pub(super) fn of(look: &Look<'_>) -> Self {
        let console = look.first_text(["/etc/vconsole.conf", "/etc/sysconfig/keyboard"]);
        let assigned = |text: &Option<Text>, keys: &[&str]| {
            let text = text.as_ref()?;
            let mut found = keys.iter().filter_map(|key| text.assigned(key));
            found.find(|fact| !fact.value.is_empty())
        };
        let debian = look.text("/etc/default/keyboard");
        let xorg = look.text("/etc/X11/xorg.conf.d/00-keyboard.conf");
        let x11 = |option: &str, key: &str| {
            let set = xorg.as_ref().and_then(|text| xorg_option(text, option));
            // Since version 254 systemd keeps these in vconsole.conf, too.
            set.or_else(|| assigned(&debian, &[key]))
                .or_else(|| assigned(&console, &[key]))
        };
        Self {
            vc_keymap: assigned(&console, &["KEYMAP", "KEYTABLE"]),
            vc_keymap_toggle: assigned(&console, &["KEYMAP_TOGGLE"]),
            x11_layout: x11("XkbLayout", "XKBLAYOUT"),
            x11_model: x11("XkbModel", "XKBMODEL"),
            x11_variant: x11("XkbVariant", "XKBVARIANT"),
            x11_options: x11("XkbOptions", "XKBOPTIONS"),
        }
    }
}

/// `Option "XkbLayout" "de"` in a section of input devices.
fn xorg_option(text: &Text, option: &str) -> Option<Fact<String>> {
    let found = text.spoken().filter_map(|line| {
        let mut words = line.text.split('"');
        let head = words.next()?.trim();
        let name = words.next()?;
        let value = words.nth(1)?;
        let is = head.eq_ignore_ascii_case("option") && name.eq_ignore_ascii_case(option);
        (is && !value.is_empty()).then(|| line.fact(value.to_owned()))
    });
    found.last()
}

/// Where keymaps of the console lie.
const MAPS: [&str; 4] = [
    "/usr/share/keymaps",
    "/usr/share/kbd/keymaps",
    "/usr/lib/kbd/keymaps",
    "/lib/kbd/keymaps",
];
/// Directories below directories of keymaps.
const DEPTH: usize = 8;

/// `localectl list-keymaps`: the maps of the console that a guest has, sorted.
#[must_use]
pub fn keymaps(look: &Look<'_>) -> Vec<String> {
    let mut all = BTreeSet::new();
    let mut todo: Vec<(Vec<u8>, usize)> = MAPS.map(|dir| (dir.as_bytes().to_vec(), 0)).into();
    while let Some((dir, depth)) = todo.pop() {
        for name in look.names(&dir) {
            let text = String::from_utf8_lossy(&name);
            let map = text.strip_suffix(".map").or_else(|| text.strip_suffix(".map.gz"));
            match map {
                Some(map) => {
                    all.insert(map.to_owned());
                }
                // Parts of maps, which are no maps themselves.
                None if text == "include" || text.contains('.') => {}
                None if depth < DEPTH => {
                    let path = join(&dir, &name);
                    if look
                        .stat_itself(&path)
                        .is_some_and(|s| s.kind == h2k_fs::FileKind::Dir)
                    {
                        todo.push((path, depth.saturating_add(1)));
                    }
                }
                None => {}
            }
        }
    }
    all.into_iter().collect()
}

/// What a guest's X keyboard data lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum XkbList {
    /// Keyboards: `localectl list-x11-keymap-models`.
    Models,
    /// Layouts: `localectl list-x11-keymap-layouts`.
    Layouts,
    /// Variants, of one layout where one is named: `localectl list-x11-keymap-variants`.
    Variants,
    /// Options: `localectl list-x11-keymap-options`.
    Options,
}

/// The names in one section of `/usr/share/X11/xkb/rules/base.lst`, sorted; of variants those of `layout` only, where
/// that is given.
#[must_use]
pub fn xkb(look: &Look<'_>, list: XkbList, layout: Option<&str>) -> Vec<String> {
    let wanted = match list {
        XkbList::Models => "model",
        XkbList::Layouts => "layout",
        XkbList::Variants => "variant",
        XkbList::Options => "option",
    };
    let Some(text) = look.text("/usr/share/X11/xkb/rules/base.lst") else {
        return Vec::new();
    };
    let mut here = false;
    let mut all = BTreeSet::new();
    for line in text.lines() {
        if let Some(section) = line.text.strip_prefix("! ") {
            here = section.trim() == wanted;
            continue;
        }
        let mut words = line.text.split_whitespace();
        let Some(name) = words.next().filter(|_| here) else {
            continue;
        };
        // A variant's line names its layout: `nodeadkeys  de: German (no dead keys)`.
        let of = words.next().map(|word| word.trim_end_matches(':'));
        if list != XkbList::Variants || layout.is_none() || layout == of {
            all.insert(name.to_owned());
        }
    }
    all.into_iter().collect()
}
