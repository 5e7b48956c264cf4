//! Keys of encrypted devices.

use h2k_block::{Class, Error, Result};
use h2k_volume::{Secret, UNLOCK_LIMITS, Volumes};

/// A key and the device it is for.
#[derive(Debug)]
pub struct Key {
    /// The device: its name, the UUID of its LUKS header, or `all`.
    pub device: String,
    /// What to try, in this order: a passphrase without its line end, then the file as it is.
    pub secrets: Vec<Secret>,
}

impl Key {
    /// The key in `bytes`. A line end at the end is first taken for the editor's, then for the key's.
    #[must_use]
    pub fn new(device: String, mut bytes: Vec<u8>) -> Self {
        let mut secrets = Vec::new();
        if bytes.last() == Some(&b'\n') {
            let whole = Secret::new(bytes.clone());
            bytes.pop();
            secrets.push(Secret::new(bytes));
            secrets.push(whole);
        } else {
            secrets.push(Secret::new(bytes));
        }
        Self { device, secrets }
    }

    fn is_for(&self, device: &str, uuid: Option<&str>) -> bool {
        self.device == "all"
            || self.device == device
            || uuid.is_some_and(|u| u.eq_ignore_ascii_case(&self.device))
    }
}

/// Opens every device that a key was given for, also those that only appear when another one is open.
pub(super) fn unlock(volumes: &mut Volumes, keys: Vec<Key>) -> Result<()> {
    let mut used = vec![false; keys.len()];
    let mut tried: Vec<String> = Vec::new();
    loop {
        let locked = volumes.list.iter().find_map(|v| {
            let luks = v.encryption.as_ref()?;
            let name = v.device.clone();
            (!tried.contains(&name)).then(|| (name, luks.uuid.clone()))
        });
        let Some((device, uuid)) = locked else { break };
        tried.push(device.clone());
        let mut fitting = Vec::new();
        for (key, used) in keys.iter().zip(used.iter_mut()) {
            if key.is_for(&device, Some(&uuid)) {
                *used = true;
                fitting.push(key);
            }
        }
        let mut refused = None;
        let secrets = fitting.iter().flat_map(|key| key.secrets.iter());
        for secret in secrets {
            match volumes.unlock(&device, secret, &UNLOCK_LIMITS) {
                Ok(_) => {
                    refused = None;
                    break;
                }
                Err(e) => refused = Some(e),
            }
        }
        if let Some(e) = refused {
            return Err(e.advise("check the key; the header's key slots are shown by: partitions"));
        }
    }
    match keys.iter().zip(used).find(|(_, used)| !used) {
        Some((key, _)) if key.device != "all" => {
            let names: Vec<&str> = volumes
                .list
                .iter()
                .filter(|v| v.encryption.is_some())
                .map(|v| v.device.as_str())
                .collect();
            let error = Error::new(
                Class::NotFound,
                format!(
                    "a key was given for {}, which is no encrypted device here",
                    key.device
                ),
            );
            Err(error.advise(match names.as_slice() {
                [] => {
                    "nothing on these disks is encrypted in a way that is known; leave --key out".to_owned()
                }
                names => format!("encrypted are: {}", names.join(" ")),
            }))
        }
        _ => Ok(()),
    }
}
