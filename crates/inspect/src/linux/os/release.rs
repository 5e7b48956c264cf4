//! Which distribution, and which version of it.

use super::osinfo::two;
use crate::os::Os;
use h2k_guest::{Fact, Look, Source, Text};

/// Identifiers of os-release that libguestfs has another word for.
const WORDS: &[(&str, &str)] = &[
    ("alpine", "alpinelinux"),
    ("arch", "archlinux"),
    ("kali", "kalilinux"),
    ("mandriva-linux", "mandriva"),
    ("ol", "oraclelinux"),
    ("openEuler", "openeuler"),
    ("opensuse-leap", "opensuse"),
    ("opensuse-tumbleweed", "opensuse"),
    ("pld", "pldlinux"),
    ("rhel-atomic-host", "rhel"),
    ("scientific", "scientificlinux"),
    ("sled", "sles"),
    ("sles_sap", "sles"),
    ("void", "voidlinux"),
];

/// Distributions that put the first number of their version into os-release, and all of it elsewhere.
const SHORT: &[&str] = &["almalinux", "centos", "circle", "debian", "rocky"];

/// Identifiers of lsb-release, in lower case.
const LSB: &[(&str, &str)] = &[
    ("coreos", "coreos"),
    ("linuxmint", "linuxmint"),
    ("mageia", "mageia"),
    ("ubuntu", "ubuntu"),
];

/// A file that only one distribution has, and its first line.
struct Own {
    path: &'static str,
    word: &'static str,
    /// What stands before the number; nothing where the line begins with it.
    before: &'static str,
}

const fn own(path: &'static str, word: &'static str, before: &'static str) -> Own {
    Own { path, word, before }
}

/// Files of one distribution each. Many have redhat-release or debian_version besides, for programs that look there:
/// those come last.
const OWN: &[Own] = &[
    own("/etc/openmandriva-release", "openmandriva", "release"),
    own("/etc/opencloudos-release", "opencloudos", "release"),
    own("/etc/tencentos-release", "tencentos", "release"),
    own("/etc/oracle-release", "oraclelinux", "release"),
    own("/etc/centos-release", "centos", "release"),
    own("/etc/circle-release", "circle", "release"),
    own("/etc/rocky-release", "rocky", "release"),
    own("/etc/almalinux-release", "almalinux", "release"),
    own("/etc/altlinux-release", "altlinux", ""),
    own("/etc/mageia-release", "mageia", "release"),
    own("/etc/mandriva-release", "mandriva", "release"),
    own("/etc/photon-release", "photon", "Photon"),
    own("/etc/redhat-release", "", "release"),
    own("/etc/system-release", "amzn", "release"),
    own("/etc/pardus-release", "pardus", "Pardus"),
    own("/etc/arch-release", "archlinux", "-"),
    own("/etc/gentoo-release", "gentoo", "release"),
    own("/etc/meego-release", "meego", "release"),
    own("/etc/slackware-version", "slackware", "Slackware"),
    own("/etc/SuSE-release", "", ""),
    own("/etc/cirros/version", "cirros", ""),
    own("/etc/br-version", "buildroot", ""),
    own("/etc/alpine-release", "alpinelinux", ""),
    own("/etc/frugalware-release", "frugalware", "Frugalware"),
    own("/etc/pld-release", "pldlinux", ""),
    own("/etc/debian_version", "debian", ""),
    own("/etc/NIXOS", "nixos", "-"),
];

/// First lines of redhat-release.
const RED_HAT: &[(&str, &str)] = &[
    ("Fedora", "fedora"),
    ("Red Hat", "rhel"),
    ("CentOS", "centos"),
    ("Scientific Linux", "scientificlinux"),
    ("Oracle Linux", "oraclelinux"),
    ("Enterprise Linux Enterprise Linux", "oraclelinux"),
    ("Rocky Linux", "rocky"),
    ("AlmaLinux", "almalinux"),
    ("Circle Linux", "circle"),
    ("Amazon Linux", "amzn"),
];

