//! LILO, which stores the numbers of sectors and devices: only itself can change them.

use crate::finding::Finding;
use crate::fixes::Fix;
use crate::fixes::patch::lines;
use crate::view::View;
use h2k_block::Result;
use h2k_boot::LoaderKind;
use h2k_boot::naming::{Naming, of as naming};
use h2k_guest::Source;

/// Says what LILO will not find.
pub(in crate::fixes) struct Lilo;

impl Fix for Lilo {
    fn id(&self) -> &'static str {
        "linux.lilo"
    }

    fn about(&self) -> &'static str {
        "says which names of disks LILO has stored"
    }

    fn look(&self, view: &View<'_>) -> Result<Vec<Finding>> {
        const PATH: &str = "/etc/lilo.conf";
        let Some(bytes) = view.look.bytes(PATH, 1 << 20) else {
            return Ok(vec![Finding::leave("there is no /etc/lilo.conf")]);
        };
        let other = view
            .boot
            .default_entry()
            .is_some_and(|e| e.loader != LoaderKind::Lilo);
        if other {
            return Ok(vec![Finding::leave("another boot loader than LILO is in use")]);
        }
        let mut found = Vec::new();
        let mut read = Vec::new();
        for line in lines(&bytes).filter(|line| !line.silent()) {
            let text = String::from_utf8_lossy(line.text);
            let Some((key, value)) = text.trim().split_once('=') else {
                continue;
            };
            let value = value.trim().trim_matches('"');
            let device = matches!(key.trim(), "boot" | "root" | "disk");
            if device && matches!(naming(value), Naming::Order(_) | Naming::Place) {
                found.push(format!("{}={value}", key.trim()));
                read.push(Source::line(PATH.as_bytes(), line.number));
            }
        }
        if found.is_empty() {
            let why = "/etc/lilo.conf names no disk that hangs on the machine";
            return Ok(vec![Finding::leave(why).read([Source::file(PATH.as_bytes())])]);
        }
        let why = format!("LILO has stored {}, and tells the kernel so", found.join(", "));
        let advice = "install GRUB before the move; or give root= at LILO's prompt, correct /etc/lilo.conf and run lilo";
        Ok(vec![Finding::warn(why).advise(advice).read(read)])
    }
}
