//! Consoles: those of Xen, which are not there on KVM, and the serial one, for whoever wants it.

use super::Fix;
use super::cmdline::{Change, CommandLine, Home, Kind, Told, homes, sweep, value};
use super::patch::{Line, Patch, lines};
use crate::edit::Edit;
use crate::finding::Finding;
use crate::options::Hypervisor;
use crate::view::View;
use h2k_block::Result;
use h2k_guest::Source;

const INITTAB: &str = "/etc/inittab";

/// Takes away consoles that only Xen has.
pub(super) struct Console;

/// Has the guest speak and listen on its serial console.
pub(super) struct Serial;

impl Fix for Console {
    fn id(&self) -> &'static str {
        "linux.console"
    }

    fn about(&self) -> &'static str {
        "takes away consoles that only Xen has"
    }

    fn look(&self, view: &View<'_>) -> Result<Vec<Finding>> {
        if view.target.from == Some(Hypervisor::Kvm) {
            let why = "the guest comes from KVM, where hvc0 is a console of virtio";
            return Ok(vec![Finding::leave(why)]);
        }
        let mut findings = sweep(view, &mut |_, _, words| {
            let words = words.iter().enumerate().filter(|(_, word)| xen(word));
            words
                .map(|(at, word)| Told::remove(at, word, "only Xen has it"))
                .collect()
        });
        if let Some(bytes) = view.look.bytes(INITTAB, 1 << 20) {
            findings.extend(inittab(&bytes));
        }
        if findings.is_empty() {
            findings.push(Finding::leave("no console of Xen is asked for"));
        }
        Ok(findings)
    }
}

/// Whether a parameter means something to Xen alone.
fn xen(word: &[u8]) -> bool {
    let said = |range: &std::ops::Range<usize>| word.get(range.clone()).unwrap_or_default();
    match value(word) {
        Some((b"console", range)) => is_xen_console(said(&range)),
        Some((b"earlyprintk", range)) => said(&range).starts_with(b"xen"),
        Some((b"xencons" | b"independent_wallclock", _)) => true,
        _ => word == b"independent_wallclock",
    }
}

fn is_xen_console(name: &[u8]) -> bool {
    [&b"hvc"[..], b"xvc"].iter().any(|console| {
        let rest = name.strip_prefix(*console).unwrap_or_default();
        rest.first().is_some_and(u8::is_ascii_digit)
    })
}

/// The process of a line of inittab(5): identifier, runlevels, action, process.
fn getty(line: &[u8]) -> Option<&[u8]> {
    let mut fields = line.splitn(4, |b| *b == b':');
    let (id, _, action) = (fields.next()?, fields.next()?, fields.next()?);
    let process = fields.next()?;
    let word = !id.is_empty() && id.len() < 5 && id.iter().all(u8::is_ascii_alphanumeric);
    let getty = process.windows(5).any(|w| w == b"getty");
    (word && getty && action == b"respawn").then_some(process)
}

fn on_xen(process: &[u8]) -> bool {
    process
        .split(u8::is_ascii_whitespace)
        .any(|word| is_xen_console(word.strip_prefix(b"/dev/").unwrap_or(word)))
}

