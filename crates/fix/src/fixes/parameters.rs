//! Parameters of kernels that made sense on the old machine and stop or cripple the guest on KVM.

use super::Fix;
use super::cmdline::{Change, Told, sweep, value, with};
use crate::finding::Finding;
use crate::view::View;
use h2k_block::Result;

/// Takes away parameters that break on KVM. What is only superfluous stays.
pub(super) struct BootParameters;

impl Fix for BootParameters {
    fn id(&self) -> &'static str {
        "linux.boot-parameters"
    }

    fn about(&self) -> &'static str {
        "takes away parameters of the kernel that break on KVM"
    }

    fn look(&self, view: &View<'_>) -> Result<Vec<Finding>> {
        let mut findings = sweep(view, &mut |_, _, words| {
            let pair = words.contains(&&b"notsc"[..]) && words.iter().any(|w| w.starts_with(b"lpj="));
            let words = words.iter().enumerate();
            words.filter_map(|(at, word)| of_word(at, word, pair)).collect()
        });
        if findings.is_empty() {
            findings.push(Finding::leave("kernels are told nothing that breaks on KVM"));
        }
        Ok(findings)
    }
}

/// What is to become of a word; `pair` where the measured speed of the old machine's processor goes with it.
fn of_word(at: usize, word: &[u8], pair: bool) -> Option<Told> {
    if pair && (word == b"notsc" || word.starts_with(b"lpj=")) {
        return Some(Told::remove(at, word, "the speed of the old machine's processor"));
    }
    let (key, range) = value(word)?;
    let said = word.get(range.clone()).unwrap_or_default();
    match key {
        b"clocksource" if said == b"xen" || said.starts_with(b"hyperv") => {
            Some(Told::remove(at, word, "KVM has no such clock"))
        }
        _ if said == b"noprobe" && (key.starts_with(b"ide") || key.starts_with(b"hd")) => {
            Some(Told::remove(at, word, "an emulated IDE disk would not be found"))
        }
        b"module_blacklist" | b"modprobe.blacklist" | b"rd.driver.blacklist" => {
            let all = said.split(|b| *b == b',');
            let kept: Vec<&[u8]> = all.filter(|name| !name.starts_with(b"virtio")).collect();
            let kept = kept.join(&b',');
            if kept.len() == said.len() {
                return None;
            }
            let why = "the drivers of virtio are needed";
            if kept.is_empty() {
                return Some(Told::remove(at, word, why));
            }
            let new = with(word, &range, &kept);
            let what = format!(
                "{} becomes {}: {why}",
                String::from_utf8_lossy(word),
                String::from_utf8_lossy(&new)
            );
            Some(Told {
                change: Change::Replace(at, new),
                what,
            })
        }
        _ => None,
    }
}
