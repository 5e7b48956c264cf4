//! What a Linux system's files tell, a module for each topic.

mod cmdline;
#[allow(dead_code)]
mod ini;
mod json;
mod network;
mod os;
mod packages;
mod security;
mod started;
mod storage;
#[allow(dead_code)]
mod yaml;

pub(crate) use network::look as network;
pub(crate) use os::look as os;
pub(crate) use packages::look as packages;
pub(crate) use security::look as security;
pub(crate) use storage::look as storage;
