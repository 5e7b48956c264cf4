//! What the user wants the guest configured with: its name, users, services, files of its network.

mod accounts;
pub(super) mod checks;
mod hostname;
mod network;
mod services;
mod users;

pub(super) use hostname::Hostname;
pub(super) use network::NetworkFiles;
pub(super) use services::Services;
pub(super) use users::Users;
