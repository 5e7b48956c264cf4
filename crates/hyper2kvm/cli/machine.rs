//! The machine a guest is put into.

use super::value;
use h2k_machine::{Attach, Decisions};

/// The machine.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = "Machine")]
pub(super) struct MachineArgs {
    /// Memory, instead of what the description of the old machine says; 2 GiB where that is silent
    #[arg(long, value_name = "SIZE", value_parser = value::some_bytes)]
    memory: Option<u64>,
    /// Processors, instead of what the description of the old machine says; 2 where that is silent
    #[arg(long, value_name = "N")]
    vcpus: Option<u32>,
    /// Plug network cards into this network of libvirt; with OLD= those that were on OLD only; may be repeated
    #[arg(long, value_name = "[OLD=]NETWORK")]
    network: Vec<String>,
    /// Plug network cards into this bridge of the host; with OLD= those that were on OLD only; may be repeated
    #[arg(long, value_name = "[OLD=]BRIDGE")]
    bridge: Vec<String>,
}

impl MachineArgs {
    pub(super) fn decisions(&self) -> Decisions {
        let mut decisions = Decisions {
            memory: self.memory,
            processors: self.vcpus,
            ..Decisions::default()
        };
        let mut plug = |said: &str, attach: fn(String) -> Attach| match said.split_once('=') {
            Some((old, new)) => {
                decisions.networks.insert(old.to_owned(), attach(new.to_owned()));
            }
            None => decisions.fallback = Some(attach(said.to_owned())),
        };
        for said in &self.network {
            plug(said, Attach::Network);
        }
        for said in &self.bridge {
            plug(said, Attach::Bridge);
        }
        decisions
    }
}