pub(super) fn look(files: &Look<'_>, os: &mut Os) {
    let release = files.first_text(["/etc/os-release", "/usr/lib/os-release"]);
    if let Some(text) = &release {
        from_os_release(text, os);
    }
    let lsb = files.first_text(["/etc/lsb-release", "/usr/share/coreos/lsb-release"]);
    if let Some(text) = lsb.filter(|_| os.product_name.is_none() || os.codename.is_none()) {
        from_lsb(&text, os);
    }
    let word = os.distro.as_ref().map(|distro| distro.value.clone());
    match word {
        None => {
            OWN.iter().any(|own| {
                let text = files.text(own.path);
                text.is_some_and(|text| from_own(own, &text, os))
            });
        }
        Some(word)
            if SHORT.contains(&word.as_str()) && os.minor_version.as_ref().is_none_or(|m| m.value == 0) =>
        {
            let own = OWN.iter().find(|own| own.word == word);
            if let Some((own, text)) = own.and_then(|own| Some((own, files.text(own.path)?))) {
                complete(own, &text, os);
            }
        }
        Some(_) => {}
    }
}

fn from_os_release(text: &Text, os: &mut Os) {
    let said = |key: &str| text.assigned(key).filter(|fact| !fact.value.is_empty());
    os.product_name = said("PRETTY_NAME").or_else(|| said("NAME"));
    os.id = said("ID");
    os.like = said("ID_LIKE").map(|like| like.map(|v| v.split_whitespace().map(str::to_owned).collect()));
    os.version = said("VERSION_ID");
    os.codename = said("VERSION_CODENAME").or_else(|| said("UBUNTU_CODENAME"));
    os.build = said("BUILD_ID");
    os.variant = said("VARIANT_ID").or_else(|| said("VARIANT"));
    os.distro = os.id.clone().map(|id| id.map(|id| word(&id)));
    set_numbers(os);
    if os.codename.is_none() {
        // `VERSION="7 (wheezy)"`, before there was a field of its own.
        os.codename = said("VERSION").and_then(|version| {
            let (_, rest) = version.value.split_once('(')?;
            let (name, _) = rest.split_once(')')?;
            let name = name.trim().to_owned();
            (!name.is_empty()).then_some(Fact::new(name, version.source))
        });
    }
}

fn word(id: &str) -> String {
    let known = WORDS.iter().find(|(theirs, _)| *theirs == id);
    let word = known.map_or(id, |(_, word)| word);
    // openSUSE has had an identifier for each of its products.
    let word = if id.starts_with("opensuse") {
        "opensuse"
    } else {
        word
    };
    word.to_owned()
}

fn from_lsb(text: &Text, os: &mut Os) {
    let said = |key: &str| text.assigned(key).filter(|fact| !fact.value.is_empty());
    if os.codename.is_none() {
        os.codename = said("DISTRIB_CODENAME");
    }
    if os.distro.is_some() {
        return;
    }
    let Some(id) = said("DISTRIB_ID") else { return };
    let lower = id.value.to_ascii_lowercase();
    let Some((_, word)) = LSB.iter().find(|(theirs, _)| *theirs == lower) else {
        return;
    };
    os.product_name = said("DISTRIB_DESCRIPTION");
    os.version = said("DISTRIB_RELEASE");
    os.distro = Some(Fact::new((*word).to_owned(), id.source.clone()));
    os.id = Some(id);
    set_numbers(os);
}

fn set_numbers(os: &mut Os) {
    let Some(version) = &os.version else { return };
    if let Some((major, minor)) = two(&version.value) {
        set_two(os, major, minor, &version.source.clone());
    }
}

fn set_two(os: &mut Os, major: u32, minor: Option<u32>, source: &Source) {
    os.major_version = Some(Fact::new(major, source.clone()));
    os.minor_version = Some(Fact::new(minor.unwrap_or(0), source.clone()));
}

/// Takes the distribution from a file that it alone has; says whether there was enough in it.
fn from_own(own: &Own, text: &Text, os: &mut Os) -> bool {
    let first = text.lines().next();
    let line = first.map_or("", |line| line.text.trim());
    let word = match own.path {
        "/etc/redhat-release" => {
            let known = RED_HAT.iter().find(|(begins, _)| line.starts_with(begins));
            known.map_or("redhat-based", |(_, word)| word)
        }
        "/etc/SuSE-release" => return from_suse(text, line, os),
        "/etc/system-release" if !line.starts_with("Amazon Linux") => return false,
        _ => own.word,
    };
    let source = first.map_or_else(|| text.source(), |line| line.source());
    os.distro = Some(Fact::new(word.to_owned(), source.clone()));
    if !line.is_empty() {
        os.product_name = Some(Fact::new(line.to_owned(), source));
    }
    complete(own, text, os);
    true
}

