//! cloud-init: on other hardware it would take the machine for a new one, make new host keys and another network.

use super::Fix;
use super::text::write;
use crate::edit::Edit;
use crate::finding::Finding;
use crate::view::View;
use h2k_block::Result;
use h2k_guest::Source;

const DROP_IN: &str = "/etc/cloud/cloud.cfg.d/99-hyper2kvm.cfg";
const OFF: &str = "/etc/cloud/cloud-init.disabled";
const INSTANCE: &str = "/var/lib/cloud/instance";
const SEED: &str = "/var/lib/cloud/seed/nocloud";

/// Keeps cloud-init from configuring the guest anew, or gives it what it is to be configured with.
pub(super) struct CloudInit;

impl Fix for CloudInit {
    fn id(&self) -> &'static str {
        "linux.cloud-init"
    }

    fn about(&self) -> &'static str {
        "keeps cloud-init from making the guest anew on other hardware; switches it off or seeds it, when that is wanted"
    }

    fn look(&self, view: &View<'_>) -> Result<Vec<Finding>> {
        let wish = &view.options.cloud_init;
        let there = ["/etc/cloud/cloud.cfg", "/usr/bin/cloud-init"]
            .into_iter()
            .find(|path| view.look.exists(path));
        let Some(there) = there else {
            return Ok(vec![match wish.nocloud {
                None => Finding::leave("cloud-init is not there"),
                Some(_) => Finding::blocked("cloud-init is not there, and nothing would read its seed")
                    .advise("install cloud-init in the guest, or configure the guest without it"),
            }]);
        };
        let source = Source::file(there.as_bytes());
        let off = view.look.exists(OFF)
            || view
                .look
                .target("/etc/systemd/system/cloud-init.target")
                .as_deref()
                == Some(b"/dev/null");
        if off && wish.nocloud.is_none() {
            return Ok(vec![Finding::leave("cloud-init is switched off").read([source])]);
        }
        if wish.disable {
            let why = "cloud-init is switched off, as is wished";
            return Ok(vec![
                Finding::change(why, vec![Edit::write(OFF, "")]).read([source]),
            ]);
        }
        let (edits, why) = match &wish.nocloud {
            Some(seed) => {
                let mut edits = Vec::new();
                if off {
                    edits.push(Edit::Remove {
                        path: OFF.as_bytes().to_vec(),
                    });
                }
                let network = match seed.network_config {
                    Some(_) => "",
                    None => "network: {config: disabled}\n",
                };
                let text = format!(
                    "# The machine was moved to other hardware, and is configured by what lies in {SEED}.\n\
                     datasource_list: [NoCloud, None]\n{network}"
                );
                edits.extend(write(view, DROP_IN, text, 0o644));
                let files = [
                    ("user-data", Some(&seed.user_data)),
                    ("meta-data", Some(&seed.meta_data)),
                    ("network-config", seed.network_config.as_ref()),
                ];
                for (name, content) in files {
                    let Some(content) = content else { continue };
                    edits.extend(write(view, &format!("{SEED}/{name}"), content.as_str(), 0o600));
                }
                (edits, "cloud-init configures the guest by the seed that is given")
            }
            None => {
                let text = "# The machine was moved to other hardware: its network and its identity stay as they are.\n\
                            network: {config: disabled}\nmanual_cache_clean: true\n";
                let mut edits: Vec<Edit> = write(view, DROP_IN, text, 0o644).into_iter().collect();
                // With this mark beside what it knows of the instance, it does not look for another.
                if view.look.is_dir(INSTANCE) {
                    edits.extend(write(view, &format!("{INSTANCE}/manual-clean"), "", 0o644));
                }
                (
                    edits,
                    "cloud-init would take the machine for a new one; its network and what it knows of the instance stay",
                )
            }
        };
        if edits.is_empty() {
            return Ok(vec![Finding::leave(format!("{why} already")).read([source])]);
        }
        Ok(vec![Finding::change(why, edits).read([source])])
    }
}
