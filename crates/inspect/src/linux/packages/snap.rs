//! snapd: its state says which revision of each snap counts. The version is inside the snap, which is not opened.

use crate::linux::json;
use crate::packages::InstalledPackage;
use h2k_guest::{Look, Source};
use serde::Deserialize;
use std::collections::BTreeMap;

const STATE: &str = "/var/lib/snapd/state.json";

#[derive(Deserialize)]
struct State {
    #[serde(default)]
    data: Data,
}

#[derive(Default, Deserialize)]
struct Data {
    #[serde(default)]
    snaps: BTreeMap<String, Snap>,
}

#[derive(Deserialize)]
struct Snap {
    #[serde(default)]
    active: bool,
    current: Option<serde_json::Value>,
    channel: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
}

pub(super) fn look(files: &Look<'_>) -> Vec<InstalledPackage> {
    let Some(state) = json::read::<State>(files, STATE.as_bytes()) else {
        return Vec::new();
    };
    let each = state.data.snaps.iter().map(|(name, snap)| {
        // A number; `x1` of a snap that was made here.
        let revision = match &snap.current {
            Some(serde_json::Value::String(s)) => s.clone(),
            Some(serde_json::Value::Number(n)) => n.to_string(),
            _ => String::new(),
        };
        let mut package = super::plain("snap", name, &revision, &Source::file(STATE.as_bytes()));
        if !snap.active {
            "disabled".clone_into(&mut package.state);
        }
        package.vendor.clone_from(&snap.channel);
        package.group.clone_from(&snap.kind);
        package
    });
    each.collect()
}
