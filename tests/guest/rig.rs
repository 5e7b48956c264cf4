//! What `inspect` reads from a guest's disk, against what the guest itself said when it ran.
//!
//! `cargo xtask rig capture DIR IMAGE...` makes the directory that `H2K_RIG` names: images, and beside each a folder of
//! answers as the running guest printed them to its console.

use crate::run::run;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// An image, and the answers of the guest on it.
struct Witness {
    name: String,
    answers: PathBuf,
    facts: Value,
}

fn witnesses() -> Vec<Witness> {
    let Some(dir) = std::env::var_os("H2K_RIG").map(PathBuf::from) else {
        println!("skipped: no rig guests (H2K_RIG names no directory)");
        return Vec::new();
    };
    let mut all = Vec::new();
    for entry in std::fs::read_dir(&dir).unwrap() {
        let answers = entry.unwrap().path();
        let image = answers.with_extension("raw");
        if !answers.is_dir() || !image.exists() {
            continue;
        }
        let name = answers.file_name().unwrap().to_string_lossy().into_owned();
        let facts = run(&dir, &["inspect", "--json", image.to_str().unwrap()])
            .good()
            .json();
        all.push(Witness {
            name,
            answers,
            facts: facts["systems"][0].clone(),
        });
    }
    assert!(!all.is_empty(), "{} holds no guest that was asked", dir.display());
    all
}

impl Witness {
    /// The lines of an answer, blanks in a row joined.
    fn said(&self, question: &str) -> Vec<Vec<String>> {
        let text = std::fs::read_to_string(Path::new(&self.answers).join(question)).unwrap();
        text.lines()
            .map(|l| l.split_whitespace().map(str::to_owned).collect())
            .filter(|words: &Vec<String>| !words.is_empty())
            .collect()
    }

    fn text(&self, question: &str) -> String {
        std::fs::read_to_string(self.answers.join(question)).unwrap()
    }

