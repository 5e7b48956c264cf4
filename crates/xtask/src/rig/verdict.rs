//! What the rig's judge says of a guest, and whether that is what the guest's description says.

use serde_json::Value;
use std::process::Command;

/// The judge's answer, which it prints whatever it says.
pub(super) fn answer(command: &mut Command) -> Result<Value, String> {
    let done = command.output().map_err(|e| format!("boot-check: {e}"))?;
    let text = String::from_utf8_lossy(&done.stdout);
    serde_json::from_str(&text).map_err(|_| format!("boot-check: {}", String::from_utf8_lossy(&done.stderr)))
}

/// Whether the guest came up, whatever else was expected of it.
pub(super) fn came_up(said: &Value) -> bool {
    said["boot_s"].is_number()
}

/// Whether the guest came up and how long that took, or why it did not.
pub(super) fn outcome(said: &Value) -> String {
    let seconds = |field: &str| said[field].as_f64().unwrap_or(0.0);
    match came_up(said) {
        true => format!(
            "boots in {:.0} s ({})",
            seconds("boot_s"),
            said["accel"].as_str().unwrap_or("?")
        ),
        false => format!(
            "**does not boot**, after {:.0} s: {}",
            seconds("total_s"),
            reason(said)
        ),
    }
}

/// Why the judge is not content.
pub(super) fn reason(said: &Value) -> String {
    let reason = said["reason"].as_str().unwrap_or("no reason given");
    reason.replace('|', "/")
}

/// A fact of the guest's description, `NAME=VALUE`.
pub(super) fn fact<'a>(facts: &'a str, name: &str) -> Option<&'a str> {
    facts
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
}

/// What is not called as it was.
pub(super) fn strayed(said: &Value, facts: &str) -> Vec<String> {
    let net = said["net"].as_str().unwrap_or_default();
    let boot = said["boot"].as_str().unwrap_or_default();
    let has = |text: &str, word: &str| text.split_whitespace().any(|w| w == word);
    let mut strayed = Vec::new();
    let mut ask = |text: &str, word: String| {
        if !has(text, &word) {
            strayed.push(word);
        }
    };
    ask(
        boot,
        format!("host=rig-{}", fact(facts, "V_NAME").unwrap_or_default()),
    );
    ask(net, format!("if={}", fact(facts, "V_IFACE").unwrap_or_default()));
    ask(net, format!("mac={}", fact(facts, "V_MAC").unwrap_or_default()));
    match fact(facts, "V_IP") {
        Some("dhcp") | None => {
            if !net.contains(" ip=1") {
                ask(net, "ip=…".to_owned());
            }
        }
        Some(address) => ask(net, format!("ip={address}/24")),
    }
    strayed
}

#[cfg(test)]
mod tests {
    use super::{came_up, outcome, strayed};
    use serde_json::json;

    const FACTS: &str = "V_NAME=web\nV_IFACE=ens192\nV_MAC=00:50:56:8a:01:21\nV_IP=192.168.77.21\n";

    #[test]
    fn what_is_called_otherwise_is_told_and_nothing_else() {
        let said = json!({
            "boot": "RIG-BOOT-OK host=rig-web root=/dev/vda1",
            "net": "RIG-NET if=ens192 mac=00:50:56:8a:01:21 ip=192.168.77.21/24 gwping=ok",
        });
        assert!(strayed(&said, FACTS).is_empty());
        let moved = json!({
            "boot": "RIG-BOOT-OK host=rig-web root=/dev/vda1",
            "net": "RIG-NET if=enp1s0 mac=00:50:56:8a:01:21 ip=192.168.77.210/24 gwping=ok",
        });
        assert_eq!(strayed(&moved, FACTS), ["if=ens192", "ip=192.168.77.21/24"]);
    }

    #[test]
    fn a_guest_that_came_up_otherwise_than_expected_did_come_up() {
        let said =
            json!({"state": "fail", "boot_s": 79.0, "accel": "tcg", "reason": "network not as expected"});
        assert!(came_up(&said));
        assert_eq!(outcome(&said), "boots in 79 s (tcg)");
        let said = json!({"state": "fail", "boot_s": null, "total_s": 90.0, "reason": "a|b"});
        assert!(!came_up(&said));
        assert_eq!(outcome(&said), "**does not boot**, after 90 s: a/b");
    }
}
