//! The checks, as `systemd-analyze` 252 lists them with `--json`, and what each weighs.
//!
//! Weights and ranges are facts of systemd 252, found by asking `systemd-analyze security` with policies of our own
//! (`--security-policy`, systemd-analyze(1)): every other check at weight 0, and one that is kept at a weight that
//! halves the result.

use super::judge::Test::{self, *};

/// One check.
#[derive(Debug)]
pub(super) struct Row {
    /// As `--security-policy` calls it.
    pub(super) id: &'static str,
    /// As tables call it.
    pub(super) name: &'static str,
    pub(super) weight: u32,
    /// The worst badness.
    pub(super) range: u32,
    pub(super) test: Test,
    /// What it is about.
    pub(super) about: &'static str,
}

const fn row(
    id: &'static str,
    name: &'static str,
    weight: u32,
    range: u32,
    test: Test,
    about: &'static str,
) -> Row {
    Row {
        id,
        name,
        weight,
        range,
        test,
        about,
    }
}

/// Every check.
#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
    row("UserOrDynamicUser", "User=/DynamicUser=", 2000, 10, User, "who it runs as"),
    row("SupplementaryGroups", "SupplementaryGroups=", 200, 1, Groups, "further groups it belongs to"),
    row("RemoveIPC", "RemoveIPC=", 100, 1, Ipc, "shared memory and queues it leaves behind"),
    row("RootDirectoryOrRootImage", "RootDirectory=/RootImage=", 200, 1, Root, "a root directory of its own"),
    row("ProtectSystem", "ProtectSystem=", 1000, 10, System, "writing to the directories of the system"),
    row("ProtectHome", "ProtectHome=", 1000, 10, Home, "reading and writing home directories"),
    row("PrivateTmp", "PrivateTmp=", 1000, 1, Switch("PrivateTmp"), "temporary files of others"),
    row("PrivateDevices", "PrivateDevices=", 1000, 1, Switch("PrivateDevices"), "hardware devices"),
    row("PrivateNetwork", "PrivateNetwork=", 2500, 1, Switch("PrivateNetwork"), "the network of the host"),
    row("PrivateUsers", "PrivateUsers=", 1000, 1, Switch("PrivateUsers"), "the users of the host"),
    row("PrivateMounts", "PrivateMounts=", 1000, 1, Switch("PrivateMounts"), "mounts that the rest of the system sees"),
    row("ProtectProc", "ProtectProc=", 1000, 3, Proc, "seeing processes of others in /proc"),
    row("ProcSubset", "ProcSubset=", 10, 1, ProcSubset, "what /proc has besides processes"),
    row("ProtectControlGroups", "ProtectControlGroups=", 1000, 1, Switch("ProtectControlGroups"), "changing control groups"),
    row("ProtectKernelModules", "ProtectKernelModules=", 1000, 1, Switch("ProtectKernelModules"), "loading kernel modules"),
    row("ProtectKernelTunables", "ProtectKernelTunables=", 1000, 1, Switch("ProtectKernelTunables"), "changing kernel parameters"),
    row("ProtectKernelLogs", "ProtectKernelLogs=", 1000, 1, Switch("ProtectKernelLogs"), "the log of the kernel"),
    row("ProtectClock", "ProtectClock=", 1000, 1, Switch("ProtectClock"), "setting the clock"),
    row("ProtectHostname", "ProtectHostname=", 50, 1, Switch("ProtectHostname"), "changing the name of the host"),
    row("MemoryDenyWriteExecute", "MemoryDenyWriteExecute=", 100, 1, Switch("MemoryDenyWriteExecute"), "memory that can be written and run"),
    row("NoNewPrivileges", "NoNewPrivileges=", 1000, 1, Switch("NoNewPrivileges"), "gaining privileges by running programs"),
    row("RestrictRealtime", "RestrictRealtime=", 500, 1, Switch("RestrictRealtime"), "real-time scheduling"),
    row("RestrictSUIDSGID", "RestrictSUIDSGID=", 1000, 1, Switch("RestrictSUIDSGID"), "making files that run as their owner"),
    row("LockPersonality", "LockPersonality=", 100, 1, Switch("LockPersonality"), "changing the execution domain"),
    row("AmbientCapabilities", "AmbientCapabilities=", 500, 1, Ambient, "capabilities that programs inherit"),
    row("KeyringMode", "KeyringMode=", 1000, 1, Keyring, "keys shared with other services"),
    row("Delegate", "Delegate=", 100, 1, Delegate, "control groups of its own to manage"),
    row("NotifyAccess", "NotifyAccess=", 1000, 1, Notify, "child processes that report the state of the service"),
    row("UMask", "UMask=", 100, 10, UMask, "access of others to files it makes"),
    row("DeviceAllow", "DeviceAllow=", 1000, 10, Devices, "a list of devices it may use"),
    row("IPAddressDeny", "IPAddressDeny=", 1000, 10, Addresses, "addresses it may talk to"),
    row("SystemCallArchitectures", "SystemCallArchitectures=", 1000, 10, Architectures, "system calls of other architectures"),
    row("RestrictNamespaces_user", "RestrictNamespaces=~user", 1500, 1, Namespace("user"), "namespaces of users"),
    row("RestrictNamespaces_pid", "RestrictNamespaces=~pid", 500, 1, Namespace("pid"), "namespaces of processes"),
    row("RestrictNamespaces_net", "RestrictNamespaces=~net", 500, 1, Namespace("net"), "namespaces of networks"),
    row("RestrictNamespaces_uts", "RestrictNamespaces=~uts", 100, 1, Namespace("uts"), "namespaces of host names"),
    row("RestrictNamespaces_mnt", "RestrictNamespaces=~mnt", 500, 1, Namespace("mnt"), "namespaces of mounts"),
    row("RestrictNamespaces_cgroup", "RestrictNamespaces=~cgroup", 500, 1, Namespace("cgroup"), "namespaces of control groups"),
    row("RestrictNamespaces_ipc", "RestrictNamespaces=~ipc", 500, 1, Namespace("ipc"), "namespaces of shared memory and queues"),
    row("RestrictAddressFamilies_AF_INET_INET6", "RestrictAddressFamilies=~AF_(INET|INET6)", 1500, 1, Families(&["AF_INET", "AF_INET6"]), "Internet sockets"),
    row("RestrictAddressFamilies_AF_UNIX", "RestrictAddressFamilies=~AF_UNIX", 25, 1, Families(&["AF_UNIX"]), "local sockets"),
    row("RestrictAddressFamilies_AF_NETLINK", "RestrictAddressFamilies=~AF_NETLINK", 200, 1, Families(&["AF_NETLINK"]), "sockets to the kernel"),
    row("RestrictAddressFamilies_AF_PACKET", "RestrictAddressFamilies=~AF_PACKET", 1000, 1, Families(&["AF_PACKET"]), "packets as they are on the wire"),
    row("RestrictAddressFamilies_OTHER", "RestrictAddressFamilies=~…", 1250, 1, OtherFamilies, "sockets of rare kinds"),
    row("CapabilityBoundingSet_CAP_SYS_ADMIN", "CapabilityBoundingSet=~CAP_SYS_ADMIN", 1500, 1, Capabilities(&["SYS_ADMIN"]), "administering the system"),
    row("CapabilityBoundingSet_CAP_SET_UID_GID_PCAP", "CapabilityBoundingSet=~CAP_SET(UID|GID|PCAP)", 1500, 1, Capabilities(&["SETUID", "SETGID", "SETPCAP"]), "becoming another user, group, or more capable"),
    row("CapabilityBoundingSet_CAP_SYS_PTRACE", "CapabilityBoundingSet=~CAP_SYS_PTRACE", 1500, 1, Capabilities(&["SYS_PTRACE"]), "tracing processes of others"),
    row("CapabilityBoundingSet_CAP_CHOWN_FSETID_SETFCAP", "CapabilityBoundingSet=~CAP_(CHOWN|FSETID|SETFCAP)", 1000, 1, Capabilities(&["CHOWN", "FSETID", "SETFCAP"]), "giving files away, and capabilities to files"),
    row("CapabilityBoundingSet_CAP_DAC_FOWNER_IPC_OWNER", "CapabilityBoundingSet=~CAP_(DAC_*|FOWNER|IPC_OWNER)", 1000, 1, Capabilities(&["DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "IPC_OWNER"]), "files whatever their permissions are"),
    row("CapabilityBoundingSet_CAP_NET_ADMIN", "CapabilityBoundingSet=~CAP_NET_ADMIN", 1000, 1, Capabilities(&["NET_ADMIN"]), "configuring the network"),
    row("CapabilityBoundingSet_CAP_SYS_MODULE", "CapabilityBoundingSet=~CAP_SYS_MODULE", 1000, 1, Capabilities(&["SYS_MODULE"]), "kernel modules"),
    row("CapabilityBoundingSet_CAP_SYS_RAWIO", "CapabilityBoundingSet=~CAP_SYS_RAWIO", 1000, 1, Capabilities(&["SYS_RAWIO"]), "ports and memory of the hardware"),
    row("CapabilityBoundingSet_CAP_SYS_TIME", "CapabilityBoundingSet=~CAP_SYS_TIME", 1000, 1, Capabilities(&["SYS_TIME"]), "the clock of the system"),
    row("CapabilityBoundingSet_CAP_AUDIT", "CapabilityBoundingSet=~CAP_AUDIT_*", 500, 1, Capabilities(&["AUDIT_CONTROL", "AUDIT_READ", "AUDIT_WRITE"]), "auditing"),
    row("CapabilityBoundingSet_CAP_KILL", "CapabilityBoundingSet=~CAP_KILL", 500, 1, Capabilities(&["KILL"]), "signals to processes of others"),
    row("CapabilityBoundingSet_CAP_MKNOD", "CapabilityBoundingSet=~CAP_MKNOD", 500, 1, Capabilities(&["MKNOD"]), "making device nodes"),
    row("CapabilityBoundingSet_CAP_NET_BIND_SERVICE_BROADCAST_RAW", "CapabilityBoundingSet=~CAP_NET_(BIND_SERVICE|BROADCAST|RAW)", 500, 1, Capabilities(&["NET_BIND_SERVICE", "NET_BROADCAST", "NET_RAW"]), "low ports, broadcasts and raw sockets"),
    row("CapabilityBoundingSet_CAP_SYSLOG", "CapabilityBoundingSet=~CAP_SYSLOG", 500, 1, Capabilities(&["SYSLOG"]), "the log of the kernel"),
    row("CapabilityBoundingSet_CAP_SYS_NICE_RESOURCE", "CapabilityBoundingSet=~CAP_SYS_(NICE|RESOURCE)", 500, 1, Capabilities(&["SYS_NICE", "SYS_RESOURCE"]), "priorities and limits of resources"),
    row("CapabilityBoundingSet_CAP_MAC", "CapabilityBoundingSet=~CAP_MAC_*", 100, 1, Capabilities(&["MAC_ADMIN", "MAC_OVERRIDE"]), "rules of mandatory access control"),
    row("CapabilityBoundingSet_CAP_SYS_BOOT", "CapabilityBoundingSet=~CAP_SYS_BOOT", 100, 1, Capabilities(&["SYS_BOOT"]), "starting the machine anew"),
    row("CapabilityBoundingSet_CAP_LINUX_IMMUTABLE", "CapabilityBoundingSet=~CAP_LINUX_IMMUTABLE", 75, 1, Capabilities(&["LINUX_IMMUTABLE"]), "marking files immutable"),
    row("CapabilityBoundingSet_CAP_IPC_LOCK", "CapabilityBoundingSet=~CAP_IPC_LOCK", 50, 1, Capabilities(&["IPC_LOCK"]), "locking memory"),
    row("CapabilityBoundingSet_CAP_SYS_CHROOT", "CapabilityBoundingSet=~CAP_SYS_CHROOT", 50, 1, Capabilities(&["SYS_CHROOT"]), "chroot"),
    row("CapabilityBoundingSet_CAP_BLOCK_SUSPEND", "CapabilityBoundingSet=~CAP_BLOCK_SUSPEND", 25, 1, Capabilities(&["BLOCK_SUSPEND"]), "keeping the machine awake"),
    row("CapabilityBoundingSet_CAP_BPF", "CapabilityBoundingSet=~CAP_BPF", 25, 1, Capabilities(&["BPF"]), "BPF programs"),
    row("CapabilityBoundingSet_CAP_LEASE", "CapabilityBoundingSet=~CAP_LEASE", 25, 1, Capabilities(&["LEASE"]), "leases of files"),
    row("CapabilityBoundingSet_CAP_SYS_PACCT", "CapabilityBoundingSet=~CAP_SYS_PACCT", 25, 1, Capabilities(&["SYS_PACCT"]), "process accounting"),
    row("CapabilityBoundingSet_CAP_SYS_TTY_CONFIG", "CapabilityBoundingSet=~CAP_SYS_TTY_CONFIG", 25, 1, Capabilities(&["SYS_TTY_CONFIG"]), "hanging up terminals"),
    row("CapabilityBoundingSet_CAP_WAKE_ALARM", "CapabilityBoundingSet=~CAP_WAKE_ALARM", 25, 1, Capabilities(&["WAKE_ALARM"]), "timers that wake the machine"),
    row("SystemCallFilter_clock", "SystemCallFilter=~@clock", 1000, 10, Calls("@clock"), "calls that set the clock"),
    row("SystemCallFilter_cpu_emulation", "SystemCallFilter=~@cpu-emulation", 250, 10, Calls("@cpu-emulation"), "calls that emulate processors"),
    row("SystemCallFilter_debug", "SystemCallFilter=~@debug", 1000, 10, Calls("@debug"), "calls for debugging"),
    row("SystemCallFilter_module", "SystemCallFilter=~@module", 1000, 10, Calls("@module"), "calls for kernel modules"),
    row("SystemCallFilter_mount", "SystemCallFilter=~@mount", 1000, 10, Calls("@mount"), "calls that mount"),
    row("SystemCallFilter_obsolete", "SystemCallFilter=~@obsolete", 250, 10, Calls("@obsolete"), "calls nobody uses any more"),
    row("SystemCallFilter_privileged", "SystemCallFilter=~@privileged", 700, 10, Calls("@privileged"), "calls that need privileges"),
    row("SystemCallFilter_raw_io", "SystemCallFilter=~@raw-io", 1000, 10, Calls("@raw-io"), "calls for ports of the hardware"),
    row("SystemCallFilter_reboot", "SystemCallFilter=~@reboot", 1000, 10, Calls("@reboot"), "calls that restart the machine"),
    row("SystemCallFilter_resources", "SystemCallFilter=~@resources", 700, 10, Calls("@resources"), "calls for priorities and limits"),
    row("SystemCallFilter_swap", "SystemCallFilter=~@swap", 1000, 10, Calls("@swap"), "calls for swap"),
];