/// What the first line of a release file adds to a version.
fn complete(own: &Own, text: &Text, os: &mut Os) {
    let Some(line) = text.lines().next().filter(|line| !line.text.trim().is_empty()) else {
        return;
    };
    let source = line.source();
    os.release = Some(Fact::new(line.text.trim().to_owned(), source.clone()));
    // A release of tomorrow is called `trixie/sid` and has no number.
    if let Some((version, major, minor)) = version(line.text, own.before) {
        let same = os.major_version.as_ref().is_none_or(|known| known.value == major);
        if same {
            set_two(os, major, minor, &source);
            if os.version.is_none() {
                os.version = Some(Fact::new(version, source.clone()));
            }
        }
    }
    if os.codename.is_none() {
        let name = line
            .text
            .split_once('(')
            .and_then(|(_, rest)| rest.split_once(')'));
        let name = name.map(|(name, _)| name.trim().to_owned());
        let name = name.filter(|name| !name.is_empty() && own.before == "release");
        os.codename = name.map(|name| Fact::new(name, source));
    }
}

/// The version in a line: `release 7.9.2009 (Core)`, `release 4 (Nahant Update 8)`, `12.5`.
fn version(line: &str, before: &str) -> Option<(String, u32, Option<u32>)> {
    let rest = if before.is_empty() {
        line
    } else {
        line.split_once(before)?.1
    };
    let at = rest.find(|c: char| c.is_ascii_digit())?;
    let number: String = rest
        .get(at..)?
        .chars()
        .take_while(|c| c.is_ascii_digit() || *c == '.')
        .collect();
    let number = number.trim_end_matches('.').to_owned();
    let (major, mut minor) = two(&number)?;
    if minor.is_none()
        && let Some((_, update)) = rest.split_once("Update ")
    {
        minor = two(update).map(|(n, _)| n);
    }
    Some((number, major, minor))
}

/// `SUSE Linux Enterprise Server 11 (x86_64)`, `VERSION = 11`, `PATCHLEVEL = 3`.
fn from_suse(text: &Text, line: &str, os: &mut Os) -> bool {
    let source = text
        .lines()
        .next()
        .map_or_else(|| text.source(), |line| line.source());
    let word = if line.starts_with("SUSE Linux Enterprise") {
        "sles"
    } else if line.to_ascii_lowercase().starts_with("opensuse") {
        "opensuse"
    } else {
        "suse-based"
    };
    os.distro = Some(Fact::new(word.to_owned(), source.clone()));
    os.product_name = Some(Fact::new(line.to_owned(), source.clone()));
    // The file has blanks around its equals signs.
    let said = |key: &str| {
        text.spoken().find_map(|line| {
            let (k, value) = line.text.split_once('=')?;
            (k.trim() == key).then(|| line.fact(value.trim().to_owned()))
        })
    };
    os.codename = said("CODENAME");
    os.version = said("VERSION");
    set_numbers(os);
    if let Some(level) = said("PATCHLEVEL")
        && let Some((minor, _)) = two(&level.value)
    {
        os.minor_version = Some(Fact::new(minor, level.source));
    }
    os.release = Some(Fact::new(line.to_owned(), source));
    true
}

#[cfg(test)]
mod tests {
    use super::version;

    #[test]
    fn versions_are_found_in_the_lines_distributions_wrote() {
        let cases = [
            (
                "CentOS Linux release 7.9.2009 (Core)",
                "release",
                "7.9.2009",
                7,
                Some(9),
            ),
            ("CentOS Stream release 9", "release", "9", 9, None),
            (
                "Red Hat Enterprise Linux AS release 4 (Nahant Update 8)",
                "release",
                "4",
                4,
                Some(8),
            ),
            ("Fedora release 14 (Phony)", "release", "14", 14, None),
            ("5.0.1", "", "5.0.1", 5, Some(0)),
            ("VMware Photon OS 4.0", "Photon", "4.0", 4, Some(0)),
            ("Slackware 14.2+", "Slackware", "14.2", 14, Some(2)),
        ];
        for (line, before, number, major, minor) in cases {
            assert_eq!(
                version(line, before),
                Some((number.to_owned(), major, minor)),
                "{line}"
            );
        }
        assert_eq!(version("trixie/sid", ""), None);
        assert_eq!(version("Debian 12", "release"), None);
        assert_eq!(version("release 99999999999999", "release"), None);
    }
}
