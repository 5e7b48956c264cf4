//! `agents`: tools of hypervisors and clouds, by package, file and service.

use super::started::Started;
use crate::agents::{Agent, Agents, Evidence};
use crate::report::Asking;
use h2k_guest::{Fact, Look, Source};

/// How one agent is recognised.
struct Known {
    name: &'static str,
    platform: &'static str,
    packages: &'static [&'static str],
    files: &'static [&'static str],
    services: &'static [&'static str],
}

const KNOWN: &[Known] = &[
    Known {
        name: "open-vm-tools",
        platform: "vmware",
        packages: &[
            "open-vm-tools",
            "open-vm-tools-desktop",
            "app-emulation/open-vm-tools",
        ],
        files: &[],
        services: &["vmtoolsd", "open-vm-tools", "vgauthd"],
    },
    Known {
        name: "VMware Tools",
        platform: "vmware",
        packages: &[
            "VMwareTools",
            "vmware-tools-esx",
            "vmware-tools-esx-nox",
            "vmware-tools-services",
        ],
        files: &[
            "/etc/vmware-tools/locations",
            "/usr/bin/vmware-uninstall-tools.pl",
        ],
        services: &["vmware-tools", "vmware-tools-services"],
    },
    Known {
        name: "VirtualBox Guest Additions",
        platform: "virtualbox",
        packages: &[
            "virtualbox-guest-utils",
            "virtualbox-guest-x11",
            "virtualbox-guest-additions",
            "virtualbox-guest-tools",
            "virtualbox-guest-utils-nox",
        ],
        files: &[
            "/var/lib/VBoxGuestAdditions/config",
            "/usr/sbin/VBoxService",
            "/usr/bin/VBoxService",
        ],
        services: &[
            "vboxadd",
            "vboxadd-service",
            "vboxservice",
            "virtualbox-guest-utils",
        ],
    },
    Known {
        name: "Hyper-V daemons",
        platform: "hyper-v",
        packages: &[
            "hyperv-daemons",
            "hyperv-tools",
            "hypervkvpd",
            "hyper-v",
            "linux-cloud-tools-common",
        ],
        files: &["/usr/sbin/hv_kvp_daemon", "/usr/sbin/hypervkvpd"],
        services: &[
            "hypervkvpd",
            "hypervvssd",
            "hv-kvp-daemon",
            "hv-vss-daemon",
            "hv_kvp_daemon",
        ],
    },
    Known {
        name: "qemu-guest-agent",
        platform: "kvm",
        packages: &["qemu-guest-agent", "qemu-ga", "app-emulation/qemu-guest-agent"],
        files: &["/usr/sbin/qemu-ga", "/usr/bin/qemu-ga"],
        services: &["qemu-guest-agent", "qemu-ga"],
    },
    Known {
        name: "spice-vdagent",
        platform: "kvm",
        packages: &["spice-vdagent"],
        files: &["/usr/sbin/spice-vdagentd"],
        services: &["spice-vdagentd", "spice-vdagent"],
    },
    Known {
        name: "xe-guest-utilities",
        platform: "xen",
        packages: &[
            "xe-guest-utilities",
            "xe-guest-utilities-latest",
            "xe-guest-utilities-xenstore",
            "xenserver-tools",
        ],
        files: &["/usr/sbin/xe-daemon", "/usr/sbin/xe-linux-distribution"],
        services: &["xe-linux-distribution", "xe-daemon", "xe-guest-utilities"],
    },
    Known {
        name: "Parallels Tools",
        platform: "parallels",
        packages: &["parallels-tools"],
        files: &[
            "/usr/lib/parallels-tools/version",
            "/usr/bin/prltoolsd",
            "/usr/sbin/prltoolsd",
        ],
        services: &["prltoolsd"],
    },
    Known {
        name: "ovirt-guest-agent",
        platform: "kvm",
        packages: &[
            "ovirt-guest-agent",
            "ovirt-guest-agent-common",
            "rhevm-guest-agent",
            "rhevm-guest-agent-common",
        ],
        files: &[],
        services: &["ovirt-guest-agent"],
    },
    Known {
        name: "Azure Linux Agent",
        platform: "azure",
        packages: &[
            "walinuxagent",
            "WALinuxAgent",
            "python-azure-agent",
            "azure-agent",
        ],
        files: &["/usr/sbin/waagent", "/etc/waagent.conf"],
        services: &["walinuxagent", "waagent"],
    },
    Known {
        name: "google-guest-agent",
        platform: "google",
        packages: &[
            "google-guest-agent",
            "google-compute-engine",
            "google-osconfig-agent",
        ],
        files: &[
            "/usr/bin/google_guest_agent",
            "/usr/bin/google_metadata_script_runner",
        ],
        services: &[
            "google-guest-agent",
            "google-osconfig-agent",
            "google-startup-scripts",
        ],
    },
    Known {
        name: "amazon-ssm-agent",
        platform: "aws",
        packages: &["amazon-ssm-agent"],
        files: &["/usr/bin/amazon-ssm-agent"],
        services: &["amazon-ssm-agent", "snap.amazon-ssm-agent.amazon-ssm-agent"],
    },
    Known {
        name: "amazon-cloudwatch-agent",
        platform: "aws",
        packages: &["amazon-cloudwatch-agent"],
        files: &["/opt/aws/amazon-cloudwatch-agent/bin/amazon-cloudwatch-agent"],
        services: &["amazon-cloudwatch-agent"],
    },
    Known {
        name: "ec2-instance-connect",
        platform: "aws",
        packages: &["ec2-instance-connect"],
        files: &[],
        services: &["ec2-instance-connect"],
    },
    Known {
        name: "oracle-cloud-agent",
        platform: "oracle",
        packages: &["oracle-cloud-agent"],
        files: &[],
        services: &["oracle-cloud-agent", "snap.oracle-cloud-agent.oracle-cloud-agent"],
    },
    Known {
        name: "aliyun-assist",
        platform: "alibaba",
        packages: &["aliyun_assist"],
        files: &["/usr/local/share/aliyun-assist/init"],
        services: &["aliyun", "AssistDaemon"],
    },
    Known {
        name: "nutanix-guest-tools",
        platform: "nutanix",
        packages: &["nutanix-ngt"],
        files: &["/usr/local/nutanix/ngt/config/ngt_config.json"],
        services: &["ngt_guest_agent"],
    },
    Known {
        name: "afterburn",
        platform: "coreos",
        packages: &["afterburn"],
        files: &["/usr/bin/afterburn", "/usr/bin/coreos-metadata"],
        services: &["afterburn", "coreos-metadata"],
    },
];

