//! The agents, and what each does on a machine that is not its own.

/// When an agent is kept from starting.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Policy {
    /// Always: it does harm elsewhere, or fails at every start.
    Always,
    /// Unless its unit itself says on what hypervisor it starts; with `remove_vmware_tools` all the same.
    UnlessConditional,
    /// Never: it is told of.
    Never,
}

/// An agent.
pub(super) struct Agent {
    pub(super) name: &'static str,
    /// Any of these files shows that it is there; where there are none, a service does.
    pub(super) files: &'static [&'static str],
    /// Units of systemd.
    pub(super) units: &'static [&'static str],
    /// Scripts in `/etc/init.d`, and jobs of upstart.
    pub(super) scripts: &'static [&'static str],
    pub(super) policy: Policy,
    pub(super) vmware: bool,
    pub(super) why: &'static str,
}

pub(super) const AGENTS: &[Agent] = &[
    Agent {
        name: "VMware Tools",
        files: &[
            "/etc/vmware-tools/locations",
            "/usr/bin/vmware-uninstall-tools.pl",
        ],
        units: &[
            "vmware-tools.service",
            "vmware-tools-thinprint.service",
            "vmware-tools-services.service",
        ],
        scripts: &["vmware-tools", "vmware-tools-thinprint", "vmware-tools-services"],
        policy: Policy::Always,
        vmware: true,
        why: "they load modules for hardware that is not there",
    },
    Agent {
        name: "open-vm-tools",
        files: &[],
        units: &[
            "open-vm-tools.service",
            "vmtoolsd.service",
            "vgauth.service",
            "vgauthd.service",
            "vmware-vmblock-fuse.service",
            "run-vmblock\\x2dfuse.mount",
        ],
        scripts: &["open-vm-tools", "vmtoolsd"],
        policy: Policy::UnlessConditional,
        vmware: true,
        why: "they talk to VMware",
    },
    Agent {
        name: "VirtualBox Guest Additions",
        files: &[],
        units: &[
            "vboxadd.service",
            "vboxadd-service.service",
            "vboxadd-x11.service",
            "vboxservice.service",
            "virtualbox-guest-utils.service",
        ],
        scripts: &[
            "vboxadd",
            "vboxadd-service",
            "vboxadd-x11",
            "virtualbox-guest-utils",
        ],
        policy: Policy::UnlessConditional,
        vmware: false,
        why: "they load modules for hardware that is not there",
    },
    Agent {
        name: "Hyper-V daemons",
        files: &[],
        units: &[
            "hypervkvpd.service",
            "hypervvssd.service",
            "hypervfcopyd.service",
            "hv-kvp-daemon.service",
            "hv-vss-daemon.service",
            "hv-fcopy-daemon.service",
        ],
        scripts: &["hypervkvpd", "hypervvssd", "hypervfcopyd"],
        policy: Policy::UnlessConditional,
        vmware: false,
        why: "they wait for devices that are not there",
    },
    Agent {
        name: "Azure Linux Agent",
        files: &[],
        units: &[
            "walinuxagent.service",
            "waagent.service",
            "walinuxagent-network-setup.service",
            "waagent-network-setup.service",
        ],
        scripts: &["walinuxagent", "waagent"],
        policy: Policy::Always,
        vmware: false,
        why: "it changes host name, network and udev's rules when it finds no Azure",
    },
    Agent {
        name: "guest utilities of Xen",
        files: &[],
        units: &[
            "xe-linux-distribution.service",
            "xe-daemon.service",
            "xe-guest-utilities.service",
            "xenstored.service",
        ],
        scripts: &[
            "xe-linux-distribution",
            "xe-daemon",
            "xe-guest-utilities",
            "xenstored",
        ],
        policy: Policy::UnlessConditional,
        vmware: false,
        why: "they talk to Xen",
    },
    Agent {
        name: "Parallels Tools",
        files: &[],
        units: &["prltoolsd.service", "prl-x11.service"],
        scripts: &["prltoolsd", "prl-x11"],
        policy: Policy::Always,
        vmware: false,
        why: "they load modules for hardware that is not there",
    },
    Agent {
        name: "kudzu",
        files: &[],
        units: &[],
        scripts: &["kudzu"],
        policy: Policy::Always,
        vmware: false,
        why: "it asks about new hardware on the console, and renames interfaces",
    },
    Agent {
        name: "agents of AWS and Google",
        files: &[],
        units: &[
            "amazon-ssm-agent.service",
            "google-guest-agent.service",
            "google-osconfig-agent.service",
            "google-startup-scripts.service",
        ],
        scripts: &[],
        policy: Policy::Never,
        vmware: false,
        why: "they look for their cloud, which slows the start and breaks nothing",
    },
];