    /// Items of a list of ours, as lines of the fields named.
    fn ours(&self, list: &str, fields: &[&str]) -> BTreeSet<String> {
        let items = self.facts.pointer(list).and_then(Value::as_array);
        let items = items.unwrap_or_else(|| panic!("{}: there is no {list}", self.name));
        let line = |item: &Value| -> String {
            let words: Vec<String> = fields.iter().map(|f| plain(&item[f])).collect();
            words.join(" ")
        };
        items.iter().map(line).collect()
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(s) => s.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

fn compared(witness: &Witness, what: &str, ours: &BTreeSet<String>, theirs: &BTreeSet<String>) {
    let missing: Vec<_> = theirs.difference(ours).collect();
    let more: Vec<_> = ours.difference(theirs).collect();
    let name = &witness.name;
    assert!(
        missing.is_empty() && more.is_empty(),
        "{name}: {what}: we miss {missing:#?}, we have besides {more:#?}"
    );
    assert!(!theirs.is_empty(), "{name}: {what}: nothing was compared");
    println!("{name}: {what}: {} agree", ours.len());
}

#[test]
fn packages_are_those_that_dpkg_query_lists() {
    for witness in witnesses() {
        let theirs = witness.said("packages").into_iter();
        let theirs = theirs.filter(|words| words.get(3).is_some_and(|s| s == "installed"));
        let theirs = theirs.map(|w| {
            let name = w[0].split(':').next().unwrap();
            format!("{name} {} {}", w[1], w[2])
        });
        let items = witness.facts["packages"]["packages"].as_array().unwrap();
        let installed = items.iter().filter(|p| p["state"] == "installed");
        let ours = installed.map(|p| {
            let epoch = p["epoch"].as_u64().map(|e| format!("{e}:")).unwrap_or_default();
            let release = p["release"].as_str().map(|r| format!("-{r}")).unwrap_or_default();
            let version = format!("{epoch}{}{release}", plain(&p["version"]));
            format!("{} {version} {}", plain(&p["name"]), plain(&p["arch"]))
        });
        compared(&witness, "packages", &ours.collect(), &theirs.collect());
    }
}

#[test]
fn accounts_are_those_that_getent_lists() {
    for witness in witnesses() {
        let ours = witness.ours("/users/users", &["name", "uid", "gid", "home", "shell"]);
        let text = witness.text("passwd");
        let theirs = text.lines().map(|line| {
            let f: Vec<&str> = line.split(':').collect();
            format!("{} {} {} {} {}", f[0], f[2], f[3], f[5], f[6])
        });
        compared(&witness, "users", &ours, &theirs.collect());
        let ours = witness.ours("/users/groups", &["name", "gid"]);
        let text = witness.text("group");
        let theirs = text.lines().map(|line| {
            let f: Vec<&str> = line.split(':').collect();
            format!("{} {}", f[0], f[2])
        });
        compared(&witness, "groups", &ours, &theirs.collect());
    }
}

#[test]
fn names_kernel_and_clock_are_what_the_guest_ran_with() {
    for witness in witnesses() {
        let facts = &witness.facts;
        let value = |pointer: &str| plain(facts.pointer(pointer).unwrap_or(&Value::Null));
        assert_eq!(value("/os/machine-id/value"), witness.text("machine-id").trim());
        let uname = witness.said("kernel").remove(0);
        assert_eq!(value("/os/hostname/value"), uname[1]);
        let kernels = facts["boot"]["kernels"].as_array().unwrap();
        let default = kernels.iter().find(|k| k["default"] == true).unwrap();
        assert_eq!(plain(&default["release"]["value"]), uname[2]);
        let entries = facts["boot"]["entries"].as_array().unwrap();
        let entry = entries.iter().find(|e| e["default"] == true).unwrap();
        let ran = witness.text("cmdline");
        let ran: Vec<&str> = ran
            .split_whitespace()
            .filter(|w| !w.starts_with("BOOT_IMAGE="))
            .collect();
        let ours = plain(&entry["command-line"]);
        assert_eq!(ours.split_whitespace().collect::<Vec<_>>(), ran);
        let zone = witness.text("time");
        let zone = zone.lines().find_map(|l| l.strip_prefix("Timezone=")).unwrap();
        let ours = value("/locale/time/zone/value");
        assert!(
            ours == zone || (ours.is_empty() && zone.ends_with("UTC")),
            "{ours} is not {zone}"
        );
        println!("{}: names, kernel, command line and zone agree", witness.name);
    }
}

#[test]
fn mounts_are_those_that_findmnt_lists() {
    for witness in witnesses() {
        let ours = witness.ours("/mounts/mounted", &["mount-point", "filesystem", "uuid"]);
        let theirs = witness.said("mounts").into_iter();
        let theirs = theirs.map(|w| format!("{} {} {}", w[0], w[2], w[3]));
        compared(&witness, "mounts", &ours, &theirs.collect());
    }
}

#[test]
fn unit_files_have_the_states_that_systemctl_lists() {
    for witness in witnesses() {
        let theirs = witness.said("unit-files").into_iter();
        // Transient units are made by programs while the guest runs; no file of the disk has them.
        let theirs: Vec<Vec<String>> = theirs.filter(|w| w[1] != "transient").collect();
        // Links that generators made at that boot change the state of what they lead to: root's file system check is
        // `enabled-runtime`, the template of the serial console's getty `indirect`. Offline there is no such boot.
        let linked = |unit: &str| {
            let state = theirs.iter().find(|w| w[0] == unit).map(|w| w[1].as_str());
            state == Some("enabled-runtime") || unit == "serial-getty@.service"
        };
        let ours = witness.ours("/units/files", &["unit", "state"]);
        let ours = ours
            .into_iter()
            .filter(|l| !linked(l.split(' ').next().unwrap()))
            .collect();
        let theirs = theirs
            .iter()
            .filter(|w| !linked(&w[0]))
            .map(|w| format!("{} {}", w[0], w[1]));
        compared(&witness, "unit files", &ours, &theirs.collect());
        let default = witness.text("default");
        let ours = witness.facts.pointer("/units/default-target/value").map(plain);
        assert_eq!(ours.as_deref(), Some(default.trim()), "{}", witness.name);
    }
}

#[test]
fn addresses_are_those_that_ip_lists() {
    for witness in witnesses() {
        let links: Value = serde_json::from_str(&witness.text("addresses")).unwrap();
        let connections = witness.facts["network"]["connections"].as_array().unwrap();
        let mut compared = 0;
        for link in links.as_array().unwrap() {
            let name = plain(&link["ifname"]);
            if name == "lo" {
                continue;
            }
            let inet = link["addr_info"].as_array().unwrap().iter();
            for address in inet.filter(|a| a["family"] == "inet") {
                let wanted = (plain(&address["local"]), address["prefixlen"].clone());
                let configured = connections.iter().filter(|c| {
                    plain(&c["interface"]["value"]) == name
                        || plain(&c["name"]) == name
                        || c["matching"]["macs"][0] == link["address"]
                });
                let found = configured
                    .flat_map(|c| c["addresses"].as_array().unwrap())
                    .any(|a| (plain(&a["address"]), a["prefix"].clone()) == wanted);
                assert!(
                    found,
                    "{}: {name} has {wanted:?}, which nothing configures",
                    witness.name
                );
                compared += 1;
            }
        }
        assert!(compared > 0, "{}: no address was compared", witness.name);
        println!("{}: {compared} addresses agree", witness.name);
    }
}
