//! `cloud`: cloud-init's configuration and what its last run left below `/var/lib/cloud`.

use super::{json, yaml};
use crate::cloud::{Cloud, CloudInit, CloudStage};
use crate::report::Asking;
use h2k_block::Meter;
use h2k_guest::look::join;
use h2k_guest::{Fact, Look, Source, Text};
use serde::Deserialize;

#[derive(Deserialize)]
struct Status {
    v1: StatusV1,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct StatusV1 {
    datasource: Option<String>,
    init_local: Option<Stage>,
    init: Option<Stage>,
    modules_config: Option<Stage>,
    modules_final: Option<Stage>,
}

#[derive(Deserialize)]
struct Stage {
    #[serde(default)]
    errors: Vec<String>,
    start: Option<f64>,
    finished: Option<f64>,
}

#[derive(Deserialize)]
struct Outcome {
    v1: OutcomeV1,
}

#[derive(Deserialize)]
struct OutcomeV1 {
    datasource: Option<String>,
    #[serde(default)]
    errors: Vec<String>,
}

const STATUS: &str = "/var/lib/cloud/data/status.json";
const RESULT: &str = "/var/lib/cloud/data/result.json";

pub(crate) fn look(asking: &Asking<'_>, files: &Look<'_>) -> Cloud {
    let ignition = [
        "/boot/ignition/config.ign",
        "/usr/lib/ignition",
        "/etc/.ignition-result.json",
        "/boot/ignition.firstboot",
    ];
    let ignition = ignition.iter().filter(|path| files.exists(path));
    Cloud {
        cloud_init: cloud_init(asking, files),
        ignition: ignition.map(|path| Source::file(path.as_bytes())).collect(),
    }
}

fn cloud_init(asking: &Asking<'_>, files: &Look<'_>) -> Option<CloudInit> {
    let mut found = CloudInit {
        version: version(asking, files),
        ..CloudInit::default()
    };
    let main = files.text("/etc/cloud/cloud.cfg");
    if found.version.is_none() && main.is_none() && !files.is_dir("/var/lib/cloud/instances") {
        return None;
    }
    let config = main
        .into_iter()
        .chain(files.texts_in("/etc/cloud/cloud.cfg.d", ".cfg"));
    for text in config {
        found.config_files.push(text.source());
        configured(&text, files, &mut found);
    }
    disabled(files, &mut found);
    outcome(files, &mut found);
    found.instance_id = first_line(files, "/var/lib/cloud/data/instance-id");
    let instances = files.names("/var/lib/cloud/instances").into_iter();
    found.instances = instances
        .map(|name| String::from_utf8_lossy(&name).into_owned())
        .collect();
    if found.datasource.is_none() {
        found.datasource = first_line(files, "/var/lib/cloud/instance/datasource");
    }
    for seed in files.names("/var/lib/cloud/seed") {
        let dir = join(b"/var/lib/cloud/seed", &seed);
        found.seeds.extend(
            files
                .names(&dir)
                .iter()
                .map(|name| Source::file(&join(&dir, name))),
        );
    }
    Some(found)
}

fn version(asking: &Asking<'_>, files: &Look<'_>) -> Option<Fact<String>> {
    let package = asking.installed(files, &["cloud-init"]).next()?;
    Some(Fact::new(
        package.full_version(),
        Source::file(package.from.as_bytes()),
    ))
}

/// What one file says; a later one takes its place.
fn configured(text: &Text, files: &Look<'_>, found: &mut CloudInit) {
    let value = match yaml::read(text, &mut Meter::new(*files.limits())) {
        Ok(value) => value,
        Err(e) => return files.failed(text.source(), &e),
    };
    let list = value.list("datasource_list");
    if !list.is_empty() {
        found.datasource_list = list;
    }
    let network = value.get("network").and_then(|network| network.said("config"));
    if let Some(network) = network.filter(|fact| fact.value == "disabled") {
        found.network_disabled_by = Some(network.source);
    }
    for (key, slot) in [
        ("preserve_hostname", &mut found.preserve_hostname),
        ("disable_root", &mut found.disable_root),
        ("ssh_pwauth", &mut found.ssh_password_authentication),
    ] {
        if let Some(said) = value.said(key) {
            *slot = Some(said);
        }
    }
    let user = value.get("system_info").and_then(|info| info.get("default_user"));
    if let Some(name) = user.and_then(|user| user.said("name")) {
        found.default_user = Some(name);
    }
}

/// The ways to turn it off, as its manual lists them, and those of systemd.
fn disabled(files: &Look<'_>, found: &mut CloudInit) {
    let marker = "/etc/cloud/cloud-init.disabled";
    if files.exists(marker) {
        found.disabled_by.push(Source::file(marker.as_bytes()));
    }
    for unit in [
        "cloud-init.service",
        "cloud-init-local.service",
        "cloud-init.target",
    ] {
        let path = format!("/etc/systemd/system/{unit}");
        if files.target(&path).as_deref() == Some(b"/dev/null") {
            found.disabled_by.push(Source::file(path.as_bytes()));
        }
    }
    for path in ["/etc/default/grub", "/etc/kernel/cmdline"] {
        let Some(text) = files.text(path) else { continue };
        let says = text
            .spoken()
            .find(|line| line.text.contains("cloud-init=disabled"));
        found.disabled_by.extend(says.map(|line| line.source()));
    }
    if let Some(text) = files.text("/etc/cloud/ds-identify.cfg") {
        let says = text
            .spoken()
            .find(|line| line.text.starts_with("policy:") && line.text.contains("disabled"));
        found.disabled_by.extend(says.map(|line| line.source()));
    }
}

fn outcome(files: &Look<'_>, found: &mut CloudInit) {
    let source = || Source::file(STATUS.as_bytes());
    if let Some(status) = json::read::<Status>(files, STATUS.as_bytes()) {
        let status = status.v1;
        found.datasource = status.datasource.map(|name| Fact::new(name, source()));
        for (name, stage) in [
            ("init-local", status.init_local),
            ("init", status.init),
            ("modules-config", status.modules_config),
            ("modules-final", status.modules_final),
        ] {
            let Some(stage) = stage else { continue };
            found
                .errors
                .extend(stage.errors.into_iter().map(|e| Fact::new(e, source())));
            found.stages.push(CloudStage {
                name: name.to_owned(),
                started: stage.start.and_then(seconds),
                finished: stage.finished.and_then(seconds),
                source: source(),
            });
        }
    }
    if let Some(result) = json::read::<Outcome>(files, RESULT.as_bytes()) {
        let source = || Source::file(RESULT.as_bytes());
        if let Some(name) = result.v1.datasource {
            found.datasource = Some(Fact::new(name, source()));
        }
        for error in result.v1.errors {
            // The status has most of them already.
            if !found.errors.iter().any(|known| known.value == error) {
                found.errors.push(Fact::new(error, source()));
            }
        }
    }
}

/// Whole seconds of a time that Python wrote; through text, which rounds nothing and cannot overflow.
fn seconds(time: f64) -> Option<i64> {
    format!("{:.0}", time.floor()).parse().ok()
}

fn first_line(files: &Look<'_>, path: &str) -> Option<Fact<String>> {
    let text = files.text(path)?;
    let line = text.spoken().next()?;
    Some(line.fact(line.text.to_owned()))
}
