//! What is nothing to change in the guest, and that the user has to know.

use super::Fix;
use crate::finding::Finding;
use crate::view::View;
use h2k_block::Result;
use h2k_guest::Source;

/// Tells what time the guest takes its clock for.
pub(super) struct Clock;

impl Fix for Clock {
    fn id(&self) -> &'static str {
        "linux.rtc"
    }

    fn about(&self) -> &'static str {
        "tells whether the machine's clock has to run in local time"
    }

    fn look(&self, view: &View<'_>) -> Result<Vec<Finding>> {
        let adjtime = view.look.text("/etc/adjtime");
        let said = adjtime.as_ref().and_then(|text| text.lines().nth(2));
        if let Some(line) = &said {
            let source = line.source();
            return Ok(vec![match line.text.trim() {
                "LOCAL" => local(source),
                _ => Finding::leave("the machine's clock runs in UTC").read([source]),
            }]);
        }
        // Before /etc/adjtime said it, and where the init system is not systemd.
        let switches = [
            ("/etc/sysconfig/clock", "UTC", &["false", "no", "0"][..]),
            ("/etc/sysconfig/clock", "HWCLOCK", &["--localtime"]),
            ("/etc/default/rcS", "UTC", &["no"]),
            ("/etc/conf.d/hwclock", "clock", &["local"]),
        ];
        for (path, key, locals) in switches {
            let found = view.look.text(path).and_then(|text| text.assigned(key));
            if let Some(found) =
                found.filter(|fact| locals.iter().any(|word| fact.value.eq_ignore_ascii_case(word)))
            {
                return Ok(vec![local(found.source)]);
            }
        }
        Ok(vec![Finding::leave(
            "nothing says that the machine's clock runs in local time: it runs in UTC",
        )])
    }
}

fn local(source: Source) -> Finding {
    Finding::warn("the guest takes the machine's clock for local time")
        .advise("give the machine a clock with offset localtime")
        .read([source])
}

/// Tells of kernels that check files against signatures, which edits make invalid.
pub(super) struct Integrity;

impl Fix for Integrity {
    fn id(&self) -> &'static str {
        "linux.integrity"
    }

    fn about(&self) -> &'static str {
        "tells whether the kernel refuses files that were changed (IMA, EVM)"
    }

    fn look(&self, view: &View<'_>) -> Result<Vec<Finding>> {
        let mut findings = Vec::new();
        for entry in view.boot.entries.iter().filter(|entry| !entry.rescue) {
            let words = entry.command_line.as_deref().unwrap_or_default();
            let refuses = words.split_whitespace().find(|word| {
                let (key, value) = word.split_once('=').unwrap_or((word, ""));
                match key {
                    "ima_appraise" => value == "enforce",
                    "ima_policy" => value
                        .split('|')
                        .any(|policy| matches!(policy, "appraise_tcb" | "secure_boot" | "fail_securely")),
                    "ima_appraise_tcb" => true,
                    _ => false,
                }
            });
            if let Some(word) = refuses {
                findings.push(refused(
                    &format!("{} starts with {word}", entry.title),
                    entry.source.clone(),
                ));
            }
        }
        for path in [
            "/etc/ima/ima-policy",
            "/etc/ima/ima_policy",
            "/etc/sysconfig/ima-policy",
        ] {
            let Some(text) = view.look.text(path) else {
                continue;
            };
            let rule = text
                .spoken()
                .find(|line| line.text.split_whitespace().next() == Some("appraise"));
            findings.extend(rule.map(|line| refused(&format!("{path} has files appraised"), line.source())));
        }
        if findings.is_empty() {
            findings.push(Finding::leave(
                "no kernel is told to refuse files that were changed",
            ));
        }
        Ok(findings)
    }
}

fn refused(what: &str, source: Source) -> Finding {
    Finding::warn(format!(
        "{what}: the kernel may refuse files that were changed, and their signatures are not made anew"
    ))
    .advise("start once with ima_appraise=fix, which signs anew what is opened")
    .read([source])
}
