//! Asking every fix.

use crate::drafted::Drafted;
use crate::edit::Edit;
use crate::finding::{Finding, Outcome};
use crate::fixes;
use crate::options::{Options, Target};
use crate::view::View;
use h2k_block::{Limits, Meter};
use h2k_boot::Boot;
use h2k_guest::{Assembled, Crypttab, Guest, Look, System, Unread};

/// What is proposed for one system.
#[derive(Debug)]
pub struct Proposal {
    /// Every finding, in the order of the fixes.
    pub findings: Vec<Finding>,
    /// The tree with all of it done, and what was done.
    pub drafted: Drafted,
    /// What could not be read on the way.
    pub unread: Vec<Unread>,
}

/// Asks every fix that is wanted about `system`, which boots as `boot` says, each seeing what those before it propose. Nothing is written.
#[must_use]
pub fn propose(
    guest: &Guest,
    system: &System,
    assembled: &Assembled,
    boot: &Boot,
    target: &Target,
    options: &Options,
    limits: &Limits,
) -> Proposal {
    let before = Look::new(&assembled.tree, limits);
    let crypttab = Crypttab::read(&before.bytes("/etc/crypttab", 1 << 20).unwrap_or_default());
    let mut unread = before.take_unread();
    // The EFI system partition is fixed, too, where the guest's table leaves it to systemd to mount it.
    let whole = h2k_boot::with_esp(&assembled.tree, guest);
    let mut drafted = Drafted::new(whole.as_ref().unwrap_or(&assembled.tree), options.now, limits);
    let mut findings = Vec::new();
    for fix in fixes::all() {
        if fix.kind() != system.kind || !options.wants(fix.id(), fix.by_default()) {
            continue;
        }
        let look = Look::new(drafted.tree(), limits);
        let view = View {
            guest,
            system,
            look: &look,
            boot,
            crypttab: &crypttab,
            target,
            options,
        };
        let found = fix.look(&view).unwrap_or_else(|e| {
            let advice = e.advice().map(str::to_owned);
            let mut blocked = Finding::blocked(e.to_string());
            blocked.advice = advice;
            vec![blocked]
        });
        unread.extend(look.take_unread());
        for mut finding in found {
            fix.id().clone_into(&mut finding.fix);
            if let Err(e) = drafted.apply(&finding, &mut Meter::new(*limits)) {
                finding.outcome = Outcome::Blocked;
                finding.why = format!("{}; that cannot be done: {e}", finding.why);
                finding.edits.clear();
            }
            findings.push(finding);
        }
    }
    if let Some(mut finding) = relabelled(&drafted) {
        "linux.selinux-labels".clone_into(&mut finding.fix);
        if let Err(e) = drafted.apply(&finding, &mut Meter::new(*limits)) {
            finding = Finding::blocked(format!("{}; and that cannot be done: {e}", finding.why));
            "linux.selinux-labels".clone_into(&mut finding.fix);
        }
        findings.push(finding);
    }
    if fixes::all().iter().all(|fix| fix.kind() != system.kind) {
        let what = format!(
            "no fix knows {} guests, which stay as they are",
            system.kind.word()
        );
        let mut finding = Finding::blocked(what);
        "system".clone_into(&mut finding.fix);
        findings.push(finding);
    }
    let mut kept: Vec<Unread> = Vec::new();
    for entry in unread {
        if !kept.contains(&entry) {
            kept.push(entry);
        }
    }
    Proposal {
        findings,
        drafted,
        unread: kept,
    }
}

/// Where SELinux is on and the label of a new file could not be told, the guest labels everything at its next start.
fn relabelled(drafted: &Drafted) -> Option<Finding> {
    let unlabelled = drafted.unlabelled();
    let first = unlabelled.first()?;
    let more = match unlabelled.len() {
        1 => String::new(),
        n => format!(" and {} more", n.saturating_sub(1)),
    };
    let why = format!(
        "the policy of SELinux does not tell the label of {first}{more}: with /.autorelabel the guest labels all its \
         files at its next start, which takes minutes and another start"
    );
    Some(Finding::change(why, vec![Edit::write("/.autorelabel", "")]))
}
