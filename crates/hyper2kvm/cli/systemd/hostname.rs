use super::{list, show, tell, value};
use crate::cli::guest::DiskArgs;
use crate::cli::{Context, Outcome};
use h2k_systemd::ctl::host_name;

/// Show what the guest is called, as hostnamectl would
///
/// Names from a lease, the chassis and the hardware only a running machine knows.
#[derive(Debug, clap::Subcommand)]
pub(in crate::cli) enum Command {
    /// Show names, machine id, system and kernels
    #[command(after_long_help = "Examples:\n  hyper2kvm systemd hostname status server.vmdk")]
    Status(DiskArgs),
    /// Print the static host name
    #[command(after_long_help = "Examples:\n  hyper2kvm systemd hostname hostname server.vmdk")]
    Hostname(DiskArgs),
    /// Show the same as NAME=value
    #[command(after_long_help = "Examples:\n  hyper2kvm systemd hostname show server.vmdk")]
    Show(DiskArgs),
}

impl Command {
    pub(super) fn run(self, context: &Context) -> Outcome {
        let (disks, status) = match self {
            Self::Status(disks) => (disks, true),
            Self::Show(disks) => (disks, false),
            Self::Hostname(disks) => {
                return disks.look(context, |look| {
                    let name = value(host_name(look).static_hostname.as_ref());
                    list(context, "hostname", name.as_slice())
                });
            }
        };
        disks.look(context, |look| {
            let found = host_name(look);
            let kernels: Vec<&str> = found.kernels.iter().map(|k| k.value.as_str()).collect();
            let kernels = (!kernels.is_empty()).then(|| kernels.join(" "));
            let names = [
                ("Static hostname", "StaticHostname", &found.static_hostname),
                ("Pretty hostname", "PrettyHostname", &found.pretty_hostname),
                ("Icon name", "IconName", &found.icon_name),
                ("Chassis", "Chassis", &found.chassis),
                ("Deployment", "Deployment", &found.deployment),
                ("Location", "Location", &found.location),
                ("Machine ID", "MachineID", &found.machine_id),
                (
                    "Operating System",
                    "OperatingSystemPrettyName",
                    &found.operating_system,
                ),
                ("CPE OS Name", "OperatingSystemCPEName", &found.os_cpe_name),
                ("OS home page", "HomeURL", &found.os_home_page),
            ];
            let lines = names.into_iter().filter(|(.., fact)| !status || fact.is_some());
            let mut lines: Vec<(&str, Option<String>)> = lines
                .map(|(label, property, fact)| (if status { label } else { property }, value(fact.as_ref())))
                .collect();
            if status {
                lines.push(("Kernels", kernels));
                tell(context, &found, &lines)
            } else {
                lines.push(("KernelReleases", kernels));
                show(context, &found, &lines)
            }
        })
    }
}
