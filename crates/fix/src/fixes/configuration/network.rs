//! Files that configure the guest's network.

use super::checks::plain_name;
use super::services;
use crate::configuration::NetworkFileKind;
use crate::edit::Edit;
use crate::finding::Finding;
use crate::fixes::Fix;
use crate::fixes::text::write;
use crate::view::View;
use h2k_block::Result;
use h2k_fs::Attributes;

/// Puts files of networkd and NetworkManager into the guest.
pub(in crate::fixes) struct NetworkFiles;

impl Fix for NetworkFiles {
    fn id(&self) -> &'static str {
        "linux.network-files"
    }

    fn about(&self) -> &'static str {
        "puts the files of networkd and NetworkManager that are configured into the guest"
    }

    fn look(&self, view: &View<'_>) -> Result<Vec<Finding>> {
        let wish = &view.options.configuration.network;
        let mut files: Vec<(String, &str, u16)> = Vec::new();
        for file in &wish.network_files {
            let ending = match file.kind {
                NetworkFileKind::Network => "network",
                NetworkFileKind::Netdev => "netdev",
            };
            let path = format!("/etc/systemd/network/{:02}-{}.{ending}", file.priority, file.name);
            files.push((path, &file.content, 0o644));
        }
        for file in &wish.nm_connections {
            let path = format!(
                "/etc/NetworkManager/system-connections/{}.nmconnection",
                file.name
            );
            // NetworkManager takes keyfiles that others may read for none.
            files.push((path, &file.content, 0o600));
        }
        let names = wish.network_files.iter().map(|file| &file.name);
        let mut names = names.chain(wish.nm_connections.iter().map(|file| &file.name));
        if let Some(bad) = names.find(|name| !plain_name(name)) {
            return Ok(vec![Finding::blocked(format!(
                "{bad:?} cannot be the name of a file"
            ))]);
        }
        let mut findings = Vec::new();
        for (path, content, mode) in files {
            let mut edits: Vec<Edit> = write(view, &path, content, mode).into_iter().collect();
            let open = view
                .look
                .stat(&path)
                .and_then(|stat| stat.mode)
                .is_some_and(|had| had & 0o777 & !mode != 0);
            if open {
                let attributes = Attributes {
                    mode: Some(mode),
                    ..Attributes::default()
                };
                edits.push(Edit::Attributes {
                    path: path.clone().into_bytes(),
                    attributes,
                });
            }
            findings.push(if edits.is_empty() {
                Finding::leave(format!("{path} is there already"))
            } else {
                Finding::change(format!("{path} is configured"), edits)
            });
        }
        for (wanted, unit) in [
            (wish.enable_networkd, "systemd-networkd.service"),
            (wish.enable_network_manager, "NetworkManager.service"),
        ] {
            if wanted {
                findings.extend(services::enabled(view, unit));
            }
        }
        if findings.is_empty() {
            findings.push(Finding::leave("no files for the network are configured"));
        }
        Ok(findings)
    }
}