pub(crate) fn look(asking: &Asking<'_>, files: &Look<'_>) -> Agents {
    let started = Started::new(files);
    let found = KNOWN
        .iter()
        .filter_map(|known| agent(known, &started, asking, files));
    Agents {
        agents: found.collect(),
    }
}

fn agent(known: &Known, started: &Started, asking: &Asking<'_>, files: &Look<'_>) -> Option<Agent> {
    let mut agent = Agent {
        name: known.name.to_owned(),
        platform: known.platform.to_owned(),
        version: None,
        started: None,
        evidence: Vec::new(),
    };
    let mut show = |kind: &str, what: &str, source: Source| {
        agent.evidence.push(Evidence {
            kind: kind.to_owned(),
            what: what.to_owned(),
            source,
        });
    };
    for package in asking.installed(files, known.packages) {
        let source = Source::file(package.from.as_bytes());
        show("package", &package.name, source.clone());
        let version = Fact::new(package.full_version(), source);
        agent.version.get_or_insert(version);
    }
    for path in known.files.iter().filter(|path| files.exists(path)) {
        show("file", path, Source::file(path.as_bytes()));
    }
    for name in known.services {
        let Some(state) = started.state(name) else {
            continue;
        };
        show("service", name, state.source.clone());
        // One service that starts is enough.
        if state.value || agent.started.is_none() {
            agent.started = Some(state);
        }
    }
    // The versions of what no package brought.
    if agent.version.is_none() && known.name == "VirtualBox Guest Additions" {
        let config = files.text("/var/lib/VBoxGuestAdditions/config");
        agent.version = config.and_then(|text| text.assigned("INSTALL_VER"));
    }
    (!agent.evidence.is_empty()).then_some(agent)
}
