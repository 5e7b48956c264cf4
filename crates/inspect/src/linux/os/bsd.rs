//! FreeBSD, NetBSD, OpenBSD and smaller kin: name and version.

use super::osinfo::two;
use crate::os::Os;
use h2k_guest::{Fact, Look, Source, SystemKind};

pub(super) fn look(kind: SystemKind, files: &Look<'_>, os: &mut Os) {
    let (name, found) = match kind {
        SystemKind::FreeBsd => ("FreeBSD", freebsd(files)),
        SystemKind::NetBsd => ("NetBSD", after(files, "/etc/release", "NetBSD ")),
        SystemKind::OpenBsd => (
            "OpenBSD",
            after(files, "/etc/motd", "OpenBSD ").or_else(|| signify(files)),
        ),
        SystemKind::Minix => ("MINIX", after(files, "/etc/version", "")),
        SystemKind::Hurd => ("GNU/Hurd", None),
        SystemKind::Dos => ("FreeDOS", None),
        _ => return,
    };
    // GNU/Hurd is a Debian.
    if kind == SystemKind::Hurd {
        super::release::look(files, os);
    }
    let Some(version) = found else {
        if os.product_name.is_none() {
            os.product_name = Some(Fact::new(name.to_owned(), Source::named("the files of the root")));
        }
        return;
    };
    let source = version.source.clone();
    os.product_name = Some(Fact::new(format!("{name} {}", version.value), source.clone()));
    os.distro = Some(Fact::new(kind.word().to_owned(), source.clone()));
    if let Some((major, minor)) = two(&version.value) {
        os.major_version = Some(Fact::new(major, source.clone()));
        os.minor_version = Some(Fact::new(minor.unwrap_or(0), source));
    }
    os.version = Some(version);
}

/// The script `/bin/freebsd-version` has the version written into it.
fn freebsd(files: &Look<'_>) -> Option<Fact<String>> {
    let script = files.text("/bin/freebsd-version");
    let written = script.and_then(|text| text.assigned("USERLAND_VERSION"));
    written
        .filter(|version| !version.value.is_empty())
        .or_else(|| after(files, "/etc/motd", "FreeBSD "))
        .or_else(|| after(files, "/etc/motd.template", "FreeBSD "))
}

/// The word after `before` in the first line that has it.
fn after(files: &Look<'_>, path: &str, before: &str) -> Option<Fact<String>> {
    let text = files.text(path)?;
    text.spoken().find_map(|line| {
        let (_, rest) = line.text.split_once(before)?;
        let word = rest.split([' ', '/', '\t']).next()?;
        let number = word.starts_with(|c: char| c.is_ascii_digit());
        number.then(|| line.fact(word.to_owned()))
    })
}

/// OpenBSD brings the keys of its own release and the next: `openbsd-73-base.pub`.
fn signify(files: &Look<'_>) -> Option<Fact<String>> {
    let names = files.names("/etc/signify");
    let release = |name: &Vec<u8>| -> Option<u32> {
        let name = std::str::from_utf8(name).ok()?;
        name.strip_prefix("openbsd-")?
            .strip_suffix("-base.pub")?
            .parse()
            .ok()
    };
    let newest = names.iter().filter_map(release).max()?.checked_sub(1)?;
    let version = format!("{}.{}", newest / 10, newest % 10);
    Some(Fact::new(version, Source::file(b"/etc/signify")))
}
