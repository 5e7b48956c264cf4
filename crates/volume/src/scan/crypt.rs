//! LUKS devices in a scan: described, and entered where a key was given before.

use super::Scan;
use crate::luks;
use crate::node::Node;
use crate::volumes::{Crypt, Kind};
use h2k_block::{BlockRead, Error, Meter, Result};
use std::sync::Arc;

impl Scan {
    pub(super) fn encrypted(&mut self, i: usize, disk: &dyn BlockRead) -> Result<()> {
        // Its JSON is gone again after this, so it has an account of its own.
        let header = luks::read(disk, &mut Meter::new(self.limits))?;
        let about = header.describe();
        let device = self.device(i);
        if let Some(why) = &about.refused {
            let error = Error::unsupported(format!("this LUKS device is not opened: {why}"));
            self.problem(&device, error);
        }
        if let Some(slot) = self.volumes.get_mut(i) {
            slot.encryption = Some(about.clone());
        }
        let (Some(keyed), Some(volume)) = (self.opened.get(&device), self.volumes.get(i)) else {
            return Ok(());
        };
        let node = Node::Crypt {
            below: volume.node,
            keyed: Arc::clone(keyed),
        };
        let kind = Kind::Crypt(Crypt {
            uuid: about.uuid.clone(),
            cipher: about.cipher,
        });
        let name = format!("/dev/mapper/luks-{}", about.uuid);
        let opened = self.add(node, name, kind, vec![i])?;
        // The name libguestfs' tools give it: the device's without slashes.
        let plain: String = device.trim_start_matches("/dev/").split('/').collect();
        if let Some(slot) = self.volumes.get_mut(opened) {
            slot.aliases.push(format!("/dev/mapper/crypt{plain}"));
        }
        Ok(())
    }
}
