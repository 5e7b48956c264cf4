//! What a Linux system's files tell, a module for each topic.

mod agents;
mod cloud;
mod cmdline;
mod containers;
mod environment;
#[allow(dead_code)]
mod ini;
mod json;
mod network;
mod os;
mod packages;
mod security;
mod started;
mod storage;
mod users;
#[allow(dead_code)]
mod yaml;

pub(crate) use agents::look as agents;
pub(crate) use cloud::look as cloud;
pub(crate) use containers::look as containers;
pub(crate) use environment::look as environment;
pub(crate) use network::look as network;
pub(crate) use network::{address_with, hosts, with_length};
pub(crate) use os::look as os;
pub(crate) use packages::look as packages;
pub(crate) use security::look as security;
pub(crate) use storage::look as storage;
pub(crate) use users::look as users;
