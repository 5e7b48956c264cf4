//! `containers`: engines by their packages and services, containers and images by what the engines wrote down.

use super::json;
use super::started::Started;
use crate::containers::{Container, ContainerImage, Containers, Engine};
use crate::report::Asking;
use h2k_guest::look::{join, lossy};
use h2k_guest::{Fact, Look, Source};
use serde::Deserialize;
use std::collections::BTreeMap;

/// An engine: packages, services, and where its state lies.
struct Known {
    name: &'static str,
    packages: &'static [&'static str],
    services: &'static [&'static str],
    states: &'static [&'static str],
}

const KNOWN: &[Known] = &[
    Known {
        name: "docker",
        packages: &[
            "docker.io",
            "docker-ce",
            "docker",
            "moby-engine",
            "docker-engine",
            "app-containers/docker",
        ],
        services: &["docker"],
        states: &["/var/lib/docker/containers", "/var/lib/docker/image"],
    },
    Known {
        name: "podman",
        packages: &["podman", "app-containers/podman"],
        services: &["podman"],
        states: &["/var/lib/containers/storage"],
    },
    Known {
        name: "containerd",
        packages: &["containerd", "containerd.io", "moby-containerd"],
        services: &["containerd"],
        states: &["/var/lib/containerd"],
    },
    Known {
        name: "cri-o",
        packages: &["cri-o", "cri-o-runc"],
        services: &["crio"],
        states: &["/var/lib/crio"],
    },
    Known {
        name: "lxc",
        packages: &["lxc"],
        services: &["lxc"],
        states: &["/var/lib/lxc"],
    },
    Known {
        name: "lxd",
        packages: &["lxd"],
        services: &["lxd", "snap.lxd.daemon"],
        states: &["/var/lib/lxd/containers", "/var/snap/lxd/common/lxd/containers"],
    },
    Known {
        name: "incus",
        packages: &["incus", "incus-base"],
        services: &["incus"],
        states: &["/var/lib/incus/containers"],
    },
    Known {
        name: "systemd-nspawn",
        packages: &["systemd-container"],
        services: &[],
        states: &["/var/lib/machines"],
    },
    Known {
        name: "kubelet",
        packages: &["kubelet"],
        services: &["kubelet"],
        states: &["/etc/kubernetes/manifests", "/var/lib/kubelet"],
    },
    Known {
        name: "k3s",
        packages: &["k3s"],
        services: &["k3s", "k3s-agent"],
        states: &["/var/lib/rancher/k3s"],
    },
    Known {
        name: "rke2",
        packages: &["rke2-server", "rke2-agent"],
        services: &["rke2-server", "rke2-agent"],
        states: &["/var/lib/rancher/rke2"],
    },
    Known {
        name: "microk8s",
        packages: &["microk8s"],
        services: &["snap.microk8s.daemon-kubelite"],
        states: &["/var/snap/microk8s/current"],
    },
];

pub(crate) fn look(asking: &Asking<'_>, files: &Look<'_>) -> Containers {
    let mut all = Containers::default();
    docker(files, &mut all);
    let mut stores = vec!["/var/lib/containers/storage".to_owned()];
    // Users have theirs at home.
    for user in files.names("/home") {
        stores.push(format!("/home/{}/.local/share/containers/storage", lossy(&user)));
    }
    for store in stores {
        storage(files, &store, &mut all);
    }
    directories(files, &mut all);
    pods(files, &mut all);
    let started = Started::new(files);
    for known in KNOWN {
        let engine = engine(known, &started, asking, files, &all);
        all.engines.extend(engine);
    }
    all
}