/// Logins on consoles of Xen are commented out: init would start them again and again. Where they were all there was,
/// those come back that Xen's tools had commented out.
fn inittab(bytes: &[u8]) -> Option<Finding> {
    let mut patch = Patch::new(bytes);
    let mut read = Vec::new();
    let active: Vec<(Line<'_>, &[u8])> = lines(bytes).filter_map(|l| Some((l, getty(l.text)?))).collect();
    if !active.iter().any(|(_, process)| on_xen(process)) {
        return None;
    }
    let alone = active.iter().all(|(_, process)| on_xen(process));
    for line in lines(bytes) {
        let source = Source::line(INITTAB.as_bytes(), line.number);
        if getty(line.text).is_some_and(on_xen) {
            patch.replace(line.start..line.start, "#");
            read.push(source);
        } else if let Some(rest) = line.text.strip_prefix(b"#").filter(|_| alone)
            && rest.first().is_some_and(u8::is_ascii_digit)
            && getty(rest).is_some_and(|process| !on_xen(process))
        {
            patch.replace(line.start..line.start.saturating_add(1), "");
            read.push(source);
        }
    }
    let why = format!("{INITTAB} has logins on consoles that only Xen has");
    Some(Finding::change(why, vec![Edit::write(INITTAB, patch.done())]).read(read))
}

impl Fix for Serial {
    fn id(&self) -> &'static str {
        "linux.serial-console"
    }

    fn about(&self) -> &'static str {
        "has the guest speak and listen on its serial console, beside the screen"
    }

    fn by_default(&self) -> bool {
        false
    }

    fn look(&self, view: &View<'_>) -> Result<Vec<Finding>> {
        let environment = homes(view, Kind::GrubEnv);
        let shared = environment
            .iter()
            .any(|home| home.lines.iter().any(|l| l.name == "kernelopts"));
        let mut findings = sweep(view, &mut |home, line, words| {
            if !wants(home, line, words, shared) || words.iter().any(|w| w.starts_with(b"console=ttyS")) {
                return Vec::new();
            }
            let all = ["console=tty0", "console=ttyS0,115200"];
            let missing = all.into_iter().filter(|word| !words.contains(&word.as_bytes()));
            missing.map(Told::append).collect()
        });
        findings.extend(serial_login(view));
        if findings.is_empty() {
            findings.push(Finding::leave(
                "there is nothing to tell of a serial console, or it is told already",
            ));
        }
        Ok(findings)
    }
}

/// Whether a command line is of a system, and the place for what all its kernels are told.
fn wants(home: &Home, line: &CommandLine, words: &[&[u8]], shared: bool) -> bool {
    let root = words.iter().any(|w| w.starts_with(b"root="));
    match home.kind {
        Kind::GrubDefault => matches!(line.name.as_str(), "GRUB_CMDLINE_LINUX" | "DEFAULT_APPEND"),
        // Xen's own entries have `module`; a test of the memory has no root.
        Kind::GrubCfg => root && line.name.starts_with("linux"),
        Kind::GrubLegacy => root && line.name == "kernel",
        Kind::Extlinux => line.name == "default_kernel_opts" || (root && line.name == "append"),
        Kind::GrubEnv => line.name == "kernelopts",
        Kind::Bls => !(shared && words.iter().any(|w| w.starts_with(b"$kernelopts"))),
        Kind::KernelCmdline => home.path == "/etc/kernel/cmdline",
    }
}

/// A login on the serial console, where init has to be told: systemd and upstart follow the kernel's consoles.
fn serial_login(view: &View<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let Some(bytes) = view.look.bytes(INITTAB, 1 << 20) else {
        return findings;
    };
    let logins: Vec<&[u8]> = lines(&bytes).filter_map(|line| getty(line.text)).collect();
    let there = logins.iter().any(|l| l.windows(4).any(|w| w == b"ttyS"));
    if logins.is_empty() || there {
        return findings;
    }
    let program = ["/sbin/agetty", "/sbin/getty"]
        .into_iter()
        .find(|p| view.look.exists(p));
    let Some(program) = program else { return findings };
    let mut text = bytes.clone();
    if text.last().is_some_and(|b| *b != b'\n') {
        text.push(b'\n');
    }
    text.extend_from_slice(format!("S0:2345:respawn:{program} -L 115200 ttyS0 vt102\n").as_bytes());
    let mut edits = vec![Edit::write(INITTAB, text)];
    let secure = "/etc/securetty";
    if let Some(mut list) = view.look.bytes(secure, 1 << 20)
        && !lines(&list).any(|l| l.text == b"ttyS0")
    {
        if list.last().is_some_and(|b| *b != b'\n') {
            list.push(b'\n');
        }
        list.extend_from_slice(b"ttyS0\n");
        edits.push(Edit::write(secure, list));
    }
    let why = format!("{INITTAB} has no login on the serial console");
    findings.push(Finding::change(why, edits).read([Source::file(INITTAB.as_bytes())]));
    findings
}

impl Told {
    /// A word is gone, for this reason.
    pub(super) fn remove(at: usize, word: &[u8], why: &str) -> Self {
        let word = String::from_utf8_lossy(word);
        Self {
            change: Change::Remove(at),
            what: format!("{word} goes: {why}"),
        }
    }

    /// One more word.
    pub(super) fn append(word: &'static str) -> Self {
        Self {
            change: Change::Append(word),
            what: format!("{word} is added"),
        }
    }
}
