//! What a serial console, or a screen, tells of a start.

/// How many lines are kept for the report.
const LINES: usize = 20;
/// How many bytes are looked at: the end of what was said.
const KEPT: usize = 64 << 10;

/// Lines that mean the start is over, and what they mean.
const SIGNS: [(&str, &str); 14] = [
    (
        "(initramfs)",
        "the initramfs did not find the root, and waits at its prompt",
    ),
    ("Gave up waiting for root", "the initramfs did not find the root"),
    ("Entering emergency mode", "emergency mode"),
    ("You are in emergency mode", "emergency mode"),
    ("Give root password for maintenance", "emergency mode"),
    ("Kernel panic", "the kernel panicked"),
    ("Unable to mount root fs", "the kernel could not mount the root"),
    ("grub rescue>", "GRUB did not find its files"),
    ("error: no such device", "GRUB did not find a disk"),
    ("error: no such partition", "GRUB did not find a partition"),
    ("No bootable device", "the firmware found nothing to start"),
    ("UEFI Interactive Shell", "the firmware found nothing to start"),
    (
        "Boot failed: not a bootable disk",
        "the firmware found nothing to start",
    ),
    (
        "Boot failed: could not read the boot disk",
        "the firmware could not read a disk",
    ),
];

/// What a console said so far.
#[derive(Debug, Default)]
pub(super) struct Console {
    said: Vec<u8>,
}

/// What a start came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    /// Somebody may log in.
    Login,
    /// It did not come up, for this reason.
    Failed(&'static str),
}

impl Console {
    /// Takes what was said next. What is long past is forgotten.
    pub(super) fn take(&mut self, bytes: &[u8]) {
        self.said.extend_from_slice(bytes);
        if let Some(over) = self.said.len().checked_sub(KEPT) {
            self.said.drain(..over);
        }
    }

    /// Whether what was said settles it.
    pub(super) fn sign(&self) -> Option<Sign> {
        let lines = self.lines();
        sign(&lines).or_else(|| {
            // It is its prompt as long as nothing follows: GRUB says so, too, while it starts something.
            (lines.last().map(|line| line.trim()) == Some("grub>")).then_some(PROMPT)
        })
    }

    /// The last lines, as a person would read them.
    pub(super) fn tail(&self) -> Vec<String> {
        tail(self.lines())
    }

    fn lines(&self) -> Vec<String> {
        let text = plain(&String::from_utf8_lossy(&self.said));
        let lines = text.split(['\n', '\r']).filter(|line| !line.trim().is_empty());
        lines.map(str::to_owned).collect()
    }
}

/// Somebody would have to say what is to be started.
const PROMPT: Sign = Sign::Failed("GRUB waits at its prompt");

/// Whether one of the lines settles it.
fn sign(lines: &[String]) -> Option<Sign> {
    lines.iter().find_map(|line| {
        if line.trim_end().ends_with(" login:") {
            return Some(Sign::Login);
        }
        let (_, why) = SIGNS.iter().find(|(words, _)| line.contains(words))?;
        Some(Sign::Failed(why))
    })
}

/// Whether what is on a screen settles it.
pub(super) fn seen(rows: &[String]) -> Option<Sign> {
    let prompt = || rows.iter().any(|row| row == "grub>").then_some(PROMPT);
    sign(rows).or_else(prompt)
}

/// As many of the last lines as a report has room for.
pub(super) fn tail(lines: Vec<String>) -> Vec<String> {
    let over = lines.len().saturating_sub(LINES);
    lines.into_iter().skip(over).collect()
}

/// The text without what moves cursors and changes colours (ECMA-48 control sequences).
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' if chars.next_if_eq(&'[').is_some() => {
                // Parameters and intermediates, up to the final byte.
                while chars.next_if(|c| matches!(c, ' '..='?')).is_some() {}
                let _last = chars.next();
            }
            '\n' | '\r' | '\t' => plain.push(c),
            c if c.is_control() => {}
            c => plain.push(c),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::{Console, KEPT, SIGNS, Sign, seen};

    fn said(text: &str) -> Option<Sign> {
        let mut console = Console::default();
        for piece in text.as_bytes().chunks(3) {
            console.take(piece);
        }
        console.sign()
    }

    #[test]
    fn a_login_prompt_is_a_start() {
        let text = "SeaBIOS\r\n\u{1b}[0;32m  OK  \u{1b}[0m started\r\n\r\nDebian GNU/Linux 12 web01 ttyS0\r\n\r\nweb01 login: ";
        assert_eq!(said(text), Some(Sign::Login));
        assert_eq!(
            said("Started systemd-logind.service - User Login Management.\r\n"),
            None
        );
    }

    #[test]
    fn known_failures_are_named() {
        assert!(matches!(
            said("Gave up waiting for root file system device."),
            Some(Sign::Failed(_))
        ));
        assert!(matches!(said("\r\n(initramfs) "), Some(Sign::Failed(_))));
        assert!(matches!(
            said("[ 1.2] Kernel panic - not syncing"),
            Some(Sign::Failed(_))
        ));
        assert!(matches!(
            said("GNU GRUB version 2.06\r\n\r\ngrub> "),
            Some(Sign::Failed(_))
        ));
        assert_eq!(said("grub> linux /vmlinuz\r\nLoading Linux"), None);
    }

    #[test]
    fn each_sign_is_seen_on_a_console_and_on_a_screen() {
        for (words, why) in SIGNS {
            assert_eq!(
                said(&format!("before\r\n[ 1.0] {words} after\r\n")),
                Some(Sign::Failed(why))
            );
            assert_eq!(seen(&["before".into(), words.into()]), Some(Sign::Failed(why)));
        }
        assert_eq!(seen(&["web01 login:".into()]), Some(Sign::Login));
        assert!(matches!(seen(&["grub>".into()]), Some(Sign::Failed(_))));
        assert_eq!(seen(&["Booting from Hard Disk...".into()]), None);
    }

    #[test]
    fn little_is_kept_of_much() {
        let mut console = Console::default();
        for _ in 0..40 {
            console.take(&[b'x'; 10_000]);
        }
        console.take(b"\nlast\n");
        assert!(console.said.len() <= KEPT);
        assert_eq!(console.tail().last().map(String::as_str), Some("last"));
    }
}
