//! Tools of hypervisors: what is installed, and which of their services and drivers start.

use super::installed::each;
use super::services::start_word;
use super::{SYSTEM, hive};
use crate::report::Asking;
use h2k_guest::Look;
use h2k_guest::{Fact, Source};
use schemars::JsonSchema;
use serde::Serialize;

/// Tools of hypervisors.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct WindowsAgents {
    /// One for each hypervisor that left something.
    pub agents: Vec<WindowsAgent>,
}

/// What a hypervisor's tools left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct WindowsAgent {
    /// `vmware-tools`, `virtualbox-guest-additions`, `hyper-v`, `qemu-guest-agent`, `virtio-win`, `xen`, `parallels`,
    /// `nutanix`.
    pub name: String,
    /// Entries in the list of applications, with their versions.
    pub applications: Vec<Fact<String>>,
    /// Its services and drivers, as `name: how it starts`.
    pub services: Vec<Fact<String>>,
    /// Where it was first seen.
    pub source: Source,
}

/// A hypervisor: its name, what its entry in the list of applications contains, its services and drivers.
type Known = (&'static str, &'static [&'static str], &'static [&'static str]);

const KNOWN: [Known; 8] = [
    (
        "vmware-tools",
        &["vmware tools"],
        &[
            "VMTools",
            "VGAuthService",
            "vm3dservice",
            "vmvss",
            "GISvc",
            "VMwareCAFCommAmqpListener",
            "VMwareCAFManagementAgentHost",
            "vmhgfs",
            "vmmemctl",
            "vmrawdsk",
            "vmci",
            "vsock",
            "vmmouse",
            "vmusbmouse",
            "vm3dmp",
            "vm3dmp_loader",
            "vmaudio",
            "vmxnet3ndis6",
            "vmxnet3",
            "vsepflt",
            "vnetflt",
            "vnetWFP",
            "pvscsi",
        ],
    ),
    (
        "virtualbox-guest-additions",
        &["virtualbox guest additions"],
        &[
            "VBoxService",
            "VBoxGuest",
            "VBoxMouse",
            "VBoxSF",
            "VBoxVideo",
            "VBoxWddm",
        ],
    ),
    (
        "hyper-v",
        &[],
        &[
            "vmicguestinterface",
            "vmicheartbeat",
            "vmickvpexchange",
            "vmicrdv",
            "vmicshutdown",
            "vmictimesync",
            "vmicvmsession",
            "vmicvss",
            "storvsc",
            "netvsc",
            "vmbus",
            "hyperkbd",
            "HyperVideo",
            "VMBusHID",
        ],
    ),
    (
        "qemu-guest-agent",
        &["qemu guest agent"],
        &["QEMU-GA", "QEMU Guest Agent VSS Provider"],
    ),
    (
        "virtio-win",
        &["virtio-win"],
        &[
            "viostor",
            "vioscsi",
            "netkvm",
            "BALLOON",
            "BalloonService",
            "VirtioSerial",
            "VirtRng",
            "VirtioSocket",
            "VioGpuDod",
            "VirtioInput",
            "VirtioFsDrv",
            "VirtioFsSvc",
            "pvpanic",
            "FwCfg",
            "qxldod",
            "vdservice",
        ],
    ),
    (
        "xen",
        &["xen tools", "xenserver", "citrix hypervisor", "xen pv drivers"],
        &[
            "xenbus", "xenvbd", "xenvif", "xennet", "xeniface", "xenfilt", "xendisk", "xenagent", "XenSvc",
            "rhelscsi", "rhelnet",
        ],
    ),
    (
        "parallels",
        &["parallels tools"],
        &[
            "prl_strg",
            "prl_eth5",
            "prl_boot",
            "prl_dd",
            "prl_fs",
            "prl_memdev",
            "prl_tg",
            "prl_time",
            "prl_tools",
        ],
    ),
    (
        "nutanix",
        &["nutanix guest tools", "nutanix virtio"],
        &["NutanixGuestAgent", "nutanixbln"],
    ),
];

pub(crate) fn look(asking: &Asking<'_>, look: &Look<'_>) -> WindowsAgents {
    let nothing = (Vec::<Fact<String>>::new(), Vec::<Fact<String>>::new());
    let mut agents = vec![nothing; KNOWN.len()];
    each(asking, look, &mut |key, _, _| {
        let Some(name) = key.words("DisplayName") else {
            return;
        };
        let lower = name.value.to_lowercase();
        for ((_, words, _), (applications, _)) in KNOWN.iter().zip(&mut agents) {
            if words.iter().any(|word| lower.contains(word)) {
                let version = key
                    .words("DisplayVersion")
                    .map(|f| format!(" {}", f.value))
                    .unwrap_or_default();
                applications.push(Fact::new(format!("{}{version}", name.value), key.source()));
            }
        }
    });
    let system = hive(asking, look, SYSTEM);
    if let Some(services) = system
        .as_ref()
        .and_then(|s| s.key(look, "CurrentControlSet\\Services"))
    {
        for key in services.subkeys() {
            let name = key.name();
            for ((_, _, known), (_, found)) in KNOWN.iter().zip(&mut agents) {
                if known.iter().any(|k| k.eq_ignore_ascii_case(&name))
                    && let Some(start) = key.number("Start")
                {
                    found.push(start.map(|n| format!("{name}: {}", start_word(n, false))));
                }
            }
        }
    }
    let seen = KNOWN
        .iter()
        .zip(agents)
        .filter_map(|((name, ..), (applications, services))| {
            let source = applications.first().or(services.first())?.source.clone();
            Some(WindowsAgent {
                name: (*name).to_owned(),
                applications,
                services,
                source,
            })
        });
    WindowsAgents {
        agents: seen.collect(),
    }
}
