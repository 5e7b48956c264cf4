//! What a Linux system's files tell, a module for each topic.

mod agents;
mod cloud;
mod cmdline;
mod containers;
mod environment;
mod firewall;
mod ini;
mod json;
mod network;
mod os;
mod packages;
mod schedule;
mod security;
mod started;
mod storage;
mod users;
mod xml;
mod yaml;

pub(crate) use agents::look as agents;
pub(crate) use cloud::look as cloud;
pub(crate) use containers::look as containers;
pub(crate) use environment::look as environment;
pub(crate) use firewall::look as firewall;
pub(crate) use network::look as network;
pub use network::read as network_of;
pub(crate) use network::{address_with, hosts, with_length};
pub(crate) use os::look as os;
pub(crate) use packages::look as packages;
pub(crate) use schedule::look as schedule;
pub(crate) use security::look as security;
pub(crate) use storage::look as storage;
pub(crate) use users::look as users;