fn engine(
    known: &Known,
    started: &Started,
    asking: &Asking<'_>,
    files: &Look<'_>,
    all: &Containers,
) -> Option<Engine> {
    let package = asking.installed(files, known.packages).next();
    let state = known.states.iter().find(|path| !files.names(path).is_empty());
    let service = known.services.iter().find_map(|name| started.state(name));
    if package.is_none() && state.is_none() && service.is_none() {
        return None;
    }
    let containers = all.containers.iter().filter(|c| c.engine == known.name).count();
    let images = all.images.iter().filter(|i| i.engine == known.name).count();
    // containerd keeps a database of its own (bbolt), and who stands on it has nothing else.
    let told = matches!(
        known.name,
        "docker" | "podman" | "lxc" | "lxd" | "incus" | "systemd-nspawn" | "kubelet"
    );
    Some(Engine {
        name: known.name.to_owned(),
        version: package.map(|p| Fact::new(p.full_version(), Source::file(p.from.as_bytes()))),
        started: service,
        state: state.map(|path| Source::file(path.as_bytes())),
        containers: told.then_some(containers),
        images: matches!(known.name, "docker" | "podman").then_some(images),
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Daemon {
    data_root: Option<String>,
    graph: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DockerContainer {
    #[serde(rename = "ID")]
    id: Option<String>,
    name: Option<String>,
    config: Option<DockerConfig>,
    state: Option<DockerState>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DockerConfig {
    image: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DockerState {
    running: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Repositories {
    #[serde(default)]
    repositories: BTreeMap<String, BTreeMap<String, String>>,
}

fn docker(files: &Look<'_>, all: &mut Containers) {
    let daemon: Option<Daemon> = json::read(files, b"/etc/docker/daemon.json");
    let root = daemon.and_then(|d| d.data_root.or(d.graph));
    let root = root.unwrap_or_else(|| "/var/lib/docker".to_owned());
    let home = format!("{root}/containers");
    for id in files.names(&home) {
        let path = join(&join(home.as_bytes(), &id), b"config.v2.json");
        let Some(found) = json::read::<DockerContainer>(files, &path) else {
            continue;
        };
        let name = found.name.unwrap_or_default();
        all.containers.push(Container {
            engine: "docker".to_owned(),
            name: name.trim_start_matches('/').to_owned(),
            id: Some(found.id.unwrap_or_else(|| lossy(&id))),
            image: found.config.and_then(|config| config.image),
            running: found.state.and_then(|state| state.running),
            source: Source::file(&path),
        });
    }
    let home = format!("{root}/image");
    for driver in files.names(&home) {
        let dir = join(home.as_bytes(), &driver);
        let path = join(&dir, b"repositories.json");
        let mut images: BTreeMap<String, Vec<String>> = BTreeMap::new();
        // An image without a name is only here.
        for id in files.names(join(&dir, b"imagedb/content/sha256")) {
            images.insert(format!("sha256:{}", lossy(&id)), Vec::new());
        }
        if let Some(found) = json::read::<Repositories>(files, &path) {
            for (name, id) in found.repositories.into_values().flatten() {
                // `name@sha256:…` says where it was fetched from.
                let names = images.entry(id).or_default();
                if !name.contains('@') {
                    names.push(name);
                }
            }
        }
        all.images
            .extend(images.into_iter().map(|(id, names)| ContainerImage {
                engine: "docker".to_owned(),
                names,
                id,
                source: Source::file(&path),
            }));
    }
}

#[derive(Deserialize)]
struct Stored {
    id: String,
    #[serde(default)]
    names: Option<Vec<String>>,
    image: Option<String>,
}

/// The store that podman, CRI-O, buildah and skopeo share.
fn storage(files: &Look<'_>, store: &str, all: &mut Containers) {
    let mut images: Vec<ContainerImage> = Vec::new();
    for driver in ["overlay", "vfs", "btrfs", "zfs"] {
        let path = format!("{store}/{driver}-images/images.json");
        for image in json::read::<Vec<Stored>>(files, path.as_bytes()).unwrap_or_default() {
            images.push(ContainerImage {
                engine: "podman".to_owned(),
                names: image.names.unwrap_or_default(),
                id: image.id,
                source: Source::file(path.as_bytes()),
            });
        }
        for name in ["containers.json", "volatile-containers.json"] {
            let path = format!("{store}/{driver}-containers/{name}");
            for found in json::read::<Vec<Stored>>(files, path.as_bytes()).unwrap_or_default() {
                let id = found.image.unwrap_or_default();
                let image = images.iter().find(|image| image.id == id);
                let image = image.and_then(|image| image.names.first().cloned());
                all.containers.push(Container {
                    engine: "podman".to_owned(),
                    name: found
                        .names
                        .unwrap_or_default()
                        .into_iter()
                        .next()
                        .unwrap_or_default(),
                    id: Some(found.id),
                    image: image.or_else(|| (!id.is_empty()).then(|| id.clone())),
                    running: None,
                    source: Source::file(path.as_bytes()),
                });
            }
        }
    }
    all.images.extend(images);
}

/// Engines for which a container is a directory.
fn directories(files: &Look<'_>, all: &mut Containers) {
    let homes = [
        ("lxc", "/var/lib/lxc", Some("config")),
        ("lxd", "/var/lib/lxd/containers", None),
        ("lxd", "/var/snap/lxd/common/lxd/containers", None),
        ("incus", "/var/lib/incus/containers", None),
        ("systemd-nspawn", "/var/lib/machines", None),
    ];
    for (engine, home, config) in homes {
        for name in files.names(home) {
            let dir = join(home.as_bytes(), &name);
            let path = config.map_or_else(|| dir.clone(), |config| join(&dir, config.as_bytes()));
            // Images of systemd-nspawn may be files; caches begin with a dot.
            if name.starts_with(b".") || !files.exists(&path) {
                continue;
            }
            all.containers.push(Container {
                engine: engine.to_owned(),
                name: lossy(&name),
                id: None,
                image: None,
                running: None,
                source: Source::file(&path),
            });
        }
    }
}

/// Pods that kubelet starts from files. Others are known to the cluster and not to the machine.
fn pods(files: &Look<'_>, all: &mut Containers) {
    let home = "/etc/kubernetes/manifests";
    for name in files.names(home) {
        if name.ends_with(b".yaml") || name.ends_with(b".yml") || name.ends_with(b".json") {
            let path = join(home.as_bytes(), &name);
            let name = lossy(&name);
            let name = name.rsplit_once('.').map_or(name.as_str(), |(name, _)| name);
            all.containers.push(Container {
                engine: "kubelet".to_owned(),
                name: name.to_owned(),
                id: None,
                image: None,
                running: None,
                source: Source::file(&path),
            });
        }
    }
}
